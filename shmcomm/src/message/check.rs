//! Checks of a message's layout, made while the caller compiles.
//!
//! Each check is `#[track_caller]`, so that the error points at the caller's own tokens, which the macro gave
//! the call.

use super::parts::{gap_after, next_sized};
use super::schema::{Field, Kind, Schema};
use super::text::Text;

/// Fails if the type of `schema`, shown as `ty`, is not sound, and says why.
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
            dropped(ty);
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
        Kind::Choice { variants, .. } => {
            let mut i = 0;
            while i < variants.len() {
                let fields = variants[i].fields;
                let mut f = 0;
                while f < fields.len() {
                    sound(fields[f].schema.name, fields[f].schema);
                    f += 1;
                }
                i += 1;
            }
            dropped(ty);
        }
        Kind::Opaque { .. } => dropped(ty),
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

/// Fails if the type of `schema`, shown as `ty`, has drop glue or an unsound part that is not its field. If a
/// field is no message, this call is never evaluated, and the compiler reports only that error.
#[track_caller]
pub const fn no_drop<T: super::ShmMessage>(ty: &str, _: super::describe::Of<T>) {
    if core::mem::needs_drop::<T>() {
        dropped(ty);
    }
    if let Kind::Choice { variants, .. } = &T::SCHEMA.kind {
        let mut i = 0;
        while i < variants.len() {
            let fields = variants[i].fields;
            let mut f = 0;
            while f < fields.len() {
                if fields[f].schema.is_unreported() {
                    sound(fields[f].schema.name, fields[f].schema);
                }
                f += 1;
            }
            i += 1;
        }
    }
}

#[track_caller]
const fn dropped(ty: &str) {
    Text::new()
        .code(ty)
        .str(" implements `Drop`: every reader would run it for the one value that was sent\n")
        .str("keep what must be cleaned up outside the message")
        .panic();
}

/// Fails if the type has no value whose bytes are all zero.
#[track_caller]
pub(super) const fn zero_valid(schema: &Schema) {
    if !schema.zero_valid {
        let text = Text::new().code(schema.name).str(" has no value whose bytes are all zero: ");
        text.str("use `loan_with(value)` for a loan, `message::read_boxed` for a value on the heap").panic();
    }
}

/// Fails if some values have bytes that belong to no part.
#[track_caller]
pub(super) const fn no_unused(schema: &Schema) {
    if schema.gaps {
        let text = Text::new().code(schema.name).str(" has bytes that belong to no part of some values, ");
        text.str("as an enum with data has: use `message::to_bytes`, which clears them").panic();
    }
}

/// Fails if field `i` is not sound, or if padding follows it. `named` is true if the fields have names; the
/// suggested padding field then has a name too.
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
    let text = if matches!(this.schema.kind, Kind::Pad) && superfluous(schema, fields, i) {
        text.str("leave ").code(this.name).str(" out").panic()
    } else if matches!(this.schema.kind, Kind::Pad) {
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

/// Returns `true` if there is no padding without the padding field `i`.
const fn superfluous(schema: &Schema, fields: &[Field], i: usize) -> bool {
    let align = match next_sized(fields, i) {
        Some(next) => fields[next].schema.align,
        None => schema.align,
    };
    fields[i].offset.is_multiple_of(align)
}

/// Returns `true` if fields sorted by alignment would leave no gap.
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
