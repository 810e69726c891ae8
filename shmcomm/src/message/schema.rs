//! The description of a message that travels with it: a tree of constants.
//!
//! Owns the layout facts, whether they hold together ([`Schema::is_sound`]), and the fingerprint over
//! them. The text form is made in `json`, compared in `diff`; neither is called from here.

use super::check;
pub use super::diff::first_difference;

/// What another program has to know about a message type.
#[derive(Debug)]
pub struct Schema {
    /// The type's name, without path and parameters. For people: not part of the fingerprint.
    pub name: &'static str,
    /// In bytes.
    pub size: usize,
    /// In bytes, a power of two.
    pub align: usize,
    /// What it is made of.
    pub kind: Kind,
    /// FNV-1a over kinds, sizes, alignments, offsets, field names, variant names and values. Not over
    /// names of Rust types or modules, so that a type may move, be renamed, or be written again
    /// elsewhere.
    pub fingerprint: u64,
    /// Every bit pattern is a value, so that receiving needs no check.
    pub any_bits: bool,
    /// All zeros is a value.
    pub zero_valid: bool,
    /// No padding here or below, no drop glue, nothing aligned beyond what its container can hold.
    sound: Soundness,
    /// Its derive saw words to serde, or other names than serde sees.
    #[cfg_attr(
        not(any(feature = "pickle", feature = "msgpack")),
        allow(dead_code, reason = "asked by codecs")
    )]
    encoded_otherwise: bool,
}

/// Whether a type keeps the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Soundness {
    Sound,
    /// It does not, and the declaration of it, or of a part of it, is a compile error.
    Reported,
    /// It does not, and nobody has said so yet.
    Unsound,
}

impl Soundness {
    const fn unless(fault: bool) -> Self {
        if fault { Soundness::Unsound } else { Soundness::Sound }
    }

    /// Of a whole with these two parts. What is reported already is not worth a second error.
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Soundness::Reported, _) | (_, Soundness::Reported) => Soundness::Reported,
            (Soundness::Unsound, _) | (_, Soundness::Unsound) => Soundness::Unsound,
            _ => Soundness::Sound,
        }
    }
}

/// What a [`Schema`] is made of.
#[derive(Debug)]
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
    /// A type from elsewhere, of which only its size, its alignment and a tag are known.
    Opaque {
        /// What its users agreed on; 0 if on nothing.
        tag: u64,
    },
    /// One of some numbers.
    Enum {
        /// The numbers' type.
        prim: Prim,
        /// In order of declaration.
        variants: &'static [Variant],
    },
    /// `len` items in a row.
    Array {
        /// One of them.
        item: &'static Schema,
        /// How many.
        len: usize,
    },
    /// Fields in order of declaration.
    Struct {
        /// Padding fields included.
        fields: &'static [Field],
    },
    /// A `u32` length at offset 0, then `capacity` bytes of UTF-8 from offset 4.
    Str {
        /// In bytes.
        capacity: usize,
    },
    /// A `u32` length at offset 0, then `capacity` items from `offset`.
    List {
        /// One of them.
        item: &'static Schema,
        /// How many there can be.
        capacity: usize,
        /// Of the first, in bytes.
        offset: usize,
    },
    /// A `u32` tag at offset 0, 0 or 1; the value at `offset`. (Not named `Option`: a second public
    /// `Option` would make the compiler print `std::option::Option` in everybody's errors.)
    Maybe {
        /// The value, if there is one.
        item: &'static Schema,
        /// Of the value, in bytes.
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

/// One value of an enum.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// As declared, or renamed.
    pub name: &'static str,
    /// As stored.
    pub value: i128,
}

/// One part of a struct.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As declared, or renamed; `f0`, `f1`, … in a tuple struct.
    pub name: &'static str,
    /// In bytes from the start of the struct.
    pub offset: usize,
    /// Its type.
    pub schema: &'static Schema,
}

impl Prim {
    /// In bytes; also the alignment.
    pub const fn size(self) -> usize {
        match self {
            Prim::U8 | Prim::I8 => 1,
            Prim::U16 | Prim::I16 => 2,
            Prim::U32 | Prim::I32 | Prim::F32 => 4,
            Prim::U64 | Prim::I64 | Prim::F64 => 8,
        }
    }

    /// numpy's name for it, with the byte order of this machine: `"<f4"`.
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
    /// Whether the type keeps the contract of [`ShmMessage`](super::ShmMessage). Only a generic type can
    /// fail to where it is used; any other fails to compile where it is declared.
    pub const fn is_sound(&self) -> bool {
        matches!(self.sound, Soundness::Sound)
    }

    /// Whether it is not, and nobody has said so yet.
    pub(crate) const fn is_unreported(&self) -> bool {
        matches!(self.sound, Soundness::Unsound)
    }

