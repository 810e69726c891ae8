//! [`Reader`]: one of the ends that receive.
//!
//! Owns the reader's position. Calls `order` for what is there, `slot` for what happens in a slot. Writes
//! to shared memory only in a pinned ring, and there only its own bit. Every call ends after a bounded
//! number of steps, whatever the writers do meanwhile.

use super::Sender;
use super::order::{Find as _, Named, Order, Said, Tangled};
use crate::fault::mutant;
use crate::layout::{Geometry, PINNED_READERS, Region};
use crate::ring::broadcast::{Grabbed, Missed};
use crate::ring::slot::{Held, OwnSlots, Parity, Slot};
use crate::sync::Ordering::Relaxed;
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

/// How often a call looks again, when writers replace what it is looking at.
const ATTEMPTS: u32 = if cfg!(loom) { 3 } else { 64 };

/// A reader of a ring. Any number of them; in a pinned ring each has a bit of its own.
///
/// Invariant: all positions below `position` are taken, and it never falls.
#[derive(Debug)]
pub(crate) struct Reader {
    order: Order,
    slots: OwnSlots,
    /// This reader's mark in state words; 0 where the payload is copied.
    bit: u64,
    position: u64,
    skipped: u64,
    sender: Sender,
    /// The message that has this reader's mark between two calls, and its slot: what was grabbed, until it is
    /// let go.
    holding: Option<(u64, Slot)>,
}

impl Reader {
    /// Starts at the end, or, with a `history`, as many messages before it as are still there.
    ///
    /// `bit` is this reader's alone in a pinned ring (and below [`PINNED_READERS`]), until the last
    /// use of the reader; elsewhere it means nothing.
    pub(crate) fn join(region: Region, geometry: &Geometry, bit: u32, history: u64) -> Result<Self, Tangled> {
        let mut reader = Self::from_start(region, geometry, bit);
        reader.order.check(&reader.slots)?;
        let end = reader.order.end(0);
        reader.position = end.saturating_sub(history.min(reader.order.count()));
        Ok(reader)
    }

    /// Starts at the first position that was ever taken: what is not there any more counts as lost.
    pub(crate) fn from_start(region: Region, geometry: &Geometry, bit: u32) -> Self {
        debug_assert!(geometry.discipline.shared());
        let bit = if geometry.discipline.pins() {
            assert!(bit < PINNED_READERS);
            1 << bit
        } else {
            0
        };
        let (order, slots) = (Order::new(region, geometry), OwnSlots::new(region, geometry));
        Reader { order, slots, bit, position: 0, skipped: 0, sender: Sender::default(), holding: None }
    }

    /// Whether a receive would find anything: a message, or that some were missed.
    #[inline]
    pub(crate) fn ready(&self) -> bool {
        self.order.taken(self.position)
    }

    /// Copies the next message into the front of `bytes` and returns its length. If that is more than
    /// `bytes` has, the rest is left out.
    pub(crate) fn read_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, Missed> {
        self.next(|reader, slot, named| reader.take::<false>(slot, named, bytes))
    }

    /// Like [`Reader::read_into`], but copies `bytes.len()` bytes (at most what a slot holds) without
    /// asking for the length first. If it returns a length, all of `bytes` are written.
    #[inline]
    pub(crate) fn read_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, Missed> {
        debug_assert!(bytes.len() <= self.slots.size());
        self.next(|reader, slot, named| reader.take::<true>(slot, named, bytes))
    }

