//! Values of Python's standard library that have a text: dates, decimals, paths and the like.
//!
//! Owns the list of these values, with the reserved name of each in serde. Each passes as its text, so that
//! formats which know none of the names still write something readable. Calls the modules of the types. The
//! text between a `Value` and a codec of this crate has everything that Python keeps; `Display` leaves out a
//! zone's name and the fold.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{
    Date, DateTime, Decimal, Fraction, Ip, MsgpackTimestamp, PyPath, Time, TimeDelta, TimeZone, Uuid, Value,
};

/// Error for a text or number that is not the requested value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchValue(pub(super) &'static str);

impl fmt::Display for NoSuchValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid {}", self.0)
    }
}

impl std::error::Error for NoSuchValue {}

/// Takes exactly `count` ASCII digits off the front.
pub(super) fn digits(rest: &mut &str, count: usize) -> Option<u32> {
    let text = rest.get(..count).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    *rest = &rest[count..];
    text.parse().ok()
}

/// Reads up to six digits behind a point as microseconds.
pub(super) fn fraction(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse::<u32>().ok()? * 10u32.pow(6 - text.len() as u32))
}

/// A value with a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    DateTime(DateTime),
    Date(Date),
    Time(Time),
    TimeDelta(TimeDelta),
    TimeZone(TimeZone),
    Decimal(Decimal),
    Fraction(Fraction),
    Uuid(Uuid),
    Path(PyPath),
    Ip(Ip),
    Timestamp(MsgpackTimestamp),
}

#[cfg(feature = "pickle")]
impl Leaf {
    /// Returns the value as a whole number, if nothing is lost: seconds for times.
    pub(crate) fn to_int(&self) -> Option<i128> {
        let seconds = |micros: i128| (micros % 1_000_000 == 0).then_some(micros / 1_000_000);
        match self {
            Self::DateTime(time) => seconds(time.unix_microseconds()?.into()),
            Self::TimeDelta(delta) => seconds(delta.total_microseconds()),
            Self::Timestamp(stamp) => (stamp.nanoseconds() == 0).then_some(stamp.seconds().into()),
            Self::Decimal(decimal) => decimal.to_i128(),
            Self::Fraction(fraction) => fraction.to_i128(),
            _ => None,
        }
    }

    /// Returns the value as a number, rounded: seconds for times.
    pub(crate) fn to_float(&self) -> Option<f64> {
        match self {
            Self::DateTime(time) => Some(time.unix_microseconds()? as f64 / 1e6),
            Self::TimeDelta(delta) => Some(delta.total_seconds()),
            Self::Timestamp(stamp) => Some(stamp.to_f64()),
            Self::Decimal(decimal) => Some(decimal.to_f64()),
            Self::Fraction(fraction) => fraction.to_f64(),
            _ => None,
        }
    }

    /// Returns the cost of printing, as the number of bytes that take equally long to copy.
    pub(crate) fn print_cost(&self) -> usize {
        match self {
            // Decimal digits take time that grows with the square of their number.
            Self::Fraction(fraction) => {
                let len = |n: &super::BigInt| n.as_le_bytes().len();
                (len(fraction.numerator()) + len(fraction.denominator())).pow(2) / 256
            }
            _ => 0,
        }
    }

    /// Returns the span of time, if it is a span and not negative.
    pub(crate) fn to_duration(&self) -> Option<std::time::Duration> {
        match self {
            Self::TimeDelta(delta) => (*delta).try_into().ok(),
            _ => None,
        }
    }
}

macro_rules! leaves {
    ($($kind:ident($type:ident), $name:literal, $python:literal, $text:ident, $boxed:ident;)*) => {
        impl Leaf {
            /// Reads the leaf of a reserved name; returns `None` for other names.
            pub(crate) fn read(name: &str, text: &str) -> Option<Result<Self, NoSuchValue>> {
                match name {
                    $($name => Some(text.parse().map(Self::$kind)),)*
                    _ => None,
                }
            }

            /// Returns the reserved name.
            #[cfg(feature = "pickle")]
            pub(crate) fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }

            /// Returns the text with everything that Python keeps.
            #[cfg(feature = "pickle")]
            pub(crate) fn wire(&self) -> String {
                match self {
                    $(Self::$kind(leaf) => leaf.$text(),)*
                }
            }

            /// Returns Python's name for the kind.
            #[cfg(feature = "pickle")]
            pub(crate) fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $python,)*
                }
            }
        }

        /// Returns `true` for the reserved name of a leaf.
        #[cfg(feature = "msgpack")]
        pub(crate) fn is_leaf(name: &str) -> bool {
            matches!(name, $($name)|*)
        }

        impl fmt::Display for Leaf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(leaf) => leaf.fmt(f),)*
                }
            }
        }

        $(
            impl From<$type> for Value {
                fn from(leaf: $type) -> Self {
                    Self::$kind(leaves!(@$boxed leaf))
                }
            }

            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    if serializer.is_human_readable() {
                        serializer.collect_str(self)
                    } else {
                        serializer.serialize_newtype_struct($name, &self.$text())
                    }
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_newtype_struct($name, Text(std::marker::PhantomData::<Self>, $python))
                }
            }
        )*
    };
    (@boxed $leaf:ident) => { Box::new($leaf) };
    (@plain $leaf:ident) => { $leaf };
}

leaves! {
    DateTime(DateTime), "$shmcomm::DateTime", "datetime", wire, plain;
    Date(Date), "$shmcomm::Date", "date", to_string, plain;
    Time(Time), "$shmcomm::Time", "time", wire, plain;
    TimeDelta(TimeDelta), "$shmcomm::TimeDelta", "timedelta", to_string, plain;
    TimeZone(TimeZone), "$shmcomm::TimeZone", "timezone", wire, boxed;
    Decimal(Decimal), "$shmcomm::Decimal", "Decimal", to_string, plain;
    Fraction(Fraction), "$shmcomm::Fraction", "Fraction", wire, boxed;
    Uuid(Uuid), "$shmcomm::Uuid", "UUID", to_string, plain;
    Path(PyPath), "$shmcomm::Path", "path", wire, boxed;
    Ip(Ip), "$shmcomm::Ip", "IP address", wire, boxed;
    Timestamp(MsgpackTimestamp), "$shmcomm::Timestamp", "msgpack.Timestamp", to_string, plain;
}

/// Reads a leaf from its text; some leaves also from the types of other formats.
struct Text<T>(std::marker::PhantomData<T>, &'static str);

impl<'de, T: std::str::FromStr<Err = NoSuchValue>> Visitor<'de> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    /// Reads an extension of msgpack: its timestamp.
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let code: Option<i8> = seq.next_element()?;
        let ext = match code {
            Some(code) => seq.next_element::<super::extension::Payload>()?.map(|data| (code, data)),
            None => None,
        };
        let stamp = ext.and_then(|(code, data)| MsgpackTimestamp::from_ext(code, &data.0));
        let text = stamp.and_then(|stamp| match self.1 {
            "datetime" => stamp.to_datetime().map(|time| time.to_string()),
            _ => Some(stamp.to_string()),
        });
        let text = text.and_then(|text| text.parse().ok());
        text.ok_or_else(|| de::Error::invalid_type(de::Unexpected::Seq, &self))
    }
}
