//! [`Request`]: a request while its replier works on it.
//!
//! Owns the effect of answer, decline and drop on the slot, and the notification of the other ends. Never
//! blocks.

use super::form::RequestView;
use super::{ReplyError, ServeError};
use crate::codec::{EncodeError, Incoming, Outgoing};
use crate::counts;
use crate::fault::fault_point;
use crate::message::in_place::InPlaceMut;
use crate::message::{Fixed, Invalid, ShmMessage};
use crate::queue_end::QueueEvents;
use crate::ring::{ForkGuard, ReplyBuffer, StableBytes, StableBytesMut, queue};
use crate::schema::resolve::Resolved;
use crate::segment::Attachment;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

/// A request, which dereferences to the message. No other replier has it.
///
/// [`reply`](Request::reply) answers it. If it is dropped without an answer, its requester receives
/// `Unanswered` at once; a panic has the same effect. If this process dies, the requester receives
/// `PeerDied`, or another replier gets the request: see [`Requester`](super::Requester). If it is forgotten,
/// the requester waits until this replier is dropped.
#[must_use = "dropping a request tells its requester that it stays unanswered"]
pub struct Request<'q, Q: ?Sized, R: ?Sized, F: ?Sized = Fixed> {
    // In this order: the slot is released, then the other ends are notified.
    held: RequestView<'q, Q>,
    notify: NotifyOnDrop<'q>,
    _reply: PhantomData<fn(&R, &F)>,
}

/// Notifies the other ends when a request is over.
pub(super) struct NotifyOnDrop<'q> {
    pub(super) wake: &'q QueueEvents,
    /// `true` if its slot is free, because no requester waited for the answer.
    pub(super) freed: bool,
}

impl<'q> NotifyOnDrop<'q> {
    #[inline]
    pub(super) fn new(wake: &'q QueueEvents) -> Self {
        NotifyOnDrop { wake, freed: false }
    }

    /// Leaves the request unanswered.
    pub(super) fn decline(&mut self, request: Option<queue::Request<'_>>) {
        self.freed = request.is_some_and(|request| request.decline() == queue::Delivery::Cancelled);
    }
}

impl Drop for NotifyOnDrop<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.wake.fork_id.forked() {
            return;
        }
        if self.freed {
            self.wake.room.notify();
        } else {
            self.wake.replies.notify();
        }
    }
}

impl<'q, Q: ?Sized, R: ?Sized, F: ?Sized> Request<'q, Q, R, F> {
    #[inline]
    pub(super) fn new(held: RequestView<'q, Q>, wake: &'q QueueEvents) -> Self {
        Request { held, notify: NotifyOnDrop::new(wake), _reply: PhantomData }
    }

    /// Tells the requester that there will be no reply, like dropping the request.
    pub fn decline(self) {
        let Request { held, mut notify, .. } = self;
        notify.decline(held.into_keeper().into_inner());
    }

    /// Returns `true` if the requester still waits for the reply; loads one word. Returns `false` in a forked
    /// child.
    pub fn is_wanted(&self) -> bool {
        !self.held.guard().forked() && self.held.guard().is_wanted()
    }

    /// Returns `true` if another replier had this request before and died with it.
    pub fn redelivered(&self) -> bool {
        self.held.guard().redelivered()
    }

    #[inline]
    pub(super) fn answer(
        self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<(), ReplyError> {
        let Request { held, mut notify, .. } = self;
        if held.guard().forked() {
            return Err(ReplyError::Forked);
        }
        let mut room = ReplyBuffer::new(held.into_keeper());
        let written = write(room.bytes_mut());
        fault_point!("reply.written");
        match written {
            Ok(len) => finish(room, len, &mut notify),
            Err(why) => {
                notify.decline(room.into_request());
                Err(ReplyError::Unencodable(why))
            }
        }
    }
}

#[inline]
fn finish(room: ReplyBuffer<'_>, len: usize, notify: &mut NotifyOnDrop<'_>) -> Result<(), ReplyError> {
    let request = room.into_request().ok_or(ReplyError::Forked)?;
    notify.freed = request.reply(len) == queue::Delivery::Cancelled;
    if notify.freed { Err(ReplyError::Cancelled) } else { Ok(()) }
}

impl<Q: ?Sized, R: ?Sized, F: Outgoing<R>> Request<'_, Q, R, F> {
    /// Answers with `reply`: copies a fixed layout, encodes with a codec. Does not block.
    ///
    /// # Errors
    /// [`ReplyError::Cancelled`] if the requester has cancelled the request. With a codec,
    /// [`ReplyError::Unencodable`] with the exact size if the encoded reply does not fit into the slot.
    pub fn reply(self, reply: &R) -> Result<(), ReplyError> {
        self.answer(|room| F::write(reply, room))
    }
}

impl<Q, R: ShmMessage> Request<'_, Q, R> {
    /// Answers with a reply that `make` builds in its slot. If all bytes are valid in an `R`, it starts from
    /// the previous contents of the slot; otherwise its bytes are zero. An `R` without an all-zero value does
    /// not compile here.
    ///
    /// # Errors
    /// [`ReplyError::Cancelled`] if the requester has cancelled the request.
    pub fn reply_with(self, make: impl FnOnce(&mut R)) -> Result<(), ReplyError> {
        let Request { held, mut notify, .. } = self;
        if held.guard().forked() {
            return Err(ReplyError::Forked);
        }
        let mut room = ReplyBuffer::new(held.into_keeper());
        if room.bytes_mut().len() < size_of::<R>() {
            let (needed, capacity) = (size_of::<R>(), room.bytes_mut().len());
            notify.decline(room.into_request());
            return Err(ReplyError::Unencodable(EncodeError::TooLong { needed, capacity }));
        }
        let mut place = InPlaceMut::<_, R>::new(room);
        make(place.get_mut());
        finish(place.into_keeper(), size_of::<R>(), &mut notify)
    }
}

/// Counts and declines a request whose bytes are not valid.
pub(super) struct Refusal<'q> {
    pub(super) attachment: &'q Attachment,
    pub(super) wake: &'q QueueEvents,
}

impl Refusal<'_> {
    /// Reads a request: in its slot, or converted if the segment has another layout than the replier.
    #[inline(always)]
    pub(super) fn view<'q, Q: ?Sized, F: Incoming<Q>>(
        self,
        request: ForkGuard<queue::Request<'q>>,
        resolved: Option<&Resolved>,
    ) -> Result<RequestView<'q, Q>, ServeError> {
        match resolved {
            None => F::view(request, |why, request| self.refuse(why, request)),
            Some(resolved) => match resolved.converted(request.bytes()) {
                Ok(bytes) => F::view_copy(&bytes, request, |why, request| self.refuse(why, request)),
                Err(why) => Err(self.refuse(why, request)),
            },
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn refuse(self, why: Invalid, request: ForkGuard<queue::Request<'_>>) -> ServeError {
        counts::refused(&why, self.attachment);
        // Declined, because another replier could not answer it either.
        NotifyOnDrop::new(self.wake).decline(request.into_inner());
        ServeError::Invalid(why)
    }
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Deref for Request<'_, Q, R, F> {
    type Target = Q;

    fn deref(&self) -> &Q {
        self.held.message()
    }
}

impl<Q: fmt::Debug + ?Sized, R: ?Sized, F: ?Sized> fmt::Debug for Request<'_, Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("message", &&**self)
            .field("redelivered", &self.redelivered())
            .finish_non_exhaustive()
    }
}
