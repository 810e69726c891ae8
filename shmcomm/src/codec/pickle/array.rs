//! Arrays for serde: as nested sequences of numbers, or as the fields of an `NdArray`.
//!
//! Owns the walk over an [`ArrayView`]. Calls `de` for its budget only.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::{BorrowedBytesDeserializer, BytesDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::de::{VALUE_COST, Walk};
use super::numpy::ArrayView;
use crate::codec::report::Step;
use crate::codec::value::{Source, name};
use crate::codec::{DType, DecodeError, DecodeErrorKind as Kind, Element, Scalar, Value};
use crate::plural::count;

type Result<T> = std::result::Result<T, DecodeError>;

/// The part of an array under the first few indices: a number, or a sequence.
#[derive(Clone, Copy)]
pub(super) struct ArrayItem<'a, 'de> {
    walk: &'a Walk<'a, 'de>,
    view: &'a ArrayView<'de>,
    strides: &'a [usize],
    axis: usize,
    at: usize,
}

impl<'a, 'de> ArrayItem<'a, 'de> {
    pub(super) fn root(walk: &'a Walk<'a, 'de>, view: &'a ArrayView<'de>, strides: &'a [usize]) -> Self {
        Self { walk, view, strides, axis: 0, at: 0 }
    }
}

impl<'de> ArrayItem<'_, 'de> {
    fn scalar<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let view = self.view;
        let bytes = view.data.get(self.at..self.at + view.dtype.size());
        let bytes = bytes.ok_or_else(short)?;
        if let Some(number) = view.dtype.read(bytes, view.endian) {
            return Number(number).deserialize_any(visitor);
        }
        let value = match &view.record {
            Some(record) => {
                self.walk.charge(record.elements().saturating_mul(VALUE_COST) + bytes.len())?;
                record.read(bytes).map(Value::Dict)
            }
            None => {
                self.walk.charge(bytes.len())?;
                view.dtype.value(bytes, view.endian)
            }
        };
        match value {
            Some(value) => Source(value).deserialize_any(visitor),
            None => Err(DecodeError::new(
                Kind::Unsupported,
                "a text of an array holds characters that no Rust text can hold",
            )),
        }
    }

    /// Visits the last dimension. Checks the element type once, not for each element.
    fn numbers<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.walk.charge(len.saturating_mul(8))?;
        match self.view.dtype {
            DType::F64 => self.typed(len, visitor, Scalar::Float),
            DType::F32 => self.typed(len, visitor, |x: f32| Scalar::Float(x.into())),
            DType::I64 => self.typed(len, visitor, Scalar::Int),
            DType::I32 => self.typed(len, visitor, |n: i32| Scalar::Int(n.into())),
            DType::U8 => self.typed(len, visitor, |n: u8| Scalar::UInt(n.into())),
            dtype => {
                let endian = self.view.endian;
                self.each(len, visitor, move |bytes| dtype.read(bytes, endian))
            }
        }
    }

    fn typed<T: Element, V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
        number: impl Fn(T) -> Scalar,
    ) -> Result<V::Value> {
        let endian = self.view.endian;
        self.each(len, visitor, move |bytes| T::read(bytes, endian).map(&number))
    }

    fn each<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
        read: impl Fn(&[u8]) -> Option<Scalar>,
    ) -> Result<V::Value> {
        let (stride, size) = (self.strides[self.axis], self.view.dtype.size());
        let mut numbers = Numbers { data: &self.view.data, at: self.at, stride, size, read, len, index: 0 };
        let value = visitor.visit_seq(&mut numbers)?;
        all_taken(numbers.index, len)?;
        Ok(value)
    }
}

#[cold]
fn short() -> DecodeError {
    DecodeError::new(Kind::Malformed, "an array is shorter than its shape")
}

fn all_taken(taken: usize, len: usize) -> Result<()> {
    match taken == len {
        true => Ok(()),
        false => Err(DecodeError::expected(
            format_args!("{taken}", taken = count(taken, "item")),
            format_args!("a dimension of {len}"),
        )),
    }
}

