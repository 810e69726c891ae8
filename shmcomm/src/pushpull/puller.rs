//! [`Puller`]: a receiving end.
//!
//! Owns the four ways to receive, by value and in place. The steps without the message type are in `raw`, and
//! the format reads the message. Never touches a slot itself.

use super::job::{BytesJob, Job};
use super::{OPS, PullError, PullTimeoutError, TryPullError};
use crate::codec::Incoming;
use crate::counts;
use crate::error::Error;
use crate::message::{Fixed, Invalid, ShmMessage};
use crate::queue_end::{QueueEnd, State};
use crate::ring::queue::AcquiredSlot;
use crate::schema::Resolution;
use crate::schema::resolve::Resolved;
use crate::segment::{Role, Spec};
use crate::stats::{self, Stats};
use crate::wait::{Deadline, StopHandle};
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// A receiving end of a push/pull channel: a worker. Any number of pullers may be open, in any order with the
/// pushers; each message goes to one of them.
///
/// By value ([`recv`](Puller::recv)) a message is acknowledged as soon as it is copied: if this process dies
/// afterwards, the message counts as delivered. In place ([`claim`](Puller::claim)) the message is
/// acknowledged by [`Job::done`]: if this process dies before, another puller gets it, marked
/// [`redelivered`](Job::redelivered). While no puller dies, every message is received exactly once. Each
/// death of a puller may repeat one message.
///
/// A blocking call polls for a few microseconds and then sleeps in the kernel until a message is sent. It
/// waits on an empty queue even if no pusher is alive. A [`StopHandle`] ends the calls that block, with
/// `Stopped`.
pub struct Puller<M: ?Sized, F: ?Sized = Fixed> {
    pub(super) end: QueueEnd<State>,
    _messages: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized> Puller<M, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Puller { end: QueueEnd::open(&spec, Role::Puller, OPS, |state| state)?, _messages: PhantomData })
    }

    /// Returns the full name of the channel, with its namespace.
    pub fn name(&self) -> &str {
        self.end.attachment.channel()
    }

    /// Returns what this puller does with the fields of a pusher whose layout is not its own: see
    /// `docs/evolution.md`. All lists are empty if the layouts are equal.
    pub fn resolution(&self) -> &Resolution {
        self.end.resolution()
    }

    /// Returns the handle that stops the blocking calls of this puller from another thread or from a signal
    /// handler.
    ///
    /// If the puller was [opened with](crate::Opener::stop) a handle, this is that handle.
    pub fn stop_handle(&self) -> StopHandle {
        self.end.stop.handle()
    }

    /// Returns the counts of the channel, the number of waiting jobs, the age of the oldest, and one entry
    /// per participant.
    pub fn stats(&self) -> Stats {
        stats::read_queue(&self.end.attachment, &self.end.state.queue)
    }
}

impl<M: ?Sized, F: Incoming<M>> Puller<M, F> {
    /// Returns the next message, if there is one. Never blocks.
    ///
    /// A large message of a fixed layout takes its size of stack, in a debug build several times.
    /// [`try_claim`](Puller::try_claim) takes none.
    ///
    /// # Errors
    /// [`TryPullError::Empty`] if there is none, [`TryPullError::Invalid`] if its bytes are no `M`. For the
    /// other errors see [`TryPullError`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<F::Owned, TryPullError> {
        self.get()?.ok_or(TryPullError::Empty)
    }

    /// Returns the next message, blocking until there is one.
    ///
    /// A large message of a fixed layout takes its size of stack, in a debug build several times. [`claim`](Puller::claim)
    /// takes none.
    ///
    /// # Errors
    /// See [`PullError`].
    #[inline]
    pub fn recv(&mut self) -> Result<F::Owned, PullError> {
        loop {
            if let Some(message) = self.get_until(Deadline::Never)? {
                return Ok(message);
            }
        }
    }

    /// Returns the next message, blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// The message is returned by value: a large one of a fixed layout takes its size of stack.
    /// [`claim_timeout`](Puller::claim_timeout) takes none.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came in time; for the other errors see [`PullTimeoutError`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<F::Owned, PullTimeoutError> {
        self.get_until(Deadline::after(timeout))?.ok_or(PullTimeoutError::Timeout)
    }

    /// Returns the next message, blocking until `deadline` at the latest.
    ///
    /// The message is returned by value: a large one of a fixed layout takes its size of stack.
    /// [`claim_deadline`](Puller::claim_deadline) takes none.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came in time; for the other errors see [`PullTimeoutError`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<F::Owned, PullTimeoutError> {
        self.get_until(Deadline::At(deadline))?.ok_or(PullTimeoutError::Timeout)
    }

    #[inline]
    fn get_until(&mut self, deadline: Deadline) -> Result<Option<F::Owned>, PullError> {
        match self.end.resolved.clone() {
            None => self.end.get_until(F::read, deadline),
            Some(resolved) => self.end.get_until(|bytes| convert::<M, F>(&resolved, bytes), deadline),
        }
    }

    /// Takes the next message, reads it and acknowledges it.
    #[inline]
    pub(super) fn get(&mut self) -> Result<Option<F::Owned>, PullError> {
        match self.end.resolved.clone() {
            None => self.end.get(F::read),
            Some(resolved) => self.end.get(|bytes| convert::<M, F>(&resolved, bytes)),
        }
    }
}

