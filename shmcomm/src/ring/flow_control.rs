//! Credit-based flow control for the publisher of a channel that waits for its subscribers.
//!
//! Sources: Firedancer tango `fctl`; LMAX Disruptor gating sequences; store-load handshake (Dekker) for a
//! join.
//!
//! Owns the words by which subscribers publish their positions to the publisher: `POSITION` and `FLOW` of
//! a seat, and `JOINS` of the segment. Calls atomics only; the caller passes the time as a number. Never
//! touches a slot, never waits. Allocates once, when the publisher's side is made.
//!
//! The [broadcast ring](super::broadcast) overwrites, and its protocol is the same here: flow control only
//! decides *when* its writer may take the next position. A word of a subscriber therefore cannot tear a
//! message. A wrong word costs its own subscriber messages, or delays the publisher until the subscriber's stall
//! timeout ends.
//!
//! A subscriber is *active* (it gates the publisher), *evicted*, an *observer* (it receives, and does not gate),
//! or *out*. The *stall timeout* of a subscriber (`patience`) is in its word. [`FlowControl`] is the side of the
//! publisher, [`GatingSequence`] the side of a subscriber.
//!
//! # The window word
//!
//! ```text
//!               enter                         evict (publisher, compare-exchange)
//!   out (0) ───────────────► active, timeout ─────────────────────────────► evicted, timeout
//!      ▲                        │  ▲                                            │
//!      │  leave, or recovery    │  └────────────────────────────────────────────┘
//!      └────────────────────────┘   with its next message, its subscriber enters again
//!
//!   observer: the same as out, except that a publisher without flow control counts it as a subscriber
//! ```
//!
//! | word | to the publisher |
//! |---|---|
//! | active | may take no position from `POSITION + slots` on |
//! | anything else | does not wait for this subscriber |
//!
//! # The two sides
//!
//! ```text
//!   subscriber joins                         publisher, at its limit
//!   POSITION := about the head               (the head was stored with the last message)
//!   FLOW := active               [enter]   fence(SeqCst)                      [scan]
//!   JOINS += 1                               JOINS has changed? scan all seats for active subscribers
//!   fence(SeqCst)                  [join]    limit := least POSITION + slots of all active ones,
//!   start := the head                                 and one lap at most
//!   POSITION := start
//!
//!   subscriber has received p                writes positions below the limit, without a scan
//!   POSITION := p + 1              [consumed]
//! ```
//!
//! # Invariants
//!
//! 1. The publisher takes no position at or above its limit. Each scan sets the limit to at most the head
//!    that was stored before it, plus `slots`.
//! 2. A subscriber's `POSITION` is at most the position that it reads next, and never falls while it is active.
//! 3. *Nothing is lost after a join.* One of [scan] and [join] comes first. If it is [join], the scan sees
//!    the new subscriber, and the limit keeps its start from being overwritten. If it is [scan], the new
//!    subscriber sees the head of that scan or a later one and starts there. The positions that the
//!    publisher still writes without another scan are less than `slots` behind that head (1).
//! 4. *Nothing is overwritten while it is read.* A limit above `p + slots` requires a `POSITION` above `p`,
//!    which was released after message `p` was read ([consumed]).
//! 5. *An evicted subscriber counts every message that it loses.* The eviction changes only the window
//!    word. The subscriber finds overwritten messages by the stamps, and counts them, like a subscriber
//!    that no publisher waits for. It continues from its position, and (3) covers it again from the time at
//!    which it enters again.
//! 6. The publisher evicts only a subscriber that blocked it, at one and the same position for its whole
//!    stall timeout. The time of an earlier participant on the same seat does not count.
//! 7. Some messages from before a join (`history`) can still be overwritten, and are counted then: those
//!    positions that the limit of the last scan allowed. The publisher scans again when it sees `JOINS`
//!    change. So these are the messages that it sends in the nanoseconds that a store takes to become
//!    visible.
//!
//! # Orderings
//!
//! * **\[join\]** and **\[scan\]**, sequentially consistent fences, each between the stores of its own side
//!   and the loads of the words that the other side stores: (3).
//! * **\[enter\]** (release) with the acquiring loads of `JOINS` and `FLOW` in the scan: a publisher that
//!   sees the word sees the `POSITION` before it.
//! * **\[consumed\]** (release) with the acquiring load of `POSITION` in the scan: (4).
//!
//! The model in `flow_control/model.rs` runs this code with the ring in all interleavings, and refutes its wrong
//! variants.

