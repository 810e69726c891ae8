//! serde for arrays.
//!
//! Owns the form of an array in serde: a struct of `shape`, `dtype`, `data` and `order`, whose name this
//! crate's codecs know. Calls `ndarray` for the checks.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ndarray::{Block, check_shape};
use super::wire::{AsBytes, AsTuple, name};
use super::{DType, NdArray, NdView};

impl Serialize for NdArray {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        NdView::from(self).serialize(serializer)
    }
}

impl Serialize for NdView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, order) = if self.fortran { (name::ARRAY_F, "F") } else { (name::ARRAY, "C") };
        let mut fields = serializer.serialize_struct(name, name::ARRAY_FIELDS.len())?;
        fields.serialize_field("shape", &AsTuple(self.shape))?;
        fields.serialize_field("dtype", &self.dtype.code(self.endian))?;
        fields.serialize_field("data", &AsBytes(self.data))?;
        fields.serialize_field("order", order)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for NdArray {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(name::ARRAY, name::ARRAY_FIELDS, ArrayVisitor)
    }
}

struct ArrayVisitor;

impl<'de> Visitor<'de> for ArrayVisitor {
    type Value = NdArray;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numpy.ndarray")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NdArray, A::Error> {
        let (mut shape, mut dtype, mut data, mut order) = (None, None, None, None);
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "shape" => shape = Some(map.next_value()?),
                "dtype" => dtype = Some(map.next_value()?),
                "data" => data = Some(map.next_value()?),
                "order" => order = Some(map.next_value()?),
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        build(
            shape.ok_or_else(|| de::Error::missing_field("shape"))?,
            dtype.ok_or_else(|| de::Error::missing_field("dtype"))?,
            data.ok_or_else(|| de::Error::missing_field("data"))?,
            order,
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NdArray, A::Error> {
        let shape = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let dtype = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        let data = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(2, &self))?;
        build(shape, dtype, data, seq.next_element()?)
    }
}

fn build<E: de::Error>(
    shape: Vec<usize>,
    dtype: String,
    data: Block,
    order: Option<String>,
) -> Result<NdArray, E> {
    let (dtype, endian) = DType::parse(&dtype).ok_or_else(|| {
        E::custom(format_args!(
            "arrays of dtype `{}` are not supported",
            crate::codec::report::excerpt(&dtype)
        ))
    })?;
    let fortran = match order.as_deref() {
        None | Some("C") => false,
        Some("F") => true,
        Some(_) => return Err(E::custom("the order of an array is `C` or `F`")),
    };
    check_shape(dtype, &shape, data.bytes().len()).map_err(E::custom)?;
    Ok(NdArray::from_block(dtype, endian, shape, fortran, data))
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlockVisitor;

        impl<'de> Visitor<'de> for BlockVisitor {
            type Value = Block;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Block, E> {
                Ok(Block::copy_of(bytes))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Block, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Block::copy_of(&bytes))
            }
        }

        deserializer.deserialize_bytes(BlockVisitor)
    }
}
