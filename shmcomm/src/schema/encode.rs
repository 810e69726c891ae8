//! From a [`Value`] to the bytes of a message.
//!
//! Owns which values a field accepts, and the errors that name the field. Writes zeros first, so that padding
//! and unused capacity carry nothing of this process.

mod std_types;

use super::shown::Short;
use super::{EncodeError, Layout, Value};
use super::{LayoutCase, LayoutField, LayoutKind, LayoutVariant};
use super::{decode, encoded};
use crate::escape::Escaped;
use crate::message::Prim;
use crate::plural::count;

type Done = Result<(), EncodeError>;

impl Layout {
    /// Writes `value` to `out`, which must have exactly [`size`](Layout::size) bytes. Padding and unused
    /// capacity become zeros. It accepts every value that [`to_value`](super::ValueRef::to_value) returns for
    /// a valid message, and what other programs print for it in JSON:
    ///
    /// | field | value |
    /// |---|---|
    /// | integer, `Timestamp` | an integer in the range of the type |
    /// | `f32`, `f64` | a number; `null` and `"NaN"` are NaN, `"inf"` and `"-inf"` the infinities |
    /// | `char` | a text of one character |
    /// | enum | the name of a variant, or its value |
    /// | array | a list of exactly its length, or bytes if the items are `u8` |
    /// | `ShmVec` | a list of at most its capacity, or bytes if the items are `u8` |
    /// | `ShmOption` | `null`, or a value |
    /// | `Encoded` of a codec of this program | any value that the codec encodes in at most its capacity |
    /// | struct | an object with every field, and no other |
    /// | padding, foreign type | bytes or a list of numbers of exactly its size |
    ///
    /// # Errors
    ///
    /// Returns an error that names the field, the value, the range and the cure. After an error the contents
    /// of `out` are unspecified.
    pub fn encode(&self, value: &Value, out: &mut [u8]) -> Result<(), EncodeError> {
        let name = self.to_string();
        if out.len() != self.size() {
            let (has, takes) = (count(out.len(), "byte"), count(self.size(), "byte"));
            let error = EncodeError::new(
                Short(value),
                format!("takes {takes}, and the buffer has {has}"),
                format!("give a buffer of {takes}"),
            );
            return Err(error.inside(&name));
        }
        out.fill(0);
        encode(self, value, out).map_err(|error| error.inside(&name))
    }
}

fn encode(layout: &Layout, value: &Value, out: &mut [u8]) -> Done {
    match layout.kind() {
        LayoutKind::Prim(prim) => number(*prim, value, out),
        LayoutKind::Timestamp => {
            let wanted =
                "is no `Timestamp`, which is an integer of 64 bits: nanoseconds since 1970-01-01 UTC";
            let Value::Int(n) = value else { return Err(wrong(value, wanted, "give an integer")) };
            integer(Prim::I64, *n, out).ok_or_else(|| wrong(value, wanted, "give a time from 1677 to 2262"))
        }
        LayoutKind::Bool => match value {
            Value::Bool(truth) => put(out, 0, &[u8::from(*truth)]),
            _ => Err(wrong(value, "is no `bool`", "give `true` or `false`")),
        },
        LayoutKind::Char => {
            let mut chars = value.as_str().unwrap_or("").chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => put(out, 0, &u32::from(c).to_ne_bytes()),
                _ => Err(wrong(value, "is no `char`", "give a text of one character")),
            }
        }
        LayoutKind::Pad | LayoutKind::Opaque { .. } => raw(layout, value, out),
        LayoutKind::Enum { name, prim, variants } => enumeration(name, *prim, variants, value, out),
        LayoutKind::Choice { name, prim, variants } => choice(name, *prim, variants, value, out),
        LayoutKind::Std(std) => match std_types::encode_std(*std, value) {
            Some(bytes) => put(out, 0, &bytes),
            None => {
                let (range, cure) = std_types::form(*std);
                Err(wrong(value, range, cure))
            }
        },
        LayoutKind::Array { item, len } => {
            let fits = |n| n == *len;
            items(layout, item, value, fits, &format!("exactly {}", count(*len, "item")), out).map(|_| ())
        }
        LayoutKind::List { capacity, offset, .. } if encoded::format_of(layout).is_some() => {
            encoded_value(layout, value, (*capacity, *offset), out)
        }
        LayoutKind::List { item, capacity, offset } => {
            let range = format!("at most {}", count(*capacity, "item"));
            let (head, tail) = split(out, *offset, value)?;
            let len = items(layout, item, value, |n| n <= *capacity, &range, tail)?;
            put(head, 0, &(len as u32).to_ne_bytes())
        }
        LayoutKind::Str { capacity } => {
            let Value::Text(text) = value else { return Err(wrong(value, "is no text", "give a text")) };
            if text.len() > *capacity {
                let range =
                    format!("has {}, and a `{layout}` holds at most {capacity}", count(text.len(), "byte"));
                return Err(wrong(value, &range, "shorten the text"));
            }
            put(out, 0, &(text.len() as u32).to_ne_bytes())?;
            put(out, 4, text.as_bytes())
        }
        LayoutKind::Maybe { item, offset } => {
            if value.is_null() {
                return Ok(());
            }
            put(out, 0, &1_u32.to_ne_bytes())?;
            encode(item, value, part(out, *offset, item.size(), value)?)
        }
        LayoutKind::Struct { name, fields } => structure(name, fields, value, out),
    }
}