#[cfg(not(loom))]
use super::Reader;
#[cfg(loom)]
use super::broadcast::Reader;
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Geometry, Line, Region, Words, control, seat};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicU64, fence};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

/// The mask of the state in a window word, its two low bits. The stall timeout in nanoseconds is above them.
const STATE: u64 = 3;
const ACTIVE: u64 = 1;
const EVICTED: u64 = 2;
const OBSERVER: u64 = 3;

/// The longest stall timeout that fits in the word, in nanoseconds: 146 years. It never ends.
const FOREVER: u64 = u64::MAX >> 2;

/// A number of joins that is never reached.
const NEVER: u64 = u64::MAX;

fn word(state: u64, patience: u64) -> u64 {
    patience.min(FOREVER) << 2 | state
}

/// Marks the subscriber on the seat at byte `seat` as an observer: it receives every message from now on,
/// and the publisher does not wait for it. The caller must know the start of its reader before the call.
pub(crate) fn join_as_observer(region: Region, seat: usize) {
    // [enter] pairs with the acquiring load of the publisher that counts subscribers: a message that it
    // sends afterwards has a position at or after the start.
    region.u64(seat + seat::FLOW).store(word(OBSERVER, 0), Release);
}

/// Returns `true` if the subscriber with that window word receives every message that is sent from now on.
pub(crate) fn has_joined(window: u64) -> bool {
    window != 0
}

/// Returns `true` if the publisher waits for the subscriber with that window word, now or, after an eviction,
/// again from its next receive on. It never waits for an observer, whose stall timeout is zero.
pub(crate) fn is_gating(window: u64) -> bool {
    matches!(window & STATE, ACTIVE | EVICTED)
}

/// Returns `true` if the publisher has evicted the subscriber with that window word, and the subscriber has
/// not noticed yet.
#[cfg(test)]
pub(crate) fn is_evicted(window: u64) -> bool {
    window & STATE == EVICTED
}

/// Returns `true` if there are subscribers, and all of them have received everything before `position`. A snapshot.
#[cfg_attr(loom, allow(dead_code))]
pub(crate) fn all_have_reached(region: Region, geometry: &Geometry, position: u64) -> bool {
    let mut any = false;
    for index in 0..geometry.seats {
        let at = geometry.seat(index);
        // Acquire: pairs with [enter]. A subscriber has stored its start before.
        if has_joined(region.u64(at + seat::FLOW).load(Acquire)) {
            any = true;
            // Relaxed: the caller overwrites nothing that a reader pins, whatever the position is.
            if region.u64(at + seat::POSITION).load(Relaxed) != position {
                return false;
            }
        }
    }
    any
}

/// Makes a reader with `start`, for which the publisher waits from then on: see [`GatingSequence::enter`].
pub(crate) fn join<E>(
    region: Region,
    geometry: &Geometry,
    seat: usize,
    terms: FlowTerms,
    start: impl FnOnce() -> Result<Reader, E>,
) -> Result<(Reader, GatingSequence), E> {
    if mutant("flow no load after joining") {
        let mut reader = start()?;
        reader.gate_writer();
        let mut share = GatingSequence::enter(region, geometry, seat, terms);
        share.consumed(reader.position());
        return Ok((reader, share));
    }
    let mut share = GatingSequence::enter(region, geometry, seat, terms);
    let mut reader = start()?;
    if terms.patience > 0 {
        reader.gate_writer();
    }
    share.consumed(reader.position());
    Ok((reader, share))
}

/// The parameters with which a subscriber joins the flow control.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowTerms {
    /// The stall timeout in nanoseconds: the time for which it may block the publisher without progress. 0
    /// means that it never blocks the publisher.
    pub(crate) patience: u64,
    /// True if its reader starts before the head, as far back as there are slots.
    pub(crate) history: bool,
}

/// The subscriber's side of the flow control.
#[derive(Debug)]
pub(crate) struct GatingSequence {
    region: Region,
    own: Line,
    /// The window word of this subscriber while it is active.
    word: u64,
    /// Number of positions, a power of two, after which the subscriber wakes the publisher.
    step: u64,
    /// The next position at which it wakes the publisher: a multiple of `step`.
    wake_at: u64,
}

