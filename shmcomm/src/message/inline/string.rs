//! Text inside a message.

use super::super::describe::Layout;
use super::super::{Schema, ShmMessage};
use super::CapacityError;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

/// UTF-8 text of at most `N` bytes, `N + 4` bytes in size, alignment 1.
///
/// Invariants:
///
/// 1. `len <= N`;
/// 2. the first `len` bytes of `text` are UTF-8;
/// 3. the other bytes are zeros, unless another program sent other bytes.
///
/// ```
/// use shmcomm::ShmString;
/// use std::fmt::Write;
///
/// let mut frame = ShmString::<16>::new("base_link")?;
/// write!(frame, "/{}", 7)?;
/// assert_eq!(frame, "base_link/7");
/// assert!(frame.starts_with("base"));
/// assert_eq!(frame.push_str("/camera").unwrap_err().to_string(), "does not fit: the capacity is 16");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "zerocopy",
    derive(zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout, zerocopy::Unaligned)
)]
#[repr(C)]
pub struct ShmString<const N: usize> {
    len: [u8; 4],
    text: [u8; N],
}

impl<const N: usize> ShmString<N> {
    /// Makes a string from `text`, if it fits.
    pub fn new(text: &str) -> Result<Self, CapacityError> {
        let mut s = Self::empty();
        s.push_str(text)?;
        Ok(s)
    }

    /// Makes an empty string.
    pub const fn empty() -> Self {
        ShmString { len: [0; 4], text: [0; N] }
    }

    /// Makes a string from the part of `text` that fits, cut between characters.
    pub fn truncated(text: &str) -> Self {
        let mut s = Self::empty();
        let text = &text[..boundary(text, N)];
        s.text[..text.len()].copy_from_slice(text.as_bytes());
        s.set_len(text.len());
        s
    }

    fn set_len(&mut self, len: usize) {
        self.len = (len as u32).to_ne_bytes();
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        // SAFETY: invariants 1 and 2, which each method keeps and `is_valid` checks.
        unsafe { core::str::from_utf8_unchecked(&self.text[..self.len()]) }
    }

    /// Returns the length in bytes.
    pub const fn len(&self) -> usize {
        u32::from_ne_bytes(self.len) as usize
    }

    /// Returns `true` if there is no text.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the total capacity in bytes: `N`.
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Appends `text`, or nothing if it does not fit.
    pub fn push_str(&mut self, text: &str) -> Result<(), CapacityError> {
        let len = self.len();
        let Some(room) = self.text[len..].get_mut(..text.len()) else {
            return Err(CapacityError::new((), N));
        };
        room.copy_from_slice(text.as_bytes());
        self.set_len(len + text.len());
        Ok(())
    }

    /// Appends `c`, or returns it in the error if it does not fit.
    pub fn push(&mut self, c: char) -> Result<(), CapacityError<char>> {
        self.push_str(c.encode_utf8(&mut [0; 4])).map_err(|full| CapacityError::new(c, full.capacity))
    }

    /// Removes the last character.
    pub fn pop(&mut self) -> Option<char> {
        let c = self.as_str().chars().next_back()?;
        self.truncate(self.len() - c.len_utf8());
        Some(c)
    }

    /// Keeps the first `len` bytes, or fewer if that would cut a character. Does nothing if the text is not
    /// longer.
    pub fn truncate(&mut self, len: usize) {
        let (old, new) = (self.len(), boundary(self, len));
        self.text[new..old].fill(0);
        self.set_len(new);
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.truncate(0);
    }
}

