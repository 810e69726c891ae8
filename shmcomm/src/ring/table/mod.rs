//! The table: the latest value of each of several keys. One writer for each key at a time, and any number of readers.
//!
//! Owns the meaning of the version words and of the buffers of a table. Calls `slot` for both. Never decides which
//! process writes a key: the seats of the segment do that, or the lock of a key that several writers store ([`shared`]).
//!
//! Sources:
//!
//! * Linux `seqcount_latch`: two copies, of which the version selects one.
//! * Peterson 1983 and Lamport 1977: readers that copy while a writer writes.
//! * Boehm 2012: sequence locks in the memory model of C++.
//! * Afek et al. 1993: atomic snapshots by double collect.
//!
//! # Words
//!
//! Each key has a *version word* and two *buffers*. A buffer has the form of a slot: a stamp, the length, the time
//! and the value. All words are zero when the segment is created.
//!
//! ```text
//!     version v ≥ 1:   the current value is in buffer v mod 2, whose stamp is done(v)
//!     version 0:       no value was ever stored
//!
//!     stamp of a buffer:   0 ──► writing(v) ──► done(v) ──► writing(v + 2) ──► done(v + 2) ──► …
//!                                     │  ▲
//!                                     └──┘ the writer died, and the next one stores version v
//! ```
//!
//! **The writer** of a key stores version `v + 1` over version `v`:
//!
//! ```text
//!     writing(v + 1) ── fence ── time, value ── length ── done(v + 1) ── version := v + 1
//!     └───────────── in the buffer that is not current ─────────────┘    └── one store
//! ```
//!
//! **A reader** loads the version `v`, copies the words of buffer `v mod 2`, and validates them with a load of the stamp.
//! If the stamp is not `done(v)`, the writer has begun version `v + 2` since the load of the version: the reader starts
//! again. So a reader starts again only if two
//! stores begin during its copy. After [`ATTEMPTS`] attempts it gives up ([`NotLoaded::Busy`]).
//!
//! **A reader of a set of keys** loads all versions, copies all values, and loads all versions again (double
//! collect). If a version has changed, it starts again, with the same limit.
//!
//! No participant waits for another. A writer loads no word of a reader. A reader stores nothing, so it needs no seat and
//! no right to write.
//!
//! # Death
//!
//! | killed | leaves | next writer |
//! |---|---|---|
//! | before `done(v + 1)` | a buffer with `writing(v + 1)`, which no version selects | stores version `v + 1` in that buffer |
//! | between `done(v + 1)` and the version word | a complete value that no version selects | stores another value as version `v + 1` |
//! | after the version word | nothing | stores version `v + 2` |
//!
//! Readers find the value of version `v` in each case until the version word changes. Nothing is repaired, so there is
//! no recovery: the next writer begins with the version word.
//!
//! # Invariants
//!
//! The segment guarantees, with locks of the operating system:
//!
//! 1. A key has one writer at a time. The next writer starts after the last store of the previous one. Several writers of
//!    one key make each store under its lock, so each is the next writer with each store.
//!
//! The table maintains:
//!
//! 2. Only the writer of a key changes its words. The version word only grows, by one.
//! 3. While the version word has `v ≥ 1`, the stamp of buffer `v mod 2` is `done(v)`, and length, time and value are
//!    those of version `v`. The writer touches that buffer next for version `v + 2`, after version `v + 1` is there.
//! 4. A reader that loads version `v`, then words, then the stamp `done(v)`, has the words of version `v`. They were
//!    there before the version word had `v`. From then on the stamp changes before any of the words does, and does not
//!    return to `done(v)`.
//! 5. If a reader of a set finds all versions unchanged, all its values were current at one instant: between the last
//!    load of the first collect and the first load of the second collect.
//!
//! Invariant 5 in terms of the memory model: let the store of value `y` happen after the store of value `x` of another
//! key, because the writer of `y` saw `x`. A reader that has `y` from its first collect acquired `y`'s version, so
//! its second collect finds the version of `x` or a later one. An older version of `x` in the first collect therefore
//! fails the comparison.
//!
//! # Orderings
//!
//! * **\[version\]** (release) with **\[current\]** (acquire): a reader that finds version `v` finds its words and its stamp
//!   or later ones, and whatever the writer knew at its store. The next writer of the key needs no ordering: it has the
//!   lock of the seat (invariant 1).
//! * **\[write_begin\]** (release fence after `writing`) with **\[validate\]** (acquire fence before the load of the stamp): a
//!   reader that copied a word of version `v + 2` finds another stamp than `done(v)`.
//!
//! The model in `table/model.rs` runs the code in all interleavings, with a writer that dies at every step.
//! `.ci/loom-mutants` weakens each ordering, one at a time, and checks that the model fails.

#[cfg(all(test, loom))]
mod model;
pub(crate) mod shared;
#[cfg(all(test, not(loom)))]
mod tests;

use super::slot::{Cell, Slot};
use crate::fault::{fault_point, mutant};
use crate::layout::{Geometry, KeyPlace, Region};
use crate::sync::spin_loop;
use core::mem::MaybeUninit;
pub(crate) use shared::{Locked, SharedKeyWriter};

/// Attempts of a load before it gives up.
pub(crate) const ATTEMPTS: u32 = if cfg!(loom) { 2 } else { 64 };

const WRITING: u64 = 1;
const DONE: u64 = 2;

const fn writing(version: u64) -> u64 {
    version << 2 | WRITING
}

const fn done(version: u64) -> u64 {
    version << 2 | DONE
}

/// Version and time of a value that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamped {
    /// Number of stores of the key up to this one; 0 if no value was ever stored.
    pub(crate) version: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) time: i64,
    /// Bytes of the value. The number comes from another process and is not trusted.
    pub(crate) len: usize,
}

