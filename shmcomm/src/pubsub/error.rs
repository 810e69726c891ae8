//! Errors of a single send or receive: small enums, exhaustive on purpose.

use crate::codec::EncodeError;
use crate::error::{NotGrown, lagged, operation_errors};
use crate::message::Invalid;
use crate::plural::count;
use crate::wait::Stopped;
use std::time::Duration;
use thiserror::Error;

/// Reason why [`send`](crate::Publisher::send) sent no message. The channel is unchanged, and the caller
/// keeps the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// Subscribers pin every slot. This happens only in a damaged segment: the seats of a channel are limited
    /// so that at least two slots stay free.
    #[error("subscribers hold all slots in place; receive by value, drop samples sooner, or raise `slots`")]
    AllSlotsHeld,
    /// The message has more bytes (or the tail more items) than a slot takes.
    #[error("the message takes {size}, but a slot holds {capacity}; raise `slot_size`, `max_len` or `grow`", size = count(*.size, "byte"))]
    TooLong {
        /// Bytes of the message.
        size: usize,
        /// Bytes that a slot holds; if the slots grow, the largest ones.
        capacity: usize,
    },
    /// The message needs larger slots, and they could not be made. The channel keeps the slots that it has, and shorter
    /// messages can be sent.
    #[error(transparent)]
    NotGrown(NotGrown),
    /// The codec of the channel cannot hold this message.
    #[error("{0}")]
    Unencodable(EncodeError),
    /// The [`StopHandle`](crate::StopHandle) of the end was stopped before there was room, on a channel with
    /// `overflow: Wait`. Calls that do not wait never return it.
    #[error("the end was stopped by its `StopHandle` while it waited for room; nothing was sent")]
    Stopped,
    /// This process was forked from the process that opened the channel.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Reason why [`try_send`](crate::Publisher::try_send) sent no message. The caller keeps the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrySendError {
    /// Subscribers have not received the messages in the slots, on a channel with `overflow: Wait`.
    #[error(
        "all slots hold messages that a subscriber has not received; send later, receive faster, or raise `slots`"
    )]
    Full,
    /// The message cannot be sent even if there is room.
    #[error(transparent)]
    Refused(#[from] SendError),
}

/// Reason why [`send_timeout`](crate::Publisher::send_timeout) or
/// [`send_deadline`](crate::Publisher::send_deadline) sent no message. The caller keeps the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendTimeoutError {
    /// Subscribers did not receive the messages in the slots in time, on a channel with `overflow: Wait`.
    #[error("all slots held messages that a subscriber had not received until the time was over")]
    Timeout,
    /// The message cannot be sent even if there is room.
    #[error(transparent)]
    Refused(#[from] SendError),
}

impl TrySendError {
    /// Converts the result of a send that does not wait: `false` means that there was no room.
    #[inline(always)]
    pub(super) fn unless(sent: Result<bool, SendError>) -> Result<(), Self> {
        if sent? { Ok(()) } else { Err(TrySendError::Full) }
    }
}

impl SendTimeoutError {
    /// Converts the result of a send with a deadline: `false` means that there was no room.
    #[inline]
    pub(super) fn unless(sent: Result<bool, SendError>) -> Result<(), Self> {
        if sent? { Ok(()) } else { Err(SendTimeoutError::Timeout) }
    }
}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::TooLong { needed: size, capacity } => SendError::TooLong { size, capacity },
            other => SendError::Unencodable(other),
        }
    }
}

operation_errors! {
    common {
        /// Number of messages that were overwritten before they were received. The next call returns the oldest
        /// message that cannot be overwritten meanwhile.
        #[error(fmt = lagged)]
        Lagged(lost: u64),
        /// No message is left to receive and no publisher is alive now. If a publisher opens the channel again,
        /// the next receive returns its messages.
        #[error("no publisher is alive and nothing is left to receive")]
        Disconnected,
        /// The bytes of this message are not a valid value. The subscriber skips it, and the next call returns
        /// the message behind it.
        #[error("a message was refused: {0}")]
        Invalid(why: Invalid),
        /// The subscriber [expects](crate::Opener::expect_every) a message in every period, a publisher is
        /// alive, and a whole period has passed since the last message. Returned once per period; the message
        /// may still arrive. While no publisher is alive, receives return `Disconnected`. The first period after
        /// that begins when a publisher is alive again.
        #[error("no message came for {silent:?}, and one is expected every {expected:?}")]
        Missed {
            /// Time since the last message was received, or since the subscriber was opened.
            silent: Duration,
            /// The period.
            expected: Duration,
        },
        /// This process was forked from the process that opened the channel.
        #[error("this end was opened before `fork`; open the channel again in the child")]
        Forked,
    }

    /// Reason why [`recv`](crate::Subscriber::recv) returned no message.
    RecvError {
        /// The [`StopHandle`](crate::StopHandle) of the end was stopped. No message was taken.
        #[error("the end was stopped by its `StopHandle`; no message was taken")]
        Stopped,
    }

    /// Reason why [`try_recv`](crate::Subscriber::try_recv) returned no message.
    TryRecvError {
        /// No new message has arrived.
        #[error("no message is waiting")]
        Empty,
    }
    // A `StopHandle` stops only calls that may block.
    <- RecvError { Stopped => Empty }

    /// Reason why [`recv_timeout`](crate::Subscriber::recv_timeout) or
    /// [`recv_deadline`](crate::Subscriber::recv_deadline) returned no message.
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
