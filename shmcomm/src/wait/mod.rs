//! Waiting: spin, yield, then sleep in a futex that all processes share.
//!
//! Owns the one store-load handshake of the project (`eventcount`), the deadline, and the order of the
//! phases. `block` waits for one end in its thread, `many` for many things at once. `task` does for tasks
//! what [`wait`] does for threads. It uses `reactor`, which also sleeps for sets. `stop` ends any of these
//! waits. `lease` announces sleepers that have no seat. Calls `os` for the clock and the futex. Never reads a ring: the caller passes the awaited
//! condition and the housekeeping between two sleeps as a trait.
//!
//! # Rules for every sleep
//!
//! 1. The handshake: see `eventcount`. A participant that sleeps has set the flag of waiters, and polled
//!    after that.
//! 2. While `MODE` is 0, notifiers skip the fence, the only expensive instruction. It is 0 as long as no
//!    participant has registered as a possible sleeper. The first sleep of a participant sets it under the
//!    registration lock, and the exit of the last such participant clears it. For the
//!    readers of a table, which have no seat, it is a lease: see `lease`. A notifier may load the old
//!    value for as long as a store takes to become visible, nanoseconds to microseconds. So the sleeps
//!    right after the announcement are short and grow ([`SleepBackoff`], [`max_sleep_since`]).
//! 3. No sleep is longer than [`MAX_SLEEP`]: a notifier may be killed between publishing and waking.

#[cfg(not(loom))]
mod block;
mod eventcount;
mod lease;
#[cfg(not(loom))]
mod many;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod reactor;
mod stop;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) mod task;

#[cfg(not(loom))]
pub(crate) use block::{EventCount, Seated, SleepBackoff, WaitFor, spin, wait};
#[cfg(not(loom))]
pub(crate) use lease::SeenLease;
#[cfg(not(loom))]
pub(crate) use many::{Ticks, Watch, Word, can_sleep, next_tick, prepare_wait, sleep};
#[cfg(not(loom))]
pub(crate) use reactor::WakeRegistration;
#[cfg(not(loom))]
pub use stop::StopHandle;
#[cfg(not(loom))]
pub(crate) use stop::{Stop, Stopped};

use std::time::{Duration, Instant};

/// The longest sleep between two checks of all conditions.
pub(crate) const MAX_SLEEP: Duration = Duration::from_millis(50);
/// The longest first sleep after an announcement.
const FIRST_SLEEP: Duration = Duration::from_millis(1);
/// Number of polls with a pause instruction in between: a few microseconds.
pub(crate) const SPINS: u32 = 128;
/// Number of polls with a yield of the processor in between.
const YIELDS: u32 = 8;

/// Returns the longest permitted sleep of a participant that announced itself at `announced` (rule 2).
pub(crate) fn max_sleep_since(announced: Instant) -> Duration {
    announced.elapsed().clamp(FIRST_SLEEP, MAX_SLEEP)
}

/// The end of a wait.
///
/// Ordered as on the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    At(Instant),
    Never,
}

impl Deadline {
    /// Returns the deadline after `timeout`. A time that the clock cannot hold is [`Deadline::Never`].
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Deadline::Never, Deadline::At)
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left().is_none()
    }

    /// Returns the remaining time; `None` once the deadline has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Deadline::Never => Some(Duration::MAX),
            Deadline::At(at) => at.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()),
        }
    }
}
