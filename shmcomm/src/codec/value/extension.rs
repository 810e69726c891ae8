//! The extension types of msgpack.
//!
//! Owns [`MsgpackTimestamp`] (its extension -1) and [`Ext`]. Calls `time`.

use crate::plural::count;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{self, Serialize, Serializer};

use super::leaf::NoSuchValue;
use super::wire::AsBytes;
use super::{DateTime, Value};

/// The name by which `rmp-serde` knows extensions.
pub(crate) const EXT: &str = "_ExtStruct";

/// msgpack's `Timestamp`: nanoseconds since 1970-01-01 UTC. Displays as seconds with nine decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgpackTimestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl MsgpackTimestamp {
    /// Returns the point in time, or `None` if `nanoseconds` are a second or more.
    #[must_use]
    pub fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        (nanoseconds < 1_000_000_000).then_some(Self { seconds, nanoseconds })
    }

    /// Returns the whole seconds, rounded down.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after [`seconds`](Self::seconds): 0 to 999,999,999.
    #[must_use]
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Returns the seconds, rounded as a `f64` is.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.seconds as f64 + f64::from(self.nanoseconds) / 1e9
    }

    /// Returns the point in time in UTC, rounded down to microseconds; `None` outside the years 1 to 9999.
    #[must_use]
    pub fn to_datetime(&self) -> Option<DateTime> {
        let micros = self.seconds.checked_mul(1_000_000)?.checked_add(i64::from(self.nanoseconds / 1000))?;
        DateTime::from_unix_microseconds(micros)
    }

    /// Returns the point in time, if it is known without a time zone database.
    #[cfg(feature = "msgpack")]
    pub(crate) fn of_datetime(time: &DateTime) -> Option<Self> {
        let micros = time.unix_microseconds()?;
        Self::new(micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) as u32 * 1000)
    }

    pub(crate) fn from_ext(code: i8, data: &[u8]) -> Option<Self> {
        if code != -1 {
            return None;
        }
        match *data {
            [a, b, c, d] => Self::new(u32::from_be_bytes([a, b, c, d]).into(), 0),
            [a, b, c, d, e, f, g, h] => {
                let word = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                Self::new((word & 0x3_ffff_ffff) as i64, (word >> 34) as u32)
            }
            [n, a, s, o, ref seconds @ ..] if seconds.len() == 8 => {
                let seconds = i64::from_be_bytes(seconds.try_into().ok()?);
                Self::new(seconds, u32::from_be_bytes([n, a, s, o]))
            }
            _ => None,
        }
    }

    /// Returns the shortest of the three forms.
    #[cfg(feature = "msgpack")]
    pub(crate) fn to_ext(self) -> Vec<u8> {
        match (u32::try_from(self.seconds), u64::try_from(self.seconds)) {
            (Ok(seconds), _) if self.nanoseconds == 0 => seconds.to_be_bytes().to_vec(),
            (_, Ok(seconds)) if seconds < 1 << 34 => {
                (u64::from(self.nanoseconds) << 34 | seconds).to_be_bytes().to_vec()
            }
            _ => [&self.nanoseconds.to_be_bytes()[..], &self.seconds.to_be_bytes()].concat(),
        }
    }
}

impl fmt::Display for MsgpackTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds);
        let (sign, total) = (if total < 0 { "-" } else { "" }, total.unsigned_abs());
        write!(f, "{sign}{}.{:09}", total / 1_000_000_000, total % 1_000_000_000)
    }
}

/// Reads seconds with up to nine decimals.
impl FromStr for MsgpackTimestamp {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        let parse = || {
            let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
            let (whole, part) = rest.split_once('.').unwrap_or((rest, "0"));
            let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if !plain(whole) || !plain(part) || whole.len() > 20 || part.len() > 9 {
                return None;
            }
            let nanos = part.parse::<i128>().ok()? * 10i128.pow(9 - part.len() as u32);
            let total = sign * (whole.parse::<i128>().ok()? * 1_000_000_000 + nanos);
            let seconds = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
            Self::new(seconds, total.rem_euclid(1_000_000_000) as u32)
        };
        parse().ok_or(NoSuchValue("msgpack.Timestamp"))
    }
}

/// An extension of msgpack: `msgpack.ExtType(code, data)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ext {
    /// The kind: 0 to 127 for applications. Negative kinds belong to msgpack: of these, an end sends only the
    /// timestamp (-1).
    pub code: i8,
    /// The bytes, which only the application can read.
    pub data: Vec<u8>,
}

impl Serialize for Ext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.code < 0 && MsgpackTimestamp::from_ext(self.code, &self.data).is_none() {
            return Err(ser::Error::custom(format_args!(
                "an extension of code {} and {}: Python's msgpack loads the codes 0 to 127, and -1 for a timestamp",
                self.code,
                count(self.data.len(), "byte")
            )));
        }
        serializer.serialize_newtype_struct(EXT, &(self.code, AsBytes(&self.data)))
    }
}

impl<'de> Deserialize<'de> for Ext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(EXT, ExtVisitor)
    }
}

/// Reads the code and the bytes.
pub(super) struct ExtVisitor;

impl<'de> Visitor<'de> for ExtVisitor {
    type Value = Ext;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an extension of msgpack")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Ext, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ext, A::Error> {
        let code = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let data = seq.next_element::<Payload>()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        Ok(Ext { code, data: data.0 })
    }
}

/// The bytes of an extension.
pub(super) struct Payload(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PayloadVisitor;

        impl<'de> Visitor<'de> for PayloadVisitor {
            type Value = Payload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(Payload(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(PayloadVisitor)
    }
}

impl From<Ext> for Value {
    fn from(ext: Ext) -> Self {
        match MsgpackTimestamp::from_ext(ext.code, &ext.data) {
            Some(stamp) => Self::Timestamp(stamp),
            None => Self::Ext(Box::new(ext)),
        }
    }
}
