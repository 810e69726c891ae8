//! Jobs and loans: messages in their slots, to be worked on or to be made.
//!
//! Owns what happens when a job is done, put back or dropped, and when a loan is sent or dropped, and
//! who is woken by it. Never blocks.

use super::PushError;
use super::end::Wake;
use crate::counts::Counts;
use crate::message::in_place::{InPlace, InPlaceMut};
use crate::message::{Invalid, ShmMessage};
use crate::os;
use crate::ring::{AtHome, queue};
use crate::segment::Attachment;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A job in place: dereferences to the message. No other puller has it.
///
/// [`done`](Job::done) acknowledges it. Dropping it without puts it back for another puller, marked
/// [`redelivered`](Job::redelivered); so does the death of this process. Forgetting it keeps it from
/// everybody until this puller is dropped.
#[must_use = "a job that is dropped goes back to the queue; call `done` when it is finished"]
pub struct Job<'q, M> {
    // In this order: the slot is given up, then others are told.
    place: InPlace<AtHome<queue::Job<'q>>, M>,
    after: After<'q>,
}

/// Tells others when a job is over.
struct After<'q> {
    wake: &'q Wake,
    done: bool,
}

impl Drop for After<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.wake.lineage.forked() {
            return;
        }
        if self.done { self.wake.room.notify() } else { self.wake.items.notify() }
    }
}

impl<'q, M: ShmMessage> Job<'q, M> {
    #[inline]
    pub(super) fn new(job: queue::Job<'q>, wake: &'q Wake) -> Result<Self, Invalid> {
        let mut after = After { wake, done: false };
        match InPlace::new(AtHome::new(job, wake.lineage)) {
            Ok(place) => Ok(Job { place, after }),
            Err((why, job)) => {
                // Whoever else got it could not use it either.
                after.done = job.into_inner().is_some_and(queue::Job::done);
                Err(why)
            }
        }
    }

    /// Acknowledges the job: it is finished, and its slot is free for another message.
    #[inline]
    pub fn done(self) {
        let Job { place, mut after } = self;
        after.done = place.into_keeper().into_inner().is_some_and(queue::Job::done);
    }

    /// Puts the job back for another puller, as dropping it does.
    pub fn put_back(self) {}

    /// Whether somebody had this job before and did not finish it.
    pub fn redelivered(&self) -> bool {
        self.place.keeper().redelivered()
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

/// A message that is being made in its slot: dereferences to it. See
/// [`Pusher::loan`](super::Pusher::loan).
///
/// Dropping it sends nothing and gives the slot back; forgetting it keeps the slot until this pusher
/// is dropped.
#[must_use = "a loan that is dropped sends nothing"]
pub struct PushLoan<'q, M> {
    place: InPlaceMut<AtHome<queue::Loan<'q>>, M>,
    counts: &'q mut Counts,
    attachment: &'q Attachment,
    wake: &'q Wake,
}

impl<'q, M: ShmMessage> PushLoan<'q, M> {
    #[inline]
    pub(super) fn new(
        loan: queue::Loan<'q>,
        counts: &'q mut Counts,
        attachment: &'q Attachment,
        wake: &'q Wake,
    ) -> Self {
        PushLoan { place: InPlaceMut::new(AtHome::new(loan, wake.lineage)), counts, attachment, wake }
    }

    /// Sends the message and wakes a puller that sleeps. Does not block.
    ///
    /// # Errors
    /// [`PushError::Damaged`] if somebody has written over the slot's word, [`PushError::Forked`] in a forked
    /// child.
    pub fn send(self) -> Result<(), PushError> {
        let loan = self.place.into_keeper().into_inner().ok_or(PushError::Forked)?;
        if !loan.publish(size_of::<M>(), os::monotonic_coarse()) {
            return Err(PushError::Damaged);
        }
        self.counts.message(size_of::<M>(), false, self.attachment);
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
