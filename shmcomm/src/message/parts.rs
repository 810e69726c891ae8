//! Facts about the parts of a layout: the bytes between two fields, and the value of a tag.
//!
//! Owns their computation, at compile time too. Calls `schema`. Never judges a layout: `check` does.

use super::schema::{Field, Prim};

/// Returns the number of bytes after field `i` that belong to no field. Fields without size do not count:
/// those of a `transparent` struct may be anywhere.
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

/// Returns the next field after field `i` that has a size.
pub(super) const fn next_sized(fields: &[Field], i: usize) -> Option<usize> {
    let mut next = i + 1;
    while next < fields.len() {
        if fields[next].schema.size > 0 {
            return Some(next);
        }
        next += 1;
    }
    None
}

/// Returns the value of a tag.
pub(super) const fn number(bytes: [u8; 8], prim: Prim) -> i128 {
    let unused = 64 - 8 * prim.size() as u32;
    let raw = if cfg!(target_endian = "little") {
        u64::from_le_bytes(bytes)
    } else {
        u64::from_be_bytes(bytes) >> unused
    };
    if prim.is_signed() { ((raw << unused).cast_signed() >> unused) as i128 } else { raw as i128 }
}

/// Returns the number at the start of `bytes`, which are at least as many as the tag has.
#[inline(always)]
pub(super) const fn tag_at(bytes: &[u8], prim: Prim) -> i128 {
    let mut tag = [0; 8];
    let mut i = 0;
    while i < prim.size() {
        tag[i] = bytes[i];
        i += 1;
    }
    number(tag, prim)
}
