//! Slots: where their words are, how a payload gets in and out, and who may touch it when.
//!
//! Owns every `unsafe` of the broadcast ring, and every ordering on the words of a slot: the stamp's
//! sequence lock, the claim of the writer, the pins of the readers. Calls nothing but atomics.
//! Never chooses a position, never touches the control words.

mod own;
mod place;

use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

use crate::fault::{self, fault_point, mutant, weak};
use crate::layout::{Geometry, Region, control, slot};
use crate::sync::{AtomicU64, Ordering, compiler_fence, fence};
use Ordering::{Acquire, Relaxed, Release};
pub(super) use own::{Entries, OwnSlots};
use place::{Place, block};

/// [`Slot::state`]: the writer has the slot for itself. It owns the whole byte, for later use.
pub(super) const OWNER: u64 = 1 << 56;
/// The bits of [`Slot::state`] that belong to readers.
pub(super) const READERS: u64 = OWNER - 1;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// ThreadSanitizer does not understand fences: it gets its edges from the words.
const WORD_OUT: Ordering = if cfg!(tsan) { Release } else { Relaxed };
/// See [`WORD_OUT`].
const WORD_IN: Ordering = if cfg!(tsan) { Acquire } else { Relaxed };

/// The slots of one ring.
///
/// Invariants, from those of [`Geometry`] and [`Region`]:
/// 1. Slot `i <= mask` lies at `first + i * stride`, mapped, readable and writable, and aligned to 64.
/// 2. `payload` is a multiple of 8 and at least 16 (pinned: 64, queue: 32); `payload + size <=
///    stride`, and as `stride` is a multiple of 64, so is `payload + size` rounded up to 8.
/// 3. The payload of a pinned slot is touched only by the holder of an [`Owned`], or of a [`Held`],
///    of it; what makes them exclude each other is in the [document of the ring](super).
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    first: Place,
    mask: u64,
    stride: usize,
    payload: usize,
    size: usize,
}

impl Slots {
    pub(super) fn new(region: Region, geometry: &Geometry) -> Self {
        let Geometry { slots, stride, slots_offset, .. } = *geometry;
        Slots {
            first: Place::new(region, slots_offset as usize, (geometry.slots_in_all() * stride) as usize),
            mask: slots - 1,
            stride: stride as usize,
            payload: geometry.payload_offset as usize,
            size: geometry.slot_size as usize,
        }
    }

    /// How many.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.mask + 1
    }

    /// Payload bytes that each holds.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The slot of a position.
    #[inline]
    pub(super) fn at(&self, position: u64) -> Slot {
        let index = (position & self.mask) as usize;
        // SAFETY: `index <= mask`, so the slot is within the place (invariant 1).
        let at = unsafe { self.first.add(index * self.stride) };
        Slot { at, payload: self.payload, size: self.size }
    }
}

/// The control words of a writer: one line, which only it writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    line: Place,
}

impl Control {
    pub(super) fn new(region: Region) -> Self {
        Control { line: Place::new(region, control::HEAD, 4 * 8) }
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: private, and called only with the four words from `HEAD` on; words of the control
        // line are atomics to all.
        unsafe { self.line.word(at - control::HEAD) }
    }

    /// The position that is written next.
    #[inline]
    pub(super) fn head(&self) -> &AtomicU64 {
        self.word(control::HEAD)
    }

    #[inline]
    pub(super) fn bytes(&self) -> &AtomicU64 {
        self.word(control::BYTES)
    }

    #[inline]
    pub(super) fn holes(&self) -> &AtomicU64 {
        self.word(control::HOLES)
    }
}

const _: () = assert!(control::HOLES == control::HEAD + 3 * 8);

/// One slot. See the [document of the ring](super) for what its words mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    at: Place,
    payload: usize,
    size: usize,
}

