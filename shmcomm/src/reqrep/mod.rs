//! Request/reply: every request is answered by one replier, or its requester is told why not.
//!
//! Owns both ends and what they answer. Calls `segment`, `ring`, `wait` and `message`. Never touches
//! a mapping or a slot itself.
//!
//! A request and its reply share a slot, so there is nothing to match: a reply is where its request
//! was. What a participant that dies leaves is made good by the others: those who wait look at least
//! every 50 ms.

mod call;
mod end;
mod error;
mod form;
#[cfg(feature = "async")]
mod future;
mod replier;
mod request;
mod requester;

pub use call::Call;
pub use error::{
    CallError, ReplyError, RequestError, RequestTimeoutError, ServeError, ServeTimeoutError, TryServeError,
};
#[cfg(feature = "async")]
pub use future::Answer;
pub use replier::{Replier, StopHandle};
pub use request::Request;
pub use requester::Requester;
