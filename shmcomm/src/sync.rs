//! The only import of atomics: std's, or loom's under `cfg(loom)`.
//!
//! Owns nothing. Everything that synchronises takes its types from here, so that the model checker
//! runs the very code that users run.

#[cfg(not(loom))]
#[allow(unused_imports, reason = "only some systems have pointers in the tables of `os`")]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, compiler_fence, fence,
};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(not(loom))]
pub(crate) use core::hint::spin_loop;
#[cfg(loom)]
pub(crate) use loom::hint::spin_loop;

/// The model checker runs what it is given, in the order of the program.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}

/// Loads a word that only the caller stores. Another thread may have stored it before, if it gave the caller a lock since.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn load_own(word: &AtomicU64) -> u64 {
    // Relaxed: no other thread stores here.
    word.load(Ordering::Relaxed)
}

/// Loom checks that no other thread stores here, and does not count the load as an event. With an ordinary
/// load, loom would not try the other order of a later store and an earlier load of another thread.
#[cfg(loom)]
#[allow(unsafe_code)]
pub(crate) fn load_own(word: &AtomicU64) -> u64 {
    // SAFETY: loom reports a concurrent store.
    unsafe { word.unsync_load() }
}

/// Adds to a counter that the caller alone stores. The counter then needs no private copy.
//
// One instruction makes the load and the store on x86-64. It is not locked: no other thread stores here.
#[inline(always)]
pub(crate) fn add_own(counter: &AtomicU64, more: u64) {
    // Relaxed: a statistic.
    counter.store(load_own(counter).wrapping_add(more), Ordering::Relaxed);
}
