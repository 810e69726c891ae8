//! The msgpack codec: typed messages, the words of its errors, and hostile bytes.

use std::collections::{BTreeMap, HashMap};

use crate::meter::{TIME, busy, peak};
use serde::{Deserialize, Serialize};
use shmcomm::codec::{
    BigInt, Decode, DecodeErrorKind as Kind, Encode, EncodeError, Msgpack, NdArray, Object, Value, msgpack,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    Stop,
    Speed(f32),
    Move(i32, i32),
    Look { at: [f64; 3], quick: bool },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    id: u64,
    ids: (i8, i64, i128, u128),
    note: Option<String>,
    #[serde(with = "serde_bytes")]
    blob: Vec<u8>,
    commands: Vec<Command>,
    by_name: BTreeMap<char, Vec<f64>>,
    any: Value,
    image: NdArray,
    marker: Marker,
    #[serde(flatten)]
    more: HashMap<String, i64>,
}

fn job() -> Job {
    Job {
        id: u64::MAX,
        ids: (-1, i64::MIN, -7, u128::from(u64::MAX)),
        note: None,
        blob: vec![0, 255],
        commands: vec![
            Command::Stop,
            Command::Speed(0.5),
            Command::Move(1, -1),
            Command::Look { at: [1.0, 2.0, 3.0], quick: false },
        ],
        by_name: [('ß', vec![1.5])].into(),
        any: Value::from_iter([("a", Value::bytes(*b"x")), ("b", u64::MAX.into())]),
        image: NdArray::from(vec![1.0f32, 2.0]),
        marker: Marker,
        more: [("extra".to_owned(), 3)].into(),
    }
}

#[test]
fn what_is_written_reads_back() {
    let bytes = msgpack::to_vec(&job()).unwrap();
    assert_eq!(msgpack::from_slice::<Job>(&bytes).unwrap(), job());
}

#[test]
fn slot_that_is_too_short_gets_the_exact_size() {
    let whole = msgpack::to_vec(&job()).unwrap();
    for capacity in 0..=whole.len() {
        let mut slot = vec![0; capacity];
        match Msgpack::encode(&job(), &mut slot) {
            Ok(n) => assert_eq!((n, slot), (whole.len(), whole.clone())),
            Err(error) => assert_eq!(error, EncodeError::TooLong { needed: whole.len(), capacity }),
        }
    }
}

#[test]
fn structs_are_maps_and_bytes_are_bin() {
    let value: Value = msgpack::from_slice(&msgpack::to_vec(&job()).unwrap()).unwrap();
    assert_eq!(value["blob"], Value::bytes([0, 255]));
    assert_eq!(value["commands"][0].as_str(), Some("Stop"));
    assert_eq!(value["commands"][3]["Look"]["at"][2].as_f64(), Some(3.0));
    assert_eq!(value["image"]["dtype"].as_str(), Some("<f4"));
    assert!(value["marker"].is_none() && value["note"].is_none());
    assert_eq!(value["extra"].as_i64(), Some(3));
    let object = Object::new("m", "C", [("x", 1.5)].into_iter().collect());
    let value: Value = msgpack::from_slice(&msgpack::to_vec(&Value::from(object)).unwrap()).unwrap();
    assert_eq!(value["x"].as_f64(), Some(1.5));
    let value: Value =
        msgpack::from_slice(&msgpack::to_vec(&Value::Set(vec![1i64.into()])).unwrap()).unwrap();
    assert_eq!(value, vec![1i64].into());
}