impl Slot {
    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at < self.payload + self.size);
        // SAFETY: private, and called only with the offset of a header word or of a payload word
        // that starts below `payload + size`: in the slot and aligned (invariants 1 and 2).
        unsafe { self.at.word(at) }
    }

    /// Payload bytes that it holds.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Position and state.
    #[inline]
    pub(super) fn stamp(&self) -> &AtomicU64 {
        self.word(slot::STAMP)
    }

    /// Length, and what else the ring notes about a message.
    #[inline]
    pub(super) fn meta(&self) -> &AtomicU64 {
        self.word(slot::META)
    }

    /// Owner and readers. After its making it is changed by read-modify-writes only.
    #[inline]
    pub(super) fn state(&self) -> &AtomicU64 {
        self.word(slot::STATE)
    }

    /// Writer: from here on `meta` and a copied payload are no longer what the last stamp said.
    #[inline]
    pub(super) fn open(self, stamp: u64) {
        // A killed process leaves its first stores, to the last one it made: the compiler must not
        // make this one before those of the message before. The processor takes care of itself.
        compiler_fence(Release);
        // Relaxed: it is the fence that orders it before the words that follow.
        self.stamp().store(stamp, Relaxed);
        if !mutant("no writer fence") {
            // [open] pairs with [settle]: whoever reads one of the following words sees the stamp.
            fence(Release);
        }
        fault_point!("pub.opened");
    }

    /// Writer: the slot holds what the stamp says.
    #[inline]
    pub(super) fn close(self, meta: u64, stamp: u64) {
        // Relaxed: the stamp releases it; a reader that is too early is turned away by [settle].
        self.meta().store(meta, Relaxed);
        fault_point!("pub.meta");
        // [publish] pairs with [observe]: payload, meta and the release of the claim are visible.
        self.stamp().store(stamp, weak("relaxed publish", Release));
        fault_point!("pub.closed");
    }

    /// Writer: asks for the first lines of a slot that it comes to soon.
    #[inline]
    pub(super) fn expect_to_write(self) {
        self.at.expect_to_write(0);
        if self.payload + self.size > LINE {
            self.at.expect_to_write(LINE);
        }
    }

    /// Reader: what the slot holds now.
    #[inline]
    pub(super) fn observe(self) -> u64 {
        // [observe] pairs with [publish].
        self.stamp().load(weak("relaxed observe", Acquire))
    }

    /// Reader: the meta word, if the slot still has the stamp that was observed before. Whatever was
    /// copied out since then is then intact too.
    #[inline]
    pub(super) fn settle(self, stamp: u64) -> Option<u64> {
        // Relaxed: the fence orders it, like the payload, before the second look at the stamp.
        let meta = self.meta().load(Relaxed);
        if !mutant("no reader fence") {
            // [settle] pairs with [open].
            fence(Acquire);
        }
        // Relaxed: only its value matters, nothing is read after it.
        (self.stamp().load(Relaxed) == stamp || mutant("no second look")).then_some(meta)
    }

    /// Copies a payload in, word by word: nobody is kept from reading meanwhile, see [`Slot::open`].
    #[inline(always)]
    pub(super) fn store(self, bytes: &[u8]) {
        assert!(bytes.len() <= self.size);
        if bytes.len() >= block::MIN {
            // SAFETY: the bytes fit in the payload (just checked), which is in the slot (invariant
            // 2); nobody has a reference to it, as it is copied by all (invariant 3).
            unsafe { block::put(self.at, self.payload, bytes) };
            return;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            // Relaxed: between [open] and [publish], which order it.
            self.word(self.payload + 8 * i).store(u64::from_ne_bytes(*word), WORD_OUT);
            fault_point!("pub.word");
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            // Relaxed: as above. The bytes beyond the payload are padding of the slot.
            self.word(self.payload + 8 * words.len()).store(u64::from_ne_bytes(last), WORD_OUT);
        }
    }

    /// Copies a payload out, word by word. Only [`Slot::settle`] tells whether it is one.
    #[inline(always)]
    pub(super) fn load(self, bytes: &mut [MaybeUninit<u8>]) {
        assert!(bytes.len() <= self.size);
        if bytes.len() >= block::MIN {
            // SAFETY: as in `store`.
            unsafe { block::take(self.at, self.payload, bytes) };
            return;
        }
        let (words, rest) = bytes.as_chunks_mut::<8>();
        let count = words.len();
        for (i, word) in words.iter_mut().enumerate() {
            // Relaxed: between [observe] and [settle], which order it.
            let value = self.word(self.payload + 8 * i).load(WORD_IN);
            *word = value.to_ne_bytes().map(MaybeUninit::new);
        }
        if !rest.is_empty() {
            // Relaxed: as above.
            let value = self.word(self.payload + 8 * count).load(WORD_IN);
            for (to, byte) in rest.iter_mut().zip(value.to_ne_bytes()) {
                to.write(byte);
            }
        }
    }

    /// Writer: takes the slot for itself, unless readers hold it. A claim that was dropped before
    /// is still there, and is taken up.
    #[inline]
    pub(super) fn claim(self) -> Option<Owned> {
        // [claim] pairs with [unpin]: what readers did with the payload happens before.
        let claim = self.state().compare_exchange(0, OWNER, weak("relaxed claim", Acquire), Relaxed);
        fault_point!("pub.claimed");
        match claim {
            Ok(_) => Some(Owned { slot: self }),
            // Only this writer sets the bit. It has not let go since, so no reader has the payload.
            Err(state) if state & OWNER != 0 => Some(Owned { slot: self }),
            Err(state) if mutant("claim ignores readers") => {
                self.state().compare_exchange(state, state | OWNER, Acquire, Relaxed).ok()?;
                Some(Owned { slot: self })
            }
            Err(_) => None,
        }
    }

    /// Reader: holds the slot with its `bit`, if it still has the stamp that was observed before.
    #[inline]
    pub(super) fn hold(self, bit: u64, stamp: u64) -> Result<(Held, u64), Refused> {
        let held = self.mark(bit)?;
        let stamp = if mutant("no stamp test") { self.stamp().load(Relaxed) } else { stamp };
        // No owner, the same stamp: the payload is that of the stamp, and stays as long as the mark.
        match self.settle(stamp) {
            Some(meta) => Ok((held, meta)),
            None => Err(Refused::Overwritten),
        }
    }

    /// Reader: keeps the slot from its writer with its `bit`, unless that has it. Whether it is the
    /// slot that was meant, a look after this tells.
    #[inline]
    pub(super) fn mark(self, bit: u64) -> Result<Held, Refused> {
        // [pin] pairs with [release], for the look that follows: a claim that came and went shows in it.
        // Relaxed, because the fence of [settle] follows.
        let before = self.state().fetch_or(bit, Relaxed);
        fault_point!("sub.marked");
        // From here on the mark is taken back when `held` is dropped.
        let held = Held { slot: self, bit };
        if before & !READERS != 0 && !mutant("no owner test") {
            return Err(Refused::Owned);
        }
        Ok(held)
    }

    /// Reader: what it [kept](Held::keep), and did not [clear](Slot::clear) since.
    #[inline]
    pub(super) fn still_held(self, bit: u64) -> Held {
        Held { slot: self, bit }
    }

    /// Takes marks back, whoever made them: the maker is gone, or has let go. True if there were any.
    pub(super) fn clear(&self, bits: u64) -> bool {
        // Relaxed: the caller comes after whoever made the mark. (To loom every load is an event that
        // hides others; it gets the second step only.)
        if cfg!(not(loom)) && self.state().load(Relaxed) & bits == 0 {
            return false;
        }
        // [unpin] pairs with [claim]; for an owner's bits it is [release].
        let before = self.state().fetch_and(!bits, Release);
        fault_point!("slot.cleared");
        before & bits != 0
    }
}