impl Stamped {
    /// The key as it is before the first store.
    pub(crate) const NOTHING: Stamped = Stamped { version: 0, time: 0, len: 0 };
}

/// Reason why a load returned no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotLoaded {
    /// Writers stored new values in each of the [`ATTEMPTS`] attempts.
    Busy,
    /// No version has changed, and one of them selects no complete value: no writer leaves this behind.
    Damaged,
}

/// One key of a table, for its writer. The caller has the seat of the key.
#[derive(Debug)]
pub(crate) struct KeyWriter {
    cell: Cell,
    version: u64,
}

impl KeyWriter {
    /// Continues behind the last value that was stored.
    pub(crate) fn new(region: Region, geometry: &Geometry, place: KeyPlace) -> Self {
        let cell = Cell::new(region, geometry, place);
        KeyWriter { version: cell.own_version(), cell }
    }

    /// Returns the number of stores of the key.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Stores a value, and returns its version. Panics if the value is larger than the key.
    #[inline]
    pub(crate) fn store(&mut self, value: &[u8], time: i64) -> u64 {
        // Wraps after 2^62 stores, which take centuries.
        let version = self.version.wrapping_add(1);
        let index = if mutant("table current buffer") { self.version } else { version };
        let buffer = self.cell.buffer(index);
        if mutant("table version first") {
            self.cell.publish_version(version);
        }
        buffer.write_begin(writing(version));
        buffer.set_time(time);
        buffer.store(value);
        fault_point!("table.written");
        buffer.write_end(value.len() as u64, done(version));
        fault_point!("table.done");
        self.cell.publish_version(version);
        fault_point!("table.published");
        self.version = version;
        version
    }
}

/// One key of a table, for any reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyReader {
    cell: Cell,
}

impl KeyReader {
    pub(crate) fn new(region: Region, geometry: &Geometry, place: KeyPlace) -> Self {
        KeyReader { cell: Cell::new(region, geometry, place) }
    }

    /// Returns the number of stores of the key.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.cell.load_version()
    }

    /// Copies the current value to `bytes`, which are as many as the key has, in one attempt. Returns `None` if it was
    /// overwritten or if there is none: the stamp of a buffer is never `done(0)`.
    //
    // Always inlined: a value of constant size is copied without a loop, and need not be in memory.
    #[inline(always)]
    pub(crate) fn load_fast<'b>(&self, bytes: &'b mut [MaybeUninit<u8>]) -> Option<(Stamped, &'b mut [u8])> {
        self.copy(self.version(), |buffer| buffer.load_uninit(bytes))
    }

    /// Copies the current value to `bytes`, which are as many as the key has. They are the value only if the call
    /// returns a version other than 0.
    #[inline]
    pub(crate) fn load(&self, bytes: &mut [u8]) -> Result<Stamped, NotLoaded> {
        let first = self.version();
        match self.attempt(first, bytes) {
            Some(stamped) => Ok(stamped),
            None => self.load_again(first, bytes),
        }
    }

    /// Tries again after version `first` was overwritten.
    #[cold]
    fn load_again(&self, first: u64, bytes: &mut [u8]) -> Result<Stamped, NotLoaded> {
        let mut failure = NotLoaded::Damaged;
        for _ in 1..ATTEMPTS {
            spin_loop();
            let version = self.version();
            if version != first {
                failure = NotLoaded::Busy;
            }
            if let Some(stamped) = self.attempt(version, bytes) {
                return Ok(stamped);
            }
        }
        Err(failure)
    }

    /// Copies the value of this version. Returns `None` if it was overwritten.
    #[inline]
    fn attempt(&self, version: u64, bytes: &mut [u8]) -> Option<Stamped> {
        if version == 0 {
            return Some(Stamped::NOTHING);
        }
        self.copy(version, |buffer| buffer.load_initialized(bytes)).map(|(stamped, ())| stamped)
    }

    /// Copies the value of this version with `load`. Returns `None` if it was overwritten.
    #[inline(always)]
    fn copy<T>(&self, version: u64, load: impl FnOnce(Slot) -> T) -> Option<(Stamped, T)> {
        let buffer = self.cell.buffer(version);
        let time = buffer.time();
        let loaded = load(buffer);
        let len = buffer.validate(done(version))?;
        Some((Stamped { version, time, len: len as usize }, loaded))
    }
}

/// Copies the values of several keys that were current at one instant. Key `i` is copied to `bytes[i]`, and described
/// in `found[i]`.
pub(crate) fn load_set(
    keys: &[KeyReader],
    bytes: &mut [&mut [u8]],
    found: &mut [Stamped],
) -> Result<(), NotLoaded> {
    let mut failure = NotLoaded::Damaged;
    for attempt in 0..ATTEMPTS {
        if collect(keys, found) && attempt > 0 {
            failure = NotLoaded::Busy;
        }
        let copied = keys.iter().zip(&mut *bytes).zip(&mut *found).all(|((key, bytes), found)| {
            let stamped = key.attempt(found.version, bytes);
            stamped.is_some_and(|stamped| {
                *found = stamped;
                true
            })
        });
        // The second collect.
        if copied && (mutant("table one collect") || !collect(keys, found)) {
            return Ok(());
        }
        if copied {
            failure = NotLoaded::Busy;
        }
        spin_loop();
    }
    Err(failure)
}

/// Loads the versions of all keys. Returns `true` if one of them is another than before.
fn collect(keys: &[KeyReader], found: &mut [Stamped]) -> bool {
    let mut changed = false;
    for (key, found) in keys.iter().zip(found) {
        let version = key.version();
        changed |= version != found.version;
        found.version = version;
    }
    changed
}
