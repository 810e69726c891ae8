//! The word of a slot: its owner, its state, and the lap of the ring that it is on.
//!
//! Owns the bits. Calls nothing. Never touches memory: a [`Word`] is a copy, and `slots` makes every change
//! of it in a region by one compare-exchange.
//!
//! ```text
//!  63            32 31        19 18         6  5      4          3          2    0
//! ┌────────────────┬────────────┬────────────┬──────┬──────────┬───────────┬───────┐
//! │ lap            │ receiver   │ sender     │ASKED │CANCELLED │REDELIVERED│ state │
//! └────────────────┴────────────┴────────────┴──────┴──────────┴───────────┴───────┘
//! ```
//!
//! A seat is stored as its index + 1, so that 0 is no seat and 4096 seats take 13 bits. A region of zeros
//! is an empty queue on lap 0.
//!
//! The lap has 32 bits and wraps. That is enough. A compare-exchange that mistakes one lap for another 2^32
//! laps later still finds the slot in exactly the expected state. A participant that pauses for that many
//! laps recovers its position from the words alone (see `Queue::cursor`).

use crate::layout::MAX_SEATS;
use core::fmt;

const STATE_MASK: u64 = 0b111;
const REDELIVERED: u64 = 1 << 3;
const CANCELLED: u64 = 1 << 4;
const ASKED: u64 = 1 << 5;
const SENDER_SHIFT: u32 = 6;
const RECEIVER_SHIFT: u32 = 19;
const LAP_SHIFT: u32 = 32;
const SEAT_MASK: u64 = (1 << (RECEIVER_SHIFT - SENDER_SHIFT)) - 1;

const _: () = assert!(MAX_SEATS as u64 <= SEAT_MASK && RECEIVER_SHIFT + 13 == LAP_SHIFT);

/// The state of a slot: the participant that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for a pusher.
    Free,
    /// Waits for the sender, which has exclusive access.
    Writing,
    /// Waits for any receiver.
    Ready,
    /// Waits for the receiver, which has exclusive access.
    Claimed,
    /// Waits for the sender, which may read the reply.
    Replied,
    /// Waits for the sender, which must learn that its request was dropped.
    Unanswered,
    /// Waits for the sender, which must learn that the receiver died.
    Died,
    /// Waits for no participant: no protocol step writes this.
    Unknown,
}