impl<'de> Deserializer<'de> for ArrayItem<'_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.view.shape[self.axis..] {
            [] => self.scalar(visitor),
            [len] if !self.view.dtype.is_opaque() => self.numbers(len, visitor),
            [len, ..] => {
                let mut rows = Rows { item: self, len, index: 0 };
                let value = visitor.visit_seq(&mut rows)?;
                all_taken(rows.index, len)?;
                Ok(value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
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

/// One element, as a number.
struct Number(Scalar);

impl<'de> Deserializer<'de> for Number {
    type Error = DecodeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Scalar::Bool(truth) => visitor.visit_bool(truth),
            Scalar::Int(n) => visitor.visit_i64(n),
            Scalar::UInt(n) => visitor.visit_u64(n),
            Scalar::Float(x) => visitor.visit_f64(x),
            Scalar::Complex(re, im) => visitor.visit_seq(SeqDeserializer::new([re, im].into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
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

/// The elements along the last dimension.
struct Numbers<'a, F> {
    data: &'a [u8],
    at: usize,
    stride: usize,
    size: usize,
    read: F,
    len: usize,
    index: usize,
}

impl<'de, F: Fn(&[u8]) -> Option<Scalar>> SeqAccess<'de> for Numbers<'_, F> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.index == self.len {
            return Ok(None);
        }
        let bytes = self.data.get(self.at..self.at + self.size);
        let number = bytes.and_then(&self.read).ok_or_else(short)?;
        let value = seed.deserialize(Number(number)).map_err(|error| error.under(Step::Index(self.index)))?;
        self.at += self.stride;
        self.index += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.index)
    }
}

/// The parts along any other dimension.
struct Rows<'a, 'de> {
    item: ArrayItem<'a, 'de>,
    len: usize,
    index: usize,
}

impl<'de> SeqAccess<'de> for Rows<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.index == self.len {
            return Ok(None);
        }
        // An array with a dimension of 0 may have any number of empty rows.
        let last = self.item.axis + 1 == self.item.view.shape.len();
        self.item.walk.charge(if last { VALUE_COST } else { 2 * VALUE_COST })?;
        let stride = self.item.strides[self.item.axis];
        let at = self.item.at.saturating_add(stride.saturating_mul(self.index));
        let item = ArrayItem { axis: self.item.axis + 1, at, ..self.item };
        let value = seed.deserialize(item).map_err(|error| error.under(Step::Index(self.index)))?;
        self.index += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        // The length of a dimension promises no elements if another dimension is 0.
        Some((self.len - self.index).min(self.item.view.data.len()))
    }
}

/// The fields of an `NdArray`.
pub(super) struct ArrayFields<'de> {
    view: ArrayView<'de>,
    field: usize,
}

impl<'de> ArrayFields<'de> {
    pub(super) fn new(view: ArrayView<'de>) -> Self {
        Self { view, field: 0 }
    }
}

impl<'de> MapAccess<'de> for ArrayFields<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        match name::ARRAY_FIELDS.get(self.field) {
            Some(&name) => seed.deserialize(name.into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.field += 1;
        let view = &self.view;
        match name::ARRAY_FIELDS.get(self.field - 1) {
            Some(&"shape") => seed.deserialize(SeqDeserializer::new(view.shape.iter().copied())),
            Some(&"dtype") if view.record.is_some() => {
                let spec = view.record.as_ref().map_or(Value::None, |record| record.spec());
                seed.deserialize(Source(spec))
            }
            Some(&"dtype") => seed.deserialize(view.dtype.code(view.endian).into_deserializer()),
            Some(&"data") => match &view.data {
                Cow::Borrowed(bytes) => seed.deserialize(BorrowedBytesDeserializer::new(bytes)),
                Cow::Owned(bytes) => seed.deserialize(BytesDeserializer::new(bytes)),
            },
            _ => seed.deserialize((if view.fortran { "F" } else { "C" }).into_deserializer()),
        }
    }
}