impl GatingSequence {
    /// Enters: from now on the publisher waits for the subscriber whose seat starts at byte `seat`.
    ///
    /// The reader must load its start after this call; [`GatingSequence::consumed`] then stores that position.
    fn enter(region: Region, geometry: &Geometry, seat: usize, terms: FlowTerms) -> Self {
        let word = word(if terms.patience == 0 { OBSERVER } else { ACTIVE }, terms.patience);
        let step = (geometry.slots / 8).max(1);
        // Relaxed: an estimate. The load that counts comes after [join].
        let head = region.u64(control::HEAD).load(Relaxed);
        let start = head.saturating_sub(if terms.history { geometry.slots } else { 0 });
        let share = GatingSequence { region, own: region.line(seat), word, step, wake_at: 0 };
        // Relaxed: released by the window word.
        share.own.u64(seat::POSITION).store(start, Relaxed);
        fault_point!("sub.entering");
        share.activate();
        share
    }

    #[cold]
    fn activate(&self) {
        // [enter] pairs with the scan.
        self.own.u64(seat::FLOW).swap(self.word, Release);
        fault_point!("sub.entered");
        // [enter] pairs with the scan.
        self.region.u64(control::JOINS).fetch_add(1, Release);
        if !mutant("flow no join fence") {
            // [join] pairs with [scan].
            fence(SeqCst);
        }
    }

    /// Stores that the reader has come to `position`, and has read everything before it. Returns `true` if
    /// the caller must wake a publisher that sleeps.
    #[inline(always)]
    pub(crate) fn consumed(&mut self, position: u64) -> bool {
        let own = self.own;
        // [consumed] pairs with the scan.
        own.u64(seat::POSITION).store(position, weak("flow relaxed position", Release));
        // Relaxed: a subscriber that sees its eviction late enters again late.
        if own.u64(seat::FLOW).load(Relaxed) != self.word {
            self.activate();
        }
        if position < self.wake_at {
            return false;
        }
        self.wake_at = (position | (self.step - 1)).saturating_add(1);
        true
    }

    /// Leaves: the publisher no longer waits for this subscriber.
    pub(crate) fn leave(&self) {
        // [consumed] pairs with the scan, which treats this as a position after all others.
        self.own.u64(seat::FLOW).swap(0, Release);
        fault_point!("sub.parted");
    }
}

/// The publisher's side of the flow control.
#[derive(Debug)]
pub(crate) struct FlowControl {
    region: Region,
    geometry: Geometry,
    /// The word `JOINS`.
    joins: Words<8>,
    /// Its value at the last search for gating subscribers; [`NEVER`] before the first search.
    seen: u64,
    /// Seats of the subscribers that were active at that search.
    gating: Vec<u32>,
    /// For each seat: the position at which it blocked the publisher, and the start of the stall.
    stalls: Box<[Option<Stall>]>,
    /// Time at which the first stall timeout ends, in nanoseconds.
    due: Option<u64>,
    /// Seat of the subscriber whose position sets the limit.
    slowest: Option<u32>,
}

/// A subscriber that blocks the publisher.
#[derive(Clone, Copy, Debug)]
struct Stall {
    /// Join time of the participant, in nanoseconds since the Unix epoch. A new participant on the seat starts
    /// its own stall time.
    joined: u64,
    position: u64,
    /// Start of the stall, in nanoseconds of the monotonic clock.
    since: u64,
}

