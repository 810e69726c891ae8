//! The element types of arrays, by numpy's names.
//!
//! Owns [`DType`], [`Endian`], [`TimeUnit`] and the trait [`Element`] that ties Rust's number types
//! to them. Calls zerocopy for the checked views; never touches an array.

use std::fmt;

use super::{NdArray, Value};
use zerocopy::{FromBytes, Immutable, IntoBytes, TryFromBytes};

/// The order of the bytes in one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// Byte order of this machine.
    pub const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };
}

/// The unit of `datetime64` and `timedelta64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TimeUnit {
    Years,
    Months,
    Weeks,
    Days,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    Picoseconds,
    Femtoseconds,
    Attoseconds,
    /// No unit: the unit of every `timedelta64` without one.
    Generic,
}

const UNITS: [(TimeUnit, &str); 14] = [
    (TimeUnit::Years, "Y"),
    (TimeUnit::Months, "M"),
    (TimeUnit::Weeks, "W"),
    (TimeUnit::Days, "D"),
    (TimeUnit::Hours, "h"),
    (TimeUnit::Minutes, "m"),
    (TimeUnit::Seconds, "s"),
    (TimeUnit::Milliseconds, "ms"),
    (TimeUnit::Microseconds, "us"),
    (TimeUnit::Nanoseconds, "ns"),
    (TimeUnit::Picoseconds, "ps"),
    (TimeUnit::Femtoseconds, "fs"),
    (TimeUnit::Attoseconds, "as"),
    (TimeUnit::Generic, "generic"),
];

impl TimeUnit {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        UNITS.iter().find(|(_, text)| *text == name).map(|(unit, _)| *unit)
    }

    fn name(self) -> &'static str {
        UNITS.iter().find(|(unit, _)| *unit == self).map_or("generic", |(_, text)| text)
    }
}

/// The type of an array's elements, without its byte order. Displays as numpy's code: `f8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    /// Half precision, readable as `f32` and `f64`.
    F16,
    F32,
    F64,
    /// Two `f32`.
    C64,
    /// Two `f64`.
    C128,
    /// `i64` counts since 1970; `i64::MIN` is "not a time".
    DateTime64(TimeUnit),
    /// `i64` counts.
    TimeDelta64(TimeUnit),
    /// Text of at most that many code points of 4 bytes, filled up with zeros: `U`.
    Str(u32),
    /// Bytes, at most that number, filled up with zeros: `S`.
    Bytes(u32),
    /// Bytes, exactly that number: `V`.
    Void(u32),
}

const CODES: [(DType, &str, usize); 14] = [
    (DType::Bool, "b1", 1),
    (DType::I8, "i1", 1),
    (DType::I16, "i2", 2),
    (DType::I32, "i4", 4),
    (DType::I64, "i8", 8),
    (DType::U8, "u1", 1),
    (DType::U16, "u2", 2),
    (DType::U32, "u4", 4),
    (DType::U64, "u8", 8),
    (DType::F16, "f2", 2),
    (DType::F32, "f4", 4),
    (DType::F64, "f8", 8),
    (DType::C64, "c8", 8),
    (DType::C128, "c16", 16),
];

impl DType {
    /// Returns the bytes that one element takes: 1, 2, 4, 8 or 16 for numbers, never 0.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Str(chars) => (chars as usize).max(1).saturating_mul(4),
            Self::Bytes(bytes) | Self::Void(bytes) => (bytes as usize).max(1),
            Self::DateTime64(_) | Self::TimeDelta64(_) => 8,
            plain => CODES.iter().find(|(dtype, ..)| *dtype == plain).map_or(1, |(.., size)| *size),
        }
    }

    /// Returns `true` if elements are text or bytes.
    #[cfg(feature = "pickle")]
    pub(crate) fn is_opaque(self) -> bool {
        matches!(self, Self::Str(_) | Self::Bytes(_) | Self::Void(_))
    }

    /// Returns numpy's code with the byte order, such as `<f8`, `|u1` or `<M8[ns]`.
    #[must_use]
    pub fn code(self, endian: Endian) -> String {
        let order = match endian {
            _ if self.size() == 1 || matches!(self, Self::Bytes(_) | Self::Void(_)) => '|',
            Endian::Little => '<',
            Endian::Big => '>',
        };
        format!("{order}{self}")
    }

    /// Reads a code with or without the byte order. Without one, the byte order is that of this machine.
    pub(crate) fn parse(code: &str) -> Option<(Self, Endian)> {
        let (endian, kind) = match code.as_bytes().first()? {
            b'<' => (Endian::Little, &code[1..]),
            b'>' => (Endian::Big, &code[1..]),
            b'|' | b'=' => (Endian::NATIVE, &code[1..]),
            _ => (Endian::NATIVE, code),
        };
        let time = |unit: &str| match unit {
            "" => Some(TimeUnit::Generic),
            bracketed => TimeUnit::parse(bracketed.strip_prefix('[')?.strip_suffix(']')?),
        };
        let text = |count: &str| {
            let digits = count.bytes().all(|b| b.is_ascii_digit());
            let count = if digits { count.parse().ok() } else { None };
            count.filter(|count| (1..1 << 29).contains(count))
        };
        match kind.split_at_checked(1)? {
            ("U", count) => return Some((Self::Str(text(count)?), endian)),
            ("S", count) => return Some((Self::Bytes(text(count)?), Endian::NATIVE)),
            ("V", count) => return Some((Self::Void(text(count)?), Endian::NATIVE)),
            _ => {}
        }
        let dtype = match kind.get(..2) {
            Some("M8") => Self::DateTime64(time(&kind[2..])?),
            Some("m8") => Self::TimeDelta64(time(&kind[2..])?),
            _ if kind == "?" => Self::Bool,
            _ => CODES.iter().find(|(_, text, _)| *text == kind)?.0,
        };
        Some((dtype, endian))
    }

    /// Returns the width of the unit whose bytes are swapped with the byte order.
    pub(crate) fn swap_unit(self) -> usize {
        match self {
            Self::C64 => 4,
            Self::C128 => 8,
            Self::Str(_) => 4,
            Self::Bytes(_) | Self::Void(_) => 1,
            other => other.size(),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, unit) = match self {
            Self::DateTime64(unit) => ("M8", unit),
            Self::TimeDelta64(unit) => ("m8", unit),
            Self::Str(count) => return write!(f, "U{count}"),
            Self::Bytes(count) => return write!(f, "S{count}"),
            Self::Void(count) => return write!(f, "V{count}"),
            plain => {
                return f.write_str(
                    CODES.iter().find(|(dtype, ..)| dtype == plain).map_or("?", |(_, text, _)| text),
                );
            }
        };
        match unit {
            TimeUnit::Generic => f.write_str(kind),
            unit => write!(f, "{kind}[{}]", unit.name()),
        }
    }
}

