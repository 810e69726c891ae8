//! Hostile messages of the kinds of Python's standard library and numpy. Each gets an error, in bounded memory
//! and time. So does a message of each kind with any byte changed, or it decodes to another value.

use crate::meter::{MEMORY, TIME, busy, peak};
use crate::opcodes::{global, p5, text};
use shmcomm::codec::pickle::{self, DecodeOptions};
use shmcomm::codec::{
    DType, Date, DateTime, DecodeErrorKind as Kind, DefaultDict, Deque, Dict, Endian, EnumMember, Factory,
    FieldType, Fraction, Ip, IpClass, NdArray, ObjectArray, PathClass, PyPath, RecordField, RecordType,
    Records, Time, TimeDelta, TimeZone, TypedArray, Uuid, Value, msgpack,
};

/// Decodes as several types. Returns the error of a `Value`.
#[track_caller]
fn bounded(what: &str, bytes: &[u8]) -> Result<Value, shmcomm::codec::DecodeError> {
    let plain = DecodeOptions::new();
    let start = busy();
    let (result, held) = peak(|| {
        let _ = plain.decode::<String>(bytes);
        let _ = plain.decode::<Vec<Vec<f64>>>(bytes);
        let _ = plain.decode::<Vec<std::collections::HashMap<String, Vec<u8>>>>(bytes);
        let _ = plain.decode::<NdArray>(bytes);
        let _ = plain.decode::<Records>(bytes);
        let _ = plain.decode::<Vec<i64>>(bytes);
        let _ = plain.decode::<std::time::Duration>(bytes);
        let _ = plain.clone().opaque(true).enums(["m.E"]).decode::<Value>(bytes);
        plain.decode::<Value>(bytes)
    });
    assert!(held <= MEMORY.max(64 * bytes.len()), "{what}: {held} bytes held for {}", bytes.len());
    let took = busy() - start;
    assert!(took < 8 * TIME, "{what}: took {took:?}");
    result
}

#[track_caller]
fn refused(what: &str, bytes: &[u8], kind: Kind) -> String {
    let error = bounded(what, bytes).expect_err(what);
    assert_eq!(error.kind(), kind, "{what}: {error}");
    error.to_string()
}

/// Decodes as a `Value` only: what costs time here is done before the type matters.
#[track_caller]
fn bounded_value(what: &str, bytes: &[u8]) -> bool {
    let start = busy();
    let (result, held) = peak(|| DecodeOptions::new().decode::<Value>(bytes));
    assert!(held <= MEMORY.max(64 * bytes.len()), "{what}: {held} bytes held for {}", bytes.len());
    let took = busy() - start;
    assert!(took < TIME, "{what}: took {took:?}");
    result.is_ok()
}

#[test]
fn nesting_of_new_kinds_is_bounded() {
    for n in [200, 100_000] {
        let deque = [&global("collections", "deque")[..], b"\x94"].concat();
        refused("deques", &p5(&[&deque, b")R", &b"\x94h\0)R\x94".repeat(n), &b"a".repeat(n)]), Kind::Limit);
        let ordered = [&global("collections", "OrderedDict")[..], b"\x940N"].concat();
        let dicts = [&b"h\0)RN".repeat(n)[..], b"N", &b"s".repeat(n)].concat();
        refused("ordered dicts", &p5(&[&ordered, &dicts]), Kind::Limit);
        let slice = [&global("builtins", "slice")[..], b"\x940N"].concat();
        let slices = [&b"h\0".repeat(n)[..], b"N", &b"NN\x87R".repeat(n)].concat();
        refused("slices", &p5(&[&slice, &slices]), Kind::Limit);
        let member = [&global("m", "E")[..], b"\x940"].concat();
        let members = [&b"h\0".repeat(n)[..], b"N", &b"\x85R".repeat(n)].concat();
        let bytes = p5(&[&member, &members]);
        let options = DecodeOptions::new().enums(["m.E"]);
        assert_eq!(options.decode::<Value>(&bytes).unwrap_err().kind(), Kind::Limit);
        assert_eq!(options.decode::<String>(&bytes).unwrap_err().kind(), Kind::Limit);
        assert_eq!(options.decode::<(u8, u8)>(&bytes).unwrap_err().kind(), Kind::Limit);
        refused("enums", &bytes, Kind::Unsupported);
        let objects = objects(b"K\x01\x85", b"\x89", &b"]".repeat(n), &b"a".repeat(n - 1));
        refused("objects", &objects, Kind::Limit);
    }
}

