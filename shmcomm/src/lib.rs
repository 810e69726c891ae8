//! Typed shared-memory channels between processes of one machine.
//!
//! ```
//! use shmcomm::{ShmMessage, Timestamp, channel};
//! use std::time::Duration;
//!
//! #[derive(Clone, Copy, Debug, ShmMessage)]
//! #[repr(C)]
//! pub struct Imu {
//!     stamp: Timestamp,
//!     acceleration: [f32; 3],
//!     temperature: f32,
//! }
//!
//! channel! {
//!     /// Inertial measurements, 1 kHz.
//!     pub ImuFeed: PubSub<Imu> { name: "robot/imu", slots: 256 }
//! }
//!
//! // In one program:
//! fn sensor() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut imu = ImuFeed::publisher()?;
//!     imu.wait_for_subscribers(1, Duration::from_secs(10));
//!     for _ in 0..100 {
//!         imu.send(&Imu { stamp: Timestamp::now(), acceleration: [0.0, 0.0, 9.81], temperature: 21.5 })?;
//!     }
//!     Ok(())
//! }
//!
//! // In any number of others:
//! fn display() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut imu = ImuFeed::subscriber()?;
//!     for sample in imu.iter() {
//!         println!("{sample:?}");
//!     }
//!     println!("the sensor has ended; received {}, lost {}", imu.received(), imu.lost());
//!     Ok(())
//! }
//! # let namespace = format!("doc-{}", std::process::id());
//! # unsafe { std::env::set_var("SHMCOMM_NAMESPACE", &namespace) };
//! # std::thread::scope(|scope| {
//! #     scope.spawn(|| sensor().unwrap());
//! #     display().unwrap();
//! # });
//! ```
//!
//! The declaration is best put into a library that both programs use. A message is whatever
//! [`ShmMessage`] can be derived for; what cannot work between processes is a compile error that says
//! what to write instead. [`channel!`] has the keys and their ranges.
//!
//! # Which pattern
//!
//! | | [`PubSub`] | [`PushPull`] | [`ReqRep`] |
//! |---|---|---|---|
//! | a message goes to | every subscriber | one of the pullers | one of the repliers, and its reply back |
//! | senders, receivers | one, many | many, many | many, many |
//! | for | measurements, frames, states | jobs | questions, services |
//! | full | the oldest is overwritten; who missed it is told how many. With `overflow: Wait` the sender waits, or is told | senders wait, or are told | requesters wait, or are told |
//! | empty | receivers wait, or are told | receivers wait, or are told | repliers wait, or are told |
//! | sender dies | `Disconnected` until one is back | nothing: what it sent stays | its requests are withdrawn |
//! | receiver dies | nothing | its job goes to another one, marked as redelivered | its requester is told; with `redeliver: true` another one gets the request |
//! | nobody is left | the channel is removed | it stays until its jobs are done | the channel is removed |
//! | ends | [`Publisher`], [`Subscriber`] | [`Pusher`], [`Puller`] | [`Requester`], [`Replier`] |
//!
//! Fixed layouts are the plain case. Other formats: a header with a tail of varying length
//! (`PubSub<Header, [Item]>`), and messages that [`codec`]s encode (`PubSub<Report, Msgpack>`). With
//! `wire: Python` the other end is a process of the Python library.
//!
//! # What is guaranteed
//!
//! * A receiver never sees a message torn or invented. A subscriber sees none twice or out of order, and
//!   what it missed is counted exactly.
//! * A job or a request is with one receiver at a time. Another one gets it only if the first died or
//!   left with it, or a puller put it back, and is told so.
//! * A reply comes to the call that asked, or to nobody, however late it is. Who waits for one learns
//!   within 50 ms that its replier died with the request.
//! * `kill -9` of any process at any instruction: nobody hangs, and nothing leaks but what the next
//!   start takes up again. A publisher that is started again carries on in the same segment, and its
//!   subscribers with it.
//! * A publisher never waits for a subscriber. No step of a send depends on how many there are.
//! * An end that waits sleeps in the kernel, and is woken by the send. In an async program its task sleeps,
//!   not a thread: `recv_async`, with the feature `async`. A [`WaitSet`] waits for many ends at once.
//! * A full file system, a foreign file, a damaged or hostile header, another type of message: a clear
//!   error before any data is touched.
//! * Sending and receiving messages of fixed layout allocates nothing.
//!
//! # What is not
//!
//! * One machine, one user. Nothing is encrypted or authenticated beyond the permissions of a file.
//! * The processes of a channel are trusted not to be *malicious*: one that may write to the segment can
//!   falsify messages, and end others by truncating the file (SIGBUS). Through the receives that copy it
//!   cannot make them touch memory out of bounds; receives in place also trust it to keep to the protocol.
//! * Messages are in memory alone: nothing survives a reboot.
//! * A subscriber that is too slow loses messages, unless the channel says [`overflow: Wait`](Overflow::Wait).
//!   A job for one of many belongs on [`PushPull`].
//!
//! # How it works
//!
//! A **segment** is a file in `/dev/shm`: a header that says what it is, a table of participants, and
//! **slots**, one message each. It gets its name when it is complete.
//!
//! ```text
//!              identity │ control │ seats │ schema │ slot 0 │ slot 1 │ … │ slot n-1
//!                                                     ▲
//!     publisher:  stamp ← "writing 7" ── payload ── stamp ← "done 7"
//!     subscriber:  waits for "done 7" ── payload ── is the stamp still the same?
//! ```
//!
//! * Messages have positions, 0, 1, 2 and so on; position `p` is in slot `p mod n`. A subscriber looks at
//!   the stamp of the position it expects. A later stamp there means that it was overtaken.
//! * Messages up to 4096 bytes are copied in and out between two looks at the stamp, so reader and writer
//!   need no lock and no locked instruction. A small message is one cache line that moves.
//! * Larger ones are made and looked at in place: a bit for each reader keeps the slot, and the publisher
//!   passes a slot that is kept.
//! * In a queue the owner and the lap of a slot are in one word, so that whoever dies leaves a slot that
//!   says who had it. A reply lies behind its request, in the same slot.
//! * Who waits looks for some microseconds, then sleeps in a futex of the segment. A sender looks for
//!   sleepers only if there ever was one.
//! * Who is alive is told by locks on bytes of the file that the kernel drops with a process's mapping.
//!   Whoever wants to clean up after a dead one has to get that lock first.
//! * The layout of the message is in the segment as a number and as text. Programs whose numbers differ do
//!   not exchange messages; the text says which field is another.
//!
//! The bytes, the locks and the order of steps are in `docs/format.md` of the repository, so that other
//! languages can take part. Beside it are pages on getting started, on channels, on the patterns and what
//! they do when somebody dies, on Python at the other end, on troubleshooting with each error, and on
//! performance.
//!
//! # Platforms
//!
//! Linux, from kernel 3.15 on, with `/dev/shm` and `/proc`, in containers too. Tested on x86-64; builds for
//! aarch64. On macOS and Windows the crate builds, and every channel refuses to open, with
//! [`ErrorKind::Unsupported`] and the reason.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `derive` | yes | `#[derive(ShmMessage)]` and [`channel!`] |
//! | `python` | yes | the module `python`: channels with a process of the Python library shm-comm 1.0.0 |
//! | `async` | | `recv_async` and its like, streams; for any executor |
//! | `serde` | | `Serialize` and `Deserialize` for [`ShmString`] and the like |
//! | `pickle`, `msgpack` | | messages in Python's pickle, and in MessagePack; they include `serde` |
//! | `zerocopy` | | types of other crates in messages, if they implement zerocopy's traits |
//! | `trace-slots` | | a log record for each slot that is written or read |
//!
//! # Compared
//!
//! | | shmcomm | iceoryx2 | ZeroMQ | ROS 2 | Unix sockets |
//! |---|---|---|---|---|---|
//! | between machines | no | by a tunnel | yes | yes | no |
//! | languages | Rust; Python through its own library | Rust, C, C++, Python and others | most | C++, Python and others | most |
//! | systems | Linux | Linux, macOS, Windows and others | most | Linux, macOS, Windows | all Unix |
//! | publishers of one channel | 1 | many | many | many | |
//! | async, `poll` | futures for any executor, [`WaitSet`] and its file descriptor | events and file descriptors | yes | executors | yes |
//! | access control | file permissions | file permissions | keys | keys and policies | file permissions, credentials of the peer |
//! | recording, viewers, tools | `list_segments` | some | few | many | few |
//! | in use since | 2026 | 2023 | 2007 | 2017 | 1983 |
//! | message passes the kernel | only a wake does | only a wake does | yes | unless by shared memory | yes |
//! | large message in place | yes | yes | no | with some middleware | no |
//! | receiver too slow | oldest lost, counted; or sender waits | by setting | newest dropped, or sender waits | by setting | sender waits |
//! | compared when connecting | each field | name, size and alignment of the type | nothing | names and hashes of types | nothing |
//! | messages are defined in | Rust; padding is refused | Rust, C, C++ | bytes | interface files | bytes |
//!
//! Where a row says less than you need, take another one.

