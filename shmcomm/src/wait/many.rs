//! Waiting for many things at once.
//!
//! Owns what somebody other than an end's user knows of the end ([`Watch`]), and the sleep in many
//! futexes. Calls `handshake` for the order of steps, and `os`. Never touches an end: its user may use
//! it at the same time.

use super::{Deadline, SLICE, handshake};
use crate::os::{self, FUTEXES, FutexAt};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A futex, and the value that it has as long as nothing has happened.
pub(crate) type Word = (FutexAt, u32);

/// Something to wait for, as it looks to those who do not use it. It stays valid whatever becomes of
/// the end.
pub(crate) trait Watch: Send + Sync {
    /// Whether there is something to be told about: a message, room, an answer, that this process was
    /// forked. Never calls the system.
    fn look(&self) -> bool;

    /// Looks after what does not announce itself: dead peers, a replaced segment. Calls the system, so
    /// at most every [`SLICE`] or so. True if there is something to be told about, which looks show too
    /// from then on.
    fn idle(&self) -> bool;

    /// Asks to be woken ([`super::Event::ask`]); `None` where nobody wakes. To be followed by [`asked`]
    /// and a look.
    fn ask(&self) -> Option<Word>;

    /// How long a sleep may be now, at most [`SLICE`].
    fn slice(&self) -> Duration;

    /// Whether nothing will ever come of it: the end was dropped, the call answered.
    fn is_over(&self) -> bool;
}

/// Asks all of them to be woken; what to sleep in is in `words` then. What a look finds after this
/// needs no sleep; what comes later ends the next [`sleep`].
pub(crate) fn ask<'w>(watches: impl IntoIterator<Item = &'w Arc<dyn Watch>>, words: &mut Vec<Word>) {
    words.clear();
    words.extend(watches.into_iter().filter_map(|watch| watch.ask()));
    handshake::asked();
}

/// Whether one [`sleep`] takes so many words.
pub(crate) fn can_sleep(words: usize) -> bool {
    words <= if os::waits_for_many() { FUTEXES } else { 1 }
}

/// Sleeps until one of the words has changed, at most so long.
pub(crate) fn sleep(words: &[Word], timeout: Duration) {
    match *words {
        [] => std::thread::sleep(timeout),
        [(at, value)] => drop(os::futex_wait_at(at, value, timeout)),
        _ => drop(os::futex_wait_any(words, timeout)),
    }
}

/// When those who cannot announce themselves were looked after last.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    next: Option<Instant>,
}

impl Rounds {
    /// Looks after them if that is due; true if one has something to be told about.
    pub(crate) fn make<'w>(&mut self, watches: impl IntoIterator<Item = &'w Arc<dyn Watch>>) -> bool {
        let now = Instant::now();
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(next_round(now));
        // All of them: what one finds must not keep the others from being looked after.
        watches.into_iter().filter(|watch| watch.idle()).count() > 0
    }

    /// How long to sleep: until the next round, or as long as the watches say, or until the deadline.
    pub(crate) fn slice<'w>(
        &self,
        watches: impl IntoIterator<Item = &'w Arc<dyn Watch>>,
        deadline: Deadline,
    ) -> Duration {
        let due = self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()));
        let slice = watches.into_iter().fold(SLICE, |slice, watch| slice.min(watch.slice()));
        slice.min(due).min(deadline.left().unwrap_or_default())
    }
}

/// When the next round is due. The same times for all of this process, so that one wake does for all.
pub(crate) fn next_round(now: Instant) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = now.saturating_duration_since(*FIRST.get_or_init(|| now));
    let into = since.as_nanos() % SLICE.as_nanos();
    // Less than a slice, which fits.
    now + (SLICE - Duration::from_nanos(into as u64))
}