#[test]
fn what_python_could_not_load_is_not_written() {
    #[track_caller]
    fn refused(value: impl Serialize) -> String {
        let whole = msgpack::to_vec(&value).unwrap_err();
        assert_eq!(msgpack::to_slice(&value, &mut [0; 4096]).unwrap_err(), whole);
        whole.to_string()
    }
    let key = "an int as a map key: Python's msgpack loads only str and bytes (`strict_map_key`)";
    assert_eq!(refused(HashMap::from([(1, 2)])), key);
    assert_eq!(refused(HashMap::from([("a", vec![HashMap::from([(1, 2)])])])), format!(".a[0]: {key}"));
    assert!(refused(HashMap::from([((1, 2), 2)])).starts_with("a tuple as a map key"));
    assert!(refused(Value::from_iter([(Value::None, 1i64)])).starts_with("None as a map key"));
    assert_eq!(
        refused((1, u128::MAX)),
        format!("[1]: the int {} has more than the 64 bits of msgpack", u128::MAX)
    );
    assert!(refused(i128::MIN).contains("64 bits"));
    assert!(refused(Value::from(BigInt::from_le_bytes(&[1; 40]))).contains("64 bits"));
    assert!(refused(Value::Complex(1.0, 2.0)).contains("complex"));
    assert!(
        refused(HashMap::from([("p", Command::Speed(1.0))].map(|(k, v)| (k, (v, i128::MAX)))))
            .starts_with(".p[1]")
    );
    let mut deep = Value::None;
    for _ in 0..300 {
        deep = vec![deep].into();
    }
    assert!(refused(deep).ends_with("nested deeper than 256 levels"));
    #[derive(PartialEq, Eq, Hash, Serialize)]
    enum Side {
        Left,
    }
    assert!(msgpack::to_vec(&HashMap::from([(Side::Left, 1)])).is_ok());
    assert!(msgpack::to_vec(&HashMap::from([(serde_bytes::ByteBuf::from(*b"k"), 1)])).is_ok());
}

#[test]
fn error_names_path_and_cause() {
    fn error<T: serde::de::DeserializeOwned + std::fmt::Debug>(value: impl Serialize) -> String {
        let error = msgpack::from_slice::<T>(&msgpack::to_vec(&value).unwrap()).unwrap_err();
        assert_eq!(error.kind(), Kind::Type);
        error.to_string()
    }
    let mut commands = Value::from(vec![Value::from_iter([("Speed", "fast")])]);
    let path = |commands: &Value| Value::from_iter([("a", commands.clone())]);
    let text = error::<HashMap<String, Vec<Command>>>(path(&commands));
    assert!(text.starts_with(".a[0].Speed: ") && text.contains("found str"), "{text}");
    commands = vec![Value::from("Go")].into();
    let text = error::<HashMap<String, Vec<Command>>>(path(&commands));
    assert!(text.starts_with(".a[0]: unknown variant `Go`"), "{text}");
    assert_eq!(error::<(u8, u8)>((1, 256)), "[1]: invalid value: integer `256`, expected u8");
    assert_eq!(error::<(u8, u8)>((1, 2, 3)), "expected 2 items, found another number");
    assert!(error::<String>(1).contains("expected a string"));
    assert!(error::<u8>("x").contains("found str"));
}

#[track_caller]
fn refused(what: &str, bytes: &[u8], kind: Kind) {
    let start = busy();
    let (result, held) = peak(|| msgpack::from_slice::<Value>(bytes));
    let error = result.expect_err(what);
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert!(held < 100 * bytes.len() + 4096, "{what}: {held} bytes held for {}", bytes.len());
    let _ = peak(|| msgpack::from_slice::<Vec<Vec<Vec<u8>>>>(bytes));
    let _ = peak(|| msgpack::from_slice::<Job>(bytes));
    let took = busy() - start;
    assert!(took < TIME, "{what}: took {took:?}");
}

