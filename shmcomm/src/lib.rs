//! Typed shared-memory channels between processes.

#![deny(unsafe_code)]

#[cfg(test)]
extern crate self as shmcomm;

#[cfg(not(loom))]
pub mod channel;
pub mod codec;
#[cfg(not(loom))]
mod error;
mod fault;
#[allow(unsafe_code)]
mod layout;
pub mod message;
#[cfg(not(loom))]
mod os;
#[cfg(not(loom))]
mod pubsub;
#[cfg(not(loom))]
mod pushpull;
#[cfg(all(feature = "python", not(loom)))]
pub mod python;
mod ring;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod segment;
#[cfg(not(loom))]
mod stats;
mod sync;
#[cfg(not(loom))]
mod wait;

#[cfg(not(loom))]
pub use channel::{Channel, Opener, PubSub, PushPull, ReqRep};
#[cfg(not(loom))]
pub use error::{Error, ErrorKind};
pub use message::{CapacityError, Fixed, Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
#[cfg(not(loom))]
pub use pubsub::{
    Iter, Loan, Publisher, RecvError, RecvTimeoutError, Sample, SendError, Subscriber, TailLoan, TailSample,
    TryRecvError,
};
#[cfg(not(loom))]
pub use pushpull::{
    FlushError, Job, PullError, PullTimeoutError, Puller, PushError, PushLoan, PushTimeoutError, Pusher,
    TryPullError, TryPushError,
};
#[cfg(not(loom))]
pub use segment::{Participant, Role, SegmentInfo, force_unlink, list_segments};
#[cfg(not(loom))]
pub use stats::{Backlog, Stats};

#[cfg(feature = "derive")]
pub use shmcomm_derive::ShmMessage;

/// What macro expansions call. Not public API.
#[doc(hidden)]
pub mod __private {
    #[cfg(not(loom))]
    pub use crate::channel::declare as channel;
    pub use crate::message::private as message;
}