/// An array of objects: shape, order, and the list of items.
fn objects(shape: &[u8], fortran: &[u8], items: &[u8], close: &[u8]) -> Vec<u8> {
    let array = [&global("numpy", "ndarray")[..], b"K\0\x85\x8c\x01O\x86R(K\x01"].concat();
    let dtype = [&global("numpy", "dtype")[..], b"\x8c\x01O\x85R"].concat();
    p5(&[&array, shape, &dtype, fortran, items, close, b"tb"])
}

#[test]
fn shared_parts_of_new_kinds_take_bounded_resources() {
    let long = text(&"9".repeat(100_000));
    for (what, name) in [
        ("decimals", global("decimal", "Decimal")),
        ("paths", global("pathlib", "PosixPath")),
        ("fractions", global("fractions", "Fraction")),
        ("addresses", global("ipaddress", "IPv6Network")),
        ("zones", global("zoneinfo", "ZoneInfo")),
        ("identifiers", global("uuid", "UUID")),
    ] {
        let calls = b"h\0h\x01\x85R".repeat(50_000);
        let bytes = p5(&[&name, b"\x940", &long, b"\x940](", &calls, b"e"]);
        assert!(!bounded_value(what, &bytes), "{what}");
    }
    let parts = [&b"("[..], &b"\x8c\x01a".repeat(50_000), b"t\x940"].concat();
    let path = [&global("pathlib", "PosixPath")[..], b"\x940"].concat();
    let bytes = p5(&[&path, &parts, b"](", &b"h\0h\x01R".repeat(100_000), b"e"]);
    assert!(!bounded_value("parts of paths", &bytes));

    let items = [&b"]("[..], &b"K\x01".repeat(50_000), b"e\x940"].concat();
    for (what, name, call) in [
        ("deques", global("collections", "deque"), &b"h\0h\x01\x85R"[..]),
        ("arrays", global("array", "array"), b"h\0\x8c\x01dh\x01\x86R"),
    ] {
        let bytes = p5(&[&name, b"\x940", &items, b"](", &call.repeat(50_000), b"e"]);
        assert!(!bounded_value(what, &bytes), "{what}");
    }
    let dict = [&b"}("[..], &b"K\x01K\x02K\x03K\x04".repeat(20_000), b"u\x940"].concat();
    let counter = [&global("collections", "Counter")[..], b"\x940"].concat();
    let bytes = p5(&[&counter, &dict, b"](", &b"h\0h\x01\x85R".repeat(50_000), b"e"]);
    assert!(!bounded_value("counters", &bytes));
}

/// `dtype("V8", False, True)` with a state.
fn dtype(names: &[u8], fields: &[u8], size: u32, flags: u8) -> Vec<u8> {
    let head = [&global("numpy", "dtype")[..], &text("V8"), b"\x89\x88\x87R(K\x03\x8c\x01|N"].concat();
    let size = [&b"J"[..], &size.to_le_bytes()].concat();
    [&head[..], names, fields, &size, b"K\x01K", &[flags], b"tb"].concat()
}

fn array_of(dtype: &[u8], shape: &[u8], bytes: usize) -> Vec<u8> {
    let data = [&b"\x96"[..], &(bytes as u64).to_le_bytes(), &vec![0; bytes]].concat();
    p5(&[&global("numpy", "ndarray"), shape, dtype, &data, b"\x87R"])
}

