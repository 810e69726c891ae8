//! How long an encoded message gets at most, from the schema of its type.
//!
//! Owns what each kind of value takes in msgpack and in pickle, which it has from `guard` and `ser`:
//! whoever changes what they write changes it here. Calls [`Schema`]; never looks at a value.
//!
//! It is a bound for what serde's derives write. They can be told to write something else, so a type
//! whose derive saw such words (`Schema::encoded_otherwise`) has no bound, nor has what contains it.

use crate::message::{Kind, Prim, Schema, ShmMessage};

#[cfg(feature = "msgpack")]
impl super::Msgpack {
    /// Bytes that an encoded `M` takes at most, if its type tells: one made of numbers, arrays, inline
    /// types and structs of these, whose `Serialize` is derived.
    ///
    /// `None` for a type, or one that contains a type, with `#[serde(…)]` or `#[shm(rename = "…")]`
    /// attributes, since it is encoded in another form or under other names. What a `Serialize`
    /// written by hand makes of its type is beyond what this can know.
    ///
    /// ```
    /// use shmcomm::{ShmMessage, ShmString, codec::Msgpack};
    ///
    /// #[derive(ShmMessage, serde::Serialize)]
    /// #[repr(C)]
    /// struct Pose {
    ///     xyz: [f64; 3],
    ///     frame: ShmString<20>,
    /// }
    ///
    /// assert_eq!(Msgpack::max_size::<Pose>(), Some(1 + 4 + (1 + 3 * 9) + 6 + (1 + 20)));
    /// ```
    #[must_use]
    pub const fn max_size<M: ShmMessage>() -> Option<usize> {
        longest(M::SCHEMA, Form::Msgpack, false)
    }
}

#[cfg(feature = "pickle")]
impl super::Pickle {
    /// Bytes that an encoded `M` takes at most, if its type tells: as [`Msgpack::max_size`].
    ///
    /// [`Msgpack::max_size`]: crate::codec::Msgpack
    #[must_use]
    pub const fn max_size<M: ShmMessage>() -> Option<usize> {
        match longest(M::SCHEMA, Form::Pickle, false) {
            // The number of the protocol and the frame before it, the end behind it.
            Some(size) => Some(size.saturating_add(11 + 1)),
            None => None,
        }
    }
}

#[derive(Clone, Copy)]
#[allow(dead_code, reason = "one of the codecs may be off")]
enum Form {
    Msgpack,
    Pickle,
}

/// A value, in a list of the message or not: there, pickle remembers the names of fields.
const fn longest(schema: &Schema, form: Form, in_list: bool) -> Option<usize> {
    if schema.is_encoded_otherwise() {
        return None;
    }
    match &schema.kind {
        Kind::Prim(prim) => Some(number(*prim, form)),
        Kind::Timestamp => Some(number(Prim::I64, form)),
        Kind::Bool | Kind::Pad => Some(1),
        Kind::Char => Some(text(4, form)),
        Kind::Opaque { .. } => None,
        Kind::Str { capacity } => Some(text(*capacity, form)),
        Kind::Enum { variants, .. } => {
            let (mut most, mut i) = (0, 0);
            while i < variants.len() {
                let len = text(variants[i].name.len(), form);
                most = if len > most { len } else { most };
                i += 1;
            }
            Some(most)
        }
        Kind::Array { item, len } => {
            let around = match (form, *len) {
                (Form::Msgpack, len) => head(len),
                // Up to three items collect themselves; more are marked, too.
                (Form::Pickle, ..=3) => 1,
                (Form::Pickle, _) => 2,
            };
            items(item, *len, around, form, in_list)
        }
        Kind::List { item, capacity, .. } => items(item, *capacity, around(*capacity, form), form, true),
        // A value needs a byte at least, and `None` one at most.
        Kind::Maybe { item, .. } => longest(item, form, in_list),
        Kind::Struct { fields } => {
            let (mut size, mut i) = (around(fields.len(), form), 0);
            while i < fields.len() {
                let Some(value) = longest(fields[i].schema, form, in_list) else { return None };
                size = size.saturating_add(name(fields[i].name.len(), form, in_list)).saturating_add(value);
                i += 1;
            }
            Some(size)
        }
    }
}

const fn items(item: &Schema, len: usize, around: usize, form: Form, in_list: bool) -> Option<usize> {
    match longest(item, form, in_list) {
        Some(size) => Some(size.saturating_mul(len).saturating_add(around)),
        None => None,
    }
}

/// What stands around the items of a list or a dict.
const fn around(len: usize, form: Form) -> usize {
    match form {
        Form::Msgpack => head(len),
        // One opcode makes it, two more mark and collect what it holds.
        Form::Pickle => 3,
    }
}

/// The head of a container in msgpack.
const fn head(len: usize) -> usize {
    match len {
        ..16 => 1,
        16..0x1_0000 => 3,
        _ => 5,
    }
}

const fn number(prim: Prim, form: Form) -> usize {
    match (form, prim) {
        (Form::Msgpack, _) => 1 + prim.size(),
        (Form::Pickle, Prim::U8) => 2,
        (Form::Pickle, Prim::U16) => 3,
        (Form::Pickle, Prim::I8 | Prim::I16 | Prim::I32) => 5,
        // What is no `i32` has a length, and a byte more than it if it has no sign.
        (Form::Pickle, Prim::U32) => 2 + 5,
        (Form::Pickle, Prim::I64) => 2 + 8,
        (Form::Pickle, Prim::U64) => 2 + 9,
        (Form::Pickle, Prim::F32 | Prim::F64) => 9,
    }
}

const fn text(len: usize, form: Form) -> usize {
    let head = match (form, len) {
        (Form::Msgpack, ..=31) => 1,
        (Form::Msgpack | Form::Pickle, ..=255) => 2,
        (Form::Msgpack, ..=0xffff) => 3,
        (Form::Msgpack | Form::Pickle, _) => 5,
    };
    len.saturating_add(head)
}

/// The name of a field. In a list of pickle it is remembered, with a byte more, and then referred to.
const fn name(len: usize, form: Form, in_list: bool) -> usize {
    let text = text(len, form);
    match (form, in_list) {
        (Form::Pickle, true) if text < 4 => 5,
        (Form::Pickle, true) => text + 1,
        _ => text,
    }
}
