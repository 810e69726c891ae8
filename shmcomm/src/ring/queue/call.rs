//! [`Ticket`]: the requester's side of a request that is on its way.

use super::slots::{Slot, Step, TRIES};
use super::word::State;
use super::{Loan, Queue};
use crate::fault::{fault_point, mutant};

/// A request of ours: its slot is named ours until the ticket is closed (invariant 7 of the ring).
///
/// Losing one without [`Queue::close`] costs its slot until this participant is gone.
#[must_use = "a request holds its slot until it is closed"]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    slot: Slot,
    /// Bytes of the request; the reply lies behind them.
    request: usize,
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
    pub(super) fn new(slot: Slot, request: usize) -> Self {
        Ticket { slot, request }
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

    /// Looks for the answer. One load.
    #[inline]
    pub(crate) fn poll_reply(&self, ticket: &Ticket) -> Reply {
        let word = self.slots.word(ticket.slot);
        if !self.slots.is_my_request(word) {
            return Reply::PeerDied;
        }
        match word.state() {
            State::Replied => Reply::Replied(self.reply_len(ticket)),
            State::Unanswered => Reply::Unanswered,
            State::Died => Reply::PeerDied,
            _ => Reply::Pending,
        }
    }

    /// Bytes of a reply that is there.
    #[inline]
    fn reply_len(&self, ticket: &Ticket) -> usize {
        let room = self.slots.size - self.slots.reply_offset(ticket.request);
        self.slots.reply_len(ticket.slot).min(room as u64) as usize
    }

    /// Bytes of the reply; 0 without one.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn replied(&self, ticket: &Ticket) -> usize {
        match self.poll_reply(ticket) {
            Reply::Replied(len) => len,
            _ => 0,
        }
    }

    /// The reply, after [`Reply::Replied`] and until the ticket is closed.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn reply_ptr(&self, ticket: &Ticket) -> core::ptr::NonNull<u8> {
        self.slots.payload(ticket.slot, self.slots.reply_offset(ticket.request))
    }

    #[cfg(loom)]
    pub(crate) fn get_reply(&self, ticket: &Ticket, from: usize) -> u64 {
        let at = if mutant("queue reply over request") { 0 } else { self.slots.reply_offset(ticket.request) };
        fault_point!("call.reading");
        self.slots.get(ticket.slot, at + from)
    }

    /// The seat of the replier that has the request now, to see whether it lives.
    pub(crate) fn replier_of(&self, ticket: &Ticket) -> Option<u32> {
        let word = self.slots.word(ticket.slot);
        (word.is(State::Claimed) && self.slots.is_my_request(word)).then(|| word.receiver()).flatten()
    }

    /// Gives the request up, in whatever state it is: takes it back if nobody has it yet, tells its
    /// replier that the reply is not wanted, or frees the slot of the reply.
    #[inline]
    pub(crate) fn close(&self, ticket: Ticket) -> Closed {
        let mut word = self.slots.word(ticket.slot);
        let reply = word.is(State::Replied) && self.slots.is_my_request(word);
        let keep = || {
            self.slots.keep_lines(
                ticket.slot,
                self.slots.reply_offset(ticket.request),
                self.reply_len(&ticket),
            );
        };
        if reply {
            // Nobody looks at the reply any more: its ticket is here.
            if !mutant("queue keep reply too late") {
                keep();
            }
            fault_point!("call.kept");
        }
        for _ in 0..TRIES {
            if !self.slots.is_my_request(word) {
                break;
            }
            let left = word.is(State::Claimed) && !mutant("queue cancel frees claimed");
            let to = if left { word.abandoned() } else { word.freed() };
            match self.slots.change(ticket.slot, word, to, Step::Close) {
                Ok(()) if left => return Closed::LeftToReplier,
                Ok(()) => {
                    if reply && mutant("queue keep reply too late") {
                        keep();
                    }
                    return Closed::Freed;
                }
                Err(seen) => word = seen,
            }
        }
        Closed::LeftToReplier
    }
}
