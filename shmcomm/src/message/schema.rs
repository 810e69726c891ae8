//! Description of a message type that travels with its channel: a tree of constants.
//!
//! Owns the layout facts, the check that they are consistent ([`Schema::is_sound`]), and the fingerprint over
//! them (FNV-1a). Never calls `json`, which makes the text form, or `diff`, which compares it.

#[cfg(not(loom))]
pub(crate) use super::codecs::{ONE_CODEC, codec_difference, codecs_differ, marker};
pub use super::diff::first_difference;
pub(crate) use super::fingerprint::Fnv;
pub(super) use super::soundness::Soundness;

/// Everything that another program must know about a message type.
#[derive(Debug)]
pub struct Schema {
    /// Name of the type, without path and parameters. For people: not part of the fingerprint.
    pub name: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes, a power of two.
    pub align: usize,
    /// Kind of the type, with its parts.
    pub kind: Kind,
    /// Name of the codec of an encoded value, whose bytes are the list. Not part of the fingerprint.
    pub codec: Option<&'static str>,
    /// FNV-1a over kinds, sizes, alignments, offsets, field names, variant names and values. Names of Rust
    /// types and modules are not part of it, so that a type may move, be renamed, or be written again
    /// elsewhere.
    pub fingerprint: u64,
    /// `true` if every bit pattern is a value, so that receiving needs no check.
    pub any_bits: bool,
    /// `true` if all zeros is a value.
    pub zero_valid: bool,
    /// `true` if some bytes belong to no part of some values: those after the shorter variants of an enum with
    /// data. A sender clears these bytes.
    pub(super) gaps: bool,
    /// Soundness: no padding here or below, no drop glue, no item aligned beyond what its container holds.
    pub(super) sound: Soundness,
    /// `true` if the derive saw serde attributes, or names that differ from serde's.
    #[cfg_attr(
        not(any(feature = "pickle", feature = "msgpack")),
        allow(dead_code, reason = "asked by codecs")
    )]
    pub(super) encoded_otherwise: bool,
    /// Declarations for writers of other layouts.
    pub(super) evolution: super::evolution::Evolution,
}

/// Kind of a [`Schema`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Kind {
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
    /// A type of another crate, of which only the size, the alignment and a tag are known.
    Opaque {
        /// Tag that its users agreed on; 0 if none.
        tag: u64,
    },
    /// An integer with named values.
    Enum {
        /// Type of the integer.
        prim: Prim,
        /// Variants in order of declaration.
        variants: &'static [Variant],
    },
    /// An enum with data: an integer at offset 0 selects the variant, whose fields are at their offsets.
    Choice {
        /// Type of the integer.
        prim: Prim,
        /// Variants in order of declaration.
        variants: &'static [Variant],
    },
    /// A type of the standard library with one layout in all programs.
    Std(Std),
    /// `len` items in a row.
    Array {
        /// Schema of an item.
        item: &'static Schema,
        /// Number of items.
        len: usize,
    },
    /// A struct with fields.
    Struct {
        /// Fields in order of declaration, padding fields included.
        fields: &'static [Field],
    },
    /// A `u32` length at offset 0, then `capacity` bytes of UTF-8 from offset 4.
    Str {
        /// Capacity in bytes.
        capacity: usize,
    },
    /// A `u32` length at offset 0, then `capacity` items from `offset`.
    List {
        /// Schema of an item.
        item: &'static Schema,
        /// Maximum number of items.
        capacity: usize,
        /// Offset of the first item in bytes.
        offset: usize,
    },
    /// A `u32` tag at offset 0, 0 or 1; the value at `offset`. The variant is not named `Option`. A second
    /// public `Option` would make the compiler print `std::option::Option` in the errors of every user.
    Maybe {
        /// Schema of the value.
        item: &'static Schema,
        /// Offset of the value in bytes.
        offset: usize,
    },
}

/// The type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Prim {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

