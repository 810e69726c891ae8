//! Fork handling on Linux and macOS: [`ForkId`] distinguishes a process from its children, and a forked child closes
//! the inherited files and removes the inherited mappings.
//!
//! Owns the handlers of `pthread_atfork`, and the lock that prevents forks while a file is opened or a
//! mapping is made. In a forked child it calls the functions that `file` and `map` have registered. Never relies on
//! the result of one `madvise` call: qemu-user accepts `MADV_DONTFORK` and `MADV_WIPEONFORK` without effect.
//!
//! `fork` of the C library runs the handlers. A child made by the system call alone is detected by its wiped page. If
//! the system does not wipe pages, or accepts `MADV_WIPEONFORK` even for memory that it cannot wipe, such a child is
//! detected by its pid: each check takes a system call. Such a child keeps copies of the open files until it execs or
//! exits. On macOS no page can be wiped, and the handlers alone tell: Apple supports no direct system calls.

use super::inherit;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use rustix::mm::{MapFlags, ProtFlags};
use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// 0, or the pid of the process in which a thread holds the lock.
static LOCK: AtomicU32 = AtomicU32::new(0);
/// Longest time for which a fork waits for the lock. A thread holds it for a few system calls. A signal
/// handler that interrupts that thread and forks would wait forever.
const FORK_TIMEOUT: Duration = Duration::from_millis(100);

thread_local! {
    /// True while this thread holds the lock for the duration of a fork.
    static FORKING: Cell<bool> = const { Cell::new(false) };
}

/// Guard that prevents other threads from forking until it is dropped. No memory may be allocated meanwhile:
/// the allocator may take its own locks around a fork.
pub(super) struct NoFork(());

/// Waits until no thread forks, opens a file or makes a mapping, and takes the lock.
pub(super) fn no_fork() -> NoFork {
    let pid = super::pid();
    while !try_lock(pid) {
        std::thread::yield_now();
    }
    NoFork(())
}

impl Drop for NoFork {
    fn drop(&mut self) {
        // [lock left] pairs with [lock taken].
        LOCK.store(0, Ordering::Release);
    }
}

fn try_lock(pid: u32) -> bool {
    // [lock taken] pairs with [lock left]: the stores of the last holder are visible.
    let Err(holder) = LOCK.compare_exchange(0, pid, Ordering::Acquire, Ordering::Relaxed) else {
        return true;
    };
    // A thread of the parent held the lock at a fork whose handlers did not run.
    holder != pid && LOCK.compare_exchange(holder, pid, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

/// Resources that a child of a fork must remove, in the order of their removal.
#[derive(Clone, Copy)]
pub(super) enum Inherited {
    Files,
    Mappings,
}

/// Functions that a child runs, one for each [`Inherited`].
static REMOVE: [OnceLock<fn()>; 2] = [const { OnceLock::new() }; 2];

/// Registers the handlers of this module, and the function with which a child removes what it has inherited.
/// `remove` may make system calls and access static atomics, and must not allocate.
pub(super) fn remove_in_children(what: Inherited, remove: fn()) -> io::Result<()> {
    REMOVE[what as usize].get_or_init(|| remove);
    handle_forks()
}

/// Registers the handlers of this module, once per process.
fn handle_forks() -> io::Result<()> {
    static DONE: AtomicBool = AtomicBool::new(false);
    // Relaxed: if two threads register the handlers twice, the effect is the same.
    if DONE.load(Ordering::Relaxed) {
        return Ok(());
    }
    // SAFETY: the handlers live as long as the code of this library, and make only system calls and
    // accesses to static atomics and to one word of the thread.
    let result = unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    DONE.store(true, Ordering::Relaxed);
    Ok(())
}

extern "C" fn prepare() {
    if FORKING.get() {
        return;
    }
    let (pid, start) = (super::pid(), Instant::now());
    while !try_lock(pid) {
        if start.elapsed() > FORK_TIMEOUT {
            return;
        }
        std::thread::yield_now();
    }
    FORKING.set(true);
}

extern "C" fn in_parent() {
    if FORKING.replace(false) {
        drop(NoFork(()));
    }
}

extern "C" fn in_child() {
    // Relaxed: a child starts with one thread.
    let page = PAGE.load(Ordering::Relaxed);
    // SAFETY: `PAGE` is null or a word that is never freed and is only used as an atomic.
    if let Some(word) = unsafe { page.as_ref() } {
        word.store(0, Ordering::Relaxed);
    }
    // A thread of the parent that had a file or a mapping had registered its function before.
    for remove in REMOVE.iter().filter_map(OnceLock::get) {
        remove();
    }
    FORKING.set(false);
    drop(NoFork(()));
}

/// Returns at least `len` bytes of zeros, from the start of a page, that are never unmapped.
pub(super) fn pages(len: usize) -> io::Result<*mut u8> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let at = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, access, MapFlags::PRIVATE)? };
    Ok(at.cast())
}

/// Distinguishes a process from the children that it forks.
///
/// Invariant: `word` lies in a page that lives as long as the process. It is [`SAME`] in the process that
/// made it and 0 in its children. If the system does not wipe pages, it is [`ASK`] and the maker's pid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForkId {
    word: &'static AtomicU32,
}

const SAME: u32 = 1;
/// Pids have 22 bits.
const ASK: u32 = 1 << 31;

/// Page of this process: null before its first use, the parent's page in a child.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

impl ForkId {
    /// Returns the fork id of the calling process. A forked child gets its own fork id, so that the ends that
    /// it opens work, and the inherited ones report the fork.
    pub(crate) fn here() -> io::Result<Self> {
        handle_forks()?;
        loop {
            // [page made] pairs with [page published] below.
            let known = PAGE.load(Ordering::Acquire);
            // SAFETY: `PAGE` is null or a word that is never freed and is only used as an atomic.
            if let Some(word) = unsafe { known.as_ref() } {
                let fork_id = ForkId { word };
                if !fork_id.forked() {
                    return Ok(fork_id);
                }
            }
            let page = pages(1)?;
            // SAFETY: the page is this function's own, and a child may find it wiped.
            let wiped = unsafe { inherit::wipe_in_children(page.cast()) };
            let word: *mut AtomicU32 = page.cast();
            // SAFETY: page-aligned, mapped, and only used as an atomic.
            let mark = unsafe { &*word };
            // Relaxed: published by the exchange below.
            mark.store(if wiped { SAME } else { ASK | super::pid() }, Ordering::Relaxed);
            // [page published] pairs with [page made].
            if PAGE.compare_exchange(known, word, Ordering::Release, Ordering::Relaxed).is_err() {
                // SAFETY: no other thread knows the page.
                let _ = unsafe { rustix::mm::munmap(page.cast(), 1) };
            }
        }
    }

    /// Returns `true` in a child of the process that called [`ForkId::here`].
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        // Relaxed: it orders no other access; only a fork changes it.
        let word = self.word.load(Ordering::Relaxed);
        word != SAME && Self::is_of_another(word)
    }

    #[cold]
    fn is_of_another(word: u32) -> bool {
        word != ASK | super::pid()
    }
}