/// Why a slot cannot be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The writer has claimed it for a later position.
    Owned,
    /// It has another stamp by now.
    Overwritten,
}

/// A slot that the writer has for itself.
///
/// Invariant: while it exists, the state word has the owner bit, so no [`Held`] of the slot exists
/// or comes about. Dropping or leaking it leaves the claim with the writer, that is, in the slot.
#[derive(Debug)]
pub(super) struct Owned {
    slot: Slot,
}

impl Owned {
    #[inline]
    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    /// Copies a payload in.
    #[inline]
    pub(super) fn fill(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.slot.size);
        // SAFETY: in the slot (invariant 2), and exclusively ours (invariant of the type).
        unsafe { self.slot.at.write(self.slot.payload, bytes) };
    }

    /// The payload, as many bytes as the slots hold. Nobody else touches it while `self` exists.
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn payload(&mut self) -> NonNull<u8> {
        // SAFETY: in the slot (invariant 2).
        unsafe { self.slot.at.add(self.slot.payload) }.pointer()
    }

    /// Lets readers in again.
    #[inline]
    pub(super) fn release(self) {
        if mutant("plain release") {
            let state = self.slot.state().load(Relaxed);
            return self.slot.state().store(state & READERS, Release);
        }
        // [release] pairs with [pin]. Relaxed, because the fence of [open] came before; the payload
        // is released by [publish]. Marks of readers that came in vain stay: they take them back.
        self.slot.state().fetch_and(READERS, Relaxed);
        fault_point!("pub.released");
    }
}

/// A slot that a reader holds: its payload does not change until this is dropped. Leaking it costs
/// the writer a slot, and nothing else.
///
/// Invariant: the reader's bit is in the state word, and was set while there was no owner; so no
/// [`Owned`] of the slot comes about.
#[derive(Debug)]
pub(super) struct Held {
    slot: Slot,
    bit: u64,
}

impl Held {
    /// Goes on holding the slot without this; [`Slot::still_held`] makes it again.
    #[inline]
    pub(super) fn keep(self) {
        core::mem::forget(self);
    }

    /// Copies the first bytes of the payload out.
    #[inline]
    pub(super) fn copy_to(&self, bytes: &mut [MaybeUninit<u8>]) {
        assert!(bytes.len() <= self.slot.size);
        // SAFETY: in the slot (invariant 2), and nobody writes it (invariant of the type).
        unsafe { self.slot.at.read(self.slot.payload, bytes) };
    }

    /// The payload, as many bytes as the slots hold. Nobody writes it while `self` exists.
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn payload(&self) -> NonNull<u8> {
        // SAFETY: in the slot (invariant 2).
        unsafe { self.slot.at.add(self.slot.payload) }.pointer()
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if !fault::dying() {
            // [unpin] pairs with [claim].
            self.slot.state().fetch_and(!self.bit, weak("relaxed unpin", Release));
            fault_point!("sub.unpinned");
        }
    }
}

/// What a receive filled, for tests.
#[cfg(test)]
pub(super) fn initialized(bytes: &[MaybeUninit<u8>]) -> Vec<u8> {
    // SAFETY: the tests pass what a receive said it filled.
    bytes.iter().map(|byte| unsafe { byte.assume_init() }).collect()
}
