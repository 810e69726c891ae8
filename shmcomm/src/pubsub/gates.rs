//! [`Gates`]: the subscribers for which a publisher with `overflow: Wait` waits, in all segments of a series.
//!
//! Owns the flow control of the segment that has the name, and of the earlier ones in which subscribers still are. Calls
//! `ring::flow_control` and `segment`. Never waits.
//!
//! Positions mean the same in all segments of a series, so the least limit counts. A subscriber that follows joins the newer
//! segment before it leaves the older one. The older segments are therefore scanned first: a scan that finds the
//! subscriber gone from one of them finds it in a newer one. See `docs/format.md`, *Growing*.

use crate::ring::flow_control::{FlowControl, is_gating};
use crate::segment::{self, Mapping, ObserverMapping, Role};
use crate::sync::Ordering;
use std::sync::Arc;

pub(super) struct Gates {
    /// Oldest first.
    earlier: Vec<Earlier>,
    newest: FlowControl,
}

struct Earlier {
    mapping: Arc<ObserverMapping>,
    flow: FlowControl,
}

impl Gates {
    /// Finds the subscribers of the segment with `mapping`, and of earlier segments of its series.
    pub(super) fn new(mapping: &Mapping) -> Self {
        let flow = |mapping: &Mapping| FlowControl::new(mapping.region(), mapping.geometry());
        let earlier = segment::earlier(mapping);
        let earlier = earlier.into_iter().map(|mapping| Earlier { flow: flow(&mapping), mapping }).collect();
        Gates { earlier, newest: flow(mapping) }
    }

    /// Returns the limit of a publisher that takes `next` as its next position: see [`FlowControl::limit`].
    pub(super) fn limit(&mut self, next: u64) -> u64 {
        // Older segments first: see above. A segment without subscribers gets none any more: it has no name.
        self.earlier.retain(|earlier| earlier.mapping.has_subscribers());
        let earlier = self.earlier.iter_mut().map(|earlier| earlier.flow.limit(next));
        let least = earlier.min().unwrap_or(u64::MAX);
        self.newest.limit(next).min(least)
    }

    /// Returns `true` if no subscriber has joined since the last scan: see [`FlowControl::is_current`].
    pub(super) fn is_current(&self) -> bool {
        self.is_newest_current() && self.earlier.iter().all(|earlier| earlier.flow.is_current())
    }

    /// Returns `true` if no subscriber has joined the newest segment since the last scan.
    #[inline(always)]
    pub(super) fn is_newest_current(&self) -> bool {
        self.newest.is_current()
    }

    /// Returns `true` if a scan can help a publisher at `next`: see [`FlowControl::may_have_credit`].
    pub(super) fn may_have_credit(&self, next: u64) -> bool {
        self.is_behind() || self.newest.may_have_credit(next)
    }

    /// Returns the number of positions that are free from `next` on: see [`FlowControl::room`].
    pub(super) fn room(&self, next: u64) -> Option<u64> {
        self.newest.room(next)
    }

    /// Returns the number of free positions that are worth a scan: see [`FlowControl::worth`].
    pub(super) fn worth(&self) -> u64 {
        self.newest.worth()
    }

    /// Returns `true` if subscribers may be in earlier segments. They do not wake a publisher that sleeps.
    pub(super) fn is_behind(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// Returns the earlier segments, whose dead subscribers the caller recovers.
    pub(super) fn earlier(&self) -> Vec<Arc<ObserverMapping>> {
        self.earlier.iter().map(|earlier| earlier.mapping.clone()).collect()
    }

    /// Evicts stalled subscribers, and returns their number: see [`FlowControl::evict_stalled`].
    pub(super) fn evict_stalled(&mut self, next: u64, now: u64) -> u32 {
        let earlier = self.earlier.iter_mut().map(|earlier| earlier.flow.evict_stalled(next, now));
        earlier.sum::<u32>() + self.newest.evict_stalled(next, now)
    }

    /// Returns the time at which the next eviction is due: see [`FlowControl::eviction_due`].
    pub(super) fn eviction_due(&self) -> Option<u64> {
        let earlier = self.earlier.iter().filter_map(|earlier| earlier.flow.eviction_due());
        earlier.chain(self.newest.eviction_due()).min()
    }

    /// Returns the number of live subscribers in earlier segments for which the publisher waits.
    pub(super) fn gating_earlier(&self) -> usize {
        let count = |mapping: &ObserverMapping| {
            mapping.count_alive_where(Role::Subscriber, |seat| {
                // Acquire: pairs with [enter].
                is_gating(mapping.region().u64(seat + crate::layout::seat::FLOW).load(Ordering::Acquire))
            })
        };
        self.earlier.iter().map(|earlier| count(&earlier.mapping)).sum()
    }
}
