//! Data of unknown shape: any data of a Python process, as one Rust type.
//!
//! Owns [`Value`] and its parts, and the accessors, none of which panics. Calls serde (in `convert`) and
//! zerocopy (in `ndarray`); knows no wire format.

mod address;
mod array_wire;
mod bigint;
mod collections;
mod convert;
mod debug;
mod dict;
mod dtype;
mod extension;
mod keys;
mod leaf;
mod ndarray;
mod number;
mod object_array;
mod records;
#[cfg(feature = "pickle")]
mod source;
mod time;
mod wire;
mod wire_standard;
mod zone;

pub use address::{Ip, IpClass, PathClass, PyPath, Uuid};
pub use bigint::{BigInt, ParseBigIntError};
pub use collections::{DefaultDict, Deque, EnumMember, Factory, Range, TypedArray};
pub use convert::WrongType;
pub use dict::Dict;
pub use dtype::{DType, Element, Endian, Scalar, TimeUnit};
pub(crate) use extension::EXT;
pub use extension::{Ext, MsgpackTimestamp};
pub(crate) use leaf::Leaf;
pub use leaf::NoSuchValue;
#[cfg(feature = "msgpack")]
pub(crate) use leaf::is_leaf;
#[cfg(feature = "pickle")]
pub(crate) use ndarray::{MAX_DIMENSIONS, check_shape, strides};
pub use ndarray::{NdArray, NdView, ShapeError};
pub use number::{Decimal, Fraction};
pub use object_array::ObjectArray;
pub use records::{FieldType, RecordField, RecordType, Records};
#[cfg(feature = "pickle")]
pub(crate) use source::Source;
pub use time::{Date, DateTime, Time};
#[cfg(feature = "msgpack")]
pub(crate) use wire::AsBytes;
pub(crate) use wire::name;
#[cfg(feature = "pickle")]
pub(crate) use wire::tag;
pub use zone::{TimeDelta, TimeZone};

/// Any value that a codec can carry, with Python's names for the kinds.
///
/// ```
/// use shmcomm::codec::Value;
///
/// let pose: Value = [("frame", Value::from("map")), ("xyz", Value::from(vec![1.0, 2.0, 3.0]))].into_iter().collect();
/// assert_eq!(pose["xyz"][2].as_f64(), Some(3.0));
/// assert!(pose["no"]["such"][7].is_none());
/// ```
///
/// Equality compares the parts in their order: two sets or dicts in different orders differ.
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    #[default]
    None,
    /// `bool`.
    Bool(bool),
    /// `int` from -2^63 to 2^63 - 1.
    Int(i64),
    /// `int` outside that range.
    BigInt(BigInt),
    /// `float`.
    Float(f64),
    /// `complex`: real and imaginary part.
    Complex(f64, f64),
    /// `str`.
    Str(String),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// `bytearray`.
    ByteArray(Vec<u8>),
    /// `list`.
    List(Vec<Value>),
    /// `tuple`.
    Tuple(Vec<Value>),
    /// `set`; the items are not checked for duplicates.
    Set(Vec<Value>),
    /// `frozenset`; the items are not checked for duplicates.
    FrozenSet(Vec<Value>),
    /// `dict`.
    Dict(Dict),
    /// `numpy.ndarray`.
    Array(Box<NdArray>),
    /// An instance of a class, by its fields.
    Object(Box<Object>),
    /// `datetime.datetime`.
    DateTime(DateTime),
    /// `datetime.date`.
    Date(Date),
    /// `datetime.time`.
    Time(Time),
    /// `datetime.timedelta`.
    TimeDelta(TimeDelta),
    /// `datetime.timezone` or `zoneinfo.ZoneInfo`.
    TimeZone(Box<TimeZone>),
    /// `decimal.Decimal`.
    Decimal(Decimal),
    /// `fractions.Fraction`.
    Fraction(Box<Fraction>),
    /// `uuid.UUID`.
    Uuid(Uuid),
    /// A path of `pathlib`.
    Path(Box<PyPath>),
    /// An address, network or interface of `ipaddress`.
    Ip(Box<Ip>),
    /// `collections.OrderedDict`.
    OrderedDict(Dict),
    /// `collections.Counter`.
    Counter(Dict),
    /// `collections.defaultdict`.
    DefaultDict(Box<DefaultDict>),
    /// `collections.deque`.
    Deque(Box<Deque>),
    /// `range`.
    Range(Box<Range>),
    /// `slice`: start, stop and step.
    Slice(Box<[Value; 3]>),
    /// `array.array`.
    TypedArray(Box<TypedArray>),
    /// `numpy.ndarray` of records: a structured dtype.
    Records(Box<Records>),
    /// `numpy.ndarray` of objects: dtype `O`.
    ObjectArray(Box<ObjectArray>),
    /// A member of an `Enum` that the receiving end has listed.
    Enum(Box<EnumMember>),
    /// `msgpack.Timestamp`.
    Timestamp(MsgpackTimestamp),
    /// `msgpack.ExtType`.
    Ext(Box<Ext>),
    /// An object that only Python can evaluate; never sent.
    Opaque(Box<Opaque>),
}

