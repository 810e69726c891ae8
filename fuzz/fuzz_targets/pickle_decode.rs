//! Any bytes as a pickle: an error or a value, within bounds; a value survives being sent again.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use shmcomm::codec::pickle::{self, DecodeOptions};
use shmcomm::codec::{EncodeError, NdArray, Value};

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
    let _ = pickle::from_slice::<Message>(bytes);
    let _ = pickle::from_slice::<Vec<Command>>(bytes);
    let _ = pickle::from_slice::<Vec<Vec<Option<i64>>>>(bytes);
    let _ = pickle::from_slice::<NdArray>(bytes);
    let _ = DecodeOptions::new().opaque(true).max_depth(256).decode::<Value>(bytes);
    if let Ok(value) = pickle::from_slice::<Value>(bytes) {
        let mut slot = vec![0; 1 << 20];
        match pickle::to_slice(&value, &mut slot) {
            Ok(n) => {
                assert_eq!(pickle::to_vec(&value).as_deref(), Ok(&slot[..n]));
                // Deeper by the levels that an instance adds, and without bounds of its own.
                let options = DecodeOptions::new().max_depth(256).max_memory(1 << 30).max_int_bytes(1 << 20);
                let back: Value = options.decode(&slot[..n]).expect("what was written can be read");
                // As text, because NaN differs from itself.
                assert_eq!(format!("{back:?}"), format!("{value:?}"));
            }
            Err(EncodeError::TooLong { needed, capacity }) => assert!(needed > capacity),
            Err(EncodeError::Refused { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
});
