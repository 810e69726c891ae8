//! [`Replier`]: the answering end of request/reply, for requesters in Python.
//!
//! Owns both segments, the order of requests, and which reply may be seen by whom. Calls `owner` for
//! the segments and `ring` for the slots.
//!
//! # What a requester in Python does, and what is done about it
//!
//! It starts to read replies at slot 0, whatever was written before it came; it takes the next message
//! that is not None for the reply, whatever it asked; it looks at once, then every 100 µs or more,
//! also between one None and the next; and it never gives a slot back. So:
//!
//! 1. This end gives the slots of requests back, and does not wait for slots of replies.
//! 2. A reply to a request that has been followed by another one is not written: whoever asks again has
//!    given up ([`Options::answer_all`] says otherwise).
//! 3. Before a reply is written, earlier ones are overwritten with a None.
//! 4. A reply that was long in the making may find nobody, and would then be the first thing that the
//!    next request sees. So Nones come before it, which become visible in one step with it. Whoever
//!    still waits skips them, in less than a tenth of the time the reply took. Whoever asks anew skips
//!    them too, and meanwhile this end sees the new request and overwrites the reply (3). After a while
//!    ([`Options::late_reply_stays`]) it does that anyhow.
//! 5. Before a new requester gets to see the replies' segment, all replies in it are overwritten: see
//!    `door`.
//!
//! 3 to 5 take a format that has a None. For raw bytes and fixed layouts there is none.
//!
//! Requesters in Rust find in the header which request the newest reply answers.

use super::door::Door;
use super::format::too_long;
use super::name::Place;
use super::owner::Owned;
use super::poll::{self, Poll};
use super::raw::BadLength;
use super::receive::{Source, receive};
use super::ring;
use super::{
    Exchanges, Format, Incoming, Options, Outgoing, RecvError, RecvTimeoutError, SendError, Stats,
    TryRecvError, Unreadable, stats,
};
use crate::Error;
use crate::fault::fault_point;
use crate::layout::python::{Kind, word};
use crate::os::FileId;
use crate::sync::{Ordering, fence};
use crate::wait::Deadline;
use core::fmt;
use core::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A reply that took longer may find that nobody waits any more (4).
const LATE: Duration = Duration::from_millis(10);
/// One None for as many milliseconds: skipping one takes Python about 0.15 ms.
const PER_NOTHING: u64 = 2;

/// The answering end of a service whose requesters may be Python processes. There is one replier.
///
/// Receive a request, send its reply, and so on. A request that is not answered before the next one is
/// received is never answered.
///
/// The service is there as long as the replier is, although every Python client that exits removes its
/// names: this end brings them back within a millisecond or so. It does not end after 15 exchanges, as
/// Python's does; a requester that has timed out gets the right answer the next time, and one that comes
/// later gets right answers from the start (on `Bytes` and `Fixed` channels neither can be promised).
/// **Two requesters that ask at the same time** get each other's replies: the format has no way to tell
/// them apart.
///
/// **If this process dies**, the segments stay, and the next replier in Rust with the same slots goes
/// on with the requests that had not been received. Dropping the replier removes the segments.
pub struct Replier<Q, R: ?Sized, F: ?Sized> {
    source: Inlet,
    _messages: Exchanges<Q, R, F>,
}

/// What does not depend on the type of the messages.
struct Inlet {
    place: Place,
    requests: Owned,
    replies: Arc<Mutex<Replies>>,
    /// Lets new requesters in; none where there is nothing to hide replies with.
    door: Option<Door>,
    slots: u64,
    /// The slot of the request that is read next.
    next: u64,
    /// The request that has no reply yet.
    current: Option<Current>,
    answer_all: bool,
    late_reply_stays: Duration,
    /// When the newest reply is to be withdrawn.
    withdraw_at: Option<Instant>,
    buffer: Vec<u8>,
    last_around: Instant,
    received: u64,
    invalid: u64,
    given_up: u64,
}

#[derive(Clone, Copy)]
struct Current {
    /// Requests there have been, this one included.
    number: u64,
    since: Instant,
}