/// An instance of a Python class: a dataclass, a namedtuple, any class without special needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The module that defines the class.
    pub module: String,
    /// The name of the class in that module.
    pub name: String,
    /// State: mostly a [`Value::Dict`] of the fields. It is a [`Value::Tuple`] for a namedtuple, and a
    /// [`Value::List`] of the fields in their order for a frozen dataclass with slots. Otherwise it is the
    /// result of the class's `__getstate__`.
    pub state: Value,
    /// `true` if some of the fields are in slots (`__slots__`), so that Python sets each by its name.
    pub slots: bool,
}

impl Object {
    /// Makes an instance with fields. Python imports `module` and makes a `name` when it reads this, without
    /// calling `__init__`.
    pub fn new(module: impl Into<String>, name: impl Into<String>, fields: Dict) -> Self {
        Self { module: module.into(), name: name.into(), state: Value::Dict(fields), slots: false }
    }
}

/// An object whose value only a call into Python could tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    /// Module that the message names.
    pub module: String,
    /// Class or function in that module.
    pub name: String,
    /// Arguments of the call, as a [`Value::Tuple`]; [`Value::None`] if there is no call.
    pub args: Value,
    /// State that the pickle gives to the result. Without a state, the items that it adds: a [`Value::List`],
    /// [`Value::Set`] or [`Value::Dict`]. [`Value::None`] if there are neither.
    pub state: Value,
}

impl Opaque {
    /// Returns the member of an `Enum`, if this is a call of a class with one value, as an `Enum` is pickled.
    ///
    /// A call of a function looks the same. Send the result only if the class is known to be an `Enum`:
    /// Python calls it with the value.
    #[must_use]
    pub fn to_enum(&self) -> Option<EnumMember> {
        match self.args.as_slice() {
            Some([value]) if self.state.is_none() => {
                Some(EnumMember::new(&*self.module, &*self.name, value.clone()))
            }
            _ => None,
        }
    }
}

static NONE: Value = Value::None;

