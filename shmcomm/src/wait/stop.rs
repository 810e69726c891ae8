//! [`StopHandle`]: ends the blocking calls of any number of ends (a futex word; Drepper, *Futexes Are Tricky*).
//!
//! Owns the stop word and its two steps. Calls `os` for the wake. Never takes a lock, allocates or keeps a
//! list of waiters, so that a signal handler may stop.
//!
//! ```text
//!   stop                                waiter
//!   WORD := 1          [stop]           is WORD 0? otherwise: stopped        [stopped]
//!   wake all in WORD                    sleep while WORD is 0 and FUTEX is its value
//! ```
//!
//! The stop word is a futex of its own, beside that of the awaited event: a waiter sleeps in both with one
//! system call. The kernel compares WORD with 0 under the lock that the wake takes. So the sleep either sees
//! the 1 and does not begin, or has begun and is woken: no stop is lost, and no announcement is needed.
//! Where the system cannot wait for two words, a waiter checks WORD after each sleep, of at most 50 ms.

use crate::fault::mutant;
use crate::sync::{AtomicU32, Ordering};

/// Value of the stop word while nothing is stopped.
pub(super) const RUNNING: u32 = 0;
const STOPPED: u32 = 1;

/// Stores the stop in the word, and then calls `wake` to wake the waiters that sleep in it.
pub(super) fn stop(word: &AtomicU32, wake: impl FnOnce()) {
    if mutant("stop wake before the word") {
        wake();
        word.store(STOPPED, Ordering::Release);
        return;
    }
    // [stop] pairs with [stopped].
    word.store(STOPPED, Ordering::Release);
    wake();
}

/// Returns `true` if the word has the stop.
#[inline]
pub(super) fn is_set(word: &AtomicU32) -> bool {
    // [stopped] pairs with [stop]: a stopped call sees the accesses before the stop.
    word.load(Ordering::Acquire) != RUNNING
}

#[cfg(not(loom))]
pub use handle::StopHandle;
#[cfg(not(loom))]
pub(crate) use handle::{Stop, Stopped};

#[cfg(not(loom))]
mod handle {
    use super::{RUNNING, is_set, stop};
    use crate::os::{self, FutexAt};
    use crate::sync::{AtomicU32, Ordering};
    use crate::wait::{Deadline, MAX_SLEEP, Watch, Word};
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    /// Stops blocking calls, from another thread or from a signal handler.
    ///
    /// A handle belongs to any number of ends: give it to each with [`Opener::stop`](crate::Opener::stop),
    /// or, on the Python wire, with the field `stop` of `python::Options`. Each end also has one:
    /// `end.stop_handle()`. Clones are the same handle.
    ///
    /// ```
    /// # use shmcomm::{Channel, PubSub, RecvError, StopHandle};
    /// # const FEED: Channel<PubSub<u64>> = Channel::new("feed");
    /// # let ns = format!("doc-stop-{}", std::process::id());
    /// # let _publisher = FEED.open().namespace(&ns).publisher()?;
    /// let stop = StopHandle::new();
    /// let mut feed = FEED.open().namespace(&ns).stop(&stop).subscriber()?;
    /// let handle = stop.clone();
    /// std::thread::spawn(move || handle.stop());
    /// assert_eq!(feed.recv(), Err(RecvError::Stopped));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # What a stop ends
    ///
    /// * Blocking receives (`recv`, `claim`, with and without a time limit, `serve`, iterators, streams,
    ///   async forms) return `Stopped` before they take a message, also if there is one. So a loop ends
    ///   although messages never cease. `serve` returns the number of requests that it answered; iterators
    ///   end.
    /// * Blocking sends, `flush`, `Call::wait` and the other waits complete at once if they need not wait.
    ///   If they would wait, they return `Stopped`, or `false`. A `request` is not sent.
    /// * Opening an end, which then fails with [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) instead of
    ///   waiting for its channel.
    /// * A wait of a [`WaitSet`](crate::WaitSet) that the handle was added to:
    ///   [`Cause::Stopped`](crate::Cause::Stopped).
    ///
    /// Calls that never block (`try_recv`, `try_send`, `try_loan`, `poll`) continue to work: a program may
    /// take the remaining messages, or send a last one.
    ///
    /// # Latency
    ///
    /// The stop wakes a call that sleeps. Before Linux 5.16, if a sandbox forbids `futex_waitv`, and on macOS, the
    /// call returns within 50 ms. A call that runs a service or a closure of the program returns after that
    /// code.
    ///
    /// # In a signal handler
    ///
    /// [`stop`](StopHandle::stop) and [`is_stopped`](StopHandle::is_stopped) are async-signal-safe. Keep the
    /// handle in a `static` (a `OnceLock`) that is set before the handler is installed: to clone or to drop a
    /// handle in a signal handler is not safe. The child of a fork has a handle of its own: it does not stop
    /// the parent.
    #[derive(Clone, Debug, Default)]
    pub struct StopHandle {
        word: Arc<AtomicU32>,
    }

