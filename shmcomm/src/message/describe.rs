//! Descriptions of derived types that only the library can make.
//!
//! Owns the types of the hidden items of [`ShmMessage`](super::ShmMessage), and the functions that the derive
//! calls to fill them. A safe program chooses the path by which the derive names this crate, so the path proves
//! nothing. Therefore every value that soundness depends on has a type of this module, tied to the message, and
//! only `unsafe` functions make one:
//!
//! 1. a [`Described<W>`] exists only for a message `W`;
//! 2. a [`Part<S>`] is a field of `S` at its offset, with its type;
//! 3. a [`Case<S>`] is a variant of `S`, its tag, and its fields;
//! 4. a [`Layout<S>`] describes `S`, or says that it is not sound.

use super::ShmMessage;
use super::evolution::Evolution;
use super::parts::{gap_after, number, tag_at};
use super::schema::{Field, Kind, Prim, Schema, Soundness, Variant};
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit, align_of, needs_drop, size_of};

/// Description of a message `W` as the type of a field.
pub struct Described<W> {
    schema: &'static Schema,
    check: fn(&[u8]) -> bool,
    of: PhantomData<fn(W) -> W>,
}

impl<W: ShmMessage> Described<W> {
    pub(super) const MESSAGE: Self = Described { schema: W::SCHEMA, check: W::is_valid, of: PhantomData };
    /// Description of a type that is a message; see [`Unreported`] for other types.
    pub const REPORTED: Self = Self::MESSAGE;
}

/// Gives a type that is no message a description that is not sound. The compiler prefers the inherent constant
/// of [`Described`]. The derive uses it where the type is already a compile error.
pub trait Unreported {
    #[doc(hidden)]
    const REPORTED: Self;
}

impl<W> Unreported for Described<W> {
    const REPORTED: Self = {
        const fn never(_: &[u8]) -> bool {
            false
        }
        Described { schema: &Schema::rejected(0, 1), check: never, of: PhantomData }
    };
}

/// A field of `S`.
#[repr(transparent)]
pub struct Part<S> {
    field: Field,
    of: PhantomData<fn(S) -> S>,
}

/// A variant of `S`.
#[repr(transparent)]
pub struct Case<S> {
    variant: Variant,
    of: PhantomData<fn(S) -> S>,
}

/// Description of `S`.
pub struct Layout<S> {
    pub(super) schema: Schema,
    of: PhantomData<fn(S) -> S>,
}

/// Tag of a variant, as it is in memory.
#[derive(Clone, Copy)]
pub struct Tag {
    bytes: [u8; 8],
    size: usize,
    value: i128,
}

impl<S> Layout<S> {
    pub(super) const fn new(schema: Schema) -> Self {
        Layout { schema, of: PhantomData }
    }
}

impl<S> Layout<S> {
    /// Adds the declarations of `S` for writers of other layouts.
    #[must_use]
    pub const fn evolving(mut self, evolution: Evolution) -> Self {
        self.schema.evolution = evolution;
        self
    }
}

/// A type as an argument.
pub struct Of<S>(PhantomData<fn(S) -> S>);

/// Returns a type as an argument.
pub const fn of<S>() -> Of<S> {
    Of(PhantomData)
}

/// Returns memory in which the derive finds the places of the fields.
pub const fn place<S>() -> MaybeUninit<S> {
    MaybeUninit::uninit()
}

/// Returns zeros with a tag at the start.
pub const fn tagged<S>(tag: Tag) -> MaybeUninit<S> {
    let mut place = MaybeUninit::<S>::zeroed();
    assert!(tag.size <= size_of::<S>(), "the tag of an enum is inside it");
    let at = place.as_mut_ptr().cast::<u8>();
    let mut i = 0;
    while i < tag.size {
        // SAFETY: the tag is inside the memory of `place`, as was asserted.
        let byte = unsafe { at.add(i) };
        // SAFETY: `byte` is inside the memory of `place`, which is borrowed by no reference.
        unsafe { byte.write(tag.bytes[i]) };
        i += 1;
    }
    place
}

/// Describes the field that `at` points to, inside the `S` that `base` points to.
///
/// # Safety
///
/// `at` is the place of a field of `S`, and the field has the type `W`.
pub const unsafe fn field<S, W>(
    name: &'static str,
    base: *const S,
    at: *const W,
    of: Described<W>,
) -> Part<S> {
    // SAFETY: both point into the same `S`, by the contract.
    let offset = unsafe { at.byte_offset_from(base) };
    let field = Field { name, offset: offset as usize, schema: of.schema, check: of.check };
    Part { field, of: PhantomData }
}

