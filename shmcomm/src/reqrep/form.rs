//! How messages get into a slot and out of it, by format.
//!
//! Owns [`Held`], a request while its replier looks at it: in its slot, or decoded out of it. Never
//! waits, and never decides about a slot.

use super::end::Wake;
use super::request::refuse;
use super::{RequestError, ServeError};
use crate::codec::{Decode, Encode, EncodeError};
use crate::counts::Counts;
use crate::message::in_place::{InPlace, copy_out};
use crate::message::{self, Invalid, ShmMessage};
use crate::ring::{AtHome, Keep, queue};
use crate::segment::Attachment;

/// A request while its replier looks at it.
pub(super) enum Held<'q, Q> {
    InPlace(InPlace<AtHome<queue::Request<'q>>, Q>),
    Decoded(Box<Q>, AtHome<queue::Request<'q>>),
}

/// What becomes of a request whose bytes are none: it is counted and declined.
pub(super) struct Refusal<'q> {
    pub(super) counts: &'q mut Counts,
    pub(super) attachment: &'q Attachment,
    pub(super) wake: &'q Wake,
}

impl Refusal<'_> {
    #[cold]
    #[inline(never)]
    fn refuse(self, why: Invalid, request: AtHome<queue::Request<'_>>) -> ServeError {
        self.counts.refused(&why, self.attachment);
        refuse(request, self.wake);
        ServeError::Invalid(why)
    }
}

impl<'q, Q> Held<'q, Q> {
    #[inline]
    pub(super) fn message(&self) -> &Q {
        match self {
            Held::InPlace(place) => place.get(),
            Held::Decoded(message, _) => message,
        }
    }

    #[inline]
    pub(super) fn ring(&self) -> &AtHome<queue::Request<'q>> {
        match self {
            Held::InPlace(place) => place.keeper(),
            Held::Decoded(_, ring) => ring,
        }
    }

    #[inline]
    pub(super) fn into_ring(self) -> AtHome<queue::Request<'q>> {
        match self {
            Held::InPlace(place) => place.into_keeper(),
            Held::Decoded(_, ring) => ring,
        }
    }
}

/// Looks at a request in its slot.
#[inline(always)]
pub(super) fn in_place<'q, Q: ShmMessage>(
    ring: AtHome<queue::Request<'q>>,
    refusal: Refusal<'_>,
) -> Result<Held<'q, Q>, ServeError> {
    InPlace::new_or(ring, |why, ring| refusal.refuse(why, ring)).map(Held::InPlace)
}

/// Decodes a request.
pub(super) fn decoded<'q, Q, C: Decode<Q>>(
    ring: AtHome<queue::Request<'q>>,
    refusal: Refusal<'_>,
) -> Result<Held<'q, Q>, ServeError> {
    match decode::<Q, C>(ring.bytes()) {
        Ok(message) => Ok(Held::Decoded(Box::new(message), ring)),
        Err(why) => Err(refusal.refuse(why, ring)),
    }
}

/// How a reply is read, by format.
pub(super) type Read<R> = fn(&[u8]) -> Result<R, RequestError>;

/// Copies a reply out.
#[inline]
pub(super) fn fixed_reply<R: ShmMessage>(bytes: &[u8]) -> Result<R, RequestError> {
    copy_out(bytes).map_err(RequestError::Invalid)
}

/// Decodes a reply.
pub(super) fn reply<R, C: Decode<R>>(bytes: &[u8]) -> Result<R, RequestError> {
    decode::<R, C>(bytes).map_err(RequestError::Invalid)
}

/// Others can write to the slot: what is decoded must not change meanwhile.
fn decode<M, C: Decode<M>>(bytes: &[u8]) -> Result<M, Invalid> {
    let copy = bytes.to_vec();
    C::decode(&copy).map_err(|why| Invalid::decoded::<M>(why.path(), why.reason()))
}

/// Copies a message; the geometry was checked to hold it.
#[inline]
pub(super) fn copy<M: ShmMessage>(message: &M) -> impl Fn(&mut [u8]) -> Result<usize, EncodeError> {
    move |room| {
        let bytes = message::as_bytes(message);
        match room.get_mut(..bytes.len()) {
            Some(place) => place.copy_from_slice(bytes),
            // Only where the request says that it is longer than it is: its reply has less room.
            None => return Err(EncodeError::TooLong { needed: bytes.len(), capacity: room.len() }),
        }
        Ok(bytes.len())
    }
}

/// Encodes a message into the room for it.
pub(super) fn encode<M: ?Sized, C: Encode<M>>(
    message: &M,
) -> impl Fn(&mut [u8]) -> Result<usize, EncodeError> {
    move |room| C::encode(message, room)
}
