//! The format of PyPI's `shm-comm` 1.0.0: names, segments, slots, and the lock of a queue.
//!
//! Owns the access to segments of version 1: `name` finds the files, `segment` maps and checks them, `raw`
//! copies words and slots, `ring` is the protocol, `lock` is the file lock of the pullers. Calls `layout`, `os`
//! and `wait`. Never decides which process owns a segment: `owner` does.

pub(in crate::python) mod lock;
pub(in crate::python) mod name;
#[allow(unsafe_code)]
pub(in crate::python) mod raw;
pub(in crate::python) mod ring;
pub(in crate::python) mod segment;
