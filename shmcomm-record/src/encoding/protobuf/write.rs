//! From the bytes of a slot to the wire format.
//!
//! Owns the bytes. The caller checked the message, so that its counts and tags are in range. A number that is
//! zero is left out where its presence means nothing. Calls `shape`. Never panics, whatever the bytes are.

use super::super::{Form, shape};
use super::{Item, Occurs, Scalar, byte_list, is_bytes, is_enum, is_nested, occurs, scalar, scalar_of};
use prost::encoding::{WireType, encode_key, encode_varint};
use shmcomm::message::Std;
use shmcomm::schema::{Layout, LayoutField, LayoutKind};

/// Appends a message.
pub(in crate::encoding) fn write(form: &Form, bytes: &[u8], out: &mut Vec<u8>) {
    match form {
        Form::Fixed(layout) => match layout.kind() {
            LayoutKind::Struct { fields, .. } => structure(fields, bytes, out),
            _ if shape::is_void(layout) => {}
            _ => field(1, layout, bytes, out),
        },
        Form::Tail { header, item } => {
            if !shape::is_void(header) {
                field(1, header, shape::part(bytes, 0, header.size()), out);
            }
            let items = bytes.get(Form::items_at(header, item)..).unwrap_or(&[]);
            if super::is_byte(item) {
                raw(2, items, out);
            } else {
                many(2, item, items, items.len().checked_div(item.size()).unwrap_or(0), out);
            }
        }
        _ => {}
    }
}

fn structure(fields: &[LayoutField], b: &[u8], out: &mut Vec<u8>) {
    for (index, part) in fields.iter().enumerate() {
        if !shape::is_void(&part.layout) {
            field(index as u32 + 1, &part.layout, shape::part(b, part.offset, part.layout.size()), out);
        }
    }
}

