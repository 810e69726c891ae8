//! serde for values.
//!
//! Owns the mapping to serde's model: a message is serialized as its Rust type is with derived impls.

use super::value::Value;
use super::view::ValueRef;
use core::fmt;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

fn int<S: Serializer>(n: i128, serializer: S) -> Result<S::Ok, S::Error> {
    match (i64::try_from(n), u64::try_from(n)) {
        (Ok(n), _) => serializer.serialize_i64(n),
        (_, Ok(n)) => serializer.serialize_u64(n),
        _ => serializer.serialize_i128(n),
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(n) => int(*n, serializer),
            Value::F32(x) => serializer.serialize_f32(*x),
            Value::F64(x) => serializer.serialize_f64(*x),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(parts) => serializer.collect_map(parts.iter().map(|(name, value)| (name, value))),
        }
    }
}

/// Serializes straight from the bytes. An invalid part is a text that says what is wrong.
impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ValueRef::Null => serializer.serialize_unit(),
            ValueRef::Bool(truth) => serializer.serialize_bool(*truth),
            ValueRef::Int(n) => int(*n, serializer),
            ValueRef::F32(x) => serializer.serialize_f32(*x),
            ValueRef::F64(x) => serializer.serialize_f64(*x),
            ValueRef::Char(c) => serializer.serialize_char(*c),
            ValueRef::Timestamp(time) => serializer.serialize_i64(time.as_nanos()),
            ValueRef::Text(text) | ValueRef::Enum { name: text, .. } => serializer.serialize_str(text),
            ValueRef::Bytes(bytes) => serializer.serialize_bytes(bytes),
            ValueRef::List(items) => serializer.collect_seq(items.iter()),
            ValueRef::Struct(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, part) in fields.iter() {
                    map.serialize_entry(name, &part)?;
                }
                map.end()
            }
            ValueRef::Encoded(encoded) => encoded.to_value().serialize(serializer),
            ValueRef::Invalid(invalid) => serializer.serialize_str(&format!("<{}>", invalid.problem())),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }
            fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
                Ok(Value::Bool(truth))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
                Ok(n.into())
            }
            fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
                Ok(n.into())
            }
            fn visit_i128<E>(self, n: i128) -> Result<Value, E> {
                Ok(n.into())
            }
            fn visit_f32<E>(self, x: f32) -> Result<Value, E> {
                Ok(x.into())
            }
            fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
                Ok(x.into())
            }
            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(text.into())
            }
            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(text.into())
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
                Ok(bytes.into())
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
                Ok(Value::Bytes(bytes))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
                let mut map = Vec::new();
                while let Some(part) = parts.next_entry()? {
                    map.push(part);
                }
                Ok(Value::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