impl FlowControl {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        let seats = geometry.seats as usize;
        FlowControl {
            region,
            geometry: *geometry,
            joins: region.words(control::JOINS),
            seen: NEVER,
            gating: Vec::with_capacity(seats),
            stalls: vec![None; seats].into_boxed_slice(),
            due: None,
            slowest: None,
        }
    }

    /// Scans the subscribers, and returns the limit of a publisher that takes `next` as its next position.
    /// The publisher must have stored the head before. A limit of `next` means that no position is free.
    pub(crate) fn limit(&mut self, next: u64) -> u64 {
        if !mutant("flow no scan fence") {
            // [scan] pairs with [join].
            fence(SeqCst);
        }
        // [enter]: pairs with the release of a joining subscriber.
        let joins = self.joins.u64(0).load(Acquire);
        if self.seen != joins {
            self.find_gating();
            self.seen = joins;
        }
        let slots = self.geometry.slots;
        let mut limit = next.saturating_add(slots);
        self.slowest = None;
        for &index in &self.gating {
            // [enter]: pairs with the release of a joining subscriber.
            if self.window(index).load(Acquire) & STATE != ACTIVE {
                continue;
            }
            // [consumed]: every message that is overwritten from now on was read before.
            let until = self.position(index).load(weak("flow relaxed scan", Acquire)).saturating_add(slots);
            if until < limit {
                limit = until;
                self.slowest = Some(index);
            }
        }
        fault_point!("pub.scanned");
        limit.max(next)
    }

    /// Returns `true` if no subscriber has joined since the last scan. Only the amount of history that a
    /// new subscriber finds depends on it (7).
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        // Relaxed: a hint.
        self.joins.u64(0).load(Relaxed) == self.seen
    }

    fn find_gating(&mut self) {
        self.gating.clear();
        for index in 0..self.geometry.seats {
            // [enter]: pairs with the release of a joining subscriber.
            if self.window(index).load(Acquire) & STATE == ACTIVE {
                self.gating.push(index);
            }
        }
    }

    /// Returns `true` if a scan can help a publisher at `next`. That is so if the subscriber that set the
    /// limit has passed enough positions, or is no longer active.
    pub(crate) fn may_have_credit(&self, next: u64) -> bool {
        self.room(next).is_none_or(|room| room >= self.worth())
    }

    /// Returns the number of free positions that are worth a scan: an eighth of the ring.
    pub(crate) fn worth(&self) -> u64 {
        (self.geometry.slots / 8).max(1)
    }

    /// Returns the number of positions from `next` on that the subscriber that set the limit leaves free, or `None` if it
    /// is no longer active. A snapshot.
    pub(crate) fn room(&self, next: u64) -> Option<u64> {
        let index = self.slowest?;
        // Relaxed, both: the scan decides.
        let position = self.position(index).load(Relaxed);
        let is_active = self.window(index).load(Relaxed) & STATE == ACTIVE;
        is_active.then(|| position.saturating_add(self.geometry.slots).saturating_sub(next))
    }

    /// Evicts every subscriber that has blocked the publisher at `next` for longer than its stall timeout, and
    /// returns their number. `now` is in nanoseconds, of a monotonic clock.
    pub(crate) fn evict_stalled(&mut self, next: u64, now: u64) -> u32 {
        let mut evicted = 0;
        self.due = None;
        for &index in &self.gating {
            let stall = &mut self.stalls[index as usize];
            // Relaxed, both: the compare-exchange checks this decision, and no message depends on it.
            let window = self.region.u64(self.geometry.seat(index) + seat::FLOW).load(Relaxed);
            let position = self.region.u64(self.geometry.seat(index) + seat::POSITION).load(Relaxed);
            if window & STATE != ACTIVE || position.saturating_add(self.geometry.slots) > next {
                *stall = None;
                continue;
            }
            // Relaxed: a word of the seat, stored before the window word. A stale value restarts the stall time.
            let joined = self.region.u64(self.geometry.seat(index) + seat::JOINED).load(Relaxed);
            let before = stall.filter(|stall| (stall.joined, stall.position) == (joined, position));
            let since = before.map_or(now, |stall| stall.since);
            let patience = window >> 2;
            let end = if patience == FOREVER { u64::MAX } else { since.saturating_add(patience) };
            if before.is_none() || patience == FOREVER || now < end {
                *stall = Some(Stall { joined, position, since });
                self.due = Some(self.due.map_or(end, |due| due.min(end)));
                continue;
            }
            let word = self.region.u64(self.geometry.seat(index) + seat::FLOW);
            // AcqRel: it orders nothing else, and no change of the word may be lost.
            if word.compare_exchange(window, window & !STATE | EVICTED, AcqRel, Relaxed).is_ok() {
                // Relaxed: a statistic.
                self.region.u64(self.geometry.seat(index) + seat::EVICTIONS).fetch_add(1, Relaxed);
                evicted += 1;
                fault_point!("pub.evicted");
            }
            *stall = None;
        }
        evicted
    }

    /// Returns the time at which the next [`evict_stalled`](FlowControl::evict_stalled) is due, of the clock of
    /// the last call, if a subscriber blocks the publisher.
    pub(crate) fn eviction_due(&self) -> Option<u64> {
        self.due
    }

    fn position(&self, index: u32) -> &AtomicU64 {
        self.region.u64(self.geometry.seat(index) + seat::POSITION)
    }

    fn window(&self, index: u32) -> &AtomicU64 {
        self.region.u64(self.geometry.seat(index) + seat::FLOW)
    }
}
