//! [`Pace`]: how fast the subscriber advances that a publisher waits for.
//!
//! Owns one estimate, the last observation. Calls nothing. Never waits: a pause is what its caller makes.

/// The time in which a subscriber advances by one position, in 1/1024 pauses. 0 before the first observation.
#[derive(Debug, Default)]
pub(super) struct Pace(u64);

const UNIT: u64 = 1024;

impl Pace {
    /// Returns the number of pauses after which the subscriber has probably advanced by `positions`: a quarter more than
    /// it took the last time. At least 1.
    pub(super) fn pauses(&self, positions: u64) -> u64 {
        let expected = self.0.saturating_mul(positions) / UNIT;
        expected.saturating_add(expected / 4).max(1)
    }

    /// Records that the subscriber advanced by `positions` during `pauses`.
    pub(super) fn observe(&mut self, pauses: u64, positions: u64) {
        self.0 = pauses.saturating_mul(UNIT) / positions.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_expects_what_it_saw_and_a_quarter() {
        let mut pace = Pace::default();
        assert_eq!(pace.pauses(100), 1);
        pace.observe(40, 32);
        assert_eq!(pace.pauses(32), 50);
        assert_eq!(pace.pauses(128), 200);
        // Faster than a pause, and no progress at all.
        pace.observe(1, 1_000_000);
        assert_eq!(pace.pauses(128), 1);
        pace.observe(256, 0);
        assert_eq!(pace.pauses(2), 640);
        pace.observe(u64::MAX, 1);
        assert_eq!(pace.pauses(u64::MAX), u64::MAX / UNIT + u64::MAX / UNIT / 4);
    }
}
