//! The state words of a slot: exclusive and shared access to its payload, in a ring that does not copy
//! payloads.
//!
//! Owns the lock of the writer ([`WriteLock`]), the pin bits of the readers ([`Pin`]), and every ordering on
//! the state words. Calls only atomics. Never touches meta, and only loads the stamp. The [document of the
//! ring](crate::ring::broadcast) says which word a claim or a pin belongs to, and how they exclude each other.

use super::Slot;
use crate::fault::{self, fault_point, mutant, weak};
use crate::layout::geometry::STATE;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, fence, load_own};
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

/// The lock bit of a state word: no reader may begin to pin a message by it, because the writer is writing.
/// It owns the whole byte, for later use.
const OWNER: u64 = 1 << 56;
/// The bits of a state word that belong to readers.
pub(in crate::ring) const READERS: u64 = OWNER - 1;

/// The phase of a lap: it selects one of the two state words of a slot, for even laps or for odd laps. (The
/// multi-producer ring has only the even word.)
///
/// Invariant: 0 or [`STATE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ring) struct Phase(usize);

impl Phase {
    pub(in crate::ring) const EVEN: Phase = Phase(0);
    pub(in crate::ring) const ODD: Phase = Phase(STATE as usize);
    pub(in crate::ring) const BOTH: [Phase; 2] = [Phase::EVEN, Phase::ODD];

    #[inline]
    pub(super) fn of_lap(odd: bool) -> Self {
        if odd { Phase::ODD } else { Phase::EVEN }
    }

    /// Returns the phase of the lap before, and of the lap after.
    #[inline]
    pub(in crate::ring) fn other(self) -> Self {
        Phase(self.0 ^ STATE as usize)
    }
}

impl Slot {
    /// Returns the word of owner and readers for the messages of every other lap. After its initialisation
    /// it is changed by read-modify-writes only.
    #[inline(always)]
    fn state(&self, phase: Phase) -> &AtomicU64 {
        // SAFETY: private, and called only for pinned slots, with a phase that they have: in the slot, and
        // aligned (invariant 4 of `Slots`).
        unsafe { self.at.word(self.states + phase.0) }
    }

    /// Locks one state word of the slot for the writer, unless readers pin the slot by it. Resumes a claim
    /// that was dropped before, which is still there.
    #[inline]
    pub(in crate::ring) fn try_lock(self, phase: Phase) -> Option<WriteLock> {
        self.lock(phase).map(|_anew| self.lock_from_raw(phase.other(), false))
    }

    /// Locks the slot for the writer of a broadcast ring and the lap of `phase`, unless readers pin it.
    ///
    /// If the slot has the message of the previous lap, or none yet, no reader can pin an older message,
    /// and one lock is enough. Otherwise the writer locks both words. `last` is the stamp of the slot in
    /// the first case. `None` means that the writer knows that case without a load, which would wait for
    /// the line that a reader polls.
    #[inline(always)]
    pub(in crate::ring) fn try_lock_after(self, phase: Phase, last: Option<u64>) -> Option<WriteLock> {
        let before = phase.other();
        let one = last.is_none_or(|last| load_own(self.stamp()) == last) || mutant("claim locks one word");
        match self.lock(before)? {
            true if one => Some(WriteLock { slot: self, locked: before, both: false }),
            anew => self.try_lock_both(phase, anew),
        }
    }

    /// Rebuilds the claim that the writer [kept](WriteLock::into_raw), for the lap of `phase` (`from_raw`).
    #[inline(always)]
    pub(in crate::ring) fn lock_from_raw(self, phase: Phase, both: bool) -> WriteLock {
        WriteLock { slot: self, locked: phase.other(), both }
    }

    /// Completes a claim of both words. The other word is locked: since just now if `anew`, or by a dropped
    /// claim.
    #[cold]
    fn try_lock_both(self, phase: Phase, anew: bool) -> Option<WriteLock> {
        let locked = phase.other();
        // Relaxed: a claim that was dropped has acquired the words before it.
        let both = if anew { self.lock(phase).is_some() } else { self.state(phase).load(Relaxed) > READERS };
        if anew && !both {
            self.unlock(locked);
            return None;
        }
        Some(WriteLock { slot: self, locked, both })
    }

    /// Locks this word, unless readers pin the slot by it. Returns `Some(true)` if the lock is new, and
    /// `Some(false)` if this writer had it already.
    #[inline(always)]
    fn lock(self, phase: Phase) -> Option<bool> {
        // [claim] pairs with [unpin]: the accesses of readers to the payload happen before.
        let state = self.state(phase);
        let claim = state.compare_exchange(0, OWNER, weak("relaxed claim", Acquire), Relaxed);
        fault_point!("pub.claimed");
        match claim {
            Ok(_) => Some(true),
            // Only this writer sets the bit. It has not unlocked the word since, so no reader has the
            // payload.
            Err(found) if found & OWNER != 0 => Some(false),
            Err(found) if mutant("claim ignores readers") => {
                state.compare_exchange(found, found | OWNER, Acquire, Relaxed).ok()?;
                Some(true)
            }
            Err(_) => None,
        }
    }

