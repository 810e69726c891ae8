//! The receiver's way to a message.

use super::slots::{Slot, Step};
use super::word::{State, Word};
use super::{Job, Queue, Request, before};
use crate::fault::{fault_point, mutant};

/// A message that is ours and not accessible yet. To lose it is to keep it from everybody until we
/// are reaped.
#[must_use = "the message stays taken"]
#[derive(Debug)]
pub(crate) struct Taken {
    pub(super) position: u64,
    /// Of the position.
    pub(super) slot: Slot,
    pub(super) word: Word,
}

/// Positions between two hints for those who come late.
const HINT_EVERY: u64 = 64;

/// Looks without success between two that go below the cursor although nothing is said to have
/// come back.
const LOOK_DOWN_EVERY: u32 = 8192;

/// So many messages that were there at once make a stream, whose receiver may be a moment late.
const DENSE: u32 = 16;

/// Pauses of who has caught up with such a stream: a microsecond.
const CAUGHT_UP: u64 = 64;

impl Queue {
    /// Takes the next message; `None` if there is none.
    #[inline(always)]
    pub(crate) fn try_pull(&mut self) -> Option<Job<'_>> {
        let taken = self.take_next()?;
        Some(self.job(taken))
    }

    /// Takes the next request; `None` if there is none.
    #[inline(always)]
    pub(crate) fn try_take_request(&mut self) -> Option<Request<'_>> {
        let taken = self.take_next()?;
        Some(self.request(taken))
    }

    /// The first half of [`Queue::try_pull`] and [`Queue::try_take_request`]; the other ones are
    /// [`Queue::job`] and [`Queue::request`].
    #[inline(always)]
    pub(crate) fn take_next(&mut self) -> Option<Taken> {
        let position = self.cursor;
        let slot = self.slots.slot(position);
        let word = self.slots.word(slot);
        let ready = self.slots.is_ready(word, position);
        if ready && self.take(position, slot, word) {
            return Some(Taken { position, slot, word: word.claimed(self.slots.seat) });
        }
        if self.is_quiet(word) {
            return None;
        }
        let (position, word) = self.take_other(if ready { None } else { Some(word) })?;
        Some(Taken { position, slot: self.slots.slot(position), word: word.claimed(self.slots.seat) })
    }

    /// Whether there is still nothing to find, where the word at the cursor is `word` and the last look found
    /// nothing.
    #[inline(always)]
    fn is_quiet(&mut self, word: Word) -> bool {
        if self.misses == 0 || word != self.slots.free(self.cursor) {
            return false;
        }
        if self.tail != self.cursor {
            if self.is_to_look_below() {
                return false;
            }
            self.looks = self.looks.wrapping_add(1);
        }
        self.misses = self.misses.saturating_add(1);
        true
    }

    /// Makes accessible what was taken last.
    #[inline(always)]
    pub(crate) fn job(&mut self, taken: Taken) -> Job<'_> {
        Job::new(self, taken)
    }

    /// Makes accessible what was taken last.
    #[inline(always)]
    pub(crate) fn request(&mut self, taken: Taken) -> Request<'_> {
        Request::new(self, taken)
    }

    /// Takes the message in `slot`, at `position`, whose word was `word`; false if somebody else was faster.
    #[inline(always)]
    fn take(&mut self, position: u64, slot: Slot, word: Word) -> bool {
        let mine = word.claimed(self.slots.seat);
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

    /// Where there is no message at the cursor, but `word`, or (`None`) somebody else was faster: the position
    /// that was taken, and the word that was there.
    #[cold]
    #[inline(never)]
    fn take_other(&mut self, word: Option<Word>) -> Option<(u64, Word)> {
        let mut found = match word {
            Some(word) => self.find_ready_at(word),
            None => self.find_ready(),
        };
        for _ in 0..self.budget() {
            let (position, word) = found?;
            if self.take(position, self.slots.slot(position), word) {
                return found;
            }
            found = self.find_ready();
        }
        None
    }

    /// The message to take next, and its word.
    #[inline]
    pub(super) fn find_ready(&mut self) -> Option<(u64, Word)> {
        self.find_ready_at(self.slots.word(self.slots.slot(self.cursor)))
    }

    /// The message to take next, and its word, where that at the cursor was `word`.
    fn find_ready_at(&mut self, mut word: Word) -> Option<(u64, Word)> {
        if self.slots.ahead(word, self.cursor) == 0 {
            if word.is(State::Ready) {
                return Some((self.cursor, word));
            }
            word = self.settled(word);
        }
        match (self.slots.ahead(word, self.cursor), word.state()) {
            (0, State::Ready) => Some((self.cursor, word)),
            (0, State::Free) => self.look_below(),
            _ => self.look_around(),
        }
    }

    /// The word at the cursor, which was `word` and no message; after a moment where one will be there soon.
    ///
    /// Whoever looks at a line while another one writes it costs that one the time in which a line moves.
    /// So who has caught up with a stream of messages leaves its pusher some room, and then takes
    /// several in a row.
    fn settled(&mut self, word: Word) -> Word {
        self.misses = self.misses.saturating_add(1);
        if cfg!(loom) {
            // A model has no time: a second look is then one like the first, and doubles what is to be searched.
            return word;
        }
        if self.misses == 1 && self.dense >= DENSE {
            self.slots.pause(CAUGHT_UP);
        } else if !word.is(State::Writing) {
            return word;
        }
        self.slots.settled(self.slots.slot(self.cursor))
    }

    #[cold]
    fn look_around(&mut self) -> Option<(u64, Word)> {
        if let Some(found) = self.look_up() {
            return Some(self.earliest(found));
        }
        self.look_below()
    }

    /// Looks for messages that came back, if a count says that some did, and now and then anyway.
    #[inline]
    fn look_below(&mut self) -> Option<(u64, Word)> {
        if self.tail == self.cursor {
            return None;
        }
        let due = self.is_to_look_below();
        self.looks = self.looks.wrapping_add(1);
        if !due {
            return None;
        }
        let returned = self.slots.redelivered();
        let found = self.look_down();
        if found.is_none() {
            self.returned = returned;
        }
        found
    }

    /// Whether a count says that messages came back, or it is time to look anyway.
    #[inline(always)]
    fn is_to_look_below(&self) -> bool {
        let looks = self.looks.wrapping_add(1);
        self.slots.redelivered() != self.returned || looks.is_multiple_of(LOOK_DOWN_EVERY)
    }

    /// The next look without success goes below too, whatever the count says: it comes too late if
    /// whoever put a message back died before counting.
    pub(crate) fn look_everywhere(&mut self) {
        if !mutant("queue count is trusted") {
            self.looks = LOOK_DOWN_EVERY - 1;
        }
    }

    /// Looks from the cursor upwards, and moves the cursor.
    fn look_up(&mut self) -> Option<(u64, Word)> {
        let slots = self.slots;
        let mut at = self.cursor;
        // Whether everything below `at` may be passed for good.
        let mut moving = true;
        let mut jumps = 0;
        for _ in 0..self.budget() {
            if at.wrapping_sub(self.cursor) >= slots.count {
                return None;
            }
            let word = slots.word(slots.slot(at));
            match (slots.ahead(word, at), word.state()) {
                (0, State::Ready) => return Some((at, word)),
                // Not taken, and so nothing above it is (invariant 5).
                (0, State::Free) => return None,
                (-1, state) if state != State::Free => return None,
                (0, State::Writing) => moving = mutant("queue pass writing"),
                (0, _) => {}
                (ahead, _) if ahead < 0 => {
                    // Only damage brings us above the ring; start again where the word is.
                    self.cursor = slots.undone_from(word, at);
                    self.tail = self.cursor;
                    (at, moving) = (self.cursor, true);
                    continue;
                }
                _ if mutant("queue no help") => moving = false,
                _ if moving => {
                    // Done. Others were here; perhaps they have left all of this behind.
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

    /// The message `found`, or the one to take before it: a lower position that was passed over
    /// while it was written may have become ready before `found` did (invariant 8).
    fn earliest(&self, mut found: (u64, Word)) -> (u64, Word) {
        if mutant("queue no second look") {
            return found;
        }
        // Ends: `found` goes down each time, and there is rarely anything to look at.
        while let Some(lower) = self.ready_between(self.cursor, found.0) {
            found = lower;
        }
        found
    }

    fn ready_between(&self, from: u64, to: u64) -> Option<(u64, Word)> {
        (0..to.wrapping_sub(from).min(self.slots.count)).find_map(|distance| {
            let at = from.wrapping_add(distance);
            let word = self.slots.word(self.slots.slot(at));
            (word.is(State::Ready) && self.slots.ahead(word, at) == 0).then_some((at, word))
        })
    }

    /// Looks below the cursor, where messages were taken, for those that came back; moves the tail.
    #[cold]
    fn look_down(&mut self) -> Option<(u64, Word)> {
        if mutant("queue no look down") {
            return None;
        }
        let slots = self.slots;
        let below = self.cursor.wrapping_sub(self.tail);
        if below > slots.count {
            // Everything further down is done (invariant 4).
            self.tail = self.cursor.wrapping_sub(slots.count);
        }
        let mut at = self.tail;
        let mut done = true;
        while before(at, self.cursor) {
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

    /// Position `position` was acknowledged by us.
    #[inline]
    pub(super) fn acknowledged(&mut self, position: u64) {
        if position == self.tail {
            self.pass(position.wrapping_add(1));
        }
    }

    /// Everything below `tail` is done.
    #[inline]
    fn pass(&mut self, tail: u64) {
        self.tail = tail;
        if tail.is_multiple_of(HINT_EVERY) {
            self.slots.set_tail(tail);
        }
    }
}
