//! Arrays of objects: numpy's dtype `O`.
//!
//! Owns [`ObjectArray`] and its form in serde: shape, order and items for the codec of pickles, nested lists
//! for all others. Calls `ndarray` for the order of the items.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ndarray::{MAX_DIMENSIONS, ShapeError, strides};
use super::wire::{AsTuple, name};
use super::{DType, Value};

/// An array of any values, as numpy's `ndarray` of dtype `O`.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectArray {
    shape: Vec<usize>,
    fortran: bool,
    items: Vec<Value>,
}

impl ObjectArray {
    /// Returns an array of `items` in memory order: the last index is the fastest, or the first if
    /// `fortran`.
    ///
    /// # Errors
    ///
    /// Fails if `shape` does not hold exactly `items.len()` items, or has more than 64 dimensions.
    pub fn new(shape: &[usize], fortran: bool, items: Vec<Value>) -> Result<Self, ShapeError> {
        let len = shape.iter().filter(|&&n| n != 0).try_fold(1usize, |len, &n| len.checked_mul(n));
        let len = len.map(|len| if shape.contains(&0) { 0 } else { len });
        if shape.len() > MAX_DIMENSIONS || len != Some(items.len()) {
            return Err(ShapeError::new(format!("shape {shape:?} does not hold {} objects", items.len())));
        }
        Ok(Self { shape: shape.to_vec(), fortran, items })
    }

    /// Returns the length of each dimension; empty for a single item.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns `true` if the first index is the fastest in memory, not the last.
    #[must_use]
    pub fn is_fortran(&self) -> bool {
        self.fortran
    }

    /// Returns all items in memory order.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// Returns the item at `index`; `None` if it is out of range or has another number of dimensions.
    #[must_use]
    pub fn get(&self, index: &[usize]) -> Option<&Value> {
        if index.len() != self.shape.len() || index.iter().zip(&self.shape).any(|(i, n)| i >= n) {
            return None;
        }
        self.items.get(index.iter().zip(self.strides()).map(|(i, stride)| i * stride).sum::<usize>())
    }

    fn strides(&self) -> Vec<usize> {
        strides(DType::U8, &self.shape, self.fortran)
    }
}

/// A one-dimensional array.
impl From<Vec<Value>> for ObjectArray {
    fn from(items: Vec<Value>) -> Self {
        Self { shape: vec![items.len()], fortran: false, items }
    }
}

impl Serialize for ObjectArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let strides = self.strides();
        let nested = Nested { array: self, strides: &strides, axis: 0, at: 0 };
        if serializer.is_human_readable() {
            return nested.serialize(serializer);
        }
        let mut fields = serializer.serialize_struct(name::OBJECT_ARRAY, 4)?;
        fields.serialize_field("shape", &AsTuple(&self.shape))?;
        fields.serialize_field("fortran", &self.fortran)?;
        fields.serialize_field("items", &self.items)?;
        // A format that does not know the name keeps only this field.
        fields.serialize_field("state", &nested)?;
        fields.end()
    }
}

/// The part under the first few indices.
#[derive(Clone, Copy)]
struct Nested<'a> {
    array: &'a ObjectArray,
    strides: &'a [usize],
    axis: usize,
    at: usize,
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(&len) = self.array.shape.get(self.axis) else {
            return self.array.items.get(self.at).unwrap_or(&Value::None).serialize(serializer);
        };
        // A dimension of 0 makes any number of empty rows: one level is enough.
        let len = if self.array.items.is_empty() { 0 } else { len };
        let mut rows = serializer.serialize_seq(Some(len))?;
        for i in 0..len {
            let at = self.at + i * self.strides[self.axis];
            rows.serialize_element(&Nested { axis: self.axis + 1, at, ..*self })?;
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for ObjectArray {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArrayVisitor;

        impl<'de> Visitor<'de> for ArrayVisitor {
            type Value = ObjectArray;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numpy.ndarray of objects")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<ObjectArray, D::Error> {
                Vec::<Value>::deserialize(inner).map(ObjectArray::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ObjectArray, A::Error> {
                let missing = || de::Error::custom("an array of objects without its parts");
                let shape: Vec<usize> = seq.next_element()?.ok_or_else(missing)?;
                let fortran = seq.next_element()?.ok_or_else(missing)?;
                let items = seq.next_element()?.ok_or_else(missing)?;
                ObjectArray::new(&shape, fortran, items).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_newtype_struct(name::OBJECT_ARRAY, ArrayVisitor)
    }
}
