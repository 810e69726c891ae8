//! [`Stats`]: what a channel's segment counts, as plain values.
//!
//! Owns the snapshot. Each number is read by itself, so numbers that change meanwhile may be a few
//! messages apart. Never writes.

use crate::layout::control;
use crate::os;
use crate::ring::queue::Queue;
use crate::segment::{Attachment, Participant, Role};
use crate::sync::Ordering;

use std::time::Duration;

/// Counts of a channel since its segment was created, and its participants.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages sent.
    pub messages: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// Positions that carry no message: the publisher died while it wrote there, or found the slot
    /// held by a reader.
    pub holes: u64,
    /// What waits in the queue; `None` for publish/subscribe, which keeps nothing waiting.
    pub backlog: Option<Backlog>,
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

/// What is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Messages that wait for a receiver: the depth of the queue.
    pub waiting: u64,
    /// Messages that a receiver has and has not finished.
    pub claimed: u64,
    /// Slots that a sender is filling.
    pub writing: u64,
    /// Replies, and news that there will be none, that their requester has not fetched.
    pub answered: u64,
    /// How long ago the oldest message that waits or is claimed was sent; up to 10 ms too long.
    pub oldest: Option<Duration>,
    /// Messages put back since the segment was created, because whoever had them died or dropped them.
    pub redelivered: u64,
    /// Messages finished since the segment was created.
    pub acknowledged: u64,
}

impl Backlog {
    /// Slots in use. Where this reaches the number of slots, senders wait.
    pub fn used(&self) -> u64 {
        self.waiting + self.claimed + self.writing + self.answered
    }
}

impl Stats {
    /// The publisher, if one has a seat; of several, the first.
    pub fn publisher(&self) -> Option<&Participant> {
        self.publishers().next()
    }

    /// The publishers: there is one at most, unless the channel declares more. Each of several counts what it
    /// has sent itself.
    pub fn publishers(&self) -> impl Iterator<Item = &Participant> {
        self.role(Role::Publisher)
    }

    /// Those of one role.
    pub fn role(&self, role: Role) -> impl Iterator<Item = &Participant> {
        self.participants.iter().filter(move |p| p.role == role)
    }

    /// The subscribers.
    pub fn subscribers(&self) -> impl Iterator<Item = &Participant> {
        self.role(Role::Subscriber)
    }
}

/// In the child of a fork, where the segment is not mapped, everything is zero.
pub(crate) fn read(attachment: &Attachment) -> Stats {
    if attachment.forked() {
        return Stats::default();
    }
    let region = attachment.region();
    let geometry = attachment.geometry();
    let sent = attachment.sent();
    Stats {
        messages: sent.messages,
        bytes: sent.bytes,
        // Relaxed: a figure to show.
        holes: region.u64(control::HOLES).load(Ordering::Relaxed),
        backlog: None,
        slots: geometry.slots,
        slot_size: geometry.slot_size,
        segment_size: geometry.segment_size,
        position: sent.head,
        participants: attachment.participants(),
    }
}

/// Of a queue: its participants count for themselves, and the segment for those that have left.
pub(crate) fn read_queue(attachment: &Attachment, queue: &Queue) -> Stats {
    let mut stats = read(attachment);
    if attachment.forked() {
        return stats;
    }
    let senders = |p: &&Participant| matches!(p.role, Role::Pusher | Role::Requester);
    let (sent, received): (Vec<_>, Vec<_>) = stats.participants.iter().partition(senders);
    // Saturating, all: others write these figures, and may write anything.
    let sum = |base, of: &[&Participant], figure: fn(&Participant) -> u64| {
        of.iter().map(|p| figure(p)).fold(base, u64::saturating_add)
    };
    stats.messages = sum(stats.messages, &sent, |p| p.messages);
    stats.bytes = sum(stats.bytes, &sent, |p| p.bytes);
    let seen = queue.backlog();
    // Relaxed: a figure to show.
    let left = attachment.region().u64(control::RECEIVED).load(Ordering::Relaxed);
    let taken = sum(left, &received, |p| p.messages);
    stats.backlog = Some(Backlog {
        waiting: seen.ready,
        claimed: seen.claimed,
        writing: seen.writing,
        answered: seen.answered,
        oldest: seen.oldest.map(|sent| Duration::from_nanos(os::monotonic().saturating_sub(sent))),
        redelivered: seen.redelivered,
        acknowledged: taken.saturating_sub(seen.redelivered.saturating_add(seen.claimed)),
    });
    stats
}
