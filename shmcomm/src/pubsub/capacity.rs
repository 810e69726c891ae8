//! [`CapacityWatch`]: the state of a publisher that a wait set polls. The publisher is ready when a send would not wait.
//!
//! Owns a second view of the flow control, with a mapping of its own. Calls `segment`, `ring` and `wait`. Never sends.
//!
//! The publisher's next position and the positions of its subscribers are in the segment, so a watch computes the
//! limit that the next send would find. While a set waits, the publisher does not: the watch therefore recovers dead
//! subscribers and evicts stalled ones.

use super::Publisher;
use crate::error::Error;
use crate::layout::control;
use crate::os;
use crate::plural::count;
use crate::ring::{self, flow_control::FlowControl};
use crate::segment::ObserverMapping;
use crate::sync::Ordering;
use crate::wait::{EventCount, Watch, Word};
use crate::waitset::{Waitable, Watchable, Watched};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct CapacityWatch {
    observer: Arc<ObserverMapping>,
    /// The flow control; `None` if the publisher overwrites and is always ready.
    flow: Option<Mutex<FlowControl>>,
}

impl CapacityWatch {
    fn new(observer: Arc<ObserverMapping>) -> Self {
        let flow = || Mutex::new(FlowControl::new(observer.region(), observer.geometry()));
        let flow = observer.publisher_waits().then(flow);
        CapacityWatch { observer, flow }
    }

    /// Returns the flow control of a publisher that waits, except in the child of a fork.
    fn flow(&self) -> Option<MutexGuard<'_, FlowControl>> {
        let flow = self.flow.as_ref().filter(|_| !self.observer.forked())?;
        // Each step leaves a valid flow, also if it panics.
        Some(flow.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the position of the next message.
    fn next(&self) -> u64 {
        // Relaxed: a hint. With an old value the set reports the publisher once too often.
        self.observer.region().u64(control::HEAD).load(Ordering::Relaxed)
    }
}

impl Watch for CapacityWatch {
    fn poll_once(&self) -> bool {
        let Some(mut flow) = self.flow() else { return true };
        let next = self.next();
        let limit = flow.limit(next);
        limit > next && !ring::all_pinned(self.observer.region(), self.observer.geometry(), next..limit)
    }

    fn housekeeping(&self) -> bool {
        if self.flow.is_none() || self.observer.forked() {
            return true;
        }
        // The lock is not held while a record is logged: the logger may use this set.
        self.observer.keep_name();
        self.observer.recover_dead();
        let evicted = self.flow().map_or(0, |mut flow| flow.evict_stalled(self.next(), os::monotonic()));
        if evicted > 0 {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: evicted {evicted} without progress for the whole stall timeout",
                self.observer.channel(), evicted = count(evicted, "subscriber"));
        }
        self.poll_once()
    }

    fn prepare_wait(&self) -> Option<Word> {
        (!self.observer.forked())
            .then(|| EventCount::new(self.observer.region(), control::ROOM).prepare_wait())
    }

    fn max_sleep(&self) -> Duration {
        let longest = self.observer.max_sleep();
        let due = self.flow().and_then(|flow| flow.eviction_due());
        due.map_or(longest, |due| longest.min(Duration::from_nanos(due.saturating_sub(os::monotonic()))))
    }

    fn is_over(&self) -> bool {
        self.observer.has_ended()
    }
}

/// Ready when a send would not wait: always on a channel that overwrites; with `overflow: Wait` while the subscribers
/// leave room for a message. Also ready in the child of a fork, where each send returns `Forked`.
impl<M: ?Sized, F: ?Sized> Waitable for Publisher<M, F> {}

impl<M: ?Sized, F: ?Sized> Watchable for Publisher<M, F> {
    fn watch(&self) -> Result<Watched, Error> {
        Ok(Watched::new(CapacityWatch::new(self.observer()?.clone())))
    }
}