    /// Unlocks this word for readers.
    #[inline(always)]
    fn unlock(self, phase: Phase) {
        if mutant("plain release") {
            let state = self.state(phase).load(Relaxed);
            return self.state(phase).store(state & READERS, Release);
        }
        // [release] pairs with [pin]. Relaxed, because the fence of [write_begin] came before, if there was
        // anything to hide; [publish] releases the payload. Pin bits stay: a reader whose bit came too
        // early clears it.
        self.state(phase).fetch_and(READERS, Relaxed);
        fault_point!("pub.released");
    }

    /// Returns `true` if [`Slot::try_lock_after`] of the writer would fail, according to a snapshot of the words.
    pub(in crate::ring) fn has_pins(self, phase: Phase, last: u64) -> bool {
        // Relaxed, both: the claim itself decides.
        let state = |phase| self.state(phase).load(Relaxed);
        let held = |state| (1..=READERS).contains(&state);
        let before = state(phase.other());
        held(before) || before == 0 && load_own(self.stamp()) != last && held(state(phase))
    }

    /// Returns `true` if the writer has locked this word since the payload that an observer has copied before
    /// this call, or holds the lock. The observer must load the stamp after this call.
    #[inline]
    pub(in crate::ring) fn is_claimed(self, phase: Phase) -> bool {
        // [validate]: the copy comes before this load.
        fence(Acquire);
        // Acquire: a word that was unlocked again shows the stamp that came before [release].
        self.state(phase).load(Acquire) > READERS
    }

    /// Changes the payload of a claimed slot, in a model with an observer. A plain store of the writer may
    /// become visible before the stamp, if it does not come before the lock.
    #[cfg(loom)]
    pub(in crate::ring) fn scribble(self) {
        fence(Release);
        self.at.scribble(self.payload);
    }

    /// Prefetches for writing the line of a state word. A hint: no result depends on it.
    #[inline]
    pub(in crate::ring) fn prefetch_state_for_write(self, phase: Phase) {
        self.at.prefetch_for_write(self.states + phase.0);
    }

    /// Pins the slot with the reader's `bit`, if the slot still has the stamp that was observed before.
    #[inline]
    pub(in crate::ring) fn pin(self, phase: Phase, bit: u64, stamp: u64) -> Result<(Pin, u64), PinRefused> {
        let mark = self.set_pin_bit(phase, bit)?;
        let stamp = if mutant("no stamp test") { self.stamp().load(Relaxed) } else { stamp };
        // No owner and the same stamp: the payload belongs to the stamp, and stays while the bit is set.
        match self.validate(stamp) {
            Some(meta) => Ok((mark.validated(), meta)),
            None => Err(PinRefused::Overwritten),
        }
    }

    /// Sets the reader's `bit` in a word, which keeps the present and the next message of that word from
    /// being overwritten, unless the writer has locked it. A load of the stamp after this call tells
    /// whether the slot has the expected message.
    #[inline]
    pub(in crate::ring) fn set_pin_bit(self, phase: Phase, bit: u64) -> Result<PinBit, PinRefused> {
        // [pin] pairs with [release], for the load that follows: it shows a claim that came and went.
        // Relaxed, because the fence of [validate] follows.
        let before = self.state(phase).fetch_or(bit, Relaxed);
        fault_point!("sub.marked");
        // From here on dropping `mark` clears the bit.
        let mark = PinBit { slot: self, phase, bit };
        if before & !READERS != 0 && !mutant("no owner test") {
            return Err(PinRefused::Locked);
        }
        Ok(mark)
    }

    /// Rebuilds the pin that the reader [kept](Pin::into_raw) and has not [cleared](Slot::clear) since
    /// (`from_raw`).
    #[inline(always)]
    pub(in crate::ring) fn pin_from_raw(self, phase: Phase, bit: u64) -> Pin {
        Pin(PinBit { slot: self, phase, bit })
    }

    /// Clears bits, whichever participant set them: it has died, or has given them up. Returns `true` if
    /// any was set.
    pub(in crate::ring) fn clear(self, phase: Phase, bits: u64) -> bool {
        let state = self.state(phase);
        // Relaxed: the caller is ordered after the participant that set the bit. (For loom every load is an
        // event that hides other events, so it gets the second step only.)
        if cfg!(not(loom)) && state.load(Relaxed) & bits == 0 {
            return false;
        }
        // [unpin] pairs with [claim]; for the bits of an owner it is [release].
        let before = state.fetch_and(!bits, Release);
        fault_point!("slot.cleared");
        before & bits != 0
    }
}

/// The reason why a slot cannot be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ring) enum PinRefused {
    /// The writer has claimed the slot for a later position.
    Locked,
    /// The slot has another stamp by now.
    Overwritten,
}

