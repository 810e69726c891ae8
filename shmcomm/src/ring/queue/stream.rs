//! Streams: any number of replies to one request, in a window of the request's slot.
//!
//! Sources: single-producer single-consumer ring (Lamport 1977); credit-based flow control (Firedancer tango `fctl`).
//!
//! Owns the words `sent` and `taken`, the order of their accesses, and the end of a stream as its requester finds it.
//! Calls `slots`, and the steps of request and reply in `claim` and `ticket`. Never waits.
//!
//! # The window
//!
//! The slot of a request is a private place of one requester and one replier from CLAIMED on: the word names both, and
//! no participant can take the slot before both have left it. A stream divides the place of the reply into `window`
//! replies. The word of the slot, its states and its recovery stay those of a request with one reply. The slot is
//! CLAIMED during the whole stream.
//!
//! ```text
//!   replier      reply → window[sent mod window] ── sent := sent + 1 [sent]
//!   requester    [seen] sent ── window[taken mod window] → reply ── taken := taken + 1 [taken]
//!   replier      [credit] taken ── may write while sent - taken < window
//! ```
//!
//! | step | made by | as for one reply |
//! |---|---|---|
//! | publish | the requester: both words are 0, then READY | yes |
//! | send | the replier: a reply, then `sent` | |
//! | take | the requester: reads a reply, then `taken` | |
//! | end | the replier: reply status, then REPLIED | a reply of no bytes |
//! | give up | the replier: UNANSWERED | yes |
//! | cancel | the requester: CLAIMED with the flag, which the replier finds before its next reply | yes |
//!
//! # Death
//!
//! | killed | the recovery leaves | the other end |
//! |---|---|---|
//! | replier, before `sent` | DIED | gets the replies below `sent`, then `PeerDied`; the reply in work was never sent |
//! | replier, after `sent` | DIED | gets that reply too, then `PeerDied` |
//! | replier, after the status of the end | REPLIED | gets all replies, then the end |
//! | requester, anywhere in CLAIMED | CLAIMED, cancelled | the replier finds the flag at its next reply, and frees the slot |
//! | requester, in another state | FREE | finds no request |
//!
//! # Invariants
//!
//! In addition to those of the queue:
//!
//! 1. Only the replier that has the slot CLAIMED stores `sent`, and counts it up by one. Only the requester whose
//!    ticket is open stores `taken`, and counts it up by one. Both keep their own count beside the word, and never load
//!    their own word. A request of a stream has one replier: it is not redelivered.
//! 2. `taken <= sent <= taken + window`. A count of the other end that contradicts this is damage.
//! 3. The requester may read the replies from `taken` to `sent`. The replier may write the reply `sent` while
//!    `sent - taken < window`. These are never the same place.
//! 4. The words and replies of a slot belong to one request. Its requester sets both words to 0 in WRITING. The slot
//!    stays with both ends until the requester frees it, or the replier frees a cancelled one. Hence no reply comes to
//!    another request, however late it is.
//! 5. The end of a stream is final, and all replies were sent before it. A requester that has seen the end loads
//!    `sent` again, and reports the end when it has taken all of them.
//!
//! # Orderings
//!
//! * **\[sent\]** (release) with **\[seen\]** (acquire): a requester that finds the count finds the reply.
//! * **\[taken\]** (release) with **\[credit\]** (acquire): a replier that finds a free place finds its last reply read.
//! * The end is a release of the replier, \[replied\] or \[change\], or a \[change\] of the process that recovered it. Its
//!   load by the requester acquires every `sent` before it (5).
//!
//! The model in `models/streams.rs` runs this code in all interleavings, with a death at every step of either end.

use super::slots::{QueueSlot, QueueSlots};
use super::word::State;
use super::{CloseOutcome, Delivery, Loan, Queue, ReplyState, Request, Ticket};
use crate::fault::{fault_point, mutant, weak};
use crate::layout::Words;
use crate::sync::Ordering;

/// The words of the stream in a slot.
#[derive(Clone, Copy, Debug)]
struct StreamWords {
    sent: Words<8>,
    taken: Words<8>,
}

impl StreamWords {
    fn new(slots: &QueueSlots, slot: QueueSlot) -> Self {
        StreamWords {
            sent: slots.stream_word(slot, slots.stream.sent),
            taken: slots.stream_word(slot, slots.stream.taken),
        }
    }

