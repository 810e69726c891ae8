//! [`Reader`]: a receiving end.
//!
//! Owns the reader's position. Calls `log` for the entries, `slot` for the accesses to a slot. Never
//! writes to shared memory, except for its own bit in a pinned ring. Every call ends after a bounded number
//! of steps, whatever the writers do meanwhile.

use super::Sender;
use super::log::{Entry, Find as _, Log, LogCorrupt, Named};
use crate::fault::mutant;
use crate::layout::{Geometry, PINNED_READERS, Region};
use crate::ring::lent::{Lending, LentPin};
use crate::ring::slot::{AcquiredToken, FastPath, NoMessage, OwnSlots, Phase, Pin, Slot};
use crate::sync::Ordering::Relaxed;
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

/// Number of attempts of one call, if writers replace the entries that it reads.
const READ_ATTEMPTS: u32 = if cfg!(loom) { 3 } else { 64 };

/// A reader of a ring. A ring has any number of readers; in a pinned ring each reader has a bit of its own.
///
/// Invariant: all positions below `position` are taken, and it never falls.
#[derive(Debug)]
pub(crate) struct Reader {
    log: Log,
    slots: OwnSlots,
    /// The reader's pin bit in state words; 0 if the payload is copied.
    bit: u64,
    position: u64,
    skipped: u64,
    sender: Sender,
    /// The acquired message, whose slot has this reader's bit between two calls, and that slot, until the
    /// reader unpins it.
    pinned: Option<(u64, Slot)>,
    /// The pin that was lent, until the reader has taken it back. `bit` is 0 meanwhile.
    lent: Option<Lending>,
}

impl Reader {
    /// Starts at the end, or, with a `history`, at most `history` messages before it, as far as they are
    /// still there.
    ///
    /// In a pinned ring, `bit` belongs to this reader alone (and is below [`PINNED_READERS`]) until the
    /// last use of the reader. In other rings it has no meaning.
    pub(crate) fn join(
        region: Region,
        geometry: &Geometry,
        bit: u32,
        history: u64,
    ) -> Result<Self, LogCorrupt> {
        let mut reader = Self::from_start(region, geometry, bit);
        reader.log.check(&reader.slots)?;
        let end = reader.log.end(0);
        reader.position = end.saturating_sub(history.min(reader.log.count()));
        Ok(reader)
    }

    /// Starts at the first position that was ever taken. Messages that are no longer there count as lost.
    pub(crate) fn from_start(region: Region, geometry: &Geometry, bit: u32) -> Self {
        debug_assert!(geometry.discipline.shared());
        let bit = if geometry.discipline.pins() {
            assert!(bit < PINNED_READERS);
            1 << bit
        } else {
            0
        };
        Self::with_bit(region, geometry, bit)
    }

    fn with_bit(region: Region, geometry: &Geometry, bit: u64) -> Self {
        let (log, mut slots) = (Log::new(region, geometry), OwnSlots::new(region, geometry));
        slots.allow_fast(bit == 0);
        Reader {
            log,
            slots,
            bit,
            position: 0,
            skipped: 0,
            sender: Sender::default(),
            pinned: None,
            lent: None,
        }
    }

    /// Starts like [`Reader::join`], without a pin bit: messages of a pinned ring are copied too. Only
    /// [`Reader::read_into`], [`Reader::latest_into`] and the queries may be called in a pinned ring.
    pub(crate) fn observe(region: Region, geometry: &Geometry, history: u64) -> Result<Self, LogCorrupt> {
        let mut reader = Self::observe_from_start(region, geometry);
        reader.log.check(&reader.slots)?;
        let end = reader.log.end(0);
        reader.position = end.saturating_sub(history.min(reader.log.count()));
        Ok(reader)
    }

    /// Starts like [`Reader::from_start`], without a pin bit: see [`Reader::observe`].
    pub(crate) fn observe_from_start(region: Region, geometry: &Geometry) -> Self {
        Self::with_bit(region, geometry, 0)
    }

    /// Returns `true` if a receive would find anything: a message, or a report of missed messages.
    #[inline]
    pub(crate) fn ready(&self) -> bool {
        self.log.taken(self.position)
    }

    /// Makes every receive take the slow path.
    pub(crate) fn leave_fast_path(&mut self) {
        self.slots.allow_fast(false);
    }

    /// Copies the next message on the fast path: it fills `bytes`, and the ring is copied. Or reports that nothing is
    /// new. [`Reader::read_exact`] handles all other states.
    #[inline(always)]
    pub(crate) fn read_fast(&mut self, bytes: &mut [MaybeUninit<u8>]) -> FastPath {
        // Copies, so that the compiler keeps them in registers while the message is stored.
        let (log, slots) = (self.log, self.slots);
        let named = match log.check_entry(self.position) {
            Entry::Older => return FastPath::Empty,
            Entry::Current(named) => named,
            Entry::Newer => return FastPath::Slow,
        };
        let Some(slot) = slots.find_fast(named) else { return FastPath::Slow };
        // A slot without room tells that the fast path must not copy.
        if bytes.is_empty() || bytes.len() > slot.size() {
            return FastPath::Slow;
        }
        match self.copy_unpinned::<true>(log, slot, named, bytes) {
            Some(len) if len == bytes.len() => {
                self.position += 1;
                FastPath::Ready(())
            }
            _ => FastPath::Slow,
        }
    }