/// One element of an array, whatever its type.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Scalar {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    /// Real and imaginary part.
    Complex(f64, f64),
}

mod sealed {
    pub trait Sealed {}
}

/// A number type that arrays are made of: the integers of 8 to 64 bits, `f32`, `f64`, `bool`.
pub trait Element: Copy + Default + sealed::Sealed + IntoBytes + Immutable + 'static {
    /// Type of the elements in numpy.
    const DTYPE: DType;

    /// Returns the bytes as elements, if they are aligned and valid.
    #[doc(hidden)]
    fn view(bytes: &[u8]) -> Option<&[Self]>;

    /// Reads one element from its bytes.
    #[doc(hidden)]
    fn read(bytes: &[u8], endian: Endian) -> Option<Self>;

    /// Converts from another type, if nothing is lost.
    #[doc(hidden)]
    fn from_scalar(scalar: Scalar) -> Option<Self>;
}

macro_rules! element {
    ($($type:ident $dtype:ident, |$scalar:ident| $convert:expr;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;

            fn view(bytes: &[u8]) -> Option<&[Self]> {
                <[Self]>::ref_from_bytes(bytes).ok()
            }

            #[inline]
            fn read(bytes: &[u8], endian: Endian) -> Option<Self> {
                let bytes = bytes.try_into().ok()?;
                Some(match endian {
                    Endian::Little => Self::from_le_bytes(bytes),
                    Endian::Big => Self::from_be_bytes(bytes),
                })
            }

            #[inline]
            fn from_scalar($scalar: Scalar) -> Option<Self> {
                $convert
            }
        }
    )*};
}

macro_rules! from_integer {
    ($scalar:expr) => {
        match $scalar {
            Scalar::Int(n) => n.try_into().ok(),
            Scalar::UInt(n) => n.try_into().ok(),
            _ => None,
        }
    };
}

element! {
    i8 I8, |s| from_integer!(s);
    i16 I16, |s| from_integer!(s);
    i32 I32, |s| from_integer!(s);
    i64 I64, |s| from_integer!(s);
    u8 U8, |s| from_integer!(s);
    u16 U16, |s| from_integer!(s);
    u32 U32, |s| from_integer!(s);
    u64 U64, |s| from_integer!(s);
    f32 F32, |s| {
        let wide = f64::from_scalar(s)?;
        let narrow = wide as f32;
        (f64::from(narrow) == wide || wide.is_nan()).then_some(narrow)
    };
    f64 F64, |s| match s {
        Scalar::Float(x) => Some(x),
        // A float of equal value may be one beyond the integer's range, so the comparison is in i128.
        Scalar::Int(n) => ((n as f64) as i128 == i128::from(n)).then_some(n as f64),
        Scalar::UInt(n) => ((n as f64) as i128 == i128::from(n)).then_some(n as f64),
        _ => None,
    };
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: DType = DType::Bool;

    fn view(bytes: &[u8]) -> Option<&[Self]> {
        <[Self]>::try_ref_from_bytes(bytes).ok()
    }

    fn read(bytes: &[u8], _: Endian) -> Option<Self> {
        bytes.first().map(|&byte| byte != 0)
    }

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        match scalar {
            Scalar::Bool(truth) => Some(truth),
            _ => None,
        }
    }
}

