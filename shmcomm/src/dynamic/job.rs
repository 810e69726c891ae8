//! [`DynJob`]: a job that a puller works on, whose layout is known at run time.
//!
//! Owns a copy of the message. Calls the jobs of push/pull. Never acknowledges a job by itself.

use super::pushpull::{DynPuller, Receiver};
use super::{DynError, DynMessage};
use crate::pushpull::BytesJob;
use crate::wait::Deadline;
use core::fmt;
use std::time::Duration;

/// A job of a [`DynPuller`]. No other puller has it.
///
/// [`done`](DynJob::done) acknowledges it. A job that is dropped without `done` returns to the queue for another
/// puller, marked [`redelivered`](DynJob::redelivered). The death of this process has the same effect.
#[must_use = "a job that is dropped goes back to the queue; call `done` when it is finished"]
pub struct DynJob<'q> {
    message: DynMessage,
    job: BytesJob<'q>,
}

impl DynPuller {
    /// Returns the next job, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Empty`] if there is none; see [`claim`](DynPuller::claim).
    pub fn try_claim(&mut self) -> Result<DynJob<'_>, DynError> {
        self.claim_until(None, DynError::Empty)
    }

    /// Returns the next job, blocking until there is one.
    ///
    /// # Errors
    /// [`DynError::Stopped`], [`DynError::Forked`]; [`DynError::Other`] on the Python wire, to which a job cannot be
    /// returned.
    pub fn claim(&mut self) -> Result<DynJob<'_>, DynError> {
        self.claim_until(Some(Deadline::Never), DynError::Forked)
    }

    /// Returns the next job, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none came in time; see [`claim`](DynPuller::claim).
    pub fn claim_timeout(&mut self, timeout: Duration) -> Result<DynJob<'_>, DynError> {
        self.claim_until(Some(Deadline::after(timeout)), DynError::Timeout)
    }

    fn claim_until(&mut self, deadline: Option<Deadline>, none: DynError) -> Result<DynJob<'_>, DynError> {
        let job = match &mut self.end {
            Receiver::Native(end) => end.claim_bytes(deadline)?.ok_or(none)?,
            #[cfg(feature = "python")]
            Receiver::Python(_) => {
                let why = "a job of the Python wire cannot be returned to its queue; receive it instead of claiming it";
                return Err(DynError::Other(why.into()));
            }
        };
        Ok(DynJob { message: DynMessage::new(job.bytes().to_vec(), &self.payload), job })
    }
}

impl DynJob<'_> {
    /// Returns the message.
    pub fn message(&self) -> &DynMessage {
        &self.message
    }

    /// Returns `true` if another puller had this job before and did not finish it.
    pub fn redelivered(&self) -> bool {
        self.job.redelivered()
    }

    /// Acknowledges the job: it is finished, and its slot is free for another message.
    pub fn done(self) {
        self.job.done();
    }

    /// Puts the job back for another puller, like dropping it.
    pub fn put_back(self) {}
}

impl fmt::Debug for DynJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynJob").field("message", &self.message).finish_non_exhaustive()
    }
}
