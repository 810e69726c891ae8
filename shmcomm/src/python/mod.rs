//! The same three patterns on a live channel of the Python library [shm-comm] 1.0.0.
//!
//! The other end is an unmodified Python process, or another program in Rust; each role can be on
//! either side. The ends here are more careful with the format than Python is with itself: see each of
//! them for what it guards against, and `docs/python.md` for the whole list, and for what no end can
//! mend.
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
//! Python wakes nobody, so waiting here is looking again and again: after some microseconds of that
//! an end sleeps for 50 µs between two looks, after 20 ms of waiting for 200 µs, after a second for a
//! millisecond. On a native channel it is a futex.
//!
//! Files are in `/dev/shm`, where Python has them: `SHMCOMM_DIR` does not apply.
//!
//! [shm-comm]: https://pypi.org/project/shm-comm/1.0.0/

mod door;
mod error;
mod format;
#[cfg(feature = "async")]
mod future;
mod heal;
mod lock;
mod name;
mod options;
mod owner;
mod poll;
mod publisher;
mod puller;
mod pusher;
#[allow(unsafe_code)]
mod raw;
mod receive;
mod replier;
mod requester;
mod ring;
mod segment;
mod stats;
mod subscriber;
#[cfg(test)]
mod tests;
mod unlink;

pub use error::{
    RecvError, RecvTimeoutError, RequestError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    Unreadable,
};
pub use format::{Format, Incoming, Outgoing};
#[cfg(feature = "async")]
pub use future::Stream;
pub use heal::{Healer, heal};
pub use name::name_problem;
pub use options::Options;
pub use publisher::Publisher;
pub use puller::Puller;
pub use pusher::Pusher;
pub use replier::Replier;
pub use requester::Requester;
pub use stats::Stats;
pub use subscriber::Subscriber;
pub use unlink::force_unlink;

use core::marker::PhantomData;

/// Of an end that sends `M`.
type Sends<M, F> = PhantomData<(fn(&M), fn(&F))>;
/// Of an end that receives `M`.
type Receives<M, F> = PhantomData<(fn() -> M, fn(&F))>;
/// Of an end that receives `A` and sends `B`.
type Exchanges<A, B, F> = PhantomData<(fn() -> A, fn(&B), fn(&F))>;
