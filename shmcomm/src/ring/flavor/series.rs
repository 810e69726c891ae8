//! The step of a reader from one ring to the ring that continues it.
//!
//! Owns the choice of the flavor. Calls `broadcast`. Never reads a slot.

use super::Reader;

impl Reader {
    /// Takes the place of `before`, whose ring this reader's ring continues: see
    /// [`copy_ring`](crate::ring::broadcast::copy_ring). Only rings of one publisher continue each other.
    pub(crate) fn take_place_of(&mut self, before: &Reader) {
        if let (Reader::Broadcast(reader), Reader::Broadcast(before)) = (self, before) {
            reader.take_place_of(before);
        }
    }
}