/// A type of the standard library in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Std {
    /// `NonZero<T>`: any value except zero.
    NonZero(Prim),
    /// `Option<NonZero<T>>`: zero is `None`.
    OptionNonZero(Prim),
    /// `u128`, in the byte order of the machine.
    U128,
    /// `i128`, in the byte order of the machine.
    I128,
    /// `Duration`: `u64` seconds at offset 0, `u32` nanoseconds below 1,000,000,000 at offset 8, four zeros.
    Duration,
    /// `Ipv4Addr`: four octets.
    Ipv4Addr,
    /// `Ipv6Addr`: sixteen octets.
    Ipv6Addr,
}

/// A variant of an enum.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Name as declared, or renamed.
    pub name: &'static str,
    /// Value as stored.
    pub value: i128,
    /// Fields, with offsets from the start of the enum. Empty in an enum without data.
    pub fields: &'static [Field],
}

/// A field of a struct.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name as declared, or renamed; `f0`, `f1`, … in a tuple struct.
    pub name: &'static str,
    /// Offset in bytes from the start of the struct.
    pub offset: usize,
    /// Schema of the field's type.
    pub schema: &'static Schema,
    /// Check of the bytes of the field.
    pub(super) check: fn(&[u8]) -> bool,
}

impl Prim {
    /// The types of numbers.
    pub(crate) const ALL: [Prim; 10] = [
        Prim::U8,
        Prim::U16,
        Prim::U32,
        Prim::U64,
        Prim::I8,
        Prim::I16,
        Prim::I32,
        Prim::I64,
        Prim::F32,
        Prim::F64,
    ];

    /// Returns the name in Rust: `"f32"`.
    pub const fn rust(self) -> &'static str {
        match self {
            Prim::U8 => "u8",
            Prim::U16 => "u16",
            Prim::U32 => "u32",
            Prim::U64 => "u64",
            Prim::I8 => "i8",
            Prim::I16 => "i16",
            Prim::I32 => "i32",
            Prim::I64 => "i64",
            Prim::F32 => "f32",
            Prim::F64 => "f64",
        }
    }

    /// Returns the least and the greatest integer of the type; `None` for `f32` and `f64`.
    pub const fn range(self) -> Option<(i128, i128)> {
        let bits = 8 * self.size() as u32;
        match self {
            Prim::F32 | Prim::F64 => None,
            _ if self.is_signed() => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
            _ => Some((0, (1 << bits) - 1)),
        }
    }

    /// Returns the size in bytes; it is also the alignment.
    pub const fn size(self) -> usize {
        match self {
            Prim::U8 | Prim::I8 => 1,
            Prim::U16 | Prim::I16 => 2,
            Prim::U32 | Prim::I32 | Prim::F32 => 4,
            Prim::U64 | Prim::I64 | Prim::F64 => 8,
        }
    }

    /// Returns the name in numpy, with the byte order of this machine: `"<f4"`.
    pub const fn code(self) -> &'static str {
        const LITTLE: bool = cfg!(target_endian = "little");
        const fn by_order(little: &'static str, big: &'static str) -> &'static str {
            if LITTLE { little } else { big }
        }
        match self {
            Prim::U8 => "|u1",
            Prim::I8 => "|i1",
            Prim::U16 => by_order("<u2", ">u2"),
            Prim::I16 => by_order("<i2", ">i2"),
            Prim::U32 => by_order("<u4", ">u4"),
            Prim::I32 => by_order("<i4", ">i4"),
            Prim::F32 => by_order("<f4", ">f4"),
            Prim::U64 => by_order("<u8", ">u8"),
            Prim::I64 => by_order("<i8", ">i8"),
            Prim::F64 => by_order("<f8", ">f8"),
        }
    }

    pub(super) const fn is_signed(self) -> bool {
        matches!(self, Prim::I8 | Prim::I16 | Prim::I32 | Prim::I64)
    }
}

impl Schema {
    /// Returns `true` if the type keeps the contract of [`ShmMessage`](super::ShmMessage). Only a generic
    /// type can fail at its use; any other type fails to compile at its declaration.
    pub const fn is_sound(&self) -> bool {
        matches!(self.sound, Soundness::Sound)
    }

