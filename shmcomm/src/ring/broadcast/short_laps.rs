//! [`ShortLaps`]: whether the writer walks over all slots, or reuses the last few.
//!
//! Owns the choice, its measurements, and the position at which a short lap begins. Calls the clock and the test of
//! the subscribers' positions that it is given. Never touches a slot: the [`Writer`](super::Writer) makes the holes.
//!
//! Sources: an allocator that returns the block that was freed last, because it is in the cache (Bonwick 1994, slab
//! allocator). The choice by own times is that of FFTW's planner (Frigo and Johnson 1998).
//!
//! A ring writes to all of its slots in turn. If a lap of large messages does not fit into the cache, both ends wait for
//! memory. A *short lap* uses the last [`SHORT`] slots again. The positions of all other slots become holes:
//!
//! ```text
//!  position    8    9   10   11   12   13   14   15   16   17   18   19
//!  slot        0    1    2    3    4    5    6    7    0    1    2    3        n = 8
//!                       done done hole hole hole hole hole hole done ▲
//!                                                                    └ the next message, over message 11
//! ```
//!
//! # The rules
//!
//! A short lap begins at `next - SHORT + n`, if
//!
//! 1. there is a subscriber, and all subscribers have received every message. So no message is overwritten that one of
//!    them waits for. A subscriber that stops now loses its first message after `n` more messages, as in a
//!    whole lap: the next `n` positions are in `n` slots.
//! 2. the slot is not pinned. Otherwise the writer would leave the short lap at once.
//! 3. no claim was dropped. Its slot is locked, and is claimed again first.
//!
//! The newest message stays until the next one is complete, because [`SHORT`] is 2. Observers and a new subscriber with a
//! history find it, and not more.
//!
//! The rules are for the service only. With any holes, readers are protected by stamps and pins, and a writer that
//! recovers the ring accepts them. So a wrong position in a seat costs messages, as with flow control.
//!
//! # The choice
//!
//! Short laps are faster if the two processors share a cache. If not, the lines of a slot that was used shortly before are
//! in the cache of the other processor, and the stores wait for them. The writer knows only its own time from claim to
//! publication. It measures some messages of both kinds, and makes laps of the faster kind until the next comparison:
//!
//! ```text
//!   try short ─┬─ subscribers lag, or messages are hardly written ──────────────→ whole laps ─┐
//!       ▲      ├─ the first time ──→ short laps ─→ try short ─→ …                             │
//!       │      └─→ try whole ─┬─ short laps take 5 % less ──→ short laps ─────────────────────┤
//!       │                     └─ otherwise ─────────────────→ whole laps ─────────────────────┤
//!       └─────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! It begins with short laps: in the first whole lap each slot is new to the cache, so its times would say nothing.

use crate::layout::{Discipline, Geometry};

/// Slots of a short lap. One less, and the newest message would be gone while the next one is written.
const SHORT: u64 = 2;

/// Size of slots, in bytes, from which laps may be short. Smaller messages stay in the cache anyway.
const FROM_SIZE: u64 = 256 << 10;

/// Returns `true` if messages are so large that a reader has time to pin one before the writer comes to the next.
pub(super) fn are_large(geometry: &Geometry) -> bool {
    geometry.discipline == Discipline::Pinned && geometry.slot_size >= FROM_SIZE
}

/// The numbers of slots with which laps may be short. With fewer a lap is as short as it can be. With more, the
/// holes take too much time.
const SLOTS: core::ops::RangeInclusive<u64> = 4..=64;

/// Number of messages of which a trial takes the median time.
const SAMPLES: usize = 16;

/// Messages of the first short laps, before the first comparison. Few in the interpreter, which is slow.
pub(super) const FIRST: u64 = if cfg!(miri) { 32 } else { 512 };

/// Messages from a comparison to the next.
pub(super) const HOLD: u64 = if cfg!(miri) { 64 } else { 2048 };

/// Time from claim to publication, in nanoseconds, below which short laps cannot pay for their holes.
const LEAST: u64 = 5_000;

/// Returns `true` if there are subscribers, and all of them have received everything before a position.
pub(crate) type Followed = Box<dyn Fn(u64) -> bool + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Try,
    Hold,
}

