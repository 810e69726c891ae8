//! serde's `Deserializer` over an [`Arena`].
//!
//! Owns the meaning of each node for each type that serde may request, and the two budgets of the walk. The
//! budgets are depth, and memory for visited values, each time a shared value is visited. Calls `access`,
//! `array` and `special` for the compound cases. Recurses with the type and the nesting, both bounded.

use std::borrow::Cow;
use std::cell::Cell;

use serde::Deserializer;
use serde::de::value::SeqDeserializer;
use serde::de::{Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{DictAccess, Sequence, Variant};
use super::arena::{Arena, Id, Items, NIL, Node};
use super::array::{ArrayFields, ArrayItem};
use super::call::uncallable;
use super::convert::{address_enum, address_octets};
use super::globals::Known;
use super::numpy::ArrayView;
use super::objects::Grid;
use crate::codec::value::name;
use crate::codec::{BigInt, DecodeError, DecodeErrorKind as Kind};
use crate::plural::count;

type Result<T> = std::result::Result<T, DecodeError>;

/// Cost of a visited value in bytes, apart from its text.
pub(super) const VALUE_COST: usize = 32;

/// Base cost of decoding in bytes.
const OWN_COST: usize = 64 << 10;

/// One pass over an arena, with the rest of its budgets.
pub(super) struct Walk<'a, 'de> {
    pub(super) arena: &'a Arena<'de>,
    pub(super) opaque: bool,
    memory: usize,
    left: Cell<usize>,
    max_depth: usize,
}

/// Chain of containers from the root to a value.
#[derive(Clone, Copy)]
pub(super) struct Frame<'p> {
    pub(super) id: Id,
    pub(super) depth: usize,
    pub(super) parent: Option<&'p Frame<'p>>,
}

/// A node to deserialize, and its chain of containers.
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
            "the message of {} takes more than {} when decoded (`max_memory`)",
            count(self.arena.input.len(), "byte"),
            count(self.memory, "byte")
        );
        DecodeError::new(Kind::Limit, reason)
    }
}

/// Content of an instance: its fields or items.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// The fields in `__dict__` and those in slots.
    Fields(Items, Items),
    /// Another node, read by its own shape.
    Node(Id),
}

impl<'a, 'p, 'de> De<'a, 'p, 'de> {
    pub(super) fn node(&self) -> Node {
        self.walk.arena.node(self.id)
    }

