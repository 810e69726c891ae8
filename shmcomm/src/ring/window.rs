//! The window: how far the publisher of a channel that waits may go on.
//!
//! Owns the words by which subscribers say how far they are and the publisher finds out: `POSITION` and
//! `WINDOW` of a seat, and `JOINS` of the segment. Calls atomics only; the clock comes as a number. Never
//! touches a slot, never waits. Allocates once, when the publisher's side is made.
//!
//! The [broadcast ring](super) overwrites, and its protocol is the same here: the window only decides
//! *when* its writer may take the next position. So nothing that a subscriber says can tear a message. A
//! wrong word costs its own subscriber messages, or holds the publisher until its patience ends.
//!
//! # The window word
//!
//! ```text
//!               enter                    cut (publisher, compare-exchange)
//!   out (0) ───────────────► in, patience ─────────────────────────────► cut, patience
//!      ▲                        │  ▲                                        │
//!      │  leave, or the sweep   │  └────────────────────────────────────────┘
//!      └────────────────────────┘   with its next message, its subscriber comes in again
//!
//!   onlooker: the same as out, but for whoever counts subscribers
//! ```
//!
//! | word | to the publisher |
//! |---|---|
//! | in | no position from `POSITION + slots` on |
//! | anything else | nobody |
//!
//! # The two sides
//!
//! ```text
//!   subscriber joins                         publisher, at its limit
//!   POSITION := about the head               (the head was stored with the last message)
//!   WINDOW := in                   [enter]   fence(SeqCst)                      [scan]
//!   JOINS += 1                               JOINS has changed? find who is in, among all seats
//!   fence(SeqCst)                  [join]    limit := least POSITION + slots of those who are in,
//!   start := the head                                 and one lap at most
//!   POSITION := start
//!
//!   subscriber has received p                writes positions below the limit, without a look
//!   POSITION := p + 1              [consumed]
//! ```
//!
//! # Invariants
//!
//! 1. The publisher takes no position at or above its limit. Each scan sets the limit to at most the head
//!    that was stored before it, plus `slots`.
//! 2. A subscriber's `POSITION` is at most the position it reads next, and never falls while it is in.
//! 3. *Nothing is lost after a join.* Of [scan] and [join] one comes first. If it is [join], the scan sees
//!    who came, and the limit keeps its start from being overwritten. If it is [scan], the joiner sees the
//!    head of that scan or a later one and starts there, and what the publisher still writes without
//!    another look is less than `slots` behind that head (1).
//! 4. *Nothing is overwritten while it is read.* A limit above `p + slots` takes a `POSITION` above `p`,
//!    which was released after message `p` was read ([consumed]).
//! 5. *Who is cut loses nothing in silence.* The cut changes nothing but the window word. What is then
//!    overwritten the subscriber finds by the stamps, and counts, like one that nobody waits for; it reads
//!    on from where it was, and from its coming in again on it is covered by (3).
//! 6. Only a subscriber that held the publisher up, at one and the same position for all its patience, is
//!    cut.
//! 7. Of messages from before a join (`history`) those can still be overwritten, and are counted then,
//!    which the publisher had leave to overwrite at its last scan. It scans again when it sees `JOINS`
//!    change, so this is what it sends in the nanoseconds that a store takes to become visible.
//!
//! # Orderings
//!
//! * **\[join\]** and **\[scan\]**, sequentially consistent fences, each between stores of its own side
//!   and loads of what the other side stores: (3).
//! * **\[enter\]** (release) with the scan's acquiring loads of `JOINS` and `WINDOW`: who sees the word sees the
//!   `POSITION` before it.
//! * **\[consumed\]** (release) with the scan's acquiring load of `POSITION`: (4).
//!
//! The model in `window/model.rs` runs this code with the ring in all interleavings, and refutes its wrong
//! variants.

#[cfg(not(loom))]
use super::Reader;
#[cfg(loom)]
use super::broadcast::Reader;
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Geometry, Line, Region, control, seat};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicU64, fence};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

/// States of the window word, in its two low bits; the patience in nanoseconds is above them.
const STATE: u64 = 3;
const IN: u64 = 1;
const CUT: u64 = 2;
const ONLOOKER: u64 = 3;

/// The longest patience that the word has room for: 146 years. It never ends.
const FOREVER: u64 = u64::MAX >> 2;

fn word(state: u64, patience: u64) -> u64 {
    patience.min(FOREVER) << 2 | state
}

/// Whether the subscriber with that window word has come so far that it can be counted on.
pub(crate) fn has_entered(window: u64) -> bool {
    window != 0
}

