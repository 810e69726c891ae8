//! [`Requester`]: the requesting end of request/reply, for repliers in Python.
//!
//! Owns the matching of replies to requests. Calls `ring` for the slots.
//!
//! # Matching
//!
//! A replier in Python answers each request once, in their order, and does not name the request. This end
//! therefore counts the requests without a reply: if there are several, the next reply belongs to the oldest.
//! A request without a reply is no longer counted after [`Options::write_off`].
//!
//! A replier in Rust omits late replies, and writes in the header which request the newest reply answers;
//! with it, the count is not used.
//!
//! A replier in Python releases no slots, and drops replies when the ring appears full: this end moves both
//! tails for it.

use super::format::Reading;
use super::format::too_long;
use super::owner::replies::answered;
use super::poll::{self, Poll};
use super::receive::{Source, receive};
use super::v1::name::SegmentPaths;
use super::v1::raw::BadLength;
use super::v1::ring;
use super::v1::segment::Segment;
use super::{
    Exchanges, Format, Incoming, Options, Outgoing, RecvError, RecvTimeoutError, RequestError, SendError,
    Stats, TryRecvError, TrySendError, Unreadable, stats, trace,
};
use crate::error::Error;
use crate::fault::fault_point;
use crate::layout::v1::{Kind, word};
use crate::message::{self, Fixed, ShmMessage};
use crate::sync::{Ordering, fence};
use crate::wait::{Deadline, Stop};
use core::fmt;
use core::marker::PhantomData;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The requesting end of a service whose replier may be a Python process. With a replier in Python there
/// should be one requester at a time, because the format cannot distinguish two. A replier in Rust gives each
/// requester its own segments.
///
/// [`request`](Requester::request) sends a request and waits for the reply. Alternatively,
/// [`send`](Requester::send) first and receive the reply later. A second send abandons the request before it:
/// its reply, if it still arrives, is recognised and skipped.
///
/// **If the replier dies or exits**, no reply comes, so use timeouts. When a replier opens the service with
/// new segments, the requester follows by itself. A request that was lost with the old segments returns
/// [`RequestError::Restarted`].
pub struct Requester<Q: ?Sized, R, F: ?Sized> {
    source: Receiver,
    _messages: Exchanges<R, Q, F>,
}

/// The part that does not depend on the message type.
struct Receiver {
    request_place: SegmentPaths,
    reply_place: SegmentPaths,
    requests: Segment,
    replies: Segment,
    /// New request segment, which replaces `requests` as soon as there are new replies too.
    new_requests: Option<Segment>,
    /// The slot of the reply that is read next.
    next: u64,
    /// Times at which the requests without a reply were sent.
    unanswered: VecDeque<Instant>,
    /// Number of the request whose reply is awaited.
    asked: Option<u64>,
    /// `true` if that request was lost with an old segment.
    restarted: bool,
    write_off: Duration,
    buffer: Vec<u8>,
    reading: Reading,
    last_housekeeping: Instant,
    stop: Stop,
    received: u64,
    invalid: u64,
    passed_over: u64,
}

impl<Q: ?Sized, R, F: Format> Requester<Q, R, F> {
    /// Finds the service's segments, waiting for them for at most the connect timeout.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there are none in time; `InvalidName`,
    /// `NotASegment`, `Version`, `Permission`, `NoSpace` for the reason in the error.
    pub fn open(options: Options) -> Result<Self, Error> {
        let request_place = SegmentPaths::new(Kind::Req, &options.name)?;
        let reply_place = SegmentPaths::new(Kind::Rep, &options.name)?;
        let timeout = options.connect_timeout;
        let deadline = Deadline::after(timeout);
        // In Python's order, on which a replier in Rust relies: it shows the replies to a requester that has
        // opened the requests. A requester that gets an old segment and a new one follows later.
        let stop = Stop::given(options.stop.as_ref());
        let requests = Segment::attach(&request_place, deadline, timeout, &stop)?;
        let replies = Segment::attach(&reply_place, deadline, timeout, &stop)?;
        options.compare(Kind::Req, &requests);
        let mut source = Receiver {
            request_place,
            reply_place,
            new_requests: None,
            next: 0,
            unanswered: VecDeque::new(),
            asked: None,
            restarted: false,
            write_off: options.write_off,
            buffer: Vec::new(),
            reading: Reading::new(&options),
            last_housekeeping: Instant::now(),
            stop,
            received: 0,
            invalid: 0,
            passed_over: 0,
            requests,
            replies,
        };
        source.start();
        Ok(Requester { source, _messages: PhantomData })
    }

    /// Returns the service's name.
    pub fn name(&self) -> &str {
        self.source.request_place.name()
    }

    /// Returns the counts of the reply segment. `local_tail` is the slot that is read next.
    pub fn stats(&self) -> Stats {
        stats::read(self.source.replies.raw(), Some(self.source.next))
    }