    /// Enters a container, one level down.
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
        DecodeError::new(
            Kind::Limit,
            format!("nested deeper than {most} (`max_depth`)", most = count(most, "level")),
        )
    }

    fn text(&self) -> Option<Result<Cow<'de, str>>> {
        let arena = self.walk.arena;
        let text = arena.text(self.id)?;
        Some(self.walk.charge(arena.blob_len(self.id)).and(text))
    }

    fn blob(&self) -> Option<Result<Cow<'de, [u8]>>> {
        let arena = self.walk.arena;
        match arena.node(self.id) {
            Node::Bytes(_) | Node::Latin1(_) | Node::ByteArray(_) => {}
            _ => return None,
        }
        // Charged first: the bytes of older protocols are copied.
        if let Err(error) = self.walk.charge(arena.blob_len(self.id)) {
            return Some(Err(error));
        }
        arena.blob(self.id)
    }

    pub(super) fn big_int(&self) -> Option<BigInt> {
        self.walk.arena.big_int(self.id)
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
            (_, Some((Node::None, Node::Dict(slots)))) => Content::Fields(Items::EMPTY, slots),
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
        visitor.visit_map(DictAccess::new(self.walk, self.enter()?, fields, slots, false)?)
    }

    /// Visits an instance as its content: one level further down, because an instance may contain itself.
    fn instance<V: Visitor<'de>>(&self, content: Id, state: Id, visitor: V) -> Result<V::Value> {
        match self.content(content, state) {
            Content::Fields(fields, slots) => self.map(fields, slots, visitor),
            Content::Node(id) => {
                let frame = self.enter()?;
                De { walk: self.walk, id, parent: Some(&frame) }.deserialize_any(visitor)
            }
        }
    }

    /// Returns the array of this node, charged to the budget.
    pub(super) fn view(&self) -> Result<ArrayView<'de>> {
        self.walk.charge(self.walk.arena.array_len(self.id))?;
        let view = self.walk.arena.array(self.id).ok_or_else(|| self.unexpected())??;
        if let Some(record) = &view.record {
            // Cost of a field of the record type, with its name.
            self.walk.charge(record.elements().min(1 << 13) * 8 * VALUE_COST)?;
        }
        Ok(view)
    }

    pub(super) fn array<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let arena = self.walk.arena;
        if let Some([shape, fortran, items]) = arena.objects(self.id) {
            let Node::List(items) = arena.node(items) else { return Err(self.unexpected()) };
            self.walk.charge(items.len as usize * 8)?;
            let fortran = matches!(arena.node(fortran), Node::Bool(true));
            let items = arena.items(items).collect();
            let grid = Grid::new(self.walk, self.enter()?, items, arena.indices(shape)?, fortran)?;
            return grid.root().deserialize_any(visitor);
        }
        let view = self.view()?;
        ArrayItem::root(self.walk, &view, &view.strides()).deserialize_any(visitor)
    }

    /// Returns the value of an enum member, one level further down.
    pub(super) fn member(&self, args: Id) -> Result<(Frame<'p>, Id)> {
        let [value] = self.walk.arena.tuple(args).ok_or_else(|| self.unexpected())?;
        Ok((self.enter()?, value))
    }

    /// Makes the error for a node that stands for no data.
    pub(super) fn unexpected(&self) -> DecodeError {
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

/// Generates the methods for numbers, which also accept a date or a decimal.
macro_rules! numbers {
    ($($method:ident $leaf:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.node() {
                Node::Int(n) => match u64::try_from(n) {
                    Ok(n) => visitor.visit_u64(n),
                    Err(_) => visitor.visit_i64(n),
                },
                Node::Float(x) => visitor.visit_f64(x),
                Node::Call { what, .. } if what.is_leaf() => self.$leaf(visitor),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
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
                    let found = format!("an int of {}", count(n.bits(), "bit"));
                    Err(DecodeError::invalid_value(Unexpected::Other(&found), &visitor))
                }
            }
            Node::Str(_) | Node::Escaped(_) | Node::Joined(..) => {
                match self.text().ok_or_else(|| self.unexpected())?? {
                    Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                    Cow::Owned(text) => visitor.visit_string(text),
                }
            }
            Node::Bytes(_) | Node::Latin1(_) | Node::ByteArray(_) => {
                match self.blob().ok_or_else(|| self.unexpected())?? {
                    Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
                    Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
                }
            }
            Node::List(items) | Node::Tuple(items) | Node::Set(items) | Node::FrozenSet(items) => {
                self.seq(items, visitor)
            }
            Node::Dict(items) => self.map(items, Items::EMPTY, visitor),
            Node::Complex(re, im) => {
                let frame = self.enter()?;
                visitor.visit_seq(Sequence::pair(self.walk, frame, [re, im]))
            }
            Node::Object { content, state, .. } => self.instance(content, state, visitor),
            Node::Container { .. } | Node::Call { .. } | Node::Global { .. } | Node::Opaque { .. } => {
                self.made(visitor)
            }
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
            (name, Node::Call { what, .. }) if what.is_leaf() => self.leaf_newtype(name, visitor),
            (name::OBJECT_ARRAY, Node::Call { .. }) => self.value(visitor),
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
        if let Some(address) = self.address()? {
            return address_octets(address, visitor);
        }
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
            Node::Call { what: Known::Uuid, .. } => self.leaf_bytes(visitor),
            Node::Call { what: Known::Reconstruct | Known::FromBuffer | Known::NdArray, .. }
                if self.walk.arena.objects(self.id).is_none() =>
            {
                let view = self.view()?;
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
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == name::ARRAY {
            self.walk.charge(2 * VALUE_COST)?;
            return match self.node() {
                Node::Call { .. } if self.walk.arena.objects(self.id).is_some() => {
                    Err(DecodeError::expected("numpy.ndarray", "numpy.ndarray of objects"))
                }
                Node::Call { what, .. } if what.is_array() => {
                    visitor.visit_map(ArrayFields::new(self.view()?))
                }
                _ => Err(DecodeError::expected("numpy.ndarray", self.walk.arena.kind(self.id))),
            };
        }
        if name == "Duration" && self.is_leaf() {
            return self.leaf_duration(visitor);
        }
        match self.node() {
            Node::Dict(items) => {
                visitor.visit_map(DictAccess::new(self.walk, self.enter()?, items, Items::EMPTY, true)?)
            }
            Node::Container { content, .. } => De { walk: self.walk, id: content, parent: self.parent }
                .deserialize_struct(name, fields, visitor),
            Node::Call { what: Known::Enum, args, .. } => {
                let (frame, id) = self.member(args)?;
                De { walk: self.walk, id, parent: Some(&frame) }.deserialize_struct(name, fields, visitor)
            }
            Node::Object { content, state, .. } => match self.content(content, state) {
                Content::Fields(fields, slots) => {
                    visitor.visit_map(DictAccess::new(self.walk, self.enter()?, fields, slots, true)?)
                }
                Content::Node(_) => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
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
            Node::Container { content, .. } => De { walk: self.walk, id: content, parent: self.parent }
                .deserialize_enum(name, variants, visitor),
            Node::Call { what: Known::Enum, args, .. } => {
                let (frame, id) = self.member(args)?;
                De { walk: self.walk, id, parent: Some(&frame) }.deserialize_enum(name, variants, visitor)
            }
            Node::Call { what: Known::Ip, .. } if name == "IpAddr" => {
                address_enum(self.address()?.ok_or_else(|| self.unexpected())?, visitor)
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

    numbers! {
        deserialize_i8 leaf_int; deserialize_i16 leaf_int; deserialize_i32 leaf_int;
        deserialize_i64 leaf_int; deserialize_i128 leaf_int; deserialize_u8 leaf_int;
        deserialize_u16 leaf_int; deserialize_u32 leaf_int; deserialize_u64 leaf_int;
        deserialize_u128 leaf_int; deserialize_f32 leaf_float; deserialize_f64 leaf_float;
    }

    forward_to_deserialize_any! {
        bool char str string unit unit_struct map identifier
    }
}
