//! [`SeatCounters`]: the statistics of one of several publishers.
//!
//! Owns the three words of its seat that say what it has sent. Calls atomics. Never touches a slot or an entry.

use crate::layout::{Line, Region, seat};
use crate::sync::Ordering::Relaxed;

/// The statistics of one of several publishers, stored in its seat for other processes.
#[derive(Debug)]
pub(crate) struct SeatCounters {
    seat: Line,
    messages: u64,
    bytes: u64,
}

impl SeatCounters {
    /// Starts at zero, for the seat at byte `seat`.
    pub(super) fn new(region: Region, seat: usize) -> Self {
        SeatCounters { seat: region.line(seat), messages: 0, bytes: 0 }
    }

    /// Counts the message of `len` bytes at `position`.
    #[inline]
    pub(super) fn sent(&mut self, position: u64, len: usize) {
        self.messages += 1;
        self.bytes = self.bytes.wrapping_add(len as u64);
        // Relaxed, all: statistics.
        for (at, value) in
            [(seat::POSITION, position + 1), (seat::MESSAGES, self.messages), (seat::BYTES, self.bytes)]
        {
            self.seat.u64(at).store(value, Relaxed);
        }
    }
}
