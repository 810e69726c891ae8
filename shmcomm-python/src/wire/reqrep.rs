//! Request/reply.
//!
//! Owns the two classes. Calls `shmcomm::python`.

use super::{Receives, attach, geometry, receive, unsent, with_bytes};
use crate::error::set_up;
use crate::held::Held;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmcomm::codec::{Bytes, Msgpack, Pickle};
use shmcomm::python::{Options, Replier, Requester, SendError, TryRecvError, TrySendError};
use std::time::Duration;

/// A replier by its format, which determines the message that Python's `recv` skips.
enum AnyReplier {
    Bytes(Replier<Vec<u8>, [u8], Bytes>),
    Pickle(Replier<Vec<u8>, [u8], Pickle>),
    Msgpack(Replier<Vec<u8>, [u8], Msgpack>),
}

impl AnyReplier {
    fn open(serialization: &str, options: Options) -> Result<Self, shmcomm::Error> {
        Ok(match serialization {
            "pickle" => AnyReplier::Pickle(Replier::open(options)?),
            "msgpack" => AnyReplier::Msgpack(Replier::open(options)?),
            _ => AnyReplier::Bytes(Replier::open(options)?),
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        match self {
            AnyReplier::Bytes(end) => end.send_bytes(bytes),
            AnyReplier::Pickle(end) => end.send_bytes(bytes),
            AnyReplier::Msgpack(end) => end.send_bytes(bytes),
        }
    }
}

impl Receives for AnyReplier {
    fn try_bytes(&mut self) -> Result<&[u8], TryRecvError> {
        match self {
            AnyReplier::Bytes(end) => end.try_recv_bytes(),
            AnyReplier::Pickle(end) => end.try_recv_bytes(),
            AnyReplier::Msgpack(end) => end.try_recv_bytes(),
        }
    }
}

/// Answering end of request/reply, for bytes.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct WireReplier {
    held: Held<AnyReplier>,
    longest_nap: Duration,
}

#[pymethods]
impl WireReplier {
    #[new]
    fn new(
        py: Python<'_>,
        name: String,
        num_slots: i64,
        slot_size: i64,
        serialization: String,
    ) -> PyResult<Self> {
        let (slots, slot_size) = geometry(num_slots, slot_size);
        let options = Options { slots, slot_size, ..Options::reqrep(name.clone()) };
        let end =
            py.detach(|| AnyReplier::open(&serialization, options)).map_err(|error| set_up(py, &error))?;
        // A reply that a requester may have given up is recognised with a short pause, the more so with few slots.
        let longest_nap = Duration::from_micros(if slots < 9 { 50 } else { 200 });
        Ok(WireReplier { held: Held::new("Replier", name, end), longest_nap })
    }

    #[pyo3(signature = (timeout))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        receive(py, &self.held, timeout, self.longest_nap)
    }

    fn send(&self, payload: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = payload.py();
        with_bytes(payload, |bytes| self.held.with(py, |end| end.send(bytes)))??
            .map_err(|error| unsent(py, &error))
    }

    fn close(&self, py: Python<'_>) -> bool {
        self.held.close(py)
    }
}

impl Receives for Requester<[u8], Vec<u8>, Bytes> {
    fn try_bytes(&mut self) -> Result<&[u8], TryRecvError> {
        self.try_recv_bytes()
    }
}

/// Requesting end of request/reply, for bytes.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct WireRequester {
    held: Held<Requester<[u8], Vec<u8>, Bytes>>,
}

#[pymethods]
impl WireRequester {
    #[new]
    fn new(py: Python<'_>, name: String, timeout: f64) -> PyResult<Self> {
        let end = attach(py, timeout, |connect_timeout| {
            Requester::open(Options { connect_timeout, ..Options::reqrep(name.clone()) })
        })?;
        Ok(WireRequester { held: Held::new("Requester", name, end) })
    }

    /// Sends a request. Returns `False` if there is no room.
    fn send(&self, payload: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = payload.py();
        match with_bytes(payload, |bytes| self.held.with(py, |end| end.send_bytes(bytes)))?? {
            Ok(()) => Ok(true),
            Err(TrySendError::Full) => Ok(false),
            Err(TrySendError::Failed(error)) => Err(unsent(py, &error)),
        }
    }

    #[pyo3(signature = (timeout))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        receive(py, &self.held, timeout, Duration::from_millis(1))
    }

    fn close(&self, py: Python<'_>) -> bool {
        self.held.close(py)
    }
}
