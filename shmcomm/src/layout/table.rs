//! The offsets of the keys of a table.
//!
//! Owns their arithmetic, on which all ends and the size of a segment depend. Calls nothing. Never touches
//! memory.
//!
//! ```text
//! slots_offset  ┌ key 0 ──────────────────────────────────┐┌ key 1 ─────── …
//!               │ version,     buffer 0       buffer 1    ││ version,
//!               │ owner        head, value    head, value ││ owner
//!               └─────────────────────────────────────────┘└───
//! ```
//!
//! A buffer has the form of a slot: 32 bytes of words, then the value. It has cache lines of its own, so that
//! the writer of one buffer leaves the lines of the other buffer to the readers.

use super::{CACHE_LINE, LINE_PAIR};

/// Number of buffers of a key: one holds the current value, the other takes the next.
pub(crate) const BUFFERS: u64 = 2;
/// Offset of the owner word from the version word, of a key that several writers store.
pub(crate) const KEY_OWNER: u64 = 8;
/// Number of bytes of a buffer before its value.
pub(crate) const BUFFER_HEAD: u64 = 32;

/// Place of one key, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPlace {
    /// Offset of the version word from the start of all keys.
    pub(crate) offset: u64,
    /// Size of a value.
    pub(crate) size: u64,
}

impl KeyPlace {
    /// Offset of the first buffer from the version word.
    pub(crate) const FIRST_BUFFER: u64 = LINE_PAIR as u64;

    /// Returns the distance from one buffer to the next.
    pub(crate) const fn stride(self) -> u64 {
        (BUFFER_HEAD + self.size).next_multiple_of(CACHE_LINE as u64)
    }

    /// Returns the offset of buffer `index` from the version word.
    pub(crate) const fn buffer(self, index: u64) -> u64 {
        Self::FIRST_BUFFER + index * self.stride()
    }

    /// Returns the number of bytes from one version word to the next.
    pub(crate) const fn span(self) -> u64 {
        self.buffer(BUFFERS).next_multiple_of(LINE_PAIR as u64)
    }
}

/// Returns the places of keys whose values have these sizes, one behind the other.
pub(crate) fn places(sizes: impl IntoIterator<Item = u64>) -> Vec<KeyPlace> {
    let mut offset = 0;
    let place = |size| {
        let place = KeyPlace { offset, size };
        offset += place.span();
        place
    };
    sizes.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_share_no_cache_line() {
        let sizes = [0, 1, 8, 31, 32, 33, 96, 97, 4096, 1 << 20];
        let places = places(sizes);
        let mut end = 0;
        for (place, size) in places.into_iter().zip(sizes) {
            assert_eq!((place.offset, place.size), (end, size));
            assert!(place.offset.is_multiple_of(LINE_PAIR as u64));
            assert!(place.buffer(0) >= LINE_PAIR as u64);
            for index in 0..BUFFERS {
                assert!(place.buffer(index).is_multiple_of(CACHE_LINE as u64));
                assert!(place.buffer(index) + BUFFER_HEAD + size <= place.buffer(index + 1));
            }
            end += place.span();
            assert!(place.offset + place.buffer(BUFFERS) <= end);
        }
    }
}