#[test]
fn records_are_checked_against_their_bytes() {
    let one =
        |kind: &str, offset: u8| [&b"}\x8c\x01a"[..], &text(kind), &[b'K', offset, 0x86, b's']].concat();
    let names = b"\x8c\x01a\x85";
    let good = dtype(names, &one("<f8", 0), 8, 16);
    assert!(bounded("good", &array_of(&good, b"K\x02\x85", 16)).is_ok());
    refused("short", &array_of(&good, b"K\x02\x85", 15), Kind::Malformed);
    refused("outside", &array_of(&dtype(names, &one("<f8", 1), 8, 16), b"K\x01\x85", 8), Kind::Malformed);
    refused("no size", &array_of(&dtype(b")", b"}", 0, 16), b"K\x01\x85", 0), Kind::Malformed);
    refused(
        "negative",
        &array_of(&dtype(names, &one("<f8", 0), u32::MAX, 16), b"K\x01\x85", 8),
        Kind::Unsupported,
    );
    refused(
        "no field",
        &array_of(&dtype(b"\x8c\x01b\x85", &one("<f8", 0), 8, 16), b"K\x01\x85", 8),
        Kind::Unsupported,
    );
    refused(
        "a type that is none",
        &array_of(&dtype(names, &one("O8", 0), 8, 16), b"K\x01\x85", 8),
        Kind::Unsupported,
    );
    // A record of records, each twice in the next: 2^60 fields.
    let mut bomb = [&dtype(names, &one("<f8", 0), 8, 16)[..], b"\x940"].concat();
    for level in 0..60u8 {
        let pair = [&b"}(\x8c\x01ah"[..], &[level], b"K\0\x86\x8c\x01bh", &[level], b"K\0\x86u"].concat();
        bomb.extend(dtype(b"\x8c\x01a\x8c\x01b\x86", &pair, 8, 16));
        bomb.extend(b"\x940");
    }
    let all = [&bomb[..], b"h\x3c"].concat();
    let data = [&b"\x96"[..], &8u64.to_le_bytes(), &[0; 8]].concat();
    let bytes = p5(&[&bomb, &global("numpy", "ndarray"), b"K\x01\x85h\x3c", &data, b"\x87R"]);
    refused("a bomb of fields", &bytes, Kind::Limit);
    drop(all);
    // Itself as its own field.
    let own = [&b"}\x8c\x01ah\0K\0\x86s"[..]].concat();
    let head = [&global("numpy", "dtype")[..], &text("V8"), b"\x89\x88\x87R\x94(K\x03\x8c\x01|N"].concat();
    let cyclic = [&head[..], names, &own, b"K\x08K\x01K\x10tb"].concat();
    refused("its own field", &array_of(&cyclic, b"K\x01\x85", 8), Kind::Limit);
    // Many fields, in an order that is not that of the names, in many arrays.
    let count = 4000;
    let names: Vec<u8> = (0..count).flat_map(|i| text(&format!("f{i}"))).collect();
    let fields =
        (0..count).rev().flat_map(|i| [text(&format!("f{i}")), b"\x8c\x02u1K\0\x86".to_vec()].concat());
    let fields = [&b"}("[..], &fields.collect::<Vec<u8>>(), b"u"].concat();
    let wide = dtype(&[&b"("[..], &names, b"t"].concat(), &fields, 8, 16);
    refused("many fields", &array_of(&wide, b"K\x01\x85", 8), Kind::Unsupported);
    let fields = (0..count).flat_map(|i| [text(&format!("f{i}")), b"\x8c\x02u1K\0\x86".to_vec()].concat());
    let fields = [&b"}("[..], &fields.collect::<Vec<u8>>(), b"u"].concat();
    let wide = [&dtype(&[&b"("[..], &names, b"t"].concat(), &fields, 8, 16)[..], b"\x940"].concat();
    let one = [&global("numpy", "ndarray")[..], b"\x940", &data, b"\x940"].concat();
    let bytes = p5(&[&wide, &one, b"](", &b"h\x01K\x01\x85h\0h\x02\x87R".repeat(20_000), b"e"]);
    refused("many arrays of many fields", &bytes, Kind::Limit);
}

