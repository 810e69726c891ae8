//! Checks of a message's layout, made while the caller compiles.
//!
//! Each is `#[track_caller]`, so that the error shows the tokens the macro gave the call: the caller's
//! own.

use super::schema::{Field, Kind, Schema};
use super::text::Text;

/// Fails if the type of `schema`, shown as `ty`, is no message after all, and says why.
#[track_caller]
pub const fn sound(ty: &str, schema: &Schema) {
    if schema.is_sound() {
        return;
    }
    match &schema.kind {
        Kind::Struct { fields } => {
            let mut i = 0;
            while i < fields.len() {
                no_gap(ty, schema, i, true);
                i += 1;
            }
            no_drop(ty, true, fields);
        }
        Kind::Array { item, .. } => sound(item.name, item),
        Kind::List { item, offset, capacity } => {
            alignment(ty, item, *offset);
            length(ty, *capacity);
            sound(item.name, item);
        }
        Kind::Maybe { item, offset } => {
            alignment(ty, item, *offset);
            sound(item.name, item);
        }
        Kind::Str { capacity } => length(ty, *capacity),
        Kind::Enum { .. } => {
            Text::new().code(ty).str(" has padding: leave `align` out of its `repr`").panic()
        }
        Kind::Opaque { .. } => no_drop(ty, true, &[]),
        _ => {}
    }
}

#[track_caller]
const fn alignment(ty: &str, item: &Schema, limit: usize) {
    if item.align > limit {
        Text::new()
            .code(item.name)
            .str(" is aligned to ")
            .bytes(item.align)
            .str("; an item of ")
            .code(ty)
            .str(" to at most ")
            .num(limit)
            .str("\nuse an array and a `u32` that counts, or leave `align` out of its `repr`")
            .panic();
    }
}

#[track_caller]
const fn length(ty: &str, capacity: usize) {
    if capacity > u32::MAX as usize {
        Text::new().code(ty).str(" counts in a `u32`: its capacity can be at most 4294967295").panic();
    }
}

/// Fails if the type has drop glue. (The fields are here for the order of errors: if one of them is no
/// message this is never evaluated, and the compiler says that alone.)
#[track_caller]
pub const fn no_drop(ty: &str, drops: bool, _proof_that_fields_are_messages: &[Field]) {
    if drops {
        Text::new()
            .code(ty)
            .str(" implements `Drop`: every reader would run it for the one value that was sent\n")
            .str("keep what must be cleaned up outside the message")
            .panic();
    }
}

/// How many bytes after field `i` belong to no field. Fields without size do not count: those of a
/// `transparent` struct may be anywhere.
pub(super) const fn gap_after(size: usize, fields: &[Field], i: usize) -> usize {
    if fields[i].schema.size == 0 {
        return 0;
    }
    let end = fields[i].offset + fields[i].schema.size;
    let next = match next_sized(fields, i) {
        Some(next) => fields[next].offset,
        None => size,
    };
    assert!(next >= end, "the fields are not laid out in the order of their declaration");
    next - end
}

const fn next_sized(fields: &[Field], i: usize) -> Option<usize> {
    let mut next = i + 1;
    while next < fields.len() {
        if fields[next].schema.size > 0 {
            return Some(next);
        }
        next += 1;
    }
    None
}

/// Fails if field `i` is no message, or does not end where the next one, or the struct, continues.
/// (`named`: the fields have names, so the one to add has one.)
#[track_caller]
pub const fn no_gap(ty: &str, schema: &Schema, i: usize, named: bool) {
    let Kind::Struct { fields } = &schema.kind else { return };
    let this = &fields[i];
    if this.schema.is_unreported() {
        sound(this.schema.name, this.schema);
    }
    let gap = gap_after(schema.size, fields, i);
    if gap == 0 {
        return;
    }
    let text = Text::new().code(ty).str(" has ").bytes(gap).str(" of padding after ").code(this.name);
    let text = match next_sized(fields, i) {
        Some(next) => text.str(", before ").code(fields[next].name),
        None => text.str(", at its end"),
    };
    let text = text
        .str("\npadding is never written, so it would show other processes old memory of this one\nfix: ");
    let text = if matches!(this.schema.kind, Kind::Pad) {
        text.str("make ").code(this.name).str(" a `shmcomm::Pad<").num(this.schema.size + gap).str(">`")
    } else {
        let text = text.str("add a field after ").code(this.name).str(": `");
        let text = if named { text.str("_pad").num(i).str(": ") } else { text };
        text.str("shmcomm::Pad<").num(gap).str(">`")
    };
    let text = if sorted_has_no_gap(fields, schema.align) {
        text.str(", or order the fields from the widest to the narrowest")
    } else {
        text
    };
    text.panic();
}

/// Whether fields sorted by alignment would leave no gap.
const fn sorted_has_no_gap(fields: &[Field], align: usize) -> bool {
    let (mut sum, mut i) = (0, 0);
    while i < fields.len() {
        if !matches!(fields[i].schema.kind, Kind::Pad) {
            sum += fields[i].schema.size;
        }
        i += 1;
    }
    fields.len() > 1 && sum % align == 0
}
