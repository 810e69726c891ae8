//! Request/reply.
//!
//! Owns the two classes, and the threads in which a request and a handler run. Calls the dynamic ends of the library.

use super::{NativeReplies, Settings, bytes_of, close, content, declared, failed, find, found, stated};
use crate::error::set_up;
use crate::held::{Held, Unusable};
use crate::wait::{SLICE, Until, wait};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};
use shmcomm::{Declaration, DynError, DynReplier, DynRequest, DynRequester, StopHandle};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

/// Requester of a native channel.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeRequester {
    pub(super) held: Held<DynRequester>,
    stop: StopHandle,
}

#[pymethods]
impl NativeRequester {
    #[new]
    #[pyo3(signature = (channel, schemas, settings, timeout, group, window))]
    fn new(
        py: Python<'_>,
        channel: String,
        schemas: Option<(String, String)>,
        settings: Settings,
        timeout: f64,
        group: Option<String>,
        window: Option<u64>,
    ) -> PyResult<Self> {
        let end = match schemas {
            Some((request, reply)) => {
                let declaration = Declaration::req_rep(content(py, &request)?, content(py, &reply)?);
                let declaration = declared(declaration, settings, group).streams(window.unwrap_or(0));
                py.detach(|| DynRequester::create(&channel, &declaration))
                    .map_err(|error| set_up(py, &error))?
            }
            None => find(py, timeout, || match found(&channel, group.as_deref())? {
                Some(declaration) => DynRequester::create(&channel, &declaration),
                None => DynRequester::open(&channel),
            })?,
        };
        let stop = end.stop_handle();
        Ok(NativeRequester { held: Held::new("Requester", channel, end), stop })
    }

    /// Schemas of requests and replies, as the segment stated them when this end was opened.
    #[getter]
    fn schemas(&self, py: Python<'_>) -> PyResult<(String, String)> {
        let (request, reply) = self.held.read(py, |end| (end.request_content(), end.reply_content()))?;
        Ok((stated(py, request)?, stated(py, reply)?))
    }

    /// Sends a request and returns its stream of replies, or `None` if no slot became free in time.
    fn stream(
        slf: &Bound<'_, Self>,
        payload: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Option<NativeReplies>> {
        NativeReplies::ask(slf, payload, timeout)
    }

    /// Sends a request and returns its reply, or `None` if it did not come in time.
    fn request<'py>(
        &self,
        payload: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (py, bytes) = (payload.py(), bytes_of(payload)?);
        Until::after(timeout)?;
        let time = timeout.map_or(Duration::MAX, |time| {
            Duration::try_from_secs_f64(time.max(0.0)).unwrap_or(Duration::MAX)
        });
        // The request runs in a thread of its own, so that this thread can serve signals; a stop ends it.
        let mut interrupted = None;
        let result = std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let (held, bytes) = (&self.held, &bytes);
            scope.spawn(move || {
                let _ = sender.send(held.whole_turn(time, |end, left| end.request_bytes(bytes, left)));
            });
            // The receiver moves into the closure without the GIL and back: it is not shared.
            let mut receiver = receiver;
            loop {
                let (back, result) = py.detach(move || {
                    let result = receiver.recv_timeout(SLICE);
                    (receiver, result)
                });
                receiver = back;
                match result {
                    Ok(result) => return result,
                    Err(mpsc::RecvTimeoutError::Disconnected) => return Some(Err(Unusable::Closed)),
                    Err(mpsc::RecvTimeoutError::Timeout) if interrupted.is_none() => {
                        if let Err(error) = py.check_signals() {
                            interrupted = Some(error);
                            self.stop.stop();
                        }
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                }
            }
        });
        if let Some(error) = interrupted {
            self.stop.reset();
            return Err(error);
        }
        match result {
            Some(Ok(Ok(message))) => Ok(Some(PyBytes::new(py, message.bytes()))),
            // Or another thread has made a request all of the time.
            Some(Ok(Err(DynError::Timeout))) | None => Ok(None),
            Some(Ok(Err(DynError::Stopped))) => Err(self.held.unusable(py, Unusable::Closed)),
            Some(Ok(Err(error))) => Err(failed(py, &error)),
            Some(Err(unusable)) => Err(self.held.unusable(py, unusable)),
        }
    }

    fn close(&self, py: Python<'_>) -> bool {
        close(py, &self.held, &self.stop)
    }
}

/// Replier of a native channel.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeReplier {
    pub(super) held: Held<DynReplier>,
    stop: StopHandle,
    /// Thread that runs the handler of the program now.
    serving: Mutex<Option<ThreadId>>,
    served: AtomicU64,
}

#[pymethods]
impl NativeReplier {
    #[new]
    #[pyo3(signature = (channel, schemas, settings, group, window))]
    fn new(
        py: Python<'_>,
        channel: String,
        schemas: Option<(String, String)>,
        settings: Settings,
        group: Option<String>,
        window: Option<u64>,
    ) -> PyResult<Self> {
        let end = match schemas {
            Some((request, reply)) => {
                let declaration = Declaration::req_rep(content(py, &request)?, content(py, &reply)?);
                let declaration = declared(declaration, settings, group).streams(window.unwrap_or(0));
                py.detach(|| DynReplier::create(&channel, &declaration))
            }
            None => py.detach(|| match found(&channel, group.as_deref())? {
                Some(declaration) => DynReplier::create(&channel, &declaration),
                None => DynReplier::open(&channel),
            }),
        };
        let end = end.map_err(|error| set_up(py, &error))?;
        let stop = end.stop_handle();
        let held = Held::new("Replier", channel, end);
        Ok(NativeReplier { held, stop, serving: Mutex::new(None), served: AtomicU64::new(0) })
    }