#[test]
fn objects_are_checked_against_their_shape() {
    assert!(bounded("good", &objects(b"K\x02\x85", b"\x89", b"](NNe", b"")).is_ok());
    assert!(bounded("good", &objects(b")", b"\x88", b"]Na", b"")).is_ok());
    refused("short", &objects(b"K\x03\x85", b"\x89", b"](NNe", b""), Kind::Malformed);
    let rows = objects(b"J\xff\xff\xff\x7fK\0\x86", b"\x89", b"]", b"");
    assert!(bounded("empty rows", &rows).is_ok());
    assert_eq!(pickle::from_slice::<Vec<Vec<u8>>>(&rows).unwrap_err().kind(), Kind::Limit);
    refused("itself", &objects(b"K\x01\x85", b"\x89", b"]\x94h\0a", b""), Kind::Cyclic);
}

#[test]
fn unexpected_arguments_are_as_of_an_unknown_name() {
    for (module, name, args) in [
        ("datetime", "datetime", &b"C\x0a\x07\xe8\x0d\x01\0\0\0\0\0\0\x85"[..]),
        ("datetime", "date", b"C\x04\x07\xe9\x02\x1d\x85"),
        ("datetime", "time", b"C\x06\x18\0\0\0\0\0\x85"),
        ("datetime", "timedelta", b"J\xff\xff\xff\x7fK\0K\0\x87"),
        ("datetime", "timezone", b"K\x01\x85"),
        ("decimal", "Decimal", b"\x8c\x03abc\x85"),
        ("fractions", "Fraction", b"K\x01K\0\x86"),
        ("uuid", "UUID", b"\x8c\x01x\x85"),
        ("ipaddress", "IPv4Address", b"\x8c\x031.2\x85"),
        ("ipaddress", "IPv4Network", b"K\x01\x85"),
        ("pathlib", "PosixPath", b"K\x01\x85"),
        ("builtins", "range", b"K\0K\x01K\0\x87"),
        ("builtins", "slice", b"N\x85"),
        ("array", "array", b"\x8c\x01zC\x01a\x86"),
        ("collections", "deque", b"K\x01\x85"),
        ("collections", "Counter", b"]\x85"),
        ("zoneinfo", "ZoneInfo", b"\x8c\0\x85"),
        ("msgpack", "Timestamp", b"K\0\x8a\x04\x00\xca\x9a\x3b\x86"),
    ] {
        let call = p5(&[&global(module, name), args, b"R"]);
        let error = refused(name, &call, Kind::Unsupported);
        assert!(error.contains(&format!("`{module}.{name}`")) && error.contains("never calls"), "{error}");
        let opaque = DecodeOptions::new().opaque(true).decode::<Value>(&call);
        assert!(matches!(opaque, Ok(Value::Opaque(_))), "{name}: {opaque:?}");
    }
    // What holds the value comes later here, so that it is judged later.
    refused("uuid", &p5(&[&global("uuid", "UUID"), b")\x81}b"]), Kind::Unsupported);
    refused("no state", &p5(&[&global("uuid", "UUID"), b")\x81"]), Kind::Unsupported);
    refused("own state", &p5(&[&global("uuid", "UUID"), b")\x81\x942b"]), Kind::Unsupported);
    refused(
        "array of half items",
        &p5(&[&global("array", "array"), b"\x8c\x01dC\x03abc\x86R"]),
        Kind::Unsupported,
    );
}

