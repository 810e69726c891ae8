//! [`Region`]: the bytes of a segment, as the rings see them.
//!
//! Owns the step from an offset to an atomic word or a pointer. Never maps, allocates or frees: it
//! is a view of memory that its maker keeps alive. Under `cfg(loom)` the same verbs reach loom's
//! words instead, so that the model checker runs the rings unchanged.

#[cfg(not(loom))]
mod real {
    use crate::sync::{AtomicU32, AtomicU64};
    use core::ptr::NonNull;

    /// Bytes shared with other processes.
    ///
    /// Invariants:
    /// 1. `base` is aligned to a page (to 64 on the heap) and `len` bytes from it are mapped,
    ///    readable and writable for as long as any copy of this value is used.
    /// 2. Nobody makes a reference to the bytes, other than to atomics, unless a ring's protocol
    ///    gives it the slot for itself.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Region {
        base: NonNull<u8>,
        len: usize,
    }

    // SAFETY: a region is an address; what is behind it is reached through atomics, or through
    // pointers whose users answer for them (invariant 2).
    unsafe impl Send for Region {}
    // SAFETY: as for `Send`.
    unsafe impl Sync for Region {}

    impl Region {
        /// # Safety
        /// Invariants 1 and 2.
        pub(crate) const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
            Region { base, len }
        }

        pub(crate) const fn len(&self) -> usize {
            self.len
        }

        /// The word at byte `at`. Panics where the layout is violated, which `Geometry` rules out.
        #[inline]
        pub(crate) fn u64(&self, at: usize) -> &AtomicU64 {
            assert!(at.is_multiple_of(8) && at < self.len && self.len - at >= 8);
            // SAFETY: in bounds and aligned (just checked; invariant 1), and shared only as an
            // atomic (invariant 2).
            unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
        }

        /// The half word at byte `at`.
        #[inline]
        pub(crate) fn u32(&self, at: usize) -> &AtomicU32 {
            assert!(at.is_multiple_of(4) && at < self.len && self.len - at >= 4);
            // SAFETY: as for `u64`.
            unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(at).cast()) }
        }

        /// A pointer to `len` bytes at `at`. What it may be used for, the ring says.
        #[inline]
        pub(crate) fn ptr(&self, at: usize, len: usize) -> NonNull<u8> {
            assert!(at <= self.len && self.len - at >= len);
            // SAFETY: in bounds (just checked).
            unsafe { self.base.add(at) }
        }
    }
}

#[cfg(not(loom))]
pub(crate) use real::Region;
