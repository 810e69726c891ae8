//! [`Backpressure`]: flow control of a publisher with `overflow: Wait`, credit-based (Firedancer tango `fctl`,
//! LMAX Disruptor gating sequences).
//!
//! Owns the steps of a publisher at its limit: it scans the positions of the subscribers, recovers dead ones
//! and evicts stalled ones. Calls `gates`, `segment` and `wait`. Never touches a slot.
//!
//! ```text
//!   next position at the limit
//!     └─ scan ─ an eighth of the ring is free ────────────────────────────────→ take it
//!          └─ less ─ poll the gating subscriber for some µs, first when room is expected → scan
//!               ├─ room ───────────────────────────────────────────────────────→ take it
//!               └─ none ─ spin on the gating subscriber, until an eighth of the ring is free → scan
//!                    └─ before each sleep, 50 ms apart at most, and when a stall timeout ends:
//!                         recover dead subscribers, evict stalled subscribers, scan
//! ```
//!
//! Each scan and each poll takes the line of the position from its subscriber, whose next store waits until it has the
//! line again. So a publisher that has nearly filled the ring waits for more room than it needs, as credits come in batches
//! in credit-based flow control (Kung and Morris 1995). `pace` says after how many pauses it polls first; from then on it
//! polls with exponential backoff.
//!
//! A `try_send` that finds no room makes the steps before a sleep once, but recovers dead subscribers at most
//! every [`SCAN_PERIOD`], because it may be called in a loop.

use super::RawPublisher;
use super::pace::Pace;
use crate::layout::control;
use crate::os;
use crate::plural::count;
use crate::pubsub::gates::Gates;
use crate::pubsub::{PUBLISHER_SEAT, SendError};
use crate::ring::Writer;
use crate::segment::Attachment;
use crate::sync::spin_loop;
use crate::wait::{self, Deadline, EventCount, Seated, SleepBackoff, Stop, WaitFor};
use std::time::Duration;

/// Time between two liveness scans; each scan takes one system call per participant.
const SCAN_PERIOD: Duration = Duration::from_millis(20);

/// Longest sleep of a publisher while subscribers are in earlier segments, whose events are not its own.
const BEHIND: Duration = Duration::from_millis(1);

/// Pauses for which a publisher waits until an eighth of the ring is free, while less is. The processor decides how long
/// a pause takes: tens of nanoseconds.
const PAUSES: u64 = 256;

/// State of a publisher that waits for its subscribers.
pub(in crate::pubsub) struct Backpressure {
    gates: Gates,
    event: EventCount,
    backoff: SleepBackoff,
    pace: Pace,
    /// Time of the last liveness scan, in nanoseconds of the monotonic clock.
    scanned: u64,
    /// Time at which the first stall timeout of a blocking subscriber ends.
    due: Deadline,
}

impl Backpressure {
    /// Returns `true` if subscribers may be in earlier segments.
    pub(in crate::pubsub) fn is_behind(&self) -> bool {
        self.gates.is_behind()
    }

    /// Returns the number of live subscribers in earlier segments for which the publisher waits.
    pub(in crate::pubsub) fn gating_earlier(&self) -> usize {
        self.gates.gating_earlier()
    }

    pub(in crate::pubsub) fn new(attachment: &Attachment) -> Self {
        debug_assert_eq!(attachment.seat(), PUBLISHER_SEAT);
        let gates = Gates::new(attachment);
        let event = EventCount::new(attachment.region(), control::ROOM);
        let (backoff, pace) = (SleepBackoff::new(), Pace::default());
        Backpressure { gates, event, backoff, pace, scanned: 0, due: Deadline::Never }
    }
}

/// Number of attempts of a send to get room.
pub(in crate::pubsub) struct Attempts {
    deadline: Option<Deadline>,
    made: u32,
}

/// Attempts between two checks of the clock. A second attempt is necessary only if the last subscriber dies
/// or is evicted, or in a damaged segment.
const CHECK_EVERY: u32 = 64;

impl Attempts {
    pub(in crate::pubsub) fn new(deadline: Option<Deadline>) -> Self {
        Attempts { deadline, made: 0 }
    }

    /// Counts an attempt. Returns `true` every 64 attempts if the deadline has passed, or if there is no
    /// deadline.
    pub(in crate::pubsub) fn are_over(&mut self) -> bool {
        self.made = self.made.wrapping_add(1);
        if !self.made.is_multiple_of(CHECK_EVERY) {
            return false;
        }
        std::thread::yield_now();
        self.deadline.is_none_or(Deadline::has_passed)
    }
}

/// The parts of a publisher at its limit, borrowed for the wait.
struct AtLimit<'c> {
    attachment: &'c Attachment,
    writer: &'c mut Writer,
    backpressure: &'c mut Backpressure,
    stop: &'c Stop,
}

impl RawPublisher {
    /// Returns `true` if this process opened the publisher and no subscriber was added to its segment for which
    /// the publisher must rescan before it continues below its limit. While subscribers are in earlier segments, the
    /// [fast paths](RawPublisher::check_name) refuse every position.
    #[inline(always)]
    pub(in crate::pubsub) fn may_continue(&self) -> bool {
        if self.attachment.forked() {
            return false;
        }
        match &self.backpressure {
            None => true,
            Some(limit) => limit.gates.is_newest_current(),
        }
    }