#![deny(unsafe_code)]
// The models use a part of it.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

#[cfg(test)]
extern crate self as shmcomm;

#[cfg(not(loom))]
pub mod channel;
pub mod codec;
#[cfg(not(loom))]
mod counts;
#[cfg(not(loom))]
mod error;
mod fault;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
#[allow(unsafe_code)]
mod layout;
pub mod message;
#[cfg(not(loom))]
#[cfg_attr(not(feature = "python"), allow(dead_code, reason = "verbs of the Python wire"))]
mod os;
#[cfg(not(loom))]
mod pubsub;
#[cfg(not(loom))]
mod pushpull;
#[cfg(all(feature = "python", not(loom)))]
pub mod python;
#[cfg(not(loom))]
mod reqrep;
mod ring;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod segment;
#[cfg(not(loom))]
mod stats;
#[cfg_attr(not(feature = "python"), allow(unused_imports, reason = "words of the Python wire"))]
mod sync;
mod wait;
#[cfg(not(loom))]
mod waitset;

#[cfg(not(loom))]
pub use channel::{Channel, Opener, Overflow, PubSub, PushPull, ReqRep};
#[cfg(not(loom))]
pub use error::{Error, ErrorKind};
pub use message::{CapacityError, Fixed, Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
#[cfg(all(feature = "async", not(loom)))]
pub use pubsub::MessageStream;
#[cfg(not(loom))]
pub use pubsub::{
    Filter, Iter, Loan, Publisher, PublisherId, RecvError, RecvTimeoutError, Sample, SendError,
    SendTimeoutError, Subscriber, TailLoan, TailSample, TryRecvError, TrySendError,
};
#[cfg(all(feature = "async", not(loom)))]
pub use pushpull::JobStream;
#[cfg(not(loom))]
pub use pushpull::{
    FlushError, Job, PullError, PullTimeoutError, Puller, PushError, PushLoan, PushTimeoutError, Pusher,
    TryPullError, TryPushError,
};
#[cfg(all(feature = "async", not(loom)))]
pub use reqrep::Answer;
#[cfg(not(loom))]
pub use reqrep::{
    Call, CallError, Replier, ReplyError, Request, RequestError, RequestTimeoutError, Requester, ServeError,
    ServeTimeoutError, StopHandle, TryServeError,
};
#[cfg(not(loom))]
pub use segment::{Participant, Role, SegmentInfo, force_unlink, list_segments};
#[cfg(not(loom))]
pub use stats::{Backlog, Stats};
#[cfg(not(loom))]
pub use waitset::{Cause, Interest, Ready, WaitSet, Waitable};

#[cfg(feature = "derive")]
pub use shmcomm_derive::ShmMessage;

/// What macro expansions call. Not public API.
#[doc(hidden)]
pub mod __private {
    #[cfg(all(shmcomm_fault, not(loom)))]
    pub mod fault {
        pub use crate::fault::{Action, arm, observe};
    }

    #[cfg(not(loom))]
    pub use crate::channel::declare as channel;
    pub use crate::message::private as message;
}