    /// Returns the number of replies that this requester has received.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Returns the number of replies that were refused because they are not a value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    /// Returns the reason why this end has not re-attached to the segment that has the channel's name now, if
    /// it could not: a damaged segment, or one of another user. Checked every 5 ms while no reply arrives;
    /// also logged as a warning, once for each such segment. Never blocks.
    pub fn follow_error(&self) -> Option<&Error> {
        self.source.requests.follow_error().or_else(|| self.source.replies.follow_error())
    }

    /// Returns the number of replies that came too late for their request and were skipped.
    pub fn passed_over(&self) -> u64 {
        self.source.passed_over
    }

    /// Sends a request, and abandons the one before. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if the replier has not taken as many requests as there are slots; for the other
    /// errors see [`SendError`].
    pub fn send(&mut self, request: &Q) -> Result<(), TrySendError>
    where
        F: Outgoing<Q>,
    {
        self.source.prepare()?;
        let len = F::encode(request, &mut self.source.buffer)?;
        self.source.ask(len)
    }

    /// Sends bytes as a request, for Python's `recv_bytes`, or as encoded by a codec. Never blocks.
    ///
    /// # Errors
    /// See [`send`](Requester::send).
    pub fn send_bytes(&mut self, payload: &[u8]) -> Result<(), TrySendError> {
        self.source.prepare()?;
        let capacity = self.source.buffer.len();
        let room = self.source.buffer.get_mut(..payload.len());
        room.ok_or_else(|| too_long(payload.len(), capacity))?.copy_from_slice(payload);
        self.source.ask(payload.len())
    }

    /// Sends a request and waits for its reply, for at most `timeout`.
    ///
    /// The reply is returned by value: one of a large fixed layout takes its size of stack. `request_boxed`
    /// takes none.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request(&mut self, request: &Q, timeout: Duration) -> Result<R, RequestError>
    where
        F: Outgoing<Q> + Incoming<R>,
    {
        let deadline = Deadline::after(timeout);
        self.source.stop.check()?;
        self.send(request)?;
        let len = poll::until(&mut self.source, deadline)?.ok_or(RequestError::Timeout)?;
        let reply = len.and_then(|len| self.decode(len)).map_err(RecvTimeoutError::from)?;
        Ok(reply)
    }

    /// Sends a request and waits for its reply; the task sleeps, not the thread. If the future is dropped
    /// before it is ready, the next request abandons this one.
    ///
    /// # Errors
    /// See [`RequestError`]; there is no `Timeout`.
    #[cfg(feature = "async")]
    pub async fn request_async(&mut self, request: &Q) -> Result<R, RequestError>
    where
        F: Outgoing<Q> + Incoming<R>,
    {
        self.source.stop.check()?;
        self.send(request)?;
        let len = super::future::ready(&mut self.source).await?;
        Ok(len.and_then(|len| self.decode(len)).map_err(RecvTimeoutError::from)?)
    }

    receive!(bytes "reply");
}

impl<Q: ?Sized, R, F: Incoming<R>> Requester<Q, R, F> {
    receive!(R, F, "reply");
}

impl<Q: ShmMessage, R: ShmMessage> Requester<Q, R, Fixed> {
    receive!(boxed R, "reply");

    /// Sends a request and waits for its reply like [`request`](Requester::request), for at most `timeout`,
    /// and returns it on the heap. A large reply takes no stack.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request_boxed(&mut self, request: &Q, timeout: Duration) -> Result<Box<R>, RequestError> {
        let deadline = Deadline::after(timeout);
        self.source.stop.check()?;
        self.send(request)?;
        let len = poll::until(&mut self.source, deadline)?.ok_or(RequestError::Timeout)?;
        let reply = len.and_then(|len| self.decode_boxed(len)).map_err(RecvTimeoutError::from)?;
        Ok(reply)
    }
}

impl Receiver {
    /// Starts at the current position of the segments: earlier requests and replies belong to other
    /// requesters.
    fn start(&mut self) {
        let replies = self.replies.raw();
        self.next = ring::slot_of_head(replies);
        ring::set_tail(replies, self.next);
        self.unanswered.clear();
        self.give_back();
        let capacity = self.requests.shape().capacity().max(self.replies.shape().capacity());
        self.buffer = vec![0; capacity];
    }

    /// Releases slots for a replier that does not release any itself.
    fn give_back(&self) {
        if self.requests.is_ours() {
            return;
        }
        let raw = self.requests.raw();
        let slots = raw.shape().slots;
        let waiting = (self.unanswered.len() as u64).min(slots - 1);
        ring::set_tail(raw, (ring::slot_of_head(raw) + slots - waiting) % slots);
    }

    /// Prepares a send, before the request is written to the buffer: the check for a new replier must come
    /// before the request, not after it.
    fn prepare(&mut self) -> Result<(), SendError> {
        if self.requests.forked() {
            return Err(SendError::Forked);
        }
        poll::housekeeping_if_due(self);
        Ok(())
    }

