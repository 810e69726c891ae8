//! [`Map`]: shared memory of a file, on Linux and macOS.
//!
//! Owns the mappings, and the list of all of them in this process. Calls `fork`. Never interprets their
//! contents.
//!
//! Children must not inherit a mapping: it would keep the file's locks, like its descriptor. With
//! `MADV_DONTFORK` the kernel omits it from a child. Some systems accept that call without effect, such as
//! qemu-user. There a forked child removes the inherited mappings. It detects the case by a page that must
//! not be inherited either. On macOS `minherit` does the same, and its result is trusted.

use super::File;
use super::fork::{self, Inherited, no_fork};
use super::inherit;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use rustix::io::Errno;
use rustix::mm::ProtFlags;
use std::io;
use std::ptr::NonNull;

/// Shared memory of a file, unmapped on drop.
///
/// Invariants:
/// 1. `len` bytes from `base` are a live shared mapping of this process alone (children do not inherit it).
/// 2. `file` is the open file that it was made from. While this value lives, the locks that were taken
///    through that file last, until the process ends, however it ends.
pub(crate) struct Map {
    base: NonNull<u8>,
    len: usize,
    range: &'static Range,
    _file: File,
}

// SAFETY: an address and a length, whose memory lives as long as the value.
unsafe impl Send for Map {}
// SAFETY: as for `Send`: no method changes the mapping.
unsafe impl Sync for Map {}

/// Maps the first `len` bytes of `file`, and keeps the file. With `populate`, also fills the page tables.
/// Children of a fork do not inherit the mapping.
pub(crate) fn map(file: File, len: usize, populate: bool) -> io::Result<Map> {
    map_with(file, len, populate, ProtFlags::READ | ProtFlags::WRITE)
}

/// Maps the first `len` bytes of `file` like [`map`], for loads only: a store ends the process.
pub(crate) fn map_read_only(file: File, len: usize) -> io::Result<Map> {
    map_with(file, len, false, ProtFlags::READ)
}

fn map_with(file: File, len: usize, populate: bool, access: ProtFlags) -> io::Result<Map> {
    fork::remove_in_children(Inherited::Mappings, remove_inherited)?;
    let forks = no_fork();
    let range = Range::free()?;
    let page = witness()?;
    // SAFETY: the page is never unmapped, and no byte of it is changed.
    let fills_later = populate && unsafe { inherit::fill(page.cast(), 1) }.is_ok();
    let flags = inherit::map_flags(populate && !fills_later);
    // SAFETY: a new mapping at an address that the kernel chooses.
    let at = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, access, flags, &file, 0)? };
    let base = NonNull::new(at.cast()).ok_or(Errno::NOMEM)?;
    range.set(base.as_ptr(), len);
    let map = Map { base, len, range, _file: file };
    // If the call has no effect, `remove_inherited` removes the mapping in a child.
    // SAFETY: the mapping is this function's own.
    let kept = unsafe { inherit::keep_from_children(at, len) };
    drop(forks);
    kept?;
    if fills_later {
        // If it fails, the first access to a page does the same. It takes too long to hold the lock meanwhile.
        // SAFETY: the mapping is live, and no byte of it is changed.
        let _ = unsafe { inherit::fill(at, len) };
    }
    Ok(map)
}

