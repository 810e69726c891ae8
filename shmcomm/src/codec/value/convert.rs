//! Conversions between [`Value`] and Rust's own types.
//!
//! Owns the `From` and `TryFrom` impls. Calls nothing.

use std::fmt;

use super::leaf::Leaf;
use super::{
    BigInt, Date, DateTime, Decimal, Dict, EnumMember, Fraction, Ip, MsgpackTimestamp, NdArray, Object,
    ObjectArray, PyPath, Records, Scalar, Time, TimeDelta, TimeZone, TypedArray, Uuid, Value,
};

/// Error for a [`Value`] that is not of the requested kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType {
    /// Requested kind.
    pub expected: &'static str,
    /// Actual kind of the value, by Python's name.
    pub found: &'static str,
}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for WrongType {}

macro_rules! from {
    ($($from:ty, |$x:ident| $value:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($x: $from) -> Self {
                $value
            }
        }
    )*};
}

from! {
    bool, |x| Self::Bool(x);
    i8, |x| Self::Int(x.into());
    i16, |x| Self::Int(x.into());
    i32, |x| Self::Int(x.into());
    i64, |x| Self::Int(x);
    u8, |x| Self::Int(x.into());
    u16, |x| Self::Int(x.into());
    u32, |x| Self::Int(x.into());
    u64, |x| i64::try_from(x).map_or_else(|_| Self::BigInt(x.into()), Self::Int);
    i128, |x| i64::try_from(x).map_or_else(|_| Self::BigInt(x.into()), Self::Int);
    u128, |x| i64::try_from(x).map_or_else(|_| Self::BigInt(x.into()), Self::Int);
    BigInt, |x| x.to_i64().map_or_else(|| Self::BigInt(x), Self::Int);
    f32, |x| Self::Float(x.into());
    f64, |x| Self::Float(x);
    &str, |x| Self::Str(x.to_owned());
    String, |x| Self::Str(x);
    Dict, |x| Self::Dict(x);
    NdArray, |x| Self::Array(Box::new(x));
    Object, |x| Self::Object(Box::new(x));
    EnumMember, |x| Self::Enum(Box::new(x));
    Records, |x| Self::Records(Box::new(x));
    ObjectArray, |x| Self::ObjectArray(Box::new(x));
    TypedArray, |x| Self::TypedArray(Box::new(x));
    Scalar, |x| match x {
        Scalar::Bool(truth) => Self::Bool(truth),
        Scalar::Int(n) => Self::Int(n),
        Scalar::UInt(n) => n.into(),
        Scalar::Float(x) => Self::Float(x),
        Scalar::Complex(re, im) => Self::Complex(re, im),
    };
    Leaf, |x| match x {
        Leaf::DateTime(leaf) => leaf.into(),
        Leaf::Date(leaf) => leaf.into(),
        Leaf::Time(leaf) => leaf.into(),
        Leaf::TimeDelta(leaf) => leaf.into(),
        Leaf::TimeZone(leaf) => leaf.into(),
        Leaf::Decimal(leaf) => leaf.into(),
        Leaf::Fraction(leaf) => leaf.into(),
        Leaf::Uuid(leaf) => leaf.into(),
        Leaf::Path(leaf) => leaf.into(),
        Leaf::Ip(leaf) => leaf.into(),
        Leaf::Timestamp(leaf) => leaf.into(),
    };
}

/// A `list`, of ints too: for `bytes` there is [`Value::bytes`].
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::None, Into::into)
    }
}

/// A `list`.
impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// A `dict`.
impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self::Dict(pairs.into_iter().collect())
    }
}

macro_rules! try_from {
    ($($to:ty, $expected:literal, |$value:ident| $convert:expr;)*) => {$(
        impl TryFrom<&Value> for $to {
            type Error = WrongType;

            fn try_from($value: &Value) -> Result<Self, WrongType> {
                let found = $value.kind();
                $convert.ok_or(WrongType { expected: $expected, found })
            }
        }

        impl TryFrom<Value> for $to {
            type Error = WrongType;

            fn try_from(value: Value) -> Result<Self, WrongType> {
                Self::try_from(&value)
            }
        }
    )*};
}

