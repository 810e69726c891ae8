//! The two tables of the shared ring: [`Entries`], the one order, and [`OwnSlots`], the slots that
//! each of its writers has for itself.
//!
//! Owns every `unsafe` of the shared ring, and the orderings on entries and on slots that no entry
//! names. What an entry says, and who may change it when, is in the [document](super::super::shared).

use super::{Place, Slot, Slots};
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Geometry, Region, geometry::ENTRY, slot};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, fence};

/// The entries of one shared ring.
///
/// Invariant, from those of [`Geometry`] and [`Region`]: entry `i <= mask` lies at `first + 8 * i`,
/// mapped, readable and writable, aligned to 8, and is an atomic to all.
#[derive(Clone, Copy, Debug)]
pub(in crate::ring) struct Entries {
    first: Place,
    mask: u64,
}

impl Entries {
    pub(in crate::ring) fn new(region: Region, geometry: &Geometry) -> Self {
        let Geometry { slots, entries_offset, .. } = *geometry;
        let first = Place::new(region, entries_offset as usize, (slots * ENTRY) as usize);
        Entries { first, mask: slots - 1 }
    }

    /// How many.
    #[inline]
    pub(in crate::ring) fn count(&self) -> u64 {
        self.mask + 1
    }

    #[inline]
    fn at(&self, position: u64) -> &AtomicU64 {
        // SAFETY: the index is at most `mask` (invariant).
        unsafe { self.first.word((position & self.mask) as usize * ENTRY as usize) }
    }

    /// What the entry of a position says now.
    #[inline]
    pub(in crate::ring) fn observe(&self, position: u64) -> u64 {
        // [observe] pairs with [take].
        self.at(position).load(weak("shared relaxed observe", Acquire))
    }

    /// Writer: the same, before it takes the position.
    #[cfg(not(loom))]
    #[inline]
    pub(in crate::ring) fn examine(&self, position: u64) -> u64 {
        self.observe(position)
    }

    /// To loom a load hides the loads of others before it from the exchange that follows: it would not try
    /// the exchange before those. So here it is an exchange, too.
    #[cfg(loom)]
    pub(in crate::ring) fn examine(&self, position: u64) -> u64 {
        self.at(position).fetch_add(0, weak("shared relaxed observe", Acquire))
    }

    /// Reader: whether the entry is as it was observed before. Whatever was copied out of its slot since
    /// then is then intact, and a mark made since then keeps it so.
    #[inline]
    pub(in crate::ring) fn settle(&self, position: u64, seen: u64) -> bool {
        if !mutant("shared no reader fence") {
            // [settle] pairs with [reopen].
            fence(Acquire);
        }
        // Relaxed: only its value matters, nothing is read after it.
        self.at(position).load(Relaxed) == seen || mutant("shared no second look")
    }

    /// Writer: puts `entry` in the place of the one that was observed, which takes the position and
    /// publishes the message in one step.
    #[inline]
    pub(in crate::ring) fn take(&self, position: u64, seen: u64, entry: u64) -> bool {
        fault_point!("pub.taking");
        // [take] pairs with [observe]: slot and header are visible, and all positions below are taken.
        let publish = weak("shared relaxed take", Release);
        // Relaxed on failure: whoever fails observes again.
        let taken = self.at(position).compare_exchange(seen, entry, publish, Relaxed).is_ok();
        fault_point!("pub.taken");
        taken
    }

    /// Puts `entry` there whatever is there by now: what no writer does.
    #[cfg(loom)]
    pub(in crate::ring) fn force(&self, position: u64, entry: u64) {
        self.at(position).swap(entry, Release);
    }
}

/// The slots of all writers of a shared ring.
///
/// Invariant, from those of [`Geometry`] and [`Slots`]: there are `writers * each` of them, and writer
/// `w` has those from `w * each` on.
#[derive(Clone, Copy, Debug)]
pub(in crate::ring) struct OwnSlots {
    slots: Slots,
    writers: u64,
    each: u64,
}

impl OwnSlots {
    pub(in crate::ring) fn new(region: Region, geometry: &Geometry) -> Self {
        let (writers, each) = (geometry.publishers.into(), geometry.own_slots);
        OwnSlots { slots: Slots::new(region, geometry), writers, each }
    }

    /// How many each writer has.
    #[inline]
    pub(in crate::ring) fn each(&self) -> u64 {
        self.each
    }

    /// Payload bytes that each holds.
    #[inline]
    pub(in crate::ring) fn size(&self) -> usize {
        self.slots.size
    }

    /// A slot of a writer; `None` for numbers that no entry of a writer has.
    #[inline]
    pub(in crate::ring) fn of(&self, writer: u64, slot: u64) -> Option<Slot> {
        if writer >= self.writers || slot >= self.each {
            return None;
        }
        let index = (writer * self.each + slot) as usize;
        // SAFETY: below `writers * each`, so within the place (invariant).
        let at = unsafe { self.slots.first.add(index * self.slots.stride) };
        Some(Slot { at, payload: self.slots.payload, size: self.slots.size, states: self.slots.states })
    }

    /// All of them, for whoever takes back marks.
    pub(in crate::ring) fn all(&self) -> impl Iterator<Item = Slot> {
        (0..self.writers * self.each).filter_map(|i| self.of(i / self.each, i % self.each))
    }
}

/// What only the shared ring does with a slot.
impl Slot {
    /// Who sent the message, with the high half of the meta word.
    #[inline]
    pub(in crate::ring) fn sender(&self) -> &AtomicU64 {
        self.word(slot::EXTRA)
    }

    /// Writer: no entry names the slot any more; its bytes are changed from here on.
    #[inline]
    pub(in crate::ring) fn reopen(self) {
        if !mutant("shared no writer fence") {
            // [reopen] pairs with [settle]: whoever reads one of the following words sees that the
            // entry has changed, as this writer did.
            fence(Release);
        }
        fault_point!("pub.reopened");
    }

    /// Writer: notes what the payload is.
    #[inline]
    pub(in crate::ring) fn describe(self, meta: u64, sender: u64) {
        // Relaxed, both: published by [take]; a reader that is too early is turned away by [settle].
        self.meta().store(meta, Relaxed);
        self.sender().store(sender, Relaxed);
        fault_point!("pub.described");
    }
}
