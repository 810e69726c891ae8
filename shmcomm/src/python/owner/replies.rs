//! [`Replies`]: the reply segment of one session, and the replies that a Python requester may read.
//!
//! Owns the fillers: see the header of `replier`, whose numbers the comments cite. Calls `owner` and `ring`.

use super::Owned;
use crate::fault::fault_point;
use crate::layout::v1::word;
use crate::python::v1::ring;
use crate::sync::{Ordering, fence};
use std::time::{Duration, Instant};

/// Time after which a reply may find that its requester no longer waits (4).
const LATE: Duration = Duration::from_millis(10);
/// Milliseconds of a reply's age for each filler before it: skipping one takes Python about 0.15 ms.
const PER_FILLER: u64 = 2;

/// The replies of one session.
pub(in crate::python) struct Replies {
    owned: Owned,
    /// Slots whose reply a requester could take for another one.
    stale: Vec<u64>,
    /// The message that hides a reply, if fillers are used.
    filler: Option<&'static [u8]>,
    /// Time at which the newest reply is withdrawn.
    withdraw_at: Option<Instant>,
    /// Number of requesters that had this session before, one after the other.
    epoch: u64,
}

impl Replies {
    pub(in crate::python) fn new(owned: Owned, filler: Option<&'static [u8]>) -> Self {
        let filler = filler.filter(|filler| filler.len() <= owned.segment().shape().capacity());
        let slots = owned.segment().shape().slots;
        let stale = if owned.resumed() { (0..slots).collect() } else { Vec::new() };
        Replies { owned, stale, filler, withdraw_at: None, epoch: 0 }
    }

    pub(in crate::python) fn owned(&self) -> &Owned {
        &self.owned
    }

    pub(in crate::python) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes a reply, and returns its slot. `stays` is the time that it may wait to be read if it comes
    /// late, or if several requesters have the session (`shared`).
    pub(in crate::python) fn send(
        &mut self,
        number: u64,
        reply: &[u8],
        took: Duration,
        stays: Duration,
        shared: bool,
    ) -> u64 {
        self.hide_earlier();
        let skipped = self.lead_with_fillers(took);
        let raw = self.owned.segment().raw();
        if self.filler.is_some() {
            self.stale.push((ring::slot_of_head(raw) + skipped) % raw.shape().slots);
        }
        let slot = ring::write_after(raw, skipped, reply, |head| {
            // Relaxed: [answered] is published by the head that is stored next.
            raw.store(word::ANSWERED, answered(number, head), Ordering::Relaxed);
            fault_point!("py.replying");
        });
        let withdraws = shared || took > LATE;
        self.withdraw_at = if withdraws { Instant::now().checked_add(stays) } else { None };
        slot
    }

    /// Withdraws the newest reply if its time is over (4).
    pub(in crate::python) fn withdraw_if_due(&mut self) {
        if self.withdraw_at.is_some_and(|at| at <= Instant::now()) {
            self.withdraw_at = None;
            self.hide_earlier();
        }
    }

    /// Overwrites earlier replies with fillers (3).
    fn hide_earlier(&mut self) {
        let Some(filler) = self.filler.filter(|_| !self.stale.is_empty()) else { return };
        let raw = self.owned.segment().raw();
        // A requester in Rust that reads the slot meanwhile finds that it no longer holds a reply. Relaxed:
        // ordered by the fence, which pairs with the fence behind its copy.
        raw.store(word::ANSWERED, 0, Ordering::Relaxed);
        fence(Ordering::Release);
        for slot in self.stale.drain(..) {
            raw.overwrite(slot, filler);
            fault_point!("py.withdrawn");
        }
    }

    /// Prepares for a requester that shares the session with others (5). Hides the replies, and writes
    /// fillers up to the end of the lap if more than half of it is over. A new requester must skip the
    /// messages before the head, and an earlier one the fillers added here. The next reply must not move the
    /// head around to the slot where either of them reads.
    pub(in crate::python) fn admit_another(&mut self) {
        self.hide_earlier();
        let raw = self.owned.segment().raw();
        let slots = raw.shape().slots;
        let head = ring::slot_of_head(raw);
        let Some(filler) = self.filler.filter(|_| head > slots / 2) else { return };
        // As in `hide_earlier`: a filler answers no request.
        raw.store(word::ANSWERED, 0, Ordering::Relaxed);
        fence(Ordering::Release);
        for slot in head..slots - 1 {
            raw.put(slot, filler);
        }
        ring::write_after(raw, slots - 1 - head, filler, |_| ());
    }

    /// Prepares a session without requesters for a new one, which starts to read at slot 0.
    pub(in crate::python) fn rewind(&mut self) {
        let raw = self.owned.segment().raw();
        let slots = raw.shape().slots;
        // Relaxed, all: no other process has mapped the segment.
        let count = raw.load(word::MSG_COUNT, Ordering::Relaxed);
        raw.store(word::ANSWERED, 0, Ordering::Relaxed);
        // The count agrees with the head, because it is a multiple of the slots.
        raw.store(word::MSG_COUNT, count.next_multiple_of(slots), Ordering::Relaxed);
        raw.store(word::HEAD, 0, Ordering::Relaxed);
        raw.store(word::TAIL, 0, Ordering::Relaxed);
        self.stale.clear();
        self.withdraw_at = None;
        self.epoch += 1;
    }

    /// Writes fillers in front of a reply, which become visible together with it. Returns the number of
    /// fillers.
    fn lead_with_fillers(&self, took: Duration) -> u64 {
        let Some(filler) = self.filler else { return 0 };
        let raw = self.owned.segment().raw();
        let slots = raw.shape().slots;
        let head = ring::slot_of_head(raw);
        // (4) A requester may have left this reply and its fillers unread; the next reply must not move the
        // head around to that requester's slot.
        let most = slots.saturating_sub(3);
        let late = if took > LATE { took.as_millis() as u64 / PER_FILLER } else { 0 };
        let skipped = most.min(late);
        for i in 0..skipped {
            raw.put((head + i) % slots, filler);
        }
        skipped
    }
}

/// Returns the value of [`word::ANSWERED`] for the reply to request `number`, once the head is `head`.
pub(in crate::python) fn answered(number: u64, head: u64) -> u64 {
    (number & 0xffff_ffff) << 32 | head
}
