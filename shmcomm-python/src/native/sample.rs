//! Messages in place: the buffer of a slot, which Python objects may refer to.
//!
//! Owns the sample until its last view is gone, or until the interpreter ends. Calls the dynamic subscriber of the
//! library. Never copies a message.
//!
//! # Why no view dangles
//!
//! 1. A view (a memoryview, an array) is an export of the buffer. The library's sample is dropped only when
//!    `exports` is 0: by `release`, at the end of a `with` block, or when the last view goes after that.
//! 2. The sample keeps the slot pinned, and the segment mapped, whatever happens to its subscriber. So the address
//!    and the bytes of a view stay, and the publisher does not write to them.
//! 3. At the end of the interpreter the remaining samples leave their segments. The memory of a sample with views stays
//!    mapped until the process ends, because a thread or a destructor of another library may still use a view.
//!
//! A variable keeps the array of a `with` block after the block. If that variable is all that refers to the array, the
//! block empties the array, so that the slot is free at once. Views of the array do not refer to it, but to the array
//! that it was made from, and keep the slot. All other objects that use the memory of an array refer to the array
//! itself; so they are counted, and nothing is emptied beside them.

use crate::held::forked;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyWeakrefMethods, PyWeakrefReference};
use shmcomm::DynSample;
use std::os::raw::c_int;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

/// A sample with its views.
struct Shared {
    /// The sample, until it is released.
    sample: Option<DynSample>,
    /// Number of views.
    exports: usize,
    /// `true` if the sample is released with the last view.
    ends: bool,
}

/// The samples that the end of the interpreter releases.
static ALL: Mutex<Vec<Weak<Mutex<Shared>>>> = Mutex::new(Vec::new());

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Releases all samples. The interpreter has ended; so views that exist now stay.
extern "C" fn release_all() {
    for shared in lock(&ALL).drain(..).filter_map(|shared| shared.upgrade()) {
        let mut shared = lock(&shared);
        let (sample, views) = (shared.sample.take(), shared.exports > 0);
        drop(shared);
        match sample {
            Some(sample) if views => sample.leave_at_exit(),
            sample => drop(sample),
        }
    }
}

/// A received message in its slot, as a read-only buffer.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeSample {
    shared: Arc<Mutex<Shared>>,
    /// The array of a `with` block. Weak: the array refers to this object.
    entered: Mutex<Option<Py<PyWeakrefReference>>>,
    channel: String,
}

impl NativeSample {
    pub(super) fn new(channel: &str, sample: DynSample) -> Self {
        static AT_EXIT: Once = Once::new();
        // SAFETY: `release_all` calls no function of Python.
        AT_EXIT.call_once(|| _ = unsafe { ffi::Py_AtExit(Some(release_all)) });
        let shared = Arc::new(Mutex::new(Shared { sample: Some(sample), exports: 0, ends: false }));
        let mut all = lock(&ALL);
        if all.len() == all.capacity() {
            all.retain(|one| one.strong_count() > 0);
        }
        all.push(Arc::downgrade(&shared));
        NativeSample { shared, entered: Mutex::new(None), channel: channel.to_owned() }
    }

    /// Releases the message now, or with its last view.
    fn end(&self) {
        let mut shared = lock(&self.shared);
        shared.ends = true;
        let sample = if shared.exports == 0 { shared.sample.take() } else { None };
        drop(shared);
        drop(sample);
    }

    fn released(&self) -> PyErr {
        PyBufferError::new_err(format!("channel `{}`: this message was released", self.channel))
    }
}

#[pymethods]
impl NativeSample {
    /// Number of views that refer to the slot.
    #[getter]
    fn exports(&self) -> usize {
        lock(&self.shared).exports
    }

    /// `True` until the message is released.
    #[getter]
    fn alive(&self) -> bool {
        lock(&self.shared).sample.is_some()
    }

    /// `True` if the message is in its slot, and `False` if it is a private copy.
    #[getter]
    fn in_slot(&self) -> bool {
        lock(&self.shared).sample.as_ref().is_some_and(DynSample::is_in_slot)
    }

    /// Releases the message. Fails while there are views.
    fn release(&self) -> PyResult<()> {
        let mut shared = lock(&self.shared);
        if shared.exports > 0 && shared.sample.is_some() {
            let views = if shared.exports == 1 {
                "1 view refers".into()
            } else {
                format!("{} views refer", shared.exports)
            };
            return Err(PyBufferError::new_err(format!(
                "channel `{}`: {views} to the message; delete all arrays of it first",
                self.channel
            )));
        }
        let sample = shared.sample.take();
        drop(shared);
        drop(sample);
        Ok(())
    }

