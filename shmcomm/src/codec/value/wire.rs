//! serde for [`Value`].
//!
//! Owns the form in serde of the kinds that serde's model lacks (set, array, instance, large integer). They
//! pass under the reserved names in [`name`], which this crate's codecs know and others ignore. Calls no wire
//! format; arrays are in `array_wire`. Other formats see a set as a sequence, and an instance as its fields.
//! They see an array as a struct of `shape`, `dtype`, `data` and `order`.

use std::fmt;

use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::ser::{Error as _, SerializeStruct, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::extension::ExtVisitor;
use super::{BigInt, Dict, Object, Opaque, Value};

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
    /// An instance whose fields are in slots.
    pub(crate) const SLOTTED: &str = "$shmcomm::Object/slots";
    /// An instance that is made from a tuple of arguments.
    pub(crate) const NAMEDTUPLE: &str = "$shmcomm::Object/args";
    pub(crate) const BYTEARRAY: &str = "$shmcomm::ByteArray";
    pub(crate) const ORDEREDDICT: &str = "$shmcomm::OrderedDict";
    pub(crate) const COUNTER: &str = "$shmcomm::Counter";
    pub(crate) const DEFAULTDICT: &str = "$shmcomm::DefaultDict";
    pub(crate) const DEQUE: &str = "$shmcomm::Deque";
    pub(crate) const RANGE: &str = "$shmcomm::Range";
    pub(crate) const SLICE: &str = "$shmcomm::Slice";
    pub(crate) const TYPED_ARRAY: &str = "$shmcomm::TypedArray";
    pub(crate) const ENUM: &str = "$shmcomm::Enum";
    pub(crate) const OBJECT_ARRAY: &str = "$shmcomm::ObjectArray";
    /// The fields of an array, in the order in which they are written.
    pub(crate) const ARRAY_FIELDS: &[&str] = &["shape", "dtype", "data", "order"];
}

/// Variants under which a codec of this crate passes the kinds that serde's model lacks to a [`Value`]. The
/// codec announces only a number of items that it has counted.
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
    pub(crate) const BYTEARRAY: u32 = 10;
    pub(crate) const ORDEREDDICT: u32 = 11;
    pub(crate) const COUNTER: u32 = 12;
    pub(crate) const DEFAULTDICT: u32 = 13;
    pub(crate) const DEQUE: u32 = 14;
    pub(crate) const RANGE: u32 = 15;
    pub(crate) const SLICE: u32 = 16;
    pub(crate) const TYPED_ARRAY: u32 = 17;
    pub(crate) const ENUM: u32 = 18;
    pub(crate) const OBJECT_ARRAY: u32 = 19;
    pub(crate) const RECORDS: u32 = 20;
    /// A value with a text: its reserved name and the text.
    pub(crate) const LEAF: u32 = 21;
    pub(crate) const SLOTTED: u32 = 22;
}

