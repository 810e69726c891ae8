//! The slots of a queue: the only place that reads and changes their words.
//!
//! Owns the step from a position to a slot, and every transition as a compare-exchange of the whole
//! word. Never waits for more than a moment, and never looks at a payload.

use super::bell::Back;
use super::word::{State, Word};
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Discipline, Exchange, Geometry, Region, Words, control, slot as words};
use crate::sync::{Ordering, spin_loop};

/// Transitions of a word, by name: what a fault point and a known-wrong variant are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Claim,
    Publish,
    Abort,
    Take,
    Acknowledge,
    PutBack,
    Reply,
    Decline,
    Close,
    Carry,
    Reap,
}

impl Step {
    /// Where a participant may die after it, or after it failed.
    #[inline(always)]
    fn made(self) {
        match self {
            Step::Claim => fault_point!("push.taken"),
            Step::Publish => fault_point!("push.published"),
            Step::Abort => fault_point!("push.aborted"),
            Step::Take => fault_point!("pull.taken"),
            Step::Acknowledge => fault_point!("pull.freed"),
            Step::PutBack => fault_point!("pull.returned"),
            Step::Reply => fault_point!("reply.published"),
            Step::Decline => fault_point!("reply.declined"),
            Step::Close => fault_point!("call.closed"),
            Step::Carry => fault_point!("queue.carried"),
            Step::Reap => fault_point!("queue.reaped"),
        }
    }
}

/// How often an owner tries to leave a slot that others may only carry or cancel meanwhile. Each
/// failure takes a whole lap of the ring, or a cancellation; more than that is a peer gone mad.
pub(super) const TRIES: u32 = 64;

/// Pauses that a receiver leaves a sender to publish what it writes: as long as a line takes twice.
/// (The model has no time; there nothing is ever waited for.)
const MOMENT: u32 = if cfg!(loom) { 0 } else { 16 };

/// Bytes of a line.
const LINE: usize = 64;

/// Bytes of a slot whose lines are kept by those who have read them.
const KEPT: usize = 4096;

/// A slot: made by [`Slots::slot`] alone, and so in bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Where it starts in the region.
    at: usize,
    /// Its words.
    head: Words<HEAD>,
}

/// Bytes of a slot before its payload.
const HEAD: usize = Discipline::Queue.head();

/// A view of the slots for one seat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    region: Region,
    pub(super) count: u64,
    shift: u32,
    stride: usize,
    start: usize,
    payload: usize,
    pub(super) size: usize,
    /// Bytes of the longest request.
    pub(super) request_size: usize,
    exchange: Exchange,
    pub(super) seat: u32,
}

impl Slots {
    pub(super) fn new(region: Region, geometry: &Geometry, seat: u32) -> Self {
        debug_assert!(seat < geometry.seats);
        Slots {
            region,
            count: geometry.slots,
            shift: geometry.slots.trailing_zeros(),
            stride: geometry.stride as usize,
            start: geometry.slots_offset as usize,
            payload: geometry.payload_offset as usize,
            size: geometry.slot_size as usize,
            request_size: geometry.request_size as usize,
            exchange: geometry.exchange,
            seat,
        }
    }

    /// The slot of a position.
    #[inline(always)]
    pub(super) fn slot(&self, position: u64) -> Slot {
        let at = self.start + (position & (self.count - 1)) as usize * self.stride;
        Slot { at, head: self.region.words(at) }
    }

    /// All slots, in the order in which they lie.
    pub(super) fn all(self) -> impl Iterator<Item = Slot> {
        (0..self.count).map(move |position| self.slot(position))
    }

    /// The lap of a position.
    #[inline]
    pub(super) fn lap(&self, position: u64) -> u32 {
        (position >> self.shift) as u32
    }

    /// The word that a position has before it is taken.
    #[inline]
    pub(super) fn free(&self, position: u64) -> Word {
        Word::free(self.lap(position))
    }

    /// Whether `word` is that of a message at `position`.
    #[inline]
    pub(super) fn is_ready(&self, word: Word, position: u64) -> bool {
        word.is(State::Ready) && word.lap() == self.lap(position)
    }

    /// How many laps `word`, found in the slot of `position`, is ahead of it.
    #[inline]
    pub(super) fn ahead(&self, word: Word, position: u64) -> i32 {
        word.lap().wrapping_sub(self.lap(position)) as i32
    }

    /// The word of `slot`.
    #[inline]
    pub(super) fn word(&self, slot: Slot) -> Word {
        self.in_any_order(slot);
        // [see] pairs with [change]: whoever sees a change also sees what was done before it.
        Word(slot.head.u64(words::STAMP).load(Ordering::Acquire))
    }