/// A slot that the writer has locked.
///
/// Invariant: while it exists, no [`Pin`] of the payload of the slot exists or is created. The owner bit
/// is in the state word `locked` and, if `both`, in the other one. Dropping or leaking it leaves the claim
/// with the writer, that is, in the slot.
#[derive(Debug)]
pub(in crate::ring) struct WriteLock {
    slot: Slot,
    locked: Phase,
    both: bool,
}

impl WriteLock {
    #[inline(always)]
    pub(in crate::ring) fn slot(&self) -> Slot {
        self.slot
    }

    /// Keeps the slot claimed without this token (`into_raw`); [`Slot::lock_from_raw`] rebuilds it. Returns
    /// `both`.
    #[inline(always)]
    pub(in crate::ring) fn into_raw(self) -> bool {
        self.both
    }

    /// Copies a payload in.
    #[inline]
    pub(in crate::ring) fn fill(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.slot.size);
        // SAFETY: in the slot (invariant 2), and exclusively ours (invariant of the type).
        unsafe { self.slot.at.write(self.slot.payload, bytes) };
    }

    /// Returns the payload, as long as the slot capacity. No other participant touches it while `self`
    /// exists.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(in crate::ring) fn payload(&mut self) -> NonNull<u8> {
        // SAFETY: in the slot (invariant 2).
        unsafe { self.slot.at.add(self.slot.payload) }.pointer()
    }

    /// Finishes the payload before it is published, and returns the word that is still locked. It comes
    /// before the stamp, because a reader that sees the stamp may pin the message.
    #[inline(always)]
    pub(in crate::ring) fn finish(self) -> PendingUnlock {
        let WriteLock { slot, locked, both } = self;
        if both && !mutant("unlock after the stamp") {
            slot.unlock(locked.other());
        }
        PendingUnlock { slot, phase: locked, late: both && mutant("unlock after the stamp") }
    }
}

/// A state word that is still locked after its slot was given up: no participant needs it before the next
/// lap.
#[derive(Debug)]
pub(in crate::ring) struct PendingUnlock {
    slot: Slot,
    phase: Phase,
    late: bool,
}

impl PendingUnlock {
    #[inline(always)]
    pub(in crate::ring) fn unlock(self) {
        if self.late {
            self.slot.unlock(self.phase.other());
        }
        self.slot.unlock(self.phase);
    }
}

/// A reader's pin bit in a state word before validation, cleared when this is dropped.
///
/// Invariant: the bit was set while there was no owner. If the slot has a message of the laps of the word
/// after that, it keeps this message.
#[derive(Debug)]
pub(in crate::ring) struct PinBit {
    slot: Slot,
    phase: Phase,
    bit: u64,
}

impl PinBit {
    /// Turns the bit into a valid pin: a load of the stamp after the bit was set has found the expected
    /// message.
    #[inline]
    pub(in crate::ring) fn validated(self) -> Pin {
        Pin(self)
    }

    /// Leaves the bit set, for [`Slot::pin_from_raw`] once there is a message, or for [`Slot::clear`]
    /// (`into_raw`).
    #[inline]
    pub(in crate::ring) fn into_raw(self) {
        core::mem::forget(self);
    }
}

impl Drop for PinBit {
    #[inline]
    fn drop(&mut self) {
        if !fault::dying() {
            // [unpin] pairs with [claim].
            self.slot.state(self.phase).fetch_and(!self.bit, weak("relaxed unpin", Release));
            fault_point!("sub.unpinned");
        }
    }
}

/// A message that a reader pins in its slot. Its payload does not change until this is dropped.
/// Leaking it costs the writer a slot, and has no other effect.
///
/// Invariant: the bit was set before a load of the stamp that found the message. No [`WriteLock`] of the slot
/// can be created.
#[derive(Debug)]
pub(in crate::ring) struct Pin(PinBit);

impl Pin {
    /// Keeps the slot pinned without this token (`into_raw`); [`Slot::pin_from_raw`] rebuilds it.
    #[inline]
    pub(in crate::ring) fn into_raw(self) {
        self.0.into_raw();
    }

    /// Copies the first bytes of the payload out.
    #[inline]
    pub(in crate::ring) fn copy_to(&self, bytes: &mut [MaybeUninit<u8>]) {
        let slot = self.0.slot;
        assert!(bytes.len() <= slot.size);
        // SAFETY: in the slot (invariant 2), and no writer writes it (invariant of the type).
        unsafe { slot.at.read(slot.payload, bytes) };
    }

    /// Returns the payload, as long as the slot capacity. No writer writes it while `self` exists.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(in crate::ring) fn payload(&self) -> NonNull<u8> {
        let slot = self.0.slot;
        // SAFETY: in the slot (invariant 2).
        unsafe { slot.at.add(slot.payload) }.pointer()
    }
}
