//! Arrays of objects for serde: as nested sequences.
//!
//! Owns the walk over the items by shape. Calls `de` for each item.

use serde::Deserializer;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::arena::Id;
use super::de::{De, Frame, VALUE_COST, Walk};
use crate::codec::report::Step;
use crate::codec::{DType, DecodeError, DecodeErrorKind as Kind};

type Result<T> = std::result::Result<T, DecodeError>;

/// Items of an array, with strides as if each item had one byte.
pub(super) struct Grid<'a, 'p, 'de> {
    pub(super) walk: &'a Walk<'a, 'de>,
    pub(super) frame: Frame<'p>,
    pub(super) items: Vec<Id>,
    pub(super) shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a, 'p, 'de> Grid<'a, 'p, 'de> {
    pub(super) fn new(
        walk: &'a Walk<'a, 'de>,
        frame: Frame<'p>,
        items: Vec<Id>,
        shape: Vec<usize>,
        fortran: bool,
    ) -> Result<Self> {
        crate::codec::value::check_shape(DType::U8, &shape, items.len()).map_err(|_| {
            let reason = format!("an array of shape {shape:?} has {} objects", items.len());
            DecodeError::new(Kind::Malformed, reason)
        })?;
        let strides = crate::codec::value::strides(DType::U8, &shape, fortran);
        Ok(Self { walk, frame, items, shape, strides })
    }

    pub(super) fn root(&self) -> Part<'_, 'a, 'p, 'de> {
        Part { grid: self, axis: 0, at: 0 }
    }
}

/// The part under the first few indices: an item, or a sequence.
#[derive(Clone, Copy)]
pub(super) struct Part<'g, 'a, 'p, 'de> {
    grid: &'g Grid<'a, 'p, 'de>,
    axis: usize,
    at: usize,
}

impl<'de> Deserializer<'de> for Part<'_, '_, '_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.grid.shape.get(self.axis) {
            Some(&len) => visitor.visit_seq(Rows { part: self, len, index: 0 }),
            None => self.item()?.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.axis == self.grid.shape.len() {
            true => self.item()?.deserialize_option(visitor),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match self.axis == self.grid.shape.len() {
            true => self.item()?.deserialize_newtype_struct(name, visitor),
            false => visitor.visit_newtype_struct(self),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'g, 'a, 'p, 'de> Part<'g, 'a, 'p, 'de> {
    fn item(&self) -> Result<De<'a, 'g, 'de>>
    where
        'p: 'g,
    {
        let id = self.grid.items.get(self.at).copied();
        let id = id.ok_or_else(|| DecodeError::new(Kind::Malformed, "an array is shorter than its shape"))?;
        Ok(De { walk: self.grid.walk, id, parent: Some(&self.grid.frame) })
    }
}

struct Rows<'g, 'a, 'p, 'de> {
    part: Part<'g, 'a, 'p, 'de>,
    len: usize,
    index: usize,
}

impl<'de> SeqAccess<'de> for Rows<'_, '_, '_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.index == self.len {
            return Ok(None);
        }
        let grid = self.part.grid;
        // An array with a dimension of 0 may have any number of empty rows.
        grid.walk.charge(2 * VALUE_COST)?;
        let at = self.part.at.saturating_add(grid.strides[self.part.axis].saturating_mul(self.index));
        let part = Part { grid, axis: self.part.axis + 1, at };
        let under = |error: DecodeError| error.under(Step::Index(self.index));
        let value = match part.axis == grid.shape.len() {
            // An item may be of any kind, and is deserialized as it is.
            true => seed.deserialize(part.item()?).map_err(under)?,
            false => seed.deserialize(part).map_err(under)?,
        };
        self.index += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some((self.len - self.index).min(self.part.grid.items.len()))
    }
}
