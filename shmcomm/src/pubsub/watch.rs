//! [`Watched`]: the state of a subscriber that a wait set polls. A watcher is a wait set with that
//! subscriber.
//!
//! Owns the words that the subscriber and its watchers exchange. Calls `segment`, `ring` and `wait`. Never
//! receives.
//!
//! The subscriber's position is in its seat, so a watcher loads what a receive would find. It does not attach
//! to another segment by itself. It makes the set report the subscriber, and the next receive attaches, or
//! returns `Disconnected`. One such report is enough: at the same position and still without a publisher, the
//! subscriber has nothing new to report.

use crate::layout::{control, seat};
use crate::os::{FileId, ForkId};
use crate::ring::ReadyCheck;
use crate::segment::ObserverMapping;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wait::{Deadline, EventCount, Watch, Word};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two attempts of a watched subscriber to attach to a segment that it could not use. The reason
/// may be temporary.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Watched {
    /// The process that opened the subscriber. In the child of a fork the mutex may stay locked forever.
    fork_id: ForkId,
    /// The segment of the subscriber.
    segment: Mutex<Segment>,
    /// Not 0 if the next receive that finds no message must check whether the publisher lives.
    suspect: AtomicU32,
    /// The position at which `Disconnected` was returned last, plus 1.
    told: AtomicU64,
    /// Time at which a message will be missed, in nanoseconds since `opened`; `u64::MAX` means never.
    due: AtomicU64,
    /// Period in nanoseconds in which a message is expected; 0 without an expectation.
    period: AtomicU64,
    opened: Instant,
    /// A segment that the subscriber could not attach to, and the end of the time in which it is ignored.
    ignored: Mutex<Option<(FileId, Instant)>>,
}

#[derive(Clone)]
struct Segment {
    observer: Arc<ObserverMapping>,
    check: ReadyCheck,
}

impl Segment {
    fn new(observer: Arc<ObserverMapping>) -> Self {
        let check = ReadyCheck::new(observer.region(), observer.geometry());
        Segment { observer, check }
    }

    /// Loads the position of the subscriber. Any process can store to that word, so every value is possible.
    /// A subscriber that has reached another position is reported, and stores its own with the next receive.
    fn position(&self) -> u64 {
        let at = self.observer.seat_offset() + seat::POSITION;
        // Relaxed: an old value reports a message that was received meanwhile; the receive then finds none.
        self.observer.region().u64(at).load(Ordering::Relaxed)
    }
}

impl Watched {
    pub(super) fn new(observer: Arc<ObserverMapping>) -> Self {
        let fork_id = observer.fork_id();
        let segment = Mutex::new(Segment::new(observer));
        Watched {
            fork_id,
            segment,
            suspect: AtomicU32::new(0),
            told: AtomicU64::new(0),
            due: AtomicU64::new(u64::MAX),
            period: AtomicU64::new(0),
            opened: Instant::now(),
            ignored: Mutex::new(None),
        }
    }

    /// Records that the subscriber has attached to another segment.
    pub(super) fn moved(&self, observer: Arc<ObserverMapping>) {
        *self.segment.lock().unwrap_or_else(PoisonError::into_inner) = Segment::new(observer);
        // Relaxed, here and below: independent flags; a watcher that loads an old value checks again later.
        self.told.store(0, Ordering::Relaxed);
        self.suspect.store(0, Ordering::Relaxed);
    }

