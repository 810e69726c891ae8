//! The slots of a queue: the only code that loads and changes their words.
//!
//! Owns the mapping from a position to a slot, and every transition as a compare-exchange of the whole
//! word. Calls `sync` and `layout::Region` only. Never waits longer than [`PUBLISH_PAUSES`], and never reads a
//! payload.

use super::reply_status::ReplyArea;
use super::word::{State, Word};
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{
    CACHE_LINE, Discipline, Exchange, Geometry, Region, StreamPlaces, Words, control, slot as words,
};
use crate::sync::{Ordering, spin_loop};

/// Transitions of a word, by name: the subject of a fault point and of a known-wrong variant.
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
    Relocate,
    Recover,
}

impl Step {
    /// Marks the fault point after the step, also after a failed step.
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
            Step::Relocate => fault_point!("queue.relocated"),
            Step::Recover => fault_point!("queue.recovered"),
        }
    }
}

/// Number of attempts of an owner to leave a slot whose word other participants may only relocate or cancel
/// meanwhile. Each failure takes a whole lap of the ring, or a cancellation. More failures mean a peer that
/// breaks the protocol.
pub(super) const TRIES: u32 = 64;

/// Number of pauses for which a receiver waits for a sender to publish its message: the time in which a
/// cache line moves twice. (The model has no time, and waits for nothing.)
const PUBLISH_PAUSES: u32 = if cfg!(loom) { 0 } else { 16 };

/// Number of bytes of a slot whose lines a receiver leaves in the modified state.
const MODIFIED_BYTES: usize = 4096;

/// A slot. Only [`QueueSlots::slot`] makes it, so it is in bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueSlot {
    /// Offset of the slot in the region, in bytes.
    at: usize,
    /// The words of the slot.
    head: Words<HEAD>,
}

/// Number of bytes of a slot before its payload.
const HEAD: usize = Discipline::Queue.head();

/// A view of the slots for one seat.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueSlots {
    region: Region,
    pub(super) count: u64,
    shift: u32,
    stride: usize,
    start: usize,
    payload: usize,
    /// Size of the longest message, in bytes.
    pub(super) size: usize,
    /// Number of bytes of payload that every slot has memory for: less than `size` if the slots grow.
    pub(super) least: usize,
    /// Size of the longest request, in bytes.
    pub(super) request_size: usize,
    exchange: Exchange,
    /// Offset of the second line of a job or request in its slot; 0 if the longest one fits into the first line.
    second_line: usize,
    /// Offsets of the stream of replies, of a channel with streams.
    pub(super) stream: StreamPlaces,
    pub(super) seat: u32,
}

impl QueueSlots {
    pub(super) fn new(region: Region, geometry: &Geometry, seat: u32) -> Self {
        debug_assert!(seat < geometry.seats);
        let (payload, request_size) = (geometry.payload_offset as usize, geometry.request_size as usize);
        QueueSlots {
            region,
            count: geometry.slots,
            shift: geometry.slots.trailing_zeros(),
            stride: geometry.stride as usize,
            start: geometry.slots_offset as usize,
            payload,
            size: geometry.longest() as usize,
            least: geometry.slot_size as usize,
            request_size,
            exchange: geometry.exchange,
            second_line: if payload + request_size > CACHE_LINE { CACHE_LINE } else { 0 },
            stream: geometry.stream,
            seat,
        }
    }

    /// Returns the slot of a position.
    #[inline(always)]
    pub(super) fn slot(&self, position: u64) -> QueueSlot {
        let at = self.offset(position);
        QueueSlot { at, head: self.region.words(at) }
    }

    /// Returns the offset of the slot of a position in the region.
    #[inline(always)]
    fn offset(&self, position: u64) -> usize {
        self.start + (position & (self.count - 1)) as usize * self.stride
    }

    /// Returns all slots, in the order of their addresses.
    pub(super) fn all(self) -> impl Iterator<Item = QueueSlot> {
        (0..self.count).map(move |position| self.slot(position))
    }

