//! The reader of an observer: it copies messages of a pinned ring, and never writes to the region.
//!
//! Owns the copy of bytes that the writer may be overwriting. Calls `slot` for the loads. The [document of the
//! ring](crate::ring::broadcast) says why no copy is torn.

use super::{Meta, NoMessage, READ_ATTEMPTS, Reader, done, front};
use crate::fault::{fault_point, mutant};
use crate::layout::{Geometry, Region};
use crate::ring::broadcast::BroadcastCorrupt;
use crate::ring::slot::{Phase, PinRefused, Slot};
use crate::sync::Ordering::Relaxed;
use core::mem::MaybeUninit;

impl Reader {
    /// Starts like [`Reader::join`], without a pin bit in any ring. In a pinned ring only
    /// [`Reader::read_into`], [`Reader::latest_into`] and the queries may be called.
    pub(crate) fn observe(
        region: Region,
        geometry: &Geometry,
        history: u64,
    ) -> Result<Self, BroadcastCorrupt> {
        let mut reader = Self::observe_from_start(region, geometry);
        reader.start(history)?;
        Ok(reader)
    }

    /// Starts like [`Reader::from_start`], without a pin bit in any ring: see [`Reader::observe`].
    pub(crate) fn observe_from_start(region: Region, geometry: &Geometry) -> Self {
        let observes = geometry.discipline.pins();
        Reader { observes, ..Self::with_bit(region, geometry, 0) }
    }

    /// Copies the next message of a pinned ring.
    pub(super) fn read_observed(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        for _ in 0..READ_ATTEMPTS {
            let (slot, stamp) = (self.slots.at(self.position), done(self.position));
            if slot.load_stamp() == stamp {
                match copy_observed(slot, self.slots.phase(self.position), stamp, bytes) {
                    Ok(meta) if self.is_next(meta) => {
                        self.position += 1;
                        return Ok(self.len(meta));
                    }
                    // The writer has claimed the slot: to a reader, its message is gone.
                    Err(PinRefused::Locked) => {
                        self.pass(1);
                        continue;
                    }
                    Ok(_) | Err(PinRefused::Overwritten) => {}
                }
            }
            self.advance()?;
        }
        Err(NoMessage::Empty)
    }

    /// Copies the newest message of a pinned ring, and continues after it.
    pub(super) fn latest_observed(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Option<usize> {
        let copy = |slot, phase, stamp| Some((copy_observed(slot, phase, stamp, bytes).ok()?, ()));
        let (_, meta, ()) = self.newest(copy)?;
        Some(self.len(meta))
    }
}

/// Copies the payload of a slot of a pinned ring, if the writer has not claimed the slot and the slot still
/// has `stamp` after the copy.
fn copy_observed(
    slot: Slot,
    phase: Phase,
    stamp: u64,
    bytes: &mut [MaybeUninit<u8>],
) -> Result<Meta, PinRefused> {
    // Relaxed: a first guess, which counts only if `validate` finds the same word.
    let guess = Meta::from_word(slot.meta().load(Relaxed));
    slot.load(front::<false>(slot.size(), guess, bytes));
    fault_point!("observer.copied");
    if slot.is_claimed(phase) && !mutant("observer no owner test") {
        return Err(PinRefused::Locked);
    }
    if mutant("observer no second load") {
        return Ok(Meta::from_word(slot.meta().load(Relaxed)));
    }
    match slot.validate(stamp).map(Meta::from_word) {
        Some(meta) if meta == guess => Ok(meta),
        _ => Err(PinRefused::Overwritten),
    }
}
