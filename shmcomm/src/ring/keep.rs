//! What keeps the bytes of a message still while somebody looks at them or writes them.
//!
//! Owns the two contracts, [`Keep`] and [`KeepMut`], between the rings, which give out slots, and
//! the typed layer, which makes references to them; and [`AtHome`], for what the child of a fork inherits.
//! Never reads the bytes itself.

use super::queue::{Job, Loan, Queue, Request, Ticket};
use super::{Claim, Pinned};
use crate::os::Lineage;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Bytes that stay where they are, and what they are, for as long as the keeper lives.
///
/// # Safety
/// All calls of `bytes` return the same address and length, also after the keeper was moved, and
/// nobody changes the bytes while the keeper lives.
pub(crate) unsafe trait Keep {
    fn bytes(&self) -> &[u8];
}

/// Bytes that nobody else sees for as long as the keeper lives.
///
/// # Safety
/// All calls of `bytes_mut` return the same address and length, also after the keeper was moved,
/// and nobody else reads or writes the bytes while the keeper lives.
pub(crate) unsafe trait KeepMut {
    fn bytes_mut(&mut self) -> &mut [u8];
}

// SAFETY: a shared borrow.
unsafe impl Keep for &[u8] {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Private bytes in which a message is made before it is copied into a slot through `via`.
///
/// Holds an address, not the reference that it stands for: moving a `&mut` would end the life of
/// every pointer made from it.
pub(crate) struct Staged<'s, V> {
    bytes: NonNull<[u8]>,
    pub(crate) via: V,
    _borrow: PhantomData<&'s mut [u8]>,
}

impl<'s, V> Staged<'s, V> {
    #[inline(always)]
    pub(crate) fn new(bytes: &'s mut [u8], via: V) -> Self {
        Staged { bytes: NonNull::from(bytes), via, _borrow: PhantomData }
    }

    /// The bytes, and what to send them through.
    pub(crate) fn parts(&mut self) -> (&[u8], &mut V) {
        // SAFETY: stands for an exclusive borrow that `self` is borrowed from.
        (unsafe { self.bytes.as_ref() }, &mut self.via)
    }
}

// SAFETY: stands for an exclusive borrow.
unsafe impl<V> KeepMut for Staged<'_, V> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: stands for an exclusive borrow, and `self` is borrowed exclusively.
        unsafe { self.bytes.as_mut() }
    }
}

// SAFETY: stands for a `&mut [u8]`.
unsafe impl<V: Send> Send for Staged<'_, V> {}
// SAFETY: stands for a `&mut [u8]`.
unsafe impl<V: Sync> Sync for Staged<'_, V> {}

/// A keeper that is dropped only in the process that got it. A forked child forgets it: the slot that it
/// would give back is its parent's, and not mapped in the child.
pub(crate) struct AtHome<K> {
    keeper: ManuallyDrop<K>,
    lineage: Lineage,
}

impl<K> AtHome<K> {
    #[inline(always)]
    pub(crate) fn new(keeper: K, lineage: Lineage) -> Self {
        AtHome { keeper: ManuallyDrop::new(keeper), lineage }
    }

    /// The keeper; nothing in a forked child.
    #[inline]
    pub(crate) fn into_inner(self) -> Option<K> {
        let mut this = ManuallyDrop::new(self);
        if this.lineage.forked() {
            return None;
        }
        // SAFETY: `this` is never dropped, and not used again.
        Some(unsafe { ManuallyDrop::take(&mut this.keeper) })
    }

    /// Whether this is a forked child, where nothing of the slot may be touched.
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        self.lineage.forked()
    }
}

impl<K> Deref for AtHome<K> {
    type Target = K;

    #[inline]
    fn deref(&self) -> &K {
        &self.keeper
    }
}

impl<K> DerefMut for AtHome<K> {
    #[inline]
    fn deref_mut(&mut self) -> &mut K {
        &mut self.keeper
    }
}

impl<K> Drop for AtHome<K> {
    #[inline]
    fn drop(&mut self) {
        if !self.lineage.forked() {
            // SAFETY: it is there (only `into_inner` takes it, which forgets `self`), and not used again.
            unsafe { ManuallyDrop::drop(&mut self.keeper) }
        }
    }
}

// SAFETY: the keeper keeps the contract, and lives as long.
unsafe impl<K: Keep> Keep for AtHome<K> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self.keeper.bytes()
    }
}

