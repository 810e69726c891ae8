//! Compound types: sequences, maps and enums.
//!
//! Owns the accesses that serde's visitors call, and the path that an error collects on its way out through
//! them. Calls `de` for each item.

use serde::Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::arena::{Chain, Id, Items, NIL, Node};
use super::de::{De, Frame, VALUE_COST, Walk};
use crate::codec::report::Step;
use crate::codec::{DecodeError, DecodeErrorKind as Kind};
use crate::plural::count;

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) struct Sequence<'a, 'p, 'de> {
    walk: &'a Walk<'a, 'de>,
    frame: Frame<'p>,
    chain: Chain<'a>,
    /// Items that are not in a chain.
    pair: [Id; 2],
    index: usize,
}

impl<'a, 'p, 'de> Sequence<'a, 'p, 'de> {
    /// Makes the access. Charges for all items, because a collecting visitor reserves memory for all of them
    /// at once.
    pub(super) fn new(walk: &'a Walk<'a, 'de>, frame: Frame<'p>, items: Items) -> Result<Self> {
        walk.charge(items.len as usize * VALUE_COST)?;
        Ok(Self { walk, frame, chain: walk.arena.items(items), pair: [NIL; 2], index: 0 })
    }

    pub(super) fn pair(walk: &'a Walk<'a, 'de>, frame: Frame<'p>, pair: [Id; 2]) -> Self {
        Self { walk, frame, chain: walk.arena.items(Items::EMPTY), pair, index: 0 }
    }

    /// Refuses surplus items, for which the type has no field.
    pub(super) fn finish(self, len: u32) -> Result<()> {
        match self.chain.size_hint().0 {
            0 => Ok(()),
            _ => Err(DecodeError::expected(
                format_args!("{}", count(self.index, "item")),
                format_args!("a {} of {len}", self.walk.arena.kind(self.frame.id)),
            )),
        }
    }
}

impl<'de> SeqAccess<'de> for Sequence<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let id = match self.chain.next() {
            Some(id) => id,
            None => match self.pair.get(self.index) {
                Some(&id) if id != NIL => id,
                _ => return Ok(None),
            },
        };
        let item = De { walk: self.walk, id, parent: Some(&self.frame) };
        let value = seed.deserialize(item).map_err(|error| error.under(Step::Index(self.index)))?;
        self.index += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.chain.size_hint().0)
    }
}

pub(super) struct DictAccess<'a, 'p, 'de> {
    walk: &'a Walk<'a, 'de>,
    frame: Frame<'p>,
    chain: Chain<'a>,
    /// Items after the first chain.
    more: Items,
    key: Id,
    /// `true` if keys are the names of fields.
    fields: bool,
}

impl<'a, 'p, 'de> DictAccess<'a, 'p, 'de> {
    /// Makes the access. Charges for all pairs, because a collecting visitor reserves memory for all of them
    /// at once.
    pub(super) fn new(
        walk: &'a Walk<'a, 'de>,
        frame: Frame<'p>,
        first: Items,
        more: Items,
        fields: bool,
    ) -> Result<Self> {
        let len = first.len as usize + more.len as usize;
        walk.charge(len * VALUE_COST)?;
        if !fields {
            // Cost of finding repeated keys.
            walk.charge(len * (size_of::<(u64, u32)>() / 2))?;
        }
        Ok(Self { walk, frame, chain: walk.arena.items(first), more, key: NIL, fields })
    }

    fn step(&self, error: DecodeError) -> DecodeError {
        let arena = self.walk.arena;
        match arena.node(self.key) {
            Node::Int(n) => error.under(Step::Key(&n.to_string())),
            _ => error.under(Step::Key(&arena.lossy(self.key))),
        }
    }
}

impl<'de> MapAccess<'de> for DictAccess<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let key = match self.chain.next() {
            Some(key) => key,
            None => {
                self.chain = self.walk.arena.items(std::mem::replace(&mut self.more, Items::EMPTY));
                match self.chain.next() {
                    Some(key) => key,
                    None => return Ok(None),
                }
            }
        };
        self.key = key;
        let de = De { walk: self.walk, id: key, parent: Some(&self.frame) };
        if self.fields { seed.deserialize(FieldName(de)).map(Some) } else { seed.deserialize(de).map(Some) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let id = self.chain.next().ok_or_else(|| DecodeError::custom("a key without a value"))?;
        let item = De { walk: self.walk, id, parent: Some(&self.frame) };
        seed.deserialize(item).map_err(|error| self.step(error))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.chain.size_hint().0 / 2 + self.more.len as usize / 2)
    }
}

/// A key of a dict that stands for a struct: a text. serde would take a number as a position.
struct FieldName<'a, 'p, 'de>(De<'a, 'p, 'de>);

impl<'de> Deserializer<'de> for FieldName<'_, '_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0.node() {
            Node::Str(_) | Node::Escaped(_) | Node::Bytes(_) | Node::Latin1(_) => {
                self.0.deserialize_any(visitor)
            }
            _ => Err(DecodeError::expected("the name of a field", self.0.walk.arena.kind(self.0.id))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A dict of one entry, read as an enum: the key names the variant.
pub(super) struct Variant<'a, 'p, 'de> {
    walk: &'a Walk<'a, 'de>,
    frame: Frame<'p>,
    key: Id,
    content: Id,
}

impl<'a, 'p, 'de> Variant<'a, 'p, 'de> {
    /// Makes the access; `items` has two items.
    pub(super) fn new(walk: &'a Walk<'a, 'de>, frame: Frame<'p>, items: Items) -> Self {
        let mut chain = walk.arena.items(items);
        let (key, content) = (chain.next().unwrap_or(NIL), chain.next().unwrap_or(NIL));
        Self { walk, frame, key, content }
    }

    fn with<T>(&self, read: impl FnOnce(De<'_, '_, 'de>) -> Result<T>) -> Result<T> {
        self.walk.charge(VALUE_COST)?;
        read(De { walk: self.walk, id: self.content, parent: Some(&self.frame) })
            .map_err(|error| error.under(Step::Key(&self.walk.arena.lossy(self.key))))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, '_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let de = De { walk: self.walk, id: self.key, parent: Some(&self.frame) };
        let variant = seed.deserialize(FieldName(de))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        self.with(|content| match content.node() {
            Node::None => Ok(()),
            _ => Err(DecodeError::new(Kind::Type, "this variant has no content")),
        })
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.with(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.with(|content| content.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.with(|content| content.deserialize_struct("", fields, visitor))
    }
}
