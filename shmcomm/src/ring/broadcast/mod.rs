//! The broadcast ring: one writer, any number of readers, the oldest message is overwritten.
//!
//! Owns the meaning of stamp and meta words, and the errors of both ends. The protocol is described
//! in the [document of the rings](super); [`Writer`] and [`Reader`] are its two ends, `adopt` is what
//! a restarted writer does first, [`sweep_reader`] what somebody does for a reader that died.

mod adopt;
mod reader;
mod writer;

#[cfg(all(test, loom))]
pub(super) mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use adopt::Adopted;
#[cfg(all(test, not(loom)))]
pub(crate) use reader::Pinned;
pub(crate) use reader::{Glance, Grabbed, Missed, Reader};
pub(crate) use writer::{AllPinned, Writer};

use super::slot::{Parity, Slots};
use crate::fault::mutant;
use crate::layout::{Discipline, Geometry, Region};

/// States of a stamp, in its two low bits.
const WRITING: u64 = 1;
const DONE: u64 = 2;
const HOLE: u64 = 3;

/// So many slots ahead of where messages queue, lines are asked for: about as long before they are used as they
/// take to come from another core.
const AHEAD: u64 = 8;

/// The last position that a stamp can name.
const LAST: u64 = (1 << 62) - 2;

const fn stamp(position: u64, state: u64) -> u64 {
    (position + 1) << 2 | state
}

const fn writing(position: u64) -> u64 {
    stamp(position, WRITING)
}

const fn done(position: u64) -> u64 {
    stamp(position, DONE)
}

const fn hole(position: u64) -> u64 {
    stamp(position, HOLE)
}

/// Position and state of a stamp; `None` for 0, and for one that nobody writes.
const fn parse(stamp: u64) -> Option<(u64, u64)> {
    match ((stamp >> 2).checked_sub(1), stamp & 3) {
        (None, _) | (_, 0) => None,
        (Some(position), state) => Some((position, state)),
    }
}

/// What a meta word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meta {
    /// Bytes of the payload; from another process, so not believed.
    len: u32,
    /// Holes before this position, modulo 2^32.
    holes: u32,
}

impl Meta {
    #[inline]
    const fn from_word(word: u64) -> Self {
        Meta { len: word as u32, holes: (word >> 32) as u32 }
    }

    #[inline]
    const fn word(self) -> u64 {
        (self.holes as u64) << 32 | self.len as u64
    }
}

/// What no writer leaves behind, however it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Corrupt {
    #[error("slot {slot} has the stamp {stamp:#x}, but no writer puts it there")]
    Stamp { slot: u64, stamp: u64 },
    #[error("the head is at {head}, but the newest slot makes it {expected}")]
    Head { head: u64, expected: u64 },
    #[error("{counted} holes are counted, but the newest slot makes it {expected} modulo 2^32")]
    Holes { counted: u64, expected: u32 },
    #[error("the slot before the head ({head}) is never at rest")]
    Restless { head: u64 },
}

/// Sees whether a reader would find anything, without being the reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Onlooker {
    slots: Slots,
}

impl Onlooker {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        Onlooker { slots: Slots::new(region, geometry) }
    }

    /// Whether a reader at `position` would find anything: as [`Reader::ready`].
    pub(crate) fn ready_at(&self, position: u64) -> bool {
        self.slots.at(position).observe() > writing(position)
    }
}

/// Takes back what a dead reader holds. Nobody else may be using `bit`, or be given it, meanwhile.
pub(crate) fn sweep_reader(region: Region, geometry: &Geometry, bit: u32) {
    if geometry.discipline == Discipline::Pinned {
        let slots = Slots::new(region, geometry);
        for index in 0..slots.count() {
            for parity in Parity::BOTH {
                if parity == Parity::EVEN || !mutant("sweep of one word") {
                    slots.at(index).clear(parity, 1 << bit);
                }
            }
        }
    }
}
