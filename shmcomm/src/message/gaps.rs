//! Bytes of a value that belong to no part of it: cleared before another process can see them.
//!
//! An enum with data is as large as its largest variant. Rust never writes the bytes that a shorter variant does
//! not use, nor the bytes that align a field: they hold old memory of this process. `Duration` ends with such
//! bytes. Owns their clearing, and the borrowing of a message as bytes.

use super::parts::number;
use super::schema::{Field, Kind, Schema, Std};
use super::{ShmMessage, require_sound};
use core::mem::MaybeUninit;

/// Size in bytes up to which a copy of a message is on the stack.
const ON_STACK: usize = 16 << 10;

/// Passes the bytes of `message` to `use_bytes`. Copies and clears them if some belong to no part.
#[inline(always)]
pub(crate) fn with_bytes<M: ShmMessage, R>(message: &M, use_bytes: impl FnOnce(&[u8]) -> R) -> R {
    const { require_sound::<M>() };
    if !M::SCHEMA.gaps {
        return use_bytes(plain_bytes(message));
    }
    if size_of::<M>() <= ON_STACK {
        let mut copy = MaybeUninit::<M>::uninit();
        return use_bytes(copied(message, &mut copy));
    }
    use_bytes(copied(message, &mut Box::new_uninit()))
}

/// Writes a default value to the bytes of its field.
pub fn write_default<T: ShmMessage>(value: &T, out: &mut [u8]) {
    with_bytes(value, |bytes| {
        if bytes.len() == out.len() {
            out.copy_from_slice(bytes);
        }
    });
}

/// Returns the bytes of a message without gaps.
#[inline(always)]
pub(crate) fn plain_bytes<M: ShmMessage>(message: &M) -> &[u8] {
    const { require_sound::<M>() };
    debug_assert!(!M::SCHEMA.gaps);
    // SAFETY: `ShmMessage` 1 and 2: without gaps, all bytes are initialised, and none changes while borrowed.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(message).cast(), size_of::<M>()) }
}

/// Copies `message` to `copy`, clears the gaps, and returns the bytes.
fn copied<'c, M: ShmMessage>(message: &M, copy: &'c mut MaybeUninit<M>) -> &'c [u8] {
    // SAFETY: both have the size of an `M`; the copy is borrowed exclusively.
    unsafe { core::ptr::copy_nonoverlapping(message, copy.as_mut_ptr(), 1) };
    // SAFETY: the memory of an `M`, borrowed exclusively; bytes may be uninitialised.
    let bytes = unsafe { core::slice::from_raw_parts_mut(copy.as_mut_ptr().cast(), size_of::<M>()) };
    // SAFETY: the bytes were copied from an `M`.
    unsafe { clear(M::SCHEMA, bytes) };
    // SAFETY: `clear` initialised all bytes that the value left uninitialised.
    unsafe { core::slice::from_raw_parts(copy.as_ptr().cast(), size_of::<M>()) }
}

/// Clears the gaps of a message that was written in place.
///
/// # Safety
///
/// `bytes` are the bytes of an `M`, which may be uninitialised if they belong to no part of it.
#[cfg(not(loom))]
#[inline(always)]
pub(super) unsafe fn clear_in_place<M: ShmMessage>(bytes: &mut [u8]) {
    if M::SCHEMA.gaps {
        // SAFETY: the memory of the slice; a `MaybeUninit<u8>` may hold any byte, and only bytes are written.
        let bytes = unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) };
        // SAFETY: by the contract.
        unsafe { clear(M::SCHEMA, bytes) };
    }
}

/// Writes zeros to each byte of a value that belongs to no part of it.
///
/// # Safety
///
/// `bytes` are those of a value of the type of `schema`.
unsafe fn clear(schema: &Schema, bytes: &mut [MaybeUninit<u8>]) {
    if !schema.gaps {
        return;
    }
    match schema.kind {
        Kind::Choice { prim, variants } => {
            // SAFETY: the tag is initialised, and at the start.
            let tag = unsafe { tag(bytes, prim.size()) };
            let value = number(tag, prim);
            let fields = variants.iter().find(|variant| variant.value == value).map_or(&[][..], |v| v.fields);
            zero_around(prim.size(), fields, bytes);
            // SAFETY: the tag selects these fields.
            unsafe { clear_fields(fields, bytes) };
        }
        // SAFETY: the fields of the value.
        Kind::Struct { fields } => unsafe { clear_fields(fields, bytes) },
        Kind::Array { item, len } => {
            // SAFETY: all items are values.
            unsafe { clear_items(item, &mut bytes[..len * item.size]) };
        }
        Kind::List { item, offset, .. } => {
            // SAFETY: the length is initialised, and at the start.
            let len = u32::from_ne_bytes(unsafe { prefix(bytes) }) as usize;
            let (used, unused) = bytes[offset..].split_at_mut(len * item.size);
            // SAFETY: the first `len` items are values.
            unsafe { clear_items(item, used) };
            // Values that were removed left zeros there, of which moving the list may keep none.
            zero(unused);
        }
        Kind::Maybe { item, offset } => {
            // SAFETY: the tag is initialised, and at the start.
            let some = u32::from_ne_bytes(unsafe { prefix(bytes) }) != 0;
            let value = &mut bytes[offset..];
            if some {
                // SAFETY: the tag says that there is a value.
                unsafe { clear(item, value) };
            } else {
                zero(value);
            }
        }
        Kind::Std(Std::Duration) => zero(&mut bytes[12..]),
        _ => {}
    }
}

/// # Safety
///
/// `bytes` are those of a value with these fields.
unsafe fn clear_fields(fields: &[Field], bytes: &mut [MaybeUninit<u8>]) {
    for Field { offset, schema, .. } in fields {
        // SAFETY: the bytes of the field.
        unsafe { clear(schema, &mut bytes[*offset..*offset + schema.size]) };
    }
}

/// # Safety
///
/// `bytes` are those of values of the type of `item`.
unsafe fn clear_items(item: &Schema, bytes: &mut [MaybeUninit<u8>]) {
    for bytes in bytes.chunks_exact_mut(item.size.max(1)) {
        // SAFETY: the bytes of one item.
        unsafe { clear(item, bytes) };
    }
}

/// Writes zeros around the tag and the fields, which are in the order of their offsets.
fn zero_around(tag: usize, fields: &[Field], bytes: &mut [MaybeUninit<u8>]) {
    let mut end = tag;
    for Field { offset, schema, .. } in fields {
        if schema.size > 0 {
            zero(&mut bytes[end..*offset]);
            end = offset + schema.size;
        }
    }
    zero(&mut bytes[end..]);
}

fn zero(bytes: &mut [MaybeUninit<u8>]) {
    bytes.fill(MaybeUninit::new(0));
}

/// # Safety
///
/// The first `size` bytes, at most 8, are initialised.
unsafe fn tag(bytes: &[MaybeUninit<u8>], size: usize) -> [u8; 8] {
    let mut tag = [0; 8];
    for (to, from) in tag.iter_mut().zip(&bytes[..size]) {
        // SAFETY: by the contract.
        *to = unsafe { from.assume_init() };
    }
    tag
}

/// # Safety
///
/// The first four bytes are initialised.
unsafe fn prefix(bytes: &[MaybeUninit<u8>]) -> [u8; 4] {
    // SAFETY: by the contract.
    let [a, b, c, d, ..] = unsafe { tag(bytes, 4) };
    [a, b, c, d]
}
