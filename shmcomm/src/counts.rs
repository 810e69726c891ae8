//! The activity counters of an end, which its seat shows to other processes.
//!
//! Owns the words of a seat that count messages, from the first message of an end until they are added to those of the
//! channel. Calls the attachment for its seat. Keeps no private copy of the words, and never decides anything by them.

use crate::layout::{Geometry, Region, control, seat};
use crate::segment::{Attachment, Role};
use crate::sync::{Ordering, add_own};
use core::fmt::Display;

/// Counts a message of `len` bytes.
#[inline(always)]
pub(crate) fn message(len: usize, attachment: &Attachment) {
    let seat = attachment.seat_words();
    add_own(seat.u64(seat::MESSAGES), 1);
    add_own(seat.u64(seat::BYTES), len as u64);
}

/// Counts a message of `len` bytes that was taken from a queue.
#[inline]
pub(crate) fn taken(len: usize, redelivered: bool, attachment: &Attachment) {
    message(len, attachment);
    if redelivered {
        add_own(attachment.seat_word(seat::REDELIVERED), 1);
    }
}

/// Counts and logs a message whose bytes are not valid.
#[cold]
pub(crate) fn refused(why: &impl Display, attachment: &Attachment) {
    add_own(attachment.seat_word(seat::INVALID), 1);
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
