//! [`Ticket`]: the requester's side of a request that is on its way.

use super::bell::{Back, Bell};
use super::slots::{Slot, Step, TRIES};
use super::word::{State, Word};
use super::{Loan, Queue};
use crate::fault::{fault_point, mutant};

/// A request of ours: its slot is named ours until the ticket is closed (invariant 7 of the ring).
///
/// Losing one without [`Queue::close`] costs its slot until this participant is gone.
#[must_use = "a request holds its slot until it is closed"]
#[derive(Debug)]
pub(crate) struct Ticket {
    slot: Slot,
    back: Back,
    /// The word as it was published.
    word: Word,
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// No answer yet.
    Pending,
    /// Answered with so many bytes, at [`Queue::reply_ptr`] until the ticket is closed.
    Replied(usize),
    /// A replier dropped the request.
    Unanswered,
    /// The replier that had it died, and the service does not redeliver; or the segment is damaged
    /// and knows nothing of the request.
    PeerDied,
}

/// What became of a request that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The slot is free.
    Freed,
    /// A replier has it, and frees it when it is done.
    LeftToReplier,
}

impl Ticket {
    #[inline]
    pub(super) fn new(slot: Slot, back: Back, word: Word) -> Self {
        Ticket { slot, back, word }
    }

    /// For those who look for the answer without fetching it.
    pub(crate) fn copy_to_look(&self) -> Self {
        Ticket { ..*self }
    }
}

impl Queue {
    /// Takes a free slot for a request: fill it and call [`Loan::request`]. `None` if the ring is
    /// full.
    #[inline]
    pub(crate) fn begin_request(&mut self) -> Option<Loan<'_>> {
        self.claim_for_push()
    }

    /// Says when the request was sent, in nanoseconds of the sender's choice of clock.
    #[cold]
    pub(crate) fn date(&self, ticket: &Ticket, nanos: u64) {
        self.slots.set_sent_at(ticket.slot, nanos);
    }

    /// Looks for the answer. One load, of a line that only whoever answers changes.
    #[inline]
    pub(crate) fn poll_reply(&self, ticket: &Ticket) -> Reply {
        match ticket.back.bell() {
            Bell::Silent => Reply::Pending,
            Bell::Reply(len) => Reply::Replied(len),
            Bell::NoReply => self.find_reply(ticket),
        }
    }

    /// Looks for the answer, also where the bell should have rung and did not, as in a damaged segment.
    #[cold]
    #[inline(never)]
    pub(crate) fn find_reply(&self, ticket: &Ticket) -> Reply {
        if let Bell::Reply(len) = ticket.back.bell() {
            return Reply::Replied(len);
        }
        let word = self.slots.word(ticket.slot);
        if !self.slots.is_my_request(word) {
            return Reply::PeerDied;
        }
        match word.state() {
            State::Unanswered => Reply::Unanswered,
            State::Died => Reply::PeerDied,
            // A reply without a bell: it has just been rung, or never will be.
            State::Replied => match ticket.back.bell() {
                Bell::Reply(len) => Reply::Replied(len),
                _ => Reply::PeerDied,
            },
            _ => Reply::Pending,
        }
    }

    /// Whether there is something to look at, for those who may ask after the ticket is closed: the bell may be
    /// another request's then.
    pub(crate) fn is_answered(&self, ticket: &Ticket) -> bool {
        let word = self.slots.word(ticket.slot);
        !self.slots.is_my_request(word) || !matches!(word.state(), State::Ready | State::Claimed)
    }

    /// Bytes of the reply; 0 without one.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn replied(&self, ticket: &Ticket) -> usize {
        match ticket.back.bell() {
            Bell::Reply(len) => len,
            _ => 0,
        }
    }

    /// The reply, after [`Reply::Replied`] and until the ticket is closed.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn reply_ptr(&self, ticket: &Ticket) -> core::ptr::NonNull<u8> {
        self.slots.reply(ticket.slot, &ticket.back)
    }

    #[cfg(loom)]
    pub(crate) fn get_reply(&self, ticket: &Ticket, from: usize) -> u64 {
        let at = if mutant("queue reply over request") { 0 } else { ticket.back.from };
        fault_point!("call.reading");
        self.slots.get(ticket.slot, at + from)
    }

    /// The seat of the replier that has the request now, to see whether it lives.
    pub(crate) fn replier_of(&self, ticket: &Ticket) -> Option<u32> {
        let word = self.slots.word(ticket.slot);
        (word.is(State::Claimed) && self.slots.is_my_request(word)).then(|| word.receiver()).flatten()
    }

    /// Ends a request whose reply was looked at.
    #[inline(always)]
    pub(crate) fn finish(&self, ticket: Ticket) -> Closed {
        fault_point!("call.read");
        // No look before it: the line is with the replier.
        let word = ticket.word.replied();
        match self.slots.change(ticket.slot, word, word.freed(), Step::Close) {
            Ok(()) => Closed::Freed,
            Err(_) => self.close(ticket),
        }
    }

    /// Gives the request up, in whatever state it is: takes it back if nobody has it yet, tells its
    /// replier that the reply is not wanted, or frees the slot of the reply.
    #[cold]
    #[inline(never)]
    pub(crate) fn close(&self, ticket: Ticket) -> Closed {
        let replied = matches!(ticket.back.bell(), Bell::Reply(_));
        let mut word = self.slots.word(ticket.slot);
        for _ in 0..TRIES {
            if !self.slots.is_my_request(word) {
                break;
            }
            // From the bell on it is ours, though its replier may not have said so in the word.
            let left = word.is(State::Claimed) && !replied && !mutant("queue cancel frees claimed");
            let to = if left { word.abandoned() } else { word.freed() };
            match self.slots.change(ticket.slot, word, to, Step::Close) {
                Ok(()) if left => return Closed::LeftToReplier,
                Ok(()) => return Closed::Freed,
                Err(seen) => word = seen,
            }
        }
        Closed::LeftToReplier
    }
}
