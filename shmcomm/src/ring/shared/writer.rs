//! [`Writer`]: one of the ends that publish.
//!
//! Owns the choice of a slot, and the steps of a publication. Calls `order` for positions, `slot` for
//! what happens in a slot. Never waits for anybody, and never writes to another writer's slots.

use super::order::{LAST, Order, Said, Tangled};
use super::{Sender, meta};
use crate::fault::{fault_point, mutant};
use crate::layout::{Geometry, Region};
use crate::ring::slot::{OwnSlots, Owned, Parity, Slot};
use crate::sync::Ordering::Relaxed;
use crate::sync::load_own;

/// How often a send finds an entry that no writer leaves, before it gives up.
const TANGLES: u32 = 8;

/// Why a message was not published. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// Whenever the writer tried a slot of its own, a reader held it, or the entries are damaged.
    NoSlot,
    /// The next position is at the limit.
    Limit,
}

/// One of the writers of a ring. There is one at a time on its seat, which a lock of the operating
/// system sees to.
///
/// It has no destructor: what it leaves is what a crash leaves, and that needs no repair.
#[derive(Debug)]
pub(crate) struct Writer {
    order: Order,
    slots: OwnSlots,
    sender: Sender,
    pinned: bool,
    /// The slot to try next.
    cursor: u64,
    /// All positions below are taken.
    next: u64,
    /// Positions from here on are not to be taken.
    limit: u64,
    /// Slots that were passed because readers held them.
    passed: u64,
    /// The slot of the cursor was claimed, and is not published yet.
    claimed: bool,
}

impl Writer {
    /// Takes a place among the writers, on the seat of `sender`, after whatever end of the last one there.
    pub(crate) fn new(region: Region, geometry: &Geometry, sender: Sender) -> Result<Self, Tangled> {
        debug_assert!(geometry.discipline.shared() && sender.seat < geometry.publishers);
        let (order, slots) = (Order::new(region, geometry), OwnSlots::new(region, geometry));
        order.check(&slots)?;
        // Behind the newest that is named. One that is replaced meanwhile takes those before with it, and
        // then all slots are free.
        let own = (0..order.count())
            .filter_map(|entry| order.named(entry))
            .filter(|named| named.writer == u64::from(sender.seat))
            .max_by_key(|named| named.position);
        let cursor = own.map_or(0, |newest| (newest.slot + 1) % slots.each());
        let next = order.end(0);
        let pinned = geometry.discipline.pins();
        Ok(Writer { order, slots, sender, pinned, cursor, next, limit: u64::MAX, passed: 0, claimed: false })
    }

    /// Publishes a message, and returns its position. One longer than a slot holds is cut; the caller sees
    /// to that.
    #[inline]
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<u64, Unsent> {
        debug_assert!(payload.len() <= self.slots.size());
        let payload = &payload[..payload.len().min(self.slots.size())];
        if self.pinned {
            let mut claim = self.claim()?;
            claim.fill(payload);
            return claim.publish(payload.len());
        }
        let slot = self.slot()?;
        slot.reopen();
        if mutant("shared taken before it is written") {
            let position = self.publish(slot)?;
            slot.store(payload);
            slot.describe(meta(payload.len(), self.sender.pid), self.sender.joined as u64);
            self.turn();
            return Ok(position);
        }
        slot.store(payload);
        slot.describe(meta(payload.len(), self.sender.pid), self.sender.joined as u64);
        let position = self.publish(slot)?;
        self.turn();
        Ok(position)
    }

