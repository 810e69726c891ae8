//! [`StreamReplier`]: the answering end of a channel whose replies are streams.
//!
//! Owns the ways to receive a request. The request with its stream is in `stream_request`. Never touches a slot itself.

use super::request::Refusal;
use super::{Replier, ServeError, ServeTimeoutError, StreamRequest, TryServeError};
use crate::codec::Incoming;
use crate::counts;
use crate::error::Error;
use crate::message::Fixed;
use crate::queue_end::{QueueEnd, State, WaitTarget};
use crate::ring::ForkGuard;
use crate::ring::queue::AcquiredSlot;
use crate::schema::Resolution;
use crate::segment::Spec;
use crate::stats::Stats;
use crate::wait::{Deadline, StopHandle};
use crate::waitset::{Waitable, Watchable, Watched};
use std::time::{Duration, Instant};

/// An answering end of a request/reply channel with `replies: Stream`. Any number of repliers may be open, in any order
/// with the requesters. Each request goes to the replier that takes it first, which serves one request at a time.
///
/// See [`StreamRequester`](super::StreamRequester) for an example. **If this process dies** with a request, its requester
/// receives every reply that was sent, then `PeerDied`.
pub struct StreamReplier<Q: ?Sized, R: ?Sized, F: ?Sized = Fixed> {
    replier: Replier<Q, R, F>,
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> StreamReplier<Q, R, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(StreamReplier { replier: Replier::open(spec)? })
    }

    /// Returns the full name of the channel, with its namespace.
    pub fn name(&self) -> &str {
        self.replier.name()
    }

    /// Returns the counts of the channel, the number of waiting requests, the age of the oldest, and one entry per
    /// participant. A stream counts as one request.
    pub fn stats(&self) -> Stats {
        self.replier.stats()
    }

    /// Returns what this replier does with the fields of a request whose layout is not its own: see
    /// `docs/evolution.md`. All lists are empty if the layouts are equal.
    pub fn resolution(&self) -> &Resolution {
        self.replier.resolution()
    }

    /// Returns the handle that stops the blocking calls of this replier, and of its requests, from another thread or
    /// from a signal handler.
    pub fn stop_handle(&self) -> StopHandle {
        self.replier.stop_handle()
    }
}

impl<Q: ?Sized, R: ?Sized, F: Incoming<Q>> StreamReplier<Q, R, F> {
    /// Returns the next request, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryServeError::Empty`] if there is none; for the other errors see [`TryServeError`].
    pub fn try_recv(&mut self) -> Result<StreamRequest<'_, Q, R, F>, TryServeError> {
        match self.replier.take()? {
            Some(taken) => Ok(self.show(taken)?),
            None => Err(TryServeError::Empty),
        }
    }

    /// Returns the next request, blocking until there is one.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn recv(&mut self) -> Result<StreamRequest<'_, Q, R, F>, ServeError> {
        // `Deadline::Never` passes only in the child of a fork.
        self.next(Deadline::Never)?.ok_or(ServeError::Forked)
    }

    /// Returns the next request, blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// [`ServeTimeoutError::Timeout`] if none came in time; for the other errors see [`ServeTimeoutError`].
    pub fn recv_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<StreamRequest<'_, Q, R, F>, ServeTimeoutError> {
        self.next(Deadline::after(timeout))?.ok_or(ServeTimeoutError::Timeout)
    }

    /// Returns the next request, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`ServeTimeoutError::Timeout`] if none came in time; for the other errors see [`ServeTimeoutError`].
    pub fn recv_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<StreamRequest<'_, Q, R, F>, ServeTimeoutError> {
        self.next(Deadline::At(deadline))?.ok_or(ServeTimeoutError::Timeout)
    }

    /// Returns the next request, like [`recv`](StreamReplier::recv); the task sleeps until there is one, not the thread.
    /// If the future is dropped before it is ready, no request was taken.
    ///
    /// # Errors
    /// See [`ServeError`].
    #[cfg(feature = "async")]
    pub async fn recv_async(&mut self) -> Result<StreamRequest<'_, Q, R, F>, ServeError> {
        crate::wait::task::coop().await;
        let taken = loop {
            self.replier.end.stop.check()?;
            if let Some(taken) = self.replier.take()? {
                break taken;
            }
            crate::wait::task::ready(&mut self.replier.end.waiting(WaitTarget::Items)).await?;
        };
        self.show(taken)
    }

    /// Waits for the next request and takes it. Returns `None` at the deadline.
    fn next(&mut self, deadline: Deadline) -> Result<Option<StreamRequest<'_, Q, R, F>>, ServeError> {
        loop {
            self.replier.end.stop.check()?;
            if let Some(taken) = self.replier.take()? {
                return self.show(taken).map(Some);
            }
            if !self.replier.end.wait(WaitTarget::Items, deadline)? {
                return Ok(None);
            }
        }
    }

    /// Returns the request that was taken.
    fn show(&mut self, taken: AcquiredSlot) -> Result<StreamRequest<'_, Q, R, F>, ServeError> {
        let QueueEnd { attachment, wake, stop, resolved, state: State { queue, backoff, .. } } =
            &mut self.replier.end;
        let request = ForkGuard::new(queue.request(taken), wake.fork_id);
        let (len, stream) = (request.len(), request.stream());
        let held = Refusal { attachment, wake }.view::<Q, F>(request, resolved.as_deref())?;
        counts::message(len, attachment);
        Ok(StreamRequest::new(held, stream, (attachment, wake, stop), backoff))
    }
}

/// Ready when a request waits, and in the child of a fork.
impl<Q: ?Sized, R: ?Sized, F: ?Sized> Waitable for StreamReplier<Q, R, F> {}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Watchable for StreamReplier<Q, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.replier.watch()
    }
}
