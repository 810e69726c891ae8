//! MessagePack, as Python's `msgpack` writes and reads it.
//!
//! Owns what has to be said to `rmp-serde` so that an unmodified `msgpack.unpackb` understands the
//! result, and what has to be checked before `rmp-serde` may see a message. Calls `rmp-serde` for
//! the format itself. Never decodes what `scan` has not walked through: every length is there,
//! nothing is nested too deep, nothing follows.
//!
//! A struct becomes a map by the names of its fields, an enum its name, or a map of one entry; a
//! tuple and a set become arrays, as msgpack has no more; `serde_bytes` becomes `bin`, which is
//! `bytes` in Python, while a plain `Vec<u8>` becomes an array of ints.
//!
//! Not written, because Python could not load it: a map key that is neither `str` nor `bytes`
//! (`strict_map_key`), an int of more than 64 bits. Keys of other kinds are read, as Python does
//! write them.
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
//! 128 containers may stand in one another in a message that is read, 256 in one that is written.
//! A [`Value`](super::Value) takes less than 100 bytes for each byte of the message.

mod guard;
mod scan;
mod wrapped;

use serde::{Deserialize, Serialize};

use super::report::Step;
use super::sink::{Bounded, Sink};
use super::{DecodeError, DecodeErrorKind, EncodeError};

/// Encodes into the front of `out`. Returns the number of bytes written.
///
/// # Errors
///
/// [`EncodeError::TooLong`] with the exact size where `out` is too short;
/// [`EncodeError::Refused`] for what Python could not load.
pub fn to_slice<T: Serialize + ?Sized>(value: &T, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut out = Bounded::new(out);
    guard::write(value, &mut Writer(&mut out))?;
    out.finish()
}

/// Encodes into a vector.
///
/// # Errors
///
/// [`EncodeError::Refused`] for what Python could not load.
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
    T::deserialize(&mut reader).map_err(|error| located::<T>(bytes).unwrap_or_else(|| worded(&error)))
}

/// A sink as a writer that never fails.
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

/// Decodes again, slowly, to find out where the error is.
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
        Error::LengthMismatch(len) => DecodeError::expected(format_args!("{len} items"), "another number"),
        other => DecodeError::new(DecodeErrorKind::Type, other.to_string()),
    }
}
