//! Guards that keep the bytes of a message stable while a caller reads or writes them.
//!
//! Owns the two contracts, [`StableBytes`] and [`StableBytesMut`], between the rings, which return slots, and
//! the typed layer, which makes references to them. Owns [`ForkGuard`], the guard for objects that a
//! forked child inherits. Calls the rings. Never reads the bytes itself.

use super::lent::LentPin;
use super::queue::{Job, Loan, Queue, RawLoan, Request, StreamTicket, StreamWriter, Ticket};
use super::{Claim, Pinned};
use crate::os::ForkId;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// A guard whose bytes are stable: address and contents do not change while it lives.
///
/// # Safety
/// All calls of `bytes` return the same address and length, also after the guard was moved. No participant
/// changes the bytes while the guard lives.
pub unsafe trait StableBytes {
    fn bytes(&self) -> &[u8];
}

/// A guard whose bytes are stable, and which no other participant sees while it lives.
///
/// # Safety
/// All calls of `bytes_mut` return the same address and length, also after the guard was moved. No other
/// participant reads or writes the bytes while the guard lives.
pub(crate) unsafe trait StableBytesMut {
    fn bytes_mut(&mut self) -> &mut [u8];
}

// SAFETY: a shared borrow.
unsafe impl StableBytes for &[u8] {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A buffer of private bytes in which a message is made before it is copied into a slot
/// through `via`.
///
/// Holds an address, not the reference that it stands for: moving a `&mut` would invalidate every pointer
/// derived from it.
pub(crate) struct StagingBuffer<'s, V> {
    bytes: NonNull<[u8]>,
    pub(crate) via: V,
    _borrow: PhantomData<&'s mut [u8]>,
}

impl<'s, V> StagingBuffer<'s, V> {
    #[inline(always)]
    pub(crate) fn new(bytes: &'s mut [u8], via: V) -> Self {
        StagingBuffer { bytes: NonNull::from(bytes), via, _borrow: PhantomData }
    }

    /// Returns the bytes, and the end to send them through.
    pub(crate) fn parts(&mut self) -> (&[u8], &mut V) {
        // SAFETY: stands for an exclusive borrow that `self` is borrowed from.
        (unsafe { self.bytes.as_ref() }, &mut self.via)
    }
}

// SAFETY: stands for an exclusive borrow.
unsafe impl<V> StableBytesMut for StagingBuffer<'_, V> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: stands for an exclusive borrow, and `self` is borrowed exclusively.
        unsafe { self.bytes.as_mut() }
    }
}

// SAFETY: stands for a `&mut [u8]`.
unsafe impl<V: Send> Send for StagingBuffer<'_, V> {}
// SAFETY: stands for a `&mut [u8]`.
unsafe impl<V: Sync> Sync for StagingBuffer<'_, V> {}

/// A guard that is dropped only in the process that made it. A forked child forgets it: the slot
/// that it would give back belongs to the parent, and is not mapped in the child.
pub(crate) struct ForkGuard<K> {
    guard: ManuallyDrop<K>,
    fork_id: ForkId,
}

impl<K> ForkGuard<K> {
    #[inline(always)]
    pub(crate) fn new(guard: K, fork_id: ForkId) -> Self {
        ForkGuard { guard: ManuallyDrop::new(guard), fork_id }
    }

    /// Returns the inner guard; `None` in a forked child.
    #[inline]
    pub(crate) fn into_inner(self) -> Option<K> {
        let mut this = ManuallyDrop::new(self);
        if this.fork_id.forked() {
            return None;
        }
        // SAFETY: `this` is never dropped, and not used again.
        Some(unsafe { ManuallyDrop::take(&mut this.guard) })
    }

    /// Returns `true` in a forked child, which must not touch the slot.
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        self.fork_id.forked()
    }
}

impl<K> Deref for ForkGuard<K> {
    type Target = K;

    #[inline]
    fn deref(&self) -> &K {
        &self.guard
    }
}

impl<K> DerefMut for ForkGuard<K> {
    #[inline]
    fn deref_mut(&mut self) -> &mut K {
        &mut self.guard
    }
}

impl<K> Drop for ForkGuard<K> {
    #[inline]
    fn drop(&mut self) {
        if !self.fork_id.forked() {
            // SAFETY: it is there (only `into_inner` takes it, which forgets `self`), and not used again.
            unsafe { ManuallyDrop::drop(&mut self.guard) }
        }
    }
}

// SAFETY: the inner guard fulfils the contract, and lives as long.
unsafe impl<K: StableBytes> StableBytes for ForkGuard<K> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self.guard.bytes()
    }
}

// SAFETY: the inner guard fulfils the contract, and lives as long.
unsafe impl<K: StableBytesMut> StableBytesMut for ForkGuard<K> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.guard.bytes_mut()
    }
}