    /// Returns the index of a slot.
    #[cfg(feature = "trace-slots")]
    pub(super) fn index(&self, slot: QueueSlot) -> usize {
        (slot.at - self.start) / self.stride
    }

    /// Returns the lap of a position.
    #[inline]
    pub(super) fn lap(&self, position: u64) -> u32 {
        (position >> self.shift) as u32
    }

    /// Returns the word that a position has before it is taken.
    #[inline]
    pub(super) fn free(&self, position: u64) -> Word {
        Word::free(self.lap(position))
    }

    /// Returns `true` if `word` is the word of a message at `position`.
    #[inline]
    pub(super) fn is_ready(&self, word: Word, position: u64) -> bool {
        word.is(State::Ready) && word.lap() == self.lap(position)
    }

    /// Returns the number of laps that `word`, found in the slot of `position`, is ahead of it.
    #[inline]
    pub(super) fn ahead(&self, word: Word, position: u64) -> i32 {
        word.lap().wrapping_sub(self.lap(position)) as i32
    }

    /// Loads the word of `slot`.
    #[inline]
    pub(super) fn word(&self, slot: QueueSlot) -> Word {
        self.in_any_order(slot);
        // [see] pairs with [change]: a participant that sees a change also sees the accesses before it.
        Word(slot.head.u64(words::STAMP).load(Ordering::Acquire))
    }

    /// Loads the word of `slot`. While a sender writes the slot, waits up to [`PUBLISH_PAUSES`] pauses for it to
    /// finish. Scanning further meanwhile would take from other senders the lines that they write next.
    #[inline]
    pub(super) fn word_after_write(&self, slot: QueueSlot) -> Word {
        let mut word = self.word(slot);
        for _ in 0..PUBLISH_PAUSES {
            if !word.is(State::Writing) {
                break;
            }
            spin_loop();
            word = self.word(slot);
        }
        word
    }

    /// Pauses `times` times. (Not in a model or under Miri, which have no time.)
    pub(super) fn pause(&self, times: u64) {
        for _ in 0..if cfg!(any(loom, miri)) { 0 } else { times } {
            spin_loop();
        }
    }

    /// Changes the word of `slot` from `old` to `new`. If the word is another one, returns that word.
    #[inline]
    pub(super) fn change(&self, slot: QueueSlot, old: Word, new: Word, step: Step) -> Result<(), Word> {
        self.in_any_order(slot);
        let (success, failure) = ordering(step);
        let changed = slot.head.u64(words::STAMP).compare_exchange(old.0, new.0, success, failure);
        step.made();
        changed.map(drop).map_err(Word)
    }

