//! Inline types: they store inside the message what std keeps on the heap, or hides.
//!
//! All of their bytes are initialised at all times. Removed content is overwritten with zeros, so that a
//! message shows only what its value holds.

#[cfg(any(feature = "zerocopy", feature = "bytemuck"))]
mod bytes;
mod encoded;
mod option;
#[cfg(feature = "serde")]
mod serde;
mod string;
mod time;
mod vec;

pub use encoded::Encoded;
pub use option::ShmOption;
pub use string::ShmString;
pub use time::Timestamp;
pub use vec::ShmVec;

use super::describe::Layout;
use super::{Schema, ShmMessage};

/// `N` bytes without meaning: the padding that a compiler would add, made explicit.
///
/// The bytes are always zeros when made in Rust, ignored by readers, equal to each other, and absent from the
/// fingerprint.
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "zerocopy",
    derive(
        zerocopy::FromBytes,
        zerocopy::IntoBytes,
        zerocopy::Immutable,
        zerocopy::KnownLayout,
        zerocopy::Unaligned
    )
)]
#[repr(transparent)]
pub struct Pad<const N: usize>([u8; N]);

impl<const N: usize> Pad<N> {
    /// Returns zeros.
    pub const fn new() -> Self {
        Pad([0; N])
    }
}

impl<const N: usize> Default for Pad<N> {
    fn default() -> Self {
        Pad::new()
    }
}

impl<const N: usize> core::fmt::Debug for Pad<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("..")
    }
}

impl<const N: usize> PartialEq for Pad<N> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<const N: usize> Eq for Pad<N> {}

impl<const N: usize> PartialOrd for Pad<N> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for Pad<N> {
    fn cmp(&self, _: &Self) -> core::cmp::Ordering {
        core::cmp::Ordering::Equal
    }
}

impl<const N: usize> core::hash::Hash for Pad<N> {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

// SAFETY: a type that consists of bytes.
#[diagnostic::do_not_recommend]
unsafe impl<const N: usize> ShmMessage for Pad<N> {
    const LAYOUT: Layout<Self> = Layout::new(Schema::pad(N));
    #[inline(always)]
    fn is_valid(bytes: &[u8]) -> bool {
        bytes.len() == N
    }
}

/// Error for content that does not fit; it returns the content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CapacityError<T = ()> {
    /// Content that was refused.
    pub rejected: T,
    /// Total capacity of the container.
    pub capacity: usize,
}

impl<T> CapacityError<T> {
    fn new(rejected: T, capacity: usize) -> Self {
        CapacityError { rejected, capacity }
    }
}

impl<T> core::fmt::Debug for CapacityError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CapacityError").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl<T> core::fmt::Display for CapacityError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "does not fit: the capacity is {}", self.capacity)
    }
}

impl<T> core::error::Error for CapacityError<T> {}
