//! Transfer of the kinds that serde's model lacks to a decoded [`Value`](crate::codec::Value).
//!
//! Owns the transfer. Only a `Value` sees sets, tuples, arrays and similar kinds as variants of an enum,
//! under the numbers in [`tag`]. Calls `de` and `access`.

use serde::Deserializer;
use serde::de::value::SeqDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::access::{DictAccess, Sequence};
use super::arena::{Id, Items, NIL, NONE, Node};
use super::de::{Content, De, Frame, VALUE_COST, Walk};
use super::globals::Known;
use crate::codec::value::{check_shape, name, tag};
use crate::codec::{DType, DecodeError, DecodeErrorKind as Kind, Scalar};

type Result<T> = std::result::Result<T, DecodeError>;

impl<'de> De<'_, '_, 'de> {
    /// Returns module and name of a class.
    fn names(&self, class: Id) -> [Id; 2] {
        match self.walk.arena.node(class) {
            Node::Global { module, name, .. } => [module, name],
            _ => [NONE; 2],
        }
    }

    /// Visits this node for a `Value`.
    #[inline(never)]
    pub(super) fn value<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let arena = self.walk.arena;
        let (tag, payload) = match self.node() {
            Node::List(items) => (tag::LIST, Payload::Items(items)),
            Node::Tuple(items) => (tag::TUPLE, Payload::Items(items)),
            Node::Set(items) => (tag::SET, Payload::Items(items)),
            Node::FrozenSet(items) => (tag::FROZENSET, Payload::Items(items)),
            Node::Dict(items) => (tag::DICT, Payload::Fields(items, Items::EMPTY)),
            Node::Object { class, content, state } => match self.content(content, state) {
                content @ Content::Fields(_, Items { len: 1.., .. }) => {
                    (tag::SLOTTED, Payload::Named(class, content))
                }
                content => (tag::OBJECT, Payload::Named(class, content)),
            },
            Node::Opaque { class, args, state } => {
                let [module, name] = self.names(class);
                let state = if state == NIL { NONE } else { state };
                (tag::OPAQUE, Payload::Parts([module, name, args, state], 4))
            }
            Node::Global { module, name, .. } if self.walk.opaque => {
                (tag::OPAQUE, Payload::Parts([module, name, NONE, NONE], 4))
            }
            Node::Complex(re, im) => match (arena.node(re), arena.node(im)) {
                (Node::Float(re), Node::Float(im)) => (tag::COMPLEX, Payload::Complex(re, im)),
                _ => return self.deserialize_any(visitor),
            },
            Node::Long(_) | Node::Digits(_) => {
                self.walk.charge(arena.blob_len(self.id))?;
                (tag::BIGINT, Payload::Whole)
            }
            Node::ByteArray(_) | Node::Container { .. } | Node::Call { .. } => match self.standard()? {
                Some(special) => special,
                None => return self.deserialize_any(visitor),
            },
            _ => return self.deserialize_any(visitor),
        };
        visitor.visit_enum(Special { de: self, frame: self.enter()?, tag, payload })
    }

    /// Refuses an array of objects whose number of objects does not match its shape.
    fn check_objects(&self, shape: Id, items: Id) -> Result<()> {
        let arena = self.walk.arena;
        let Node::List(items) = arena.node(items) else { return Err(self.unexpected()) };
        let shape = arena.indices(shape)?;
        check_shape(DType::U8, &shape, items.len as usize).map_err(|_| {
            let reason = format!("an array of shape {shape:?} has {} objects", items.len);
            DecodeError::new(Kind::Malformed, reason)
        })
    }

    /// Returns the tag of a kind that only Python's standard library and numpy have. This is a separate
    /// function, so that other kinds take less stack.
    #[inline(never)]
    fn standard(&self) -> Result<Option<(u32, Payload)>> {
        let arena = self.walk.arena;
        Ok(Some(match self.node() {
            Node::ByteArray(_) => (tag::BYTEARRAY, Payload::Whole),
            Node::Container { what, content, extra } => match what {
                Known::OrderedDict => (tag::ORDEREDDICT, Payload::Inner(content)),
                Known::Counter => (tag::COUNTER, Payload::Inner(content)),
                Known::DefaultDict => (tag::DEFAULTDICT, Payload::Parts([extra, content, NIL, NIL], 2)),
                _ => (tag::DEQUE, Payload::Parts([content, extra, NIL, NIL], 2)),
            },
            Node::Call { what: Known::Range, args, .. } => (tag::RANGE, Payload::Inner(args)),
            Node::Call { what: Known::Slice, args, .. } => (tag::SLICE, Payload::Inner(args)),
            Node::Call { what: Known::Enum, args, state: class } => {
                let [module, name] = self.names(class);
                let [value] = arena.tuple(args).unwrap_or([NONE]);
                (tag::ENUM, Payload::Parts([module, name, value, NIL], 3))
            }
            Node::Call { what: what @ (Known::TypedArray | Known::ArrayReconstructor), args, .. } => {
                let code = match what {
                    Known::TypedArray => arena.tuple(args).map(|[code, _]| code),
                    _ => arena.tuple(args).map(|[_, code, _, _]| code),
                };
                (tag::TYPED_ARRAY, Payload::Parts([code.unwrap_or(NONE), self.id, NIL, NIL], 2))
            }
            Node::Call { what, .. } if what.is_leaf() => (tag::LEAF, Payload::Leaf),
            Node::Call { what: Known::Scalar, .. } => match self.view() {
                Ok(view) => match view.dtype.read(&view.data, view.endian) {
                    Some(Scalar::Complex(re, im)) => (tag::COMPLEX, Payload::Complex(re, im)),
                    Some(_) if matches!(view.dtype, DType::DateTime64(_) | DType::TimeDelta64(_)) => {
                        (tag::ARRAY, Payload::Whole)
                    }
                    _ => return Ok(None),
                },
                _ => return Ok(None),
            },
            Node::Call { what: Known::Reconstruct | Known::FromBuffer | Known::NdArray, .. } => {
                self.walk.charge(2 * VALUE_COST)?;
                match arena.objects(self.id) {
                    Some([shape, fortran, items]) => {
                        self.check_objects(shape, items)?;
                        (tag::OBJECT_ARRAY, Payload::Parts([shape, fortran, items, NIL], 3))
                    }
                    None if arena.holds_records(self.id) => (tag::RECORDS, Payload::Whole),
                    None => (tag::ARRAY, Payload::Whole),
                }
            }
            _ => return Ok(None),
        }))
    }
}

