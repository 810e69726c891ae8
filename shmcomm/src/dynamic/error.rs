//! [`DynError`]: the error of the operations of all dynamic ends.
//!
//! Owns the conversion from the errors of the typed ends. Never formats on the path of a message.

use crate::codec;
use crate::plural::count;
use crate::schema;
use core::fmt;

/// Reason why an operation of a dynamic end failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DynError {
    /// The value does not fit the layout; the error names the field. Nothing was sent.
    Encode(schema::EncodeError),
    /// The codec refuses the value. Nothing was sent. A value that is too long is [`TooLong`](DynError::TooLong).
    Codec(codec::EncodeError),
    /// The bytes are not a message of the channel. Nothing was sent.
    Value(ValueError),
    /// The message takes `size` bytes, and a slot holds `capacity`. Nothing was sent.
    TooLong {
        /// Size of the message in bytes.
        size: usize,
        /// Capacity of a slot in bytes.
        capacity: usize,
    },
    /// No message is waiting.
    Empty,
    /// No slot is free.
    Full,
    /// The time is over.
    Timeout,
    /// This number of messages was overwritten before they were received.
    Lagged(u64),
    /// No publisher is alive, and no message is left.
    Disconnected,
    /// The requester has cancelled the request, or died. The reply was not sent.
    Cancelled,
    /// The `StopHandle` of the end was stopped.
    Stopped,
    /// The end was opened before a `fork`, and this process is the child.
    Forked,
    /// The subscriber has a [`DynSample`](super::DynSample) that was not dropped. No message was taken.
    SampleHeld,
    /// Any other error of the typed end.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for DynError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DynError::Encode(error) => error.fmt(f),
            DynError::Codec(error) => error.fmt(f),
            DynError::Value(error) => error.fmt(f),
            DynError::TooLong { size, capacity } => {
                let size = count(*size, "byte");
                write!(
                    f,
                    "the message takes {size}, but a slot holds {capacity}; shorten it, or raise `slot_size`"
                )
            }
            DynError::Empty => f.write_str("no message is waiting"),
            DynError::Full => f.write_str("no slot is free; send later, or raise `slots`"),
            DynError::Timeout => f.write_str("the time is over"),
            DynError::Lagged(lost) => {
                let lost = count(*lost, "message");
                write!(f, "{lost} overwritten before they were received; receive faster, or raise `slots`")
            }
            DynError::Disconnected => f.write_str("no publisher is alive, and no message is left"),
            DynError::Cancelled => f.write_str("the requester does not wait for a reply any more"),
            DynError::Stopped => f.write_str("the end was stopped by its `StopHandle`"),
            DynError::Forked => {
                f.write_str("this end was opened before `fork`; open the channel again in the child")
            }
            DynError::SampleHeld => f.write_str(
                "a message that this subscriber received in place is still in use, and a subscriber has one at a time; \
                 drop it first, or receive a copy",
            ),
            DynError::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DynError {}

impl From<schema::EncodeError> for DynError {
    fn from(error: schema::EncodeError) -> Self {
        DynError::Encode(error)
    }
}

impl From<codec::EncodeError> for DynError {
    fn from(error: codec::EncodeError) -> Self {
        match error {
            codec::EncodeError::TooLong { needed: size, capacity } => DynError::TooLong { size, capacity },
            refused => DynError::Codec(refused),
        }
    }
}

impl From<ValueError> for DynError {
    fn from(error: ValueError) -> Self {
        DynError::Value(error)
    }
}

/// Implements the conversion of a typed error: the listed variants have their own, others are `Other`.
macro_rules! from {
    ($($error:path { $($pattern:pat => $to:expr,)* })*) => {$(
        impl From<$error> for DynError {
            fn from(error: $error) -> Self {
                #[allow(unused_imports)]
                use $error::*;
                match error {
                    $($pattern => $to,)*
                    #[allow(unreachable_patterns)]
                    other => DynError::Other(Box::new(other)),
                }
            }
        }
    )*};
}

