//! [`Puller`]: a receiving end.
//!
//! Owns the four ways to receive, by value and in place. What both ends share is in `end`. Never
//! touches a slot itself.

use super::end::End;
use super::job::Job;
use super::{PullError, PullTimeoutError, TryPullError};
use crate::codec::Decode;
use crate::error::Error;
use crate::fault::fault_point;
use crate::message::in_place::copy_out;
use crate::message::{Fixed, Invalid, ShmMessage};
use crate::ring::Keep;
use crate::ring::queue::Taken;
use crate::segment::{Role, Spec};
use crate::stats::{self, Stats};
use crate::wait::Deadline;
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// A receiving end of a push/pull channel: a worker. Any number may be open, in any order with the
/// pushers; each message goes to one of them.
///
/// By value ([`recv`](Puller::recv)) a message is acknowledged as soon as it is copied: if this
/// process dies afterwards, it was delivered. In place ([`claim`](Puller::claim)) it is acknowledged
/// by [`Job::done`]: if this process dies before, another puller gets it, marked
/// [`redelivered`](Job::redelivered). So while nobody dies every message is received exactly once, and
/// every death of a puller may repeat one.
///
/// Blocking means a few microseconds of looking, then sleep in the kernel until a message is sent. An
/// empty queue is waited for, whether or not a pusher is alive.
pub struct Puller<M: ?Sized, F: ?Sized = Fixed> {
    pub(super) end: End,
    _messages: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized> Puller<M, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Puller { end: End::open(&spec, Role::Puller)?, _messages: PhantomData })
    }

    /// The full name of the channel, namespace included.
    pub fn name(&self) -> &str {
        self.end.attachment.channel()
    }

    /// Counts of the channel, how many jobs wait and how old the oldest is, and one entry for each
    /// participant.
    pub fn stats(&self) -> Stats {
        stats::read_queue(&self.end.attachment, &self.end.queue)
    }
}

impl<M: ShmMessage> Puller<M> {
    /// The next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryPullError::Empty`] if there is none; else see [`TryPullError`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<M, TryPullError> {
        self.get(copy_out)?.ok_or(TryPullError::Empty)
    }

    /// The next message; blocks until there is one.
    ///
    /// # Errors
    /// See [`PullError`].
    pub fn recv(&mut self) -> Result<M, PullError> {
        loop {
            if let Some(message) = self.get_until(copy_out, Deadline::Never)? {
                return Ok(message);
            }
        }
    }

    /// The next message; blocks for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came; else see [`PullTimeoutError`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<M, PullTimeoutError> {
        self.get_until(copy_out, Deadline::after(timeout))?.ok_or(PullTimeoutError::Timeout)
    }

    /// The next message; blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came; else see [`PullTimeoutError`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<M, PullTimeoutError> {
        self.get_until(copy_out, Deadline::At(deadline))?.ok_or(PullTimeoutError::Timeout)
    }

    /// The next message in place, to be acknowledged with [`Job::done`]. Never blocks.
    ///
    /// # Errors
    /// [`TryPullError::Empty`] if there is none; else see [`TryPullError`].
    #[inline]
    pub fn try_claim(&mut self) -> Result<Job<'_, M>, TryPullError> {
        self.claim_until(None)?.ok_or(TryPullError::Empty)
    }

    /// The next message in place, to be acknowledged with [`Job::done`]; blocks until there is one.
    ///
    /// # Errors
    /// See [`PullError`].
    pub fn claim(&mut self) -> Result<Job<'_, M>, PullError> {
        self.claim_until(Some(Deadline::Never))?.ok_or(PullError::Forked)
    }

    /// The next message in place, to be acknowledged with [`Job::done`]; blocks for at most `timeout`.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came; else see [`PullTimeoutError`].
    pub fn claim_timeout(&mut self, timeout: Duration) -> Result<Job<'_, M>, PullTimeoutError> {
        self.claim_until(Some(Deadline::after(timeout)))?.ok_or(PullTimeoutError::Timeout)
    }

    /// The next message in place, to be acknowledged with [`Job::done`]; blocks until `deadline` at
    /// the latest.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came; else see [`PullTimeoutError`].
    pub fn claim_deadline(&mut self, deadline: Instant) -> Result<Job<'_, M>, PullTimeoutError> {
        self.claim_until(Some(Deadline::At(deadline)))?.ok_or(PullTimeoutError::Timeout)
    }

    fn claim_until(&mut self, deadline: Option<Deadline>) -> Result<Option<Job<'_, M>>, PullError> {
        loop {
            if let Some(taken) = self.take()? {
                return self.show(taken).map(Some);
            }
            match deadline {
                Some(deadline) if self.end.wait_for_items(deadline) => {}
                _ => return Ok(None),
            }
        }
    }

    /// Takes the next message.
    #[inline]
    pub(super) fn take(&mut self) -> Result<Option<Taken>, PullError> {
        if self.end.attachment.forked() {
            return Err(PullError::Forked);
        }
        self.end.called();
        Ok(self.end.queue.take_next())
    }

    /// The message that was taken.
    #[inline]
    pub(super) fn show(&mut self, taken: Taken) -> Result<Job<'_, M>, PullError> {
        let End { attachment, queue, counts, wake, .. } = &mut self.end;
        let job = queue.job(taken);
        let (len, redelivered) = (job.len(), job.redelivered());
        match Job::new(job, wake) {
            Ok(job) => {
                counts.message(len, redelivered, attachment);
                Ok(job)
            }
            Err(why) => {
                counts.refused(&why, attachment);
                Err(PullError::Invalid(why))
            }
        }
    }
}

