//! [`Pace`]: the end of a command that repeats, by number, by time or by Ctrl-C.
//!
//! Owns the handler of Ctrl-C and SIGTERM. Calls nothing of the library. Shows progress on standard error only.

use crate::common::Common;
use std::io::IsTerminal as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// `true` after a signal.
static STOP: Mutex<bool> = Mutex::new(false);
static CHANGED: Condvar = Condvar::new();

fn stop() -> MutexGuard<'static, bool> {
    STOP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes Ctrl-C and SIGTERM end the command in order, so that its ends leave their channels.
pub fn end_on_signals() {
    // A second call fails, and the handler of the first one stays.
    let _ = ctrlc::set_handler(|| {
        let mut stop = stop();
        if std::mem::replace(&mut *stop, true) {
            // A second signal ends the process at once.
            std::process::exit(130);
        }
        CHANGED.notify_all();
    });
}

/// Returns `true` after Ctrl-C or SIGTERM.
pub fn stopped() -> bool {
    *stop()
}

/// Shows on a terminal what the command does, if that takes longer than a second. The empty text removes it.
pub fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

/// Limits of a command that repeats.
#[derive(Clone, Debug)]
pub struct Pace {
    deadline: Option<Instant>,
    left: Option<u64>,
}

impl Pace {
    /// Starts the time of `--duration` and the count of `-n`, and handles signals.
    pub fn new(common: &Common) -> Self {
        end_on_signals();
        let deadline = common.duration.and_then(|time| Instant::now().checked_add(time));
        Pace { deadline, left: common.count }
    }

    /// Returns the limits with a number of repetitions, unless `-n` gives it.
    pub fn or_count(mut self, count: u64) -> Self {
        self.left = self.left.or(Some(count));
        self
    }

    /// Counts a repetition. Returns `false` if it was the last one.
    pub fn another(&mut self) -> bool {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
        }
        self.left != Some(0) && !self.is_over()
    }

    /// Returns `true` if the time is over or a signal came.
    pub fn is_over(&self) -> bool {
        stopped() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Returns the time until the end, at most `longest`.
    pub fn at_most(&self, longest: Duration) -> Duration {
        self.deadline
            .map_or(longest, |deadline| deadline.saturating_duration_since(Instant::now()).min(longest))
    }

    /// Sleeps for a time, or less if the command ends first. Returns `false` if the command has ended.
    pub fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + self.at_most(time);
        let mut stop = stop();
        while !*stop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            stop = CHANGED.wait_timeout(stop, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !*stop && self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }
}
