//! A hostile pickle gets an error from the decoder, in bounded memory.

use std::collections::HashMap;
use std::time::Duration;

use crate::meter::{MEMORY, TIME, busy, peak};
use crate::opcodes::{global, p5, text};
use serde::de::DeserializeOwned;
use shmcomm::codec::pickle::{self, DecodeOptions};
use shmcomm::codec::{DecodeErrorKind as Kind, NdArray, Value};

#[track_caller]
fn decode<T: DeserializeOwned>(
    what: &str,
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<T, shmcomm::codec::DecodeError> {
    let start = busy();
    let (result, held) = peak(|| options.decode::<T>(bytes));
    assert!(
        held <= MEMORY.max(64 * bytes.len()),
        "{what}: {held} bytes held for a message of {}",
        bytes.len()
    );
    let took = busy() - start;
    assert!(took < TIME, "{what}: took {took:?}");
    if held > MEMORY / 2 || took > Duration::from_millis(200) {
        println!("{what}: {} bytes, {} KiB held, {took:?}", bytes.len(), held >> 10);
    }
    result
}

#[track_caller]
fn refused(what: &str, bytes: &[u8], kind: Kind) -> String {
    let plain = DecodeOptions::new();
    let _ = decode::<String>(what, bytes, &plain);
    let _ = decode::<Vec<Vec<Vec<f64>>>>(what, bytes, &plain);
    let _ = decode::<HashMap<String, Vec<u8>>>(what, bytes, &plain);
    let _ = decode::<NdArray>(what, bytes, &plain);
    let _ = decode::<Value>(what, bytes, &plain.clone().opaque(true));
    match decode::<Value>(what, bytes, &plain) {
        Ok(_) => panic!("{what}: was decoded"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{what}: {error}");
            error.to_string()
        }
    }
}

#[test]
fn nesting_is_bounded() {
    for n in [129, 100_000, 1_000_000] {
        let most = "nested deeper than 128 levels (`max_depth`)";
        assert!(refused("lists", &p5(&[&b"]".repeat(n), &b"a".repeat(n - 1)]), Kind::Limit).contains(most));
        refused("tuples", &p5(&[b")", &b"\x85".repeat(n)]), Kind::Limit);
        refused("dicts", &p5(&[&b"}N".repeat(n), b"N", &b"s".repeat(n)]), Kind::Limit);
        refused("frozen sets", &p5(&[&b"(".repeat(n), b"N", &b"\x91".repeat(n)]), Kind::Limit);
        let class = global("m", "C");
        let instances = [&class[..], b"\x94", &b")\x81h\0".repeat(n), b")\x81", &b"b".repeat(n)].concat();
        refused("instances", &p5(&[&instances]), Kind::Limit);
    }
    let deepest = p5(&[&b"]".repeat(128), &b"a".repeat(127)]);
    assert!(pickle::from_slice::<Value>(&deepest).is_ok());
    let deeper = p5(&[&b"]".repeat(256), &b"a".repeat(255)]);
    assert!(DecodeOptions::new().max_depth(100_000).decode::<Value>(&deeper).is_ok());
    assert!(
        DecodeOptions::new()
            .max_depth(100_000)
            .decode::<Value>(&p5(&[&b"]".repeat(257), &b"a".repeat(256)]))
            .is_err()
    );
}

#[test]
fn a_small_message_cannot_grow_without_bound() {
    let mut laughs = b"](NNNNNNNNNNe".to_vec();
    for _ in 0..40 {
        laughs = [b"](", &laughs[..], b"222222222e"].concat();
    }
    refused("shared lists", &p5(&[&laughs]), Kind::Limit);

    let mut memo = b"]\x94".to_vec();
    for i in 0..100u8 {
        memo.extend([b']', 0x94, b'(']);
        memo.extend([b'h', i].repeat(50));
        memo.push(b'e');
    }
    let memo = p5(&[&memo]);
    refused("lists from the memo", &memo, Kind::Limit);

    let long = text(&"x".repeat(100_000));
    refused("one text many times", &p5(&[b"](", &long, b"\x94", &b"h\0".repeat(100_000), b"e"]), Kind::Limit);
    let pairs = [&long[..], b"\x94", &b"h\0".repeat(100_001)].concat();
    refused("one text as many keys", &p5(&[b"}(", &pairs, b"u"]), Kind::Limit);

    let latin =
        [&global("_codecs", "encode")[..], b"\x940", &long, b"\x940", &text("latin1"), b"\x940"].concat();
    let again = b"h\0h\x01h\x02\x86R".repeat(100_000);
    refused("one text as bytes many times", &p5(&[&latin, b"](", &again, b"e"]), Kind::Limit);

    let sets = [&global("builtins", "set")[..], b"\x94](", &b"N".repeat(50_000), b"e\x85\x94"].concat();
    refused("one list as many sets", &p5(&[&sets, &b"h\0h\x01R0".repeat(100_000), b"N"]), Kind::Limit);

    let data = [&b"\x96"[..], &800_000u64.to_le_bytes(), &vec![0; 800_000]].concat();
    let array =
        [&global("numpy", "ndarray")[..], b"J\xa0\x86\x01\x00\x85", &text("<f8"), &data, b"\x87R"].concat();
    refused(
        "one array many times",
        &p5(&[b"](", &array, b"\x94", &b"h\0".repeat(100_000), b"e"]),
        Kind::Limit,
    );

    let int = [&b"\x8b"[..], &8000u32.to_le_bytes(), &[1; 8000]].concat();
    refused("one int many times", &p5(&[b"](", &int, b"\x94", &b"h\0".repeat(100_000), b"e"]), Kind::Limit);

    let opaque =
        [&global("datetime", "date")[..], b"](", &long, b"\x94", &b"h\0".repeat(100_000), b"e\x85R"].concat();
    assert!(decode::<Value>("opaque", &p5(&[&opaque]), &DecodeOptions::new().opaque(true)).is_err());
}

#[test]
fn a_large_message_takes_memory_in_proportion() {
    for (what, unit) in
        [("nones", &b"N"[..]), ("lists", b"]"), ("ints", b"K\x01"), ("memo", b"]\x94"), ("dups", b"]2")]
    {
        let bytes = p5(&[b"](", &unit.repeat(1_000_000), b"e"]);
        let value = decode::<Value>(what, &bytes, &DecodeOptions::new()).expect("an honest message");
        assert!(value.iter().count() >= 1_000_000);
    }
    refused("marks", &p5(&[&b"(".repeat(1_000_000)]), Kind::Malformed);
    let tight = DecodeOptions::new().max_memory(1 << 20);
    assert_eq!(
        decode::<Value>("tight", &p5(&[b"](", &b"N".repeat(100_000), b"e"]), &tight).unwrap_err().kind(),
        Kind::Limit
    );
}

#[test]
fn a_length_that_is_not_there_is_not_believed() {
    for (what, claim) in [
        ("str", &b"X\xff\xff\xff\xffabc"[..]),
        ("short str", b"\x8c\xffabc"),
        ("long str", b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc"),
        ("bytes", b"B\xff\xff\xff\x7fabc"),
        ("long bytes", b"\x8e\0\0\0\0\0\0\0\x80abc"),
        ("bytearray", b"\x96\0\0\0\0\x10\0\0\0abc"),
        ("int", b"\x8a\xffabc"),
        ("long int", b"\x8b\xff\xff\xff\x7fabc"),
        ("negative int", b"\x8b\xff\xff\xff\xffabc"),
        ("frame", b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN"),
        ("line", b"Iabc"),
    ] {
        refused(what, &p5(&[claim]), Kind::Truncated);
    }
    refused("memo index", &p5(&[b"Nr\xff\xff\xff\xff"]), Kind::Malformed);
    refused("text memo index", b"Np99999999999999999999999\n.", Kind::Malformed);
    refused("memo", &p5(&[b"h\x05"]), Kind::Malformed);
    refused("memo, not dense", &p5(&[b"Nq\x04h\x03"]), Kind::Malformed);
}

#[test]
fn integers_of_any_claim_take_bounded_time() {
    refused("long", &p5(&[b"\x8b", &1_000_000u32.to_le_bytes(), &[1; 1_000_000]]), Kind::Limit);
    refused("decimal", &[b"I", &b"9".repeat(1_000_000)[..], b"\n."].concat(), Kind::Limit);
    refused("long decimal", &[b"L", &b"9".repeat(5000)[..], b"L\n."].concat(), Kind::Limit);
    refused("no decimal", b"I12x\n.", Kind::Malformed);
    refused("empty decimal", b"I\n.", Kind::Malformed);
    refused("no float", b"Fabc\n.", Kind::Malformed);
    let digits = "9".repeat(4300);
    let value: Value = pickle::from_slice(format!("L-{digits}L\n.").as_bytes()).unwrap();
    assert_eq!(format!("{value:?}"), format!("-{digits}"));
    let huge: f64 = pickle::from_slice(&[b"F", &b"9".repeat(100_000)[..], b"\n."].concat()).unwrap();
    assert!(huge.is_infinite());
}

#[test]
fn nothing_is_ever_called() {
    let names = [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("__builtin__", "__import__"),
        ("subprocess", "Popen"),
        ("operator", "attrgetter"),
        ("importlib", "import_module"),
        ("numpy.f2py", "run"),
        ("numpy", "load"),
        ("_codecs", "decode"),
        ("copyreg", "__newobj__"),
        ("datetime", "datetime"),
    ];
    for (module, name) in names {
        let (global, full) = (global(module, name), format!("`{module}.{name}`"));
        let call = p5(&[&global, &text("id"), b"\x85R"]);
        let error = refused("call", &call, Kind::Unsupported);
        assert!(error.contains(&full) && error.contains("never calls"), "{error}");
        let old = format!("c{module}\n{name}\n(S'id'\ntR.");
        refused("old call", old.as_bytes(), Kind::Unsupported);
        let old = format!("c{module}\n{name}\n(Vid\ntR.");
        assert!(refused("old call", old.as_bytes(), Kind::Unsupported).contains(&full));
        assert!(
            refused("hidden", &p5(&[b"](N", &call[2..call.len() - 1], b"0e"]), Kind::Unsupported)
                .contains(&full)
        );
        refused("keywords", &p5(&[&global, b")}", &text("a"), b"Ns\x92"]), Kind::Unsupported);
        refused("itself", &p5(&[&global]), Kind::Unsupported);
        // Where asked for, it is a name with arguments.
        let value: Value = DecodeOptions::new().opaque(true).decode(&call).unwrap();
        let Value::Opaque(opaque) = value else { panic!("{value:?}") };
        assert_eq!((&*opaque.module, &*opaque.name, opaque.args[0].as_str()), (module, name, Some("id")));
    }
    refused(
        "a builtin as a class",
        &p5(&[&global("builtins", "eval"), &text("1"), b"\x85\x81"]),
        Kind::Unsupported,
    );
    let hook = [
        &global("copyreg", "_reconstructor")[..],
        &global("builtins", "eval"),
        &global("builtins", "object"),
        b"N\x87R",
    ];
    refused("a builtin as a class", &p5(&[&hook.concat()]), Kind::Unsupported);
    refused("a name that is no text", &p5(&[b"NN\x93"]), Kind::Malformed);
    refused("a call of no name", &p5(&[&text("os.system"), b")R"]), Kind::Malformed);
    refused("a call without a tuple", &p5(&[&global("os", "system"), b"]R"]), Kind::Malformed);
    refused("an instance of no class", &p5(&[b"N)\x81"]), Kind::Malformed);
}

#[test]
fn what_python_3_does_not_write_is_refused_by_name() {
    for (opcode, word) in [
        (&b"P1\n"[..], "persistent id"),
        (b"NQ", "persistent id"),
        (b"\x82\x01", "extension code"),
        (b"\x83\x01\x02", "extension code"),
        (b"\x84\x01\x02\x03\x04", "extension code"),
        (b"\x97", "out-of-band"),
        (b"N\x98", "out-of-band"),
        (b"U\x01a", "Python 2"),
        (b"T\x01\0\0\0a", "Python 2"),
        (b"(ios\nsystem\n", "Python 2"),
        (b"(cos\nsystem\no", "Python 2"),
        (b"\x80\x06", "protocol 6"),
    ] {
        let error = refused("opcode", &p5(&[opcode]), Kind::Unsupported);
        assert!(error.contains(word), "{error}");
    }
    refused("no opcode", &p5(&[b"\xff"]), Kind::Malformed);
}

#[test]
fn text_that_rust_cannot_hold_is_an_error_with_path() {
    let error = refused("surrogate", &p5(&[b"\x8c\x05ab\xed\xa0\x80"]), Kind::Unsupported);
    assert_eq!(
        error,
        "a str holds a lone surrogate, which no Rust text can hold: send bytes (at byte 6 of the message)"
    );
    refused("old surrogate", b"V\\ud800\n.", Kind::Unsupported);
    refused("no UTF-8", &p5(&[b"\x8c\x02\xc3\x28"]), Kind::Malformed);
    refused("cut UTF-8", &p5(&[b"\x8c\x01\xe2"]), Kind::Malformed);
    refused("cut escape", b"V\\u12\n.", Kind::Malformed);
    refused("signed escape", b"V\\u+123\n.", Kind::Malformed);
    refused("too high", b"V\\U00110000\n.", Kind::Unsupported);
    let encode = global("_codecs", "encode");
    refused("no byte", &p5(&[&encode, &text("\u{100}"), &text("latin1"), b"\x86R"]), Kind::Malformed);
}

#[test]
fn cycles_are_named() {
    let says = "contains itself";
    assert!(refused("list", &p5(&[b"]2a"]), Kind::Cyclic).contains(says));
    refused("dict", &p5(&[b"}\x94Nh\0s"]), Kind::Cyclic);
    refused("tuple in list", &p5(&[b"]\x94h\0\x85a"]), Kind::Cyclic);
    refused("wide", &p5(&[b"](\x94", &b"K\x01".repeat(10_000), b"e]\x942a"]), Kind::Malformed);
    refused("wide", &p5(&[b"]\x94(", &b"K\x01".repeat(10_000), b"h\0e"]), Kind::Cyclic);
    let class = global("m", "C");
    refused("own state", &p5(&[&class, b")\x81\x94h\0b"]), Kind::Cyclic);
    refused("own field", &p5(&[&class, b")\x81\x94}", &text("me"), b"h\0sb"]), Kind::Cyclic);
    refused("own slots", &p5(&[&class, b")\x81\x94Nh\0\x86b"]), Kind::Cyclic);
    refused("own item", &p5(&[&class, b")\x81\x94h\0a"]), Kind::Cyclic);
    let dtype = [&global("numpy", "dtype")[..], &text("f8"), b"\x89\x88\x87R\x942b"].concat();
    refused(
        "own dtype",
        &p5(&[
            &global("numpy", "ndarray"),
            b"K\x01\x85",
            &dtype,
            &b"\x96\x08\0\0\0\0\0\0\0"[..],
            &[0; 8],
            b"\x87R",
        ]),
        Kind::Unsupported,
    );
}

#[test]
fn arrays_are_checked_against_their_bytes() {
    let ndarray = global("numpy", "ndarray");
    let data = |n: u64| [&b"\x96"[..], &n.to_le_bytes(), &vec![0; n as usize]].concat();
    let make = |shape: &[u8], dtype: &str, n| p5(&[&ndarray, shape, &text(dtype), &data(n), b"\x87R"]);
    assert!(pickle::from_slice::<NdArray>(&make(b"K\x02\x85", "<f8", 16)).is_ok());
    refused("short", &make(b"K\x02\x85", "<f8", 15), Kind::Malformed);
    refused("long", &make(b"K\x02\x85", "<f8", 17), Kind::Malformed);
    refused("negative", &make(b"J\xff\xff\xff\xff\x85", "<f8", 8), Kind::Unsupported);
    refused("overflow", &make(b"\x8a\x08\0\0\0\0\0\0\0\x402\x86", "<f8", 8), Kind::Malformed);
    refused("overflow behind 0", &make(b"\x8a\x08\0\0\0\0\0\0\0\x402K\0\x87", "<f8", 0), Kind::Malformed);
    refused(
        "dimensions",
        &make(&[&b"("[..], &b"K\x01".repeat(65), b"t"].concat(), "<f8", 8),
        Kind::Unsupported,
    );
    refused("no shape", &make(b"N", "<f8", 8), Kind::Unsupported);
    for (dtype, hint) in [
        ("O8", "tolist"),
        ("<U0", "no bytes"),
        ("S99999999999", "no bytes"),
        ("V", "no bytes"),
        ("<f16", "astype"),
        ("x", ""),
    ] {
        let error = refused("dtype", &make(b"K\x01\x85", dtype, 8), Kind::Unsupported);
        assert!(error.contains(&format!("`{dtype}`")) && error.contains(hint), "{error}");
    }

    // A shape may claim any number of empty rows.
    let empty = make(b"\x8a\x05\0\0\0\0\x10K\0\x86", "<f8", 0);
    assert_eq!(pickle::from_slice::<NdArray>(&empty).unwrap().len(), 0);
    assert_eq!(
        decode::<Vec<Vec<f64>>>("rows", &empty, &DecodeOptions::new()).unwrap_err().kind(),
        Kind::Limit
    );

    let frombuffer = global("numpy._core.numeric", "_frombuffer");
    let buffer =
        |order: &[u8]| p5(&[&frombuffer, b"(", &data(4), &text("|u1"), b"K\x02K\x02\x86", order, b"tR"]);
    assert!(pickle::from_slice::<NdArray>(&buffer(b"\x8c\x01KK\x01K\0\x86")).is_ok());
    for axes in [&b"K\x01K\x01\x86"[..], b"K\x02K\0\x86", b"K\0\x85", b")", b"K\0K\x01K\0\x87"] {
        refused("axes", &buffer(&[b"\x8c\x01K", axes].concat()), Kind::Unsupported);
    }
    refused("order", &buffer(b"\x8c\x01Q"), Kind::Unsupported);
    let reconstruct =
        [&global("numpy._core.multiarray", "_reconstruct")[..], &ndarray, b"K\0\x85C\x01b\x87R"].concat();
    refused("no state", &p5(&[&reconstruct]), Kind::Unsupported);
    refused("state", &p5(&[&reconstruct, b"Nb"]), Kind::Unsupported);
    refused(
        "a dtype itself",
        &p5(&[&global("numpy", "dtype"), &text("f8"), b"\x89\x88\x87R"]),
        Kind::Unsupported,
    );
    refused(
        "scalar",
        &p5(&[&global("numpy.core.multiarray", "scalar"), &text("<f8"), b"C\x03abc\x86R"]),
        Kind::Unsupported,
    );
}

#[test]
fn the_stack_is_never_read_below_its_end() {
    let mut seen = 0;
    for opcode in 0..=255u8 {
        for before in [&b""[..], b"N", b"(", b"N(", b"](", b"]", b"}N", b"(N", b"NNN", b")", b"]N", b")N"] {
            for argument in [&b""[..], b"\0", b"\0\0\0\0\0\0\0\0", b"1\n", b"\n\n", b"\x01\x01"] {
                let bytes = [before, &[opcode], argument, b"."].concat();
                let _ = decode::<Value>("opcode", &bytes, &DecodeOptions::new());
                let _ = decode::<Value>("opcode", &bytes, &DecodeOptions::new().opaque(true));
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 256 * 12 * 6);
    for (what, bytes) in [
        ("empty", &b""[..]),
        ("nothing", b"."),
        ("pop", b"0."),
        ("pop below a mark", b"N(00."),
        ("append", b"Na."),
        ("append below a mark", b"](Na."),
        ("appends", b"(e."),
        ("set an item", b"NNs."),
        ("reduce", b"NR."),
        ("build", b"Nb."),
        ("tuple", b"\x87."),
        ("memoize", b"\x94."),
        ("dup", b"2."),
        ("no mark", b"Nt."),
        ("odd dict", b"(Nd."),
        ("odd items", b"}(Nu."),
    ] {
        let kind = if bytes.is_empty() { Kind::Truncated } else { Kind::Malformed };
        refused(what, bytes, kind);
    }
    refused("append to a dict", b"}Na.", Kind::Malformed);
    refused("items to a list", b"]NNs.", Kind::Malformed);
    refused("state of a list", b"]}b.", Kind::Unsupported);
    refused("trailing", b"N.N", Kind::Trailing);
}

/// One of each thing that Python writes, by this crate's own hand.
fn specimen() -> Vec<u8> {
    let value: Value = [
        ("none", Value::None),
        ("ints", Value::from(vec![1i64, 300, 70_000, -1, i64::MAX])),
        ("big", Value::from(u128::MAX)),
        ("float", Value::from(1.5)),
        ("text", Value::from("grün")),
        ("bytes", Value::bytes(*b"\0\xff")),
        ("tuple", Value::Tuple(vec![Value::from(true), Value::Complex(1.0, 2.0)])),
        ("set", Value::Set(vec![Value::from(1i64), Value::from("a")])),
        ("array", NdArray::from_slice(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0]).unwrap().into()),
        ("point", shmcomm::codec::Object::new("m", "P", [("x", 1i64)].into_iter().collect()).into()),
    ]
    .into_iter()
    .collect();
    let mut bytes = pickle::to_vec(&value).unwrap();
    // What only Python writes, appended to the dict.
    bytes.truncate(bytes.len() - 2);
    let array = [
        &text("a")[..],
        &global("numpy._core.multiarray", "_reconstruct"),
        &global("numpy", "ndarray"),
        b"K\0\x85C\x01b\x87R(K\x01K\x02\x85",
        &global("numpy", "dtype"),
        &text("f4"),
        b"\x89\x88\x87R(K\x03",
        &text("<"),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89C\x08abcdefghtb",
        &text("memo"),
        b"]\x94(h\0",
    ];
    bytes.extend(array[..array.len() - 1].concat());
    bytes.extend(b"]\x94(K\x01K\x02eu.");
    let len = bytes.len() as u64 - 11;
    bytes[3..11].copy_from_slice(&len.to_le_bytes());
    bytes
}

#[test]
fn message_truncated_anywhere_is_an_error() {
    let bytes = specimen();
    assert!(pickle::from_slice::<Value>(&bytes).is_ok());
    for end in 0..bytes.len() {
        let error = decode::<Value>("cut", &bytes[..end], &DecodeOptions::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Truncated, "cut at {end}: {error}");
    }
    // Without the frame too, whose length says that something is missing.
    let bytes = [&bytes[..2], &bytes[11..]].concat();
    assert!(pickle::from_slice::<Value>(&bytes).is_ok());
    for end in 0..bytes.len() {
        assert!(decode::<Value>("cut", &bytes[..end], &DecodeOptions::new()).is_err(), "cut at {end}");
    }
}

#[test]
fn a_message_changed_anywhere_stays_within_bounds() {
    let bytes = specimen();
    let (mut read, mut all) = (0, 0);
    for at in 0..bytes.len() {
        for change in 0..=255 {
            let mut bytes = bytes.clone();
            bytes[at] = change;
            let options = DecodeOptions::new().opaque(change % 2 == 0);
            read += usize::from(decode::<Value>("changed", &bytes, &options).is_ok());
            all += 1;
        }
    }
    assert!(read > all / 20 && read < all, "{read} of {all} were read");
}
