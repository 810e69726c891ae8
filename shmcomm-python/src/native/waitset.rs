//! `WaitSet`: a thread that waits for many ends, timers and files at once.
//!
//! Owns the set, with numbers as keys; `shmcomm/_waitset.py` has the keys of the program. Calls the wait set of the
//! library. A wait holds the lock of the set for a slice at most. After the descriptor was asked for, no thread sleeps with
//! the lock: a task waits as well then, and its loop must not wait for a thread.

use super::{
    NativePublisher, NativePuller, NativePusher, NativeReplier, NativeReplies, NativeSubscriber,
    NativeTableReader, failed,
};
use crate::error::set_up;
use crate::held::{Held, Unusable};
use crate::wait::{Until, wait};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shmcomm::{Cause, DynTableReader, Interest, WaitSet, Waitable};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A wait set.
#[pyclass(frozen, module = "shmcomm._native")]
pub struct NativeWaitSet {
    held: Held<WaitSet<u64>>,
    /// `true` when `close` is called: a wait that sees it does not take the lock again.
    closing: AtomicBool,
    /// `true` when the descriptor was asked for.
    exported: AtomicBool,
}

/// A ready member: its key, the cause, how often its time has come, and whether it can be read and written.
type Found = (u64, &'static str, u64, bool, bool);

#[pymethods]
impl NativeWaitSet {
    #[new]
    fn new() -> Self {
        NativeWaitSet {
            held: Held::new("WaitSet", String::new(), WaitSet::new()),
            closing: AtomicBool::new(false),
            exported: AtomicBool::new(false),
        }
    }

    /// Adds an end of a channel.
    fn add(&self, key: u64, end: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(end) = end.cast::<NativeSubscriber>() {
            return self.put(end.py(), key, &end.get().held);
        }
        if let Ok(end) = end.cast::<NativePublisher>() {
            return self.put(end.py(), key, &end.get().held);
        }
        if let Ok(end) = end.cast::<NativePuller>() {
            return self.put(end.py(), key, &end.get().held);
        }
        if let Ok(end) = end.cast::<NativePusher>() {
            return self.put(end.py(), key, &end.get().held);
        }
        if let Ok(end) = end.cast::<NativeReplier>() {
            return self.put(end.py(), key, &end.get().held);
        }
        if let Ok(replies) = end.cast::<NativeReplies>() {
            return replies.get().watch(end.py(), &self.held, key);
        }
        Err(PyTypeError::new_err(
            "a set waits for publishers, subscribers, pushers, pullers, repliers, streams of replies, and readers of tables",
        ))
    }

    /// Adds keys of a table, by their indices; all keys, if there is none.
    fn add_keys(
        &self,
        py: Python<'_>,
        key: u64,
        reader: &Bound<'_, NativeTableReader>,
        keys: Vec<usize>,
    ) -> PyResult<()> {
        let end = &reader.get().held;
        let add = |set: &mut WaitSet<u64>, reader: &mut DynTableReader| {
            reader.changes(&keys).map(|changes| set.add(key, &changes))
        };
        let added = py.detach(|| self.held.blocking(|set| end.blocking(|reader| add(set, reader))));
        match added {
            Ok(Ok(Ok(added))) => added.map_err(|error| set_up(py, &error)),
            Ok(Ok(Err(error))) => Err(failed(py, &error)),
            Ok(Err(unusable)) => Err(end.unusable(py, unusable)),
            Err(unusable) => Err(self.held.unusable(py, unusable)),
        }
    }

    /// Adds a time, once.
    fn add_timer(&self, py: Python<'_>, key: u64, after: f64) -> PyResult<()> {
        let at = Instant::now().checked_add(seconds(after, "after")?);
        let at = at.ok_or_else(|| PyValueError::new_err("the time is beyond what the clock can hold"))?;
        self.held.read(py, |set| set.add_timer(key, at))
    }

    /// Adds a time, again and again.
    fn add_interval(&self, py: Python<'_>, key: u64, every: f64) -> PyResult<()> {
        let every = seconds(every, "every")?;
        if every.is_zero() {
            return Err(PyValueError::new_err("`every` is 0; give the seconds between two times"));
        }
        self.held.read(py, |set| set.add_interval(key, every))
    }

    /// Adds a file descriptor.
    fn add_fd(&self, py: Python<'_>, key: u64, fd: RawFd, read: bool, write: bool) -> PyResult<()> {
        let interest = match (read, write) {
            (true, true) => Interest::Both,
            (true, false) => Interest::Readable,
            (false, true) => Interest::Writable,
            (false, false) => {
                return Err(PyValueError::new_err("a file must be waited for to read, or to write, or both"));
            }
        };
        if fd < 0 {
            return Err(PyValueError::new_err(format!("{fd} is no file descriptor")));
        }
        // SAFETY: the set only duplicates it, in this call. The caller keeps it open meanwhile; a number that is not
        // open is an error of the system.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        Ok(self.held.read(py, |set| set.add_fd(key, &fd, interest))??)
    }

    /// Removes the members with this key. Returns `True` if there was any.
    fn remove(&self, py: Python<'_>, key: u64) -> PyResult<bool> {
        self.held.read(py, |set| set.remove(&key))
    }

    /// Waits until a member is ready. Returns an empty list at the end of the time, and if the set is empty.
    #[pyo3(signature = (timeout))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Vec<Found>> {
        let until = Until::after(timeout)?;
        let ready = self.held.read(py, |set| set.try_wait())??;
        if !ready.is_empty() || self.len(py)? == 0 {
            return Ok(ready.into_iter().map(found).collect());
        }
        let mut descriptor = None;
        let result = wait(py, until, |slice| {
            if self.closing.load(Ordering::Relaxed) {
                return Some(Err(Unusable::Closed));
            }
            let ready = match &descriptor {
                None if !self.exported.load(Ordering::Relaxed) => {
                    self.held.turn(slice, |set, slice| (set.wait_timeout(slice), set.is_empty()))?
                }
                None => self.held.blocking(|set| match duplicate(set) {
                    Ok(fd) => {
                        descriptor = Some(fd);
                        (set.try_wait(), set.is_empty())
                    }
                    Err(error) => (Err(error), false),
                }),
                Some(fd) => {
                    sleep(fd, slice);
                    self.held.blocking(|set| (set.try_wait(), set.is_empty()))
                }
            };
            match ready {
                Ok((Ok(ready), false)) if ready.is_empty() => None,
                ready => Some(ready),
            }
        })?;
        match result {
            None => Ok(Vec::new()),
            Some(Ok((ready, _))) => Ok(ready?.into_iter().map(found).collect()),
            Some(Err(unusable)) => Err(self.held.unusable(py, unusable)),
        }
    }

    /// Returns the descriptor that is readable when a wait should be tried.
    fn fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.exported.store(true, Ordering::Relaxed);
        Ok(self.held.read(py, |set| set.fd().map(|fd| fd.as_raw_fd()))??)
    }

    /// Returns a duplicate of the descriptor, which the caller closes. It lives on when another thread closes the set.
    fn duplicate_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.exported.store(true, Ordering::Relaxed);
        Ok(self.held.read(py, duplicate)??.into_raw_fd())
    }

    /// Returns the number of members.
    fn len(&self, py: Python<'_>) -> PyResult<usize> {
        self.held.read(py, |set| set.len())
    }

    fn close(&self, py: Python<'_>) -> bool {
        // Relaxed: the lock orders the rest.
        self.closing.store(true, Ordering::Relaxed);
        self.held.close(py)
    }
}