/// Serializes bytes as serde's bytes, not as a sequence.
pub(crate) struct AsBytes<'a>(pub(crate) &'a [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Writes a slice as a tuple.
pub(super) struct AsTuple<'a, T>(pub(super) &'a [T]);

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
            Self::ByteArray(bytes) => serializer.serialize_newtype_struct(name::BYTEARRAY, &AsBytes(bytes)),
            Self::OrderedDict(dict) => serializer.serialize_newtype_struct(name::ORDEREDDICT, dict),
            Self::Counter(dict) => serializer.serialize_newtype_struct(name::COUNTER, dict),
            Self::DefaultDict(dict) => dict.serialize(serializer),
            Self::Deque(deque) => deque.serialize(serializer),
            Self::Range(range) => range.serialize(serializer),
            Self::Slice(parts) => {
                let [start, stop, step] = &**parts;
                serializer.serialize_newtype_struct(name::SLICE, &(start, stop, step))
            }
            Self::TypedArray(array) => array.serialize(serializer),
            Self::Enum(member) => member.serialize(serializer),
            Self::ObjectArray(array) => array.serialize(serializer),
            Self::Records(records) => records.serialize(serializer),
            Self::DateTime(leaf) => leaf.serialize(serializer),
            Self::Date(leaf) => leaf.serialize(serializer),
            Self::Time(leaf) => leaf.serialize(serializer),
            Self::TimeDelta(leaf) => leaf.serialize(serializer),
            Self::TimeZone(leaf) => leaf.serialize(serializer),
            Self::Decimal(leaf) => leaf.serialize(serializer),
            Self::Fraction(leaf) => leaf.serialize(serializer),
            Self::Uuid(leaf) => leaf.serialize(serializer),
            Self::Path(leaf) => leaf.serialize(serializer),
            Self::Ip(leaf) => leaf.serialize(serializer),
            Self::Timestamp(leaf) => leaf.serialize(serializer),
            Self::Ext(ext) => ext.serialize(serializer),
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
        let name = match self.state {
            Value::Tuple(_) => name::NAMEDTUPLE,
            _ if self.slots => name::SLOTTED,
            _ => name::OBJECT,
        };
        let mut fields = serializer.serialize_struct(name, 3)?;
        fields.serialize_field("module", &self.module)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("state", &self.state)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(name::VALUE, ValueVisitor { inside: false })
    }
}

struct ValueVisitor {
    /// `true` after the format was asked for any value. A newtype that it then shows is an extension.
    inside: bool,
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.inside {
            false => deserializer.deserialize_any(ValueVisitor { inside: true }),
            true => deserializer.deserialize_any(ExtVisitor).map(Value::from),
        }
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
        Pairs { most: UNCOUNTED }.visit_map(map).map(Value::Dict)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (tag, variant) = access.variant::<u32>()?;
        let counted = Items { most: usize::MAX };
        Ok(match tag {
            tag::LIST => Value::List(variant.newtype_variant_seed(counted)?),
            tag::TUPLE => Value::Tuple(variant.newtype_variant_seed(counted)?),
            tag::SET => Value::Set(variant.newtype_variant_seed(counted)?),
            tag::FROZENSET => Value::FrozenSet(variant.newtype_variant_seed(counted)?),
            tag::DICT => Value::Dict(variant.newtype_variant_seed(Pairs { most: usize::MAX })?),
            other => return special(other, variant),
        })
    }
}

/// Reads the kinds that are not plain containers. This is a separate function, so that deep nesting of plain
/// containers takes less stack.
#[inline(never)]
fn special<'de, A: VariantAccess<'de>>(tag: u32, variant: A) -> Result<Value, A::Error> {
    match tag {
        tag::BIGINT => variant.newtype_variant::<BigInt>().map(Value::from),
        tag::COMPLEX => variant.newtype_variant().map(|(re, im)| Value::Complex(re, im)),
        tag::OBJECT | tag::SLOTTED => object(variant, tag == tag::SLOTTED),
        tag::OPAQUE => opaque(variant),
        other => super::wire_standard::read(other, variant),
    }
}

#[inline(never)]
fn object<'de, A: VariantAccess<'de>>(variant: A, slots: bool) -> Result<Value, A::Error> {
    let (module, name, state) = variant.newtype_variant()?;
    Ok(Value::Object(Box::new(Object { module, name, state, slots })))
}

#[inline(never)]
fn opaque<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (module, name, args, state) = variant.newtype_variant()?;
    Ok(Value::Opaque(Box::new(Opaque { module, name, args, state })))
}

/// Initial capacity in items if a foreign format only claims a number.
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
    type Value = Dict;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pairs {
    type Value = Dict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(0).min(self.most));
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        super::keys::last_wins(&mut pairs);
        Ok(Dict::from(pairs))
    }
}

impl<'de> Deserialize<'de> for Dict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs { most: UNCOUNTED })
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