/// The storage of a message: either a private copy or the slot itself.
pub enum Storage<A, B> {
    Private(A),
    Slot(B),
}

// SAFETY: each of them fulfils the contract.
unsafe impl<A: StableBytes, B: StableBytes> StableBytes for Storage<A, B> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        match self {
            Storage::Private(a) => a.bytes(),
            Storage::Slot(b) => b.bytes(),
        }
    }
}

// SAFETY: each of them fulfils the contract.
unsafe impl<A: StableBytesMut, B: StableBytesMut> StableBytesMut for Storage<A, B> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Storage::Private(a) => a.bytes_mut(),
            Storage::Slot(b) => b.bytes_mut(),
        }
    }
}

// SAFETY: the payload of a slot that its reader pins: it does not move, and no writer writes it.
unsafe impl StableBytes for Pinned<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `payload` has `len` bytes, initialised at least by the file system, and no writer writes
        // them while `self` lives.
        unsafe { core::slice::from_raw_parts(self.payload().as_ptr(), self.len()) }
    }
}

// SAFETY: the payload of a slot that is pinned until `self` is dropped: it does not move, and no writer writes it.
unsafe impl StableBytes for LentPin {
    fn bytes(&self) -> &[u8] {
        // SAFETY: `payload` has `len` bytes, initialised at least by the file system, and no writer writes
        // them while `self` lives.
        unsafe { core::slice::from_raw_parts(self.payload().as_ptr(), self.len()) }
    }
}

// SAFETY: the payload of a slot that its writer claimed: it does not move, and is exclusively the claim's.
unsafe impl StableBytesMut for Claim<'_> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let capacity = self.capacity();
        // SAFETY: `payload` has `capacity` bytes, initialised at least by the file system, exclusively
        // ours.
        unsafe { core::slice::from_raw_parts_mut(self.payload().as_ptr(), capacity) }
    }
}

// SAFETY: the payload of a slot that its receiver claimed: it does not move, and is exclusively the job's.
unsafe impl StableBytes for Job<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `ptr` has `len` bytes, initialised at least by the file system, not written while `self`
        // lives.
        unsafe { core::slice::from_raw_parts(self.ptr().as_ptr(), self.len()) }
    }
}

// SAFETY: the payload of a slot that its sender claimed: it does not move, and is exclusively the loan's.
unsafe impl StableBytesMut for Loan<'_> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let capacity = self.capacity();
        // SAFETY: `ptr` has `capacity` bytes, initialised at least by the file system, exclusively ours.
        unsafe { core::slice::from_raw_parts_mut(self.ptr().as_ptr(), capacity) }
    }
}

/// The end of a requester, for the guards of its requests. Other calls may use the end while a request is
/// written or its reply is read.
pub(crate) trait RequestEnd {
    /// Gives back the slot of a request that was not sent.
    fn abort(&self, request: RawLoan);

    /// Ends a request whose reply was read.
    fn finish(&self, ticket: Ticket);
}

/// The slot of a request that is not sent yet: `len` bytes. Dropping it sends nothing.
pub(crate) struct RequestSlot<E: RequestEnd> {
    request: ManuallyDrop<RawLoan>,
    len: usize,
    end: E,
}

impl<E: RequestEnd> RequestSlot<E> {
    /// Creates the guard of the first [`Loan::request_capacity`] bytes of `loan`, whose queue belongs to
    /// `end`.
    #[inline(always)]
    pub(crate) fn new(loan: Loan<'_>, end: E) -> Self {
        let len = loan.request_capacity();
        RequestSlot { request: ManuallyDrop::new(loan.into_raw()), len, end }
    }

    /// Returns the slot, to send it.
    #[inline(always)]
    pub(crate) fn into_raw(self) -> RawLoan
    where
        E: Copy,
    {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, and not used again.
        unsafe { ManuallyDrop::take(&mut this.request) }
    }
}

impl<E: RequestEnd> Drop for RequestSlot<E> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it is there (only `into_raw` takes it, which forgets `self`), and not used again.
        let request = unsafe { ManuallyDrop::take(&mut self.request) };
        self.end.abort(request);
    }
}

// SAFETY: the payload of a slot that its sender claimed. It does not move, and belongs to the raw loan, which only
// `into_raw` moves out.
unsafe impl<E: RequestEnd> StableBytesMut for RequestSlot<E> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `room` has at least `len` bytes, initialised at least by the file system, and no other
        // reference to them exists.
        unsafe { core::slice::from_raw_parts_mut(self.request.room.as_ptr(), self.len) }
    }
}

