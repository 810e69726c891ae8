//! The two tables of the multi-producer broadcast: [`Entries`], the one order, and [`OwnSlots`], the private slots of
//! each writer.
//!
//! Owns every `unsafe` of the multi-producer ring, and the orderings on entries and on slots that no entry names.
//! Calls only atomics. Never decides about an entry: its meaning and its rules are in the
//! [document](crate::ring::multi).

use super::{Slot, SlotPtr, Slots};
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Geometry, Region, geometry::ENTRY, slot};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, fence};

/// The entries of one multi-producer ring.
///
/// Invariant, from those of [`Geometry`] and [`Region`]: entry `i <= mask` lies at `first + 8 * i`,
/// mapped, readable and writable, aligned to 8, and is an atomic to all.
#[derive(Clone, Copy, Debug)]
pub(in crate::ring) struct Entries {
    first: SlotPtr,
    mask: u64,
}

impl Entries {
    pub(in crate::ring) fn new(region: Region, geometry: &Geometry) -> Self {
        let Geometry { slots, entries_offset, .. } = *geometry;
        let first = SlotPtr::new(region, entries_offset as usize, (slots * ENTRY) as usize);
        Entries { first, mask: slots - 1 }
    }

    /// Returns the number of entries.
    #[inline]
    pub(in crate::ring) fn count(&self) -> u64 {
        self.mask + 1
    }

    #[inline]
    fn at(&self, position: u64) -> &AtomicU64 {
        // SAFETY: the index is at most `mask` (invariant).
        unsafe { self.first.word((position & self.mask) as usize * ENTRY as usize) }
    }

    /// Returns the current entry of a position.
    #[inline]
    pub(in crate::ring) fn load_entry(&self, position: u64) -> u64 {
        // [observe] pairs with [append].
        self.at(position).load(weak("multi relaxed load", Acquire))
    }

    /// Returns the current entry of a position to a writer, before the writer takes the position.
    #[cfg(not(loom))]
    #[inline]
    pub(in crate::ring) fn load_entry_to_replace(&self, position: u64) -> u64 {
        self.load_entry(position)
    }

    /// Returns the current entry of a position to a writer, under loom. A load would hide earlier loads of
    /// other threads from the exchange that follows, and loom would not try the exchange before those. So
    /// this is an exchange, too.
    #[cfg(loom)]
    pub(in crate::ring) fn load_entry_to_replace(&self, position: u64) -> u64 {
        self.at(position).fetch_add(0, weak("multi relaxed load", Acquire))
    }

    /// Returns `true` if the entry is unchanged since a reader loaded it. The bytes
    /// copied out of its slot since then are then intact, and a pin bit set since then keeps them intact.
    #[inline]
    pub(in crate::ring) fn validate(&self, position: u64, seen: u64) -> bool {
        if !mutant("multi no reader fence") {
            // [validate] pairs with [write_begin].
            fence(Acquire);
        }
        // Relaxed: only its value matters, no load follows it.
        self.at(position).load(Relaxed) == seen || mutant("multi no validation")
    }

    /// Replaces the observed entry by `entry` of a writer. This takes the position and publishes the message
    /// in one step. Returns `false` if another writer was faster.
    #[inline]
    pub(in crate::ring) fn try_append(&self, position: u64, seen: u64, entry: u64) -> bool {
        fault_point!("pub.taking");
        // [append] pairs with [observe]: slot and header are visible, and all positions below are taken.
        let publish = weak("multi relaxed append", Release);
        // Relaxed on failure: a writer that fails observes again.
        let taken = self.at(position).compare_exchange(seen, entry, publish, Relaxed).is_ok();
        fault_point!("pub.taken");
        taken
    }

    /// Stores `entry` whatever is there by now, which no writer does.
    #[cfg(loom)]
    pub(in crate::ring) fn force(&self, position: u64, entry: u64) {
        self.at(position).swap(entry, Release);
    }
}

