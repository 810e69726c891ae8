//! [`Spec`]: what an end needs to know to create or to find the segment of its channel.
//!
//! Plain data: made by `channel`, read by the patterns and by `segment`. Checks nothing itself.

use crate::layout::{Format, Pattern};
use std::borrow::Cow;
use std::time::Duration;

/// A channel, as the program that opens it understands it.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// With the namespace: `sim1/robot/imu`.
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) format: Format,
    pub(crate) slots: u64,
    /// Payload bytes that a slot holds.
    pub(crate) slot_size: u64,
    /// Bytes of the longest request, of request/reply; else 0.
    pub(crate) request_size: u64,
    /// Alignment of the payload, a power of two.
    pub(crate) align: u64,
    pub(crate) seats: u32,
    /// Publishers at a time; 1 for the patterns that have none.
    pub(crate) publishers: u32,
    /// `layout::FLAG_*`.
    pub(crate) flags: u32,
    /// Of the message, the request, or the header.
    pub(crate) fingerprint: u64,
    /// Of the reply or of the tail's items; else 0.
    pub(crate) fingerprint2: u64,
    /// JSON, as stored in the segment: an array of the layouts, `[]` where a codec knows them.
    pub(crate) schema: Cow<'static, str>,
    /// Says how two such texts differ, the segment's and this one.
    pub(crate) difference: fn(&str, &str) -> String,
    /// How long to wait for a segment that is not there yet. Zero: look once.
    pub(crate) connect_timeout: Duration,
    /// How many messages from before the joining a subscriber wants, if they are still there.
    pub(crate) history: u64,
    /// How long a subscriber may hold up a publisher that waits. Zero: not at all.
    pub(crate) patience: Duration,
    /// How often a subscriber expects a message.
    pub(crate) expect_every: Option<Duration>,
}
