//! Conversions between [`Value`] and what a codec carries.
//!
//! Owns which plain value each kind of Python becomes. Calls `codec` for its value; the depth of a decoded
//! value is bounded there.

use super::value::Value;
use crate::codec::{self, Dict, NdArray, Records};

/// Converts to the plain kinds. A set or an array becomes a list, and an instance becomes its fields. A time, a
/// path, another leaf, and a key that is no text become their text. An integer beyond 128 bits becomes a text
/// of digits.
impl From<&codec::Value> for Value {
    fn from(value: &codec::Value) -> Value {
        use codec::Value as Coded;
        match value {
            Coded::None => Value::Null,
            Coded::Bool(truth) => Value::Bool(*truth),
            Coded::Int(n) => Value::Int((*n).into()),
            Coded::BigInt(n) => n.to_i128().map_or_else(|| Value::Text(n.to_string()), Value::Int),
            Coded::Float(x) => Value::F64(*x),
            Coded::Complex(re, im) => Value::List(vec![Value::F64(*re), Value::F64(*im)]),
            Coded::Str(text) => Value::Text(text.clone()),
            Coded::Bytes(bytes) | Coded::ByteArray(bytes) => Value::Bytes(bytes.clone()),
            Coded::Array(array) => nested(array),
            Coded::TypedArray(array) => nested(array.items()),
            Coded::ObjectArray(array) => {
                shaped(&mut array.items().iter().map(Value::from), array.shape(), array.items().len())
            }
            Coded::Records(records) => self::records(records),
            Coded::Enum(member) => Value::from(&member.value),
            Coded::Object(object) => Value::from(&object.state),
            Coded::DateTime(leaf) => Value::Text(leaf.to_string()),
            Coded::Date(leaf) => Value::Text(leaf.to_string()),
            Coded::Time(leaf) => Value::Text(leaf.to_string()),
            Coded::TimeDelta(leaf) => Value::Text(leaf.to_string()),
            Coded::TimeZone(leaf) => Value::Text(leaf.to_string()),
            Coded::Decimal(leaf) => Value::Text(leaf.to_string()),
            Coded::Fraction(leaf) => Value::Text(leaf.to_string()),
            Coded::Uuid(leaf) => Value::Text(leaf.to_string()),
            Coded::Path(leaf) => Value::Text(leaf.to_string()),
            Coded::Ip(leaf) => Value::Text(leaf.to_string()),
            Coded::Range(leaf) => Value::Text(leaf.to_string()),
            Coded::Timestamp(time) => {
                Value::Int(i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanoseconds()))
            }
            Coded::Ext(ext) => {
                Value::from_iter([("ext", Value::from(ext.code)), ("data", Value::Bytes(ext.data.clone()))])
            }
            Coded::Opaque(opaque) => Value::from_iter([
                ("object", Value::Text(format!("{}.{}", opaque.module, opaque.name))),
                ("args", Value::from(&opaque.args)),
                ("state", Value::from(&opaque.state)),
            ]),
            other => match (other.as_dict(), other.as_slice()) {
                (Some(parts), _) => dict(parts),
                (None, Some(items)) => Value::List(items.iter().map(Value::from).collect()),
                (None, None) => Value::Text(format!("{other:?}")),
            },
        }
    }
}

/// Converts to the plain kinds of Python: `None`, `bool`, `int`, `float`, `str`, `bytes`, `list`, `dict`.
impl From<&Value> for codec::Value {
    fn from(value: &Value) -> codec::Value {
        match value {
            Value::Null => codec::Value::None,
            Value::Bool(truth) => (*truth).into(),
            Value::Int(n) => (*n).into(),
            Value::F32(x) => (*x).into(),
            Value::F64(x) => (*x).into(),
            Value::Text(text) => text.as_str().into(),
            Value::Bytes(bytes) => codec::Value::Bytes(bytes.clone()),
            Value::List(items) => items.iter().map(codec::Value::from).collect(),
            Value::Map(parts) => {
                parts.iter().map(|(name, value)| (name.as_str(), codec::Value::from(value))).collect()
            }
        }
    }
}

fn dict(dict: &Dict) -> Value {
    let key = |key: &codec::Value| match Value::from(key) {
        Value::Text(text) => text,
        other => other.to_string(),
    };
    Value::Map(dict.iter().map(|(name, value)| (key(name), Value::from(value))).collect())
}

fn nested(array: &NdArray) -> Value {
    let mut items = array.values().map(|item| item.as_ref().map_or(Value::Null, Value::from));
    shaped(&mut items, array.shape(), array.len())
}

fn records(records: &Records) -> Value {
    let len = if records.is_empty() { 0 } else { records.len() };
    let mut items = records.iter().map(|record| record.as_ref().map_or(Value::Null, dict));
    shaped(&mut items, records.shape(), len)
}

/// Nests `len` items as `shape` says, in C order. An array without items is an empty list, whatever its shape.
fn shaped(items: &mut impl Iterator<Item = Value>, shape: &[usize], len: usize) -> Value {
    match shape {
        [] => items.next().unwrap_or_default(),
        _ if len == 0 => Value::List(Vec::new()),
        [one] => Value::List(items.take(*one).collect()),
        [first, rest @ ..] => Value::List((0..*first).map(|_| shaped(items, rest, len)).collect()),
    }
}
