//! Messages where they lie: checked once, then borrowed from whatever keeps their bytes still.
//!
//! Owns the step from kept bytes to `&M`, `&mut M`, `(&H, &[T])` and `(&mut H, &mut [T])`. Never
//! decides who may look at a slot: that is what a [`Keep`] stands for.
//!
//! Checking in place trusts the processes that can write to the segment not to write to a slot that
//! a reader holds (the ring's protocol). Receiving by value trusts nobody: it checks a private copy.

use super::{Invalid, ShmMessage};
use crate::ring::{Keep, KeepMut};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Room for the bytes of one `M`, not initialised.
pub(crate) struct Landing<M>(MaybeUninit<M>);

impl<M: ShmMessage> Landing<M> {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Landing(MaybeUninit::uninit())
    }

    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: as many bytes as an `M` has, borrowed exclusively, and free to be uninitialised.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size_of::<M>()) }
    }
}

/// The bytes of a message, copied: who gets these does not need the message in memory.
///
/// Invariant: all bytes are those of a valid `M`.
pub(crate) struct Copied<M>(MaybeUninit<M>);

impl<M: ShmMessage> Copied<M> {
    #[inline(always)]
    pub(crate) fn of(message: &M) -> Self {
        // SAFETY: valid for reads, and aligned; what is read is bytes, not a second `M`.
        Copied(unsafe { core::ptr::from_ref(message).cast::<MaybeUninit<M>>().read() })
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the invariant; all bytes of an `M` are initialised, and the message stays where it is as
        // long as it is borrowed.
        super::as_bytes(unsafe { self.0.assume_init_ref() })
    }
}

/// Reads a message out of bytes that others may be able to write: copies first, then checks.
#[inline]
pub(crate) fn copy_out<M: ShmMessage>(bytes: &[u8]) -> Result<M, Invalid> {
    if bytes.len() != size_of::<M>() {
        return Err(Invalid::length::<M>(bytes.len()));
    }
    let mut message = MaybeUninit::<M>::uninit();
    // SAFETY: both have the size of an `M`, and one of them is ours.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), message.as_mut_ptr().cast(), bytes.len()) };
    // SAFETY: all bytes were copied in.
    unsafe { super::assume_copied(&mut message) }?;
    // SAFETY: it was found to be valid.
    Ok(unsafe { message.assume_init() })
}

/// A message in place.
///
/// Invariant: `at` points to the bytes of `keep`, which are a valid, aligned `M`.
pub(crate) struct InPlace<K, M> {
    at: NonNull<M>,
    keep: K,
}

impl<K: Keep, M: ShmMessage> InPlace<K, M> {
    /// Gives the keeper back if its bytes are no `M`.
    #[inline(always)]
    pub(crate) fn new(keep: K) -> Result<Self, (Invalid, K)> {
        Self::new_or(keep, |why, keep| (why, keep))
    }

    /// Leaves the keeper to `refuse` if its bytes are no `M`.
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

impl<K, M> InPlace<K, M> {
    #[inline(always)]
    pub(crate) fn get(&self) -> &M {
        // SAFETY: the invariant, and `keep` keeps it while `self` is borrowed.
        unsafe { self.at.as_ref() }
    }

    #[inline]
    pub(crate) fn keeper(&self) -> &K {
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

impl<K: KeepMut, M: ShmMessage> InPlaceMut<K, M> {
    /// Leaves the bytes as they are where any are a valid `M`; else clears them.
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
        bytes.copy_from_slice(super::as_bytes(&value));
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
        // SAFETY: the invariant, and `self` is borrowed exclusively. Whatever is written through
        // the reference is an `M`.
        unsafe { self.at.as_mut() }
    }

    #[inline(always)]
    pub(crate) fn into_keeper(self) -> K {
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

impl<K: Keep, H: ShmMessage, T: ShmMessage> TailInPlace<K, H, T> {
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

/// A header and room for items, in place, that may be changed.
///
/// Invariant: as for [`TailInPlace`], and nobody else sees the bytes.
pub(crate) struct TailInPlaceMut<K, H, T> {
    head: NonNull<H>,
    items: NonNull<T>,
    len: usize,
    keep: K,
}

impl<K: KeepMut, H: ShmMessage, T: ShmMessage> TailInPlaceMut<K, H, T> {
    /// The keeper has room for the header and `len` items: the caller has checked it.
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

    /// Bytes of the header and the items.
    pub(crate) fn size(&self) -> usize {
        size_of::<H>() + self.len * size_of::<T>()
    }

    #[inline(always)]
    pub(crate) fn into_keeper(self) -> K {
        self.keep
    }
}

/// The address of `bytes`, which the layout of the segment aligns for an `M`.
#[inline(always)]
fn aligned<M: ShmMessage>(bytes: &mut [u8]) -> NonNull<M> {
    let at = NonNull::from(bytes).cast::<M>();
    assert!(at.is_aligned(), "the payload of a slot is aligned for its message");
    at
}

// SAFETY: as the reference that it stands for; `M` has no interior mutability.
unsafe impl<K: Send, M: Sync> Send for InPlace<K, M> {}
// SAFETY: as for `Send`.
unsafe impl<K: Sync, M: Sync> Sync for InPlace<K, M> {}
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
