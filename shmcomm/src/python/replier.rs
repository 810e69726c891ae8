//! [`Replier`]: the answering end of request/reply, for requesters in Python.
//!
//! Owns the order of requests, and the decision which requester may read which reply. Calls `session` for the
//! segments, `gate` to admit requesters, and `ring` for the slots.
//!
//! # What a requester in Python does, and what is done about it
//!
//! A requester in Python starts to read replies at slot 0, even those written before it came. It takes the
//! next message that is not None as its reply, whichever request that answers. It polls at once, then every
//! 100 µs or more, also between one None and the next. It never releases a slot. The replier therefore works
//! as follows:
//!
//! 1. This end releases the slots of requests, and does not wait for slots of replies.
//! 2. A reply is not written if the same requester has sent another request since: a requester that sends
//!    again has given up ([`Options::answer_all`] changes that).
//! 3. Before a reply is written, earlier replies are overwritten with a None, the filler.
//! 4. A reply that took long may find that its requester no longer waits. It would then be the first message
//!    that the next request finds. Fillers therefore come before it, which become visible in one step with
//!    it. A requester that still waits skips them, in less than a tenth of the time the reply took. A
//!    requester that sends a new request skips them too. Meanwhile this end sees the new request and
//!    overwrites the reply (3). After a while ([`Options::late_reply_stays`]) this end overwrites the reply
//!    in any case.
//! 5. Each requester has its own pair of segments: see `gate`. If several requesters share one, replies are
//!    hidden before a further one is admitted, and withdrawn after a while as in 4.
//!
//! Rules 3 and 4 need a format that has a None. Raw bytes and fixed layouts have none, and Python's
//! `recv_bytes` returns a None of any format unchanged: see [`Options::fillers`].
//!
//! Requesters in Rust read in the header which request the newest reply answers.

use super::format::{Reading, too_long};
use super::owner::late_join::LateJoinGate;
use super::owner::session::{Session, SessionSettings, Sessions};
use super::poll::{self, Poll};
use super::receive::{Source, receive};
use super::v1::name::SegmentPaths;
use super::v1::raw::BadLength;
use super::v1::ring;
use super::{
    Exchanges, Format, Incoming, Options, Outgoing, RecvError, RecvTimeoutError, SendError, Stats,
    TryRecvError, Unreadable, stats, trace,
};
use crate::error::Error;
use crate::layout::v1::Kind;
use crate::message::{self, Fixed, ShmMessage};
use crate::wait::{Deadline, Stop};
use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The answering end of a service whose requesters may be Python processes. There is one replier.
///
/// The replier receives a request, sends its reply, and so on. If the next request is received before the
/// reply is sent, the first one is never answered.
///
/// The service exists while the replier does, although every Python client that exits removes its names: this
/// end restores them. It does not end after 15 exchanges, unlike Python's. A requester that has timed out
/// gets the right answer the next time. (On `Bytes` and `Fixed` channels, and with [`Options::fillers`] off,
/// it can get the late reply.)
///
/// **Any number of requesters** may send requests at any time. Each requester, in Python or in Rust, gets its
/// own pair of segments when it connects, so that it reads no other requester's replies. A pair takes twice
/// `128 + slots * slot_size` bytes, and one pair more than there are requesters is kept. One requester
/// connects at a time, in 5 to 50 ms. Up to 64 requesters have their own pairs, if memory allows. Further
/// requesters share the last pair, as do two that open a pair at the same time; the log reports that.
/// Requesters that share a pair and send at the same time can get each other's replies.
///
/// **If this process dies**, the segments stay, and the next replier in Rust with the same slots continues
/// with the requests that were not received. A dropped replier removes the segments.
pub struct Replier<Q, R: ?Sized, F: ?Sized> {
    source: Receiver,
    _messages: Exchanges<Q, R, F>,
}

/// The part that does not depend on the message type.
struct Receiver {
    /// Dropped before the sessions.
    gate: Option<LateJoinGate>,
    requests: SegmentPaths,
    replies: SegmentPaths,
    sessions: Arc<Sessions>,
    /// The sessions as of `changes`.
    seen: Vec<Arc<Session>>,
    changes: u32,
    /// The session that is polled first.
    turn: usize,
    slots: u64,
    resumed: bool,
    /// The request without a reply.
    current: Option<Current>,
    answer_all: bool,
    late_reply_stays: Duration,
    buffer: Vec<u8>,
    reading: Reading,
    last_housekeeping: Instant,
    stop: Stop,
    received: u64,
    invalid: u64,
    given_up: u64,
}

