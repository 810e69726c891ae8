//! The state words of a slot: who may touch its payload, where it is not copied by everybody.
//!
//! Owns the claim of the writer ([`Owned`]), the marks of the readers ([`Held`]), and every ordering on the
//! state words. Which word a claim or a mark belongs to, and what makes them exclude each other, is in the
//! [document of the ring](super::super). Never touches meta, and the stamp only to look at it.

use super::Slot;
use crate::fault::{self, fault_point, mutant, weak};
use crate::layout::geometry::STATE;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, load_own};
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

/// In a state word: nobody may begin to hold a message by it, as the writer is at work. It owns the whole
/// byte, for later use.
const OWNER: u64 = 1 << 56;
/// The bits of a state word that belong to readers.
pub(in crate::ring) const READERS: u64 = OWNER - 1;

/// One of the two state words of a slot: that of even laps or that of odd ones. (The shared ring has
/// the even one only.)
///
/// Invariant: 0 or [`STATE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ring) struct Parity(usize);

impl Parity {
    pub(in crate::ring) const EVEN: Parity = Parity(0);
    pub(in crate::ring) const ODD: Parity = Parity(STATE as usize);
    pub(in crate::ring) const BOTH: [Parity; 2] = [Parity::EVEN, Parity::ODD];

    #[inline]
    pub(super) fn of_lap(odd: bool) -> Self {
        if odd { Parity::ODD } else { Parity::EVEN }
    }

    /// That of the lap before, and of the lap after.
    #[inline]
    pub(in crate::ring) fn other(self) -> Self {
        Parity(self.0 ^ STATE as usize)
    }
}

impl Slot {
    /// Owner and readers of the messages of every other lap. After its making it is changed by
    /// read-modify-writes only.
    #[inline(always)]
    fn state(&self, parity: Parity) -> &AtomicU64 {
        // SAFETY: private, and called only for pinned slots, with a parity that they have: in the slot, and
        // aligned (invariant 4 of `Slots`).
        unsafe { self.at.word(self.states + parity.0) }
    }

    /// Writer: takes the slot for itself by one of its state words, unless readers hold it by that. A claim
    /// that was dropped before is still there, and is taken up.
    #[inline]
    pub(in crate::ring) fn claim(self, parity: Parity) -> Option<Owned> {
        self.bar(parity).map(|_anew| self.still_owned(parity.other(), false))
    }

    /// Writer of a broadcast ring: takes the slot for itself, for the lap of `parity`, unless readers hold it.
    /// Only if it has the message of the lap before, or none yet, nobody can hold an older one; else it takes
    /// both words. Its stamp is `last` then; `None` if the writer knows that without a look, which would wait
    /// for the line that a reader polls.
    #[inline(always)]
    pub(in crate::ring) fn claim_after(self, parity: Parity, last: Option<u64>) -> Option<Owned> {
        let before = parity.other();
        let one = last.is_none_or(|last| load_own(self.stamp()) == last) || mutant("claim bars one word");
        match self.bar(before)? {
            true if one => Some(Owned { slot: self, barred: before, both: false }),
            anew => self.claim_both(parity, anew),
        }
    }

    /// Writer: what it [kept](Owned::keep), claimed for the lap of `parity`.
    #[inline(always)]
    pub(in crate::ring) fn still_owned(self, parity: Parity, both: bool) -> Owned {
        Owned { slot: self, barred: parity.other(), both }
    }

    /// The other word is barred: since just now, if `anew`, or by a claim that was dropped.
    #[cold]
    fn claim_both(self, parity: Parity, anew: bool) -> Option<Owned> {
        let barred = parity.other();
        // Relaxed: a claim that was dropped has acquired what there was.
        let both = if anew { self.bar(parity).is_some() } else { self.state(parity).load(Relaxed) > READERS };
        if anew && !both {
            self.admit(barred);
            return None;
        }
        Some(Owned { slot: self, barred, both })
    }

