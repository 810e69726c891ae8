//! Channels whose messages a codec encodes: the ends of `PubSub<M, Msgpack>` and its like.
//!
//! Owns the step through the codec. Encodes straight into the slot (or the buffer that is copied into
//! it), decodes from private bytes only.

use super::loan;
use super::source::{Held, Refusals};
use super::{Publisher, RecvError, RecvTimeoutError, SendError, Subscriber, TryRecvError};
use crate::codec::{Decode, Encode};
use crate::message::Invalid;
use crate::ring::{Keep, KeepMut, Place};
use crate::wait::Deadline;
use std::time::{Duration, Instant};

impl<M: ?Sized, C: Encode<M>> Publisher<M, C> {
    /// Encodes `message` into the next slot and wakes the subscribers that sleep. Does not block.
    ///
    /// # Errors
    /// [`SendError::TooLong`] with the exact size, if the encoded message does not fit into a slot;
    /// [`SendError::Unencodable`] if the codec cannot hold it. Nothing was sent then.
    pub fn send(&mut self, message: &M) -> Result<(), SendError> {
        let (mut claimed, outlet) = self.core().claim()?;
        let len = C::encode(message, claimed.bytes_mut())?;
        loan::send(claimed, len, outlet)
    }
}

impl<M, C: Decode<M>> Subscriber<M, C> {
    /// The next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none; [`TryRecvError::Invalid`] if its bytes are no `M`;
    /// else see [`TryRecvError`].
    pub fn try_recv(&mut self) -> Result<M, TryRecvError> {
        self.decoded(None)?.ok_or(TryRecvError::Empty)
    }

    /// The next message; blocks until there is one.
    ///
    /// # Errors
    /// See [`RecvError`]; [`RecvError::Disconnected`] if there is neither a message nor a publisher.
    pub fn recv(&mut self) -> Result<M, RecvError> {
        self.decoded(Some(Deadline::Never))?.ok_or(RecvError::Disconnected)
    }

    /// The next message; blocks for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.decoded(Some(Deadline::after(timeout)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// The next message; blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<M, RecvTimeoutError> {
        self.decoded(Some(Deadline::At(deadline)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// The newest message, received before or not; `None` if there is none yet. Never blocks. What it
    /// passes over counts as [`skipped`](Subscriber::skipped).
    ///
    /// # Errors
    /// [`RecvError::Invalid`] if its bytes are no `M`, [`RecvError::Forked`].
    pub fn latest(&mut self) -> Result<Option<M>, RecvError> {
        match self.source().hold_latest()? {
            Some((held, refusals)) => decode::<M, C>(held, refusals).map(Some),
            None => Ok(None),
        }
    }

    fn decoded(&mut self, deadline: Option<Deadline>) -> Result<Option<M>, RecvError> {
        match self.source().hold(deadline)? {
            Some((held, refusals)) => decode::<M, C>(held, refusals).map(Some),
            None => Ok(None),
        }
    }
}

pub(super) fn decode<M, C: Decode<M>>(held: Held<'_>, refusals: Refusals<'_>) -> Result<M, RecvError> {
    let message = match held {
        Place::Private(bytes) => C::decode(bytes),
        // Others can write to the slot: what is decoded must not change meanwhile.
        Place::Slot(slot) => {
            let private: Vec<u8> = slot.bytes().into();
            C::decode(&private)
        }
    };
    message.map_err(|why| refusals.count(Invalid::decoded::<M>(why.path(), why.reason())))
}
