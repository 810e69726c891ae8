//! Tables of latest values.
//!
//! Owns the two classes. Calls the dynamic ends of the library. A wait holds the lock of its reader for a slice at most.

use super::layouts::{declared, list, of_json};
use super::{bytes_of, close, failed, find};
use crate::error::{exception, set_up};
use crate::held::{Held, Unusable};
use crate::wait::{Until, wait};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmcomm::schema::LayoutField;
use shmcomm::{
    Declaration, Description, DynError, DynTableReader, DynTableWriter, ObservedValue, StopHandle, Timestamp,
};
use std::time::Duration;

/// A key with the schema of its values.
type Key = (String, String);

/// A value: its bytes, its version, and the nanoseconds since the Unix epoch.
type Value<'py> = (Bound<'py, PyBytes>, u64, i64);

fn keys_of(fields: &[LayoutField]) -> Vec<Key> {
    fields.iter().map(|field| (field.name.clone(), list(std::slice::from_ref(&field.layout)))).collect()
}

/// Returns the facts of a table; `None` if there is no such channel.
fn described(channel: &str, group: Option<&str>) -> Result<Option<Description>, shmcomm::Error> {
    match group {
        Some(group) => shmcomm::describe_in_group(channel, group).map(Some),
        None => shmcomm::describe(channel),
    }
}

/// Returns the value with its bytes as an object of Python.
fn value<'py>(py: Python<'py>, found: &ObservedValue<'_>) -> Value<'py> {
    (PyBytes::new(py, found.bytes()), found.version(), found.time().as_nanos())
}

/// Reader of a table.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeTableReader {
    pub(super) held: Held<DynTableReader>,
    stop: StopHandle,
}

#[pymethods]
impl NativeTableReader {
    #[new]
    #[pyo3(signature = (channel, timeout, group))]
    fn new(py: Python<'_>, channel: String, timeout: f64, group: Option<String>) -> PyResult<Self> {
        let end = find(py, timeout, || match &group {
            Some(group) => DynTableReader::described(&shmcomm::describe_in_group(&channel, group)?),
            None => DynTableReader::open(&channel),
        })?;
        let stop = end.stop_handle();
        Ok(NativeTableReader { held: Held::new("TableReader", channel, end), stop })
    }

    /// Keys with the schemas of their values.
    #[getter]
    fn keys(&self, py: Python<'_>) -> PyResult<Vec<Key>> {
        self.held.read(py, |end| keys_of(end.keys()))
    }

    /// Copies the value of a key.
    fn load<'py>(&self, py: Python<'py>, key: usize) -> PyResult<Option<Value<'py>>> {
        let load = |end: &mut DynTableReader| Ok(end.load(key)?.map(|found| value(py, &found)));
        if let Some(found) = self.held.if_free(py, load)? {
            return found.map_err(|error: DynError| failed(py, &error));
        }
        Ok(self.load_set(py, vec![key])?.pop().flatten())
    }

    /// Copies values that were current at one instant.
    fn load_set<'py>(&self, py: Python<'py>, keys: Vec<usize>) -> PyResult<Vec<Option<Value<'py>>>> {
        let load = |end: &mut DynTableReader| {
            let found = end.load_set(&keys)?;
            Ok(found.iter().map(|found| found.as_ref().map(|found| value(py, found))).collect())
        };
        if let Some(found) = self.held.if_free(py, load)? {
            return found.map_err(|error: DynError| failed(py, &error));
        }
        // Another thread uses the reader: copy without the GIL, and again to objects of Python.
        let copied = self.held.read(py, |end| {
            let copy =
                |found: ObservedValue<'_>| (found.bytes().to_vec(), found.version(), found.time().as_nanos());
            let found = end.load_set(&keys)?;
            Ok(found.into_iter().map(|found| found.map(copy)).collect::<Vec<_>>())
        })?;
        let copied = copied.map_err(|error: DynError| failed(py, &error))?;
        let object = |(bytes, version, time): (Vec<u8>, u64, i64)| (PyBytes::new(py, &bytes), version, time);
        Ok(copied.into_iter().map(|found| found.map(object)).collect())
    }

    /// Returns the number of stores of a key.
    fn version(&self, py: Python<'_>, key: usize) -> PyResult<u64> {
        self.held.read(py, |end| end.version(key))
    }

    /// Returns those of the keys that were stored since they were loaded; of all keys, if there is none.
    fn changed(&self, py: Python<'_>, keys: Vec<usize>) -> PyResult<Vec<usize>> {
        self.held.read(py, |end| end.changed(&keys))?.map_err(|error| failed(py, &error))
    }

    /// Waits until one of the keys was stored since it was loaded. Returns `False` if none was in time.
    #[pyo3(signature = (keys, timeout))]
    fn wait(&self, py: Python<'_>, keys: Vec<usize>, timeout: Option<f64>) -> PyResult<bool> {
        let until = Until::after(timeout)?;
        let step = |end: &mut DynTableReader, slice| end.wait_timeout(&keys, slice);
        let result = match py.detach(|| self.held.blocking(|end| step(end, Duration::ZERO))) {
            Ok(Err(DynError::Timeout)) => wait(py, until, |slice| match self.held.turn(slice, step) {
                Some(Ok(Err(DynError::Timeout))) => None,
                result => result,
            })?,
            result => Some(result),
        };
        match result {
            None => Ok(false),
            Some(Ok(Ok(()))) => Ok(true),
            // `close` stops the wait of another thread.
            Some(Ok(Err(DynError::Stopped))) => Err(self.held.unusable(py, Unusable::Closed)),
            Some(Ok(Err(error))) => Err(failed(py, &error)),
            Some(Err(unusable)) => Err(self.held.unusable(py, unusable)),
        }
    }

    /// Returns the process numbers of the writers of a key that are alive.
    fn writers(&self, py: Python<'_>, key: usize) -> PyResult<Vec<u32>> {
        self.held.read(py, |end| {
            let writers = end.writers(key);
            writers.into_iter().filter(|writer| writer.alive).map(|writer| writer.pid).collect()
        })
    }

    /// Reason why the segment that has the name of the table now cannot be read.
    #[getter]
    fn follow_error(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.held.read(py, |end| end.follow_error().map(ToString::to_string))
    }

    fn close(&self, py: Python<'_>) -> bool {
        close(py, &self.held, &self.stop)
    }
}