impl<Q, R: ?Sized, F: Format> Replier<Q, R, F> {
    /// Creates the channel, or goes on with what a replier in Rust left that died. Segments that a
    /// Python process made are replaced, as Python itself would.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyPublished`](crate::ErrorKind::AlreadyPublished) if a replier in Rust is
    /// alive; `InvalidName`, `InvalidGeometry`, `NoSpace`, `Permission` as they say.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = Place::new(Kind::Req, &options.name)?;
        let reply_place = Place::new(Kind::Rep, &options.name)?;
        // As in Python: whoever sees the replies' segment finds the requests' too.
        let (slots, slot_size) = (options.slots, options.slot_size);
        let requests = Owned::open(&place, slots, slot_size)?;
        let nothing = F::NOTHING.filter(|_| !options.answer_all);
        let (replies, door) = match nothing {
            None => (
                Arc::new(Mutex::new(Replies::new(Owned::open(&reply_place, slots, slot_size)?, nothing))),
                None,
            ),
            Some(_) => Door::open(&place, requests.segment().id(), &reply_place, slots, slot_size, nothing)?,
        };
        // A tail that is no slot was stored by `heal`; nobody knows what had been read then.
        let tail = ring::tail(requests.segment().raw());
        let next = if tail < slots { tail } else { ring::slot_of_head(requests.segment().raw()) };
        let buffer = vec![0; requests.segment().shape().capacity()];
        let source = Inlet {
            place,
            requests,
            replies,
            door,
            slots,
            next,
            current: None,
            answer_all: options.answer_all,
            late_reply_stays: options.late_reply_stays,
            withdraw_at: None,
            buffer,
            last_around: Instant::now(),
            received: 0,
            invalid: 0,
            given_up: 0,
        };
        Ok(Replier { source, _messages: PhantomData })
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        self.source.place.name()
    }

    /// Whether this goes on with the segments of a replier that died.
    pub fn resumed(&self) -> bool {
        self.source.requests.resumed()
    }

    /// The numbers of the requests' segment.
    pub fn stats(&self) -> Stats {
        stats::read(self.source.requests.segment().raw(), None)
    }

    /// Requests that this replier has received.
    pub fn received(&self) -> u64 {
        self.source.received
    }

    /// Requests that were refused because they are no value of the type.
    pub fn invalid(&self) -> u64 {
        self.source.invalid
    }

    /// Replies that were not sent because the requester had asked for something else by then.
    pub fn given_up(&self) -> u64 {
        self.source.given_up
    }

    /// Answers the request that was received last. Does not block. If the requester has sent another
    /// request since, it waits for that one's answer, and this one is dropped: see
    /// [`Options::answer_all`].
    ///
    /// A reply that is `None` or `False` in Python is passed over by Python's `recv`, as if there were
    /// none.
    ///
    /// # Errors
    /// [`SendError::NoRequest`] if no request is waiting for its reply; else see [`SendError`].
    pub fn send(&mut self, reply: &R) -> Result<(), SendError>
    where
        F: Outgoing<R>,
    {
        self.source.check()?;
        let len = F::encode(reply, &mut self.source.buffer)?;
        self.source.reply(len)
    }

    /// Answers with bytes, for Python's `recv_bytes`, or what some codec made. Does not block.
    ///
    /// # Errors
    /// As [`send`](Replier::send).
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

impl Inlet {
    fn check(&self) -> Result<(), SendError> {
        if self.requests.segment().forked() {
            return Err(SendError::Forked);
        }
        if self.requests.replaced() {
            return Err(SendError::Replaced);
        }
        if self.current.is_none() {
            return Err(SendError::NoRequest);
        }
        Ok(())
    }

    /// Sends what is in the buffer.
    fn reply(&mut self, len: usize) -> Result<(), SendError> {
        let Some(current) = self.current.take() else { return Err(SendError::NoRequest) };
        if !self.answer_all && ring::waiting_from(self.requests.segment().raw(), self.next) > 0 {
            self.given_up += 1;
            log::debug!(
                target: "shmcomm",
                "service `{}`: a reply came too late, and is not sent: the requester has asked again",
                self.place.name()
            );
            return Ok(());
        }
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let took = current.since.elapsed();
        replies.send(current.number, &self.buffer[..len], took);
        self.withdraw_at = if took > LATE { Instant::now().checked_add(self.late_reply_stays) } else { None };
        Ok(())
    }
}

/// The segment of the replies.
pub(super) struct Replies {
    owned: Owned,
    /// Slots that hold a reply which somebody might take for another one.
    stale: Vec<u64>,
    /// What hides a reply.
    nothing: Option<&'static [u8]>,
    /// When the newest reply was sent.
    sent: Option<Instant>,
    /// Python's name is there.
    shown: bool,
    /// The next reply takes it away.
    clean: bool,
}

impl Replies {
    pub(super) fn new(owned: Owned, nothing: Option<&'static [u8]>) -> Self {
        let nothing = nothing.filter(|nothing| nothing.len() <= owned.segment().shape().capacity());
        let slots = owned.segment().shape().slots;
        let stale = if owned.resumed() { (0..slots).collect() } else { Vec::new() };
        Replies { owned, stale, nothing, sent: None, shown: false, clean: false }
    }

    /// Shows the name to those who wait for it. With `clean` nothing is there for them to misread, and the
    /// name goes with the next reply at the latest.
    pub(super) fn show(&mut self, clean: bool) {
        if clean {
            self.hide_earlier();
            self.rewind();
        }
        self.owned.show();
        (self.shown, self.clean) = (true, clean);
    }

    /// The file of the replies.
    pub(super) fn id(&self) -> FileId {
        self.owned.segment().id()
    }

    /// Takes the name away.
    pub(super) fn hide(&mut self) {
        self.owned.hide();
        self.shown = false;
    }

    /// Whether the name is there: a reply takes it away, or the resource tracker of a client that exits.
    pub(super) fn shown(&self) -> bool {
        self.shown && self.owned.is_shown()
    }

