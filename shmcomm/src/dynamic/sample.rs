//! [`DynSample`]: a received message in its slot, valid without the subscriber that received it.
//!
//! Owns nothing else. Calls `payload` for the layout. Never writes to the message.

use super::payload::Payload;
use super::{DynError, ValueError};
use crate::pubsub::OwnedBytes;
use crate::schema::{ListRef, Value, ValueRef};
use core::fmt;
use std::sync::Arc;

/// A message that a [`DynSubscriber`](super::DynSubscriber) received, in place.
///
/// A large message stays in its slot: the publisher does not write to the slot until this is dropped, and skips it.
/// A small message is a private copy. Both are valid without the subscriber, and may be used and dropped in other
/// threads. A subscriber has one sample at a time.
///
/// The seat of a subscriber that is dropped before its sample stays taken until the sample is dropped. A leaked
/// sample is safe, and costs the channel a slot and a seat until this process ends.
///
/// In the child of a fork, [`bytes`](DynSample::bytes) fails. Bytes that were borrowed before the fork must not be
/// read there: their memory is not mapped, and reading them ends the child.
#[must_use = "a sample that is dropped at once was received for nothing"]
pub struct DynSample {
    bytes: OwnedBytes,
    payload: Arc<Payload>,
    // Dropped after the bytes.
    _token: Arc<Token>,
}

/// Share of a sample in the [`HeldSample`] of its subscriber.
#[derive(Debug, Default)]
struct Token;

/// The sample of a subscriber: the token has a second owner until the sample is dropped.
#[derive(Debug, Default)]
pub(super) struct HeldSample(Arc<Token>);

impl HeldSample {
    /// Fails if the sample was not dropped. Otherwise everything that its drop did is visible to this thread, also the
    /// return of the pin.
    pub(super) fn check(&mut self) -> Result<(), DynError> {
        // Acquires what the drop of the other owner released.
        Arc::get_mut(&mut self.0).map(|_| ()).ok_or(DynError::SampleHeld)
    }

    /// Makes the sample of the subscriber.
    pub(super) fn sample(&mut self, bytes: OwnedBytes, payload: &Arc<Payload>) -> DynSample {
        DynSample { bytes, payload: payload.clone(), _token: self.0.clone() }
    }
}

impl DynSample {
    /// Returns the bytes of the message. They do not change while the sample lives.
    ///
    /// # Errors
    /// [`DynError::Forked`] in the child of a fork, if the message is in a slot.
    pub fn bytes(&self) -> Result<&[u8], DynError> {
        self.bytes.bytes().ok_or(DynError::Forked)
    }

    /// Returns `true` if the message is in its slot, and `false` if it is a private copy.
    pub fn is_in_slot(&self) -> bool {
        matches!(self.bytes, OwnedBytes::Slot { .. })
    }

    /// Returns the message as a tree: see [`DynMessage::value`](super::DynMessage::value).
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a message of the channel's format; see
    /// [`bytes`](DynSample::bytes).
    pub fn value(&self) -> Result<Value, DynError> {
        self.payload.value(self.bytes()?).map_err(|why: ValueError| why.into())
    }

    /// Returns the message, or its header, as a view of the bytes; `None` if a codec defines the message.
    ///
    /// # Errors
    /// See [`bytes`](DynSample::bytes).
    pub fn view(&self) -> Result<Option<ValueRef<'_>>, DynError> {
        Ok(self.payload.view(self.bytes()?))
    }

    /// Returns the items of the tail; `None` if messages have no tail.
    ///
    /// # Errors
    /// See [`bytes`](DynSample::bytes).
    pub fn tail(&self) -> Result<Option<ListRef<'_>>, DynError> {
        Ok(self.payload.tail(self.bytes()?))
    }
}

impl DynSample {
    /// Drops the sample when the process ends, if references to its bytes may exist that are not borrows. The slot and
    /// the seat are free then. The memory stays mapped, but a message in a slot may change.
    #[doc(hidden)]
    pub fn leave_at_exit(self) {
        self.bytes.leave_at_exit();
    }
}

impl fmt::Debug for DynSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynSample")
            .field("len", &self.bytes.bytes().map(<[u8]>::len))
            .field("in_slot", &self.is_in_slot())
            .finish_non_exhaustive()
    }
}
