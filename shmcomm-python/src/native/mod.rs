//! The ends of native channels whose layout is known at run time. They carry the bytes of messages, which the library
//! checks against the layout; `shmcomm/_channels.py` gives them numpy's types.
//!
//! Owns what the ends have in common: opening, receiving and sending in slices, the exceptions. Calls the dynamic ends of
//! the library. A wait holds the lock of its end for a slice at most.

mod job;
mod layouts;
mod lent;
mod loan;
mod pubsub;
mod queue;
mod replies;
mod reqrep;
mod sample;
mod table;
mod waitset;

pub use job::NativeJob;
pub use layouts::{NativePlan, describe, fingerprints};
pub use loan::NativeLoan;
pub use pubsub::{NativePublisher, NativeSubscriber};
pub use queue::{NativePuller, NativePusher};
pub use replies::NativeReplies;
pub use reqrep::{NativeReplier, NativeRequester};
pub use sample::NativeSample;
pub use table::{NativeTableReader, NativeTableWriter};
pub use waitset::NativeWaitSet;

use crate::error::{exception, set_up, with_details};
use crate::held::{Held, Unusable, forked, invalid};
use crate::wait::{SLICE, Until, wait};
use layouts::{content, declared, found, stated};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shmcomm::{DynError, DynMessage, ErrorKind, LoadError, RequestTimeoutError, StopHandle, StoreError};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// Settings of a channel that an end creates: slots, bytes of a slot for bytes, and seats.
type Settings = (Option<u64>, Option<u64>, Option<u32>);

/// Returns the exception of an operation that failed.
fn failed(py: Python<'_>, error: &DynError) -> PyErr {
    match error {
        DynError::Encode(_) | DynError::Codec(_) | DynError::Value(_) => invalid(py, error),
        DynError::TooLong { size, capacity } => with_details(py, "MessageTooLongError", error, |object| {
            object.setattr("size", *size)?;
            object.setattr("capacity", *capacity)
        }),
        DynError::Full => exception(py, "FullError", error),
        DynError::Empty | DynError::Timeout => exception(py, "TimeoutError", error),
        DynError::Disconnected => exception(py, "DisconnectedError", error),
        DynError::Stopped => exception(py, "StoppedError", error),
        DynError::SampleHeld => exception(py, "SampleHeldError", error),
        DynError::Forked => forked(py),
        DynError::Other(source) if source.downcast_ref() == Some(&RequestTimeoutError::PeerDied) => {
            exception(py, "PeerDiedError", error)
        }
        DynError::Other(source)
            if matches!(source.downcast_ref(), Some(LoadError::Busy { .. }))
                || matches!(source.downcast_ref(), Some(StoreError::Busy { .. })) =>
        {
            exception(py, "BusyError", error)
        }
        _ => exception(py, "OperationError", error),
    }
}

/// Opens an end of a channel that may not exist yet, without the GIL and in slices.
fn find<E: Send>(
    py: Python<'_>,
    timeout: f64,
    open: impl Fn() -> Result<E, shmcomm::Error> + Sync,
) -> PyResult<E> {
    let until = Until::after(Some(timeout))?;
    let mut first = Some(py.detach(&open));
    loop {
        match first.take() {
            Some(Ok(end)) => return Ok(end),
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => return Err(set_up(py, &error)),
            Some(Err(error)) if until.slice().is_none() => return Err(set_up(py, &error)),
            _ => {}
        }
        py.check_signals()?;
        first = Some(py.detach(|| {
            let end = Instant::now() + SLICE;
            loop {
                let found = open();
                let missing = matches!(&found, Err(error) if error.kind() == ErrorKind::NotFound);
                if !missing || until.slice().is_none() || Instant::now() >= end {
                    return found;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }));
    }
}

/// Returns the bytes of an object that has a buffer of bytes. Copies them unless they cannot change.
fn bytes_of<'a>(payload: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = payload.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    Ok(Cow::Owned(PyBuffer::<u8>::get(payload)?.to_vec(payload.py())?))
}

/// An end that receives.
trait Source: Send {
    fn poll(&mut self) -> Result<DynMessage, DynError>;
    fn wait(&mut self, time: Duration) -> Result<DynMessage, DynError>;
}

/// Receives the next message.
fn receive<'py, E: Source>(
    py: Python<'py>,
    held: &Held<E>,
    timeout: Option<f64>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let poll = |end: &mut E| end.poll().map(|message| PyBytes::new(py, message.bytes()));
    Ok(match receive_with(py, held, timeout, poll, E::wait)? {
        Received::Polled(bytes) => Some(bytes),
        Received::Waited(message) => Some(PyBytes::new(py, message.bytes())),
        Received::Nothing => None,
    })
}

/// A message that was there, one for which the thread waited, or none in time.
enum Received<P, W> {
    Polled(P),
    Waited(W),
    Nothing,
}

/// Receives by `poll` with the GIL, or else by `take` without it. Messages that were overwritten before are counted by
/// the end, and passed over.
fn receive_with<E: Send, P, W: Send>(
    py: Python<'_>,
    held: &Held<E>,
    timeout: Option<f64>,
    mut poll: impl FnMut(&mut E) -> Result<P, DynError>,
    mut take: impl FnMut(&mut E, Duration) -> Result<W, DynError> + Send,
) -> PyResult<Received<P, W>> {
    let until = Until::after(timeout)?;
    loop {
        // Once with the GIL: to release it costs more than to take a message that is there.
        match held.if_free(py, &mut poll)? {
            Some(Ok(message)) => return Ok(Received::Polled(message)),
            Some(Err(DynError::Lagged(_))) => continue,
            Some(Err(DynError::Empty)) | None => {}
            Some(Err(error)) => return Err(failed(py, &error)),
        }
        let received = wait(py, until, |slice| match held.turn(slice, &mut take) {
            Some(Ok(Err(DynError::Timeout | DynError::Lagged(_)))) => None,
            result => result,
        })?;
        return match received {
            None => Ok(Received::Nothing),
            Some(Ok(Ok(message))) => Ok(Received::Waited(message)),
            // `close` stops the wait of another thread.
            Some(Ok(Err(DynError::Stopped))) => Err(held.unusable(py, Unusable::Closed)),
            Some(Ok(Err(error))) => Err(failed(py, &error)),
            Some(Err(unusable)) => Err(held.unusable(py, unusable)),
        };
    }
}

/// Closes an end: stops its waits, waits for them, and drops it.
fn close<E: Send>(py: Python<'_>, held: &Held<E>, stop: &StopHandle) -> bool {
    if held.forked() {
        return false;
    }
    stop.stop();
    held.close(py)
}

/// Sends in slices.
fn sent<E: Send>(
    py: Python<'_>,
    held: &Held<E>,
    until: Until,
    mut send: impl FnMut(&mut E, Duration) -> Result<(), DynError> + Send,
) -> PyResult<bool> {
    let result = wait(py, until, |slice| match held.turn(slice, &mut send) {
        Some(Ok(Err(DynError::Timeout))) => None,
        Some(Ok(Err(DynError::Full))) => {
            std::thread::sleep(slice.min(Duration::from_millis(1)));
            None
        }
        result => result,
    })?;
    match result {
        None => Ok(false),
        Some(Ok(Ok(()))) => Ok(true),
        Some(Ok(Err(DynError::Stopped))) => Err(held.unusable(py, Unusable::Closed)),
        Some(Ok(Err(error))) => Err(failed(py, &error)),
        Some(Err(unusable)) => Err(held.unusable(py, unusable)),
    }
}
