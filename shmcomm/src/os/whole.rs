//! Memory for the parts of a file, on systems that reserve whole files only: macOS and Windows.
//!
//! Owns nothing. Calls [`reserve`] of the system. Never changes the length of a file later.

use super::{File, reserve};
use std::io;
use std::ops::Range;

/// Reserves like [`reserve`]: the whole file, because no memory can be added in the middle.
pub(crate) fn reserve_parts(
    file: &File,
    len: u64,
    _parts: impl Iterator<Item = Range<u64>>,
) -> io::Result<()> {
    reserve(file, len)
}

/// Does nothing: [`reserve_parts`] has reserved the whole file.
pub(crate) fn extend(_file: &File, _part: Range<u64>) -> io::Result<()> {
    Ok(())
}
