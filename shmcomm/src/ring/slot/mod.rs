//! Slots: addresses of their words, access to a payload, and the rules for that access.
//!
//! Owns the `unsafe` of the broadcast rings and the orderings on the words of a slot. Calls only atomics.
//! Never chooses a position.
//!
//! * `sequence_lock`: the stamp and the copied payload (Linux `seqcount`; Boehm 2012).
//! * `state`: the lock of the writer and the pin bits of the readers.
//! * `entries`: the two tables of the multi-producer broadcast.
//! * `cell`: the version word and the buffers of a key of a table.
//! * `address`: pointers into the region.
//! * `outcome`: results of the readers.
//!
//! This file has the tables of slots and the control words of a writer.

mod address;
mod cell;
mod entries;
mod outcome;
mod sequence_lock;
mod state;

use crate::layout::{Geometry, Region, control, slot};
use crate::sync::AtomicU64;
use address::SlotPtr;
pub(super) use cell::Cell;
#[cfg(test)]
use core::mem::MaybeUninit;
pub(super) use entries::{Cursor, Entries, OwnSlots};
pub(crate) use outcome::{AcquiredToken, FastPath, NoMessage};
pub(super) use sequence_lock::MOST_LINES;
pub(super) use state::{Phase, Pin, PinRefused, READERS, WriteLock};

/// The slots of one ring.
///
/// Invariants, from those of [`Geometry`] and [`Region`]:
/// 1. Slot `i <= mask` lies at `first + i * stride`, mapped, readable and writable, and aligned to 32.
/// 2. `payload` is a multiple of 8 and at least 16 (multi-producer: 32). `payload + size`, rounded up to 8, is at
///    most `states`, and `states` is at most `stride`.
/// 3. Only the owner of a [`WriteLock`] or of a [`Pin`] of a pinned slot touches its payload. The [document
///    of the ring](crate::ring::broadcast) says how the two exclude each other. An observer copies the payload
///    too, through a mapping of its own, as words that may change.
/// 4. A pinned slot has its state word at `states` and, in a broadcast ring, a second one a [`Phase`]
///    further on. Both lie within the stride, each on a line of its own.
/// 5. `fast_size` is `size` or 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    first: SlotPtr,
    mask: u64,
    stride: usize,
    payload: usize,
    size: usize,
    /// Payload capacity of the slots that fast paths get: see [`Slots::at_fast`].
    fast_size: usize,
    states: usize,
}

impl Slots {
    pub(super) fn new(region: Region, geometry: &Geometry) -> Self {
        let Geometry { slots, stride, slots_offset, .. } = *geometry;
        Slots {
            first: SlotPtr::new(region, slots_offset as usize, (geometry.slots_in_all() * stride) as usize),
            mask: slots - 1,
            stride: stride as usize,
            payload: geometry.payload_offset as usize,
            size: geometry.slot_size as usize,
            fast_size: 0,
            states: geometry.state_offset as usize,
        }
    }

    /// Says whether [`Slots::at_fast`] returns slots with their capacity, or with none. It returns none at first.
    pub(super) fn allow_fast(&mut self, fast: bool) {
        self.fast_size = if fast { self.size } else { 0 };
    }

    /// Returns the number of slots.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.mask + 1
    }

    /// Returns the payload capacity of each slot, in bytes.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns the slot of a position.
    #[inline]
    pub(super) fn at(&self, position: u64) -> Slot {
        let index = (position & self.mask) as usize;
        // SAFETY: `index <= mask`, so the slot is within the place (invariant 1).
        let at = unsafe { self.first.add(index * self.stride) };
        Slot { at, payload: self.payload, size: self.size, states: self.states }
    }

    /// Returns the slot of a position to a fast path, without room for a payload unless that is
    /// [allowed](Slots::allow_fast). So the test of the capacity, which is necessary anyway, tests both.
    #[inline]
    pub(super) fn at_fast(&self, position: u64) -> Slot {
        Slot { size: self.fast_size, ..self.at(position) }
    }

    /// Returns the state word of the slot that belongs to the lap of a position.
    #[inline]
    pub(super) fn phase(&self, position: u64) -> Phase {
        Phase::of_lap(position & self.count() != 0)
    }
}

/// The control words of a writer: one cache line, which only the writer stores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    line: SlotPtr,
}

impl Control {
    pub(super) fn new(region: Region) -> Self {
        Control { line: SlotPtr::new(region, control::HEAD, 4 * 8) }
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: private, and called only with the four words from `HEAD` on; words of the control
        // line are atomics to all.
        unsafe { self.line.word(at - control::HEAD) }
    }

    /// Returns the word of the position that is written next.
    #[inline]
    pub(super) fn head(&self) -> &AtomicU64 {
        self.word(control::HEAD)
    }

    #[inline]
    pub(super) fn bytes(&self) -> &AtomicU64 {
        self.word(control::BYTES)
    }

    #[inline]
    pub(super) fn holes(&self) -> &AtomicU64 {
        self.word(control::HOLES)
    }
}

const _: () = assert!(control::HOLES == control::HEAD + 3 * 8);

/// One slot. The [document of its ring](crate::ring::broadcast) gives the meaning of its words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    at: SlotPtr,
    payload: usize,
    size: usize,
    states: usize,
}

impl Slot {
    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at < self.payload + self.size);
        // SAFETY: private, and called only with the offset of a header word or of a payload word
        // that starts below `payload + size`: in the slot and aligned (invariants 1 and 2).
        unsafe { self.at.word(at) }
    }

    /// Returns the payload capacity of the slot, in bytes.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns the stamp: position and state.
    #[inline]
    pub(super) fn stamp(&self) -> &AtomicU64 {
        self.word(slot::STAMP)
    }

    /// Returns the meta word: length, and the count that the ring records with a message.
    #[inline]
    pub(super) fn meta(&self) -> &AtomicU64 {
        self.word(slot::META)
    }
}

/// Returns the bytes that a receive filled, for tests.
#[cfg(test)]
pub(super) fn initialized(bytes: &[MaybeUninit<u8>]) -> Vec<u8> {
    // SAFETY: the tests pass the bytes that a receive reported as filled.
    bytes.iter().map(|byte| unsafe { byte.assume_init() }).collect()
}
