//! [`Raw`]: the words and the slots of a mapped segment of version 1, and the two ways to copy there.
//!
//! Owns every `unsafe` of [`super`]. The other end is a Python process that stores words through numpy and
//! bytes through `memcpy` at any time. Words are therefore atomics here, bytes are copied as atomics or by
//! one opaque instruction, and a reference to them never exists. Decides nothing: `ring` determines which
//! slot may be read at which time.

use crate::layout::v1::{HEADER, PREFIX, Shape, word};
use crate::os::{self, ForkId};
use crate::sync::{AtomicU8, AtomicU64, Ordering, fence};
use core::ptr::NonNull;
use std::mem::ManuallyDrop;

/// A mapped segment.
///
/// Invariants:
/// 1. `map` starts at a page and has at least `shape.size()` bytes, readable and writable, until this is
///    dropped. `shape` was read once, is private, and is valid (`Shape::new`).
/// 2. No reference to the bytes is made except to atomics.
pub(in crate::python) struct Raw {
    map: ManuallyDrop<os::Map>,
    shape: Shape,
    fork_id: ForkId,
}

/// Claimed length of a slot that claims to hold more bytes than it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::python) struct BadLength(pub(in crate::python) u32);

impl Raw {
    /// Makes the view. Panics if the mapping is shorter than the shape for which its caller has just mapped
    /// it.
    pub(in crate::python) fn new(map: os::Map, shape: Shape, fork_id: ForkId) -> Self {
        assert!(map.len() as u64 >= shape.size());
        Raw { map: ManuallyDrop::new(map), shape, fork_id }
    }

    #[inline]
    pub(in crate::python) fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns `true` in a child of the process that mapped the segment, in which it is not mapped.
    #[inline]
    pub(in crate::python) fn forked(&self) -> bool {
        self.fork_id.forked()
    }

    #[inline]
    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < word::COUNT);
        // SAFETY: within the header (just checked; invariant 1).
        let at = unsafe { self.map.base().add(8 * index) };
        // SAFETY: mapped as long as `self` lives and aligned (invariant 1), an atomic to all (2).
        unsafe { AtomicU64::from_ptr(at.as_ptr().cast()) }
    }

    #[inline]
    pub(in crate::python) fn load(&self, index: usize, order: Ordering) -> u64 {
        u64::from_le(self.word(index).load(order))
    }

    #[inline]
    pub(in crate::python) fn store(&self, index: usize, value: u64, order: Ordering) {
        self.word(index).store(value.to_le(), order);
    }

    /// Returns the start of the slot.
    #[inline]
    fn slot(&self, slot: u64) -> NonNull<u8> {
        assert!(slot < self.shape.slots);
        let at = HEADER + (slot * self.shape.slot_size) as usize;
        // SAFETY: within the mapping: the slot is one of `shape.slots` (invariant 1).
        unsafe { self.map.base().add(at) }
    }

    /// Writes length and payload, in the same order as Python. Panics if they do not fit, which the caller
    /// has checked.
    #[inline]
    pub(in crate::python) fn put(&self, slot: u64, payload: &[u8]) {
        assert!(payload.len() <= self.shape.capacity());
        let at = self.slot(slot);
        // SAFETY: a slot has room for its prefix.
        unsafe { put(&(payload.len() as u32).to_le_bytes(), at) };
        // SAFETY: still in the slot.
        let at = unsafe { at.add(PREFIX) };
        // SAFETY: the payload fits (just checked).
        unsafe { put(payload, at) };
    }

    /// Writes payload and length, in this order: a process that reads the slot meanwhile sees the new start
    /// of a message of the old length, rather than a message that ends too soon. Panics like `put`.
    pub(in crate::python) fn overwrite(&self, slot: u64, payload: &[u8]) {
        assert!(payload.len() <= self.shape.capacity());
        let at = self.slot(slot);
        // SAFETY: still in the slot.
        let content = unsafe { at.add(PREFIX) };
        // SAFETY: the payload fits (just checked).
        unsafe { put(payload, content) };
        fence(Ordering::Release);
        // SAFETY: a slot has room for its prefix.
        unsafe { put(&(payload.len() as u32).to_le_bytes(), at) };
    }

    /// Copies the payload to the front of `buffer` and returns its length. Bytes that another process writes
    /// meanwhile arrive as any mixture of old and new bytes. `buffer` has room for a whole slot.
    #[inline]
    pub(in crate::python) fn take(&self, slot: u64, buffer: &mut [u8]) -> Result<usize, BadLength> {
        assert!(buffer.len() >= self.shape.capacity());
        let at = self.slot(slot);
        let mut prefix = [0; PREFIX];
        // SAFETY: a slot has its prefix.
        unsafe { take(at, &mut prefix) };
        let claimed = u32::from_le_bytes(prefix);
        let len = claimed as usize;
        if len > self.shape.capacity() {
            return Err(BadLength(claimed));
        }
        // SAFETY: still in the slot.
        let at = unsafe { at.add(PREFIX) };
        // SAFETY: the length is that of a payload in this slot (just checked).
        unsafe { take(at, &mut buffer[..len]) };
        Ok(len)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: not used after this.
        let map = unsafe { ManuallyDrop::take(&mut self.map) };
        // In a child other memory may lie at that address by now.
        if self.fork_id.forked() {
            map.forget();
        }
    }
}

