//! [`Replier`]: the answering end.
//!
//! Owns the four ways to receive a request, and the loop that serves. What both ends share is in
//! `end`. Never touches a slot itself.

use super::end::{End, What};
use super::form::{Held, Refusal, copy, decoded, encode, in_place};
use super::request::Request;
use super::{ServeError, ServeTimeoutError, TryServeError};
use crate::codec::{Decode, Encode};
use crate::error::Error;
use crate::message::{Fixed, ShmMessage};
use crate::ring::AtHome;
use crate::ring::queue::{self, Taken};
use crate::segment::{Role, Spec};
use crate::stats::{self, Stats};
use crate::sync::{AtomicU32, Ordering};
use crate::wait::Deadline;
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answering end of a request/reply channel: a worker of a service. Any number may be open, in any
/// order with the requesters; each request goes to one of them, whichever takes it first.
///
/// A request is looked at [in its slot](super::Request), and the reply is written behind it.
/// Blocking means a few microseconds of looking, then sleep in the kernel until there is a request.
///
/// **If this process dies** with a request, its requester is told within 50 ms, or another replier gets
/// it where the channel says `redeliver: true`.
pub struct Replier<Q, R: ?Sized, F: ?Sized = Fixed> {
    pub(super) end: End,
    stop: Arc<AtomicU32>,
    _messages: PhantomData<fn(&R, &F) -> Q>,
}

/// Stops nobody.
pub(super) static NEVER: AtomicU32 = AtomicU32::new(0);

/// Ends a [`Replier::serve`] from another thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    stop: Arc<AtomicU32>,
}

impl StopHandle {
    /// Makes `serve` return after the request that it is at, or within 50 ms if there is none. For
    /// good: later calls of `serve` return at once.
    pub fn stop(&self) {
        // Relaxed: a flag by itself.
        self.stop.store(1, Ordering::Relaxed);
    }
}

impl<Q, R: ?Sized, F: ?Sized> Replier<Q, R, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        let stop = Arc::new(AtomicU32::new(0));
        Ok(Replier { end: End::open(&spec, Role::Replier)?, stop, _messages: PhantomData })
    }

    /// The full name of the channel, namespace included.
    pub fn name(&self) -> &str {
        self.end.attachment.channel()
    }

    /// Counts of the channel, how many requests wait and how old the oldest is, and one entry for each
    /// participant.
    pub fn stats(&self) -> Stats {
        stats::read_queue(&self.end.attachment, &self.end.queue)
    }

    /// What ends [`serve`](Replier::serve) from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle { stop: self.stop.clone() }
    }
}

/// The ways to receive, for both kinds of formats: `$hold` makes a request of what the ring gives,
/// `$write` writes a reply.
macro_rules! receive {
    ($hold:expr, $write:expr, $form:ty) => {
        /// The next request, if there is one. Never blocks.
        ///
        /// # Errors
        /// [`TryServeError::Empty`] if there is none; else see [`TryServeError`].
        #[inline]
        pub fn try_recv(&mut self) -> Result<Request<'_, Q, R, $form>, TryServeError> {
            match self.take(&NEVER)? {
                Some(taken) => Ok(self.show(taken, $hold)?),
                None => Err(TryServeError::Empty),
            }
        }

        /// The next request; blocks until there is one.
        ///
        /// # Errors
        /// See [`ServeError`].
        pub fn recv(&mut self) -> Result<Request<'_, Q, R, $form>, ServeError> {
            // A deadline that never comes passes only in the child of a fork.
            self.next($hold, Some(Deadline::Never), &NEVER)?.ok_or(ServeError::Forked)
        }

        /// The next request; blocks for at most `timeout`. Zero looks once.
        ///
        /// # Errors
        /// [`ServeTimeoutError::Timeout`] if none came; else see [`ServeTimeoutError`].
        pub fn recv_timeout(
            &mut self,
            timeout: Duration,
        ) -> Result<Request<'_, Q, R, $form>, ServeTimeoutError> {
            self.next($hold, Some(Deadline::after(timeout)), &NEVER)?.ok_or(ServeTimeoutError::Timeout)
        }

        /// The next request; blocks until `deadline` at the latest.
        ///
        /// # Errors
        /// [`ServeTimeoutError::Timeout`] if none came; else see [`ServeTimeoutError`].
        pub fn recv_deadline(
            &mut self,
            deadline: Instant,
        ) -> Result<Request<'_, Q, R, $form>, ServeTimeoutError> {
            self.next($hold, Some(Deadline::At(deadline)), &NEVER)?.ok_or(ServeTimeoutError::Timeout)
        }

        /// Answers requests with what `service` returns, one after the other, until
        /// [stopped](Replier::stop_handle); blocks. Returns how many were answered.
        ///
        /// Requests that are no valid value stay unanswered, replies that nobody waits for any more are
        /// discarded; neither ends the loop. If `service` panics, the requester is told.
        ///
        /// # Errors
        /// [`ServeError::Forked`].
        pub fn serve(&mut self, mut service: impl FnMut(&Q) -> R) -> Result<u64, ServeError> {
            let stop = self.stop.clone();
            let mut answered = 0;
            loop {
                let request: Result<Option<Request<'_, Q, R, $form>>, _> =
                    self.next($hold, Some(Deadline::Never), &stop);
                match request {
                    Ok(Some(request)) => {
                        let reply = service(&request);
                        answered += u64::from(request.answer($write(&reply)).is_ok());
                    }
                    Ok(None) => return Ok(answered),
                    Err(ServeError::Invalid(_)) => {}
                    Err(ServeError::Forked) => return Err(ServeError::Forked),
                }
            }
        }
    };
}