/// Whether the publisher has cut the subscriber with that window word loose, and it has not noticed yet.
#[cfg(test)]
pub(crate) fn is_cut(window: u64) -> bool {
    window & STATE == CUT
}

/// Makes a reader with `start`, for whom the publisher waits from then on: see [`Share::enter`].
pub(crate) fn join<E>(
    region: Region,
    geometry: &Geometry,
    seat: usize,
    terms: Terms,
    start: impl FnOnce() -> Result<Reader, E>,
) -> Result<(Reader, Share), E> {
    if mutant("window no look after joining") {
        let mut reader = start()?;
        reader.be_waited_for();
        let mut share = Share::enter(region, geometry, seat, terms);
        share.moved(reader.position());
        return Ok((reader, share));
    }
    let mut share = Share::enter(region, geometry, seat, terms);
    let mut reader = start()?;
    if terms.patience > 0 {
        reader.be_waited_for();
    }
    share.moved(reader.position());
    Ok((reader, share))
}

/// What a subscriber asks of the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long, in nanoseconds, it may hold the publisher up without getting on. Zero: not at all.
    pub(crate) patience: u64,
    /// Whether its reader starts before the head, as far back as there are slots.
    pub(crate) history: bool,
}

/// A subscriber's side.
#[derive(Debug)]
pub(crate) struct Share {
    region: Region,
    own: Line,
    /// Its window word as long as all is well.
    word: u64,
    /// The position it said last.
    said: u64,
    /// The publisher is woken each time so many positions are passed: a power of two.
    step: u64,
}

impl Share {
    /// Comes in: from now on the publisher waits for the subscriber whose entry starts at byte `seat`.
    ///
    /// The reader must look for its start after this; [`Share::moved`] says then where that is.
    fn enter(region: Region, geometry: &Geometry, seat: usize, terms: Terms) -> Self {
        let word = word(if terms.patience == 0 { ONLOOKER } else { IN }, terms.patience);
        let step = (geometry.slots / 8).max(1);
        // Relaxed: an estimate; the look that counts comes after [join].
        let head = region.u64(control::HEAD).load(Relaxed);
        let said = head.saturating_sub(if terms.history { geometry.slots } else { 0 });
        let share = Share { region, own: region.line(seat), word, said, step };
        // Relaxed: released by the window word.
        share.position().store(said, Relaxed);
        fault_point!("sub.entering");
        share.come_in();
        share
    }

    #[cold]
    fn come_in(&self) {
        // [enter] pairs with the scan.
        self.window().swap(self.word, Release);
        fault_point!("sub.entered");
        // [enter], as above.
        self.region.u64(control::JOINS).fetch_add(1, Release);
        if !mutant("window no join fence") {
            // [join] pairs with [scan].
            fence(SeqCst);
        }
    }

    /// The reader has come to `position`, and everything before it was read. True if the publisher, should it
    /// sleep, is to be woken.
    #[inline(always)]
    pub(crate) fn moved(&mut self, position: u64) -> bool {
        let passed = (self.said ^ position) >= self.step;
        self.said = position;
        // [consumed] pairs with the scan.
        self.position().store(position, weak("window relaxed position", Release));
        // Relaxed: a cut that is seen late makes the subscriber come in late.
        if self.window().load(Relaxed) != self.word {
            self.come_in();
        }
        passed
    }

    /// Goes: the publisher waits for this subscriber no more.
    pub(crate) fn leave(&self) {
        // [consumed] pairs with the scan, which takes this for the last position of all.
        self.window().swap(0, Release);
        fault_point!("sub.parted");
    }

    #[inline(always)]
    fn position(&self) -> &AtomicU64 {
        self.own.u64(seat::POSITION)
    }

    #[inline(always)]
    fn window(&self) -> &AtomicU64 {
        self.own.u64(seat::WINDOW)
    }
}

/// The publisher's side.
#[derive(Debug)]
pub(crate) struct Window {
    region: Region,
    geometry: Geometry,
    /// `JOINS` when it was last looked for members; nothing before the first time.
    joins: Option<u64>,
    /// Seats of those who were in then.
    members: Vec<u32>,
    /// For each seat: where it held the publisher up, and since when.
    held: Box<[Option<Hold>]>,
    /// When the first of them is out of patience.
    due: Option<u64>,
    /// Whose position sets the limit.
    holder: Option<u32>,
}

/// A subscriber that keeps the publisher from going on.
#[derive(Clone, Copy, Debug)]
struct Hold {
    position: u64,
    /// Nanoseconds of the monotonic clock.
    since: u64,
}

