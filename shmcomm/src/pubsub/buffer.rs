//! [`Buffer`]: private, aligned bytes of one end, for messages on their way into a slot or out of it.
//!
//! Owns its memory, allocated once when the end is opened. Never shares it.

/// Zeroed bytes with an aligned start.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Allocates `len` bytes whose start is aligned to `align`, a power of two.
    pub(super) fn new(len: usize, align: usize) -> Self {
        let bytes = vec![0; len + align - 1].into_boxed_slice();
        let start = bytes.as_ptr().align_offset(align);
        Buffer { bytes, start, len }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}