impl<M: ?Sized, F: ?Sized> Puller<M, F> {
    /// Takes the next message as bytes, waiting for it if there is a deadline.
    pub(crate) fn claim_bytes(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<BytesJob<'_>>, PullError> {
        let Some(taken) = self.end.take_until(deadline)? else { return Ok(None) };
        let QueueEnd { attachment, wake, state: State { queue, .. }, .. } = &mut self.end;
        let job = queue.job(taken);
        counts::taken(job.len(), job.redelivered(), attachment);
        Ok(Some(BytesJob::new(job, wake)))
    }
}

/// Reads a message of another layout.
fn convert<M: ?Sized, F: Incoming<M>>(resolved: &Resolved, bytes: &[u8]) -> Result<F::Owned, Invalid> {
    let converted = resolved.converted(bytes)?;
    F::read_private(&converted, converted.len())
}

impl<M: ShmMessage> Puller<M> {
    /// Returns the next message in place, which [`Job::done`] acknowledges. Never blocks.
    ///
    /// # Errors
    /// [`TryPullError::Empty`] if there is none; for the other errors see [`TryPullError`].
    #[inline]
    pub fn try_claim(&mut self) -> Result<Job<'_, M>, TryPullError> {
        self.claim_until(None)?.ok_or(TryPullError::Empty)
    }

    /// Returns the next message in place, which [`Job::done`] acknowledges. Blocks until there is one.
    ///
    /// # Errors
    /// See [`PullError`].
    pub fn claim(&mut self) -> Result<Job<'_, M>, PullError> {
        self.claim_until(Some(Deadline::Never))?.ok_or(PullError::Forked)
    }

    /// Returns the next message in place, which [`Job::done`] acknowledges. Blocks for at most `timeout`.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came in time; for the other errors see [`PullTimeoutError`].
    pub fn claim_timeout(&mut self, timeout: Duration) -> Result<Job<'_, M>, PullTimeoutError> {
        self.claim_until(Some(Deadline::after(timeout)))?.ok_or(PullTimeoutError::Timeout)
    }

    /// Returns the next message in place, which [`Job::done`] acknowledges. Blocks until `deadline` at the
    /// latest.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came in time; for the other errors see [`PullTimeoutError`].
    pub fn claim_deadline(&mut self, deadline: Instant) -> Result<Job<'_, M>, PullTimeoutError> {
        self.claim_until(Some(Deadline::At(deadline)))?.ok_or(PullTimeoutError::Timeout)
    }

    fn claim_until(&mut self, deadline: Option<Deadline>) -> Result<Option<Job<'_, M>>, PullError> {
        let prefix = self.end.check_in_place("recv").map_err(PullError::Invalid)?;
        match self.end.take_until(deadline)? {
            Some(taken) => self.show(taken, prefix).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the message that was taken. `prefix`: the message is longer than an `M` and starts with one.
    #[inline]
    pub(super) fn show(&mut self, taken: AcquiredSlot, prefix: bool) -> Result<Job<'_, M>, PullError> {
        let QueueEnd { attachment, wake, state: State { queue, .. }, .. } = &mut self.end;
        let job = queue.job(taken);
        let (len, redelivered) = (job.len(), job.redelivered());
        match Job::new(job, wake, prefix) {
            Ok(job) => {
                counts::taken(len, redelivered, attachment);
                Ok(job)
            }
            Err(why) => {
                counts::refused(&why, attachment);
                Err(PullError::Invalid(why))
            }
        }
    }
}

/// Ready when a message waits, and in the child of a fork.
impl<M: ?Sized, F: ?Sized> Waitable for Puller<M, F> {}

impl<M: ?Sized, F: ?Sized> Watchable for Puller<M, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.watch(Awaited::Item)
    }
}