    /// Changes the word of `slot` by `to`, if `mine` says that the slot is still ours. Returns the word
    /// that was replaced, or `None` if the slot is no longer ours.
    #[inline(always)]
    pub(super) fn leave(
        &self,
        slot: QueueSlot,
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

    /// Leaves a slot whose word has changed since we stored it: it was relocated, or its request was
    /// cancelled.
    #[cold]
    #[inline(never)]
    fn leave_late(
        &self,
        slot: QueueSlot,
        (first, mut word): (Word, Word),
        step: Step,
        mine: impl Fn(Word) -> bool,
        to: impl Fn(Word) -> Word,
    ) -> Option<Word> {
        for _ in 1..TRIES {
            if !mine(word) {
                return None;
            }
            let new = if mutant("queue ignore relocation") { to(first) } else { to(word) };
            match self.change(slot, word, new, step) {
                Ok(()) => return Some(word),
                Err(seen) => word = seen,
            }
        }
        None
    }

    /// Returns the length of the message in `slot`, limited to the slot size.
    #[inline]
    pub(super) fn len(&self, slot: QueueSlot) -> usize {
        // Relaxed: the slot is exclusively ours, or the word orders the load.
        let meta = slot.head.u64(words::META).load(Ordering::Relaxed);
        (meta as u32 as usize).min(self.size)
    }

    #[inline]
    pub(super) fn set_len(&self, slot: QueueSlot, len: usize) {
        // Relaxed: published with the word.
        slot.head.u64(words::META).store(len.min(self.size) as u64, Ordering::Relaxed);
    }

    /// Returns the number of bytes of payload that `slot` has memory for, on a channel whose slots grow. The caller owns it.
    #[cfg(not(loom))]
    pub(super) fn backed(&self, slot: QueueSlot) -> usize {
        // Relaxed, here and below: the slot is exclusively ours.
        let backed = slot.head.u64(words::EXTRA).load(Ordering::Relaxed);
        usize::try_from(backed).unwrap_or(usize::MAX).clamp(self.least, self.size)
    }

    #[cfg(not(loom))]
    pub(super) fn set_backed(&self, slot: QueueSlot, bytes: usize) {
        slot.head.u64(words::EXTRA).store(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the time at which the message in `slot` was sent, in nanoseconds of a clock that the sender
    /// chooses.
    pub(super) fn sent_at(&self, slot: QueueSlot) -> u64 {
        // Relaxed: for statistics. It may belong to the message before or after.
        slot.head.u64(words::TIME).load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_sent_at(&self, slot: QueueSlot, nanos: u64) {
        if cfg!(loom) {
            return;
        }
        // Relaxed: for statistics.
        slot.head.u64(words::TIME).store(nanos, Ordering::Relaxed);
    }

    /// Makes loom try this access to the word in every order with the accesses of other threads. Loom keeps
    /// only the last access to an atomic. So it forgets a load by one thread, and never reorders it, when
    /// another thread loads and then changes the word. An access to a second word, which changes it and
    /// orders nothing, restores those orders. The second word is the time, which no model needs.
    #[inline(always)]
    fn in_any_order(&self, _slot: QueueSlot) {
        #[cfg(loom)]
        _slot.head.u64(words::TIME).fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the location of the reply to the request in `slot`.
    #[inline(always)]
    pub(super) fn reply_area(&self, slot: QueueSlot) -> ReplyArea {
        let Exchange { status, reply } = self.exchange;
        // The payload of a model has no atomic words.
        let at = if cfg!(loom) { words::EXTRA } else { self.payload + status };
        ReplyArea { status: self.region.words(slot.at + at), from: reply, room: self.size - reply }
    }

    /// Prefetches for reading the second line of the job or request in `slot`. If the longest one has no second line, this
    /// is the line of the word, which the caller has.
    #[inline(always)]
    pub(super) fn prefetch_second_line(&self, slot: QueueSlot) {
        slot.head.prefetch(self.second_line);
    }

    /// Prefetches for writing two lines that a request at `position` writes: its second line, and the line of its reply
    /// status. Never the first line, which a replier may poll.
    #[inline(always)]
    pub(super) fn prefetch_request_for_write(&self, position: u64) {
        let at = self.offset(position);
        let status = self.payload + self.exchange.status;
        self.region.prefetch_for_write(at + status);
        if self.second_line != 0 {
            self.region.prefetch_for_write(at + self.second_line);
        }
    }

    /// Prefetches for writing the line of the word of `slot`.
    #[inline(always)]
    pub(super) fn prefetch_word_for_write(&self, slot: QueueSlot) {
        slot.head.prefetch_for_write(words::STAMP);
    }

    /// Returns the same slot as this view maps it, for a slot that another view of the segment made.
    pub(super) fn same(&self, slot: QueueSlot) -> QueueSlot {
        QueueSlot { at: slot.at, head: self.region.words(slot.at) }
    }

    /// Returns the word at byte `at` of the payload of `slot`, one of the words of a stream.
    #[inline]
    pub(super) fn stream_word(&self, slot: QueueSlot, at: usize) -> Words<8> {
        self.region.words(slot.at + self.payload + at)
    }

    /// Overwrites a word of each line of the first `len` bytes of payload with its present value. Skips the
    /// line of the slot's word, which changes anyway. The conditions of `payload` apply, and no reference
    /// to the bytes may exist.
    ///
    /// After one side has only read a line, both processors share it, and its next writer must wait
    /// until the other gives it up. Processors prefetch lines that they do not have, but not the right
    /// to write lines that they have. A line that was written here moves to the other processor together
    /// with that right.
    #[inline]
    pub(super) fn keep_lines_modified(&self, slot: QueueSlot, len: usize) {
        #[cfg(not(loom))]
        {
            let mut line = (self.payload & !(CACHE_LINE - 1)).max(CACHE_LINE);
            let end = (self.payload + len).min(MODIFIED_BYTES);
            while line < end {
                let word = self.region.u64(slot.at + line);
                // Relaxed, both: no other participant touches them.
                word.store(word.load(Ordering::Relaxed), Ordering::Relaxed);
                line += CACHE_LINE;
            }
        }
        #[cfg(loom)]
        for from in (0..len).step_by(8) {
            self.put(slot, from, self.get(slot, from));
        }
    }

    /// Returns the reply to a request in `slot`. The conditions of `payload` apply.
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn reply(&self, slot: QueueSlot, back: &ReplyArea) -> core::ptr::NonNull<u8> {
        self.payload(slot, back.from)
    }

    /// Returns the payload of `slot` from byte `from`. The caller may use it only while the word gives the
    /// slot to this seat alone (invariant 2).
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn payload(&self, slot: QueueSlot, from: usize) -> core::ptr::NonNull<u8> {
        debug_assert!(from <= self.size);
        let at = slot.at + self.payload;
        self.region.ptr(at + from, self.size - from)
    }

    /// Loads eight bytes of payload from byte `from`, as the owner of the slot.
    #[cfg(loom)]
    #[allow(unsafe_code)]
    pub(super) fn get(&self, slot: QueueSlot, from: usize) -> u64 {
        let at = slot.at + self.payload;
        // SAFETY: invariant 2; loom reports a violation.
        self.region.cell(at + from).with(|cell| unsafe { *cell })
    }

    /// Stores eight bytes of payload at byte `from`, as the owner of the slot.
    #[cfg(loom)]
    #[allow(unsafe_code)]
    pub(super) fn put(&self, slot: QueueSlot, from: usize, value: u64) {
        let at = slot.at + self.payload;
        // SAFETY: invariant 2; loom reports a violation.
        self.region.cell(at + from).with_mut(|cell| unsafe { *cell = value });
    }

    /// Returns a hint of the first position that is not done. Every lower position is done.
    pub(super) fn tail(&self) -> u64 {
        // Relaxed: a position that is done stays done, so any value that was ever stored is true.
        self.region.u64(control::TAIL).load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_tail(&self, position: u64) {
        // Relaxed: see `tail`.
        self.region.u64(control::TAIL).store(position, Ordering::Relaxed);
    }

    /// Takes the next position like a classic bounded queue: the head first, the slot after it.
    #[cfg(loom)]
    pub(super) fn take_head_first(&self) -> u64 {
        let position = self.region.u64(control::HEAD).fetch_add(1, Ordering::AcqRel);
        fault_point!("model.head");
        position
    }

    /// Adds to the number of messages that were put back, and so triggers a scan for them.
    pub(super) fn count_redelivered(&self, messages: u64) {
        // [count] pairs with [recall]: a receiver that sees the count sees that the messages are ready. All
        // changes are read-modify-writes, so the last count carries the releases of all earlier ones.
        self.region
            .u64(control::REDELIVERED)
            .fetch_add(messages, weak("queue relaxed count", Ordering::Release));
    }

    /// Returns the number of messages that were put back since the segment was made.
    #[inline]
    pub(super) fn redelivered(&self) -> u64 {
        // [recall] pairs with [count].
        self.region.u64(control::REDELIVERED).load(Ordering::Acquire)
    }

    /// Returns `true` if the slot holds a request of this seat.
    pub(super) fn is_my_request(&self, word: Word) -> bool {
        word.asked()
            && word.sent_by(self.seat)
            && !matches!(word.state(), State::Free | State::Writing | State::Unknown)
    }
}

/// Returns the orderings of a step. [change]: every change of a word acquires the accesses before the
/// change that it replaces, and releases the accesses before itself. No plain store ever breaks that chain.
/// On x86-64 this costs nothing beyond the locked instruction. On other processors it makes [see] complete
/// (invariant 5).
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
