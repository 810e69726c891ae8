//! The same three patterns on a live channel of the Python library [shm-comm] 1.0.0.
//!
//! The other end is an unmodified Python process, or another program in Rust; each role can be on either
//! side. The ends here handle the weaknesses of the format with more care than Python does. Each end
//! documents its protections, and `docs/python.md` lists all of them, with the weaknesses that no end can
//! repair.
//!
//! ```
//! use shmcomm::codec::Bytes;
//! use shmcomm::python::{Options, Publisher, Subscriber};
//!
//! # let name = format!("doc-{}", std::process::id());
//! // from shm_comm import Subscriber
//! // print(Subscriber("pose").recv_bytes())
//! let mut publisher = Publisher::<[u8], Bytes>::open(Options::pubsub(name.clone()))?;
//! # let mut subscriber = Subscriber::<Vec<u8>, Bytes>::open(Options::pubsub(name))?;
//! publisher.send(b"1.0 2.5 0.0")?;
//! # assert_eq!(subscriber.recv()?, b"1.0 2.5 0.0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Python wakes no process, so a waiting end polls. After some microseconds of polling it sleeps for 50 µs
//! between two polls, after 20 ms of waiting for 200 µs, after a second for a millisecond. A native channel
//! uses a futex.
//!
//! The files are in `/dev/shm`, as in Python: `SHMCOMM_DIR` does not apply.
//!
//! [shm-comm]: https://pypi.org/project/shm-comm/1.0.0/

mod error;
mod format;
#[cfg(feature = "async")]
mod future;
mod observed;
mod options;
mod owner;
mod poll;
mod publisher;
mod puller;
mod pusher;
mod receive;
mod replier;
mod requester;
mod stats;
mod subscriber;
// The segments of Python's library exist on Linux only.
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod trace;
mod v1;

pub use error::{
    RecvError, RecvTimeoutError, RequestError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    Unreadable,
};
pub use format::{Format, Incoming, Outgoing};
#[cfg(feature = "async")]
pub use future::Stream;
pub(crate) use observed::{ObservedRead, ObservedSegment};
pub use options::Options;
pub use owner::heal::{Healer, heal};
pub use owner::unlink::force_unlink;
pub use publisher::Publisher;
pub use puller::Puller;
pub use pusher::Pusher;
pub use replier::Replier;
pub use requester::Requester;
pub use stats::Stats;
pub use subscriber::Subscriber;
pub use v1::name::name_problem;
pub(crate) use v1::name::queue_name_problem;

use core::marker::PhantomData;

/// Marker of an end that sends `M`.
type Sends<M, F> = PhantomData<(fn(&M), fn(&F))>;
/// Marker of an end that receives `M`.
type Receives<M, F> = PhantomData<(fn() -> M, fn(&F))>;
/// Marker of an end that receives `A` and sends `B`.
type Exchanges<A, B, F> = PhantomData<(fn() -> A, fn(&B), fn(&F))>;
