//! What a single request or reply can answer instead of success: small enums, exhaustive on purpose.

use crate::codec::EncodeError;
use crate::message::Invalid;
use thiserror::Error;

const FORKED: &str = "this end was opened before `fork`; open the channel again in the child";
const DAMAGED: &str = "another process has written over the slot of this request; the segment is damaged: \
                       remove it with `force_unlink` and start all ends anew";

/// Why [`Requester::call`](crate::Requester::call) did not send the request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Every slot has a request that is not answered, or an answer that is not fetched.
    #[error("no slot is free; fetch or drop pending calls, add repliers, or raise `slots`")]
    Full,
    /// The codec of the channel cannot hold this request, or it does not fit into a slot.
    #[error("{0}")]
    Unencodable(EncodeError),
    /// This process is a fork of the one that opened the channel.
    #[error("{FORKED}")]
    Forked,
    /// Somebody who does not keep to the protocol wrote to the segment.
    #[error("{DAMAGED}")]
    Damaged,
}

/// Why a request has no reply.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// A replier took the request and dropped it.
    #[error("the replier dropped the request without an answer")]
    Unanswered,
    /// The replier that had the request died. It may have done some, all or nothing of what was
    /// asked; where asking twice does no harm, declare the channel with `redeliver: true`.
    #[error("the replier died with the request; whether it did what was asked is not known")]
    PeerDied,
    /// The bytes of the reply are not a valid value.
    #[error("a reply was refused: {0}")]
    Invalid(Invalid),
    /// As in [`CallError::Unencodable`].
    #[error("{0}")]
    Unencodable(EncodeError),
    /// As in [`CallError::Forked`].
    #[error("{FORKED}")]
    Forked,
    /// As in [`CallError::Damaged`].
    #[error("{DAMAGED}")]
    Damaged,
}

/// Why a request has no reply yet, or none at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestTimeoutError {
    /// No answer came in time.
    #[error("no answer came in time")]
    Timeout,
    /// As in [`RequestError::Unanswered`].
    #[error("the replier dropped the request without an answer")]
    Unanswered,
    /// As in [`RequestError::PeerDied`].
    #[error("the replier died with the request; whether it did what was asked is not known")]
    PeerDied,
    /// As in [`RequestError::Invalid`].
    #[error("a reply was refused: {0}")]
    Invalid(Invalid),
    /// As in [`CallError::Unencodable`].
    #[error("{0}")]
    Unencodable(EncodeError),
    /// As in [`CallError::Forked`].
    #[error("{FORKED}")]
    Forked,
    /// As in [`CallError::Damaged`].
    #[error("{DAMAGED}")]
    Damaged,
}

/// Why a reply did not reach its requester.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// The requester has given up: it dropped the call, or died. The reply is discarded.
    #[error("the requester does not wait for this reply any more")]
    Cancelled,
    /// The codec of the channel cannot hold this reply, or it does not fit into the slot. The
    /// requester is told that its request stays unanswered.
    #[error("{0}")]
    Unencodable(EncodeError),
    /// As in [`CallError::Forked`]. The parent still has the request.
    #[error("{FORKED}")]
    Forked,
}

/// Why [`Replier::try_recv`](crate::Replier::try_recv) has no request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TryServeError {
    /// No request is waiting.
    #[error("no request is waiting")]
    Empty,
    /// The bytes of this request are not a valid value. Its requester is told that it stays
    /// unanswered.
    #[error("a request was refused: {0}")]
    Invalid(Invalid),
    /// As in [`CallError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

/// Why [`Replier::recv`](crate::Replier::recv) has no request, or
/// [`Replier::serve`](crate::Replier::serve) ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ServeError {
    /// As in [`TryServeError::Invalid`].
    #[error("a request was refused: {0}")]
    Invalid(Invalid),
    /// As in [`CallError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

/// Why [`Replier::recv_timeout`](crate::Replier::recv_timeout) or
/// [`Replier::recv_deadline`](crate::Replier::recv_deadline) has no request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ServeTimeoutError {
    /// No request came in time.
    #[error("no request came in time")]
    Timeout,
    /// As in [`TryServeError::Invalid`].
    #[error("a request was refused: {0}")]
    Invalid(Invalid),
    /// As in [`CallError::Forked`].
    #[error("{FORKED}")]
    Forked,
}

impl From<CallError> for RequestTimeoutError {
    fn from(error: CallError) -> Self {
        match error {
            // Only where the wait for room came to its deadline.
            CallError::Full => RequestTimeoutError::Timeout,
            CallError::Unencodable(why) => RequestTimeoutError::Unencodable(why),
            CallError::Forked => RequestTimeoutError::Forked,
            CallError::Damaged => RequestTimeoutError::Damaged,
        }
    }
}

impl From<RequestError> for RequestTimeoutError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Unanswered => RequestTimeoutError::Unanswered,
            RequestError::PeerDied => RequestTimeoutError::PeerDied,
            RequestError::Invalid(why) => RequestTimeoutError::Invalid(why),
            RequestError::Unencodable(why) => RequestTimeoutError::Unencodable(why),
            RequestError::Forked => RequestTimeoutError::Forked,
            RequestError::Damaged => RequestTimeoutError::Damaged,
        }
    }
}

impl From<ServeError> for TryServeError {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Invalid(why) => TryServeError::Invalid(why),
            ServeError::Forked => TryServeError::Forked,
        }
    }
}

impl From<ServeError> for ServeTimeoutError {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Invalid(why) => ServeTimeoutError::Invalid(why),
            ServeError::Forked => ServeTimeoutError::Forked,
        }
    }
}
