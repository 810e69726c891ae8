//! The sequence lock of a slot: its stamp, and the payload that is copied word by word (Linux `seqcount`;
//! Boehm 2012).
//!
//! Owns the orderings on the stamp and on a copied payload. Calls only atomics. Never touches a state word.
//!
//! The writer calls `write_begin`, `store` and `write_end`. A reader calls `load_stamp`, `load` and
//! `validate`; the names are those of Agrona's `BroadcastReceiver` and of Linux.

use super::Slot;
use super::address::block;
use crate::fault::{fault_point, mutant, weak};
use crate::layout::{CACHE_LINE, slot};
use crate::sync::Ordering::{self, Acquire, Relaxed, Release};
use crate::sync::{compiler_fence, fence};
use core::mem::MaybeUninit;

/// The ordering of a payload store. ThreadSanitizer does not understand fences, so it gets its edges from
/// the words.
const WORD_OUT: Ordering = if cfg!(tsan) { Release } else { Relaxed };
/// The ordering of a payload load. See [`WORD_OUT`].
const WORD_IN: Ordering = if cfg!(tsan) { Acquire } else { Relaxed };

/// The most lines of a slot that a writer prefetches. The processor fetches a longer run of lines ahead by itself.
pub(in crate::ring) const MOST_LINES: usize = 24;

impl Slot {
    /// Begins a write: from here on meta and a copied payload do not match the last stamp.
    #[inline]
    pub(in crate::ring) fn write_begin(self, stamp: u64) {
        // A killed process leaves its stores up to its last store. The compiler must not make
        // this store before the stores of the previous message. The processor keeps that order by itself.
        compiler_fence(Release);
        // Relaxed: the fence orders this store before the words that follow.
        self.stamp().store(stamp, Relaxed);
        if !mutant("no writer fence") {
            // [write_begin] pairs with [validate]: a reader that loads one of the following words sees the stamp.
            fence(Release);
        }
        fault_point!("pub.opened");
    }

    /// Ends a write: the slot holds the message or hole that the stamp names.
    #[inline]
    pub(in crate::ring) fn write_end(self, meta: u64, stamp: u64) {
        // Relaxed: the stamp releases it. [validate] rejects a reader that is too early.
        self.meta().store(meta, Relaxed);
        fault_point!("pub.meta");
        // [publish] pairs with [observe]: payload and meta are visible, and so is the permission to pin the
        // message.
        self.stamp().store(stamp, weak("relaxed publish", Release));
        fault_point!("pub.closed");
    }

    /// Prefetches for writing the lines of a slot in which the writer soon writes a message of `len` bytes.
    #[inline(always)]
    pub(in crate::ring) fn prefetch_for_write(self, len: usize) {
        // The payload of an aligned message may start later: then its last line is not prefetched.
        match Self::lines(len) {
            1 => self.at.prefetch_for_write(0),
            2 => self.at.prefetch_two_for_write(),
            lines => {
                for line in 0..lines.min(MOST_LINES) {
                    self.at.prefetch_for_write(line * CACHE_LINE);
                }
            }
        }
    }

    /// Returns the number of lines that a message of `len` bytes takes with its header.
    #[inline(always)]
    pub(in crate::ring) fn lines(len: usize) -> usize {
        (slot::META + 8 + len).div_ceil(CACHE_LINE)
    }

    /// Returns the current stamp of the slot to a reader.
    #[inline]
    pub(in crate::ring) fn load_stamp(self) -> u64 {
        // [observe] pairs with [publish].
        self.stamp().load(weak("relaxed load_stamp", Acquire))
    }

    /// Returns the meta word if the slot still has the stamp that a reader observed before.
    /// The bytes copied since then are then intact too.
    #[inline]
    pub(in crate::ring) fn validate(self, stamp: u64) -> Option<u64> {
        // Relaxed: the fence orders it, like the payload, before the second load of the stamp.
        let meta = self.meta().load(Relaxed);
        if !mutant("no reader fence") {
            // [validate] pairs with [write_begin].
            fence(Acquire);
        }
        // Relaxed: only its value matters, no load follows it.
        (self.stamp().load(Relaxed) == stamp || mutant("no validation")).then_some(meta)
    }

    /// Copies a payload in, word by word. It does not exclude readers meanwhile, see [`Slot::write_begin`].
    #[inline(always)]
    pub(in crate::ring) fn store(self, bytes: &[u8]) {
        assert!(bytes.len() <= self.size);
        if bytes.len() >= block::MIN {
            // SAFETY: the bytes fit in the payload (just checked), which is in the slot (invariant 2). No
            // reference to it exists, because all participants copy it (invariant 3).
            unsafe { block::copy_in(self.at, self.payload, bytes) };
            return;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            // Relaxed: between [write_begin] and [publish], which order it.
            self.word(self.payload + 8 * i).store(u64::from_ne_bytes(*word), WORD_OUT);
            fault_point!("pub.word");
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            // Relaxed: [publish] orders it, like the words before. The bytes beyond the payload are padding
            // of the slot.
            self.word(self.payload + 8 * words.len()).store(u64::from_ne_bytes(last), WORD_OUT);
        }
    }

    /// Copies a payload out, word by word. Only [`Slot::validate`] tells whether the bytes are one message.
    #[inline(always)]
    pub(in crate::ring) fn load(self, bytes: &mut [MaybeUninit<u8>]) {
        assert!(bytes.len() <= self.size);
        if bytes.len() >= block::MIN {
            // SAFETY: as in `store`.
            unsafe { block::copy_out(self.at, self.payload, bytes) };
            return;
        }
        self.load_words(self.payload, bytes);
    }

    /// Copies a payload out like [`Slot::load`], in vectors where the platform has them. For a caller that returns the
    /// bytes through memory: a processor that loads a vector does not forward it from stores of words.
    #[inline(always)]
    pub(in crate::ring) fn load_vectors(self, bytes: &mut [MaybeUninit<u8>]) {
        assert!(bytes.len() <= self.size);
        let mut at = self.payload;
        let mut rest = bytes;
        if block::VECTORS {
            let vectors;
            (vectors, rest) = rest.as_chunks_mut::<{ block::VECTOR }>();
            for vector in vectors {
                // SAFETY: as in `store`.
                *vector = unsafe { block::load_vector(self.at, at) };
                at += block::VECTOR;
            }
        }
        self.load_words(at, rest);
    }

    /// Copies the bytes from `at` out, word by word.
    #[inline(always)]
    fn load_words(self, at: usize, bytes: &mut [MaybeUninit<u8>]) {
        let (words, rest) = bytes.as_chunks_mut::<8>();
        let count = words.len();
        for (i, word) in words.iter_mut().enumerate() {
            // Relaxed: between [observe] and [validate], which order it.
            let value = self.word(at + 8 * i).load(WORD_IN);
            *word = value.to_ne_bytes().map(MaybeUninit::new);
        }
        if !rest.is_empty() {
            // Relaxed: between [observe] and [validate], which order it.
            let value = self.word(at + 8 * count).load(WORD_IN);
            for (to, byte) in rest.iter_mut().zip(value.to_ne_bytes()) {
                to.write(byte);
            }
        }
    }
}
