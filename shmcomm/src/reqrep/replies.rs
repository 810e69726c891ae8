//! [`Replies`]: a pending request whose replies are a stream.
//!
//! Owns the ticket of the stream: takes its replies one by one, or cancels it. The steps in the ring are in
//! `raw_requester`. Never holds a borrow of the end while it decodes a reply.

use super::raw_requester::RawRequester;
use super::{RequestError, RequestTimeoutError, TryReplyError};
use crate::codec::IncomingOwned;
use crate::error::Error;
use crate::fault::fault_point;
use crate::message::{Fixed, Invalid};
use crate::queue_end::WaitTarget;
use crate::ring::queue::{StreamState, StreamTicket};
use crate::ring::stream_bytes;
use crate::wait::Deadline;
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The replies to one request, made by [`StreamRequester::call`](super::StreamRequester::call).
///
/// As an iterator it waits for each reply and ends when the replier has ended the stream. Dropping it
/// [cancels](Replies::cancel) the request. At most `window` replies wait here: a replier that has sent as many waits
/// until one is received. A stream that is not received holds up no other stream, and occupies one slot.
///
/// **If the replier dies**, all replies that it sent are received first, and then `PeerDied`. A blocked call reports the
/// death within 50 ms, a polled call within 20 ms and 100 polls.
///
/// `R` is the type that a reply is received as: the reply, or its owned form if the reply is unsized. `F` is the
/// format of the channel.
#[must_use = "dropping the replies gives the request up"]
pub struct Replies<'r, R, F: ?Sized = Fixed> {
    pub(super) end: &'r RawRequester,
    /// The stream, or its end.
    pub(super) stream: Result<StreamTicket, StreamEnd>,
    read: fn(&[u8]) -> Result<R, Invalid>,
    received: u64,
    /// Exists while the stream lasts: a wait set watches it.
    watched: Arc<()>,
    _format: PhantomData<fn(&F)>,
}

/// The end of a stream.
#[derive(Clone, Debug)]
pub(super) enum StreamEnd {
    Complete,
    Failed(RequestError),
}

impl StreamEnd {
    fn outcome<R>(&self) -> Result<Option<R>, RequestError> {
        match self {
            StreamEnd::Complete => Ok(None),
            StreamEnd::Failed(why) => Err(why.clone()),
        }
    }
}

impl<'r, R, F: ?Sized> Replies<'r, R, F> {
    pub(super) fn new(
        end: &'r RawRequester,
        ticket: StreamTicket,
        read: fn(&[u8]) -> Result<R, Invalid>,
    ) -> Self {
        Replies { end, stream: Ok(ticket), read, received: 0, watched: Arc::default(), _format: PhantomData }
    }

    /// Returns the number of replies received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Tells the replier that no further reply is wanted, like dropping this. A replier that has not taken the request
    /// never receives it; a replier that has taken it is told at its next send, and wakes for that if it waits.
    pub fn cancel(self) {}

    /// Ends the stream, for the given reason. The slot is free then, or its replier frees it.
    fn close(&mut self, end: StreamEnd) {
        if let Ok(ticket) = core::mem::replace(&mut self.stream, Err(end)) {
            self.watched = Arc::default();
            self.end.close_stream(ticket);
        }
    }
}

impl<'r, R, F: IncomingOwned<R> + ?Sized> Replies<'r, R, F> {
    /// Polls for the next reply. Returns `None` if there is none yet.
    #[inline]
    pub(super) fn poll(&mut self) -> Option<Result<Option<R>, RequestError>> {
        let ticket = match &mut self.stream {
            Ok(ticket) => ticket,
            Err(end) => return Some(end.outcome()),
        };
        let end = match self.end.stream_state(ticket) {
            Ok(StreamState::Pending) => return None,
            Ok(StreamState::Ready(len)) => return Some(self.take(len).map(Some)),
            Ok(StreamState::Ended) => StreamEnd::Complete,
            Ok(StreamState::Unanswered) => StreamEnd::Failed(RequestError::Unanswered),
            Ok(StreamState::PeerDied) => StreamEnd::Failed(RequestError::PeerDied),
            Ok(StreamState::Damaged) => StreamEnd::Failed(RequestError::Damaged),
            // The parent has the stream.
            Err(why) => return Some(Err(why)),
        };
        self.close(end.clone());
        Some(end.outcome())
    }

