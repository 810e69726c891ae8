//! [`Line`]: threads that take turns with an end, in the order in which they came.
//!
//! Owns the order. Calls nothing. Never waits for the GIL.
//!
//! A mutex of the standard library keeps no order: a thread that sleeps with it in slices, and takes it again at once,
//! keeps out all other threads for seconds. So a thread enters the line before it locks an end in a call that may wait.
//!
//! 1. The thread at the head of the line has the turn. It leaves the line when its call, or its slice, is over.
//! 2. A thread that sleeps in its turn sleeps for a slice at most, and for a share of [`ROUND`] if others are in the line.
//!    So a thread gets its turn within a slice and a round, unless the code of a handler, or a request, runs in a turn.
//! 3. A thread whose time is over leaves the line.

use crate::wait::SLICE;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest time in which all threads of a line have had a turn, if they only sleep. Less than a slice, so that a thread
/// that leaves the line after each slice, to serve signals, gets its turn.
const ROUND: Duration = SLICE.checked_div(4).unwrap();

/// Threads that take turns.
#[derive(Default)]
pub struct Line {
    places: Mutex<Places>,
    moved: Condvar,
}

#[derive(Default)]
struct Places {
    /// Number of the next place.
    next: u64,
    /// Numbers of the threads in the line. The first has the turn.
    numbers: VecDeque<u64>,
}

/// The place of a thread in a line, until it is dropped.
pub struct Place<'a> {
    line: &'a Line,
    number: u64,
}

impl Line {
    /// Waits for the turn of this thread.
    pub fn enter(&self) -> Place<'_> {
        let (place, places) = self.join();
        drop(self.moved.wait_while(places, |places| !place.is_first(places)));
        place
    }

    /// Waits for the turn of this thread. Returns `None` if it did not come within `time`.
    pub fn enter_within(&self, time: Duration) -> Option<Place<'_>> {
        let (place, places) = self.join();
        let waited = self.moved.wait_timeout_while(places, time, |places| !place.is_first(places));
        let (places, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        // Released first: the end of a place takes the lock.
        drop(places);
        (!waited.timed_out()).then_some(place)
    }

    fn join(&self) -> (Place<'_>, MutexGuard<'_, Places>) {
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        places.numbers.push_back(number);
        (Place { line: self, number }, places)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    fn is_first(&self, places: &Places) -> bool {
        places.numbers.front() == Some(&self.number)
    }

    /// Returns the time for which this thread may sleep in its turn, at most `slice` (2).
    pub fn share(&self, slice: Duration) -> Duration {
        match self.line.places().numbers.len() {
            0 | 1 => slice,
            several => slice.min(ROUND / u32::try_from(several).unwrap_or(u32::MAX)),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.line.places();
        places.numbers.retain(|&number| number != self.number);
        drop(places);
        self.line.moved.notify_all();
    }
}
