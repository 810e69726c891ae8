//! What a single send or receive can answer instead of success: small enums, exhaustive on purpose.

use crate::codec::EncodeError;
use crate::message::Invalid;
use std::time::Duration;
use thiserror::Error;

/// Why nothing was sent. The channel is as it was before the call, and the message is still the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// Subscribers hold every slot in place, which takes a damaged segment: the seats of a channel
    /// are limited so that at least two slots stay free.
    #[error("subscribers hold all slots in place; receive by value, drop samples sooner, or raise `slots`")]
    AllSlotsHeld,
    /// The message has more bytes (or the tail more items) than a slot takes.
    #[error("the message takes {size} bytes, but a slot holds {capacity}; raise `slot_size` or `max_len`")]
    TooLong {
        /// Bytes of the message.
        size: usize,
        /// Bytes that a slot holds.
        capacity: usize,
    },
    /// The codec of the channel cannot hold this message.
    #[error("{0}")]
    Unencodable(EncodeError),
    /// This process is a fork of the one that opened the channel.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Why [`try_send`](crate::Publisher::try_send) sent nothing. The message is still the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrySendError {
    /// On a channel whose publisher waits: subscribers have not received what is in the slots.
    #[error(
        "subscribers have not received what is in the slots; send later, receive faster, or raise `slots`"
    )]
    Full,
    /// There may be room, but not for this.
    #[error(transparent)]
    Refused(#[from] SendError),
}

/// Why [`send_timeout`](crate::Publisher::send_timeout) or
/// [`send_deadline`](crate::Publisher::send_deadline) sent nothing. The message is still the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendTimeoutError {
    /// On a channel whose publisher waits: subscribers have not received what is in the slots, all the time.
    #[error("subscribers did not receive what is in the slots in time")]
    Timeout,
    /// There may be room, but not for this.
    #[error(transparent)]
    Refused(#[from] SendError),
}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::TooLong { needed: size, capacity } => SendError::TooLong { size, capacity },
            other => SendError::Unencodable(other),
        }
    }
}

/// Why [`try_recv`](crate::Subscriber::try_recv) has no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TryRecvError {
    /// Nothing new yet.
    #[error("no message is waiting")]
    Empty,
    /// This many messages were overwritten before they were received. The next call goes on with
    /// the oldest one that is safely there.
    #[error("{0} messages were overwritten before they were received; receive more often or raise `slots`")]
    Lagged(u64),
    /// Nothing is left to receive and no publisher is alive now. One may come back: the subscriber
    /// then goes on by itself.
    #[error("no publisher is alive and nothing is left to receive")]
    Disconnected,
    /// The bytes of this message are not a valid value. It is passed over; the next call goes on
    /// behind it.
    #[error("a message was refused: {0}")]
    Invalid(Invalid),
    /// The subscriber [expects](crate::Opener::expect_every) a message in every period, and a whole one has
    /// passed since the last message. Said once a period; the message may still come.
    #[error("no message came for {silent:?}, and one is expected every {expected:?}")]
    Missed {
        /// Time since the last message was received, or the subscriber opened.
        silent: Duration,
        /// The period.
        expected: Duration,
    },
    /// This process is a fork of the one that opened the channel.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Why [`recv`](crate::Subscriber::recv) has no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecvError {
    /// As in [`TryRecvError::Lagged`].
    #[error("{0} messages were overwritten before they were received; receive more often or raise `slots`")]
    Lagged(u64),
    /// As in [`TryRecvError::Disconnected`].
    #[error("no publisher is alive and nothing is left to receive")]
    Disconnected,
    /// As in [`TryRecvError::Invalid`].
    #[error("a message was refused: {0}")]
    Invalid(Invalid),
    /// As in [`TryRecvError::Missed`].
    #[error("no message came for {silent:?}, and one is expected every {expected:?}")]
    Missed {
        /// As in [`TryRecvError::Missed`].
        silent: Duration,
        /// As in [`TryRecvError::Missed`].
        expected: Duration,
    },
    /// As in [`TryRecvError::Forked`].
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Why [`recv_timeout`](crate::Subscriber::recv_timeout) or
/// [`recv_deadline`](crate::Subscriber::recv_deadline) has no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecvTimeoutError {
    /// No message came in time.
    #[error("no message came in time")]
    Timeout,
    /// As in [`TryRecvError::Lagged`].
    #[error("{0} messages were overwritten before they were received; receive more often or raise `slots`")]
    Lagged(u64),
    /// As in [`TryRecvError::Disconnected`].
    #[error("no publisher is alive and nothing is left to receive")]
    Disconnected,
    /// As in [`TryRecvError::Invalid`].
    #[error("a message was refused: {0}")]
    Invalid(Invalid),
    /// As in [`TryRecvError::Missed`].
    #[error("no message came for {silent:?}, and one is expected every {expected:?}")]
    Missed {
        /// As in [`TryRecvError::Missed`].
        silent: Duration,
        /// As in [`TryRecvError::Missed`].
        expected: Duration,
    },
    /// As in [`TryRecvError::Forked`].
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(n) => RecvTimeoutError::Lagged(n),
            RecvError::Disconnected => RecvTimeoutError::Disconnected,
            RecvError::Invalid(why) => RecvTimeoutError::Invalid(why),
            RecvError::Missed { silent, expected } => RecvTimeoutError::Missed { silent, expected },
            RecvError::Forked => RecvTimeoutError::Forked,
        }
    }
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(n) => TryRecvError::Lagged(n),
            RecvError::Disconnected => TryRecvError::Disconnected,
            RecvError::Invalid(why) => TryRecvError::Invalid(why),
            RecvError::Missed { silent, expected } => TryRecvError::Missed { silent, expected },
            RecvError::Forked => TryRecvError::Forked,
        }
    }
}
