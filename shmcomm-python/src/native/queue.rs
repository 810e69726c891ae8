//! Push/pull.
//!
//! Owns the two classes. Calls the dynamic ends of the library.

use super::{
    NativeJob, Settings, Source, bytes_of, close, content, declared, failed, find, found, receive, sent,
    stated,
};
use crate::error::set_up;
use crate::held::Held;
use crate::wait::Until;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmcomm::{Declaration, DynError, DynMessage, DynPuller, DynPusher, StopHandle};
use std::time::Duration;

impl Source for DynPuller {
    fn poll(&mut self) -> Result<DynMessage, DynError> {
        self.try_recv()
    }

    fn wait(&mut self, time: Duration) -> Result<DynMessage, DynError> {
        self.recv_timeout(time)
    }
}

/// Returns the declaration of a queue. Without `grow` it has no opinion on slots that grow.
fn queue(py: Python<'_>, schema: &str, grow: Option<u64>) -> PyResult<Declaration> {
    let declaration = Declaration::push_pull(content(py, schema)?);
    Ok(match grow {
        Some(limit) => declaration.grow(limit),
        None => declaration,
    })
}

/// Pusher of a native channel.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativePusher {
    pub(super) held: Held<DynPusher>,
    stop: StopHandle,
}

#[pymethods]
impl NativePusher {
    #[new]
    #[pyo3(signature = (channel, schema, settings, grow, group))]
    fn new(
        py: Python<'_>,
        channel: String,
        schema: Option<&str>,
        settings: Settings,
        grow: Option<u64>,
        group: Option<String>,
    ) -> PyResult<Self> {
        let end = match schema {
            Some(schema) => {
                let declaration = declared(queue(py, schema, grow)?, settings, group);
                py.detach(|| DynPusher::create(&channel, &declaration))
            }
            None => py.detach(|| match found(&channel, group.as_deref())? {
                Some(declaration) => DynPusher::create(&channel, &declaration),
                None => DynPusher::open(&channel),
            }),
        };
        let end = end.map_err(|error| set_up(py, &error))?;
        let stop = end.stop_handle();
        Ok(NativePusher { held: Held::new("Pusher", channel, end), stop })
    }

    /// Schema of the messages, as the segment stated it when this end was opened.
    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<String> {
        stated(py, self.held.read(py, |end| end.content())?)
    }

    /// Sends a job. Returns `False` if there was no room in time.
    #[pyo3(signature = (payload, timeout))]
    fn send(&self, payload: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<bool> {
        let (py, until, bytes) = (payload.py(), Until::after(timeout)?, bytes_of(payload)?);
        match self.held.if_free(py, |end| end.try_send_bytes(&bytes))? {
            Some(Ok(())) => return Ok(true),
            Some(Err(DynError::Full)) | None => {}
            Some(Err(error)) => return Err(failed(py, &error)),
        }
        sent(py, &self.held, until, |end, slice| end.send_bytes_timeout(&bytes, slice))
    }

    fn close(&self, py: Python<'_>) -> bool {
        close(py, &self.held, &self.stop)
    }
}

/// Puller of a native channel.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativePuller {
    pub(super) held: Held<DynPuller>,
    stop: StopHandle,
}

#[pymethods]
impl NativePuller {
    #[new]
    #[pyo3(signature = (channel, schema, settings, grow, timeout, group))]
    fn new(
        py: Python<'_>,
        channel: String,
        schema: Option<&str>,
        settings: Settings,
        grow: Option<u64>,
        timeout: f64,
        group: Option<String>,
    ) -> PyResult<Self> {
        let end = match schema {
            Some(schema) => {
                let declaration = declared(queue(py, schema, grow)?, settings, group);
                py.detach(|| DynPuller::create(&channel, &declaration)).map_err(|error| set_up(py, &error))?
            }
            None => find(py, timeout, || match found(&channel, group.as_deref())? {
                Some(declaration) => DynPuller::create(&channel, &declaration),
                None => DynPuller::open(&channel),
            })?,
        };
        let stop = end.stop_handle();
        Ok(NativePuller { held: Held::new("Puller", channel, end), stop })
    }

    /// Schema of the messages, as the segment stated it when this end was opened.
    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<String> {
        stated(py, self.held.read(py, |end| end.content())?)
    }

    #[pyo3(signature = (timeout))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        receive(py, &self.held, timeout)
    }

    /// Claims the next job, or returns `None` if there was none in time.
    #[pyo3(signature = (timeout))]
    fn claim(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Option<NativeJob>> {
        NativeJob::claim(slf, timeout)
    }

    fn close(&self, py: Python<'_>) -> bool {
        close(py, &self.held, &self.stop)
    }
}
