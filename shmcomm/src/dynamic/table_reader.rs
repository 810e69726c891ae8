//! [`DynTableReader`]: a reader of a table whose keys the program learns from the segment.
//!
//! Owns the checks of values by their layouts. Calls `table` for the mapping, the copies and the waits. Never writes to a
//! key.

use super::end::Found;
use super::{Declaration, Description, DynError, ObservedValue, ValueError, keys};
use crate::error::{Error, ErrorKind};
use crate::layout::Pattern;
use crate::plural::count;
use crate::ring::table::Stamped;
use crate::schema::LayoutField;
use crate::segment::{self, Participant};
use crate::table::{Copies, KeyIndices, RawReader};
use crate::wait::{Deadline, StopHandle};
use crate::waitset::{Waitable, Watchable, Watched};
use core::fmt;
use std::time::Duration;

/// Reads the values of a table, by the keys and layouts in its segment. It is a reader like
/// [`TableReader`](crate::TableReader): it takes no seat, never delays a writer, and follows the table to a new segment.
///
/// The indices of keys are those of [`keys`](Self::keys). A new segment must have the same keys. A segment with others is
/// not followed: [`follow_error`](Self::follow_error) has the reason. A [`TableObserver`](super::TableObserver) follows
/// it.
///
/// ```
/// use shmcomm::schema::{Layout, Value};
/// use shmcomm::{Declaration, DynTableReader, DynTableWriter};
///
/// # let ns = format!("doc-dyn-table-{}", std::process::id());
/// let keys = [("battery", Layout::of::<f32>()), ("pose", Layout::of::<[f64; 3]>())];
/// let name = format!("{ns}/robot");
/// let mut battery = DynTableWriter::create(&name, &Declaration::table(keys), "battery")?;
/// battery.store(&Value::from(0.75))?;
///
/// let mut robot = DynTableReader::open(&name)?;
/// let [battery, pose] = [robot.key("battery")?, robot.key("pose")?];
/// let latest = robot.load(battery)?.expect("a value was stored");
/// assert_eq!((latest.version(), latest.view().as_f64()), (1, Some(0.75)));
/// let both = robot.load_set(&[battery, pose])?;
/// assert!(both[0].is_some() && both[1].is_none());
/// assert!(robot.changed(&[])?.is_empty());
/// assert_eq!(robot.key("mode").unwrap_err().to_string().split("; ").last(), Some("its keys are `battery`, `pose`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DynTableReader {
    raw: RawReader,
    fields: Vec<LayoutField>,
    buffer: Vec<u8>,
}

impl DynTableReader {
    /// Opens a reader of the table with this full name (with its namespace).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such channel; [`ErrorKind::ChannelMismatch`] if it is no table;
    /// [`ErrorKind::TypeMismatch`] if the text of its keys was too long for the segment; the errors of
    /// [`describe`](super::describe).
    pub fn open(channel: &str) -> Result<Self, Error> {
        Self::on(&Found::existing(channel, Pattern::Table)?)
    }

