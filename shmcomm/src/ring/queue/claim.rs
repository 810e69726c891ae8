//! [`Job`] and [`Request`]: a message that its receiver looks at in its slot.

use super::bell::Bell;
use super::slots::{Slot, Slots, Step};
use super::word::Word;
use super::{Queue, Taken};
use crate::fault::{dying, fault_point, mutant};
use core::mem::ManuallyDrop;

/// What a job and a request have in common. What it knows of the slot is in the queue, so that a claim is an
/// address and moves as one.
///
/// Invariant: until it is left, once, the slot of `queue.held` is CLAIMED by our seat, and the payload is ours
/// alone (invariant 2 of the ring).
#[derive(Debug)]
struct Claim<'a> {
    queue: &'a mut Queue,
}

/// The slot of a claim. There is one at a time: a claim borrows its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) position: u64,
    /// Of the position.
    pub(super) slot: Slot,
    pub(super) word: Word,
    /// Of the message; read once.
    pub(super) len: usize,
}

impl<'a> Claim<'a> {
    #[inline(always)]
    fn new(queue: &'a mut Queue, taken: Taken, most: usize) -> Self {
        let Taken { position, slot, word } = taken;
        let len = queue.slots.len(slot).min(most);
        queue.held = Held { position, slot, word, len };
        let claim = Claim { queue };
        if mutant("queue acknowledge first") {
            claim.leave(Step::Acknowledge, Word::freed);
        }
        claim
    }

    #[inline(always)]
    fn held(&self) -> &Held {
        &self.queue.held
    }

    #[inline(always)]
    fn slots(&self) -> &Slots {
        &self.queue.slots
    }

    /// The payload from byte `from`.
    #[cfg(not(loom))]
    #[inline(always)]
    fn payload(&self, from: usize) -> core::ptr::NonNull<u8> {
        self.slots().payload(self.held().slot, from)
    }

    /// Leaves the slot; says what the word was then.
    #[inline(always)]
    fn end(&mut self, step: Step, to: impl Fn(Word) -> Word) -> Option<Word> {
        if mutant("queue acknowledge first") { None } else { self.leave(step, to) }
    }

    #[inline(always)]
    fn leave(&self, step: Step, to: impl Fn(Word) -> Word) -> Option<Word> {
        let seat = self.slots().seat;
        self.slots().leave(self.held().slot, self.held().word, step, move |word| word.claimed_by(seat), to)
    }

    #[cfg(loom)]
    fn get(&self, from: usize) -> u64 {
        fault_point!("pull.reading");
        self.slots().get(self.held().slot, from)
    }
}

/// A message to be acknowledged.
#[must_use = "dropping a job puts it back for another puller"]
#[derive(Debug)]
pub(crate) struct Job<'a>(Claim<'a>);

impl<'a> Job<'a> {
    #[inline]
    pub(super) fn new(queue: &'a mut Queue, taken: Taken) -> Self {
        let most = queue.slots.size;
        Job(Claim::new(queue, taken, most))
    }

