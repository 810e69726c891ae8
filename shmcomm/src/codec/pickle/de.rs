//! serde's `Deserializer` over an [`Arena`].
//!
//! Owns the meaning of each node for each type that serde may ask for, and the two budgets of the
//! walk: depth, and memory for what is visited, however often it is shared. Calls `access`,
//! `array` and `special` for the compound cases. Recurses with the type and the nesting, both
//! bounded.

use std::borrow::Cow;
use std::cell::Cell;

use serde::Deserializer;
use serde::de::value::SeqDeserializer;
use serde::de::{Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Mapping, Sequence, Variant};
use super::arena::{Arena, Id, Items, NIL, Node};
use super::array::{ArrayFields, ArrayItem};
use super::call::uncallable;
use super::globals::Known;
use crate::codec::value::name;
use crate::codec::{BigInt, DecodeError, DecodeErrorKind as Kind};

type Result<T> = std::result::Result<T, DecodeError>;

/// What a visited value is taken to cost, apart from its text.
pub(super) const VALUE_COST: usize = 32;

/// What decoding takes by itself.
const OWN_COST: usize = 64 << 10;

/// One pass over an arena, with what is left of its budgets.
pub(super) struct Walk<'a, 'de> {
    pub(super) arena: &'a Arena<'de>,
    pub(super) opaque: bool,
    memory: usize,
    left: Cell<usize>,
    max_depth: usize,
}

/// The containers from the root to a value.
#[derive(Clone, Copy)]
pub(super) struct Frame<'p> {
    pub(super) id: Id,
    pub(super) depth: usize,
    pub(super) parent: Option<&'p Frame<'p>>,
}

/// A node to be deserialized, and where it was found.
#[derive(Clone, Copy)]
pub(super) struct De<'a, 'p, 'de> {
    pub(super) walk: &'a Walk<'a, 'de>,
    pub(super) id: Id,
    pub(super) parent: Option<&'p Frame<'p>>,
}

impl<'a, 'de> Walk<'a, 'de> {
    pub(super) fn new(arena: &'a Arena<'de>, memory: usize, max_depth: usize, opaque: bool) -> Self {
        let held = size_of_val(arena.nodes.as_slice()) + size_of_val(arena.cells.as_slice()) + OWN_COST;
        Self { arena, opaque, memory, left: Cell::new(memory.saturating_sub(held)), max_depth }
    }

    pub(super) fn root(&'a self, id: Id) -> De<'a, 'a, 'de> {
        De { walk: self, id, parent: None }
    }

    /// Takes memory from the budget.
    #[inline]
    pub(super) fn charge(&self, bytes: usize) -> Result<()> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.exhausted()),
        }
    }

    #[cold]
    fn exhausted(&self) -> DecodeError {
        let reason = format!(
            "the message of {} bytes takes more than {} bytes when decoded (`max_memory`)",
            self.arena.input.len(),
            self.memory
        );
        DecodeError::new(Kind::Limit, reason)
    }
}

/// What stands for the fields or items of an instance.
pub(super) enum Content {
    /// The fields in `__dict__` and those in slots.
    Fields(Items, Items),
    /// Something else, by its own shape.
    Node(Id),
}

impl<'a, 'p, 'de> De<'a, 'p, 'de> {
    pub(super) fn node(&self) -> Node {
        self.walk.arena.node(self.id)
    }