struct Current {
    session: Arc<Session>,
    /// Epoch of the session when the request was received.
    epoch: u64,
    /// Number of requests of the session, including this one.
    number: u64,
    since: Instant,
}

impl<Q, R: ?Sized, F: Format> Replier<Q, R, F> {
    /// Creates the channel, or resumes the segments of a dead replier in Rust. Segments that a Python process
    /// made are replaced, like Python itself does.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyPublished`](crate::ErrorKind::AlreadyPublished) if a replier in Rust is alive;
    /// `InvalidName`, `InvalidGeometry`, `NoSpace`, `Permission` for the reason in the error; `Os` if the
    /// system has no inotify instance left (`fs.inotify.max_user_instances`).
    pub fn open(options: Options) -> Result<Self, Error> {
        let requests = SegmentPaths::new(Kind::Req, &options.name)?;
        let replies = SegmentPaths::new(Kind::Rep, &options.name)?;
        let filler = F::NOTHING.filter(|_| options.fillers && !options.answer_all);
        let (slots, slot_size) = (options.slots, options.slot_size);
        let reading = Reading::new(&options);
        let terms = SessionSettings { name: options.name.into_owned(), slots, slot_size, filler };
        let sessions = Arc::new(Sessions::open(terms)?);
        let (seen, changes) = (sessions.all(), sessions.changes());
        let first = &seen[0].requests;
        let (resumed, capacity) = (first.resumed(), first.segment().shape().capacity());
        let gate = Some(LateJoinGate::open(&sessions)?);
        let source = Receiver {
            gate,
            requests,
            replies,
            sessions,
            seen,
            changes,
            turn: 0,
            slots,
            resumed,
            current: None,
            answer_all: options.answer_all,
            late_reply_stays: options.late_reply_stays,
            buffer: vec![0; capacity],
            reading,
            last_housekeeping: Instant::now(),
            stop: Stop::given(options.stop.as_ref()),
            received: 0,
            invalid: 0,
            given_up: 0,
        };
        Ok(Replier { source, _messages: PhantomData })
    }

    /// Returns the service's name.
    pub fn name(&self) -> &str {
        self.source.requests.name()
    }

    /// Returns `true` if this replier resumed the segments of a dead one.
    pub fn resumed(&self) -> bool {
        self.source.resumed
    }

    /// Returns the counts of the request segments: the message counts and the used slots of all requesters
    /// together, the other values from one segment.
    pub fn stats(&self) -> Stats {
        let mut all = self.source.sessions.all().into_iter();
        let read = |session: Arc<Session>| stats::read(session.requests.segment().raw(), None);
        let first = read(all.next().expect("the first session stays"));
        all.map(read).fold(first, |mut sum, one| {
            sum.msg_count += one.msg_count;
            sum.drop_count += one.drop_count;
            sum.used_slots += one.used_slots;
            sum.free_slots = sum.free_slots.min(one.free_slots);
            sum
        })
    }

    /// Returns the number of requests that this replier has received.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Returns the number of requests that were refused because they are not a value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    /// Returns the number of replies that were not sent because the requester had sent another request by
    /// then.
    pub fn given_up(&self) -> u64 {
        self.source.given_up
    }

    /// Answers the request that was received last. Does not block. If the requester has sent another request
    /// since, it waits for the answer to that one, and this reply is dropped: see [`Options::answer_all`].
    ///
    /// Python's `recv` skips a reply that is `None` or `False` in Python.
    ///
    /// # Errors
    /// [`SendError::NoRequest`] if no request waits for its reply; for the other errors see [`SendError`].
    pub fn send(&mut self, reply: &R) -> Result<(), SendError>
    where
        F: Outgoing<R>,
    {
        self.source.check()?;
        let len = F::encode(reply, &mut self.source.buffer)?;
        self.source.reply(len)
    }

    /// Answers with bytes, for Python's `recv_bytes`, or as encoded by a codec. Does not block.
    ///
    /// # Errors
    /// See [`send`](Replier::send).
    pub fn send_bytes(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.source.check()?;
        let capacity = self.source.buffer.len();
        let room = self.source.buffer.get_mut(..payload.len());
        room.ok_or_else(|| too_long(payload.len(), capacity))?.copy_from_slice(payload);
        self.source.reply(payload.len())
    }

    receive!(bytes "request");
}