    impl StopHandle {
        /// Returns a handle that stops nothing yet.
        pub fn new() -> Self {
            Self::default()
        }

        /// Stops the blocking calls of all ends that have this handle: the calls that wait now, and all later
        /// calls until [`reset`](StopHandle::reset). Never blocks.
        ///
        /// Async-signal-safe: one atomic store and one system call, without a lock or an allocation.
        pub fn stop(&self) {
            stop(&self.word, || {
                os::futex_wake(&self.word, u32::MAX);
            });
        }

        /// Returns `true` if the handle is stopped. Async-signal-safe, and never blocks.
        pub fn is_stopped(&self) -> bool {
            is_set(&self.word)
        }

        /// Lets later calls block again. Call it after the stopped calls have returned: a call that has not
        /// noticed the stop continues to wait.
        pub fn reset(&self) {
            // Release: a message received after the reset comes after everything that the resetting thread
            // did before.
            self.word.store(RUNNING, Ordering::Release);
        }

        /// Returns the word to sleep in beside an event, with the value that it has until the stop.
        pub(crate) fn word(&self) -> Word {
            (FutexAt::new(&self.word), RUNNING)
        }
    }

    impl Watch for StopHandle {
        fn poll_once(&self) -> bool {
            self.is_stopped()
        }

        fn housekeeping(&self) -> bool {
            self.is_stopped()
        }

        fn prepare_wait(&self) -> Option<Word> {
            Some(self.word())
        }

        fn max_sleep(&self) -> Duration {
            MAX_SLEEP
        }

        fn is_over(&self) -> bool {
            false
        }
    }

    /// The wait was ended by the end's [`StopHandle`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Stopped;

    /// The handle of an end: passed when the end was opened, or made on first use.
    #[derive(Debug, Default)]
    pub(crate) struct Stop(OnceLock<StopHandle>);

    impl Stop {
        /// Wraps the handle that the end was opened with, if any.
        pub(crate) fn given(handle: Option<&StopHandle>) -> Self {
            Stop(handle.cloned().map_or_else(OnceLock::new, OnceLock::from))
        }

        pub(crate) fn handle(&self) -> StopHandle {
            self.0.get_or_init(StopHandle::new).clone()
        }

        /// Returns the handle, if there is one.
        #[inline]
        pub(crate) fn get(&self) -> Option<&StopHandle> {
            self.0.get()
        }

        /// Returns `true` if there is a handle and it is stopped.
        #[inline(always)]
        pub(crate) fn is_stopped(&self) -> bool {
            self.get().is_some_and(StopHandle::is_stopped)
        }

        /// Sleeps for `time`, or until the end is stopped.
        #[cfg_attr(not(feature = "python"), allow(dead_code, reason = "a publisher to Python pauses"))]
        pub(crate) fn pause(&self, time: Duration) -> Result<(), Stopped> {
            let Some(stop) = self.get() else {
                std::thread::sleep(time);
                return Ok(());
            };
            let deadline = Deadline::after(time);
            while let Some(left) = deadline.left() {
                self.check()?;
                os::futex_wait(&stop.word, RUNNING, left);
            }
            self.check()
        }

        /// Fails if the end is stopped.
        #[inline(always)]
        pub(crate) fn check(&self) -> Result<(), Stopped> {
            if self.is_stopped() { Err(Stopped) } else { Ok(()) }
        }
    }
}
