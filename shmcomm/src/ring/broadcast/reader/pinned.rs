//! The reader of a pinned ring: messages are pinned in their slots.
//!
//! Owns the one pin bit of the reader: sets it when a message is there or before the message is there
//! (pre-pin), and clears it. Calls `slot` for the steps, and the reader for its position. Never leaves two
//! bits.

use super::{Meta, READ_ATTEMPTS, Reader, done, writing};
use crate::fault::{fault_point, mutant};
use crate::ring::lent::{Lending, LentPin};
use crate::ring::slot::{AcquiredToken, NoMessage, Pin, PinRefused};
#[cfg(test)]
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

/// Number of consecutive empty polls after which a reader pre-pins the slot of the next message. A reader
/// that polls rarely has fewer empty polls between two messages, and so never costs its writer a slot by
/// pre-pinning.
const PRE_PIN_POLLS: u32 = if cfg!(loom) { 1 } else { 4 };

impl Reader {
    /// Pins the next message in its slot, until the guard is dropped; pinned rings only.
    #[cfg(test)]
    pub(crate) fn pin(&mut self) -> Result<Pinned<'_>, NoMessage> {
        self.acquire().map(|acquired| self.get(acquired))
    }

    /// Acquires (pins) the next message. Its [payload](Reader::payload) stays until the reader
    /// [unpins](Reader::unpin) it, or acquires the next message.
    #[inline(always)]
    pub(crate) fn acquire(&mut self) -> Result<AcquiredToken, NoMessage> {
        // The path of a reader that polls is inlined.
        let position = self.position;
        if self.pinned == Some(position) {
            let (slot, stamp) = (self.slots.at(position), done(position));
            let seen = slot.load_stamp();
            if seen <= writing(position) {
                return Err(NoMessage::Empty);
            }
            if seen == stamp
                && let Some(meta) = slot.validate(stamp).map(Meta::from_word)
                && self.is_next(meta)
            {
                self.advance_after(position);
                fault_point!("sub.held");
                return Ok(AcquiredToken::new(position, self.len(meta)));
            }
        }
        self.acquire_slow()
    }

    #[inline(never)]
    fn acquire_slow(&mut self) -> Result<AcquiredToken, NoMessage> {
        match self.pin_next() {
            Ok((held, meta)) => Ok(self.keep_pin(held, self.position - 1, meta)),
            Err(missed) => {
                if missed == NoMessage::Empty {
                    self.pre_pin();
                }
                Err(missed)
            }
        }
    }

    /// Pre-pins the slot of the next message, if this call is the empty poll number [`PRE_PIN_POLLS`] in a row.
    fn pre_pin(&mut self) {
        self.empty_polls = self.empty_polls.saturating_add(1);
        if self.empty_polls > PRE_PIN_POLLS || self.pinned.is_some() {
            return;
        }
        let position = self.position;
        let (slot, phase) = (self.slots.at(position), self.slots.phase(position));
        if self.empty_polls < PRE_PIN_POLLS {
            return;
        }
        // With any other stamp the writer locks both words, and makes a hole if it finds a pin bit.
        let last = position.checked_sub(self.slots.count()).map_or(0, done);
        if slot.load_stamp() != last && !mutant("pre-pin on any stamp") {
            return;
        }
        match slot.set_pin_bit(phase, self.bit) {
            Ok(mark) => {
                mark.into_raw();
                self.pinned = Some(position);
                fault_point!("sub.expects");
            }
            // The writer is a lap ahead, or has not quite unlocked the previous lap.
            Err(_) if mutant("pre-pin over a lock") => self.pinned = Some(position),
            Err(_) => {}
        }
    }

    /// Advances after the message at a position was pinned.
    #[inline(always)]
    fn advance_after(&mut self, position: u64) {
        let was_there = self.empty_polls == 0;
        (self.position, self.empty_polls) = (position + 1, 0);
        // A reader that sets its bit waits for the cache line. The prefetch runs while the caller reads
        // this message.
        let prefetch = |at| self.slots.at(at).prefetch_state_for_write(self.slots.phase(at));
        prefetch(position + 1);
        if was_there {
            // Probably a stream: a line may take longer than the caller reads a message.
            prefetch(position + 2);
        }
    }

    /// Pins the next message, and advances past it.
    pub(super) fn pin_next(&mut self) -> Result<(Pin, Meta), NoMessage> {
        self.release_passed_pin();
        for _ in 0..READ_ATTEMPTS {
            let position = self.position;
            if self.slots.at(position).load_stamp() == done(position) {
                match self.pin_at(position) {
                    Ok((held, meta)) if self.is_next(meta) => {
                        self.advance_after(position);
                        return Ok((held, meta));
                    }
                    Ok(_) | Err(PinRefused::Overwritten) => {}
                    Err(PinRefused::Locked) => self.pass(1),
                }
            }
            let ahead = self.advance();
            self.release_passed_pin();
            ahead?;
        }
        Err(NoMessage::Empty)
    }

    /// Pins the message at a position, whose stamp was observed.
    fn pin_at(&mut self, position: u64) -> Result<(Pin, Meta), PinRefused> {
        let (slot, phase, stamp) = (self.slots.at(position), self.slots.phase(position), done(position));
        let (held, meta) = if self.pinned == Some(position) {
            let meta = slot.validate(stamp).ok_or(PinRefused::Overwritten)?;
            self.pinned = None;
            (slot.pin_from_raw(phase, self.bit), meta)
        } else {
            self.release_pin();
            slot.pin(phase, self.bit, stamp)?
        };
        Ok((held, Meta::from_word(meta)))
    }

    /// Acquires the newest message like [`Reader::acquire`], whether it was received before or not, and
    /// continues after it. Returns `None` if there is no message.
    pub(crate) fn acquire_latest(&mut self) -> Option<AcquiredToken> {
        let (position, meta, held) = self.pin_newest()?;
        Some(self.keep_pin(held, position, meta))
    }

    pub(super) fn pin_newest(&mut self) -> Option<(u64, Meta, Pin)> {
        // The bit may be in the newest slot, and the reader has one bit for both.
        self.release_pin();
        let bit = self.bit;
        let newest = self.newest(|slot, phase, stamp| {
            let (held, meta) = slot.pin(phase, bit, stamp).ok()?;
            Some((Meta::from_word(meta), held))
        })?;
        self.empty_polls = 0;
        Some(newest)
    }

    /// Lends the pin of the message that was acquired last. The reader copies messages as an observer until it has
    /// [taken the pin back](Reader::take_back). The seat of the reader must last as long as the result.
    pub(crate) fn lend(&mut self, acquired: &AcquiredToken) -> LentPin {
        assert!(self.is_pinned_message(acquired), "one message at a time");
        let held = self.current_pin().expect("a message is held");
        let (pin, lending) = Lending::new(held, acquired.len(), self.bit);
        (self.pinned, self.lent) = (None, Some(lending));
        (self.bit, self.observes) = (0, true);
        pin
    }

    /// Takes the pin back if it was lent and returned. Returns `false` while it is lent.
    pub(crate) fn take_back(&mut self) -> bool {
        if let Some(lending) = self.lent.take_if(|lending| lending.is_returned()) {
            (self.bit, self.observes) = (lending.bit, false);
        }
        self.lent.is_none()
    }

    fn keep_pin(&mut self, held: Pin, position: u64, meta: Meta) -> AcquiredToken {
        held.into_raw();
        self.pinned = Some(position);
        fault_point!("sub.held");
        AcquiredToken::new(position, self.len(meta))
    }

    /// Makes the message that was acquired last accessible.
    #[cfg(test)]
    pub(crate) fn get(&mut self, acquired: AcquiredToken) -> Pinned<'_> {
        assert!(self.is_pinned_message(&acquired), "one message at a time");
        Pinned { len: acquired.len(), reader: self }
    }

    /// Returns `true` if `acquired` is the message that the reader pins.
    #[inline(always)]
    #[cfg_attr(loom, allow(dead_code, reason = "the patterns are not built for the model checker"))]
    pub(crate) fn is_pinned_message(&self, acquired: &AcquiredToken) -> bool {
        self.pinned == Some(acquired.position())
    }

    /// Returns the payload of the pinned message.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        let held = self.current_pin().expect("a message is held");
        let payload = held.payload();
        held.into_raw();
        payload
    }

    /// Unpins the pinned message.
    #[inline(always)]
    pub(crate) fn unpin(&mut self) {
        let held = self.current_pin();
        self.pinned = None;
        drop(held);
    }

    /// Rebuilds the pin of the message whose [`Pin`] was [kept](Pin::into_raw) (`from_raw`).
    #[inline(always)]
    fn current_pin(&self) -> Option<Pin> {
        let position = self.pinned.filter(|&position| position < self.position)?;
        Some(self.slots.at(position).pin_from_raw(self.slots.phase(position), self.bit))
    }

    /// Unpins the message that was acquired and not accessed, or accessed through a guard that was
    /// leaked. No reference to it can remain, because accessing it borrows the reader. Also clears the bit
    /// of a pre-pinned slot.
    pub(in crate::ring::broadcast) fn release_pin(&mut self) {
        if let Some(position) = self.pinned.take() {
            self.slots.at(position).clear(self.slots.phase(position), self.bit);
        }
    }

    /// Clears the bit, unless it pre-pins the message that the reader still waits for.
    fn release_passed_pin(&mut self) {
        if self.pinned.is_some_and(|position| position != self.position) {
            self.empty_polls = 0;
            if mutant("pre-pin of a passed slot") {
                self.pinned = None;
            }
            self.release_pin();
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
    /// Returns the length of the message in bytes. It never exceeds the slot size.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies the first bytes of the message out.
    pub(crate) fn copy_to(&self, bytes: &mut [MaybeUninit<u8>]) {
        let len = self.len.min(bytes.len());
        let held = self.reader.current_pin().expect("a message is held");
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