enum Payload {
    /// The node itself, read by the requesting type.
    Whole,
    Items(Items),
    Fields(Items, Items),
    Complex(f64, f64),
    /// Name of a class, and its content.
    Named(Id, Content),
    /// Another node in the place of this one.
    Inner(Id),
    /// The first nodes of this list as a sequence, and their number.
    Parts([Id; 4], u8),
    /// Reserved name and text of the node.
    Leaf,
}

struct Special<'a, 'p, 'de> {
    de: De<'a, 'p, 'de>,
    frame: Frame<'p>,
    tag: u32,
    payload: Payload,
}

impl<'de> Special<'_, '_, 'de> {
    #[inline(never)]
    fn parts<V: Visitor<'de>>(
        &self,
        ids: [Id; 4],
        len: u8,
        content: Option<Content>,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_seq(Parts { walk: self.de.walk, frame: self.frame, ids, len, content, index: 0 })
    }

    #[inline(never)]
    fn leaf<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let leaf = self.de.leaf().ok_or_else(|| self.de.unexpected())??;
        visitor.visit_seq(SeqDeserializer::new([leaf.name(), leaf.wire().as_str()].into_iter()))
    }
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
                visitor.visit_map(DictAccess::new(walk, self.frame, fields, slots, false)?)
            }
            Payload::Complex(re, im) => visitor.visit_seq(SeqDeserializer::new([re, im].into_iter())),
            Payload::Named(class, content) => {
                let [module, name] = self.de.names(class);
                self.parts([module, name, NIL, NIL], 2, Some(content), visitor)
            }
            Payload::Inner(id) => De { walk, id, parent: Some(&self.frame) }.deserialize_any(visitor),
            Payload::Parts(ids, len) => self.parts(ids, len, None, visitor),
            Payload::Leaf => self.leaf(visitor),
        }
    }

    /// Visits the fields of an instance (a dict within the instance), or an array of objects. Other kinds do
    /// not occur.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match name {
            name::VALUE => visitor.visit_enum(self),
            _ => self.deserialize_any(visitor),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Parts of a kind that is not a plain container: the names of an instance and its content, or other nodes.
struct Parts<'a, 'p, 'de> {
    walk: &'a Walk<'a, 'de>,
    frame: Frame<'p>,
    ids: [Id; 4],
    len: u8,
    content: Option<Content>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.walk.charge(VALUE_COST)?;
        let parent = Some(&self.frame);
        let id = match self.ids[..usize::from(self.len)].get(self.index) {
            Some(&part) => part,
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
