//! [`Reply`]: a reply that its requester reads in its slot.
//!
//! Owns the guard. Never waits; the release of a slot is in `raw_requester`.

use super::RequestError;
use super::raw_requester::RawRequester;
use crate::message::ShmMessage;
use crate::message::in_place::InPlace;
use crate::ring::ReplyGuard;
use core::fmt;
use core::ops::Deref;

/// A reply in place, which the guard dereferences to. See [`Call::wait_ref`](super::Call::wait_ref).
///
/// Its slot belongs to this requester and is free for another request when the reply is dropped. A forgotten
/// reply keeps the slot until the requester is dropped. The death of the replier does not affect it.
///
/// In the child of a fork the reply may be dropped, but must not be read: its memory is not mapped there.
#[must_use = "a reply that is dropped at once was received for nothing"]
pub struct Reply<'r, R> {
    place: InPlace<ReplyGuard<&'r RawRequester>, R>,
}

impl<'r, R: ShmMessage> Reply<'r, R> {
    #[inline]
    pub(super) fn new(reply: ReplyGuard<&'r RawRequester>) -> Result<Self, RequestError> {
        let end = reply.end();
        let place = match end.check_in_place("wait") {
            Ok(false) => InPlace::new(reply),
            Ok(true) => InPlace::prefix(reply),
            Err(why) => Err((why, reply)),
        };
        match place {
            Ok(place) => Ok(Reply { place }),
            Err((why, reply)) => {
                drop(reply);
                Err(end.refuse(why))
            }
        }
    }
}

impl<R: ShmMessage> Deref for Reply<'_, R> {
    type Target = R;

    #[inline(always)]
    fn deref(&self) -> &R {
        self.place.get()
    }
}

impl<R: ShmMessage + fmt::Debug> fmt::Debug for Reply<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&**self).finish()
    }
}
