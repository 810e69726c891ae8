//! A key that several writers store: the owner word, a lock with a recovery.
//!
//! Source: robust mutexes (POSIX `PTHREAD_MUTEX_ROBUST`; Linux robust futexes).
//!
//! Owns the meaning of the owner word. Calls the
//! one-writer store of [`super`]. Never decides which writer is dead: the segment
//! does, with locks of the operating system, and calls [`recover`].
//!
//! # Words
//!
//! The *owner word* of a key is 0, or the seat of the writer that stores a value now, plus 1.
//!
//! ```text
//!     0 ──► seat + 1 ──► store of one writer ──► 0          (a live writer)
//!              │
//!              └──► the writer dies ──► recovery ──► 0      (the version word selects a complete value)
//! ```
//!
//! A writer locks the key, loads the version word, and stores the next version as the only writer of a key does (see
//! [`super`]). So readers see no difference, and the table of deaths there holds: whatever a dead writer has left, the next
//! writer continues with the version word. The recovery only clears the owner word.
//!
//! # Invariants
//!
//! 1. Only the writer on seat `s` stores `s + 1`, by a compare-exchange from 0. It clears the word after its store.
//! 2. Another process clears `s + 1` only if the writer on seat `s` is dead, while no new participant can take the seat.
//!    So a new writer on that seat never loses a key that it has locked.
//! 3. The position word of a writer's seat has the offset of its key, plus 1. It is stored before the first lock. A writer
//!    has one key, so the recovery checks one owner word.
//!
//! # Orderings
//!
//! * **\[lock\]** (acquire) with **\[unlock\]** (release): the next writer finds the version word and the buffers as the
//!   previous one left them. A recovery comes after the death, which the locks of the operating system order, and its
//!   release orders the words of the dead before the next writer.

#[cfg(all(test, loom))]
mod model;

use super::KeyWriter;
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Geometry, KEY_OWNER, KeyPlace, LINE_PAIR, Region, seat};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// One key of a table, for one of its writers.
#[derive(Debug)]
pub(crate) struct SharedKeyWriter {
    writer: KeyWriter,
    region: Region,
    /// Offset of the owner word.
    owner_at: usize,
    seat: u32,
}

impl SharedKeyWriter {
    /// Makes the writer on `seat`, and records its key in the entry of the seat.
    pub(crate) fn new(region: Region, geometry: &Geometry, place: KeyPlace, seat: u32) -> Self {
        let writer = KeyWriter::new(region, geometry, place);
        // Relaxed: a process that recovers this writer loads it after its death.
        region.u64(geometry.seat(seat) + seat::POSITION).store(place.offset + 1, Relaxed);
        let owner_at = (geometry.slots_offset + place.offset + KEY_OWNER) as usize;
        SharedKeyWriter { writer, region, owner_at, seat }
    }

    fn owner(&self) -> &AtomicU64 {
        self.region.u64(self.owner_at)
    }

    /// Returns the number of stores of the key.
    pub(crate) fn version(&self) -> u64 {
        self.writer.cell.load_version()
    }

    /// Locks the key. Returns the seat of the writer that stores a value now, if there is one.
    #[inline]
    pub(crate) fn try_lock(&self) -> Result<Locked, u32> {
        let me = u64::from(self.seat) + 1;
        if mutant("table lock without comparison") {
            self.owner().store(me, Relaxed);
            return Ok(Locked(()));
        }
        // [lock] pairs with [unlock].
        match self.owner().compare_exchange(0, me, weak("table relaxed lock", Acquire), Relaxed) {
            Ok(_) => {
                fault_point!("table.locked");
                Ok(Locked(()))
            }
            // The number comes from another process: it is compared with the number of seats before use.
            Err(owner) => Err(u32::try_from(owner.wrapping_sub(1)).unwrap_or(u32::MAX)),
        }
    }

    /// Stores a value, unlocks the key, and returns the version. Panics if the value is larger than the key.
    #[inline]
    pub(crate) fn store(&mut self, _locked: Locked, value: &[u8], time: i64) -> u64 {
        self.writer.version = self.version();
        if mutant("table unlock before the store") {
            self.unlock();
        }
        let version = self.writer.store(value, time);
        self.unlock();
        version
    }

    fn unlock(&self) {
        // [unlock] pairs with [lock]: the next writer finds the version and the buffers.
        self.owner().store(0, weak("table relaxed unlock", Release));
        fault_point!("table.unlocked");
    }
}

/// Proof that the key is locked by this writer.
#[derive(Debug)]
pub(crate) struct Locked(());

/// Unlocks the key of the writer on `seat`, which is dead or leaves, if it had locked it. The caller holds the seat.
pub(crate) fn recover(region: &Region, geometry: &Geometry, seat: u32) {
    // Relaxed, here and below: the writer is dead, and the caller has the lock of its seat.
    let position = region.u64(geometry.seat(seat) + seat::POSITION).load(Relaxed);
    // The entry of a writer that has a key for itself has no position. The number is not trusted.
    let Some(offset) = position.checked_sub(1) else { return };
    if !offset.is_multiple_of(LINE_PAIR as u64) || offset >= geometry.slot_size {
        return;
    }
    let owner = region.u64((geometry.slots_offset + offset + KEY_OWNER) as usize);
    let dead = u64::from(seat) + 1;
    if mutant("table recovery of any owner") {
        owner.store(0, Release);
        return;
    }
    // [unlock] pairs with [lock]: what the dead writer has stored comes before the next writer.
    let _ = owner.compare_exchange(dead, 0, Release, Relaxed);
    fault_point!("table.reclaimed");
}
