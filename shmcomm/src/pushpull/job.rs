//! Jobs and loans: messages in their slots that a puller works on or a pusher builds.
//!
//! Owns the effect of `done`, put back, send and drop on the slot, and the notification of the other ends.
//! Never blocks.

use super::PushError;
use crate::counts;
use crate::message::in_place::{InPlace, InPlaceMut};
use crate::message::{Invalid, ShmMessage};
use crate::os;
use crate::queue_end::QueueEvents;
use crate::ring::{ForkGuard, StableBytes, queue};
use crate::segment::Attachment;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A job in place, which dereferences to the message. No other puller has the job.
///
/// [`done`](Job::done) acknowledges it. A job that is dropped without `done` returns to the queue for another
/// puller, marked [`redelivered`](Job::redelivered). The death of this process has the same effect. A
/// forgotten job is not delivered to any puller until this puller is dropped.
#[must_use = "a job that is dropped goes back to the queue; call `done` when it is finished"]
pub struct Job<'q, M> {
    // In this order: the slot is released, then the other ends are notified.
    place: InPlace<ForkGuard<queue::Job<'q>>, M>,
    notify: NotifyOnDrop<'q>,
}

/// Notifies the other ends when a job is over.
struct NotifyOnDrop<'q> {
    wake: &'q QueueEvents,
    done: bool,
}

impl Drop for NotifyOnDrop<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.wake.fork_id.forked() {
            return;
        }
        if self.done { self.wake.room.notify() } else { self.wake.items.notify() }
    }
}

impl<'q, M: ShmMessage> Job<'q, M> {
    #[inline]
    pub(super) fn new(job: queue::Job<'q>, wake: &'q QueueEvents, prefix: bool) -> Result<Self, Invalid> {
        let mut notify = NotifyOnDrop { wake, done: false };
        let job = ForkGuard::new(job, wake.fork_id);
        match if prefix { InPlace::prefix(job) } else { InPlace::new(job) } {
            Ok(place) => Ok(Job { place, notify }),
            Err((why, job)) => {
                // Another puller could not use the job either.
                notify.done = job.into_inner().is_some_and(queue::Job::done);
                Err(why)
            }
        }
    }

    /// Acknowledges the job: it is finished, and its slot is free for another message.
    #[inline]
    pub fn done(self) {
        let Job { place, mut notify } = self;
        notify.done = place.into_keeper().into_inner().is_some_and(queue::Job::done);
    }

    /// Puts the job back for another puller, like dropping it.
    pub fn put_back(self) {}

    /// Returns `true` if another puller had this job before and did not finish it.
    pub fn redelivered(&self) -> bool {
        self.place.guard().redelivered()
    }
}

/// A job of bytes, whose layout is known at run time: see [`Job`].
pub(crate) struct BytesJob<'q> {
    // In this order: the slot is released, then the other ends are notified.
    job: ForkGuard<queue::Job<'q>>,
    notify: NotifyOnDrop<'q>,
}

impl<'q> BytesJob<'q> {
    pub(super) fn new(job: queue::Job<'q>, wake: &'q QueueEvents) -> Self {
        BytesJob { job: ForkGuard::new(job, wake.fork_id), notify: NotifyOnDrop { wake, done: false } }
    }

    /// Returns the bytes of the message.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.job.bytes()
    }

    /// Returns `true` if another puller had this job before and did not finish it.
    pub(crate) fn redelivered(&self) -> bool {
        self.job.redelivered()
    }

    /// Acknowledges the job.
    pub(crate) fn done(self) {
        let BytesJob { job, mut notify } = self;
        notify.done = job.into_inner().is_some_and(queue::Job::done);
    }
}

impl<M: ShmMessage> Deref for Job<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.place.get()
    }
}

impl<M: ShmMessage + fmt::Debug> fmt::Debug for Job<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("message", &**self).field("redelivered", &self.redelivered()).finish()
    }
}

/// A message that is being built in its slot, which the loan dereferences to. See
/// [`Pusher::loan`](super::Pusher::loan).
///
/// A dropped loan sends no message and frees the slot. A forgotten loan keeps the slot until this pusher is
/// dropped.
#[must_use = "a loan that is dropped sends nothing"]
pub struct PushLoan<'q, M> {
    place: InPlaceMut<ForkGuard<queue::Loan<'q>>, M>,
    attachment: &'q Attachment,
    wake: &'q QueueEvents,
}

impl<'q, M: ShmMessage> PushLoan<'q, M> {
    #[inline]
    pub(super) fn new(loan: queue::Loan<'q>, attachment: &'q Attachment, wake: &'q QueueEvents) -> Self {
        PushLoan { place: InPlaceMut::new(ForkGuard::new(loan, wake.fork_id)), attachment, wake }
    }

    /// Sends the message and wakes a puller that sleeps. Does not block.
    ///
    /// # Errors
    /// [`PushError::Damaged`] if another process has overwritten the slot's word, [`PushError::Forked`] in a
    /// forked child.
    pub fn send(self) -> Result<(), PushError> {
        let loan = self.place.into_keeper().into_inner().ok_or(PushError::Forked)?;
        if !loan.commit(size_of::<M>(), os::monotonic_coarse()) {
            return Err(PushError::Damaged);
        }
        counts::message(size_of::<M>(), self.attachment);
        self.wake.items.notify();
        Ok(())
    }
}

impl<M: ShmMessage> Deref for PushLoan<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.place.get()
    }
}

impl<M: ShmMessage> DerefMut for PushLoan<'_, M> {
    fn deref_mut(&mut self) -> &mut M {
        self.place.get_mut()
    }
}

impl<M: ShmMessage + fmt::Debug> fmt::Debug for PushLoan<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PushLoan").field(&**self).finish()
    }
}
