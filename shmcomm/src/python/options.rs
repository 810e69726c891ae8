//! [`Options`]: what an end is opened with.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

/// How to open an end of a channel with Python. Start with [`pubsub`](Options::pubsub),
/// [`reqrep`](Options::reqrep) or [`pushpull`](Options::pushpull), which have Python's defaults.
///
/// ```
/// use shmcomm::python::Options;
/// let options = Options { slots: 8, slot_size: 1 << 20, ..Options::pubsub("camera") };
/// assert_eq!(options.connect_timeout.as_secs(), 5);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The channel's name, as given to Python: see [`name_problem`](super::name_problem).
    pub name: Cow<'static, str>,
    /// Number of slots, 2 or more; one of them always stays empty. Only the end that creates the
    /// channel decides: publisher, pusher, replier.
    pub slots: u64,
    /// Bytes of a slot as Python counts them: 4 for the length, the rest for the message. Any number
    /// from 5 on. Only the end that creates the channel decides.
    pub slot_size: u64,
    /// How long an end that does not create the channel waits for it. Zero looks once.
    pub connect_timeout: Duration,
    /// Pullers: the lock file that all pullers share. `None`: where Python looks for it,
    /// `shmcomm_shmcomm_push_NAME.lock` in the directory for temporary files. Say it where the Python
    /// pullers have another `TMPDIR`: with two locks, jobs are done twice.
    pub lock_path: Option<PathBuf>,
    /// Pushers: how long the drop of a pusher waits for its jobs to be taken. Jobs that are left then
    /// stay in the segment, for pullers and for the next pusher in Rust.
    pub linger: Duration,
    /// Repliers: answer requests although the requester has sent another one since. Off by default: a
    /// requester that sends again has given up on what it sent before, and Python would take the late
    /// reply for the new one. For clients that send several requests and then collect the replies.
    pub answer_all: bool,
    /// Repliers: how long a reply that took more than 10 ms waits for a requester in Python to read it;
    /// then it is withdrawn, so that a requester that had given up does not take it for the reply to its
    /// next request. [`Duration::MAX`] keeps it until then, for clients that send a request and do something
    /// else for long before they receive.
    pub late_reply_stays: Duration,
    /// Requesters with a replier in Python: after this time a request without a reply counts as one
    /// that will never get one, so that the next reply is not taken for a late one.
    pub write_off: Duration,
}

impl Options {
    /// For publishers and subscribers: 64 slots of 4096 bytes.
    pub fn pubsub(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), 64, 4096)
    }

    /// For requesters and repliers: 16 slots of 8192 bytes, in each direction.
    pub fn reqrep(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), 16, 8192)
    }

    /// For pushers and pullers: 128 slots of 4096 bytes.
    pub fn pushpull(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), 128, 4096)
    }

    fn new(name: Cow<'static, str>, slots: u64, slot_size: u64) -> Self {
        Options {
            name,
            slots,
            slot_size,
            connect_timeout: Duration::from_secs(5),
            lock_path: None,
            linger: Duration::from_secs(5),
            answer_all: false,
            late_reply_stays: Duration::from_secs(1),
            write_off: Duration::from_secs(30),
        }
    }
}