try_from! {
    bool, "bool", |v| v.as_bool();
    i8, "an int that fits i8", |v| v.as_i64().and_then(|n| n.try_into().ok());
    i16, "an int that fits i16", |v| v.as_i64().and_then(|n| n.try_into().ok());
    i32, "an int that fits i32", |v| v.as_i64().and_then(|n| n.try_into().ok());
    i64, "an int that fits i64", |v| v.as_i64();
    u8, "an int that fits u8", |v| v.as_u64().and_then(|n| n.try_into().ok());
    u16, "an int that fits u16", |v| v.as_u64().and_then(|n| n.try_into().ok());
    u32, "an int that fits u32", |v| v.as_u64().and_then(|n| n.try_into().ok());
    u64, "an int that fits u64", |v| v.as_u64();
    f64, "float", |v| v.as_f64();
}

macro_rules! try_from_owned {
    ($($to:ty, $expected:literal, $pattern:pat => $owned:expr;)*) => {$(
        impl TryFrom<Value> for $to {
            type Error = WrongType;

            fn try_from(value: Value) -> Result<Self, WrongType> {
                match value {
                    $pattern => Ok($owned),
                    other => Err(WrongType { expected: $expected, found: other.kind() }),
                }
            }
        }
    )*};
}

try_from_owned! {
    String, "str", Value::Str(text) => text;
    Vec<u8>, "bytes", Value::Bytes(bytes) | Value::ByteArray(bytes) => bytes;
    Vec<Value>, "list or tuple", Value::List(items) | Value::Tuple(items) => items;
    Dict, "dict", Value::Dict(dict) | Value::OrderedDict(dict) | Value::Counter(dict) => dict;
    DateTime, "datetime", Value::DateTime(time) => time;
    Date, "date", Value::Date(date) => date;
    Time, "time", Value::Time(time) => time;
    TimeDelta, "timedelta", Value::TimeDelta(delta) => delta;
    TimeZone, "timezone", Value::TimeZone(zone) => *zone;
    Decimal, "Decimal", Value::Decimal(decimal) => decimal;
    Fraction, "Fraction", Value::Fraction(fraction) => *fraction;
    Uuid, "UUID", Value::Uuid(uuid) => uuid;
    PyPath, "path", Value::Path(path) => *path;
    Ip, "IP address", Value::Ip(ip) => *ip;
    MsgpackTimestamp, "msgpack.Timestamp", Value::Timestamp(stamp) => stamp;
    Records, "numpy.ndarray of records", Value::Records(records) => *records;
    ObjectArray, "numpy.ndarray of objects", Value::ObjectArray(array) => *array;
    TypedArray, "array.array", Value::TypedArray(array) => *array;
    EnumMember, "enum member", Value::Enum(member) => *member;
    NdArray, "numpy.ndarray", Value::Array(array) => *array;
    Object, "object", Value::Object(object) => *object;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_the_small_form_where_they_fit() {
        assert_eq!(Value::from(u64::from(u32::MAX)), Value::Int(u32::MAX.into()));
        assert_eq!(Value::from(u64::MAX), Value::BigInt(u64::MAX.into()));
        assert_eq!(Value::from(i128::from(i64::MIN)), Value::Int(i64::MIN));
        assert_eq!(Value::from(BigInt::from(7u64)), Value::Int(7));
        assert_eq!(Value::from(u64::MAX).as_u64(), Some(u64::MAX));
        assert_eq!(Value::from(u64::MAX).as_i64(), None);
    }

    #[test]
    fn a_wrong_type_says_both_types() {
        assert_eq!(u8::try_from(Value::Int(255)), Ok(255));
        assert_eq!(
            u8::try_from(&Value::Int(256)).unwrap_err().to_string(),
            "expected an int that fits u8, found int"
        );
        assert_eq!(f64::try_from(Value::Int(2)), Ok(2.0));
        assert_eq!(String::try_from(Value::None).unwrap_err().to_string(), "expected str, found None");
        assert_eq!(Vec::<u8>::try_from(Value::bytes(*b"a")), Ok(b"a".to_vec()));
        assert_eq!(Vec::<Value>::try_from(Value::from(vec![1u8])), Ok(vec![Value::Int(1)]));
        assert_eq!(NdArray::try_from(Value::from(1u8)).unwrap_err().expected, "numpy.ndarray");
    }

    #[test]
    fn a_repeated_key_means_the_last_value() {
        let mut dict = Dict::from(vec![("a".into(), 1u8.into()), ("a".into(), Value::Int(2))]);
        assert_eq!(dict.get("a"), Some(&Value::Int(2)));
        assert_eq!(dict.insert("a", 3u8), Some(Value::Int(2)));
        assert_eq!(dict.get_key(&"a".into()), Some(&Value::Int(3)));
        assert_eq!((dict.insert("b", Value::None), dict.len()), (None, 3));
    }
}