/// The choice of one writer.
pub(super) struct ShortLaps {
    slots: u64,
    clock: fn() -> u64,
    followed: Followed,
    phase: Phase,
    /// `true` if laps are short, where the rules allow it.
    short: bool,
    /// Messages until the phase ends at the latest.
    left: u64,
    /// The position at which the last short lap began.
    began: u64,
    /// When the slot was claimed that is measured.
    claimed: Option<u64>,
    /// Times of this phase, in nanoseconds for each KiB.
    times: Vec<u64>,
    /// The median of the last trial of short laps.
    median: Option<u64>,
}

impl ShortLaps {
    /// Returns `None` for a ring that gains nothing by short laps.
    pub(super) fn new(geometry: &Geometry, clock: fn() -> u64, followed: Followed) -> Option<Self> {
        if !are_large(geometry) || !SLOTS.contains(&geometry.slots) {
            return None;
        }
        let times = Vec::with_capacity(SAMPLES);
        let mut laps = ShortLaps {
            slots: geometry.slots,
            clock,
            followed,
            phase: Phase::Hold,
            short: true,
            left: 0,
            began: 0,
            claimed: None,
            times,
            median: None,
        };
        laps.begin(Phase::Try, true);
        Some(laps)
    }

    /// Prepares the claim of a message at `next`. Returns the position to which the writer must go first, if a short lap
    /// begins there. `claimable` tells if no reader pins the slot of a position.
    pub(super) fn choose(&mut self, next: u64, claimable: impl FnOnce(u64) -> bool) -> Option<u64> {
        if self.left == 0 {
            self.turn();
        }
        self.left -= 1;
        self.claimed = (self.phase == Phase::Try).then(self.clock);
        if !self.short || next < self.began + SHORT {
            return None;
        }
        let target = next - SHORT + self.slots;
        if (self.followed)(next) && claimable(target) {
            self.began = target;
            return Some(target);
        }
        // This message is part of a whole lap.
        self.claimed = None;
        None
    }

    /// Returns the number of messages that the writer may send without [`ShortLaps::choose`], from the one on that was
    /// claimed last.
    pub(super) fn next_choice(&mut self) -> u64 {
        if self.short || self.phase == Phase::Try {
            return 1;
        }
        1 + core::mem::take(&mut self.left)
    }

    /// Returns `true` if the claimed message is measured.
    #[inline(always)]
    pub(super) fn is_timed(&self) -> bool {
        self.claimed.is_some()
    }

    /// Records that the claimed message, of `len` bytes, was published.
    #[cold]
    pub(super) fn published(&mut self, len: usize) {
        let Some(claimed) = self.claimed.take() else { return };
        // The first messages of a phase meet slots that the other kind of laps left.
        if self.phase != Phase::Try || self.left > 2 * SAMPLES as u64 {
            return;
        }
        let time = (self.clock)().saturating_sub(claimed);
        if time < LEAST {
            return self.begin(Phase::Hold, false);
        }
        self.times.push(time.saturating_mul(1024) / len.max(1) as u64);
        if self.times.len() == SAMPLES {
            self.left = 0;
        }
    }

    /// Ends a phase, and begins the next one.
    fn turn(&mut self) {
        if self.phase == Phase::Hold {
            return self.begin(Phase::Try, true);
        }
        self.times.sort_unstable();
        let median = self.times.get(SAMPLES / 2).copied();
        match (self.short, median) {
            (true, Some(median)) => {
                let first = self.median.replace(median).is_none();
                if first {
                    self.begin(Phase::Hold, true);
                    self.left = FIRST;
                } else {
                    self.begin(Phase::Try, false);
                }
            }
            (true, None) => self.begin(Phase::Hold, false),
            (false, whole) => {
                let faster = |(short, whole): (u64, u64)| short < whole / 20 * 19;
                self.begin(Phase::Hold, self.median.zip(whole).is_some_and(faster));
            }
        }
    }

    /// Begins a phase with short or with whole laps.
    fn begin(&mut self, phase: Phase, short: bool) {
        self.times.clear();
        (self.phase, self.short) = (phase, short);
        self.left = match phase {
            Phase::Hold => HOLD,
            // In a trial of short laps some messages are not measured, because a subscriber lags.
            Phase::Try if short => 2 * SAMPLES as u64 + SHORT,
            Phase::Try => 2 * SAMPLES as u64 + self.slots,
        };
    }
}

impl core::fmt::Debug for ShortLaps {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ShortLaps")
            .field("phase", &self.phase)
            .field("short", &self.short)
            .finish_non_exhaustive()
    }
}
