//! [`Stats`]: the counters of a channel's segment, as plain values.
//!
//! Owns the snapshot. Each counter is loaded separately, so counters that change meanwhile may be a few
//! messages apart. Never writes.

use crate::layout::control;
use crate::ring::queue::Queue;
use crate::segment::{Attachment, Backlog, Participant, Role, backlog};
use crate::sync::Ordering;

/// Counters of a channel since its segment was created, and its participants.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages sent.
    pub messages: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// Positions that carry no message. The publisher died while it wrote there, or it found the slot pinned by a reader.
    /// With messages from 256 KiB on, it may also have gone back to a slot that is still in the cache.
    pub holes: u64,
    /// Messages that wait in the queue; `None` for publish/subscribe, where no message waits.
    pub backlog: Option<Backlog>,
    /// Slots of the segment.
    pub slots: u64,
    /// Payload bytes that a slot holds. In a queue whose slots grow: that the largest slot has reached.
    pub slot_size: u64,
    /// Largest payload bytes to which the slots may grow; 0 if they do not grow. See [`Opener::grow`](crate::Opener::grow).
    pub grow: u64,
    /// Number of times that the slots have grown.
    pub growths: u64,
    /// Bytes of the whole segment.
    pub segment_size: u64,
    /// Position that is written next.
    pub position: u64,
    /// `true` if new participants find this segment under the channel's name. `false` if another segment has taken
    /// its place, it was removed by force, or its file was removed and its name cannot be given back.
    pub named: bool,
    /// Participants that have a seat, in the order of seats.
    pub participants: Vec<Participant>,
}

impl Stats {
    /// Returns the publisher if one has a seat; with several publishers, the first.
    pub fn publisher(&self) -> Option<&Participant> {
        self.publishers().next()
    }

    /// Returns the publishers: at most one, unless the channel declares more. Each publisher counts only the
    /// messages that it has sent itself.
    pub fn publishers(&self) -> impl Iterator<Item = &Participant> {
        self.role(Role::Publisher)
    }

    /// Returns the participants of one role.
    pub fn role(&self, role: Role) -> impl Iterator<Item = &Participant> {
        self.participants.iter().filter(move |p| p.role == role)
    }

    /// Returns the subscribers.
    pub fn subscribers(&self) -> impl Iterator<Item = &Participant> {
        self.role(Role::Subscriber)
    }
}

/// Reads the counters. In the child of a fork, where the segment is not mapped, all of them are zero.
pub(crate) fn read(attachment: &Attachment) -> Stats {
    if attachment.forked() {
        return Stats::default();
    }
    let region = attachment.region();
    let geometry = attachment.geometry();
    let sent = attachment.sent();
    // Relaxed: a figure to show.
    let (slot_size, growths) = geometry.grown(region.u64(control::GROWN).load(Ordering::Relaxed));
    Stats {
        messages: sent.messages,
        bytes: sent.bytes,
        // Relaxed: a figure to show.
        holes: region.u64(control::HOLES).load(Ordering::Relaxed),
        backlog: None,
        slots: geometry.slots,
        slot_size,
        grow: geometry.growth.limit,
        growths,
        segment_size: geometry.segment_size,
        position: sent.head,
        named: attachment.name_refers_here(),
        participants: attachment.participants(),
    }
}

/// Reads the counters of a queue: each participant counts for itself, the segment for departed participants.
pub(crate) fn read_queue(attachment: &Attachment, queue: &Queue) -> Stats {
    let mut stats = read(attachment);
    if attachment.forked() {
        return stats;
    }
    (stats.messages, stats.bytes) = backlog::sent(attachment.sent(), &stats.participants);
    stats.backlog = Some(Backlog::of(queue.backlog(), &attachment.region(), &stats.participants));
    stats
}