    /// Takes a slot that no entry names and no reader holds, to make a message in place; pinned rings only.
    #[inline]
    pub(crate) fn claim(&mut self) -> Result<Claim<'_>, Unsent> {
        self.secure()?;
        Ok(Claim { writer: self })
    }

    /// The first half of [`Writer::claim`]; from then on there is a [`Writer::claimed`].
    #[inline(never)]
    pub(crate) fn secure(&mut self) -> Result<(), Unsent> {
        debug_assert!(self.pinned);
        // Twice, because a reader that moves on may be met again.
        for _ in 0..2 * self.slots.each() {
            let slot = self.slot()?;
            if !self.is_named(slot) {
                if let Some(owned) = slot.claim(Parity::EVEN) {
                    slot.reopen();
                    owned.keep();
                    self.claimed = true;
                    return Ok(());
                }
                self.passed += 1;
            }
            self.turn();
        }
        Err(Unsent::NoSlot)
    }

    /// What was secured last, and is not published.
    #[inline]
    pub(in crate::ring) fn claimed(&self) -> Owned {
        assert!(self.claimed, "a slot is secured before it is used");
        // It was found when it was secured.
        let slot = self.slots.of(self.sender.seat.into(), self.cursor).expect("a slot of this writer");
        slot.still_owned(Parity::ODD, false)
    }

    /// Publishes the first `len` bytes of the slot that was secured, and returns their position.
    #[inline]
    pub(crate) fn publish_claimed(&mut self, len: usize) -> Result<u64, Unsent> {
        let owned = self.claimed();
        self.claimed = false;
        debug_assert!(len <= self.slots.size());
        let len = len.min(self.slots.size());
        let slot = owned.slot();
        slot.describe(meta(len, self.sender.pid), self.sender.joined as u64);
        if mutant("shared taken before release") {
            let position = self.publish(slot)?;
            owned.finish().admit();
            self.turn();
            return Ok(position);
        }
        // Before the entry: whoever sees that may hold the slot.
        owned.finish().admit();
        let position = self.publish(slot)?;
        self.turn();
        Ok(position)
    }

    /// Bytes that a slot holds.
    #[inline]
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size()
    }

    /// Whether messages are made in their slots rather than copied into them.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Slots that were passed because readers held them: perhaps dead ones.
    #[inline]
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// Positions taken, by all writers: the messages published since the ring was made.
    pub(crate) fn end(&self) -> u64 {
        self.order.end(self.next)
    }

    /// Keeps to the positions below `limit` from now on.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    fn slot(&self) -> Result<Slot, Unsent> {
        self.slots.of(self.sender.seat.into(), self.cursor).ok_or(Unsent::NoSlot)
    }

    fn turn(&mut self) {
        let each = self.slots.each() - u64::from(mutant("shared slot too few"));
        self.cursor = if self.cursor + 1 < each { self.cursor + 1 } else { 0 };
    }

    /// Whether an entry names the slot of the cursor: only the one of the last position that was tried for
    /// it can.
    fn is_named(&self, slot: Slot) -> bool {
        match load_own(slot.stamp()).checked_sub(1) {
            Some(position) if position <= LAST => match self.order.look(position) {
                Said::Here(named) => (named.writer, named.slot) == (self.sender.seat.into(), self.cursor),
                Said::Before(_) | Said::After => false,
            },
            _ => false,
        }
    }

    /// Takes the next position for the message in `slot`, the one of the cursor.
    #[inline]
    fn publish(&mut self, slot: Slot) -> Result<u64, Unsent> {
        let writer = self.sender.seat.into();
        let mut tangles = 0;
        loop {
            let position = self.next;
            match self.order.examine(position) {
                Said::Before(_) if position >= self.limit => return Err(Unsent::Limit),
                Said::Before(seen) if self.order.precedes(seen, position) && position <= LAST => {
                    // Relaxed: read by the writers of this seat alone.
                    slot.stamp().store(position + 1, Relaxed);
                    fault_point!("pub.stamped");
                    let word = self.order.word(position, writer, self.cursor);
                    #[cfg(loom)]
                    if mutant("shared exchange without the lap") {
                        self.order.force(position, word);
                        return Ok(self.took(position));
                    }
                    if self.order.take(position, seen, word) {
                        return Ok(self.took(position));
                    }
                }
                Said::Here(_) | Said::After => self.next = self.order.end(position),
                Said::Before(_) => {
                    tangles += 1;
                    if tangles > TANGLES {
                        return Err(Unsent::NoSlot);
                    }
                    self.next = self.order.end(0);
                }
            }
        }
    }

    #[inline]
    fn took(&mut self, position: u64) -> u64 {
        self.next = position + 1;
        position
    }
}

/// A slot to make a message in. Dropping it publishes nothing: the slot waits for the next claim; so
/// does that of a leaked one.
#[must_use = "dropping a claim publishes nothing"]
#[derive(Debug)]
pub(crate) struct Claim<'w> {
    writer: &'w mut Writer,
}

impl Claim<'_> {
    /// Copies a payload in, from the start.
    #[inline]
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        self.writer.claimed().fill(bytes);
    }

    /// Publishes the first `len` bytes of the slot, and returns their position.
    #[inline]
    pub(crate) fn publish(self, len: usize) -> Result<u64, Unsent> {
        self.writer.publish_claimed(len)
    }
}
