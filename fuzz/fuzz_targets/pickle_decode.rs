//! Any bytes as a pickle: an error or a value, within bounds; a value survives being sent again.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use shmcomm::codec::pickle::{self, DecodeOptions};
use shmcomm::codec::{DateTime, EncodeError, NdArray, ObjectArray, Records, Value};

#[derive(Deserialize)]
#[allow(dead_code)]
enum Command {
    Stop,
    Speed(f32),
    Move(i32, i128),
    Look { at: [f64; 3], image: NdArray },
}

/// Types into which dates, decimals, addresses and records are read.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Order {
    at: Option<DateTime>,
    unix: Option<f64>,
    whole: Option<i64>,
    took: Option<std::time::Duration>,
    from: Option<std::net::IpAddr>,
    records: Option<Records>,
    objects: Option<ObjectArray>,
    rows: Option<Vec<HashMap<String, Value>>>,
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
    let _ = pickle::from_slice::<Order>(bytes);
    let _ = pickle::from_slice::<Vec<f64>>(bytes);
    let _ = pickle::from_slice::<Vec<String>>(bytes);
    let _ = DecodeOptions::new().opaque(true).max_depth(256).decode::<Value>(bytes);
    if let Ok(value) = DecodeOptions::new().enums(["__main__.Color"]).decode::<Value>(bytes) {
        let mut slot = vec![0; 1 << 20];
        match pickle::to_slice(&value, &mut slot) {
            Ok(n) => {
                assert_eq!(pickle::to_vec(&value).as_deref(), Ok(&slot[..n]));
                // Deeper by the levels that an instance adds, and without bounds of its own.
                let options = DecodeOptions::new().max_depth(256).max_memory(1 << 30).max_int_bytes(1 << 20);
                let options = options.enums(["__main__.Color"]);
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
