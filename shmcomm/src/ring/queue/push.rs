//! The pusher's search for a free slot, and its transition to WRITING (enqueue of a bounded MPMC queue,
//! Vyukov).
//!
//! Owns `next`, relocation and the backoff of a pusher. Calls `slots` for every word. Never
//! touches a payload.

use super::slots::{QueueSlot, Step};
use super::word::{State, Word};
use super::{Budget, Loan, Queue};
use crate::fault::fault_point;
#[cfg(loom)]
use crate::fault::mutant;

/// Number of pauses of a pusher that finds the ring full: about 1 µs, and less than the time that a quarter
/// of the messages in the ring take.
const FULL: u64 = 64;

/// Number of consecutive polls that find the ring full and are each followed by a pause.
const FULL_POLLS: u32 = 4;

impl Queue {
    /// Takes a free slot for a request. The caller fills it and calls [`Loan::request`]. Returns `None` if
    /// the ring is full.
    #[inline]
    pub(crate) fn begin_request(&mut self) -> Option<Loan<'_>> {
        self.met_others = false;
        self.claim_for_push()
    }

    /// Takes the next free slot. Returns `None` if the ring is full.
    #[inline(always)]
    pub(crate) fn claim_for_push(&mut self) -> Option<Loan<'_>> {
        #[cfg(loom)]
        if mutant("queue head first") {
            let (position, word) = self.claim_head_first()?;
            let slot = self.slots.slot(position);
            return Some(Loan::new(self, position, slot, word));
        }
        // No load before it: a line that receivers poll, and that we only load, stays with them for longer.
        let (position, free) = (self.next, self.slots.free(self.next));
        let slot = self.slots.slot(position);
        if self.claim(position, slot, free) {
            return Some(Loan::new(self, position, slot, free));
        }
        let (position, word) = self.claim_other()?;
        let slot = self.slots.slot(position);
        Some(Loan::new(self, position, slot, word))
    }

    /// Takes `slot`, of `position`, if its word is `word`. Returns `false` if it is another word.
    #[inline(always)]
    fn claim(&mut self, position: u64, slot: QueueSlot, word: Word) -> bool {
        let mine = word.writing(self.slots.seat);
        if self.slots.change(slot, word, mine, Step::Claim).is_err() {
            return false;
        }
        self.next = position.wrapping_add(1);
        self.full = 0;
        fault_point!("push.claimed");
        true
    }

    /// Takes a position after the next slot was not free. Returns the position that was taken, and the word
    /// that was there.
    #[cold]
    #[inline(never)]
    fn claim_other(&mut self) -> Option<(u64, Word)> {
        self.met_others = true;
        let mut budget = self.budget();
        let mut room = self.find_free(&mut budget);
        while budget.spend() {
            let (position, word) = room?;
            if (position == self.next || self.relocate(position, &mut budget))
                && self.claim(position, self.slots.slot(position), word)
            {
                return room;
            }
            room = self.find_free(&mut budget);
        }
        None
    }

    /// Returns the first position that can be taken, and its word. The caller must first relocate all
    /// positions from `next` to there.
    #[inline]
    pub(super) fn find_free(&mut self, budget: &mut Budget) -> Option<(u64, Word)> {
        let position = self.next;
        let word = self.slots.word(self.slots.slot(position));
        if word == self.slots.free(position) {
            return Some((position, word));
        }
        self.search_free(budget)
    }

    #[cold]
    fn search_free(&mut self, budget: &mut Budget) -> Option<(u64, Word)> {
        // Distance of the probe above `next`. It grows while the probed positions are taken, and shrinks
        // when they are not.
        let mut reach = 0;
        let mut passed = 0;
        while budget.spend() {
            let probe = self.next.wrapping_add(reach);
            let word = self.slots.word(self.slots.slot(probe));
            match (self.slots.ahead(word, probe), word.state()) {
                (0, State::Free) if reach == 0 => return Some((probe, word)),
                (-1, state) if reach == 0 && state != State::Free => match self.scan_behind(probe, budget) {
                    ScanBehind::Free(position, word) => return Some((position, word)),
                    ScanBehind::Full => {
                        self.back_off();
                        return None;
                    }
                    ScanBehind::Again => {}
                },
                (0, State::Free) => reach /= 2,
                (-1, state) if state != State::Free => reach /= 2,
                (ahead, _) => {
                    // Taken. Or the word is behind, and our position is wrong.
                    self.next = self.slots.untaken_from(word, probe);
                    // The first position that was taken is most often the only one.
                    reach =
                        if ahead < 0 || passed == 0 { 0 } else { (reach * 2 + 1).min(self.slots.count / 2) };
                    passed += 1;
                }
            }
        }
        None
    }

    /// Backs off before a full ring is polled again. A pusher that polls closely behind receivers takes
    /// from them each line that they are about to free. It does not pause any more if receivers are slow to
    /// take.
    fn back_off(&mut self) {
        self.full = self.full.saturating_add(1);
        if self.full <= FULL_POLLS {
            self.slots.pause(FULL.min(self.slots.count / 4));
        }
    }

    /// Searches for a free slot behind `position`, which is not taken, but whose slot is still in use on
    /// the previous lap.
    fn scan_behind(&mut self, position: u64, budget: &mut Budget) -> ScanBehind {
        for distance in 0..self.slots.count {
            if !budget.spend() {
                break;
            }
            let probe = position.wrapping_add(distance);
            let word = self.slots.word(self.slots.slot(probe));
            match (self.slots.ahead(word, probe), word.state()) {
                (-1, State::Ready) => return ScanBehind::Full,
                (-1, State::Free) => {
                    self.next = self.slots.untaken_from(word, probe);
                    return ScanBehind::Again;
                }
                (-1, _) => {}
                (0, State::Free) => return ScanBehind::Free(probe, word),
                // Other participants have come here meanwhile.
                _ => return ScanBehind::Again,
            }
        }
        ScanBehind::Full
    }

    /// Relocates the slots from `next` up to `position` to this lap. Returns `true` if it relocated all of
    /// them.
    #[cold]
    fn relocate(&mut self, position: u64, budget: &mut Budget) -> bool {
        while before_or_all(self.next, position, self.slots.count) {
            if !budget.spend() {
                return false;
            }
            let slot = self.slots.slot(self.next);
            let word = self.slots.word(slot);
            if matches!(word.state(), State::Free | State::Ready) || self.slots.ahead(word, self.next) != -1 {
                return false;
            }
            if self.slots.change(slot, word, word.relocated(), Step::Relocate).is_err() {
                return false;
            }
            self.next = self.next.wrapping_add(1);
        }
        true
    }

    #[cfg(loom)]
    fn claim_head_first(&mut self) -> Option<(u64, Word)> {
        let (_, _) = self.find_free(&mut self.budget())?;
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

/// The result of a search behind a slot that is in use.
enum ScanBehind {
    Free(u64, Word),
    Full,
    Again,
}

/// Returns `true` if `from` is below `to`, by less than `all`.
fn before_or_all(from: u64, to: u64, all: u64) -> bool {
    (1..all).contains(&to.wrapping_sub(from))
}
