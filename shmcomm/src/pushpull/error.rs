//! Errors of a single push or pull: small enums, exhaustive on purpose.

use crate::codec::EncodeError;
use crate::error::{NotGrown, operation_errors};
use crate::message::Invalid;
use crate::plural::count;
use crate::wait::Stopped;
use thiserror::Error;

const FORKED: &str = "this end was opened before `fork`; open the channel again in the child";
const DAMAGED: &str = "another process has written over the slot of this message; the segment is damaged: \
                       remove it with `force_unlink` and restart all ends";

operation_errors! {
    common {
        /// The codec of the channel cannot hold this message, or it does not fit into a slot.
        #[error("{0}")]
        Unencodable(why: EncodeError),
        /// The message needs a larger slot, and it could not be made, on a channel with `grow`. The channel is unchanged, and
        /// shorter messages can be sent.
        #[error("{0}")]
        NotGrown(why: NotGrown),
        /// This process was forked from the process that opened the channel.
        #[error("{FORKED}")]
        Forked,
        /// A process that violates the protocol wrote to the segment.
        #[error("{DAMAGED}")]
        Damaged,
    }

    /// Reason why [`Pusher::send`](crate::Pusher::send) did not send. The caller keeps the message.
    PushError {
        /// The [`StopHandle`](crate::StopHandle) of the end was stopped while the queue was full.
        #[error("the end was stopped by its `StopHandle` while the queue was full; nothing was sent")]
        Stopped,
    }

    /// Reason why [`Pusher::try_send`](crate::Pusher::try_send) did not send. The caller keeps the message.
    TryPushError {
        /// Every slot has a message that no puller has finished.
        #[error("the queue is full; send later, pull faster, or raise `slots`")]
        Full,
    }
    // A `StopHandle` stops only calls that may block.
    <- PushError { Stopped => Full }

    /// Reason why [`Pusher::send_timeout`](crate::Pusher::send_timeout) or
    /// [`Pusher::send_deadline`](crate::Pusher::send_deadline) did not send. The caller keeps the message.
    PushTimeoutError {
        /// The queue stayed full until the timeout.
        #[error("the queue stayed full for the whole time")]
        Timeout,
        /// See [`PushError::Stopped`].
        #[error("the end was stopped by its `StopHandle` while the queue was full; nothing was sent")]
        Stopped,
    }
    <- PushError { Stopped => Stopped }
}

/// Reason why [`Pusher::flush`](crate::Pusher::flush) gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FlushError {
    /// Number of messages of this pusher that were not acknowledged in time. They stay in the queue.
    #[error("{messages} not acknowledged in time; what is left stays in the queue", messages = count(*.0, "message"))]
    Timeout(u64),
    /// The [`StopHandle`](crate::StopHandle) of the end was stopped before this number of its messages was
    /// acknowledged. They stay in the queue.
    #[error(
        "the end was stopped by its `StopHandle` before {messages} were acknowledged; they stay in the queue", messages = count(*.0, "message"))]
    Stopped(u64),
    /// See [`PushError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

operation_errors! {
    common {
        /// The bytes of this job are not a valid value. It is removed from the queue, because no puller can use
        /// it.
        #[error("a job was refused: {0}")]
        Invalid(why: Invalid),
        /// This process was forked from the process that opened the channel.
        #[error("{FORKED}")]
        Forked,
    }

    /// Reason why [`Puller::recv`](crate::Puller::recv) returned no job.
    PullError {
        /// The [`StopHandle`](crate::StopHandle) of the end was stopped. No job was taken.
        #[error("the end was stopped by its `StopHandle`; no job was taken")]
        Stopped,
    }

    /// Reason why [`Puller::try_recv`](crate::Puller::try_recv) returned no job.
    TryPullError {
        /// No job is waiting.
        #[error("no job is waiting")]
        Empty,
    }
    // A `StopHandle` stops only calls that may block.
    <- PullError { Stopped => Empty }

    /// Reason why [`Puller::recv_timeout`](crate::Puller::recv_timeout) or
    /// [`Puller::recv_deadline`](crate::Puller::recv_deadline) returned no job.
    PullTimeoutError {
        /// No job arrived in time.
        #[error("no job came in time")]
        Timeout,
        /// See [`PullError::Stopped`].
        #[error("the end was stopped by its `StopHandle`; no job was taken")]
        Stopped,
    }
    <- PullError { Stopped => Stopped }
}

impl From<Stopped> for PushError {
    fn from(_: Stopped) -> Self {
        PushError::Stopped
    }
}

impl From<Stopped> for PullError {
    fn from(_: Stopped) -> Self {
        PullError::Stopped
    }
}
