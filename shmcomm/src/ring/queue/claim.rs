//! [`Job`] and [`Request`]: a message that its receiver reads in its slot.
//!
//! Owns the steps that leave CLAIMED, and the invariant that the payload is the receiver's until then.
//! Calls `slots` and `reply_status`. Never takes a message: `pull` does.

use super::Queue;
use super::reply_status::ReplyStatus;
use super::slots::{QueueSlot, QueueSlots, Step};
use super::word::Word;
use crate::fault::{dying, fault_point, mutant};
use core::mem::ManuallyDrop;

/// An acquired message that is not accessible yet. Dropping it leaks the message until this
/// participant is recovered.
#[must_use = "the message stays taken"]
#[derive(Debug)]
pub(crate) struct AcquiredSlot {
    pub(super) position: u64,
    /// The slot of the position.
    pub(super) slot: QueueSlot,
    pub(super) word: Word,
}

/// The common part of a job and of a request. The facts about the slot are in the queue, so that a
/// claim is one address and moves as one.
///
/// Invariant: until this claim leaves the slot, once, the slot of `queue.held` is CLAIMED by our seat, and
/// the payload is exclusively ours (invariant 2 of the ring).
#[derive(Debug)]
struct ReceiverClaim<'a> {
    queue: &'a mut Queue,
}

/// The slot of a claim. There is one at a time, because a claim borrows its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClaimedSlot {
    pub(super) position: u64,
    /// The slot of the position.
    pub(super) slot: QueueSlot,
    pub(super) word: Word,
    /// Length of the message in bytes, loaded once.
    pub(super) len: usize,
}

impl<'a> ReceiverClaim<'a> {
    #[inline(always)]
    fn new(queue: &'a mut Queue, taken: AcquiredSlot, most: usize) -> Self {
        let AcquiredSlot { position, slot, word } = taken;
        let len = queue.slots.len(slot).min(most);
        queue.held = ClaimedSlot { position, slot, word, len };
        queue.trace("read from", len, slot);
        let claim = ReceiverClaim { queue };
        if mutant("queue acknowledge first") {
            claim.leave(Step::Acknowledge, Word::freed);
        }
        claim
    }

    #[inline(always)]
    fn held(&self) -> &ClaimedSlot {
        &self.queue.held
    }

    #[inline(always)]
    fn slots(&self) -> &QueueSlots {
        &self.queue.slots
    }

    /// Returns the payload from byte `from`.
    #[cfg(not(loom))]
    #[inline(always)]
    fn payload(&self, from: usize) -> core::ptr::NonNull<u8> {
        self.slots().payload(self.held().slot, from)
    }

    /// Leaves the slot. Returns the word that was replaced.
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

/// A message that its receiver must acknowledge.
#[must_use = "dropping a job puts it back for another puller"]
#[derive(Debug)]
pub(crate) struct Job<'a>(ReceiverClaim<'a>);

impl<'a> Job<'a> {
    #[inline]
    pub(super) fn new(queue: &'a mut Queue, taken: AcquiredSlot) -> Self {
        let most = queue.slots.size;
        Job(ReceiverClaim::new(queue, taken, most))
    }

    /// Returns the message: [`len`](Self::len) bytes, exclusively ours until the job ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&self) -> core::ptr::NonNull<u8> {
        self.0.payload(0)
    }

    #[cfg(loom)]
    pub(crate) fn get(&self, from: usize) -> u64 {
        self.0.get(from)
    }

    /// Returns the length of the message in bytes, at most the slot size.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.held().len
    }

    /// Returns `true` if another receiver had the message before and did not acknowledge it.
    #[inline]
    pub(crate) fn redelivered(&self) -> bool {
        self.0.held().word.redelivered()
    }

    /// Returns the position of the message. It counts up in the order in which slots were taken.
    pub(crate) fn position(&self) -> u64 {
        self.0.held().position
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn slot(&self) -> QueueSlot {
        self.0.held().slot
    }

    /// Returns the seat that sent the message, if it is known.
    pub(crate) fn sender(&self) -> Option<u32> {
        self.0.held().word.sender()
    }

    /// Returns the time at which the message was sent, as the sender recorded it.
    pub(crate) fn sent_at(&self) -> u64 {
        self.0.slots().sent_at(self.0.held().slot)
    }

    /// Acknowledges the message: the slot is free again. Returns `false` if the slot was no longer ours,
    /// which only happens in a damaged segment.
    #[inline(always)]
    pub(crate) fn done(self) -> bool {
        // A slot that was left must not be left again.
        let claim = &mut ManuallyDrop::new(self).0;
        fault_point!("pull.read");
        if !mutant("queue keep too late") {
            claim.slots().keep_lines_modified(claim.held().slot, claim.held().len);
        }
        fault_point!("pull.kept");
        let done = claim.end(Step::Acknowledge, Word::freed).is_some();
        if mutant("queue keep too late") {
            claim.slots().keep_lines_modified(claim.held().slot, claim.held().len);
        }
        claim.queue.acknowledged(claim.held().position);
        fault_point!("pull.acknowledged");
        done
    }

    /// Puts the message back for another puller, as dropping does.
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

/// The fate of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The requester finds the answer.
    Delivered,
    /// No requester waits for the answer any more; the slot is free.
    Cancelled,
}

