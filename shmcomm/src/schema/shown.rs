//! Values as compact JSON, and in a short form for errors.
//!
//! Owns both forms. Numbers have the form of serde_json: a number that is not finite is `null`.

use super::text::string;
use super::value::Value;
use super::view::ValueRef;
use crate::escape::Escaped;
use crate::plural::count;
use core::fmt::{self, Formatter, Write};

/// Writes compact JSON. Bytes are an array of numbers.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(truth) => truth.fmt(f),
            Value::Int(n) => n.fmt(f),
            Value::F32(x) => float(f, x, x.is_finite()),
            Value::F64(x) => float(f, x, x.is_finite()),
            Value::Text(text) => string(f, text),
            Value::Bytes(bytes) => items(f, bytes.iter()),
            Value::List(list) => items(f, list.iter()),
            Value::Map(map) => parts(f, map.iter().map(|(name, value)| (name.as_str(), value))),
        }
    }
}

/// Writes compact JSON. Bytes are an array of numbers; an invalid part is a text that says what is wrong.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ValueRef::Null => f.write_str("null"),
            ValueRef::Bool(truth) => truth.fmt(f),
            ValueRef::Int(n) => n.fmt(f),
            ValueRef::F32(x) => float(f, x, x.is_finite()),
            ValueRef::F64(x) => float(f, x, x.is_finite()),
            ValueRef::Char(c) => string(f, c.encode_utf8(&mut [0; 4])),
            ValueRef::Timestamp(time) => time.as_nanos().fmt(f),
            ValueRef::Text(text) | ValueRef::Enum { name: text, .. } => string(f, text),
            ValueRef::Bytes(bytes) => items(f, bytes.iter()),
            ValueRef::List(list) => items(f, list.iter()),
            ValueRef::Struct(fields) => parts(f, fields.iter()),
            ValueRef::Encoded(encoded) => fmt::Display::fmt(&encoded.to_value(), f),
            ValueRef::Invalid(invalid) => string(f, &format!("<{}>", invalid.problem())),
        }
    }
}

/// Writes the shortest digits that are read back as the same number, with a point or an exponent.
fn float(f: &mut Formatter<'_>, x: &(impl fmt::Debug + ?Sized), finite: bool) -> fmt::Result {
    if finite { write!(f, "{x:?}") } else { f.write_str("null") }
}

fn items(f: &mut Formatter<'_>, items: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
    f.write_char('[')?;
    for (i, item) in items.enumerate() {
        f.write_str(if i > 0 { "," } else { "" })?;
        item.fmt(f)?;
    }
    f.write_char(']')
}

fn parts<'v>(
    f: &mut Formatter<'_>,
    parts: impl Iterator<Item = (&'v str, impl fmt::Display)>,
) -> fmt::Result {
    f.write_char('{')?;
    for (i, (name, part)) in parts.enumerate() {
        f.write_str(if i > 0 { "," } else { "" })?;
        string(f, name)?;
        f.write_char(':')?;
        part.fmt(f)?;
    }
    f.write_char('}')
}

/// Shows a value in a few words, for errors.
pub(super) struct Short<'v>(pub(super) &'v Value);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 40;
        match self.0 {
            Value::Text(text) if text.chars().count() > LONGEST => {
                let cut: String = text.chars().take(LONGEST).collect();
                write!(f, "\"{}…\"", Escaped(&cut))
            }
            Value::Text(text) => write!(f, "\"{}\"", Escaped(text)),
            Value::Bytes(bytes) => count(bytes.len(), "byte").fmt(f),
            Value::List(list) => write!(f, "a list of {}", count(list.len(), "item")),
            Value::Map(map) => write!(f, "an object of {}", count(map.len(), "part")),
            Value::F32(x) => write!(f, "{x:?}"),
            Value::F64(x) => write!(f, "{x:?}"),
            value => value.fmt(f),
        }
    }
}
