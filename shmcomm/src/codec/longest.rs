//! Maximum size of an encoded message, from the schema of its type.
//!
//! Owns the size of each kind of value in msgpack and in pickle. `guard` and `ser` define these sizes: a
//! change of their output needs a change here. Calls [`Schema`]; never reads a value.
//!
//! The result is a bound for the output of serde's derives. Attributes can change this output. A type whose
//! derive saw such attributes (`Schema::encoded_otherwise`) therefore has no bound, nor has a type that
//! contains it.

use crate::message::{Kind, Prim, Schema, ShmMessage};

#[cfg(feature = "msgpack")]
impl super::Msgpack {
    /// Returns the maximum size of an encoded `M` in bytes, if its type determines it. Such a type consists
    /// of numbers, arrays, inline types and structs of these, with a derived `Serialize`.
    ///
    /// Returns `None` for a type with `#[serde(…)]` or `#[shm(rename = "…")]` attributes, or a type that
    /// contains one. Such a type is encoded in another form or under other names. A hand-written `Serialize`
    /// is beyond this analysis.
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
    /// Returns the maximum size of an encoded `M` in bytes, if its type determines it: as
    /// [`Msgpack::max_size`].
    ///
    /// [`Msgpack::max_size`]: crate::codec::Msgpack
    #[must_use]
    pub const fn max_size<M: ShmMessage>() -> Option<usize> {
        match longest(M::SCHEMA, Form::Pickle, false) {
            // The prefix is the protocol number and the frame; the suffix is the end.
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

/// Returns the maximum size of a value. In a list of the message, pickle memoizes the names of fields.
const fn longest(schema: &Schema, form: Form, in_list: bool) -> Option<usize> {
    if schema.is_encoded_otherwise() {
        return None;
    }
    match &schema.kind {
        Kind::Prim(prim) => Some(number(*prim, form)),
        Kind::Timestamp => Some(number(Prim::I64, form)),
        Kind::Bool | Kind::Pad => Some(1),
        Kind::Char => Some(text(4, form)),
        Kind::Opaque { .. } | Kind::Choice { .. } | Kind::Std(_) => None,
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
                // Up to three items need one opcode; more items also need a mark.
                (Form::Pickle, ..=3) => 1,
                (Form::Pickle, _) => 2,
            };
            items(item, *len, around, form, in_list)
        }
        Kind::List { item, capacity, .. } => items(item, *capacity, around(*capacity, form), form, true),
        // A value needs at least one byte, and `None` at most one.
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

/// Returns the bytes around the items of a list or a dict.
const fn around(len: usize, form: Form) -> usize {
    match form {
        Form::Msgpack => head(len),
        // One opcode makes the container, two more mark and collect the items.
        Form::Pickle => 3,
    }
}

/// Returns the size of the head of a container in msgpack.
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
        // A number beyond `i32` is written with its length; an unsigned number has one byte more.
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

/// Returns the size of a field name. A list of pickle memoizes it, with one byte more, and then refers to it.
const fn name(len: usize, form: Form, in_list: bool) -> usize {
    let text = text(len, form);
    match (form, in_list) {
        (Form::Pickle, true) if text < 4 => 5,
        (Form::Pickle, true) => text + 1,
        _ => text,
    }
}
