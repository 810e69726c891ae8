//! Codecs: values, errors, bounds and hostile bytes.

mod longest;
mod meter;
mod mismatch;
mod msgpack;
mod msgpack_python;
mod opcodes;
mod pickle_hostile;
mod pickle_python;
mod pickle_serde;
mod standard_hostile;

use crate::meter::Meter;

/// Counts the bytes that each thread holds, for the tests of hostile messages.
#[global_allocator]
static METER: Meter = Meter;