    /// Schemas of requests and replies, as the segment stated them when this end was opened.
    #[getter]
    fn schemas(&self, py: Python<'_>) -> PyResult<(String, String)> {
        let (request, reply) = self.held.read(py, |end| (end.request_content(), end.reply_content()))?;
        Ok((stated(py, request)?, stated(py, reply)?))
    }

    /// `True` if the replies to a request are a stream.
    #[getter]
    fn streams(&self, py: Python<'_>) -> PyResult<bool> {
        self.held.read(py, |end| end.has_streams())
    }

    /// Waits for a request, and answers it with the result of `handler`, or with the items of it if the replies are a
    /// stream. Returns `False` if none came in time.
    ///
    /// The handler runs while this thread holds the lock of the end: other threads wait for it without the GIL.
    #[pyo3(signature = (handler, timeout))]
    fn serve(&self, py: Python<'_>, handler: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<bool> {
        if *self.serving.lock().unwrap_or_else(PoisonError::into_inner) == Some(std::thread::current().id()) {
            return Err(PyRuntimeError::new_err(
                "the handler of a replier cannot serve requests of the same replier",
            ));
        }
        let until = Until::after(timeout)?;
        let handler = handler.clone().unbind();
        let served = wait(py, until, |slice| {
            let result = self.held.turn(slice, |end, slice| {
                let request = match end.recv_timeout(slice) {
                    Ok(request) => request,
                    Err(error) => return Err(error),
                };
                let bytes = request.message().bytes().to_vec();
                if request.has_stream() {
                    let _serving = self.serving();
                    return Ok(stream(&handler, &bytes, request).map_err(Some));
                }
                Ok(match self.handle(&handler, &bytes) {
                    // The requester may have given up; that is its decision, and no error of this end.
                    Ok(reply) => request.reply_bytes(&reply).map_err(|error| {
                        Python::attach(|py| match error {
                            DynError::Other(_) | DynError::Cancelled => None,
                            error => Some(failed(py, &error)),
                        })
                    }),
                    Err(error) => Err(Some(error)),
                })
            });
            match result {
                Some(Ok(Err(DynError::Timeout))) => None,
                result => result,
            }
        })?;
        match served {
            None => Ok(false),
            Some(Ok(Ok(Ok(()) | Err(None)))) => {
                self.served.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Some(Ok(Ok(Err(Some(error))))) => Err(error),
            Some(Ok(Err(DynError::Stopped))) => Err(self.held.unusable(py, Unusable::Closed)),
            Some(Ok(Err(error))) => Err(failed(py, &error)),
            Some(Err(unusable)) => Err(self.held.unusable(py, unusable)),
        }
    }

    #[getter]
    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    fn close(&self, py: Python<'_>) -> bool {
        if *self.serving.lock().unwrap_or_else(PoisonError::into_inner) == Some(std::thread::current().id()) {
            // The handler closes its replier: the wait for the next request ends, and the end with its object.
            self.stop.stop();
            return true;
        }
        close(py, &self.held, &self.stop)
    }
}

/// Marks a replier as serving in this thread while it exists.
struct Serving<'s>(&'s NativeReplier);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        *self.0.serving.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl NativeReplier {
    fn serving(&self) -> Serving<'_> {
        let thread = std::thread::current().id();
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Serving(self)
    }

    fn handle(&self, handler: &Py<PyAny>, bytes: &[u8]) -> PyResult<Vec<u8>> {
        let _serving = self.serving();
        Python::attach(|py| {
            let reply = handler.bind(py).call1((PyBytes::new(py, bytes),))?;
            bytes_of(&reply).map(Cow::into_owned)
        })
    }
}

/// Sends the items that `handler` returns as the replies of a stream, and ends it. If the requester has cancelled, the
/// iterator is dropped, which ends a generator.
fn stream(handler: &Py<PyAny>, bytes: &[u8], mut request: DynRequest<'_>) -> PyResult<()> {
    let replies = Python::attach(|py| -> PyResult<Py<PyIterator>> {
        Ok(handler.bind(py).call1((PyBytes::new(py, bytes),))?.try_iter()?.unbind())
    })?;
    let failure = |error: DynError| match error {
        // That is the decision of the requester, and no error of this end.
        DynError::Cancelled => Ok(()),
        error => Python::attach(|py| Err(failed(py, &error))),
    };
    loop {
        let next = Python::attach(|py| match replies.bind(py).clone().next() {
            None => Ok(None),
            Some(reply) => bytes_of(&reply?).map(|bytes| Some(bytes.into_owned())),
        })?;
        let Some(reply) = next else { return request.end().or_else(failure) };
        loop {
            match request.send_bytes_timeout(&reply, SLICE) {
                Ok(()) => break,
                Err(DynError::Timeout) => Python::attach(|py| py.check_signals())?,
                Err(error) => return failure(error),
            }
        }
    }
}