from! {
    crate::SendError {
        TooLong { size, capacity } => DynError::TooLong { size, capacity },
        Unencodable(error) => error.into(),
        AllSlotsHeld => DynError::Full,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::TrySendError {
        Full => DynError::Full,
        Refused(error) => error.into(),
    }
    crate::SendTimeoutError {
        Timeout => DynError::Timeout,
        Refused(error) => error.into(),
    }
    crate::RecvError {
        Lagged(lost) => DynError::Lagged(lost),
        Disconnected => DynError::Disconnected,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::TryRecvError {
        Empty => DynError::Empty,
        Lagged(lost) => DynError::Lagged(lost),
        Disconnected => DynError::Disconnected,
        Forked => DynError::Forked,
    }
    crate::RecvTimeoutError {
        Timeout => DynError::Timeout,
        Lagged(lost) => DynError::Lagged(lost),
        Disconnected => DynError::Disconnected,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::PushError {
        Unencodable(error) => error.into(),
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::TryPushError { Unencodable(error) => error.into(), Full => DynError::Full, Forked => DynError::Forked, }
    crate::PushTimeoutError {
        Unencodable(error) => error.into(),
        Timeout => DynError::Timeout,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::FlushError {
        Timeout(_) => DynError::Timeout,
        Stopped(_) => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::PullError { Stopped => DynError::Stopped, Forked => DynError::Forked, }
    crate::TryPullError { Empty => DynError::Empty, Forked => DynError::Forked, }
    crate::PullTimeoutError {
        Timeout => DynError::Timeout,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::RequestError {
        Unencodable(error) => error.into(),
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::RequestTimeoutError {
        Unencodable(error) => error.into(),
        Timeout => DynError::Timeout,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::TryReplyError {
        Unencodable(error) => error.into(),
        Empty => DynError::Empty,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::ReplyError {
        Cancelled => DynError::Cancelled,
        Unencodable(error) => error.into(),
        Forked => DynError::Forked,
    }
    crate::SendReplyError {
        Cancelled => DynError::Cancelled,
        Unencodable(error) => error.into(),
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::TrySendReplyError {
        Cancelled => DynError::Cancelled,
        Unencodable(error) => error.into(),
        Full => DynError::Full,
        Forked => DynError::Forked,
    }
    crate::SendReplyTimeoutError {
        Cancelled => DynError::Cancelled,
        Unencodable(error) => error.into(),
        Timeout => DynError::Timeout,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::LoadError { Forked => DynError::Forked, }
    crate::StoreError { Forked => DynError::Forked, }
    crate::TableWaitError { Stopped => DynError::Stopped, Forked => DynError::Forked, }
    crate::ServeError { Stopped => DynError::Stopped, Forked => DynError::Forked, }
    crate::TryServeError { Empty => DynError::Empty, Forked => DynError::Forked, }
    crate::ServeTimeoutError {
        Timeout => DynError::Timeout,
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
}

#[cfg(feature = "python")]
from! {
    crate::python::SendError {
        TooLong { size, capacity } => DynError::TooLong { size, capacity },
        Refused(error) => error.into(),
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::python::TrySendError { Full => DynError::Full, Failed(error) => error.into(), }
    crate::python::SendTimeoutError { Timeout => DynError::Timeout, Failed(error) => error.into(), }
    crate::python::RecvError { Lagged(lost) => DynError::Lagged(lost), Stopped => DynError::Stopped, Forked => DynError::Forked, }
    crate::python::TryRecvError { Empty => DynError::Empty, Lagged(lost) => DynError::Lagged(lost), Forked => DynError::Forked, }
    crate::python::RecvTimeoutError {
        Timeout => DynError::Timeout,
        Lagged(lost) => DynError::Lagged(lost),
        Stopped => DynError::Stopped,
        Forked => DynError::Forked,
    }
    crate::python::RequestError {
        Timeout => DynError::Timeout,
        Send(error) => error.into(),
        Stopped => DynError::Stopped,
    }
}

/// Reason why the bytes of a message have no value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ValueError {
    /// The bytes are not a message of the layout; the error names the part.
    Invalid(schema::Invalid),
    /// The bytes are not a message of the codec.
    Decode(codec::DecodeError),
    /// The bytes are not a value of a key of a table.
    TableKey {
        /// Name of the key.
        key: String,
        /// Part of the value that is wrong. For an encoded value it has the codec and the number of bytes.
        problem: schema::Invalid,
    },
    /// The segment does not say how to read its messages, or this program cannot read them.
    Unknown(String),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Invalid(why) => why.fmt(f),
            ValueError::Decode(why) => why.fmt(f),
            ValueError::TableKey { key, problem } => {
                write!(f, "the value of key `{}` is invalid: {problem}", crate::escape::Escaped(key))
            }
            ValueError::Unknown(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ValueError {}

impl From<schema::Invalid> for ValueError {
    fn from(why: schema::Invalid) -> Self {
        ValueError::Invalid(why)
    }
}