/// Writes a length and bytes.
fn raw(no: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(no, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Writes a message, whose length is known behind it.
fn message(no: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    encode_key(no, WireType::LengthDelimited, out);
    let at = out.len();
    out.push(0);
    body(out);
    let len = out.len() - at - 1;
    if len < 128 {
        out[at] = len as u8;
    } else {
        let mut prefix = Vec::new();
        encode_varint(len as u64, &mut prefix);
        out.splice(at..at + 1, prefix);
    }
}

fn field(no: u32, layout: &Layout, b: &[u8], out: &mut Vec<u8>) {
    match occurs(layout) {
        Occurs::Many { item, most, offset, counted } => {
            let number = if counted { (shape::word(b) as usize).min(most) } else { most };
            many(no, item, b.get(offset..).unwrap_or(&[]), number, out);
        }
        Occurs::Maybe { item: Item::Of(item), offset, .. } => {
            if shape::word(b) == 1 {
                element(no, item, shape::part(b, offset, item.size()), true, out);
            }
        }
        Occurs::Maybe { item: Item::Number(prim), .. } => {
            let number = shape::part(b, 0, prim.size());
            if number.iter().any(|byte| *byte != 0) {
                tagged(no, scalar_of(prim), number, out);
            }
        }
        Occurs::Once(layout) => element(no, layout, b, false, out),
    }
}

/// Writes one value; a zero only if its presence has a meaning.
fn element(no: u32, layout: &Layout, b: &[u8], present: bool, out: &mut Vec<u8>) {
    if let Some((capacity, offset)) = byte_list(layout) {
        let bytes = shape::part(b, offset, (shape::word(b) as usize).min(capacity));
        if present || !bytes.is_empty() {
            raw(no, bytes, out);
        }
        return;
    }
    if is_bytes(layout) {
        return raw(no, shape::part(b, 0, layout.size()), out);
    }
    if is_nested(layout) {
        return message(no, out, |out| {
            if !shape::is_void(layout) {
                field(1, layout, b, out);
            }
        });
    }
    if let Some(scalar) = scalar(layout) {
        if present || b.iter().any(|byte| *byte != 0) {
            tagged(no, scalar, b, out);
        }
        return;
    }
    match layout.kind() {
        LayoutKind::Char => {
            let c = char::from_u32(shape::word(b)).unwrap_or('\u{fffd}');
            if present || c != '\0' {
                raw(no, c.encode_utf8(&mut [0; 4]).as_bytes(), out);
            }
        }
        LayoutKind::Str { capacity } => {
            let text = shape::part(b, 4, (shape::word(b) as usize).min(*capacity));
            if present || !text.is_empty() {
                raw(no, text, out);
            }
        }
        LayoutKind::Timestamp => {
            let total = b.first_chunk().map_or(0, |n| i64::from_ne_bytes(*n));
            let (seconds, rest) = (total.div_euclid(1_000_000_000), total.rem_euclid(1_000_000_000));
            message(no, out, |out| time(seconds as u64, rest as u64, out));
        }
        LayoutKind::Std(Std::Duration) => {
            let seconds = b.first_chunk().map_or(0, |n| u64::from_ne_bytes(*n));
            let rest = shape::word(b.get(8..).unwrap_or(&[]));
            message(no, out, |out| time(seconds, rest.into(), out));
        }
        LayoutKind::Struct { fields, .. } => message(no, out, |out| structure(fields, b, out)),
        LayoutKind::Choice { prim, variants, .. } => message(no, out, |out| {
            let kind = match is_enum(variants.iter().map(|variant| variant.value)) {
                true => Scalar::Enum(*prim),
                false => scalar_of(*prim),
            };
            let tag = shape::part(b, 0, prim.size());
            if tag.iter().any(|byte| *byte != 0) {
                tagged(1, kind, tag, out);
            }
            let tag = shape::tag(*prim, b);
            let chosen = variants.iter().enumerate().find(|(_, variant)| variant.value == tag);
            if let Some((index, variant)) =
                chosen.filter(|(_, variant)| shape::visible(variant.fields()).next().is_some())
            {
                message(index as u32 + 2, out, |out| structure(variant.fields(), b, out));
            }
        }),
        _ => raw(no, b, out),
    }
}

fn time(seconds: u64, nanoseconds: u64, out: &mut Vec<u8>) {
    for (no, number) in [(1, seconds), (2, nanoseconds)] {
        if number != 0 {
            encode_key(no, WireType::Varint, out);
            encode_varint(number, out);
        }
    }
}

/// Writes items: numbers packed, others one by one.
fn many(no: u32, item: &Layout, b: &[u8], number: usize, out: &mut Vec<u8>) {
    if number == 0 {
        return;
    }
    match scalar(item) {
        Some(Scalar::Fixed(prim)) if cfg!(target_endian = "little") => {
            raw(no, shape::part(b, 0, number * prim.size()), out);
        }
        Some(scalar) => message(no, out, |out| {
            for index in 0..number {
                untagged(scalar, shape::part(b, index * item.size(), item.size()), out);
            }
        }),
        None => {
            for index in 0..number {
                element(no, item, shape::part(b, index * item.size(), item.size()), true, out);
            }
        }
    }
}

fn tagged(no: u32, scalar: Scalar, b: &[u8], out: &mut Vec<u8>) {
    encode_key(no, super::wire_type(scalar), out);
    untagged(scalar, b, out);
}

fn untagged(scalar: Scalar, b: &[u8], out: &mut Vec<u8>) {
    match scalar {
        Scalar::Fixed(prim) => {
            let from = out.len();
            out.extend_from_slice(shape::part(b, 0, prim.size()));
            if cfg!(target_endian = "big") {
                out[from..].reverse();
            }
        }
        Scalar::Varint(prim) => encode_varint(shape::tag(prim, b) as u64, out),
        Scalar::Enum(prim) => encode_varint(shape::tag(prim, b) as i64 as u64, out),
        Scalar::Zigzag(prim) => {
            let n = shape::tag(prim, b) as i64;
            encode_varint(((n << 1) ^ (n >> 63)) as u64, out);
        }
        Scalar::Bool => encode_varint(u64::from(b.first() == Some(&1)), out),
    }
}
