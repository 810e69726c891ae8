//! Samples: messages that are read without copying them out.
//!
//! Owns the guards that a subscriber returns. A sample of a large message pins its slot, so that the
//! publisher skips it. A sample of a small message borrows the subscriber's private copy.

use super::PublisherId;
use crate::message::in_place::{InPlace, TailInPlace};
use crate::message::{Invalid, ShmMessage};
use crate::ring::{ForkGuard, Pinned, Storage};
use core::fmt;
use core::ops::Deref;

/// The owner of the bytes of a sample, and the publisher of the message.
pub(crate) struct Received<'s> {
    pub(super) bytes: Bytes<'s>,
    pub(super) publisher: Option<PublisherId>,
}

type Bytes<'s> = Storage<&'s [u8], ForkGuard<Pinned<'s>>>;

/// A message in place, which the sample dereferences to.
///
/// While the sample lives, the publisher does not write to its slot; it skips to the next one. A leaked
/// sample is safe and costs the channel that slot until this process ends.
///
/// In the child of a fork the sample may be dropped, but must not be read: its memory is not mapped there.
#[must_use = "a sample that is dropped at once was received for nothing"]
pub struct Sample<'s, M> {
    place: InPlace<Bytes<'s>, M>,
    publisher: Option<PublisherId>,
}

impl<'s, M: ShmMessage> Sample<'s, M> {
    #[inline(always)]
    pub(super) fn new(received: Received<'s>) -> Result<Self, Invalid> {
        let Received { bytes, publisher } = received;
        let place = InPlace::new(bytes).map_err(|(why, _)| why)?;
        Ok(Sample { place, publisher })
    }

    /// Makes the sample of a message that starts with an `M`.
    pub(super) fn prefix(received: Received<'s>) -> Result<Self, Invalid> {
        let Received { bytes, publisher } = received;
        let place = InPlace::prefix(bytes).map_err(|(why, _)| why)?;
        Ok(Sample { place, publisher })
    }

    /// Returns the publisher of the message, on a channel of several `publishers`. Returns `None` on a
    /// channel of one publisher, whose messages do not name it.
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
/// While the sample lives, the publisher does not write to its slot; it skips to the next one. A leaked
/// sample is safe and costs the channel that slot until this process ends.
///
/// In the child of a fork the sample may be dropped, but must not be read: its memory is not mapped there.
#[must_use = "a sample that is dropped at once was received for nothing"]
pub struct TailSample<'s, H, T> {
    place: TailInPlace<Bytes<'s>, H, T>,
    publisher: Option<PublisherId>,
}

impl<'s, H: ShmMessage, T: ShmMessage> TailSample<'s, H, T> {
    #[inline(always)]
    pub(super) fn new(received: Received<'s>) -> Result<Self, Invalid> {
        let Received { bytes, publisher } = received;
        Ok(TailSample { place: TailInPlace::new(bytes)?, publisher })
    }

    /// Returns the publisher of the message: see [`Sample::publisher`].
    pub fn publisher(&self) -> Option<PublisherId> {
        self.publisher
    }

    /// Returns the header.
    pub fn header(&self) -> &H {
        self.place.head()
    }

    /// Returns the items behind the header.
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
