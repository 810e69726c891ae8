//! Publish/subscribe.
//!
//! Owns the two classes. Calls the dynamic ends of the library.

use super::{
    NativeLoan, NativeSample, Received, Settings, Source, close, content, declared, failed, find, found,
    receive, receive_with, sent, stated,
};
use crate::error::set_up;
use crate::held::Held;
use crate::wait::Until;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmcomm::{
    Content, Declaration, DynError, DynMessage, DynPublisher, DynSample, DynSubscriber, StopHandle,
};
use std::time::Duration;

/// Number of publishers, `true` if the publisher waits for its subscribers, and the largest size of slots that grow.
type Sending = (u32, bool, Option<u64>);

/// Publisher of a native channel.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativePublisher {
    pub(super) held: Held<DynPublisher>,
    stop: StopHandle,
}

impl NativePublisher {
    /// Sends a message, waiting for room without the GIL.
    fn send_waiting(&self, py: Python<'_>, bytes: &[u8], until: Until) -> PyResult<bool> {
        sent(py, &self.held, until, |end, slice| end.send_bytes_timeout(bytes, slice))
    }
}

#[pymethods]
impl NativePublisher {
    #[new]
    #[pyo3(signature = (channel, schema, settings, sending, group))]
    fn new(
        py: Python<'_>,
        channel: String,
        schema: Option<&str>,
        settings: Settings,
        sending: Sending,
        group: Option<String>,
    ) -> PyResult<Self> {
        let end = match schema {
            Some(schema) => {
                let (publishers, waits, grow) = sending;
                let declaration = Declaration::pub_sub(content(py, schema)?)
                    .publishers(publishers)
                    .waits(waits)
                    .grow(grow.unwrap_or(0));
                let declaration = declared(declaration, settings, group);
                py.detach(|| DynPublisher::create(&channel, &declaration))
            }
            None => py.detach(|| match found(&channel, group.as_deref())? {
                Some(declaration) => DynPublisher::create(&channel, &declaration),
                None => DynPublisher::open(&channel),
            }),
        };
        let end = end.map_err(|error| set_up(py, &error))?;
        let stop = end.stop_handle();
        Ok(NativePublisher { held: Held::new("Publisher", channel, end), stop })
    }

    /// Schema of the messages, as the segment stated it when this end was opened.
    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<String> {
        stated(py, self.held.read(py, |end| end.content())?)
    }

    /// Sends a message. Returns `False` if subscribers did not make room in time. A buffer is copied once, to its slot;
    /// if the thread has to wait, a copy waits, because other threads may write to the buffer.
    #[pyo3(signature = (payload, timeout))]
    fn send(&self, payload: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<bool> {
        let (py, until) = (payload.py(), Until::after(timeout)?);
        if let Ok(bytes) = payload.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            return match self.held.if_free(py, |end| end.send_bytes_timeout(bytes, Duration::ZERO))? {
                Some(Ok(())) => Ok(true),
                Some(Err(DynError::Timeout | DynError::Full)) | None => self.send_waiting(py, bytes, until),
                Some(Err(error)) => Err(failed(py, &error)),
            };
        }
        let buffer = PyBuffer::<u8>::get(payload)?;
        let placed = self.held.if_free(py, |end| {
            let mut loan = end.try_loan(buffer.len_bytes())?;
            match buffer.copy_to_slice(py, loan.bytes_mut()) {
                Ok(()) => loan.send().map(Ok),
                Err(error) => Ok(Err(error)),
            }
        })?;
        match placed {
            Some(Ok(copied)) => copied.map(|()| true),
            Some(Err(DynError::Timeout | DynError::Full)) | None => {
                self.send_waiting(py, &buffer.to_vec(py)?, until)
            }
            Some(Err(error)) => Err(failed(py, &error)),
        }
    }

    /// Returns room for a message of `size` bytes in its slot, or `None` if there was none in time.
    #[pyo3(signature = (size, timeout))]
    fn loan(slf: &Bound<'_, Self>, size: usize, timeout: Option<f64>) -> PyResult<Option<NativeLoan>> {
        NativeLoan::claim(slf, size, timeout)
    }

    #[getter]
    fn subscribers(&self, py: Python<'_>) -> PyResult<usize> {
        self.held.read(py, |end| end.subscribers())
    }