fn record_type() -> RecordType {
    let plain = |name: &str, offset, dtype, shape: &[usize]| RecordField {
        name: name.into(),
        offset,
        element: FieldType::Plain(dtype, Endian::Little),
        shape: shape.to_vec(),
    };
    let inner =
        RecordType::new(vec![plain("x", 0, DType::F64, &[]), plain("s", 8, DType::Str(2), &[])], 16, false);
    let inner = RecordField {
        name: "in".into(),
        offset: 8,
        element: FieldType::Record(inner.unwrap()),
        shape: vec![],
    };
    RecordType::new(
        vec![plain("a", 0, DType::U8, &[2, 2]), inner, plain("ü", 24, DType::Bytes(3), &[])],
        32,
        true,
    )
    .unwrap()
}

/// One of each kind.
fn every_kind() -> Value {
    let dict: Dict = [("a", 1i64), ("b", 2)].into_iter().collect();
    let time = Time::new(1, 2, 3, 4).unwrap();
    let zone = TimeZone::Fixed { offset: TimeDelta::new(0, 3600, 1).unwrap(), name: Some("x(y)~".into()) };
    let date = Date::new(2024, 2, 29).unwrap();
    let objects = vec![Value::None, 1i64.into(), "x".into(), Value::Date(date)];
    let texts = [&[0x61, 0, 0, 0, 0, 0, 0, 0][..], &[0x42, 0, 0, 0, 0x43, 0, 0, 0]].concat();
    [
        ("datetime", Value::from(DateTime::new(date, time.clone().with_zone(zone.clone()).with_fold(true)))),
        ("naive", DateTime::new(date, time.clone()).into()),
        ("zoned", DateTime::new(date, time.clone().with_zone(TimeZone::Zone("Europe/Prague".into()))).into()),
        ("date", date.into()),
        ("time", time.into()),
        ("delta", TimeDelta::new(-1, 2, 3).unwrap().into()),
        ("zone", zone.into()),
        ("decimal", "-1.50E+3".parse::<shmcomm::codec::Decimal>().unwrap().into()),
        ("fraction", Fraction::new(-1i64, 3i64).unwrap().into()),
        ("uuid", Uuid::from_bytes([7; 16]).into()),
        ("path", PyPath { class: PathClass::PureWindowsPath, path: "c:\\a".into() }.into()),
        ("ip", Ip::new(IpClass::IPv6Interface, "fe80::1/64").unwrap().into()),
        ("ordered", Value::OrderedDict(dict.clone())),
        ("counter", Value::Counter(dict.clone())),
        ("default", Value::DefaultDict(Box::new(DefaultDict { factory: Some(Factory::List), dict }))),
        ("deque", Value::Deque(Box::new(Deque { items: objects.clone(), maxlen: Some(5) }))),
        ("bytearray", Value::ByteArray(vec![0, 255])),
        ("slice", Value::Slice(Box::new([Value::None, 1i64.into(), "s".into()]))),
        ("typed", TypedArray::new('d', NdArray::from([1.5, -0.0].as_slice())).unwrap().into()),
        (
            "records",
            Records::from_bytes(record_type(), &[2], false, &[0x20; 64]).map_or(Value::None, Value::from),
        ),
        ("objects", ObjectArray::new(&[2, 2], true, objects).unwrap().into()),
        ("texts", NdArray::from_bytes(DType::Str(2), Endian::Little, &[2], false, &texts).unwrap().into()),
        ("enum", EnumMember::new("m", "E", 1i64).into()),
    ]
    .into_iter()
    .collect()
}

