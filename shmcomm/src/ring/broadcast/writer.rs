//! [`Writer`]: the one end that publishes.
//!
//! Owns the order of the steps of a publication, and the counters. Calls `slot` for what happens in
//! a slot. Never waits for a reader, and never reads what only it writes: it keeps private copies.

use super::{AHEAD, Adopted, Corrupt, Meta, adopt, done, hole, writing};
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Discipline, Geometry, Region};
use crate::ring::slot::{Control, Owned, Slot, Slots};
use crate::sync::Ordering::{Relaxed, Release};

/// Whenever the writer tried a slot, a reader held it. Nothing was changed; it passes as soon as one
/// lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AllPinned;

/// The writer of a ring. There is one at a time, which a lock of the operating system sees to.
///
/// It has no destructor: what it leaves is what a crash leaves, and the next one's to repair.
#[derive(Debug)]
pub(crate) struct Writer {
    slots: Slots,
    /// Messages shorter than this are copied: all that fit in a slot, or, in a pinned ring, none.
    copied_below: usize,
    /// Positions from here on are not to be taken; see [`window`](crate::ring::window).
    limit: u64,
    /// So many slots ahead lines are asked for: [`AHEAD`], or none where readers are about as near.
    ahead: u64,
    count: Count,
    adopted: Adopted,
    /// From this position on the slots are known to have the messages of the lap before, or none yet: the
    /// last hole is a lap behind.
    even_from: u64,
    /// The slot of the next position was claimed, and is not published yet: if by both of its state words.
    claimed: Option<bool>,
}

/// The writer's own copies of its control words.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) control: Control,
    pub(super) next: u64,
    pub(super) holes: u64,
    pub(super) bytes: u64,
}

impl Count {
    /// Shows a message that was just closed.
    #[inline(always)]
    fn message(&mut self, len: usize) {
        self.next += 1;
        self.bytes = self.bytes.wrapping_add(len as u64);
        // [head] pairs with [catch up]: every slot before the head has its stamp.
        let head = if mutant("window scan before the head") { self.next - 1 } else { self.next };
        self.control.head().store(head, weak("relaxed head", Release));
        fault_point!("pub.head");
        // Relaxed: a figure to look at. How many messages there were follows from head and holes.
        self.control.bytes().store(self.bytes, Relaxed);
    }

    /// Makes the next position a hole.
    #[cold]
    pub(super) fn hole(&mut self, slot: Slot) {
        slot.open(writing(self.next));
        slot.close(Meta { len: 0, holes: self.holes as u32 }.word(), hole(self.next));
        self.next += 1;
        self.holes += 1;
        // [head] pairs with [catch up].
        self.control.head().store(self.next, weak("relaxed head", Release));
        fault_point!("pub.hole");
        // Relaxed: a figure; who takes over checks it against the newest slot.
        self.control.holes().store(self.holes, Relaxed);
    }
}

impl Writer {
    /// Takes a ring over, new or used, after whatever end of the last writer.
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Result<Self, Corrupt> {
        debug_assert_ne!(geometry.discipline, Discipline::Queue);
        let slots = Slots::new(region, geometry);
        let pinned = geometry.discipline == Discipline::Pinned;
        let (count, adopted) = adopt::adopt(&slots, Control::new(region), pinned)?;
        let copied_below = if pinned { 0 } else { slots.size() + 1 };
        let ahead = if slots.count() >= 4 * AHEAD { AHEAD } else { 0 };
        // What there was before is looked at, for a lap.
        let new = adopted.positions == 0 || mutant("adopted slots are trusted");
        let even_from = if new { 0 } else { count.next + slots.count() };
        Ok(Writer { slots, copied_below, limit: u64::MAX, ahead, count, adopted, even_from, claimed: None })
    }

    /// What the last writer left unfinished.
    pub(crate) fn adopted(&self) -> Adopted {
        self.adopted
    }

    /// Publishes a message that is copied, at a position below the limit; false, and nothing is done, where it
    /// is not or there is none.
    //
    // Always inlined, with the rest out of line: then a payload of constant size is copied by as many
    // moves as it has words, without a loop and without asking.
    #[inline(always)]
    pub(crate) fn send_copied(&mut self, payload: &[u8]) -> bool {
        if payload.len() >= self.copied_below || !self.has_room() {
            return false;
        }
        let position = self.count.next;
        let slot = self.slots.at(position);
        slot.open(writing(position));
        slot.store(payload);
        let meta = Meta { len: payload.len() as u32, holes: self.count.holes as u32 };
        slot.close(meta.word(), done(position));
        self.count.message(payload.len());
        if self.ahead > 0 {
            self.slots.at(position + self.ahead).expect_to_write();
        }
        true
    }

