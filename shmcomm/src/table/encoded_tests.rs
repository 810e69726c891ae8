//! Values of types of serde in a table.

use super::LoadError;
use crate::codec::{Bytes, EncodeError, Msgpack};
use crate::{Encoded, ErrorKind, ShmVec, channel, describe};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    name: String,
    gains: Vec<f64>,
}

channel! {
    Robot: Table { name: "robot/encoded", speed: f64, settings: Encoded<Settings, Msgpack, 200> }
}

// The same layout in another program, which knows no codec.
channel! { Raw: Table { name: "robot/encoded", speed: f64, settings: ShmVec<u8, 200> } }

// The same table with another codec.
channel! { Text: Table { name: "robot/encoded", speed: f64, settings: Encoded<String, Bytes, 200> } }

fn namespace(test: &str) -> String {
    format!("table-encoded-{}-{test}", std::process::id())
}

fn settings(gains: usize) -> Settings {
    Settings { name: "arm".into(), gains: vec![0.5; gains] }
}

#[test]
fn encoded_values_are_stored_and_loaded() {
    let ns = namespace("values");
    let mut writer = Robot::open().namespace(&ns).writer(Robot::SETTINGS).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    for gains in [0, 1, 10] {
        writer.store(&Encoded::new(&settings(gains)).unwrap()).unwrap();
        reader.wait(Robot::SETTINGS).unwrap();
        let found = reader.load(Robot::SETTINGS).unwrap().unwrap();
        assert_eq!(found.value.decode().unwrap(), settings(gains));
    }
    let (speed, found) = reader.load_set((Robot::SPEED, Robot::SETTINGS)).unwrap();
    assert_eq!((speed, found.unwrap().version), (None, 3));
}

#[test]
fn value_above_the_size_of_its_key_is_refused() {
    let error = Encoded::<Settings, Msgpack, 200>::new(&settings(40)).unwrap_err();
    assert!(matches!(error, EncodeError::TooLong { needed: 379, capacity: 200 }), "{error}");
    assert!(Encoded::<Settings, Msgpack, 379>::new(&settings(40)).is_ok());
}

#[test]
fn bytes_of_another_codec_are_an_error() {
    let ns = namespace("foreign");
    let mut writer = Raw::open().namespace(&ns).writer(Raw::SETTINGS).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    for foreign in [&b"{\"name\":1}"[..], b"", b"\xc1", b"\x81"] {
        writer.store(&ShmVec::try_from(foreign).unwrap()).unwrap();
        let found = reader.load(Robot::SETTINGS).unwrap().unwrap();
        assert_eq!(found.value.as_bytes(), foreign);
        assert!(found.value.decode().is_err(), "{foreign:?}");
    }
    assert!(!matches!(reader.load(Robot::SETTINGS), Err(LoadError::Invalid { .. })));
}

#[test]
fn two_codecs_of_one_key_are_a_mismatch() {
    let ns = namespace("codecs");
    let _speed = Robot::open().namespace(&ns).writer(Robot::SPEED).unwrap();
    let open = || Text::open().namespace(&ns);
    for error in [open().writer(Text::SETTINGS).unwrap_err(), open().reader().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::TypeMismatch);
        let text = error.to_string();
        assert!(
            text.contains("field `settings`: there encoded with `msgpack`, here with `bytes`; use one codec"),
            "{text}"
        );
    }
}

#[test]
fn program_without_the_codec_shares_the_table() {
    let ns = namespace("earlier");
    let mut raw = Raw::open().namespace(&ns).writer(Raw::SETTINGS).unwrap();
    raw.store(&ShmVec::try_from(Encoded::<_, Msgpack, 200>::new(&settings(2)).unwrap().as_bytes()).unwrap())
        .unwrap();
    let _speed = Robot::open().namespace(&ns).writer(Robot::SPEED).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    assert_eq!(reader.load(Robot::SETTINGS).unwrap().unwrap().value.decode().unwrap(), settings(2));
    // The text is that of the program that has made the segment.
    let found = describe(raw.name()).unwrap().unwrap();
    assert!(!found.schema.contains("codec"), "{}", found.schema);
}
