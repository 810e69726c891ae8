//! Encoded values of tables whose types the program does not have.

use super::{Declaration, DynError, DynTableReader, DynTableWriter, TableObserver};
use crate::codec::{Codec, Msgpack, Pickle};
use crate::schema::{Layout, Value};
use crate::{Encoded, ErrorKind, ShmVec, channel};
use std::time::Duration;

channel! { Arm: Table { name: "arm", speed: f64, settings: Encoded<Vec<String>, Msgpack, 32> } }
channel! { Other: Table { name: "arm", speed: f64, settings: Encoded<Vec<String>, Pickle, 32> } }
channel! { Raw: Table { name: "arm", speed: f64, settings: ShmVec<u8, 32> } }

fn namespace(test: &str) -> String {
    format!("dyn-encoded-{}-{test}", std::process::id())
}

fn declared<F: Codec + 'static>() -> Declaration {
    Declaration::table([
        ("speed", Layout::of::<f64>()),
        ("settings", Layout::of::<Encoded<Vec<String>, F, 32>>()),
    ])
}

#[test]
fn codec_comes_from_the_segment() {
    let ns = namespace("values");
    let mut typed = Arm::open().namespace(&ns).writer(Arm::SETTINGS).unwrap();
    typed.store(&Encoded::new(&vec!["slow".to_owned()]).unwrap()).unwrap();
    let mut reader = DynTableReader::open(typed.name()).unwrap();
    let mut observer = TableObserver::open(typed.name()).unwrap();
    assert_eq!(reader.keys()[1].layout.codec(), Some("msgpack"));
    assert_eq!(reader.load(1).unwrap().unwrap().value().unwrap(), Value::from(vec!["slow"]));
    assert_eq!(observer.load(1).unwrap().unwrap().view().to_string(), r#"["slow"]"#);
    let name = typed.name().to_owned();
    drop(typed);

    // A value is encoded by the codec of the key.
    let mut writer = DynTableWriter::create(&name, &declared::<Msgpack>(), "settings").unwrap();
    writer.store(&Value::from(vec!["left", "fast"])).unwrap();
    let mut typed = Arm::open().namespace(&ns).reader().unwrap();
    let latest = typed.load(Arm::SETTINGS).unwrap().unwrap();
    assert_eq!(latest.value.decode().unwrap(), ["left", "fast"]);
    let long = Value::from("x".repeat(40));
    let DynError::Encode(error) = writer.store(&long).unwrap_err() else { panic!("the value fits") };
    assert!(error.range().contains("takes 42 bytes encoded"), "{error}");
    assert_eq!(writer.version(), 1);
}

#[test]
fn undecodable_values_name_key_codec_and_length() {
    let ns = namespace("foreign");
    let _speed = Arm::open().namespace(&ns).writer(Arm::SPEED).unwrap();
    let mut raw = Raw::open().namespace(&ns).writer(Raw::SETTINGS).unwrap();
    let mut reader = DynTableReader::open(raw.name()).unwrap();
    for foreign in [&b"\xc1no"[..], b"", b"\x80\x05N."] {
        raw.store(&ShmVec::try_from(foreign).unwrap()).unwrap();
        let latest = reader.load(1).unwrap().unwrap();
        assert_eq!(latest.bytes()[8..][..foreign.len()], *foreign);
        let error = latest.value().unwrap_err().to_string();
        let size = format!("no value of codec `msgpack` in {} bytes: ", foreign.len());
        assert!(
            error.starts_with("the value of key `settings` is invalid: ") && error.contains(&size),
            "{error}"
        );
        assert!(latest.view().to_string().contains(&size));
    }
}

#[test]
fn two_codecs_of_one_key_are_a_mismatch() {
    let ns = namespace("codecs");
    let arm = Arm::open().namespace(&ns).writer(Arm::SPEED).unwrap();
    let name = arm.name().to_owned();
    let refused = |error: crate::Error| {
        assert_eq!(error.kind(), ErrorKind::TypeMismatch);
        let text = error.to_string();
        assert!(
            text.contains("field `settings`: there encoded with `msgpack`, here with `pickle`; use one"),
            "{text}"
        );
    };
    refused(DynTableWriter::create(&name, &declared::<Pickle>(), "settings").unwrap_err());
    refused(Other::open().namespace(&ns).writer(Other::SETTINGS).unwrap_err());

    // A new segment with another codec is not followed.
    let mut reader = DynTableReader::open(&name).unwrap();
    drop(arm);
    let _other = Other::open().namespace(&ns).writer(Other::SPEED).unwrap();
    assert!(matches!(reader.wait_timeout(&[0], Duration::from_millis(120)), Err(DynError::Timeout)));
    let why = reader.follow_error().expect("the codec is another one").to_string();
    assert!(why.contains("there encoded with `pickle`, here with `msgpack`"), "{why}");
}

#[test]
fn key_without_a_codec_is_a_list_of_bytes() {
    let ns = namespace("raw");
    let mut raw = Raw::open().namespace(&ns).writer(Raw::SETTINGS).unwrap();
    raw.store(&ShmVec::try_from(&[0x91, 7][..]).unwrap()).unwrap();
    let mut reader = DynTableReader::open(raw.name()).unwrap();
    assert_eq!(reader.load(1).unwrap().unwrap().value().unwrap(), Value::from(vec![0x91, 7]));
}