    /// Opens a reader like [`open`](Self::open), and waits for the table for at most `timeout`.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn open_timeout(channel: &str, timeout: Duration) -> Result<Self, Error> {
        Self::on(&Found::within(channel, Pattern::Table, timeout)?)
    }

    /// Opens a reader of a table that was described, such as one of a group.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn described(what: &Description) -> Result<Self, Error> {
        Self::on(&Found::described(what, Pattern::Table)?)
    }

    fn on(found: &Found) -> Result<Self, Error> {
        let name = &found.name;
        let (fields, places) = keys_of(&found.declaration, name)?;
        let spec = found.declaration.spec(name, Duration::ZERO, 0, Duration::ZERO)?;
        let view = segment::observe(&spec)?;
        Ok(DynTableReader { raw: RawReader::new(view, spec, places), fields, buffer: Vec::new() })
    }

    /// Returns the full name of the table.
    pub fn name(&self) -> &str {
        self.raw.mapped.view.channel()
    }

    /// Returns the keys in the order of their declaration, with the layouts of their values.
    pub fn keys(&self) -> &[LayoutField] {
        &self.fields
    }

    /// Returns the index of the key with this name.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if the table has no such key. The text lists the keys of the table.
    pub fn key(&self, name: &str) -> Result<usize, Error> {
        keys::index_of(&self.fields, name, self.name())
    }

    /// Returns the latest value of the key with this index; `None` if no value was ever stored. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a value of the layout; [`DynError::Other`] with the
    /// [`LoadError`](crate::LoadError), or for an index that no key has; [`DynError::Forked`].
    pub fn load(&mut self, key: usize) -> Result<Option<ObservedValue<'_>>, DynError> {
        let size = field(&self.fields, key)?.layout.size();
        self.raw.check()?;
        let (stamped, bytes) =
            Copies::new(&self.raw.mapped.keys, &self.raw.seen, &mut self.buffer).bytes(key, size)?;
        value(&self.fields[key], stamped, bytes)
    }

    /// Returns the latest values of several keys that were current at one instant, in the order of `keys`. Never blocks.
    ///
    /// # Errors
    /// See [`load`](Self::load). [`LoadError::Busy`](crate::LoadError::Busy) also if one of the keys was stored during each
    /// attempt.
    pub fn load_set(&mut self, keys: &[usize]) -> Result<Vec<Option<ObservedValue<'_>>>, DynError> {
        let sized = |key: &usize| Ok((*key, field(&self.fields, *key)?.layout.size()));
        let sized = keys.iter().map(sized).collect::<Result<Vec<_>, DynError>>()?;
        self.raw.check()?;
        let copies = Copies::new(&self.raw.mapped.keys, &self.raw.seen, &mut self.buffer);
        let found = copies.collect_bytes(&sized)?;
        let fields = &self.fields;
        keys.iter().zip(found).map(|(key, (stamped, bytes))| value(&fields[*key], stamped, bytes)).collect()
    }

    /// Returns the number of stores of a key since the segment was created. Returns 0 for an index that no key has, and in
    /// a forked child.
    pub fn version(&mut self, key: usize) -> u64 {
        match self.raw.check() {
            Ok(()) => self.raw.mapped.keys.get(key).map_or(0, |key| key.version()),
            Err(_) => 0,
        }
    }

    /// Returns those of the keys that were stored since this reader loaded them last; of all keys, if `keys` is empty. Never
    /// blocks.
    ///
    /// # Errors
    /// [`DynError::Other`] for an index that no key has; [`DynError::Forked`].
    pub fn changed(&mut self, keys: &[usize]) -> Result<Vec<usize>, DynError> {
        self.chosen(keys)?;
        self.raw.check()?;
        let all: Vec<_> = if keys.is_empty() { (0..self.fields.len()).collect() } else { keys.to_vec() };
        let changed = |key: &usize| self.raw.has_changed(&KeyIndices::of([*key as u32]));
        Ok(all.into_iter().filter(changed).collect())
    }

    /// Waits until one of the keys was stored since this reader loaded it last; any key of the table, if `keys` is empty.
    /// Returns at once if one was.
    ///
    /// Waits also while no writer is alive. A new segment of the table is followed within 50 ms.
    ///
    /// # Errors
    /// [`DynError::Stopped`] once the reader's [`StopHandle`] is stopped; [`DynError::Other`] for an index that no key has,
    /// or with the [`TableWaitError`](crate::TableWaitError); [`DynError::Forked`].
    pub fn wait(&mut self, keys: &[usize]) -> Result<(), DynError> {
        let keys = self.chosen(keys)?;
        while !self.raw.wait(keys.clone(), Deadline::Never)? {}
        Ok(())
    }

    /// Waits like [`wait`](Self::wait), for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none of the keys was stored in time; see [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, keys: &[usize], timeout: Duration) -> Result<(), DynError> {
        let keys = self.chosen(keys)?;
        if self.raw.wait(keys, Deadline::after(timeout))? { Ok(()) } else { Err(DynError::Timeout) }
    }

    /// Returns these keys as a member of a [`WaitSet`](crate::WaitSet), which is ready while one of them was stored since
    /// this reader loaded it last: see [`TableReader::changes`](crate::TableReader::changes). The reader itself is a member
    /// for all its keys.
    ///
    /// # Errors
    /// [`DynError::Other`] for an index that no key has.
    pub fn changes(&self, keys: &[usize]) -> Result<DynKeyChanges<'_>, DynError> {
        Ok(DynKeyChanges { keys: self.chosen(keys)?, reader: &self.raw })
    }

    /// Returns the writers of a key, alive and dead: at most one, unless the table has `writers: Many`. Takes a system call
    /// of 200 to 500 ns for each.
    pub fn writers(&mut self, key: usize) -> Vec<Participant> {
        match u32::try_from(key) {
            Ok(key) if self.raw.check().is_ok() => self.raw.mapped.writers(key),
            _ => Vec::new(),
        }
    }

    /// Returns the reason why the segment that has the table's name now cannot be read.
    pub fn follow_error(&self) -> Option<&Error> {
        self.raw.refused.as_ref()
    }

    /// Returns the handle that stops the waits of this reader from another thread or from a signal handler.
    pub fn stop_handle(&self) -> StopHandle {
        self.raw.stop.handle()
    }

    /// Returns the keys with these indices; all keys, if there is none.
    fn chosen(&self, keys: &[usize]) -> Result<KeyIndices, DynError> {
        if keys.is_empty() {
            return Ok(KeyIndices::ALL);
        }
        let index = |key: &usize| field(&self.fields, *key).map(|_| *key as u32);
        Ok(KeyIndices::several(keys.iter().map(index).collect::<Result<Vec<_>, _>>()?))
    }
}