    /// Remembers the array of a `with` block.
    fn enter(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(array)?.unbind();
        *lock(&self.entered) = Some(weak);
        Ok(())
    }

    /// Ends a `with` block of the function of `frame`, or of an unknown function. The message is released now, or with
    /// its last view.
    #[pyo3(signature = (frame))]
    fn leave(&self, py: Python<'_>, frame: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let entered = lock(&self.entered).take();
        let emptied = match (entered.and_then(|weak| weak.bind(py).upgrade()), frame) {
            (Some(array), Some(frame)) => empty(&array, frame),
            _ => Ok(()),
        };
        self.end();
        emptied
    }

    /// # Safety
    /// Called by the interpreter only, with a view to fill.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let mut shared = lock(&this.shared);
        let Some(sample) = shared.sample.as_ref().filter(|_| !shared.ends) else {
            return Err(this.released());
        };
        let Ok(bytes) = sample.bytes() else {
            drop(shared);
            return Err(forked(py));
        };
        let (start, len) = (bytes.as_ptr().cast_mut().cast(), bytes.len() as ffi::Py_ssize_t);
        // SAFETY: `view` is the interpreter's to fill. The bytes stay while `exports` counts the view (rules 1 and 2),
        // and the view is read-only.
        let code = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 1, flags) };
        if code != 0 {
            return Err(PyErr::fetch(py));
        }
        shared.exports += 1;
        Ok(())
    }

    /// # Safety
    /// Called by the interpreter only, once for each view.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        let mut shared = lock(&self.shared);
        shared.exports = shared.exports.saturating_sub(1);
        let sample = if shared.exports == 0 && shared.ends { shared.sample.take() } else { None };
        drop(shared);
        drop(sample);
    }
}

/// Empties the array if a variable of the frame is all that refers to it.
pub(super) fn empty(array: &Bound<'_, PyAny>, frame: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: reads a word of a live object.
    let references = unsafe { ffi::Py_REFCNT(array.as_ptr()) };
    // One reference is `array`; the other one must be a variable of the block's function.
    if references == 2 && is_variable(frame, array)? {
        let empty = (1, (0,), array.getattr("dtype")?, false, PyBytes::new(array.py(), b""));
        array.call_method1("__setstate__", (empty,))?;
    }
    Ok(())
}

/// Returns `true` if a variable of the frame is this very object.
fn is_variable(frame: &Bound<'_, PyAny>, object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let variables = frame.getattr("f_locals")?;
    let mut found = false;
    for pair in variables.call_method0("items")?.try_iter()? {
        found |= pair?.get_item(1)?.is(object);
    }
    // Before Python 3.13 the variables of a function are a copy, which the frame keeps. It must not keep arrays.
    // A program that called `locals()` and keeps the result has the same dictionary; it stays as it is.
    if let Ok(snapshot) = variables.cast::<PyDict>()
        && is_function(frame)?
    {
        // SAFETY: reads a word of a live object.
        let references = unsafe { ffi::Py_REFCNT(snapshot.as_ptr()) };
        // One reference is `variables`, and one is that of the frame.
        if references == 2 {
            clear(frame, snapshot)?;
        }
    }
    Ok(found)
}

/// Removes the variables of a function from their copy. The next `locals()` of the program adds them again.
fn clear(frame: &Bound<'_, PyAny>, snapshot: &Bound<'_, PyDict>) -> PyResult<()> {
    let code = frame.getattr("f_code")?;
    for names in ["co_varnames", "co_cellvars", "co_freevars"] {
        for name in code.getattr(names)?.try_iter()? {
            let name = name?;
            if snapshot.contains(&name)? {
                snapshot.del_item(name)?;
            }
        }
    }
    Ok(())
}

/// Returns `true` if the frame runs a function, whose variables are not in a dictionary.
fn is_function(frame: &Bound<'_, PyAny>) -> PyResult<bool> {
    const CO_OPTIMIZED: u32 = 1;
    let flags: u32 = frame.getattr("f_code")?.getattr("co_flags")?.extract()?;
    Ok(flags & CO_OPTIMIZED != 0)
}
