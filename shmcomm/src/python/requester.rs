//! [`Requester`]: the asking end of request/reply, for repliers in Python.
//!
//! Owns which reply belongs to which request. Calls `ring` for the slots.
//!
//! # Matching
//!
//! A replier in Python answers each request once, in their order, and says nothing about which. So this
//! end counts the requests without a reply: one that comes while there are several belongs to the
//! oldest. A request that has had no reply for [`Options::write_off`] counts no longer.
//!
//! A replier in Rust leaves out replies that come too late, and says in the header which request the
//! newest reply answers; there the count plays no part.
//!
//! A replier in Python gives no slots back, and drops replies when the ring looks full: this end moves
//! both tails for it.

use super::format::too_long;
use super::name::Place;
use super::poll::{self, Poll};
use super::raw::BadLength;
use super::receive::{Source, receive};
use super::replier::answered;
use super::ring;
use super::segment::Segment;
use super::{
    Exchanges, Format, Incoming, Options, Outgoing, RecvError, RecvTimeoutError, RequestError, SendError,
    Stats, TryRecvError, TrySendError, Unreadable, stats,
};
use crate::Error;
use crate::fault::fault_point;
use crate::layout::python::{Kind, word};
use crate::sync::{Ordering, fence};
use crate::wait::Deadline;
use core::fmt;
use core::marker::PhantomData;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The asking end of a service whose replier may be a Python process. There should be one requester at
/// a time: the format has no way to tell two apart.
///
/// [`request`](Requester::request) asks and waits; or [`send`](Requester::send) first and receive the
/// reply later. Sending again gives up on the request before: its reply, should it still come, is
/// recognised and passed over.
///
/// **If the replier dies or exits**, no reply comes, so use time limits. When one comes back with new
/// segments, the requester follows by itself; a request that went with the old one is answered by
/// [`RequestError::Restarted`].
pub struct Requester<Q: ?Sized, R, F: ?Sized> {
    source: Inlet,
    _messages: Exchanges<R, Q, F>,
}

/// What does not depend on the type of the messages.
struct Inlet {
    request_place: Place,
    reply_place: Place,
    requests: Segment,
    replies: Segment,
    /// What replaces `requests` as soon as there are new replies too.
    new_requests: Option<Segment>,
    /// The slot of the reply that is read next.
    next: u64,
    /// When the requests were sent that have no reply yet.
    unanswered: VecDeque<Instant>,
    /// Number of the request whose reply is waited for.
    asked: Option<u64>,
    /// That request went with an old segment.
    restarted: bool,
    write_off: Duration,
    buffer: Vec<u8>,
    last_around: Instant,
    received: u64,
    invalid: u64,
    passed_over: u64,
}

impl<Q: ?Sized, R, F: Format> Requester<Q, R, F> {
    /// Finds the service's segments, waiting for them for at most the connect timeout.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there are none in time; `InvalidName`,
    /// `NotASegment`, `Version`, `Permission`, `NoSpace` as they say.
    pub fn open(options: Options) -> Result<Self, Error> {
        let request_place = Place::new(Kind::Req, &options.name)?;
        let reply_place = Place::new(Kind::Rep, &options.name)?;
        let timeout = options.connect_timeout;
        let deadline = Deadline::after(timeout);
        // In Python's order, which a replier in Rust counts on: it shows the replies to whoever has opened
        // the requests. Whoever gets an old one and a new one follows later.
        let requests = Segment::attach(&request_place, deadline, timeout)?;
        let replies = Segment::attach(&reply_place, deadline, timeout)?;
        let mut source = Inlet {
            request_place,
            reply_place,
            new_requests: None,
            next: 0,
            unanswered: VecDeque::new(),
            asked: None,
            restarted: false,
            write_off: options.write_off,
            buffer: Vec::new(),
            last_around: Instant::now(),
            received: 0,
            invalid: 0,
            passed_over: 0,
            requests,
            replies,
        };
        source.start();
        Ok(Requester { source, _messages: PhantomData })
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        self.source.request_place.name()
    }

    /// The numbers of the replies' segment. `local_tail` is the slot that is read next.
    pub fn stats(&self) -> Stats {
        stats::read(self.source.replies.raw(), Some(self.source.next))
    }

    /// Replies that this requester has received.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Replies that were refused because they are no value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    /// Replies that came too late for their request, and were passed over.
    pub fn passed_over(&self) -> u64 {
        self.source.passed_over
    }

    /// Sends a request, and gives up on the one before. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if the replier has not taken as many requests as there are slots; else
    /// see [`SendError`].
    pub fn send(&mut self, request: &Q) -> Result<(), TrySendError>
    where
        F: Outgoing<Q>,
    {
        self.source.prepare()?;
        let len = F::encode(request, &mut self.source.buffer)?;
        self.source.ask(len)
    }

