//! What a single send or receive can answer instead of success: small enums, exhaustive on purpose.

use crate::codec::{DecodeError, EncodeError};
use crate::message::Invalid;
use thiserror::Error;

/// Why a received message is no value of the type that was asked for. It is passed over; the next
/// receive goes on behind it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The codec says so.
    #[error("{0}")]
    Codec(DecodeError),
    /// Its bytes are not those of the [`ShmMessage`](crate::ShmMessage).
    #[error("{0}")]
    Layout(Invalid),
    /// The slot claims to hold more bytes than a slot has room for: somebody wrote over it.
    #[error("the slot claims to hold {claimed} bytes, but has room for {capacity}")]
    Damaged {
        /// Bytes that the slot claims to hold.
        claimed: u32,
        /// Payload bytes that a slot holds.
        capacity: usize,
    },
}

/// Why nothing was sent. The channel is as it was before the call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The message takes more bytes than a slot holds.
    #[error(
        "the message takes {size} bytes, but a slot holds {capacity}; \
         make `slot_size` {} or more (4 bytes of it are the length) where the channel is created",
        size + 4
    )]
    TooLong {
        /// Bytes of the encoded message.
        size: usize,
        /// Payload bytes that a slot holds.
        capacity: usize,
    },
    /// The format cannot hold this message.
    #[error("the message cannot be sent to Python: {0}")]
    Refused(EncodeError),
    /// Another process has put its own segment under the name of this one.
    #[error("another publisher, pusher or replier has taken over the channel; open it again to take it back")]
    Replaced,
    /// A reply without a request: receive one first. Each request has one reply.
    #[error("there is no request to reply to; receive one first")]
    NoRequest,
    /// This process is a fork of the one that opened the channel.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Why a send that does not wait sent nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrySendError {
    /// All slots hold messages that nobody has taken yet. (One slot of a ring always stays empty.)
    #[error("all slots hold messages that nobody has taken yet; add pullers, or raise `slots`")]
    Full,
    /// As for a send that waits.
    #[error(transparent)]
    Failed(#[from] SendError),
}

/// Why a send with a time limit sent nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendTimeoutError {
    /// All slots held messages until the time was over.
    #[error("all slots held messages until the time was over; add pullers, or raise `slots`")]
    Timeout,
    /// As for a send that waits.
    #[error(transparent)]
    Failed(#[from] SendError),
}

/// Why a blocking receive has no message.
///
/// There is no `Disconnected`: a Python process gives no sign of life but its messages.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecvError {
    /// Subscribers only: this many messages were overwritten before they were received. The next call
    /// goes on with the oldest one that is safely there.
    #[error("{0} messages were overwritten before they were received; receive more often or raise `slots`")]
    Lagged(u64),
    /// A message came that is no value of the type.
    #[error("a message was refused: {0}")]
    Invalid(Unreadable),
    /// Pullers only: the lock that they share with Python's cannot be used. Says why.
    #[error("{0}")]
    Lock(String),
    /// Requesters only: nothing was asked, or the reply was received already.
    #[error("there is no request that waits for a reply; send one first")]
    NoRequest,
    /// Requesters only: the replier was restarted, and the request went with the old one. Nobody knows
    /// whether it was carried out.
    #[error("the replier was restarted, and its reply will not come; ask again if that does no harm")]
    Restarted,
    /// This process is a fork of the one that opened the channel.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Why [`try_recv`](super::Subscriber::try_recv) has no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TryRecvError {
    /// Nothing new yet.
    #[error("no message is waiting")]
    Empty,
    /// As in [`RecvError::Lagged`].
    #[error("{0} messages were overwritten before they were received; receive more often or raise `slots`")]
    Lagged(u64),
    /// As in [`RecvError::Invalid`].
    #[error("a message was refused: {0}")]
    Invalid(Unreadable),
    /// As in [`RecvError::Lock`].
    #[error("{0}")]
    Lock(String),
    /// As in [`RecvError::NoRequest`].
    #[error("there is no request that waits for a reply; send one first")]
    NoRequest,
    /// As in [`RecvError::Restarted`].
    #[error("the replier was restarted, and its reply will not come; ask again if that does no harm")]
    Restarted,
    /// As in [`RecvError::Forked`].
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Why [`recv_timeout`](super::Subscriber::recv_timeout) or
/// [`recv_deadline`](super::Subscriber::recv_deadline) has no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecvTimeoutError {
    /// No message came in time.
    #[error("no message came in time")]
    Timeout,
    /// As in [`RecvError::Lagged`].
    #[error("{0} messages were overwritten before they were received; receive more often or raise `slots`")]
    Lagged(u64),
    /// As in [`RecvError::Invalid`].
    #[error("a message was refused: {0}")]
    Invalid(Unreadable),
    /// As in [`RecvError::Lock`].
    #[error("{0}")]
    Lock(String),
    /// As in [`RecvError::NoRequest`].
    #[error("there is no request that waits for a reply; send one first")]
    NoRequest,
    /// As in [`RecvError::Restarted`].
    #[error("the replier was restarted, and its reply will not come; ask again if that does no harm")]
    Restarted,
    /// As in [`RecvError::Forked`].
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Why [`Requester::request`](super::Requester::request) has no reply.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// No reply came in time. A reply that comes later is not taken for that of another request.
    #[error("no reply came in time")]
    Timeout,
    /// The request was not sent.
    #[error("the request was not sent: {0}")]
    Send(#[from] TrySendError),
    /// A reply came that is no value of the type.
    #[error("a reply was refused: {0}")]
    Invalid(Unreadable),
    /// As in [`RecvError::Restarted`].
    #[error("the replier was restarted, and its reply will not come; ask again if that does no harm")]
    Restarted,
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(n) => TryRecvError::Lagged(n),
            RecvError::Invalid(why) => TryRecvError::Invalid(why),
            RecvError::Lock(why) => TryRecvError::Lock(why),
            RecvError::NoRequest => TryRecvError::NoRequest,
            RecvError::Restarted => TryRecvError::Restarted,
            RecvError::Forked => TryRecvError::Forked,
        }
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(n) => RecvTimeoutError::Lagged(n),
            RecvError::Invalid(why) => RecvTimeoutError::Invalid(why),
            RecvError::Lock(why) => RecvTimeoutError::Lock(why),
            RecvError::NoRequest => RecvTimeoutError::NoRequest,
            RecvError::Restarted => RecvTimeoutError::Restarted,
            RecvError::Forked => RecvTimeoutError::Forked,
        }
    }
}

impl From<RecvTimeoutError> for RequestError {
    fn from(error: RecvTimeoutError) -> Self {
        match error {
            RecvTimeoutError::Invalid(why) => RequestError::Invalid(why),
            RecvTimeoutError::Forked => RequestError::Send(SendError::Forked.into()),
            RecvTimeoutError::Restarted => RequestError::Restarted,
            // Requesters neither lag nor lock, and this one has just asked.
            RecvTimeoutError::Timeout
            | RecvTimeoutError::Lagged(_)
            | RecvTimeoutError::Lock(_)
            | RecvTimeoutError::NoRequest => RequestError::Timeout,
        }
    }
}
