//! [`Counts`]: the activity counters of an end of a queue, which its seat shows to other processes.
//!
//! Owns the counters of an end from its first message until they are added to those of the channel. Never
//! decides anything by them.

use crate::layout::{Geometry, Region, control, seat};
use crate::segment::{Attachment, Role};
use crate::sync::Ordering;
use core::fmt::Display;

/// Activity counters of an end. Mirrored in its seat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    messages: u64,
    bytes: u64,
    redelivered: u64,
    invalid: u64,
}

impl Counts {
    /// Counts a message, and stores the counters in the seat.
    #[inline]
    pub(crate) fn message(&mut self, len: usize, redelivered: bool, attachment: &Attachment) {
        self.messages += 1;
        self.bytes += len as u64;
        // Relaxed, all: counters for other processes; only this end writes them.
        attachment.seat_word(seat::MESSAGES).store(self.messages, Ordering::Relaxed);
        attachment.seat_word(seat::BYTES).store(self.bytes, Ordering::Relaxed);
        if redelivered {
            self.redelivered += 1;
            attachment.seat_word(seat::REDELIVERED).store(self.redelivered, Ordering::Relaxed);
        }
    }

    /// Counts and logs a message whose bytes are not valid.
    #[cold]
    pub(crate) fn refused(&mut self, why: &impl Display, attachment: &Attachment) {
        self.invalid(attachment);
        log_refused(why, attachment);
    }

    /// Counts a message whose bytes are not valid.
    #[cold]
    pub(crate) fn invalid(&mut self, attachment: &Attachment) {
        self.invalid += 1;
        // Relaxed: a counter for other processes; only this end writes it.
        attachment.seat_word(seat::INVALID).store(self.invalid, Ordering::Relaxed);
    }
}

/// Logs a message whose bytes are not valid.
#[cold]
pub(crate) fn log_refused(why: &impl Display, attachment: &Attachment) {
    log::warn!(target: "shmcomm", "channel `{}`: a message was refused: {why}", attachment.channel());
}

/// Adds the counters of seat `index`, whose end is gone, to those of the channel. The caller holds the seat.
pub(crate) fn bury(region: &Region, geometry: &Geometry, index: u32) {
    let at = geometry.seat(index);
    // Relaxed, all: counters. The caller, which recovers the seat, holds it.
    let role = region.u32(at + seat::ROLE).load(Ordering::Relaxed);
    let is = |roles: &[Role]| roles.iter().any(|one| *one as u32 == role);
    let hand_over = |from, to| {
        let count = region.u64(at + from).swap(0, Ordering::Relaxed);
        region.u64(to).fetch_add(count, Ordering::Relaxed);
    };
    if is(&[Role::Pusher, Role::Requester, Role::Writer]) {
        hand_over(seat::MESSAGES, control::MESSAGES);
        hand_over(seat::BYTES, control::BYTES);
    } else if is(&[Role::Puller, Role::Replier]) {
        hand_over(seat::MESSAGES, control::RECEIVED);
    }
}