    /// Returns `true` if some values have bytes that belong to no part: a sender clears them.
    pub(crate) const fn has_gaps(&self) -> bool {
        self.gaps
    }

    /// Returns `true` if the type is not sound, and no compile error has reported it yet.
    pub(crate) const fn is_unreported(&self) -> bool {
        matches!(self.sound, Soundness::Unsound)
    }

    pub(crate) fn evolution(&self) -> &super::evolution::Evolution {
        &self.evolution
    }

    #[cfg(any(feature = "pickle", feature = "msgpack"))]
    pub(crate) const fn is_encoded_otherwise(&self) -> bool {
        self.encoded_otherwise
    }

    pub(super) const fn new(name: &'static str, size: usize, align: usize, kind: Kind) -> Self {
        let schema = Schema {
            name,
            size,
            align,
            kind,
            codec: None,
            fingerprint: 0,
            any_bits: true,
            zero_valid: true,
            gaps: false,
            sound: Soundness::Sound,
            encoded_otherwise: false,
            evolution: super::evolution::Evolution::NONE,
        };
        Schema { fingerprint: schema.hash(), ..schema }
    }

    pub(super) const fn number(name: &'static str, prim: Prim) -> Self {
        Schema::new(name, prim.size(), prim.size(), Kind::Prim(prim))
    }
    pub(super) const fn bool() -> Self {
        Schema { any_bits: false, ..Schema::new("bool", 1, 1, Kind::Bool) }
    }
    pub(super) const fn char() -> Self {
        Schema { any_bits: false, ..Schema::new("char", 4, 4, Kind::Char) }
    }
    pub(super) const fn timestamp() -> Self {
        Schema::new("Timestamp", 8, 8, Kind::Timestamp)
    }
    pub(super) const fn std(name: &'static str, size: usize, align: usize, std: Std) -> Self {
        let any = !matches!(std, Std::NonZero(_) | Std::Duration);
        let schema = Schema::new(name, size, align, Kind::Std(std));
        let zero_valid = !matches!(std, Std::NonZero(_));
        Schema { any_bits: any, zero_valid, gaps: matches!(std, Std::Duration), ..schema }
    }
    /// Returns a copy for a type with the same layout.
    pub(super) const fn copied(&self) -> Self {
        let Schema {
            name,
            size,
            align,
            kind,
            codec,
            fingerprint,
            any_bits,
            zero_valid,
            gaps,
            sound,
            encoded_otherwise,
            evolution,
        } = *self;
        Schema {
            name,
            size,
            align,
            kind,
            codec,
            fingerprint,
            any_bits,
            zero_valid,
            gaps,
            sound,
            encoded_otherwise,
            evolution,
        }
    }
    /// Makes the schema of a type that was rejected with a compile error.
    pub(super) const fn rejected(size: usize, align: usize) -> Self {
        let schema = Schema::new("", size, align, Kind::Pad);
        Schema { any_bits: false, zero_valid: false, sound: Soundness::Reported, ..schema }
    }
    pub(super) const fn pad(size: usize) -> Self {
        Schema::new("Pad", size, 1, Kind::Pad)
    }
    #[cfg(any(feature = "zerocopy", feature = "bytemuck"))]
    pub(super) const fn opaque(size: usize, align: usize, tag: u64, drops: bool) -> Self {
        let schema = Schema::new("Foreign", size, align, Kind::Opaque { tag });
        Schema { any_bits: false, zero_valid: false, sound: Soundness::unless(drops), ..schema }
    }
    pub(super) const fn array(item: &'static Schema, len: usize) -> Self {
        Schema {
            any_bits: item.any_bits || len == 0,
            zero_valid: item.zero_valid || len == 0,
            gaps: item.gaps,
            sound: item.sound,
            ..Schema::new("array", item.size * len, item.align, Kind::Array { item, len })
        }
    }
    pub(super) const fn str(capacity: usize) -> Self {
        Schema {
            any_bits: false,
            sound: Soundness::unless(capacity > u32::MAX as usize),
            ..Schema::new("ShmString", 4 + capacity, 1, Kind::Str { capacity })
        }
    }
    pub(super) const fn list(item: &'static Schema, capacity: usize, offset: usize, size: usize) -> Self {
        Schema {
            any_bits: false,
            gaps: item.gaps,
            sound: item.sound.and(Soundness::unless(item.align > offset || capacity > u32::MAX as usize)),
            ..Schema::new("ShmVec", size, item.align, Kind::List { item, capacity, offset })
        }
    }
    /// Returns the schema of a value that this codec encodes in a list of bytes.
    pub(super) const fn encoded_by(self, codec: &'static str) -> Self {
        Schema { name: "Encoded", codec: Some(codec), ..self }
    }
    pub(super) const fn option(item: &'static Schema, offset: usize, size: usize) -> Self {
        Schema {
            any_bits: false,
            gaps: item.gaps,
            sound: item.sound.and(Soundness::unless(item.align > offset)),
            ..Schema::new("ShmOption", size, item.align, Kind::Maybe { item, offset })
        }
    }

