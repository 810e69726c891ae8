//! [`Lent`]: an end together with the guard that borrows it, for objects of Python that live longer than a call.
//!
//! Owns both. Calls nothing.
//!
//! Rule: the end is not used while the guard exists, and is dropped or given back after it.

use std::ptr::NonNull;

/// An end `E`, and a guard `G` that borrows it.
pub(super) struct Lent<E, G> {
    guard: Option<G>,
    /// From a box. `guard` borrows it.
    end: NonNull<E>,
}

// SAFETY: both parts may be sent, and only `Lent` has them.
unsafe impl<E: Send, G: Send> Send for Lent<E, G> {}

impl<E: 'static, G> Lent<E, G> {
    pub(super) fn new(end: E) -> Self {
        Lent { guard: None, end: NonNull::from(Box::leak(Box::new(end))) }
    }

    /// Makes the guard. `make` keeps the borrow in the guard only.
    pub(super) fn make<R>(&mut self, make: impl FnOnce(&'static mut E) -> Result<G, R>) -> Result<(), R> {
        drop(self.guard.take());
        // SAFETY: from a box, and not borrowed: there is no guard (rule).
        let end: &'static mut E = unsafe { self.end.as_mut() };
        self.guard = Some(make(end)?);
        Ok(())
    }

    /// Returns the guard.
    pub(super) fn guard(&mut self) -> Option<&mut G> {
        self.guard.as_mut()
    }

    /// Takes the guard out, to end it.
    pub(super) fn take(&mut self) -> Option<G> {
        self.guard.take()
    }

    /// Ends the guard, and returns the end.
    pub(super) fn into_end(mut self) -> E {
        drop(self.guard.take());
        // SAFETY: from a box, not borrowed any more, and not used after this (rule).
        *unsafe { Box::from_raw(self.end.as_ptr()) }
    }
}