/// Returns the keys that a table states, and their places.
pub(super) fn keys_of(
    declaration: &Declaration,
    name: &str,
) -> Result<(Vec<LayoutField>, Vec<crate::layout::KeyPlace>), Error> {
    let mismatch = |why: &str| Error::new(ErrorKind::TypeMismatch, name.to_owned(), why.to_owned());
    let table = declaration.table_layout().map_err(mismatch)?;
    let (slots, slot_size, fingerprint) = declaration.numbers();
    if table.fingerprint() != fingerprint {
        let why = "its segment is damaged: the layout in its text does not have the fingerprint of its header; \
                   `force_unlink` removes it";
        return Err(Error::new(ErrorKind::NotASegment, name.to_owned(), why));
    }
    keys::checked(table, (slots, slot_size), name)
}

fn field(fields: &[LayoutField], key: usize) -> Result<&LayoutField, DynError> {
    fields.get(key).ok_or_else(|| {
        let why = format!("the table has no key with the index {key}; it has {}", count(fields.len(), "key"));
        DynError::Other(why.into())
    })
}

/// Returns the value that the bytes are.
fn value<'r>(
    field: &'r LayoutField,
    stamped: Stamped,
    bytes: &'r [u8],
) -> Result<Option<ObservedValue<'r>>, DynError> {
    let Stamped { version, time, len } = stamped;
    if version == 0 {
        return Ok(None);
    }
    // A value of another length is refused like a message of another length.
    let bytes = bytes.get(..len).unwrap_or_default();
    let invalid = |problem| DynError::Value(ValueError::TableKey { key: field.name.clone(), problem });
    field.layout.check(bytes).map_err(invalid)?;
    Ok(Some(ObservedValue::new(bytes, field, (version, time))))
}

/// Ready while a key was stored since the reader loaded it last.
impl Waitable for DynTableReader {}

impl Watchable for DynTableReader {
    fn watch(&self) -> Result<Watched, Error> {
        self.raw.watch(KeyIndices::ALL)
    }
}

impl fmt::Debug for DynTableReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, keys) = (self.name(), self.fields.len());
        f.debug_struct("DynTableReader").field("name", &name).field("keys", &keys).finish_non_exhaustive()
    }
}

/// Some keys of a [`DynTableReader`], for [`WaitSet::add`](crate::WaitSet::add).
pub struct DynKeyChanges<'r> {
    reader: &'r RawReader,
    keys: KeyIndices,
}

/// Ready while one of the keys was stored since the reader loaded it last, until the reader is dropped.
impl Waitable for DynKeyChanges<'_> {}

impl Watchable for DynKeyChanges<'_> {
    fn watch(&self) -> Result<Watched, Error> {
        self.reader.watch(self.keys.clone())
    }
}

impl fmt::Debug for DynKeyChanges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynKeyChanges").field("keys", &self.keys).finish_non_exhaustive()
    }
}