    /// Sends bytes as a request, for Python's `recv_bytes`, or what some codec made. Never blocks.
    ///
    /// # Errors
    /// As [`send`](Requester::send).
    pub fn send_bytes(&mut self, payload: &[u8]) -> Result<(), TrySendError> {
        self.source.prepare()?;
        let capacity = self.source.buffer.len();
        let room = self.source.buffer.get_mut(..payload.len());
        room.ok_or_else(|| too_long(payload.len(), capacity))?.copy_from_slice(payload);
        self.source.ask(payload.len())
    }

    /// Sends a request and waits for its reply, for at most `timeout`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request(&mut self, request: &Q, timeout: Duration) -> Result<R, RequestError>
    where
        F: Outgoing<Q> + Incoming<R>,
    {
        let deadline = Deadline::after(timeout);
        self.send(request)?;
        let len = poll::until(&mut self.source, deadline).ok_or(RequestError::Timeout)?;
        let reply = len.and_then(|len| self.decode(len)).map_err(RecvTimeoutError::from)?;
        Ok(reply)
    }

    /// Sends a request and waits for its reply; the task sleeps, not the thread. If the future is dropped
    /// before it is ready, the next request gives up on this one.
    ///
    /// # Errors
    /// See [`RequestError`]; there is no `Timeout`.
    #[cfg(feature = "async")]
    pub async fn request_async(&mut self, request: &Q) -> Result<R, RequestError>
    where
        F: Outgoing<Q> + Incoming<R>,
    {
        self.send(request)?;
        let len = super::future::ready(&mut self.source).await;
        Ok(len.and_then(|len| self.decode(len)).map_err(RecvTimeoutError::from)?)
    }

    receive!(bytes "reply");
}

impl<Q: ?Sized, R, F: Incoming<R>> Requester<Q, R, F> {
    receive!(R, F, "reply");
}

impl Inlet {
    /// Begins with the segments as they are now: what was asked and answered before is others' business.
    fn start(&mut self) {
        let replies = self.replies.raw();
        self.next = ring::slot_of_head(replies);
        ring::set_tail(replies, self.next);
        self.unanswered.clear();
        self.give_back();
        let capacity = self.requests.shape().capacity().max(self.replies.shape().capacity());
        self.buffer = vec![0; capacity];
    }

    /// Gives a replier's slots back that gives none back itself.
    fn give_back(&self) {
        if self.requests.is_ours() {
            return;
        }
        let raw = self.requests.raw();
        let slots = raw.shape().slots;
        let waiting = (self.unanswered.len() as u64).min(slots - 1);
        ring::set_tail(raw, (ring::slot_of_head(raw) + slots - waiting) % slots);
    }

    /// Before a request is written to the buffer: better to look for a new replier now than after having
    /// asked the old one.
    fn prepare(&mut self) -> Result<(), SendError> {
        if self.requests.forked() {
            return Err(SendError::Forked);
        }
        poll::look_around(self);
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
        ring::write(raw, &self.buffer[..len]);
        fault_point!("py.asked");
        self.asked = Some(ring::head(raw));
        self.restarted = false;
        if !self.requests.is_ours() {
            self.unanswered.push_back(Instant::now());
        }
        Ok(())
    }

    /// The reply of a replier in Python.
    fn next_in_order(&mut self) -> Option<Result<usize, BadLength>> {
        loop {
            let raw = self.replies.raw();
            if ring::waiting_from(raw, self.next) == 0 {
                return None;
            }
            let reply = raw.take(self.next, &mut self.buffer);
            self.next = (self.next + 1) % raw.shape().slots;
            ring::set_tail(raw, self.next);
            let expected = self.unanswered.pop_front().is_some();
            self.give_back();
            if expected && self.unanswered.is_empty() && self.asked.is_some() {
                return Some(reply);
            }
            self.passed_over += 1;
        }
    }

    /// The reply of a replier in Rust: the newest, if it says that it is meant.
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
        let reply = raw.take((head + slots - 1) % slots, &mut self.buffer);
        fault_point!("py.answered");
        // The copy comes before the second look; pairs with the fences of the replier's writes.
        fence(Ordering::Acquire);
        let unchanged = raw.load(word::ANSWERED, Ordering::Relaxed) == answer;
        if ring::slot_of_head(raw) != head || !unchanged {
            return None;
        }
        self.next = head;
        ring::set_tail(raw, head);
        Some(reply)
    }
}

impl Poll for Inlet {
    type Output = Result<usize, RecvError>;

    fn look(&mut self) -> Option<Self::Output> {
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

    fn around(&mut self) {
        let newest = self.new_requests.as_ref().unwrap_or(&self.requests);
        if let Some(requests) = newest.successor(&self.request_place) {
            self.new_requests = Some(requests);
        }
        // The replier makes them after the requests, and one in Rust shows them to those who have opened
        // the requests.
        let Some(replies) = self.replies.successor(&self.reply_place) else { return };
        if let Some(requests) = self.new_requests.take() {
            self.requests = requests;
        }
        self.replies = replies;
        self.start();
        self.restarted = self.asked.take().is_some();
    }

    fn last_around(&mut self) -> &mut Instant {
        &mut self.last_around
    }
}

impl Source for Inlet {
    fn bytes(&self, len: usize) -> &[u8] {
        &self.buffer[..len]
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
