//! [`Loan`]: a free slot that a pusher fills.
//!
//! Owns the steps that leave WRITING, and the invariant that the payload is the pusher's until then. Calls
//! `slots` and `reply_status`. Never searches for a slot: `push` does.

use super::reply_status::ReplyStatus;
use super::slots::{QueueSlot, Step};
use super::word::{State, Word};
use super::{Queue, Ticket};
use crate::fault::{dying, fault_point, mutant};
use core::mem::ManuallyDrop;

/// A slot to write a message into (a claim).
///
/// Invariant: while it exists the slot is WRITING by our seat, and the payload is exclusively ours
/// (invariant 2 of the ring).
#[must_use = "dropping a loan gives the slot back unsent"]
#[derive(Debug)]
pub(crate) struct Loan<'a> {
    queue: &'a mut Queue,
    position: u64,
    /// The slot of the position.
    slot: QueueSlot,
    word: Word,
    /// Number of bytes of payload that have memory.
    capacity: usize,
}

/// A [`Loan`] without its queue, which is free for other operations meanwhile.
///
/// Invariants: the invariant of the loan; and `room`, the capacity, is [`Loan::ptr`] while the region of
/// the queue exists. Dropping it without [`Loan::from_raw`] leaks its slot until this participant is
/// recovered.
#[cfg(not(loom))]
#[must_use = "a slot stays claimed until its loan ends"]
#[derive(Debug)]
pub(crate) struct RawLoan {
    position: u64,
    slot: QueueSlot,
    word: Word,
    pub(crate) room: core::ptr::NonNull<u8>,
}

#[cfg(not(loom))]
impl<'a> Loan<'a> {
    /// Releases the borrow of the queue; the slot stays claimed.
    #[inline]
    pub(crate) fn into_raw(mut self) -> RawLoan {
        let room = self.ptr();
        let Loan { position, slot, word, .. } = *ManuallyDrop::new(self);
        RawLoan { position, slot, word, room }
    }

    /// Resumes a loan of the same queue.
    #[inline]
    pub(crate) fn from_raw(queue: &'a mut Queue, raw: RawLoan) -> Self {
        let RawLoan { position, slot, word, .. } = raw;
        let capacity = queue.slots.least;
        Loan { queue, position, slot, word, capacity }
    }
}

impl<'a> Loan<'a> {
    /// Creates the loan of the slot at `position`, which is ours now and whose word was `free`.
    #[inline(always)]
    pub(super) fn new(queue: &'a mut Queue, position: u64, slot: QueueSlot, free: Word) -> Self {
        let word = free.writing(queue.slots.seat);
        let capacity = queue.slots.least;
        Loan { queue, position, slot, word, capacity }
    }

    /// Returns the number of the slot, from 0.
    #[cfg(not(loom))]
    pub(crate) fn index(&self) -> u64 {
        self.position & (self.queue.slots.count - 1)
    }

    /// Raises the capacity to what the slot has memory for, on a channel whose slots grow.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn take_grown(&mut self) {
        self.capacity = self.queue.slots.backed(self.slot);
    }

    /// Records that the slot has memory for `bytes` bytes, at most the size of the longest message, and raises the capacity
    /// to that. The caller has allocated it. (If it has not, a store on a full file system ends the process.)
    #[cfg(not(loom))]
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.capacity = bytes.clamp(self.capacity, self.queue.slots.size);
        self.queue.slots.set_backed(self.slot, self.capacity);
    }

    pub(super) fn slots(&self) -> &super::slots::QueueSlots {
        &self.queue.slots
    }

    pub(super) fn slot(&self) -> QueueSlot {
        self.slot
    }

    /// Returns the capacity of the slot, in bytes: how many have memory.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the capacity for a request, in bytes, which is a part of that.
    #[inline]
    pub(crate) fn request_capacity(&self) -> usize {
        self.queue.slots.request_size
    }

    /// Returns [`capacity`](Self::capacity) bytes, aligned as the geometry says; exclusively ours until the
    /// loan ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&mut self) -> core::ptr::NonNull<u8> {
        self.queue.slots.payload(self.slot, 0)
    }

    #[cfg(loom)]
    pub(crate) fn put(&mut self, from: usize, value: u64) {
        self.queue.slots.put(self.slot, from, value);
        fault_point!("push.written");
    }

    /// Sends the first `len` bytes as a message that a receiver must acknowledge. `nanos` is the time by
    /// the sender's clock. Returns `false` if the slot is no longer ours, which only happens in a damaged
    /// segment.
    #[inline(always)]
    pub(crate) fn commit(self, len: usize, nanos: u64) -> bool {
        self.send(len, nanos, false)
    }

    /// Sends the first `len` bytes as a request.
    #[inline(always)]
    pub(crate) fn request(self, len: usize, nanos: u64) -> Option<Ticket> {
        let (slots, slot) = (&self.queue.slots, self.slot);
        let len = len.min(slots.request_size);
        let reply_area = slots.reply_area(slot);
        if !mutant("queue status stays") {
            reply_area.set_status(ReplyStatus::Pending);
        }
        let word = self.word.ready(true);
        self.send(len, nanos, true).then(|| Ticket::new(slot, reply_area, word))
    }

    #[inline(always)]
    fn send(self, len: usize, nanos: u64, asked: bool) -> bool {
        self.queue.slots.set_len(self.slot, len);
        self.queue.slots.set_sent_at(self.slot, nanos);
        fault_point!("push.filled");
        // A slot that was left must not be left again.
        let mut this = ManuallyDrop::new(self);
        let sent = this.end(Step::Publish, move |word| word.ready(asked));
        if sent {
            this.queue.trace("wrote to", len, this.slot);
        }
        sent
    }

    /// Leaves the slot, once.
    #[inline(always)]
    fn end(&mut self, step: Step, to: impl Fn(Word) -> Word) -> bool {
        let slots = &self.queue.slots;
        let seat = slots.seat;
        let mine = move |word: Word| word.is(State::Writing) && word.sent_by(seat);
        let Some(word) = slots.leave(self.slot, self.word, step, mine, to) else {
            return false;
        };
        if word.lap() != self.word.lap() {
            // Relocated meanwhile: the next message that we send goes behind it (invariant 8).
            let above = slots.untaken_from(word, self.position);
            if super::before(self.queue.next, above) {
                self.queue.next = above;
            }
        }
        true
    }
}

impl Drop for Loan<'_> {
    #[inline]
    fn drop(&mut self) {
        if !dying() {
            self.end(Step::Abort, Word::freed);
        }
    }
}