#[cold]
fn wrong(value: &Value, range: &str, cure: &str) -> EncodeError {
    EncodeError::new(Short(value), range, cure)
}

/// Returns a part of the output. A layout is checked when it is made, so the part is always inside.
fn part<'o>(
    out: &'o mut [u8],
    offset: usize,
    len: usize,
    value: &Value,
) -> Result<&'o mut [u8], EncodeError> {
    let part = out.get_mut(offset..).and_then(|rest| rest.get_mut(..len));
    part.ok_or_else(|| wrong(value, "does not fit the layout", "parse the layout again"))
}

fn split<'o>(
    out: &'o mut [u8],
    offset: usize,
    value: &Value,
) -> Result<(&'o mut [u8], &'o mut [u8]), EncodeError> {
    let halves = out.split_at_mut_checked(offset);
    halves.ok_or_else(|| wrong(value, "does not fit the layout", "parse the layout again"))
}

fn put(out: &mut [u8], offset: usize, bytes: &[u8]) -> Done {
    part(out, offset, bytes.len(), &Value::Null)?.copy_from_slice(bytes);
    Ok(())
}

fn number(prim: Prim, value: &Value, out: &mut [u8]) -> Done {
    let Some((least, most)) = prim.range() else { return float(prim, value, out) };
    let done = value.as_int().and_then(|n| integer(prim, n, out));
    done.ok_or_else(|| {
        let range = format!("is no `{}`, which holds integers from {least} to {most}", prim.rust());
        wrong(value, &range, "give a number in this range")
    })
}

/// Writes `n`; returns `None` if it is outside the range.
fn integer(prim: Prim, n: i128, out: &mut [u8]) -> Option<()> {
    let (least, most) = prim.range()?;
    if !(least..=most).contains(&n) {
        return None;
    }
    // In range, so that the cut bytes repeat the sign.
    let size = prim.size();
    let bytes = n.to_ne_bytes();
    let bytes = if cfg!(target_endian = "little") { &bytes[..size] } else { &bytes[16 - size..] };
    put(out, 0, bytes).ok()
}

fn float(prim: Prim, value: &Value, out: &mut [u8]) -> Done {
    let single = prim == Prim::F32;
    let x = match value {
        Value::F32(x) if single => return put(out, 0, &x.to_ne_bytes()),
        Value::Null => Some(f64::NAN),
        Value::Text(text) => match text.as_str() {
            "NaN" | "nan" => Some(f64::NAN),
            "inf" | "Infinity" => Some(f64::INFINITY),
            "-inf" | "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        value => value.as_f64(),
    };
    let Some(x) = x else {
        let range = format!("is no `{}`", prim.rust());
        return Err(wrong(value, &range, "give a number, or \"NaN\", \"inf\" or \"-inf\""));
    };
    if !single {
        return put(out, 0, &x.to_ne_bytes());
    }
    let short = x as f32;
    if x.is_finite() && short.is_infinite() {
        let range = format!("is no `f32`, which holds {:e} to {:e}", f32::MIN, f32::MAX);
        return Err(wrong(value, &range, "give a number in this range, or \"inf\" or \"-inf\""));
    }
    put(out, 0, &short.to_ne_bytes())
}

fn enumeration(name: &str, prim: Prim, variants: &[LayoutVariant], value: &Value, out: &mut [u8]) -> Done {
    let variant = variants.iter().find(|v| match value {
        Value::Text(text) => v.name == *text,
        Value::Int(n) => v.value == *n,
        _ => false,
    });
    if let Some(variant) = variant
        && integer(prim, variant.value, out).is_some()
    {
        return Ok(());
    }
    const SHOWN: usize = 8;
    let names = list(variants.iter().map(|v| v.name.as_str()), variants.len(), SHOWN);
    Err(wrong(value, &format!("is no variant of `{}`", Escaped(name)), &format!("give one of {names}")))
}

/// Writes the tag and the fields of a variant.
fn choice(name: &str, prim: Prim, variants: &[LayoutCase], value: &Value, out: &mut [u8]) -> Done {
    let named = |name: &str| variants.iter().find(|variant| variant.name == name);
    let (variant, content) = match value {
        Value::Text(text) => (named(text).filter(|variant| variant.content.is_empty()), None),
        Value::Int(n) => (variants.iter().find(|v| v.value == *n && v.content.is_empty()), None),
        Value::Map(parts) => match &parts[..] {
            [(name, content)] => (named(name), Some(content)),
            _ => (None, None),
        },
        _ => (None, None),
    };
    let Some(variant) = variant.filter(|v| integer(prim, v.value, out).is_some()) else {
        let names = list(variants.iter().map(|v| v.name.as_str()), variants.len(), 8);
        let cure =
            format!("give an object of one variant with its fields, or the name of one without: {names}");
        return Err(wrong(value, &format!("is no variant of `{}`", Escaped(name)), &cure));
    };
    match (variant.content.first(), content) {
        (Some(field), Some(content)) => {
            encode(&field.layout, content, out).map_err(|error| error.inside(&format!("::{}", variant.name)))
        }
        _ => Ok(()),
    }
}

/// Returns names between backticks, the first few.
fn list<'n>(names: impl Iterator<Item = &'n str>, len: usize, shown: usize) -> String {
    let names: Vec<_> = names.take(shown).map(|name| format!("`{}`", Escaped(name))).collect();
    format!("{}{}", names.join(", "), if len > shown { ", …" } else { "" })
}