/// Returns the last position at or before `limit` that cuts no character.
fn boundary(text: &str, limit: usize) -> usize {
    (0..=limit.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

impl<const N: usize> Default for ShmString<N> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<const N: usize> core::ops::Deref for ShmString<N> {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> AsRef<str> for ShmString<N> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl<const N: usize> AsRef<[u8]> for ShmString<N> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<const N: usize> core::borrow::Borrow<str> for ShmString<N> {
    fn borrow(&self) -> &str {
        self
    }
}

impl<const N: usize> TryFrom<&str> for ShmString<N> {
    type Error = CapacityError;
    fn try_from(text: &str) -> Result<Self, CapacityError> {
        Self::new(text)
    }
}

impl<const N: usize> core::str::FromStr for ShmString<N> {
    type Err = CapacityError;
    fn from_str(text: &str) -> Result<Self, CapacityError> {
        Self::new(text)
    }
}

impl<const N: usize> From<ShmString<N>> for String {
    fn from(s: ShmString<N>) -> String {
        s.as_str().into()
    }
}

/// A piece that does not fit fails, and no part of it is written.
impl<const N: usize> fmt::Write for ShmString<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text).map_err(|_| fmt::Error)
    }
}

impl<const N: usize> fmt::Display for ShmString<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Debug for ShmString<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize, const M: usize> PartialEq<ShmString<M>> for ShmString<N> {
    fn eq(&self, other: &ShmString<M>) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<const N: usize> PartialEq<str> for ShmString<N> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl<const N: usize> PartialEq<&str> for ShmString<N> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl<const N: usize> PartialEq<String> for ShmString<N> {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl<const N: usize> PartialEq<ShmString<N>> for str {
    fn eq(&self, other: &ShmString<N>) -> bool {
        self == other.as_str()
    }
}

impl<const N: usize> PartialEq<ShmString<N>> for &str {
    fn eq(&self, other: &ShmString<N>) -> bool {
        *self == other.as_str()
    }
}

impl<const N: usize> Eq for ShmString<N> {}

impl<const N: usize> PartialOrd for ShmString<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for ShmString<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl<const N: usize> Hash for ShmString<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

// SAFETY: bytes only, so no padding; `is_valid` checks invariants 1 and 2.
#[diagnostic::do_not_recommend]
unsafe impl<const N: usize> ShmMessage for ShmString<N> {
    const LAYOUT: Layout<Self> = Layout::new(Schema::str(N));
    fn is_valid(bytes: &[u8]) -> bool {
        let Some((len, text)) = bytes.split_first_chunk() else { return false };
        let used = text.get(..u32::from_ne_bytes(*len) as usize);
        text.len() == N && used.is_some_and(|used| core::str::from_utf8(used).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{as_bytes, read};

    #[test]
    fn removed_text_is_not_sent() {
        let mut s = ShmString::<8>::new("grüße").unwrap();
        assert_eq!(s.pop(), Some('e'));
        s.truncate(3);
        assert_eq!(s, "gr");
        assert_eq!(&as_bytes(&s)[4..], b"gr\0\0\0\0\0\0");
    }

    #[test]
    fn refuses_what_does_not_fit_and_keeps_what_it_has() {
        let mut s = ShmString::<4>::new("abc").unwrap();
        assert_eq!(s.push('ß').unwrap_err().rejected, 'ß');
        assert!(s.push_str("de").is_err());
        assert_eq!(s.push('d'), Ok(()));
        assert_eq!(s, "abcd");
        assert!("abcde".parse::<ShmString<4>>().is_err());
        assert_eq!(ShmString::<4>::truncated("abcß"), "abc");
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let bytes = |len: u32, text: &[u8; 4]| [&len.to_ne_bytes()[..], text].concat();
        assert!(read::<ShmString<4>>(&bytes(4, b"abcd")).is_ok());
        assert!(read::<ShmString<4>>(&bytes(5, b"abcd")).is_err());
        assert!(read::<ShmString<4>>(&bytes(u32::MAX, b"abcd")).is_err());
        assert!(read::<ShmString<4>>(&bytes(2, &[b'a', 0xff, 0, 0])).is_err());
        assert!(read::<ShmString<4>>(&bytes(1, &[b'a', 0xff, 0, 0])).is_ok());
    }
}
