//! The counts of a subscriber, from all segments that it followed.
//!
//! Owns the words of its seat that count what it has received, lost, skipped and refused, and the step that turns a
//! received message into a refused one. Calls `counts`. Keeps no private copy of the words, and never reads the ring.

use super::RawSubscriber;
use crate::layout::seat;
use crate::message::Invalid;
use crate::pubsub::RecvError;
use crate::segment::Attachment;
use crate::sync::{Ordering, load_own};

/// The counts of a seat, as offsets of their words.
const WORDS: [usize; 5] = [seat::MESSAGES, seat::BYTES, seat::LOST, seat::SKIPPED, seat::INVALID];

impl RawSubscriber {
    /// Returns one of the counts: `layout::seat::*`. 0 in the child of a fork, where the segment is not mapped.
    pub(in crate::pubsub) fn counted(&self, word: usize) -> u64 {
        if self.attachment.forked() { 0 } else { load_own(self.attachment.seat_word(word)) }
    }

    /// Adds to the count of lost or of skipped messages. Saturating: a damaged segment can skip any number, and
    /// subscribers follow to other segments.
    pub(super) fn add_count(&self, word: usize, messages: u64) {
        let word = self.attachment.seat_word(word);
        // Relaxed: a statistic for other processes, stored by this end only.
        word.store(load_own(word).saturating_add(messages), Ordering::Relaxed);
    }

    /// Continues the counts of the segment that this subscriber leaves, in its seat in the next one.
    pub(super) fn hand_counts_to(&self, next: &Attachment) {
        for word in WORDS {
            // Relaxed: statistics for other processes, stored by this end only.
            next.seat_word(word).store(self.counted(word), Ordering::Relaxed);
        }
    }
}

/// Counts messages whose bytes are not valid.
pub(in crate::pubsub) struct Refusal<'s> {
    pub(in crate::pubsub) attachment: &'s Attachment,
    /// Length of the message, if it was counted as received.
    pub(in crate::pubsub) counted: Option<usize>,
}

impl Refusal<'_> {
    pub(in crate::pubsub) fn count(self, why: Invalid) -> RecvError {
        match self.counted {
            Some(len) => refuse(self.attachment, len, why),
            // The newest message was refused before and is not counted twice.
            None => RecvError::Invalid(why),
        }
    }
}

/// Counts a message of `len` bytes as refused, not as received.
pub(super) fn refuse(attachment: &Attachment, len: usize, why: Invalid) -> RecvError {
    for (at, less) in [(seat::MESSAGES, 1), (seat::BYTES, len as u64)] {
        let word = attachment.seat_word(at);
        // Relaxed: a statistic for other processes, stored by this end only.
        word.store(load_own(word).saturating_sub(less), Ordering::Relaxed);
    }
    crate::counts::refused(&why, attachment);
    RecvError::Invalid(why)
}
