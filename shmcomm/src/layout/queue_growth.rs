//! Growth of the slots of a queue in their places: the numbers, and the parts of the file that have memory.
//!
//! Owns the layout of such a queue, and the control word [`Grown`]. Calls `geometry`. Never reads a file.
//!
//! A publisher continues in another segment when a message needs larger slots. The slots of a queue keep their places
//! instead: each has addresses for the longest message from the start, and memory for `slot_size` bytes. A sender that
//! owns a slot allocates more before it writes a longer message there. So a job never moves, and senders need no
//! agreement on a segment. `docs/format.md`, *Growing queues*, has the rules.

use super::geometry::MAX_GROWN;
use super::{Discipline, Exchange, Geometry, GeometryError, Growth, MAX_SLOT_SIZE};
use core::ops::Range;

/// Value of the control word `GROWN`: how far the slots of a queue have grown. A statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grown {
    /// Largest size in bytes that a slot has reached; 0 before the first growth.
    pub(crate) size: u32,
    /// Number of times that `size` was raised.
    pub(crate) steps: u32,
}

impl Grown {
    pub(crate) fn of(word: u64) -> Self {
        Grown { size: word as u32, steps: (word >> 32) as u32 }
    }

    /// Returns the word after a slot has reached `size` bytes. Returns `None` if one has already.
    pub(crate) fn raised(self, size: u64) -> Option<u64> {
        (size > self.size.into()).then(|| (u64::from(self.steps.saturating_add(1)) << 32) | size)
    }
}

impl Geometry {
    /// Returns `true` for the slots of push/pull: those of request/reply have room for a reply.
    pub(super) fn is_job_queue(&self) -> bool {
        self.discipline == Discipline::Queue && self.exchange == Exchange::NONE
    }

    /// Returns `true` if slots grow in their places.
    pub(crate) fn grows_each_slot(&self) -> bool {
        self.growth.is_some() && self.discipline == Discipline::Queue
    }

    /// Returns the size in bytes of the longest message that a slot of this segment can hold.
    pub(crate) fn longest(&self) -> u64 {
        if self.grows_each_slot() { self.growth.limit } else { self.slot_size }
    }

    /// Returns the present slot size and the number of growths, for `word`, the value of `GROWN`.
    pub(crate) fn grown(&self, word: u64) -> (u64, u64) {
        if !self.grows_each_slot() {
            return (self.slot_size, self.growth.steps);
        }
        let grown = Grown::of(word);
        // A damaged word may have any value.
        (u64::from(grown.size).clamp(self.slot_size, self.growth.limit), grown.steps.into())
    }

    /// Returns the same layout for a queue whose slots grow in their places.
    pub(super) fn growing_each_slot(self, growth: Growth) -> Result<Self, GeometryError> {
        let Growth { limit, series, steps } = growth;
        for (field, found) in [("series", series), ("steps", steps)] {
            if found != 0 {
                return Err(GeometryError::Unknown { field, found });
            }
        }
        if limit < self.slot_size || limit > MAX_SLOT_SIZE {
            return Err(GeometryError::Unknown { field: "grow", found: limit });
        }
        let stride = (self.payload_offset + limit).next_multiple_of(self.align.max(64));
        if self.slots * stride > MAX_GROWN {
            return Err(GeometryError::Grown(limit));
        }
        let segment_size = self.slots_offset + self.slots * stride;
        Ok(Geometry { growth, stride, state_offset: stride, segment_size, ..self })
    }

    /// Returns the part of the file that a slot of `size` bytes of payload takes.
    pub(crate) fn part_of_slot(&self, index: u64, size: u64) -> Range<u64> {
        debug_assert!(index < self.slots && size <= self.longest());
        let start = self.slots_offset + index * self.stride;
        start..start + self.payload_offset + size
    }

    /// Returns the parts of the file that have memory from the start, if its slots grow in their places.
    pub(crate) fn parts_at_start(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let slots = (0..self.slots).map(|index| self.part_of_slot(index, self.slot_size));
        core::iter::once(0..self.slots_offset).chain(slots)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::layout::{Pattern, Shape};

    fn queue(slots: u64, limit: u64) -> Result<Geometry, GeometryError> {
        let shape = Shape {
            pattern: Pattern::PushPull,
            slots,
            slot_size: 100,
            request_size: 0,
            align: 8,
            seats: 4,
            publishers: 1,
            schema_len: 0,
        };
        Geometry::new(shape).unwrap().growing(Growth { limit, ..Growth::NONE })
    }

    #[test]
    fn slots_of_a_queue_have_addresses_up_to_the_limit() {
        let geometry = queue(4, 10_000).unwrap();
        assert_eq!((geometry.slot_size, geometry.longest(), geometry.stride), (100, 10_000, 10_048));
        assert_eq!(geometry.segment_size, geometry.slots_offset + 4 * 10_048);
        let parts: Vec<_> = geometry.parts_at_start().collect();
        assert_eq!(parts.len(), 5);
        assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start));
        let first = geometry.slots_offset;
        assert_eq!(parts[0..2], [0..first, first..first + 132]);
        assert!(geometry.part_of_slot(3, 10_000).end <= geometry.segment_size);
        // Two such queues are never taken for segments of one series.
        assert!(!geometry.continues(&geometry));
    }

    #[test]
    fn limits_of_a_queue_are_checked() {
        assert_eq!(queue(4, 99), Err(GeometryError::Unknown { field: "grow", found: 99 }));
        assert!(matches!(queue(4, (1 << 31) + 1), Err(GeometryError::Unknown { field: "grow", .. })));
        assert_eq!(queue(1 << 20, 1 << 31), Err(GeometryError::Grown(1 << 31)));
        let growth = Growth { limit: 200, series: 7, steps: 0 };
        let plain = queue(4, 0).unwrap();
        assert_eq!(plain.growing(growth), Err(GeometryError::Unknown { field: "series", found: 7 }));
    }

    #[test]
    fn grown_word_only_rises() {
        let first = Grown::of(0).raised(128).unwrap();
        assert_eq!(Grown::of(first), Grown { size: 128, steps: 1 });
        assert_eq!((Grown::of(first).raised(128), Grown::of(first).raised(100)), (None, None));
        let second = Grown::of(first).raised(1 << 31).unwrap();
        assert_eq!(Grown::of(second), Grown { size: 1 << 31, steps: 2 });
        // A damaged word shows no size that a slot cannot have.
        let geometry = queue(4, 10_000).unwrap();
        assert_eq!((geometry.grown(u64::MAX).0, geometry.grown(0)), (10_000, (100, 0)));
    }
}
