//! A message as a view of its bytes.
//!
//! Owns [`ValueRef`]. Every conversion from bytes is total: bytes that are no value of their type are
//! [`ValueRef::Invalid`], and no index is computed without a check. Allocates nothing.

mod choice;

use super::Layout;
use super::encoded::EncodedRef;
use super::{LayoutField, LayoutKind};
use crate::message::{Prim, Timestamp};
use crate::plural::count;

/// A value inside a message, as a view of its bytes.
///
/// A struct and a list convert their parts only when they are asked for, so that a view of a large message
/// costs nothing. The `Display` form is compact JSON, in which an invalid part is a text between angle
/// brackets.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ValueRef<'b> {
    /// An option without a value.
    Null,
    /// A `bool`.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
    /// A `char`.
    Char(char),
    /// A time.
    Timestamp(Timestamp),
    /// The text of a `ShmString`.
    Text(&'b str),
    /// Padding, or the bytes of a foreign type.
    Bytes(&'b [u8]),
    /// A variant of an enum without data.
    Enum {
        /// Name of the variant.
        name: &'b str,
        /// Value of the variant.
        value: i128,
    },
    /// An array or a `ShmVec`.
    List(ListRef<'b>),
    /// A struct.
    Struct(StructRef<'b>),
    /// An [`Encoded`](crate::Encoded) value of a codec with which this program was built. Values of other codecs are lists
    /// of bytes.
    Encoded(EncodedRef<'b>),
    /// Bytes that are no value of their type.
    Invalid(InvalidRef<'b>),
}

/// The items of an array or a `ShmVec`.
#[derive(Clone, Copy, Debug)]
pub struct ListRef<'b> {
    item: &'b Layout,
    len: usize,
    /// `len` items.
    bytes: &'b [u8],
}

/// The fields of a struct.
#[derive(Clone, Copy, Debug)]
pub struct StructRef<'b> {
    name: &'b str,
    fields: &'b [LayoutField],
    bytes: &'b [u8],
}

/// Bytes that are no value of their type.
#[derive(Clone, Copy, Debug)]
pub struct InvalidRef<'b> {
    layout: &'b Layout,
    bytes: &'b [u8],
}

impl Layout {
    /// Returns a view of a message. Never panics: bytes of another length, and parts that are no value of
    /// their type, are [`ValueRef::Invalid`].
    pub fn view<'b>(&'b self, bytes: &'b [u8]) -> ValueRef<'b> {
        view(self, bytes).unwrap_or(ValueRef::Invalid(InvalidRef { layout: self, bytes }))
    }
}

/// Returns `None` if the bytes are no value.
fn view<'b>(layout: &'b Layout, b: &'b [u8]) -> Option<ValueRef<'b>> {
    if b.len() != layout.size() {
        return None;
    }
    Some(match layout.kind() {
        LayoutKind::Prim(Prim::F32) => ValueRef::F32(f32::from_ne_bytes(b.try_into().ok()?)),
        LayoutKind::Prim(Prim::F64) => ValueRef::F64(f64::from_ne_bytes(b.try_into().ok()?)),
        LayoutKind::Prim(prim) => ValueRef::Int(integer(*prim, b)?),
        LayoutKind::Bool => match b {
            [0] => ValueRef::Bool(false),
            [1] => ValueRef::Bool(true),
            _ => return None,
        },
        LayoutKind::Char => ValueRef::Char(char::from_u32(word(b)?)?),
        LayoutKind::Timestamp => {
            ValueRef::Timestamp(Timestamp::from_nanos(i64::from_ne_bytes(b.try_into().ok()?)))
        }
        LayoutKind::Pad | LayoutKind::Opaque { .. } => ValueRef::Bytes(b),
        LayoutKind::Enum { prim, variants, .. } => {
            let value = integer(*prim, b)?;
            let variant = variants.iter().find(|v| v.value == value)?;
            ValueRef::Enum { name: &variant.name, value }
        }
        LayoutKind::Choice { name, prim, variants } => match choice::variant(*prim, variants, b) {
            (Some(variant), value) if variant.content.is_empty() => {
                ValueRef::Enum { name: &variant.name, value }
            }
            (Some(variant), _) => ValueRef::Struct(StructRef { name, fields: &variant.content, bytes: b }),
            (None, _) => return None,
        },
        LayoutKind::Std(std) => choice::view_std(*std, b)?,
        LayoutKind::Array { item, len } => ValueRef::List(ListRef { item, len: *len, bytes: b }),
        LayoutKind::Str { capacity } => {
            let bytes = b.get(4..)?.get(..counted(b, *capacity)?)?;
            ValueRef::Text(core::str::from_utf8(bytes).ok()?)
        }
        LayoutKind::List { item, capacity, offset } => {
            let len = counted(b, *capacity)?;
            let bytes = b.get(*offset..)?.get(..len.checked_mul(item.size())?)?;
            match EncodedRef::of(layout, bytes) {
                Some(encoded) => ValueRef::Encoded(encoded),
                None => ValueRef::List(ListRef { item, len, bytes }),
            }
        }
        LayoutKind::Maybe { item, .. } => match word(b)? {
            0 => ValueRef::Null,
            _ => item.view(optional(layout, b)?),
        },
        LayoutKind::Struct { name, fields } => ValueRef::Struct(StructRef { name, fields, bytes: b }),
    })
}

/// Returns the bytes of the value in an option; `None` if there is none, or if this is no option.
pub(super) fn optional<'b>(layout: &Layout, b: &'b [u8]) -> Option<&'b [u8]> {
    match layout.kind() {
        LayoutKind::Maybe { item, offset } if b.len() == layout.size() && word(b)? == 1 => {
            b.get(*offset..)?.get(..item.size())
        }
        _ => None,
    }
}

