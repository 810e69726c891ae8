//! The only import of atomics: std's, or loom's under `cfg(loom)`.
//!
//! Owns nothing. Everything that synchronises takes its types from here, so that the model checker
//! runs the very code that users run.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use core::hint::spin_loop;
#[cfg(loom)]
pub(crate) use loom::hint::spin_loop;

/// The model checker runs what it is given, in the order of the program.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}
