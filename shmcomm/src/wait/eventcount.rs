//! The eventcount: the handshake between a notifier, which publishes, and a sleeper, which waits for that.
//!
//! Sources: eventcount (Vyukov; folly), store-load handshake (Dekker). The futex wait is `commit_wait`.
//!
//! Owns the order of its steps. Calls atomics only. Never sleeps: it works on words, so that loom runs it
//! (`model`).
//!
//! ```text
//!   notifier                            sleeper
//!   publish                             futex value → v     ┐ of each word
//!   MODE == 0?  → done                  WAITERS := 1        ┘ that it sleeps in
//!   fence(SeqCst)          [notify]     fence(SeqCst)             [sleep]
//!   WAITERS := 0, was it 1?             is anything published? → done
//!   FUTEX += 1, wake all                sleep while each FUTEX is its v
//! ```
//!
//! 1. One of the two fences comes first. If it is the notifier's fence, the sleeper's poll after its own
//!    fence sees the published data. If it is the sleeper's fence, the notifier sees `WAITERS`. One fence
//!    of the sleeper is enough for any number of events: the fence of each notifier comes before it or
//!    after it.
//! 2. A notifier that clears the flag changes `FUTEX` afterwards, and every sleeper loaded `FUTEX` before
//!    it set the flag. The sleeper whose flag was cleared therefore finds `FUTEX` changed, or is already
//!    asleep and is woken. If one side made its two steps in the other order, the other side could make
//!    both steps in between. A notifier that is late with the wake for a message that was received before
//!    would clear the flag. The sleeper would have the new value of `FUTEX`, and no notifier would wake it
//!    for the next message.
//! 3. A flag that a sleeper leaves set costs the next notifier one wake without a sleeper.

use crate::fault::{fault_point, mutant};
use crate::sync::{AtomicU32, Ordering, fence};

/// The words of an event that both sides change.
#[derive(Clone, Copy)]
pub(super) struct Words<'w> {
    pub(super) waiters: &'w AtomicU32,
    pub(super) futex: &'w AtomicU32,
}

impl Words<'_> {
    /// Returns `true` if a participant set the flag. The caller must have published before.
    pub(super) fn has_waiters(&self) -> bool {
        if !mutant("wait no fence of the notifier") {
            // [notify] pairs with [sleep]. (1)
            fence(Ordering::SeqCst);
        }
        // Relaxed: ordered by the fence.
        self.waiters.load(Ordering::Relaxed) != 0
    }

    /// Clears the flag and changes the futex, for all participants that set the flag. The caller must then
    /// wake the sleepers.
    pub(super) fn notify(&self) {
        if mutant("wait answer before the flag") {
            self.futex.fetch_add(1, Ordering::Release);
            self.waiters.swap(0, Ordering::AcqRel);
            return;
        }
        // Acquire, of the read: keeps the change of the futex behind it. (2)
        self.waiters.swap(0, Ordering::AcqRel);
        fault_point!("wake.flag");
        self.futex.fetch_add(1, Ordering::Release);
    }

    /// Sets the flag. Returns the value that the futex must still have for a sleep. The
    /// caller must then call [`fence_waiter`] and poll.
    pub(super) fn prepare_wait(&self) -> u32 {
        if mutant("wait value after the flag") {
            self.waiters.store(1, Ordering::Relaxed);
            return self.futex.load(Ordering::Acquire);
        }
        // Acquire: the value is read before the flag is set. (2)
        let value = self.futex.load(Ordering::Acquire);
        // Relaxed: ordered by the fence of `fence_waiter`.
        self.waiters.store(1, Ordering::Relaxed);
        fault_point!("wait.flagged");
        value
    }
}

/// Executes the fence between the last [`Words::prepare_wait`] and the poll.
pub(super) fn fence_waiter() {
    if !mutant("wait no fence of the sleeper") {
        // [sleep] pairs with [notify]. (1)
        fence(Ordering::SeqCst);
    }
}

/// Sets the flag of each of these events, executes the fence, and polls.
pub(super) fn prepare_wait<const N: usize, T>(
    words: [Words<'_>; N],
    poll: impl FnOnce() -> T,
) -> ([u32; N], T) {
    if mutant("wait check before the flag") {
        let polled = poll();
        let values = words.map(|words| words.prepare_wait());
        fence_waiter();
        return (values, polled);
    }
    let values = words.map(|words| words.prepare_wait());
    fence_waiter();
    (values, poll())
}
