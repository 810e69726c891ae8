//! [`TableReader`]: reads the values of a table, and takes no part in it.
//!
//! Owns the move to a new segment. Calls `segment` for the mapping, `copies` for the values. Never writes to shared
//! memory: the mapping is for loads only.

use super::copies::{Copies, Latest};
use super::{Key, KeySet, LoadError, TableKeys, places_of};
use crate::error::Error;
use crate::message::ShmMessage;
use crate::ring::table::KeyReader;
use crate::segment::{self, Spec, View};
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// Time between two searches for a new segment, after the old one was removed.
const SEARCH: Duration = Duration::from_millis(1);

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
    view: View,
    keys: Vec<KeyReader>,
    spec: Spec,
    buffer: Vec<u8>,
    /// Time of the last search for a new segment.
    searched: Option<Instant>,
    refused: Option<Error>,
    marker: PhantomData<fn(&T)>,
}

impl<T: TableKeys + ?Sized> TableReader<T> {
    /// Waits for the segment of the table, and maps it.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        let view = segment::observe(&spec)?;
        let keys = Self::keys(&view);
        Ok(TableReader {
            view,
            keys,
            spec,
            buffer: Vec::new(),
            searched: None,
            refused: None,
            marker: PhantomData,
        })
    }

    fn keys(view: &View) -> Vec<KeyReader> {
        let places = places_of(T::LAYOUT).into_iter();
        places.map(|place| KeyReader::new(view.region(), view.geometry(), place)).collect()
    }

    /// Returns the latest value of a key; `None` if no value was ever stored. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    #[inline]
    pub fn load<V: ShmMessage>(&mut self, key: Key<T, V>) -> Result<Option<Latest<V>>, LoadError> {
        self.check()?;
        self.copies().one(key)
    }

    /// Returns the latest values of several keys that were current at one instant. `keys` is a tuple of one to eight keys,
    /// and the result is a tuple of the same length. Never blocks.
    ///
    /// # Errors
    ///
    /// Returns [`LoadError::Busy`] also if one of the keys was stored during each attempt.
    #[inline]
    pub fn load_set<S: KeySet<T>>(&mut self, keys: S) -> Result<S::Values, LoadError> {
        self.check()?;
        keys.load_from(&mut self.copies())
    }

    /// Returns the version of a key: the number of its stores since the segment was created, without a copy of the value.
    /// Returns 0 in a forked child of the process that opened the reader.
    pub fn version<V>(&mut self, key: Key<T, V>) -> u64 {
        if self.check().is_err() {
            return 0;
        }
        self.keys[key.index() as usize].version()
    }

    /// Returns `true` if the writer of a key is alive. Takes a system call of 200 to 500 ns if a writer has the key.
    pub fn is_written<V>(&mut self, key: Key<T, V>) -> bool {
        self.check().is_ok() && self.view.is_alive(key.index())
    }

    /// Returns the full name of the table, with its namespace.
    pub fn name(&self) -> &str {
        self.view.channel()
    }

    /// Returns the reason why the segment that has the table's name now cannot be read.
    pub fn follow_error(&self) -> Option<&Error> {
        self.refused.as_ref()
    }

    fn copies(&mut self) -> Copies<'_> {
        Copies::new(&self.keys, &mut self.buffer)
    }

    /// Checks that the mapping may be used, and goes over to a new segment if the old one was removed or replaced.
    #[inline]
    fn check(&mut self) -> Result<(), LoadError> {
        if self.view.forked() {
            return Err(LoadError::Forked);
        }
        if self.view.is_superseded() {
            self.follow();
        }
        Ok(())
    }

    #[cold]
    fn follow(&mut self) {
        if self.searched.is_some_and(|searched| searched.elapsed() < SEARCH) {
            return;
        }
        self.searched = Some(Instant::now());
        match segment::observe_now(&self.spec) {
            Ok(Some(view)) => {
                self.keys = Self::keys(&view);
                self.view = view;
                self.refused = None;
            }
            Ok(None) => {}
            Err(error) => self.refused = Some(error),
        }
    }
}

impl<T: ?Sized> fmt::Debug for TableReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, keys) = (self.view.channel(), self.keys.len());
        f.debug_struct("TableReader").field("name", &name).field("keys", &keys).finish_non_exhaustive()
    }
}
