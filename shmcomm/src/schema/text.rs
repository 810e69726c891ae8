//! A layout as text: the JSON that a segment carries.
//!
//! Owns the text form, byte for byte that of [`SCHEMA_JSON`](crate::ShmMessage::SCHEMA_JSON). Calls nothing.

use super::Layout;
use super::{LayoutField, LayoutKind};
use crate::message::Prim;
use core::fmt::{self, Write};

impl Layout {
    /// Returns the text that a segment carries for this layout. It equals
    /// [`SCHEMA_JSON`](crate::ShmMessage::SCHEMA_JSON), except that it is complete even if it is longer than
    /// 64 KiB. A segment carries an array of such texts.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        // A `String` takes everything.
        let _ = write(&mut out, self);
        out
    }
}

fn write(out: &mut String, layout: &Layout) -> fmt::Result {
    let size = layout.size();
    write!(out, "{{\"size\":{size}")?;
    match layout.kind() {
        LayoutKind::Prim(prim) => code(out, prim.code())?,
        LayoutKind::Bool => code(out, "|b1")?,
        LayoutKind::Char => {
            code(out, Prim::U32.code())?;
            out.push_str(",\"is\":\"char\"");
        }
        LayoutKind::Timestamp => {
            code(out, if cfg!(target_endian = "little") { "<M8[ns]" } else { ">M8[ns]" })?
        }
        LayoutKind::Pad => write!(out, ",\"type\":\"|V{size}\"")?,
        LayoutKind::Opaque { tag } => {
            write!(out, ",\"type\":\"|V{size}\",\"align\":{},\"tag\":\"{tag}\"", layout.align())?;
        }
        LayoutKind::Enum { name, prim, variants } => {
            code(out, prim.code())?;
            out.push_str(",\"name\":");
            string(out, name)?;
            out.push_str(",\"enum\":{");
            for (i, variant) in variants.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                string(out, &variant.name)?;
                write!(out, ":{}", variant.value)?;
            }
            out.push('}');
        }
        LayoutKind::Choice { name, prim, variants } => {
            write!(out, ",\"type\":\"|V{size}\",\"name\":")?;
            string(out, name)?;
            write!(out, ",\"align\":{},\"selector\":{{\"size\":{}", layout.align(), prim.size())?;
            code(out, prim.code())?;
            out.push_str("},\"variants\":[");
            for (i, variant) in variants.iter().enumerate() {
                out.push_str(if i > 0 { ",{\"name\":" } else { "{\"name\":" });
                string(out, &variant.name)?;
                write!(out, ",\"value\":{}", variant.value)?;
                fields(out, variant.fields())?;
                out.push('}');
            }
            out.push(']');
        }
        LayoutKind::Std(std) => {
            match std.prim() {
                Some(prim) => code(out, prim.code())?,
                None => write!(out, ",\"type\":\"|V{size}\"")?,
            }
            write!(out, ",\"is\":\"{}\",\"align\":{}", std.word(), layout.align())?;
        }
        LayoutKind::Array { item, len } => {
            write!(out, ",\"len\":{len}")?;
            of(out, item)?;
        }
        LayoutKind::Str { capacity } => write!(out, ",\"str\":{capacity}")?,
        LayoutKind::List { item, capacity, offset } => {
            write!(out, ",\"list\":{capacity},\"offset\":{offset}")?;
            of(out, item)?;
            if let Some(codec) = layout.codec() {
                out.push_str(",\"codec\":");
                string(out, codec)?;
            }
        }
        LayoutKind::Maybe { item, offset } => {
            write!(out, ",\"option\":true,\"offset\":{offset}")?;
            of(out, item)?;
        }
        LayoutKind::Struct { name, fields: parts } => {
            out.push_str(",\"name\":");
            string(out, name)?;
            write!(out, ",\"align\":{}", layout.align())?;
            fields(out, parts)?;
        }
    }
    out.push('}');
    Ok(())
}

fn fields(out: &mut String, fields: &[LayoutField]) -> fmt::Result {
    out.push_str(",\"fields\":[");
    for (i, LayoutField { name, offset, layout }) in fields.iter().enumerate() {
        out.push_str(if i > 0 { ",{\"name\":" } else { "{\"name\":" });
        string(out, name)?;
        write!(out, ",\"offset\":{offset},\"of\":")?;
        write(out, layout)?;
        out.push('}');
    }
    out.push(']');
    Ok(())
}

fn of(out: &mut String, item: &Layout) -> fmt::Result {
    out.push_str(",\"item\":");
    write(out, item)
}

fn code(out: &mut String, code: &str) -> fmt::Result {
    write!(out, ",\"type\":\"{code}\"")
}

/// Writes `text` between quotes, with quotes, backslashes and controls below U+0020 escaped.
pub(super) fn string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(c)?;
            }
            '\0'..='\x1f' => write!(out, "\\u{:04x}", u32::from(c))?,
            _ => out.write_char(c)?,
        }
    }
    out.write_char('"')
}