/// A copy of the word of a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// Returns the word of a free slot on `lap`.
    pub(super) const fn free(lap: u32) -> Word {
        Word((lap as u64) << LAP_SHIFT)
    }

    pub(super) const fn lap(self) -> u32 {
        (self.0 >> LAP_SHIFT) as u32
    }

    pub(super) const fn state(self) -> State {
        match self.0 & STATE_MASK {
            0 => State::Free,
            1 => State::Writing,
            2 => State::Ready,
            3 => State::Claimed,
            4 => State::Replied,
            5 => State::Unanswered,
            6 => State::Died,
            _ => State::Unknown,
        }
    }

    /// Returns the seat that sent the message, if any.
    pub(super) const fn sender(self) -> Option<u32> {
        seat((self.0 >> SENDER_SHIFT) & SEAT_MASK)
    }

    /// Returns the seat that took the message, if any.
    pub(super) const fn receiver(self) -> Option<u32> {
        seat((self.0 >> RECEIVER_SHIFT) & SEAT_MASK)
    }

    pub(super) fn is(self, state: State) -> bool {
        self.state() == state
    }

    pub(super) fn sent_by(self, seat: u32) -> bool {
        self.sender() == Some(seat)
    }

    pub(super) fn claimed_by(self, seat: u32) -> bool {
        self.is(State::Claimed) && self.receiver() == Some(seat)
    }

    /// Returns `true` if another receiver had the message before and did not acknowledge it.
    pub(super) const fn redelivered(self) -> bool {
        self.0 & REDELIVERED != 0
    }

    /// Returns `true` if the sender does not want the reply any more.
    pub(super) const fn cancelled(self) -> bool {
        self.0 & CANCELLED != 0
    }

    /// Returns `true` if the sender waits for a reply.
    pub(super) const fn asked(self) -> bool {
        self.0 & ASKED != 0
    }

    /// Returns the word after FREE → WRITING.
    pub(super) const fn writing(self, sender: u32) -> Word {
        Word(Word::free(self.lap()).0 | 1 | (sender as u64 + 1) << SENDER_SHIFT)
    }

    /// Returns the word after WRITING → READY.
    pub(super) const fn ready(self, asked: bool) -> Word {
        Word(self.with(2) | if asked { ASKED } else { 0 })
    }

    /// Returns the word after READY → CLAIMED.
    pub(super) const fn claimed(self, receiver: u32) -> Word {
        Word(self.with(3) | (receiver as u64 + 1) << RECEIVER_SHIFT)
    }

    /// Returns the word after CLAIMED → READY.
    pub(super) const fn returned(self) -> Word {
        Word(self.without_receiver().with(2) | REDELIVERED)
    }

    /// Returns the word after CLAIMED → REPLIED.
    pub(super) const fn replied(self) -> Word {
        Word(self.without_receiver().with(4))
    }

    /// Returns the word after CLAIMED → UNANSWERED.
    pub(super) const fn unanswered(self) -> Word {
        Word(self.without_receiver().with(5))
    }

    /// Returns the word after CLAIMED → DIED.
    pub(super) const fn died(self) -> Word {
        Word(self.without_receiver().with(6))
    }

    /// Returns the CLAIMED word without its sender: no requester waits for it any more.
    pub(super) const fn abandoned(self) -> Word {
        Word(self.0 & !(SEAT_MASK << SENDER_SHIFT) | CANCELLED)
    }

    /// Returns the word after any state → FREE, on the next lap.
    pub(super) const fn freed(self) -> Word {
        Word::free(self.lap().wrapping_add(1))
    }

    /// Returns the same word on the next lap (relocated): see invariant 6 of the ring.
    pub(super) const fn relocated(self) -> Word {
        Word(self.0.wrapping_add(1 << LAP_SHIFT))
    }

    const fn with(self, state: u64) -> u64 {
        self.0 & !STATE_MASK | state
    }

    const fn without_receiver(self) -> Word {
        Word(self.0 & !(SEAT_MASK << RECEIVER_SHIFT))
    }
}

const fn seat(stored: u64) -> Option<u32> {
    if stored == 0 { None } else { Some(stored as u32 - 1) }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.state(), self.lap())?;
        if let Some(sender) = self.sender() {
            write!(f, " from {sender}")?;
        }
        if let Some(receiver) = self.receiver() {
            write!(f, " at {receiver}")?;
        }
        for (set, name) in
            [(self.redelivered(), "redelivered"), (self.cancelled(), "cancelled"), (self.asked(), "asked")]
        {
            if set {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_field_keeps_to_its_bits() {
        let last = MAX_SEATS - 1;
        let word = Word::free(u32::MAX).writing(last).ready(true).claimed(last);
        assert_eq!((word.lap(), word.state()), (u32::MAX, State::Claimed));
        assert_eq!((word.sender(), word.receiver()), (Some(last), Some(last)));
        assert!(word.asked() && !word.cancelled() && !word.redelivered());
        assert_eq!(word.freed(), Word(0), "the lap wraps and nothing else is left");
        let returned = word.returned();
        assert_eq!((returned.state(), returned.receiver()), (State::Ready, None));
        assert!(returned.redelivered() && returned.asked() && returned.sent_by(last));
        let abandoned = returned.claimed(7).abandoned();
        assert!(abandoned.claimed_by(7) && abandoned.cancelled() && abandoned.sender().is_none());
        assert_eq!(abandoned.relocated().lap(), 0);
        assert_eq!(abandoned.relocated().receiver(), Some(7));
    }

    #[test]
    fn any_bits_are_a_word() {
        for shift in 0..64 {
            let word = Word(u64::MAX << shift);
            let _ = (word.state(), word.sender(), word.receiver(), word.lap());
            assert!(!format!("{word:?}").is_empty());
        }
    }
}
