//! [`Figures`]: the facts about a channel that clients see.
//!
//! Owns the form of these facts in JSON. Calls the library's list of segments. Never opens a channel.

use serde::Serialize;
use shmcomm::{Participant, Role, SegmentInfo};
use std::time::Duration;

/// Largest number of participants that are listed for a channel.
const ENDS: usize = 64;

/// Facts about a channel. The names are those of its JSON form.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Number of the channel in the protocol; `None` if its messages cannot be observed.
    pub id: Option<u32>,
    pub channel: String,
    /// `publish/subscribe`, `push/pull` or `request/reply`.
    pub pattern: &'static str,
    /// Name of the message type, or of the codec.
    pub message: String,
    /// `live`, `stale`, or `problem`.
    pub state: &'static str,
    pub problem: Option<String>,
    pub slots: u64,
    pub slot_size: u64,
    pub sent: u64,
    /// Messages per second over the last 2 s; `None` the first time.
    pub rate: Option<f64>,
    /// Bytes per second; `None` for the Python library, which does not count them.
    pub bytes_per_s: Option<f64>,
    /// Messages that subscribers lost, in all; `None` for queues, and if the segment does not list them.
    pub lost: Option<u64>,
    /// The largest lag of a live subscriber, in messages.
    pub lag: Option<u64>,
    /// Jobs or requests that wait, for queues.
    pub waiting: Option<u64>,
    /// Live senders; `None` for the Python library, whose segments do not list participants.
    pub senders: Option<u32>,
    /// Live receivers; `None` as for the senders.
    pub receivers: Option<u32>,
    pub ends: Vec<End>,
}

/// A participant.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    pub role: &'static str,
    pub process: String,
    pub pid: u32,
    pub alive: bool,
    pub messages: u64,
    /// Facts about subscribers; `None` for other roles.
    pub lag: Option<u64>,
    pub lost: Option<u64>,
    pub skipped: Option<u64>,
}

/// Counters of an earlier reading.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub messages: u64,
    pub bytes: u64,
}

impl Figures {
    /// Returns the facts about a segment. `before` is an earlier reading, and the time since then.
    pub fn of(segment: &SegmentInfo, id: Option<u32>, before: Option<(Reading, Duration)>) -> Self {
        let ends = &segment.participants;
        let before = before.filter(|(_, time)| !time.is_zero());
        let per_second =
            |now: u64, then: u64, time: Duration| now.saturating_sub(then) as f64 / time.as_secs_f64();
        Figures {
            id,
            channel: segment.channel.clone(),
            pattern: segment.pattern,
            message: segment.message_name(),
            state: segment.state().name(),
            problem: segment.problem.clone(),
            slots: segment.slots,
            slot_size: segment.slot_size,
            sent: segment.messages,
            rate: before.map(|(reading, time)| per_second(segment.messages, reading.messages, time)),
            bytes_per_s: before
                .filter(|_| segment.version != 1)
                .map(|(reading, time)| per_second(segment.bytes, reading.bytes, time)),
            lost: segment.lost(),
            lag: ends.iter().filter(|end| end.alive).filter_map(|end| end.lag).max(),
            waiting: segment.backlog.as_ref().map(|backlog| backlog.waiting),
            senders: segment.senders(),
            receivers: segment.receivers(),
            ends: ends.iter().take(ENDS).map(End::of).collect(),
        }
    }
}

impl End {
    fn of(end: &Participant) -> Self {
        let receives = end.role == Role::Subscriber;
        End {
            role: end.role.name(),
            process: end.process.clone(),
            pid: end.pid,
            alive: end.alive,
            messages: end.messages,
            lag: end.lag,
            lost: receives.then_some(end.lost),
            skipped: receives.then_some(end.skipped),
        }
    }
}
