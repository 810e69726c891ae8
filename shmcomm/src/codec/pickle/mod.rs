//! Python's `pickle`, as data.
//!
//! Owns both directions. Decoding reads the output of CPython for plain data, numpy arrays and plain
//! instances at protocols 0 to 5. Encoding writes protocol 5 or 4, which CPython reads. Calls serde. Never
//! imports, calls or instantiates a name from a message. Every name is a symbol. The few names that stand for
//! data (`set`, `bytearray`, `numpy.ndarray`, …) are on a list.
//!
//! | Python | Rust, by serde | [`Value`](super::Value) |
//! |---|---|---|
//! | `None`, `bool`, `int`, `float`, `str` | `Option`, `bool`, integers, `f32`/`f64`, `String` | the same |
//! | `bytes`, `bytearray` | `serde_bytes`, `Vec<u8>` | `Bytes`, `ByteArray` |
//! | `list`, `tuple`, `set`, `frozenset`, `deque`, `range`, `slice` | `Vec`, arrays, tuples, sets | `List`, `Tuple`, … |
//! | `dict`, `OrderedDict`, `defaultdict`, `Counter` | structs, maps | `Dict`, `OrderedDict`, … |
//! | an instance (dataclass, slots) | structs, maps | `Object` |
//! | a namedtuple | tuples, structs by position | `Object` |
//! | `datetime`, `date`, `time`, `timezone`, `ZoneInfo` | [`DateTime`](super::DateTime) and the like, `String`; a point in time also as a number of seconds | `DateTime`, … |
//! | `timedelta` | [`TimeDelta`](super::TimeDelta), `String`, seconds, `Duration` | `TimeDelta` |
//! | `Decimal`, `Fraction` | [`Decimal`](super::Decimal), [`Fraction`](super::Fraction), `String`, numbers | the same |
//! | `UUID`, a path, an IP address or network | [`Uuid`](super::Uuid), [`PyPath`](super::PyPath), [`Ip`](super::Ip), `String`; `PathBuf`, `IpAddr` | `Uuid`, `Path`, `Ip` |
//! | `numpy.ndarray` of numbers, texts or bytes; `array.array` | [`NdArray`](super::NdArray), `Vec`, nested `Vec`, `[T; N]` | `Array`, `TypedArray` |
//! | `numpy.ndarray` of records | [`Records`](super::Records), `Vec` of structs or maps | `Records` |
//! | `numpy.ndarray` of objects | [`ObjectArray`](super::ObjectArray), `Vec`, nested `Vec` | `ObjectArray` |
//! | a numpy scalar | as the number, text, bytes or record | the same |
//! | a member of an `Enum` that [`DecodeOptions::enums`] names | as its value | `Enum` |
//! | `str`, or a `dict` of one entry | enums: a unit variant, or `{"Variant": content}` | |
//!
//! As text, dates and times are in ISO 8601, as `isoformat()` writes them: `chrono` and `jiff` read that. A
//! `timedelta` is an ISO 8601 duration. A type that accepts any value also gets the text. As a number, times
//! are in seconds, and points in time count from 1970-01-01 UTC. A whole number is refused if a part of a
//! second would be lost. A `datetime` without a zone, or with a `ZoneInfo`, has no number: its offset is not
//! known.
//!
//! In the other direction, a struct or map becomes a `dict`, a `Vec` a `list`, and a tuple or `[T; N]` a
//! `tuple`. `None` and `()` become `None`, an integer of any width an `int`. A `Vec<u8>` becomes a list of
//! ints unless `serde_bytes` says otherwise; Rust's sets become lists. A `Value`, and each type of this crate
//! in the table, becomes the Python object that it stands for.
//!
//! # Limits
//!
//! A message may take memory in proportion to its length, and at least 64 MiB: see
//! [`DecodeOptions::max_memory`]. No output of CPython without sharing comes near this limit. Only a small
//! message in which a large part occurs many times reaches it.

mod access;
mod arena;
mod array;
mod call;
mod compound;
mod convert;
mod de;
mod globals;
mod leaf;
mod numpy;
mod objects;
mod op;
mod read;
mod record;
mod ser;
mod special;
mod stack;
mod standard;

