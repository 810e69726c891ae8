//! [`Terms`]: what a subscriber has beyond its place in the ring, on channels that ask for it.
//!
//! Owns its share of the window, where the publisher waits, and the clock of one that expects messages at
//! regular times. Calls `ring::window`. Never reads the ring. A subscriber without either has none of this,
//! and pays one test a message for it.

use crate::ring::window::Share;
use crate::wait::{Deadline, Event};
use std::time::{Duration, Instant};

pub(super) struct Terms {
    pub(super) window: Option<Wanted>,
    pub(super) expect: Option<Expect>,
}

/// A share of the window, and whom to wake when it moves.
pub(super) struct Wanted {
    pub(super) share: Share,
    pub(super) room: Event,
}

impl Wanted {
    /// Everything before `position` was read.
    #[inline(always)]
    pub(super) fn moved(&mut self, position: u64) {
        if self.share.moved(position) {
            self.room.notify();
        }
    }
}

/// The expectation that a message comes in every period.
pub(super) struct Expect {
    period: Duration,
    /// When the last message was received, or the subscriber opened.
    last: Instant,
    /// When the next period without a message is over; `None` beyond what the clock can hold.
    due: Option<Instant>,
}

/// How long no message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) silent: Duration,
    pub(super) expected: Duration,
}

impl Expect {
    /// Nothing for a period of zero: that is no expectation.
    pub(super) fn new(period: Duration) -> Option<Self> {
        let last = Instant::now();
        (!period.is_zero()).then(|| Expect { period, last, due: last.checked_add(period) })
    }

    /// A message came.
    pub(super) fn met(&mut self) {
        self.last = Instant::now();
        self.due = self.last.checked_add(self.period);
    }

    /// Whether a period has passed since the last message, of which nothing was said yet. However many they
    /// are, it is said once, and again at the end of the next one.
    pub(super) fn missed(&mut self) -> Option<Silence> {
        let now = Instant::now();
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let silent = now.saturating_duration_since(self.last);
        let into = silent.as_nanos() % self.period.as_nanos();
        // What is left of a period is shorter than it, and so than u64.
        let left = self.period.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX)));
        self.due = now.checked_add(left);
        Some(Silence { silent, expected: self.period })
    }

    /// When a message will be missed.
    pub(super) fn due(&self) -> Deadline {
        self.due.map_or(Deadline::Never, Deadline::At)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_without_a_message_are_said_once_and_go_on_from_the_last_message() {
        let period = Duration::from_millis(10);
        let mut expect = Expect::new(period).unwrap();
        let ago =
            |ms| Instant::now().checked_sub(Duration::from_millis(ms)).expect("the machine is up for long");
        assert_eq!(expect.missed(), None);
        // Three and a half periods ago, and nobody looked.
        expect.last = ago(35);
        expect.due = expect.last.checked_add(period);
        let silence = expect.missed().expect("a period has passed");
        assert!(silence.silent >= Duration::from_millis(35) && silence.expected == period, "{silence:?}");
        assert_eq!(expect.missed(), None, "said before");
        // The next one ends a whole number of periods after the last message.
        let after = expect.due.unwrap().duration_since(expect.last);
        assert!(after >= Duration::from_millis(40));
        assert_eq!(after.as_nanos() % period.as_nanos(), 0, "{after:?}");
        expect.met();
        assert_eq!(expect.missed(), None);
    }

    #[test]
    fn zero_and_ages_are_no_expectations() {
        assert!(Expect::new(Duration::ZERO).is_none());
        let mut never = Expect::new(Duration::MAX).unwrap();
        assert_eq!((never.missed(), never.due()), (None, Deadline::Never));
    }
}
