//! [`Writer`]: the publishing end.
//!
//! Owns the order of the steps of a publication, and the counters. Calls `slot` for the accesses to a slot.
//! Never waits for a reader, and decides nothing by the control words that only it stores: it keeps private copies of
//! the head and of the holes.

use super::count::Count;
use super::short_laps::{Followed, ShortLaps};
use super::{AHEAD, BroadcastCorrupt, Recovered, done, recover, writing};
use crate::fault::mutant;
use crate::layout::{Discipline, Geometry, Region};
use crate::ring::slot::{Control, MOST_LINES, Slot, Slots, WriteLock};
use core::ops::Range;

/// Readers pinned every slot that the writer tried. No word was changed. The condition ends as soon as a
/// reader unpins its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AllPinned;

/// The writer of a ring. A lock of the operating system ensures that there is one at a time.
///
/// It has no destructor: it leaves the same state as a crash does, and the next writer repairs it.
#[derive(Debug)]
pub(crate) struct Writer {
    slots: Slots,
    /// `true` if messages are written in their slots rather than copied into them.
    in_place: bool,
    /// The first position that the writer must not take; see [`flow_control`](crate::ring::flow_control).
    limit: u64,
    /// The first position at which the caller has other work to do; see [`Writer::set_checkpoint`].
    checkpoint: u64,
    /// The first position that [`Writer::send_fast`] refuses: the lesser of limit and checkpoint, or 0 in a pinned ring.
    send_below: u64,
    /// The first position that [`Writer::claim_fast`] refuses: the lesser of limit and checkpoint, or 0 in a copied ring.
    claim_below: u64,
    /// The first position after whose message no slot is prefetched. The slot [`AHEAD`] of it is beyond the limit, so a
    /// reader may be about to read that slot. It is 0 in a small ring, where readers are always about as near, and in a
    /// pinned ring whose slots have more than [`MOST_LINES`] lines.
    prefetch_below: u64,
    count: Count,
    recovered: Recovered,
    /// The first position from which on the slots are known to have the messages of the previous lap, or no
    /// message yet: the last hole is a lap behind.
    even_from: u64,
    /// Set while the slot of the next position is claimed but not published: `true` if both state words are
    /// locked.
    claimed: Option<bool>,
    /// The choice between whole and short laps, in a ring of large messages without flow control. `limit` is then
    /// the position of the next choice.
    laps: Option<Box<ShortLaps>>,
    /// Number of slots that were passed because they were pinned.
    pinned: u64,
}

impl Writer {
    /// Recovers a ring, new or used, however the last writer ended.
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Result<Self, BroadcastCorrupt> {
        debug_assert_ne!(geometry.discipline, Discipline::Queue);
        let slots = Slots::new(region, geometry);
        let in_place = geometry.discipline == Discipline::Pinned;
        let (count, recovered) = recover::recover(&slots, Control::new(region), in_place)?;
        // For one lap the writer checks the stamps of slots that it has not written itself.
        let new = recovered.positions == 0 || mutant("recovered slots are trusted");
        let even_from = if new { 0 } else { count.next + slots.count() };
        let mut writer = Writer {
            slots,
            in_place,
            limit: u64::MAX,
            checkpoint: u64::MAX,
            send_below: 0,
            claim_below: 0,
            prefetch_below: 0,
            count,
            recovered,
            even_from,
            claimed: None,
            laps: None,
            pinned: 0,
        };
        writer.set_fast_paths();
        Ok(writer)
    }

    /// Returns what the last writer left unfinished.
    pub(crate) fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Publishes a message by copying it, at a position below the limit and the checkpoint. Returns `false` without
    /// effect if the ring is pinned, the payload is too long, or the position is not below both.
    //
    // Always inlined, with the rest out of line. The compiler then copies a payload of constant size with
    // one move per word, without a loop and without a test of the length.
    #[inline(always)]
    pub(crate) fn send_fast(&mut self, payload: &[u8]) -> bool {
        let position = self.count.next;
        let slot = self.slots.at(position);
        // One comparison excludes a pinned ring too.
        if position >= self.send_below || payload.len() > slot.size() {
            return false;
        }
        self.copy(position, slot, payload);
        true
    }

