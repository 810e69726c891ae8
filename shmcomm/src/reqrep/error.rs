//! Errors of a single request or reply: small enums, exhaustive on purpose.

use crate::codec::EncodeError;
use crate::error::operation_errors;
use crate::message::Invalid;
use crate::wait::Stopped;
use thiserror::Error;

const FORKED: &str = "this end was opened before `fork`; open the channel again in the child";
const DAMAGED: &str = "another process has written over the slot of this request; the segment is damaged: \
                       remove it with `force_unlink` and restart all ends";

/// Reason why [`Requester::call`](crate::Requester::call) did not send the request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Every slot has a request without an answer, or an answer that was not fetched.
    #[error("no slot is free; fetch or drop pending calls, add repliers, or raise `slots`")]
    Full,
    /// The codec of the channel cannot hold this request, or it does not fit into a slot.
    #[error("{0}")]
    Unencodable(EncodeError),
    /// This process was forked from the process that opened the channel.
    #[error("{FORKED}")]
    Forked,
    /// A process that violates the protocol wrote to the segment.
    #[error("{DAMAGED}")]
    Damaged,
}

operation_errors! {
    common {
        /// A replier took the request and dropped it.
        #[error("the replier dropped the request without an answer")]
        Unanswered,
        /// The replier that had the request died. It may have done some, all or nothing of the request. If a
        /// repeated request does no harm, declare the channel with `redeliver: true`.
        #[error("the replier died with the request; it is not known if the request was carried out")]
        PeerDied,
        /// The bytes of the reply are not a valid value.
        #[error("a reply was refused: {0}")]
        Invalid(why: Invalid),
        /// See [`CallError::Unencodable`].
        #[error("{0}")]
        Unencodable(why: EncodeError),
        /// The [`StopHandle`](crate::StopHandle) of the end was stopped before the answer arrived. A request that
        /// was sent may have been carried out.
        #[error(
            "the end was stopped by its `StopHandle` before the answer came; the request may have been carried out"
        )]
        Stopped,
        /// See [`CallError::Forked`].
        #[error("{FORKED}")]
        Forked,
        /// See [`CallError::Damaged`].
        #[error("{DAMAGED}")]
        Damaged,
    }

    /// Reason why a request has no reply.
    RequestError {}

    /// Reason why a request has no reply yet, or none at all.
    RequestTimeoutError {
        /// No answer arrived in time.
        #[error("no answer came in time")]
        Timeout,
    }
    <- RequestError {}

    /// Reason why [`Replies::try_recv`](crate::Replies::try_recv) returned no reply.
    TryReplyError {
        /// No reply has arrived yet.
        #[error("no reply has come yet")]
        Empty,
    }
    <- RequestError {}
}

operation_errors! {
    common {
        /// The requester has cancelled the request: it dropped the replies, or died. The reply was not sent.
        #[error("the requester does not want further replies")]
        Cancelled,
        /// The codec of the channel cannot hold this reply, or it does not fit into the window. The reply was not sent.
        /// The stream is not over: another reply can be sent.
        #[error("{0}")]
        Unencodable(why: EncodeError),
        /// See [`CallError::Forked`]. The parent still has the request.
        #[error("{FORKED}")]
        Forked,
    }

    /// Reason why [`StreamRequest::send`](crate::StreamRequest::send) did not send a reply.
    SendReplyError {
        /// The [`StopHandle`](crate::StopHandle) of the end was stopped before there was room for the reply.
        #[error("the end was stopped by its `StopHandle` before there was room for the reply")]
        Stopped,
    }

    /// Reason why [`StreamRequest::try_send`](crate::StreamRequest::try_send) did not send a reply.
    TrySendReplyError {
        /// The requester has not received the replies in the window.
        #[error("the requester has as many unread replies as the window holds; send later, or raise `window`")]
        Full,
    }

    /// Reason why [`StreamRequest::send_timeout`](crate::StreamRequest::send_timeout) or
    /// [`StreamRequest::send_deadline`](crate::StreamRequest::send_deadline) did not send a reply.
    SendReplyTimeoutError {
        /// The requester received no reply in time, so that there was no room.
        #[error("the requester received no reply in time, and as many are unread as the window holds")]
        Timeout,
        /// See [`SendReplyError::Stopped`].
        #[error("the end was stopped by its `StopHandle` before there was room for the reply")]
        Stopped,
    }
    <- SendReplyError { Stopped => Stopped }
}

