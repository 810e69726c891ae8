//! Waiting: spin, yield, then sleep in a futex that all processes share.
//!
//! Owns the one store-load handshake of the project (`handshake`), the deadline, and the order of the
//! phases: for one end and its thread in `single`, for many things at once in `many`. `task` does for
//! tasks what [`wait`] does for threads, with the help of `reactor`, which also sleeps for sets. Calls
//! `os` for the clock and the futex. Never reads a ring: what is waited for comes as a trait, and so
//! does what is to be looked after between two sleeps.
//!
//! # Rules for all who sleep
//!
//! 1. The handshake: see `handshake`. Whoever sleeps has asked to be woken, and looked after that.
//! 2. `MODE` spares notifiers the fence, the only dear instruction, as long as nobody has ever wanted
//!    to sleep. It is set under the registration lock by the first sleep of a participant, and
//!    cleared when the last such participant has left. A notifier may read the old value for as long
//!    as a store takes to become visible, nanoseconds to microseconds; so the sleeps right after the
//!    announcement are short and grow ([`Patience`], [`slice_since`]).
//! 3. No sleep is longer than [`SLICE`]: a notifier may be killed between publishing and waking.

mod handshake;
#[cfg(not(loom))]
mod many;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod reactor;
#[cfg(not(loom))]
mod single;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) mod task;

#[cfg(not(loom))]
pub(crate) use many::{Rounds, Watch, Word, ask, can_sleep, next_round, sleep};
#[cfg(not(loom))]
pub(crate) use reactor::Alarm;
#[cfg(not(loom))]
pub(crate) use single::{Await, Event, Patience, wait};

use std::time::{Duration, Instant};

/// The longest sleep between two looks at the state of the world.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// The first sleep after an announcement.
const FIRST_SLICE: Duration = Duration::from_millis(1);
/// Looks with a pause instruction in between: a few microseconds.
pub(crate) const SPINS: u32 = 128;
/// Looks with the processor offered to others in between.
pub(crate) const YIELDS: u32 = 8;

/// How long a sleep may be now, of a participant that announced itself then (2).
pub(crate) fn slice_since(announced: Instant) -> Duration {
    announced.elapsed().clamp(FIRST_SLICE, SLICE)
}

/// Until when to wait.
///
/// Ordered as on the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    At(Instant),
    Never,
}

impl Deadline {
    /// A time that the clock cannot hold is never.
    pub(crate) fn after(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Deadline::Never, Deadline::At)
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left().is_none()
    }

    /// What is left; `None` once it has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Deadline::Never => Some(Duration::MAX),
            Deadline::At(at) => at.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()),
        }
    }
}
