//! Addresses in the shared memory, and two ways to copy there: owned bytes, and bytes that change
//! meanwhile.
//!
//! Owns the pointer arithmetic of [`super`], which guarantees every offset. Calls `layout::Region` for the
//! base address. Never checks a bound. Under `cfg(loom)` the same operations access the memory of the model
//! checker.

use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

#[cfg(loom)]
use crate::fault::fault_point;
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
use crate::layout::CACHE_LINE;
use crate::layout::Region;
#[cfg(not(loom))]
use crate::layout::prefetch_for_write;
use crate::sync::AtomicU64;

/// An address in a region, with the accesses to it.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotPtr(NonNull<u8>);

// SAFETY: an address. Its users guarantee the soundness of their accesses, as for a `Region`.
#[cfg(not(loom))]
unsafe impl Send for SlotPtr {}
// SAFETY: as for `Send`.
#[cfg(not(loom))]
unsafe impl Sync for SlotPtr {}

#[cfg(not(loom))]
impl SlotPtr {
    pub(super) fn new(region: Region, at: usize, len: usize) -> Self {
        SlotPtr(region.ptr(at, len))
    }

    pub(super) fn pointer(self) -> NonNull<u8> {
        self.0
    }

    /// # Safety
    /// `by` more bytes are still in the region.
    #[inline(always)]
    pub(super) unsafe fn add(self, by: usize) -> Self {
        // SAFETY: the caller's promise.
        SlotPtr(unsafe { self.0.add(by) })
    }

    /// Prefetches for writing the line that lies `by` bytes further on. A hint: no result depends on it.
    #[inline(always)]
    pub(super) fn prefetch_for_write(self, by: usize) {
        prefetch_for_write(self.0.as_ptr().wrapping_add(by));
    }

    /// Prefetches for writing the line at this address and the next one.
    #[inline(always)]
    pub(super) fn prefetch_two_for_write(self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: accesses no memory, whatever the address. Processors that lack the instruction treat it
        // as a no-op.
        unsafe {
            core::arch::asm!(
                "prefetchw [{at}]",
                "prefetchw [{at} + {line}]",
                at = in(reg) self.0.as_ptr(),
                line = const CACHE_LINE,
                options(nostack, preserves_flags, readonly)
            );
        }
    }

    /// # Safety
    /// The 8 bytes from `at` are in the region, aligned, and accessed only as atomics while `'a` lasts.
    #[inline(always)]
    pub(super) unsafe fn word<'a>(self, at: usize) -> &'a AtomicU64 {
        // SAFETY: in the region.
        let word = unsafe { self.add(at) };
        // SAFETY: the caller's promise.
        unsafe { AtomicU64::from_ptr(word.0.as_ptr().cast()) }
    }

    /// # Safety
    /// `bytes.len()` bytes from `at` are in the region, and exclusively the caller's.
    #[inline]
    pub(super) unsafe fn write(self, at: usize, bytes: &[u8]) {
        // SAFETY: in the region.
        let to = unsafe { self.add(at) };
        // SAFETY: the caller's promise. A `&[u8]` does not overlap bytes that are exclusively the caller's.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to.0.as_ptr(), bytes.len()) };
    }

    /// # Safety
    /// `bytes.len()` bytes from `at` are in the region, and no participant writes them.
    #[inline]
    pub(super) unsafe fn read(self, at: usize, bytes: &mut [MaybeUninit<u8>]) {
        // SAFETY: in the region.
        let from = unsafe { self.add(at) };
        let from: *const MaybeUninit<u8> = from.0.as_ptr().cast();
        // SAFETY: the caller's promise. A `&mut` does not overlap any other bytes.
        unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }
}

/// The same operations on the memory of the model checker.
#[cfg(loom)]
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotPtr {
    region: Region,
    at: usize,
}

#[cfg(loom)]
impl SlotPtr {
    pub(super) fn new(region: Region, at: usize, _len: usize) -> Self {
        SlotPtr { region, at }
    }

    /// # Safety
    /// None: the memory of loom checks itself. This holds for all functions of this block.
    pub(super) unsafe fn add(self, by: usize) -> Self {
        SlotPtr { at: self.at + by, ..self }
    }

    pub(super) fn prefetch_for_write(self, _by: usize) {}

    pub(super) fn prefetch_two_for_write(self) {}

    pub(super) unsafe fn word<'a>(self, at: usize) -> &'a AtomicU64 {
        let word: *const AtomicU64 = self.region.u64(self.at + at);
        // SAFETY: the heap behind the region outlives the ring.
        unsafe { &*word }
    }

    /// Stores a word that belongs to no message, for an observer.
    pub(super) fn scribble(self, at: usize) {
        if self.region.is_observed() {
            self.region.u64(self.at + at).store(u64::MAX, crate::sync::Ordering::Relaxed);
        }
    }

    pub(super) unsafe fn write(self, at: usize, bytes: &[u8]) {
        for (i, bytes) in bytes.chunks_exact(8).enumerate() {
            let value = u64::from_ne_bytes(bytes.try_into().expect("whole words"));
            // SAFETY: loom gives a valid pointer, and reports any concurrent access.
            self.region.cell(self.at + at + 8 * i).with_mut(|cell| unsafe { *cell = value });
            // Relaxed: what an observer loads of a plain store.
            if self.region.is_observed() {
                self.region.u64(self.at + at + 8 * i).store(value, crate::sync::Ordering::Relaxed);
            }
            fault_point!("pub.word");
        }
    }