    /// Publishes a message in a copied ring, at the next position and in its slot.
    #[inline(always)]
    fn copy(&mut self, position: u64, slot: Slot, payload: &[u8]) {
        slot.write_begin(writing(position));
        slot.store(payload);
        slot.write_end(self.count.meta(payload.len()), done(position));
        self.count.message(position, payload.len());
        if position < self.prefetch_below {
            // Fewer slots if they have more lines: a processor fetches about 16 at a time.
            let ahead = if Slot::lines(payload.len()) > 2 { AHEAD / 2 } else { AHEAD };
            self.slots.at(position + ahead).prefetch_for_write(payload.len());
        }
    }

    /// Publishes a message. A message longer than a slot is truncated. The caller checks the length and, if
    /// there is a limit, calls [`Writer::has_credit`].
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), AllPinned> {
        debug_assert!(payload.len() <= self.slots.size() && (self.laps.is_some() || self.has_credit()));
        let payload = &payload[..payload.len().min(self.slots.size())];
        if !self.in_place {
            if !self.has_credit() {
                return Err(AllPinned);
            }
            let position = self.count.next;
            self.copy(position, self.slots.at(position), payload);
            return Ok(());
        }
        let mut claim = self.claim()?;
        claim.fill(payload);
        claim.commit(payload.len());
        Ok(())
    }

    /// Claims the next slot that no reader pins, to write a message in place; pinned rings only.
    ///
    /// The previous message of the slot is gone from now on, whether the claim is published or not.
    #[inline]
    pub(crate) fn claim(&mut self) -> Result<BroadcastClaim<'_>, AllPinned> {
        self.try_claim()?;
        Ok(BroadcastClaim { writer: self })
    }

    /// Claims a slot (`try_claim`): the first half of [`Writer::claim`]. Afterwards there is a
    /// [`Writer::claimed_slot`].
    //
    // The writer records the claim, and the returned value only says that there is one: a loan is moved often.
    #[inline(always)]
    pub(crate) fn try_claim(&mut self) -> Result<(), AllPinned> {
        debug_assert!(self.in_place);
        if self.has_credit() && self.claim_next() { Ok(()) } else { self.try_claim_further() }
    }

    /// Claims the slot of the next position, below the limit and the checkpoint. Returns `false` without effect if the
    /// ring is copied, a reader pins the slot, or the position is not below both.
    #[inline(always)]
    pub(crate) fn claim_fast(&mut self) -> bool {
        self.count.next < self.claim_below && self.claim_next()
    }

    /// Claims the slot of the next position, unless a reader pins it.
    #[inline(always)]
    fn claim_next(&mut self) -> bool {
        let position = self.count.next;
        let slot = self.slots.at(position);
        let locked = slot.try_lock_after(self.slots.phase(position), self.expected_stamp(position));
        let Some(owned) = locked else { return false };
        self.begin(position, owned);
        true
    }

    /// Begins the message at `position`, the next one, in a slot that was just locked.
    #[inline(always)]
    fn begin(&mut self, position: u64, owned: WriteLock) {
        debug_assert_eq!(position, self.count.next);
        let slot = owned.slot();
        #[cfg(loom)]
        slot.scribble();
        slot.write_begin(writing(position));
        self.claimed = Some(owned.into_raw());
    }

    /// Lets the writer make [short laps](super::short_laps), if messages are large and slots are few. It must
    /// have no limit. `clock` returns nanoseconds. `followed` returns `true` if there are subscribers, and all of
    /// them have received everything before a position.
    pub(crate) fn allow_short_laps(&mut self, geometry: &Geometry, clock: fn() -> u64, followed: Followed) {
        self.laps = ShortLaps::new(geometry, clock, followed).map(Box::new);
        if self.laps.is_some() {
            self.set_limit(0);
        }
    }

    /// Chooses a lap if that is due, and claims the next slot of it that is not pinned.
    #[cold]
    fn try_claim_further(&mut self) -> Result<(), AllPinned> {
        let Some(mut laps) = self.laps.take() else { return self.search(self.limit) };
        let (next, vain) = (self.count.next, self.claimed.is_some());
        let claimable = |position| {
            // A slot that was claimed in vain stays locked, so it is claimed again.
            !vain && !self.slots.at(position).has_pins(self.slots.phase(position), self.last(position))
        };
        if let Some(target) = laps.choose(next, claimable) {
            self.pass(target);
        }
        let claimed = self.search(u64::MAX);
        self.set_limit(self.count.next + laps.next_choice());
        self.laps = Some(laps);
        claimed
    }

    /// Makes holes of the positions before `position`.
    pub(super) fn pass(&mut self, position: u64) {
        for passed in self.count.next..position {
            self.count.hole(self.slots.at(passed));
        }
        if !mutant("passed slots are trusted") {
            self.even_from = position + self.slots.count();
        }
    }

    /// Searches a lap for a slot that is not pinned, up to the position `limit`, and claims it.
    fn search(&mut self, limit: u64) -> Result<(), AllPinned> {
        let first = self.count.next;
        let end = (first + self.slots.count()).min(limit);
        // Scans twice, because a reader that advances may be met again. The result is still a snapshot.
        for position in (first..end).chain(first..end) {
            let slot = self.slots.at(position);
            if let Some(owned) =
                slot.try_lock_after(self.slots.phase(position), self.expected_stamp(position))
            {
                // Only now: a ring without a free slot stays unchanged.
                if position > first {
                    self.pinned += position - first;
                    self.pass(position);
                }
                self.begin(position, owned);
                return Ok(());
            }
        }
        Err(AllPinned)
    }

    /// Returns the slot that was claimed last and is not published.
    #[inline(always)]
    pub(in crate::ring) fn claimed_slot(&self) -> WriteLock {
        let both = self.claimed.expect("a slot is claimed before it is used");
        let position = self.count.next;
        self.slots.at(position).lock_from_raw(self.slots.phase(position), both)
    }

    /// Publishes (commits) the first `len` bytes of the claimed slot.
    #[inline(always)]
    pub(crate) fn commit(&mut self, len: usize) {
        let owned = self.claimed_slot();
        self.claimed = None;
        let Writer { slots, count, laps, prefetch_below, .. } = self;
        debug_assert!(len <= slots.size());
        let len = len.min(slots.size());
        let slot = owned.slot();
        let position = count.next;
        let pending = owned.finish();
        slot.write_end(count.meta(len), done(position));
        count.message(position, len);
        if let Some(laps) = laps
            && laps.is_timed()
        {
            laps.published(len);
        }
        // Prefetches the line that the next claim changes, while this call waits for its stamp store to
        // complete. Never prefetches the line of the next stamp: a reader that polls it would lose it.
        let prefetch_state = |at| slots.at(at).prefetch_state_for_write(slots.phase(at).other());
        prefetch_state(position + 1);
        if position < *prefetch_below {
            // The lock of a claim waits for all stores before it, so the misses of one message would not overlap those
            // of the next. The nearer state word is prefetched again: a reader that polls may have taken its line.
            prefetch_state(position + 2);
            slots.at(position + 2).prefetch_for_write(len);
        }
        pending.unlock();
    }

    /// Returns the payload capacity of a slot, in bytes.
    #[inline(always)]
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size()
    }

    /// Returns the stamp that the slot of a position has if there was no hole; `None` if the writer knows
    /// that it has it.
    #[inline(always)]
    fn expected_stamp(&self, position: u64) -> Option<u64> {
        if position < self.even_from { Some(self.last(position)) } else { None }
    }

    #[inline]
    fn last(&self, position: u64) -> u64 {
        position.checked_sub(self.slots.count()).map_or(0, done)
    }

    /// Returns `true` if messages are written in their slots rather than copied into them.
    #[inline(always)]
    pub(crate) fn is_pinned(&self) -> bool {
        self.in_place
    }

    /// Returns `true` if readers pin every slot, so that a claim would fail. Stops the scan at the first
    /// free slot.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        let held =
            |position| self.slots.at(position).has_pins(self.slots.phase(position), self.last(position));
        let end = (self.count.next + self.slots.count()).min(self.limit);
        self.is_pinned() && (self.count.next..end).all(held)
    }

    /// Returns `true` if the next position is below the limit.
    #[inline]
    pub(crate) fn has_credit(&self) -> bool {
        self.count.next < self.limit
    }

    /// Restricts the writer to the positions below `limit` from now on. A caller that sets a limit calls
    /// [`Writer::has_credit`] before each message.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.set_fast_paths();
    }

    /// Makes [`Writer::send_fast`] and [`Writer::claim_fast`] refuse the positions from `position` on, for a caller that
    /// has other work to do then. Other calls ignore the checkpoint.
    pub(crate) fn set_checkpoint(&mut self, position: u64) {
        self.checkpoint = position;
        self.set_fast_paths();
    }

    fn set_fast_paths(&mut self) {
        let below = self.limit.min(self.checkpoint);
        (self.send_below, self.claim_below) = if self.in_place { (0, below) } else { (below, 0) };
        let small = !self.in_place || Slot::lines(self.slots.size()) <= MOST_LINES;
        let prefetches = small && self.slots.count() >= 4 * AHEAD;
        self.prefetch_below = if prefetches { self.limit.saturating_sub(AHEAD) } else { 0 };
    }

    /// Returns the position of the next message or hole.
    #[inline]
    pub(crate) fn next_position(&self) -> u64 {
        self.count.next
    }

    /// Returns the number of messages published since the ring was made.
    pub(crate) fn messages(&self) -> u64 {
        self.count.next - self.count.holes
    }

    /// Returns the number of payload bytes published since the ring was made, without the last message of a
    /// writer that crashed before counting it.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        crate::sync::load_own(self.count.control.bytes())
    }

    /// Returns the number of slots that this writer passed because readers pinned them.
    pub(crate) fn passed(&self) -> u64 {
        self.pinned
    }

    /// Returns the number of positions without a message since the ring was made.
    #[cfg(test)]
    pub(crate) fn holes(&self) -> u64 {
        self.count.holes
    }
}