/// Returns the `u32` of a count, an option tag or a char.
fn word(b: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(b.get(..4)?.try_into().ok()?))
}

/// Returns the count at the start, if it is at most `capacity`.
fn counted(b: &[u8], capacity: usize) -> Option<usize> {
    usize::try_from(word(b)?).ok().filter(|len| *len <= capacity)
}

/// Returns the integer that takes all of `b`.
pub(super) fn integer(prim: Prim, b: &[u8]) -> Option<i128> {
    Some(match prim {
        Prim::U8 => u8::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::U16 => u16::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::U32 => u32::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::U64 => u64::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::I8 => i8::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::I16 => i16::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::I32 => i32::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::I64 => i64::from_ne_bytes(b.try_into().ok()?).into(),
        Prim::F32 | Prim::F64 => return None,
    })
}

impl<'b> ValueRef<'b> {
    /// Returns the field with this name; `None` if this is no struct, or if it has no such field.
    pub fn get(&self, name: &str) -> Option<ValueRef<'b>> {
        match self {
            ValueRef::Struct(view) => view.get(name),
            _ => None,
        }
    }

    /// Returns item `index`; `None` if this is no list, or if the list is shorter.
    pub fn index(&self, index: usize) -> Option<ValueRef<'b>> {
        match self {
            ValueRef::List(view) => view.get(index),
            _ => None,
        }
    }

    /// Returns the part at a path such as `pose.xyz[2]`; an empty path leads to the value itself. A field
    /// whose name has dots or brackets is found too: the longest name that fits is taken.
    pub fn at(&self, path: &str) -> Option<ValueRef<'b>> {
        let path = path.strip_prefix('.').unwrap_or(path);
        if path.is_empty() {
            return Some(*self);
        }
        match self {
            ValueRef::Struct(view) => {
                let mut fits: Vec<_> = view
                    .iter()
                    .filter_map(|(name, part)| Some((name.len(), part, path.strip_prefix(name)?)))
                    .filter(|(_, _, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
                    .collect();
                fits.sort_by_key(|(len, _, _)| core::cmp::Reverse(*len));
                fits.into_iter().find_map(|(_, part, rest)| part.at(rest))
            }
            ValueRef::List(view) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                view.get(index.parse().ok()?)?.at(rest)
            }
            _ => None,
        }
    }

    /// Returns the truth value of a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            ValueRef::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Returns an integer, the value of a variant, or the nanoseconds of a time.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            ValueRef::Int(n) | ValueRef::Enum { value: n, .. } => Some(*n),
            ValueRef::Timestamp(time) => Some(time.as_nanos().into()),
            _ => None,
        }
    }

    /// Returns a number, rounded to the nearest `f64`. A `bool` is 0 or 1.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            ValueRef::F32(x) => Some((*x).into()),
            ValueRef::F64(x) => Some(*x),
            ValueRef::Bool(truth) => Some(u8::from(*truth).into()),
            _ => self.as_int().map(|n| n as f64),
        }
    }

    /// Returns a text, or the name of a variant.
    pub fn as_str(&self) -> Option<&'b str> {
        match self {
            ValueRef::Text(text) | ValueRef::Enum { name: text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns the bytes of padding, of a foreign type, of a list of `u8`, or of an encoded value.
    pub fn as_bytes(&self) -> Option<&'b [u8]> {
        match self {
            ValueRef::Bytes(bytes) => Some(bytes),
            ValueRef::List(view) => view.as_bytes(),
            ValueRef::Encoded(encoded) => Some(encoded.bytes()),
            _ => None,
        }
    }

    /// Returns `true` if this is an option without a value.
    pub fn is_null(&self) -> bool {
        matches!(self, ValueRef::Null)
    }
}

