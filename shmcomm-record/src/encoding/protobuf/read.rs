//! From the wire format to the bytes of a slot: the inverse of `write`.
//!
//! Owns the checks. The bytes may be hostile: every access is checked, memory for the items of a tail is taken as they
//! are read, depth follows the layout, and the caller checks the result against the layout. Calls `shape`.

use super::super::{Form, LARGEST, shape, too_large};
use super::{
    Item, Occurs, Scalar, byte_list, is_bytes, is_enum, is_nested, occurs, scalar, scalar_of, wire_type,
};
use prost::encoding::{WireType, decode_key, decode_varint};
use shmcomm::message::Std;
use shmcomm::schema::{Layout, LayoutField, LayoutKind};

type Done = Result<(), String>;

/// A value on the wire.
#[derive(Clone, Copy)]
enum Wire<'w> {
    Number(u64),
    /// A fixed number, little-endian.
    Fixed(&'w [u8]),
    Bytes(&'w [u8]),
}

/// Returns the bytes of the slot.
pub(in crate::encoding) fn read(form: &Form, wire: &[u8]) -> Result<Vec<u8>, String> {
    match form {
        Form::Fixed(layout) => {
            let mut out = vec![0; layout.size()];
            match layout.kind() {
                LayoutKind::Struct { fields, .. } => structure(fields, wire, &mut out)?,
                _ if shape::is_void(layout) => {}
                _ => alone(layout, wire, &mut out)?,
            }
            Ok(out)
        }
        Form::Tail { header, item } => tail(header, item, wire),
        _ => Err("the channel has no layout".to_owned()),
    }
}

fn tail(header: &Layout, item: &Layout, wire: &[u8]) -> Result<Vec<u8>, String> {
    let at = Form::items_at(header, item);
    let mut out = vec![0; header.size()];
    let mut items = Vec::new();
    let mut count = 0;
    each(wire, |no, value| match no {
        1 if !shape::is_void(header) => field(header, value, &mut out, &mut count),
        2 if super::is_byte(item) => {
            items.extend_from_slice(bytes(value)?);
            Ok(())
        }
        2 => {
            let mut rest = value;
            while let Some(one) = next(item, &mut rest)? {
                let from = items.len();
                let end = from.saturating_add(item.size());
                if end > LARGEST {
                    return Err(too_large(end).to_string());
                }
                items.resize(end, 0);
                element(item, one, &mut items[from..])?;
            }
            Ok(())
        }
        _ => Ok(()),
    })?;
    if !shape::is_void(header) {
        complete(header, count)?;
    }
    // A message without items may end before the alignment of the items.
    out.resize(at, 0);
    out.extend_from_slice(&items);
    Ok(out)
}

/// Calls `with` for each field of a message.
fn each<'w>(mut wire: &'w [u8], mut with: impl FnMut(u32, Wire<'w>) -> Done) -> Done {
    while !wire.is_empty() {
        let (no, ty) = decode_key(&mut wire).map_err(|error| error.to_string())?;
        let value = match ty {
            WireType::Varint => Wire::Number(varint(&mut wire)?),
            WireType::SixtyFourBit => Wire::Fixed(split(&mut wire, 8)?),
            WireType::ThirtyTwoBit => Wire::Fixed(split(&mut wire, 4)?),
            WireType::LengthDelimited => {
                let len = varint(&mut wire)?;
                Wire::Bytes(split(&mut wire, len)?)
            }
            WireType::StartGroup | WireType::EndGroup => return Err(format!("field {no} is a group")),
        };
        with(no, value)?;
    }
    Ok(())
}

fn varint(wire: &mut &[u8]) -> Result<u64, String> {
    decode_varint(wire).map_err(|error| error.to_string())
}

fn split<'w>(wire: &mut &'w [u8], len: u64) -> Result<&'w [u8], String> {
    let taken = usize::try_from(len).ok().and_then(|len| wire.split_at_checked(len));
    let (taken, rest) = taken.ok_or_else(|| format!("a field of {len} bytes exceeds the message"))?;
    *wire = rest;
    Ok(taken)
}

fn bytes(value: Wire<'_>) -> Result<&[u8], String> {
    match value {
        Wire::Bytes(bytes) => Ok(bytes),
        _ => Err("a number where bytes are expected".to_owned()),
    }
}

