//! [`CapacityWatch`]: the state of a publisher that a wait set polls. The publisher is ready when a send would not wait.
//!
//! Owns a second view of the flow control, with a mapping of its own. Calls `segment`, `ring` and `wait`. Never sends.
//!
//! The publisher's next position and the positions of its subscribers are in the segment, so a watch computes the
//! limit that the next send would find. While a set waits, the publisher does not: the watch therefore recovers dead
//! subscribers and evicts stalled ones.

use crate::layout::control;
use crate::os::{self, ForkId};
use crate::plural::count;
use crate::ring::{self, flow_control::FlowControl};
use crate::segment::ObserverMapping;
use crate::sync::Ordering;
use crate::wait::{EventCount, Watch, Word};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) struct CapacityWatch {
    /// The process that opened the publisher. In the child of a fork the mutex may stay locked forever.
    fork_id: ForkId,
    /// The segment of the publisher. Each step leaves a valid state, also if it panics.
    segment: Mutex<Segment>,
}

struct Segment {
    observer: Arc<ObserverMapping>,
    /// The flow control; `None` if the publisher overwrites and is always ready.
    flow: Option<FlowControl>,
}

impl Segment {
    fn new(observer: Arc<ObserverMapping>) -> Self {
        let flow = || FlowControl::new(observer.region(), observer.geometry());
        let flow = observer.publisher_waits().then(flow);
        Segment { observer, flow }
    }

    /// Returns the position of the next message.
    fn next(&self) -> u64 {
        // Relaxed: a hint. With an old value the set reports the publisher once too often.
        self.observer.region().u64(control::HEAD).load(Ordering::Relaxed)
    }

    fn has_room(&mut self) -> bool {
        let next = self.next();
        let Some(flow) = &mut self.flow else { return true };
        let limit = flow.limit(next);
        limit > next && !ring::all_pinned(self.observer.region(), self.observer.geometry(), next..limit)
    }
}

impl CapacityWatch {
    pub(super) fn new(observer: Arc<ObserverMapping>) -> Self {
        CapacityWatch { fork_id: observer.fork_id(), segment: Mutex::new(Segment::new(observer)) }
    }

    /// Records that the publisher continues in another segment.
    pub(super) fn moved(&self, observer: Arc<ObserverMapping>) {
        *self.segment() = Segment::new(observer);
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
        if self.fork_id.forked() || self.segment().flow.is_none() {
            return true;
        }
        // The lock is not held while a record is logged: the logger may use this set.
        let observer = self.observer();
        observer.keep_name();
        observer.recover_dead();
        let evicted = {
            let mut segment = self.segment();
            let next = segment.next();
            segment.flow.as_mut().map_or(0, |flow| flow.evict_stalled(next, os::monotonic()))
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
        let longest = segment.observer.max_sleep();
        let due = segment.flow.as_ref().and_then(FlowControl::eviction_due);
        due.map_or(longest, |due| longest.min(Duration::from_nanos(due.saturating_sub(os::monotonic()))))
    }

    fn is_over(&self) -> bool {
        !self.fork_id.forked() && self.observer().has_ended()
    }
}