    /// Holds the next message where it is, until the guard is dropped; pinned rings only.
    #[cfg(test)]
    pub(crate) fn pin(&mut self) -> Result<Pinned<'_>, Missed> {
        self.grab().map(|grabbed| self.guard(grabbed))
    }

    /// Holds the next message: its [payload](Reader::payload) stays until it is [let go](Reader::unpin), or the
    /// next one is taken.
    pub(crate) fn grab(&mut self) -> Result<Grabbed, Missed> {
        self.let_go();
        self.next(Self::hold)
    }

    /// Copies the newest message like [`Reader::read_into`], whether it was received before or not,
    /// and goes on after it. `None` if there is none.
    pub(crate) fn latest_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Option<usize> {
        // It may be in the newest slot, and there is one mark for both.
        self.let_go();
        self.newest(|reader, slot, named| reader.take::<false>(slot, named, bytes))
    }

    /// Holds the newest message like [`Reader::grab`], whether it was received before or not, and goes
    /// on after it. `None` if there is none.
    pub(crate) fn grab_latest(&mut self) -> Option<Grabbed> {
        self.let_go();
        self.newest(Self::hold)
    }

    /// Makes what was grabbed last accessible.
    #[cfg(test)]
    pub(crate) fn guard(&mut self, grabbed: Grabbed) -> Pinned<'_> {
        assert!(self.holds(&grabbed), "one message at a time");
        Pinned { len: grabbed.len(), reader: self }
    }

    /// Whether it is what is held.
    #[inline]
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn holds(&self, grabbed: &Grabbed) -> bool {
        self.holding.is_some_and(|(position, _)| position == grabbed.position())
    }

    /// The payload of what is held.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        let (_, slot) = self.holding.expect("a message is held");
        let held = slot.still_held(Parity::EVEN, self.bit);
        let payload = held.payload();
        held.keep();
        payload
    }

    /// Lets go of what is held.
    #[inline]
    pub(crate) fn unpin(&mut self) {
        if let Some((_, slot)) = self.holding.take() {
            drop(slot.still_held(Parity::EVEN, self.bit));
        }
    }

    /// Whether messages are held in their slots rather than copied.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.bit != 0
    }

    /// The position that is read next.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Messages between this reader and the end.
    pub(crate) fn lag(&self) -> u64 {
        self.order.end(self.position) - self.position
    }

    /// Messages passed over by [`Reader::latest_into`] and [`Reader::grab_latest`].
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Who sent the message that was taken last.
    #[inline]
    pub(crate) fn sender(&self) -> Sender {
        self.sender
    }

    /// Takes the message at `position`, and goes on behind it.
    #[inline]
    fn next<T>(&mut self, mut take: impl FnMut(&mut Self, Slot, Named) -> Option<T>) -> Result<T, Missed> {
        for _ in 0..ATTEMPTS {
            let named = match self.order.look(self.position) {
                Said::Before(_) => return Err(Missed::Empty),
                Said::Here(named) => named,
                Said::After => return Err(self.lapped()),
            };
            let Some(slot) = self.slots.find(named) else { return Err(self.lapped()) };
            if let Some(taken) = take(self, slot, named) {
                self.position += 1;
                return Ok(taken);
            }
        }
        Err(Missed::Empty)
    }

    /// Takes the newest message, and goes on behind it unless that would be back.
    fn newest<T>(&mut self, mut take: impl FnMut(&mut Self, Slot, Named) -> Option<T>) -> Option<T> {
        for _ in 0..ATTEMPTS {
            let newest = self.order.end(self.position).checked_sub(1)?;
            if let Said::Here(named) = self.order.look(newest)
                && let Some(slot) = self.slots.find(named)
                && let Some(taken) = take(self, slot, named)
            {
                if newest >= self.position {
                    self.skipped += newest - self.position;
                    self.position = newest + 1;
                }
                return Some(taken);
            }
        }
        None
    }

    /// The message at `position` is gone: goes on where none will be for a while. All positions are
    /// messages, so what was passed is what was lost.
    #[cold]
    fn lapped(&mut self) -> Missed {
        let count = self.order.count();
        let resume = self.order.end(self.position).saturating_sub(count - count / 4 - 1);
        let resume = resume.max(self.position + 1);
        let lost = resume - self.position;
        self.position = resume;
        Missed::Lagged(lost)
    }

    /// Copies out of a slot what the entry says is there, if it still says so after the copy.
    #[inline]
    fn take<const EXACT: bool>(
        &mut self,
        slot: Slot,
        named: Named,
        bytes: &mut [MaybeUninit<u8>],
    ) -> Option<usize> {
        if self.bit == 0 {
            let early = mutant("shared second look before the copy");
            if early && !self.order.settle(named) {
                return None;
            }
            // Relaxed, and below: a first guess, of use only if the entry is still the same.
            let guess = if EXACT { 0 } else { slot.meta().load(Relaxed) };
            slot.load(self.front::<EXACT>(guess, bytes));
            let (meta, joined) = (slot.meta().load(Relaxed), slot.sender().load(Relaxed));
            if !early && !self.order.settle(named) {
                return None;
            }
            return Some(self.note(named, meta, joined));
        }
        let (held, meta, joined) = self.mark(slot, named)?;
        held.copy_to(self.front::<EXACT>(meta, bytes));
        Some(self.note(named, meta, joined))
    }

    fn hold(&mut self, slot: Slot, named: Named) -> Option<Grabbed> {
        let (held, meta, joined) = self.mark(slot, named)?;
        held.keep();
        self.holding = Some((named.position, slot));
        Some(Grabbed::new(named.position, self.note(named, meta, joined)))
    }

    /// Keeps a slot as the entry says it is.
    #[inline]
    fn mark(&self, slot: Slot, named: Named) -> Option<(Held, u64, u64)> {
        let mark = slot.mark(Parity::EVEN, self.bit).ok()?;
        // Relaxed, both: the fence of [settle] orders them before the second look.
        let (meta, joined) = (slot.meta().load(Relaxed), slot.sender().load(Relaxed));
        self.order.settle(named).then(|| (mark.settled(), meta, joined))
    }

    /// Notes who sent what was taken; returns its length, no more than what a slot holds.
    #[inline]
    fn note(&mut self, named: Named, meta: u64, joined: u64) -> usize {
        let (seat, pid) = (named.writer as u32, (meta >> 32) as u32);
        self.sender = Sender { seat, pid, joined: joined as i64 };
        (meta as u32 as usize).min(self.slots.size())
    }

    /// As many of the bytes as a message may fill.
    #[inline]
    fn front<'b, const EXACT: bool>(
        &self,
        meta: u64,
        bytes: &'b mut [MaybeUninit<u8>],
    ) -> &'b mut [MaybeUninit<u8>] {
        if EXACT {
            return bytes;
        }
        let len = (meta as u32 as usize).min(self.slots.size()).min(bytes.len());
        &mut bytes[..len]
    }

    /// Lets go of what was grabbed and not shown, or shown in a guard that was leaked: nobody can
    /// look at it any more, as that takes a borrow of the reader.
    fn let_go(&mut self) {
        if let Some((_, slot)) = self.holding.take() {
            slot.clear(Parity::EVEN, self.bit);
        }
    }
}

/// A message in the slot it was written to; it stays there, unchanged, until this is dropped.
#[cfg(test)]
#[must_use = "dropping it lets the message go"]
#[derive(Debug)]
pub(crate) struct Pinned<'r> {
    len: usize,
    reader: &'r mut Reader,
}

#[cfg(test)]
impl Pinned<'_> {
    /// Copies the first bytes of the message out.
    pub(crate) fn copy_to(&self, bytes: &mut [MaybeUninit<u8>]) {
        let len = self.len.min(bytes.len());
        let (_, slot) = self.reader.holding.expect("a message is held");
        let held = slot.still_held(Parity::EVEN, self.reader.bit);
        held.copy_to(&mut bytes[..len]);
        held.keep();
    }
}

#[cfg(test)]
impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.reader.unpin();
    }
}
