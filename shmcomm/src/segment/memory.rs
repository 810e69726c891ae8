//! The memory behind the bytes of a segment: all of it from the start, or, for a queue whose slots grow, a part.
//!
//! Owns the allocation of a new segment, and the copy of a segment. Calls `os` and `layout`. Never writes
//! to a slot that has an owner.
//!
//! An access to a byte without memory takes a page from the file system, and ends the process if that is full (SIGBUS). So
//! a sender allocates the bytes of a slot before it writes them, while it owns the slot. Memory is never given back while
//! the segment exists: what one participant has allocated stays allocated for all, whichever process dies.

use crate::layout::{Geometry, slot};
use crate::os::{self, File};
use std::io;
use std::ops::Range;

/// Gives a new file its length, and the memory that its segment has from the start.
pub(super) fn allocate(file: &File, geometry: &Geometry) -> io::Result<()> {
    if geometry.grows_each_slot() {
        os::reserve_parts(file, geometry.segment_size, geometry.parts_at_start())
    } else {
        os::reserve(file, geometry.segment_size)
    }
}

/// Copies a segment that no process uses to a new file.
pub(super) fn copy(from: &File, to: &File, geometry: &Geometry) -> io::Result<()> {
    allocate(to, geometry)?;
    if !geometry.grows_each_slot() {
        return copy_part(from, to, 0..geometry.segment_size);
    }
    copy_part(from, to, 0..geometry.slots_offset)?;
    for index in 0..geometry.slots {
        let mut backed = [0; 8];
        let start = geometry.part_of_slot(index, 0).start;
        os::read_at(from, &mut backed, start + slot::EXTRA as u64)?;
        let size = u64::from_ne_bytes(backed).clamp(geometry.slot_size, geometry.longest());
        copy_part(from, to, geometry.part_of_slot(index, size))?;
    }
    Ok(())
}

fn copy_part(from: &File, to: &File, part: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    let mut at = part.start;
    while at < part.end {
        let step = (part.end - at).min(buffer.len() as u64);
        let bytes = &mut buffer[..step as usize];
        os::read_at(from, bytes, at)?;
        os::write_at(to, bytes, at)?;
        at += step;
    }
    Ok(())
}
