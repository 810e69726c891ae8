//! Dates and times, as Python's `datetime` module has them.
//!
//! Owns [`Date`], [`Time`] and [`DateTime`] with their text forms (ISO 8601, as `isoformat()` writes them)
//! and the ten bytes of a pickle. Calls `zone`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::TimeZone;
use super::leaf::{NoSuchValue, digits, fraction};

/// Python's `date`: years 1 to 9999 of the Gregorian calendar. Displays as `2024-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Returns the date, or `None` if there is no such day.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let real = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days).contains(&day);
        real.then_some(Self { year, month, day })
    }

    /// Returns the year: 1 to 9999.
    #[must_use]
    pub fn year(&self) -> u16 {
        self.year
    }

    /// Returns the month: 1 to 12.
    #[must_use]
    pub fn month(&self) -> u8 {
        self.month
    }

    /// Returns the day of the month: 1 to 31.
    #[must_use]
    pub fn day(&self) -> u8 {
        self.day
    }

    /// Returns the days since 1970-01-01, negative before it.
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    #[must_use]
    pub fn days_since_1970(&self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let month = (i64::from(self.month) + 9) % 12;
        let of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// Returns the date `days` after 1970-01-01, or `None` outside the years 1 to 9999.
    // From the same source: civil_from_days.
    #[must_use]
    pub fn from_days_since_1970(days: i64) -> Option<Self> {
        let days = days.checked_add(719_468)?;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Self::new(year.try_into().ok()?, month as u8, day as u8)
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
        Self::new(u16::from_be_bytes([bytes[0], bytes[1]]), bytes[2], bytes[3])
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.year.to_be_bytes();
        [high, low, self.month, self.day]
    }

    fn parse(rest: &mut &str) -> Option<Self> {
        let year = digits(rest, 4)?;
        *rest = rest.strip_prefix('-')?;
        let month = digits(rest, 2)?;
        *rest = rest.strip_prefix('-')?;
        Self::new(year as u16, month as u8, digits(rest, 2)? as u8)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Reads `2024-01-31`.
impl FromStr for Date {
    type Err = NoSuchValue;

    fn from_str(mut text: &str) -> Result<Self, NoSuchValue> {
        Self::parse(&mut text).filter(|_| text.is_empty()).ok_or(NoSuchValue("date"))
    }
}

/// Python's `time`: a time of day in whole microseconds, with or without a zone. Displays as
/// `03:04:05.000006+02:00`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Time {
    hour: u8,
    minute: u8,
    second: u8,
    fold: bool,
    microsecond: u32,
    zone: Option<Box<TimeZone>>,
}

impl Time {
    /// Returns the time without a zone, or `None` if there is no such time: 24:00 is none.
    #[must_use]
    pub fn new(hour: u8, minute: u8, second: u8, microsecond: u32) -> Option<Self> {
        let real = hour < 24 && minute < 60 && second < 60 && microsecond < 1_000_000;
        real.then_some(Self { hour, minute, second, fold: false, microsecond, zone: None })
    }

    /// Sets the zone.
    #[must_use]
    pub fn with_zone(self, zone: TimeZone) -> Self {
        Self { zone: Some(Box::new(zone)), ..self }
    }

    /// Selects one of two equal times when clocks are set back: `true` is the later one.
    #[must_use]
    pub fn with_fold(self, fold: bool) -> Self {
        Self { fold, ..self }
    }

    /// Returns the hour: 0 to 23.
    #[must_use]
    pub fn hour(&self) -> u8 {
        self.hour
    }

    /// Returns the minute: 0 to 59.
    #[must_use]
    pub fn minute(&self) -> u8 {
        self.minute
    }

    /// Returns the second: 0 to 59.
    #[must_use]
    pub fn second(&self) -> u8 {
        self.second
    }

    /// Returns the microsecond: 0 to 999,999.
    #[must_use]
    pub fn microsecond(&self) -> u32 {
        self.microsecond
    }

    /// Returns `true` for the later of two equal times when clocks are set back.
    #[must_use]
    pub fn fold(&self) -> bool {
        self.fold
    }

    /// Returns the zone, if it has one.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_deref()
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn from_bytes(bytes: [u8; 6]) -> Option<Self> {
        let [hour, minute, second, a, b, c] = bytes;
        // The top bit of the hour is the fold; in a datetime it is the top bit of the month.
        let time = Self::new(hour & 0x7f, minute, second, u32::from_be_bytes([0, a, b, c]))?;
        Some(time.with_fold(hour & 0x80 != 0))
    }

    /// Returns the bytes without the fold.
    #[cfg(feature = "pickle")]
    pub(crate) fn to_bytes(&self) -> [u8; 6] {
        let [_, a, b, c] = self.microsecond.to_be_bytes();
        [self.hour, self.minute, self.second, a, b, c]
    }

    /// Returns the text with everything that Python keeps.
    pub(super) fn wire(&self) -> String {
        let fold = if self.fold { "~" } else { "" };
        let zone = self.zone().map(TimeZone::wire).unwrap_or_default();
        format!("{}{zone}{fold}", self.clock())
    }

    fn clock(&self) -> String {
        let text = format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second);
        if self.microsecond == 0 { text } else { format!("{text}.{:06}", self.microsecond) }
    }

    fn parse(rest: &str) -> Option<Self> {
        let (mut rest, fold) = rest.strip_suffix('~').map_or((rest, false), |rest| (rest, true));
        let hour = digits(&mut rest, 2)?;
        rest = rest.strip_prefix(':')?;
        let minute = digits(&mut rest, 2)?;
        rest = rest.strip_prefix(':')?;
        let second = digits(&mut rest, 2)?;
        let mut microsecond = 0;
        if let Some(part) = rest.strip_prefix('.') {
            let end = part.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(part.len());
            microsecond = fraction(&part[..end])?;
            rest = &part[end..];
        }
        let time = Self::new(hour as u8, minute as u8, second as u8, microsecond)?.with_fold(fold);
        if rest.is_empty() { Some(time) } else { Some(time.with_zone(TimeZone::parse(rest)?)) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.clock())?;
        self.zone.as_ref().map_or(Ok(()), |zone| zone.fmt(f))
    }
}

