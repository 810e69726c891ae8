//! Loans: messages that are built in the memory they are sent from.
//!
//! Owns the two places where a message is built: the slot itself, or a private buffer on a ring that copies.
//! Owns the sending and dropping of a loan. Never blocks.

use super::SendError;
use crate::message::ShmMessage;
use crate::message::in_place::{InPlaceMut, TailInPlaceMut};
use crate::ring::{AllPinned, Claim, StableBytesMut, StagingBuffer, Storage, Writer};
use crate::segment::Attachment;
use crate::wait::EventCount;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// Claimed room for a message: `Storage` is the storage, `Claim` the slot and `StagingBuffer` the private buffer.
pub(super) type Claimed<'p> = Storage<StagingBuffer<'p, &'p mut Writer>, Claim<'p>>;

/// Notification and log after a send: wakes the sleeping subscribers.
#[derive(Clone, Copy)]
pub(super) struct Notifier<'p> {
    pub(super) items: &'p EventCount,
    pub(super) attachment: &'p Attachment,
}

/// Wakes the sleeping subscribers after a message was published.
#[inline]
pub(super) fn sent(items: &EventCount, _attachment: &Attachment, _len: usize) {
    items.notify();
    #[cfg(feature = "trace-slots")]
    log::debug!(target: "shmcomm::slots", "channel `{}`: wrote {_len}", _attachment.channel(), _len = crate::plural::count(_len, "byte"));
}

/// Publishes the first `len` bytes.
#[inline(always)]
pub(super) fn send(claimed: Claimed<'_>, len: usize, notifier: Notifier<'_>) -> Result<(), SendError> {
    if notifier.attachment.forked() {
        return Err(SendError::Forked);
    }
    match claimed {
        Storage::Private(staged) => send_staged(staged, len)?,
        Storage::Slot(claim) => claim.commit(len).map_err(|AllPinned| SendError::AllSlotsHeld)?,
    }
    sent(notifier.items, notifier.attachment, len);
    Ok(())
}

#[inline(never)]
fn send_staged(mut staged: StagingBuffer<'_, &mut Writer>, len: usize) -> Result<(), SendError> {
    let (bytes, writer) = staged.parts();
    writer.send(&bytes[..len]).map_err(|AllPinned| SendError::AllSlotsHeld)
}

/// Room for a message of bytes, whose layout is known at run time. If it is dropped or forgotten, no message is sent.
pub(crate) struct BytesLoan<'p> {
    claimed: Claimed<'p>,
    notifier: Notifier<'p>,
}

impl<'p> BytesLoan<'p> {
    pub(super) fn new((claimed, notifier): (Claimed<'p>, Notifier<'p>)) -> Self {
        BytesLoan { claimed, notifier }
    }

    /// Returns the bytes of the slot, or of the buffer that is copied into it.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.claimed.bytes_mut()
    }

    /// Publishes the first `len` bytes and wakes the subscribers that sleep. Never blocks.
    pub(crate) fn send(self, len: usize) -> Result<(), SendError> {
        send(self.claimed, len, self.notifier)
    }
}

/// A message that is being built, which the loan dereferences to. See
/// [`Publisher::loan`](super::Publisher::loan).
///
/// If it is dropped or forgotten, no message is sent.
#[must_use = "a loan that is dropped sends nothing"]
pub struct Loan<'p, M> {
    place: InPlaceMut<Claimed<'p>, M>,
    notifier: Notifier<'p>,
}

impl<'p, M: ShmMessage> Loan<'p, M> {
    #[inline(always)]
    pub(super) fn new(claimed: Claimed<'p>, notifier: Notifier<'p>) -> Self {
        Loan { place: InPlaceMut::new(claimed), notifier }
    }

    #[inline(always)]
    pub(super) fn with(claimed: Claimed<'p>, notifier: Notifier<'p>, message: M) -> Self {
        Loan { place: InPlaceMut::with(claimed, message), notifier }
    }

    /// Publishes the message and wakes the subscribers that sleep. Never blocks.
    #[inline(always)]
    pub fn send(self) -> Result<(), SendError> {
        send(self.place.into_keeper(), size_of::<M>(), self.notifier)
    }
}

impl<M: ShmMessage> Deref for Loan<'_, M> {
    type Target = M;

    #[inline(always)]
    fn deref(&self) -> &M {
        self.place.get()
    }
}

impl<M: ShmMessage> DerefMut for Loan<'_, M> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut M {
        self.place.get_mut()
    }
}

impl<M: ShmMessage + fmt::Debug> fmt::Debug for Loan<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loan").field(&**self).finish()
    }
}

/// A header and its items that are being built: see [`Publisher::loan`](super::Publisher::loan).
///
/// If it is dropped or forgotten, no message is sent.
#[must_use = "a loan that is dropped sends nothing"]
pub struct TailLoan<'p, H, T> {
    place: TailInPlaceMut<Claimed<'p>, H, T>,
    notifier: Notifier<'p>,
}

impl<'p, H: ShmMessage, T: ShmMessage> TailLoan<'p, H, T> {
    pub(super) fn new(claimed: Claimed<'p>, notifier: Notifier<'p>, len: usize) -> Self {
        TailLoan { place: TailInPlaceMut::new(claimed, len), notifier }
    }

    /// Returns the header and the items for reading.
    pub fn parts(&self) -> (&H, &[T]) {
        self.place.parts()
    }

    /// Returns the header and the items for writing.
    pub fn parts_mut(&mut self) -> (&mut H, &mut [T]) {
        self.place.parts_mut()
    }

    /// Keeps only the first `len` items, if fewer are needed than the loan has room for. Does nothing if the
    /// loan has at most `len` items.
    pub fn truncate(&mut self, len: usize) {
        self.place.truncate(len);
    }

    /// Publishes header and items and wakes the subscribers that sleep. Never blocks.
    pub fn send(self) -> Result<(), SendError> {
        let size = self.place.size();
        send(self.place.into_keeper(), size, self.notifier)
    }
}

impl<H: ShmMessage + fmt::Debug, T: ShmMessage + fmt::Debug> fmt::Debug for TailLoan<'_, H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, items) = self.parts();
        f.debug_struct("TailLoan").field("header", header).field("items", &items.len()).finish()
    }
}