#[test]
fn hostile_bytes_are_refused_in_bounded_memory() {
    for n in [129, 100_000, 1_000_000] {
        refused("lists", &[b"\x91".repeat(n), vec![0xc0]].concat(), Kind::Limit);
        refused("dicts", &[b"\x81\xc0".repeat(n), vec![0xc0]].concat(), Kind::Limit);
        refused("keys", &[b"\x81".repeat(n), vec![0xc0; n + 1]].concat(), Kind::Limit);
        refused("cut", &b"\x91".repeat(n), if n > 129 { Kind::Limit } else { Kind::Truncated });
    }
    assert!(msgpack::from_slice::<Value>(&[b"\x91".repeat(128), vec![0xc0]].concat()).is_ok());
    for (what, claim) in [
        ("list", &b"\xdd\xff\xff\xff\xff\xc0"[..]),
        ("short list", b"\xdc\xff\xff\xc0"),
        ("dict", b"\xdf\xff\xff\xff\xff\xc0"),
        ("short dict", b"\xde\x80\x00\xc0"),
        ("str", b"\xdb\xff\xff\xff\xffabc"),
        ("bytes", b"\xc6\xff\xff\xff\xffabc"),
        ("fixed str", b"\xbfabc"),
        ("int", b"\xcf\0\0\0\0\0\0\0"),
        ("empty", b""),
    ] {
        refused(what, claim, Kind::Truncated);
        refused("nested claims", &[&b"\xdc\x00\x01".repeat(100), claim].concat(), Kind::Truncated);
    }
    // Each level claims as much as there are bytes.
    refused("claims", &b"\xdc\x10\x00".repeat(2000), Kind::Limit);
    refused("trailing", b"\xc0\xc0", Kind::Trailing);
    refused("reserved", b"\xc1", Kind::Malformed);
    refused("no UTF-8", b"\xa2\xc3\x28", Kind::Malformed);
    for cut in
        [&b"\xd4\x01"[..], b"\xd8\xff", b"\xc7\x02\x05a", b"\xd6\xff\0\0\0", b"\xc9\xff\xff\xff\xff\x01"]
    {
        refused("extension", cut, Kind::Truncated);
    }
    for (code, len) in [(-1, 3), (-1, 0), (-2, 4), (-128, 1)] {
        let ext = shmcomm::codec::Ext { code, data: vec![0; len] };
        let error = msgpack::to_vec(&ext).unwrap_err().to_string();
        assert!(error.contains("0 to 127"), "{error}");
    }
    let stamp: Value = msgpack::from_slice(b"\x81\xd6\xff\0\0\0\x01\xc0").unwrap();
    assert!(msgpack::to_vec(&stamp).unwrap_err().to_string().contains("a timestamp as a map key"));
    // A list of the smallest extensions: each is larger as a value than in the message.
    let many = [&b"\xdd\x00\x04\x00\x00"[..], &b"\xc7\x00\x01".repeat(1 << 18)].concat();
    let (value, held) = peak(|| msgpack::from_slice::<Value>(&many));
    assert_eq!(value.expect("an honest message").iter().count(), 1 << 18);
    assert!(held < 100 * many.len(), "{held} bytes for {}", many.len());
    let honest = [&b"\xdd\x00\x10\x00\x00"[..], &b"\xc0".repeat(1 << 20)].concat();
    let (value, held) = peak(|| msgpack::from_slice::<Value>(&honest).unwrap());
    assert_eq!(value.iter().count(), 1 << 20);
    assert!(held < 100 * honest.len(), "{held} bytes held");
}

#[test]
fn message_truncated_or_changed_stays_within_bounds() {
    let bytes = msgpack::to_vec(&job()).unwrap();
    for end in 0..bytes.len() {
        assert_eq!(msgpack::from_slice::<Job>(&bytes[..end]).unwrap_err().kind(), Kind::Truncated);
    }
    for at in 0..bytes.len() {
        for change in 0..=255 {
            let mut bytes = bytes.clone();
            bytes[at] = change;
            let (_, held) = peak(|| {
                (msgpack::from_slice::<Value>(&bytes).is_ok(), msgpack::from_slice::<Job>(&bytes).is_ok())
            });
            assert!(held < 100 * bytes.len() + 8192, "{held} bytes held");
        }
    }
}

#[test]
fn a_message_decodes_through_the_codec_trait() {
    let mut slot = [0; 16];
    let n = Msgpack::encode("text", &mut slot).unwrap();
    assert_eq!(<Msgpack as Decode<String>>::decode(&slot[..n]).unwrap(), "text");
    let error = <Msgpack as Decode<String>>::decode(&slot[..n + 1]).unwrap_err();
    assert_eq!(error.to_string(), "1 byte after the end of the message (at byte 5 of the message)");
}
