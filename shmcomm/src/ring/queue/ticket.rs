//! [`Ticket`]: the requester's handle of a pending request.
//!
//! Owns the requester's steps from READY on. Calls `slots` and `reply_status`. Never waits for an answer.

use super::Queue;
use super::reply_status::{ReplyArea, ReplyStatus};
use super::slots::{QueueSlot, Step, TRIES};
use super::word::{State, Word};
use crate::fault::{fault_point, mutant};

/// A pending request of ours: the word of its slot names our seat until the ticket is closed (invariant 7
/// of the ring).
///
/// Dropping a ticket without [`Queue::close`] leaks its slot until this participant is recovered.
#[must_use = "a request holds its slot until it is closed"]
#[derive(Debug)]
pub(crate) struct Ticket {
    slot: QueueSlot,
    reply_area: ReplyArea,
    /// The word as it was published.
    word: Word,
}

/// The state of a request, as its requester knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyState {
    /// No answer yet.
    Pending,
    /// Answered with a reply of this length in bytes, at [`Queue::reply_ptr`] until the ticket is closed.
    Replied(usize),
    /// A replier dropped the request.
    Unanswered,
    /// The replier that had the request died, and the service does not redeliver. Or the segment is damaged
    /// and has no record of the request.
    PeerDied,
}

/// The fate of a request that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseOutcome {
    /// The slot is free.
    Freed,
    /// A replier has the slot, and frees it when it has finished.
    LeftToReplier,
}

impl Ticket {
    #[inline]
    pub(super) fn new(slot: QueueSlot, reply_area: ReplyArea, word: Word) -> Self {
        Ticket { slot, reply_area, word }
    }

    pub(super) fn slot(&self) -> QueueSlot {
        self.slot
    }

    /// Returns a copy that only polls for the answer, without fetching it.
    pub(crate) fn poll_copy(&self) -> Self {
        Ticket { ..*self }
    }
}

impl Queue {
    /// Records the time at which the request was sent, in nanoseconds of a clock that the sender chooses.
    #[cold]
    pub(crate) fn date(&self, ticket: &Ticket, nanos: u64) {
        self.slots.set_sent_at(ticket.slot, nanos);
    }

    /// Polls for the answer. Costs one load, of a line that only the answering process changes.
    #[inline]
    pub(crate) fn poll_reply(&self, ticket: &Ticket) -> ReplyState {
        match ticket.reply_area.status() {
            ReplyStatus::Pending => ReplyState::Pending,
            ReplyStatus::Reply(len) => {
                // For `finish`, while the reply is read.
                self.slots.prefetch_word_for_write(ticket.slot);
                ReplyState::Replied(len)
            }
            ReplyStatus::NoReply => self.find_reply(ticket),
        }
    }

    /// Polls for the answer, also if the status should have been stored and was not, as in a damaged segment.
    #[cold]
    #[inline(never)]
    pub(crate) fn find_reply(&self, ticket: &Ticket) -> ReplyState {
        if let ReplyStatus::Reply(len) = ticket.reply_area.status() {
            return ReplyState::Replied(len);
        }
        let word = self.slots.word(ticket.slot);
        if !self.slots.is_my_request(word) {
            return ReplyState::PeerDied;
        }
        match word.state() {
            State::Unanswered => ReplyState::Unanswered,
            State::Died => ReplyState::PeerDied,
            // A reply without a status: the status has just been stored, or never will be.
            State::Replied => match ticket.reply_area.status() {
                ReplyStatus::Reply(len) => ReplyState::Replied(len),
                _ => ReplyState::PeerDied,
            },
            _ => ReplyState::Pending,
        }
    }

    /// Returns `true` if there is an answer to fetch, for callers that may ask after the ticket is closed.
    /// The status may belong to another request then, so this loads the word.
    pub(crate) fn is_answered(&self, ticket: &Ticket) -> bool {
        let word = self.slots.word(ticket.slot);
        !self.slots.is_my_request(word) || !matches!(word.state(), State::Ready | State::Claimed)
    }

    /// Returns the length of the reply in bytes; 0 without a reply.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn replied(&self, ticket: &Ticket) -> usize {
        match ticket.reply_area.status() {
            ReplyStatus::Reply(len) => len,
            _ => 0,
        }
    }

    /// Returns the reply, after [`ReplyState::Replied`] and until the ticket is closed.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn reply_ptr(&self, ticket: &Ticket) -> core::ptr::NonNull<u8> {
        self.slots.reply(ticket.slot, &ticket.reply_area)
    }

    #[cfg(loom)]
    pub(crate) fn get_reply(&self, ticket: &Ticket, from: usize) -> u64 {
        let at = if mutant("queue reply over request") { 0 } else { ticket.reply_area.from };
        fault_point!("call.reading");
        self.slots.get(ticket.slot, at + from)
    }

    /// Returns the seat of the replier that has the request now, for a liveness check.
    pub(crate) fn replier_of(&self, ticket: &Ticket) -> Option<u32> {
        let word = self.slots.word(ticket.slot);
        (word.is(State::Claimed) && self.slots.is_my_request(word)).then(|| word.receiver()).flatten()
    }

    /// Ends a request whose reply was read.
    #[inline(always)]
    pub(crate) fn finish(&self, ticket: Ticket) -> CloseOutcome {
        fault_point!("call.read");
        #[cfg(feature = "trace-slots")]
        self.trace("read the reply from", self.replied(&ticket), ticket.slot);
        // No load before it: the line is with the replier.
        let word = ticket.word.replied();
        match self.slots.change(ticket.slot, word, word.freed(), Step::Close) {
            Ok(()) => {
                if !self.met_others {
                    self.slots.prefetch_request_for_write(self.next);
                }
                CloseOutcome::Freed
            }
            Err(_) => self.close(ticket),
        }
    }

    /// Gives the request up, in whatever state it is. Takes it back if no replier has it yet, tells its
    /// replier that the reply is not wanted, or frees the slot of the reply.
    #[cold]
    #[inline(never)]
    pub(crate) fn close(&self, ticket: Ticket) -> CloseOutcome {
        let replied = matches!(ticket.reply_area.status(), ReplyStatus::Reply(_));
        let mut word = self.slots.word(ticket.slot);
        for _ in 0..TRIES {
            if !self.slots.is_my_request(word) {
                break;
            }
            // From the status on the slot is ours, though its replier may not have recorded that in the word.
            let left = word.is(State::Claimed) && !replied && !mutant("queue cancel frees claimed");
            let to = if left { word.abandoned() } else { word.freed() };
            match self.slots.change(ticket.slot, word, to, Step::Close) {
                Ok(()) if left => return CloseOutcome::LeftToReplier,
                Ok(()) => return CloseOutcome::Freed,
                Err(seen) => word = seen,
            }
        }
        CloseOutcome::LeftToReplier
    }
}
