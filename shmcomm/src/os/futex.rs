//! The futex that other processes share, on Linux: one word, or many at once.
//!
//! Owns the system calls. Sleepers for many words name them by address ([`FutexAt`]) as the reactor
//! may outlive a mapping by an instant: only the kernel ever reads what is there, and refuses if
//! there is nothing.

use super::{FUTEXES, Woken, WokenOf};
use crate::sync::AtomicU32;
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Wait, WaitFlags, WaitvFlags};
use rustix::time::{ClockId, Timespec};
use std::ffi::c_void;
use std::sync::OnceLock;
use std::time::Duration;

/// Where a futex is, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FutexAt(usize);

impl FutexAt {
    /// The futex `word`.
    pub(crate) fn new(word: &AtomicU32) -> Self {
        FutexAt(std::ptr::from_ref(word).expose_provenance())
    }

    fn wait(self, expected: u32) -> Wait {
        let mut wait = Wait::new();
        wait.val = expected.into();
        wait.uaddr = std::ptr::with_exposed_provenance_mut::<c_void>(self.0).into();
        // Not private: wakes come from other processes.
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

/// Sleeps while `word` is `expected`, at most `timeout`; wakes come from any process that has the
/// word mapped.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
    match futex::wait(word, Flags::empty(), expected, Some(&timespec(timeout))) {
        Err(Errno::TIMEDOUT) => Woken::TimedOut,
        // Whatever else it is, the caller looks for itself.
        _ => Woken::Perhaps,
    }
}

/// Wakes up to `count` sleepers of `word`, in any process; returns how many there were.
pub(crate) fn futex_wake(word: &AtomicU32, count: u32) -> usize {
    // The kernel reads the count as signed.
    futex::wake(word, Flags::empty(), count.min(i32::MAX as u32)).unwrap_or(0)
}

/// Whether this system waits for more than one word at once: Linux 5.16 and later do, unless a
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
    // This call takes the time at which to give up, not how long to wait.
    let end = timespec(now.saturating_add(timeout));
    futex::waitv(waits, WaitvFlags::empty(), Some(&end), ClockId::Monotonic)
}

/// Sleeps while each word has the value it is listed with, at most `timeout`; no more than
/// [`FUTEXES`] words. Only where the system [can](waits_for_many).
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

/// Sleeps while the word is `expected`, at most `timeout`: [`futex_wait`] for a word that may be gone.
pub(crate) fn futex_wait_at(at: FutexAt, expected: u32, timeout: Duration) -> Woken {
    let timeout = timespec(timeout);
    // SAFETY: the kernel checks the address, and writes nothing there; the timeout lives for the call.
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

/// Whether the word is there and has that value.
pub(crate) fn futex_is(at: FutexAt, value: u32) -> bool {
    futex_wait_at(at, value, Duration::ZERO) == Woken::TimedOut
}