    /// The word of `slot`; where a sender is at work, after a moment to let it finish. Looking
    /// further meanwhile would take from other senders the lines that they write next.
    #[inline]
    pub(super) fn settled(&self, slot: Slot) -> Word {
        let mut word = self.word(slot);
        for _ in 0..MOMENT {
            if !word.is(State::Writing) {
                break;
            }
            spin_loop();
            word = self.word(slot);
        }
        word
    }

    /// Pauses so often. (Not in a model or under Miri, which have no time.)
    pub(super) fn pause(&self, times: u64) {
        for _ in 0..if cfg!(any(loom, miri)) { 0 } else { times } {
            spin_loop();
        }
    }

    /// Changes the word of `slot` from `old` to `new`; else says what is there.
    #[inline]
    pub(super) fn change(&self, slot: Slot, old: Word, new: Word, step: Step) -> Result<(), Word> {
        self.in_any_order(slot);
        let (success, failure) = ordering(step);
        let changed = slot.head.u64(words::STAMP).compare_exchange(old.0, new.0, success, failure);
        step.made();
        changed.map(drop).map_err(Word)
    }

    /// Changes the word of `slot`, which `mine` says is still ours, as `to` says. Gives back
    /// the word that was replaced, or `None` if the slot is not ours any more.
    #[inline(always)]
    pub(super) fn leave(
        &self,
        slot: Slot,
        first: Word,
        step: Step,
        mine: impl Fn(Word) -> bool,
        to: impl Fn(Word) -> Word,
    ) -> Option<Word> {
        match self.change(slot, first, to(first), step) {
            Ok(()) => Some(first),
            Err(seen) => self.leave_late(slot, (first, seen), step, mine, to),
        }
    }

    /// Leaves a slot whose word is not as we left it: it was carried, or its request cancelled.
    #[cold]
    #[inline(never)]
    fn leave_late(
        &self,
        slot: Slot,
        (first, mut word): (Word, Word),
        step: Step,
        mine: impl Fn(Word) -> bool,
        to: impl Fn(Word) -> Word,
    ) -> Option<Word> {
        for _ in 1..TRIES {
            if !mine(word) {
                return None;
            }
            let new = if mutant("queue ignore carry") { to(first) } else { to(word) };
            match self.change(slot, word, new, step) {
                Ok(()) => return Some(word),
                Err(seen) => word = seen,
            }
        }
        None
    }

    /// Length of the message in `slot`, as far as the slot holds it.
    #[inline]
    pub(super) fn len(&self, slot: Slot) -> usize {
        // Relaxed: ours alone, or ordered by the word.
        let meta = slot.head.u64(words::META).load(Ordering::Relaxed);
        (meta as u32 as usize).min(self.size)
    }

    #[inline]
    pub(super) fn set_len(&self, slot: Slot, len: usize) {
        // Relaxed: published with the word.
        slot.head.u64(words::META).store(len.min(self.size) as u64, Ordering::Relaxed);
    }

