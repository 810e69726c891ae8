//! Arrays of records: numpy's structured dtypes.
//!
//! Owns [`RecordType`] (numpy's dtype with fields) and [`Records`]. Calls `dtype` and `ndarray`. The type
//! passes through serde in the form of a dict that `numpy.dtype` takes. The constructor checks each type:
//! every field lies within its record, and there are at most 4096 fields, 16 levels deep.

use crate::plural::count;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ndarray::{Block, MAX_DIMENSIONS, ShapeError, check_shape, each_offset, strides};
use super::wire::{AsBytes, AsTuple, name};
use super::{DType, Dict, Endian, NdArray, Value};

const MOST_FIELDS: usize = 4096;
const MOST_LEVELS: usize = 16;

/// The type of a record: its fields and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordType {
    fields: Vec<RecordField>,
    size: usize,
    aligned: bool,
}

/// A field of a [`RecordType`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordField {
    /// Name of the field.
    pub name: String,
    /// Bytes from the start of the record.
    pub offset: usize,
    /// The type of one element.
    pub element: FieldType,
    /// The lengths of the dimensions, if the field is an array; empty for a single element.
    pub shape: Vec<usize>,
}

/// The type of one element of a [`RecordField`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A number, text or another plain element.
    Plain(DType, Endian),
    /// A record.
    Record(RecordType),
}

impl FieldType {
    fn size(&self) -> usize {
        match self {
            Self::Plain(dtype, _) => dtype.size(),
            Self::Record(record) => record.size,
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<Value> {
        match self {
            Self::Plain(dtype, endian) => dtype.value(bytes, *endian),
            Self::Record(record) => Some(Value::Dict(record.read(bytes)?)),
        }
    }

    fn spec(&self) -> Value {
        match self {
            Self::Plain(dtype, endian) => dtype.code(*endian).into(),
            Self::Record(record) => record.spec(),
        }
    }
}

impl RecordField {
    fn size(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.element.size(), |size, &n| size.checked_mul(n))
    }

    fn read(&self, record: &[u8]) -> Option<Value> {
        let bytes = record.get(self.offset..self.offset + self.size()?)?;
        self.part(&self.shape, bytes)
    }

    /// Returns nested lists for the dimensions of the field.
    fn part(&self, shape: &[usize], bytes: &[u8]) -> Option<Value> {
        let Some((&len, inner)) = shape.split_first() else { return self.element.read(bytes) };
        if bytes.is_empty() {
            // A dimension of 0 makes any number of empty lists: one level is enough.
            return Some(Value::List(Vec::new()));
        }
        let step = bytes.len() / len;
        bytes
            .chunks_exact(step)
            .map(|part| self.part(inner, part))
            .collect::<Option<Vec<_>>>()
            .map(Value::List)
    }
}

impl RecordType {
    /// Returns the type of records of `size` bytes with these fields; `aligned` is numpy's `align=True`.
    ///
    /// # Errors
    ///
    /// Fails if a field is not within the record, if two fields have one name, or if there are too many
    /// fields.
    pub fn new(fields: Vec<RecordField>, size: usize, aligned: bool) -> Result<Self, ShapeError> {
        let record = Self { fields, size, aligned };
        let (fields, levels) = record.measure();
        if fields > MOST_FIELDS || levels > MOST_LEVELS {
            return Err(ShapeError::new(format!(
                "a record of {fields} fields in {levels}; the most are {MOST_FIELDS} and {MOST_LEVELS}",
                levels = count(levels, "level")
            )));
        }
        if size == 0 || size > i32::MAX as usize {
            return Err(ShapeError::new(format!("a record of {size}", size = count(size, "byte"))));
        }
        let mut names: Vec<&str> = record.fields.iter().map(|field| &*field.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ShapeError::new(format!("a record has two fields `{}`", pair[0])));
        }
        for field in &record.fields {
            let end = field.size().and_then(|len| len.checked_add(field.offset));
            if field.shape.len() > MAX_DIMENSIONS || end.is_none_or(|end| end > size) {
                return Err(ShapeError::new(format!(
                    "field `{}` is not within a record of {size}",
                    crate::codec::report::excerpt(&field.name),
                    size = count(size, "byte")
                )));
            }
        }
        Ok(record)
    }

