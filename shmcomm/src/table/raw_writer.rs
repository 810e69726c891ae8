//! [`RawWriter`]: the writer of one key, without the type of its values.
//!
//! Owns the order of the steps of a store: fork check, bytes, ring, wake-up. Calls `segment` for the seat, `ring` for the
//! buffers, `wait` for the readers that sleep. Never reads a value.

use super::{StoreError, turn};
use crate::check_pace::CheckPace;
use crate::counts;
use crate::error::Error;
use crate::layout::{FLAG_MANY, Geometry, KeyPlace, Region, control};
use crate::os;
use crate::ring::table::{KeyWriter, SharedKeyWriter, shared};
use crate::segment::{self, Attachment, NAME_PERIOD, PatternOps, Spec};
use crate::wait::{EventCount, SeenLease};

/// The recovery unlocks the key of a dead writer, and adds its counters to those of the table: see `ring::table`. The values
/// belong to the writers that are open, so the segment goes with the last of them.
const OPS: PatternOps = PatternOps { recover, drained: |_, _| true };

fn recover(region: &Region, geometry: &Geometry, seat: u32) {
    shared::recover(region, geometry, seat);
    counts::bury(region, geometry, seat);
}

/// The ring of a writer.
enum Storage {
    /// The only writer of its key.
    Own(KeyWriter),
    /// One of several writers, of a table with `writers: Many`.
    Shared(SharedKeyWriter),
}

/// The writer of one key.
pub(crate) struct RawWriter {
    pub(super) attachment: Attachment,
    writer: Storage,
    name_check: CheckPace,
    /// The event in which readers sleep.
    changed: EventCount,
    lease: SeenLease,
}

impl RawWriter {
    /// Creates the segment of the table, or continues in the existing segment. The key is given with its index and name.
    pub(crate) fn open(spec: &Spec, key: (u32, &str), place: KeyPlace) -> Result<Self, Error> {
        let (attachment, writer) = if spec.flags & FLAG_MANY == 0 {
            let attachment = segment::write_key(spec, key, OPS)?;
            let writer = KeyWriter::new(attachment.region(), attachment.geometry(), place);
            (attachment, Storage::Own(writer))
        } else {
            let attachment = segment::write_shared(spec, OPS)?;
            let (region, geometry) = (attachment.region(), attachment.geometry());
            let writer = SharedKeyWriter::new(region, geometry, place, attachment.seat());
            (attachment, Storage::Shared(writer))
        };
        Ok(RawWriter {
            changed: EventCount::new(attachment.region(), control::ITEMS),
            attachment,
            writer,
            name_check: CheckPace::new(0),
            lease: SeenLease::default(),
        })
    }

    /// Stores the bytes of a value with the time of the system's clock. They have the size of the key. Returns the version.
    #[inline]
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Result<u64, StoreError> {
        self.store_at(bytes, os::wall_clock)
    }

    /// Stores the bytes of a value with the time that `time` returns.
    #[inline]
    pub(crate) fn store_at(&mut self, bytes: &[u8], time: impl FnOnce() -> i64) -> Result<u64, StoreError> {
        if self.attachment.forked() {
            return Err(StoreError::Forked);
        }
        let version = match &mut self.writer {
            Storage::Own(writer) => writer.store(bytes, time()),
            Storage::Shared(writer) => {
                let locked = turn::lock(writer, &self.attachment)?;
                // Under the lock: a later version has a later time of the clock.
                writer.store(locked, bytes, time())
            }
        };
        self.changed.notify_leased(&mut self.lease);
        counts::message(bytes.len(), &self.attachment);
        if self.name_check.is_due(version, NAME_PERIOD) {
            self.attachment.keep_name();
        }
        Ok(version)
    }

    /// Returns the number of stores of the key; 0 in a forked child.
    pub(crate) fn version(&self) -> u64 {
        match &self.writer {
            _ if self.attachment.forked() => 0,
            Storage::Own(writer) => writer.version(),
            Storage::Shared(writer) => writer.version(),
        }
    }

    /// Returns the full name of the table.
    pub(crate) fn name(&self) -> &str {
        self.attachment.channel()
    }

    /// Locks the key, as a writer does that dies in the middle of a store.
    #[cfg(test)]
    pub(super) fn lock_forever(&self) {
        if let Storage::Shared(writer) = &self.writer {
            assert!(writer.try_lock().is_ok());
        }
    }
}