/// Converts half precision to double, exactly.
pub(crate) fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    match (bits >> 10) & 0x1f {
        0 => sign * fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => sign * f64::INFINITY,
        0x1f => f64::NAN,
        exponent => sign * (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    }
}

impl DType {
    /// Reads one element from exactly [`size`](Self::size) bytes.
    pub(crate) fn read(self, bytes: &[u8], endian: Endian) -> Option<Scalar> {
        let (first, second) = bytes.split_at_checked(self.swap_unit())?;
        Some(match self {
            Self::Bool => Scalar::Bool(bool::read(bytes, endian)?),
            Self::I8 => Scalar::Int(i8::read(bytes, endian)?.into()),
            Self::I16 => Scalar::Int(i16::read(bytes, endian)?.into()),
            Self::I32 => Scalar::Int(i32::read(bytes, endian)?.into()),
            Self::I64 | Self::DateTime64(_) | Self::TimeDelta64(_) => Scalar::Int(i64::read(bytes, endian)?),
            Self::U8 => Scalar::UInt(u8::read(bytes, endian)?.into()),
            Self::U16 => Scalar::UInt(u16::read(bytes, endian)?.into()),
            Self::U32 => Scalar::UInt(u32::read(bytes, endian)?.into()),
            Self::U64 => Scalar::UInt(u64::read(bytes, endian)?),
            Self::F16 => Scalar::Float(half_to_f64(u16::read(bytes, endian)?)),
            Self::F32 => Scalar::Float(f32::read(bytes, endian)?.into()),
            Self::F64 => Scalar::Float(f64::read(bytes, endian)?),
            Self::C64 => Scalar::Complex(f32::read(first, endian)?.into(), f32::read(second, endian)?.into()),
            Self::C128 => Scalar::Complex(f64::read(first, endian)?, f64::read(second, endian)?),
            Self::Str(_) | Self::Bytes(_) | Self::Void(_) => return None,
        })
    }

    /// Reads one element of any type from exactly [`size`](Self::size) bytes; `None` if it is not valid text.
    pub(crate) fn value(self, bytes: &[u8], endian: Endian) -> Option<Value> {
        Some(match self {
            Self::Str(_) => {
                let (points, _) = bytes.as_chunks();
                let point = |bytes: &[u8; 4]| match endian {
                    Endian::Little => u32::from_le_bytes(*bytes),
                    Endian::Big => u32::from_be_bytes(*bytes),
                };
                let len = points.iter().rposition(|bytes| *bytes != [0; 4]).map_or(0, |last| last + 1);
                let text: Option<String> = points[..len].iter().map(|b| char::from_u32(point(b))).collect();
                Value::Str(text?)
            }
            Self::Bytes(_) => {
                let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                Value::bytes(&bytes[..len])
            }
            Self::Void(_) => Value::bytes(bytes),
            Self::DateTime64(_) | Self::TimeDelta64(_) => {
                Value::Array(Box::new(NdArray::from_bytes(self, endian, &[], false, bytes).ok()?))
            }
            number => number.read(bytes, endian)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_as_itself() {
        let times = UNITS.iter().flat_map(|(unit, _)| [DType::DateTime64(*unit), DType::TimeDelta64(*unit)]);
        for dtype in CODES.iter().map(|(dtype, ..)| *dtype).chain(times) {
            for endian in [Endian::Little, Endian::Big] {
                let read = DType::parse(&dtype.code(endian)).unwrap();
                assert_eq!(read.0, dtype);
                assert!(read.1 == endian || dtype.size() == 1);
            }
        }
        for text in ["<U2", ">U7", "|S3", "|V8", "|S1"] {
            let (dtype, endian) = DType::parse(text).unwrap();
            assert_eq!(dtype.code(endian), text);
        }
        for bad in ["", "f9", "<", "U", "U0", "S-1", "V99999999999", "O8", "<M8[25s]", "M8[", "é8"] {
            assert_eq!(DType::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (1, 2f64.powi(-24)), (0x0400, 2f64.powi(-14))]
        {
            assert_eq!(half_to_f64(bits), value);
        }
        assert_eq!(half_to_f64(0xfc00), f64::NEG_INFINITY);
        assert!(half_to_f64(0x7e00).is_nan());
    }

    #[test]
    fn conversions_that_would_lose_something_are_refused() {
        assert_eq!(u8::from_scalar(Scalar::Int(-1)), None);
        assert_eq!(i64::from_scalar(Scalar::UInt(u64::MAX)), None);
        assert_eq!(f64::from_scalar(Scalar::UInt(u64::MAX)), None);
        assert_eq!(f64::from_scalar(Scalar::Int(1 << 53)), Some(9007199254740992.0));
        assert_eq!(f64::from_scalar(Scalar::Int((1 << 53) + 1)), None);
        assert_eq!(f32::from_scalar(Scalar::Float(0.1)), None);
        assert_eq!(f32::from_scalar(Scalar::Float(0.5)), Some(0.5));
        assert_eq!(i32::from_scalar(Scalar::Float(1.0)), None);
    }
}