    /// Returns `true` if a message can be sent now. With a deadline, waits for room and returns `false` at
    /// the deadline.
    pub(in crate::pubsub) fn ensure_room(&mut self, deadline: Option<Deadline>) -> Result<bool, SendError> {
        if self.attachment.forked() {
            return Err(SendError::Forked);
        }
        match &self.backpressure {
            None => Ok(true),
            Some(limit) if self.writer.has_credit() && limit.gates.is_current() => Ok(true),
            Some(_) => self.wait_for_credit(deadline),
        }
    }

    /// Waits like [`RawPublisher::ensure_room`], for a publisher without room, or with a ring whose slots are all
    /// pinned.
    #[cold]
    pub(in crate::pubsub) fn wait_for_credit(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<bool, SendError> {
        let RawPublisher { attachment, writer, backpressure: Some(backpressure), stop, .. } = self else {
            return Err(SendError::AllSlotsHeld);
        };
        let mut limited = AtLimit { attachment, writer, backpressure, stop };
        let has_room = limited.scan();
        if has_room && (deadline.is_none() || limited.may_have_eighth()) {
            return Ok(true);
        }
        let Some(deadline) = deadline else {
            limited.reclaim(SCAN_PERIOD);
            return Ok(limited.scan());
        };
        limited.poll_for_eighth();
        if limited.scan() {
            return Ok(true);
        }
        match wait::wait(&mut limited, deadline)? {
            Some(outcome) => outcome.map(|()| true),
            // Less than an eighth of the ring may be free, for which the publisher is not woken.
            None => Ok(limited.scan()),
        }
    }
}

#[cfg(feature = "async")]
impl RawPublisher {
    /// Waits in a task until there is room.
    pub(in crate::pubsub) async fn credit_async(&mut self) -> Result<(), SendError> {
        let RawPublisher { attachment, writer, backpressure: Some(backpressure), stop, .. } = self else {
            return Err(SendError::AllSlotsHeld);
        };
        wait::task::ready(&mut AtLimit { attachment, writer, backpressure, stop }).await?
    }
}

impl AtLimit<'_> {
    /// Scans the positions of the subscribers. Returns `true` if there is room now.
    fn scan(&mut self) -> bool {
        self.writer.set_limit(self.backpressure.gates.limit(self.writer.next_position()));
        self.writer.has_credit() && !self.writer.is_full()
    }

    /// Returns `true` if an eighth of the ring is free, as far as the subscriber that sets the limit is concerned.
    fn may_have_eighth(&self) -> bool {
        self.backpressure.gates.may_have_credit(self.writer.next_position())
    }

    /// Polls until an eighth of the ring is free, for some microseconds. Polls first when that is expected.
    fn poll_for_eighth(&mut self) {
        let next = self.writer.next_position();
        let Backpressure { gates, pace, .. } = &mut *self.backpressure;
        let Some(before) = gates.room(next) else { return };
        let worth = gates.worth();
        let (mut waited, mut pauses) = (0, pace.pauses(worth.saturating_sub(before)));
        while waited < PAUSES {
            let now = pauses.min(PAUSES - waited);
            (0..now).for_each(|_| spin_loop());
            waited += now;
            let Some(room) = gates.room(next) else { return };
            pace.observe(waited, room.saturating_sub(before));
            if room >= worth {
                return;
            }
            pauses = (waited / 2).max(1);
        }
    }

    /// Recovers dead subscribers, unless that was done within `pause`, and evicts subscribers whose stall
    /// timeout is over.
    fn reclaim(&mut self, pause: Duration) {
        let now = os::monotonic();
        if now.saturating_sub(self.backpressure.scanned) >= pause.as_nanos() as u64 {
            self.backpressure.scanned = now;
            self.attachment.recover_dead();
            for earlier in self.backpressure.gates.earlier() {
                earlier.recover_dead();
            }
        }
        let evicted = self.backpressure.gates.evict_stalled(self.writer.next_position(), now);
        self.backpressure.due = match self.backpressure.gates.eviction_due() {
            Some(due) => Deadline::after(Duration::from_nanos(due.saturating_sub(now))),
            None => Deadline::Never,
        };
        if self.backpressure.gates.is_behind() {
            let soon = Deadline::after(BEHIND);
            let due = &mut self.backpressure.due;
            *due = if due.left() < soon.left() { *due } else { soon };
        }
        if evicted > 0 {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: evicted {evicted} that made no progress for their stall timeout",
                self.attachment.channel(), evicted = count(evicted, "subscriber"));
        }
    }
}

impl WaitFor for AtLimit<'_> {
    type Output = Result<(), SendError>;

    fn poll_once(&mut self) -> Option<Self::Output> {
        (self.may_have_eighth() && self.scan()).then_some(Ok(()))
    }

    fn housekeeping(&mut self) -> Option<Self::Output> {
        if self.attachment.forked() {
            return Some(Err(SendError::Forked));
        }
        self.attachment.keep_name();
        self.reclaim(Duration::ZERO);
        self.scan().then_some(Ok(()))
    }

    fn due(&self) -> Deadline {
        self.backpressure.due
    }

    fn event(&self) -> EventCount {
        self.backpressure.event
    }

    fn backoff(&mut self) -> &mut SleepBackoff {
        &mut self.backpressure.backoff
    }

    fn seat(&self) -> &impl Seated {
        self.attachment
    }

    fn stop(&self) -> &Stop {
        self.stop
    }
}
