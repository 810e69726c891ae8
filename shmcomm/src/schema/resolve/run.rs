//! Execution of the steps of a plan.
//!
//! Owns the steps. Every access is checked, and an access outside of either message ends the conversion. Calls
//! nothing; never allocates.

use crate::message::Prim;

/// A step of a plan. Offsets are relative to the part that the step belongs to.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Copies bytes.
    Copy { from: usize, to: usize, len: usize },
    /// Writes a default value.
    Fill { to: usize, bytes: Box<[u8]> },
    /// Writes a number in a wider type.
    Widen { from: usize, of: Prim, to: usize, into: Prim },
    /// Writes an integer in 128 bits.
    Widen128 { from: usize, of: Prim, to: usize },
    /// Writes the reader's value of a variant. `map` is sorted by the writer's values.
    Variant { from: usize, of: Prim, to: usize, into: Prim, map: Box<[(i128, i128)]> },
    /// Converts a variant with data. `cases` is sorted by the writer's values.
    Choice { from: Items, of: Prim, to: Items, into: Prim, cases: Box<[Case]> },
    /// Copies a text whose capacity in bytes is `capacity` at the writer.
    Text { from: usize, to: usize, capacity: usize },
    /// Converts each item of an array.
    Array { from: Items, to: Items, len: usize, item: Box<[Step]> },
    /// Converts the items of a list, whose capacity is `capacity` at the writer.
    List { from: Items, to: Items, capacity: usize, item: Box<[Step]> },
    /// Converts the value of an option, if there is one.
    Maybe { from: Items, to: Items, item: Box<[Step]> },
}

/// A variant of the writer.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) theirs: i128,
    pub(super) ours: i128,
    pub(super) steps: Box<[Step]>,
}

/// Place of the items of an array, list or option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items {
    /// Offset of the array, list or option.
    pub(super) at: usize,
    /// Offset of the first item from there.
    pub(super) first: usize,
    /// Size of an item.
    pub(super) size: usize,
}

/// Executes `steps` on a part. Returns `None` if the bytes of the writer are not valid.
pub(super) fn all(steps: &[Step], input: &[u8], out: &mut [u8]) -> Option<()> {
    steps.iter().try_for_each(|step| one(step, input, out))
}

fn one(step: &Step, input: &[u8], out: &mut [u8]) -> Option<()> {
    match step {
        Step::Copy { from, to, len } => write(out, *to, part(input, *from, *len)?),
        Step::Fill { to, bytes } => write(out, *to, bytes),
        Step::Widen { from, of, to, into } => {
            let number = part(input, *from, of.size())?;
            match (of, into) {
                (Prim::F32, Prim::F64) => {
                    let number = f32::from_ne_bytes(number.try_into().ok()?);
                    write(out, *to, &f64::from(number).to_ne_bytes())
                }
                (_, Prim::F32) => write(out, *to, &(integer(*of, number)? as f32).to_ne_bytes()),
                (_, Prim::F64) => write(out, *to, &(integer(*of, number)? as f64).to_ne_bytes()),
                _ => write_integer(out, *to, *into, integer(*of, number)?),
            }
        }
        Step::Variant { from, of, to, into, map } => {
            let value = integer(*of, part(input, *from, of.size())?)?;
            let found = map.binary_search_by_key(&value, |(writer, _)| *writer).ok()?;
            write_integer(out, *to, *into, map.get(found)?.1)
        }
        Step::Widen128 { from, of, to } => {
            write(out, *to, &integer(*of, part(input, *from, of.size())?)?.to_ne_bytes())
        }
        Step::Choice { from, of, to, into, cases } => {
            let value = integer(*of, part(input, from.at, of.size())?)?;
            let found = cases.binary_search_by_key(&value, |case| case.theirs).ok()?;
            let case = cases.get(found)?;
            write_integer(out, to.at, *into, case.ours)?;
            each(&case.steps, *from, *to, 1, input, out)
        }
        Step::Text { from, to, capacity } => {
            let len = count(input, *from, *capacity)?;
            write_count(out, *to, len)?;
            write(out, *to + 4, part(input, *from + 4, len)?)
        }
        Step::Array { from, to, len, item } => each(item, *from, *to, *len, input, out),
        Step::List { from, to, capacity, item } => {
            let len = count(input, from.at, *capacity)?;
            write_count(out, to.at, len)?;
            each(item, *from, *to, len, input, out)
        }
        Step::Maybe { from, to, item } => {
            let len = count(input, from.at, 1)?;
            write_count(out, to.at, len)?;
            each(item, *from, *to, len, input, out)
        }
    }
}

fn each(steps: &[Step], from: Items, to: Items, len: usize, input: &[u8], out: &mut [u8]) -> Option<()> {
    let input = input.get(from.at.checked_add(from.first)?..)?;
    let out = out.get_mut(to.at.checked_add(to.first)?..)?;
    for i in 0..len {
        let input = part(input, i.checked_mul(from.size)?, from.size)?;
        let start = i.checked_mul(to.size)?;
        all(steps, input, out.get_mut(start..start.checked_add(to.size)?)?)?;
    }
    Some(())
}

fn part(input: &[u8], from: usize, len: usize) -> Option<&[u8]> {
    input.get(from..from.checked_add(len)?)
}

fn write(out: &mut [u8], to: usize, bytes: &[u8]) -> Option<()> {
    out.get_mut(to..to.checked_add(bytes.len())?)?.copy_from_slice(bytes);
    Some(())
}

/// Returns the count at `from`, if it is at most `capacity`.
fn count(input: &[u8], from: usize, capacity: usize) -> Option<usize> {
    let count = u32::from_ne_bytes(part(input, from, 4)?.try_into().ok()?);
    usize::try_from(count).ok().filter(|count| *count <= capacity)
}

/// Writes a count that was loaded once: the writer may change it meanwhile.
fn write_count(out: &mut [u8], to: usize, count: usize) -> Option<()> {
    write(out, to, &u32::try_from(count).ok()?.to_ne_bytes())
}

/// Returns the integer that takes all of `bytes`.
fn integer(prim: Prim, bytes: &[u8]) -> Option<i128> {
    crate::schema::view::integer(prim, bytes)
}

/// Writes an integer that its type holds.
fn write_integer(out: &mut [u8], to: usize, prim: Prim, value: i128) -> Option<()> {
    match prim.size() {
        1 => write(out, to, &(value as u8).to_ne_bytes()),
        2 => write(out, to, &(value as u16).to_ne_bytes()),
        4 => write(out, to, &(value as u32).to_ne_bytes()),
        _ => write(out, to, &(value as u64).to_ne_bytes()),
    }
}
