//! Messages in place: checked once, then borrowed from a guard that keeps their bytes stable.
//!
//! Owns the step from guarded bytes to `&M`, `&mut M`, `(&H, &[T])` and `(&mut H, &mut [T])`. Never decides
//! which thread may access a slot: a [`StableBytes`] (a guard with stable bytes) stands for that right.
//!
//! A check in place trusts the processes that can write to the segment. They must not write to a slot that a
//! reader has pinned (the ring's protocol). Receiving by value needs no such trust: it checks a private copy.

use super::gaps::{clear_in_place, plain_bytes, with_bytes};
use super::{Invalid, ShmMessage};
use crate::ring::{StableBytes, StableBytesMut};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// `UninitMessage`: uninitialised memory for the bytes of one `M`.
pub struct UninitMessage<M>(MaybeUninit<M>);

impl<M: ShmMessage> UninitMessage<M> {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        UninitMessage(MaybeUninit::uninit())
    }

    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: as many bytes as an `M` has, borrowed exclusively, and free to be uninitialised.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size_of::<M>()) }
    }
}

/// A copy of the bytes of a message, which can stay in registers.
///
/// Invariant: all bytes are those of a valid `M`.
pub(crate) struct MessageBytes<M>(MaybeUninit<M>);

impl<M: ShmMessage> MessageBytes<M> {
    #[inline(always)]
    pub(crate) fn of(message: &M) -> Self {
        // SAFETY: valid for reads, and aligned; what is read is bytes, not a second `M`.
        MessageBytes(unsafe { core::ptr::from_ref(message).cast::<MaybeUninit<M>>().read() })
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the invariant; all bytes of an `M` without gaps are initialised, and the message stays where
        // it is as long as it is borrowed.
        plain_bytes(unsafe { self.0.assume_init_ref() })
    }
}

/// Reads a message out of bytes that other processes may be able to write: copies first, then checks.
#[inline]
pub(crate) fn copy_out<M: ShmMessage>(bytes: &[u8]) -> Result<M, Invalid> {
    if bytes.len() != size_of::<M>() {
        return Err(Invalid::length::<M>(bytes.len()));
    }
    let mut message = MaybeUninit::<M>::uninit();
    // SAFETY: both have the size of an `M`, and the destination is ours.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), message.as_mut_ptr().cast(), bytes.len()) };
    // SAFETY: all bytes were copied in.
    unsafe { super::assume_copied(&mut message) }?;
    // SAFETY: the check found a valid `M`.
    Ok(unsafe { message.assume_init() })
}

/// A message in place.
///
/// Invariant: `at` points to the bytes of `keep`, which are a valid, aligned `M`.
pub struct InPlace<K, M: ?Sized> {
    at: NonNull<M>,
    keep: K,
}

impl<K: StableBytes, M: ShmMessage> InPlace<K, M> {
    /// Borrows the message; returns the guard if its bytes are not an `M`.
    #[inline(always)]
    pub(crate) fn new(keep: K) -> Result<Self, (Invalid, K)> {
        Self::new_or(keep, |why, keep| (why, keep))
    }

    /// Borrows the message; passes the guard to `refuse` if its bytes are not an `M`.
    #[inline(always)]
    pub(crate) fn new_or<E>(keep: K, refuse: impl FnOnce(Invalid, K) -> E) -> Result<Self, E> {
        match super::view::<M>(keep.bytes()) {
            Ok(message) => {
                let at = NonNull::from(message);
                Ok(InPlace { at, keep })
            }
            Err(why) => Err(refuse(why, keep)),
        }
    }
}

impl<K: StableBytes, M: ShmMessage> InPlace<K, M> {
    /// Borrows the `M` that longer bytes start with; returns the guard if they do not start with one.
    pub(crate) fn prefix(keep: K) -> Result<Self, (Invalid, K)> {
        let bytes = keep.bytes();
        match super::view::<M>(bytes.get(..size_of::<M>()).unwrap_or(bytes)) {
            Ok(message) => {
                let at = NonNull::from(message);
                Ok(InPlace { at, keep })
            }
            Err(why) => Err((why, keep)),
        }
    }
}

