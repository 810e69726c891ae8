//! Spans of time and time zones, as Python's `datetime` module has them.
//!
//! Owns [`TimeDelta`] and [`TimeZone`] with their text forms (ISO 8601). Calls nothing; knows no rules of
//! zones, only their names.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::leaf::{NoSuchValue, digits, fraction};

const DAY: i64 = 86_400;

/// Python's `timedelta`: a span of whole microseconds, up to 999,999,999 days in both directions.
///
/// Displays as an ISO 8601 duration: `P1DT2.5S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeDelta {
    days: i32,
    /// Seconds: 0 to 86,399.
    seconds: u32,
    /// Microseconds: 0 to 999,999.
    microseconds: u32,
}

impl TimeDelta {
    /// Returns the span, or `None` beyond 999,999,999 days.
    #[must_use]
    pub fn new(days: i64, seconds: i64, microseconds: i64) -> Option<Self> {
        let total = i128::from(days) * i128::from(DAY) + i128::from(seconds);
        Self::from_microseconds(total * 1_000_000 + i128::from(microseconds))
    }

    /// Returns a span of `microseconds`, or `None` beyond 999,999,999 days.
    #[must_use]
    pub fn from_microseconds(microseconds: i128) -> Option<Self> {
        let (seconds, rest) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
        let (days, seconds) = (seconds.div_euclid(DAY.into()), seconds.rem_euclid(DAY.into()));
        let days = i32::try_from(days).ok().filter(|days| days.unsigned_abs() <= 999_999_999)?;
        Some(Self { days, seconds: seconds as u32, microseconds: rest as u32 })
    }

    /// Returns the whole days, rounded down.
    #[must_use]
    pub fn days(&self) -> i32 {
        self.days
    }

    /// Returns the whole seconds after [`days`](Self::days): 0 to 86,399.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Returns the microseconds after [`seconds`](Self::seconds): 0 to 999,999.
    #[must_use]
    pub fn microseconds(&self) -> u32 {
        self.microseconds
    }

    /// Returns the span in microseconds, exactly.
    #[must_use]
    pub fn total_microseconds(&self) -> i128 {
        self.total_seconds_down() * 1_000_000 + i128::from(self.microseconds)
    }

    /// Returns the span in seconds, rounded as a `f64` is.
    #[must_use]
    pub fn total_seconds(&self) -> f64 {
        self.total_microseconds() as f64 / 1e6
    }

    fn total_seconds_down(&self) -> i128 {
        i128::from(self.days) * i128::from(DAY) + i128::from(self.seconds)
    }
}

impl fmt::Display for TimeDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total_microseconds();
        let (sign, total) = (if total < 0 { "-" } else { "" }, total.unsigned_abs());
        let (seconds, microseconds) = (total / 1_000_000, total % 1_000_000);
        let (days, seconds) = (seconds / DAY as u128, seconds % DAY as u128);
        write!(f, "{sign}P")?;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        match (days, seconds, microseconds) {
            (1.., 0, 0) => Ok(()),
            (_, _, 0) => write!(f, "T{seconds}S"),
            _ => write!(f, "T{seconds}.{microseconds:06}S"),
        }
    }
}

/// Reads an ISO 8601 duration of days, hours, minutes and seconds.
impl FromStr for TimeDelta {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        parse_delta(text).ok_or(NoSuchValue("timedelta"))
    }
}

fn parse_delta(text: &str) -> Option<TimeDelta> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let rest = rest.strip_prefix('P')?;
    let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    if date.is_empty() && time.is_none_or(str::is_empty) {
        return None;
    }
    let number = |text: &str| -> Option<i128> {
        let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
        if plain { text.parse().ok() } else { None }
    };
    let mut total = match date {
        "" => 0,
        days => number(days.strip_suffix('D')?)? * i128::from(DAY) * 1_000_000,
    };
    let mut rest = time.unwrap_or_default();
    for (unit, seconds) in [('H', 3600), ('M', 60), ('S', 1)] {
        let Some((count, after)) = rest.split_once(unit) else { continue };
        let (whole, micros) = match count.split_once('.') {
            Some((whole, part)) if unit == 'S' => (whole, fraction(part)?),
            _ => (count, 0),
        };
        total += number(whole)? * seconds * 1_000_000 + i128::from(micros);
        rest = after;
    }
    if rest.is_empty() { TimeDelta::from_microseconds(sign * total) } else { None }
}

