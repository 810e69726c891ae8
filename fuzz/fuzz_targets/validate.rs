//! Any bytes as messages with every kind of field: an error that names the field, or values that can be used
//! and are those bytes again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmcomm::message::{self, Invalid};
use shmcomm::{Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
use std::fmt::Debug;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(u8)]
enum Mode {
    Idle,
    Run = 4,
    Stop = 255,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(i16)]
enum Wide {
    Low = -300,
    Zero = 0,
    High = 300,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Part {
    letter: char,
    wide: Wide,
    mode: Mode,
    ok: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Whole {
    stamp: Timestamp,
    parts: ShmVec<Part, 3>,
    last: ShmOption<Part>,
    maybe: ShmOption<char>,
    modes: [Mode; 3],
    yes: [bool; 2],
    names: [ShmString<5>; 2],
    _pad: Pad<5>,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C, packed)]
struct Packed {
    mode: Mode,
    letter: char,
    wide: Wide,
}

/// A sentence of some length, whatever the bytes.
fn check(error: &Invalid) {
    let words = error.to_string();
    assert!(!words.is_empty() && words.len() < 1024, "{words}");
    assert!(!words.contains(|c: char| c.is_control()), "{words:?}");
}

fn read<T: ShmMessage + Debug + PartialEq + Copy>(bytes: &[u8]) {
    let valid = message::validate::<T>(bytes);
    let value = message::read::<T>(bytes);
    assert_eq!(valid.is_ok(), value.is_ok());
    assert_eq!(valid.is_ok(), T::is_valid(bytes));
    match value {
        Ok(value) => {
            // Using it touches every part of it; a value that could not be would show here.
            let shown = format!("{value:?}");
            let again = message::read::<T>(message::as_bytes(&value)).expect("a value is valid");
            assert_eq!(format!("{again:?}"), shown);
            assert_eq!(message::as_bytes(&value), bytes);
        }
        Err(error) => check(&error),
    }
    match message::view::<T>(bytes) {
        Ok(value) => drop(format!("{value:?}")),
        Err(error) => check(&error),
    }
    match message::view_slice::<T>(bytes) {
        Ok(values) => {
            assert_eq!(values.len() * size_of::<T>(), bytes.len());
            values.iter().for_each(|value| drop(format!("{value:?}")));
        }
        Err(error) => check(&error),
    }
}

/// In a place of its own, aligned as a slot is.
#[repr(align(64))]
struct Slot([u8; 1024]);

fuzz_target!(|bytes: &[u8]| {
    let mut slot = Slot([0; 1024]);
    let len = bytes.len().min(1000);
    for at in [0, 1, 4] {
        slot.0[at..at + len].copy_from_slice(&bytes[..len]);
        let bytes = &slot.0[at..at + len];
        read::<Whole>(bytes);
        read::<Part>(bytes);
        read::<Mode>(bytes);
        read::<Wide>(bytes);
        read::<[Part; 2]>(bytes);
        read::<ShmVec<ShmString<3>, 4>>(bytes);
        read::<ShmOption<ShmOption<bool>>>(bytes);
        if let Ok(packed) = message::read::<Packed>(bytes) {
            let Packed { mode, letter, wide } = packed;
            drop(format!("{mode:?} {letter:?} {wide:?}"));
        }
        // Long enough for a value of it, whatever the length of the input.
        if let Some(front) = bytes.get(..size_of::<Whole>()) {
            read::<Whole>(front);
        }
    }
});
