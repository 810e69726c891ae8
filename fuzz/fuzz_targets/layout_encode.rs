//! Any value under any layout: it is encoded or refused, and what was viewed is encoded again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::schema::{Layout, Value};

/// Messages larger than this take too long to be encoded whole.
const LARGEST: usize = 1 << 14;

/// Makes a value that follows from the bytes.
fn value(bytes: &mut impl Iterator<Item = u8>, depth: usize) -> Value {
    let byte = bytes.next().unwrap_or(0);
    let few = byte / 16;
    match byte % 10 {
        0 => Value::Null,
        1 => Value::Bool(few > 0),
        2 => Value::Int(few.into()),
        3 => Value::Int(bytes.take(16).fold(0_i128, |n, b| (n << 8) | i128::from(b))),
        4 => Value::F64(f64::from_bits(bytes.take(8).fold(0, |n, b| (n << 8) | u64::from(b)))),
        5 => Value::F32(few.into()),
        6 => Value::Text(bytes.take(few.into()).map(char::from).collect()),
        7 => Value::Bytes(bytes.take(few.into()).collect()),
        8 if depth > 0 => (0..few).map(|_| value(bytes, depth - 1)).collect(),
        9 if depth > 0 => (0..few).map(|i| (char::from(b'a' + i).to_string(), value(bytes, depth - 1))).collect(),
        _ => Value::Text(String::new()),
    }
}

fuzz_target!(|input: &[u8]| {
    // The text of a layout, a zero byte, and the bytes of a message.
    let end = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (text, bytes) = (&input[..end], input.get(end + 1..).unwrap_or(&[]));
    let Ok(text) = str::from_utf8(text) else { return };
    for layout in Layout::parse(text).unwrap_or_default() {
        if layout.size() > LARGEST {
            continue;
        }
        let mut out = vec![0xAA; layout.size()];
        match layout.encode(&value(&mut bytes.iter().copied(), 4), &mut out) {
            Ok(()) => layout.check(&out).expect("what was encoded is a message"),
            Err(error) => assert!(!error.path().is_empty() || layout.name().is_some(), "{error}"),
        }
        let mut raw = bytes.to_vec();
        raw.resize(layout.size(), 0);
        if layout.check(&raw).is_ok() {
            // An option in an option without a value, and variants of one name, are not told apart.
            let _ = layout.encode(&layout.view(&raw).to_value(), &mut out);
        }
    }
});