    /// Stores the time from which a message is missed, and the period in which it is expected; zero without
    /// an expectation.
    pub(super) fn expect(&self, due: Deadline, period: Duration) {
        self.period.store(u64::try_from(period.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let due = match due {
            Deadline::Never => u64::MAX,
            Deadline::At(at) => {
                u64::try_from(at.saturating_duration_since(self.opened).as_nanos()).unwrap_or(u64::MAX)
            }
        };
        self.due.store(due, Ordering::Relaxed);
    }

    /// Returns the time at which a message is missed, if a watcher has noticed that a publisher is alive
    /// again.
    pub(super) fn resumed(&self) -> Option<Instant> {
        let due = Some(self.due.load(Ordering::Relaxed)).filter(|&due| due != u64::MAX)?;
        let back = self.told.load(Ordering::Relaxed) == 0;
        back.then(|| self.opened.checked_add(Duration::from_nanos(due)))?
    }

    /// Records that a publisher is alive. After an absence the first period begins now.
    fn publisher_is_back(&self) {
        if self.told.load(Ordering::Relaxed) == 0 || self.told.swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        let period = self.period.load(Ordering::Relaxed);
        if period != 0 {
            let now = u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.due.store(now.saturating_add(period), Ordering::Relaxed);
        }
    }

    /// Returns the time until a message is missed, or `None` if it is missed now.
    fn until_due(&self) -> Option<Duration> {
        match self.due.load(Ordering::Relaxed) {
            u64::MAX => Some(Duration::MAX),
            due => {
                Duration::from_nanos(due).checked_sub(self.opened.elapsed()).filter(|left| !left.is_zero())
            }
        }
    }

    /// Returns `true` if a watcher found the publisher dead, and clears that mark.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed) != 0 && self.suspect.swap(0, Ordering::Relaxed) != 0
    }

    /// Records that the subscriber cannot attach to this segment. For a watcher it tries again at most once
    /// in [`RETRY`].
    pub(super) fn ignore(&self, successor: FileId) {
        let until = Instant::now().checked_add(RETRY);
        let mut ignored = self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        *ignored = until.map(|until| (successor, until));
    }

    /// Returns `true` if the name refers to another segment that the subscriber should try.
    fn has_successor(&self, observer: &ObserverMapping) -> bool {
        let Some(successor) = observer.successor() else { return false };
        let ignored = *self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        ignored.is_none_or(|(file, until)| file != successor || until <= Instant::now())
    }

    /// Records that the subscriber returned `Disconnected` at this position.
    pub(super) fn told(&self, position: u64) {
        self.told.store(position.saturating_add(1), Ordering::Relaxed);
        self.suspect.store(0, Ordering::Relaxed);
    }

    fn segment(&self) -> Segment {
        // A panic leaves the old or the new segment, both of them complete.
        self.segment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn was_told(&self, position: u64) -> bool {
        self.told.load(Ordering::Relaxed) == position.saturating_add(1)
    }
}

impl Watch for Watched {
    fn poll_once(&self) -> bool {
        if self.fork_id.forked() || self.suspect.load(Ordering::Relaxed) != 0 {
            return true;
        }
        let segment = self.segment();
        let position = segment.position();
        let left = || !segment.observer.publisher_seated();
        let told = self.was_told(position);
        segment.check.ready_at(position) || (!told && (left() || self.until_due().is_none()))
    }

    fn housekeeping(&self) -> bool {
        if self.fork_id.forked() {
            return true;
        }
        let segment = self.segment();
        let observer = &segment.observer;
        observer.keep_name();
        if observer.publisher_alive() {
            self.publisher_is_back();
            return false;
        }
        let news = !self.was_told(segment.position()) || self.has_successor(observer);
        if news {
            self.suspect.store(1, Ordering::Relaxed);
        }
        news
    }

    fn prepare_wait(&self) -> Option<Word> {
        if self.fork_id.forked() {
            return None;
        }
        let Segment { observer, .. } = self.segment();
        Some(EventCount::new(observer.region(), control::ITEMS).prepare_wait())
    }

    fn max_sleep(&self) -> Duration {
        if self.fork_id.forked() {
            return Duration::ZERO;
        }
        let segment = self.segment();
        let slice = segment.observer.max_sleep();
        // A message cannot be missed while no publisher is alive.
        if self.was_told(segment.position()) {
            slice
        } else {
            slice.min(self.until_due().unwrap_or_default())
        }
    }

    fn is_over(&self) -> bool {
        !self.fork_id.forked() && self.segment().observer.has_ended()
    }
}