impl Map {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Drops this value without unmapping. For the child of a fork, in which other memory may lie at that
    /// address.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

#[cfg(test)]
impl Map {
    /// Makes children inherit this mapping, as on systems that ignore `MADV_DONTFORK`.
    #[cfg(target_os = "linux")]
    pub(super) fn give_to_children(&self) {
        use rustix::mm::Advice;
        let page = WITNESS.load(Ordering::Relaxed);
        for (at, len) in [(page.cast(), 1), (self.base.as_ptr().cast(), self.len)] {
            // SAFETY: both are mapped, and no byte of them is changed.
            unsafe { rustix::mm::madvise(at, len, Advice::LinuxDoFork).unwrap() };
        }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let _forks = no_fork();
        self.range.clear();
        // SAFETY: the mapping is live (invariant 1), and not used after this.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Address of a mapping; null if the entry is free.
struct Range {
    base: AtomicPtr<u8>,
    len: AtomicU64,
}

/// Number of entries that fit into a page of 4096 bytes.
const RANGES: usize = 255;

/// A part of the list of all mappings; its entries change under the lock of `fork`.
struct Ranges {
    next: AtomicPtr<Ranges>,
    all: [Range; RANGES],
}

static FIRST: AtomicPtr<Ranges> = AtomicPtr::new(std::ptr::null_mut());

impl Range {
    /// Returns an entry that is not in use.
    fn free() -> io::Result<&'static Range> {
        let mut link = &FIRST;
        loop {
            // Relaxed, here and below: under the lock.
            let mut part = link.load(Ordering::Relaxed);
            if part.is_null() {
                part = fork::pages(size_of::<Ranges>())?.cast();
                // [part published] pairs with [part found]: the zeros of a part are visible with its address.
                link.store(part, Ordering::Release);
            }
            // SAFETY: zeros are a valid part; it is never freed, and is only used as atomics.
            let part = unsafe { &*part };
            if let Some(range) = part.all.iter().find(|range| range.base.load(Ordering::Relaxed).is_null()) {
                return Ok(range);
            }
            link = &part.next;
        }
    }

    fn set(&self, base: *mut u8, len: usize) {
        // Relaxed: published by the store of the base.
        self.len.store(len as u64, Ordering::Relaxed);
        // [range set] pairs with [range found].
        self.base.store(base, Ordering::Release);
    }

    fn clear(&self) {
        // Relaxed: under the lock.
        self.base.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Returns `true` if the address lies in a mapping of this process. Takes no lock, so that a signal handler may call it.
/// The answer is exact for a word that the caller has mapped, or that belongs to the heap.
#[cfg_attr(not(any(target_os = "macos", test)), allow(dead_code, reason = "Linux needs no distinction"))]
pub(super) fn is_shared(address: usize) -> bool {
    // [part found] pairs with [part published].
    let mut part = FIRST.load(Ordering::Acquire);
    // SAFETY: null, or a part that is never freed and is only used as atomics.
    while let Some(ranges) = unsafe { part.as_ref() } {
        let found = ranges.all.iter().any(|range| {
            // [range found] pairs with [range set]: the length belongs to this base or to a later one.
            let base = range.base.load(Ordering::Acquire);
            let len = range.len.load(Ordering::Acquire) as usize;
            // An entry that was reused meanwhile has another base.
            address.wrapping_sub(base.addr()) < len
                && !base.is_null()
                && range.base.load(Ordering::Relaxed) == base
        });
        if found {
            return true;
        }
        // [part found]
        part = ranges.next.load(Ordering::Acquire);
    }
    false
}

/// A word of a page that children must not inherit; null before the first mapping.
static WITNESS: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());
/// Value of that word, which other memory at that address is unlikely to have.
const MARK: u32 = 0x9e37_79b9;

/// Returns the page that shows a child whether it has inherited mappings; the first call makes it. The caller
/// holds the lock.
fn witness() -> io::Result<*mut AtomicU32> {
    // Relaxed, here and below: under the lock.
    let known = WITNESS.load(Ordering::Relaxed);
    if !known.is_null() {
        return Ok(known);
    }
    let page: *mut AtomicU32 = fork::pages(1)?.cast();
    // SAFETY: page-aligned, mapped, and only used as an atomic.
    unsafe { &*page }.store(MARK, Ordering::Relaxed);
    // SAFETY: the page is this function's own.
    unsafe { inherit::keep_from_children(page.cast(), 1)? };
    WITNESS.store(page, Ordering::Relaxed);
    Ok(page)
}

/// Removes the mappings of the parent, in the child of a fork, if the kernel did not omit them.
fn remove_inherited() {
    // Relaxed, here and below: a child starts with one thread.
    let page = WITNESS.load(Ordering::Relaxed);
    let inherited = !page.is_null() && inherit::has_inherited(page, MARK);
    if !inherited {
        WITNESS.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
    let mut part = FIRST.load(Ordering::Relaxed);
    // SAFETY: null, or a part that is never freed and is only used as atomics.
    while let Some(ranges) = unsafe { part.as_ref() } {
        for range in &ranges.all {
            let base = range.base.load(Ordering::Relaxed);
            if base.is_null() {
                continue;
            }
            range.clear();
            if inherited {
                // SAFETY: a mapping of the parent, whose values are not used in a child (`ForkId`).
                let _ =
                    unsafe { rustix::mm::munmap(base.cast(), range.len.load(Ordering::Relaxed) as usize) };
            }
        }
        part = ranges.next.load(Ordering::Relaxed);
    }
}
