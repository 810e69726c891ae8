//! [`Backlog`]: the contents of a queue, as plain values to show.
//!
//! Owns the public form of the counts of a queue, for its ends and for programs without an end. Calls
//! `ring::queue`, which scans the slots. Never interprets a count.

use super::{Participant, Sent};
use crate::layout::{Geometry, Region, control};
use crate::os;
use crate::ring::queue;
use crate::sync::Ordering;
use std::time::Duration;

/// Contents of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Number of messages that wait for a receiver: the depth of the queue.
    pub waiting: u64,
    /// Number of messages that a receiver has claimed and not finished.
    pub claimed: u64,
    /// Number of slots that a sender is filling.
    pub writing: u64,
    /// Number of replies, and of errors in place of a reply, that their requester has not fetched.
    pub answered: u64,
    /// Age of the oldest message that waits or is claimed; up to 10 ms too long.
    pub oldest: Option<Duration>,
    /// Number of messages put back since the segment was created, because their receiver died or dropped
    /// them.
    pub redelivered: u64,
    /// Number of messages finished since the segment was created.
    pub acknowledged: u64,
}

impl Backlog {
    /// Returns the number of slots in use. If it reaches the number of slots, senders wait.
    pub fn used(&self) -> u64 {
        self.waiting + self.claimed + self.writing + self.answered
    }

    /// Returns the number of messages that were accepted and are not finished: messages that wait for a
    /// receiver, or that a receiver has claimed. These messages are lost if the segment of a push/pull
    /// channel is removed.
    pub fn unfinished(&self) -> u64 {
        self.waiting.saturating_add(self.claimed)
    }

    /// Returns the backlog. `seen` holds the counts of the ring; `participants` are all that have a seat.
    pub(crate) fn of(seen: queue::SlotCounts, region: &Region, participants: &[Participant]) -> Self {
        // Relaxed: a statistic.
        let left = region.u64(control::RECEIVED).load(Ordering::Relaxed);
        let taken = sum(left, participants, |who| (!who.role.sends()).then_some(who.messages));
        Backlog {
            waiting: seen.ready,
            claimed: seen.claimed,
            writing: seen.writing,
            answered: seen.answered,
            oldest: seen.oldest.map(|sent| Duration::from_nanos(os::monotonic().saturating_sub(sent))),
            redelivered: seen.redelivered,
            acknowledged: taken.saturating_sub(seen.redelivered.saturating_add(seen.claimed)),
        }
    }
}

/// Scans the slots of a queue.
pub(super) fn scan(region: Region, geometry: &Geometry) -> queue::SlotCounts {
    queue::Queue::new(region, geometry, 0).backlog()
}

/// Returns the messages and bytes sent on a queue, by senders that have a seat and by senders that have left.
pub(crate) fn sent(left: Sent, participants: &[Participant]) -> (u64, u64) {
    let by = |figure: fn(&Participant) -> u64| move |who: &Participant| who.role.sends().then(|| figure(who));
    let messages = sum(left.messages, participants, by(|who| who.messages));
    let bytes = sum(left.bytes, participants, by(|who| who.bytes));
    (messages, bytes)
}

/// Adds up counts. Saturating: other processes write these counts, and may write any value.
fn sum(base: u64, of: &[Participant], figure: impl Fn(&Participant) -> Option<u64>) -> u64 {
    of.iter().filter_map(figure).fold(base, u64::saturating_add)
}
