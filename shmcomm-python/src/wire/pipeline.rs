//! Push/pull.
//!
//! Owns the two classes and the end of a pusher. Calls `shmcomm::python`.

use super::{Receives, Waited, attach, counts, geometry, receive, unsent, with_bytes};
use crate::error::set_up;
use crate::held::Held;
use crate::wait::{Polling, Until, wait};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use shmcomm::codec::Bytes;
use shmcomm::python::{Options, Puller, Pusher, SendError, SendTimeoutError, TryRecvError, TrySendError};
use std::time::Duration;

/// Longest time for which a wait for room keeps the end from other threads.
const TURN: Duration = Duration::from_millis(10);

/// Sending end of push/pull, for bytes.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct WirePusher {
    held: Held<Pusher<[u8], Bytes>>,
}

#[pymethods]
impl WirePusher {
    #[new]
    fn new(py: Python<'_>, name: String, num_slots: i64, slot_size: i64) -> PyResult<Self> {
        let (slots, slot_size) = geometry(num_slots, slot_size);
        // `close` waits for the jobs, with signals: the drop does not.
        let linger = Duration::ZERO;
        let options = Options { slots, slot_size, linger, ..Options::pushpull(name.clone()) };
        let end = py.detach(|| Pusher::open(options)).map_err(|error| set_up(py, &error))?;
        Ok(WirePusher { held: Held::new("Pusher", name, end) })
    }

    /// Sends a job. Returns `False` if there was no room in time, or at once without `block`.
    #[pyo3(signature = (payload, block, timeout))]
    fn send(&self, payload: &Bound<'_, PyAny>, block: bool, timeout: Option<f64>) -> PyResult<bool> {
        let py = payload.py();
        let until = Until::after(timeout)?;
        with_bytes(payload, |bytes| self.push(py, bytes, block, until))?
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts(py, &self.held.read(py, |end| end.stats())?)
    }

    /// Waits until the jobs are taken, for at most `linger` seconds, and removes the segment with the remaining jobs.
    /// Returns their number, or `None` if the end is closed already.
    fn close(&self, py: Python<'_>, linger: f64) -> PyResult<Option<u64>> {
        if self.held.forked() {
            return Ok(None);
        }
        let until = Until::after(Some(linger))?;
        let mut polling = Polling::new(Duration::from_millis(1));
        let drained = wait(py, until, |slice| {
            polling.poll(slice, || match self.held.blocking(|end| end.waiting()) {
                Ok(1..) => None,
                Ok(0) | Err(_) => Some(()),
            })
        });
        let Some(end) = self.held.take(py) else { return Ok(None) };
        let left = py.detach(|| end.discard());
        drained.map(|_| Some(left))
    }
}

impl WirePusher {
    fn push(&self, py: Python<'_>, bytes: &[u8], block: bool, until: Until) -> PyResult<bool> {
        let failed = |error: &SendError| Err(unsent(py, error));
        if !block {
            return match self.held.with(py, |end| end.try_send(bytes))? {
                Ok(()) => Ok(true),
                Err(TrySendError::Full) => Ok(false),
                Err(TrySendError::Failed(error)) => failed(&error),
            };
        }
        match self.held.if_free(py, |end| end.send_bytes_timeout(bytes, Duration::ZERO))? {
            Some(Ok(())) => return Ok(true),
            Some(Err(SendTimeoutError::Failed(error))) => return failed(&error),
            Some(Err(SendTimeoutError::Timeout)) | None => {}
        }
        let sent: Option<Waited<Result<(), SendError>>> = wait(py, until, |slice| {
            match self.held.blocking(|end| end.send_bytes_timeout(bytes, slice.min(TURN))) {
                Ok(Ok(())) => Some(Ok(Ok(()))),
                Ok(Err(SendTimeoutError::Timeout)) => None,
                Ok(Err(SendTimeoutError::Failed(error))) => Some(Ok(Err(error))),
                Err(unusable) => Some(Err(unusable)),
            }
        })?;
        match sent {
            None => Ok(false),
            Some(Ok(Ok(()))) => Ok(true),
            Some(Ok(Err(error))) => failed(&error),
            Some(Err(unusable)) => Err(self.held.unusable(py, unusable)),
        }
    }
}

impl Receives for Puller<Vec<u8>, Bytes> {
    fn try_bytes(&mut self) -> Result<&[u8], TryRecvError> {
        self.try_recv_bytes()
    }
}

/// Receiving end of push/pull, for bytes.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct WirePuller {
    held: Held<Puller<Vec<u8>, Bytes>>,
}

#[pymethods]
impl WirePuller {
    #[new]
    fn new(py: Python<'_>, name: String, timeout: f64, lock_path: String) -> PyResult<Self> {
        let end = attach(py, timeout, |connect_timeout| {
            let lock_path = Some(lock_path.clone().into());
            Puller::open(Options { connect_timeout, lock_path, ..Options::pushpull(name.clone()) })
        })?;
        Ok(WirePuller { held: Held::new("Puller", name, end) })
    }

    #[pyo3(signature = (timeout))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        receive(py, &self.held, timeout, Duration::from_millis(1))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts(py, &self.held.read(py, |end| end.stats())?)
    }

    fn close(&self, py: Python<'_>) -> bool {
        self.held.close(py)
    }
}
