//! [`TableReader`]: reads the values of a table, and takes no seat in it.
//!
//! Owns the loads by type. Calls `raw` for the mapping and the waits, `copies` for the values. Never writes to a key: the
//! mapping of the keys is for loads only.

use super::copies::{Copies, Latest, check};
use super::raw::RawReader;
use super::{
    ChangedKeys, Key, KeySet, LoadError, TableKeys, TableWaitError, TableWaitTimeoutError, places_of,
};
use crate::error::Error;
use crate::message::in_place::UninitMessage;
use crate::message::{self, ShmMessage};
use crate::ring::table::Stamped;
use crate::segment::{self, Spec};
use crate::wait::{Deadline, StopHandle};
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// Size of the largest values whose copy is inlined in the program of the user.
const FAST_MAX: usize = 512;

/// Reads the values of the table `T`. Any number of readers may be open: a reader takes no seat.
///
/// A load copies the value and then checks the copy. It never blocks and never delays a writer. If writers store new
/// values during each of its attempts, it returns [`LoadError::Busy`]. For one key this needs two stores during each copy:
/// of a large value, or by a writer that never pauses. For a set of keys one store is enough.
///
/// **If a writer dies**, in the middle of a store too, the reader keeps the last value. **If the last writer is
/// dropped**, the segment is removed, and the reader keeps the last values. When a writer opens the table again, the next
/// load is from its new segment, whose versions start at 0. A load checks that with one load of a word.
///
/// [`wait`](Self::wait) blocks until a key is stored. It is woken by the store; no sleep is longer than 50 ms. With the
/// first wait the reader maps one page of the segment for stores, to announce its sleeps.
///
/// ```
/// use shmcomm::channel;
///
/// channel! {
///     pub Robot: Table { name: "doc/robot/state", battery: f32, pose: [f64; 3] }
/// }
/// # let ns = format!("doc-table-{}", std::process::id());
///
/// let mut battery = Robot::open().namespace(&ns).writer(Robot::BATTERY)?;
/// battery.store(&0.75)?;
///
/// let mut robot = Robot::open().namespace(&ns).reader()?;
/// let latest = robot.load(Robot::BATTERY)?.expect("a value was stored");
/// assert_eq!((latest.value, latest.version), (0.75, 1));
/// let (battery, pose) = robot.load_set((Robot::BATTERY, Robot::POSE))?;
/// assert!(battery.is_some() && pose.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TableReader<T: ?Sized> {
    pub(super) raw: RawReader,
    buffer: Vec<u8>,
    marker: PhantomData<fn(&T)>,
}

