//! The word `MODE` as a lease, for sleepers that have no seat: the readers of a table.
//!
//! Source: leases (Gray and Cheriton 1989).
//!
//! Owns the steps on that word. Calls atomics only. Never reads a clock: its callers do, so that loom runs these steps
//! (`model`).
//!
//! ```text
//!   sleeper, before each sleep          notifier, after it published
//!   MODE := another value, not 0        MODE == 0?  → done
//!   handshake of `eventcount`           handshake of `eventcount`
//!                                       MODE has had this value for LEASE?  → MODE := 0, if it still has it
//! ```
//!
//! 1. A sleeper renews the lease before each sleep, and no sleep is longer than [`MAX_SLEEP`](super::MAX_SLEEP). So the
//!    word of a live sleeper changes many times in [`LEASE`]. A sleeper that dies leaves a word that does not change. The
//!    next notifier that finds it unchanged for that time clears it.
//! 2. A notifier clears the word only if it has the value that was compared. So it never undoes a renewal.
//! 3. A sleeper that was kept from running for longer than [`LEASE`], between its renewal and its sleep, may sleep without
//!    a lease. It finds the change after that sleep, as if the notifier had been killed.
//! 4. A sleeper that finds the word 0 is the first one. Notifiers may load the old value for a moment, so its next sleeps
//!    are short, as after an announcement (rule 2 of [`wait`](super)).

use crate::fault::{fault_point, mutant};
use crate::sync::{AtomicU32, Ordering};
use std::time::Duration;

/// Time without a renewal after which a notifier clears the word: 20 times the longest sleep.
pub(super) const LEASE: Duration = Duration::from_secs(1);

/// Renews the lease. Returns `true` if no sleeper had one.
pub(super) fn renew(mode: &AtomicU32) -> bool {
    // Relaxed, all: the fence of the sleeper, which follows, orders the change before its poll.
    let mut old = mode.load(Ordering::Relaxed);
    loop {
        let new = old.checked_add(1).unwrap_or(1);
        match mode.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => break,
            Err(found) => old = found,
        }
    }
    fault_point!("wait.leased");
    old == 0
}

/// Clears the lease, if it still has the value `seen`.
pub(super) fn end(mode: &AtomicU32, seen: u32) {
    if mutant("wait lease ended without comparison") {
        mode.store(0, Ordering::Relaxed);
        return;
    }
    // Relaxed, both: a sleeper that comes later renews the lease, and its next sleeps are short. (4)
    let _ = mode.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
}

/// The lease as a notifier has seen it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SeenLease {
    value: u32,
    /// Time at which the notifier found this value first, in nanoseconds of the coarse clock.
    since: u64,
}

impl SeenLease {
    /// Records the value of the word at the time `now`. Returns `true` if it has not changed for [`LEASE`].
    pub(super) fn is_over(&mut self, value: u32, now: u64) -> bool {
        if value != self.value {
            *self = SeenLease { value, since: now };
            return false;
        }
        now.saturating_sub(self.since) >= LEASE.as_nanos() as u64
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn lease_is_never_renewed_to_zero() {
        let mode = AtomicU32::new(0);
        assert!(renew(&mode) && !renew(&mode));
        mode.store(u32::MAX, Ordering::Relaxed);
        assert!(!renew(&mode));
        assert_eq!(mode.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn renewed_lease_is_not_ended() {
        let mode = AtomicU32::new(0);
        renew(&mode);
        let seen = mode.load(Ordering::Relaxed);
        renew(&mode);
        end(&mode, seen);
        assert_ne!(mode.load(Ordering::Relaxed), 0);
        end(&mode, seen + 1);
        assert_eq!(mode.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn unchanged_lease_is_over_after_its_time() {
        let mut seen = SeenLease::default();
        let time = LEASE.as_nanos() as u64;
        assert!(!seen.is_over(7, 5) && !seen.is_over(7, 4 + time) && seen.is_over(7, 5 + time));
        assert!(
            !seen.is_over(8, 6 + time) && !seen.is_over(8, 5 + 2 * time) && seen.is_over(8, 6 + 2 * time)
        );
    }
}
