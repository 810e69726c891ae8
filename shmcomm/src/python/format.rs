//! Formats: how a message becomes the bytes that Python sees.
//!
//! Owns the three traits that the ends ask for, and the step from a codec, or from a fixed layout, to
//! them. Calls `codec` and `message`.

use super::{SendError, Unreadable};
use crate::codec::{self, Decode, Encode, EncodeError};
use crate::message::{self, Fixed, Invalid, ShmMessage};

/// A way to write messages that a Python process can read, or the other way round: a codec, or
/// [`Fixed`] for a [`ShmMessage`] sent as its bytes, which Python reads with `numpy.frombuffer`.
///
/// | format | Python's side |
/// |---|---|
/// | [`Pickle`](crate::codec) | `serialization="pickle"`, the default |
/// | [`Msgpack`](crate::codec) | `serialization="msgpack"` |
/// | [`Bytes`](codec::Bytes), [`Fixed`] | `send_bytes`, `recv_bytes` |
///
/// This trait is sealed.
pub trait Format: sealed::Sealed {
    /// A message that Python's `recv` passes over: None. Where there is one, a reply that nobody waits
    /// for can be made invisible.
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
    fn decode(bytes: &[u8]) -> Result<M, Unreadable>;
}

mod sealed {
    pub trait Sealed {}
}

/// Too long for a slot, whatever wrote it.
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

        $(#[$attr])*
        impl<M: ?Sized> Outgoing<M> for codec::$codec
        where
            codec::$codec: Encode<M>,
        {
            fn encode(message: &M, out: &mut [u8]) -> Result<usize, SendError> {
                <codec::$codec as Encode<M>>::encode(message, out).map_err(|error| match error {
                    EncodeError::TooLong { needed, capacity } => too_long(needed, capacity),
                    error => SendError::Refused(error),
                })
            }
        }

        $(#[$attr])*
        impl<M> Incoming<M> for codec::$codec
        where
            codec::$codec: Decode<M>,
        {
            fn decode(bytes: &[u8]) -> Result<M, Unreadable> {
                <codec::$codec as Decode<M>>::decode(bytes).map_err(Unreadable::Codec)
            }
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

impl sealed::Sealed for Fixed {}

impl Format for Fixed {
    const NOTHING: Option<&'static [u8]> = None;
}

impl<M: ShmMessage> Outgoing<M> for Fixed {
    fn encode(message: &M, out: &mut [u8]) -> Result<usize, SendError> {
        let bytes = message::as_bytes(message);
        let capacity = out.len();
        let room = out.get_mut(..bytes.len()).ok_or_else(|| too_long(bytes.len(), capacity))?;
        room.copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl<M: ShmMessage> Incoming<M> for Fixed {
    fn decode(bytes: &[u8]) -> Result<M, Unreadable> {
        if bytes.len() != size_of::<M>() {
            return Err(Unreadable::Layout(Invalid::length::<M>(bytes.len())));
        }
        message::read(bytes).map_err(Unreadable::Layout)
    }
}
