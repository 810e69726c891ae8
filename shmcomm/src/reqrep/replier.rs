//! [`Replier`]: the answering end.
//!
//! Owns the four ways to receive a request, and the service loop. The part that both ends share is in `queue_end`.
//! Never touches a slot itself.

use super::request::{Refusal, Request};
use super::{ServeError, ServeTimeoutError, TryServeError, ops};
use crate::codec::{Incoming, Outgoing};
use crate::counts;
use crate::error::Error;
use crate::message::Fixed;
use crate::queue_end::{QueueEnd, State, WaitTarget};
use crate::ring::ForkGuard;
use crate::ring::queue::AcquiredSlot;
use crate::schema::Resolution;
use crate::segment::{Role, Spec};
use crate::stats::{self, Stats};
use crate::wait::{Deadline, StopHandle};
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::borrow::Borrow;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// An answering end of a request/reply channel: a worker of a service. Any number of repliers may be open, in
/// any order with the requesters. Each request goes to the replier that takes it first.
///
/// A request is read [in its slot](super::Request), and the reply is written behind it. A blocking call polls
/// for a few microseconds and then sleeps in the kernel until there is a request.
///
/// **If this process dies** with a request, its requester receives `PeerDied` within 50 ms. On a channel with
/// `redeliver: true` another replier gets the request.
pub struct Replier<Q: ?Sized, R: ?Sized, F: ?Sized = Fixed> {
    pub(super) end: QueueEnd<State>,
    _messages: PhantomData<fn(&R, &F) -> Box<Q>>,
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Replier<Q, R, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Replier {
            end: QueueEnd::open(&spec, Role::Replier, ops(&spec), |state| state)?,
            _messages: PhantomData,
        })
    }

    /// Returns the full name of the channel, with its namespace.
    pub fn name(&self) -> &str {
        self.end.attachment.channel()
    }

    /// Returns the counts of the channel, the number of waiting requests, the age of the oldest, and one
    /// entry per participant.
    pub fn stats(&self) -> Stats {
        stats::read_queue(&self.end.attachment, &self.end.state.queue)
    }

    /// Returns what this replier does with the fields of a requester whose layout is not its own: see
    /// `docs/evolution.md`. All lists are empty if the layouts are equal.
    pub fn resolution(&self) -> &Resolution {
        self.end.resolution()
    }

    /// Returns the handle that stops the blocking calls of this replier from another thread or from a signal
    /// handler: [`serve`](Replier::serve) and the receives.
    ///
    /// If the replier was [opened with](crate::Opener::stop) a handle, this is that handle.
    pub fn stop_handle(&self) -> StopHandle {
        self.end.stop.handle()
    }
}

impl<Q: ?Sized, R: ?Sized, F: Incoming<Q>> Replier<Q, R, F> {
    /// Returns the next request, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryServeError::Empty`] if there is none; for the other errors see [`TryServeError`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<Request<'_, Q, R, F>, TryServeError> {
        match self.take()? {
            Some(taken) => Ok(self.show(taken)?),
            None => Err(TryServeError::Empty),
        }
    }

    /// Returns the next request, blocking until there is one.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn recv(&mut self) -> Result<Request<'_, Q, R, F>, ServeError> {
        // `Deadline::Never` passes only in the child of a fork.
        self.next(Deadline::Never)?.ok_or(ServeError::Forked)
    }

    /// Returns the next request, blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// [`ServeTimeoutError::Timeout`] if none came in time; for the other errors see [`ServeTimeoutError`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Request<'_, Q, R, F>, ServeTimeoutError> {
        self.next(Deadline::after(timeout))?.ok_or(ServeTimeoutError::Timeout)
    }

    /// Returns the next request, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`ServeTimeoutError::Timeout`] if none came in time; for the other errors see [`ServeTimeoutError`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Request<'_, Q, R, F>, ServeTimeoutError> {
        self.next(Deadline::At(deadline))?.ok_or(ServeTimeoutError::Timeout)
    }

    /// Answers requests with the results of `service`, one after the other, until [stopped](StopHandle);
    /// blocks. Returns the number of answered requests. The request in progress is answered before the
    /// call returns.
    ///
    /// A reply is returned by value: a large one of a fixed layout takes its size of stack, in a debug build
    /// several times. [`recv`](Replier::recv) and [`Request::reply_with`] take none.
    ///
    /// Requests whose bytes are not valid stay unanswered, and replies whose requester no longer waits
    /// are discarded; neither ends the loop. If `service` panics, the requester receives `Unanswered`.
    ///
    /// # Errors
    /// [`ServeError::Forked`].
    pub fn serve(
        &mut self,
        mut service: impl FnMut(&Q) -> <F as Incoming<R>>::Owned,
    ) -> Result<u64, ServeError>
    where
        F: Incoming<R> + Outgoing<R>,
    {
        let mut answered = 0;
        loop {
            match self.next(Deadline::Never) {
                Ok(Some(request)) => {
                    let reply = service(&request);
                    answered += u64::from(request.reply(reply.borrow()).is_ok());
                }
                Err(ServeError::Stopped) => return Ok(answered),
                Err(ServeError::Invalid(_)) => {}
                // `Deadline::Never` passes only in the child of a fork.
                Ok(None) | Err(ServeError::Forked) => return Err(ServeError::Forked),
            }
        }
    }

    /// Waits for the next request and takes it. Returns `None` at the deadline.
    #[inline]
    fn next(&mut self, deadline: Deadline) -> Result<Option<Request<'_, Q, R, F>>, ServeError> {
        loop {
            self.end.stop.check()?;
            if let Some(taken) = self.take()? {
                return self.show(taken).map(Some);
            }
            if !self.end.wait(WaitTarget::Items, deadline)? {
                return Ok(None);
            }
        }
    }

    /// Takes the next request.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Result<Option<AcquiredSlot>, ServeError> {
        if self.end.attachment.forked() {
            return Err(ServeError::Forked);
        }
        self.end.called();
        Ok(self.end.state.queue.acquire_next())
    }

    /// Returns the request that was taken.
    #[inline(always)]
    pub(super) fn show(&mut self, taken: AcquiredSlot) -> Result<Request<'_, Q, R, F>, ServeError> {
        let QueueEnd { attachment, wake, resolved, state: State { queue, .. }, .. } = &mut self.end;
        let request = ForkGuard::new(queue.request(taken), wake.fork_id);
        let (len, redelivered) = (request.len(), request.redelivered());
        let held = Refusal { attachment, wake }.view::<Q, F>(request, resolved.as_deref())?;
        counts::taken(len, redelivered, attachment);
        Ok(Request::new(held, wake))
    }
}

/// Ready when a request waits, and in the child of a fork.
impl<Q: ?Sized, R: ?Sized, F: ?Sized> Waitable for Replier<Q, R, F> {}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Watchable for Replier<Q, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.watch(Awaited::Item)
    }
}
