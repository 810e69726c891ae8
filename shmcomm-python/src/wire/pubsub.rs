//! Publish/subscribe.
//!
//! Owns the two classes. Calls `shmcomm::python`.

use super::{Receives, attach, counts, geometry, receive, unsent, with_bytes};
use crate::error::set_up;
use crate::held::Held;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use shmcomm::codec::Bytes;
use shmcomm::python::{Options, Publisher, Subscriber, TryRecvError};
use std::time::Duration;

/// Sending end of publish/subscribe, for bytes.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct WirePublisher {
    held: Held<Publisher<[u8], Bytes>>,
}

#[pymethods]
impl WirePublisher {
    #[new]
    fn new(py: Python<'_>, name: String, num_slots: i64, slot_size: i64) -> PyResult<Self> {
        let (slots, slot_size) = geometry(num_slots, slot_size);
        let options = Options { slots, slot_size, ..Options::pubsub(name.clone()) };
        let end = py.detach(|| Publisher::open(options)).map_err(|error| set_up(py, &error))?;
        Ok(WirePublisher { held: Held::new("Publisher", name, end) })
    }

    fn send(&self, payload: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = payload.py();
        with_bytes(payload, |bytes| self.held.with(py, |end| end.send_bytes(bytes)))??
            .map_err(|error| unsent(py, &error))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts(py, &self.held.read(py, |end| end.stats())?)
    }

    fn close(&self, py: Python<'_>) -> bool {
        self.held.close(py)
    }
}

impl Receives for Subscriber<Vec<u8>, Bytes> {
    fn try_bytes(&mut self) -> Result<&[u8], TryRecvError> {
        self.try_recv_bytes()
    }
}

/// Receiving end of publish/subscribe, for bytes.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct WireSubscriber {
    held: Held<Subscriber<Vec<u8>, Bytes>>,
}

#[pymethods]
impl WireSubscriber {
    #[new]
    fn new(py: Python<'_>, name: String, timeout: f64) -> PyResult<Self> {
        let end = attach(py, timeout, |connect_timeout| {
            Subscriber::open(Options { connect_timeout, ..Options::pubsub(name.clone()) })
        })?;
        Ok(WireSubscriber { held: Held::new("Subscriber", name, end) })
    }

    #[pyo3(signature = (timeout))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        receive(py, &self.held, timeout, Duration::from_millis(1))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts(py, &self.held.read(py, |end| end.stats())?)
    }

    #[getter]
    fn lost(&self, py: Python<'_>) -> PyResult<u64> {
        self.held.read(py, |end| end.lost())
    }

    fn close(&self, py: Python<'_>) -> bool {
        self.held.close(py)
    }
}
