//! Codecs: conversion of messages without fixed layout to the bytes of a slot.
//!
//! Owns the traits [`Codec`], [`Encode`] and [`Decode`] that the patterns call, and the marker types that
//! name a codec in a channel's type. Also owns (by feature) the two formats that an unmodified Python process
//! reads. Of this crate it calls only the schemas of messages, for their maximum size: it sees byte slices,
//! never a slot or a segment. Never executes or imports a name from a message, never trusts a length, never
//! recurses deeper than a stated limit.
//!
//! | marker | bytes | feature |
//! |---|---|---|
//! | [`Bytes`] | the message itself | |
//! | `Msgpack` | MessagePack as `msgpack.unpackb` reads it | `msgpack` |
//! | `Pickle` | pickle protocol 5, as `pickle.dumps` writes it | `pickle` |
//!
//! Encoding writes straight into the slot, and continues to count bytes beyond the end of the slot, so that
//! [`EncodeError::TooLong`] can state the sufficient size. Decoding expects a private copy: its input must
//! not change meanwhile.

mod encoded;
mod error;
#[cfg(not(loom))]
mod format;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod longest;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
pub(crate) mod mismatch;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod report;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod sink;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod value;

use core::borrow::Borrow;

#[cfg(feature = "msgpack")]
pub mod msgpack;
#[cfg(feature = "pickle")]
pub mod pickle;

pub use crate::layout::Codec;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
#[cfg(not(loom))]
pub use format::{Incoming, IncomingOwned, Outgoing};
#[cfg(not(loom))]
pub(crate) use format::{Room, View};
#[cfg(any(feature = "pickle", feature = "msgpack"))]
pub use value::{
    BigInt, DType, Date, DateTime, Decimal, DefaultDict, Deque, Dict, Element, Endian, EnumMember, Ext,
    Factory, FieldType, Fraction, Ip, IpClass, MsgpackTimestamp, NdArray, NdView, NoSuchValue, Object,
    ObjectArray, Opaque, ParseBigIntError, PathClass, PyPath, Range, RecordField, RecordType, Records,
    Scalar, ShapeError, Time, TimeDelta, TimeUnit, TimeZone, TypedArray, Uuid, Value, ValueIndex, WrongType,
};

/// A codec that can write messages of type `M`.
pub trait Encode<M: ?Sized>: Codec {
    /// Writes `message` to the front of `out` and returns the number of bytes written.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::TooLong`] with the exact size if `out` is too short. Returns
    /// [`EncodeError::Refused`] if the format cannot hold the message. After an error the contents of `out`
    /// are unspecified.
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, EncodeError>;

    /// Returns the number of bytes that [`encode`](Self::encode) writes, if it is known without encoding the message.
    ///
    /// A publisher whose slots grow then encodes straight into a slot. Otherwise it encodes into a buffer of its own and copies
    /// the bytes, because a message that proves too long for its slot would destroy the old message in it.
    ///
    /// ```
    /// use shmcomm::codec::{Bytes, Encode};
    ///
    /// assert_eq!(<Bytes as Encode<[u8]>>::encoded_size(b"abc"), Some(3));
    /// ```
    #[inline]
    fn encoded_size(message: &M) -> Option<usize> {
        let _ = message;
        None
    }
}

/// A codec that can read messages of type `M`.
pub trait Decode<M: ?Sized>: Codec {
    /// Type of a received message: `M` itself if it has a size, otherwise its owned form, such as `Vec<u8>`
    /// for `[u8]` and `String` for `str`.
    type Owned: Borrow<M> + Into<Box<M>>;

    /// Reads one message that takes all of `bytes`, a private copy.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] if `bytes` is not exactly one well-formed message of type `M`. Hostile bytes
    /// return an error in bounded time and memory.
    fn decode(bytes: &[u8]) -> Result<Self::Owned, DecodeError>;
}

/// Codec of raw bytes: the message is the payload.
///
/// A message is `[u8]`, which is received as a `Vec<u8>`, or `str`, which is received as a `String`. Any
/// other type that implements `AsRef<[u8]>` and `TryFrom<Vec<u8>>` is a message too: `Vec<u8>`, `Box<[u8]>`,
/// `Arc<[u8]>`, `[u8; N]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes;

