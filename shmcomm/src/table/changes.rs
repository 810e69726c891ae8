//! [`KeyChanges`]: keys of a reader, as a member of a set.
//!
//! Owns the choice of the keys. Calls `raw`. Never loads a value.

use super::raw::RawReader;
use super::seen::KeyIndices;
use super::{ChangedKeys, TableKeys, TableReader};
use crate::error::Error;
use crate::waitset::{Waitable, Watchable, Watched};

/// Some keys of a [`TableReader`], for [`WaitSet::add`](crate::WaitSet::add).
pub struct KeyChanges<'r> {
    reader: &'r RawReader,
    keys: KeyIndices,
}

impl<T: TableKeys + ?Sized> TableReader<T> {
    /// Returns these keys as a member of a [`WaitSet`](crate::WaitSet), which is ready while one of them was stored since
    /// this reader loaded it last. The reader itself is a member for all its keys.
    ///
    /// ```
    /// use shmcomm::{WaitSet, channel};
    ///
    /// channel! {
    ///     pub Robot: Table { name: "doc/robot/changes", battery: f32, pose: [f64; 3] }
    /// }
    /// # let ns = format!("doc-table-changes-{}", std::process::id());
    ///
    /// let mut pose = Robot::open().namespace(&ns).writer(Robot::POSE)?;
    /// let mut robot = Robot::open().namespace(&ns).reader()?;
    /// let mut set = WaitSet::new();
    /// set.add("battery", &robot.changes(Robot::BATTERY))?;
    /// set.add("pose", &robot.changes(Robot::POSE))?;
    /// pose.store(&[1.0, 2.0, 0.5])?;
    /// let ready: Vec<_> = set.wait()?.into_iter().map(|ready| ready.key).collect();
    /// assert_eq!(ready, ["pose"]);
    /// robot.load(Robot::POSE)?;
    /// assert!(set.try_wait()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes(&self, keys: impl ChangedKeys<T>) -> KeyChanges<'_> {
        KeyChanges { reader: &self.raw, keys: keys.indices() }
    }
}

/// Ready while one of the keys was stored since the reader loaded it last, until the reader is dropped.
impl Waitable for KeyChanges<'_> {}

impl Watchable for KeyChanges<'_> {
    fn watch(&self) -> Result<Watched, Error> {
        self.reader.watch(self.keys.clone())
    }
}

/// Ready while a key was stored since the reader loaded it last.
impl<T: ?Sized> Waitable for TableReader<T> {}

impl<T: ?Sized> Watchable for TableReader<T> {
    fn watch(&self) -> Result<Watched, Error> {
        self.raw.watch(KeyIndices::ALL)
    }
}
