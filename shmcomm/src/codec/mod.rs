//! Codecs: how a message becomes the bytes of a slot where it has no fixed layout.
//!
//! Owns the traits [`Codec`], [`Encode`] and [`Decode`] that the patterns call, the marker types
//! that name a codec in a channel's type, and (by feature) the two formats an unmodified Python
//! process speaks. Calls nothing of this crate but the schemas of messages, to know how long they get: it
//! sees byte slices, never a slot or a segment.
//! Never executes or imports what a message names, never trusts a length, never recurses deeper
//! than a stated limit.
//!
//! | marker | bytes | feature |
//! |---|---|---|
//! | [`Bytes`] | the message itself | |
//! | `Msgpack` | MessagePack as `msgpack.unpackb` reads it | `msgpack` |
//! | `Pickle` | pickle protocol 5, as `pickle.dumps` writes it | `pickle` |
//!
//! Encoding writes straight into the slot and goes on counting where the slot ends, so that
//! [`EncodeError::TooLong`] can say what would have been enough. Decoding expects a private copy:
//! its input must not change under it.

mod error;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod longest;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod report;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod sink;
#[cfg(any(feature = "pickle", feature = "msgpack"))]
mod value;

#[cfg(feature = "msgpack")]
pub mod msgpack;
#[cfg(feature = "pickle")]
pub mod pickle;

pub use error::{DecodeError, DecodeErrorKind, EncodeError};
#[cfg(any(feature = "pickle", feature = "msgpack"))]
pub use value::{
    BigInt, DType, Dict, Element, Endian, NdArray, NdView, Object, Opaque, ParseBigIntError, Scalar,
    ShapeError, TimeUnit, Value, ValueIndex, WrongType,
};

/// A way to write messages as bytes, known by a number in the segment's header.
pub trait Codec {
    /// The number in the segment's header. 0 is a fixed layout, which needs no codec.
    const ID: u32;
    /// The name in error messages and listings.
    const NAME: &'static str;
}

/// A codec that can write messages of type `M`.
pub trait Encode<M: ?Sized>: Codec {
    /// Writes `message` to the front of `out` and returns the number of bytes written.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] with the exact size where `out` is too short, or
    /// [`EncodeError::Refused`] where the format cannot hold the message. After an error the
    /// contents of `out` are unspecified.
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, EncodeError>;
}

/// A codec that can read messages of type `M`.
pub trait Decode<M>: Codec {
    /// Reads one message that takes all of `bytes`, a private copy.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where `bytes` is not exactly one well-formed message of type `M`. Hostile
    /// bytes give an error in bounded time and memory.
    fn decode(bytes: &[u8]) -> Result<M, DecodeError>;
}

/// The codec of raw bytes: the message is the payload.
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
}

impl Decode<Vec<u8>> for Bytes {
    fn decode(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        Ok(bytes.to_vec())
    }
}

/// The codec of MessagePack, with structs as maps. See [`msgpack`].
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
    fn decode(bytes: &[u8]) -> Result<M, DecodeError> {
        msgpack::from_slice(bytes)
    }
}

/// The codec of Python's `pickle`: protocol 5 out, protocols 0 to 5 in. See [`pickle`].
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
    fn decode(bytes: &[u8]) -> Result<M, DecodeError> {
        pickle::from_slice(bytes)
    }
}
