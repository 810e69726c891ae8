//! [`TableObserver`]: the values of a table whose keys the program learns from the segment.
//!
//! Owns the step from the text of the segment to keys, and the wait for a change. Calls `ring` for the copies, `schema` for
//! the values, `wait` for the sleep. Never writes to a key: the mapping of the keys is for loads only.

use super::{Description, ValueError, keys};
use crate::error::{Error, ErrorKind};
use crate::layout::Pattern;
use crate::message::Timestamp;
use crate::schema::{LayoutField, Value, ValueRef};
use crate::segment::{Participant, View};
use crate::table::{LoadError, Mapped, TableWaitError, TableWaitTimeoutError};
use crate::wait::{self, Deadline, EventCount, Seated, SleepBackoff, Stop, StopHandle, WaitFor};
use core::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Reads every key of a table, without a seat and without its Rust types. The keys come from the segment.
///
/// No participant notices an observer that does not [wait](Self::wait_timeout). A writer that dies leaves the last value of its key. When the last writer leaves,
/// the segment is removed, and the observer keeps the last values until [`follow`](Self::follow) finds a new segment.
///
/// ```
/// use shmcomm::{TableObserver, channel};
///
/// channel! {
///     pub Robot: Table { name: "doc/robot", battery: f32, pose: [f64; 3] }
/// }
/// # let ns = format!("doc-table-observer-{}", std::process::id());
///
/// let mut pose = Robot::open().namespace(&ns).writer(Robot::POSE)?;
/// pose.store(&[1.0, 2.0, 0.5])?;
///
/// let mut table = TableObserver::open(pose.name())?;
/// let names: Vec<_> = table.keys().iter().map(|key| key.name.as_str()).collect();
/// assert_eq!(names, ["battery", "pose"]);
/// assert!(table.load(0)?.is_none());
/// let pose = table.load(1)?.expect("a value was stored");
/// assert_eq!((pose.version(), pose.view().to_string().as_str()), (1, "[1.0,2.0,0.5]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TableObserver {
    mapped: Arc<Mapped>,
    what: Description,
    fields: Vec<LayoutField>,
    /// Version of each key that was loaded last.
    seen: Vec<u64>,
    buffer: Vec<u8>,
    backoff: SleepBackoff,
    stop: Stop,
}

/// A value that a [`TableObserver`] or a [`DynTableReader`](super::DynTableReader) copied.
#[derive(Clone, Copy)]
pub struct ObservedValue<'o> {
    bytes: &'o [u8],
    field: &'o LayoutField,
    version: u64,
    time: Timestamp,
}