use serde::{Deserialize, Serialize};

use super::sink::Bounded;
use super::{DecodeError, EncodeError};

/// Version of the format that is written. Decoding accepts every version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// For Python 3.4 to 3.7.
    V4,
    /// For Python 3.8 and later, which write it by default or at best.
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

    /// Encodes at this protocol: see [`to_slice`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`to_slice`].
    pub fn encode<T: Serialize + ?Sized>(self, value: &T, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut out = Bounded::new(out);
        ser::write(value, self.number(), &mut out).map_err(EncodeError::shortened)?;
        out.finish()
    }

    /// Encodes at this protocol: see [`to_vec`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`to_vec`].
    pub fn encode_vec<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        ser::write(value, self.number(), &mut out).map_err(EncodeError::shortened)?;
        Ok(out)
    }
}

/// Encodes at protocol 5 into the front of `out`. Returns the number of bytes written.
///
/// # Errors
///
/// Returns [`EncodeError::TooLong`] with the exact size if `out` is too short. Returns
/// [`EncodeError::Refused`] for a value that Python could not load: a list as a dict key, an opaque value.
pub fn to_slice<T: Serialize + ?Sized>(value: &T, out: &mut [u8]) -> Result<usize, EncodeError> {
    Protocol::V5.encode(value, out)
}

/// Encodes at protocol 5.
///
/// # Errors
///
/// Returns [`EncodeError::Refused`] for a value that Python could not load: a list as a dict key, an opaque
/// value.
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

/// Limits and options of a decoder, if the defaults do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    max_depth: usize,
    max_memory: Option<usize>,
    max_int_bytes: usize,
    opaque: bool,
    enums: Vec<String>,
}

/// Maximum of the nesting limit. A thread's stack of 2 MiB holds this depth in a debug build. There a level
/// of a `Value` takes 6 KiB (1.2 KiB in a release build).
const DEEPEST: usize = 256;
const LEAST_MEMORY: usize = 64 << 20;
/// Maximum memory of a value while it is read, in bytes per byte of the message.
const MEMORY_PER_BYTE: usize = 64;

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_depth: 128, max_memory: None, max_int_bytes: 8192, opaque: false, enums: Vec::new() }
    }
}

impl DecodeOptions {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the maximum nesting depth of containers: 128 by default, 256 at most.
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth.min(DEEPEST);
        self
    }

    /// Sets the bytes that a message may take while it is decoded. Text and arrays count as often as they
    /// occur. The default is 64 for each byte of the message, and at least 64 MiB.
    ///
    /// The limit is an estimate for a [`Value`](super::Value); other types take more or less.
    #[must_use]
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// Sets the bytes that a single `int` may have: 8192 by default, about 20,000 decimal digits.
    #[must_use]
    pub fn max_int_bytes(mut self, bytes: usize) -> Self {
        self.max_int_bytes = bytes;
        self
    }

    /// Reads a class or function whose value only a call could tell (an exception, an `Enum`) as
    /// [`Value::Opaque`](super::Value::Opaque): its name, arguments and state. By default it is an error,
    /// which names it.
    #[must_use]
    pub fn opaque(mut self, opaque: bool) -> Self {
        self.opaque = opaque;
        self
    }

    /// Names classes that are an `Enum`, as `module.qualname`: their members are read as
    /// [`Value::Enum`](super::Value::Enum), and by other types as their value.
    ///
    /// A pickle stores a member as the call of its class, which cannot be told from the call of a function.
    /// Only the classes named here are therefore read as an `Enum`, and can be sent again.
    #[must_use]
    pub fn enums<S: Into<String>>(mut self, classes: impl IntoIterator<Item = S>) -> Self {
        self.enums.extend(classes.into_iter().map(Into::into));
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
            enums: &self.enums,
        };
        let (arena, root) = read::read(bytes, &limits)?;
        let walk = de::Walk::new(&arena, memory, self.max_depth, self.opaque);
        T::deserialize(walk.root(root)).map_err(DecodeError::shortened)
    }
}
