//! Errors of a single send or receive: small enums, exhaustive on purpose.

use crate::codec::{DecodeError, EncodeError};
use crate::error::{lagged, operation_errors};
use crate::message::Invalid;
use crate::plural::count;
use crate::wait::Stopped;
use thiserror::Error;

/// Reason why a received message is not a value of the requested type. The end skips it, and the next receive
/// returns the message behind it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The codec cannot read it.
    #[error("{0}")]
    Codec(DecodeError),
    /// Its bytes are not those of the [`ShmMessage`](crate::ShmMessage).
    #[error("{0}")]
    Layout(Invalid),
    /// The slot claims to hold more bytes than it has room for: another process has overwritten it.
    #[error("the slot claims to hold {claimed}, but has room for {capacity}", claimed = count(*.claimed, "byte"))]
    Damaged {
        /// Bytes that the slot claims to hold.
        claimed: u32,
        /// Payload bytes that a slot holds.
        capacity: usize,
    },
}

/// Reason why no message was sent. The channel is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The message takes more bytes than a slot holds.
    #[error(
        "the message takes {size}, but a slot holds {capacity}; \
         make `slot_size` {} or more (4 bytes of it are the length) where the channel is created",
        size + 4, size = count(*.size, "byte"))]
    TooLong {
        /// Bytes of the encoded message.
        size: usize,
        /// Payload bytes that a slot holds.
        capacity: usize,
    },
    /// The format cannot hold this message.
    #[error("the message cannot be sent to Python: {0}")]
    Refused(EncodeError),
    /// Another process has given its own segment the name of this one.
    #[error("another publisher, pusher or replier has taken over the channel; open it again to take it back")]
    Replaced,
    /// There is no request to reply to: receive one first. Each request has one reply.
    #[error("there is no request to reply to; receive one first")]
    NoRequest,
    /// The [`StopHandle`](crate::StopHandle) of the end was stopped while a pusher waited for a free slot, or
    /// a publisher for the end of a lap.
    #[error("the end was stopped by its `StopHandle` while it waited for room; nothing was sent")]
    Stopped,
    /// This process was forked from the process that opened the channel.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Reason why a send that does not wait sent no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrySendError {
    /// All slots hold messages that no puller has taken. One slot of a ring always stays empty.
    #[error("all slots hold messages that nobody has taken yet; add pullers, or raise `slots`")]
    Full,
    /// See [`SendError`].
    #[error(transparent)]
    Failed(#[from] SendError),
}

/// Reason why a send with a timeout sent no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendTimeoutError {
    /// All slots held messages until the timeout.
    #[error("all slots held messages until the time was over; add pullers, or raise `slots`")]
    Timeout,
    /// See [`SendError`].
    #[error(transparent)]
    Failed(#[from] SendError),
}

operation_errors! {
    common {
        /// Subscribers only: number of messages that were overwritten before they were received. The next call
        /// returns the oldest message that cannot be overwritten meanwhile.
        #[error(fmt = lagged)]
        Lagged(lost: u64),
        /// A message arrived that is not a value of the type.
        #[error("a message was refused: {0}")]
        Invalid(why: Unreadable),
        /// Pullers only: the lock that they share with Python's pullers cannot be used. Holds the reason.
        #[error("{0}")]
        Lock(why: String),
        /// Requesters only: no request was sent, or its reply was received already.
        #[error("there is no request that waits for a reply; send one first")]
        NoRequest,
        /// Requesters only: the replier was restarted, and the request was lost with the old one. The request
        /// may have been carried out.
        #[error("the replier was restarted, and its reply will not come; ask again if that does no harm")]
        Restarted,
        /// Repliers only: another replier has given its own segments the names of this one.
        #[error("another replier has taken over the channel; open it again to take it back")]
        Replaced,
        /// This process was forked from the process that opened the channel.
        #[error("this end was opened before `fork`; open the channel again in the child")]
        Forked,
    }

    /// Reason why a blocking receive returned no message.
    ///
    /// There is no `Disconnected`: a Python process gives no sign of life except its messages.
    RecvError {
        /// The [`StopHandle`](crate::StopHandle) of the end was stopped. No message was taken.
        #[error("the end was stopped by its `StopHandle`; no message was taken")]
        Stopped,
    }

    /// Reason why [`try_recv`](super::Subscriber::try_recv) returned no message.
    TryRecvError {
        /// No new message has arrived.
        #[error("no message is waiting")]
        Empty,
    }
    // A `StopHandle` stops only calls that may block.
    <- RecvError { Stopped => Empty }

    /// Reason why [`recv_timeout`](super::Subscriber::recv_timeout) or
    /// [`recv_deadline`](super::Subscriber::recv_deadline) returned no message.
    RecvTimeoutError {
        /// No message arrived in time.
        #[error("no message came in time")]
        Timeout,
        /// See [`RecvError::Stopped`].
        #[error("the end was stopped by its `StopHandle`; no message was taken")]
        Stopped,
    }
    <- RecvError { Stopped => Stopped }
}

/// Reason why [`Requester::request`](super::Requester::request) returned no reply.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// No reply arrived in time. A later reply is not taken for the reply to another request.
    #[error("no reply came in time")]
    Timeout,
    /// The request was not sent.
    #[error("the request was not sent: {0}")]
    Send(#[from] TrySendError),
    /// A reply arrived that is not a value of the type.
    #[error("a reply was refused: {0}")]
    Invalid(Unreadable),
    /// The [`StopHandle`](crate::StopHandle) of the end was stopped before the reply arrived. A request that
    /// was sent may have been carried out.
    #[error(
        "the end was stopped by its `StopHandle` before the reply came; the request may have been carried out"
    )]
    Stopped,
    /// See [`RecvError::Restarted`].
    #[error("the replier was restarted, and its reply will not come; ask again if that does no harm")]
    Restarted,
}

impl From<Stopped> for SendError {
    fn from(_: Stopped) -> Self {
        SendError::Stopped
    }
}

impl From<Stopped> for RecvError {
    fn from(_: Stopped) -> Self {
        RecvError::Stopped
    }
}

impl From<Stopped> for RequestError {
    fn from(_: Stopped) -> Self {
        RequestError::Stopped
    }
}

impl From<RecvTimeoutError> for RequestError {
    fn from(error: RecvTimeoutError) -> Self {
        match error {
            RecvTimeoutError::Invalid(why) => RequestError::Invalid(why),
            RecvTimeoutError::Forked => RequestError::Send(SendError::Forked.into()),
            RecvTimeoutError::Restarted => RequestError::Restarted,
            RecvTimeoutError::Stopped => RequestError::Stopped,
            // Requesters neither lag nor lock nor get replaced, and this one has just sent a request.
            RecvTimeoutError::Timeout
            | RecvTimeoutError::Lagged(_)
            | RecvTimeoutError::Lock(_)
            | RecvTimeoutError::Replaced
            | RecvTimeoutError::NoRequest => RequestError::Timeout,
        }
    }
}