impl Codec for Bytes {
    const ID: u32 = 3;
    const NAME: &'static str = "bytes";
}

impl<M: AsRef<[u8]> + ?Sized> Encode<M> for Bytes {
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, EncodeError> {
        let bytes = message.as_ref();
        let capacity = out.len();
        let Some(room) = out.get_mut(..bytes.len()) else {
            return Err(EncodeError::TooLong { needed: bytes.len(), capacity });
        };
        room.copy_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn encoded_size(message: &M) -> Option<usize> {
        Some(message.as_ref().len())
    }
}

impl Decode<[u8]> for Bytes {
    type Owned = Vec<u8>;

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        Ok(bytes.to_vec())
    }
}

impl Decode<str> for Bytes {
    type Owned = String;

    fn decode(bytes: &[u8]) -> Result<String, DecodeError> {
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(why) => Err(DecodeError::not_text(why.valid_up_to())),
        }
    }
}

impl<M: AsRef<[u8]> + TryFrom<Vec<u8>>> Decode<M> for Bytes {
    type Owned = M;

    fn decode(bytes: &[u8]) -> Result<M, DecodeError> {
        M::try_from(bytes.to_vec()).map_err(|_| DecodeError::other_type::<M>(bytes.len()))
    }
}

/// Codec of MessagePack, with structs as maps. See [`msgpack`].
#[cfg(feature = "msgpack")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Msgpack;

#[cfg(feature = "msgpack")]
impl Codec for Msgpack {
    const ID: u32 = 1;
    const NAME: &'static str = "msgpack";
}

#[cfg(feature = "msgpack")]
impl<M: serde::Serialize + ?Sized> Encode<M> for Msgpack {
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, EncodeError> {
        msgpack::to_slice(message, out)
    }
}

#[cfg(feature = "msgpack")]
impl<M: serde::de::DeserializeOwned> Decode<M> for Msgpack {
    type Owned = M;

    fn decode(bytes: &[u8]) -> Result<M, DecodeError> {
        msgpack::from_slice(bytes).map_err(|error| mismatch::named::<Self>(error, bytes))
    }
}

#[cfg(feature = "msgpack")]
impl<T: serde::de::DeserializeOwned> Decode<[T]> for Msgpack {
    type Owned = Vec<T>;

    fn decode(bytes: &[u8]) -> Result<Vec<T>, DecodeError> {
        msgpack::from_slice(bytes).map_err(|error| mismatch::named::<Self>(error, bytes))
    }
}

#[cfg(feature = "msgpack")]
impl Decode<str> for Msgpack {
    type Owned = String;

    fn decode(bytes: &[u8]) -> Result<String, DecodeError> {
        msgpack::from_slice(bytes).map_err(|error| mismatch::named::<Self>(error, bytes))
    }
}

/// Codec of Python's `pickle`: writes protocol 5, reads protocols 0 to 5. See [`pickle`].
#[cfg(feature = "pickle")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pickle;

#[cfg(feature = "pickle")]
impl Codec for Pickle {
    const ID: u32 = 2;
    const NAME: &'static str = "pickle";
}

#[cfg(feature = "pickle")]
impl<M: serde::Serialize + ?Sized> Encode<M> for Pickle {
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, EncodeError> {
        pickle::to_slice(message, out)
    }
}

#[cfg(feature = "pickle")]
impl<M: serde::de::DeserializeOwned> Decode<M> for Pickle {
    type Owned = M;

    fn decode(bytes: &[u8]) -> Result<M, DecodeError> {
        pickle::from_slice(bytes).map_err(|error| mismatch::named::<Self>(error, bytes))
    }
}

#[cfg(feature = "pickle")]
impl<T: serde::de::DeserializeOwned> Decode<[T]> for Pickle {
    type Owned = Vec<T>;

    fn decode(bytes: &[u8]) -> Result<Vec<T>, DecodeError> {
        pickle::from_slice(bytes).map_err(|error| mismatch::named::<Self>(error, bytes))
    }
}

#[cfg(feature = "pickle")]
impl Decode<str> for Pickle {
    type Owned = String;

    fn decode(bytes: &[u8]) -> Result<String, DecodeError> {
        pickle::from_slice(bytes).map_err(|error| mismatch::named::<Self>(error, bytes))
    }
}
