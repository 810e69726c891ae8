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
//! Put the declaration into a library that both programs use. A message is any type for which [`ShmMessage`]
//! can be derived. A type that cannot work between processes is a compile error, which says what to write
//! instead. [`channel!`] lists the keys and their ranges.
//!
//! # Which pattern
//!
//! | | [`PubSub`] | [`PushPull`] | [`ReqRep`] |
//! |---|---|---|---|
//! | a message goes to | every subscriber | one of the pullers | one of the repliers, and its reply back |
//! | senders, receivers | one (up to 32 with `publishers`), many | many, many | many, many |
//! | for | measurements, frames, states | jobs | questions, services |
//! | full | the oldest message is overwritten; a subscriber that missed messages is told how many. With `overflow: Wait` the publisher waits, or returns an error | pushers wait, or return an error | requesters wait, or return an error |
//! | empty | receivers wait, or return an error | receivers wait, or return an error | repliers wait, or return an error |
//! | sender dies | `Disconnected` until a publisher is back | nothing: the messages that it sent stay | its requests are withdrawn |
//! | receiver dies | nothing | its job goes to another puller, marked as redelivered | its requester is told; with `redeliver: true` another replier gets the request |
//! | no end is left | the channel is removed | the channel stays until its jobs are done | the channel is removed |
//! | ends | [`Publisher`], [`Subscriber`] | [`Pusher`], [`Puller`] | [`Requester`], [`Replier`] |
//!
//! A fixed layout is the default format. There are two other formats: a header with a tail of variable length
//! (`PubSub<Header, [Item]>`), and messages that a [`codec`] encodes (`PubSub<Report, Msgpack>`). With
//! `wire: Python` the other end is a process of the Python library.
//!
//! # What is guaranteed
//!
//! * A receiver never sees a message torn or invented. A subscriber sees no message twice or out of order,
//!   and the number of messages that it missed is exact.
//! * A job or a request is with one receiver at a time. Another receiver gets it only if the first receiver
//!   died or left with it, or a puller put it back; the message says so.
//! * A reply reaches only the call that sent the request, however late the reply is. A call that waits for a
//!   reply learns within 50 ms that its replier died with the request.
//! * After `kill -9` of any process at any instruction, no other process hangs. Anything that leaks is
//!   recovered at the next start. A restarted publisher continues in the same segment, and its subscribers
//!   continue with it.
//! * A publisher never waits for a subscriber, unless the channel declares
//!   [`overflow: Wait`](Overflow::Wait). No step of a send that overwrites depends on the number of
//!   subscribers.
//! * An end that waits sleeps in the kernel, and the send wakes it. In an async program its task sleeps, not
//!   a thread: `recv_async`, with the feature `async`. A [`WaitSet`] waits for many ends at once. A
//!   [`StopHandle`] ends any blocking call, from another thread or from a signal handler.
//! * A full file system, a foreign file, a damaged or hostile header, and another type of message each return
//!   a clear error before any data is touched.
//! * Sending and receiving messages of fixed layout does not allocate.
//!
//! # What is not
//!
//! * All processes run on one machine, for one user or for the users of one group ([`Opener::group`]).
//!   Nothing is encrypted or authenticated beyond the permissions of a file.
//! * The processes of a channel are trusted not to be *malicious*. A process that may write to the segment
//!   can falsify messages, and can end other processes by truncating the file (SIGBUS). It cannot make a
//!   receive that copies touch memory out of bounds. A receive in place also trusts the other processes to
//!   keep to the protocol.
//! * Messages are not stored durably. On Linux they are in memory, and no message survives a reboot. On Windows a
//!   segment is a file of the user: it may still exist after a reboot, with any contents.
//! * A subscriber that is too slow loses messages, unless the channel declares
//!   [`overflow: Wait`](Overflow::Wait). Use [`PushPull`] for jobs that exactly one receiver must get.
//!
//! # How it works
//!
//! A **segment** is a file, on Linux in `/dev/shm`. It contains a header that identifies it, a table of participants,
//! and **slots** of one message each. The file gets its name when it is complete.
//!
//! ```text
//!              identity │ control │ seats │ schema │ slot 0 │ slot 1 │ … │ slot n-1
//!                                                     ▲
//!     publisher:  stamp ← "writing 7" ── payload ── stamp ← "done 7"
//!     subscriber:  waits for "done 7" ── payload ── is the stamp still the same?
//! ```
//!
//! * Messages have positions 0, 1, 2 and so on; position `p` is in slot `p mod n`. A subscriber polls the
//!   stamp of the position that it expects. A later stamp there means that the publisher has overtaken the
//!   subscriber.
//! * Messages up to 512 bytes are copied in and out between two loads of the stamp (a sequence lock). Reader
//!   and writer need no lock and no locked instruction. A small message moves one cache line.
//! * Larger messages are written and read in place: each reader sets a bit that pins the slot, and the
//!   publisher skips a pinned slot.
//! * In a queue, one word holds the owner and the lap of a slot. A process that dies therefore leaves a slot
//!   that names its owner. A reply follows its request, in the same slot.
//! * An end that waits polls for some microseconds, then sleeps in a futex of the segment. A sender checks
//!   for waiters only if a participant has registered as a possible sleeper.
//! * Locks on bytes of the file tell which participants are alive; the kernel drops them with the mapping of
//!   a process. Before a process recovers a dead participant, it must acquire that participant's lock.
//! * The segment stores the layout of the message as a fingerprint and as text. A reader whose layout differs
//!   converts each message by the names of its fields, or fails to open with an error that names the field.
//!
//! The page `docs/format.md` of the repository specifies the bytes, the locks and the order of steps, so that
//! other languages can take part. The same folder has pages for users: getting started, messages, channels and
//! settings, each pattern with its behaviour when a process dies, waiting, and operation. Further pages cover
//! Python at the other end, every error with its remedy, and performance with its benchmarks.
//!
//! # Platforms
//!
//! The crate runs on Linux 3.15 or later, with `/dev/shm` and `/proc`, also in containers, and on Windows 10 or
//! later. It is tested on x86-64, in part on an emulated aarch64, and for Windows under wine. On macOS 10.15 or later it
//! is untested. On Windows and macOS there are no channels with Python, and on Windows there are no file descriptors in a
//! [`WaitSet`]. On other systems the crate builds, and opening a channel returns [`ErrorKind::Unsupported`] and the
//! reason. The page `docs/platforms.md` of the repository lists the differences.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `derive` | yes | `#[derive(ShmMessage)]` and [`channel!`] |
//! | `python` | yes | the module `python`: channels with a process of the Python library shm-comm 1.0.0 |
//! | `async` | | `recv_async` and its like, streams; for any executor |
//! | `serde` | | `Serialize` and `Deserialize` for [`ShmString`] and the like, and for [`schema::Value`], `Serialize` for [`Stats`] and [`SegmentInfo`] |
//! | `json` | | conversions between [`schema::Value`] and `serde_json::Value`; it includes `serde` |
//! | `pickle`, `msgpack` | | messages in Python's pickle, and in MessagePack; they include `serde` |
//! | `zerocopy`, `bytemuck` | | types of other crates in messages, if they implement the traits of that crate; these traits for the inline types |
//! | `trace-slots` | | a log record for each slot that is written or read |
//!
//! # Compared
//!
//! | | shmcomm | iceoryx2 | ZeroMQ | ROS 2 | Unix sockets |
//! |---|---|---|---|---|---|
//! | between machines | by `shmcomm-bridge` | by a tunnel | yes | yes | no |
//! | languages | Rust, Python | Rust, C, C++, Python and others | most | C++, Python and others | most |
//! | systems | Linux, Windows, macOS (untested) | Linux, macOS, Windows and others | most | Linux, macOS, Windows | all Unix |
//! | publishers of one channel | up to 32 | many | many | many | |
//! | async, `poll` | futures for any executor, [`WaitSet`] and its file descriptor | events and file descriptors | yes | executors | yes |
//! | access control | file permissions | file permissions | keys | keys and policies | file permissions, credentials of the peer |
//! | recording, viewers, tools | a command line, `list_segments` | some | few | many | few |
//! | in use since | 2026 | 2023 | 2007 | 2017 | 1983 |
//! | message passes the kernel | only a wake does | only a wake does | yes | unless by shared memory | yes |
//! | large message in place | yes | yes | no | with some middleware | no |
//! | receiver too slow | oldest lost, counted; or sender waits | by setting | newest dropped, or sender waits | by setting | sender waits |
//! | compared when connecting | each field | name, size and alignment of the type | nothing | names and hashes of types | nothing |
//! | messages are defined in | Rust; padding is refused | Rust, C, C++ | bytes | interface files | bytes |
//!
//! If a row says less than you need, use another library: the page `DESIGN.md` of the repository says which.

