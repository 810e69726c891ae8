//! [`PublisherId`]: who sent a message, on a channel of several publishers.
//!
//! Owns the public form of what a message of the shared ring says of its sender. Never decides anything.

use crate::ring::Sender;
use core::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who sent a message: one publisher, from its opening to its end.
///
/// Two ids are equal if, and only if, they are of one publisher: its seat, its process and the time it came
/// go into it, and a publisher that starts anew is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublisherId {
    seat: u32,
    pid: u32,
    joined: i64,
}

impl PublisherId {
    #[inline]
    pub(super) fn new(sender: Sender) -> Self {
        let Sender { seat, pid, joined } = sender;
        PublisherId { seat, pid, joined }
    }

    /// Its place among the publishers of the channel: below the channel's `publishers`, and no other live
    /// one's. The next publisher may be given it after its end.
    pub fn seat(&self) -> u32 {
        self.seat
    }

    /// Its process, as numbered in its own pid namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it came.
    pub fn joined(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.joined.max(0) as u64)
    }
}

/// `publisher 4711 on seat 2`.
impl fmt::Display for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "publisher {} on seat {}", self.pid, self.seat)
    }
}
