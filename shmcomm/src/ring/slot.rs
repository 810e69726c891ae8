//! Slots: where their words are, how a payload gets in and out, and who may touch it when.
//!
//! Owns the `unsafe` of the broadcast ring and the orderings on the words of a slot: here the stamp's
//! sequence lock, in `hold` the state words, the claim of the writer and the marks of the readers. Calls
//! nothing but atomics. Never chooses a position, never touches the control words.

mod hold;
mod own;
mod place;

use core::mem::MaybeUninit;

use crate::fault::{fault_point, mutant, weak};
use crate::layout::{Geometry, Region, control, slot};
use crate::sync::{AtomicU64, Ordering, compiler_fence, fence};
use Ordering::{Acquire, Relaxed, Release};
pub(super) use hold::{Held, Owned, Parity, READERS, Refused};
pub(super) use own::{Entries, OwnSlots};
use place::{Place, block};

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
/// 2. `payload` is a multiple of 8 and at least 16 (shared: 32); `payload + size`, rounded up to 8, is at
///    most `states`, and that at most `stride`.
/// 3. The payload of a pinned slot is touched only by the holder of an [`Owned`], or of a [`Held`],
///    of it; what makes them exclude each other is in the [document of the ring](super).
/// 4. A pinned slot has its state words at `states` and, of a broadcast ring, a [`Parity`] further on: within
///    the stride, and each on a line of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    first: Place,
    mask: u64,
    stride: usize,
    payload: usize,
    size: usize,
    states: usize,
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
            states: geometry.state_offset as usize,
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
        Slot { at, payload: self.payload, size: self.size, states: self.states }
    }

    /// Which of the slot's state words is that of a position: its lap's.
    #[inline]
    pub(super) fn parity(&self, position: u64) -> Parity {
        Parity::of_lap(position & self.count() != 0)
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
    states: usize,
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
        // [publish] pairs with [observe]: payload and meta are visible, and that the message may be held.
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
}

/// What a receive filled, for tests.
#[cfg(test)]
pub(super) fn initialized(bytes: &[MaybeUninit<u8>]) -> Vec<u8> {
    // SAFETY: the tests pass what a receive said it filled.
    bytes.iter().map(|byte| unsafe { byte.assume_init() }).collect()
}