    const fn hash(&self) -> u64 {
        let h = Fnv::new().num(1).num(self.size as u64).num(self.align as u64);
        let h = match &self.kind {
            Kind::Prim(p) => h.str(p.code()),
            Kind::Bool => h.str("bool"),
            Kind::Char => h.str("char"),
            Kind::Timestamp => h.str("ns"),
            Kind::Pad => h.str("pad"),
            Kind::Opaque { tag } => h.str("opaque").num(*tag),
            Kind::Enum { prim, variants } => {
                let mut h = h.str("enum").str(prim.code()).num(variants.len() as u64);
                let mut i = 0;
                while i < variants.len() {
                    h = h.str(variants[i].name).num(variants[i].value as u64);
                    i += 1;
                }
                h
            }
            Kind::Choice { prim, variants } => {
                let mut h = h.str("choice").str(prim.code()).num(variants.len() as u64);
                let mut i = 0;
                while i < variants.len() {
                    let Variant { name, value, fields } = variants[i];
                    h = hash_fields(h.str(name).num(value as u64).num(listed(fields)), fields);
                    i += 1;
                }
                h
            }
            Kind::Std(std) => h.str(std.word()).str(match std.prim() {
                Some(prim) => prim.code(),
                None => "",
            }),
            Kind::Array { item, len } => h.str("array").num(*len as u64).num(item.fingerprint),
            Kind::Str { capacity } => h.str("str").num(*capacity as u64),
            Kind::List { item, capacity, offset } => {
                h.str("list").num(*capacity as u64).num(*offset as u64).num(item.fingerprint)
            }
            Kind::Maybe { item, offset } => h.str("option").num(*offset as u64).num(item.fingerprint),
            Kind::Struct { fields } => hash_fields(h.str("struct"), fields),
        };
        h.0
    }
}

/// Returns the number of fields without padding.
const fn listed(fields: &[Field]) -> u64 {
    let (mut count, mut i) = (0, 0);
    while i < fields.len() {
        if !matches!(fields[i].schema.kind, Kind::Pad) {
            count += 1;
        }
        i += 1;
    }
    count
}

/// Adds fields to a fingerprint, without padding.
const fn hash_fields(mut h: Fnv, fields: &[Field]) -> Fnv {
    let mut i = 0;
    while i < fields.len() {
        let f = &fields[i];
        if !matches!(f.schema.kind, Kind::Pad) {
            h = h.str(f.name).num(f.offset as u64).num(f.schema.fingerprint);
        }
        i += 1;
    }
    h
}

impl Std {
    /// Returns the word for the type in the text of a schema.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Std::NonZero(_) => "nonzero",
            Std::OptionNonZero(_) => "nonzero or none",
            Std::U128 => "u128",
            Std::I128 => "i128",
            Std::Duration => "duration",
            Std::Ipv4Addr => "ipv4",
            Std::Ipv6Addr => "ipv6",
        }
    }

    /// Returns the type of the number, if there is one.
    pub(crate) const fn prim(self) -> Option<Prim> {
        match self {
            Std::NonZero(prim) | Std::OptionNonZero(prim) => Some(prim),
            _ => None,
        }
    }
}