    /// Keeps readers from beginning to hold messages by this word, unless some do hold one. Says
    /// whether that is new.
    #[inline(always)]
    fn bar(self, parity: Parity) -> Option<bool> {
        // [claim] pairs with [unpin]: what readers did with the payload happens before.
        let state = self.state(parity);
        let claim = state.compare_exchange(0, OWNER, weak("relaxed claim", Acquire), Relaxed);
        fault_point!("pub.claimed");
        match claim {
            Ok(_) => Some(true),
            // Only this writer sets the bit. It has not let go since, so no reader has the payload.
            Err(found) if found & OWNER != 0 => Some(false),
            Err(found) if mutant("claim ignores readers") => {
                state.compare_exchange(found, found | OWNER, Acquire, Relaxed).ok()?;
                Some(true)
            }
            Err(_) => None,
        }
    }

    /// Lets readers in again.
    #[inline(always)]
    fn admit(self, parity: Parity) {
        if mutant("plain release") {
            let state = self.state(parity).load(Relaxed);
            return self.state(parity).store(state & READERS, Release);
        }
        // [release] pairs with [pin]. Relaxed, because the fence of [open] came before, if there was anything
        // to hide; the payload is released by [publish]. Marks of readers stay: whoever came in vain takes
        // them back.
        self.state(parity).fetch_and(READERS, Relaxed);
        fault_point!("pub.released");
    }

    /// Writer: whether [`Slot::claim_after`] would fail, as far as a look can tell.
    pub(in crate::ring) fn is_held(self, parity: Parity, last: u64) -> bool {
        // Relaxed, both: the claim itself decides.
        let state = |parity| self.state(parity).load(Relaxed);
        let held = |state| (1..=READERS).contains(&state);
        let before = state(parity.other());
        held(before) || before == 0 && load_own(self.stamp()) != last && held(state(parity))
    }

    /// Asks for the line of a state word, to be changed soon. A hint: nothing depends on it.
    #[inline]
    pub(in crate::ring) fn expect_to_change(self, parity: Parity) {
        self.at.expect_to_write(self.states + parity.0);
    }

    /// Reader: holds the slot with its `bit`, if it still has the stamp that was observed before.
    #[inline]
    pub(in crate::ring) fn hold(self, parity: Parity, bit: u64, stamp: u64) -> Result<(Held, u64), Refused> {
        let mark = self.mark(parity, bit)?;
        let stamp = if mutant("no stamp test") { self.stamp().load(Relaxed) } else { stamp };
        // No owner, the same stamp: the payload is that of the stamp, and stays as long as the mark.
        match self.settle(stamp) {
            Some(meta) => Ok((mark.settled(), meta)),
            None => Err(Refused::Overwritten),
        }
    }

    /// Reader: keeps the messages of a word from being overwritten, those that come as well, with its `bit`,
    /// unless the writer is at that. Whether the slot has the message that was meant, a look after this tells.
    #[inline]
    pub(in crate::ring) fn mark(self, parity: Parity, bit: u64) -> Result<Mark, Refused> {
        // [pin] pairs with [release], for the look that follows: a claim that came and went shows in it.
        // Relaxed, because the fence of [settle] follows.
        let before = self.state(parity).fetch_or(bit, Relaxed);
        fault_point!("sub.marked");
        // From here on the mark is taken back when `mark` is dropped.
        let mark = Mark { slot: self, parity, bit };
        if before & !READERS != 0 && !mutant("no owner test") {
            return Err(Refused::Owned);
        }
        Ok(mark)
    }

    /// Reader: what it [kept](Held::keep), and did not [clear](Slot::clear) since.
    #[inline(always)]
    pub(in crate::ring) fn still_held(self, parity: Parity, bit: u64) -> Held {
        Held(Mark { slot: self, parity, bit })
    }

    /// Takes marks back, whoever made them: the maker is gone, or has let go. True if there were any.
    pub(in crate::ring) fn clear(self, parity: Parity, bits: u64) -> bool {
        let state = self.state(parity);
        // Relaxed: the caller comes after whoever made the mark. (To loom every load is an event that
        // hides others; it gets the second step only.)
        if cfg!(not(loom)) && state.load(Relaxed) & bits == 0 {
            return false;
        }
        // [unpin] pairs with [claim]; for an owner's bits it is [release].
        let before = state.fetch_and(!bits, Release);
        fault_point!("slot.cleared");
        before & bits != 0
    }
}

/// Why a slot cannot be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ring) enum Refused {
    /// The writer has claimed it for a later position.
    Owned,
    /// It has another stamp by now.
    Overwritten,
}

