//! Points in time that every process reads the same way.

use super::super::describe::Layout;
use super::super::{Schema, ShmMessage};
use core::fmt;
use core::ops::{Add, AddAssign, Sub, SubAssign};
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch (1970-01-01 UTC), negative before it; the range is 1677 to 2262.
///
/// In numpy this is `datetime64[ns]`. Arithmetic saturates. The value follows the system's clock, which may
/// be set back: [`elapsed`](Timestamp::elapsed) is then zero, never negative.
///
/// ```
/// use shmcomm::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::from_nanos(1_700_000_000_123_456_789);
/// assert_eq!(start.to_string(), "2023-11-14T22:13:20.123456789Z");
/// assert_eq!((start + Duration::from_millis(5)).saturating_duration_since(start), Duration::from_millis(5));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "zerocopy",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[repr(transparent)]
pub struct Timestamp(
    /// Nanoseconds since the Unix epoch.
    pub i64,
);

impl Timestamp {
    /// 1970-01-01 UTC, and the default.
    pub const UNIX_EPOCH: Timestamp = Timestamp(0);

    /// Returns the time of the system's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Makes a timestamp from nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// Returns the nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Returns the seconds since the Unix epoch; exact to about 0.2 µs in this century.
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Makes a timestamp that is `since` after the Unix epoch.
    pub fn from_duration(since: Duration) -> Self {
        Timestamp(nanos(since))
    }

    /// Returns the time since this timestamp; zero if it lies in the future.
    pub fn elapsed(self) -> Duration {
        Timestamp::now().saturating_duration_since(self)
    }

    /// Returns the time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn saturating_duration_since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 })
    }

    /// Returns the time from `earlier` to `self`; `None` if `earlier` is later.
    pub const fn checked_duration_since(self, earlier: Timestamp) -> Option<Duration> {
        if self.0 < earlier.0 { None } else { Some(self.saturating_duration_since(earlier)) }
    }
}

/// Converts to nanoseconds. Saturates: `i64::MAX` nanoseconds are 292 years.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos(duration)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for Timestamp {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// The conversion saturates before 1677 and after 2262.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(nanos(since)),
            Err(before) => Timestamp(-nanos(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_nanos(time.0.unsigned_abs());
        let there =
            if time.0 < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        there.unwrap_or(UNIX_EPOCH)
    }
}

/// RFC 3339, in UTC: `2023-11-14T22:13:20.123456789Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the date of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years begin in
/// March here, so that the leap day is the last day of a year. Any 400 years are then 146,097 days.
// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

// SAFETY: an `i64`.
#[diagnostic::do_not_recommend]
unsafe impl ShmMessage for Timestamp {
    const LAYOUT: Layout<Self> = Layout::new(Schema::timestamp());
    #[inline(always)]
    fn is_valid(bytes: &[u8]) -> bool {
        bytes.len() == size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_dates_as_rfc_3339() {
        let shown = |nanos| Timestamp(nanos).to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(shown(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(shown(i64::MAX), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(shown(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn converts_to_system_time_and_back() {
        for nanos in [0, 1, -1, 1_700_000_000_123_456_789, i64::MAX, -i64::MAX] {
            let time = Timestamp(nanos);
            assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        }
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        assert_eq!(Timestamp(i64::MAX) + Duration::MAX, Timestamp(i64::MAX));
        assert_eq!(Timestamp(0) - Duration::MAX, Timestamp(-i64::MAX));
        let all = Timestamp(i64::MAX).saturating_duration_since(Timestamp(i64::MIN));
        assert_eq!(all, Duration::from_nanos(u64::MAX));
        assert_eq!(Timestamp(1).checked_duration_since(Timestamp(2)), None);
    }

    #[test]
    fn elapsed_is_never_negative() {
        // Miri has no clock of the system.
        if !cfg!(miri) {
            assert_eq!((Timestamp::now() + Duration::from_secs(60)).elapsed(), Duration::ZERO);
        }
    }
}
