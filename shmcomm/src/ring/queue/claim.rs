//! [`Job`] and [`Request`]: a message that its receiver looks at in its slot.

use super::Queue;
use super::slots::{Slot, Step};
use super::word::Word;
use crate::fault::{dying, fault_point, mutant};
use core::mem::ManuallyDrop;

/// What a job and a request have in common.
///
/// Invariant: until it is left, once, the slot is CLAIMED by our seat, and the payload is ours alone
/// (invariant 2 of the ring).
#[derive(Debug)]
struct Claim<'a> {
    queue: &'a mut Queue,
    position: u64,
    /// Of the position.
    slot: Slot,
    word: Word,
    /// Of the message; read once.
    len: usize,
}

impl<'a> Claim<'a> {
    #[inline(always)]
    fn new(queue: &'a mut Queue, position: u64, word: Word) -> Self {
        let slot = queue.slots.slot(position);
        let len = queue.slots.len(slot);
        let claim = Claim { queue, position, slot, word, len };
        if mutant("queue acknowledge first") {
            claim.leave(Step::Acknowledge, Word::freed);
        }
        claim
    }

    /// Leaves the slot; says what the word was then.
    #[inline(always)]
    fn end(&mut self, step: Step, to: impl Fn(Word) -> Word) -> Option<Word> {
        if mutant("queue acknowledge first") { None } else { self.leave(step, to) }
    }

    #[inline(always)]
    fn leave(&self, step: Step, to: impl Fn(Word) -> Word) -> Option<Word> {
        let slots = &self.queue.slots;
        let seat = slots.seat;
        slots.leave(self.slot, self.word, step, move |word| word.claimed_by(seat), to)
    }

    #[cfg(loom)]
    fn get(&self, from: usize) -> u64 {
        fault_point!("pull.reading");
        self.queue.slots.get(self.slot, from)
    }
}

/// A message to be acknowledged.
#[must_use = "dropping a job puts it back for another puller"]
#[derive(Debug)]
pub(crate) struct Job<'a>(Claim<'a>);

impl<'a> Job<'a> {
    #[inline]
    pub(super) fn new(queue: &'a mut Queue, position: u64, word: Word) -> Self {
        Job(Claim::new(queue, position, word))
    }

    /// The message: [`len`](Self::len) bytes, ours until the job ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&self) -> core::ptr::NonNull<u8> {
        self.0.queue.slots.payload(self.0.slot, 0)
    }

    #[cfg(loom)]
    pub(crate) fn get(&self, from: usize) -> u64 {
        self.0.get(from)
    }

    /// Bytes of the message, at most what a slot holds.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len
    }

    /// Whether somebody had it before and did not acknowledge it.
    #[inline]
    pub(crate) fn redelivered(&self) -> bool {
        self.0.word.redelivered()
    }

    /// Its position; counts up in the order in which slots were taken.
    pub(crate) fn position(&self) -> u64 {
        self.0.position
    }

    /// The seat that sent it, if that is known.
    pub(crate) fn sender(&self) -> Option<u32> {
        self.0.word.sender()
    }

    /// When it was sent, as the sender said.
    pub(crate) fn sent_at(&self) -> u64 {
        self.0.queue.slots.sent_at(self.0.slot)
    }

    /// Acknowledges it: the slot is free again. False if it was not ours any more, which only a
    /// damaged segment says.
    #[inline(always)]
    pub(crate) fn done(self) -> bool {
        // What was left is not left again.
        let claim = &mut ManuallyDrop::new(self).0;
        fault_point!("pull.read");
        if !mutant("queue keep too late") {
            claim.queue.slots.keep_lines(claim.slot, 0, claim.len);
        }
        fault_point!("pull.kept");
        let done = claim.end(Step::Acknowledge, Word::freed).is_some();
        if mutant("queue keep too late") {
            claim.queue.slots.keep_lines(claim.slot, 0, claim.len);
        }
        claim.queue.acknowledged(claim.position);
        fault_point!("pull.acknowledged");
        done
    }

    /// Puts it back for another puller, as dropping does.
    pub(crate) fn put_back(self) {}
}

