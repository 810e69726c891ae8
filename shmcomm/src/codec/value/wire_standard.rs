//! Reading of the kinds of a [`Value`] that only Python's standard library, numpy and msgpack have.
//!
//! Owns the reading of each of these kinds from a codec. Calls the modules of the types. Each kind has its
//! own function. A function takes the stack of all its parts, and kinds may be nested deep.

use serde::de::{self, VariantAccess};

use super::extension::Payload;
use super::leaf::Leaf;
use super::wire::tag;
use super::{
    DefaultDict, Deque, Dict, EnumMember, Factory, NdArray, ObjectArray, Range, Records, TypedArray, Value,
};

/// Reads the kind with that number.
#[inline(never)]
pub(super) fn read<'de, A: VariantAccess<'de>>(tag: u32, variant: A) -> Result<Value, A::Error> {
    match tag {
        tag::BYTEARRAY => variant.newtype_variant::<Payload>().map(|bytes| Value::ByteArray(bytes.0)),
        tag::ORDEREDDICT => variant.newtype_variant::<Dict>().map(Value::OrderedDict),
        tag::COUNTER => variant.newtype_variant::<Dict>().map(Value::Counter),
        tag::DEFAULTDICT => default_dict(variant),
        tag::DEQUE => deque(variant),
        tag::RANGE => range(variant),
        tag::SLICE => slice(variant),
        tag::ENUM => member(variant),
        tag::LEAF => leaf(variant),
        other => array(other, variant),
    }
}

#[inline(never)]
fn array<'de, A: VariantAccess<'de>>(tag: u32, variant: A) -> Result<Value, A::Error> {
    match tag {
        tag::ARRAY => variant.newtype_variant::<NdArray>().map(Value::from),
        tag::RECORDS => variant.newtype_variant::<Records>().map(Value::from),
        tag::OBJECT_ARRAY => variant.newtype_variant::<ObjectArray>().map(Value::from),
        tag::TYPED_ARRAY => typed_array(variant),
        other => Err(de::Error::custom(format_args!("unknown kind {other} of value"))),
    }
}

#[inline(never)]
fn typed_array<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (typecode, items) = variant.newtype_variant()?;
    let array = TypedArray::new(typecode, items);
    array.map(Value::from).ok_or_else(|| de::Error::custom("not an array.array"))
}

#[inline(never)]
fn default_dict<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (factory, dict): (Option<String>, Dict) = variant.newtype_variant()?;
    let factory = factory.as_deref().and_then(Factory::of_name);
    Ok(Value::DefaultDict(Box::new(DefaultDict { factory, dict })))
}

#[inline(never)]
fn deque<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (items, maxlen) = variant.newtype_variant()?;
    Ok(Value::Deque(Box::new(Deque { items, maxlen })))
}

#[inline(never)]
fn range<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (start, stop, step) = variant.newtype_variant()?;
    Ok(Value::Range(Box::new(Range { start, stop, step })))
}

#[inline(never)]
fn slice<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (start, stop, step) = variant.newtype_variant()?;
    Ok(Value::Slice(Box::new([start, stop, step])))
}

#[inline(never)]
fn member<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (module, qualname, value) = variant.newtype_variant()?;
    Ok(Value::Enum(Box::new(EnumMember { module, qualname, value })))
}

#[inline(never)]
fn leaf<'de, A: VariantAccess<'de>>(variant: A) -> Result<Value, A::Error> {
    let (name, text): (String, String) = variant.newtype_variant()?;
    match Leaf::read(&name, &text) {
        Some(leaf) => leaf.map(Value::from).map_err(de::Error::custom),
        None => Err(de::Error::custom("a value of unknown kind")),
    }
}
