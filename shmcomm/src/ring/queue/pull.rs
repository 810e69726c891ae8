//! The receiver's search for a message, and its transition to CLAIMED (dequeue of a bounded MPMC queue,
//! Vyukov).
//!
//! Owns `cursor`, `tail` and the backoff of a receiver. Calls `slots` for every word. Never touches a
//! payload.

use super::slots::{QueueSlot, Step};
use super::word::{State, Word};
use super::{AcquiredSlot, Budget, Job, Queue, Request, before};
use crate::fault::{fault_point, mutant};

/// Number of positions between two stores of the tail hint, which helps participants that join late.
const HINT_EVERY: u64 = 64;

/// Number of unsuccessful polls between two scans below the cursor, if no count says that messages were put
/// back.
const SCAN_DOWN_EVERY: u32 = 8192;

/// Number of consecutive messages, ready at once, that make a stream. The receiver of a stream may pause.
const DENSE: u32 = 16;

/// Number of pauses of a receiver that has caught up with such a stream: about 1 µs.
const CAUGHT_UP: u64 = 64;

impl Queue {
    /// Takes the next message. Returns `None` if there is none.
    #[inline(always)]
    pub(crate) fn try_pull(&mut self) -> Option<Job<'_>> {
        let taken = self.acquire_next()?;
        Some(self.job(taken))
    }

    /// Takes the next request. Returns `None` if there is none.
    #[inline(always)]
    pub(crate) fn try_take_request(&mut self) -> Option<Request<'_>> {
        let taken = self.acquire_next()?;
        Some(self.request(taken))
    }

    /// Takes the next message: the first half of [`Queue::try_pull`] and [`Queue::try_take_request`]. The
    /// second halves are [`Queue::job`] and [`Queue::request`].
    #[inline(always)]
    pub(crate) fn acquire_next(&mut self) -> Option<AcquiredSlot> {
        let position = self.cursor;
        let slot = self.slots.slot(position);
        let word = self.slots.word(slot);
        let ready = self.slots.is_ready(word, position);
        if ready && self.take(position, slot, word) {
            return Some(AcquiredSlot { position, slot, word: word.claimed(self.slots.seat) });
        }
        if self.is_quiet(word) {
            return None;
        }
        let (position, word) = self.take_other(if ready { None } else { Some(word) })?;
        Some(AcquiredSlot { position, slot: self.slots.slot(position), word: word.claimed(self.slots.seat) })
    }

    /// Returns `true` if there is still nothing to find: the last poll found nothing, and `word` at the
    /// cursor is still free.
    #[inline(always)]
    fn is_quiet(&mut self, word: Word) -> bool {
        if self.misses == 0 || word != self.slots.free(self.cursor) {
            return false;
        }
        if self.tail != self.cursor {
            if self.is_scan_below_due() {
                return false;
            }
            self.empty_polls = self.empty_polls.wrapping_add(1);
        }
        self.misses = self.misses.saturating_add(1);
        true
    }

    /// Makes the message that was taken last accessible.
    #[inline(always)]
    pub(crate) fn job(&mut self, taken: AcquiredSlot) -> Job<'_> {
        Job::new(self, taken)
    }

    /// Makes the request that was taken last accessible.
    #[inline(always)]
    pub(crate) fn request(&mut self, taken: AcquiredSlot) -> Request<'_> {
        Request::new(self, taken)
    }

    /// Takes the message in `slot`, at `position`, whose word was `word`. Returns `false` if another
    /// participant was faster.
    #[inline(always)]
    fn take(&mut self, position: u64, slot: QueueSlot, word: Word) -> bool {
        let mine = word.claimed(self.slots.seat);
        self.slots.prefetch_second_line(slot);
        if self.slots.change(slot, word, mine, Step::Take).is_err() {
            return false;
        }
        if position == self.cursor {
            self.cursor = position.wrapping_add(1);
        }
        self.dense = if self.misses > 1 || word.asked() { 0 } else { self.dense.saturating_add(1) };
        self.misses = 0;
        fault_point!("pull.claimed");
        true
    }

    /// Takes a message at another position than the cursor. `word` is the word at the cursor, or `None` if
    /// another participant was faster. Returns the position that was taken, and the word that was there.
    #[cold]
    #[inline(never)]
    fn take_other(&mut self, word: Option<Word>) -> Option<(u64, Word)> {
        let mut budget = self.budget();
        let mut found = match word {
            Some(word) => self.find_ready_at(word, &mut budget),
            None => self.find_ready(&mut budget),
        };
        while budget.spend() {
            let (position, word) = found?;
            if self.take(position, self.slots.slot(position), word) {
                return found;
            }
            found = self.find_ready(&mut budget);
        }
        None
    }

    /// Returns the position of the message to take next, and its word.
    #[inline]
    pub(super) fn find_ready(&mut self, budget: &mut Budget) -> Option<(u64, Word)> {
        self.find_ready_at(self.slots.word(self.slots.slot(self.cursor)), budget)
    }

    /// Returns the position of the message to take next, and its word, if the cursor has `word`.
    fn find_ready_at(&mut self, mut word: Word, budget: &mut Budget) -> Option<(u64, Word)> {
        if self.slots.ahead(word, self.cursor) == 0 {
            if word.is(State::Ready) {
                return Some((self.cursor, word));
            }
            word = self.word_after_pause(word);
        }
        match (self.slots.ahead(word, self.cursor), word.state()) {
            (0, State::Ready) => Some((self.cursor, word)),
            (0, State::Free) => self.scan_below_if_due(budget),
            _ => self.scan_all(budget),
        }
    }

    /// Returns the word at the cursor, which was `word` and no message, after a pause if a message will be
    /// there soon.
    ///
    /// A receiver that polls a line while a pusher writes it costs the pusher the time in which a line
    /// moves. A receiver that has caught up with a stream of messages therefore backs off, and then takes
    /// several messages in a row.
    fn word_after_pause(&mut self, word: Word) -> Word {
        self.misses = self.misses.saturating_add(1);
        if cfg!(loom) {
            // A model has no time: a second load is like the first, and doubles the states that loom must
            // search.
            return word;
        }
        if self.misses == 1 && self.dense >= DENSE {
            self.slots.pause(CAUGHT_UP);
        } else if !word.is(State::Writing) {
            return word;
        }
        self.slots.word_after_write(self.slots.slot(self.cursor))
    }

    #[cold]
    fn scan_all(&mut self, budget: &mut Budget) -> Option<(u64, Word)> {
        if let Some(found) = self.scan_up(budget) {
            return Some(self.earliest(found, budget));
        }
        self.scan_below_if_due(budget)
    }

    /// Scans for messages that were put back, if a count says that there are some, and now and then anyway.
    #[inline]
    fn scan_below_if_due(&mut self, budget: &mut Budget) -> Option<(u64, Word)> {
        if self.tail == self.cursor {
            return None;
        }
        let due = self.is_scan_below_due();
        self.empty_polls = self.empty_polls.wrapping_add(1);
        if !due {
            return None;
        }
        let returned = self.slots.redelivered();
        let found = self.scan_down(budget);
        if found.is_none() {
            self.returned = returned;
        }
        found
    }

    /// Returns `true` if a count says that messages were put back, or if a periodic scan is due.
    #[inline(always)]
    fn is_scan_below_due(&self) -> bool {
        let empty_polls = self.empty_polls.wrapping_add(1);
        self.slots.redelivered() != self.returned || empty_polls.is_multiple_of(SCAN_DOWN_EVERY)
    }

    /// Makes the next unsuccessful poll scan below the cursor too, whatever the count says. The count comes
    /// too late if the participant that put a message back died before counting.
    pub(crate) fn force_scan_below(&mut self) {
        if !mutant("queue count is trusted") {
            self.empty_polls = SCAN_DOWN_EVERY - 1;
        }
    }

    /// Scans from the cursor upwards, and moves the cursor.
    fn scan_up(&mut self, budget: &mut Budget) -> Option<(u64, Word)> {
        let slots = self.slots;
        let mut at = self.cursor;
        // True if everything below `at` may be passed for good.
        let mut moving = true;
        let mut jumps = 0;
        while budget.spend() {
            if at.wrapping_sub(self.cursor) >= slots.count {
                return None;
            }
            let word = slots.word(slots.slot(at));
            match (slots.ahead(word, at), word.state()) {
                (0, State::Ready) => return Some((at, word)),
                // Not taken, and so no position above it is (invariant 5).
                (0, State::Free) => return None,
                (-1, state) if state != State::Free => return None,
                (0, State::Writing) => moving = mutant("queue pass writing"),
                (0, _) => {}
                (ahead, _) if ahead < 0 => {
                    // Only damage brings us above the ring. The scan starts again at the position of the
                    // word.
                    self.cursor = slots.undone_from(word, at);
                    self.tail = self.cursor;
                    (at, moving) = (self.cursor, true);
                    continue;
                }
                _ if mutant("queue no help") => moving = false,
                _ if moving => {
                    // Done. Other participants were here, and may have left all of this behind.
                    let mut to = at.wrapping_add(1);
                    if before(to, slots.undone_from(word, at)) {
                        to = slots.undone_from(word, at);
                    }
                    jumps += 1;
                    if jumps == HINT_EVERY / 4 {
                        let hint = slots.tail();
                        if before(to, hint) && hint.wrapping_sub(to) <= slots.count {
                            to = hint;
                        }
                    }
                    (at, self.cursor) = (to, to);
                    continue;
                }
                _ => {}
            }
            at = at.wrapping_add(1);
            if moving {
                self.cursor = at;
            }
        }
        None
    }

    /// Returns the message `found`, or a message that must be taken before it. A lower position that was
    /// passed while it was written may have become ready before `found` did (invariant 8).
    fn earliest(&self, mut found: (u64, Word), budget: &mut Budget) -> (u64, Word) {
        if mutant("queue no validation") {
            return found;
        }
        // This loop ends: `found` decreases each time, and there are rarely any words to load.
        while let Some(lower) = self.ready_between(self.cursor, found.0, budget) {
            found = lower;
        }
        found
    }

    fn ready_between(&self, from: u64, to: u64, budget: &mut Budget) -> Option<(u64, Word)> {
        (0..to.wrapping_sub(from).min(self.slots.count)).take_while(|_| budget.spend()).find_map(|distance| {
            let at = from.wrapping_add(distance);
            let word = self.slots.word(self.slots.slot(at));
            (word.is(State::Ready) && self.slots.ahead(word, at) == 0).then_some((at, word))
        })
    }

    /// Scans below the cursor, where messages were taken, for messages that were put back. Moves the tail.
    #[cold]
    fn scan_down(&mut self, budget: &mut Budget) -> Option<(u64, Word)> {
        if mutant("queue no scan down") {
            return None;
        }
        let slots = self.slots;
        let below = self.cursor.wrapping_sub(self.tail);
        if below > slots.count {
            // Every position further down is done (invariant 4).
            self.tail = self.cursor.wrapping_sub(slots.count);
        }
        let mut at = self.tail;
        let mut done = true;
        while before(at, self.cursor) && budget.spend() {
            let word = slots.word(slots.slot(at));
            match slots.ahead(word, at) {
                0 if word.is(State::Ready) => return Some((at, word)),
                1.. => {}
                _ => done = false,
            }
            at = at.wrapping_add(1);
            if done {
                self.pass(at);
            }
        }
        None
    }

    /// Records that this participant acknowledged `position`.
    #[inline]
    pub(super) fn acknowledged(&mut self, position: u64) {
        if position == self.tail {
            self.pass(position.wrapping_add(1));
        }
    }

    /// Records that every position below `tail` is done.
    #[inline]
    fn pass(&mut self, tail: u64) {
        self.tail = tail;
        if tail.is_multiple_of(HINT_EVERY) {
            self.slots.set_tail(tail);
        }
    }
}