    /// The schema of a type that serde encodes in another form than the schema says, or under other names.
    #[doc(hidden)]
    #[must_use]
    pub const fn encoded_otherwise(self) -> Self {
        Schema { encoded_otherwise: true, ..self }
    }

    #[cfg(any(feature = "pickle", feature = "msgpack"))]
    pub(crate) const fn is_encoded_otherwise(&self) -> bool {
        self.encoded_otherwise
    }

    const fn new(name: &'static str, size: usize, align: usize, kind: Kind) -> Self {
        let schema = Schema {
            name,
            size,
            align,
            kind,
            fingerprint: 0,
            any_bits: true,
            zero_valid: true,
            sound: Soundness::Sound,
            encoded_otherwise: false,
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
    pub(super) const fn pad(size: usize) -> Self {
        Schema::new("Pad", size, 1, Kind::Pad)
    }
    #[cfg(feature = "zerocopy")]
    pub(super) const fn opaque(size: usize, align: usize, tag: u64, drops: bool) -> Self {
        let schema = Schema::new("Foreign", size, align, Kind::Opaque { tag });
        Schema { any_bits: false, zero_valid: false, sound: Soundness::unless(drops), ..schema }
    }
    pub(super) const fn array(item: &'static Schema, len: usize) -> Self {
        Schema {
            any_bits: item.any_bits || len == 0,
            zero_valid: item.zero_valid || len == 0,
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
            sound: item.sound.and(Soundness::unless(item.align > offset || capacity > u32::MAX as usize)),
            ..Schema::new("ShmVec", size, item.align, Kind::List { item, capacity, offset })
        }
    }
    pub(super) const fn option(item: &'static Schema, offset: usize, size: usize) -> Self {
        Schema {
            any_bits: false,
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
            Kind::Array { item, len } => h.str("array").num(*len as u64).num(item.fingerprint),
            Kind::Str { capacity } => h.str("str").num(*capacity as u64),
            Kind::List { item, capacity, offset } => {
                h.str("list").num(*capacity as u64).num(*offset as u64).num(item.fingerprint)
            }
            Kind::Maybe { item, offset } => h.str("option").num(*offset as u64).num(item.fingerprint),
            Kind::Struct { fields } => {
                let mut h = h.str("struct");
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
        };
        h.0
    }
}

/// The schema of a derived struct. (`generic`: its declaration could not be checked by itself.)
#[doc(hidden)]
pub const fn struct_schema(
    name: &'static str,
    size: usize,
    align: usize,
    drops: bool,
    generic: bool,
    fields: &'static [Field],
) -> Schema {
    let (mut any_bits, mut zero_valid, mut sound) = (true, true, Soundness::unless(drops));
    let mut i = 0;
    while i < fields.len() {
        let schema = fields[i].schema;
        any_bits &= schema.any_bits;
        zero_valid &= schema.zero_valid;
        sound = sound.and(schema.sound).and(Soundness::unless(check::gap_after(size, fields, i) > 0));
        i += 1;
    }
    if !generic && matches!(sound, Soundness::Unsound) {
        sound = Soundness::Reported;
    }
    Schema { any_bits, zero_valid, sound, ..Schema::new(name, size, align, Kind::Struct { fields }) }
}

/// The schema of a derived enum.
#[doc(hidden)]
pub const fn enum_schema(
    name: &'static str,
    size: usize,
    prim: Prim,
    variants: &'static [Variant],
) -> Schema {
    let mut zero_valid = false;
    let mut i = 0;
    while i < variants.len() {
        zero_valid |= variants[i].value == 0;
        i += 1;
    }
    Schema {
        any_bits: false,
        zero_valid,
        sound: Soundness::unless(size != prim.size()),
        ..Schema::new(name, size, prim.size(), Kind::Enum { prim, variants })
    }
}

/// FNV-1a, 64 bits.
#[derive(Clone, Copy)]
pub(crate) struct Fnv(pub(crate) u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
    const fn byte(self, b: u8) -> Self {
        Fnv((self.0 ^ b as u64).wrapping_mul(0x0000_0100_0000_01b3))
    }
    pub(crate) const fn num(mut self, n: u64) -> Self {
        let b = n.to_le_bytes();
        let mut i = 0;
        while i < 8 {
            self = self.byte(b[i]);
            i += 1;
        }
        self
    }
    /// Length first, so that neighbouring names cannot run into each other.
    pub(crate) const fn str(mut self, s: &str) -> Self {
        self = self.num(s.len() as u64);
        let b = s.as_bytes();
        let mut i = 0;
        while i < b.len() {
            self = self.byte(b[i]);
            i += 1;
        }
        self
    }
}