impl SendReplyError {
    /// Converts the error of a send that does not wait, except that there was no room.
    pub(super) fn of(error: TrySendReplyError) -> Self {
        match error {
            // The caller waits instead.
            TrySendReplyError::Full => SendReplyError::Stopped,
            TrySendReplyError::Cancelled => SendReplyError::Cancelled,
            TrySendReplyError::Unencodable(why) => SendReplyError::Unencodable(why),
            TrySendReplyError::Forked => SendReplyError::Forked,
        }
    }
}

impl From<Stopped> for SendReplyError {
    fn from(_: Stopped) -> Self {
        SendReplyError::Stopped
    }
}

/// Reason why a reply did not reach its requester.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// The requester has cancelled the request: it dropped the call, or died. The reply is discarded.
    #[error("the requester does not wait for this reply any more")]
    Cancelled,
    /// The codec of the channel cannot hold this reply, or it does not fit into the slot. The requester
    /// receives `Unanswered`.
    #[error("{0}")]
    Unencodable(EncodeError),
    /// See [`CallError::Forked`]. The parent still has the request.
    #[error("{FORKED}")]
    Forked,
}

operation_errors! {
    common {
        /// The bytes of this request are not a valid value. Its requester receives `Unanswered`.
        #[error("a request was refused: {0}")]
        Invalid(why: Invalid),
        /// See [`CallError::Forked`].
        #[error("{FORKED}")]
        Forked,
    }

    /// Reason why [`Replier::recv`](crate::Replier::recv) returned no request, or
    /// [`Replier::serve`](crate::Replier::serve) ended.
    ServeError {
        /// The [`StopHandle`](crate::StopHandle) of the end was stopped. No request was taken.
        #[error("the end was stopped by its `StopHandle`; no request was taken")]
        Stopped,
    }

    /// Reason why [`Replier::try_recv`](crate::Replier::try_recv) returned no request.
    TryServeError {
        /// No request is waiting.
        #[error("no request is waiting")]
        Empty,
    }
    // A `StopHandle` stops only calls that may block.
    <- ServeError { Stopped => Empty }

    /// Reason why [`Replier::recv_timeout`](crate::Replier::recv_timeout) or
    /// [`Replier::recv_deadline`](crate::Replier::recv_deadline) returned no request.
    ServeTimeoutError {
        /// No request arrived in time.
        #[error("no request came in time")]
        Timeout,
        /// See [`ServeError::Stopped`].
        #[error("the end was stopped by its `StopHandle`; no request was taken")]
        Stopped,
    }
    <- ServeError { Stopped => Stopped }
}

impl From<Stopped> for RequestError {
    fn from(_: Stopped) -> Self {
        RequestError::Stopped
    }
}

impl From<Stopped> for RequestTimeoutError {
    fn from(_: Stopped) -> Self {
        RequestTimeoutError::Stopped
    }
}

impl From<Stopped> for ServeError {
    fn from(_: Stopped) -> Self {
        ServeError::Stopped
    }
}

impl RequestError {
    /// Converts the error of a request that was not sent, by an end that waits for room.
    pub(super) fn unsent(error: CallError) -> Self {
        match error {
            CallError::Full => RequestError::Unanswered,
            CallError::Unencodable(why) => RequestError::Unencodable(why),
            CallError::Forked => RequestError::Forked,
            CallError::Damaged => RequestError::Damaged,
        }
    }
}

impl From<CallError> for RequestTimeoutError {
    fn from(error: CallError) -> Self {
        match error {
            // This happens only if the wait for room reached its deadline.
            CallError::Full => RequestTimeoutError::Timeout,
            CallError::Unencodable(why) => RequestTimeoutError::Unencodable(why),
            CallError::Forked => RequestTimeoutError::Forked,
            CallError::Damaged => RequestTimeoutError::Damaged,
        }
    }
}
