//! [`Watched`]: a subscriber, as it looks to those who wait for it without using it.
//!
//! Owns what the subscriber and its watchers tell each other. Calls `segment`, `ring` and `wait`. Never
//! receives.
//!
//! The subscriber's position is in its seat, so a watcher sees what a receive would find. It does not go
//! over to another segment by itself: it makes the set report the subscriber, and the next receive goes
//! over, or answers `Disconnected`. To answer that once is enough: with the same position and still
//! without a publisher, the subscriber has nothing new to say.

use crate::layout::{control, seat};
use crate::os::Lineage;
use crate::ring::Onlooker;
use crate::segment::Witness;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::wait::{Deadline, Event, Watch, Word};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(super) struct Watched {
    /// In the child of a fork the mutex may be locked for good.
    lineage: Lineage,
    /// The segment that the subscriber is in.
    segment: Mutex<Segment>,
    /// Not 0 if the next receive that finds nothing has to ask whether the publisher lives.
    suspect: AtomicU32,
    /// One more than the position at which `Disconnected` was answered last.
    told: AtomicU64,
    /// When a message will be missed, in nanoseconds since `opened`; `u64::MAX` is never.
    due: AtomicU64,
    opened: Instant,
}

#[derive(Clone)]
struct Segment {
    witness: Arc<Witness>,
    onlooker: Onlooker,
}

impl Segment {
    fn new(witness: Arc<Witness>) -> Self {
        let onlooker = Onlooker::new(witness.region(), witness.geometry());
        Segment { witness, onlooker }
    }

    fn position(&self) -> u64 {
        let at = self.witness.seat_offset() + seat::POSITION;
        // Relaxed: an old one shows a message that was received meanwhile; the receive finds that out.
        self.witness.region().u64(at).load(Ordering::Relaxed)
    }
}

impl Watched {
    pub(super) fn new(witness: Arc<Witness>) -> Self {
        let lineage = witness.lineage();
        let segment = Mutex::new(Segment::new(witness));
        Watched {
            lineage,
            segment,
            suspect: AtomicU32::new(0),
            told: AtomicU64::new(0),
            due: AtomicU64::new(u64::MAX),
            opened: Instant::now(),
        }
    }

    /// The subscriber has gone over to another segment.
    pub(super) fn moved(&self, witness: Arc<Witness>) {
        *self.segment.lock().unwrap_or_else(PoisonError::into_inner) = Segment::new(witness);
        // Relaxed, here and below: flags by themselves; a watcher that sees an old one looks again.
        self.told.store(0, Ordering::Relaxed);
        self.suspect.store(0, Ordering::Relaxed);
    }

    /// A message will be missed from then on.
    pub(super) fn expect(&self, due: Deadline) {
        let due = match due {
            Deadline::Never => u64::MAX,
            Deadline::At(at) => {
                u64::try_from(at.saturating_duration_since(self.opened).as_nanos()).unwrap_or(u64::MAX)
            }
        };
        self.due.store(due, Ordering::Relaxed);
    }

    /// How long until a message is missed; `None` if it is.
    fn until_due(&self) -> Option<Duration> {
        match self.due.load(Ordering::Relaxed) {
            u64::MAX => Some(Duration::MAX),
            due => {
                Duration::from_nanos(due).checked_sub(self.opened.elapsed()).filter(|left| !left.is_zero())
            }
        }
    }

    /// Whether a watcher found the publisher dead.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed) != 0 && self.suspect.swap(0, Ordering::Relaxed) != 0
    }

    /// The subscriber answered `Disconnected` at this position.
    pub(super) fn told(&self, position: u64) {
        self.told.store(position + 1, Ordering::Relaxed);
        self.suspect.store(0, Ordering::Relaxed);
    }

    fn segment(&self) -> Segment {
        // A panic leaves one segment or the other.
        self.segment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn was_told(&self, position: u64) -> bool {
        self.told.load(Ordering::Relaxed) == position + 1
    }
}

impl Watch for Watched {
    fn look(&self) -> bool {
        if self.lineage.forked() || self.suspect.load(Ordering::Relaxed) != 0 {
            return true;
        }
        let segment = self.segment();
        let position = segment.position();
        let left = || !segment.witness.publisher_seated();
        segment.onlooker.ready_at(position)
            || (left() && !self.was_told(position))
            || self.until_due().is_none()
    }

    fn idle(&self) -> bool {
        if self.lineage.forked() {
            return true;
        }
        let segment = self.segment();
        let witness = &segment.witness;
        if witness.publisher_alive() {
            self.told.store(0, Ordering::Relaxed);
            return false;
        }
        let news = !self.was_told(segment.position()) || !witness.name_refers_here();
        if news {
            self.suspect.store(1, Ordering::Relaxed);
        }
        news
    }

    fn ask(&self) -> Option<Word> {
        if self.lineage.forked() {
            return None;
        }
        let Segment { witness, .. } = self.segment();
        Some(Event::new(witness.region(), control::ITEMS).ask())
    }

    fn slice(&self) -> Duration {
        if self.lineage.forked() {
            return Duration::ZERO;
        }
        self.segment().witness.slice().min(self.until_due().unwrap_or_default())
    }

    fn is_over(&self) -> bool {
        !self.lineage.forked() && self.segment().witness.has_ended()
    }
}
