//! Pages that the children of a fork do not inherit, and the flags of mappings, on Linux and macOS.
//!
//! Owns the system calls. Calls `futex` on Linux. Never changes a byte.
//!
//! | what | Linux | macOS |
//! |---|---|---|
//! | children do not inherit pages | `MADV_DONTFORK`; its result is not trusted | `VM_INHERIT_NONE` of `minherit(2)`; its result is trusted |
//! | a page is clear in children | `MADV_WIPEONFORK` | the handler of `pthread_atfork` alone: no call clears a page |
//! | page tables are filled | `MAP_POPULATE`, `MADV_POPULATE_READ` | no call does it |

use crate::sync::AtomicU32;
use rustix::mm::MapFlags;
use std::ffi::c_void;
use std::io;

/// Makes the kernel omit pages from the children of a fork. On Linux it may have no effect: see `map`.
///
/// # Safety
/// `len` bytes from `at` are mapped, and belong to the caller.
#[cfg(target_os = "linux")]
pub(super) unsafe fn keep_from_children(at: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: the caller's promise; no byte is changed.
    let _ = unsafe { rustix::mm::madvise(at, len, rustix::mm::Advice::LinuxDontFork) };
    Ok(())
}

/// Makes the kernel omit pages from the children of a fork.
///
/// # Safety
/// `len` bytes from `at` are mapped, and belong to the caller.
#[cfg(target_os = "macos")]
pub(super) unsafe fn keep_from_children(at: *mut c_void, len: usize) -> io::Result<()> {
    // SAFETY: the caller's promise; no byte is changed.
    match unsafe { libc::minherit(at, len, libc::VM_INHERIT_NONE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns `true` in a child of a fork if it has inherited a page that holds `mark` and that it must not inherit.
#[cfg(target_os = "linux")]
pub(super) fn has_inherited(page: *const AtomicU32, mark: u32) -> bool {
    use super::futex::{FutexAt, futex_is};
    // The kernel checks the address, because the page may be unmapped.
    futex_is(FutexAt::at(page), mark)
}

/// Returns `false`: the result of [`keep_from_children`] is trusted.
#[cfg(target_os = "macos")]
pub(super) fn has_inherited(_page: *const AtomicU32, _mark: u32) -> bool {
    false
}

/// Returns `true` if the system accepts `MADV_WIPEONFORK` for shared memory, which Linux refuses. Such a system does not
/// evaluate the advice.
#[cfg(target_os = "linux")]
fn accepts_all_advice() -> bool {
    use rustix::mm::{Advice, ProtFlags};
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let shared = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), 1, access, MapFlags::SHARED) };
    let Ok(shared) = shared else { return true };
    // SAFETY: the page is this function's own.
    let accepted = unsafe { rustix::mm::madvise(shared, 1, Advice::LinuxWipeOnFork) }.is_ok();
    // SAFETY: the page is this function's own, and not used after this.
    let _ = unsafe { rustix::mm::munmap(shared, 1) };
    accepted
}

/// Makes the kernel clear a page in the children of a fork. Returns `true` if the kernel accepts it, or if the handler
/// of `fork` is enough.
///
/// # Safety
/// A page is mapped at `page` and belongs to the caller.
pub(super) unsafe fn wipe_in_children(page: *mut c_void) -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: the caller's promise.
    return unsafe { rustix::mm::madvise(page, 1, rustix::mm::Advice::LinuxWipeOnFork) }.is_ok()
        && !accepts_all_advice();
    #[cfg(target_os = "macos")]
    return !page.is_null();
}

/// Returns the flags of a mapping. With `populate`, the kernel fills the page tables when it makes the mapping, if it
/// can.
pub(super) fn map_flags(populate: bool) -> MapFlags {
    #[cfg(target_os = "linux")]
    if populate {
        return MapFlags::SHARED | MapFlags::POPULATE;
    }
    let _ = populate;
    MapFlags::SHARED
}

/// Fills the page tables of a mapping. Linux before 5.14 and macOS refuse it.
///
/// # Safety
/// `len` bytes from `at` are mapped.
pub(super) unsafe fn fill(at: *mut c_void, len: usize) -> rustix::io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: the caller's promise; no byte of the mapping is changed.
    return unsafe { rustix::mm::madvise(at, len, rustix::mm::Advice::LinuxPopulateRead) };
    #[cfg(target_os = "macos")]
    {
        let _ = (at, len);
        Err(rustix::io::Errno::NOSYS)
    }
}