/// Reads `03:04:05.000006+02:00`; fraction and zone may be missing.
impl FromStr for Time {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        Self::parse(text).ok_or(NoSuchValue("time"))
    }
}

/// Python's `datetime`: a date and a time, with or without a zone. Displays as `isoformat()` does:
/// `2024-01-31T03:04:05.000006+02:00`. With a `ZoneInfo` it displays as in RFC 9557, without the offset:
/// `2024-01-31T03:04:05[Europe/Prague]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    time: Time,
}

impl DateTime {
    /// Returns the time on that day; the zone is that of `time`.
    #[must_use]
    pub fn new(date: Date, time: Time) -> Self {
        Self { date, time }
    }

    /// Returns the point in time `microseconds` after 1970-01-01 UTC, in UTC; `None` outside the
    /// years 1 to 9999.
    #[must_use]
    pub fn from_unix_microseconds(microseconds: i64) -> Option<Self> {
        const DAY: i64 = 86_400_000_000;
        let (days, rest) = (microseconds.div_euclid(DAY), microseconds.rem_euclid(DAY));
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let time = Time::new(hour as u8, minute as u8, second as u8, micros as u32)?;
        Some(Self::new(Date::from_days_since_1970(days)?, time.with_zone(TimeZone::UTC)))
    }

    /// Returns the date.
    #[must_use]
    pub fn date(&self) -> Date {
        self.date
    }

    /// Returns the time of day, with the zone.
    #[must_use]
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// Returns the zone, if it has one.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        self.time.zone()
    }

    /// Returns the microseconds since 1970-01-01 UTC, exactly; `None` without a zone, and with a
    /// [`TimeZone::Zone`], which takes a time zone database.
    #[must_use]
    pub fn unix_microseconds(&self) -> Option<i64> {
        let offset = self.zone()?.offset()?.total_microseconds();
        let time = &self.time;
        let seconds = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second);
        let local =
            (self.date.days_since_1970() * 86_400 + seconds) * 1_000_000 + i64::from(time.microsecond);
        Some(local - offset as i64)
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn from_bytes(bytes: [u8; 10]) -> Option<Self> {
        let [a, b, month, d, time @ ..] = bytes;
        let date = Date::from_bytes([a, b, month & 0x7f, d])?;
        Some(Self::new(date, Time::from_bytes(time)?.with_fold(month & 0x80 != 0)))
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn with_zone(self, zone: TimeZone) -> Self {
        Self { time: self.time.with_zone(zone), ..self }
    }

    pub(super) fn wire(&self) -> String {
        format!("{}T{}", self.date, self.time.wire())
    }

    fn parse(mut text: &str) -> Option<Self> {
        let date = Date::parse(&mut text)?;
        let time = text.strip_prefix(['T', ' '])?;
        Some(Self::new(date, Time::parse(time)?))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date, self.time)
    }
}

/// Reads what [`Display`](fmt::Display) writes, with `T` or a space between.
impl FromStr for DateTime {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        Self::parse(text).ok_or(NoSuchValue("datetime"))
    }
}

/// Converts to UTC, rounded down to microseconds.
impl TryFrom<SystemTime> for DateTime {
    type Error = NoSuchValue;

    fn try_from(time: SystemTime) -> Result<Self, NoSuchValue> {
        let micros = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).ok(),
            Err(before) => i64::try_from(before.duration().as_nanos().div_ceil(1000)).ok().map(|n| -n),
        };
        micros.and_then(Self::from_unix_microseconds).ok_or(NoSuchValue("datetime"))
    }
}

/// Succeeds if [`unix_microseconds`](DateTime::unix_microseconds) is known.
impl TryFrom<&DateTime> for SystemTime {
    type Error = NoSuchValue;

    fn try_from(time: &DateTime) -> Result<Self, NoSuchValue> {
        let micros = time.unix_microseconds().ok_or(NoSuchValue("datetime with a fixed offset"))?;
        let span = Duration::from_micros(micros.unsigned_abs());
        let time = if micros < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) };
        time.ok_or(NoSuchValue("SystemTime"))
    }
}
