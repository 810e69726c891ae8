//! The ends of channels of the Python library shm-comm 1.0.0, which carry bytes: `shmcomm.compat` stands on them.
//!
//! Owns what the ends have in common: opening in slices, receiving, the exceptions. Calls `shmcomm::python`.
//! Serialization stays in Python.

mod pipeline;
mod pubsub;
mod reqrep;

pub use pipeline::{WirePuller, WirePusher};
pub use pubsub::{WirePublisher, WireSubscriber};
pub use reqrep::{WireReplier, WireRequester};

use crate::error::{exception, set_up, with_details};
use crate::held::{Held, Unusable, forked, invalid};
use crate::wait::{Polling, SLICE, Until, wait};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use shmcomm::ErrorKind;
use shmcomm::python::{SendError, Stats, TryRecvError};
use std::time::{Duration, Instant};

/// A receiving end.
trait Receives: Send {
    /// Returns the bytes of the next message, if there is one.
    fn try_bytes(&mut self) -> Result<&[u8], TryRecvError>;
}

/// Opens an end that waits for its channel, without the GIL and in slices.
fn attach<E: Send>(
    py: Python<'_>,
    timeout: f64,
    open: impl Fn(Duration) -> Result<E, shmcomm::Error> + Sync,
) -> PyResult<E> {
    // Checks the number; the time itself is a duration, because the library measures it.
    Until::after(Some(timeout))?;
    let started = Instant::now();
    let all = Duration::try_from_secs_f64(timeout.max(0.0)).unwrap_or(Duration::MAX);
    loop {
        let left = all.saturating_sub(started.elapsed());
        let opened = py.detach(|| open(left.min(SLICE)));
        match opened {
            Err(error) if error.kind() == ErrorKind::NotFound && left > SLICE => py.check_signals()?,
            Err(error) => return Err(set_up(py, &error)),
            Ok(end) => return Ok(end),
        }
    }
}

/// Receives the next message. Messages that were overwritten before are counted by the end, and passed over.
fn receive<'py, E: Receives>(
    py: Python<'py>,
    held: &Held<E>,
    timeout: Option<f64>,
    longest_nap: Duration,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let until = Until::after(timeout)?;
    let mut polling = Polling::new(longest_nap);
    loop {
        // Once with the GIL: to release it costs more than to take a message that is there.
        let polled = held.if_free(py, |end| match end.try_bytes() {
            Ok(bytes) => Ok(PyBytes::new(py, bytes)),
            Err(error) => Err(error),
        })?;
        match polled {
            Some(Ok(bytes)) => return Ok(Some(bytes)),
            Some(Err(TryRecvError::Lagged(_))) => continue,
            Some(Err(TryRecvError::Empty)) | None => {}
            Some(Err(error)) => return Err(refused(py, error)),
        }
        let copied = wait(py, until, |slice| {
            polling.poll(slice, || match held.blocking(|end| end.try_bytes().map(<[u8]>::to_vec)) {
                Ok(Err(TryRecvError::Empty)) => None,
                Ok(Err(TryRecvError::Lagged(_))) => None,
                Ok(result) => Some(Ok(result)),
                Err(unusable) => Some(Err(unusable)),
            })
        })?;
        return match copied {
            None => Ok(None),
            Some(Ok(Ok(bytes))) => Ok(Some(PyBytes::new(py, &bytes))),
            Some(Ok(Err(error))) => Err(refused(py, error)),
            Some(Err(unusable)) => Err(held.unusable(py, unusable)),
        };
    }
}

/// Calls `work` with the bytes of an object: of `bytes` where they are, of any other buffer from a copy.
fn with_bytes<R>(payload: &Bound<'_, PyAny>, work: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
    if let Ok(bytes) = payload.cast::<PyBytes>() {
        return Ok(work(bytes.as_bytes()));
    }
    let bytes = PyBuffer::<u8>::get(payload)?.to_vec(payload.py())?;
    Ok(work(&bytes))
}

/// Returns the exception of a receive that failed.
fn refused(py: Python<'_>, error: TryRecvError) -> PyErr {
    match &error {
        TryRecvError::Invalid(_) => invalid(py, error),
        TryRecvError::Lock(_) => exception(py, "AccessError", error),
        TryRecvError::NoRequest => exception(py, "NoRequestError", error),
        TryRecvError::Restarted => exception(py, "PeerDiedError", error),
        TryRecvError::Replaced => exception(py, "ReplacedError", error),
        TryRecvError::Forked => forked(py),
        TryRecvError::Empty | TryRecvError::Lagged(_) => exception(py, "TimeoutError", error),
    }
}

/// Returns the exception of a send that failed.
fn unsent(py: Python<'_>, error: &SendError) -> PyErr {
    match error {
        SendError::TooLong { size, capacity } => with_details(py, "MessageTooLongError", error, |object| {
            object.setattr("size", *size)?;
            object.setattr("capacity", *capacity)
        }),
        SendError::Refused(_) => invalid(py, error),
        SendError::Replaced => exception(py, "ReplacedError", error),
        SendError::NoRequest => exception(py, "NoRequestError", error),
        SendError::Stopped => exception(py, "StoppedError", error),
        SendError::Forked => forked(py),
    }
}

/// Returns the counts of a segment by the names of shm-comm.
fn counts<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("head", stats.head)?;
    dict.set_item("tail", stats.tail)?;
    dict.set_item("num_slots", stats.num_slots)?;
    dict.set_item("slot_size", stats.slot_size)?;
    dict.set_item("msg_count", stats.msg_count)?;
    dict.set_item("drop_count", stats.drop_count)?;
    dict.set_item("used_slots", stats.used_slots)?;
    dict.set_item("free_slots", stats.free_slots)?;
    if let Some(local_tail) = stats.local_tail {
        dict.set_item("local_tail", local_tail)?;
    }
    Ok(dict)
}

/// Returns a geometry as the library takes it. Negative numbers are refused with the same text as 0.
fn geometry(num_slots: i64, slot_size: i64) -> (u64, u64) {
    (u64::try_from(num_slots).unwrap_or(0), u64::try_from(slot_size).unwrap_or(0))
}

/// Removes the segments that a file name of shm-comm stands for, such as `shmcomm_pub_pose`, and the hidden names of
/// owners in Rust. Returns `False` if there are none.
#[pyfunction]
pub fn force_unlink_wire(py: Python<'_>, file: &str) -> PyResult<bool> {
    py.detach(|| shmcomm::python::force_unlink(file)).map_err(|error| set_up(py, &error))
}

/// Result of a wait in which the end may become unusable.
type Waited<T> = Result<T, Unusable>;
