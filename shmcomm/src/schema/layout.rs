//! [`Layout`]: a tree of layout facts that the program owns.
//!
//! Owns the fingerprint over the tree, which equals that of [`Schema`], and the facts that follow from it. A
//! tree is made by [`Layout::of`] or by `parse`; it is never changed, so its numbers stay consistent.

mod choice;
mod kind;

pub use kind::{LayoutCase, LayoutField, LayoutKind, LayoutVariant};

use crate::message::schema::{Fnv, marker};
use crate::message::{Kind, Schema, ShmMessage, Std};
use core::fmt;

/// Layout of a message: size, alignment, fields and fingerprint.
///
/// ```
/// use shmcomm::schema::Layout;
///
/// let layout = Layout::of::<[f32; 3]>();
/// assert_eq!((layout.size(), layout.align()), (12, 4));
/// assert_eq!(layout.to_string(), "[f32; 3]");
/// assert_eq!(Layout::parse(&layout.to_json())?, [layout]);
/// # Ok::<(), shmcomm::schema::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    size: usize,
    align: usize,
    kind: LayoutKind,
    fingerprint: u64,
    any_bits: bool,
    /// Maximum number of values in a message; saturates.
    values: u64,
    /// Name of the codec of an encoded value.
    codec: Option<Box<str>>,
    /// `true` if this layout or a part of it has a codec.
    has_codec: bool,
}

impl Layout {
    /// Returns the layout of `M`. Fields of padding are left out.
    pub fn of<M: ShmMessage>() -> Layout {
        Layout::from(M::SCHEMA)
    }

    /// Makes a layout of consistent parts.
    pub(super) fn new(size: usize, align: usize, kind: LayoutKind) -> Layout {
        let fingerprint = hash(size, align, &kind);
        let any_bits = match &kind {
            LayoutKind::Prim(_) | LayoutKind::Timestamp | LayoutKind::Pad => true,
            LayoutKind::Array { item, len } => item.any_bits || *len == 0,
            LayoutKind::Struct { fields, .. } => fields.iter().all(|f| f.layout.any_bits),
            LayoutKind::Std(std) => !matches!(std, Std::NonZero(_) | Std::Duration),
            _ => false,
        };
        let times = |item: &Layout, count: usize| item.values.saturating_mul(count as u64).saturating_add(1);
        let values = match &kind {
            LayoutKind::Array { item, len } => times(item, *len),
            LayoutKind::List { item, capacity, .. } => times(item, *capacity),
            LayoutKind::Maybe { item, .. } => times(item, 1),
            LayoutKind::Struct { fields, .. } => {
                fields.iter().fold(1, |sum: u64, f| sum.saturating_add(f.layout.values))
            }
            LayoutKind::Choice { variants, .. } => {
                let content = variants.iter().flat_map(|variant| &variant.content);
                content.map(|field| field.layout.values).max().unwrap_or(0).saturating_add(1)
            }
            _ => 1,
        };
        let has_codec = match &kind {
            LayoutKind::Array { item, .. }
            | LayoutKind::List { item, .. }
            | LayoutKind::Maybe { item, .. } => item.has_codec,
            LayoutKind::Struct { fields, .. } => fields.iter().any(|field| field.layout.has_codec),
            LayoutKind::Choice { variants, .. } => {
                variants.iter().flat_map(|variant| &variant.content).any(|field| field.layout.has_codec)
            }
            _ => false,
        };
        Layout { size, align, kind, fingerprint, any_bits, values, codec: None, has_codec }
    }

    /// Returns the layout of a list of bytes as that of a value that this codec encodes.
    pub(super) fn encoded_by(self, codec: &str) -> Layout {
        Layout { codec: Some(codec.into()), has_codec: true, ..self }
    }

