//! Conversions to and from `serde_json::Value`.
//!
//! Owns both directions. They are total: an integer beyond 64 bits becomes the nearest `f64`, and a number that
//! is not finite becomes `null`, as in serde_json.

use super::value::Value;
use super::view::ValueRef;
use serde_json::{Map, Number, Value as Json};

fn int(n: i128) -> Json {
    match (i64::try_from(n), u64::try_from(n)) {
        (Ok(n), _) => n.into(),
        (_, Ok(n)) => n.into(),
        _ => (n as f64).into(),
    }
}

/// Converts as `serde_json::to_value` converts the Rust type with derived impls.
impl From<&Value> for Json {
    fn from(value: &Value) -> Json {
        match value {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Int(n) => int(*n),
            Value::F32(x) => (*x).into(),
            Value::F64(x) => (*x).into(),
            Value::Text(text) => Json::String(text.clone()),
            Value::Bytes(bytes) => bytes.iter().copied().map(Json::from).collect(),
            Value::List(items) => items.iter().map(Json::from).collect(),
            Value::Map(parts) => Json::Object(
                parts.iter().map(|(name, part)| (name.clone(), part.into())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Converts as `serde_json::to_value` converts the Rust type with derived impls.
impl From<Value> for Json {
    fn from(value: Value) -> Json {
        Json::from(&value)
    }
}

/// Converts straight from the bytes. An invalid part is a text that says what is wrong.
impl From<ValueRef<'_>> for Json {
    fn from(view: ValueRef<'_>) -> Json {
        match view {
            ValueRef::List(items) => items.iter().map(Json::from).collect(),
            ValueRef::Struct(fields) => Json::Object(
                fields.iter().map(|(name, part)| (name.to_owned(), part.into())).collect::<Map<_, _>>(),
            ),
            leaf => Json::from(leaf.to_value()),
        }
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(n) => number(n),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Value::from).collect()),
            Json::Object(parts) => {
                Value::Map(parts.iter().map(|(name, part)| (name.clone(), part.into())).collect())
            }
        }
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Value {
        Value::from(&json)
    }
}

fn number(n: &Number) -> Value {
    match (n.as_i64(), n.as_u64(), n.as_f64()) {
        (Some(n), _, _) => n.into(),
        (_, Some(n), _) => n.into(),
        (_, _, Some(x)) => x.into(),
        _ => Value::Text(n.to_string()),
    }
}
