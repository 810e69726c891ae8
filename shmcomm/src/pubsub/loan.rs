//! Loans: messages made where they will be sent from.
//!
//! Owns the two places where a message is made (the slot itself, or a private buffer on a ring that
//! copies) and what happens when a loan is sent or dropped. Never blocks.

use super::SendError;
use crate::message::ShmMessage;
use crate::message::in_place::{InPlaceMut, TailInPlaceMut};
use crate::ring::{AllPinned, Claim, Place, Staged, Writer};
use crate::segment::Attachment;
use crate::wait::Event;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// Room for a message, and the way to send it.
pub(super) type Claimed<'p> = Place<Staged<'p, &'p mut Writer>, Claim<'p>>;

/// Where a message goes after its slot: to those who sleep, and to the log.
#[derive(Clone, Copy)]
pub(super) struct Outlet<'p> {
    pub(super) items: &'p Event,
    pub(super) attachment: &'p Attachment,
}

/// A message was published: wakes those who sleep.
#[inline]
pub(super) fn sent(items: &Event, _attachment: &Attachment, _len: usize) {
    items.notify();
    #[cfg(feature = "trace-slots")]
    log::trace!(target: "shmcomm::slots", "channel `{}`: sent {_len} bytes", _attachment.channel());
}

/// Sends the first `len` bytes.
#[inline(always)]
pub(super) fn send(claimed: Claimed<'_>, len: usize, outlet: Outlet<'_>) -> Result<(), SendError> {
    if outlet.attachment.forked() {
        return Err(SendError::Forked);
    }
    match claimed {
        Place::Private(staged) => send_staged(staged, len)?,
        Place::Slot(claim) => claim.publish(len).map_err(|AllPinned| SendError::AllSlotsHeld)?,
    }
    sent(outlet.items, outlet.attachment, len);
    Ok(())
}

#[inline(never)]
fn send_staged(mut staged: Staged<'_, &mut Writer>, len: usize) -> Result<(), SendError> {
    let (bytes, writer) = staged.parts();
    writer.send(&bytes[..len]).map_err(|AllPinned| SendError::AllSlotsHeld)
}

/// A message that is being made: dereferences to it. See [`Publisher::loan`](super::Publisher::loan).
///
/// Dropping it, or forgetting it, sends nothing.
#[must_use = "a loan that is dropped sends nothing"]
pub struct Loan<'p, M> {
    place: InPlaceMut<Claimed<'p>, M>,
    outlet: Outlet<'p>,
}

impl<'p, M: ShmMessage> Loan<'p, M> {
    #[inline(always)]
    pub(super) fn new(claimed: Claimed<'p>, outlet: Outlet<'p>) -> Self {
        Loan { place: InPlaceMut::new(claimed), outlet }
    }

    #[inline(always)]
    pub(super) fn with(claimed: Claimed<'p>, outlet: Outlet<'p>, message: M) -> Self {
        Loan { place: InPlaceMut::with(claimed, message), outlet }
    }

    /// Publishes the message and wakes the subscribers that sleep. Never blocks.
    #[inline(always)]
    pub fn send(self) -> Result<(), SendError> {
        send(self.place.into_keeper(), size_of::<M>(), self.outlet)
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

/// A header and its items that are being made: see [`Publisher::loan`](super::Publisher::loan).
///
/// Dropping it, or forgetting it, sends nothing.
#[must_use = "a loan that is dropped sends nothing"]
pub struct TailLoan<'p, H, T> {
    place: TailInPlaceMut<Claimed<'p>, H, T>,
    outlet: Outlet<'p>,
}

impl<'p, H: ShmMessage, T: ShmMessage> TailLoan<'p, H, T> {
    pub(super) fn new(claimed: Claimed<'p>, outlet: Outlet<'p>, len: usize) -> Self {
        TailLoan { place: TailInPlaceMut::new(claimed, len), outlet }
    }

    /// The header and the items, to be read.
    pub fn parts(&self) -> (&H, &[T]) {
        self.place.parts()
    }

    /// The header and the items, to be written.
    pub fn parts_mut(&mut self) -> (&mut H, &mut [T]) {
        self.place.parts_mut()
    }

    /// Keeps only the first `len` items, where there turned out to be fewer than asked room for.
    /// Does nothing if there are not more than `len`.
    pub fn truncate(&mut self, len: usize) {
        self.place.truncate(len);
    }

    /// Publishes header and items and wakes the subscribers that sleep. Never blocks.
    pub fn send(self) -> Result<(), SendError> {
        let size = self.place.size();
        send(self.place.into_keeper(), size, self.outlet)
    }
}

impl<H: ShmMessage + fmt::Debug, T: ShmMessage + fmt::Debug> fmt::Debug for TailLoan<'_, H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, items) = self.parts();
        f.debug_struct("TailLoan").field("header", header).field("items", &items.len()).finish()
    }
}
