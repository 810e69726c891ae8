//! [`DynTableWriter`]: the writer of a key of a table, whose layout is known at run time.
//!
//! Owns the check of a value by its layout. Calls `table` for the stores. Never reads a value.

use super::end::Found;
use super::table_reader::keys_of;
use super::{Declaration, Description, DynError, ValueError, keys};
use crate::error::Error;
use crate::layout::Pattern;
use crate::message::Timestamp;
use crate::schema::{LayoutField, Value};
use crate::table::RawWriter;
use core::fmt;
use std::time::Duration;

/// The writer of one key of a table, by the layout in the segment or in a [`Declaration`]. It is a writer like
/// [`TableWriter`](crate::TableWriter), and the same holds when its process dies and when it is dropped.
///
/// It takes values or bytes, and checks both against the layout of the key: no reader can load a value that is not one. See
/// [`DynTableReader`](super::DynTableReader) for an example.
pub struct DynTableWriter {
    raw: RawWriter,
    field: LayoutField,
}

impl DynTableWriter {
    /// Opens the writer of a key of an existing table, by its full name (with its namespace).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such channel;
    /// [`ErrorKind::TypeMismatch`](crate::ErrorKind::TypeMismatch) if the table has no such key, with the keys that it has;
    /// [`ErrorKind::AlreadyPublished`](crate::ErrorKind::AlreadyPublished) if another live writer has the key; the errors of
    /// [`DynTableReader::open`](super::DynTableReader::open).
    pub fn open(channel: &str, key: &str) -> Result<Self, Error> {
        Self::on(&Found::existing(channel, Pattern::Table)?, key)
    }

    /// Opens the writer of a key of a table that was described, such as one of a group.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn described(what: &Description, key: &str) -> Result<Self, Error> {
        Self::on(&Found::described(what, Pattern::Table)?, key)
    }

    /// Opens the writer of a key of the table with this full name, and creates the table if it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`](crate::ErrorKind::TypeMismatch) if the table exists with other keys;
    /// [`ErrorKind::InvalidGeometry`](crate::ErrorKind::InvalidGeometry) if the declaration has no keys, or one of them
    /// twice; see [`open`](Self::open).
    pub fn create(channel: &str, declaration: &Declaration, key: &str) -> Result<Self, Error> {
        Self::on(&Found::declared(channel, declaration, Pattern::Table)?, key)
    }

    fn on(found: &Found, key: &str) -> Result<Self, Error> {
        let name = &found.name;
        let (fields, places) = keys_of(&found.declaration, name)?;
        let index = keys::index_of(&fields, key, name)?;
        let spec = found.declaration.spec(name, Duration::ZERO, 0, Duration::ZERO)?;
        let raw = RawWriter::open(&spec, (index as u32, key), places[index])?;
        Ok(DynTableWriter { raw, field: fields[index].clone() })
    }

    /// Returns the full name of the table.
    pub fn name(&self) -> &str {
        self.raw.name()
    }

    /// Returns the key, with the layout of its values.
    pub fn key(&self) -> &LayoutField {
        &self.field
    }

    /// Stores a value, with the time of the system's clock, and returns its version. Never blocks, except with
    /// `writers: Many`: see [`TableWriter`](crate::TableWriter).
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit the layout; [`DynError::Other`] with
    /// [`StoreError::Busy`](crate::StoreError::Busy); [`DynError::Forked`]. Nothing was stored then.
    pub fn store(&mut self, value: &Value) -> Result<u64, DynError> {
        let bytes = self.encoded(value)?;
        Ok(self.raw.store(&bytes)?)
    }

    /// Stores a value like [`store`](Self::store), with a time that the caller has, such as that of the measurement. It does
    /// not read the clock: see [`TableWriter::store_at`](crate::TableWriter::store_at).
    ///
    /// # Errors
    /// See [`store`](Self::store).
    pub fn store_at(&mut self, value: &Value, time: Timestamp) -> Result<u64, DynError> {
        let bytes = self.encoded(value)?;
        Ok(self.raw.store_at(&bytes, || time.as_nanos())?)
    }

    /// Stores the bytes of a value like [`store`](Self::store), after a check.
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a value of the key; see [`store`](Self::store).
    pub fn store_bytes(&mut self, bytes: &[u8]) -> Result<u64, DynError> {
        self.check(bytes)?;
        Ok(self.raw.store(bytes)?)
    }

    /// Stores the bytes of a value like [`store_at`](Self::store_at), after a check.
    ///
    /// # Errors
    /// See [`store_bytes`](Self::store_bytes).
    pub fn store_bytes_at(&mut self, bytes: &[u8], time: Timestamp) -> Result<u64, DynError> {
        self.check(bytes)?;
        Ok(self.raw.store_at(bytes, || time.as_nanos())?)
    }

    fn encoded(&self, value: &Value) -> Result<Vec<u8>, DynError> {
        let mut bytes = vec![0; self.field.layout.size()];
        self.field.layout.encode(value, &mut bytes)?;
        Ok(bytes)
    }

    fn check(&self, bytes: &[u8]) -> Result<(), DynError> {
        let key = |problem| ValueError::TableKey { key: self.field.name.clone(), problem };
        self.field.layout.check(bytes).map_err(|problem| DynError::Value(key(problem)))
    }

    /// Returns the number of stores of the key, by all its writers since the segment was created. Returns 0 in a forked child
    /// of the process that opened the writer.
    pub fn version(&self) -> u64 {
        self.raw.version()
    }
}

impl fmt::Debug for DynTableWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynTableWriter")
            .field("name", &self.name())
            .field("key", &self.field.name)
            .finish_non_exhaustive()
    }
}