impl<M, C: Decode<M>> Puller<M, C> {
    /// The next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryPullError::Empty`] if there is none; [`TryPullError::Invalid`] if its bytes are no `M`;
    /// else see [`TryPullError`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<M, TryPullError> {
        self.get(decode::<M, C>)?.ok_or(TryPullError::Empty)
    }

    /// The next message; blocks until there is one.
    ///
    /// # Errors
    /// See [`PullError`].
    pub fn recv(&mut self) -> Result<M, PullError> {
        loop {
            if let Some(message) = self.get_until(decode::<M, C>, Deadline::Never)? {
                return Ok(message);
            }
        }
    }

    /// The next message; blocks for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came; else see [`PullTimeoutError`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<M, PullTimeoutError> {
        self.get_until(decode::<M, C>, Deadline::after(timeout))?.ok_or(PullTimeoutError::Timeout)
    }

    /// The next message; blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`PullTimeoutError::Timeout`] if none came; else see [`PullTimeoutError`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<M, PullTimeoutError> {
        self.get_until(decode::<M, C>, Deadline::At(deadline))?.ok_or(PullTimeoutError::Timeout)
    }
}

/// Others can write to the slot: what is decoded must not change meanwhile.
pub(super) fn decode<M, C: Decode<M>>(bytes: &[u8]) -> Result<M, Invalid> {
    let private: Vec<u8> = bytes.into();
    C::decode(&private).map_err(|why| Invalid::decoded::<M>(why.path(), why.reason()))
}

impl<M, F: ?Sized> Puller<M, F> {
    fn get_until(
        &mut self,
        read: impl Fn(&[u8]) -> Result<M, Invalid>,
        deadline: Deadline,
    ) -> Result<Option<M>, PullError> {
        loop {
            if let Some(message) = self.get(&read)? {
                return Ok(Some(message));
            }
            if !self.end.wait_for_items(deadline) {
                return Ok(None);
            }
        }
    }

    /// Takes the next message, reads it and acknowledges it.
    #[inline]
    pub(super) fn get(&mut self, read: impl Fn(&[u8]) -> Result<M, Invalid>) -> Result<Option<M>, PullError> {
        if self.end.attachment.forked() {
            return Err(PullError::Forked);
        }
        self.end.called();
        let Some(job) = self.end.queue.try_pull() else { return Ok(None) };
        let (len, redelivered) = (job.len(), job.redelivered());
        fault_point!("pull.reading");
        let message = read(job.bytes());
        job.done();
        let End { attachment, counts, wake, .. } = &mut self.end;
        wake.room.notify();
        match message {
            Ok(message) => {
                counts.message(len, redelivered, attachment);
                Ok(Some(message))
            }
            Err(why) => {
                counts.refused(&why, attachment);
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
