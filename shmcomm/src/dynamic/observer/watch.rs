//! [`Watching`]: the state of an observer that a wait set polls.
//!
//! Owns the words that the observer and its watchers exchange. Calls `source`. Never reads a message. No
//! notifier wakes for an observer, because that would need a store to the segment: a watcher sleeps for a
//! millisecond at a time.

use super::source::Peek;
use crate::os::ForkId;
use crate::segment::Publishing;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wait::{Watch, Word};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The longest sleep between two polls.
pub(super) const PERIOD: Duration = Duration::from_millis(1);

pub(super) struct Watching {
    /// The process that opened the observer. In the child of a fork a mutex may stay locked forever.
    fork_id: ForkId,
    peek: Mutex<Option<Peek>>,
    /// The position that the observer reads next.
    position: AtomicU64,
    /// Not 0 if the next call of the observer must check the publishers and the name.
    suspect: AtomicU32,
    /// State of the publishers that the observer has reported.
    known: Mutex<Publishing>,
    /// Not 0 when the observer was dropped.
    ended: AtomicU32,
}

impl Watching {
    pub(super) fn new(fork_id: ForkId, peek: Option<Peek>, position: u64, known: Publishing) -> Self {
        Watching {
            fork_id,
            peek: Mutex::new(peek),
            position: AtomicU64::new(position),
            suspect: AtomicU32::new(0),
            known: Mutex::new(known),
            ended: AtomicU32::new(0),
        }
    }

    pub(super) fn moved(&self, position: u64) {
        // Relaxed, here and below: a watcher that loads an old value reports what was read meanwhile.
        self.position.store(position, Ordering::Relaxed);
    }

    pub(super) fn changed(&self, peek: Option<Peek>) {
        *self.peek.lock().unwrap_or_else(PoisonError::into_inner) = peek;
    }

    pub(super) fn knows(&self, publishing: Publishing) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = publishing;
        self.suspect.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed) != 0
    }

    pub(super) fn end(&self) {
        self.ended.store(1, Ordering::Relaxed);
    }

    fn peek(&self) -> Option<Peek> {
        self.peek.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watch for Watching {
    fn poll_once(&self) -> bool {
        if self.fork_id.forked() {
            return true;
        }
        let position = self.position.load(Ordering::Relaxed);
        self.is_suspect() || self.peek().is_none_or(|peek| peek.ready_at(position))
    }

    fn housekeeping(&self) -> bool {
        if self.fork_id.forked() {
            return true;
        }
        let Some(peek) = self.peek() else { return true };
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = peek.publishing();
        if peek.is_replaced() || (now != Publishing::Unsettled && now != known) {
            self.suspect.store(1, Ordering::Relaxed);
        }
        self.poll_once()
    }

    fn prepare_wait(&self) -> Option<Word> {
        None
    }

    fn max_sleep(&self) -> Duration {
        PERIOD
    }

    fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed) != 0
    }
}