impl Value {
    /// Makes a `bytes` value.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// Returns Python's name for the kind of value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Complex(..) => "complex",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::FrozenSet(_) => "frozenset",
            Self::Dict(_) => "dict",
            Self::Array(_) => "numpy.ndarray",
            Self::ByteArray(_) => "bytearray",
            Self::DateTime(_) => "datetime",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::TimeDelta(_) => "timedelta",
            Self::TimeZone(_) => "timezone",
            Self::Decimal(_) => "Decimal",
            Self::Fraction(_) => "Fraction",
            Self::Uuid(_) => "UUID",
            Self::Path(path) => path.class_name(),
            Self::Ip(ip) => ip.class_name(),
            Self::OrderedDict(_) => "OrderedDict",
            Self::Counter(_) => "Counter",
            Self::DefaultDict(_) => "defaultdict",
            Self::Deque(_) => "deque",
            Self::Range(_) => "range",
            Self::Slice(_) => "slice",
            Self::TypedArray(_) => "array.array",
            Self::Records(_) | Self::ObjectArray(_) => "numpy.ndarray",
            Self::Enum(_) => "enum member",
            Self::Timestamp(_) => "msgpack.Timestamp",
            Self::Ext(_) => "msgpack.ExtType",
            Self::Object(_) => "object",
            Self::Opaque(_) => "opaque object",
        }
    }

    /// Returns `true` if the value is `None`.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Returns the truth value of a `bool`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Returns an `int` from -2^63 to 2^63 - 1.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// Returns an `int` from 0 to 2^64 - 1.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(n) => (*n).try_into().ok(),
            Self::BigInt(n) => n.to_u64(),
            _ => None,
        }
    }

    /// Returns a `float`, or an `int` up to 64 bits rounded to the nearest `f64`.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(x) => Some(*x),
            Self::Int(n) => Some(*n as f64),
            Self::BigInt(n) => n.to_u64().map(|n| n as f64),
            _ => None,
        }
    }

    /// Returns the text of a `str`.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the bytes of a `bytes` or `bytearray`.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) | Self::ByteArray(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the items of a `list`, `tuple`, `set`, `frozenset`, `deque` or `slice`. Also returns the items
    /// of an array of objects in memory order, and of an instance that is a tuple (namedtuple).
    #[must_use]
    pub fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Set(items) | Self::FrozenSet(items) => Some(items),
            Self::Deque(deque) => Some(&deque.items),
            Self::Slice(parts) => Some(&**parts),
            Self::ObjectArray(array) => Some(array.items()),
            Self::Object(object) => match &object.state {
                Self::List(items) | Self::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns a `dict`, `OrderedDict`, `defaultdict` or `Counter`, or the fields of an instance.
    #[must_use]
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Self::Dict(dict) | Self::OrderedDict(dict) | Self::Counter(dict) => Some(dict),
            Self::DefaultDict(default) => Some(&default.dict),
            Self::Object(object) => match &object.state {
                Self::Dict(fields) => Some(fields),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns an array, or the items of an `array.array`.
    #[must_use]
    pub fn as_array(&self) -> Option<&NdArray> {
        match self {
            Self::Array(array) => Some(array),
            Self::TypedArray(array) => Some(array.items()),
            _ => None,
        }
    }

    /// Returns the value under a text key, or the item at a position; `None` if there is none.
    #[must_use]
    pub fn get<I: ValueIndex>(&self, index: I) -> Option<&Value> {
        index.look_up(self)
    }

    /// Iterates over the items of a value that [`as_slice`](Self::as_slice) accepts; over nothing for other
    /// values.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.as_slice().unwrap_or_default().iter()
    }

    /// Iterates over the pairs of a value that [`as_dict`](Self::as_dict) accepts; over nothing for other
    /// values.
    pub fn entries(&self) -> std::slice::Iter<'_, (Value, Value)> {
        self.as_dict().map(Dict::as_slice).unwrap_or_default().iter()
    }
}

/// Index of a [`Value`]: `&str` for a key or field, `usize` for a position.
pub trait ValueIndex: private::Sealed {
    #[doc(hidden)]
    fn look_up(self, value: &Value) -> Option<&Value>;
}

mod private {
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for usize {}
}

impl ValueIndex for &str {
    fn look_up(self, value: &Value) -> Option<&Value> {
        value.as_dict()?.get(self)
    }
}

impl ValueIndex for usize {
    fn look_up(self, value: &Value) -> Option<&Value> {
        value.as_slice()?.get(self)
    }
}

/// Implements `value["key"]` and `value[3]`: [`Value::None`] if there is no such item, never a panic.
impl<I: ValueIndex> std::ops::Index<I> for Value {
    type Output = Value;

    fn index(&self, index: I) -> &Value {
        self.get(index).unwrap_or(&NONE)
    }
}

impl<'a> IntoIterator for &'a Value {
    type Item = &'a Value;
    type IntoIter = std::slice::Iter<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_four_words() {
        assert_eq!(size_of::<Value>(), 32);
    }

    #[test]
    fn lookup_of_a_missing_key_finds_none() {
        let value: Value = [("a", Value::from(vec![1i64, 2]))].into_iter().collect();
        assert_eq!(value["a"][1], Value::Int(2));
        assert!(value["a"][2].is_none() && value["b"]["c"].is_none() && value[0].is_none());
        assert_eq!(value.get("a").map(|a| a.iter().count()), Some(2));
        assert_eq!(value.entries().count(), 1);
    }

    #[test]
    fn a_value_prints_as_python_would() {
        let value =
            Value::Tuple(vec![Value::None, true.into(), (-1i64).into(), "x".into(), Value::bytes(*b"\xff")]);
        assert_eq!(format!("{value:?}"), r#"(None, True, -1, "x", b"\xff")"#);
    }
}
