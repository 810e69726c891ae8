//! [`Map`]: shared memory of a file, on Linux.
//!
//! Owns the mappings, and the list of all of them in this process. Calls `fork`. Never interprets their
//! contents.
//!
//! Children must not inherit a mapping: it would keep the file's locks, like its descriptor. With
//! `MADV_DONTFORK` the kernel omits it from a child. Some systems accept that call without effect, such as
//! qemu-user. There a forked child removes the inherited mappings. It detects the case by a page that must
//! not be inherited either.

use super::File;
use super::fork::{self, Inherited, no_fork};
use super::futex::{FutexAt, futex_is};
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::ffi::c_void;
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
    let fills_later = populate && unsafe { fill(page.cast(), 1) }.is_ok();
    let mut flags = MapFlags::SHARED;
    flags.set(MapFlags::POPULATE, populate && !fills_later);
    // SAFETY: a new mapping at an address that the kernel chooses.
    let at = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, access, flags, &file, 0)? };
    let base = NonNull::new(at.cast()).ok_or(Errno::NOMEM)?;
    range.set(base.as_ptr(), len);
    let map = Map { base, len, range, _file: file };
    // If the call fails or has no effect, `remove_inherited` removes the mapping in a child.
    // SAFETY: the mapping is this function's own.
    let _ = unsafe { rustix::mm::madvise(at, len, Advice::LinuxDontFork) };
    drop(forks);
    if fills_later {
        // If it fails, the first access to a page does the same.
        // SAFETY: the mapping is live, and no byte of it is changed.
        let _ = unsafe { fill(at, len) };
    }
    Ok(map)
}

/// Fills the page tables of a mapping. Linux before 5.14 refuses it. The call takes too long to hold the lock
/// meanwhile.
///
/// # Safety
/// `len` bytes from `at` are mapped.
unsafe fn fill(at: *mut c_void, len: usize) -> rustix::io::Result<()> {
    // SAFETY: the caller's promise; no byte of the mapping is changed.
    unsafe { rustix::mm::madvise(at, len, Advice::LinuxPopulateRead) }
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
    pub(super) fn give_to_children(&self) {
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
                link.store(part, Ordering::Relaxed);
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
        // Relaxed, here and below: under the lock.
        self.len.store(len as u64, Ordering::Relaxed);
        self.base.store(base, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.base.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
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
    let _ = unsafe { rustix::mm::madvise(page.cast(), 1, Advice::LinuxDontFork) };
    WITNESS.store(page, Ordering::Relaxed);
    Ok(page)
}

/// Removes the mappings of the parent, in the child of a fork, if the kernel did not omit them.
fn remove_inherited() {
    // Relaxed, here and below: a child starts with one thread.
    let page = WITNESS.load(Ordering::Relaxed);
    // The kernel checks the address, because the page may be unmapped.
    let inherited = !page.is_null() && futex_is(FutexAt::at(page), MARK);
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