#![deny(unsafe_code)]
// The models use only a part of the crate.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

#[cfg(test)]
extern crate self as shmcomm;

#[cfg(not(loom))]
pub mod channel;
#[cfg(not(loom))]
mod check_pace;
pub mod codec;
#[cfg(not(loom))]
mod counts;
#[cfg(not(loom))]
mod debug;
#[cfg(not(loom))]
mod dynamic;
#[cfg(not(loom))]
mod error;
mod escape;
mod fault;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
#[cfg(not(loom))]
mod generic;
#[allow(unsafe_code)]
mod layout;
pub mod message;
#[cfg(not(loom))]
#[cfg_attr(not(feature = "python"), allow(dead_code, reason = "verbs of the Python wire"))]
mod os;
#[cfg_attr(loom, allow(dead_code))]
mod plural;
#[cfg(not(loom))]
mod pubsub;
#[cfg(not(loom))]
mod pushpull;
#[cfg(all(feature = "python", not(loom)))]
pub mod python;
#[cfg(not(loom))]
mod queue_end;
#[cfg(not(loom))]
mod records;
#[cfg(loom)]
#[path = "segment/registration.rs"]
mod registration;
#[cfg(not(loom))]
mod reqrep;
mod ring;
#[cfg(not(loom))]
pub mod schema;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod segment;
#[cfg(all(feature = "serde", not(loom)))]
mod serialize;
#[cfg(not(loom))]
mod stats;
#[cfg_attr(not(feature = "python"), allow(unused_imports, reason = "words of the Python wire"))]
mod sync;
#[cfg(not(loom))]
mod table;
mod wait;
#[cfg(not(loom))]
mod waitset;

