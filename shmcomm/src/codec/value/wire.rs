//! serde for [`Value`] and [`NdArray`].
//!
//! Owns how the kinds that serde's model lacks (set, array, instance, large integer) pass through
//! it: under the reserved names in [`name`], which this crate's codecs know and others pass over.
//! Calls nothing of a wire format. Other formats see a set as a sequence, an array as a struct of
//! `shape`, `dtype`, `data` and `order`, and an instance as its fields.

use std::fmt;

use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::ser::{Error as _, SerializeStruct, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ndarray::{Block, check_shape};
use super::{BigInt, DType, Dict, NdArray, NdView, Object, Opaque, Value};

/// Reserved names of structs that stand for something else.
pub(crate) mod name {
    pub(crate) const VALUE: &str = "$shmcomm::Value";
    pub(crate) const ARRAY: &str = "$shmcomm::NdArray";
    pub(crate) const ARRAY_F: &str = "$shmcomm::NdArray/F";
    pub(crate) const SET: &str = "$shmcomm::Set";
    pub(crate) const FROZENSET: &str = "$shmcomm::FrozenSet";
    pub(crate) const BIGINT: &str = "$shmcomm::BigInt";
    pub(crate) const COMPLEX: &str = "$shmcomm::Complex";
    pub(crate) const OBJECT: &str = "$shmcomm::Object";
    /// An instance that is made from a tuple of arguments.
    pub(crate) const NAMEDTUPLE: &str = "$shmcomm::Object/args";
    /// The fields of an array, in the order in which they are written.
    pub(crate) const ARRAY_FIELDS: &[&str] = &["shape", "dtype", "data", "order"];
}

/// Variants under which a codec of this crate hands a [`Value`] what serde's model lacks. The
/// number of items that it announces is one that it has counted.
pub(crate) mod tag {
    pub(crate) const LIST: u32 = 0;
    pub(crate) const TUPLE: u32 = 1;
    pub(crate) const SET: u32 = 2;
    pub(crate) const FROZENSET: u32 = 3;
    pub(crate) const DICT: u32 = 4;
    pub(crate) const BIGINT: u32 = 5;
    pub(crate) const COMPLEX: u32 = 6;
    pub(crate) const ARRAY: u32 = 7;
    pub(crate) const OBJECT: u32 = 8;
    pub(crate) const OPAQUE: u32 = 9;
}

struct AsBytes<'a>(&'a [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct AsTuple<'a, T>(&'a [T]);

impl<T: Serialize> Serialize for AsTuple<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for item in self.0 {
            tuple.serialize_element(item)?;
        }
        tuple.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(n) => serializer.serialize_i64(*n),
            Self::BigInt(n) => n.serialize(serializer),
            Self::Float(x) => serializer.serialize_f64(*x),
            Self::Complex(re, im) => serializer.serialize_newtype_struct(name::COMPLEX, &(re, im)),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) => items.serialize(serializer),
            Self::Tuple(items) => AsTuple(items).serialize(serializer),
            Self::Set(items) => serializer.serialize_newtype_struct(name::SET, items),
            Self::FrozenSet(items) => serializer.serialize_newtype_struct(name::FROZENSET, items),
            Self::Dict(dict) => dict.serialize(serializer),
            Self::Array(array) => array.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
            Self::Opaque(opaque) => Err(S::Error::custom(format_args!(
                "the opaque object `{}.{}` cannot be sent: only Python can make sense of it",
                opaque.module, opaque.name
            ))),
        }
    }
}

impl Serialize for Dict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(n) = self.to_i64() {
            serializer.serialize_i64(n)
        } else if let Some(n) = self.to_u64() {
            serializer.serialize_u64(n)
        } else if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_newtype_struct(name::BIGINT, &AsBytes(self.as_le_bytes()))
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.state.serialize(serializer);
        }
        let name = if matches!(self.state, Value::Tuple(_)) { name::NAMEDTUPLE } else { name::OBJECT };
        let mut fields = serializer.serialize_struct(name, 3)?;
        fields.serialize_field("module", &self.module)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("state", &self.state)?;
        fields.end()
    }
}

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

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(name::VALUE, ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(Value::Int(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(n.into())
    }

    fn visit_i128<E>(self, n: i128) -> Result<Value, E> {
        Ok(n.into())
    }

    fn visit_u128<E>(self, n: u128) -> Result<Value, E> {
        Ok(n.into())
    }

    fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
        Ok(Value::Float(x))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::bytes(bytes))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Value, A::Error> {
        Items { most: UNCOUNTED }.visit_seq(seq).map(Value::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        Pairs { most: UNCOUNTED }.visit_map(map).map(|pairs| Value::Dict(pairs.into()))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (tag, variant) = access.variant::<u32>()?;
        let counted = Items { most: usize::MAX };
        Ok(match tag {
            tag::LIST => Value::List(variant.newtype_variant_seed(counted)?),
            tag::TUPLE => Value::Tuple(variant.newtype_variant_seed(counted)?),
            tag::SET => Value::Set(variant.newtype_variant_seed(counted)?),
            tag::FROZENSET => Value::FrozenSet(variant.newtype_variant_seed(counted)?),
            tag::DICT => Value::Dict(variant.newtype_variant_seed(Pairs { most: usize::MAX })?.into()),
            other => return special(other, variant),
        })
    }
}

/// The kinds that are no plain container. Apart, so that deep nesting of those takes less stack.
#[inline(never)]
fn special<'de, A: VariantAccess<'de>>(tag: u32, variant: A) -> Result<Value, A::Error> {
    Ok(match tag {
        tag::BIGINT => variant.newtype_variant::<BigInt>()?.into(),
        tag::COMPLEX => {
            let (re, im) = variant.newtype_variant()?;
            Value::Complex(re, im)
        }
        tag::ARRAY => Value::Array(Box::new(variant.newtype_variant()?)),
        tag::OBJECT => {
            let (module, name, state) = variant.newtype_variant()?;
            Value::Object(Box::new(Object { module, name, state }))
        }
        tag::OPAQUE => {
            let (module, name, args) = variant.newtype_variant()?;
            Value::Opaque(Box::new(Opaque { module, name, args }))
        }
        other => return Err(de::Error::custom(format_args!("unknown kind {other} of value"))),
    })
}

/// Items to make room for at first where a foreign format only claims a number.
const UNCOUNTED: usize = 256;

struct Items {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(self.most));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

struct Pairs {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Pairs {
    type Value = Vec<(Value, Value)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(Value, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(0).min(self.most));
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

impl<'de> Deserialize<'de> for Dict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs { most: UNCOUNTED }).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BigIntVisitor;

        impl<'de> Visitor<'de> for BigIntVisitor {
            type Value = BigInt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("int")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<BigInt, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_i64<E>(self, n: i64) -> Result<BigInt, E> {
                Ok(n.into())
            }

            fn visit_u64<E>(self, n: u64) -> Result<BigInt, E> {
                Ok(n.into())
            }

            fn visit_i128<E>(self, n: i128) -> Result<BigInt, E> {
                Ok(n.into())
            }

            fn visit_u128<E>(self, n: u128) -> Result<BigInt, E> {
                Ok(n.into())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BigInt, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<BigInt, E> {
                Ok(BigInt::from_le_bytes(bytes))
            }
        }

        deserializer.deserialize_newtype_struct(name::BIGINT, BigIntVisitor)
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
