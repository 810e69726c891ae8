//! How a decoded [`Value`](crate::codec::Value) gets what serde's model lacks.
//!
//! Owns the hand-over: to a `Value`, and to nothing else, sets, tuples, arrays and the like are
//! shown as variants of an enum under the numbers in [`tag`]. Calls `de` and `access`.

use serde::Deserializer;
use serde::de::value::SeqDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::access::{Mapping, Sequence};
use super::arena::{Id, Items, NIL, NONE, Node};
use super::de::{Content, De, Frame, VALUE_COST, Walk};
use super::globals::Known;
use crate::codec::value::tag;
use crate::codec::{DType, DecodeError, Scalar};

type Result<T> = std::result::Result<T, DecodeError>;

impl<'de> De<'_, '_, 'de> {
    /// This node, for a `Value`.
    #[inline(never)]
    pub(super) fn value<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let arena = self.walk.arena;
        let (tag, payload) = match self.node() {
            Node::List(items) => (tag::LIST, Payload::Items(items)),
            Node::Tuple(items) => (tag::TUPLE, Payload::Items(items)),
            Node::Set(items) => (tag::SET, Payload::Items(items)),
            Node::FrozenSet(items) => (tag::FROZENSET, Payload::Items(items)),
            Node::Dict(items) => (tag::DICT, Payload::Fields(items, Items::EMPTY)),
            Node::Object { class, content, state } => {
                (tag::OBJECT, Payload::Named(class, self.content(content, state)))
            }
            Node::Opaque { class, args } => (tag::OPAQUE, Payload::Named(class, Content::Node(args))),
            Node::Global { .. } if self.walk.opaque => {
                (tag::OPAQUE, Payload::Named(self.id, Content::Node(NONE)))
            }
            Node::Complex(re, im) => match (arena.node(re), arena.node(im)) {
                (Node::Float(re), Node::Float(im)) => (tag::COMPLEX, Payload::Complex(re, im)),
                _ => return self.deserialize_any(visitor),
            },
            Node::Long(_) | Node::Digits(_) => {
                self.walk.charge(arena.blob_len(self.id))?;
                (tag::BIGINT, Payload::Whole)
            }
            Node::Call { what: Known::Scalar, .. } => match arena.array(self.id) {
                Some(Ok(view)) => match view.dtype.read(&view.data, view.endian) {
                    Some(Scalar::Complex(re, im)) => (tag::COMPLEX, Payload::Complex(re, im)),
                    Some(_) if matches!(view.dtype, DType::DateTime64(_) | DType::TimeDelta64(_)) => {
                        (tag::ARRAY, Payload::Whole)
                    }
                    _ => return self.deserialize_any(visitor),
                },
                _ => return self.deserialize_any(visitor),
            },
            Node::Call { what: Known::Reconstruct | Known::FromBuffer | Known::NdArray, .. } => {
                self.walk.charge(2 * VALUE_COST)?;
                (tag::ARRAY, Payload::Whole)
            }
            _ => return self.deserialize_any(visitor),
        };
        visitor.visit_enum(Special { de: self, frame: self.enter()?, tag, payload })
    }
}

enum Payload {
    /// What the node is by itself, read by the type that asks for it.
    Whole,
    Items(Items),
    Fields(Items, Items),
    Complex(f64, f64),
    /// The name of a class, and what comes with it.
    Named(Id, Content),
}

struct Special<'a, 'p, 'de> {
    de: De<'a, 'p, 'de>,
    frame: Frame<'p>,
    tag: u32,
    payload: Payload,
}

impl<'de> EnumAccess<'de> for Special<'_, '_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let tag = seed.deserialize(self.tag.into_deserializer())?;
        Ok((tag, self))
    }
}

impl<'de> VariantAccess<'de> for Special<'_, '_, 'de> {
    type Error = DecodeError;

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        match self.payload {
            Payload::Whole => seed.deserialize(self.de),
            _ => seed.deserialize(self),
        }
    }

    fn unit_variant(self) -> Result<()> {
        Err(DecodeError::custom("a variant with content"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }
}

impl<'de> Deserializer<'de> for Special<'_, '_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let walk = self.de.walk;
        match self.payload {
            Payload::Whole => self.de.deserialize_any(visitor),
            Payload::Items(items) => visitor.visit_seq(Sequence::new(walk, self.frame, items)?),
            Payload::Fields(fields, slots) => {
                visitor.visit_map(Mapping::new(walk, self.frame, fields, slots, false)?)
            }
            Payload::Complex(re, im) => visitor.visit_seq(SeqDeserializer::new([re, im].into_iter())),
            Payload::Named(class, content) => {
                let names = match walk.arena.node(class) {
                    Node::Global { module, name, .. } => [module, name],
                    _ => [NIL; 2],
                };
                visitor.visit_seq(Parts { walk, frame: self.frame, names, content: Some(content), index: 0 })
            }
        }
    }

    /// Only the fields of an instance come here: a dict within the instance.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Module, name and content of an instance.
struct Parts<'a, 'p, 'de> {
    walk: &'a Walk<'a, 'de>,
    frame: Frame<'p>,
    names: [Id; 2],
    content: Option<Content>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.walk.charge(VALUE_COST)?;
        let parent = Some(&self.frame);
        let id = match self.names.get(self.index) {
            Some(&name) => name,
            None => match self.content.take() {
                Some(Content::Node(id)) => id,
                Some(Content::Fields(fields, slots)) => {
                    let de = De { walk: self.walk, id: self.frame.id, parent };
                    let payload = Payload::Fields(fields, slots);
                    let fields = Special { de, frame: self.frame, tag: tag::DICT, payload };
                    return seed.deserialize(fields).map(Some);
                }
                None => return Ok(None),
            },
        };
        self.index += 1;
        seed.deserialize(De { walk: self.walk, id, parent }).map(Some)
    }
}