/// Describes a variant without data, given as a value.
///
/// # Safety
///
/// `S` is an enum without data.
pub const unsafe fn unit<S>(prim: Prim, name: &'static str, value: S) -> Case<S> {
    let value = ManuallyDrop::new(value);
    let mut bytes = [0; 8];
    // Any other size is refused by `enumeration`.
    if size_of::<S>() == prim.size() {
        let at = (&raw const value).cast::<u8>();
        let mut i = 0;
        while i < prim.size() {
            // SAFETY: `i` is below the size of the value.
            let byte = unsafe { at.add(i) };
            // SAFETY: an enum without data and without padding has initialised bytes only.
            bytes[i] = unsafe { byte.read() };
            i += 1;
        }
    }
    Case { variant: Variant { name, value: number(bytes, prim), fields: &[] }, of: PhantomData }
}

/// Describes a variant with data: `count` of the `fields` from `first` on.
///
/// # Safety
///
/// `selected` says whether the tag selects the variant in an `S`. The fields are those of the variant.
pub const unsafe fn case<S>(
    name: &'static str,
    tag: Tag,
    selected: bool,
    fields: &'static [Part<S>],
    first: usize,
    count: usize,
) -> Case<S> {
    if !selected {
        another_variant::<()>(name);
    }
    let fields = plain_fields(fields).split_at(first).1.split_at(count).0;
    Case { variant: Variant { name, value: tag.value, fields }, of: PhantomData }
}

/// Fails for an enum whose layout is not that of its `repr`.
pub const fn another_variant<T>(name: &str) -> T {
    super::text::Text::new()
        .str("the tag of variant ")
        .code(name)
        .str(" selects another variant: the `repr` of the enum was changed after the derive")
        .panic()
}

/// Describes a struct.
///
/// # Safety
///
/// `fields` are all fields of `S`, in the order of their declaration.
pub const unsafe fn structure<S>(
    name: &'static str,
    generic: bool,
    encoded_otherwise: bool,
    fields: &'static [Part<S>],
) -> Layout<S> {
    let fields = plain_fields(fields);
    let mut all = All::of::<S>();
    let mut i = 0;
    while i < fields.len() {
        all = all.and(fields[i].schema, gap_after(size_of::<S>(), fields, i) > 0);
        i += 1;
    }
    let kind = Kind::Struct { fields };
    Layout::new(all.schema(name, size_of::<S>(), align_of::<S>(), kind, generic, encoded_otherwise))
}

/// Describes a struct with the layout of its only field that has a size.
///
/// # Safety
///
/// The contract of [`structure`]; `S` is `repr(transparent)`.
pub const unsafe fn transparent<S>(
    name: &'static str,
    generic: bool,
    encoded_otherwise: bool,
    fields: &'static [Part<S>],
) -> Layout<S> {
    let plain = plain_fields(fields);
    let mut all = All::of::<S>();
    let (mut i, mut wrapped) = (0, None);
    while i < plain.len() {
        all = all.and(plain[i].schema, false);
        if plain[i].schema.size > 0 || wrapped.is_none() {
            wrapped = Some(plain[i].schema);
        }
        i += 1;
    }
    let Some(wrapped) = wrapped else {
        // SAFETY: the contract of this function.
        return unsafe { structure(name, generic, encoded_otherwise, fields) };
    };
    // An attribute macro may have changed the `repr`.
    let same = wrapped.size == size_of::<S>() && wrapped.align == align_of::<S>();
    all.sound = all.sound.and(Soundness::unless(!same));
    let kind = wrapped.kind;
    let otherwise = encoded_otherwise || wrapped.encoded_otherwise;
    let schema = all.schema(name, size_of::<S>(), align_of::<S>(), kind, generic, otherwise);
    Layout::new(Schema { evolution: wrapped.evolution, codec: wrapped.codec, ..schema })
}

/// Describes an enum without data.
///
/// # Safety
///
/// `S` is an enum without data, and each of the `cases` is a variant.
pub const unsafe fn enumeration<S>(
    name: &'static str,
    prim: Prim,
    encoded_otherwise: bool,
    cases: &'static [Case<S>],
) -> Layout<S> {
    let variants = plain_variants(cases);
    let mut all = All::of::<S>();
    all.any_bits = false;
    all.zero_valid = false;
    let mut i = 0;
    while i < variants.len() {
        all.zero_valid |= variants[i].value == 0;
        i += 1;
    }
    all.sound = all.sound.and(Soundness::unless(size_of::<S>() != prim.size()));
    let kind = Kind::Enum { prim, variants };
    Layout::new(all.schema(name, size_of::<S>(), prim.size(), kind, false, encoded_otherwise))
}

/// Describes an enum with data.
///
/// # Safety
///
/// `S` is an enum whose tag is a `prim` at its start, and each of the `cases` is a variant.
pub const unsafe fn choice<S>(
    name: &'static str,
    prim: Prim,
    generic: bool,
    encoded_otherwise: bool,
    cases: &'static [Case<S>],
) -> Layout<S> {
    let variants = plain_variants(cases);
    let mut all = All::of::<S>();
    let (mut zero_valid, mut gaps) = (false, false);
    let mut i = 0;
    while i < variants.len() {
        let Variant { value, fields, .. } = variants[i];
        let (mut used, mut zeros, mut f) = (prim.size(), true, 0);
        while f < fields.len() {
            all = all.and(fields[f].schema, false);
            used += fields[f].schema.size;
            zeros &= fields[f].schema.zero_valid;
            f += 1;
        }
        zero_valid |= value == 0 && zeros;
        gaps |= used != size_of::<S>();
        i += 1;
    }
    all.any_bits = false;
    all.zero_valid = zero_valid;
    all.gaps |= gaps;
    let kind = Kind::Choice { prim, variants };
    Layout::new(all.schema(name, size_of::<S>(), align_of::<S>(), kind, generic, encoded_otherwise))
}