impl Window {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        let seats = geometry.seats as usize;
        Window {
            region,
            geometry: *geometry,
            joins: None,
            members: Vec::with_capacity(seats),
            held: vec![None; seats].into_boxed_slice(),
            due: None,
            holder: None,
        }
    }

    /// The limit of a publisher that takes `next` as its next position, and has stored the head before.
    /// At `next` there is no room.
    pub(crate) fn limit(&mut self, next: u64) -> u64 {
        if !mutant("window no scan fence") {
            // [scan] pairs with [join].
            fence(SeqCst);
        }
        // [enter].
        let joins = self.region.u64(control::JOINS).load(Acquire);
        if self.joins != Some(joins) {
            self.find_members();
            self.joins = Some(joins);
        }
        let slots = self.geometry.slots;
        let mut limit = next.saturating_add(slots);
        self.holder = None;
        for &index in &self.members {
            // [enter].
            if self.window(index).load(Acquire) & STATE != IN {
                continue;
            }
            // [consumed]: what is overwritten from now on was read before.
            let until = self.position(index).load(weak("window relaxed scan", Acquire)).saturating_add(slots);
            if until < limit {
                limit = until;
                self.holder = Some(index);
            }
        }
        fault_point!("pub.scanned");
        limit.max(next)
    }

    /// Whether nobody has come since the last scan. Nothing depends on it but how much of the past a subscriber
    /// with a history finds (7).
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        // Relaxed: a hint.
        self.joins == Some(self.region.u64(control::JOINS).load(Relaxed))
    }

    fn find_members(&mut self) {
        self.members.clear();
        for index in 0..self.geometry.seats {
            // [enter].
            if self.window(index).load(Acquire) & STATE == IN {
                self.members.push(index);
            }
        }
    }

    /// Whether a scan is worth its while for a publisher at `next`: whoever set the limit has passed so
    /// many positions that it is worth going on, or has gone.
    pub(crate) fn has_moved(&self, next: u64) -> bool {
        let Some(index) = self.holder else { return true };
        let slots = self.geometry.slots;
        let worth = next.saturating_sub(slots).saturating_add((slots / 8).max(1));
        // Relaxed, both: the scan decides.
        self.position(index).load(Relaxed) >= worth || self.window(index).load(Relaxed) & STATE != IN
    }

    /// Cuts loose whoever has held the publisher up at `next` for longer than its patience, and returns how many
    /// that were. `now` is in nanoseconds, of a clock that never goes back.
    pub(crate) fn cut(&mut self, next: u64, now: u64) -> u32 {
        let mut cut = 0;
        self.due = None;
        for &index in &self.members {
            let held = &mut self.held[index as usize];
            // Relaxed, both: what is decided here is checked by the compare-exchange, and no message depends on it.
            let window = self.region.u64(self.geometry.seat(index) + seat::WINDOW).load(Relaxed);
            let position = self.region.u64(self.geometry.seat(index) + seat::POSITION).load(Relaxed);
            if window & STATE != IN || position.saturating_add(self.geometry.slots) > next {
                *held = None;
                continue;
            }
            let before = held.filter(|hold| hold.position == position);
            let since = before.map_or(now, |hold| hold.since);
            let patience = window >> 2;
            let end = if patience == FOREVER { u64::MAX } else { since.saturating_add(patience) };
            if before.is_none() || patience == FOREVER || now < end {
                *held = Some(Hold { position, since });
                self.due = Some(self.due.map_or(end, |due| due.min(end)));
                continue;
            }
            let word = self.region.u64(self.geometry.seat(index) + seat::WINDOW);
            // AcqRel: it orders nothing else, and a change of the word is never to be lost.
            if word.compare_exchange(window, window & !STATE | CUT, AcqRel, Relaxed).is_ok() {
                // Relaxed: a figure.
                self.region.u64(self.geometry.seat(index) + seat::CUT).fetch_add(1, Relaxed);
                cut += 1;
                fault_point!("pub.cut");
            }
            *held = None;
        }
        cut
    }

    /// When the next [`cut`](Window::cut) is due, of the clock of the last one, if somebody holds the publisher up.
    pub(crate) fn cut_due(&self) -> Option<u64> {
        self.due
    }

    fn position(&self, index: u32) -> &AtomicU64 {
        self.region.u64(self.geometry.seat(index) + seat::POSITION)
    }

    fn window(&self, index: u32) -> &AtomicU64 {
        self.region.u64(self.geometry.seat(index) + seat::WINDOW)
    }
}