impl<K, M: ?Sized> InPlace<K, M> {
    #[inline(always)]
    pub(crate) fn get(&self) -> &M {
        // SAFETY: the invariant, and `keep` keeps it while `self` is borrowed.
        unsafe { self.at.as_ref() }
    }

    #[inline]
    pub(crate) fn guard(&self) -> &K {
        &self.keep
    }

    #[inline(always)]
    pub(crate) fn into_keeper(self) -> K {
        self.keep
    }
}

/// A message in place that may be changed.
///
/// Invariant: `at` points to the bytes of `keep`, which are a valid, aligned `M`.
pub(crate) struct InPlaceMut<K, M> {
    at: NonNull<M>,
    keep: K,
}

impl<K: StableBytesMut, M: ShmMessage> InPlaceMut<K, M> {
    /// Leaves the bytes as they are if every byte pattern is a valid `M`; otherwise clears them.
    #[inline(always)]
    pub(crate) fn new(mut keep: K) -> Self {
        const {
            assert!(
                M::SCHEMA.zero_valid,
                "this message has no value whose bytes are all zero, so a loan cannot start with one: \
                 use `loan_with(value)`"
            )
        };
        let bytes = &mut keep.bytes_mut()[..size_of::<M>()];
        if !M::SCHEMA.any_bits {
            bytes.fill(0);
        }
        let at = aligned::<M>(bytes);
        InPlaceMut { at, keep }
    }

