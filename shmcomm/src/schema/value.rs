//! [`Value`]: a message as a tree that the program owns.
//!
//! Owns the tree, its accessors, none of which panics, and its conversions from Rust's own types. Calls
//! nothing outside this module.

use super::view::ValueRef;

/// A message of any type as a tree.
///
/// Integers are one kind, whatever their type. An `f32` stays one, so that 0.97 is printed as `0.97`. With the
/// feature `serde` it implements `Serialize` and `Deserialize`; with `json` it converts to and from
/// `serde_json::Value`. It is the form for tools: [`codec::Value`](crate::codec) has all kinds of Python.
///
/// ```
/// use shmcomm::schema::Value;
///
/// let pose = Value::from_iter([("frame", Value::from("map")), ("xyz", Value::from(vec![1.0, 2.0, 3.0]))]);
/// assert_eq!(pose["xyz"][2].as_f64(), Some(3.0));
/// assert!(pose["no"]["such"][7].is_null());
/// assert_eq!(pose.to_string(), r#"{"frame":"map","xyz":[1.0,2.0,3.0]}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value: an empty option.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer, or a time in nanoseconds since the Unix epoch.
    Int(i128),
    /// A number of single precision.
    F32(f32),
    /// A number of double precision.
    F64(f64),
    /// A text, a `char`, or the name of a variant.
    Text(String),
    /// Bytes. In JSON an array of numbers.
    Bytes(Vec<u8>),
    /// Items.
    List(Vec<Value>),
    /// Named parts in their order.
    Map(Vec<(String, Value)>),
}

static NULL: Value = Value::Null;

impl Value {
    /// Returns the kind of the value in words: `an integer`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Int(_) => "an integer",
            Value::F32(_) | Value::F64(_) => "a number",
            Value::Text(_) => "a text",
            Value::Bytes(_) => "a value of bytes",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// Returns `true` if there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Returns a truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Returns an integer.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// Returns a number, rounded to the nearest `f64`.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::F32(x) => Some((*x).into()),
            Value::F64(x) => Some(*x),
            _ => None,
        }
    }

    /// Returns a text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the items of a list.
    pub fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the named parts of a map, in their order.
    pub fn as_map(&self) -> Option<&[(String, Value)]> {
        match self {
            Value::Map(parts) => Some(parts),
            _ => None,
        }
    }

    /// Returns the part with this name; `None` if this is no map, or if it has no such part.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_map()?.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Returns item `index`; `None` if this is no list, or if the list is shorter.
    pub fn item(&self, index: usize) -> Option<&Value> {
        self.as_slice()?.get(index)
    }
}

/// Implements `value["name"]`: [`Value::Null`] if there is no such part, never a panic.
impl core::ops::Index<&str> for Value {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }
}

/// Implements `value[3]`: [`Value::Null`] if there is no such item, never a panic.
impl core::ops::Index<usize> for Value {
    type Output = Value;

    fn index(&self, index: usize) -> &Value {
        self.item(index).unwrap_or(&NULL)
    }
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Value {
            fn from(n: $ty) -> Self {
                Value::Int(n.into())
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i8, i16, i32, i64, i128);

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
    (), |_x| Value::Null;
    bool, |x| Value::Bool(x);
    f32, |x| Value::F32(x);
    f64, |x| Value::F64(x);
    char, |x| Value::Text(x.into());
    &str, |x| Value::Text(x.into());
    String, |x| Value::Text(x);
    &[u8], |x| Value::Bytes(x.into());
    crate::Timestamp, |x| Value::Int(x.as_nanos().into());
}

/// A list, of integers too: for bytes there is [`Value::Bytes`].
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Value::Null, Into::into)
    }
}

/// A list.
impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

/// A map.
impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(parts: I) -> Self {
        Value::Map(parts.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Copies a view, and decodes encoded values. An invalid part becomes a text that says what is wrong, between angle brackets.
impl From<ValueRef<'_>> for Value {
    fn from(view: ValueRef<'_>) -> Self {
        match view {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(truth) => Value::Bool(truth),
            ValueRef::Int(n) => Value::Int(n),
            ValueRef::F32(x) => Value::F32(x),
            ValueRef::F64(x) => Value::F64(x),
            ValueRef::Char(c) => c.into(),
            ValueRef::Timestamp(time) => time.into(),
            ValueRef::Text(text) | ValueRef::Enum { name: text, .. } => text.into(),
            ValueRef::Bytes(bytes) => bytes.into(),
            ValueRef::List(items) => Value::List(items.iter().map(Value::from).collect()),
            ValueRef::Struct(fields) => {
                Value::Map(fields.iter().map(|(name, part)| (name.to_owned(), part.into())).collect())
            }
            ValueRef::Encoded(encoded) => encoded.to_value(),
            ValueRef::Invalid(invalid) => Value::Text(format!("<{}>", invalid.problem())),
        }
    }
}

impl ValueRef<'_> {
    /// Copies the view into a tree, and decodes encoded values. An invalid part becomes a text that says what is wrong,
    /// between angle brackets: see [`Layout::value`](super::Layout::value) for an error instead.
    pub fn to_value(&self) -> Value {
        Value::from(*self)
    }
}