#[cfg(not(loom))]
pub use channel::{Channel, Opener, Overflow, PubSub, PushPull, ReqRep, ReqStream, Table};
#[cfg(not(loom))]
pub use dynamic::{
    Content, Declaration, Description, DynError, DynJob, DynKeyChanges, DynLoan, DynMessage, DynPublisher,
    DynPuller, DynPusher, DynReplier, DynReplies, DynRequest, DynRequester, DynSample, DynSubscriber,
    DynTableReader, DynTableWriter, Observed, ObservedMessage, ObservedValue, Observer, TableObserver,
    ValueError, Wire, describe, describe_in_group,
};
#[cfg(not(loom))]
pub use error::{Error, ErrorKind, NotGrown};
#[cfg(not(loom))]
pub use generic::{OperationError, Receive, Transmit};
#[cfg(not(loom))]
pub use layout::{Discipline, Format as MessageFormat, Pattern};
pub use message::{CapacityError, Encoded, Fixed, Pad, ShmMessage, ShmOption, ShmString, ShmVec, Timestamp};
#[cfg(not(loom))]
pub use pubsub::{
    Filter, Iter, Loan, Publisher, PublisherId, RecvError, RecvTimeoutError, Sample, SendError,
    SendTimeoutError, Subscriber, TailLoan, TailSample, TryIter, TryRecvError, TrySendError,
};
#[cfg(all(feature = "async", not(loom)))]
pub use pubsub::{MessageStream, OwnedMessageStream};
#[cfg(not(loom))]
pub use pushpull::{
    FlushError, Job, JobIter, JobTryIter, PullError, PullTimeoutError, Puller, PushError, PushLoan,
    PushTimeoutError, Pusher, TryPullError, TryPushError,
};
#[cfg(all(feature = "async", not(loom)))]
pub use pushpull::{JobStream, OwnedJobStream};
#[cfg(all(feature = "async", not(loom)))]
pub use reqrep::Answer;
#[cfg(not(loom))]
pub use reqrep::{
    Call, CallError, Replier, Replies, Reply, ReplyError, Request, RequestError, RequestLoan,
    RequestTimeoutError, Requester, SendReplyError, SendReplyTimeoutError, ServeError, ServeTimeoutError,
    StreamReplier, StreamRequest, StreamRequester, TryReplyError, TrySendReplyError, TryServeError,
};
#[cfg(not(loom))]
pub use schema::Resolution;
#[cfg(not(loom))]
pub use segment::{
    Backlog, Cleanup, CounterValues, Counters, Participant, Role, SegmentInfo, SegmentState, SpareReason,
    Spared, find_segment, force_unlink, force_unlink_segment, list_segments, list_segments_in, name_matches,
    remove_stale, remove_stale_segment,
};
#[cfg(not(loom))]
pub use stats::Stats;
#[cfg(not(loom))]
pub use table::{
    AnyKey, ChangedKeys, Key, KeyChanges, KeySet, Latest, LoadError, StoreError, TableKeys, TableReader,
    TableWaitError, TableWaitTimeoutError, TableWriter,
};
#[cfg(not(loom))]
pub use wait::StopHandle;
#[cfg(not(loom))]
pub use waitset::{Cause, Interest, Ready, WaitSet, Waitable};

#[cfg(feature = "derive")]
pub use shmcomm_derive::ShmMessage;

/// Items that macro expansions use. Not public API.
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
