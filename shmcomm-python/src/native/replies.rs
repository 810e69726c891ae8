//! The replies to one request, until their stream is over or cancelled.
//!
//! Owns the requester while its stream lasts. Calls the streams of the library. A wait holds the lock for a slice at most.

use super::lent::Lent;
use super::sample::lock;
use super::{NativeRequester, bytes_of, failed};
use crate::error::{exception, set_up};
use crate::held::{Held, Unusable, forked};
use crate::line::Line;
use crate::wait::{Until, wait};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmcomm::{DynError, DynReplies, DynRequester, WaitSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Replies that borrow a requester of [`Lent`].
struct Borrowed(DynReplies<'static>);

// SAFETY: the replies borrow only the requester, which `Lent` moves together with them. No other reference to that
// requester exists (rule of `Lent`), and all uses of both are under the lock of `NativeReplies::lent`.
unsafe impl Send for Borrowed {}

/// The replies to one request.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeReplies {
    lent: Mutex<Option<Lent<DynRequester, Borrowed>>>,
    /// Threads that receive, or end the stream.
    line: Line,
    /// `true` after the end of the stream was received.
    complete: AtomicBool,
    requester: Py<NativeRequester>,
}

impl NativeReplies {
    /// Sends a request. Returns `None` if no slot became free in time.
    pub(super) fn ask(
        requester: &Bound<'_, NativeRequester>,
        payload: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Self>> {
        let (py, until, bytes) = (requester.py(), Until::after(timeout)?, bytes_of(payload)?);
        let held = &requester.get().held;
        let mut lent = Lent::new(held.lend(py)?);
        let mut ask = |time: Duration| {
            lent.make(|end: &'static mut DynRequester| end.stream_bytes(&bytes, time).map(Borrowed))
        };
        let asked = match ask(Duration::ZERO) {
            Err(DynError::Timeout) => wait(py, until, |slice| match ask(slice) {
                Err(DynError::Timeout) => None,
                result => Some(result),
            }),
            result => Ok(Some(result)),
        };
        if let Ok(Some(Ok(()))) = asked {
            return Ok(Some(NativeReplies {
                lent: Mutex::new(Some(lent)),
                line: Line::default(),
                complete: AtomicBool::new(false),
                requester: requester.clone().unbind(),
            }));
        }
        held.give_back(lent.into_end());
        match asked? {
            // `close` stops the wait of another thread.
            Some(Err(DynError::Stopped)) => Err(held.unusable(py, Unusable::Closed)),
            Some(Err(error)) => Err(failed(py, &error)),
            _ => Ok(None),
        }
    }

    /// Ends the stream, and gives the requester back. Returns `false` if it was ended before.
    fn end(&self) -> bool {
        let held = &self.requester.get().held;
        // In the child of a fork both belong to the parent, and no thread takes turns.
        if held.forked() {
            std::mem::forget(lock(&self.lent).take());
            return false;
        }
        let _place = self.line.enter();
        let Some(lent) = lock(&self.lent).take() else { return false };
        held.give_back(lent.into_end());
        true
    }

    /// Adds the stream to a set. Fails if it is over.
    pub(super) fn watch(&self, py: Python<'_>, set: &Held<WaitSet<u64>>, key: u64) -> PyResult<()> {
        let held = &self.requester.get().held;
        if held.forked() {
            return Err(forked(py));
        }
        let added = py.detach(|| {
            set.blocking(|set| {
                lock(&self.lent).as_mut().and_then(Lent::guard).map(|guard| set.add(key, &guard.0))
            })
        });
        match added {
            Ok(Some(added)) => added.map_err(|error| set_up(py, &error)),
            Ok(None) => Err(self.over(py)),
            Err(unusable) => Err(set.unusable(py, unusable)),
        }
    }

    fn over(&self, py: Python<'_>) -> PyErr {
        let name = self.requester.get().held.name();
        if self.complete.load(Relaxed) {
            let text = format!("channel `{name}`: the replier has ended this stream of replies");
            return exception(py, "StreamEndedError", text);
        }
        exception(
            py,
            "ClosedError",
            format!("channel `{name}`: this stream of replies was cancelled, or has failed"),
        )
    }
}

#[pymethods]
impl NativeReplies {
    /// Receives the next reply. Returns `None` if none came in time.
    #[pyo3(signature = (timeout))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (until, held) = (Until::after(timeout)?, &self.requester.get().held);
        if held.forked() {
            return Err(forked(py));
        }
        // `Some(None)` if the stream is over.
        let step = |slice| match lock(&self.lent).as_mut().and_then(Lent::guard) {
            None => Some(None),
            Some(replies) => match replies.0.recv_timeout(slice) {
                Err(DynError::Timeout) => None,
                result => Some(Some(result)),
            },
        };
        let polled = py.detach(|| {
            let _place = self.line.enter();
            step(Duration::ZERO)
        });
        let received = match polled {
            None => wait(py, until, |slice| {
                let start = Instant::now();
                let place = self.line.enter_within(slice)?;
                step(place.share(slice.saturating_sub(start.elapsed())))
            })?,
            polled => polled,
        };
        let Some(received) = received else { return Ok(None) };
        match received {
            None => Err(self.over(py)),
            Some(Ok(Some(message))) => Ok(Some(PyBytes::new(py, message.bytes()))),
            Some(Ok(None)) => {
                self.complete.store(true, Relaxed);
                py.detach(|| self.end());
                Err(self.over(py))
            }
            Some(Err(error)) => {
                py.detach(|| self.end());
                Err(match error {
                    // `close` of the requester stops the wait.
                    DynError::Stopped => held.unusable(py, Unusable::Closed),
                    error => failed(py, &error),
                })
            }
        }
    }

    /// Cancels the request. Returns `True` if the stream was open.
    fn close(&self, py: Python<'_>) -> bool {
        py.detach(|| self.end())
    }
}

impl Drop for NativeReplies {
    fn drop(&mut self) {
        self.end();
    }
}
