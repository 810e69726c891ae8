//! The keys of a table, from its layout.
//!
//! Owns the step from a layout to places, and the check that a segment has these places. Calls `schema` and `table`. Never
//! touches a segment.

use crate::error::{Error, ErrorKind};
use crate::layout::{KeyPlace, places};
use crate::plural::count;
use crate::schema::{Layout, LayoutField, LayoutKind};
use crate::table;

/// Largest size in bytes of all values of a table, so that the sums of offsets stay numbers. No system has as much memory.
const LARGEST: u64 = 1 << 48;

/// The numbers of the segment of a table.
pub(super) struct Sizes {
    pub(super) slots: u64,
    pub(super) slot_size: u64,
    pub(super) seats: u32,
}

/// Returns the keys of a table; none if the layout is no struct.
pub(super) fn fields(table: &Layout) -> &[LayoutField] {
    match table.kind() {
        LayoutKind::Struct { fields, .. } => fields,
        _ => &[],
    }
}

fn places_of(table: &Layout) -> Vec<KeyPlace> {
    places(fields(table).iter().map(|field| field.layout.size() as u64))
}

/// Returns the numbers of the segment of a table. Opening a table that is too large fails, with its size.
pub(super) fn sizes(table: &Layout) -> Sizes {
    if table.size() as u64 > LARGEST {
        return Sizes { slots: fields(table).len() as u64, slot_size: u64::MAX, seats: 1 };
    }
    let (slots, size, seats) = table::sizes(&places_of(table));
    let seats = u32::try_from(seats).unwrap_or(u32::MAX);
    Sizes { slots: slots as u64, slot_size: size as u64, seats }
}

/// Returns the keys of a table and their places, if a segment with this number of keys and this size has them.
pub(super) fn checked(
    table: &Layout,
    (slots, slot_size): (u64, u64),
    channel: &str,
) -> Result<(Vec<LayoutField>, Vec<KeyPlace>), Error> {
    let found = sizes(table);
    if (found.slots, found.slot_size) != (slots, slot_size) || found.slots == 0 || slot_size == u64::MAX {
        let why = format!(
            "its segment is damaged: its text has {} in {}, and its header {slots} in {slot_size}; `force_unlink` removes it",
            count(found.slots, "key"),
            count(found.slot_size, "byte"),
        );
        return Err(Error::new(ErrorKind::NotASegment, channel.to_owned(), why));
    }
    Ok((fields(table).to_vec(), places_of(table)))
}

/// Returns the reason why a table with this layout cannot be declared.
pub(super) fn problem(table: &Layout) -> Option<String> {
    let fields = fields(table);
    if fields.is_empty() {
        return Some("a table has at least one key".into());
    }
    if table.size() as u64 > LARGEST {
        return Some(format!(
            "the values take {}, and a table takes at most {LARGEST}",
            count(table.size(), "byte")
        ));
    }
    for (index, field) in fields.iter().enumerate() {
        let name = crate::escape::Escaped(&field.name);
        if field.name.is_empty() {
            return Some(format!("key {index} has an empty name"));
        }
        if matches!(field.layout.kind(), LayoutKind::Pad) {
            return Some(format!("key `{name}` is padding, which has no value"));
        }
        if fields[..index].iter().any(|before| before.name == field.name) {
            return Some(format!("key `{name}` is declared twice"));
        }
    }
    None
}

/// Returns the index of a key.
pub(super) fn index_of(fields: &[LayoutField], key: &str, channel: &str) -> Result<usize, Error> {
    fields.iter().position(|field| field.name == key).ok_or_else(|| {
        let why = format!(
            "the table has no key `{}`; its keys are {}",
            crate::escape::Escaped(key),
            listed(fields)
        );
        Error::new(ErrorKind::TypeMismatch, channel.to_owned(), why)
    })
}

fn listed(fields: &[LayoutField]) -> String {
    let names: Vec<_> =
        fields.iter().map(|field| format!("`{}`", crate::escape::Escaped(&field.name))).collect();
    names.join(", ")
}
