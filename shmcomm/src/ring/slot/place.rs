//! Addresses in the shared memory, and the two ways to copy there: owned bytes, and bytes that change
//! meanwhile.
//!
//! Owns the pointer arithmetic of [`super`], which answers for every offset. Under `cfg(loom)` the
//! same verbs reach the model checker's memory.

use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

#[cfg(loom)]
use crate::fault::fault_point;
use crate::layout::Region;
use crate::sync::AtomicU64;

/// An address in a region, and what can be done there.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(NonNull<u8>);

// SAFETY: an address; its users answer for what they do there, as for a `Region`.
#[cfg(not(loom))]
unsafe impl Send for Place {}
// SAFETY: as for `Send`.
#[cfg(not(loom))]
unsafe impl Sync for Place {}

#[cfg(not(loom))]
impl Place {
    pub(super) fn new(region: Region, at: usize, len: usize) -> Self {
        Place(region.ptr(at, len))
    }

    pub(super) fn pointer(self) -> NonNull<u8> {
        self.0
    }

    /// # Safety
    /// `by` more bytes are still in the region.
    #[inline(always)]
    pub(super) unsafe fn add(self, by: usize) -> Self {
        // SAFETY: the caller's promise.
        Place(unsafe { self.0.add(by) })
    }

    /// Asks for the line `by` bytes on, to be written soon. A hint: nothing depends on it.
    #[inline(always)]
    pub(super) fn expect_to_write(self, by: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: accesses no memory, whatever the address; processors that do not know the instruction take
        // it for none.
        unsafe {
            let at = self.0.as_ptr().wrapping_add(by);
            core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = by;
    }

    /// # Safety
    /// The 8 bytes from `at` are in the region, aligned, and nobody uses them but as atomics while
    /// `'a` lasts.
    #[inline(always)]
    pub(super) unsafe fn word<'a>(self, at: usize) -> &'a AtomicU64 {
        // SAFETY: in the region.
        let word = unsafe { self.add(at) };
        // SAFETY: the caller's promise.
        unsafe { AtomicU64::from_ptr(word.0.as_ptr().cast()) }
    }

    /// # Safety
    /// As many bytes from `at` are in the region, and exclusively the caller's.
    #[inline]
    pub(super) unsafe fn write(self, at: usize, bytes: &[u8]) {
        // SAFETY: in the region.
        let to = unsafe { self.add(at) };
        // SAFETY: the caller's promise; a `&[u8]` does not overlap what is the caller's alone.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to.0.as_ptr(), bytes.len()) };
    }

    /// # Safety
    /// As many bytes from `at` are in the region, and nobody writes them.
    #[inline]
    pub(super) unsafe fn read(self, at: usize, bytes: &mut [MaybeUninit<u8>]) {
        // SAFETY: in the region.
        let from = unsafe { self.add(at) };
        let from: *const MaybeUninit<u8> = from.0.as_ptr().cast();
        // SAFETY: the caller's promise; a `&mut` does not overlap anything.
        unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }
}

/// The same verbs on the model checker's memory.
#[cfg(loom)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    region: Region,
    at: usize,
}

#[cfg(loom)]
impl Place {
    pub(super) fn new(region: Region, at: usize, _len: usize) -> Self {
        Place { region, at }
    }

    /// # Safety
    /// None: loom's memory checks itself. The same for all of these.
    pub(super) unsafe fn add(self, by: usize) -> Self {
        Place { at: self.at + by, ..self }
    }

    pub(super) fn expect_to_write(self, _by: usize) {}

    pub(super) unsafe fn word<'a>(self, at: usize) -> &'a AtomicU64 {
        let word: *const AtomicU64 = self.region.u64(self.at + at);
        // SAFETY: the heap behind the region outlives the ring.
        unsafe { &*word }
    }

    pub(super) unsafe fn write(self, at: usize, bytes: &[u8]) {
        for (i, bytes) in bytes.chunks_exact(8).enumerate() {
            let value = u64::from_ne_bytes(bytes.try_into().expect("whole words"));
            // SAFETY: loom gives a valid pointer, and reports whoever uses it at the same time.
            self.region.cell(self.at + at + 8 * i).with_mut(|cell| unsafe { *cell = value });
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

/// Copies in one instruction that the compiler cannot look into: to it these are bytes that change
/// while they are copied, not a data race.
///
/// x86-64 stores the bytes of one string operation in any order, but all of them after the stores
/// before it in the program and before those after it, and loads likewise. That is what the sequence
/// lock asks of a payload.
#[cfg(all(target_arch = "x86_64", not(any(loom, miri, tsan))))]
pub(super) mod block {
    use super::{MaybeUninit, Place};

    /// From this many bytes on it is faster than a loop over words.
    ///
    /// Nanoseconds for one send on an AMD EPYC with fast short `rep movsb`, the ring in the cache, in
    /// words and in one instruction: 64 B 2.4; 256 B 6.4; 512 B 13 and 18; 768 B 18 and 19; 1 KiB 23
    /// and 21; 2 KiB 43 and 29; 4 KiB 83 and 41. A receive costs about the same.
    pub(in crate::ring::slot) const MIN: usize = 1024;

    /// # Safety
    /// As many bytes from `at` are in the region, and no reference to them exists.
    #[inline]
    pub(in crate::ring::slot) unsafe fn put(place: Place, at: usize, bytes: &[u8]) {
        // SAFETY: in the region.
        let to = unsafe { place.add(at) };
        // SAFETY: both are valid for that many bytes; the direction flag is clear on entry to asm.
        unsafe { copy(bytes.as_ptr(), to.pointer().as_ptr(), bytes.len()) };
    }

    /// # Safety
    /// As for [`put`].
    #[inline]
    pub(in crate::ring::slot) unsafe fn take(place: Place, at: usize, bytes: &mut [MaybeUninit<u8>]) {
        // SAFETY: in the region.
        let from = unsafe { place.add(at) };
        // SAFETY: as in `put`.
        unsafe { copy(from.pointer().as_ptr(), bytes.as_mut_ptr().cast(), bytes.len()) };
    }

    #[inline(always)]
    unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the callers'.
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

/// Nothing of the kind here: words only.
#[cfg(not(all(target_arch = "x86_64", not(any(loom, miri, tsan)))))]
pub(super) mod block {
    use super::{MaybeUninit, Place};

    pub(in crate::ring::slot) const MIN: usize = usize::MAX;

    pub(in crate::ring::slot) unsafe fn put(_: Place, _: usize, _: &[u8]) {
        unreachable!("no slice has `MIN` bytes")
    }

    pub(in crate::ring::slot) unsafe fn take(_: Place, _: usize, _: &mut [MaybeUninit<u8>]) {
        unreachable!("no slice has `MIN` bytes")
    }
}
