//! Push/pull: each message goes to exactly one puller, and none that was accepted is lost.
//!
//! Owns both ends and what they answer. Calls `segment`, `ring`, `wait` and `message`. Never touches
//! a mapping or a slot itself.
//!
//! What a participant that dies leaves is made good by the others: those who wait look at least every
//! 50 ms, those who work every so many messages. A job that a dead puller had goes back to the queue.

mod end;
mod error;
#[cfg(feature = "async")]
mod future;
mod job;
mod puller;
mod pusher;

pub use error::{
    FlushError, PullError, PullTimeoutError, PushError, PushTimeoutError, TryPullError, TryPushError,
};
#[cfg(feature = "async")]
pub use future::JobStream;
pub use job::{Job, PushLoan};
pub use puller::Puller;
pub use pusher::Pusher;