impl NativeWaitSet {
    fn put<E: Waitable + Send>(&self, py: Python<'_>, key: u64, end: &Held<E>) -> PyResult<()> {
        let added = py.detach(|| self.held.blocking(|set| end.blocking(|end| set.add(key, end))));
        match added {
            Ok(Ok(added)) => added.map_err(|error| set_up(py, &error)),
            Ok(Err(unusable)) => Err(end.unusable(py, unusable)),
            Err(unusable) => Err(self.held.unusable(py, unusable)),
        }
    }
}

fn duplicate(set: &mut WaitSet<u64>) -> io::Result<OwnedFd> {
    set.fd()?.try_clone_to_owned()
}

/// Sleeps until the descriptor is readable, for at most `slice`. An error ends it too: the caller polls then.
fn sleep(fd: &OwnedFd, slice: Duration) {
    // A slice is less than a second.
    let slice = Timespec { tv_sec: 0, tv_nsec: slice.subsec_nanos().into() };
    let _ = poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&slice));
}

fn seconds(time: f64, name: &str) -> PyResult<Duration> {
    Duration::try_from_secs_f64(time)
        .map_err(|error| PyValueError::new_err(format!("`{name}` is {time} seconds: {error}")))
}

fn found(ready: shmcomm::Ready<u64>) -> Found {
    match ready.cause {
        Cause::Timer { ticks } => (ready.key, "timer", ticks, false, false),
        Cause::Fd { readable, writable } => (ready.key, "file", 0, readable, writable),
        _ => (ready.key, "channel", 0, false, false),
    }
}