    /// Goes one level down.
    pub(super) fn enter(&self) -> Result<Frame<'p>> {
        let depth = self.parent.map_or(0, |parent| parent.depth) + 1;
        if depth > self.walk.max_depth {
            return Err(self.too_deep());
        }
        Ok(Frame { id: self.id, depth, parent: self.parent })
    }

    #[cold]
    fn too_deep(&self) -> DecodeError {
        let mut above = self.parent;
        while let Some(frame) = above {
            if frame.id == self.id {
                return DecodeError::new(
                    Kind::Cyclic,
                    "the message contains itself, which no Rust value can",
                );
            }
            above = frame.parent;
        }
        let most = self.walk.max_depth;
        DecodeError::new(Kind::Limit, format!("nested deeper than {most} levels (`max_depth`)"))
    }

    fn text(&self) -> Option<Result<Cow<'de, str>>> {
        let arena = self.walk.arena;
        let text = arena.text(self.id)?;
        Some(self.walk.charge(arena.blob_len(self.id)).and(text))
    }

    fn blob(&self) -> Option<Result<Cow<'de, [u8]>>> {
        let arena = self.walk.arena;
        match arena.node(self.id) {
            Node::Bytes(_) | Node::Latin1(_) => {}
            _ => return None,
        }
        // Charged first: the bytes of older protocols are copied.
        if let Err(error) = self.walk.charge(arena.blob_len(self.id)) {
            return Some(Err(error));
        }
        arena.blob(self.id)
    }

    pub(super) fn big_int(&self) -> Option<BigInt> {
        let arena = self.walk.arena;
        match self.node() {
            Node::Int(n) => Some(n.into()),
            Node::Long(span) => Some(BigInt::from_le_bytes(arena.bytes(span))),
            Node::Digits(span) => std::str::from_utf8(arena.bytes(span)).ok()?.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn content(&self, content: Id, state: Id) -> Content {
        let arena = self.walk.arena;
        if state == NIL {
            return match arena.node(content) {
                Node::Tuple(Items { len: 0, .. }) => Content::Fields(Items::EMPTY, Items::EMPTY),
                _ => Content::Node(content),
            };
        }
        let pair = arena.tuple(state).map(|[dict, slots]| (arena.node(dict), arena.node(slots)));
        match (arena.node(state), pair) {
            (Node::Dict(fields), _) => Content::Fields(fields, Items::EMPTY),
            (_, Some((Node::None, Node::Dict(slots)))) => Content::Fields(slots, Items::EMPTY),
            (_, Some((Node::Dict(fields), Node::Dict(slots)))) => Content::Fields(fields, slots),
            _ => Content::Node(state),
        }
    }

    fn seq<V: Visitor<'de>>(&self, items: Items, visitor: V) -> Result<V::Value> {
        let mut seq = Sequence::new(self.walk, self.enter()?, items)?;
        let value = visitor.visit_seq(&mut seq)?;
        seq.finish(items.len)?;
        Ok(value)
    }

    fn map<V: Visitor<'de>>(&self, fields: Items, slots: Items, visitor: V) -> Result<V::Value> {
        visitor.visit_map(Mapping::new(self.walk, self.enter()?, fields, slots, false)?)
    }

    /// An instance, as what stands for it: one level further down, as it may stand for itself.
    fn instance<V: Visitor<'de>>(&self, content: Id, state: Id, visitor: V) -> Result<V::Value> {
        match self.content(content, state) {
            Content::Fields(fields, slots) => self.map(fields, slots, visitor),
            Content::Node(id) => {
                let frame = self.enter()?;
                De { walk: self.walk, id, parent: Some(&frame) }.deserialize_any(visitor)
            }
        }
    }

    fn array<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        self.walk.charge(self.walk.arena.array_len(self.id))?;
        let view = self.walk.arena.array(self.id).ok_or_else(|| self.unexpected())??;
        ArrayItem::root(self.walk, &view, &view.strides()).deserialize_any(visitor)
    }

    /// The error for a node that stands for no data.
    fn unexpected(&self) -> DecodeError {
        let arena = self.walk.arena;
        match self.node() {
            Node::Opaque { class, .. } => uncallable(&arena.global_name(class)),
            Node::Global { .. } => {
                let reason =
                    format!("the message holds `{}` itself: send plain data", arena.global_name(self.id));
                DecodeError::new(Kind::Unsupported, reason)
            }
            _ => DecodeError::new(
                Kind::Unsupported,
                format!("{} is not supported as a value", arena.kind(self.id)),
            ),
        }
    }
}

