//! A [`Value`] as a source for serde: the elements of arrays that are not numbers.
//!
//! Owns the transfer of text, bytes, records and times to any type. Calls nothing. Recurses as deep as a
//! record type, which is bounded.

use std::vec::IntoIter;

use serde::Deserializer;
use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Scalar, Value};
use crate::codec::{DecodeError, DecodeErrorKind as Kind};

/// A value that any type can read. It holds only the kinds that an element of an array can be.
pub(crate) struct Source(pub(crate) Value);

impl<'de> Deserializer<'de> for Source {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::None => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Int(n) => visitor.visit_i64(n),
            Value::BigInt(n) => match n.to_u64() {
                Some(n) => visitor.visit_u64(n),
                None => Err(DecodeError::expected("an int of 64 bits", "a larger one")),
            },
            Value::Float(x) => visitor.visit_f64(x),
            Value::Complex(re, im) => visitor.visit_seq(SeqDeserializer::new([re, im].into_iter())),
            Value::Str(text) => visitor.visit_string(text),
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::List(items) | Value::Tuple(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Dict(dict) => visitor.visit_map(Pairs { pairs: dict.into_iter(), value: None }),
            // A time of numpy is read as its count.
            Value::Array(array) => match array.scalar(&[]) {
                Some(Scalar::Int(n)) => visitor.visit_i64(n),
                _ => Err(DecodeError::new(Kind::Unsupported, "an array within an array")),
            },
            other => Err(DecodeError::new(Kind::Unsupported, format!("{} within an array", other.kind()))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, DecodeError> for Source {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Items(IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        self.0.next().map(|item| seed.deserialize(Source(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Pairs {
    pairs: IntoIter<(Value, Value)>,
    value: Option<Value>,
}

impl<'de> MapAccess<'de> for Pairs {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, value)) = self.pairs.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Source(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        seed.deserialize(Source(self.value.take().unwrap_or_default()))
    }
}
