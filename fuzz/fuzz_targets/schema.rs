//! Any two texts as the layouts of a channel: the difference is a short sentence for texts of any origin.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::message::schema::first_difference;
use shmcomm::{ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};

#[derive(ShmMessage)]
#[repr(u8)]
enum Mode {
    Idle,
    Run = 4,
}

#[derive(ShmMessage)]
#[repr(C)]
struct Pose {
    stamp: Timestamp,
    xyz: [[f64; 3]; 2],
    more: ShmVec<u16, 6>,
    last: ShmOption<u32>,
    letter: char,
    mode: Mode,
    ok: bool,
    frame: ShmString<30>,
}

/// Words for people, in a log: no escapes, and not a page of them.
fn check(words: &str) {
    assert!(!words.is_empty() && words.len() < 4096, "{} bytes", words.len());
    assert!(!words.contains(|c: char| c.is_control()), "{words:?}");
}

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once('\0').unwrap_or((text, ""));
    let list = format!("[{},{}]", Pose::SCHEMA_JSON, Pose::SCHEMA_JSON);
    for ours in [Pose::SCHEMA_JSON, &list] {
        check(&first_difference(first, ours));
        check(&first_difference(ours, first));
    }
    check(&first_difference(first, second));
    check(&first_difference(first, first));
});
