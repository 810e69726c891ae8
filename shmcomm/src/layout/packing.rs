//! Packed slots: two slots of small messages in one cache line.
//!
//! Owns the rule for which slots are packed. Calls `geometry`. Never reads a file.
//!
//! A slot has lines of its own, so that two processes do not write to one line. Copied slots need no such distance: one
//! process writes all of them, and no other writes to any. A subscriber that polls has the line of the next message in its
//! cache anyway, wherever that message is. So one message moves as many lines as before, and a stream half as many. (Aeron,
//! too, aligns its frames to 32 bytes.)

use super::geometry::PACKED;
use super::{Discipline, Geometry};

impl Geometry {
    /// Returns the same layout with packed slots, for messages of up to 16 bytes that are copied from one publisher and
    /// do not grow. Returns any other layout unchanged.
    pub(crate) fn packed(self) -> Self {
        let fits = self.payload_offset + self.slot_size <= PACKED;
        if !fits || self.discipline != Discipline::Copied || self.growth.is_some() {
            return self;
        }
        let segment_size = self.slots_offset + self.slots * PACKED;
        Geometry { stride: PACKED, state_offset: PACKED, segment_size, ..self }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::layout::{Growth, Pattern, Shape};

    fn made(slot_size: u64, align: u64, discipline: Discipline) -> Geometry {
        let publishers = if discipline.shared() { 2 } else { 1 };
        let pattern = Pattern::PubSub;
        let shape = Shape {
            pattern,
            slots: 8,
            slot_size,
            request_size: 0,
            align,
            seats: 4,
            publishers,
            schema_len: 0,
        };
        Geometry::with(discipline, shape).unwrap()
    }

    #[test]
    fn two_small_slots_share_a_line() {
        let made = made(16, 8, Discipline::Copied);
        let packed = made.packed();
        assert_eq!((made.stride, packed.stride), (64, 32));
        assert_eq!(packed.segment_size, packed.slots_offset + 8 * 32);
        assert_eq!(
            Geometry { stride: 64, state_offset: 64, segment_size: made.segment_size, ..packed },
            made
        );
    }

    #[test]
    fn other_slots_have_lines_of_their_own() {
        let growth = Growth { limit: 100, series: 1, steps: 0 };
        let others = [
            made(17, 8, Discipline::Copied),
            made(16, 32, Discipline::Copied),
            made(8, 8, Discipline::Pinned),
            made(8, 8, Discipline::MultiCopied),
            made(8, 8, Discipline::Copied).growing(growth).unwrap(),
        ];
        for other in others {
            assert_eq!(other.packed(), other);
        }
    }
}
