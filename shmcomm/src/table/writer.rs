//! [`TableWriter`]: the writer of one key, alone or beside other writers of it.
//!
//! Owns the order of the steps of a store: fork check, bytes, ring, wake-up. Calls `segment` for the seat, `ring` for the
//! buffers, `wait` for the readers that sleep. Never reads a value.

use super::turn;
use super::{Key, StoreError, TableKeys, places_of};
use crate::counts::{Counts, bury};
use crate::error::Error;
use crate::layout::{FLAG_MANY, Geometry, Region, control};
use crate::message::ShmMessage;
use crate::message::gaps::with_bytes;
use crate::os;
use crate::ring::table::{KeyWriter, SharedKeyWriter, shared};
use crate::segment::{self, Attachment, NameCheck, PatternOps, Spec};
use crate::wait::{EventCount, SeenLease};
use core::fmt;

/// The recovery unlocks the key of a dead writer, and adds its counters to those of the table: see `ring::table`. The values
/// belong to the writers that are open, so the segment goes with the last of them.
const OPS: PatternOps = PatternOps { recover, drained: |_, _| true };

fn recover(region: &Region, geometry: &Geometry, seat: u32) {
    shared::recover(region, geometry, seat);
    bury(region, geometry, seat);
}

/// The ring of a writer.
enum Storage {
    /// The only writer of its key.
    Own(KeyWriter),
    /// One of several writers, of a table with `writers: Many`.
    Shared(SharedKeyWriter),
}

/// The writer of one key of the table `T`.
///
/// A store never blocks and never allocates. It makes a system call to wake readers that sleep, and another one about
/// every 40 ms, to check the channel's name. Readers are never waited for.
///
/// **If this process dies**, at any instruction, readers keep the last value that was stored. Another writer can open the
/// key at once, and continues with the next version. **If the writer is dropped**, readers keep the last value too. The
/// last writer of the table that is dropped removes the segment. Readers that are open keep the last values; a reader
/// that is opened later waits for a new writer.
///
/// **With `writers: Many`** any number of processes may write a key, each with a writer of its own. Their stores take turns:
/// a store waits while another writer copies its value. If that writer dies in the middle, the key keeps the old value, and
/// the store waits about 1 ms longer, until it has recovered the key. If that writer is stopped in the middle, the store
/// returns [`StoreError::Busy`] after a second.
pub struct TableWriter<T: ?Sized, V> {
    attachment: Attachment,
    writer: Storage,
    key: Key<T, V>,
    counts: Counts,
    name_check: NameCheck,
    /// The event in which readers sleep.
    changed: EventCount,
    lease: SeenLease,
    /// Number of stores by this writer.
    stores: u64,
}

impl<T: TableKeys + ?Sized, V: ShmMessage> TableWriter<T, V> {
    /// Creates the segment of the table, or continues in the existing segment.
    pub(crate) fn open(spec: &Spec, key: Key<T, V>) -> Result<Self, Error> {
        let place = places_of(T::LAYOUT)[key.index() as usize];
        let (attachment, writer) = if spec.flags & FLAG_MANY == 0 {
            let attachment = segment::write_key(spec, (key.index(), key.name()), OPS)?;
            let writer = KeyWriter::new(attachment.region(), attachment.geometry(), place);
            (attachment, Storage::Own(writer))
        } else {
            let attachment = segment::write_shared(spec, OPS)?;
            let (region, geometry) = (attachment.region(), attachment.geometry());
            let writer = SharedKeyWriter::new(region, geometry, place, attachment.seat());
            (attachment, Storage::Shared(writer))
        };
        Ok(TableWriter {
            changed: EventCount::new(attachment.region(), control::ITEMS),
            attachment,
            writer,
            key,
            counts: Counts::default(),
            name_check: NameCheck::new(),
            lease: SeenLease::default(),
            stores: 0,
        })
    }

    /// Stores a value, with the time of the system's clock, and returns its version. From then on every load returns this
    /// value or a later one. Wakes the readers that wait for the key, or for another one. Never blocks, except with
    /// `writers: Many`.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Forked`] in a forked child of the process that opened the writer, and with `writers: Many`
    /// [`StoreError::Busy`]. Nothing was stored then.
    #[inline]
    pub fn store(&mut self, value: &V) -> Result<u64, StoreError> {
        if self.attachment.forked() {
            return Err(StoreError::Forked);
        }
        let version = with_bytes(value, |bytes| -> Result<u64, StoreError> {
            match &mut self.writer {
                Storage::Own(writer) => Ok(writer.store(bytes, os::wall_clock())),
                Storage::Shared(writer) => {
                    let locked = turn::lock(writer, &self.attachment)?;
                    // Under the lock: a later version has a later time.
                    Ok(writer.store(locked, bytes, os::wall_clock()))
                }
            }
        })?;
        self.changed.notify_leased(&mut self.lease);
        self.counts.message(size_of::<V>(), false, &self.attachment);
        self.stores += 1;
        self.name_check.count(self.stores, &self.attachment);
        Ok(version)
    }

    /// Returns the number of stores of the key, by all its writers since the segment was created. Returns 0 in a forked child
    /// of the process that opened the writer.
    pub fn version(&self) -> u64 {
        if self.attachment.forked() {
            return 0;
        }
        self.writer.version()
    }

    /// Locks the key, as a writer does that dies in the middle of a store.
    #[cfg(test)]
    pub(super) fn lock_forever(&self) {
        if let Storage::Shared(writer) = &self.writer {
            assert!(writer.try_lock().is_ok());
        }
    }

    /// Returns the lease of the readers that wait.
    #[cfg(test)]
    pub(super) fn lease(&self) -> u32 {
        let at = control::ITEMS + crate::layout::event::MODE;
        self.attachment.region().u32(at).load(crate::sync::Ordering::Relaxed)
    }

    /// Leaves the table as a killed writer does.
    #[cfg(test)]
    pub(super) fn abandon(self) {
        self.attachment.abandon();
    }

    /// Returns the key.
    pub fn key(&self) -> Key<T, V> {
        self.key
    }

    /// Returns the full name of the table, with its namespace.
    pub fn name(&self) -> &str {
        self.attachment.channel()
    }
}

impl Storage {
    fn version(&self) -> u64 {
        match self {
            Storage::Own(writer) => writer.version(),
            Storage::Shared(writer) => writer.version(),
        }
    }
}

impl<T: ?Sized, V> fmt::Debug for TableWriter<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter")
            .field("name", &self.attachment.channel())
            .field("key", &self.key.name())
            .finish_non_exhaustive()
    }
}
