//! Layouts of enums with data, and of the types of the standard library.
//!
//! Owns their parts of the fingerprint and their names. A variant with data has one part, named as the variant,
//! which holds the fields. Calls `kind`.

use super::kind::{LayoutCase, LayoutField, LayoutKind};
use super::{Layout, fields_of};
use crate::message::schema::Fnv;
use crate::message::{Prim, Std, Variant};

impl LayoutCase {
    /// Makes a variant of an enum of `size` bytes.
    pub(in crate::schema) fn new(
        name: String,
        value: i128,
        fields: Vec<LayoutField>,
        size: usize,
        align: usize,
    ) -> Self {
        let mut content = Vec::new();
        if !fields.is_empty() {
            let layout = Layout::new(size, align, LayoutKind::Struct { name: name.clone(), fields });
            content.push(LayoutField { name: name.clone(), offset: 0, layout });
        }
        LayoutCase { name, value, content }
    }

    /// Copies a variant of a schema.
    pub(in crate::schema) fn of(variant: &Variant, size: usize, align: usize) -> Self {
        let fields = fields_of(variant.fields);
        Self::new(variant.name.into(), variant.value, fields, size, align)
    }

    /// Returns the fields of the variant.
    pub fn fields(&self) -> &[LayoutField] {
        match self.content.first().map(|content| content.layout.kind()) {
            Some(LayoutKind::Struct { fields, .. }) => fields,
            _ => &[],
        }
    }
}

/// Hashes as `Schema::hash` does.
pub(super) fn hash(h: Fnv, prim: Prim, variants: &[LayoutCase]) -> Fnv {
    variants.iter().fold(h.str("choice").str(prim.code()).num(variants.len() as u64), |h, variant| {
        let fields = variant.fields();
        let h = h.str(&variant.name).num(variant.value as u64).num(fields.len() as u64);
        fields.iter().fold(h, |h, f| h.str(&f.name).num(f.offset as u64).num(f.layout.fingerprint()))
    })
}

/// Hashes as `Schema::hash` does.
pub(super) fn hash_std(h: Fnv, std: Std) -> Fnv {
    h.str(std.word()).str(std.prim().map_or("", Prim::code))
}

/// Returns the name of a type of the standard library in Rust.
pub(super) fn rust_name(std: Std) -> String {
    match std {
        Std::NonZero(prim) => format!("NonZero<{}>", prim.rust()),
        Std::OptionNonZero(prim) => format!("Option<NonZero<{}>>", prim.rust()),
        Std::U128 => "u128".into(),
        Std::I128 => "i128".into(),
        Std::Duration => "Duration".into(),
        Std::Ipv4Addr => "Ipv4Addr".into(),
        Std::Ipv6Addr => "Ipv6Addr".into(),
    }
}