impl Drop for Job<'_> {
    #[inline]
    fn drop(&mut self) {
        if dying() {
            return;
        }
        let slots = self.0.queue.slots;
        if mutant("queue count first") {
            slots.count_redelivered(1);
            self.0.end(Step::PutBack, Word::returned);
        } else if self.0.end(Step::PutBack, Word::returned).is_some() {
            slots.count_redelivered(1);
        }
    }
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The requester finds it.
    Delivered,
    /// Nobody waits for it any more; the slot is free.
    Cancelled,
}

/// A request to be answered.
#[must_use = "dropping a request tells the requester that it stays unanswered"]
#[derive(Debug)]
pub(crate) struct Request<'a>(Claim<'a>);

impl<'a> Request<'a> {
    #[inline]
    pub(super) fn new(queue: &'a mut Queue, position: u64, word: Word) -> Self {
        let claim = Claim::new(queue, position, word);
        claim.queue.slots.keep_lines(claim.slot, 0, claim.len);
        Request(claim)
    }

    /// The request: [`len`](Self::len) bytes, ours to read until the request ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&self) -> core::ptr::NonNull<u8> {
        self.0.queue.slots.payload(self.0.slot, 0)
    }

    /// Room for the reply, [`reply_capacity`](Self::reply_capacity) bytes aligned as the geometry
    /// says; ours until the request ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn reply_ptr(&mut self) -> core::ptr::NonNull<u8> {
        self.0.queue.slots.payload(self.0.slot, self.reply_offset())
    }

    #[cfg(loom)]
    pub(crate) fn get(&self, from: usize) -> u64 {
        self.0.get(from)
    }

    #[cfg(loom)]
    pub(crate) fn put_reply(&mut self, from: usize, value: u64) {
        let at = if mutant("queue reply over request") { from } else { self.reply_offset() + from };
        self.0.queue.slots.put(self.0.slot, at, value);
        fault_point!("reply.written");
    }

    /// Bytes of the request, at most what a slot holds.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len
    }

    /// Bytes that a reply may have.
    #[inline]
    pub(crate) fn reply_capacity(&self) -> usize {
        self.0.queue.slots.size - self.reply_offset()
    }

    #[inline]
    fn reply_offset(&self) -> usize {
        self.0.queue.slots.reply_offset(self.0.len)
    }

    /// Whether another replier died over it.
    #[inline]
    pub(crate) fn redelivered(&self) -> bool {
        self.0.word.redelivered()
    }

    /// The seat that asked, if that is known.
    pub(crate) fn sender(&self) -> Option<u32> {
        self.0.word.sender()
    }

    /// When it was sent, as the requester said.
    pub(crate) fn sent_at(&self) -> u64 {
        self.0.queue.slots.sent_at(self.0.slot)
    }

    /// Whether the requester still waits.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        let word = self.0.queue.slots.word(self.0.slot);
        word.claimed_by(self.0.queue.slots.seat) && word.asked() && !word.cancelled()
    }

    /// Answers with the first `len` bytes of the room for the reply.
    #[inline]
    pub(crate) fn reply(self, len: usize) -> Answer {
        // What was left is not left again.
        let mut this = ManuallyDrop::new(self);
        let len = len.min(this.reply_capacity());
        this.0.queue.slots.set_reply_len(this.0.slot, len);
        fault_point!("reply.filled");
        this.end(Step::Reply, Word::replied)
    }

    /// Tells the requester that there will be no reply, as dropping does.
    pub(crate) fn decline(self) -> Answer {
        ManuallyDrop::new(self).end(Step::Decline, Word::unanswered)
    }

    #[inline(always)]
    fn end(&mut self, step: Step, to: impl Fn(Word) -> Word) -> Answer {
        let wanted = |word: Word| {
            word.asked() && !word.cancelled() && word.sender().is_some()
                || mutant("queue reply without check")
        };
        let word = self.0.end(step, |word| if wanted(word) { to(word) } else { word.freed() });
        let answer = if word.is_some_and(wanted) { Answer::Delivered } else { Answer::Cancelled };
        if answer == Answer::Cancelled {
            self.0.queue.acknowledged(self.0.position);
        }
        fault_point!("reply.sent");
        answer
    }
}

impl Drop for Request<'_> {
    #[inline]
    fn drop(&mut self) {
        if !dying() {
            self.end(Step::Decline, Word::unanswered);
        }
    }
}
