//! [`SubscriberCounts`]: what a subscriber has received, lost, skipped and refused.
//!
//! Owns the numbers, and the step that turns a received message into a refused one. Calls the attachment for the words of
//! the seat. Never reads the ring.

use crate::layout::seat;
use crate::message::Invalid;
use crate::pubsub::RecvError;
use crate::segment::Attachment;
use crate::sync::Ordering;

/// Counts of this subscriber over all segments that it followed. Mirrored in its seat.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pubsub) struct SubscriberCounts {
    pub(in crate::pubsub) received: u64,
    pub(in crate::pubsub) bytes: u64,
    pub(in crate::pubsub) lost: u64,
    pub(in crate::pubsub) skipped: u64,
    pub(in crate::pubsub) invalid: u64,
}

/// Counts messages whose bytes are not valid.
pub(in crate::pubsub) struct Refusal<'s> {
    pub(in crate::pubsub) counts: &'s mut SubscriberCounts,
    pub(in crate::pubsub) attachment: &'s Attachment,
    /// Length of the message, if it was counted as received.
    pub(in crate::pubsub) counted: Option<usize>,
}

impl Refusal<'_> {
    pub(in crate::pubsub) fn count(self, why: Invalid) -> RecvError {
        match self.counted {
            Some(len) => refuse(self.counts, self.attachment, len, why),
            // The newest message was refused before and is not counted twice.
            None => RecvError::Invalid(why),
        }
    }
}

/// Counts a message of `len` bytes as refused, not as received.
pub(super) fn refuse(
    counts: &mut SubscriberCounts,
    attachment: &Attachment,
    len: usize,
    why: Invalid,
) -> RecvError {
    counts.invalid += 1;
    counts.received = counts.received.saturating_sub(1);
    counts.bytes = counts.bytes.saturating_sub(len as u64);
    for (at, count) in
        [(seat::INVALID, counts.invalid), (seat::MESSAGES, counts.received), (seat::BYTES, counts.bytes)]
    {
        // Relaxed: statistics for other processes, stored by this end only.
        attachment.seat_word(at).store(count, Ordering::Relaxed);
    }
    log::warn!(target: "shmcomm", "channel `{}`: a message was refused: {why}", attachment.channel());
    RecvError::Invalid(why)
}