    /// Takes the next reply of `len` bytes, and gives its place back before code of the message runs.
    #[inline]
    fn take(&mut self, len: usize) -> Result<R, RequestError> {
        let Ok(ticket) = &mut self.stream else { return Err(RequestError::Damaged) };
        fault_point!("stream.reading");
        let bytes = stream_bytes(&self.end.state.borrow().queue, ticket, len);
        let mut copy = Vec::new();
        let resolved = self.end.resolved.as_deref();
        let fixed = resolved.map_or_else(|| F::read_fixed(|| bytes), |_| None);
        if fixed.is_none() {
            copy.extend_from_slice(bytes);
        }
        self.end.take_reply(ticket);
        self.received += 1;
        let read = match (fixed, resolved) {
            (Some(read), _) => read,
            (None, None) => (self.read)(&copy),
            // The segment has another layout than this program.
            (None, Some(resolved)) => resolved.converted(&copy).and_then(|converted| (self.read)(&converted)),
        };
        read.map_err(|why| self.end.refuse(why))
    }

    /// Returns the next reply if it has arrived, or `None` if the replier has ended the stream and every reply was
    /// received. Never blocks.
    ///
    /// # Errors
    /// [`TryReplyError::Empty`] if no reply has arrived. `Invalid` is about one reply, and the next call returns the
    /// reply behind it. After another error the stream is over, and each call returns that error.
    pub fn try_recv(&mut self) -> Result<Option<R>, TryReplyError> {
        Ok(self.poll().ok_or(TryReplyError::Empty)??)
    }

    /// Returns the next reply, blocking until there is one. Returns `None` if the replier has ended the stream and every
    /// reply was received. While no replier is alive, waits for one.
    ///
    /// # Errors
    /// [`RequestError::PeerDied`] if the replier died, after every reply that it sent. [`RequestError::Unanswered`] if
    /// the replier dropped the request without an end, after every reply that it sent. [`RequestError::Stopped`] if the
    /// requester is [stopped](crate::StopHandle): the stream is still there. For the others see [`RequestError`].
    pub fn recv(&mut self) -> Result<Option<R>, RequestError> {
        // `Deadline::Never` passes only in the child of a fork.
        self.next_until(Deadline::Never)?.unwrap_or(Err(RequestError::Forked))
    }

    /// Returns the next reply like [`recv`](Replies::recv), blocking for at most `timeout`. A timeout of zero polls
    /// once.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if no reply came in time; for the others see [`recv`](Replies::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<R>, RequestTimeoutError> {
        let next = self.next_until(Deadline::after(timeout))?;
        Ok(next.ok_or(RequestTimeoutError::Timeout)??)
    }

    /// Returns the next reply like [`recv`](Replies::recv), blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if no reply came in time; for the others see [`recv`](Replies::recv).
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Option<R>, RequestTimeoutError> {
        let next = self.next_until(Deadline::At(deadline))?;
        Ok(next.ok_or(RequestTimeoutError::Timeout)??)
    }

    /// Waits for the next reply and takes it. Returns `None` at the deadline.
    #[inline]
    fn next_until(
        &mut self,
        deadline: Deadline,
    ) -> Result<Option<Result<Option<R>, RequestError>>, RequestError> {
        loop {
            if let Some(next) = self.poll() {
                return Ok(Some(next));
            }
            let Ok(ticket) = &self.stream else { continue };
            if !self.end.wait(WaitTarget::Stream(ticket), deadline)? {
                return Ok(None);
            }
        }
    }
}

/// Waits for each reply. The item is an error if a reply is not valid, or the stream failed; after a failure there is no
/// further item.
impl<R, F: IncomingOwned<R> + ?Sized> Iterator for Replies<'_, R, F> {
    type Item = Result<R, RequestError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.as_ref().ok()?;
        let next = self.recv();
        if let Err(why @ (RequestError::Stopped | RequestError::Forked)) = &next {
            // The iterator is over, but the stream is not.
            self.close(StreamEnd::Failed(why.clone()));
        }
        next.transpose()
    }
}

impl<R, F: IncomingOwned<R> + ?Sized> FusedIterator for Replies<'_, R, F> {}

impl<R, F: ?Sized> Drop for Replies<'_, R, F> {
    fn drop(&mut self) {
        self.close(StreamEnd::Complete);
    }
}

impl<R, F: ?Sized> fmt::Debug for Replies<'_, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Replies");
        shown.field("received", &self.received).field("over", &self.stream.is_err()).finish_non_exhaustive()
    }
}

/// Ready while a reply can be received, or the end of the stream. The replies leave the set when the end was received, or
/// when they are dropped.
impl<R, F: ?Sized> Waitable for Replies<'_, R, F> {}

impl<R, F: ?Sized> Watchable for Replies<'_, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        let Ok(ticket) = &self.stream else { return Ok(Watched::over()) };
        self.end.watch(Awaited::Stream(ticket.poll_copy(), Arc::downgrade(&self.watched)))
    }
}
