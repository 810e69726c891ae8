//! [`TableWriter`]: the writer of one key.
//!
//! Owns the order of the steps of a store: fork check, bytes, ring, wake-up. Calls `segment` for the seat, `ring` for the
//! buffers, `wait` for the readers that sleep. Never reads a value.

use super::{Key, StoreError, TableKeys, places_of};
use crate::counts::{Counts, bury};
use crate::error::Error;
use crate::layout::control;
use crate::message::ShmMessage;
use crate::message::gaps::with_bytes;
use crate::os;
use crate::ring::table::KeyWriter;
use crate::segment::{self, Attachment, NameCheck, PatternOps, Spec};
use crate::wait::{EventCount, SeenLease};
use core::fmt;

/// Only the counters of a dead writer are recovered: see `ring::table`. The values belong to the writers that are open, so
/// the segment goes with the last of them.
const OPS: PatternOps = PatternOps { recover: bury, drained: |_, _| true };

/// The writer of one key of the table `T`.
///
/// A store never blocks and never allocates. It makes a system call to wake readers that sleep, and another one about
/// every 40 ms, to check the channel's name. Readers are never waited for.
///
/// **If this process dies**, at any instruction, readers keep the last value that was stored. Another writer can open the
/// key at once, and continues with the next version. **If the writer is dropped**, readers keep the last value too. The
/// last writer of the table that is dropped removes the segment. Readers that are open keep the last values; a reader
/// that is opened later waits for a new writer.
pub struct TableWriter<T: ?Sized, V> {
    attachment: Attachment,
    writer: KeyWriter,
    key: Key<T, V>,
    counts: Counts,
    name_check: NameCheck,
    /// The event in which readers sleep.
    changed: EventCount,
    lease: SeenLease,
}

impl<T: TableKeys + ?Sized, V: ShmMessage> TableWriter<T, V> {
    /// Creates the segment of the table, or continues in the existing segment.
    pub(crate) fn open(spec: &Spec, key: Key<T, V>) -> Result<Self, Error> {
        let place = places_of(T::LAYOUT)[key.index() as usize];
        let attachment = segment::write_key(spec, (key.index(), key.name()), OPS)?;
        let writer = KeyWriter::new(attachment.region(), attachment.geometry(), place);
        Ok(TableWriter {
            changed: EventCount::new(attachment.region(), control::ITEMS),
            attachment,
            writer,
            key,
            counts: Counts::default(),
            name_check: NameCheck::new(),
            lease: SeenLease::default(),
        })
    }

    /// Stores a value, with the time of the system's clock, and returns its version. From then on every load returns this
    /// value or a later one. Wakes the readers that wait for the key, or for another one. Never blocks.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Forked`] in a forked child of the process that opened the writer.
    #[inline]
    pub fn store(&mut self, value: &V) -> Result<u64, StoreError> {
        if self.attachment.forked() {
            return Err(StoreError::Forked);
        }
        let time = os::wall_clock();
        let version = with_bytes(value, |bytes| self.writer.store(bytes, time));
        self.changed.notify_leased(&mut self.lease);
        self.counts.message(size_of::<V>(), false, &self.attachment);
        self.name_check.count(version, &self.attachment);
        Ok(version)
    }

    /// Returns the number of stores of the key, by all its writers since the segment was created.
    pub fn version(&self) -> u64 {
        self.writer.version()
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

impl<T: ?Sized, V> fmt::Debug for TableWriter<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter")
            .field("name", &self.attachment.channel())
            .field("key", &self.key.name())
            .field("version", &self.writer.version())
            .finish_non_exhaustive()
    }
}
