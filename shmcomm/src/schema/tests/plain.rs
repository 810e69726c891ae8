//! Values of codecs as values of layouts.

use super::*;

#[test]
fn encoded_values_become_plain_and_come_back() {
    use crate::codec::{self, BigInt, NdArray};
    let value = Value::from_iter([
        ("none", Value::Null),
        ("n", Value::Int(i128::from(u64::MAX))),
        ("list", Value::from(vec![1, 2])),
        ("bytes", Value::Bytes(vec![1, 2])),
    ]);
    assert_eq!(Value::from(&codec::Value::from(&value)), value);
    let array = NdArray::from_slice(&[2, 2], &[1.5_f32, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(Value::from(&codec::Value::from(array)).to_string(), "[[1.5,2.0],[3.0,4.0]]");
    let large: BigInt = "9".repeat(50).parse().unwrap();
    assert_eq!(Value::from(&codec::Value::from(large)), Value::Text("9".repeat(50)));
    let keys = codec::Value::Dict(
        [(codec::Value::from(7), codec::Value::Tuple(vec![true.into()]))].into_iter().collect(),
    );
    assert_eq!(Value::from(&keys).to_string(), r#"{"7":[true]}"#);
}
