//! Any bytes as msgpack: an error or a value, within bounds; a value survives being sent again.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use shmcomm::codec::{DateTime, EncodeError, Ext, MsgpackTimestamp, NdArray, Value, msgpack};

#[derive(Deserialize)]
#[allow(dead_code)]
enum Command {
    Stop,
    Speed(f32),
    Move(i32, i128),
    Look { at: [f64; 3], image: NdArray },
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Message<'a> {
    id: Option<u64>,
    text: &'a str,
    commands: Vec<Command>,
    rows: Vec<Vec<f64>>,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

fuzz_target!(|bytes: &[u8]| {
    let _ = msgpack::from_slice::<Message>(bytes);
    let _ = msgpack::from_slice::<Vec<Command>>(bytes);
    let _ = msgpack::from_slice::<Vec<Vec<Option<i64>>>>(bytes);
    let _ = msgpack::from_slice::<NdArray>(bytes);
    let _ = msgpack::from_slice::<Vec<Ext>>(bytes);
    let _ = msgpack::from_slice::<(Option<DateTime>, Option<MsgpackTimestamp>)>(bytes);
    if let Ok(value) = msgpack::from_slice::<Value>(bytes) {
        let mut slot = vec![0; 1 << 20];
        match msgpack::to_slice(&value, &mut slot) {
            Ok(n) => {
                assert_eq!(msgpack::to_vec(&value).as_deref(), Ok(&slot[..n]));
                let back: Value = msgpack::from_slice(&slot[..n]).expect("what was written can be read");
                // As text, because NaN differs from itself.
                assert_eq!(format!("{back:?}"), format!("{value:?}"));
            }
            Err(EncodeError::TooLong { needed, capacity }) => assert!(needed > capacity),
            Err(EncodeError::Refused { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
});
