//! A job that a puller works on, until it is done or put back.
//!
//! Owns the puller while its job exists. Calls the jobs of the library. Never acknowledges a job by itself.

use super::lent::Lent;
use super::sample::lock;
use super::{NativePuller, failed};
use crate::error::exception;
use crate::held::{Unusable, forked};
use crate::wait::{Until, wait};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmcomm::{DynError, DynJob, DynPuller};
use std::sync::Mutex;

/// A job.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeJob {
    lent: Mutex<Option<Lent<DynPuller, DynJob<'static>>>>,
    puller: Py<NativePuller>,
}

impl NativeJob {
    /// Claims the next job. Returns `None` if there was none in time.
    pub(super) fn claim(puller: &Bound<'_, NativePuller>, timeout: Option<f64>) -> PyResult<Option<Self>> {
        let (py, until) = (puller.py(), Until::after(timeout)?);
        let held = &puller.get().held;
        let mut lent = Lent::new(held.lend(py)?);
        let claimed = match lent.make(DynPuller::try_claim) {
            Err(DynError::Empty) => {
                wait(py, until, |slice| match lent.make(|end| end.claim_timeout(slice)) {
                    Err(DynError::Timeout) => None,
                    result => Some(result),
                })
            }
            result => Ok(Some(result)),
        };
        if let Ok(Some(Ok(()))) = claimed {
            return Ok(Some(NativeJob { lent: Mutex::new(Some(lent)), puller: puller.clone().unbind() }));
        }
        held.give_back(lent.into_end());
        match claimed? {
            // `close` stops the wait of another thread.
            Some(Err(DynError::Stopped)) => Err(held.unusable(py, Unusable::Closed)),
            Some(Err(error)) => Err(failed(py, &error)),
            _ => Ok(None),
        }
    }

    fn ended(&self, py: Python<'_>) -> PyErr {
        let name = self.puller.get().held.name();
        exception(py, "ClosedError", format!("channel `{name}`: this job was done or put back"))
    }

    /// Ends the job: it is done, or put back. Returns `false` if it was ended before.
    fn end(&self, done: bool) -> bool {
        let held = &self.puller.get().held;
        let Some(mut lent) = lock(&self.lent).take() else { return false };
        // In the child of a fork both belong to the parent.
        if held.forked() {
            return false;
        }
        match lent.take() {
            Some(job) if done => job.done(),
            job => drop(job),
        }
        held.give_back(lent.into_end());
        true
    }
}

#[pymethods]
impl NativeJob {
    /// Bytes of the message.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match lock(&self.lent).as_mut().and_then(Lent::guard) {
            Some(job) => Ok(PyBytes::new(py, job.message().bytes())),
            None => Err(self.ended(py)),
        }
    }

    /// `True` if another puller had this job before and did not finish it.
    #[getter]
    fn redelivered(&self, py: Python<'_>) -> PyResult<bool> {
        match lock(&self.lent).as_mut().and_then(Lent::guard) {
            Some(job) => Ok(job.redelivered()),
            None => Err(self.ended(py)),
        }
    }

    /// Acknowledges the job.
    fn done(&self, py: Python<'_>) -> PyResult<()> {
        if self.puller.get().held.forked() {
            return Err(forked(py));
        }
        if self.end(true) { Ok(()) } else { Err(self.ended(py)) }
    }

    /// Puts the job back. A second call has no effect.
    fn put_back(&self) {
        self.end(false);
    }
}

impl Drop for NativeJob {
    fn drop(&mut self) {
        self.end(false);
    }
}
