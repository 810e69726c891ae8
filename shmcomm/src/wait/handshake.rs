//! The handshake between whoever publishes and whoever sleeps until then.
//!
//! Owns the order of its steps, and nothing else: it works on words, so that loom runs it (`model`).
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
//! 1. Of the two fences one comes first. If it is the notifier's, the sleeper's look after its own
//!    fence sees what was published. If it is the sleeper's, the notifier sees `WAITERS`. One fence of
//!    the sleeper does for any number of events: each notifier's comes before it or after it.
//! 2. A notifier that takes the flag away changes `FUTEX` afterwards, and every sleeper read `FUTEX`
//!    before it set the flag: so whoever set the flag that was taken either finds `FUTEX` changed,
//!    or is already asleep and woken. If either did its two steps the other way round, then between
//!    them the other could do both: a notifier that is late with the wake for a message that was
//!    received long ago takes the flag, the sleeper has the new value of `FUTEX`, and nobody wakes it
//!    for the next message.
//! 3. A flag that a sleeper leaves behind costs the next notifier one wake of nobody.

use crate::fault::{fault_point, mutant};
use crate::sync::{AtomicU32, Ordering, fence};

/// The words of an event that both sides change.
#[derive(Clone, Copy)]
pub(super) struct Words<'w> {
    pub(super) waiters: &'w AtomicU32,
    pub(super) futex: &'w AtomicU32,
}

impl Words<'_> {
    /// Whether somebody asked to be woken. To be called after publishing.
    pub(super) fn is_asked(&self) -> bool {
        if !mutant("wait no fence of the notifier") {
            // [notify] pairs with [sleep]. (1)
            fence(Ordering::SeqCst);
        }
        // Relaxed: ordered by the fence.
        self.waiters.load(Ordering::Relaxed) != 0
    }

    /// Makes all who have asked find the futex changed; those who sleep in it are still to be woken.
    pub(super) fn answer(&self) {
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

    /// Asks to be woken; the value that the futex must still have for a sleep. To be followed by
    /// [`asked`] and a look.
    pub(super) fn ask(&self) -> u32 {
        if mutant("wait value after the flag") {
            self.waiters.store(1, Ordering::Relaxed);
            return self.futex.load(Ordering::Acquire);
        }
        // Acquire: the value is read before the flag is set. (2)
        let value = self.futex.load(Ordering::Acquire);
        // Relaxed: ordered by the fence of `asked`.
        self.waiters.store(1, Ordering::Relaxed);
        fault_point!("wait.flagged");
        value
    }
}

/// Between the last [`Words::ask`] and the look.
pub(super) fn asked() {
    if !mutant("wait no fence of the sleeper") {
        // [sleep] pairs with [notify]. (1)
        fence(Ordering::SeqCst);
    }
}

/// Asks in each of these events, and looks.
pub(super) fn ask<const N: usize, T>(words: [Words<'_>; N], look: impl FnOnce() -> T) -> ([u32; N], T) {
    if mutant("wait look before the flag") {
        let looked = look();
        let values = words.map(|words| words.ask());
        asked();
        return (values, looked);
    }
    let values = words.map(|words| words.ask());
    asked();
    (values, look())
}