fn structure(fields: &[LayoutField], wire: &[u8], out: &mut [u8]) -> Done {
    let mut counts = vec![0; fields.len()];
    each(wire, |no, value| {
        let index = (no as usize).wrapping_sub(1);
        // Fields of other versions are ignored, as protobuf does.
        let (Some(part), Some(count)) = (fields.get(index), counts.get_mut(index)) else { return Ok(()) };
        if shape::is_void(&part.layout) {
            return Ok(());
        }
        let end = part.offset.saturating_add(part.layout.size());
        let place = out.get_mut(part.offset..end).unwrap_or(&mut []);
        field(&part.layout, value, place, count).map_err(|error| format!("field `{}`: {error}", part.name))
    })?;
    for (part, count) in fields.iter().zip(counts) {
        if !shape::is_void(&part.layout) {
            complete(&part.layout, count).map_err(|error| format!("field `{}`: {error}", part.name))?;
        }
    }
    Ok(())
}

/// Reads a message whose only field is `layout`.
fn alone(layout: &Layout, wire: &[u8], out: &mut [u8]) -> Done {
    let mut count = 0;
    each(wire, |no, value| if no == 1 { field(layout, value, out, &mut count) } else { Ok(()) })?;
    complete(layout, count)
}

/// Checks the number of items of an array.
fn complete(layout: &Layout, count: usize) -> Done {
    match occurs(layout) {
        Occurs::Many { most, counted: false, .. } if most != count => {
            Err(format!("{count} items, and an array of {most}"))
        }
        _ => Ok(()),
    }
}

fn field(layout: &Layout, value: Wire<'_>, out: &mut [u8], count: &mut usize) -> Done {
    match occurs(layout) {
        Occurs::Many { item, most, offset, counted } => {
            let mut rest = value;
            while let Some(one) = next(item, &mut rest)? {
                if *count >= most {
                    return Err(format!("more items than the capacity of {most}"));
                }
                let at = offset + *count * item.size();
                element(item, one, out.get_mut(at..at + item.size()).unwrap_or(&mut []))?;
                *count += 1;
            }
            if counted { put(out, 0, &(*count as u32).to_ne_bytes()) } else { Ok(()) }
        }
        Occurs::Maybe { item: Item::Of(item), offset, .. } => {
            put(out, 0, &1_u32.to_ne_bytes())?;
            element(item, value, out.get_mut(offset..offset + item.size()).unwrap_or(&mut []))
        }
        Occurs::Maybe { item: Item::Number(prim), .. } => number(scalar_of(prim), value, out),
        Occurs::Once(layout) => element(layout, value, out),
    }
}

/// Takes the next item of a repeated field: packed numbers are several items.
fn next<'w>(item: &Layout, rest: &mut Wire<'w>) -> Result<Option<Wire<'w>>, String> {
    let packed = match (scalar(item), *rest) {
        (Some(scalar), Wire::Bytes(bytes)) => Some((scalar, bytes)),
        _ => None,
    };
    let Some((scalar, mut bytes)) = packed else {
        // One value; the rest is empty packed numbers, which have no next.
        let one = std::mem::replace(rest, Wire::Fixed(&[]));
        return Ok((!matches!(one, Wire::Fixed([]))).then_some(one));
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let one = match wire_type(scalar) {
        WireType::SixtyFourBit => Wire::Fixed(split(&mut bytes, 8)?),
        WireType::ThirtyTwoBit => Wire::Fixed(split(&mut bytes, 4)?),
        _ => Wire::Number(varint(&mut bytes)?),
    };
    *rest = Wire::Bytes(bytes);
    Ok(Some(one))
}

