//! Words to sleep in, shared between processes, on macOS.
//!
//! Owns the calls of the system, which it finds at its first use. Calls `sleep` for their arguments and results, and
//! `map` to distinguish shared words from private ones. Never reads a word.
//!
//! No call waits for several words: a `WaitSet` and tasks have a sleeping thread for each word.
//!
//! A wake of a private word must be possible in a signal handler, where names of functions cannot be searched. If no
//! thread of the process has searched them, no thread sleeps in a private word, and the wake has nothing to do:
//!
//! ```text
//!   sleeper                              waker
//!   finds the calls                      changes the word
//!   fence(SeqCst)           [sleeper]    fence(SeqCst)           [waker]
//!   sleeps while the word is unchanged   are the calls known? otherwise: done
//! ```

use super::sleep::Calls;
use crate::os::{Woken, WokenOf, map};
use crate::sync::{AtomicU32, Ordering, fence};
use std::sync::OnceLock;
use std::time::Duration;

/// Largest number of words that one call can wait for.
pub(crate) const FUTEXES: usize = 1;

/// Address of a word, which may be unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FutexAt(usize);

impl FutexAt {
    /// Returns the address of `word`.
    pub(crate) fn new(word: &AtomicU32) -> Self {
        FutexAt(std::ptr::from_ref(word).expose_provenance())
    }
}

static CALLS: OnceLock<Calls> = OnceLock::new();

fn calls() -> Calls {
    *CALLS.get_or_init(|| {
        // SAFETY: a search among the functions of all libraries, by names that end with a zero.
        let find = |name: &std::ffi::CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        // SAFETY: these are the functions of the system.
        unsafe { Calls::choose(find) }
    })
}

/// Sleeps while `word` is `expected`, for at most `timeout`. Any process that has the word mapped can wake it.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
    futex_wait_at(FutexAt::new(word), expected, timeout)
}

/// Sleeps like [`futex_wait`], for a word that may be unmapped.
pub(crate) fn futex_wait_at(at: FutexAt, expected: u32, timeout: Duration) -> Woken {
    let calls = calls();
    // [sleeper] pairs with [waker].
    fence(Ordering::SeqCst);
    calls.wait(at.0, expected, map::is_shared(at.0), timeout)
}

/// Wakes all sleepers of `word`, in any process. Returns 0: the system does not count them.
pub(crate) fn futex_wake(word: &AtomicU32, _count: u32) -> usize {
    let FutexAt(address) = FutexAt::new(word);
    let shared = map::is_shared(address);
    // [waker] pairs with [sleeper].
    fence(Ordering::SeqCst);
    let calls = if shared { Some(calls()) } else { CALLS.get().copied() };
    if let Some(calls) = calls {
        calls.wake(address, shared);
    }
    0
}

/// Returns `false`.
pub(crate) fn waits_for_many() -> bool {
    false
}

/// Sleeps in one word. Is never called with several: [`waits_for_many`].
pub(crate) fn futex_wait_any(words: &[(FutexAt, u32)], timeout: Duration) -> WokenOf {
    debug_assert!(words.len() <= FUTEXES);
    match words {
        [(at, expected)] => match futex_wait_at(*at, *expected, timeout) {
            Woken::TimedOut => WokenOf::TimedOut,
            Woken::Perhaps => WokenOf::One(0),
        },
        _ => {
            std::thread::sleep(timeout);
            WokenOf::TimedOut
        }
    }
}

/// Returns `true` if the word is mapped and has that value. May return `false` for a page that is not resident.
pub(crate) fn futex_is(at: FutexAt, value: u32) -> bool {
    futex_wait_at(at, value, Duration::ZERO) == Woken::TimedOut
}