impl<Q: ShmMessage, R: ShmMessage> Replier<Q, R> {
    receive!(in_place, copy, Fixed);
}

impl<Q, R, C: Decode<Q> + Encode<R>> Replier<Q, R, C> {
    receive!(decoded::<Q, C>, encode::<R, C>, C);
}

impl<Q, R: ?Sized, F: ?Sized> Replier<Q, R, F> {
    /// Takes the next request, waiting for it if there is a deadline; `None` if there is none by then,
    /// or as soon as `stop` is not 0.
    #[inline]
    fn next<'s, S, G: ?Sized>(
        &'s mut self,
        hold: impl FnOnce(AtHome<queue::Request<'s>>, Refusal<'_>) -> Result<Held<'s, Q>, ServeError>,
        deadline: Option<Deadline>,
        stop: &AtomicU32,
    ) -> Result<Option<Request<'s, Q, S, G>>, ServeError> {
        loop {
            if let Some(taken) = self.take(stop)? {
                return self.show(taken, hold).map(Some);
            }
            // Relaxed: a flag by itself.
            let stopped = stop.load(Ordering::Relaxed) != 0;
            match deadline {
                Some(deadline) if !stopped && self.end.wait(What::Request(stop), deadline) => {}
                _ => return Ok(None),
            }
        }
    }

    /// Takes the next request, unless `stop` is not 0.
    #[inline(always)]
    pub(super) fn take(&mut self, stop: &AtomicU32) -> Result<Option<Taken>, ServeError> {
        if self.end.attachment.forked() {
            return Err(ServeError::Forked);
        }
        // Relaxed: a flag by itself.
        if stop.load(Ordering::Relaxed) != 0 {
            return Ok(None);
        }
        self.end.called();
        Ok(self.end.queue.take_next())
    }

    /// The request that was taken.
    #[inline(always)]
    pub(super) fn show<'s, S, G: ?Sized>(
        &'s mut self,
        taken: Taken,
        hold: impl FnOnce(AtHome<queue::Request<'s>>, Refusal<'_>) -> Result<Held<'s, Q>, ServeError>,
    ) -> Result<Request<'s, Q, S, G>, ServeError> {
        let End { attachment, queue, counts, wake, .. } = &mut self.end;
        let request = AtHome::new(queue.request(taken), wake.lineage);
        let (len, redelivered) = (request.len(), request.redelivered());
        let held = hold(request, Refusal { counts, attachment, wake })?;
        counts.message(len, redelivered, attachment);
        Ok(Request::new(held, wake))
    }
}

/// Ready when a request waits, and in the child of a fork.
impl<Q, R: ?Sized, F: ?Sized> Waitable for Replier<Q, R, F> {}

impl<Q, R: ?Sized, F: ?Sized> Watchable for Replier<Q, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.watch(Awaited::Item)
    }
}
