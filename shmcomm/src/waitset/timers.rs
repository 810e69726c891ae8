//! [`Timer`]: a time to report, once or periodically.
//!
//! Owns the next time, and the count of missed times. Calls nothing. Never reads a clock.

use std::time::{Duration, Instant};

pub(super) struct Timer<K> {
    pub(super) key: K,
    /// The next time; `None` after the last one.
    next: Option<Instant>,
    every: Option<Duration>,
}

impl<K> Timer<K> {
    pub(super) fn once(key: K, at: Instant) -> Self {
        Timer { key, next: Some(at), every: None }
    }

    /// Creates a periodic timer. A time that the clock cannot hold never comes.
    pub(super) fn again(key: K, start: Instant, every: Duration) -> Self {
        let every = every.max(Duration::from_nanos(1));
        Timer { key, next: start.checked_add(every), every: Some(every) }
    }

    /// Returns the next time at which it is due; `None` if it is never due again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Returns the number of times that have come since the last call. The times keep their place on the
    /// clock, however late the report is.
    pub(super) fn ticks(&mut self, now: Instant) -> u64 {
        let Some(next) = self.next.filter(|next| *next <= now) else { return 0 };
        let Some(every) = self.every else {
            self.next = None;
            return 1;
        };
        let late = now.duration_since(next).as_nanos();
        let missed = late / every.as_nanos();
        // Less than `every` of it remains.
        let left = every - nanoseconds(late % every.as_nanos());
        self.next = now.checked_add(left);
        u64::try_from(missed).unwrap_or(u64::MAX).saturating_add(1)
    }
}

fn nanoseconds(count: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    // Both parts come from a `Duration`, so the seconds fit.
    Duration::new((count / SECOND) as u64, (count % SECOND) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_timer_counts_missed_ticks_without_drift() {
        let (start, every) = (Instant::now(), Duration::from_millis(10));
        let mut timer = Timer::again((), start, every);
        assert_eq!(timer.ticks(start + Duration::from_nanos(9_999_999)), 0);
        assert_eq!(timer.ticks(start + every), 1);
        assert_eq!(timer.next(), Some(start + every * 2));
        assert_eq!(timer.ticks(start + Duration::from_millis(57)), 4);
        assert_eq!(timer.next(), Some(start + every * 6));
        assert_eq!(timer.ticks(start + every * 6 - Duration::from_nanos(1)), 0);
    }

    #[test]
    fn a_time_comes_once() {
        let now = Instant::now();
        let mut timer = Timer::once((), now);
        assert_eq!((timer.ticks(now), timer.ticks(now), timer.next()), (1, 0, None));
    }

    #[test]
    fn no_interval_is_too_short_or_too_long() {
        let now = Instant::now();
        let mut timer = Timer::again((), now, Duration::ZERO);
        assert_eq!(timer.ticks(now + Duration::from_micros(1)), 1000);
        assert_eq!(Timer::again((), now, Duration::MAX).ticks(now + Duration::from_secs(1)), 0);
    }
}