    /// When the message in `slot` was sent, in nanoseconds of the sender's choice of clock.
    pub(super) fn sent_at(&self, slot: Slot) -> u64 {
        // Relaxed: for statistics; may belong to the message before or after.
        slot.head.u64(words::TIME).load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_sent_at(&self, slot: Slot, nanos: u64) {
        if cfg!(loom) {
            return;
        }
        // Relaxed: for statistics.
        slot.head.u64(words::TIME).store(nanos, Ordering::Relaxed);
    }

    /// Makes loom try this access to the word in every order with those of others. It keeps only
    /// the last access to an atomic, so a load by one thread is forgotten, and never reordered, when
    /// another thread loads and then changes the word. An access to a second word, which changes it
    /// and orders nothing, brings those orders back; it is that of the time, which no model needs.
    #[inline(always)]
    fn in_any_order(&self, _slot: Slot) {
        #[cfg(loom)]
        _slot.head.u64(words::TIME).fetch_add(1, Ordering::Relaxed);
    }

    /// Where the request in `slot` has its reply.
    #[inline(always)]
    pub(super) fn back(&self, slot: Slot) -> Back {
        let Exchange { bell, reply } = self.exchange;
        // The payload of a model has no atomic words.
        let at = if cfg!(loom) { words::EXTRA } else { self.payload + bell };
        Back { bell: self.region.words(slot.at + at), from: reply, room: self.size - reply }
    }

    /// Writes a word of each line that the first `len` bytes of payload lie on over with what is there; not of the line of the slot's word, which is changed anyway. To be used as `payload` is, while
    /// there is no reference to the bytes.
    ///
    /// A line that one side has only read is shared by both afterwards, and whoever writes it next has to
    /// wait until the other gives it up: processors ask ahead for lines that they do not have, not for the
    /// right to write those that they have. A line that was written here comes over with all of that.
    #[inline]
    pub(super) fn keep_lines(&self, slot: Slot, len: usize) {
        #[cfg(not(loom))]
        {
            let mut line = (self.payload & !(LINE - 1)).max(LINE);
            let end = (self.payload + len).min(KEPT);
            while line < end {
                let word = self.region.u64(slot.at + line);
                // Relaxed, both: nobody else touches them.
                word.store(word.load(Ordering::Relaxed), Ordering::Relaxed);
                line += LINE;
            }
        }
        #[cfg(loom)]
        for from in (0..len).step_by(8) {
            self.put(slot, from, self.get(slot, from));
        }
    }

    /// The reply to a request in `slot`. To be used as `payload` is.
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn reply(&self, slot: Slot, back: &Back) -> core::ptr::NonNull<u8> {
        self.payload(slot, back.from)
    }

    /// The payload of `slot` from byte `from`. To be used only while the word gives the slot
    /// to this seat alone (invariant 2).
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn payload(&self, slot: Slot, from: usize) -> core::ptr::NonNull<u8> {
        debug_assert!(from <= self.size);
        let at = slot.at + self.payload;
        self.region.ptr(at + from, self.size - from)
    }

    /// Reads eight bytes of payload from byte `from`, as the owner of the slot.
    #[cfg(loom)]
    #[allow(unsafe_code)]
    pub(super) fn get(&self, slot: Slot, from: usize) -> u64 {
        let at = slot.at + self.payload;
        // SAFETY: invariant 2; loom says so if not.
        self.region.cell(at + from).with(|cell| unsafe { *cell })
    }

    /// Writes eight bytes of payload at byte `from`, as the owner of the slot.
    #[cfg(loom)]
    #[allow(unsafe_code)]
    pub(super) fn put(&self, slot: Slot, from: usize, value: u64) {
        let at = slot.at + self.payload;
        // SAFETY: invariant 2; loom says so if not.
        self.region.cell(at + from).with_mut(|cell| unsafe { *cell = value });
    }

    /// A hint of the first position that is not done. Every lower one is done.
    pub(super) fn tail(&self) -> u64 {
        // Relaxed: what is done stays done, so any value that was ever written is true.
        self.region.u64(control::TAIL).load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_tail(&self, position: u64) {
        // Relaxed: see `tail`.
        self.region.u64(control::TAIL).store(position, Ordering::Relaxed);
    }

    /// Takes the next position as old bounded queues do: the head first, the slot after it.
    #[cfg(loom)]
    pub(super) fn take_head_first(&self) -> u64 {
        let position = self.region.u64(control::HEAD).fetch_add(1, Ordering::AcqRel);
        fault_point!("model.head");
        position
    }

    /// Counts messages that were put back, and so calls for a look at them.
    pub(super) fn count_redelivered(&self, messages: u64) {
        // [count] pairs with [recall]: whoever sees the count sees that they are ready. All changes are
        // read-modify-writes, so the last count brings what each of them counted.
        self.region
            .u64(control::REDELIVERED)
            .fetch_add(messages, weak("queue relaxed count", Ordering::Release));
    }

    /// Messages that were put back since the segment was made.
    #[inline]
    pub(super) fn redelivered(&self) -> u64 {
        // [recall] pairs with [count].
        self.region.u64(control::REDELIVERED).load(Ordering::Acquire)
    }

    /// Whether this seat's request lies in the slot.
    pub(super) fn is_my_request(&self, word: Word) -> bool {
        word.asked()
            && word.sent_by(self.seat)
            && !matches!(word.state(), State::Free | State::Writing | State::Unknown)
    }
}

/// [change]: every change of a word acquires what was done before the change that it replaces, and
/// releases what was done before itself; no plain store ever cuts that chain. On x86-64 this costs
/// nothing beside the locked instruction; elsewhere it makes [see] complete (invariant 5).
#[inline(always)]
fn ordering(step: Step) -> (Ordering, Ordering) {
    let success = match step {
        Step::Claim => weak("queue relaxed claim", Ordering::AcqRel),
        Step::Publish => weak("queue relaxed publish", Ordering::AcqRel),
        Step::Acknowledge => weak("queue relaxed acknowledge", Ordering::AcqRel),
        _ => Ordering::AcqRel,
    };
    (success, Ordering::Acquire)
}
