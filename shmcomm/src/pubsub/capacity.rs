//! [`CapacityWatch`]: the state of a publisher that a wait set polls. The publisher is ready when a send would not wait.
//!
//! Owns a second view of the flow control, with a mapping of its own. Calls `segment`, `ring` and `wait`. Never sends.
//!
//! The publisher's next position and the positions of its subscribers are in the segment, so a watch computes the
//! limit that the next send would find. While a set waits, the publisher does not: the watch therefore recovers dead
//! subscribers and evicts stalled ones.

use super::gates::Gates;
use crate::layout::control;
use crate::os::{self, ForkId};
use crate::plural::count;
use crate::ring;
use crate::segment::ObserverMapping;
use crate::sync::Ordering;
use crate::wait::{EventCount, Watch, Word};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest sleep while subscribers are in earlier segments, whose events are not those of the publisher.
const BEHIND: Duration = Duration::from_millis(1);

pub(super) struct CapacityWatch {
    /// The process that opened the publisher. In the child of a fork the mutex may stay locked forever.
    fork_id: ForkId,
    /// The segment of the publisher. Each step leaves a valid state, also if it panics.
    segment: Mutex<Segment>,
}

struct Segment {
    observer: Arc<ObserverMapping>,
    /// The flow control; `None` if the publisher overwrites and is always ready.
    gates: Option<Gates>,
}

impl Segment {
    fn new(observer: Arc<ObserverMapping>) -> Self {
        let gates = observer.publisher_waits().then(|| Gates::new(&observer));
        Segment { observer, gates }
    }

    /// Returns the position of the next message.
    fn next(&self) -> u64 {
        // Relaxed: a hint. With an old value the set reports the publisher once too often.
        self.observer.region().u64(control::HEAD).load(Ordering::Relaxed)
    }

    fn has_room(&mut self) -> bool {
        let next = self.next();
        let Some(gates) = &mut self.gates else { return true };
        let limit = gates.limit(next);
        limit > next && !ring::all_pinned(self.observer.region(), self.observer.geometry(), next..limit)
    }
}

impl CapacityWatch {
    pub(super) fn new(observer: Arc<ObserverMapping>) -> Self {
        CapacityWatch { fork_id: observer.fork_id(), segment: Mutex::new(Segment::new(observer)) }
    }

    /// Records that the publisher continues in another segment.
    pub(super) fn moved(&self, observer: Arc<ObserverMapping>) {
        let new = Segment::new(observer);
        let old = mem::replace(&mut *self.segment(), new);
        // Unmaps the old segment outside of the lock.
        drop(old);
    }

    fn segment(&self) -> MutexGuard<'_, Segment> {
        self.segment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observer(&self) -> Arc<ObserverMapping> {
        self.segment().observer.clone()
    }
}

impl Watch for CapacityWatch {
    fn poll_once(&self) -> bool {
        self.fork_id.forked() || self.segment().has_room()
    }

    fn housekeeping(&self) -> bool {
        if self.fork_id.forked() || self.segment().gates.is_none() {
            return true;
        }
        // The lock is not held while a record is logged: the logger may use this set.
        let observer = self.observer();
        observer.keep_name();
        observer.recover_dead();
        let earlier = self.segment().gates.as_ref().map(Gates::earlier).unwrap_or_default();
        for earlier in earlier {
            earlier.recover_dead();
        }
        let evicted = {
            let mut segment = self.segment();
            let next = segment.next();
            segment.gates.as_mut().map_or(0, |gates| gates.evict_stalled(next, os::monotonic()))
        };
        if evicted > 0 {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: evicted {evicted} without progress for the whole stall timeout",
                observer.channel(), evicted = count(evicted, "subscriber"));
        }
        self.poll_once()
    }

    fn prepare_wait(&self) -> Option<Word> {
        if self.fork_id.forked() {
            return None;
        }
        Some(EventCount::new(self.observer().region(), control::ROOM).prepare_wait())
    }

    fn max_sleep(&self) -> Duration {
        if self.fork_id.forked() {
            return Duration::ZERO;
        }
        let segment = self.segment();
        let behind = segment.gates.as_ref().is_some_and(Gates::is_behind);
        let longest = segment.observer.max_sleep().min(if behind { BEHIND } else { Duration::MAX });
        let due = segment.gates.as_ref().and_then(Gates::eviction_due);
        due.map_or(longest, |due| longest.min(Duration::from_nanos(due.saturating_sub(os::monotonic()))))
    }

    fn is_over(&self) -> bool {
        !self.fork_id.forked() && self.observer().has_ended()
    }
}
