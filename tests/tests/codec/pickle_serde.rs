//! The pickle codec for typed messages: what becomes what, and the words of its errors.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use shmcomm::codec::pickle::{self, Protocol};
use shmcomm::codec::{
    BigInt, Decode, DecodeErrorKind, Dict, Encode, EncodeError, NdArray, NdView, Object, Pickle, Value,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pose {
    x: f64,
    y: f64,
    label: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    Stop,
    Speed(f32),
    Move(i32, i32),
    Look { at: [f64; 3], quick: bool },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    small: (i8, u8, i16, u16),
    large: (i64, u64, i128, u128),
    poses: Vec<Pose>,
    by_name: BTreeMap<String, Pose>,
    by_number: HashMap<i64, bool>,
    by_pair: BTreeMap<(u8, char), ()>,
    #[serde(with = "serde_bytes")]
    blob: Vec<u8>,
    commands: Vec<Command>,
    any: Value,
    image: NdArray,
    #[serde(default)]
    missing: u8,
}

fn everything() -> Everything {
    let pose = |x| Pose { x, y: -x, label: (x > 1.0).then(|| "größer".to_owned()) };
    Everything {
        small: (-128, 255, -32768, 65535),
        large: (i64::MIN, u64::MAX, i128::MIN, u128::MAX),
        poses: vec![pose(1.0), pose(2.0)],
        by_name: [("a".to_owned(), pose(3.0)), (String::new(), pose(0.5))].into(),
        by_number: [(-1, true)].into(),
        by_pair: [((1, 'ß'), ())].into(),
        blob: vec![0, 255],
        commands: vec![
            Command::Stop,
            Command::Speed(1.5),
            Command::Move(-1, 1 << 30),
            Command::Look { at: [1.0, f64::INFINITY, -0.0], quick: true },
        ],
        any: Value::Tuple(vec![Value::None, Value::Set(vec![1i64.into()])]),
        image: NdArray::from_slice(&[2, 2], &[1u8, 2, 3, 4]).unwrap(),
        missing: 7,
    }
}

#[test]
fn what_is_written_reads_back_at_both_protocols() {
    for protocol in [Protocol::V4, Protocol::V5] {
        let bytes = protocol.encode_vec(&everything()).unwrap();
        assert_eq!(pickle::from_slice::<Everything>(&bytes).unwrap(), everything());
    }
}

#[test]
fn slot_that_is_too_short_gets_the_exact_size() {
    let whole = pickle::to_vec(&everything()).unwrap();
    for capacity in 0..=whole.len() + 1 {
        let mut slot = vec![0xaa; capacity];
        match Pickle::encode(&everything(), &mut slot) {
            Ok(n) => {
                assert_eq!(slot[..n], whole);
                assert!(capacity >= whole.len() && slot[n..].iter().all(|&byte| byte == 0xaa));
            }
            Err(error) => {
                assert_eq!(error, EncodeError::TooLong { needed: whole.len(), capacity });
                assert!(capacity < whole.len());
            }
        }
    }
}

#[test]
fn the_shapes_are_those_that_python_expects() {
    let value: Value = pickle::from_slice(&pickle::to_vec(&everything()).unwrap()).unwrap();
    assert_eq!(value["poses"].kind(), "list");
    assert_eq!(value["poses"][0].kind(), "dict");
    assert!(value["poses"][0]["label"].is_none());
    assert_eq!(value["small"].kind(), "tuple");
    assert_eq!(value["large"][3], Value::BigInt(BigInt::from(u128::MAX)));
    assert_eq!(value["blob"], Value::bytes([0, 255]));
    assert_eq!(value["commands"][0].as_str(), Some("Stop"));
    assert_eq!(value["commands"][1]["Speed"].as_f64(), Some(1.5));
    assert_eq!(value["commands"][2]["Move"].kind(), "tuple");
    assert_eq!(value["commands"][3]["Look"]["quick"].as_bool(), Some(true));
    assert_eq!(value["any"][1].kind(), "set");
    assert_eq!(value["image"].as_array().and_then(|image| image.as_slice()), Some(&[1u8, 2, 3, 4][..]));
    let unit: Value = pickle::from_slice(&pickle::to_vec(&()).unwrap()).unwrap();
    assert!(unit.is_none());
}

#[track_caller]
fn error<T: serde::de::DeserializeOwned + std::fmt::Debug>(value: impl Serialize) -> String {
    let error = pickle::from_slice::<T>(&pickle::to_vec(&value).unwrap()).unwrap_err();
    assert_eq!(error.kind(), DecodeErrorKind::Type);
    error.to_string()
}

#[test]
fn error_names_path_and_cause() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Path {
        poses: Vec<Pose>,
        by: HashMap<String, Command>,
    }
    let pose = |x: Value| Value::from_iter([("x", x), ("y", Value::from(1.0)), ("label", Value::None)]);
    let path = |x: Value, command: Value| {
        let poses = vec![pose(1.0.into()), pose(x)];
        Value::from_iter([("poses", Value::from(poses)), ("by", Value::from_iter([("a b", command)]))])
    };
    let stop = Value::from("Stop");
    let found = |x: Value| error::<Path>(path(x, stop.clone()));
    assert_eq!(found("1".into()), r#".poses[1].x: expected f64, found str "1""#);
    assert_eq!(found(Value::None), ".poses[1].x: expected f64, found None");
    assert_eq!(found(true.into()), ".poses[1].x: expected f64, found bool True");
    assert_eq!(found(vec![1i64].into()), ".poses[1].x: expected f64, found a list or tuple");
    assert_eq!(
        found("z".repeat(999).into()),
        format!(".poses[1].x: expected f64, found str \"{}…\"", "z".repeat(40))
    );
    let by = |command: Value| error::<Path>(path(1i64.into(), command));
    assert_eq!(
        by("Go".into()),
        r#".by["a b"]: unknown variant `Go`, expected one of `Stop`, `Speed`, `Move`, `Look`"#
    );
    assert_eq!(
        by(Value::from_iter([("Speed", "fast")])),
        r#".by["a b"].Speed: expected f32, found str "fast""#
    );
    assert_eq!(
        by(Value::from_iter([("Move", vec![1i64])])),
        r#".by["a b"].Move: invalid length 1, expected tuple variant Command::Move with 2 elements"#
    );
    assert_eq!(
        by(Value::from_iter([("Move", vec![1i64, 2, 3])])),
        r#".by["a b"].Move: expected 2 items, found a list of 3"#
    );
    assert_eq!(by(7i64.into()), r#".by["a b"]: expected an enum: a str, or a dict of one entry, found int"#);

    assert_eq!(error::<Pose>(Value::from_iter([("x", 1.0)])), "missing field `y`");
    assert_eq!(error::<Pose>(Value::from_iter([(1i64, 1.0)])), "expected the name of a field, found int");
    assert_eq!(error::<u8>(256), "expected u8, found int 256");
    assert_eq!(error::<i64>(u64::MAX), "expected i64, found int 18446744073709551615");
    assert_eq!(
        error::<u128>(Value::from(BigInt::from_le_bytes(&[1; 40]))),
        "expected u128, found an int of 313 bits"
    );
    assert_eq!(error::<u64>(-1), "expected u64, found int -1");
    assert_eq!(error::<i32>(1.0), "expected i32, found float 1");
    assert_eq!(error::<[u8; 2]>([1, 2, 3]), "expected 2 items, found a tuple of 3");
    assert_eq!(error::<NdArray>(vec![1.0]), "expected numpy.ndarray, found list");
    assert_eq!(error::<()>(1), "expected unit, found int 1");
}

#[test]
fn numbers_convert_where_python_would_not_mind() {
    let read = |value: Value| pickle::from_slice::<f64>(&pickle::to_vec(&value).unwrap());
    assert_eq!(read(3i64.into()).unwrap(), 3.0);
    assert_eq!(read(u64::MAX.into()).unwrap(), u64::MAX as f64);
    assert_eq!(pickle::from_slice::<f32>(&pickle::to_vec(&0.1f32).unwrap()).unwrap(), 0.1);
    assert_eq!(pickle::from_slice::<BigInt>(&pickle::to_vec(&5u8).unwrap()).unwrap().to_i64(), Some(5));
}

#[test]
fn arrays_are_read_as_equal_sequences() {
    let array = NdArray::from_slice(&[2, 3], &[1i16, 2, 3, 4, 5, 6]).unwrap();
    let bytes = pickle::to_vec(&array).unwrap();
    assert_eq!(pickle::from_slice::<Vec<Vec<f64>>>(&bytes).unwrap(), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!(pickle::from_slice::<[[i16; 3]; 2]>(&bytes).unwrap(), [[1, 2, 3], [4, 5, 6]]);
    assert_eq!(pickle::from_slice::<NdArray>(&bytes).unwrap(), array);
    let too_few = pickle::from_slice::<[[i16; 2]; 2]>(&bytes).unwrap_err();
    assert_eq!(too_few.to_string(), "[0]: expected 2 items, found a dimension of 3");
    assert_eq!(
        pickle::from_slice::<Vec<Vec<u8>>>(
            &pickle::to_vec(&NdArray::from_slice(&[1, 1], &[-1i8]).unwrap()).unwrap()
        )
        .unwrap_err()
        .path(),
        "[0][0]"
    );

    let xyz = pickle::to_vec(&NdArray::from(vec![1.0, 2.0])).unwrap();
    #[derive(Debug, PartialEq, Deserialize)]
    struct Xy {
        x: f64,
        y: f64,
    }
    assert_eq!(pickle::from_slice::<Xy>(&xyz).unwrap(), Xy { x: 1.0, y: 2.0 });
    let raw = pickle::to_vec(&NdArray::from(vec![1u8, 2])).unwrap();
    assert_eq!(pickle::from_slice::<serde_bytes::ByteBuf>(&raw).unwrap().into_vec(), [1, 2]);
    let view = NdView::new(&[2], &[1.0, 2.0]).unwrap();
    assert_eq!(pickle::to_vec(&view).unwrap(), xyz);
}

#[test]
fn instances_read_as_structs_and_maps() {
    let fields: Dict =
        [("x", Value::from(1.0)), ("y", 2i64.into()), ("label", "a".into()), ("more", Value::None)]
            .into_iter()
            .collect();
    let bytes = pickle::to_vec(&Value::from(Object::new("robot", "Pose", fields))).unwrap();
    let want = Pose { x: 1.0, y: 2.0, label: Some("a".into()) };
    assert_eq!(pickle::from_slice::<Pose>(&bytes).unwrap(), want);
    assert_eq!(pickle::from_slice::<HashMap<String, Value>>(&bytes).unwrap().len(), 4);
    let tuple = Object {
        module: "robot".into(),
        name: "Pose".into(),
        state: Value::Tuple(vec![1.0.into(), 2.0.into(), "a".into()]),
        slots: false,
    };
    let bytes = pickle::to_vec(&Value::from(tuple.clone())).unwrap();
    assert_eq!(pickle::from_slice::<Pose>(&bytes).unwrap(), want);
    assert_eq!(pickle::from_slice::<(f64, f64, String)>(&bytes).unwrap().2, "a");
    assert_eq!(pickle::from_slice::<Value>(&bytes).unwrap(), tuple.into());
}

#[test]
fn text_and_bytes_are_borrowed_from_the_message() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        text: &'a str,
        #[serde(borrow)]
        bytes: &'a serde_bytes::Bytes,
    }
    let bytes =
        pickle::to_vec(&Value::from_iter([("text", Value::from("ab")), ("bytes", Value::bytes(*b"cd"))]))
            .unwrap();
    let read: Borrowed = pickle::from_slice(&bytes).unwrap();
    assert!(
        bytes.as_ptr_range().contains(&read.text.as_ptr())
            && bytes.as_ptr_range().contains(&read.bytes.as_ptr())
    );
    assert_eq!(
        pickle::from_slice::<Vec<u8>>(&pickle::to_vec(&Value::bytes(*b"cd")).unwrap()).unwrap(),
        b"cd"
    );
}

#[test]
fn what_python_could_not_load_is_not_written() {
    let refused = |value: Value| match pickle::to_vec(&value) {
        Err(EncodeError::Refused { path, reason }) => format!("{path}|{reason}"),
        other => panic!("{other:?}"),
    };
    let list = || Value::List(vec![1i64.into()]);
    assert_eq!(
        refused(Value::from_iter([(list(), 1i64)])),
        "|a list cannot be a dict key or stand in a set: Python cannot hash it"
    );
    assert!(refused(Value::Set(vec![1i64.into(), list()])).starts_with("[1]|a list"));
    assert!(
        refused(Value::FrozenSet(vec![Value::Tuple(vec![Value::None, Dict::new().into()])]))
            .starts_with("[0][1]|a dict")
    );
    assert!(
        refused(Value::from_iter([("k", Value::Set(vec![NdArray::from(vec![1.0]).into()]))]))
            .starts_with(".k[0]|a numpy")
    );
    assert!(pickle::to_vec(&Value::Set(vec![Value::FrozenSet(vec![])])).is_ok());
    // Within a value that is not hashed, everything goes again.
    assert!(pickle::to_vec(&Value::from_iter([(1i64, list())])).is_ok());
    let opaque = pickle::DecodeOptions::new().opaque(true).decode::<Value>(b"cdatetime\ndate\n)R.").unwrap();
    assert_eq!(
        refused(vec![opaque].into()),
        "[0]|the opaque object `datetime.date` cannot be sent: only Python can make sense of it"
    );
    let mut deep = Value::None;
    for _ in 0..300 {
        deep = vec![deep].into();
    }
    assert!(refused(deep).contains("nested deeper than 256 levels"));
}

#[test]
fn other_formats_see_values_too() {
    let value = Value::from_iter([
        ("set", Value::Set(vec![1i64.into()])),
        ("object", Object::new("m", "C", [("x", 1.5)].into_iter().collect()).into()),
        ("big", u128::MAX.into()),
        ("array", NdArray::from(vec![1u8]).into()),
    ]);
    let text = serde_json::to_string(&value).unwrap();
    assert_eq!(
        text,
        r#"{"set":[1],"object":{"x":1.5},"big":"340282366920938463463374607431768211455","array":{"shape":[1],"dtype":"|u1","data":[1],"order":"C"}}"#
    );
    let back: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(back["object"]["x"].as_f64(), Some(1.5));
    assert_eq!(
        serde_json::from_str::<NdArray>(r#"{"shape":[1],"dtype":"|u1","data":[1]}"#).unwrap().len(),
        1
    );
}

#[test]
fn a_message_decodes_through_the_codec_trait() {
    let mut slot = [0; 256];
    let n = Pickle::encode("text", &mut slot).unwrap();
    assert_eq!(<Pickle as Decode<String>>::decode(&slot[..n]).unwrap(), "text");
    let error = <Pickle as Decode<String>>::decode(&slot[..n + 3]).unwrap_err();
    assert_eq!(error.to_string(), "3 bytes after the end of the pickle (at byte 18 of the message)");
}
