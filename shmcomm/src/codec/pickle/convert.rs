//! Conversion of values of Python's standard library to Rust types of other crates.
//!
//! Owns the form of a date, decimal, path or address for a type that expects a text, a number, bytes, a
//! `Duration` or an `IpAddr`. Calls `de` for its budget. A value has one text. A number is in seconds for
//! times, and a whole number only if nothing is lost.

use std::net::IpAddr;

use serde::Deserializer;
use serde::de::Visitor;
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};

use super::arena::Node;
use super::de::De;
use super::globals::Known;
use crate::codec::report::excerpt;
use crate::codec::value::{Leaf, Source};
use crate::codec::{DecodeError, Value};

type Result<T> = std::result::Result<T, DecodeError>;

impl<'de> De<'_, '_, 'de> {
    /// Deserializes what a call makes. Apart, so that plain data takes less code.
    #[inline(never)]
    pub(super) fn made<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let instead = |id| De { walk: self.walk, id, parent: self.parent };
        match self.node() {
            Node::Container { content, .. } => instead(content).deserialize_any(visitor),
            Node::Call { what: Known::Range | Known::Slice, args, .. } => {
                instead(args).deserialize_any(visitor)
            }
            Node::Call { what: Known::Enum, args, .. } => {
                let (frame, id) = self.member(args)?;
                De { walk: self.walk, id, parent: Some(&frame) }.deserialize_any(visitor)
            }
            Node::Call { what, .. } if what.is_leaf() => self.leaf_text(visitor),
            Node::Call { what, .. } if what.is_array() => self.array(visitor),
            _ => Err(self.unexpected()),
        }
    }

    /// Returns this node as a value with a text, charged to the budget.
    pub(super) fn leaf(&self) -> Option<Result<Leaf>> {
        match self.walk.charge(self.walk.arena.leaf_len(self.id)) {
            Ok(()) => self.walk.arena.leaf(self.id),
            Err(error) => Some(Err(error)),
        }
    }

    /// Visits a value with a text as text, for every type except numbers.
    #[inline(never)]
    pub(super) fn leaf_text<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let leaf = self.leaf().ok_or_else(|| self.unexpected())??;
        self.walk.charge(leaf.print_cost())?;
        visitor.visit_string(leaf.to_string())
    }

    /// Visits a value with a text as a whole number.
    #[inline(never)]
    pub(super) fn leaf_int<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let leaf = self.leaf().ok_or_else(|| self.unexpected())??;
        match leaf.to_int() {
            Some(n) => match (u64::try_from(n), i64::try_from(n)) {
                (Ok(n), _) => visitor.visit_u64(n),
                (_, Ok(n)) => visitor.visit_i64(n),
                _ => visitor.visit_i128(n),
            },
            None => Err(no_number("a whole number", &leaf)),
        }
    }

    /// Visits a value with a text as a number.
    #[inline(never)]
    pub(super) fn leaf_float<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let leaf = self.leaf().ok_or_else(|| self.unexpected())??;
        match leaf.to_float() {
            Some(x) => visitor.visit_f64(x),
            None => Err(no_number("a number", &leaf)),
        }
    }

    #[inline]
    pub(super) fn is_leaf(&self) -> bool {
        matches!(self.node(), Node::Call { what, .. } if what.is_leaf())
    }

    /// Visits the full text of Python for a type of this crate; for another newtype, the form that it
    /// expects.
    #[inline(never)]
    pub(super) fn leaf_newtype<V: Visitor<'de>>(self, name: &str, visitor: V) -> Result<V::Value> {
        let leaf = self.leaf().ok_or_else(|| self.unexpected())??;
        match leaf.name() == name {
            true => visitor.visit_string(leaf.wire()),
            false => visitor.visit_newtype_struct(self),
        }
    }

    /// Visits a `UUID` as its bytes.
    pub(super) fn leaf_bytes<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        match self.leaf().ok_or_else(|| self.unexpected())?? {
            Leaf::Uuid(uuid) => visitor.visit_bytes(uuid.as_bytes()),
            leaf => visitor.visit_string(leaf.to_string()),
        }
    }

    /// Visits a span of time as the parts of a `Duration`.
    pub(super) fn leaf_duration<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let leaf = self.leaf().ok_or_else(|| self.unexpected())??;
        match leaf.to_duration() {
            Some(span) => {
                let parts = [span.as_secs(), u64::from(span.subsec_nanos())];
                visitor.visit_seq(SeqDeserializer::new(parts.into_iter()))
            }
            None => Err(no_number("a span of time that is not negative", &leaf)),
        }
    }

    /// Returns the address of this node, if it is an address.
    pub(super) fn address(&self) -> Result<Option<IpAddr>> {
        if !self.is_leaf() {
            return Ok(None);
        }
        match self.leaf().ok_or_else(|| self.unexpected())?? {
            Leaf::Ip(ip) => Ok(ip.address()),
            _ => Ok(None),
        }
    }
}

/// Visits serde's non-text form of an `Ipv4Addr` or `Ipv6Addr`.
pub(super) fn address_octets<'de, V: Visitor<'de>>(address: IpAddr, visitor: V) -> Result<V::Value> {
    match address {
        IpAddr::V4(address) => visitor.visit_seq(SeqDeserializer::new(address.octets().into_iter())),
        IpAddr::V6(address) => visitor.visit_seq(SeqDeserializer::new(address.octets().into_iter())),
    }
}

/// Visits serde's non-text form of an `IpAddr`.
pub(super) fn address_enum<'de, V: Visitor<'de>>(address: IpAddr, visitor: V) -> Result<V::Value> {
    let (variant, octets): (_, Value) = match address {
        IpAddr::V4(address) => ("V4", address.octets().into_iter().collect()),
        IpAddr::V6(address) => ("V6", address.octets().into_iter().collect()),
    };
    let one = MapDeserializer::new(std::iter::once((variant, Source(octets))));
    visitor.visit_enum(MapAccessDeserializer::new(one))
}

#[cold]
fn no_number(expected: &str, leaf: &Leaf) -> DecodeError {
    if leaf.print_cost() > 1 << 12 {
        return DecodeError::expected(expected, format_args!("{} of many digits", leaf.kind()));
    }
    DecodeError::expected(expected, format_args!("{} {}", leaf.kind(), excerpt(&leaf.to_string())))
}