    /// The message: [`len`](Self::len) bytes, ours until the job ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&self) -> core::ptr::NonNull<u8> {
        self.0.payload(0)
    }

    #[cfg(loom)]
    pub(crate) fn get(&self, from: usize) -> u64 {
        self.0.get(from)
    }

    /// Bytes of the message, at most what a slot holds.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.held().len
    }

    /// Whether somebody had it before and did not acknowledge it.
    #[inline]
    pub(crate) fn redelivered(&self) -> bool {
        self.0.held().word.redelivered()
    }

    /// Its position; counts up in the order in which slots were taken.
    pub(crate) fn position(&self) -> u64 {
        self.0.held().position
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn slot(&self) -> Slot {
        self.0.held().slot
    }

    /// The seat that sent it, if that is known.
    pub(crate) fn sender(&self) -> Option<u32> {
        self.0.held().word.sender()
    }

    /// When it was sent, as the sender said.
    pub(crate) fn sent_at(&self) -> u64 {
        self.0.slots().sent_at(self.0.held().slot)
    }

    /// Acknowledges it: the slot is free again. False if it was not ours any more, which only a
    /// damaged segment says.
    #[inline(always)]
    pub(crate) fn done(self) -> bool {
        // What was left is not left again.
        let claim = &mut ManuallyDrop::new(self).0;
        fault_point!("pull.read");
        if !mutant("queue keep too late") {
            claim.slots().keep_lines(claim.held().slot, claim.held().len);
        }
        fault_point!("pull.kept");
        let done = claim.end(Step::Acknowledge, Word::freed).is_some();
        if mutant("queue keep too late") {
            claim.slots().keep_lines(claim.held().slot, claim.held().len);
        }
        claim.queue.acknowledged(claim.held().position);
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
        let slots = *self.0.slots();
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
    pub(super) fn new(queue: &'a mut Queue, taken: Taken) -> Self {
        let most = queue.slots.request_size;
        let claim = Claim::new(queue, taken, most);
        let back = claim.slots().back(claim.held().slot);
        claim.queue.back = back;
        Request(claim)
    }

    /// The request: [`len`](Self::len) bytes, ours to read until the request ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&self) -> core::ptr::NonNull<u8> {
        self.0.payload(0)
    }

    /// Room for the reply, [`reply_capacity`](Self::reply_capacity) bytes aligned as the geometry
    /// says; ours until the request ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn reply_ptr(&mut self) -> core::ptr::NonNull<u8> {
        self.0.slots().reply(self.0.held().slot, &self.0.queue.back)
    }

    #[cfg(loom)]
    pub(crate) fn get(&self, from: usize) -> u64 {
        self.0.get(from)
    }

    #[cfg(loom)]
    pub(crate) fn put_reply(&mut self, from: usize, value: u64) {
        let at = if mutant("queue reply over request") { from } else { self.0.queue.back.from + from };
        self.0.slots().put(self.0.held().slot, at, value);
        fault_point!("reply.written");
    }

    /// Bytes of the request, at most what a slot holds.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.held().len
    }

    /// Bytes that a reply may have.
    #[inline]
    pub(crate) fn reply_capacity(&self) -> usize {
        self.0.queue.back.room
    }

    /// Whether another replier died over it.
    #[inline]
    pub(crate) fn redelivered(&self) -> bool {
        self.0.held().word.redelivered()
    }

    /// The seat that asked, if that is known.
    pub(crate) fn sender(&self) -> Option<u32> {
        self.0.held().word.sender()
    }

    /// When it was sent, as the requester said.
    pub(crate) fn sent_at(&self) -> u64 {
        self.0.slots().sent_at(self.0.held().slot)
    }

    /// Whether the requester still waits.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        let word = self.0.slots().word(self.0.held().slot);
        word.claimed_by(self.0.slots().seat) && word.asked() && !word.cancelled()
    }

    /// Answers with the first `len` bytes of the room for the reply.
    #[inline]
    pub(crate) fn reply(self, len: usize) -> Answer {
        let len = len.min(self.reply_capacity());
        // What was left is not left again.
        ManuallyDrop::new(self).end(Bell::Reply(len), Step::Reply, Word::replied)
    }

    /// Tells the requester that there will be no reply, as dropping does.
    pub(crate) fn decline(self) -> Answer {
        ManuallyDrop::new(self).end(Bell::NoReply, Step::Decline, Word::unanswered)
    }

    #[inline(always)]
    fn end(&mut self, bell: Bell, step: Step, to: impl Fn(Word) -> Word) -> Answer {
        let (back, position) = (self.0.queue.back, self.0.held().position);
        let wanted = |word: Word| {
            word.asked() && !word.cancelled() && word.sender().is_some()
                || mutant("queue reply without check")
        };
        if !mutant("queue bell too late") {
            back.ring(bell);
        }
        fault_point!("reply.rung");
        let word = self.0.end(step, |word| if wanted(word) { to(word) } else { word.freed() });
        if mutant("queue bell too late") {
            back.ring(bell);
        }
        // A requester that heard the bell may have freed the slot since.
        let answer = if word.is_none_or(wanted) { Answer::Delivered } else { Answer::Cancelled };
        if answer == Answer::Cancelled {
            self.0.queue.acknowledged(position);
        }
        fault_point!("reply.sent");
        answer
    }
}

impl Drop for Request<'_> {
    #[inline]
    fn drop(&mut self) {
        if !dying() {
            self.end(Bell::NoReply, Step::Decline, Word::unanswered);
        }
    }
}
