//! Destinations of encoders: a growing vector, or a slot of fixed size.
//!
//! Owns the rule that a full slot does not stop an encoder: the sink continues to count, so that the error
//! can give the exact size. Calls nothing, never allocates for a slot.

use super::EncodeError;

/// Destination of encoded bytes.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
    /// Returns the number of bytes put so far, written or not.
    #[cfg(feature = "pickle")]
    fn position(&self) -> usize;
    /// Overwrites bytes that were put before; has no effect on bytes that were not written.
    #[cfg(feature = "pickle")]
    fn patch(&mut self, at: usize, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[cfg(feature = "pickle")]
    #[inline]
    fn position(&self) -> usize {
        self.len()
    }

    #[cfg(feature = "pickle")]
    fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

/// A slice that is filled from the front. Bytes that do not fit are counted and dropped.
pub(crate) struct Bounded<'a> {
    out: &'a mut [u8],
    position: usize,
}

impl<'a> Bounded<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, position: 0 }
    }

    /// Returns the number of bytes written, or the number that would have been needed.
    pub(crate) fn finish(self) -> Result<usize, EncodeError> {
        if self.position <= self.out.len() {
            Ok(self.position)
        } else {
            Err(EncodeError::TooLong { needed: self.position, capacity: self.out.len() })
        }
    }
}

impl Sink for Bounded<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.position.saturating_add(bytes.len());
        if let Some(place) = self.out.get_mut(self.position..end) {
            place.copy_from_slice(bytes);
        }
        self.position = end;
    }

    #[cfg(feature = "pickle")]
    #[inline]
    fn position(&self) -> usize {
        self.position
    }

    #[cfg(feature = "pickle")]
    fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.out.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}