    /// Empties the window. The slot is WRITING and ours.
    fn reset(&self) {
        if !mutant("stream counts stay") {
            // Relaxed, both: published with the word.
            self.sent.u64(0).store(0, Ordering::Relaxed);
            self.taken.u64(0).store(0, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn sent(&self) -> u64 {
        // [seen] pairs with [sent].
        self.sent.u64(0).load(weak("stream relaxed seen", Ordering::Acquire))
    }

    #[inline(always)]
    fn set_sent(&self, replies: u64) {
        // [sent] pairs with [seen].
        self.sent.u64(0).store(replies, weak("stream relaxed sent", Ordering::Release));
    }

    #[inline(always)]
    fn taken(&self) -> u64 {
        // [credit] pairs with [taken].
        self.taken.u64(0).load(weak("stream relaxed credit", Ordering::Acquire))
    }

    #[inline(always)]
    fn set_taken(&self, replies: u64) {
        // [taken] pairs with [credit].
        self.taken.u64(0).store(replies, weak("stream relaxed taken", Ordering::Release));
    }
}

/// One reply in a window.
#[derive(Clone, Copy, Debug)]
struct Place {
    slot: QueueSlot,
    /// Offset of the reply in the payload of the slot: first its length.
    at: usize,
}

impl Place {
    /// Returns the first place of the window.
    fn first(slots: &QueueSlots, slot: QueueSlot) -> Self {
        Place { slot, at: slots.stream.replies }
    }

    /// Returns the place of the next reply: the one behind this place, or the first one. So the place of reply `n` is
    /// `n` modulo the window, without a division.
    #[inline(always)]
    fn next(self, slots: &QueueSlots) -> Self {
        let places = &slots.stream;
        let (next, end) = (self.at + places.stride, places.replies + places.window as usize * places.stride);
        Place { at: if next < end { next } else { places.replies }, ..self }
    }

    #[inline(always)]
    fn len(self, slots: &QueueSlots) -> usize {
        // Relaxed: the reply is ours, and the count orders the load.
        let len = slots.stream_word(self.slot, self.at).u64(0).load(Ordering::Relaxed);
        len.min(slots.stream.reply_size() as u64) as usize
    }

    #[inline(always)]
    fn set_len(self, slots: &QueueSlots, len: usize) {
        // Relaxed: published with the count.
        slots.stream_word(self.slot, self.at).u64(0).store(len as u64, Ordering::Relaxed);
    }

    /// Returns the bytes of the reply, which the caller may use while the reply is its own (invariant 3).
    #[cfg(not(loom))]
    #[inline(always)]
    fn body(self, slots: &QueueSlots) -> core::ptr::NonNull<u8> {
        slots.payload(self.slot, self.at + slots.stream.body)
    }
}

/// The replier's end of a stream, beside its [`Request`]. It may be used only while that request is ours.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    slots: QueueSlots,
    words: StreamWords,
    /// Place of the next reply.
    place: Place,
    /// Number of replies sent.
    sent: u64,
    /// Number of replies that may be sent before `taken` must be loaded again.
    limit: u64,
}

impl Request<'_> {
    /// Begins the stream of replies to this request, of a channel with streams. Called once for a request.
    pub(crate) fn stream(&self) -> StreamWriter {
        let (slots, slot) = (*self.slots(), self.slot());
        let words = StreamWords::new(&slots, slot);
        StreamWriter { slots, words, place: Place::first(&slots, slot), sent: 0, limit: slots.stream.window }
    }

    /// Ends the stream: the requester gets the replies that were sent, then the end.
    pub(crate) fn end_stream(self) -> Delivery {
        self.reply(0)
    }
}

impl StreamWriter {
    /// Returns `true` if another reply fits into the window.
    #[inline(always)]
    pub(crate) fn has_credit(&mut self) -> bool {
        if mutant("stream no credit") || self.sent != self.limit {
            return true;
        }
        // A wrong count of a damaged segment gives too little credit, or a window of it: `sent` stays in bounds.
        let unread = self.sent.wrapping_sub(self.words.taken());
        let credit = self.slots.stream.window.saturating_sub(unread);
        self.limit = self.sent.wrapping_add(credit);
        credit > 0
    }

    /// Returns the number of replies sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns the capacity for a reply, in bytes.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.slots.stream.reply_size()
    }

    /// Returns [`capacity`](Self::capacity) bytes for the next reply, ours until [`commit`](Self::commit), after
    /// [`has_credit`](Self::has_credit) returned `true`.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn ptr(&mut self) -> core::ptr::NonNull<u8> {
        self.place.body(&self.slots)
    }

    #[cfg(loom)]
    pub(crate) fn put(&mut self, value: u64) {
        let place = self.place;
        self.slots.put(place.slot, place.at + self.slots.stream.body, value);
        fault_point!("stream.written");
    }

    /// Sends the first `len` bytes of the reply.
    #[inline(always)]
    pub(crate) fn commit(&mut self, len: usize) {
        self.place.set_len(&self.slots, len);
        fault_point!("stream.filled");
        self.place = self.place.next(&self.slots);
        self.sent = self.sent.wrapping_add(1);
        self.words.set_sent(self.sent);
        fault_point!("stream.sent");
    }
}

