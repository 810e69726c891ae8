//! Waits of Python threads: without the GIL, in slices, with signals.
//!
//! Owns the slices. Never waits with the GIL, and never holds a lock while a signal handler runs.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// Longest time between two checks for signals: half of the time within which a signal ends a wait.
pub const SLICE: Duration = Duration::from_millis(50);

/// Time until which a call waits; `None` stands for no limit.
#[derive(Clone, Copy)]
pub struct Until(Option<Instant>);

impl Until {
    /// Returns the time `seconds` from now. `None`, infinity, and times beyond the clock are no limit. A negative
    /// time polls once, like 0.
    pub fn after(seconds: Option<f64>) -> PyResult<Self> {
        let Some(seconds) = seconds else { return Ok(Until(None)) };
        if seconds.is_nan() {
            return Err(PyValueError::new_err(
                "the timeout is not a number; give seconds, or None to wait forever",
            ));
        }
        let time = Duration::try_from_secs_f64(seconds.max(0.0)).ok();
        Ok(Until(time.and_then(|time| Instant::now().checked_add(time))))
    }

    /// Returns the time that is left, at most [`SLICE`]; `None` if it is over.
    pub fn slice(self) -> Option<Duration> {
        match self.0 {
            None => Some(SLICE),
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                (!left.is_zero()).then(|| left.min(SLICE))
            }
        }
    }
}

/// Calls `step` in slices without the GIL until it has a result. Returns `None` at the end of the time. Between two
/// slices the signal handlers of Python run; their exception ends the wait.
pub fn wait<T: Send>(
    py: Python<'_>,
    until: Until,
    mut step: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    loop {
        py.check_signals()?;
        let Some(slice) = until.slice() else { return Ok(None) };
        if let Some(result) = py.detach(|| step(slice)) {
            return Ok(Some(result));
        }
    }
}

/// Returns the sleep between two polls of a channel whose sender wakes no process.
fn nap(waited: Duration) -> Duration {
    match waited.as_millis() {
        0..20 => Duration::from_micros(50),
        20..1000 => Duration::from_micros(200),
        _ => Duration::from_millis(1),
    }
}

/// Number of polls with a yield of the processor in between.
const YIELDS: u32 = 32;

/// A wait that polls, over all its slices.
pub struct Polling {
    start: Instant,
    longest: Duration,
    yields: u32,
}

impl Polling {
    /// Begins a wait whose sleeps between two polls are at most `longest`.
    pub fn new(longest: Duration) -> Self {
        Polling { start: Instant::now(), longest, yields: 0 }
    }

    /// Polls for at most `slice`.
    pub fn poll<T>(&mut self, slice: Duration, mut poll: impl FnMut() -> Option<T>) -> Option<T> {
        let end = Instant::now() + slice;
        loop {
            if let Some(result) = poll() {
                return Some(result);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if self.yields < YIELDS {
                self.yields += 1;
                std::thread::yield_now();
            } else {
                std::thread::sleep(nap(self.start.elapsed()).min(self.longest).min(left));
            }
        }
    }
}