    /// Copies the next message into the front of `bytes` and returns its length. If that length exceeds the
    /// length of `bytes`, the rest is left out.
    pub(crate) fn read_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        self.next(|reader, slot, named| reader.copy_out::<false>(slot, named, bytes))
    }

    /// Copies the next message like [`Reader::read_into`], but copies `bytes.len()` bytes (at most the slot
    /// size) without loading the length first. If it returns a length, all of `bytes` are written.
    #[inline]
    pub(crate) fn read_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        debug_assert!(bytes.len() <= self.slots.size());
        self.next(|reader, slot, named| reader.copy_out::<true>(slot, named, bytes))
    }

    /// Pins the next message in its slot, until the guard is dropped; pinned rings only.
    #[cfg(test)]
    pub(crate) fn pin(&mut self) -> Result<Pinned<'_>, NoMessage> {
        self.acquire().map(|acquired| self.get(acquired))
    }

    /// Acquires (pins) the next message. Its [payload](Reader::payload) stays until the reader
    /// [unpins](Reader::unpin) it, or acquires the next message.
    pub(crate) fn acquire(&mut self) -> Result<AcquiredToken, NoMessage> {
        self.release_pin();
        self.next(Self::pin_message)
    }

    /// Copies the newest message like [`Reader::read_into`], whether it was received before or not, and
    /// continues after it. Returns `None` if there is no message.
    pub(crate) fn latest_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Option<usize> {
        // The bit may be in the newest slot, and the reader has one bit for both.
        self.release_pin();
        self.newest(|reader, slot, named| reader.copy_out::<false>(slot, named, bytes))
    }

    /// Acquires the newest message like [`Reader::acquire`], whether it was received before or not, and
    /// continues after it. Returns `None` if there is no message.
    pub(crate) fn acquire_latest(&mut self) -> Option<AcquiredToken> {
        self.release_pin();
        self.newest(Self::pin_message)
    }

    /// Makes the message that was acquired last accessible.
    #[cfg(test)]
    pub(crate) fn get(&mut self, acquired: AcquiredToken) -> Pinned<'_> {
        assert!(self.is_pinned_message(&acquired), "one message at a time");
        Pinned { len: acquired.len(), reader: self }
    }

    /// Returns `true` if `acquired` is the message that the reader pins.
    #[inline]
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn is_pinned_message(&self, acquired: &AcquiredToken) -> bool {
        self.pinned.is_some_and(|(position, _)| position == acquired.position())
    }

    /// Returns the payload of the pinned message.
    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        let (_, slot) = self.pinned.expect("a message is held");
        let held = slot.pin_from_raw(Phase::EVEN, self.bit);
        let payload = held.payload();
        held.into_raw();
        payload
    }

    /// Unpins the pinned message.
    #[inline]
    pub(crate) fn unpin(&mut self) {
        if let Some((_, slot)) = self.pinned.take() {
            drop(slot.pin_from_raw(Phase::EVEN, self.bit));
        }
    }

    /// Lends the pin of the message that was acquired last. The reader copies messages as an observer until it has
    /// [taken the pin back](Reader::take_back). The seat of the reader must last as long as the result.
    pub(crate) fn lend(&mut self, acquired: &AcquiredToken) -> LentPin {
        assert!(self.is_pinned_message(acquired), "one message at a time");
        let (_, slot) = self.pinned.take().expect("a message is held");
        let held = slot.pin_from_raw(Phase::EVEN, self.bit);
        let (pin, lending) = Lending::new(held, acquired.len(), self.bit);
        self.lent = Some(lending);
        if !mutant("multi lent bit is used") {
            self.bit = 0;
        }
        pin
    }

    /// Takes the pin back if it was lent and returned. Returns `false` while it is lent.
    pub(crate) fn take_back(&mut self) -> bool {
        if let Some(lending) = self.lent.take_if(|lending| lending.is_returned()) {
            self.bit = lending.bit;
        }
        self.lent.is_none()
    }

    /// Returns `true` if messages are pinned in their slots rather than copied.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.bit != 0
    }

    /// Returns the position that is read next.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of messages between this reader and the end.
    pub(crate) fn lag(&self) -> u64 {
        self.log.end(self.position) - self.position
    }

    /// Returns the number of messages skipped by [`Reader::latest_into`] and [`Reader::acquire_latest`].
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the sender of the message that was received last.
    #[inline]
    pub(crate) fn sender(&self) -> Sender {
        self.sender
    }

    /// Passes the message at `position` to `take`, and advances past it.
    #[inline]
    fn next<T>(&mut self, mut take: impl FnMut(&mut Self, Slot, Named) -> Option<T>) -> Result<T, NoMessage> {
        for _ in 0..READ_ATTEMPTS {
            let named = match self.log.check_entry(self.position) {
                Entry::Older => return Err(NoMessage::Empty),
                Entry::Current(named) => named,
                Entry::Newer => return Err(self.lapped()),
            };
            let Some(slot) = self.slots.find(named) else { return Err(self.lapped()) };
            if let Some(taken) = take(self, slot, named) {
                self.position += 1;
                return Ok(taken);
            }
        }
        Err(NoMessage::Empty)
    }

    /// Passes the newest message to `take`, and advances past it, unless that would move the reader back.
    fn newest<T>(&mut self, mut take: impl FnMut(&mut Self, Slot, Named) -> Option<T>) -> Option<T> {
        for _ in 0..READ_ATTEMPTS {
            let newest = self.log.end(self.position).checked_sub(1)?;
            if let Entry::Current(named) = self.log.check_entry(newest)
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

    /// Advances past messages that are gone, with a margin before the next overwritten ones. All positions
    /// are messages, so the number of skipped positions is the number of lost messages.
    #[cold]
    fn lapped(&mut self) -> NoMessage {
        let count = self.log.count();
        let resume = self.log.end(self.position).saturating_sub(count - count / 4 - 1);
        let resume = resume.max(self.position + 1);
        let lost = resume - self.position;
        self.position = resume;
        NoMessage::Lagged(lost)
    }

    /// Copies the message that the entry names out of a slot, if the entry is unchanged after the copy.
    //
    // Always inlined: a message of constant size is copied without a loop, and need not be in memory.
    #[inline(always)]
    fn copy_out<const EXACT: bool>(
        &mut self,
        slot: Slot,
        named: Named,
        bytes: &mut [MaybeUninit<u8>],
    ) -> Option<usize> {
        if self.bit == 0 {
            return self.copy_unpinned::<EXACT>(self.log, slot, named, bytes);
        }
        let (held, meta, joined) = self.pin_slot(slot, named)?;
        held.copy_to(self.front::<EXACT>(meta, bytes));
        Some(self.note(named, meta, joined))
    }

    /// Copies like [`Reader::copy_out`], without a pin.
    #[inline(always)]
    fn copy_unpinned<const EXACT: bool>(
        &mut self,
        log: Log,
        slot: Slot,
        named: Named,
        bytes: &mut [MaybeUninit<u8>],
    ) -> Option<usize> {
        let early = mutant("multi validation before the copy");
        if early && !log.validate(named) {
            return None;
        }
        // Relaxed, and below: a first guess, which counts only if the entry is still the same.
        let guess = if EXACT { 0 } else { slot.meta().load(Relaxed) };
        slot.load(self.front::<EXACT>(guess, bytes));
        let (meta, joined) = (slot.meta().load(Relaxed), slot.sender().load(Relaxed));
        if !early && !log.validate(named) {
            return None;
        }
        Some(self.note(named, meta, joined))
    }

    fn pin_message(&mut self, slot: Slot, named: Named) -> Option<AcquiredToken> {
        let (held, meta, joined) = self.pin_slot(slot, named)?;
        held.into_raw();
        self.pinned = Some((named.position, slot));
        Some(AcquiredToken::new(named.position, self.note(named, meta, joined)))
    }

    /// Pins the slot that the entry names, if the entry is still the same.
    #[inline]
    fn pin_slot(&self, slot: Slot, named: Named) -> Option<(Pin, u64, u64)> {
        let mark = slot.set_pin_bit(Phase::EVEN, self.bit).ok()?;
        // Relaxed, both: the fence of [validate] orders them before the second load of the entry.
        let (meta, joined) = (slot.meta().load(Relaxed), slot.sender().load(Relaxed));
        self.log.validate(named).then(|| (mark.validated(), meta, joined))
    }

    /// Records the sender of a received message. Returns its length, at most the slot size.
    #[inline]
    fn note(&mut self, named: Named, meta: u64, joined: u64) -> usize {
        let (seat, pid) = (named.writer as u32, (meta >> 32) as u32);
        self.sender = Sender { seat, pid, joined: joined as i64 };
        (meta as u32 as usize).min(self.slots.size())
    }

    /// Returns the part of the bytes that a message may fill.
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

    /// Unpins the message that was acquired and not accessed, or accessed through a guard that was leaked.
    /// No reference to it can remain, because accessing it borrows the reader.
    fn release_pin(&mut self) {
        if let Some((_, slot)) = self.pinned.take() {
            slot.clear(Phase::EVEN, self.bit);
        }
    }
}

/// A message in the slot that it was written to. It stays there, unchanged, until this guard is dropped.
#[cfg(test)]
#[must_use = "dropping it releases the message"]
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
        let (_, slot) = self.reader.pinned.expect("a message is held");
        let held = slot.pin_from_raw(Phase::EVEN, self.reader.bit);
        held.copy_to(&mut bytes[..len]);
        held.into_raw();
    }
}

#[cfg(test)]
impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.reader.unpin();
    }
}