/// Writes bytes as they are.
fn raw(layout: &Layout, value: &Value, out: &mut [u8]) -> Done {
    let size = layout.size();
    let written = match value {
        Value::Null if matches!(layout.kind(), LayoutKind::Pad) => true,
        Value::Bytes(bytes) if bytes.len() == size => put(out, 0, bytes).is_ok(),
        Value::List(list) if list.len() == size => list.iter().zip(&mut *out).all(|(value, byte)| {
            let n = value.as_int().and_then(|n| u8::try_from(n).ok());
            n.map(|n| *byte = n).is_some()
        }),
        _ => false,
    };
    if written {
        return Ok(());
    }
    let range = format!("is no `{layout}`, which is exactly {}", count(size, "byte"));
    Err(wrong(value, &range, "give this number of bytes, or of numbers from 0 to 255"))
}

/// Writes a value as its codec encodes it.
fn encoded_value(layout: &Layout, value: &Value, (capacity, offset): (usize, usize), out: &mut [u8]) -> Done {
    let encoded = encoded::format_of(layout).and_then(|format| decode::encode(format, value));
    let bytes = match encoded {
        Some(Ok(bytes)) => bytes,
        Some(Err(why)) => {
            let range = format!("is refused by the codec of `{layout}`: {why}");
            return Err(wrong(value, &range, "give a value that the codec holds"));
        }
        None => return Err(wrong(value, "has no codec in this program", "build it with the codec")),
    };
    if bytes.len() > capacity {
        let takes = count(bytes.len(), "byte");
        let range = format!("takes {takes} encoded, and `{layout}` holds at most {capacity}");
        return Err(wrong(value, &range, "shorten the value"));
    }
    put(out, 0, &(bytes.len() as u32).to_ne_bytes())?;
    put(out, offset, &bytes)
}

/// Writes the items of a list and returns their number.
fn items(
    layout: &Layout,
    item: &Layout,
    value: &Value,
    fits: impl Fn(usize) -> bool,
    range: &str,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let len = match value {
        Value::Bytes(bytes) if matches!(item.kind(), LayoutKind::Prim(Prim::U8)) => bytes.len(),
        Value::List(list) => list.len(),
        _ => return Err(wrong(value, &format!("is no list, as `{layout}` needs"), &format!("give {range}"))),
    };
    if !fits(len) {
        let range = format!("does not fit `{layout}`, which holds {range}");
        return Err(wrong(value, &range, "give this number of items"));
    }
    match value {
        Value::Bytes(bytes) => put(out, 0, bytes)?,
        Value::List(list) => {
            for (i, value) in list.iter().enumerate() {
                let out = part(out, i * item.size(), item.size(), value)?;
                encode(item, value, out).map_err(|error| error.inside(&format!("[{i}]")))?;
            }
        }
        _ => {}
    }
    Ok(len)
}

fn structure(name: &str, fields: &[LayoutField], value: &Value, out: &mut [u8]) -> Done {
    let name = Escaped(name);
    let Value::Map(parts) = value else {
        let names = list(fields.iter().map(|f| f.name.as_str()), fields.len(), 8);
        return Err(wrong(
            value,
            &format!("is no `{name}`, which has named fields"),
            &format!("give an object with {names}"),
        ));
    };
    for (i, field) in fields.iter().enumerate() {
        let step = |error: EncodeError| error.inside(&format!(".{}", field.name));
        // Names that several fields share belong to the fields in their order.
        let same = parts.get(i).filter(|(name, _)| *name == field.name);
        let Some((_, value)) = same.or_else(|| parts.iter().find(|(name, _)| *name == field.name)) else {
            let range = format!("has no field `{}: {}` of `{name}`", Escaped(&field.name), field.layout);
            return Err(step(wrong(value, &range, "give every field a value")));
        };
        let out = part(out, field.offset, field.layout.size(), value)?;
        encode(&field.layout, value, out).map_err(step)?;
    }
    let strange = parts.iter().enumerate().find(|(i, (name, _))| {
        fields.get(*i).is_none_or(|f| f.name != *name) && !fields.iter().any(|f| f.name == *name)
    });
    match strange {
        None => Ok(()),
        Some((_, (part, value))) => {
            let names = list(fields.iter().map(|f| f.name.as_str()), fields.len(), 8);
            let error = wrong(
                value,
                &format!("belongs to no field: `{name}` has no `{}`", Escaped(part)),
                &format!("leave it out, or use one of {names}"),
            );
            Err(error.inside(&format!(".{part}")))
        }
    }
}
