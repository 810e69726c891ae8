//! Data of unknown shape: what a Python process may send, as one Rust type.
//!
//! Owns [`Value`] and its parts, and the ways to look into them, none of which panics. Calls
//! serde (in `convert`) and zerocopy (in `ndarray`); knows no wire format.

mod bigint;
mod convert;
mod dict;
mod dtype;
mod ndarray;
mod wire;

use std::fmt;

pub use bigint::{BigInt, ParseBigIntError};
pub use convert::WrongType;
pub use dict::Dict;
pub use dtype::{DType, Element, Endian, Scalar, TimeUnit};
#[cfg(feature = "pickle")]
pub(crate) use ndarray::{MAX_DIMENSIONS, check_shape, strides};
pub use ndarray::{NdArray, NdView, ShapeError};
pub(crate) use wire::name;
#[cfg(feature = "pickle")]
pub(crate) use wire::tag;

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
/// Equality is that of the parts in their order: two sets or dicts in another order differ.
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
    /// `int` beyond that.
    BigInt(BigInt),
    /// `float`.
    Float(f64),
    /// `complex`: real and imaginary part.
    Complex(f64, f64),
    /// `str`.
    Str(String),
    /// `bytes` or `bytearray`.
    Bytes(Vec<u8>),
    /// `list`.
    List(Vec<Value>),
    /// `tuple`.
    Tuple(Vec<Value>),
    /// `set`; nothing keeps the items different.
    Set(Vec<Value>),
    /// `frozenset`; nothing keeps the items different.
    FrozenSet(Vec<Value>),
    /// `dict`.
    Dict(Dict),
    /// `numpy.ndarray`.
    Array(Box<NdArray>),
    /// An instance of a class, by its fields.
    Object(Box<Object>),
    /// Something that only Python can make sense of; never sent.
    Opaque(Box<Opaque>),
}

/// An instance of a Python class: a dataclass, a namedtuple, any class without special needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The module that defines the class.
    pub module: String,
    /// The name of the class in that module.
    pub name: String,
    /// Mostly a [`Value::Dict`] of the fields; a [`Value::Tuple`] for a namedtuple, a
    /// [`Value::List`] of the fields in their order for a frozen dataclass with slots, or whatever
    /// the class's `__getstate__` returned.
    pub state: Value,
}

impl Object {
    /// An instance with fields. Python imports `module` and makes a `name` when it reads this,
    /// without calling `__init__`.
    pub fn new(module: impl Into<String>, name: impl Into<String>, fields: Dict) -> Self {
        Self { module: module.into(), name: name.into(), state: Value::Dict(fields) }
    }
}

/// What was found where only a call into Python could have told the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    /// The module named by the message.
    pub module: String,
    /// The class or function in that module.
    pub name: String,
    /// What it was to be called with, as a [`Value::Tuple`]; [`Value::None`] if it was not.
    pub args: Value,
}

static NONE: Value = Value::None;

impl Value {
    /// A `bytes` value.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// Python's name for the kind of value.
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
            Self::Object(_) => "object",
            Self::Opaque(_) => "opaque object",
        }
    }

    /// Whether it is `None`.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The truth value of a `bool`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// An `int` from -2^63 to 2^63 - 1.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// An `int` from 0 to 2^64 - 1.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(n) => (*n).try_into().ok(),
            Self::BigInt(n) => n.to_u64(),
            _ => None,
        }
    }

    /// A `float`, or an `int` up to 64 bits rounded to the nearest one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(x) => Some(*x),
            Self::Int(n) => Some(*n as f64),
            Self::BigInt(n) => n.to_u64().map(|n| n as f64),
            _ => None,
        }
    }

    /// The text of a `str`.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a `bytes`.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The items of a `list`, `tuple`, `set` or `frozenset`, or of an instance that is one
    /// (namedtuple).
    #[must_use]
    pub fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Set(items) | Self::FrozenSet(items) => Some(items),
            Self::Object(object) => match &object.state {
                Self::List(items) | Self::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// A `dict`, or the fields of an instance.
    #[must_use]
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Self::Dict(dict) => Some(dict),
            Self::Object(object) => match &object.state {
                Self::Dict(fields) => Some(fields),
                _ => None,
            },
            _ => None,
        }
    }

    /// An array.
    #[must_use]
    pub fn as_array(&self) -> Option<&NdArray> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The value under a text key, or the item at a position; `None` where there is none.
    #[must_use]
    pub fn get<I: ValueIndex>(&self, index: I) -> Option<&Value> {
        index.look_up(self)
    }

    /// The items of what [`as_slice`](Self::as_slice) accepts; nothing for the rest.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.as_slice().unwrap_or_default().iter()
    }

    /// The keys and values of what [`as_dict`](Self::as_dict) accepts; nothing for the rest.
    pub fn entries(&self) -> std::slice::Iter<'_, (Value, Value)> {
        self.as_dict().map(Dict::as_slice).unwrap_or_default().iter()
    }
}

/// What a [`Value`] can be indexed by: `&str` for a key or field, `usize` for a position.
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

/// `value["key"]` and `value[3]`: [`Value::None`] where there is no such thing, never a panic.
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

/// Much as Python prints it.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(n) => n.fmt(f),
            Self::BigInt(n) => n.fmt(f),
            Self::Float(x) => x.fmt(f),
            Self::Complex(re, im) => write!(f, "({re:?}{im:+?}j)"),
            Self::Str(text) => text.fmt(f),
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Tuple(items) => {
                let mut tuple = f.debug_tuple("");
                items.iter().for_each(|item| {
                    tuple.field(item);
                });
                if items.is_empty() { f.write_str("()") } else { tuple.finish() }
            }
            Self::Set(items) => f.debug_set().entries(items).finish(),
            Self::FrozenSet(items) => {
                f.write_str("frozenset")?;
                f.debug_set().entries(items).finish()
            }
            Self::Dict(dict) => dict.fmt(f),
            Self::Array(array) => array.fmt(f),
            Self::Object(object) => write!(f, "{}.{}({:?})", object.module, object.name, object.state),
            Self::Opaque(opaque) => write!(f, "<{}.{} {:?}>", opaque.module, opaque.name, opaque.args),
        }
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
    fn looking_for_what_is_not_there_finds_none() {
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
