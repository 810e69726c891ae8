//! [`Held`]: an end that several Python threads may use, and that a call may close.
//!
//! Owns the lock of an end. Calls the line of its threads. Rules: a thread that holds the lock never waits for the GIL,
//! and the child of a fork never waits for the lock, because the thread that holds it may not exist in the child. A thread
//! that may have to wait for the lock enters the line first, except to close the end or to give it back.

use crate::error::exception;
use crate::line::{Line, Place};
use pyo3::prelude::*;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// An end, until it is closed.
pub struct Held<E> {
    end: Mutex<Option<E>>,
    line: Line,
    /// `true` while the end is lent. Changed under the lock.
    lent: AtomicBool,
    /// `true` after the end was closed. Changed under the lock.
    closed: AtomicBool,
    /// Process that opened the end.
    process: u32,
    /// Kind of end, such as `Publisher`.
    kind: &'static str,
    name: String,
}

/// Reason why the end cannot be used.
#[derive(Clone, Copy, Debug)]
pub enum Unusable {
    Closed,
    Forked,
    /// A loan, a job or a stream of the end is open.
    Lent,
}

impl<E: Send> Held<E> {
    pub fn new(kind: &'static str, name: String, end: E) -> Self {
        Held {
            end: Mutex::new(Some(end)),
            line: Line::default(),
            lent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            process: std::process::id(),
            kind,
            name,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls `work` with the end, with the GIL. `work` must not run Python code and must not block.
    pub fn with<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut E) -> R + Send) -> PyResult<R> {
        let end = match self.end.try_lock() {
            Ok(end) => end,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return py.detach(|| self.blocking(work)).map_err(|why| self.unusable(py, why));
            }
        };
        self.call(end, work).map_err(|why| self.unusable(py, why))
    }

    /// Calls `work` with the end like [`with`](Self::with), and refuses it in the child of a fork.
    pub fn read<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut E) -> R + Send) -> PyResult<R> {
        if self.forked() {
            return Err(forked(py));
        }
        self.with(py, work)
    }

    /// Calls `work` with the end if no other thread uses the end at this moment. `work` has the GIL, and may copy to
    /// objects of Python that the garbage collector does not track.
    pub fn if_free<R>(&self, py: Python<'_>, work: impl FnOnce(&mut E) -> R) -> PyResult<Option<R>> {
        let end = match self.end.try_lock() {
            Ok(end) => end,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        self.call(end, work).map(Some).map_err(|why| self.unusable(py, why))
    }

    /// Calls `work` with the end in the turn of this thread, for which it waits. The caller does not have the GIL, and
    /// `work` does not wait for messages.
    pub fn blocking<R>(&self, work: impl FnOnce(&mut E) -> R) -> Result<R, Unusable> {
        if self.forked() {
            return Err(Unusable::Forked);
        }
        let _place = self.line.enter();
        self.call(self.lock(), work)
    }

    /// Calls `work` with the end, and with the time for which it may sleep, in the turn of this thread. Returns `None`
    /// if the turn did not come within `slice`. The caller does not have the GIL.
    pub fn turn<R>(
        &self,
        slice: Duration,
        work: impl FnOnce(&mut E, Duration) -> R,
    ) -> Option<Result<R, Unusable>> {
        self.timed(slice, |end, place, left| work(end, place.share(left)))
    }

    /// Calls `work` with the end, and with the rest of `time`, in the turn of this thread. The turn lasts as long as
    /// `work`. Returns `None` if the turn did not come within `time`. The caller does not have the GIL.
    pub fn whole_turn<R>(
        &self,
        time: Duration,
        work: impl FnOnce(&mut E, Duration) -> R,
    ) -> Option<Result<R, Unusable>> {
        self.timed(time, |end, _, left| work(end, left))
    }

    fn timed<R>(
        &self,
        time: Duration,
        work: impl FnOnce(&mut E, &Place<'_>, Duration) -> R,
    ) -> Option<Result<R, Unusable>> {
        if self.forked() {
            return Some(Err(Unusable::Forked));
        }
        let start = Instant::now();
        let place = self.line.enter_within(time)?;
        Some(self.call(self.lock(), |end| work(end, &place, time.saturating_sub(start.elapsed()))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<E>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<R>(
        &self,
        mut end: MutexGuard<'_, Option<E>>,
        work: impl FnOnce(&mut E) -> R,
    ) -> Result<R, Unusable> {
        end.as_mut().map(work).ok_or_else(|| self.missing())
    }

    /// Returns the reason why there is no end. The caller has the lock.
    fn missing(&self) -> Unusable {
        // Relaxed, here and below: under the lock.
        if self.lent.load(Relaxed) && !self.closed.load(Relaxed) { Unusable::Lent } else { Unusable::Closed }
    }

    /// Takes the end out, so that all other calls fail until it is given back.
    pub fn lend(&self, py: Python<'_>) -> PyResult<E> {
        if self.forked() {
            return Err(forked(py));
        }
        let lent = py.detach(|| {
            let _place = self.line.enter();
            let mut end = self.lock();
            let lent = end.take().ok_or_else(|| self.missing())?;
            self.lent.store(true, Relaxed);
            Ok(lent)
        });
        lent.map_err(|why| self.unusable(py, why))
    }

    /// Gives back the end that was lent. Drops it if it was closed meanwhile.
    pub fn give_back(&self, lent: E) {
        let mut end = self.lock();
        self.lent.store(false, Relaxed);
        if !self.closed.load(Relaxed) {
            *end = Some(lent);
            return;
        }
        drop(end);
        drop(lent);
    }

    /// Takes the end out, so that all later calls find it closed. Returns `None` if it is closed already, and in the
    /// child of a fork.
    pub fn take(&self, py: Python<'_>) -> Option<E> {
        if self.forked() {
            return None;
        }
        py.detach(|| {
            let mut end = self.lock();
            self.closed.store(true, Relaxed);
            end.take()
        })
    }

    /// Takes the end out and drops it without the GIL. Returns `true` if this call has closed it.
    pub fn close(&self, py: Python<'_>) -> bool {
        let end = self.take(py);
        py.detach(move || end.is_some())
    }

    pub fn forked(&self) -> bool {
        std::process::id() != self.process
    }

    pub fn unusable(&self, py: Python<'_>, why: Unusable) -> PyErr {
        match why {
            _ if self.forked() => forked(py),
            Unusable::Closed => self.closed(py),
            Unusable::Forked => forked(py),
            Unusable::Lent => {
                let (name, kind) = (&self.name, self.kind);
                let (what, cure) = match kind {
                    "Puller" => ("job", "finish"),
                    "Requester" => ("stream of replies", "receive its end or cancel"),
                    _ => ("loan", "send or drop"),
                };
                let text = format!("channel `{name}`: a {what} of this {kind} is open; {cure} it first");
                exception(py, "LoanOpenError", text)
            }
        }
    }

    fn closed(&self, py: Python<'_>) -> PyErr {
        let channel = if self.name.is_empty() { String::new() } else { format!("channel `{}`: ", self.name) };
        let text = format!("{channel}this {} is closed; open another one", self.kind);
        exception(py, "ClosedError", text)
    }
}

/// Returns the exception of an end that was opened before a fork.
pub fn forked(py: Python<'_>) -> PyErr {
    exception(py, "ForkedError", "this end was opened before `fork`; open the channel again in the child")
}

impl<E> Drop for Held<E> {
    fn drop(&mut self) {
        // The end of the parent: its threads do not exist here.
        if std::process::id() != self.process
            && let Some(end) = self.end.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        {
            std::mem::forget(end);
        }
    }
}

/// Returns the exception for a message that was received and is damaged.
pub fn invalid(py: Python<'_>, text: impl Display) -> PyErr {
    exception(py, "InvalidMessageError", text)
}