fn element(layout: &Layout, value: Wire<'_>, out: &mut [u8]) -> Done {
    if let Some((capacity, offset)) = byte_list(layout) {
        let bytes = bytes(value)?;
        if bytes.len() > capacity {
            return Err(format!("{} bytes exceed the capacity of {capacity}", bytes.len()));
        }
        put(out, 0, &(bytes.len() as u32).to_ne_bytes())?;
        return put(out, offset, bytes);
    }
    if is_bytes(layout) {
        let bytes = bytes(value)?;
        if bytes.len() != layout.size() {
            return Err(format!("{} bytes, and a part of {}", bytes.len(), layout.size()));
        }
        return put(out, 0, bytes);
    }
    if is_nested(layout) {
        return if shape::is_void(layout) { Ok(()) } else { alone(layout, bytes(value)?, out) };
    }
    if let Some(scalar) = scalar(layout) {
        return number(scalar, value, out);
    }
    match layout.kind() {
        LayoutKind::Char => {
            let text = std::str::from_utf8(bytes(value)?).map_err(|error| error.to_string())?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => put(out, 0, &u32::from(c).to_ne_bytes()),
                _ => Err(format!("a text of {} bytes is no single character", text.len())),
            }
        }
        LayoutKind::Str { capacity } => {
            let text = bytes(value)?;
            if text.len() > *capacity {
                return Err(format!("a text of {} bytes exceeds the capacity of {capacity}", text.len()));
            }
            put(out, 0, &(text.len() as u32).to_ne_bytes())?;
            put(out, 4, text)
        }
        LayoutKind::Timestamp => {
            let (seconds, rest) = time(bytes(value)?)?;
            let total = i128::from(seconds as i64) * 1_000_000_000 + i128::from(rest as i64);
            let total = i64::try_from(total).map_err(|_| format!("a time of {seconds} s is out of range"))?;
            put(out, 0, &total.to_ne_bytes())
        }
        LayoutKind::Std(Std::Duration) => {
            let (seconds, rest) = time(bytes(value)?)?;
            put(out, 0, &seconds.to_ne_bytes())?;
            let rest = u32::try_from(rest).map_err(|_| "a duration below zero".to_owned())?;
            put(out, 8, &rest.to_ne_bytes())
        }
        LayoutKind::Struct { fields, .. } => structure(fields, bytes(value)?, out),
        LayoutKind::Choice { prim, variants, .. } => {
            let kind = match is_enum(variants.iter().map(|variant| variant.value)) {
                true => Scalar::Enum(*prim),
                false => scalar_of(*prim),
            };
            each(bytes(value)?, |no, value| match no {
                1 => number(kind, value, out),
                _ => match variants.get((no as usize).wrapping_sub(2)) {
                    Some(variant) if variant.value == shape::tag(*prim, out) => {
                        structure(variant.fields(), bytes(value)?, out)
                    }
                    Some(variant) => Err(format!("the data of variant `{}` is out of place", variant.name)),
                    None => Ok(()),
                },
            })
        }
        _ => Err("the layout is unknown".to_owned()),
    }
}

fn time(wire: &[u8]) -> Result<(u64, u64), String> {
    let mut parts = (0, 0);
    each(wire, |no, value| {
        match (no, value) {
            (1, Wire::Number(seconds)) => parts.0 = seconds,
            (2, Wire::Number(rest)) => parts.1 = rest,
            _ => {}
        }
        Ok(())
    })?;
    Ok(parts)
}

fn number(scalar: Scalar, value: Wire<'_>, out: &mut [u8]) -> Done {
    let (prim, whole) = match (scalar, value) {
        (Scalar::Bool, Wire::Number(n)) => return put(out, 0, &[u8::from(n != 0)]),
        (Scalar::Fixed(prim), Wire::Fixed(bytes)) if bytes.len() == prim.size() => {
            put(out, 0, bytes)?;
            if cfg!(target_endian = "big") {
                out[..prim.size()].reverse();
            }
            return Ok(());
        }
        (Scalar::Varint(prim), Wire::Number(n)) => (prim, i128::from(n)),
        (Scalar::Enum(prim), Wire::Number(n)) => (prim, i128::from(n as i64)),
        (Scalar::Zigzag(prim), Wire::Number(n)) => (prim, i128::from((n >> 1) as i64 ^ -((n & 1) as i64))),
        _ => return Err("a value of another type".to_owned()),
    };
    let size = prim.size();
    let own = if cfg!(target_endian = "little") {
        whole.to_ne_bytes()[..size].to_vec()
    } else {
        whole.to_ne_bytes()[16 - size..].to_vec()
    };
    if shape::tag(prim, &own) != whole {
        return Err(format!("{whole} is out of the range of {}", prim.rust()));
    }
    put(out, 0, &own)
}

fn put(out: &mut [u8], offset: usize, bytes: &[u8]) -> Done {
    let place = out.get_mut(offset..).and_then(|rest| rest.get_mut(..bytes.len()));
    place.ok_or_else(|| "the layout is inconsistent".to_owned())?.copy_from_slice(bytes);
    Ok(())
}