    pub(super) unsafe fn read(self, at: usize, bytes: &mut [MaybeUninit<u8>]) {
        for (i, bytes) in bytes.chunks_exact_mut(8).enumerate() {
            // SAFETY: as in `write`.
            let value = self.region.cell(self.at + at + 8 * i).with(|cell| unsafe { *cell });
            for (to, byte) in bytes.iter_mut().zip(value.to_ne_bytes()) {
                to.write(byte);
            }
        }
    }
}

/// Copies in one instruction that is opaque to the compiler. For the compiler these are bytes that change
/// while they are copied, not a data race.
///
/// x86-64 stores the bytes of one string operation in any order, but all of them after the stores before it
/// in the program and before the stores after it. Loads behave likewise. The sequence lock requires exactly
/// that of a payload.
#[cfg(all(target_arch = "x86_64", not(any(loom, miri, tsan))))]
pub(super) mod block {
    use super::{MaybeUninit, SlotPtr};
    use core::arch::x86_64::__m128i;

    /// Number of bytes from which on the instruction is faster than a loop over words.
    ///
    /// Measured on an AMD EPYC with fast short `rep movsb`, with the ring in the cache. Nanoseconds for one
    /// send, in words: 64 B 2.4; 256 B 6.4; 512 B 13; 768 B 18; 1 KiB 23; 2 KiB 43; 4 KiB 83. In one
    /// instruction: 512 B 18; 768 B 19; 1 KiB 21; 2 KiB 29; 4 KiB 41. A receive costs about the same.
    pub(in crate::ring::slot) const MIN: usize = 1024;

    /// # Safety
    /// `bytes.len()` bytes from `at` are in the region, and no reference to them exists.
    #[inline]
    pub(in crate::ring::slot) unsafe fn copy_in(place: SlotPtr, at: usize, bytes: &[u8]) {
        // SAFETY: in the region.
        let to = unsafe { place.add(at) };
        // SAFETY: both are valid for `bytes.len()` bytes; the direction flag is clear on entry to asm.
        unsafe { copy(bytes.as_ptr(), to.pointer().as_ptr(), bytes.len()) };
    }

    /// # Safety
    /// As for [`copy_in`].
    #[inline]
    pub(in crate::ring::slot) unsafe fn copy_out(place: SlotPtr, at: usize, bytes: &mut [MaybeUninit<u8>]) {
        // SAFETY: in the region.
        let from = unsafe { place.add(at) };
        // SAFETY: as in `copy_in`.
        unsafe { copy(from.pointer().as_ptr(), bytes.as_mut_ptr().cast(), bytes.len()) };
    }

    /// `true` if [`load_vector`] exists.
    pub(in crate::ring::slot) const VECTORS: bool = true;
    /// Number of bytes of a vector.
    pub(in crate::ring::slot) const VECTOR: usize = 16;

    /// Loads the vector at byte `at`, aligned to a word, in one instruction that is opaque to the compiler. x86-64 orders
    /// it like a load of a word. Each of its two words is whole.
    ///
    /// # Safety
    /// The bytes are in the region, and no reference to them exists.
    #[inline(always)]
    pub(in crate::ring::slot) unsafe fn load_vector(place: SlotPtr, at: usize) -> [MaybeUninit<u8>; VECTOR] {
        // SAFETY: in the region.
        let from = unsafe { place.add(at) };
        let vector: __m128i;
        // SAFETY: the bytes are in the region. The instruction writes no memory.
        unsafe {
            core::arch::asm!(
                "movups {vector}, [{from}]",
                vector = lateout(xmm_reg) vector,
                from = in(reg) from.pointer().as_ptr(),
                options(nostack, preserves_flags, readonly)
            );
        }
        // SAFETY: the same size, and all bytes are initialised.
        unsafe { core::mem::transmute(vector) }
    }

    #[inline(always)]
    unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the promise of the callers.
        unsafe {
            core::arch::asm!(
                "rep movsb",
                inout("rcx") len => _,
                inout("rsi") from => _,
                inout("rdi") to => _,
                options(nostack, preserves_flags)
            );
        }
    }
}

/// The platforms without such an instruction, and the checkers, copy words only.
#[cfg(not(all(target_arch = "x86_64", not(any(loom, miri, tsan)))))]
pub(super) mod block {
    use super::{MaybeUninit, SlotPtr};

    pub(in crate::ring::slot) const MIN: usize = isize::MAX as usize + 1;

    pub(in crate::ring::slot) unsafe fn copy_in(_: SlotPtr, _: usize, _: &[u8]) {
        unreachable!("no slice has `MIN` bytes")
    }

    pub(in crate::ring::slot) unsafe fn copy_out(_: SlotPtr, _: usize, _: &mut [MaybeUninit<u8>]) {
        unreachable!("no slice has `MIN` bytes")
    }

    pub(in crate::ring::slot) const VECTORS: bool = false;
    pub(in crate::ring::slot) const VECTOR: usize = 16;

    pub(in crate::ring::slot) unsafe fn load_vector(_: SlotPtr, _: usize) -> [MaybeUninit<u8>; VECTOR] {
        unreachable!("`VECTORS` is false")
    }
}
