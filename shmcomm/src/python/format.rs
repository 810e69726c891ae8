//! Formats: the conversion of messages to the bytes that Python reads.
//!
//! Owns the three traits that the ends require, and their implementation for codecs and for fixed layouts.
//! Calls `codec` and `message`.

use super::{Options, SendError, Unreadable};
use crate::codec::{self, Decode, EncodeError};
use crate::message::{self, Fixed, Invalid, ShmMessage};

/// A way to exchange messages with a Python process: a codec, or [`Fixed`] for a [`ShmMessage`] sent as its
/// bytes. Python reads those with `numpy.frombuffer`.
///
/// | format | Python's side |
/// |---|---|
/// | [`Pickle`](crate::codec) | `serialization="pickle"`, the default |
/// | [`Msgpack`](crate::codec) | `serialization="msgpack"` |
/// | [`Bytes`](codec::Bytes), [`Fixed`] | `send_bytes`, `recv_bytes` |
///
/// This trait is sealed.
pub trait Format: sealed::Sealed {
    /// A message that Python's `recv` skips: None. With such a message, a reply whose requester no longer
    /// waits can be hidden.
    #[doc(hidden)]
    const NOTHING: Option<&'static [u8]>;
}

/// A format that can write an `M`. This trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be sent to Python as `{Self}`",
    note = "`Pickle` and `Msgpack` take whatever implements serde's `Serialize`; `Bytes` takes bytes; \
            `Fixed` takes a `ShmMessage`"
)]
pub trait Outgoing<M: ?Sized>: Format {
    #[doc(hidden)]
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, SendError>;
}

/// A format that can read an `M`. This trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be received from Python as `{Self}`",
    note = "`Pickle` and `Msgpack` give whatever implements serde's `DeserializeOwned`; `Bytes` gives \
            `Vec<u8>`; `Fixed` gives a `ShmMessage`"
)]
pub trait Incoming<M>: Format {
    #[doc(hidden)]
    fn decode(bytes: &[u8], reading: &Reading) -> Result<M, Unreadable>;
}

/// Settings with which an end reads messages, from its options.
#[derive(Debug)]
pub struct Reading {
    #[cfg(feature = "pickle")]
    pickle: codec::pickle::DecodeOptions,
}

impl Reading {
    #[cfg(feature = "pickle")]
    pub(super) fn new(options: &Options) -> Self {
        let pickle = codec::pickle::DecodeOptions::new().opaque(options.opaque);
        Reading { pickle: pickle.enums(options.enums.iter().map(|class| class.as_ref())) }
    }

    #[cfg(not(feature = "pickle"))]
    pub(super) fn new(_: &Options) -> Self {
        Reading {}
    }
}

mod sealed {
    pub trait Sealed {}
}

/// Returns the error for a message that is too long for a slot, in any format.
pub(super) fn too_long(size: usize, capacity: usize) -> SendError {
    SendError::TooLong { size, capacity }
}

macro_rules! codecs {
    ($($(#[$attr:meta])* $codec:ident, $nothing:expr;)*) => {$(
        $(#[$attr])*
        impl sealed::Sealed for codec::$codec {}

        $(#[$attr])*
        impl Format for codec::$codec {
            const NOTHING: Option<&'static [u8]> = $nothing;
        }
    )*};
}

codecs! {
    Bytes, None;
    // `None` at protocol 0: the opcode NONE, then STOP.
    #[cfg(feature = "pickle")]
    Pickle, Some(b"N.");
    #[cfg(feature = "msgpack")]
    Msgpack, Some(b"\xc0");
}

impl<M> Incoming<M> for codec::Bytes
where
    codec::Bytes: Decode<M, Owned = M>,
{
    fn decode(bytes: &[u8], _: &Reading) -> Result<M, Unreadable> {
        <codec::Bytes as Decode<M>>::decode(bytes).map_err(Unreadable::Codec)
    }
}

#[cfg(feature = "msgpack")]
impl<M> Incoming<M> for codec::Msgpack
where
    codec::Msgpack: Decode<M, Owned = M>,
{
    fn decode(bytes: &[u8], _: &Reading) -> Result<M, Unreadable> {
        <codec::Msgpack as Decode<M>>::decode(bytes).map_err(Unreadable::Codec)
    }
}

#[cfg(feature = "pickle")]
impl<M: serde::de::DeserializeOwned> Incoming<M> for codec::Pickle {
    fn decode(bytes: &[u8], reading: &Reading) -> Result<M, Unreadable> {
        let message = reading.pickle.decode(bytes);
        message.map_err(|error| Unreadable::Codec(codec::mismatch::named::<codec::Pickle>(error, bytes)))
    }
}

impl sealed::Sealed for Fixed {}

impl Format for Fixed {
    const NOTHING: Option<&'static [u8]> = None;
}

#[diagnostic::do_not_recommend]
impl<M: ?Sized, F: Format + codec::Outgoing<M>> Outgoing<M> for F {
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, SendError> {
        F::write(message, out).map_err(|error| match error {
            EncodeError::TooLong { needed, capacity } => too_long(needed, capacity),
            error => SendError::Refused(error),
        })
    }
}

impl<M: ShmMessage> Incoming<M> for Fixed {
    fn decode(bytes: &[u8], _: &Reading) -> Result<M, Unreadable> {
        if bytes.len() != size_of::<M>() {
            #[cfg(any(feature = "pickle", feature = "msgpack"))]
            if let Some(found) = codec::mismatch::foreign(bytes) {
                return Err(Unreadable::Codec(codec::mismatch::not_fixed(
                    found,
                    bytes.len(),
                    size_of::<M>(),
                )));
            }
            return Err(Unreadable::Layout(Invalid::length::<M>(bytes.len())));
        }
        message::read(bytes).map_err(Unreadable::Layout)
    }
}
