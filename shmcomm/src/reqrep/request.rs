//! [`Request`]: a request while its replier works on it.
//!
//! Owns what happens when it is answered, declined or dropped, and who is woken by it. Never blocks.

use super::ReplyError;
use super::end::Wake;
use super::form::{Held, copy, encode};
use crate::codec::{Encode, EncodeError};
use crate::fault::fault_point;
use crate::message::in_place::InPlaceMut;
use crate::message::{Fixed, ShmMessage};
use crate::ring::{AtHome, KeepMut, ReplyRoom, queue};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

/// A request: dereferences to the message. No other replier has it.
///
/// [`reply`](Request::reply) answers it. Dropping it without tells its requester at once that it stays
/// unanswered; so does a panic. If this process dies, the requester is told, or another replier gets
/// the request: see [`Requester`](super::Requester). Forgetting it makes the requester wait until this
/// replier is dropped.
#[must_use = "dropping a request tells its requester that it stays unanswered"]
pub struct Request<'q, Q, R, F: ?Sized = Fixed> {
    // In this order: the slot is given up, then others are told.
    held: Held<'q, Q>,
    after: After<'q>,
    _reply: PhantomData<fn(&R, &F)>,
}

/// Tells others when a request is over.
struct After<'q> {
    wake: &'q Wake,
    /// Its slot is free: nobody waited for an answer.
    freed: bool,
}

impl After<'_> {
    /// Leaves the request unanswered.
    fn decline(&mut self, request: Option<queue::Request<'_>>) {
        self.freed = request.is_some_and(|request| request.decline() == queue::Answer::Cancelled);
    }
}

impl Drop for After<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.wake.lineage.forked() {
            return;
        }
        if self.freed {
            self.wake.room.notify();
        } else {
            self.wake.replies.notify();
        }
    }
}

impl<'q, Q, R, F: ?Sized> Request<'q, Q, R, F> {
    #[inline]
    pub(super) fn new(held: Held<'q, Q>, wake: &'q Wake) -> Self {
        Request { held, after: After { wake, freed: false }, _reply: PhantomData }
    }

    /// Tells the requester that there will be no reply, as dropping does.
    pub fn decline(self) {
        let Request { held, mut after, .. } = self;
        after.decline(held.into_ring().into_inner());
    }

    /// Whether the requester still waits for the reply; a look at one word. In a forked child: no.
    pub fn is_wanted(&self) -> bool {
        !self.held.ring().forked() && self.held.ring().is_wanted()
    }

    /// Whether another replier had this request before, and died with it.
    pub fn redelivered(&self) -> bool {
        self.held.ring().redelivered()
    }

    #[inline]
    pub(super) fn answer(
        self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<(), ReplyError> {
        let Request { held, mut after, .. } = self;
        if held.ring().forked() {
            return Err(ReplyError::Forked);
        }
        let mut room = ReplyRoom::new(held.into_ring());
        let written = write(room.bytes_mut());
        fault_point!("reply.written");
        match written {
            Ok(len) => finish(room, len, &mut after),
            Err(why) => {
                after.decline(room.into_request());
                Err(ReplyError::Unencodable(why))
            }
        }
    }
}

#[inline]
fn finish(room: ReplyRoom<'_>, len: usize, after: &mut After<'_>) -> Result<(), ReplyError> {
    let request = room.into_request().ok_or(ReplyError::Forked)?;
    after.freed = request.reply(len) == queue::Answer::Cancelled;
    if after.freed { Err(ReplyError::Cancelled) } else { Ok(()) }
}

impl<Q, R: ShmMessage> Request<'_, Q, R> {
    /// Answers with a copy of `reply`. Does not block.
    ///
    /// # Errors
    /// [`ReplyError::Cancelled`] if the requester has given up.
    pub fn reply(self, reply: &R) -> Result<(), ReplyError> {
        self.answer(copy(reply))
    }

    /// Answers with a reply that `make` makes in its slot. What it starts from is what the slot last
    /// held where any bytes are a valid `R`, and otherwise all bytes zero; an `R` without such a value
    /// does not compile here.
    ///
    /// # Errors
    /// [`ReplyError::Cancelled`] if the requester has given up.
    pub fn reply_with(self, make: impl FnOnce(&mut R)) -> Result<(), ReplyError> {
        let Request { held, mut after, .. } = self;
        if held.ring().forked() {
            return Err(ReplyError::Forked);
        }
        let mut room = ReplyRoom::new(held.into_ring());
        if room.bytes_mut().len() < size_of::<R>() {
            let (needed, capacity) = (size_of::<R>(), room.bytes_mut().len());
            after.decline(room.into_request());
            return Err(ReplyError::Unencodable(EncodeError::TooLong { needed, capacity }));
        }
        let mut place = InPlaceMut::<_, R>::new(room);
        make(place.get_mut());
        finish(place.into_keeper(), size_of::<R>(), &mut after)
    }
}

impl<Q, R, C: Encode<R>> Request<'_, Q, R, C> {
    /// Answers with `reply`, encoded. Does not block.
    ///
    /// # Errors
    /// [`ReplyError::Cancelled`] if the requester has given up; [`ReplyError::Unencodable`] with the
    /// exact size if the encoded reply does not fit into the slot.
    pub fn reply(self, reply: &R) -> Result<(), ReplyError> {
        self.answer(encode::<R, C>(reply))
    }
}

/// Declines a request whose bytes are no message: nobody else could answer it either.
pub(super) fn refuse(request: AtHome<queue::Request<'_>>, wake: &Wake) {
    After { wake, freed: false }.decline(request.into_inner());
}

impl<Q, R, F: ?Sized> Deref for Request<'_, Q, R, F> {
    type Target = Q;

    fn deref(&self) -> &Q {
        self.held.message()
    }
}

impl<Q: fmt::Debug, R, F: ?Sized> fmt::Debug for Request<'_, Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("message", &**self)
            .field("redelivered", &self.redelivered())
            .finish_non_exhaustive()
    }
}
