//! [`Cell`]: the words of one key of a table: its version, and two buffers in the form of slots.
//!
//! Owns the orderings on the version word. Calls only atomics. Never chooses a buffer: its meaning and its rules are in
//! the [document](crate::ring::table).

use super::{Slot, SlotPtr};
use crate::fault::weak;
use crate::layout::{BUFFERS, Geometry, KeyPlace, Region, slot};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, load_own};
use core::mem::MaybeUninit;

/// The words of one key.
///
/// Invariant, from those of [`Geometry`] and [`Region`]: the `span()` bytes of the place from `at` are mapped and readable,
/// writable for the writer of the key, aligned to 128, and atomics to all. `stride` and `size` are those of the place.
#[derive(Clone, Copy, Debug)]
pub(in crate::ring) struct Cell {
    at: SlotPtr,
    /// Distance from one buffer to the next.
    stride: usize,
    /// Size of a value.
    size: usize,
}

impl Cell {
    /// Panics if the place is not inside the region.
    pub(in crate::ring) fn new(region: Region, geometry: &Geometry, place: KeyPlace) -> Self {
        let end = place.offset.checked_add(place.span());
        assert!(end.is_some_and(|end| end <= geometry.slot_size), "a key outside its table");
        let at = (geometry.slots_offset + place.offset) as usize;
        let (stride, size) = (place.stride() as usize, place.size as usize);
        Cell { at: SlotPtr::new(region, at, place.span() as usize), stride, size }
    }

    #[inline]
    fn version(&self) -> &AtomicU64 {
        // SAFETY: the first word of the key (invariant).
        unsafe { self.at.word(0) }
    }

    /// Returns the number of stores of the key.
    #[inline]
    pub(in crate::ring) fn load_version(&self) -> u64 {
        // [current] pairs with [version].
        self.version().load(weak("table relaxed version", Acquire))
    }

    /// Returns the number of stores to the writer of the key.
    pub(in crate::ring) fn own_version(&self) -> u64 {
        load_own(self.version())
    }

    /// Makes a version the current one.
    #[inline]
    pub(in crate::ring) fn publish_version(&self, version: u64) {
        // [version] pairs with [current]: the buffer is complete.
        self.version().store(version, weak("table relaxed publish", Release));
    }

    /// Returns the buffer of a version.
    #[inline]
    pub(in crate::ring) fn buffer(&self, version: u64) -> Slot {
        let offset = KeyPlace::FIRST_BUFFER as usize + (version % BUFFERS) as usize * self.stride;
        // SAFETY: the buffers lie inside the span (invariant).
        let at = unsafe { self.at.add(offset) };
        // A buffer has no state word. Its invariants are those of a copied slot.
        Slot { at, payload: slot::EXTRA + 8, size: self.size, states: self.stride }
    }
}

impl Slot {
    /// Stores the time of a value, between [`Slot::write_begin`] and [`Slot::write_end`].
    #[inline]
    pub(in crate::ring) fn set_time(self, time: i64) {
        // Relaxed: [publish] orders it, like the payload.
        self.word(slot::TIME).store(time as u64, Relaxed);
    }

    /// Returns the time of a value, before [`Slot::validate`].
    #[inline]
    pub(in crate::ring) fn time(self) -> i64 {
        // Relaxed: between [observe] and [validate], which order it.
        self.word(slot::TIME).load(Relaxed) as i64
    }

    /// Copies a payload like [`Slot::load_vectors`], and returns the bytes that it has initialised.
    #[inline(always)]
    pub(in crate::ring) fn load_uninit(self, bytes: &mut [MaybeUninit<u8>]) -> &mut [u8] {
        self.load_vectors(bytes);
        // SAFETY: the layout is the same, and `load_vectors` has written all of the bytes.
        unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [u8]) }
    }

    /// Copies a payload to initialised bytes, like [`Slot::load`].
    #[inline(always)]
    pub(in crate::ring) fn load_initialized(self, bytes: &mut [u8]) {
        let bytes = core::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>];
        // SAFETY: the layout is the same, and `load` writes initialised bytes only.
        self.load(unsafe { &mut *bytes });
    }
}