/// Returns the `len` bytes that [`Replied`](super::queue::ReplyState::Replied) reported for `ticket`, as far as they
/// are there. They may be used while the end exists that sent the request.
#[inline(always)]
pub(crate) fn reply_bytes<'t>(queue: &Queue, ticket: &'t Ticket, len: usize) -> &'t [u8] {
    let len = len.min(queue.replied(ticket));
    // SAFETY: `reply_ptr` has at least the number of bytes that `replied` returns, initialised at least by the file
    // system. No participant writes to them until the ticket is closed, which moves the ticket.
    unsafe { core::slice::from_raw_parts(queue.reply_ptr(ticket).as_ptr(), len) }
}

/// Returns the `len` bytes of the next reply of a stream that [`Ready`](super::queue::StreamState::Ready) reported for
/// `ticket`. They may be used while the end exists that sent the request.
#[inline(always)]
pub(crate) fn stream_bytes<'t>(queue: &Queue, ticket: &'t StreamTicket, len: usize) -> &'t [u8] {
    // SAFETY: `stream_ptr` has at least the number of bytes that `Ready` reports, initialised at least by the file
    // system. The replier does not write to them until the reply is taken or the ticket closed (invariant 3 of the
    // stream), and both need the ticket exclusively.
    unsafe { core::slice::from_raw_parts(queue.stream_ptr(ticket).as_ptr(), len) }
}

/// Returns the place of the next reply of a stream that has credit. It may be used while the request of the stream is
/// ours.
#[inline(always)]
pub(crate) fn stream_room(stream: &mut StreamWriter) -> &mut [u8] {
    let capacity = stream.capacity();
    // SAFETY: `ptr` has `capacity` bytes, initialised at least by the file system. They are exclusively ours until the
    // reply is committed (invariant 3 of the stream), which needs the stream exclusively.
    unsafe { core::slice::from_raw_parts_mut(stream.ptr().as_ptr(), capacity) }
}

/// The reply to a request, until its ticket is closed. Dropping this closes the ticket.
pub(crate) struct ReplyGuard<E: RequestEnd> {
    /// The ticket, until this is dropped.
    ticket: ManuallyDrop<Ticket>,
    bytes: NonNull<[u8]>,
    end: E,
}

impl<E: RequestEnd> ReplyGuard<E> {
    /// Creates the guard of the `len` bytes that [`Replied`](super::queue::ReplyState::Replied) reported, as far
    /// as they are there. `queue` belongs to `end`.
    #[inline]
    pub(crate) fn new(queue: &Queue, ticket: Ticket, len: usize, end: E) -> Self {
        let bytes = NonNull::from(reply_bytes(queue, &ticket, len));
        ReplyGuard { ticket: ManuallyDrop::new(ticket), bytes, end }
    }

    /// Returns the end that sent the request.
    pub(crate) fn end(&self) -> E
    where
        E: Copy,
    {
        self.end
    }
}

impl<E: RequestEnd> Drop for ReplyGuard<E> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: it is there until here, and not used again.
        let ticket = unsafe { ManuallyDrop::take(&mut self.ticket) };
        self.end.finish(ticket);
    }
}

// SAFETY: the reply in a slot of ours. It does not move, and no participant writes to it until the ticket is closed,
// which this owns.
unsafe impl<E: RequestEnd> StableBytes for ReplyGuard<E> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `reply_bytes` returned them for the ticket, which is not closed while `self` lives.
        unsafe { self.bytes.as_ref() }
    }
}

// SAFETY: the request in a slot that its replier claimed: it does not move, and is exclusively the
// replier's.
unsafe impl StableBytes for Request<'_> {
    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `ptr` has `len` bytes, initialised at least by the file system. The reply is written
        // behind them.
        unsafe { core::slice::from_raw_parts(self.ptr().as_ptr(), self.len()) }
    }
}

/// The buffer behind a request, for its reply.
pub(crate) struct ReplyBuffer<'q>(ForkGuard<Request<'q>>);

impl<'q> ReplyBuffer<'q> {
    #[inline(always)]
    pub(crate) fn new(request: ForkGuard<Request<'q>>) -> Self {
        ReplyBuffer(request)
    }

    /// Returns the request; `None` in a forked child.
    #[inline]
    pub(crate) fn into_request(self) -> Option<Request<'q>> {
        self.0.into_inner()
    }
}

// SAFETY: behind the request in a slot that its replier claimed: it does not move, and is exclusively the
// replier's.
unsafe impl StableBytesMut for ReplyBuffer<'_> {
    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let capacity = self.0.reply_capacity();
        // SAFETY: `reply_ptr` has `capacity` bytes, initialised at least by the file system, exclusively
        // ours.
        unsafe { core::slice::from_raw_parts_mut(self.0.reply_ptr().as_ptr(), capacity) }
    }
}
