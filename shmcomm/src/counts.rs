//! [`Counts`]: what an end of a queue has done, as its seat shows it to others.
//!
//! Owns the figures of an end from its first message until they are added to those of the channel. Never
//! decides anything by them.

use crate::layout::{Geometry, Region, control, seat};
use crate::segment::{Attachment, Role};
use crate::sync::Ordering;
use core::fmt::Display;

/// What an end has done. Mirrored in its seat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    messages: u64,
    bytes: u64,
    redelivered: u64,
    invalid: u64,
}

impl Counts {
    /// Counts a message, and shows the counts in the seat.
    #[inline]
    pub(crate) fn message(&mut self, len: usize, redelivered: bool, attachment: &Attachment) {
        self.messages += 1;
        self.bytes += len as u64;
        // Relaxed, all: figures for others, written by this end alone.
        attachment.seat_word(seat::MESSAGES).store(self.messages, Ordering::Relaxed);
        attachment.seat_word(seat::BYTES).store(self.bytes, Ordering::Relaxed);
        if redelivered {
            self.redelivered += 1;
            attachment.seat_word(seat::REDELIVERED).store(self.redelivered, Ordering::Relaxed);
        }
    }

    /// Counts a message that turned out not to be one.
    #[cold]
    pub(crate) fn refused(&mut self, why: &impl Display, attachment: &Attachment) {
        self.invalid += 1;
        // Relaxed: as above.
        attachment.seat_word(seat::INVALID).store(self.invalid, Ordering::Relaxed);
        log::warn!(target: "shmcomm", "channel `{}`: a message was refused: {why}", attachment.channel());
    }
}

/// Adds the counts of seat `index`, whose end is gone, to those of the channel. The caller holds the seat.
pub(crate) fn bury(region: &Region, geometry: &Geometry, index: u32) {
    let at = geometry.seat(index);
    // Relaxed, all: figures. Whoever sweeps holds the seat.
    let role = region.u32(at + seat::ROLE).load(Ordering::Relaxed);
    let is = |roles: [Role; 2]| roles.into_iter().any(|one| one as u32 == role);
    let hand_over = |from, to| {
        let count = region.u64(at + from).swap(0, Ordering::Relaxed);
        region.u64(to).fetch_add(count, Ordering::Relaxed);
    };
    if is([Role::Pusher, Role::Requester]) {
        hand_over(seat::MESSAGES, control::MESSAGES);
        hand_over(seat::BYTES, control::BYTES);
    } else if is([Role::Puller, Role::Replier]) {
        hand_over(seat::MESSAGES, control::RECEIVED);
    }
}