/// A pending request of ours whose replies are a stream.
///
/// Dropping a ticket without [`Queue::close_stream`] leaks its slot until this participant is recovered.
#[must_use = "a request holds its slot until it is closed"]
#[derive(Debug)]
pub(crate) struct StreamTicket {
    ticket: Ticket,
    words: StreamWords,
    /// Place of the next reply.
    place: Place,
    /// Number of replies taken.
    taken: u64,
    /// Number of replies sent, as it was last loaded.
    seen: u64,
}

/// The state of a stream, as its requester knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// No reply that was not taken, and no end.
    Pending,
    /// A reply of this length in bytes.
    Ready(usize),
    /// All replies were taken, and the replier has ended the stream.
    Ended,
    /// All replies were taken, and the replier dropped the request without an end.
    Unanswered,
    /// All replies were taken, and the replier died. Or the segment is damaged and has no record of the request.
    PeerDied,
    /// The counts of both ends contradict each other: a process violated the protocol.
    Damaged,
}

impl Loan<'_> {
    /// Sends the first `len` bytes as a request for a stream of replies.
    #[inline]
    pub(crate) fn request_stream(self, len: usize, nanos: u64) -> Option<StreamTicket> {
        let words = StreamWords::new(self.slots(), self.slot());
        let place = Place::first(self.slots(), self.slot());
        words.reset();
        Some(StreamTicket { ticket: self.request(len, nanos)?, words, place, taken: 0, seen: 0 })
    }
}

impl StreamTicket {
    /// Returns the ticket of the request.
    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Returns the number of replies taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns a copy that only polls for news, without taking them.
    pub(crate) fn poll_copy(&self) -> Self {
        StreamTicket { ticket: self.ticket.poll_copy(), ..*self }
    }

    /// Loads the number of replies sent. Returns `true` if there is one to take.
    #[inline(always)]
    fn load(&mut self) -> bool {
        if self.seen == self.taken {
            self.seen = self.words.sent();
        }
        self.seen != self.taken
    }
}

impl Queue {
    /// Polls for the next reply, or the end of the stream. Costs no load while a reply that was seen is left.
    #[inline]
    pub(crate) fn poll_stream(&self, ticket: &mut StreamTicket) -> StreamState {
        if ticket.load() {
            return self.next_reply(ticket);
        }
        let end = match self.find_reply(&ticket.ticket) {
            ReplyState::Pending => return StreamState::Pending,
            ReplyState::Replied(_) => StreamState::Ended,
            ReplyState::Unanswered => StreamState::Unanswered,
            ReplyState::PeerDied => StreamState::PeerDied,
        };
        // The end acquires every reply before it (5).
        if !mutant("stream end first") && ticket.load() { self.next_reply(ticket) } else { end }
    }

    #[inline]
    fn next_reply(&self, ticket: &StreamTicket) -> StreamState {
        if ticket.seen.wrapping_sub(ticket.taken) > self.slots.stream.window && !mutant("stream no credit") {
            return StreamState::Damaged;
        }
        StreamState::Ready(ticket.place.len(&self.slots))
    }

    /// Returns `true` if there is a reply to take, or the stream is over.
    #[inline]
    pub(crate) fn has_next(&self, ticket: &StreamTicket) -> bool {
        ticket.words.sent() != ticket.taken || self.find_reply(&ticket.ticket) != ReplyState::Pending
    }

    /// Returns `true` if there is a reply to take, or the stream is over, for callers that may ask after the ticket is
    /// closed, and from another mapping of the segment.
    pub(crate) fn has_stream_news(&self, ticket: &StreamTicket) -> bool {
        let slot = self.slots.same(ticket.ticket.slot());
        let (word, words) = (self.slots.word(slot), StreamWords::new(&self.slots, slot));
        let open = self.slots.is_my_request(word) && matches!(word.state(), State::Ready | State::Claimed);
        !open || words.sent() != words.taken()
    }

    /// Returns the next reply, after [`StreamState::Ready`] and until [`take_reply`](Self::take_reply).
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn stream_ptr(&self, ticket: &StreamTicket) -> core::ptr::NonNull<u8> {
        ticket.place.body(&self.slots)
    }

    #[cfg(loom)]
    pub(crate) fn get_stream(&self, ticket: &StreamTicket) -> u64 {
        fault_point!("stream.reading");
        let place = ticket.place;
        self.slots.get(place.slot, place.at + self.slots.stream.body)
    }

    /// Gives the place of a reply that was read back to the replier.
    #[inline]
    pub(crate) fn take_reply(&self, ticket: &mut StreamTicket) {
        ticket.place = ticket.place.next(&self.slots);
        ticket.taken = ticket.taken.wrapping_add(1);
        ticket.words.set_taken(ticket.taken);
        fault_point!("stream.taken");
    }

    /// Ends the request: frees its slot if the stream is over, and cancels it otherwise.
    #[cold]
    pub(crate) fn close_stream(&self, ticket: StreamTicket) -> CloseOutcome {
        self.close(ticket.ticket)
    }
}
