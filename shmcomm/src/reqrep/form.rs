//! How messages get into a slot and out of it, by format.
//!
//! Owns [`Held`], a request while its replier looks at it: in its slot, or decoded out of it. Never
//! waits, and never decides about a slot.

use crate::codec::{Decode, Encode, EncodeError};
use crate::message::in_place::InPlace;
use crate::message::{self, Invalid, ShmMessage};
use crate::ring::{AtHome, Keep, queue};

/// A request while its replier looks at it.
pub(super) enum Held<'q, Q> {
    InPlace(InPlace<AtHome<queue::Request<'q>>, Q>),
    Decoded(Box<Q>, AtHome<queue::Request<'q>>),
}

/// A request, or the reason why it is none, and what the ring gave.
pub(super) type Holding<'q, Q> = Result<Held<'q, Q>, (Invalid, AtHome<queue::Request<'q>>)>;

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
#[inline]
pub(super) fn in_place<Q: ShmMessage>(ring: AtHome<queue::Request<'_>>) -> Holding<'_, Q> {
    InPlace::new(ring).map(Held::InPlace)
}

/// Decodes a request.
pub(super) fn decoded<Q, C: Decode<Q>>(ring: AtHome<queue::Request<'_>>) -> Holding<'_, Q> {
    match decode::<Q, C>(ring.bytes()) {
        Ok(message) => Ok(Held::Decoded(Box::new(message), ring)),
        Err(why) => Err((why, ring)),
    }
}

/// Others can write to the slot: what is decoded must not change meanwhile.
pub(super) fn decode<M, C: Decode<M>>(bytes: &[u8]) -> Result<M, Invalid> {
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

/// Encodes a message.
pub(super) fn encode<M: ?Sized, C: Encode<M>>(
    message: &M,
) -> impl Fn(&mut [u8]) -> Result<usize, EncodeError> {
    move |room| C::encode(message, room)
}

/// Encodes a request. It gets the first half of its slot, so that every reply has the other one.
pub(super) fn encode_request<Q: ?Sized, C: Encode<Q>>(
    request: &Q,
) -> impl Fn(&mut [u8]) -> Result<usize, EncodeError> {
    move |room| {
        let half = room.len() / 2;
        C::encode(request, &mut room[..half])
    }
}
