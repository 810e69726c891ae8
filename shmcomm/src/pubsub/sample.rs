//! Samples: messages looked at without copying them out.
//!
//! Owns the guards that a subscriber hands out. A sample of a large message holds its slot, so that
//! the publisher passes it over; one of a small message borrows the subscriber's private copy.

use super::PublisherId;
use crate::message::in_place::{InPlace, TailInPlace};
use crate::message::{Invalid, ShmMessage};
use crate::ring::{AtHome, Pinned, Place};
use core::fmt;
use core::ops::Deref;

/// What keeps the bytes of a sample, and who sent it.
pub(super) struct Held<'s> {
    pub(super) bytes: Bytes<'s>,
    pub(super) publisher: Option<PublisherId>,
}

type Bytes<'s> = Place<&'s [u8], AtHome<Pinned<'s>>>;

/// A message in place: dereferences to it.
///
/// As long as it lives the publisher does not write to its slot: it takes the next one. Leaking a
/// sample is safe and costs the channel that slot until this process ends.
///
/// In the child of a fork it may be dropped, and must not be looked at: its memory is not there.
#[must_use = "a sample that is dropped at once was received for nothing"]
pub struct Sample<'s, M> {
    place: InPlace<Bytes<'s>, M>,
    publisher: Option<PublisherId>,
}

impl<'s, M: ShmMessage> Sample<'s, M> {
    #[inline(always)]
    pub(super) fn new(held: Held<'s>) -> Result<Self, Invalid> {
        let Held { bytes, publisher } = held;
        let place = InPlace::new(bytes).map_err(|(why, _)| why)?;
        Ok(Sample { place, publisher })
    }

    /// Who sent the message, on a channel of several `publishers`; `None` where one publishes at a time,
    /// whose messages do not say.
    pub fn publisher(&self) -> Option<PublisherId> {
        self.publisher
    }
}

impl<M: ShmMessage> Deref for Sample<'_, M> {
    type Target = M;

    #[inline(always)]
    fn deref(&self) -> &M {
        self.place.get()
    }
}

impl<M: ShmMessage + fmt::Debug> fmt::Debug for Sample<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sample").field(&**self).finish()
    }
}

/// A header and its items in place.
///
/// As long as it lives the publisher does not write to its slot: it takes the next one. Leaking a
/// sample is safe and costs the channel that slot until this process ends.
///
/// In the child of a fork it may be dropped, and must not be looked at: its memory is not there.
#[must_use = "a sample that is dropped at once was received for nothing"]
pub struct TailSample<'s, H, T> {
    place: TailInPlace<Bytes<'s>, H, T>,
    publisher: Option<PublisherId>,
}

impl<'s, H: ShmMessage, T: ShmMessage> TailSample<'s, H, T> {
    #[inline(always)]
    pub(super) fn new(held: Held<'s>) -> Result<Self, Invalid> {
        let Held { bytes, publisher } = held;
        Ok(TailSample { place: TailInPlace::new(bytes)?, publisher })
    }

    /// Who sent the message: see [`Sample::publisher`].
    pub fn publisher(&self) -> Option<PublisherId> {
        self.publisher
    }

    /// The header.
    pub fn header(&self) -> &H {
        self.place.head()
    }

    /// The items behind the header.
    pub fn items(&self) -> &[T] {
        self.place.items()
    }
}

impl<H: ShmMessage + fmt::Debug, T: ShmMessage> fmt::Debug for TailSample<'_, H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailSample")
            .field("header", self.header())
            .field("items", &self.items().len())
            .finish()
    }
}
