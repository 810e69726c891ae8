//! The reader of a pinned ring: messages held in their slots.
//!
//! Owns the reader's one mark: made when a message is there, or before it comes, and taken back. Calls `slot`
//! for the steps, and the reader for where it is. Never leaves two marks.

use super::{ATTEMPTS, Meta, Missed, Reader, done, writing};
use crate::fault::{fault_point, mutant};
use crate::ring::slot::{Held, Refused};
#[cfg(test)]
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

/// The empty look, of those that follow one another, at which a reader marks the slot it waits for. Who looks
/// now and then has fewer of them between two messages, and never costs its writer a slot by that.
const EXPECTS: u32 = if cfg!(loom) { 1 } else { 4 };

impl Reader {
    /// Holds the next message where it is, until the guard is dropped; pinned rings only.
    #[cfg(test)]
    pub(crate) fn pin(&mut self) -> Result<Pinned<'_>, Missed> {
        self.grab().map(|grabbed| self.guard(grabbed))
    }

    /// Holds the next message: its [payload](Reader::payload) stays until it is [let go](Reader::unpin), or the
    /// next one is taken.
    #[inline(always)]
    pub(crate) fn grab(&mut self) -> Result<Grabbed, Missed> {
        // In line what happens to a reader that polls.
        let position = self.position;
        if self.holding == Some(position) {
            let (slot, stamp) = (self.slots.at(position), done(position));
            let seen = slot.observe();
            if seen <= writing(position) {
                return Err(Missed::Empty);
            }
            if seen == stamp
                && let Some(meta) = slot.settle(stamp).map(Meta::from_word)
                && self.is_next(meta)
            {
                self.goes_on_after(position);
                fault_point!("sub.held");
                return Ok(Grabbed { position, len: self.len(meta) });
            }
        }
        self.grab_otherwise()
    }

    #[inline(never)]
    fn grab_otherwise(&mut self) -> Result<Grabbed, Missed> {
        match self.take() {
            Ok((held, meta)) => Ok(self.grabbed(held, self.position - 1, meta)),
            Err(missed) => {
                if missed == Missed::Empty {
                    self.expect();
                }
                Err(missed)
            }
        }
    }

    /// Nothing is there. Marks the slot of the message that comes next, if this reader does nothing but
    /// look for it.
    fn expect(&mut self) {
        self.looks = self.looks.saturating_add(1);
        if self.looks > EXPECTS || self.holding.is_some() {
            return;
        }
        let position = self.position;
        let (slot, parity) = (self.slots.at(position), self.slots.parity(position));
        if self.looks < EXPECTS {
            return;
        }
        // With any other stamp the writer will take both words, and make a hole if there is a mark.
        let last = position.checked_sub(self.slots.count()).map_or(0, done);
        if slot.observe() != last && !mutant("expects on any stamp") {
            return;
        }
        match slot.mark(parity, self.bit) {
            Ok(mark) => {
                mark.keep();
                self.holding = Some(position);
                fault_point!("sub.expects");
            }
            // The writer is a lap further on, or has not quite left the lap before.
            Err(_) if mutant("expects where the owner is") => self.holding = Some(position),
            Err(_) => {}
        }
    }

    /// The message at a position is held.
    #[inline(always)]
    fn goes_on_after(&mut self, position: u64) {
        (self.position, self.looks) = (position + 1, 0);
        // Whoever marks a slot waits for the line: it is under way while this message is looked at.
        self.slots.at(position + 1).expect_to_change(self.slots.parity(position + 1));
    }

    /// Holds the next message, and goes on after it.
    pub(super) fn take(&mut self) -> Result<(Held, Meta), Missed> {
        self.let_go_behind();
        for _ in 0..ATTEMPTS {
            let position = self.position;
            if self.slots.at(position).observe() == done(position) {
                match self.hold(position) {
                    Ok((held, meta)) if self.is_next(meta) => {
                        self.goes_on_after(position);
                        return Ok((held, meta));
                    }
                    Ok(_) | Err(Refused::Overwritten) => {}
                    Err(Refused::Owned) => self.pass(1),
                }
            }
            let ahead = self.advance();
            self.let_go_behind();
            ahead?;
        }
        Err(Missed::Empty)
    }

    /// Holds the message at a position, whose stamp was observed.
    fn hold(&mut self, position: u64) -> Result<(Held, Meta), Refused> {
        let (slot, parity, stamp) = (self.slots.at(position), self.slots.parity(position), done(position));
        let (held, meta) = if self.holding == Some(position) {
            let meta = slot.settle(stamp).ok_or(Refused::Overwritten)?;
            self.holding = None;
            (slot.still_held(parity, self.bit), meta)
        } else {
            self.let_go();
            slot.hold(parity, self.bit, stamp)?
        };
        Ok((held, Meta::from_word(meta)))
    }

    /// Holds the newest message like [`Reader::grab`], whether it was received before or not, and goes
    /// on after it. `None` if there is none.
    pub(crate) fn grab_latest(&mut self) -> Option<Grabbed> {
        let (position, meta, held) = self.take_newest()?;
        Some(self.grabbed(held, position, meta))
    }

    pub(super) fn take_newest(&mut self) -> Option<(u64, Meta, Held)> {
        // It may be in the newest slot, and there is one mark for both.
        self.let_go();
        let bit = self.bit;
        let newest = self.newest(|slot, parity, stamp| {
            let (held, meta) = slot.hold(parity, bit, stamp).ok()?;
            Some((Meta::from_word(meta), held))
        })?;
        self.looks = 0;
        Some(newest)
    }

    fn grabbed(&mut self, held: Held, position: u64, meta: Meta) -> Grabbed {
        held.keep();
        self.holding = Some(position);
        fault_point!("sub.held");
        Grabbed { position, len: self.len(meta) }
    }

    /// Makes what was grabbed last accessible.
    #[cfg(test)]
    pub(crate) fn guard(&mut self, grabbed: Grabbed) -> Pinned<'_> {
        assert!(self.holds(&grabbed), "one message at a time");
        Pinned { len: grabbed.len, reader: self }
    }

    /// Whether it is what is held.
    #[inline(always)]
    #[cfg_attr(loom, allow(dead_code, reason = "the patterns are not built for the model checker"))]
    pub(crate) fn holds(&self, grabbed: &Grabbed) -> bool {
        self.holding == Some(grabbed.position)
    }

    /// The payload of what is held.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        let held = self.held().expect("a message is held");
        let payload = held.payload();
        held.keep();
        payload
    }

    /// Lets go of what is held.
    #[inline(always)]
    pub(crate) fn unpin(&mut self) {
        let held = self.held();
        self.holding = None;
        drop(held);
    }

    /// What is held, as if it had not been [kept](Held::keep).
    #[inline(always)]
    fn held(&self) -> Option<Held> {
        let position = self.holding.filter(|&position| position < self.position)?;
        Some(self.slots.at(position).still_held(self.slots.parity(position), self.bit))
    }

    /// Lets go of what was grabbed and not shown, or shown in a [`Pinned`] that was leaked: nobody can
    /// look at it any more, as that takes a borrow of the reader. Or of what was expected.
    pub(in super::super) fn let_go(&mut self) {
        if let Some(position) = self.holding.take() {
            self.slots.at(position).clear(self.slots.parity(position), self.bit);
        }
    }

    /// Lets go of all but a message that is still expected.
    fn let_go_behind(&mut self) {
        if self.holding.is_some_and(|position| position != self.position) {
            self.looks = 0;
            if mutant("expects what is gone") {
                self.holding = None;
            }
            self.let_go();
        }
    }
}

/// The right to look at a message once. Its reader holds the message until then, or until it takes the next
/// one.
#[must_use = "a message that is held costs the writer a slot"]
#[derive(Debug)]
pub(crate) struct Grabbed {
    position: u64,
    len: usize,
}

impl Grabbed {
    #[inline(always)]
    pub(in crate::ring) fn new(position: u64, len: usize) -> Self {
        Grabbed { position, len }
    }

    #[inline(always)]
    pub(in crate::ring) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the message; no more than a slot holds.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
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
    /// Bytes of the message; no more than a slot holds.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies the first bytes of the message out.
    pub(crate) fn copy_to(&self, bytes: &mut [MaybeUninit<u8>]) {
        let len = self.len.min(bytes.len());
        let held = self.reader.held().expect("a message is held");
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