// SAFETY: as above.
unsafe impl<K: KeepMut> KeepMut for AtHome<K> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.keeper.bytes_mut()
    }
}

/// One of two keepers: a private copy, or the slot itself.
pub(crate) enum Place<A, B> {
    Private(A),
    Slot(B),
}

// SAFETY: each of them keeps the contract.
unsafe impl<A: Keep, B: Keep> Keep for Place<A, B> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        match self {
            Place::Private(a) => a.bytes(),
            Place::Slot(b) => b.bytes(),
        }
    }
}

// SAFETY: each of them keeps the contract.
unsafe impl<A: KeepMut, B: KeepMut> KeepMut for Place<A, B> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Place::Private(a) => a.bytes_mut(),
            Place::Slot(b) => b.bytes_mut(),
        }
    }
}

// SAFETY: the payload of a slot that its reader holds: it does not move, and nobody writes it.
unsafe impl Keep for Pinned<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `payload` has `len` bytes, initialised by the file system if by nobody else, and
        // nobody writes them while `self` lives.
        unsafe { core::slice::from_raw_parts(self.payload().as_ptr(), self.len()) }
    }
}

// SAFETY: the payload of a slot that its writer claimed: it does not move, and is the claim's alone.
unsafe impl KeepMut for Claim<'_> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let capacity = self.capacity();
        // SAFETY: `payload` has `capacity` bytes, initialised as above, that nobody else touches.
        unsafe { core::slice::from_raw_parts_mut(self.payload().as_ptr(), capacity) }
    }
}

// SAFETY: the payload of a slot that its receiver claimed: it does not move, and is the job's alone.
unsafe impl Keep for Job<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `ptr` has `len` bytes, initialised as above, that nobody writes while `self` lives.
        unsafe { core::slice::from_raw_parts(self.ptr().as_ptr(), self.len()) }
    }
}

// SAFETY: the payload of a slot that its sender claimed: it does not move, and is the loan's alone.
unsafe impl KeepMut for Loan<'_> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let capacity = self.capacity();
        // SAFETY: `ptr` has `capacity` bytes, initialised as above, that nobody else touches.
        unsafe { core::slice::from_raw_parts_mut(self.ptr().as_ptr(), capacity) }
    }
}

impl Loan<'_> {
    /// The bytes of the slot that are for a request.
    #[inline]
    pub(crate) fn request_room(&mut self) -> &mut [u8] {
        let capacity = self.request_capacity();
        &mut self.bytes_mut()[..capacity]
    }
}

// SAFETY: the request in a slot that its replier claimed: it does not move, and is the replier's alone.
unsafe impl Keep for Request<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `ptr` has `len` bytes, initialised as above; who writes the reply writes behind them.
        unsafe { core::slice::from_raw_parts(self.ptr().as_ptr(), self.len()) }
    }
}

/// The bytes behind a request, for its reply.
pub(crate) struct ReplyRoom<'q>(AtHome<Request<'q>>);

impl<'q> ReplyRoom<'q> {
    #[inline(always)]
    pub(crate) fn new(request: AtHome<Request<'q>>) -> Self {
        ReplyRoom(request)
    }

    /// Nothing in a forked child.
    #[inline]
    pub(crate) fn into_request(self) -> Option<Request<'q>> {
        self.0.into_inner()
    }
}

// SAFETY: behind the request in a slot that its replier claimed: it does not move, and is the
// replier's alone.
unsafe impl KeepMut for ReplyRoom<'_> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let capacity = self.0.reply_capacity();
        // SAFETY: `reply_ptr` has `capacity` bytes, initialised as above, that nobody else touches.
        unsafe { core::slice::from_raw_parts_mut(self.0.reply_ptr().as_ptr(), capacity) }
    }
}

impl Queue {
    /// The reply to a request of ours: the `len` bytes that
    /// [`Replied`](super::queue::Reply::Replied) told of; empty if there is none.
    #[inline]
    pub(crate) fn reply_bytes<'t>(&'t self, ticket: &'t Ticket, len: usize) -> &'t [u8] {
        let len = len.min(self.replied(ticket));
        // SAFETY: `reply_ptr` has as many bytes as `replied` says, initialised as above. They are ours
        // from then on until the ticket is closed, which takes it.
        unsafe { core::slice::from_raw_parts(self.reply_ptr(ticket).as_ptr(), len) }
    }
}