/// Writer of one key of a table.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeTableWriter {
    held: Held<DynTableWriter>,
    /// Schema of the values.
    schema: String,
    /// `true` if a store may wait for another writer.
    many: bool,
}

#[pymethods]
impl NativeTableWriter {
    #[new]
    #[pyo3(signature = (channel, key, keys, many, group))]
    fn new(
        py: Python<'_>,
        channel: String,
        key: String,
        keys: Option<Vec<Key>>,
        many: bool,
        group: Option<String>,
    ) -> PyResult<Self> {
        let (declaration, many) = match keys {
            Some(keys) => {
                let layout = |(name, text): Key| Ok((name, of_json(py, &text)?));
                let keys = keys.into_iter().map(layout).collect::<PyResult<Vec<_>>>()?;
                let declaration = Declaration::table(keys).many_writers(many);
                (Some(declared(declaration, (None, None, None), group)), many)
            }
            None => {
                let found = py.detach(|| described(&channel, group.as_deref()));
                let found = found.map_err(|error| set_up(py, &error))?;
                let many = found.as_ref().is_some_and(|found| found.many_writers);
                (found.as_ref().map(Declaration::from), many)
            }
        };
        if let Some(keys) = declaration.as_ref().map(Declaration::keys).filter(|keys| !keys.is_empty()) {
            check_key(py, &channel, keys, &key)?;
        }
        let end = py.detach(|| match &declaration {
            Some(declaration) => DynTableWriter::create(&channel, declaration, &key),
            None => DynTableWriter::open(&channel, &key),
        });
        let end = end.map_err(|error| set_up(py, &error))?;
        let schema = list(std::slice::from_ref(&end.key().layout));
        Ok(NativeTableWriter { held: Held::new("TableWriter", channel, end), schema, many })
    }

    /// Schema of the values.
    #[getter]
    fn schema(&self) -> &str {
        &self.schema
    }

    /// Stores a value, and returns its version. The time is that of the clock, or `at` in nanoseconds since the Unix epoch.
    #[pyo3(signature = (payload, at))]
    fn store(&self, payload: &Bound<'_, PyAny>, at: Option<i64>) -> PyResult<u64> {
        let (py, bytes) = (payload.py(), bytes_of(payload)?);
        let store = |end: &mut DynTableWriter| match at {
            Some(at) => end.store_bytes_at(&bytes, Timestamp::from_nanos(at)),
            None => end.store_bytes(&bytes),
        };
        // A store waits for another writer of the key, and then not with the GIL.
        let stored = if self.many { None } else { self.held.if_free(py, store)? };
        let stored = match stored {
            Some(stored) => stored,
            None => {
                let stored = py.detach(|| self.held.blocking(store));
                stored.map_err(|unusable| self.held.unusable(py, unusable))?
            }
        };
        stored.map_err(|error| failed(py, &error))
    }

    /// Number of stores of the key.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        self.held.read(py, |end| end.version())
    }

    fn close(&self, py: Python<'_>) -> bool {
        self.held.close(py)
    }
}

/// Returns the exception of a key that the table does not have.
fn check_key(py: Python<'_>, channel: &str, keys: &[LayoutField], key: &str) -> PyResult<()> {
    if keys.iter().any(|field| field.name == key) {
        return Ok(());
    }
    let known: Vec<_> = keys.iter().map(|field| format!("`{}`", field.name)).collect();
    let known = known.join(", ");
    Err(exception(
        py,
        "UnknownKeyError",
        format!("channel `{channel}`: the table has no key `{key}`; its keys are {known}"),
    ))
}