/// A span that is not negative.
impl TryFrom<TimeDelta> for Duration {
    type Error = NoSuchValue;

    fn try_from(delta: TimeDelta) -> Result<Self, NoSuchValue> {
        let seconds = u64::try_from(delta.total_seconds_down()).map_err(|_| NoSuchValue("Duration"))?;
        Ok(Duration::new(seconds, delta.microseconds * 1000))
    }
}

/// The span in whole microseconds, rounded down.
impl TryFrom<Duration> for TimeDelta {
    type Error = NoSuchValue;

    fn try_from(duration: Duration) -> Result<Self, NoSuchValue> {
        let micros = i128::try_from(duration.as_micros()).ok();
        micros.and_then(Self::from_microseconds).ok_or(NoSuchValue("timedelta"))
    }
}

/// Python's `timezone` (a fixed offset) or `ZoneInfo` (a name of the IANA database).
///
/// Displays as the offset (`+02:00`) or the name in brackets (`[Europe/Prague]`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeZone {
    /// `datetime.timezone(offset)`, with a name if it was given one.
    Fixed {
        /// Local time minus UTC: less than a day in both directions.
        offset: TimeDelta,
        /// The name, if it is not made from the offset.
        name: Option<String>,
    },
    /// `zoneinfo.ZoneInfo(key)`, whose offset only the time zone database contains.
    Zone(String),
}

impl TimeZone {
    /// `datetime.timezone.utc`.
    pub const UTC: Self =
        Self::Fixed { offset: TimeDelta { days: 0, seconds: 0, microseconds: 0 }, name: None };

    /// Returns the zone that is `seconds` ahead of UTC; `None` for a day or more.
    #[must_use]
    pub fn fixed(seconds: i32) -> Option<Self> {
        Self::offset_of(TimeDelta::new(0, seconds.into(), 0)?, None)
    }

    pub(crate) fn offset_of(offset: TimeDelta, name: Option<String>) -> Option<Self> {
        const DAY_IN_MICROSECONDS: u128 = DAY as u128 * 1_000_000;
        (offset.total_microseconds().unsigned_abs() < DAY_IN_MICROSECONDS)
            .then_some(Self::Fixed { offset, name })
    }

    /// Returns local time minus UTC, if it is known without a time zone database.
    #[must_use]
    pub fn offset(&self) -> Option<TimeDelta> {
        match self {
            Self::Fixed { offset, .. } => Some(*offset),
            Self::Zone(_) => None,
        }
    }

    /// Returns the text with everything that Python keeps.
    pub(super) fn wire(&self) -> String {
        match self {
            Self::Fixed { name: Some(name), .. } => format!("{self}({name})"),
            _ => self.to_string(),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(key) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return (!key.is_empty()).then(|| Self::Zone(key.to_owned()));
        }
        if matches!(text, "Z" | "UTC") {
            return Some(Self::UTC);
        }
        let (offset, name) = match text.split_once('(') {
            Some((offset, name)) => (offset, Some(name.strip_suffix(')')?.to_owned())),
            None => (text, None),
        };
        let (sign, mut rest) = match offset.as_bytes().first()? {
            b'+' => (1, &offset[1..]),
            b'-' => (-1, &offset[1..]),
            _ => return None,
        };
        let hours = i128::from(digits(&mut rest, 2)?);
        let mut total = hours * 3600;
        for unit in [60, 1] {
            let Some(after) = rest.strip_prefix(':') else { break };
            rest = after;
            total += i128::from(digits(&mut rest, 2).filter(|&n| n < 60)?) * unit;
        }
        let micros = match rest.strip_prefix('.') {
            Some(part) => fraction(part)?,
            None if rest.is_empty() => 0,
            None => return None,
        };
        let offset = TimeDelta::from_microseconds(sign * (total * 1_000_000 + i128::from(micros)))?;
        Self::offset_of(offset, name)
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = match self {
            Self::Fixed { offset, .. } => offset.total_microseconds(),
            Self::Zone(key) => return write!(f, "[{key}]"),
        };
        let (sign, total) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        let (seconds, micros) = (total / 1_000_000, total % 1_000_000);
        write!(f, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
        if seconds % 60 != 0 || micros != 0 {
            write!(f, ":{:02}", seconds % 60)?;
        }
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        Ok(())
    }
}

/// Reads an offset (`+02:00`), `Z`, or a name in brackets.
impl FromStr for TimeZone {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        Self::parse(text).ok_or(NoSuchValue("timezone"))
    }
}