/// A request that its receiver must answer.
#[must_use = "dropping a request tells the requester that it stays unanswered"]
#[derive(Debug)]
pub(crate) struct Request<'a>(ReceiverClaim<'a>);

impl<'a> Request<'a> {
    #[inline]
    pub(super) fn new(queue: &'a mut Queue, taken: AcquiredSlot) -> Self {
        let most = queue.slots.request_size;
        let claim = ReceiverClaim::new(queue, taken, most);
        let reply_area = claim.slots().reply_area(claim.held().slot);
        claim.queue.reply_area = reply_area;
        Request(claim)
    }

    pub(super) fn slots(&self) -> &QueueSlots {
        self.0.slots()
    }

    pub(super) fn slot(&self) -> QueueSlot {
        self.0.held().slot
    }

    /// Returns the request: [`len`](Self::len) bytes, ours to read until the request ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn ptr(&self) -> core::ptr::NonNull<u8> {
        self.0.payload(0)
    }

    /// Returns the buffer for the reply: [`reply_capacity`](Self::reply_capacity) bytes aligned as the
    /// geometry says, ours until the request ends.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn reply_ptr(&mut self) -> core::ptr::NonNull<u8> {
        self.0.slots().reply(self.0.held().slot, &self.0.queue.reply_area)
    }

    #[cfg(loom)]
    pub(crate) fn get(&self, from: usize) -> u64 {
        self.0.get(from)
    }

    #[cfg(loom)]
    pub(crate) fn put_reply(&mut self, from: usize, value: u64) {
        let at = if mutant("queue reply over request") { from } else { self.0.queue.reply_area.from + from };
        self.0.slots().put(self.0.held().slot, at, value);
        fault_point!("reply.written");
    }

    /// Returns the length of the request in bytes, at most the slot size.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.held().len
    }

    /// Returns the capacity for the reply, in bytes.
    #[inline]
    pub(crate) fn reply_capacity(&self) -> usize {
        self.0.queue.reply_area.room
    }

    /// Returns `true` if another replier died while it had the request.
    #[inline]
    pub(crate) fn redelivered(&self) -> bool {
        self.0.held().word.redelivered()
    }

    /// Returns the seat that sent the request, if it is known.
    pub(crate) fn sender(&self) -> Option<u32> {
        self.0.held().word.sender()
    }

    /// Returns the time at which the request was sent, as the requester recorded it.
    pub(crate) fn sent_at(&self) -> u64 {
        self.0.slots().sent_at(self.0.held().slot)
    }

    /// Returns `true` if the requester still waits.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        let word = self.0.slots().word(self.0.held().slot);
        word.claimed_by(self.0.slots().seat) && word.asked() && !word.cancelled()
    }

    /// Answers with the first `len` bytes of the reply buffer.
    #[inline]
    pub(crate) fn reply(self, len: usize) -> Delivery {
        let len = len.min(self.reply_capacity());
        // A slot that was left must not be left again.
        let mut this = ManuallyDrop::new(self);
        let answer = this.end(ReplyStatus::Reply(len), Step::Reply, Word::replied);
        this.0.queue.trace("wrote a reply to", len, this.0.held().slot);
        answer
    }

    /// Tells the requester that there will be no reply, as dropping does.
    pub(crate) fn decline(self) -> Delivery {
        ManuallyDrop::new(self).end(ReplyStatus::NoReply, Step::Decline, Word::unanswered)
    }

    #[inline(always)]
    fn end(&mut self, status: ReplyStatus, step: Step, to: impl Fn(Word) -> Word) -> Delivery {
        let (reply_area, position) = (self.0.queue.reply_area, self.0.held().position);
        let wanted = |word: Word| {
            word.asked() && !word.cancelled() && word.sender().is_some()
                || mutant("queue reply without check")
        };
        if !mutant("queue status too late") {
            reply_area.set_status(status);
        }
        fault_point!("reply.status");
        let word = self.0.end(step, |word| if wanted(word) { to(word) } else { word.freed() });
        if mutant("queue status too late") {
            reply_area.set_status(status);
        }
        // A requester that loaded the status may have freed the slot since.
        let answer = if word.is_none_or(wanted) { Delivery::Delivered } else { Delivery::Cancelled };
        if answer == Delivery::Cancelled {
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
            self.end(ReplyStatus::NoReply, Step::Decline, Word::unanswered);
        }
    }
}
