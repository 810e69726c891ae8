//! Messages of protobuf: a `FileDescriptorSet`, and values in the wire format of proto3.
//!
//! Owns the mapping. Numbers of 32 and 64 bits have a fixed size on the wire; smaller ones are variable.
//! `Timestamp` and `Duration` are the well-known types, `char` and `ShmString` are strings, lists of bytes are
//! `bytes`, a `ShmOption` is an optional field. A field has the number of its place in the struct, from 1. An
//! enum with data is a message: its integer `kind`, and a field for each variant with data. A list of lists has
//! a helper message `Item`. Calls `shape`; never touches a file.

mod descriptor;
mod read;
mod write;

pub(super) use descriptor::schema;
pub(super) use read::read;
pub(super) use write::write;

use super::shape;
use prost::encoding::WireType;
use shmcomm::message::{Prim, Std};
use shmcomm::schema::{Layout, LayoutKind};

/// Form of a number on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalar {
    /// The bytes of the slot, little-endian: 4 or 8.
    Fixed(Prim),
    /// An unsigned integer of variable length.
    Varint(Prim),
    /// A signed integer of variable length, with small values first.
    Zigzag(Prim),
    /// An enum: sign-extended to 64 bits.
    Enum(Prim),
    Bool,
}

/// Parts of a message by their number of occurrences.
enum Occurs<'l> {
    /// Items of an array or a list, with the capacity. `offset` is that of the first; a list counts its items.
    Many { item: &'l Layout, most: usize, offset: usize, counted: bool },
    /// The value of an option at an offset.
    Maybe { item: Item<'l>, offset: usize },
    /// One value.
    Once(&'l Layout),
}

/// Value of an option.
#[derive(Clone, Copy)]
enum Item<'l> {
    /// A value behind a word that says whether it is there.
    Of(&'l Layout),
    /// A number, of which zero is no value.
    Number(Prim),
}

/// Returns `true` if each value of an enum fits the 32 bits of a protobuf enum.
fn is_enum(mut values: impl Iterator<Item = i128>) -> bool {
    values.all(|value| i32::try_from(value).is_ok())
}

fn scalar_of(prim: Prim) -> Scalar {
    match prim {
        Prim::U8 | Prim::U16 => Scalar::Varint(prim),
        Prim::I8 | Prim::I16 => Scalar::Zigzag(prim),
        _ => Scalar::Fixed(prim),
    }
}

/// Returns the form of a number; `None` for other parts.
fn scalar(layout: &Layout) -> Option<Scalar> {
    match layout.kind() {
        LayoutKind::Prim(prim) | LayoutKind::Std(Std::NonZero(prim)) => Some(scalar_of(*prim)),
        LayoutKind::Enum { prim, variants, .. } if is_enum(variants.iter().map(|variant| variant.value)) => {
            Some(Scalar::Enum(*prim))
        }
        LayoutKind::Enum { prim, .. } => Some(scalar_of(*prim)),
        LayoutKind::Bool => Some(Scalar::Bool),
        _ => None,
    }
}

/// Returns `true` for parts that are `bytes` on the wire, with all bytes of the part.
fn is_bytes(layout: &Layout) -> bool {
    match layout.kind() {
        LayoutKind::Array { .. } => is_byte(shape::flat(layout).1),
        LayoutKind::Pad | LayoutKind::Opaque { .. } => true,
        LayoutKind::Std(std) => matches!(std, Std::U128 | Std::I128 | Std::Ipv4Addr | Std::Ipv6Addr),
        _ => false,
    }
}

fn is_byte(layout: &Layout) -> bool {
    matches!(layout.kind(), LayoutKind::Prim(Prim::U8))
}

/// Returns the capacity and the offset of a list of bytes.
fn byte_list(layout: &Layout) -> Option<(usize, usize)> {
    match layout.kind() {
        LayoutKind::List { item, capacity, offset } if is_byte(item) => Some((*capacity, *offset)),
        _ => None,
    }
}

/// Returns how often the parts of a field occur.
fn occurs(layout: &Layout) -> Occurs<'_> {
    if is_bytes(layout) || byte_list(layout).is_some() {
        return Occurs::Once(layout);
    }
    match layout.kind() {
        LayoutKind::Array { .. } => {
            let (most, item) = shape::flat(layout);
            Occurs::Many { item, most, offset: 0, counted: false }
        }
        LayoutKind::List { item, capacity, offset } => {
            Occurs::Many { item, most: *capacity, offset: *offset, counted: true }
        }
        LayoutKind::Maybe { item, offset } => Occurs::Maybe { item: Item::Of(item), offset: *offset },
        LayoutKind::Std(Std::OptionNonZero(prim)) => Occurs::Maybe { item: Item::Number(*prim), offset: 0 },
        _ => Occurs::Once(layout),
    }
}

/// Returns `true` if a part cannot be repeated or optional itself, so that it needs a helper message.
fn is_nested(layout: &Layout) -> bool {
    !matches!(occurs(layout), Occurs::Once(_))
}

/// Returns the wire type of a number.
fn wire_type(scalar: Scalar) -> WireType {
    match scalar {
        Scalar::Fixed(prim) if prim.size() == 8 => WireType::SixtyFourBit,
        Scalar::Fixed(_) => WireType::ThirtyTwoBit,
        _ => WireType::Varint,
    }
}
