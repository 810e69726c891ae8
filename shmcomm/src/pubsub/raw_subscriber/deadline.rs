//! [`Credit`] and [`Monitor`]: flow control and deadline monitor of a subscriber, on channels that ask for them.
//!
//! Owns the subscriber's share of the window on a channel with `overflow: Wait`, and the clock of a
//! subscriber that expects messages at regular times. Calls `ring::flow_control`. Never reads the ring. A
//! subscriber without either pays one test per message on the fast path, and two elsewhere.

use super::RawSubscriber;
use super::RecvError;
use crate::ring::flow_control::GatingSequence;
use crate::wait::{Deadline, EventCount, WaitFor};
use std::time::{Duration, Instant};

/// A share of the window, and the event that wakes the publisher when the share moves.
pub(in crate::pubsub) struct Credit {
    pub(in crate::pubsub) share: GatingSequence,
    pub(in crate::pubsub) room: EventCount,
}

impl Credit {
    /// Records that every message before `position` was read.
    #[inline(always)]
    pub(in crate::pubsub) fn moved(&mut self, position: u64) {
        if self.share.consumed(position) {
            self.room.notify();
        }
    }
}

/// The expectation that a message comes in every period.
pub(in crate::pubsub) struct Monitor {
    period: Duration,
    /// Time at which the last message was received, or the subscriber was opened.
    last: Instant,
    /// Time at which the next period without a message ends; `None` beyond the range of the clock.
    due: Option<Instant>,
    /// `true` after `Disconnected` was returned: no message is expected until a publisher is alive.
    absent: bool,
}

/// Time without a message, and the expected period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pubsub) struct DeadlineMonitor {
    pub(in crate::pubsub) silent: Duration,
    pub(in crate::pubsub) expected: Duration,
}

impl Monitor {
    /// Returns `None` for a period of zero, which is no expectation.
    pub(in crate::pubsub) fn new(period: Duration) -> Option<Self> {
        let last = Instant::now();
        (!period.is_zero()).then(|| Monitor { period, last, due: last.checked_add(period), absent: false })
    }

    /// Records a message.
    pub(in crate::pubsub) fn met(&mut self) {
        self.last = Instant::now();
        self.due = self.last.checked_add(self.period);
        self.absent = false;
    }

    /// Records that no publisher is alive and `Disconnected` is returned.
    pub(in crate::pubsub) fn gone(&mut self) {
        self.absent = true;
    }

    /// Returns `true` from the time when no publisher was alive until one is found alive.
    pub(in crate::pubsub) fn is_absent(&self) -> bool {
        self.absent
    }

    /// Records that a publisher is alive again. A message is expected by `due`, or in a period from now.
    pub(in crate::pubsub) fn back(&mut self, due: Option<Instant>) {
        self.absent = false;
        self.due = due.or_else(|| Instant::now().checked_add(self.period));
    }

    /// Returns `true` if a period has passed that was not reported yet.
    pub(in crate::pubsub) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    pub(in crate::pubsub) fn period(&self) -> Duration {
        self.period
    }

    /// Returns the time without a message if an unreported period has passed since the last message. Several
    /// periods are reported once, and the next report follows at the end of the next period.
    pub(in crate::pubsub) fn missed(&mut self) -> Option<DeadlineMonitor> {
        let now = Instant::now();
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let silent = now.saturating_duration_since(self.last);
        let into = silent.as_nanos() % self.period.as_nanos();
        // The rest of a period is shorter than the period, so it fits into u64.
        let left = self.period.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX)));
        self.due = now.checked_add(left);
        Some(DeadlineMonitor { silent, expected: self.period })
    }

    /// Returns the time at which a message will be missed.
    pub(in crate::pubsub) fn due(&self) -> Deadline {
        self.due.map_or(Deadline::Never, Deadline::At)
    }
}

impl RawSubscriber {
    pub(in crate::pubsub) fn expect(&self) -> Option<&Monitor> {
        self.expect.as_deref()
    }

    pub(in crate::pubsub) fn expect_mut(&mut self) -> Option<&mut Monitor> {
        self.expect.as_deref_mut()
    }

    /// Returns the period in which a message is expected, or zero without an expectation.
    pub(in crate::pubsub) fn period(&self) -> Duration {
        self.expect().map_or(Duration::ZERO, Monitor::period)
    }

    /// Fails if an expected message is missing and that was not reported yet: with `Missed` while a publisher
    /// is alive, with `Disconnected` otherwise.
    pub(in crate::pubsub) fn missed(&mut self) -> Result<(), RecvError> {
        let Some(expect) = self.expect() else { return Ok(()) };
        let absent = expect.is_absent();
        if !absent && !expect.is_due() {
            return Ok(());
        }
        // At most once a period, except while no publisher is alive: a system call.
        if !self.publisher_alive() {
            return self.without_publisher();
        }
        if absent {
            // A watcher may have noticed earlier that a publisher is alive again.
            let due = self.watched.get().and_then(|watched| watched.resumed());
            if let Some(expect) = self.expect_mut() {
                expect.back(due);
            }
            self.show_due();
        }
        let Some(DeadlineMonitor { silent, expected }) = self.expect_mut().and_then(Monitor::missed) else {
            return Ok(());
        };
        self.show_due();
        Err(RecvError::Missed { silent, expected })
    }

    /// Records that an expected message was received.
    #[inline(never)]
    pub(in crate::pubsub) fn met(&mut self) {
        if let Some(expect) = self.expect_mut() {
            expect.met();
            self.show_due();
        }
    }

    /// Stores for wait sets when the next message will be missed.
    pub(in crate::pubsub) fn show_due(&self) {
        if let Some(watched) = self.watched.get() {
            watched.expect(self.due(), self.period());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_period_is_reported_once_and_restarts() {
        let period = Duration::from_millis(10);
        let mut expect = Monitor::new(period).unwrap();
        let ago =
            |ms| Instant::now().checked_sub(Duration::from_millis(ms)).expect("the machine is up for long");
        assert_eq!(expect.missed(), None);
        // The last message came three and a half periods ago, and no call has checked since.
        expect.last = ago(35);
        expect.due = expect.last.checked_add(period);
        let silence = expect.missed().expect("a period has passed");
        assert!(silence.silent >= Duration::from_millis(35) && silence.expected == period, "{silence:?}");
        assert_eq!(expect.missed(), None, "said before");
        // The next period ends a whole number of periods after the last message.
        let after = expect.due.unwrap().duration_since(expect.last);
        assert!(after >= Duration::from_millis(40));
        assert_eq!(after.as_nanos() % period.as_nanos(), 0, "{after:?}");
        expect.met();
        assert_eq!(expect.missed(), None);
        // After an absence the first period begins when a publisher is alive again.
        expect.due = Some(ago(1));
        expect.gone();
        assert!(expect.is_due() && expect.is_absent());
        expect.back(None);
        assert!(!expect.is_due() && !expect.is_absent());
    }

    #[test]
    fn zero_and_ages_are_no_expectations() {
        assert!(Monitor::new(Duration::ZERO).is_none());
        let mut never = Monitor::new(Duration::MAX).unwrap();
        assert_eq!((never.missed(), never.due()), (None, Deadline::Never));
    }
}