impl<T: TableKeys + ?Sized> TableReader<T> {
    /// Waits for the segment of the table, and maps it.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        let view = segment::observe(&spec)?;
        let raw = RawReader::new(view, spec, places_of(T::LAYOUT));
        Ok(TableReader { raw, buffer: Vec::new(), marker: PhantomData })
    }

    /// Returns the latest value of a key; `None` if no value was ever stored. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    #[inline]
    pub fn load<V: ShmMessage>(&mut self, key: Key<T, V>) -> Result<Option<Latest<V>>, LoadError> {
        if let Some(latest) = self.load_fast(key) {
            return Ok(Some(latest));
        }
        // The value comes through the buffer. If a call returned it, the compiler would keep the results of both paths in
        // memory, and load by vectors there what the fast path has just stored as words.
        let stamped = self.load_to_buffer(key)?;
        let value = self.buffer.get(..stamped.len).and_then(message::read_valid);
        Ok(value.filter(|_| stamped.version > 0).map(|value| Latest::new(value, stamped)))
    }

    /// Returns the latest value of a small key if the first attempt finds one, in the segment that has the table's name.
    #[inline(always)]
    fn load_fast<V: ShmMessage>(&mut self, key: Key<T, V>) -> Option<Latest<V>> {
        if size_of::<V>() > FAST_MAX || !self.raw.is_current() {
            return None;
        }
        let index = key.index() as usize;
        let mut room = UninitMessage::<V>::new();
        let (stamped, bytes) = self.raw.mapped.keys[index].load_fast(room.bytes())?;
        if stamped.len != size_of::<V>() {
            return None;
        }
        let value = message::read_valid(bytes)?;
        self.raw.seen.loaded(index, stamped.version);
        Some(Latest::new(value, stamped))
    }

    /// Copies the latest value of a key to the buffer, and checks it. The version is 0 if no value was ever stored.
    #[inline(never)]
    fn load_to_buffer<V: ShmMessage>(&mut self, key: Key<T, V>) -> Result<Stamped, LoadError> {
        self.raw.check()?;
        let (stamped, bytes) = self.copies().bytes(key.index() as usize, size_of::<V>())?;
        if stamped.version > 0 {
            check(key, stamped, bytes)?;
        }
        Ok(stamped)
    }

    /// Returns the latest values of several keys that were current at one instant. `keys` is a tuple of one to eight keys,
    /// and the result is a tuple of the same length. Never blocks.
    ///
    /// # Errors
    ///
    /// Returns [`LoadError::Busy`] also if one of the keys was stored during each attempt.
    #[inline]
    pub fn load_set<S: KeySet<T>>(&mut self, keys: S) -> Result<S::Values, LoadError> {
        self.raw.check()?;
        keys.load_from(&mut self.copies())
    }

    /// Returns the version of a key: the number of its stores since the segment was created, without a copy of the value.
    /// Returns 0 in a forked child of the process that opened the reader.
    pub fn version<V>(&mut self, key: Key<T, V>) -> u64 {
        if self.raw.check().is_err() {
            return 0;
        }
        self.raw.mapped.keys[key.index() as usize].version()
    }

    /// Returns `true` if one of the keys was stored since this reader loaded it last: `has_changed(Robot::POSE)`,
    /// `has_changed((Robot::POSE, Robot::MODE))`, `has_changed(AnyKey)`. Returns `true` also for a value that was there
    /// when the reader was opened, until the reader loads it. Never blocks. Returns `false` in a forked child.
    pub fn has_changed(&mut self, keys: impl ChangedKeys<T>) -> bool {
        self.raw.check().is_ok() && self.raw.has_changed(&keys.indices())
    }

    /// Waits until one of the keys was stored since this reader loaded it last, and returns at once if it was. A `load`
    /// then returns the value. Stores in between are not counted: the value is the latest one.
    ///
    /// Waits also while no writer is alive: the next writer may store at any time. A new segment of the table is followed
    /// within 50 ms. A value in it counts as a change.
    ///
    /// ```
    /// use shmcomm::{AnyKey, channel};
    ///
    /// channel! {
    ///     pub Robot: Table { name: "doc/robot/wait", battery: f32, pose: [f64; 3] }
    /// }
    /// # let ns = format!("doc-table-wait-{}", std::process::id());
    ///
    /// let mut battery = Robot::open().namespace(&ns).writer(Robot::BATTERY)?;
    /// let mut robot = Robot::open().namespace(&ns).reader()?;
    /// let writer = std::thread::spawn(move || battery.store(&0.75));
    /// robot.wait(Robot::BATTERY)?;
    /// assert_eq!(robot.load(Robot::BATTERY)?.unwrap().value, 0.75);
    /// assert!(!robot.has_changed(AnyKey));
    /// # writer.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`TableWaitError::Stopped`] once the reader's [`StopHandle`] is stopped. For the other errors see
    /// [`TableWaitError`].
    pub fn wait(&mut self, keys: impl ChangedKeys<T>) -> Result<(), TableWaitError> {
        let keys = keys.indices();
        while !self.raw.wait(keys.clone(), Deadline::Never)? {}
        Ok(())
    }

    /// Waits like [`wait`](Self::wait), for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    ///
    /// Returns [`TableWaitTimeoutError::Timeout`] if none of the keys was stored in time. For the other errors see
    /// [`TableWaitTimeoutError`].
    pub fn wait_timeout(
        &mut self,
        keys: impl ChangedKeys<T>,
        timeout: Duration,
    ) -> Result<(), TableWaitTimeoutError> {
        self.wait_until(keys, Deadline::after(timeout))
    }

    /// Waits like [`wait`](Self::wait), until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// See [`wait_timeout`](Self::wait_timeout).
    pub fn wait_deadline(
        &mut self,
        keys: impl ChangedKeys<T>,
        deadline: Instant,
    ) -> Result<(), TableWaitTimeoutError> {
        self.wait_until(keys, Deadline::At(deadline))
    }

    fn wait_until(
        &mut self,
        keys: impl ChangedKeys<T>,
        deadline: Deadline,
    ) -> Result<(), TableWaitTimeoutError> {
        if self.raw.wait(keys.indices(), deadline)? { Ok(()) } else { Err(TableWaitTimeoutError::Timeout) }
    }

    /// Returns `true` if a writer of the key is alive. Takes a system call of 200 to 500 ns for each writer of the key.
    pub fn is_written<V>(&mut self, key: Key<T, V>) -> bool {
        self.raw.check().is_ok() && self.raw.mapped.is_written(key.index())
    }

    fn copies(&mut self) -> Copies<'_> {
        Copies::new(&self.raw.mapped.keys, &self.raw.seen, &mut self.buffer)
    }
}

impl<T: ?Sized> TableReader<T> {
    /// Returns the full name of the table, with its namespace.
    pub fn name(&self) -> &str {
        self.raw.mapped.view.channel()
    }

    /// Returns the reason why the segment that has the table's name now cannot be read.
    pub fn follow_error(&self) -> Option<&Error> {
        self.raw.refused.as_ref()
    }

    /// Returns the handle that stops the waits of this reader from another thread or from a signal handler.
    ///
    /// If the reader was [opened with](crate::Opener::stop) a handle, this is that handle.
    pub fn stop_handle(&self) -> StopHandle {
        self.raw.stop.handle()
    }
}

impl<T: ?Sized> fmt::Debug for TableReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, keys) = (self.name(), self.raw.mapped.keys.len());
        f.debug_struct("TableReader").field("name", &name).field("keys", &keys).finish_non_exhaustive()
    }
}