    fn ask(&mut self, len: usize) -> Result<(), TrySendError> {
        let capacity = self.requests.shape().capacity();
        if len > capacity {
            return Err(too_long(len, capacity).into());
        }
        while self.unanswered.front().is_some_and(|sent| sent.elapsed() > self.write_off) {
            self.unanswered.pop_front();
            self.give_back();
        }
        let raw = self.requests.raw();
        if ring::is_full(raw) {
            ring::count_drop(raw);
            return Err(TrySendError::Full);
        }
        let slot = ring::write(raw, &self.buffer[..len]);
        trace::wrote(&self.request_place, slot, len);
        fault_point!("py.asked");
        // Only this end writes the requests, so the count is at rest unless another process overwrites it.
        // Then replies cannot be distinguished, and none is taken for this request's.
        self.asked = ring::head(raw).or(Some(u64::MAX));
        self.restarted = false;
        if !self.requests.is_ours() {
            self.unanswered.push_back(Instant::now());
        }
        Ok(())
    }

    /// Returns the reply of a replier in Python.
    fn next_in_order(&mut self) -> Option<Result<usize, BadLength>> {
        // At most the replies of one lap; the next poll continues with later ones.
        for _ in 0..self.replies.shape().slots {
            let raw = self.replies.raw();
            if ring::waiting_from(raw, self.next) == 0 {
                return None;
            }
            let reply = raw.take(self.next, &mut self.buffer);
            trace::read(&self.reply_place, self.next, reply.unwrap_or(0));
            self.next = (self.next + 1) % raw.shape().slots;
            ring::set_tail(raw, self.next);
            let expected = self.unanswered.pop_front().is_some();
            self.give_back();
            if expected && self.unanswered.is_empty() && self.asked.is_some() {
                return Some(reply);
            }
            self.passed_over += 1;
        }
        None
    }

    /// Returns the reply of a replier in Rust: the newest, if it answers this request.
    fn next_that_answers(&mut self) -> Option<Result<usize, BadLength>> {
        let raw = self.replies.raw();
        let slots = raw.shape().slots;
        let head = ring::slot_of_head(raw);
        // Relaxed: [answered] comes with the head that was just acquired, or is newer.
        let answer = raw.load(word::ANSWERED, Ordering::Relaxed);
        if self.asked.is_none_or(|asked| answered(asked, head) != answer) {
            if head != self.next && answered(answer >> 32, head) == answer {
                self.passed_over += 1;
                self.next = head;
            }
            return None;
        }
        let slot = (head + slots - 1) % slots;
        let reply = raw.take(slot, &mut self.buffer);
        fault_point!("py.answered");
        // The copy comes before the second check; pairs with the fences of the replier's writes.
        fence(Ordering::Acquire);
        let unchanged = raw.load(word::ANSWERED, Ordering::Relaxed) == answer;
        if ring::slot_of_head(raw) != head || !unchanged {
            return None;
        }
        self.next = head;
        ring::set_tail(raw, head);
        trace::read(&self.reply_place, slot, reply.unwrap_or(0));
        Some(reply)
    }
}

impl Poll for Receiver {
    type Output = Result<usize, RecvError>;

    fn poll_once(&mut self) -> Option<Self::Output> {
        if self.replies.forked() {
            return Some(Err(RecvError::Forked));
        }
        if self.restarted {
            self.restarted = false;
            return Some(Err(RecvError::Restarted));
        }
        let reply = if self.replies.is_ours() { self.next_that_answers() } else { self.next_in_order() };
        if self.asked.is_none() {
            return Some(Err(RecvError::NoRequest));
        }
        let reply = reply?;
        self.asked = None;
        Some(match reply {
            Ok(len) => {
                self.received += 1;
                Ok(len)
            }
            Err(BadLength(claimed)) => {
                self.invalid += 1;
                let capacity = self.replies.shape().capacity();
                Err(RecvError::Invalid(Unreadable::Damaged { claimed, capacity }))
            }
        })
    }

    fn housekeeping(&mut self) {
        let newest = self.new_requests.as_mut().unwrap_or(&mut self.requests);
        if let Some(requests) = newest.successor(&self.request_place) {
            self.new_requests = Some(requests);
        }
        // The replier makes them after the requests, and a replier in Rust shows them to requesters that have
        // opened the requests.
        let Some(replies) = self.replies.successor(&self.reply_place) else { return };
        if let Some(requests) = self.new_requests.take() {
            self.requests = requests;
        }
        self.replies = replies;
        self.start();
        self.restarted = self.asked.take().is_some();
    }

    fn last_housekeeping(&mut self) -> &mut Instant {
        &mut self.last_housekeeping
    }

    fn stop(&self) -> &Stop {
        &self.stop
    }
}

impl Source for Receiver {
    fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
    }

    fn reading(&self) -> &Reading {
        &self.reading
    }

    fn refused(&mut self) {
        self.received -= 1;
        self.invalid += 1;
    }
}

impl<Q: ?Sized, R, F: ?Sized> fmt::Debug for Requester<Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requester").field("name", &self.source.request_place.name()).finish_non_exhaustive()
    }
}