    /// How long ago the newest reply was sent.
    pub(super) fn age(&self) -> Duration {
        self.sent.map_or(Duration::MAX, |sent| sent.elapsed())
    }

    fn send(&mut self, number: u64, reply: &[u8], took: Duration) {
        if self.shown && self.clean {
            self.hide();
        }
        self.hide_earlier();
        let skipped = self.lead_with_nothing(took);
        let raw = self.owned.segment().raw();
        if self.nothing.is_some() {
            self.stale.push((ring::slot_of_head(raw) + skipped) % raw.shape().slots);
        }
        ring::write_after(raw, skipped, reply, |head| {
            // Relaxed: [answered] is published by the head that is stored next.
            raw.store(word::ANSWERED, answered(number, head), Ordering::Relaxed);
            fault_point!("py.replying");
        });
        self.sent = Some(Instant::now());
    }

    /// (3)
    fn hide_earlier(&mut self) {
        let Some(nothing) = self.nothing.filter(|_| !self.stale.is_empty()) else { return };
        let raw = self.owned.segment().raw();
        // A requester in Rust that is still at it learns that what it reads is no reply any more.
        // Relaxed: ordered by the fence, which pairs with that behind its copy.
        raw.store(word::ANSWERED, 0, Ordering::Relaxed);
        fence(Ordering::Release);
        for slot in self.stale.drain(..) {
            raw.overwrite(slot, nothing);
            fault_point!("py.withdrawn");
        }
    }

    /// (5): Nones up to the end of the lap, if it is more than half over. Somebody new has to skip what
    /// comes before the head, somebody old what is added here; neither may be so much that the next reply
    /// takes the head around to where one of them stands.
    fn rewind(&self) {
        let raw = self.owned.segment().raw();
        let slots = raw.shape().slots;
        let head = ring::slot_of_head(raw);
        let Some(nothing) = self.nothing.filter(|_| head > slots / 2) else { return };
        // As in `hide_earlier`: none of these answers anything.
        raw.store(word::ANSWERED, 0, Ordering::Relaxed);
        fence(Ordering::Release);
        for slot in head..slots - 1 {
            raw.put(slot, nothing);
        }
        ring::write_after(raw, slots - 1 - head, nothing, |_| ());
    }

    /// Writes Nones in front of a reply, to be shown together with it. Returns how many.
    fn lead_with_nothing(&self, took: Duration) -> u64 {
        let Some(nothing) = self.nothing else { return 0 };
        let raw = self.owned.segment().raw();
        let slots = raw.shape().slots;
        let head = ring::slot_of_head(raw);
        // (4) A requester may have left this reply and all that leads to it unread; the next reply must
        // not take the head around to where it stands.
        let most = slots.saturating_sub(3);
        let late = if took > LATE { took.as_millis() as u64 / PER_NOTHING } else { 0 };
        let skipped = most.min(late);
        for i in 0..skipped {
            raw.put((head + i) % slots, nothing);
        }
        skipped
    }
}

/// What [`word::ANSWERED`] says of the reply to a request, once the head is `head`.
pub(super) fn answered(number: u64, head: u64) -> u64 {
    (number & 0xffff_ffff) << 32 | head
}

impl Poll for Inlet {
    type Output = Result<usize, RecvError>;

    fn look(&mut self) -> Option<Self::Output> {
        let segment = self.requests.segment();
        if segment.forked() {
            return Some(Err(RecvError::Forked));
        }
        let raw = segment.raw();
        let waiting = ring::waiting_from(raw, self.next);
        if waiting == 0 {
            return None;
        }
        let number = ring::head(raw).wrapping_sub(waiting - 1);
        let request = raw.take(self.next, &mut self.buffer);
        self.next = (self.next + 1) % raw.shape().slots;
        ring::set_tail(raw, self.next);
        Some(match request {
            Ok(len) => {
                self.received += 1;
                self.current = Some(Current { number, since: Instant::now() });
                Ok(len)
            }
            Err(BadLength(claimed)) => {
                self.invalid += 1;
                self.current = None;
                let capacity = self.buffer.len();
                Err(RecvError::Invalid(Unreadable::Damaged { claimed, capacity }))
            }
        })
    }

    fn around(&mut self) {
        if self.withdraw_at.is_some_and(|at| at <= Instant::now()) {
            self.withdraw_at = None;
            self.replies.lock().unwrap_or_else(PoisonError::into_inner).hide_earlier();
        }
    }

    fn last_around(&mut self) -> &mut Instant {
        &mut self.last_around
    }

    /// (4) needs a quick look, with few slots all the more.
    fn longest_nap(&self) -> Duration {
        Duration::from_micros(if self.slots < 9 { 50 } else { 200 })
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        // The door's thread has a share of the replies, and they must go now.
        self.door = None;
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

impl<Q, R: ?Sized, F: ?Sized> fmt::Debug for Replier<Q, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replier").field("name", &self.source.place.name()).finish_non_exhaustive()
    }
}
