//! The pusher's way to a free slot.

use super::slots::{Slot, Step};
use super::word::{State, Word};
use super::{Loan, Queue};
use crate::fault::fault_point;
#[cfg(loom)]
use crate::fault::mutant;

/// Pauses of a pusher that finds the ring full: a microsecond, and less time than the messages in a
/// quarter of the ring take.
const FULL: u64 = 64;

/// How often in a row it pauses.
const PATIENCE: u32 = 4;

impl Queue {
    /// Takes the next free slot; `None` if the ring is full.
    #[inline(always)]
    pub(crate) fn claim_for_push(&mut self) -> Option<Loan<'_>> {
        #[cfg(loom)]
        if mutant("queue head first") {
            let (position, word) = self.claim_head_first()?;
            let slot = self.slots.slot(position);
            return Some(Loan::new(self, position, slot, word));
        }
        // No look before it: a line that receivers poll, and we only look at, stays theirs for longer.
        let (position, free) = (self.next, self.slots.free(self.next));
        let slot = self.slots.slot(position);
        if self.claim(position, slot, free) {
            return Some(Loan::new(self, position, slot, free));
        }
        let (position, word) = self.claim_other()?;
        let slot = self.slots.slot(position);
        Some(Loan::new(self, position, slot, word))
    }

    /// Takes `slot`, of `position`, whose word is thought to be `word`; false if it is not.
    #[inline(always)]
    fn claim(&mut self, position: u64, slot: Slot, word: Word) -> bool {
        let mine = word.writing(self.slots.seat);
        if self.slots.change(slot, word, mine, Step::Claim).is_err() {
            return false;
        }
        self.next = position.wrapping_add(1);
        self.full = 0;
        fault_point!("push.claimed");
        true
    }

    /// Where the next slot was not free: the position that was taken, and the word that was there.
    #[cold]
    #[inline(never)]
    fn claim_other(&mut self) -> Option<(u64, Word)> {
        let mut room = self.find_room();
        for _ in 0..self.budget() {
            let (position, word) = room?;
            if (position == self.next || self.carry(position))
                && self.claim(position, self.slots.slot(position), word)
            {
                return room;
            }
            room = self.find_room();
        }
        None
    }

    /// The first position that can be taken, and its word. All positions from `next` to there are
    /// to be carried before.
    #[inline]
    pub(super) fn find_room(&mut self) -> Option<(u64, Word)> {
        let position = self.next;
        let word = self.slots.word(self.slots.slot(position));
        if word == self.slots.free(position) {
            return Some((position, word));
        }
        self.look_for_room()
    }

    #[cold]
    fn look_for_room(&mut self) -> Option<(u64, Word)> {
        // How far above `next` to look: grows while what is there is taken, shrinks when not.
        let mut reach = 0;
        let mut passed = 0;
        for _ in 0..self.budget() {
            let probe = self.next.wrapping_add(reach);
            let word = self.slots.word(self.slots.slot(probe));
            match (self.slots.ahead(word, probe), word.state()) {
                (0, State::Free) if reach == 0 => return Some((probe, word)),
                (-1, state) if reach == 0 && state != State::Free => match self.look_behind(probe) {
                    Look::Room(position, word) => return Some((position, word)),
                    Look::Full => {
                        self.step_back();
                        return None;
                    }
                    Look::Again => {}
                },
                (0, State::Free) => reach /= 2,
                (-1, state) if state != State::Free => reach /= 2,
                (ahead, _) => {
                    // Taken; or, where the word is behind, we are not where we thought.
                    self.next = self.slots.untaken_from(word, probe);
                    // The first one that was taken is most often the only one.
                    reach =
                        if ahead < 0 || passed == 0 { 0 } else { (reach * 2 + 1).min(self.slots.count / 2) };
                    passed += 1;
                }
            }
        }
        None
    }

    /// Leaves receivers some room before a full ring is looked at again: who follows at their heels takes
    /// from them each line that they are about to free. Not where they are slow to take.
    fn step_back(&mut self) {
        self.full = self.full.saturating_add(1);
        if self.full <= PATIENCE {
            self.slots.pause(FULL.min(self.slots.count / 4));
        }
    }

    /// `position` is not taken, but its slot is still in use on the lap before. Looks for a free
    /// slot behind it.
    fn look_behind(&mut self, position: u64) -> Look {
        for distance in 0..self.slots.count {
            let probe = position.wrapping_add(distance);
            let word = self.slots.word(self.slots.slot(probe));
            match (self.slots.ahead(word, probe), word.state()) {
                (-1, State::Ready) => return Look::Full,
                (-1, State::Free) => {
                    self.next = self.slots.untaken_from(word, probe);
                    return Look::Again;
                }
                (-1, _) => {}
                (0, State::Free) => return Look::Room(probe, word),
                // Others have come here meanwhile.
                _ => return Look::Again,
            }
        }
        Look::Full
    }

    /// Carries the slots from `next` up to `position` to this lap; says if all of them were.
    #[cold]
    fn carry(&mut self, position: u64) -> bool {
        while before_or_all(self.next, position, self.slots.count) {
            let slot = self.slots.slot(self.next);
            let word = self.slots.word(slot);
            if matches!(word.state(), State::Free | State::Ready) || self.slots.ahead(word, self.next) != -1 {
                return false;
            }
            if self.slots.change(slot, word, word.carried(), Step::Carry).is_err() {
                return false;
            }
            self.next = self.next.wrapping_add(1);
        }
        true
    }

    #[cfg(loom)]
    fn claim_head_first(&mut self) -> Option<(u64, Word)> {
        let (_, _) = self.find_room()?;
        let position = self.slots.take_head_first();
        let slot = self.slots.slot(position);
        let free = Word::free(self.slots.lap(position));
        let mine = free.writing(self.slots.seat);
        self.next = position.wrapping_add(1);
        let taken = self.slots.change(slot, free, mine, Step::Claim).is_ok();
        fault_point!("push.claimed");
        taken.then_some((position, free))
    }
}

/// What is behind a slot that is in use.
enum Look {
    Room(u64, Word),
    Full,
    Again,
}

/// Whether `from` is below `to`, by less than `all`.
fn before_or_all(from: u64, to: u64, all: u64) -> bool {
    (1..all).contains(&to.wrapping_sub(from))
}