impl TableObserver {
    /// Observes the table with this full name (with its namespace).
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::NotFound`] if there is no such channel, [`ErrorKind::ChannelMismatch`] if it is no table, and
    /// [`ErrorKind::TypeMismatch`] if the segment does not say its keys, because their text is longer than 64 KiB. Also
    /// returns the errors of [`describe`](super::describe).
    pub fn open(channel: &str) -> Result<Self, Error> {
        match View::open(channel)?.filter(|view| !view.is_superseded()) {
            Some(view) => Self::on(view),
            None => Err(Error::new(
                ErrorKind::NotFound,
                channel.to_owned(),
                "there is no such channel; `list_segments` returns all, with their namespaces",
            )),
        }
    }

    fn on(view: View) -> Result<Self, Error> {
        let channel = view.channel().to_owned();
        if view.pattern() != Pattern::Table {
            let why = format!("it is a channel for {}, and no table; see `Observer`", view.pattern().name());
            return Err(Error::new(ErrorKind::ChannelMismatch, channel, why));
        }
        let what = Description::of(&view);
        let table = match &what.layouts {
            Ok(layouts) => layouts.first().ok_or_else(|| "it states no keys".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let table = table.map_err(|why| Error::new(ErrorKind::TypeMismatch, channel.clone(), why))?;
        let (fields, places) = keys::checked(table, (what.slots, what.slot_size), &channel)?;
        Ok(TableObserver {
            seen: vec![0; fields.len()],
            mapped: Mapped::new(view, places.into()),
            what,
            fields,
            buffer: Vec::new(),
            backoff: SleepBackoff::new(),
            stop: Stop::default(),
        })
    }

    /// Returns the full name of the table.
    pub fn name(&self) -> &str {
        self.mapped.view.channel()
    }

    /// Returns the description of the segment, from the time when it was opened.
    pub fn description(&self) -> &Description {
        &self.what
    }

    /// Returns the keys in the order of their declaration, with the layouts of their values.
    pub fn keys(&self) -> &[LayoutField] {
        &self.fields
    }

    /// Returns the number of stores of the key with this index, since the segment was created. Returns 0 for an index that
    /// no key has, and in a forked child.
    pub fn version(&self, key: usize) -> u64 {
        match self.mapped.keys.get(key) {
            Some(key) if !self.mapped.view.forked() => key.version(),
            _ => 0,
        }
    }

    /// Returns the latest value of the key with this index; `None` if no value was ever stored, or if no key has the index.
    /// Never blocks.
    ///
    /// # Errors
    ///
    /// Returns [`LoadError::Busy`], [`LoadError::Damaged`] and [`LoadError::Forked`].
    pub fn load(&mut self, key: usize) -> Result<Option<ObservedValue<'_>>, LoadError> {
        if self.mapped.view.forked() {
            return Err(LoadError::Forked);
        }
        let (Some(reader), Some(field)) = (self.mapped.keys.get(key), self.fields.get(key)) else {
            return Ok(None);
        };
        let size = field.layout.size();
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let bytes = &mut self.buffer[..size];
        let found = reader.load(bytes)?;
        self.seen[key] = found.version;
        let value = ObservedValue::new(bytes, field, (found.version, found.time));
        Ok((found.version > 0).then_some(value))
    }

    /// Returns the writer of the key with this index, alive or dead; `None` if no writer has the key. Of several writers
    /// ([`writers`](Self::writers)) it is the first that lives. Takes a system call of 200 to 500 ns for each.
    pub fn writer(&self, key: usize) -> Option<Participant> {
        let mut writers = self.writers(key);
        let first = writers.iter().position(|writer| writer.alive).unwrap_or(0);
        (first < writers.len()).then(|| writers.swap_remove(first))
    }

    /// Returns the writers of the key with this index, alive and dead: at most one, unless the table has `writers: Many`.
    pub fn writers(&self, key: usize) -> Vec<Participant> {
        match u32::try_from(key) {
            Ok(key) if !self.mapped.view.forked() => self.mapped.writers(key),
            _ => Vec::new(),
        }
    }

    /// Waits for at most `timeout` until a key was stored that this observer has not loaded since, or until the table has a
    /// new segment, to which [`follow`](Self::follow) goes over. A timeout of zero polls once.
    ///
    /// Waits also while no writer is alive. The first wait maps one page of the segment for stores, to announce the sleep.
    ///
    /// # Errors
    ///
    /// Returns [`TableWaitTimeoutError::Timeout`] if no value was stored in time. For the other errors see
    /// [`TableWaitTimeoutError`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<(), TableWaitTimeoutError> {
        if self.mapped.view.forked() {
            return Err(TableWaitTimeoutError::Forked);
        }
        self.mapped.map_events().map_err(|error| TableWaitTimeoutError::Unavailable(error.to_string()))?;
        let changed = wait::wait(self, Deadline::after(timeout)).map_err(TableWaitError::from)?;
        match changed {
            _ if self.mapped.view.forked() => Err(TableWaitTimeoutError::Forked),
            Some(()) => Ok(()),
            None => Err(TableWaitTimeoutError::Timeout),
        }
    }

    /// Returns the handle that stops the waits of this observer from another thread or from a signal handler.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.handle()
    }

    /// Goes over to the new segment, if the old one was removed or replaced and there is a new one. Returns `true` if it
    /// did: the keys may be others then.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`open`](Self::open) about the new segment. The observer keeps the old one.
    pub fn follow(&mut self) -> Result<bool, Error> {
        if self.mapped.view.forked() || !self.mapped.view.is_superseded() {
            return Ok(false);
        }
        match self.mapped.view.successor()?.filter(|view| !view.is_superseded()) {
            Some(view) => *self = TableObserver { stop: std::mem::take(&mut self.stop), ..Self::on(view)? },
            None => return Ok(false),
        }
        Ok(true)
    }
}

/// The condition of a wait. The events are mapped.
impl WaitFor for TableObserver {
    type Output = ();

    fn poll_once(&mut self) -> Option<()> {
        let mut keys = self.mapped.keys.iter().zip(&self.seen);
        keys.any(|(key, seen)| key.version() != *seen).then_some(())
    }

    fn housekeeping(&mut self) -> Option<()> {
        let view = &self.mapped.view;
        // The caller reports a fork.
        if view.forked() || (view.is_superseded() && view.is_replaced()) {
            return Some(());
        }
        if self.event().renew_lease() {
            self.backoff.restart();
        }
        self.poll_once()
    }

    fn event(&self) -> EventCount {
        self.mapped.event().expect("an observer that waits has mapped the events")
    }

    fn backoff(&mut self) -> &mut SleepBackoff {
        &mut self.backoff
    }

    fn seat(&self) -> &impl Seated {
        &*self.mapped
    }

    fn stop(&self) -> &Stop {
        &self.stop
    }
}

impl fmt::Debug for TableObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, keys) = (self.name(), self.fields.len());
        f.debug_struct("TableObserver").field("name", &name).field("keys", &keys).finish_non_exhaustive()
    }
}

impl<'o> ObservedValue<'o> {
    pub(super) fn new(bytes: &'o [u8], field: &'o LayoutField, (version, time): (u64, i64)) -> Self {
        ObservedValue { bytes, field, version, time: Timestamp::from_nanos(time) }
    }

    /// Returns the bytes of the value.
    pub fn bytes(&self) -> &'o [u8] {
        self.bytes
    }

    /// Returns the number of stores of the key up to this value.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the time of the store, by the clock of the system.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Returns the value as a view of its bytes.
    pub fn view(&self) -> ValueRef<'o> {
        self.field.layout.view(self.bytes)
    }

    /// Returns the value as a tree. An [`Encoded`](crate::Encoded) value is decoded, if the segment names its codec and this
    /// program has it.
    ///
    /// # Errors
    /// Returns [`ValueError::TableKey`] if the bytes are not a value of the key. For an encoded value the text has the codec and
    /// the number of bytes.
    pub fn value(&self) -> Result<Value, ValueError> {
        let key = |problem| ValueError::TableKey { key: self.field.name.clone(), problem };
        self.field.layout.value(self.bytes).map_err(key)
    }
}

impl fmt::Debug for ObservedValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedValue").field("version", &self.version).finish_non_exhaustive()
    }
}