impl<'b> ListRef<'b> {
    /// Makes the list of as many whole items as `bytes` hold.
    pub(crate) fn of(item: &'b Layout, bytes: &'b [u8]) -> Self {
        let len = bytes.len().checked_div(item.size()).unwrap_or(0);
        ListRef { item, len, bytes: bytes.get(..len * item.size()).unwrap_or(&[]) }
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if there are no items.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the layout of an item.
    pub fn item(&self) -> &'b Layout {
        self.item
    }

    /// Returns item `index`; `None` if there are fewer items.
    pub fn get(&self, index: usize) -> Option<ValueRef<'b>> {
        let size = self.item.size();
        let bytes = (index < self.len).then(|| self.bytes.get(index.checked_mul(size)?..)?.get(..size))??;
        Some(self.item.view(bytes))
    }

    /// Iterates over the items.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ValueRef<'b>> + use<'b> {
        let item = self.item;
        self.parts().map(|bytes| item.view(bytes))
    }

    /// Returns the items if they are of type `u8`.
    pub fn as_bytes(&self) -> Option<&'b [u8]> {
        matches!(self.item.kind(), LayoutKind::Prim(Prim::U8)).then_some(self.bytes)
    }

    /// Returns the bytes of all items, one item after the other.
    pub fn raw(&self) -> &'b [u8] {
        self.bytes
    }

    /// Iterates over the bytes of each item.
    pub(crate) fn parts(&self) -> impl ExactSizeIterator<Item = &'b [u8]> + use<'b> {
        let (bytes, size) = (self.bytes, self.item.size());
        (0..self.len).map(move |i| bytes.get(i * size..).and_then(|b| b.get(..size)).unwrap_or(&[]))
    }
}

impl<'b> StructRef<'b> {
    /// Returns the name of the Rust type.
    pub fn name(&self) -> &'b str {
        self.name
    }

    /// Returns the number of fields, without padding.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Returns `true` if there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Returns the field with this name; the first if several have it.
    pub fn get(&self, name: &str) -> Option<ValueRef<'b>> {
        let (field, bytes) = self.parts().find(|(field, _)| field.name == name)?;
        Some(field.layout.view(bytes))
    }

    /// Iterates over the names and values of the fields in order of declaration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'b str, ValueRef<'b>)> + use<'b> {
        self.parts().map(|(field, bytes)| (field.name.as_str(), field.layout.view(bytes)))
    }

    /// Iterates over the fields and their bytes.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = (&'b LayoutField, &'b [u8])> + use<'b> {
        let bytes = self.bytes;
        self.fields.iter().map(move |field| {
            let part = bytes.get(field.offset..).and_then(|b| b.get(..field.layout.size()));
            (field, part.unwrap_or(&[]))
        })
    }
}

impl<'b> InvalidRef<'b> {
    /// Returns the layout of which the bytes are no value.
    pub fn layout(&self) -> &'b Layout {
        self.layout
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// Returns what is wrong: ``9 is no variant of `Mode` ``.
    pub fn problem(&self) -> String {
        let (layout, b) = (self.layout, self.bytes);
        if b.len() != layout.size() {
            return format!("a value has {}, there are {}", count(layout.size(), "byte"), b.len());
        }
        let raw = word(b).unwrap_or(0);
        match layout.kind() {
            LayoutKind::Bool => format!("{} is not a bool (0 or 1)", b.first().copied().unwrap_or(0)),
            LayoutKind::Char => format!("{raw:#x} is not a char"),
            LayoutKind::Enum { prim, .. } => {
                format!("{} is no variant of `{layout}`", integer(*prim, b).unwrap_or(0))
            }
            LayoutKind::Choice { prim, variants, .. } => {
                let (_, value) = choice::variant(*prim, variants, b);
                format!("{value} is no variant of `{layout}`")
            }
            LayoutKind::Str { capacity } | LayoutKind::List { capacity, .. }
                if counted(b, *capacity).is_none() =>
            {
                format!("length {raw} exceeds capacity {capacity}")
            }
            LayoutKind::Str { .. } => b
                .get(4..)
                .and_then(|b| core::str::from_utf8(b.get(..raw as usize)?).err())
                .map_or_else(|| "not UTF-8".into(), |error| error.to_string()),
            LayoutKind::Maybe { .. } => format!("{raw} is not an option tag (0 or 1)"),
            _ => "not a valid value".into(),
        }
    }
}
