//! [`Stats`]: what a channel's segment counts, as plain values.
//!
//! Owns the snapshot. Each number is read by itself, so numbers that change meanwhile may be a few
//! messages apart. Never writes.

use crate::layout::control;
use crate::segment::{Attachment, Participant, Role};
use crate::sync::Ordering;

/// Counts of a channel since its segment was created, and its participants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Messages sent.
    pub messages: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// Positions that carry no message: the publisher died while it wrote there, or found the slot
    /// held by a reader.
    pub holes: u64,
    /// Messages put back because the puller or replier that had them died or dropped them.
    pub redelivered: u64,
    /// Slots of the segment.
    pub slots: u64,
    /// Payload bytes that a slot holds.
    pub slot_size: u64,
    /// Bytes of the whole segment.
    pub segment_size: u64,
    /// The position that is written next.
    pub position: u64,
    /// Whoever has a seat, in the order of seats.
    pub participants: Vec<Participant>,
}

impl Stats {
    /// The publisher, if one has a seat.
    pub fn publisher(&self) -> Option<&Participant> {
        self.participants.iter().find(|p| p.role == Role::Publisher)
    }

    /// The subscribers.
    pub fn subscribers(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter().filter(|p| p.role == Role::Subscriber)
    }
}

pub(crate) fn read(attachment: &Attachment) -> Stats {
    let region = attachment.region();
    let geometry = attachment.geometry();
    // Relaxed: figures to show; nothing is decided by them.
    let word = |at| region.u64(at).load(Ordering::Relaxed);
    Stats {
        messages: word(control::MESSAGES),
        bytes: word(control::BYTES),
        holes: word(control::HOLES),
        redelivered: word(control::REDELIVERED),
        slots: geometry.slots,
        slot_size: geometry.slot_size,
        segment_size: geometry.segment_size,
        position: word(control::HEAD),
        participants: attachment.participants(),
    }
}