/// Returns `true` if readers pin the slots of all `positions`, so that a claim of one of them would fail. Scans at most
/// one lap.
#[cfg_attr(loom, allow(dead_code))]
pub(crate) fn all_pinned(region: Region, geometry: &Geometry, positions: Range<u64>) -> bool {
    if geometry.discipline != Discipline::Pinned {
        return false;
    }
    let slots = Slots::new(region, geometry);
    let last = |position: u64| position.checked_sub(slots.count()).map_or(0, done);
    let pinned = |position| slots.at(position).has_pins(slots.phase(position), last(position));
    positions.take(slots.count() as usize).all(pinned)
}

/// A claimed slot to write a message into. Dropping the claim publishes nothing: the next claim reuses the
/// slot, also after a leak.
#[must_use = "dropping a claim publishes nothing"]
#[derive(Debug)]
pub(crate) struct BroadcastClaim<'w> {
    writer: &'w mut Writer,
}

impl BroadcastClaim<'_> {
    /// Returns the capacity in bytes.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn capacity(&self) -> usize {
        self.writer.slot_size()
    }

    /// Copies a payload in, from the start of the slot.
    #[inline]
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        self.writer.claimed_slot().fill(bytes);
    }

    /// Publishes the first `len` bytes of the slot.
    #[inline]
    pub(crate) fn commit(self, len: usize) {
        self.writer.commit(len);
    }
}