    /// Publishes a message. One longer than a slot holds is cut; the caller sees to that, and asks for room
    /// where there is a limit.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), AllPinned> {
        debug_assert!(payload.len() <= self.slots.size() && self.has_room());
        let payload = &payload[..payload.len().min(self.slots.size())];
        if !self.is_pinned() {
            return if self.send_copied(payload) { Ok(()) } else { Err(AllPinned) };
        }
        let mut claim = self.claim()?;
        claim.fill(payload);
        claim.publish(payload.len());
        Ok(())
    }

    /// Takes the next slot that no reader holds, to write a message in place; pinned rings only.
    ///
    /// The message that was there is gone from now on, whether the claim is published or not.
    #[inline]
    pub(crate) fn claim(&mut self) -> Result<Claim<'_>, AllPinned> {
        self.secure()?;
        Ok(Claim { writer: self })
    }

    /// The first half of [`Writer::claim`]; from then on there is a [`Writer::claimed`].
    //
    // What is claimed is noted here, and what is handed out only says so: a loan is moved about.
    #[inline(always)]
    pub(crate) fn secure(&mut self) -> Result<(), AllPinned> {
        debug_assert_eq!(self.copied_below, 0);
        let position = self.count.next;
        if self.has_room()
            && let Some(owned) =
                self.slots.at(position).claim_after(self.slots.parity(position), self.to_look_for(position))
        {
            owned.slot().open(writing(position));
            self.claimed = Some(owned.keep());
            return Ok(());
        }
        self.secure_further()
    }

    /// The next slot is held.
    #[cold]
    fn secure_further(&mut self) -> Result<(), AllPinned> {
        let first = self.count.next;
        let end = (first + self.slots.count()).min(self.limit);
        // Twice in all, because a reader that moves on may be met again. Still it is a snapshot.
        for position in (first..end).skip(1).chain(first..end) {
            let slot = self.slots.at(position);
            if let Some(owned) = slot.claim_after(self.slots.parity(position), self.to_look_for(position)) {
                // Only now: a ring without a free slot stays as it is.
                for passed in first..position {
                    self.count.hole(self.slots.at(passed));
                }
                self.even_from = position + self.slots.count();
                slot.open(writing(position));
                self.claimed = Some(owned.keep());
                return Ok(());
            }
        }
        Err(AllPinned)
    }

    /// What was secured last, and is not published.
    #[inline(always)]
    pub(in crate::ring) fn claimed(&self) -> Owned {
        let both = self.claimed.expect("a slot is secured before it is used");
        let position = self.count.next;
        self.slots.at(position).still_owned(self.slots.parity(position), both)
    }

    /// Publishes the first `len` bytes of the slot that was secured.
    #[inline(always)]
    pub(crate) fn publish(&mut self, len: usize) {
        let owned = self.claimed();
        self.claimed = None;
        let Writer { slots, count, .. } = self;
        debug_assert!(len <= slots.size());
        let len = len.min(slots.size());
        let slot = owned.slot();
        let position = count.next;
        let meta = Meta { len: len as u32, holes: count.holes as u32 };
        let barred = owned.finish();
        slot.close(meta.word(), done(position));
        count.message(len);
        // What the next claim changes is under way while this waits for the stamp to be out. Never the line
        // of the next stamp: a reader that polls it would lose it.
        slots.at(position + 1).expect_to_change(slots.parity(position + 1).other());
        barred.admit();
    }

    /// Bytes that a slot holds.
    #[inline(always)]
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size()
    }

    /// The stamp that the slot of a position has if there was no hole; `None` if it is known that it has.
    #[inline(always)]
    fn to_look_for(&self, position: u64) -> Option<u64> {
        if position < self.even_from { Some(self.last(position)) } else { None }
    }

    #[inline]
    fn last(&self, position: u64) -> u64 {
        position.checked_sub(self.slots.count()).map_or(0, done)
    }

    /// Whether messages are made in their slots rather than copied into them.
    #[inline(always)]
    pub(crate) fn is_pinned(&self) -> bool {
        self.copied_below == 0
    }

    /// Whether readers hold every slot, so that a claim would fail. Looks no further than the first
    /// slot that is free.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        let held =
            |position| self.slots.at(position).is_held(self.slots.parity(position), self.last(position));
        let end = (self.count.next + self.slots.count()).min(self.limit);
        self.is_pinned() && (self.count.next..end).all(held)
    }

    /// Whether the next position is below the limit.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.count.next < self.limit
    }

    /// Keeps to the positions below `limit` from now on. Whoever sets one asks [`Writer::has_room`]
    /// before each message.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The position of the next message or hole.
    pub(crate) fn next_position(&self) -> u64 {
        self.count.next
    }

    /// Messages published since the ring was made.
    pub(crate) fn messages(&self) -> u64 {
        self.count.next - self.count.holes
    }

    /// Payload bytes published since the ring was made, short of what a writer that crashed had
    /// published last.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.count.bytes
    }

    /// Positions without a message since the ring was made.
    pub(crate) fn holes(&self) -> u64 {
        self.count.holes
    }
}

/// A slot to write a message into. Dropping it publishes nothing: the slot waits for the next claim;
/// so does that of a leaked one.
#[must_use = "dropping a claim publishes nothing"]
#[derive(Debug)]
pub(crate) struct Claim<'w> {
    writer: &'w mut Writer,
}

impl Claim<'_> {
    /// Bytes that fit.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn capacity(&self) -> usize {
        self.writer.slot_size()
    }

    /// Copies a payload in, from the start.
    #[inline]
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        self.writer.claimed().fill(bytes);
    }

    /// Publishes the first `len` bytes of the slot.
    #[inline]
    pub(crate) fn publish(self, len: usize) {
        self.writer.publish(len);
    }
}
