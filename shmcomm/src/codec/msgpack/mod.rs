//! MessagePack, as Python's `msgpack` writes and reads it.
//!
//! Owns the settings of `rmp-serde` under which an unmodified `msgpack.unpackb` understands the result. Also
//! owns the checks before `rmp-serde` may see a message. Calls `rmp-serde` for the format itself. Never
//! decodes a message that `scan` has not accepted. The scan proves that every length is within the message,
//! the nesting is bounded, and nothing follows.
//!
//! A struct becomes a map by the names of its fields. An enum becomes its name, or a map of one entry. A
//! tuple and a set become arrays, as msgpack has no more types. `serde_bytes` becomes `bin`, which is `bytes`
//! in Python, while a plain `Vec<u8>` becomes an array of ints.
//!
//! Two kinds of values are not written, because Python could not load them. The first is a map key that is
//! neither `str` nor `bytes` (`strict_map_key`), the second an int of more than 64 bits. Keys of other kinds
//! are read, as Python does write them.
//!
//! Extensions are [`Ext`](super::Ext). The extension number -1 is
//! [`MsgpackTimestamp`](super::MsgpackTimestamp), which Python has as `msgpack.Timestamp`. A
//! [`DateTime`](super::DateTime) whose offset is known is written as a timestamp, and read from one. Other
//! kinds that msgpack lacks are written in its own kinds. Dates, decimals, paths and addresses become their
//! text, and an instance becomes its fields. A `deque` becomes an array, and a member of an `Enum` its value.
//!
//! Declare integers as `i64` or `u64`: into a `u128`, `rmp-serde` reads a negative int as its two's
//! complement.
//!
//! msgpack has no arrays of numbers. An [`NdArray`](super::NdArray) becomes a map of `shape`,
//! `dtype`, `data` (`bin`, copied once) and `order`, which Python turns into an array again by
//!
//! ```python
//! np.frombuffer(m["data"], m["dtype"]).reshape(m["shape"], order=m["order"])
//! ```
//!
//! # Limits
//!
//! The nesting depth of containers is at most 128 in a message that is read, and at most 256 in a written
//! one. A [`Value`](super::Value) takes less than 100 bytes for each byte of the message.

mod guard;
mod scan;
mod wrapped;

use crate::plural::count;
use serde::{Deserialize, Serialize};

use super::report::Step;
use super::sink::{Bounded, Sink};
use super::{DecodeError, DecodeErrorKind, EncodeError};

/// Encodes into the front of `out`. Returns the number of bytes written.
///
/// # Errors
///
/// Returns [`EncodeError::TooLong`] with the exact size if `out` is too short. Returns
/// [`EncodeError::Refused`] for a value that Python could not load.
pub fn to_slice<T: Serialize + ?Sized>(value: &T, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut out = Bounded::new(out);
    guard::write(value, &mut Writer(&mut out))?;
    out.finish()
}

/// Encodes into a vector.
///
/// # Errors
///
/// Returns [`EncodeError::Refused`] for a value that Python could not load.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    guard::write(value, &mut Writer(&mut out))?;
    Ok(out)
}

/// Decodes one message that takes all of `bytes`.
///
/// # Errors
///
/// See [`DecodeErrorKind`].
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    scan::scan(bytes)?;
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    T::deserialize(&mut reader)
        .map_err(|error| located::<T>(bytes).unwrap_or_else(|| worded(&error)).shortened())
}

/// Returns `true` if `bytes` are exactly one message.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    scan::scan(bytes).is_ok()
}

/// Adapter from a sink to a writer that never fails.
struct Writer<'a, S>(&'a mut S);

impl<S: Sink> std::io::Write for Writer<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.put(bytes);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.put(bytes);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Decodes again, slowly, to find the path to the error.
#[cold]
fn located<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<DecodeError> {
    use serde_path_to_error::Segment;
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(&mut reader).err()?;
    let mut steps: Vec<_> = error.path().iter().collect();
    steps.reverse();
    Some(steps.into_iter().fold(worded(error.inner()), |error, segment| match segment {
        Segment::Seq { index } => error.under(Step::Index(*index)),
        Segment::Map { key } => error.under(Step::Key(key)),
        Segment::Enum { variant } => error.under(Step::Key(variant)),
        Segment::Unknown => error.under(Step::Key("?")),
    }))
}

#[cold]
fn worded(error: &rmp_serde::decode::Error) -> DecodeError {
    use rmp_serde::decode::Error;
    match error {
        Error::TypeMismatch(marker) => DecodeError::expected("another type", scan::kind(marker.to_u8())),
        Error::LengthMismatch(len) => {
            DecodeError::expected(format_args!("{len}", len = count(*len, "item")), "another number")
        }
        other => DecodeError::new(DecodeErrorKind::Type, other.to_string()),
    }
}
