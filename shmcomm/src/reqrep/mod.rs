//! Request/reply: one replier answers each request, or its requester receives the reason why not.
//!
//! Owns both ends and their results. Calls `segment`, `ring`, `wait` and `message`. Never touches a mapping
//! or a slot itself.
//!
//! A request and its reply share a slot, so replies need no correlation: a reply is where its request was.
//! The other participants recover a dead participant (Agrona `unblock`): a waiting end scans at least every
//! 50 ms.
//!
//! On a channel with `replies: Stream` a request has any number of replies: `stream_requester`, `replies`,
//! `stream_replier` and `stream_request`.

mod asking_end;
mod call;
mod error;
mod form;
#[cfg(feature = "async")]
mod future;
mod raw_requester;
mod replier;
mod replies;
mod reply;
mod request;
mod request_loan;
mod requester;
mod stream_replier;
mod stream_request;
mod stream_requester;

pub use call::Call;
pub use error::{
    CallError, ReplyError, RequestError, RequestTimeoutError, SendReplyError, SendReplyTimeoutError,
    ServeError, ServeTimeoutError, TryReplyError, TrySendReplyError, TryServeError,
};
#[cfg(feature = "async")]
pub use future::Answer;
pub use replier::Replier;
pub use replies::Replies;
pub use reply::Reply;
pub use request::Request;
pub use request_loan::RequestLoan;
pub use requester::Requester;
pub use stream_replier::StreamReplier;
pub use stream_request::StreamRequest;
pub use stream_requester::StreamRequester;

use asking_end::asking_end;

use crate::layout::{FLAG_REDELIVER, Geometry, Region};
use crate::queue_end::recover;
use crate::segment::{PatternOps, Spec};

/// Returns the recovery that the channel declares, with or without redelivery. A request lives no longer than
/// its requester, so no request keeps a segment without participants.
fn ops(spec: &Spec) -> PatternOps {
    fn drained(_: &Region, _: &Geometry) -> bool {
        true
    }
    if spec.flags & FLAG_REDELIVER != 0 {
        PatternOps { recover: |region, geometry, seat| recover(region, geometry, seat, true), drained }
    } else {
        PatternOps { recover: |region, geometry, seat| recover(region, geometry, seat, false), drained }
    }
}
