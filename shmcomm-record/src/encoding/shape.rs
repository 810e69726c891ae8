//! Facts about layouts that all encodings share.
//!
//! Owns which parts have no value, and how nested arrays are flattened. Calls `names`. Never fails.

use crate::names;
use shmcomm::schema::{Layout, LayoutField, LayoutKind, LayoutVariant};

/// Returns the number of items of nested arrays, and their layout. A layout that is no array is one item.
pub(super) fn flat(mut layout: &Layout) -> (usize, &Layout) {
    let mut number = 1_usize;
    while let LayoutKind::Array { item, len } = layout.kind() {
        number = number.saturating_mul(*len);
        layout = item;
    }
    (number, layout)
}

/// Returns `true` if a part has no value, so that it has no field.
pub(super) fn is_void(layout: &Layout) -> bool {
    match layout.kind() {
        LayoutKind::Pad | LayoutKind::Opaque { .. } => layout.size() == 0,
        LayoutKind::Array { item, len } => *len == 0 || is_void(item),
        _ => false,
    }
}

/// Returns the fields that have a value, with unique names.
pub(super) fn named(fields: &[LayoutField]) -> impl Iterator<Item = (String, &LayoutField)> {
    let all = names::all_unique(fields.iter().map(|field| field.name.as_str()));
    all.into_iter().zip(fields).filter(|(_, field)| !is_void(&field.layout))
}

/// Returns the fields that have a value.
pub(super) fn visible(fields: &[LayoutField]) -> impl Iterator<Item = &LayoutField> {
    fields.iter().filter(|field| !is_void(&field.layout))
}

/// Returns the smallest number of bytes that a part has in any encoding with a layout: one for each item of an array.
pub(super) fn least(layout: &Layout) -> usize {
    match layout.kind() {
        _ if is_void(layout) => 0,
        LayoutKind::Pad | LayoutKind::Opaque { .. } => layout.size(),
        LayoutKind::Array { .. } => {
            let (number, item) = flat(layout);
            number.saturating_mul(least(item).max(1))
        }
        LayoutKind::Struct { fields, .. } => {
            fields.iter().fold(0, |sum, field| sum.saturating_add(least(&field.layout)))
        }
        _ => 0,
    }
}

/// Returns the variants of an enum without data that a part consists of.
pub(super) fn variants_of(layout: &Layout) -> Option<(shmcomm::message::Prim, &[LayoutVariant])> {
    match layout.kind() {
        LayoutKind::Enum { prim, variants, .. } => Some((*prim, variants)),
        LayoutKind::Array { item, .. } | LayoutKind::List { item, .. } | LayoutKind::Maybe { item, .. } => {
            variants_of(item)
        }
        _ => None,
    }
}

/// Returns bytes of a part; empty if they are outside, which no parsed layout allows.
pub(super) fn part(bytes: &[u8], offset: usize, len: usize) -> &[u8] {
    bytes.get(offset..).and_then(|rest| rest.get(..len)).unwrap_or(&[])
}

/// Returns the `u32` at the start: a count or a tag.
pub(super) fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word))
}

/// Returns the integer of an enum at the start of a value.
pub(super) fn tag(prim: shmcomm::message::Prim, bytes: &[u8]) -> i128 {
    use shmcomm::message::Prim;
    fn signed(bytes: &[u8]) -> i128 {
        let mut wide = [if bytes.last().is_some_and(|top| *top >= 128) { 0xff } else { 0 }; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        i128::from_le_bytes(wide)
    }
    let mut own = part(bytes, 0, prim.size()).to_vec();
    if cfg!(target_endian = "big") {
        own.reverse();
    }
    match prim {
        Prim::I8 | Prim::I16 | Prim::I32 | Prim::I64 => signed(&own),
        _ => {
            own.push(0);
            signed(&own)
        }
    }
}
