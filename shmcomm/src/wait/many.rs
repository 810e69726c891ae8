//! Waiting for many events at once (Linux `futex_waitv`).
//!
//! Owns the view of an end for code that does not use the end ([`Watch`]), and the sleep in many futexes.
//! Calls `eventcount` for the order of steps, and `os`. Never touches an end: its user may use it at the
//! same time.

use super::{Deadline, MAX_SLEEP, eventcount};
use crate::os::{self, FUTEXES, FutexAt};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A futex, and the value that it has while nothing has happened.
pub(crate) type Word = (FutexAt, u32);

/// An awaited condition, for code that does not use the end. It stays valid whatever happens to
/// the end.
pub(crate) trait Watch: Send + Sync {
    /// Returns `true` if there is something to report: a message, capacity, an answer, or the fork of this
    /// process. Never calls the system.
    fn poll_once(&self) -> bool;

    /// Checks conditions that send no notification: dead peers, a replaced segment. Calls
    /// the system, so it is called at most about every [`MAX_SLEEP`]. Returns `true` if there is something to
    /// report, which later polls then report too.
    fn housekeeping(&self) -> bool;

    /// Sets the flag of waiters ([`super::EventCount::prepare_wait`]). Returns `None` if no notifier wakes.
    /// The caller must then call `eventcount::fence_waiter` and poll.
    fn prepare_wait(&self) -> Option<Word>;

    /// Returns the longest permitted sleep, at most [`MAX_SLEEP`].
    fn max_sleep(&self) -> Duration;

    /// Returns `true` if the condition can never be met again: the end was dropped, or the call was
    /// answered.
    fn is_over(&self) -> bool;
}

/// Sets the flag of waiters for all of them, and stores the futexes to sleep in in `words`. If a poll after
/// this call finds something, no sleep is needed. Everything that comes later ends the next [`sleep`].
pub(crate) fn prepare_wait<'w>(watches: impl IntoIterator<Item = &'w Arc<dyn Watch>>, words: &mut Vec<Word>) {
    words.clear();
    words.extend(watches.into_iter().filter_map(|watch| watch.prepare_wait()));
    eventcount::fence_waiter();
}

/// Returns `true` if one [`sleep`] takes this number of words.
pub(crate) fn can_sleep(words: usize) -> bool {
    words <= if os::waits_for_many() { FUTEXES } else { 1 }
}

/// Sleeps until one of the words has changed, at most `timeout`.
pub(crate) fn sleep(words: &[Word], timeout: Duration) {
    match *words {
        [] => std::thread::sleep(timeout),
        [(at, value)] => drop(os::futex_wait_at(at, value, timeout)),
        _ => drop(os::futex_wait_any(words, timeout)),
    }
}

/// The schedule of the housekeeping for conditions that send no notification (the tick).
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    next: Option<Instant>,
}

impl Ticks {
    /// Runs the housekeeping if it is due. Returns `true` if a watch has something to report.
    pub(crate) fn run<'w>(&mut self, watches: impl IntoIterator<Item = &'w Arc<dyn Watch>>) -> bool {
        let now = Instant::now();
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(next_tick(now));
        // All of them: the result of one watch must not prevent the housekeeping of the others.
        watches.into_iter().filter(|watch| watch.housekeeping()).count() > 0
    }

    /// Returns the time to sleep: the shortest of the times to the next round and to the deadline, and of the
    /// sleeps that the watches permit.
    pub(crate) fn max_sleep<'w>(
        &self,
        watches: impl IntoIterator<Item = &'w Arc<dyn Watch>>,
        deadline: Deadline,
    ) -> Duration {
        let due = self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()));
        let slice = watches.into_iter().fold(MAX_SLEEP, |slice, watch| slice.min(watch.max_sleep()));
        slice.min(due).min(deadline.left().unwrap_or_default())
    }
}

/// Returns the time of the next round (tick). All waits of this process share these times, so one wake
/// serves all.
pub(crate) fn next_tick(now: Instant) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = now.saturating_duration_since(*FIRST.get_or_init(|| now));
    let into = since.as_nanos() % MAX_SLEEP.as_nanos();
    // The remainder is less than a slice, so it fits.
    now + (MAX_SLEEP - Duration::from_nanos(into as u64))
}