    fn close(&self, py: Python<'_>) -> bool {
        close(py, &self.held, &self.stop)
    }
}

impl Source for DynSubscriber {
    fn poll(&mut self) -> Result<DynMessage, DynError> {
        self.try_recv()
    }

    fn wait(&mut self, time: Duration) -> Result<DynMessage, DynError> {
        self.recv_timeout(time)
    }
}

/// A message for which the thread waited.
enum Taken {
    Slot(DynSample),
    Copy(DynMessage),
}

/// Bytes of a message of a fixed layout from which on `recv` copies it from its slot.
const LARGE: usize = 16384;

/// Subscriber of a native channel.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeSubscriber {
    pub(super) held: Held<DynSubscriber>,
    /// `true` if messages may be large.
    large: bool,
    stop: StopHandle,
}

#[pymethods]
impl NativeSubscriber {
    #[new]
    #[pyo3(signature = (channel, timeout, history, group))]
    fn new(
        py: Python<'_>,
        channel: String,
        timeout: f64,
        history: usize,
        group: Option<String>,
    ) -> PyResult<Self> {
        let end = find(py, timeout, || match &group {
            Some(group) => DynSubscriber::described(&shmcomm::describe_in_group(&channel, group)?, history),
            None => DynSubscriber::open_timeout(&channel, Duration::ZERO, history),
        })?;
        let stop = end.stop_handle();
        let large = !matches!(end.content(), Ok(Content::Fixed(layout)) if layout.size() < LARGE);
        Ok(NativeSubscriber { held: Held::new("Subscriber", channel, end), large, stop })
    }

    /// Schema of the messages, as the segment stated it when this end was opened.
    #[getter]
    fn schema(&self, py: Python<'_>) -> PyResult<String> {
        stated(py, self.held.read(py, |end| end.content())?)
    }

    #[pyo3(signature = (timeout))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if !self.large {
            return receive(py, &self.held, timeout);
        }
        // From the slot to the `bytes` without a copy in between. While the program holds a sample, there is one.
        let poll = |end: &mut DynSubscriber| match end.try_recv_sample() {
            Ok(sample) => Ok(PyBytes::new(py, sample.bytes()?)),
            Err(DynError::SampleHeld) => end.try_recv().map(|message| PyBytes::new(py, message.bytes())),
            Err(error) => Err(error),
        };
        let take = |end: &mut DynSubscriber, slice| match end.recv_sample_timeout(slice) {
            Ok(sample) => Ok(Taken::Slot(sample)),
            Err(DynError::SampleHeld) => end.recv_timeout(slice).map(Taken::Copy),
            Err(error) => Err(error),
        };
        Ok(match receive_with(py, &self.held, timeout, poll, take)? {
            Received::Polled(bytes) => Some(bytes),
            Received::Waited(Taken::Slot(sample)) => {
                Some(PyBytes::new(py, sample.bytes().map_err(|error| failed(py, &error))?))
            }
            Received::Waited(Taken::Copy(message)) => Some(PyBytes::new(py, message.bytes())),
            Received::Nothing => None,
        })
    }

    /// Receives the next message in place.
    #[pyo3(signature = (timeout))]
    fn borrow(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<NativeSample>> {
        let (poll, take) = (DynSubscriber::try_recv_sample, DynSubscriber::recv_sample_timeout);
        Ok(match receive_with(py, &self.held, timeout, poll, take)? {
            Received::Polled(sample) | Received::Waited(sample) => {
                Some(NativeSample::new(self.held.name(), sample))
            }
            Received::Nothing => None,
        })
    }

    /// Returns the newest message, also if it was received before.
    fn latest<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let latest = self.held.with(py, |end| end.latest())?.map_err(|error| failed(py, &error))?;
        Ok(latest.map(|message| PyBytes::new(py, message.bytes())))
    }

    #[getter]
    fn lost(&self, py: Python<'_>) -> PyResult<u64> {
        self.held.read(py, |end| end.lost())
    }

    /// Reason why the subscriber has not followed to a publisher of another layout.
    #[getter]
    fn follow_error(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.held.read(py, |end| end.follow_error().map(ToString::to_string))
    }

    #[getter]
    fn received(&self, py: Python<'_>) -> PyResult<u64> {
        self.held.read(py, |end| end.received())
    }

    fn close(&self, py: Python<'_>) -> bool {
        close(py, &self.held, &self.stop)
    }
}
