//! [`Loan`]: a free slot that a pusher fills.

use super::slots::Step;
use super::word::{State, Word};
use super::{Queue, Ticket};
use crate::fault::{dying, fault_point};

/// A slot to write a message into.
///
/// Invariant: until it is left, which [`Word::NONE`] in place of its word says, the slot is WRITING by our
/// seat, and the payload is ours alone (invariant 2 of the ring).
#[must_use = "dropping a loan gives the slot back unsent"]
#[derive(Debug)]
pub(crate) struct Loan<'a> {
    queue: &'a mut Queue,
    position: u64,
    word: Word,
}

impl<'a> Loan<'a> {
    #[inline]
    pub(super) fn new(queue: &'a mut Queue, position: u64, word: Word) -> Self {
        Loan { queue, position, word }
    }

    /// The bytes that the slot holds.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.queue.slots.size
    }

    /// [`capacity`](Self::capacity) bytes, aligned as the geometry says; ours until the loan ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&mut self) -> core::ptr::NonNull<u8> {
        self.queue.slots.payload(self.index(), 0)
    }

    #[cfg(loom)]
    pub(crate) fn put(&mut self, from: usize, value: u64) {
        self.queue.slots.put(self.index(), from, value);
        fault_point!("push.written");
    }

    /// Sends the first `len` bytes as a message to be acknowledged; `nanos` is the time by the
    /// sender's clock. False if the slot is not ours any more, which only a damaged segment says.
    #[inline]
    pub(crate) fn publish(mut self, len: usize, nanos: u64) -> bool {
        self.send(len, nanos, false)
    }

    /// Sends the first `len` bytes as a request.
    #[inline]
    pub(crate) fn request(mut self, len: usize, nanos: u64) -> Option<Ticket> {
        let len = len.min(self.capacity());
        self.send(len, nanos, true).then(|| Ticket::new(self.index(), len))
    }

    #[inline]
    fn index(&self) -> u32 {
        self.queue.slots.index(self.position)
    }

    #[inline]
    fn send(&mut self, len: usize, nanos: u64, asked: bool) -> bool {
        let index = self.index();
        self.queue.slots.set_len(index, len);
        self.queue.slots.set_sent_at(index, nanos);
        fault_point!("push.filled");
        self.end(Step::Publish, |word| word.ready(asked))
    }

    /// Leaves the slot, once.
    #[inline]
    fn end(&mut self, step: Step, to: impl Fn(Word) -> Word) -> bool {
        let first = core::mem::replace(&mut self.word, Word::NONE);
        let slots = self.queue.slots;
        let mine = |word: Word| word.is(State::Writing) && word.sent_by(slots.seat);
        let Some(word) = slots.leave(self.index(), first, step, mine, to) else {
            return false;
        };
        if word.lap() != first.lap() {
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
        if self.word != Word::NONE && !dying() {
            self.end(Step::Abort, Word::freed);
        }
    }
}
