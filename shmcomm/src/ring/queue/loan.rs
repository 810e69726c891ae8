//! [`Loan`]: a free slot that a pusher fills.

use super::bell::Bell;
use super::slots::{Slot, Step};
use super::word::{State, Word};
use super::{Queue, Ticket};
use crate::fault::{dying, fault_point, mutant};
use core::mem::ManuallyDrop;

/// A slot to write a message into.
///
/// Invariant: as long as it is there the slot is WRITING by our seat, and the payload is ours alone
/// (invariant 2 of the ring).
#[must_use = "dropping a loan gives the slot back unsent"]
#[derive(Debug)]
pub(crate) struct Loan<'a> {
    queue: &'a mut Queue,
    position: u64,
    /// Of the position.
    slot: Slot,
    word: Word,
}

impl<'a> Loan<'a> {
    /// Of the slot at `position`, which is ours now and whose word was `free`.
    #[inline(always)]
    pub(super) fn new(queue: &'a mut Queue, position: u64, slot: Slot, free: Word) -> Self {
        let word = free.writing(queue.slots.seat);
        Loan { queue, position, slot, word }
    }

    /// The bytes that the slot holds.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.queue.slots.size
    }

    /// The bytes that a request may have, of those.
    #[inline]
    pub(crate) fn request_capacity(&self) -> usize {
        self.queue.slots.request_size
    }

    /// [`capacity`](Self::capacity) bytes, aligned as the geometry says; ours until the loan ends.
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

    /// Sends the first `len` bytes as a message to be acknowledged; `nanos` is the time by the
    /// sender's clock. False if the slot is not ours any more, which only a damaged segment says.
    #[inline(always)]
    pub(crate) fn publish(self, len: usize, nanos: u64) -> bool {
        self.send(len, nanos, false)
    }

    /// Sends the first `len` bytes as a request.
    #[inline(always)]
    pub(crate) fn request(self, len: usize, nanos: u64) -> Option<Ticket> {
        let (slots, slot) = (&self.queue.slots, self.slot);
        let len = len.min(slots.request_size);
        let back = slots.back(slot);
        if !mutant("queue bell rings on") {
            back.ring(Bell::Silent);
        }
        let word = self.word.ready(true);
        self.send(len, nanos, true).then(|| Ticket::new(slot, back, word))
    }

    #[inline(always)]
    fn send(self, len: usize, nanos: u64, asked: bool) -> bool {
        self.queue.slots.set_len(self.slot, len);
        self.queue.slots.set_sent_at(self.slot, nanos);
        fault_point!("push.filled");
        // What was left is not left again.
        ManuallyDrop::new(self).end(Step::Publish, move |word| word.ready(asked))
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
            // Carried meanwhile: what we send next goes behind it (invariant 8).
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