/// A slot that the writer has for itself.
///
/// Invariant: while it exists, no [`Held`] of the slot's payload exists or comes about: the owner bit is in
/// the state word `barred`, and, if `both`, in the other one. Dropping or leaking it leaves the claim with
/// the writer, that is, in the slot.
#[derive(Debug)]
pub(in crate::ring) struct Owned {
    slot: Slot,
    barred: Parity,
    both: bool,
}

impl Owned {
    #[inline(always)]
    pub(in crate::ring) fn slot(&self) -> Slot {
        self.slot
    }

    /// Goes on having the slot without this; [`Slot::still_owned`] makes it again. Returns `both`.
    #[inline(always)]
    pub(in crate::ring) fn keep(self) -> bool {
        self.both
    }

    /// Copies a payload in.
    #[inline]
    pub(in crate::ring) fn fill(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.slot.size);
        // SAFETY: in the slot (invariant 2), and exclusively ours (invariant of the type).
        unsafe { self.slot.at.write(self.slot.payload, bytes) };
    }

    /// The payload, as many bytes as the slots hold. Nobody else touches it while `self` exists.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(in crate::ring) fn payload(&mut self) -> NonNull<u8> {
        // SAFETY: in the slot (invariant 2).
        unsafe { self.slot.at.add(self.slot.payload) }.pointer()
    }

    /// The payload is finished: what remains is to publish it, with the rest that this returns still barred.
    /// Comes before the stamp: whoever sees that may hold the message.
    #[inline(always)]
    pub(in crate::ring) fn finish(self) -> Barred {
        let Owned { slot, barred, both } = self;
        if both && !mutant("admitted after the stamp") {
            slot.admit(barred.other());
        }
        Barred { slot, parity: barred, late: both && mutant("admitted after the stamp") }
    }
}

/// A state word that is still barred after its slot was given up: nobody needs it before the next lap.
#[derive(Debug)]
pub(in crate::ring) struct Barred {
    slot: Slot,
    parity: Parity,
    late: bool,
}

impl Barred {
    #[inline(always)]
    pub(in crate::ring) fn admit(self) {
        if self.late {
            self.slot.admit(self.parity.other());
        }
        self.slot.admit(self.parity);
    }
}

/// A reader's bit in a state word, taken back when this is dropped.
///
/// Invariant: the bit was set while there was no owner. So if the slot has a message of the word's laps after
/// that, it keeps it.
#[derive(Debug)]
pub(in crate::ring) struct Mark {
    slot: Slot,
    parity: Parity,
    bit: u64,
}

impl Mark {
    /// A look after the mark has found the message that was meant.
    #[inline]
    pub(in crate::ring) fn settled(self) -> Held {
        Held(self)
    }

    /// Leaves the mark where it is, for [`Slot::still_held`] once there is a message, or [`Slot::clear`].
    #[inline]
    pub(in crate::ring) fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Mark {
    #[inline]
    fn drop(&mut self) {
        if !fault::dying() {
            // [unpin] pairs with [claim].
            self.slot.state(self.parity).fetch_and(!self.bit, weak("relaxed unpin", Release));
            fault_point!("sub.unpinned");
        }
    }
}

/// A message that a reader holds in its slot: its payload does not change until this is dropped. Leaking it
/// costs the writer a slot, and nothing else.
///
/// Invariant: the mark was made before a look that found the message; so no [`Owned`] of the slot comes
/// about.
#[derive(Debug)]
pub(in crate::ring) struct Held(Mark);

impl Held {
    /// Goes on holding the slot without this; [`Slot::still_held`] makes it again.
    #[inline]
    pub(in crate::ring) fn keep(self) {
        self.0.keep();
    }

    /// Copies the first bytes of the payload out.
    #[inline]
    pub(in crate::ring) fn copy_to(&self, bytes: &mut [MaybeUninit<u8>]) {
        let slot = self.0.slot;
        assert!(bytes.len() <= slot.size);
        // SAFETY: in the slot (invariant 2), and nobody writes it (invariant of the type).
        unsafe { slot.at.read(slot.payload, bytes) };
    }

    /// The payload, as many bytes as the slots hold. Nobody writes it while `self` exists.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(in crate::ring) fn payload(&self) -> NonNull<u8> {
        let slot = self.0.slot;
        // SAFETY: in the slot (invariant 2).
        unsafe { slot.at.add(slot.payload) }.pointer()
    }
}
