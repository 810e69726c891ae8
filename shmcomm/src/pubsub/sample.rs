//! Samples: messages looked at without copying them out.
//!
//! Owns the guards that a subscriber hands out. A sample of a large message holds its slot, so that
//! the publisher passes it over; one of a small message borrows the subscriber's private copy.

use crate::message::in_place::{InPlace, TailInPlace};
use crate::message::{Invalid, ShmMessage};
use crate::ring::{AtHome, Pinned, Place};
use core::fmt;
use core::ops::Deref;

/// What keeps the bytes of a sample.
pub(super) type Held<'s> = Place<&'s [u8], AtHome<Pinned<'s>>>;

/// A message in place: dereferences to it.
///
/// As long as it lives the publisher does not write to its slot: it takes the next one. Leaking a
/// sample is safe and costs the channel that slot until this process ends.
///
/// In the child of a fork it may be dropped, and must not be looked at: its memory is not there.
#[must_use = "a sample that is dropped at once was received for nothing"]
pub struct Sample<'s, M>(InPlace<Held<'s>, M>);

impl<'s, M: ShmMessage> Sample<'s, M> {
    pub(super) fn new(held: Held<'s>) -> Result<Self, Invalid> {
        InPlace::new(held).map(Sample).map_err(|(why, _)| why)
    }
}

impl<M: ShmMessage> Deref for Sample<'_, M> {
    type Target = M;

    #[inline]
    fn deref(&self) -> &M {
        self.0.get()
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
pub struct TailSample<'s, H, T>(TailInPlace<Held<'s>, H, T>);

impl<'s, H: ShmMessage, T: ShmMessage> TailSample<'s, H, T> {
    pub(super) fn new(held: Held<'s>) -> Result<Self, Invalid> {
        TailInPlace::new(held).map(TailSample)
    }

    /// The header.
    pub fn header(&self) -> &H {
        self.0.head()
    }

    /// The items behind the header.
    pub fn items(&self) -> &[T] {
        self.0.items()
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
