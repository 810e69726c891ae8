//! Futexes shared between processes, on Linux: one word, or several at once.
//!
//! Owns the system calls. Sleepers on several words name them by address ([`FutexAt`]), because the reactor
//! may briefly outlive a mapping. Only the kernel reads that address, and it returns an error if nothing is
//! mapped there.

use super::{Woken, WokenOf};
use crate::sync::AtomicU32;
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Wait, WaitFlags, WaitvFlags};
use rustix::time::{ClockId, Timespec};
use std::ffi::c_void;
use std::sync::OnceLock;
use std::time::Duration;

/// Largest number of words that one call can wait for.
pub(crate) const FUTEXES: usize = 128;

/// Address of a futex, which may be unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FutexAt(usize);

impl FutexAt {
    /// Returns the address of the futex `word`.
    pub(crate) fn new(word: &AtomicU32) -> Self {
        Self::at(word)
    }

    /// Returns the address of a futex that may not be mapped.
    pub(super) fn at(word: *const AtomicU32) -> Self {
        FutexAt(word.expose_provenance())
    }

    fn wait(self, expected: u32) -> Wait {
        let mut wait = Wait::new();
        wait.val = expected.into();
        wait.uaddr = std::ptr::with_exposed_provenance_mut::<c_void>(self.0).into();
        // Not private: other processes wake it.
        wait.flags = WaitFlags::SIZE_U32;
        wait
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX as _),
        tv_nsec: duration.subsec_nanos() as _,
    }
}

/// Sleeps while `word` is `expected`, for at most `timeout`. Any process that has the word mapped can wake
/// it.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
    match futex::wait(word, Flags::empty(), expected, Some(&timespec(timeout))) {
        Err(Errno::TIMEDOUT) => Woken::TimedOut,
        // In every other case the caller checks its own condition.
        _ => Woken::Perhaps,
    }
}

/// Wakes up to `count` sleepers of `word`, in any process. Returns the number of woken sleepers.
pub(crate) fn futex_wake(word: &AtomicU32, count: u32) -> usize {
    // The kernel reads the count as signed.
    futex::wake(word, Flags::empty(), count.min(i32::MAX as u32)).unwrap_or(0)
}

/// Returns `true` if this system can wait for several words at once. Linux 5.16 and later can, unless a
/// sandbox forbids it.
pub(crate) fn waits_for_many() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let word = AtomicU32::new(0);
        let wait = FutexAt::new(&word).wait(1);
        waitv(&[wait], Duration::ZERO) == Err(Errno::AGAIN)
    })
}

fn waitv(waits: &[Wait], timeout: Duration) -> Result<usize, Errno> {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
    // This call takes an absolute end time, not a duration.
    let end = timespec(now.saturating_add(timeout));
    futex::waitv(waits, WaitvFlags::empty(), Some(&end), ClockId::Monotonic)
}

/// Sleeps while each word has the value it is listed with, for at most `timeout`. Takes at most [`FUTEXES`]
/// words. May be called only if [`waits_for_many`] returns `true`.
pub(crate) fn futex_wait_any(words: &[(FutexAt, u32)], timeout: Duration) -> WokenOf {
    debug_assert!(words.len() <= FUTEXES);
    let mut waits = [const { Wait::new() }; FUTEXES];
    for (wait, (at, expected)) in waits.iter_mut().zip(words) {
        *wait = at.wait(*expected);
    }
    match waitv(&waits[..words.len().min(FUTEXES)], timeout) {
        Ok(index) => WokenOf::One(index),
        Err(Errno::TIMEDOUT) => WokenOf::TimedOut,
        Err(_) => WokenOf::Perhaps,
    }
}

/// Sleeps while the word is `expected`, for at most `timeout`: [`futex_wait`] for a word that may be
/// unmapped.
pub(crate) fn futex_wait_at(at: FutexAt, expected: u32, timeout: Duration) -> Woken {
    let timeout = timespec(timeout);
    // SAFETY: the kernel checks the address and writes nothing there; the timeout outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            std::ptr::with_exposed_provenance::<u32>(at.0),
            libc::FUTEX_WAIT,
            expected,
            &raw const timeout,
        )
    };
    if result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT) {
        return Woken::TimedOut;
    }
    Woken::Perhaps
}

/// Returns `true` if the word is mapped and has that value.
pub(crate) fn futex_is(at: FutexAt, value: u32) -> bool {
    futex_wait_at(at, value, Duration::ZERO) == Woken::TimedOut
}
