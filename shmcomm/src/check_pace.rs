//! [`CheckPace`]: when an end makes the checks of other processes that no wait makes for it.
//!
//! Owns the call at which the clock is read next, and the time of the last check. Calls `os` for the clock. Never makes
//! a check itself.
//!
//! A check is a system call: it takes as long as dozens of calls that find nothing. An end that polls must make it,
//! but a message that arrives meanwhile waits for it. So checks have a period, and between two of them the clock is read
//! at the first, third, seventh call and so on, at last at every 64th. An end that polls without a pause reads it
//! rarely, and an end whose calls are rarer than the period checks at each call.

use crate::os;

/// The next check of an end that may never wait.
#[derive(Debug)]
pub(crate) struct CheckPace {
    /// Call at which the clock is read next.
    next: u64,
    /// Calls from the last read of the clock to the next.
    step: u64,
    /// Value of the coarse clock at the last check, in nanoseconds.
    checked: u64,
}

impl CheckPace {
    /// The most calls between two reads of the clock.
    const MAX_STEP: u64 = 64;

    /// Returns the pace after a check at the time `now` of the coarse clock. With 0, the first check is due at once.
    pub(crate) const fn new(now: u64) -> Self {
        CheckPace { next: 0, step: 1, checked: now }
    }

    /// Returns the call at which the clock is read next. No check is due before it.
    #[inline(always)]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Returns `true` if a check is due at call `count`, a number that never decreases, and records that it is made.
    /// `period` is the time between two checks in nanoseconds.
    #[inline(always)]
    pub(crate) fn is_due(&mut self, count: u64, period: u64) -> bool {
        count >= self.next && self.read_clock(count, period)
    }

    /// Returns `true` if a check is due at the time `now` of the coarse clock, and records that it is made.
    #[inline]
    pub(crate) fn is_due_at(&mut self, now: u64, period: u64) -> bool {
        let is_due = now.saturating_sub(self.checked) >= period;
        if is_due {
            self.checked = now;
        }
        is_due
    }

    #[cold]
    fn read_clock(&mut self, count: u64, period: u64) -> bool {
        let is_due = self.is_due_at(os::monotonic_coarse(), period);
        self.step = if is_due { 1 } else { (self.step * 2).min(Self::MAX_STEP) };
        self.next = count.saturating_add(self.step);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn busy_end_reads_the_clock_rarely() {
        let mut pace = CheckPace::new(0);
        assert!(pace.is_due(1, 0));
        let mut reads = vec![];
        for call in 2..=300 {
            let next = pace.next();
            assert!(!pace.is_due(call, HOUR));
            if pace.next() != next {
                reads.push(call);
            }
        }
        assert_eq!(reads, [2, 4, 8, 16, 32, 64, 128, 192, 256]);
    }

    #[test]
    fn rare_calls_check_each_time() {
        let mut pace = CheckPace::new(0);
        assert!((1..=100).all(|call| pace.is_due(call, 0)));
    }

    #[test]
    fn check_is_due_after_its_period() {
        let mut pace = CheckPace::new(0);
        assert!(pace.is_due_at(HOUR, HOUR));
        assert!(!pace.is_due_at(2 * HOUR - 1, HOUR));
        assert!(pace.is_due_at(2 * HOUR, HOUR));
        // A clock that goes back makes no check due.
        assert!(!pace.is_due_at(HOUR, HOUR));
    }
}