    /// Returns the layout of a table with these keys: a struct without padding, as `message::keys` makes it.
    pub(crate) fn of_keys(keys: impl IntoIterator<Item = (String, Layout)>) -> Layout {
        let mut size: usize = 0;
        let field = |(name, layout): (String, Layout)| {
            let offset = size;
            size = size.saturating_add(layout.size);
            LayoutField { name, offset, layout }
        };
        let fields = keys.into_iter().map(field).collect();
        Layout::new(size, 1, LayoutKind::Struct { name: "Table".into(), fields })
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the alignment in bytes, a power of two.
    pub fn align(&self) -> usize {
        self.align
    }

    /// Returns the kind of the type, with its parts.
    pub fn kind(&self) -> &LayoutKind {
        &self.kind
    }

    /// Returns the fingerprint. It equals the fingerprint of the type that the text came from: see
    /// [`Schema::fingerprint`].
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the name of a struct or enum; `None` for other types. Names are not unique.
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            LayoutKind::Struct { name, .. }
            | LayoutKind::Enum { name, .. }
            | LayoutKind::Choice { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns the name of the codec of an [`Encoded`](crate::Encoded) value, such as `msgpack`. `None` for other types, and
    /// for values of a segment whose creator did not name the codec.
    pub fn codec(&self) -> Option<&str> {
        self.codec.as_deref()
    }

    /// Returns `true` if this layout or a part of it has a codec.
    pub(super) fn has_codec(&self) -> bool {
        self.has_codec
    }

    /// Returns `true` if the bytes of one layout are a message of the other: the fingerprints are equal, and no value has two
    /// codecs. A value whose codec only one layout names is the same.
    pub(crate) fn is_same(&self, other: &Layout) -> bool {
        self.fingerprint == other.fingerprint && self.size == other.size && self.agrees(other)
    }

    /// Returns `true` if no value has two codecs.
    fn agrees(&self, other: &Layout) -> bool {
        if !self.has_codec || !other.has_codec {
            return true;
        }
        let fields = |ours: &[LayoutField], theirs: &[LayoutField]| {
            ours.iter().zip(theirs).all(|(ours, theirs)| ours.layout.agrees(&theirs.layout))
        };
        match (&self.kind, &other.kind) {
            (LayoutKind::List { item: ours, .. }, LayoutKind::List { item: theirs, .. }) => {
                let both = self.codec().zip(other.codec());
                both.is_none_or(|(ours, theirs)| ours == theirs) && ours.agrees(theirs)
            }
            (LayoutKind::Array { item: ours, .. }, LayoutKind::Array { item: theirs, .. })
            | (LayoutKind::Maybe { item: ours, .. }, LayoutKind::Maybe { item: theirs, .. }) => {
                ours.agrees(theirs)
            }
            (LayoutKind::Struct { fields: ours, .. }, LayoutKind::Struct { fields: theirs, .. }) => {
                fields(ours, theirs)
            }
            (LayoutKind::Choice { variants: ours, .. }, LayoutKind::Choice { variants: theirs, .. }) => {
                ours.iter().zip(theirs).all(|(ours, theirs)| fields(&ours.content, &theirs.content))
            }
            _ => true,
        }
    }

    /// Returns `true` if every bit pattern is a value, so that receiving needs no check.
    pub fn any_bits(&self) -> bool {
        self.any_bits
    }

    pub(super) fn values(&self) -> u64 {
        self.values
    }
}

/// Copies a schema. Fields of padding are left out.
impl From<&Schema> for Layout {
    fn from(schema: &Schema) -> Layout {
        let item = |item: &Schema| Box::new(Layout::from(item));
        let kind = match &schema.kind {
            Kind::Prim(prim) => LayoutKind::Prim(*prim),
            Kind::Bool => LayoutKind::Bool,
            Kind::Char => LayoutKind::Char,
            Kind::Timestamp => LayoutKind::Timestamp,
            Kind::Pad => LayoutKind::Pad,
            Kind::Opaque { tag } => LayoutKind::Opaque { tag: *tag },
            Kind::Enum { prim, variants } => {
                let variant =
                    |v: &crate::message::Variant| LayoutVariant { name: v.name.into(), value: v.value };
                LayoutKind::Enum {
                    name: schema.name.into(),
                    prim: *prim,
                    variants: variants.iter().map(variant).collect(),
                }
            }
            Kind::Choice { prim, variants } => {
                let case = |variant| LayoutCase::of(variant, schema.size, schema.align);
                LayoutKind::Choice {
                    name: schema.name.into(),
                    prim: *prim,
                    variants: variants.iter().map(case).collect(),
                }
            }
            Kind::Std(std) => LayoutKind::Std(*std),
            Kind::Array { item: of, len } => LayoutKind::Array { item: item(of), len: *len },
            Kind::Struct { fields } => {
                LayoutKind::Struct { name: schema.name.into(), fields: fields_of(fields) }
            }
            Kind::Str { capacity } => LayoutKind::Str { capacity: *capacity },
            Kind::List { item: of, capacity, offset } => {
                LayoutKind::List { item: item(of), capacity: *capacity, offset: *offset }
            }
            Kind::Maybe { item: of, offset } => LayoutKind::Maybe { item: item(of), offset: *offset },
        };
        let layout = Layout::new(schema.size, schema.align, kind);
        match schema.codec {
            Some(codec) => layout.encoded_by(codec),
            None => layout,
        }
    }
}

/// Copies fields, without padding.
pub(super) fn fields_of(fields: &[crate::message::Field]) -> Vec<LayoutField> {
    let meant = fields.iter().filter(|f| !matches!(f.schema.kind, Kind::Pad));
    meant.map(|f| LayoutField { name: f.name.into(), offset: f.offset, layout: f.schema.into() }).collect()
}

/// Hashes as `Schema::hash` does.
fn hash(size: usize, align: usize, kind: &LayoutKind) -> u64 {
    let h = Fnv::new().num(1).num(size as u64).num(align as u64);
    let h = match kind {
        LayoutKind::Prim(prim) => h.str(prim.code()),
        LayoutKind::Bool => h.str("bool"),
        LayoutKind::Char => h.str("char"),
        LayoutKind::Timestamp => h.str("ns"),
        LayoutKind::Pad => h.str("pad"),
        LayoutKind::Opaque { tag } => h.str("opaque").num(*tag),
        LayoutKind::Enum { prim, variants, .. } => {
            let h = h.str("enum").str(prim.code()).num(variants.len() as u64);
            variants.iter().fold(h, |h, v| h.str(&v.name).num(v.value as u64))
        }
        LayoutKind::Choice { prim, variants, .. } => choice::hash(h, *prim, variants),
        LayoutKind::Std(std) => choice::hash_std(h, *std),
        LayoutKind::Array { item, len } => h.str("array").num(*len as u64).num(item.fingerprint),
        LayoutKind::Str { capacity } => h.str("str").num(*capacity as u64),
        LayoutKind::List { item, capacity, offset } => {
            h.str("list").num(*capacity as u64).num(*offset as u64).num(item.fingerprint)
        }
        LayoutKind::Maybe { item, offset } => h.str("option").num(*offset as u64).num(item.fingerprint),
        LayoutKind::Struct { fields, .. } => fields
            .iter()
            .fold(h.str("struct"), |h, f| h.str(&f.name).num(f.offset as u64).num(f.layout.fingerprint)),
    };
    h.0
}

/// Writes the type in Rust terms, as in the errors of this library: `[f32; 3]`, `ShmString<20>`, `Imu`.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            LayoutKind::Prim(prim) => f.write_str(prim.rust()),
            LayoutKind::Bool => f.write_str("bool"),
            LayoutKind::Char => f.write_str("char"),
            LayoutKind::Timestamp => f.write_str("Timestamp"),
            LayoutKind::Pad => write!(f, "Pad<{}>", self.size),
            LayoutKind::Opaque { tag } => write!(f, "Foreign<_, {tag}>"),
            LayoutKind::Std(std) => f.write_str(&choice::rust_name(*std)),
            LayoutKind::Enum { name, .. }
            | LayoutKind::Struct { name, .. }
            | LayoutKind::Choice { name, .. } => crate::escape::Escaped(name).fmt(f),
            LayoutKind::Array { item, len } => write!(f, "[{item}; {len}]"),
            LayoutKind::Str { capacity } => write!(f, "ShmString<{capacity}>"),
            LayoutKind::List { item, capacity, .. } => match self.codec() {
                Some(codec) => {
                    write!(f, "Encoded<_, {}, {capacity}>", crate::escape::Escaped(&marker(codec)))
                }
                None => write!(f, "ShmVec<{item}, {capacity}>"),
            },
            LayoutKind::Maybe { item, .. } => write!(f, "ShmOption<{item}>"),
        }
    }
}
