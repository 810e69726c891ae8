//! [`Publisher`]: the sending end of publish/subscribe, for subscribers in Python.
//!
//! Owns the order of a send. Calls `owner` for the segment and `ring` for the slot.

use super::format::too_long;
use super::name::Place;
use super::owner::Owned;
use super::{Format, Options, Outgoing, SendError, Sends, Stats, ring, stats};
use crate::Error;
use crate::layout::python::Kind;
use core::fmt;
use core::marker::PhantomData;

/// Fewer slots than this, and a Python subscriber that is suspended for a moment reads torn messages.
const FEW: u64 = 8;

/// The sending end of a publish/subscribe channel whose subscribers may be Python processes.
///
/// Sending never blocks. What a subscriber has not received by the time its slot is needed again is
/// overwritten. Subscribers in Rust notice, and count it as lost; **subscribers in Python do not**:
/// one that is a whole lap behind sees nothing, and one that is overtaken while it reads gets a torn
/// message, which its codec may or may not refuse. Give them enough slots: 8 at the least.
///
/// The channel is there as long as the publisher is, although every Python client that exits removes
/// its name: this end brings it back within a millisecond or so.
///
/// **If this process dies**, the segment stays, and so do its subscribers; the next publisher in Rust
/// with the same slots goes on where this one was. Dropping the publisher removes the segment.
pub struct Publisher<M: ?Sized, F: ?Sized> {
    core: Core,
    _messages: Sends<M, F>,
}

/// What does not depend on the type of the messages.
struct Core {
    place: Place,
    owned: Owned,
    buffer: Vec<u8>,
}

impl<M: ?Sized, F: Format> Publisher<M, F> {
    /// Creates the channel, or goes on with what a publisher in Rust left that died. A segment that a
    /// Python process made is replaced, as Python itself would.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyPublished`](crate::ErrorKind::AlreadyPublished) if a publisher in Rust is
    /// alive; `InvalidName`, `InvalidGeometry`, `NoSpace`, `Permission` as they say.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = Place::new(Kind::Pub, &options.name)?;
        let owned = Owned::open(&place, options.slots, options.slot_size)?;
        if options.slots < FEW {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: with {} slots, subscribers in Python may read torn messages; use {FEW} or more",
                place.name(),
                options.slots
            );
        }
        let buffer = vec![0; owned.segment().shape().capacity()];
        Ok(Publisher { core: Core { place, owned, buffer }, _messages: PhantomData })
    }

    /// The channel's name.
    pub fn name(&self) -> &str {
        self.core.place.name()
    }

    /// Whether this goes on with the segment of a publisher that died.
    pub fn resumed(&self) -> bool {
        self.core.owned.resumed()
    }

    /// The segment's numbers.
    pub fn stats(&self) -> Stats {
        stats::read(self.core.owned.segment().raw(), None)
    }

    /// Publishes a message. Does not block.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, message: &M) -> Result<(), SendError>
    where
        F: Outgoing<M>,
    {
        self.core.check()?;
        let len = F::encode(message, &mut self.core.buffer)?;
        ring::write(self.core.owned.segment().raw(), &self.core.buffer[..len]);
        Ok(())
    }

    /// Publishes bytes, for Python's `recv_bytes`, or what some codec made. Does not block.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_bytes(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.core.check()?;
        let capacity = self.core.buffer.len();
        if payload.len() > capacity {
            return Err(too_long(payload.len(), capacity));
        }
        ring::write(self.core.owned.segment().raw(), payload);
        Ok(())
    }
}

impl Core {
    #[inline]
    fn check(&self) -> Result<(), SendError> {
        if self.owned.segment().forked() {
            return Err(SendError::Forked);
        }
        if self.owned.replaced() {
            return Err(SendError::Replaced);
        }
        Ok(())
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for Publisher<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("name", &self.core.place.name()).finish_non_exhaustive()
    }
}
