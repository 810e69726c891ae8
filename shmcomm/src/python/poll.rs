//! Waiting without notifications: Python wakes no process, so a waiting end polls.
//!
//! Owns the intervals between polls. Never reads a ring: the polled object is a trait.

use crate::wait::{Deadline, SPINS, Stop, Stopped, spin};
use core::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Time between two housekeeping checks of a waiting end, such as the check that the name still refers to the
/// segment.
const HOUSEKEEPING: Duration = Duration::from_millis(5);

/// Returns the sleep between two polls after a wait of length `waited`. The first sleeps are like Python's;
/// the longest is a millisecond, which costs a processor about half a percent.
pub(super) fn backoff(waited: Duration) -> Duration {
    match waited.as_millis() {
        0..20 => Duration::from_micros(50),
        20..1000 => Duration::from_micros(200),
        _ => Duration::from_millis(1),
    }
}

/// An object that an end can wait for.
pub(super) trait Poll {
    type Output;

    /// Polls once, without blocking.
    fn poll_once(&mut self) -> Option<Self::Output>;

    /// Does the housekeeping: checks conditions that change rarely.
    fn housekeeping(&mut self);

    /// Returns the time of the last housekeeping.
    fn last_housekeeping(&mut self) -> &mut Instant;

    /// Returns the handle that may stop the wait.
    fn stop(&self) -> &Stop;

    /// Returns the longest sleep between two polls.
    fn max_sleep(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// Polls once, and does the housekeeping if that is due.
#[inline]
pub(super) fn once<P: Poll>(target: &mut P) -> Option<P::Output> {
    if let Some(output) = target.poll_once() {
        return Some(output);
    }
    if housekeeping_if_due(target) { target.poll_once() } else { None }
}

/// Does the housekeeping if that is due. Returns `false` if it is not.
pub(super) fn housekeeping_if_due<P: Poll>(target: &mut P) -> bool {
    let now = Instant::now();
    if now.duration_since(*target.last_housekeeping()) < HOUSEKEEPING {
        return false;
    }
    *target.last_housekeeping() = now;
    target.housekeeping();
    true
}

/// Polls until there is a result. Returns `None` at the deadline. An available result is returned even if the
/// deadline has passed; a stop takes precedence over both.
pub(super) fn until<P: Poll>(target: &mut P, deadline: Deadline) -> Result<Option<P::Output>, Stopped> {
    target.stop().check()?;
    if let Some(output) = once(target) {
        return Ok(Some(output));
    }
    if let ControlFlow::Break(output) = spin(SPINS, deadline, || target.poll_once()) {
        return Ok(output);
    }
    let start = Instant::now();
    loop {
        let Some(left) = deadline.left() else { return Ok(None) };
        // No notification ends a sleep: it is so short that it ends soon after a stop.
        std::thread::sleep(backoff(start.elapsed()).min(target.max_sleep()).min(left));
        target.stop().check()?;
        if let Some(output) = once(target) {
            return Ok(Some(output));
        }
    }
}
