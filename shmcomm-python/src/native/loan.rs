//! A message that is built in its slot: a writable buffer, which Python objects may refer to.
//!
//! Owns the publisher while a loan of it exists. Calls the loans of the library. Never copies a large message.
//!
//! # Why no view dangles
//!
//! 1. A view (a memoryview, an array) is an export of the buffer. `send` and `drop` end the loan only when `exports`
//!    is 0, or with the last view. So no view writes to a message that was sent.
//! 2. The loan owns its publisher. So the slot stays claimed and mapped, and no other call of the publisher uses it.

use super::lent::Lent;
use super::sample::{empty, lock};
use super::{NativePublisher, failed};
use crate::held::{Unusable, forked};
use crate::wait::{Until, wait};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use shmcomm::{DynError, DynLoan, DynPublisher};
use std::os::raw::c_int;
use std::sync::Mutex;
use std::time::Duration;

/// Claims room for a message of `size` bytes.
fn claim(
    lent: &mut Lent<DynPublisher, DynLoan<'static>>,
    size: usize,
    time: Option<Duration>,
) -> Result<(), DynError> {
    lent.make(|end| match time {
        None => end.try_loan(size),
        Some(time) => end.loan_timeout(size, time),
    })
}

struct State {
    /// The loan, until it is sent or dropped.
    lent: Option<Lent<DynPublisher, DynLoan<'static>>>,
    /// Number of views.
    exports: usize,
    /// `true` if the loan is dropped with the last view.
    ends: bool,
}

/// Room for a message, as a writable buffer.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeLoan {
    state: Mutex<State>,
    /// The array of a `with` block. Weak: the array refers to this object.
    entered: Mutex<Option<Py<PyWeakrefReference>>>,
    publisher: Py<NativePublisher>,
}

impl NativeLoan {
    /// Claims room for a message. Returns `None` if there was none in time.
    pub(super) fn claim(
        publisher: &Bound<'_, NativePublisher>,
        size: usize,
        timeout: Option<f64>,
    ) -> PyResult<Option<Self>> {
        let (py, until) = (publisher.py(), Until::after(timeout)?);
        let held = &publisher.get().held;
        let mut lent = Lent::new(held.lend(py)?);
        let claimed = match claim(&mut lent, size, None) {
            Err(DynError::Full) => wait(py, until, |slice| match claim(&mut lent, size, Some(slice)) {
                Err(DynError::Timeout) => None,
                Err(DynError::Full) => {
                    std::thread::sleep(slice.min(Duration::from_millis(1)));
                    None
                }
                result => Some(result),
            }),
            result => Ok(Some(result)),
        };
        if let Ok(Some(Ok(()))) = claimed {
            let state = Mutex::new(State { lent: Some(lent), exports: 0, ends: false });
            let publisher = publisher.clone().unbind();
            return Ok(Some(NativeLoan { state, entered: Mutex::new(None), publisher }));
        }
        held.give_back(lent.into_end());
        match claimed? {
            // `close` stops the wait of another thread.
            Some(Err(DynError::Stopped)) => Err(held.unusable(py, Unusable::Closed)),
            Some(Err(error)) => Err(failed(py, &error)),
            _ => Ok(None),
        }
    }

    fn error(&self, text: &str) -> PyErr {
        PyBufferError::new_err(format!("channel `{}`: {text}", self.publisher.get().held.name()))
    }

    /// Gives the publisher back.
    fn end(&self, lent: Option<Lent<DynPublisher, DynLoan<'static>>>) {
        if let Some(lent) = lent {
            let held = &self.publisher.get().held;
            // In the child of a fork both belong to the parent.
            if !held.forked() {
                held.give_back(lent.into_end());
            }
        }
    }
}

#[pymethods]
impl NativeLoan {
    /// Number of views that refer to the slot.
    #[getter]
    fn exports(&self) -> usize {
        lock(&self.state).exports
    }

    /// `True` until the message is sent or dropped.
    #[getter]
    fn alive(&self) -> bool {
        lock(&self.state).lent.is_some()
    }

    /// Sends the message. Fails while there are views.
    fn send(&self, py: Python<'_>) -> PyResult<()> {
        if self.publisher.get().held.forked() {
            return Err(forked(py));
        }
        let mut state = lock(&self.state);
        if state.exports > 0 && state.lent.is_some() {
            let views = state.exports;
            return Err(self.error(&format!(
                "the message is not sent, because there are {views} views of it; delete all arrays of it first"
            )));
        }
        let Some(mut lent) = state.lent.take() else {
            return Err(self.error("this message was sent or dropped"));
        };
        drop(state);
        let sent = lent.take().map_or(Ok(()), DynLoan::send);
        self.end(Some(lent));
        sent.map_err(|error| failed(py, &error))
    }

    /// Sends nothing, and ends the loan now, or with its last view.
    fn drop(&self) {
        let mut state = lock(&self.state);
        state.ends = true;
        let lent = if state.exports == 0 { state.lent.take() } else { None };
        drop(state);
        self.end(lent);
    }

    /// Remembers the array of a `with` block.
    fn enter(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(array)?.unbind();
        *lock(&self.entered) = Some(weak);
        Ok(())
    }

    /// Empties the array of a `with` block of the function of `frame`, if a variable is all that refers to it.
    fn leave(&self, py: Python<'_>, frame: &Bound<'_, PyAny>) -> PyResult<()> {
        let entered = lock(&self.entered).take();
        match entered.and_then(|weak| weak.bind(py).upgrade()) {
            Some(array) => empty(&array, frame),
            None => Ok(()),
        }
    }

    /// # Safety
    /// Called by the interpreter only, with a view to fill.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.publisher.get().held.forked() {
            return Err(forked(py));
        }
        let mut state = lock(&this.state);
        let ends = state.ends;
        let loan = state.lent.as_mut().and_then(Lent::guard).filter(|_| !ends);
        let Some(bytes) = loan.map(DynLoan::bytes_mut) else {
            return Err(this.error("this message was sent or dropped"));
        };
        let (start, len) = (bytes.as_mut_ptr().cast(), bytes.len() as ffi::Py_ssize_t);
        // SAFETY: `view` is the interpreter's to fill. The bytes stay while `exports` counts the view (rules 1 and 2).
        let code = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 0, flags) };
        if code != 0 {
            return Err(PyErr::fetch(py));
        }
        state.exports += 1;
        Ok(())
    }

    /// # Safety
    /// Called by the interpreter only, once for each view.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        let mut state = lock(&self.state);
        state.exports = state.exports.saturating_sub(1);
        let lent = if state.exports == 0 && state.ends { state.lent.take() } else { None };
        drop(state);
        self.end(lent);
    }
}

impl Drop for NativeLoan {
    fn drop(&mut self) {
        // Views refer to this object; so there is none.
        let lent = lock(&self.state).lent.take();
        self.end(lent);
    }
}