impl<'de> Deserializer<'de> for De<'_, '_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node() {
            Node::None => visitor.visit_unit(),
            Node::Bool(truth) => visitor.visit_bool(truth),
            Node::Int(n) => match u64::try_from(n) {
                Ok(n) => visitor.visit_u64(n),
                Err(_) => visitor.visit_i64(n),
            },
            Node::Float(x) => visitor.visit_f64(x),
            Node::Long(_) | Node::Digits(_) => {
                let n = self.big_int().ok_or_else(|| self.unexpected())?;
                if let Some(n) = n.to_u64() {
                    visitor.visit_u64(n)
                } else if let Some(n) = n.to_i64() {
                    visitor.visit_i64(n)
                } else if let Some(n) = n.to_i128() {
                    visitor.visit_i128(n)
                } else if let Some(n) = n.to_u128() {
                    visitor.visit_u128(n)
                } else {
                    let found = format!("an int of {} bits", n.bits());
                    Err(DecodeError::invalid_value(Unexpected::Other(&found), &visitor))
                }
            }
            Node::Str(_) | Node::Escaped(_) => match self.text().ok_or_else(|| self.unexpected())?? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Node::Bytes(_) | Node::Latin1(_) => match self.blob().ok_or_else(|| self.unexpected())?? {
                Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
                Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
            },
            Node::List(items) | Node::Tuple(items) | Node::Set(items) | Node::FrozenSet(items) => {
                self.seq(items, visitor)
            }
            Node::Dict(items) => self.map(items, Items::EMPTY, visitor),
            Node::Complex(re, im) => {
                let frame = self.enter()?;
                visitor.visit_seq(Sequence::pair(self.walk, frame, [re, im]))
            }
            Node::Object { content, state, .. } => self.instance(content, state, visitor),
            Node::Call { what: Known::Dtype, .. } | Node::Global { .. } | Node::Opaque { .. } => {
                Err(self.unexpected())
            }
            Node::Call { .. } => self.array(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node() {
            Node::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match (name, self.node()) {
            (name::VALUE, Node::None | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Str(_)) => {
                self.deserialize_any(visitor)
            }
            (name::VALUE, _) => self.value(visitor),
            (name::BIGINT, Node::Int(_) | Node::Long(_) | Node::Digits(_)) => {
                let n = self.big_int().ok_or_else(|| self.unexpected())?;
                visitor.visit_bytes(n.as_le_bytes())
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.blob() {
            Some(bytes) => {
                let bytes = bytes?;
                self.walk.charge(bytes.len().saturating_mul(8))?;
                let mut seq = SeqDeserializer::new(bytes.iter().copied());
                let value = visitor.visit_seq(&mut seq)?;
                seq.end()?;
                Ok(value)
            }
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node() {
            Node::Call { what: Known::Reconstruct | Known::FromBuffer | Known::NdArray, .. } => {
                self.walk.charge(self.walk.arena.array_len(self.id))?;
                let view = self.walk.arena.array(self.id).ok_or_else(|| self.unexpected())??;
                if view.dtype.size() == 1 && view.shape.len() == 1 {
                    return visitor.visit_bytes(&view.data);
                }
                ArrayItem::root(self.walk, &view, &view.strides()).deserialize_any(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == name::ARRAY {
            self.walk.charge(self.walk.arena.array_len(self.id) + 2 * VALUE_COST)?;
            return match self.walk.arena.array(self.id) {
                Some(view) => visitor.visit_map(ArrayFields::new(view?)),
                None => Err(DecodeError::expected("numpy.ndarray", self.walk.arena.kind(self.id))),
            };
        }
        match self.node() {
            Node::Dict(items) => {
                visitor.visit_map(Mapping::new(self.walk, self.enter()?, items, Items::EMPTY, true)?)
            }
            Node::Object { content, state, .. } => match self.content(content, state) {
                Content::Fields(fields, slots) => {
                    visitor.visit_map(Mapping::new(self.walk, self.enter()?, fields, slots, true)?)
                }
                Content::Node(_) => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if let Some(text) = self.text() {
            return match text? {
                Cow::Borrowed(text) => visitor.visit_enum(text.into_deserializer()),
                Cow::Owned(text) => visitor.visit_enum(text.into_deserializer()),
            };
        }
        match self.node() {
            Node::Dict(items) if items.len == 2 => {
                visitor.visit_enum(Variant::new(self.walk, self.enter()?, items))
            }
            Node::Opaque { .. } | Node::Global { .. } => Err(self.unexpected()),
            _ => Err(DecodeError::expected(
                "an enum: a str, or a dict of one entry",
                self.walk.arena.kind(self.id),
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        unit unit_struct map identifier
    }
}
