//! [`SeatCounters`]: the statistics of one of several publishers.
//!
//! Owns the three words of its seat that say what it has sent. Calls atomics. Never touches a slot or an entry.

use crate::layout::{Line, Region, seat};
use crate::sync::Ordering::Relaxed;

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
    //
    // Only this end stores the words, so a load and a store count exactly, and one instruction makes both.
    #[inline]
    pub(super) fn sent(&self, position: u64, len: usize) {
        // Relaxed, all: statistics.
        self.seat.u64(seat::POSITION).store(position + 1, Relaxed);
        for (at, more) in [(seat::MESSAGES, 1), (seat::BYTES, len as u64)] {
            let count = self.seat.u64(at);
            count.store(count.load(Relaxed).wrapping_add(more), Relaxed);
        }
    }
}
