//! The retries of an opening: the time between two attempts, and the searches for a lost segment.
//!
//! Owns the deadline of an opening. Calls `forward` for the search. Never decides whether an attempt is
//! final.

use super::{ChannelPath, forward};
use crate::error::{Error, ErrorKind};
use std::time::{Duration, Instant};

/// Time for which to retry if other processes keep changing the target of the name. Each retry means that
/// another process has made progress.
const CONTENTION: Duration = Duration::from_secs(10);

/// Schedule of the searches of `/proc` for a live segment without a name: a search takes some milliseconds.
pub(super) struct Search {
    /// Time from the start to the next search; `None` means never.
    next: Option<Duration>,
}

impl Search {
    /// Returns the schedule of an opening that does not wait.
    pub(super) fn never() -> Self {
        Search { next: None }
    }

    /// Returns the schedule of an opening that waits: a search after 100 ms, then with growing distance.
    pub(super) fn from_start() -> Self {
        Search { next: Some(Duration::from_millis(100)) }
    }

    /// Searches if that is due, or if this is the `last` attempt. Returns `true` if the segment has its name
    /// again.
    pub(super) fn finds(&mut self, place: &ChannelPath, waited: Duration, last: bool) -> bool {
        let Some(next) = self.next.filter(|next| *next <= waited || last) else { return false };
        self.next = next.checked_mul(4);
        forward::rediscover(place)
    }
}

/// Open retry: the time for which to retry, and the pause between two attempts.
pub(super) struct Retry {
    start: Instant,
    timeout: Duration,
    pause: Duration,
}

impl Retry {
    /// Starts the time of an opening that may take `timeout`.
    pub(super) fn new(timeout: Duration) -> Self {
        Retry { start: Instant::now(), timeout, pause: Duration::from_millis(1) }
    }

    /// Sleeps, longer each time. Returns `None` if the time was over before.
    pub(super) fn pause(&mut self) -> Option<()> {
        let left = self.timeout.checked_sub(self.start.elapsed()).filter(|left| !left.is_zero())?;
        std::thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(Duration::from_millis(20));
        Some(())
    }

    /// Returns the time since the first attempt.
    pub(super) fn waited(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns `true` if the time is over.
    pub(super) fn is_over(&self) -> bool {
        self.start.elapsed() >= self.timeout
    }

    /// Fails if the time is over, after an attempt that other processes made void.
    pub(super) fn again(&self, place: &ChannelPath) -> Result<(), Error> {
        if self.start.elapsed() < CONTENTION.max(self.timeout) {
            return Ok(());
        }
        Err(place.error(
            ErrorKind::Os,
            format!(
                "gave up on {} after {:.0} s: other processes keep replacing it, \
                 or the forked child of a participant that has left keeps its lock; end these processes",
                place.path().display(),
                self.start.elapsed().as_secs_f64()
            ),
        ))
    }

    /// Returns the number of attempts in words, as it follows `no segment at PATH`.
    pub(super) fn tried(&self) -> String {
        if self.timeout.is_zero() {
            "(checked once)".to_owned()
        } else {
            format!("after {:.1} s", self.start.elapsed().as_secs_f64())
        }
    }
}
