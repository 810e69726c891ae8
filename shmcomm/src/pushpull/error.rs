//! What a single push or pull can answer instead of success: small enums, exhaustive on purpose.

use crate::codec::EncodeError;
use crate::message::Invalid;
use thiserror::Error;

const FORKED: &str = "this end was opened before `fork`; open the channel again in the child";
const DAMAGED: &str = "another process has written over the slot of this message; the segment is damaged: \
                       remove it with `force_unlink` and start all ends anew";

/// Why [`Pusher::try_send`](crate::Pusher::try_send) did not send. The message stays with the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TryPushError {
    /// Every slot has a message that no puller has finished.
    #[error("the queue is full; send later, pull faster, or raise `slots`")]
    Full,
    /// The codec of the channel cannot hold this message, or it does not fit into a slot.
    #[error("{0}")]
    Unencodable(EncodeError),
    /// This process is a fork of the one that opened the channel.
    #[error("{FORKED}")]
    Forked,
    /// Somebody who does not keep to the protocol wrote to the segment.
    #[error("{DAMAGED}")]
    Damaged,
}

/// Why [`Pusher::send`](crate::Pusher::send) did not send. The message stays with the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// As in [`TryPushError::Unencodable`].
    #[error("{0}")]
    Unencodable(EncodeError),
    /// As in [`TryPushError::Forked`].
    #[error("{FORKED}")]
    Forked,
    /// As in [`TryPushError::Damaged`].
    #[error("{DAMAGED}")]
    Damaged,
}

/// Why [`Pusher::send_timeout`](crate::Pusher::send_timeout) or
/// [`Pusher::send_deadline`](crate::Pusher::send_deadline) did not send. The message stays with the
/// caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PushTimeoutError {
    /// The queue was full all the time.
    #[error("the queue stayed full for the whole time")]
    Timeout,
    /// As in [`TryPushError::Unencodable`].
    #[error("{0}")]
    Unencodable(EncodeError),
    /// As in [`TryPushError::Forked`].
    #[error("{FORKED}")]
    Forked,
    /// As in [`TryPushError::Damaged`].
    #[error("{DAMAGED}")]
    Damaged,
}

/// Why [`Pusher::flush`](crate::Pusher::flush) gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FlushError {
    /// So many messages of this pusher were not acknowledged in time. They stay in the queue.
    #[error("{0} messages were not acknowledged in time; they stay in the queue")]
    Timeout(u64),
    /// As in [`TryPushError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

/// Why [`Puller::try_recv`](crate::Puller::try_recv) has no job.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TryPullError {
    /// No job is waiting.
    #[error("no job is waiting")]
    Empty,
    /// The bytes of this job are not a valid value. It is taken off the queue: nobody can use it.
    #[error("a job was refused: {0}")]
    Invalid(Invalid),
    /// As in [`TryPushError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

/// Why [`Puller::recv`](crate::Puller::recv) has no job.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PullError {
    /// As in [`TryPullError::Invalid`].
    #[error("a job was refused: {0}")]
    Invalid(Invalid),
    /// As in [`TryPullError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

/// Why [`Puller::recv_timeout`](crate::Puller::recv_timeout) or
/// [`Puller::recv_deadline`](crate::Puller::recv_deadline) has no job.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PullTimeoutError {
    /// No job came in time.
    #[error("no job came in time")]
    Timeout,
    /// As in [`TryPullError::Invalid`].
    #[error("a job was refused: {0}")]
    Invalid(Invalid),
    /// As in [`TryPullError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

impl From<PushError> for TryPushError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Unencodable(why) => TryPushError::Unencodable(why),
            PushError::Forked => TryPushError::Forked,
            PushError::Damaged => TryPushError::Damaged,
        }
    }
}

impl From<PushError> for PushTimeoutError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Unencodable(why) => PushTimeoutError::Unencodable(why),
            PushError::Forked => PushTimeoutError::Forked,
            PushError::Damaged => PushTimeoutError::Damaged,
        }
    }
}

impl From<PullError> for TryPullError {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Invalid(why) => TryPullError::Invalid(why),
            PullError::Forked => TryPullError::Forked,
        }
    }
}

impl From<PullError> for PullTimeoutError {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Invalid(why) => PullTimeoutError::Invalid(why),
            PullError::Forked => PullTimeoutError::Forked,
        }
    }
}