/// The slots of all writers of a multi-producer ring.
///
/// Invariant, from those of [`Geometry`] and [`Slots`]: there are `writers * each` slots, and writer `w`
/// owns `each` of them from `w * each` on.
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

    /// Returns the number of slots of each writer.
    #[inline]
    pub(in crate::ring) fn each(&self) -> u64 {
        self.each
    }

    /// Returns the payload capacity of each slot, in bytes.
    #[inline]
    pub(in crate::ring) fn size(&self) -> usize {
        self.slots.size
    }

    /// Says whether [`OwnSlots::of_fast`] returns slots with their capacity: see [`Slots::allow_fast`].
    pub(in crate::ring) fn allow_fast(&mut self, fast: bool) {
        self.slots.allow_fast(fast);
    }

    /// Returns a slot of a writer like [`OwnSlots::of`] to a fast path.
    #[inline]
    pub(in crate::ring) fn of_fast(&self, writer: u64, slot: u64) -> Option<Slot> {
        Some(Slot { size: self.slots.fast_size, ..self.of(writer, slot)? })
    }

    /// Returns a slot of a writer; `None` for numbers that no entry of a writer has.
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

    /// Returns a cursor at a slot of a writer; `None` as in [`OwnSlots::of`].
    pub(in crate::ring) fn cursor(&self, writer: u64, index: u64) -> Option<Cursor> {
        let (first, slot) = (self.of(writer, 0)?.at, self.of(writer, index)?);
        let each = self.each - u64::from(mutant("multi slot too few"));
        Some(Cursor { first, slot, index, each, stride: self.slots.stride })
    }

    /// Returns all slots, for a participant that clears pin bits.
    pub(in crate::ring) fn all(&self) -> impl Iterator<Item = Slot> {
        (0..self.writers * self.each).filter_map(|i| self.of(i / self.each, i % self.each))
    }
}

/// The slot that a writer writes next. It saves the arithmetic of [`OwnSlots::of`] for each message.
///
/// Invariant: `first` is the first of `each` slots of the writer, `stride` bytes apart, and `slot` is slot `index < each`.
#[derive(Clone, Copy, Debug)]
pub(in crate::ring) struct Cursor {
    first: SlotPtr,
    slot: Slot,
    index: u64,
    each: u64,
    stride: usize,
}

impl Cursor {
    #[inline(always)]
    pub(in crate::ring) fn slot(&self) -> Slot {
        self.slot
    }

    /// Returns the number of the slot among those of the writer.
    #[inline(always)]
    pub(in crate::ring) fn index(&self) -> u64 {
        self.index
    }

    /// Moves to the next slot, and from the last one to the first.
    #[inline(always)]
    pub(in crate::ring) fn advance(&mut self) {
        let next = self.index + 1;
        (self.index, self.slot.at) = if next < self.each {
            // SAFETY: slot `next` of the writer (invariant), within the place of its slots.
            (next, unsafe { self.slot.at.add(self.stride) })
        } else {
            (0, self.first)
        };
    }
}

/// The operations on a slot that only the multi-producer ring uses.
impl Slot {
    /// Returns the word of the sender, with the high half of the meta word.
    #[inline]
    pub(in crate::ring) fn sender(&self) -> &AtomicU64 {
        self.word(slot::EXTRA)
    }

    /// Begins a write: no entry names the slot any more, and the writer changes its bytes.
    #[inline]
    pub(in crate::ring) fn write_begin_unstamped(self) {
        if !mutant("multi no writer fence") {
            // [write_begin] pairs with [validate]: a reader that loads one of the following words sees that the
            // entry has changed, as this writer did.
            fence(Release);
        }
        fault_point!("pub.reopened");
    }

    /// Stores length and sender of the payload, for the writer.
    #[inline]
    pub(in crate::ring) fn describe(self, meta: u64, sender: u64) {
        // Relaxed, both: published by [append]; [validate] rejects a reader that is too early.
        self.meta().store(meta, Relaxed);
        self.sender().store(sender, Relaxed);
        fault_point!("pub.described");
    }
}