    /// Returns the number of fields and levels, those of inner records included.
    fn measure(&self) -> (usize, usize) {
        self.fields.iter().fold((self.fields.len(), 1), |(count, levels), field| match &field.element {
            FieldType::Plain(..) => (count, levels),
            FieldType::Record(record) => {
                let (more, deeper) = record.measure();
                (count.saturating_add(more), levels.max(deeper + 1))
            }
        })
    }

    /// Returns the fields in their order.
    #[must_use]
    pub fn fields(&self) -> &[RecordField] {
        &self.fields
    }

    /// Returns the bytes of one record, gaps included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns `true` if numpy made it with `align=True`.
    #[must_use]
    pub fn is_aligned(&self) -> bool {
        self.aligned
    }

    /// Returns the number of values of one record, those of inner records and arrays included.
    #[cfg(feature = "pickle")]
    pub(crate) fn elements(&self) -> usize {
        self.fields.iter().fold(0, |sum, field| {
            let each = match &field.element {
                FieldType::Plain(..) => 1,
                FieldType::Record(record) => record.elements(),
            };
            let all = field.shape.iter().fold(each, |all, &n| all.saturating_mul(n));
            sum.saturating_add(all.saturating_add(1))
        })
    }

    /// Reads one record: names and values.
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<Dict> {
        let pairs: Option<Vec<(Value, Value)>> =
            self.fields.iter().map(|field| Some((field.name.as_str().into(), field.read(bytes)?))).collect();
        pairs.map(Dict::from)
    }

    /// Returns the dict that `numpy.dtype` takes.
    pub(crate) fn spec(&self) -> Value {
        let format = |field: &RecordField| match &field.shape[..] {
            [] => field.element.spec(),
            shape => {
                let shape = shape.iter().map(|&n| Value::from(n as u64)).collect();
                Value::Tuple(vec![field.element.spec(), Value::Tuple(shape)])
            }
        };
        [
            ("names", self.fields.iter().map(|field| field.name.as_str()).collect()),
            ("formats", Value::List(self.fields.iter().map(format).collect())),
            ("offsets", self.fields.iter().map(|field| field.offset as u64).collect()),
            ("itemsize", Value::from(self.size as u64)),
            ("aligned", Value::from(self.aligned)),
        ]
        .into_iter()
        .collect()
    }

    fn of_spec(spec: &Value) -> Option<Result<Self, ShapeError>> {
        let part = |key: &str| spec.get(key)?.as_slice();
        let (names, formats, offsets) = (part("names")?, part("formats")?, part("offsets")?);
        if names.len() != formats.len() || names.len() != offsets.len() || names.len() > MOST_FIELDS {
            return None;
        }
        let mut fields = Vec::with_capacity(names.len());
        for ((name, format), offset) in names.iter().zip(formats).zip(offsets) {
            let (format, shape) = match format {
                Value::Tuple(pair) | Value::List(pair) => match &pair[..] {
                    [format, shape] => (format, shape.as_slice()?),
                    _ => return None,
                },
                format => (format, &[][..]),
            };
            let element = match format.as_str() {
                Some(code) => DType::parse(code).map(|(dtype, endian)| FieldType::Plain(dtype, endian))?,
                None => match Self::of_spec(format)? {
                    Ok(record) => FieldType::Record(record),
                    Err(error) => return Some(Err(error)),
                },
            };
            let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
            fields.push(RecordField {
                name: name.as_str()?.to_owned(),
                offset: number(offset)?,
                element,
                shape: shape.iter().map(number).collect::<Option<_>>()?,
            });
        }
        let size = usize::try_from(spec.get("itemsize")?.as_u64()?).ok()?;
        Some(Self::new(fields, size, spec.get("aligned").and_then(Value::as_bool).unwrap_or_default()))
    }
}

/// An array of records that owns them, as numpy's `ndarray` with a structured dtype.
#[derive(Clone, PartialEq, Eq)]
pub struct Records {
    dtype: RecordType,
    shape: Vec<usize>,
    fortran: bool,
    data: Block,
}

impl Records {
    /// Returns an array of the bytes of all records, in the order that `fortran` says.
    ///
    /// # Errors
    ///
    /// Fails if `shape` does not take exactly `bytes.len()` bytes, or has more than 64 dimensions.
    pub fn from_bytes(
        dtype: RecordType,
        shape: &[usize],
        fortran: bool,
        bytes: &[u8],
    ) -> Result<Self, ShapeError> {
        check_shape(DType::Void(dtype.size as u32), shape, bytes.len())?;
        Ok(Self { dtype, shape: shape.to_vec(), fortran, data: Block::copy_of(bytes) })
    }

