//! [`Growth`]: the part of a header that says whether the slots of a segment grow, and which segments continue each other.
//!
//! Owns these three numbers; `geometry` checks them. Calls nothing. Never reads a file.

use super::Identity;

/// Growth of the slots of a segment; all numbers are 0 if they do not grow.
///
/// The segments of a *series* have the same positions: each continues the one before it in larger slots. The slots of a
/// queue grow in their places (see `queue_growth`), so its `series` and `steps` are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Largest slot size in bytes that a segment of the series, or a slot of a queue, may have.
    pub(crate) limit: u64,
    /// Number of the series, which no other series has.
    pub(crate) series: u64,
    /// Number of segments of the series before this one.
    pub(crate) steps: u64,
}

impl Growth {
    pub(crate) const NONE: Growth = Growth { limit: 0, series: 0, steps: 0 };

    pub(super) fn of(identity: &Identity) -> Self {
        Growth { limit: identity.grow, series: identity.series, steps: identity.steps }
    }

    /// Returns `true` if the slots grow.
    pub(crate) fn is_some(&self) -> bool {
        self.limit != 0
    }

    /// Returns the slot size in bytes that takes a message of `needed` bytes: a power of two, or the limit. Returns `None`
    /// if no slot of the series takes the message.
    pub(crate) fn size_for(&self, needed: u64) -> Option<u64> {
        (needed <= self.limit).then(|| needed.next_power_of_two().min(self.limit))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn next_size_is_a_power_of_two_up_to_the_limit() {
        let growth = Growth { limit: 3000, series: 1, steps: 0 };
        let sizes = [1, 1000, 1024, 1025, 2048, 2049, 3000].map(|needed| growth.size_for(needed));
        assert_eq!(sizes, [1, 1024, 1024, 2048, 2048, 3000, 3000].map(Some));
        assert_eq!((growth.size_for(3001), growth.size_for(u64::MAX)), (None, None));
        assert_eq!(Growth::NONE.size_for(1), None);
    }
}