    #[inline(always)]
    pub(crate) fn with(mut keep: K, value: M) -> Self {
        let bytes = &mut keep.bytes_mut()[..size_of::<M>()];
        with_bytes(&value, |value| bytes.copy_from_slice(value));
        let at = aligned::<M>(bytes);
        InPlaceMut { at, keep }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &M {
        // SAFETY: the invariant; `keep` is ours alone while `self` is borrowed.
        unsafe { self.at.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self) -> &mut M {
        // SAFETY: the invariant, and `self` is borrowed exclusively. Any value written through the reference
        // is an `M`.
        unsafe { self.at.as_mut() }
    }

    /// Returns the guard of the finished message. Clears the bytes that belong to no part of it.
    #[inline(always)]
    pub(crate) fn into_keeper(mut self) -> K {
        if M::SCHEMA.has_gaps() {
            let bytes = &mut self.keep.bytes_mut()[..size_of::<M>()];
            // SAFETY: the invariant: the bytes of an `M`.
            unsafe { clear_in_place::<M>(bytes) };
        }
        self.keep
    }
}

/// A header and its items in place.
///
/// Invariant: `head` and the `len` items at `items` lie in the bytes of `keep`, one behind the
/// other, valid and aligned.
pub(crate) struct TailInPlace<K, H, T> {
    head: NonNull<H>,
    items: NonNull<T>,
    len: usize,
    _keep: K,
}

impl<K: StableBytes, H: ShmMessage, T: ShmMessage> TailInPlace<K, H, T> {
    #[inline(always)]
    pub(crate) fn new(keep: K) -> Result<Self, Invalid> {
        let bytes = keep.bytes();
        if bytes.len() < size_of::<H>() {
            return Err(Invalid::length::<H>(bytes.len()));
        }
        let (head, tail) = bytes.split_at(size_of::<H>());
        let head = NonNull::from(super::view::<H>(head)?);
        let items = super::view_slice::<T>(tail)?;
        let len = items.len();
        let items = NonNull::from(items).cast();
        Ok(TailInPlace { head, items, len, _keep: keep })
    }

    #[inline]
    pub(crate) fn head(&self) -> &H {
        // SAFETY: the invariant, and `keep` keeps it while `self` is borrowed.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    pub(crate) fn items(&self) -> &[T] {
        // SAFETY: as for `head`.
        unsafe { core::slice::from_raw_parts(self.items.as_ptr(), self.len) }
    }
}

/// A header and memory for items, in place, that may be changed.
///
/// Invariant: the invariant of [`TailInPlace`], and no other thread or process accesses the bytes.
pub(crate) struct TailInPlaceMut<K, H, T> {
    head: NonNull<H>,
    items: NonNull<T>,
    len: usize,
    keep: K,
}

impl<K: StableBytesMut, H: ShmMessage, T: ShmMessage> TailInPlaceMut<K, H, T> {
    /// Makes zeroed parts. The caller has checked that the guard has room for the header and `len` items.
    pub(crate) fn new(mut keep: K, len: usize) -> Self {
        const {
            assert!(
                H::SCHEMA.zero_valid && T::SCHEMA.zero_valid,
                "this header or item has no value whose bytes are all zero, so a loan cannot start with one"
            )
        };
        let (head, tail) = keep.bytes_mut().split_at_mut(size_of::<H>());
        let tail = &mut tail[..len * size_of::<T>()];
        if !H::SCHEMA.any_bits {
            head.fill(0);
        }
        if !T::SCHEMA.any_bits {
            tail.fill(0);
        }
        let head = aligned::<H>(head);
        let items = aligned::<T>(tail);
        TailInPlaceMut { head, items, len, keep }
    }

    #[inline]
    pub(crate) fn parts(&self) -> (&H, &[T]) {
        // SAFETY: the invariant; `keep` is ours alone while `self` is borrowed.
        let head = unsafe { self.head.as_ref() };
        // SAFETY: as for the header.
        let items = unsafe { core::slice::from_raw_parts(self.items.as_ptr(), self.len) };
        (head, items)
    }

    #[inline]
    pub(crate) fn parts_mut(&mut self) -> (&mut H, &mut [T]) {
        // SAFETY: the invariant; `self` is borrowed exclusively, and the header and the items do
        // not overlap.
        let head = unsafe { self.head.as_mut() };
        // SAFETY: as for the header.
        let items = unsafe { core::slice::from_raw_parts_mut(self.items.as_ptr(), self.len) };
        (head, items)
    }

    /// Shortens the tail.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Returns the size of the header and the items in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<H>() + self.len * size_of::<T>()
    }

    /// Returns the guard of the finished message. Clears the bytes that belong to no part of it.
    #[inline(always)]
    pub(crate) fn into_keeper(mut self) -> K {
        if H::SCHEMA.has_gaps() || T::SCHEMA.has_gaps() {
            let size = self.size();
            let (head, tail) = self.keep.bytes_mut()[..size].split_at_mut(size_of::<H>());
            // SAFETY: the invariant: the bytes of an `H`.
            unsafe { clear_in_place::<H>(head) };
            for item in tail.chunks_exact_mut(size_of::<T>().max(1)) {
                // SAFETY: the invariant: the bytes of a `T`.
                unsafe { clear_in_place::<T>(item) };
            }
        }
        self.keep
    }
}

/// Returns the address of `bytes`, which the layout of the segment aligns for an `M`.
#[inline(always)]
fn aligned<M: ShmMessage>(bytes: &mut [u8]) -> NonNull<M> {
    let at = NonNull::from(bytes).cast::<M>();
    assert!(at.is_aligned(), "the payload of a slot is aligned for its message");
    at
}

// SAFETY: as the reference that it stands for; `M` has no interior mutability.
unsafe impl<K: Send, M: Sync + ?Sized> Send for InPlace<K, M> {}
// SAFETY: as for `Send`.
unsafe impl<K: Sync, M: Sync + ?Sized> Sync for InPlace<K, M> {}
// SAFETY: as the exclusive reference that it stands for.
unsafe impl<K: Send, M: Send> Send for InPlaceMut<K, M> {}
// SAFETY: gives out shared references to `M` only.
unsafe impl<K: Sync, M: Sync> Sync for InPlaceMut<K, M> {}
// SAFETY: as for `InPlace`.
unsafe impl<K: Send, H: Sync, T: Sync> Send for TailInPlace<K, H, T> {}
// SAFETY: as for `InPlace`.
unsafe impl<K: Sync, H: Sync, T: Sync> Sync for TailInPlace<K, H, T> {}
// SAFETY: as for `InPlaceMut`.
unsafe impl<K: Send, H: Send, T: Send> Send for TailInPlaceMut<K, H, T> {}
// SAFETY: as for `InPlaceMut`.
unsafe impl<K: Sync, H: Sync, T: Sync> Sync for TailInPlaceMut<K, H, T> {}