    /// Returns the type of the records.
    #[must_use]
    pub fn dtype(&self) -> &RecordType {
        &self.dtype
    }

    /// Returns the length of each dimension; empty for a single record.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns `true` if the first index is the fastest in memory, not the last.
    #[must_use]
    pub fn is_fortran(&self) -> bool {
        self.fortran
    }

    /// Returns the number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.bytes().len() / self.dtype.size
    }

    /// Returns `true` if there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.bytes().is_empty()
    }

    /// Returns all records as they lie in memory.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.data.bytes()
    }

    /// Returns the record at `index` as names and values. Returns `None` if the index is out of range or has
    /// another number of dimensions, or if a text is not valid.
    #[must_use]
    pub fn get(&self, index: &[usize]) -> Option<Dict> {
        if index.len() != self.shape.len() || index.iter().zip(&self.shape).any(|(i, n)| i >= n) {
            return None;
        }
        let strides = self.strides();
        let at: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        self.dtype.read(self.as_bytes().get(at..at + self.dtype.size)?)
    }

    /// Returns all records as names and values, in C order (last index fastest).
    pub fn iter(&self) -> impl Iterator<Item = Option<Dict>> + '_ {
        let records = if self.is_empty() { 0 } else { self.len() };
        each_offset(self.shape.clone(), self.strides(), records)
            .map(|at| self.dtype.read(self.as_bytes().get(at..at + self.dtype.size)?))
    }

    /// Returns one field of all records as an array. Its shape is that of the records, followed by that of
    /// the field. Returns `None` if there is no such field, or if it is a record itself.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<NdArray> {
        let field = self.dtype.fields.iter().find(|field| field.name == name)?;
        let FieldType::Plain(dtype, endian) = field.element else { return None };
        let size = field.size()?;
        let mut bytes = Vec::with_capacity(size * self.len());
        for at in each_offset(self.shape.clone(), self.strides(), self.len()) {
            bytes.extend_from_slice(self.as_bytes().get(at + field.offset..at + field.offset + size)?);
        }
        let shape: Vec<usize> = self.shape.iter().chain(&field.shape).copied().collect();
        NdArray::from_bytes(dtype, endian, &shape, false, &bytes).ok()
    }

    fn strides(&self) -> Vec<usize> {
        strides(DType::Void(self.dtype.size as u32), &self.shape, self.fortran)
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "array({:?}, shape={:?}", self.dtype.spec(), self.shape)?;
        f.write_str(if self.fortran { ", order=F, " } else { ", " })?;
        f.debug_list().entries(self.as_bytes().chunks_exact(self.dtype.size).take(SHOWN)).finish()?;
        f.write_str(")")
    }
}

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, order) = if self.fortran { (name::ARRAY_F, "F") } else { (name::ARRAY, "C") };
        let mut fields = serializer.serialize_struct(name, name::ARRAY_FIELDS.len())?;
        fields.serialize_field("shape", &AsTuple(&self.shape))?;
        fields.serialize_field("dtype", &self.dtype.spec())?;
        fields.serialize_field("data", &AsBytes(self.as_bytes()))?;
        fields.serialize_field("order", order)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(name::ARRAY, name::ARRAY_FIELDS, RecordsVisitor)
    }
}

struct RecordsVisitor;

impl<'de> Visitor<'de> for RecordsVisitor {
    type Value = Records;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numpy.ndarray of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Records, A::Error> {
        let (mut shape, mut dtype, mut data, mut order) = (None, None, None, None);
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "shape" => shape = Some(map.next_value::<Vec<usize>>()?),
                "dtype" => dtype = Some(map.next_value::<Value>()?),
                "data" => data = Some(map.next_value::<Block>()?),
                "order" => order = Some(map.next_value::<String>()?),
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        let shape = shape.ok_or_else(|| de::Error::missing_field("shape"))?;
        let dtype = dtype.ok_or_else(|| de::Error::missing_field("dtype"))?;
        let data = data.ok_or_else(|| de::Error::missing_field("data"))?;
        let dtype =
            RecordType::of_spec(&dtype).ok_or_else(|| de::Error::custom("not the dtype of records"))?;
        let dtype = dtype.map_err(de::Error::custom)?;
        let fortran = order.as_deref() == Some("F");
        check_shape(DType::Void(dtype.size as u32), &shape, data.bytes().len()).map_err(de::Error::custom)?;
        Ok(Records { dtype, shape, fortran, data })
    }
}
