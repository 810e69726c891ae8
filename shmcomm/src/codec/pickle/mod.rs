//! Python's `pickle`, as data.
//!
//! Owns both directions: decoding reads what CPython writes for plain data, numpy arrays and plain
//! instances at protocols 0 to 5; encoding writes protocol 5 or 4, which CPython reads. Calls
//! serde. Never imports, calls or instantiates what a message names: every name is a symbol, and
//! the few that stand for data (`set`, `bytearray`, `numpy.ndarray`, …) are on a list.
//!
//! | Python | Rust, by serde | [`Value`](super::Value) |
//! |---|---|---|
//! | `None`, `bool`, `int`, `float`, `str` | `Option`, `bool`, integers, `f32`/`f64`, `String` | the same |
//! | `bytes`, `bytearray` | `serde_bytes`, `Vec<u8>` | `Bytes` |
//! | `list`, `tuple`, `set`, `frozenset`, `deque` | `Vec`, arrays, tuples, sets | `List`, `Tuple`, … |
//! | `dict`, `OrderedDict`, `defaultdict` | structs, maps | `Dict` |
//! | an instance (dataclass, slots) | structs, maps | `Object` |
//! | a namedtuple | tuples, structs by position | `Object` |
//! | `numpy.ndarray` | [`NdArray`](super::NdArray), `Vec`, nested `Vec`, `[T; N]` | `Array` |
//! | a numpy scalar | as the number | as the number |
//! | `str`, or a `dict` of one entry | enums: a unit variant, or `{"Variant": content}` | |
//!
//! The other way, a struct or map becomes a `dict`, a `Vec` a `list`, a tuple or `[T; N]` a
//! `tuple`, `None` and `()` become `None`, an integer of any width an `int`. A `Vec<u8>` becomes a
//! list of ints unless `serde_bytes` says otherwise; Rust's sets become lists.
//!
//! # Limits
//!
//! A message may take memory in proportion to its length, and 64 MiB at least: see
//! [`DecodeOptions::max_memory`]. Nothing that CPython writes without sharing comes near it; what
//! does is a small message in which a large part occurs many times.

mod access;
mod arena;
mod array;
mod call;
mod compound;
mod de;
mod globals;
mod numpy;
mod op;
mod read;
mod ser;
mod special;
mod stack;

use serde::{Deserialize, Serialize};

use super::sink::Bounded;
use super::{DecodeError, EncodeError};

/// The version of the format to write. What decodes is not restricted by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// For Python 3.4 to 3.7.
    V4,
    /// For Python 3.8 and later, and what they write by default or at best.
    #[default]
    V5,
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V5 => 5,
        }
    }

    /// As [`to_slice`], at this protocol.
    ///
    /// # Errors
    ///
    /// As [`to_slice`].
    pub fn encode<T: Serialize + ?Sized>(self, value: &T, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut out = Bounded::new(out);
        ser::write(value, self.number(), &mut out)?;
        out.finish()
    }

    /// As [`to_vec`], at this protocol.
    ///
    /// # Errors
    ///
    /// As [`to_vec`].
    pub fn encode_vec<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        ser::write(value, self.number(), &mut out)?;
        Ok(out)
    }
}

/// Encodes at protocol 5 into the front of `out`. Returns the number of bytes written.
///
/// # Errors
///
/// [`EncodeError::TooLong`] with the exact size where `out` is too short;
/// [`EncodeError::Refused`] for what Python could not load: a list as a dict key, an opaque value.
pub fn to_slice<T: Serialize + ?Sized>(value: &T, out: &mut [u8]) -> Result<usize, EncodeError> {
    Protocol::V5.encode(value, out)
}

/// Encodes at protocol 5.
///
/// # Errors
///
/// [`EncodeError::Refused`] for what Python could not load: a list as a dict key, an opaque value.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    Protocol::V5.encode_vec(value)
}

/// Decodes one pickle that takes all of `bytes`.
///
/// # Errors
///
/// See [`DecodeErrorKind`](super::DecodeErrorKind).
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    DecodeOptions::new().decode(bytes)
}

/// What a decoder accepts, where the defaults do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    max_depth: usize,
    max_memory: Option<usize>,
    max_int_bytes: usize,
    opaque: bool,
}

/// Deepest nesting that can be asked for: what a thread's stack of 2 MiB holds in a debug build,
/// where a level of a `Value` takes 6 KiB (1.2 KiB in a release build).
const DEEPEST: usize = 256;
const LEAST_MEMORY: usize = 64 << 20;
/// What a value takes at most while it is read, for each byte that it has in a message.
const MEMORY_PER_BYTE: usize = 64;

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_depth: 128, max_memory: None, max_int_bytes: 8192, opaque: false }
    }
}

impl DecodeOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Containers that may stand in one another: 128 by default, 256 at most.
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth.min(DEEPEST);
        self
    }

    /// Bytes that a message may take while it is decoded, text and arrays included as often as
    /// they occur. By default 64 for each byte of the message, and 64 MiB at least.
    ///
    /// It is an estimate for a [`Value`](super::Value); other types take more or less.
    #[must_use]
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// Bytes that a single `int` may have: 8192 by default, near 20,000 decimal digits.
    #[must_use]
    pub fn max_int_bytes(mut self, bytes: usize) -> Self {
        self.max_int_bytes = bytes;
        self
    }

    /// Whether a class or function that would have to be called to know its value (an `Enum`, a
    /// `datetime`) is read as [`Value::Opaque`](super::Value::Opaque): its name and arguments. By
    /// default it is an error, which names it.
    #[must_use]
    pub fn opaque(mut self, opaque: bool) -> Self {
        self.opaque = opaque;
        self
    }

    /// Decodes one pickle that takes all of `bytes`.
    ///
    /// # Errors
    ///
    /// See [`DecodeErrorKind`](super::DecodeErrorKind).
    pub fn decode<'de, T: Deserialize<'de>>(&self, bytes: &'de [u8]) -> Result<T, DecodeError> {
        let least = bytes.len().saturating_mul(MEMORY_PER_BYTE).max(LEAST_MEMORY);
        let memory = self.max_memory.unwrap_or(least);
        let limits = read::Limits {
            pushes: memory / MEMORY_PER_BYTE,
            int_bytes: self.max_int_bytes,
            opaque: self.opaque,
        };
        let (arena, root) = read::read(bytes, &limits)?;
        let walk = de::Walk::new(&arena, memory, self.max_depth, self.opaque);
        T::deserialize(walk.root(root))
    }
}
