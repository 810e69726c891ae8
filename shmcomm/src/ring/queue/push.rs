//! The pusher's way to a free slot.

use super::slots::{AHEAD, Step};
use super::word::{State, Word};
use super::{Loan, Queue};
use crate::fault::fault_point;
#[cfg(loom)]
use crate::fault::mutant;

impl Queue {
    /// Takes the next free slot; `None` if the ring is full.
    #[inline]
    pub(crate) fn claim_for_push(&mut self) -> Option<Loan<'_>> {
        let (position, word) = self.claim_free()?;
        fault_point!("push.claimed");
        Some(Loan::new(self, position, word))
    }

    #[inline]
    fn claim_free(&mut self) -> Option<(u64, Word)> {
        #[cfg(loom)]
        if mutant("queue head first") {
            return self.claim_head_first();
        }
        for _ in 0..self.budget() {
            let (position, word) = self.find_room()?;
            if position != self.next && !self.carry(position) {
                continue;
            }
            let mine = word.writing(self.slots.seat);
            if self.slots.change(self.slots.index(position), word, mine, Step::Claim).is_ok() {
                self.next = position.wrapping_add(1);
                // Nobody but pushers has use for what is free.
                self.slots.expect(position.wrapping_add(AHEAD));
                return Some((position, mine));
            }
        }
        None
    }

    /// The first position that can be taken, and its word. All positions from `next` to there are
    /// to be carried before.
    #[inline]
    pub(super) fn find_room(&mut self) -> Option<(u64, Word)> {
        let position = self.next;
        let word = self.slots.word(self.slots.index(position));
        if word.is(State::Free) && self.slots.ahead(word, position) == 0 {
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
            let word = self.slots.word(self.slots.index(probe));
            match (self.slots.ahead(word, probe), word.state()) {
                (0, State::Free) if reach == 0 => return Some((probe, word)),
                (-1, state) if reach == 0 && state != State::Free => match self.look_behind(probe) {
                    Look::Room(position, word) => return Some((position, word)),
                    Look::Full => return None,
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

    /// `position` is not taken, but its slot is still in use on the lap before. Looks for a free
    /// slot behind it.
    fn look_behind(&mut self, position: u64) -> Look {
        for distance in 0..self.slots.count {
            let probe = position.wrapping_add(distance);
            let word = self.slots.word(self.slots.index(probe));
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
            let index = self.slots.index(self.next);
            let word = self.slots.word(index);
            if matches!(word.state(), State::Free | State::Ready) || self.slots.ahead(word, self.next) != -1 {
                return false;
            }
            if self.slots.change(index, word, word.carried(), Step::Carry).is_err() {
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
        let index = self.slots.index(position);
        let free = Word::free(self.slots.lap(position));
        let mine = free.writing(self.slots.seat);
        self.next = position.wrapping_add(1);
        self.slots.change(index, free, mine, Step::Claim).is_ok().then_some((position, mine))
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
