//! Channels whose messages a codec encodes: the ends of `PubSub<M, Msgpack>` and its like.
//!
//! Owns the step through the codec. Encodes straight into the slot (or the buffer that is copied into
//! it), decodes from private bytes only.

use super::loan;
use super::publisher::{full, timed_out};
use super::source::{Held, Refusals};
use super::{Publisher, RecvError, RecvTimeoutError, SendError, Subscriber, TryRecvError};
use super::{SendTimeoutError, TrySendError};
use crate::codec::{Decode, Encode};
use crate::message::Invalid;
use crate::ring::{Keep, KeepMut, Place};
use crate::wait::Deadline;
use std::time::{Duration, Instant};

impl<M: ?Sized, C: Encode<M>> Publisher<M, C> {
    /// Encodes `message` into the next slot and wakes the subscribers that sleep. Blocks only on a channel
    /// whose publisher waits, until there is room.
    ///
    /// # Errors
    /// [`SendError::TooLong`] with the exact size, if the encoded message does not fit into a slot;
    /// [`SendError::Unencodable`] if the codec cannot hold it. Nothing was sent then.
    pub fn send(&mut self, message: &M) -> Result<(), SendError> {
        self.send_until(message, Some(Deadline::Never)).map(|_sent| ())
    }

    /// As [`send`](Publisher::send), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none.
    pub fn try_send(&mut self, message: &M) -> Result<(), TrySendError> {
        full(self.send_until(message, None))
    }

    /// As [`send`](Publisher::send), blocking for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError> {
        timed_out(self.send_until(message, Some(Deadline::after(timeout))))
    }

    /// As [`send`](Publisher::send), blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if there was no room.
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), SendTimeoutError> {
        timed_out(self.send_until(message, Some(Deadline::At(deadline))))
    }

    pub(super) fn send_until(&mut self, message: &M, deadline: Option<Deadline>) -> Result<bool, SendError> {
        let Some((mut claimed, outlet)) = self.core().try_claim(deadline)? else { return Ok(false) };
        let len = C::encode(message, claimed.bytes_mut())?;
        loan::send(claimed, len, outlet).map(|()| true)
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
    let message = match held.bytes {
        Place::Private(bytes) => C::decode(bytes),
        // Others can write to the slot: what is decoded must not change meanwhile.
        Place::Slot(slot) => {
            let private: Vec<u8> = slot.bytes().into();
            C::decode(&private)
        }
    };
    message.map_err(|why| refusals.count(Invalid::decoded::<M>(why.path(), why.reason())))
}
