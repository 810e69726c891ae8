//! Conditions of operation errors: `is_full`, `is_empty`, `is_timeout` and the like, without a match over all variants.
//!
//! Owns the table of conditions, and [`OperationError`]. Calls the errors of the patterns. Never makes an error.

use crate::{pubsub, pushpull, reqrep, table};

/// The error of a send, a receive or a request, with the conditions that a program reacts to.
///
/// The error enums are small and exhaustive, and each operation has its own. Generic code, such as code with
/// [`Receive`](super::Receive), asks for a condition instead of matching variants. A condition that cannot occur in an
/// operation is `false`. This trait is sealed.
///
/// ```
/// use shmcomm::OperationError;
///
/// /// Returns `true` if it makes sense to try again later.
/// fn is_temporary(error: &impl OperationError) -> bool {
///     error.is_full() || error.is_empty() || error.is_timeout()
/// }
///
/// assert!(is_temporary(&shmcomm::TryPushError::Full));
/// assert!(!is_temporary(&shmcomm::PullError::Stopped));
/// ```
pub trait OperationError: std::error::Error + Send + Sync + 'static + sealed::Sealed {
    /// Returns `true` if there is no room for a message or a request now.
    fn is_full(&self) -> bool {
        false
    }

    /// Returns `true` if no message, job or request waits now.
    fn is_empty(&self) -> bool {
        false
    }

    /// Returns `true` if the time of the call is over. The operation may succeed later.
    fn is_timeout(&self) -> bool {
        false
    }

    /// Returns `true` if the process at the other end is gone: no publisher is alive, or the replier died with the
    /// request.
    fn is_disconnected(&self) -> bool {
        false
    }

    /// Returns `true` if the [`StopHandle`](crate::StopHandle) of the end was stopped.
    fn is_stopped(&self) -> bool {
        false
    }

    /// Returns `true` if this process was forked from the process that opened the end.
    fn is_forked(&self) -> bool {
        false
    }
}

mod sealed {
    pub trait Sealed {}
}

/// Implements the conditions of each error, as inherent methods and as [`OperationError`].
macro_rules! conditions {
    (@doc is_full) => { "Returns `true` if there is no room for a message or a request now." };
    (@doc is_empty) => { "Returns `true` if no message, job or request waits now." };
    (@doc is_timeout) => { "Returns `true` if the time of the call is over. The operation may succeed later." };
    (@doc is_disconnected) => {
        "Returns `true` if the process at the other end is gone: no publisher is alive, or the replier died with the request."
    };
    (@doc is_stopped) => { "Returns `true` if the [`StopHandle`](crate::StopHandle) of the end was stopped." };
    (@doc is_forked) => { "Returns `true` if this process was forked from the process that opened the end." };
    ($($folder:ident::$error:ident { $($condition:ident: $variant:pat,)* })*) => {$(
        impl $folder::$error {
            $(
                #[doc = conditions!(@doc $condition)]
                #[must_use]
                pub fn $condition(&self) -> bool {
                    #[allow(unused_imports, reason = "not every table names inner errors")]
                    use $folder::*;
                    matches!(self, $variant)
                }
            )*
        }

        impl sealed::Sealed for $folder::$error {}

        impl OperationError for $folder::$error {
            $(fn $condition(&self) -> bool {
                $folder::$error::$condition(self)
            })*
        }
    )*};
}

conditions! {
    pubsub::SendError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    pubsub::TrySendError {
        is_full: Self::Full,
        is_stopped: Self::Refused(SendError::Stopped),
        is_forked: Self::Refused(SendError::Forked),
    }
    pubsub::SendTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Refused(SendError::Stopped),
        is_forked: Self::Refused(SendError::Forked),
    }
    pubsub::RecvError {
        is_disconnected: Self::Disconnected,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    pubsub::TryRecvError {
        is_empty: Self::Empty,
        is_disconnected: Self::Disconnected,
        is_forked: Self::Forked,
    }
    pubsub::RecvTimeoutError {
        is_timeout: Self::Timeout,
        is_disconnected: Self::Disconnected,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    pushpull::PushError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    pushpull::TryPushError {
        is_full: Self::Full,
        is_forked: Self::Forked,
    }
    pushpull::PushTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    pushpull::FlushError {
        is_timeout: Self::Timeout(_),
        is_stopped: Self::Stopped(_),
        is_forked: Self::Forked,
    }
    pushpull::PullError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    pushpull::TryPullError {
        is_empty: Self::Empty,
        is_forked: Self::Forked,
    }
    pushpull::PullTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    reqrep::CallError {
        is_full: Self::Full,
        is_forked: Self::Forked,
    }
    reqrep::RequestError {
        is_disconnected: Self::PeerDied,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    reqrep::RequestTimeoutError {
        is_timeout: Self::Timeout,
        is_disconnected: Self::PeerDied,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    reqrep::ReplyError {
        is_forked: Self::Forked,
    }
    reqrep::TryReplyError {
        is_empty: Self::Empty,
        is_disconnected: Self::PeerDied,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    reqrep::SendReplyError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    reqrep::TrySendReplyError {
        is_full: Self::Full,
        is_forked: Self::Forked,
    }
    reqrep::SendReplyTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    reqrep::ServeError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    reqrep::TryServeError {
        is_empty: Self::Empty,
        is_forked: Self::Forked,
    }
    reqrep::ServeTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    table::TableWaitError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    table::TableWaitTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
}

#[cfg(feature = "python")]
use crate::python;

#[cfg(feature = "python")]
conditions! {
    python::SendError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    python::TrySendError {
        is_full: Self::Full,
        is_stopped: Self::Failed(SendError::Stopped),
        is_forked: Self::Failed(SendError::Forked),
    }
    python::SendTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Failed(SendError::Stopped),
        is_forked: Self::Failed(SendError::Forked),
    }
    python::RecvError {
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    python::TryRecvError {
        is_empty: Self::Empty,
        is_forked: Self::Forked,
    }
    python::RecvTimeoutError {
        is_timeout: Self::Timeout,
        is_stopped: Self::Stopped,
        is_forked: Self::Forked,
    }
    python::RequestError {
        is_full: Self::Send(TrySendError::Full),
        is_timeout: Self::Timeout,
        is_disconnected: Self::Restarted,
        is_stopped: Self::Stopped,
        is_forked: Self::Send(TrySendError::Failed(SendError::Forked)),
    }
}
