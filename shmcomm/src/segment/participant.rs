//! [`Participant`]: a participant of a channel, as plain values to show.
//!
//! Owns the public form of a seat's [`Entry`]. Never makes a decision.

use super::{Entry, Role, seats};
use crate::layout::{Discipline, Geometry, Region};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A participant of a channel. Every field except `alive` is a statement of the participant itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// Index in the segment's table of seats.
    pub seat: u32,
    /// Role in the channel.
    pub role: Role,
    /// Process id in the process's own pid namespace.
    pub pid: u32,
    /// Short name of the process, with control characters escaped. The process can choose any name.
    pub process: String,
    /// Time at which it joined.
    pub joined: SystemTime,
    /// `true` if it lives, according to the kernel. Dead participants are listed until another participant
    /// recovers them.
    pub alive: bool,
    /// Messages that it has sent (publisher, pusher, requester), values that it has stored (writer), or messages received (subscriber, puller, replier)
    /// since it joined. Refused messages do not count. A subscriber counts the messages of all segments that
    /// it followed.
    pub messages: u64,
    /// Payload bytes of these messages.
    pub bytes: u64,
    /// Subscribers: published positions that it has not reached.
    pub lag: Option<u64>,
    /// Subscribers: messages overwritten before it reached them.
    pub lost: u64,
    /// Subscribers: messages skipped on purpose, by `latest`.
    pub skipped: u64,
    /// Messages refused because their bytes were not valid.
    pub invalid: u64,
    /// Subscribers of a channel with `overflow: Wait`: number of evictions, because it made no progress for
    /// its stall timeout.
    pub evictions: u64,
    /// Pullers and repliers: messages received that another receiver had before and did not finish.
    pub redelivered: u64,
}

impl Participant {
    pub(super) fn new(region: &Region, geometry: &Geometry, entry: Entry, alive: bool) -> Self {
        let sent = seats::sent(region, geometry);
        let lags = entry.role == Role::Subscriber && geometry.discipline != Discipline::Queue;
        let sole = entry.role == Role::Publisher
            && matches!(geometry.discipline, Discipline::Copied | Discipline::Pinned);
        // Saturating: other processes write these words, and may write any value.
        let (messages, bytes) = if sole {
            (sent.messages.saturating_sub(entry.messages), sent.bytes.saturating_sub(entry.bytes))
        } else {
            (entry.messages, entry.bytes)
        };
        Participant {
            seat: entry.seat,
            role: entry.role,
            pid: entry.pid,
            process: entry.name,
            joined: time(entry.joined),
            alive,
            messages,
            bytes,
            lag: lags.then(|| sent.head.saturating_sub(entry.position)),
            lost: entry.lost,
            skipped: entry.skipped,
            invalid: entry.invalid,
            evictions: entry.evictions,
            redelivered: entry.redelivered,
        }
    }
}

/// Converts nanoseconds since 1970, as in a segment.
pub(super) fn time(nanoseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds.max(0) as u64)
}