/// Returns the description of a type that the derive rejected: it is not sound.
pub const fn rejected<S>() -> Layout<S> {
    Layout::new(Schema::rejected(size_of::<S>(), align_of::<S>()))
}

/// Properties that hold if they hold of all parts of a type.
struct All {
    any_bits: bool,
    zero_valid: bool,
    gaps: bool,
    sound: Soundness,
}

impl All {
    const fn of<S>() -> Self {
        let sound = Soundness::unless(needs_drop::<S>());
        All { any_bits: true, zero_valid: true, gaps: false, sound }
    }

    const fn and(mut self, part: &Schema, fault: bool) -> Self {
        self.any_bits &= part.any_bits;
        self.zero_valid &= part.zero_valid;
        self.gaps |= part.gaps;
        self.sound = self.sound.and(part.sound).and(Soundness::unless(fault));
        self
    }

    const fn schema(
        self,
        name: &'static str,
        size: usize,
        align: usize,
        kind: Kind,
        generic: bool,
        encoded_otherwise: bool,
    ) -> Schema {
        let All { any_bits, zero_valid, gaps, mut sound } = self;
        // The declaration of a type without parameters is a compile error by itself.
        if !generic && !matches!(kind, Kind::Enum { .. }) {
            sound = sound.reported();
        }
        let schema = Schema::new(name, size, align, kind);
        Schema { any_bits, zero_valid, gaps, sound, encoded_otherwise, ..schema }
    }
}

const fn plain_fields<S>(parts: &'static [Part<S>]) -> &'static [Field] {
    // SAFETY: `Part` is transparent: the same items at the same addresses.
    unsafe { core::slice::from_raw_parts(parts.as_ptr().cast(), parts.len()) }
}

const fn plain_variants<S>(cases: &'static [Case<S>]) -> &'static [Variant] {
    // SAFETY: `Case` is transparent: the same items at the same addresses.
    unsafe { core::slice::from_raw_parts(cases.as_ptr().cast(), cases.len()) }
}

/// Tags, one function for each integer.
pub mod tag {
    use super::Tag;

    macro_rules! tags {
        ($($int:ident)*) => {$(
            /// Returns the tag.
            pub const fn $int(value: core::primitive::$int) -> Tag {
                let raw = value.to_ne_bytes();
                let mut bytes = [0; 8];
                let mut i = 0;
                while i < raw.len() {
                    bytes[i] = raw[i];
                    i += 1;
                }
                Tag { bytes, size: raw.len(), value: value as i128 }
            }
        )*};
    }
    tags!(u8 u16 u32 u64 i8 i16 i32 i64);
}

/// Returns `true` if `bytes` are a `T`, which the derive describes.
#[inline]
pub(super) fn is_valid<T: ShmMessage>(bytes: &[u8]) -> bool {
    if bytes.len() != size_of::<T>() {
        return false;
    }
    match &T::SCHEMA.kind {
        Kind::Enum { prim, variants } => match const { range::<T>() } {
            Some((first, last)) => (first..=last).contains(&tag_at(bytes, *prim)),
            None => has_value(variants, tag_at(bytes, *prim)),
        },
        Kind::Choice { prim, variants } => {
            let value = tag_at(bytes, *prim);
            let variant = variants.iter().find(|variant| variant.value == value);
            variant.is_some_and(|variant| all_valid(variant.fields, bytes))
        }
        _ => all_valid(plain_fields(T::FIELDS), bytes),
    }
}

#[inline(always)]
fn has_value(variants: &[Variant], value: i128) -> bool {
    variants.iter().any(|variant| variant.value == value)
}

#[inline(always)]
fn all_valid(fields: &[Field], bytes: &[u8]) -> bool {
    let mut i = 0;
    while i < fields.len() {
        let Field { offset, schema, check, .. } = fields[i];
        if !schema.any_bits && !check(&bytes[offset..offset + schema.size]) {
            return false;
        }
        i += 1;
    }
    true
}

/// Returns the first and the last value of an enum without data whose values follow each other.
const fn range<T: ShmMessage>() -> Option<(i128, i128)> {
    let Kind::Enum { variants, .. } = &T::SCHEMA.kind else { return None };
    if variants.is_empty() {
        return None;
    }
    let mut i = 1;
    while i < variants.len() {
        if variants[i].value != variants[0].value + i as i128 {
            return None;
        }
        i += 1;
    }
    Some((variants[0].value, variants[i - 1].value))
}
