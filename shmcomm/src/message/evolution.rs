//! Declarations of a message for writers of other layouts: earlier names, default values, and the variant that unknown
//! variants become.
//!
//! Owns the constants that the derive makes from `#[shm(default)]`, `#[shm(alias = "…")]` and `#[shm(other)]`. They
//! are no part of the layout or of its fingerprint. `schema` reads them when a reader attaches to another layout.
//! Soundness does not depend on them: a converted message is checked like any other.

/// Declarations of a type for writers of other layouts. Parts without a declaration are left out.
#[derive(Clone, Copy, Debug)]
pub struct Evolution {
    /// Declarations of the fields of a struct.
    pub fields: &'static [FieldEvolution],
    /// Declarations of the variants of an enum.
    pub variants: &'static [VariantEvolution],
}

/// Declaration of a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldEvolution {
    /// Name that other programs see.
    pub name: &'static str,
    /// Earlier names.
    pub aliases: &'static [&'static str],
    /// Function that writes the value for a writer that lacks the field.
    pub default: Option<fn(&mut [u8])>,
}

/// Declaration of a variant.
#[derive(Clone, Copy, Debug)]
pub struct VariantEvolution {
    /// Name that other programs see.
    pub name: &'static str,
    /// Earlier names.
    pub aliases: &'static [&'static str],
    /// `true` if unknown variants become this one.
    pub other: bool,
    /// Declarations of its fields.
    pub fields: &'static [FieldEvolution],
}

impl Evolution {
    pub(super) const NONE: Evolution = Evolution { fields: &[], variants: &[] };
}
