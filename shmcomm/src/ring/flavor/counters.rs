//! [`SeatCounters`]: the statistics of one of several publishers.
//!
//! Owns the three words of its seat that say what it has sent. Calls atomics. Never touches a slot or an entry.

use crate::layout::{Line, Region, seat};
use crate::sync::Ordering::Relaxed;
use crate::sync::add_own;

/// The statistics of one of several publishers, stored in its seat for other processes.
#[derive(Debug)]
pub(crate) struct SeatCounters {
    seat: Line,
}

impl SeatCounters {
    /// Continues the counts of the seat at byte `seat`, which are zero after a join.
    pub(super) fn new(region: Region, seat: usize) -> Self {
        SeatCounters { seat: region.line(seat) }
    }

    /// Counts the message of `len` bytes at `position`.
    #[inline]
    pub(super) fn sent(&self, position: u64, len: usize) {
        // Relaxed: a statistic.
        self.seat.u64(seat::POSITION).store(position + 1, Relaxed);
        add_own(self.seat.u64(seat::MESSAGES), 1);
        add_own(self.seat.u64(seat::BYTES), len as u64);
    }
}
