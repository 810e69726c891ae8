//! [`PublisherId`]: the sender of a message, on a channel of several publishers.
//!
//! Owns the public form of the sender that a message of the multi-producer ring names. Never decides anything.

use crate::ring::Sender;
use core::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Identity of the publisher of a message: one publisher, from its opening to its end.
///
/// Two ids are equal if and only if they belong to the same publisher. An id holds the seat, the process and
/// the opening time, so a restarted publisher has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublisherId {
    seat: u32,
    pid: u32,
    joined: i64,
}

impl PublisherId {
    #[inline]
    pub(crate) fn new(sender: Sender) -> Self {
        let Sender { seat, pid, joined } = sender;
        PublisherId { seat, pid, joined }
    }

    /// Returns its index among the publishers of the channel, less than `publishers` and unique among live
    /// publishers. A later publisher may get the same seat.
    pub fn seat(&self) -> u32 {
        self.seat
    }

    /// Returns the id of its process in that process's own pid namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the time at which it was opened.
    pub fn joined(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.joined.max(0) as u64)
    }
}

/// Writes for example `publisher 4711 on seat 2`.
impl fmt::Display for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "publisher {} on seat {}", self.pid, self.seat)
    }
}