impl<Q, R: ?Sized, F: Incoming<Q>> Replier<Q, R, F> {
    receive!(Q, F, "request");
}

impl<Q: ShmMessage, R: ?Sized> Replier<Q, R, Fixed> {
    receive!(boxed Q, "request");
}

impl Receiver {
    fn forked(&self) -> bool {
        self.seen[0].requests.segment().forked()
    }

    fn check(&self) -> Result<(), SendError> {
        if self.forked() {
            return Err(SendError::Forked);
        }
        if self.sessions.is_replaced() {
            return Err(SendError::Replaced);
        }
        if self.current.is_none() {
            return Err(SendError::NoRequest);
        }
        Ok(())
    }

    /// Sends the contents of the buffer.
    fn reply(&mut self, len: usize) -> Result<(), SendError> {
        let Some(Current { session, epoch, number, since }) = self.current.take() else {
            return Err(SendError::NoRequest);
        };
        let next = session.next();
        let followed = ring::waiting_from(session.requests.segment().raw(), *next) > 0;
        let mut replies = session.replies();
        // The requester may have left, and another requester may have its session.
        if replies.epoch() != epoch || (followed && !self.answer_all) {
            self.given_up += 1;
            drop(replies);
            drop(next);
            log::debug!(
                target: "shmcomm",
                "service `{}`: a reply came too late, and is not sent: the requester has asked again, or left",
                self.requests.name()
            );
            return Ok(());
        }
        let (took, stays) = (since.elapsed(), self.late_reply_stays);
        let slot = replies.send(number, &self.buffer[..len], took, stays, session.is_shared());
        drop(replies);
        drop(next);
        trace::wrote(&self.replies, slot, len);
        Ok(())
    }

    /// Takes the next request of a session, if there is one: returns its slot and the length of its bytes.
    fn take(&mut self, session: &Arc<Session>) -> Option<(u64, Result<usize, BadLength>)> {
        let raw = session.requests.segment().raw();
        let mut next = session.next();
        let waiting = ring::waiting_from(raw, *next);
        if waiting == 0 {
            return None;
        }
        // If the count is never at rest, the request has no number, and requesters in Rust find no reply to
        // theirs.
        let number = ring::head(raw).map_or(0, |head| head.wrapping_sub(waiting - 1));
        let slot = *next;
        let request = raw.take(slot, &mut self.buffer);
        *next = (slot + 1) % raw.shape().slots;
        ring::set_tail(raw, *next);
        let epoch = session.replies().epoch();
        drop(next);
        let session = Arc::clone(session);
        self.current = request.is_ok().then(|| Current { session, epoch, number, since: Instant::now() });
        Some((slot, request))
    }
}

impl Poll for Receiver {
    type Output = Result<usize, RecvError>;

    fn poll_once(&mut self) -> Option<Self::Output> {
        if self.forked() {
            return Some(Err(RecvError::Forked));
        }
        let changes = self.sessions.changes();
        if changes != self.changes {
            (self.seen, self.changes) = (self.sessions.all(), changes);
        }
        let sessions = self.seen.len();
        for i in 0..sessions {
            let index = (self.turn + i) % sessions;
            let session = Arc::clone(&self.seen[index]);
            let Some((slot, request)) = self.take(&session) else { continue };
            // The next call starts with the next session, so that no requester delays others.
            self.turn = index + 1;
            return Some(match request {
                Ok(len) => {
                    trace::read(&self.requests, slot, len);
                    self.received += 1;
                    Ok(len)
                }
                Err(BadLength(claimed)) => {
                    self.invalid += 1;
                    let capacity = self.buffer.len();
                    Err(RecvError::Invalid(Unreadable::Damaged { claimed, capacity }))
                }
            });
        }
        self.sessions.is_replaced().then_some(Err(RecvError::Replaced))
    }

    fn housekeeping(&mut self) {
        for session in &self.seen {
            session.replies().withdraw_if_due();
        }
    }

    fn last_housekeeping(&mut self) -> &mut Instant {
        &mut self.last_housekeeping
    }

    fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Rule (4) needs a short pause, the more so with few slots.
    fn max_sleep(&self) -> Duration {
        Duration::from_micros(if self.slots < 9 { 50 } else { 200 })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The thread of the gate has a share of the sessions, which must be dropped now.
        self.gate = None;
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

impl<Q, R: ?Sized, F: ?Sized> fmt::Debug for Replier<Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replier").field("name", &self.source.requests.name()).finish_non_exhaustive()
    }
}