#[test]
fn every_kind_survives_being_written_and_read() {
    let value = every_kind();
    let bytes = pickle::to_vec(&value).unwrap();
    let back: Value = DecodeOptions::new().enums(["m.E"]).decode(&bytes).unwrap();
    assert_eq!(back, value);
    let older = pickle::Protocol::V4.encode_vec(&value).unwrap();
    assert_eq!(DecodeOptions::new().enums(["m.E"]).decode::<Value>(&older).unwrap(), value);
    let mut slot = vec![0; bytes.len() - 1];
    assert!(pickle::to_slice(&value, &mut slot).is_err());
    // In msgpack and in JSON, each kind is what these formats have for it.
    let plain: Value = msgpack::from_slice(&msgpack::to_vec(&value).unwrap()).unwrap();
    assert!(matches!(plain["datetime"], Value::Timestamp(_)));
    assert_eq!(plain["date"].as_str(), Some("2024-02-29"));
    assert_eq!(plain["zoned"].as_str(), Some("2024-02-29T01:02:03.000004[Europe/Prague]"));
    assert_eq!((plain["deque"][1].as_i64(), plain["counter"]["b"].as_i64()), (Some(1), Some(2)));
    assert_eq!(plain["objects"][1].as_slice().map(<[Value]>::len), Some(2));
    assert_eq!((plain["enum"].as_i64(), plain["typed"][0].as_f64()), (Some(1), Some(1.5)));
    let json = serde_json::to_value(&value).unwrap();
    assert_eq!((json["delta"].as_str(), json["fraction"].as_str()), (Some("-PT86397.999997S"), Some("-1/3")));
    assert_eq!(json["path"].as_str(), Some("c:\\a"));
}

#[test]
fn every_kind_changed_or_truncated_stays_in_bounds() {
    let bytes = pickle::to_vec(&every_kind()).unwrap();
    for end in 0..bytes.len() {
        let error = DecodeOptions::new().decode::<Value>(&bytes[..end]).unwrap_err();
        assert_eq!(error.kind(), Kind::Truncated, "cut at {end}: {error}");
    }
    let options = DecodeOptions::new().opaque(true).enums(["m.E"]);
    let mut read = 0;
    for at in 0..bytes.len() {
        for change in (0..=255).step_by(if cfg!(debug_assertions) { 51 } else { 1 }) {
            let mut bytes = bytes.clone();
            bytes[at] = change;
            let Ok(value) = options.decode::<Value>(&bytes) else { continue };
            read += 1;
            // What can be sent again is then the same.
            if let Ok(again) = pickle::to_vec(&value) {
                let back: Value = DecodeOptions::new().max_depth(256).enums(["m.E"]).decode(&again).unwrap();
                assert_eq!(format!("{back:?}"), format!("{value:?}"));
            }
        }
    }
    assert!(read > bytes.len() / 4, "{read} were read");
}

#[test]
fn texts_of_the_kinds_read_back() {
    for text in
        ["2024-01-02T03:04:05", "0001-01-01T00:00:00.000001+23:59:59.999999", "2024-02-29T00:00:00[UTC]"]
    {
        assert_eq!(text.parse::<DateTime>().unwrap().to_string(), text);
    }
    for bad in
        ["", "2023-02-29T00:00:00", "2024-01-01", "2024-01-01T24:00:00", "2024-01-01T00:00:00+24:00", "x"]
    {
        assert!(bad.parse::<DateTime>().is_err(), "{bad}");
    }
    for micros in [0, 1, -1, 86_399_999_999, i64::from(i32::MAX) * 1_000_000, -62_135_596_800_000_000] {
        assert_eq!(DateTime::from_unix_microseconds(micros).unwrap().unix_microseconds(), Some(micros));
        let delta = TimeDelta::from_microseconds(micros.into()).unwrap();
        assert_eq!(delta.to_string().parse::<TimeDelta>().unwrap(), delta);
    }
    assert_eq!(DateTime::from_unix_microseconds(i64::MAX), None);
    assert_eq!("P1DT2H3M4.5S".parse::<TimeDelta>().unwrap().total_seconds(), 93_784.5);
    for bad in ["", "P", "PT", "P1", "PT1.S", "P1Y", "PT1S2", "P999999999999D"] {
        assert!(bad.parse::<TimeDelta>().is_err(), "{bad}");
    }
    let now = std::time::SystemTime::now();
    let back: std::time::SystemTime = (&DateTime::try_from(now).unwrap()).try_into().unwrap();
    assert!(now.duration_since(back).unwrap() < std::time::Duration::from_micros(1));
}
