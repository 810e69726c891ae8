//! [`TableWriter`]: the writer of one key, alone or beside other writers of it.
//!
//! Owns the step from values to bytes. Calls `raw_writer` for the stores. Never reads a value.

use super::raw_writer::RawWriter;
use super::{Key, StoreError, TableKeys, places_of};
use crate::error::Error;
use crate::message::gaps::with_bytes;
use crate::message::{ShmMessage, Timestamp};
use crate::segment::Spec;
use core::fmt;

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
    raw: RawWriter,
    key: Key<T, V>,
}

impl<T: TableKeys + ?Sized, V: ShmMessage> TableWriter<T, V> {
    /// Creates the segment of the table, or continues in the existing segment.
    pub(crate) fn open(spec: &Spec, key: Key<T, V>) -> Result<Self, Error> {
        let place = places_of(T::LAYOUT)[key.index() as usize];
        Ok(TableWriter { raw: RawWriter::open(spec, (key.index(), key.name()), place)?, key })
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
        with_bytes(value, |bytes| self.raw.store(bytes))
    }

    /// Stores a value like [`store`](Self::store), with a time that the caller has, such as that of the measurement.
    /// Readers get it as [`Latest::time`](crate::Latest::time). The table does not compare it with another time.
    ///
    /// It does not read the clock of the system, which is most of the cost of a small store: [`TableWriter::store`] of
    /// 64 bytes takes about 20 ns more. Several values can have one time.
    ///
    /// ```
    /// use shmcomm::{Timestamp, channel};
    ///
    /// channel! {
    ///     pub Robot: Table { name: "doc/robot/store-at", battery: f32, pose: [f64; 3] }
    /// }
    /// # let ns = format!("doc-table-store-at-{}", std::process::id());
    ///
    /// let mut battery = Robot::open().namespace(&ns).writer(Robot::BATTERY)?;
    /// let mut pose = Robot::open().namespace(&ns).writer(Robot::POSE)?;
    /// let measured = Timestamp::now();
    /// battery.store_at(&0.75, measured)?;
    /// pose.store_at(&[1.0, 2.0, 0.5], measured)?;
    ///
    /// let mut robot = Robot::open().namespace(&ns).reader()?;
    /// assert_eq!(robot.load(Robot::POSE)?.unwrap().time, measured);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`store`](Self::store).
    #[inline]
    pub fn store_at(&mut self, value: &V, time: Timestamp) -> Result<u64, StoreError> {
        with_bytes(value, |bytes| self.raw.store_at(bytes, || time.as_nanos()))
    }

    /// Returns the number of stores of the key, by all its writers since the segment was created. Returns 0 in a forked child
    /// of the process that opened the writer.
    pub fn version(&self) -> u64 {
        self.raw.version()
    }

    /// Locks the key, as a writer does that dies in the middle of a store.
    #[cfg(test)]
    pub(super) fn lock_forever(&self) {
        self.raw.lock_forever();
    }

    /// Returns the lease of the readers that wait.
    #[cfg(test)]
    pub(super) fn lease(&self) -> u32 {
        let at = crate::layout::control::ITEMS + crate::layout::event::MODE;
        self.raw.attachment.region().u32(at).load(crate::sync::Ordering::Relaxed)
    }

    /// Leaves the table as a killed writer does.
    #[cfg(test)]
    pub(super) fn abandon(self) {
        self.raw.attachment.abandon();
    }

    /// Returns the key.
    pub fn key(&self) -> Key<T, V> {
        self.key
    }

    /// Returns the full name of the table, with its namespace.
    pub fn name(&self) -> &str {
        self.raw.name()
    }
}

impl<T: ?Sized, V> fmt::Debug for TableWriter<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter")
            .field("name", &self.raw.name())
            .field("key", &self.key.name())
            .finish_non_exhaustive()
    }
}
