//! Kinds of layouts, with their parts.
//!
//! Owns [`LayoutKind`], which mirrors [`Kind`](crate::message::Kind). Calls nothing.

use super::Layout;
use crate::message::{Prim, Std};

/// Kind of a [`Layout`]: the owned twin of [`Kind`](crate::message::Kind).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutKind {
    /// A number.
    Prim(Prim),
    /// One byte, 0 or 1.
    Bool,
    /// `u32`, a Unicode scalar value.
    Char,
    /// `i64`, nanoseconds since the Unix epoch.
    Timestamp,
    /// Bytes without meaning.
    Pad,
    /// A foreign type, of which only the size, the alignment and a tag are known.
    Opaque {
        /// Tag that its users agreed on; 0 if none.
        tag: u64,
    },
    /// An integer with named values.
    Enum {
        /// Name of the Rust type. Names are not unique, and not part of the fingerprint.
        name: String,
        /// Type of the integer.
        prim: Prim,
        /// Variants in order of declaration.
        variants: Vec<LayoutVariant>,
    },
    /// An enum with data: an integer at offset 0 selects the variant.
    Choice {
        /// Name of the Rust type. Names are not unique, and not part of the fingerprint.
        name: String,
        /// Type of the integer.
        prim: Prim,
        /// Variants in order of declaration.
        variants: Vec<LayoutCase>,
    },
    /// A type of the standard library.
    Std(Std),
    /// `len` items in a row.
    Array {
        /// Layout of an item.
        item: Box<Layout>,
        /// Number of items.
        len: usize,
    },
    /// A struct with fields. Fields of padding are not part of the text, and are not listed.
    Struct {
        /// Name of the Rust type. Names are not unique, and not part of the fingerprint.
        name: String,
        /// Fields in order of declaration.
        fields: Vec<LayoutField>,
    },
    /// A `u32` length at offset 0, then `capacity` bytes of UTF-8 from offset 4.
    Str {
        /// Capacity in bytes.
        capacity: usize,
    },
    /// A `u32` length at offset 0, then `capacity` items from `offset`.
    List {
        /// Layout of an item.
        item: Box<Layout>,
        /// Maximum number of items.
        capacity: usize,
        /// Offset of the first item in bytes.
        offset: usize,
    },
    /// A `u32` tag at offset 0, 0 or 1; the value at `offset`.
    Maybe {
        /// Layout of the value.
        item: Box<Layout>,
        /// Offset of the value in bytes.
        offset: usize,
    },
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutField {
    /// Name as declared, or renamed: any text.
    pub name: String,
    /// Offset in bytes from the start of the struct.
    pub offset: usize,
    /// Layout of the field's type.
    pub layout: Layout,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutVariant {
    /// Name as declared, or renamed: any text.
    pub name: String,
    /// Value as stored.
    pub value: i128,
}

/// A variant of an enum with data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutCase {
    /// Name as declared, or renamed: any text.
    pub name: String,
    /// Value of the integer.
    pub value: i128,
    /// One field with the name of the variant, whose layout is a struct with the fields of the variant. Empty if
    /// the variant has no data.
    pub(in crate::schema) content: Vec<LayoutField>,
}