/// Number of bytes from which one string operation is faster than a loop.
#[cfg(all(target_arch = "x86_64", not(any(miri, tsan))))]
const BLOCK: usize = 64;
#[cfg(not(all(target_arch = "x86_64", not(any(miri, tsan)))))]
const BLOCK: usize = isize::MAX as usize + 1;

/// # Safety
/// `bytes.len()` bytes from `to` must be mapped, and no reference to them may exist except to atomics.
#[inline]
unsafe fn put(bytes: &[u8], to: NonNull<u8>) {
    if bytes.len() >= BLOCK {
        // SAFETY: the caller's promise; a slice is readable.
        return unsafe { copy(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
    }
    let (first, middle) = split(to, bytes.len());
    let (head, rest) = bytes.split_at(first);
    let (words, tail) = rest.split_at(middle);
    // SAFETY: within the caller's bytes, as the parts add up; for all three.
    unsafe { put_bytes(head, to) };
    for (i, chunk) in words.chunks_exact(8).enumerate() {
        // SAFETY: within the caller's bytes.
        let at = unsafe { to.add(first + 8 * i) };
        // SAFETY: aligned by `split`, mapped by the caller's promise.
        let word = unsafe { AtomicU64::from_ptr(at.as_ptr().cast()) };
        // Relaxed: the words of the header order it.
        word.store(u64::from_ne_bytes(chunk.try_into().expect("chunks of eight")), Ordering::Relaxed);
    }
    // SAFETY: as for the head.
    let at = unsafe { to.add(first + middle) };
    // SAFETY: as for the head.
    unsafe { put_bytes(tail, at) };
}

/// # Safety
/// See [`put`].
#[inline]
unsafe fn put_bytes(bytes: &[u8], to: NonNull<u8>) {
    for (i, &byte) in bytes.iter().enumerate() {
        // SAFETY: the caller's promise.
        let at = unsafe { to.add(i) };
        // SAFETY: the caller's promise.
        let place = unsafe { AtomicU8::from_ptr(at.as_ptr()) };
        // Relaxed: the words of the header order it.
        place.store(byte, Ordering::Relaxed);
    }
}

/// # Safety
/// `bytes.len()` bytes from `from` must be mapped, and no reference to them may exist except to atomics.
#[inline]
unsafe fn take(from: NonNull<u8>, bytes: &mut [u8]) {
    if bytes.len() >= BLOCK {
        // SAFETY: the caller's promise; a slice is writable.
        return unsafe { copy(from.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
    }
    let (first, middle) = split(from, bytes.len());
    let (head, rest) = bytes.split_at_mut(first);
    let (words, tail) = rest.split_at_mut(middle);
    // SAFETY: within the caller's bytes, as the parts add up; for all three.
    unsafe { take_bytes(from, head) };
    for (i, chunk) in words.chunks_exact_mut(8).enumerate() {
        // SAFETY: within the caller's bytes.
        let at = unsafe { from.add(first + 8 * i) };
        // SAFETY: aligned by `split`, mapped by the caller's promise.
        let word = unsafe { AtomicU64::from_ptr(at.as_ptr().cast()) };
        // Relaxed: the words of the header order it.
        chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
    // SAFETY: as for the head.
    let at = unsafe { from.add(first + middle) };
    // SAFETY: as for the head.
    unsafe { take_bytes(at, tail) };
}

/// # Safety
/// See [`take`].
#[inline]
unsafe fn take_bytes(from: NonNull<u8>, bytes: &mut [u8]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let at = unsafe { from.add(i) };
        // SAFETY: the caller's promise.
        let place = unsafe { AtomicU8::from_ptr(at.as_ptr()) };
        // Relaxed: the words of the header order it.
        *byte = place.load(Ordering::Relaxed);
    }
}

/// Returns the number of bytes before the first aligned word, and the number of bytes in whole words. Both
/// ends of a slot split it alike, because it starts at the same offset of a page in both.
#[inline]
fn split(at: NonNull<u8>, len: usize) -> (usize, usize) {
    let first = at.as_ptr().align_offset(8).min(len);
    (first, (len - first) & !7)
}

/// Copies bytes with one instruction that is opaque to the compiler: to it these are bytes that change while
/// they are copied, not a data race. On x86-64 one string operation stores its bytes in any order, but after
/// all stores before it and before all stores after it. The same holds for its loads.
///
/// # Safety
/// `len` bytes must be readable from `from` and writable from `to`, and must not overlap.
#[cfg(all(target_arch = "x86_64", not(any(miri, tsan))))]
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise; the direction flag is clear on entry to asm.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// # Safety
/// Never called: no slice has [`BLOCK`] bytes here.
#[cfg(not(all(target_arch = "x86_64", not(any(miri, tsan)))))]
unsafe fn copy(_: *const u8, _: *mut u8, _: usize) {}
