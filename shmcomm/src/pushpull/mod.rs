//! Push/pull: each message goes to exactly one puller, and none that was accepted is lost.
//!
//! Owns both ends and their results. Calls `segment`, `ring`, `wait` and `message`. Never touches a mapping
//! or a slot itself.
//!
//! The queue is a bounded MPMC queue (Vyukov) with recovery (Agrona `unblock`).
//!
//! The other participants recover a dead participant: a waiting end scans at least every 50 ms, a working end
//! about every 20 ms. A job of a dead puller returns to the queue.

mod error;
#[cfg(feature = "async")]
mod future;
mod growth;
mod iter;
mod job;
mod puller;
mod pusher;
mod raw;

pub use error::{
    FlushError, PullError, PullTimeoutError, PushError, PushTimeoutError, TryPullError, TryPushError,
};
#[cfg(feature = "async")]
pub use future::{JobStream, OwnedJobStream};
pub use iter::{JobIter, JobTryIter};
pub(crate) use job::BytesJob;
pub use job::{Job, PushLoan};
pub use puller::Puller;
pub use pusher::Pusher;

use crate::layout::{Geometry, Region};
use crate::queue_end::recover;
use crate::ring::queue::Queue;
use crate::segment::PatternOps;

/// Recovery of a dead participant, whose jobs return to the queue. Unfinished jobs keep the segment.
const OPS: PatternOps =
    PatternOps { recover: |region, geometry, seat| recover(region, geometry, seat, false), drained };

/// Returns `true` if no job is ready or claimed.
fn drained(region: &Region, geometry: &Geometry) -> bool {
    let backlog = Queue::new(*region, geometry, 0).backlog();
    backlog.ready == 0 && backlog.claimed == 0
}
