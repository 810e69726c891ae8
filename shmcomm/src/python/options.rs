//! [`Options`]: the settings with which an end is opened.

use super::v1::segment::Segment;
use crate::StopHandle;
use crate::layout::v1::{Kind, Shape};
use crate::segment::settings;
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of an end of a channel with Python. Start with [`pubsub`](Options::pubsub),
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
    /// Number of slots, 2 or more; one of them always stays empty. The end that creates the channel
    /// determines it: publisher, pusher, replier. Another end takes the segment as it is, with a warning in
    /// the log if this is not the default and differs.
    pub slots: u64,
    /// Bytes of a slot as Python counts them: 4 for the length, the rest for the message. Any number from 5.
    /// Determined like `slots`.
    pub slot_size: u64,
    /// Longest time that an end that does not create the channel waits for it. A timeout of zero polls once.
    pub connect_timeout: Duration,
    /// Pullers: the lock file that all pullers share. `None` stands for the path where Python searches for
    /// it: `shmcomm_shmcomm_push_NAME.lock` in the directory for temporary files. Set it if the Python
    /// pullers have another `TMPDIR`: with two locks, jobs are done twice.
    pub lock_path: Option<PathBuf>,
    /// Pushers: longest time that the drop of a pusher waits for its jobs to be taken. Remaining jobs then
    /// stay in the segment, for pullers and for the next pusher in Rust.
    pub linger: Duration,
    /// Repliers: answer a request even if its requester has sent another one since. Off by default: a
    /// requester that sends again has given up its earlier request, and Python would take the late reply for
    /// the new one. For clients that send several requests and then collect the replies.
    pub answer_all: bool,
    /// Repliers: time for which a reply that took more than 10 ms waits for a requester in Python to read it.
    /// Then the reply is withdrawn, so that a requester that had given up does not take it for the reply to
    /// its next request. [`Duration::MAX`] keeps it until it is read, for clients that send a request and do
    /// other work for long before they receive.
    pub late_reply_stays: Duration,
    /// Repliers: overwrite old replies with a serialized `None` (`b'N.'` in pickle, `b'\xc0'` in msgpack),
    /// and put such fillers in front of late replies, so that Python's `recv` skips them. On by default.
    /// Python's `recv_bytes` does not skip a filler: it returns it as the reply. Set `false` for a service
    /// whose requesters call `recv_bytes`. Then a requester that timed out can take the late reply for the
    /// reply to its next request.
    pub fillers: bool,
    /// Publishers: the shortest time between the end of a write to a slot and the start of the next write to
    /// the same slot, one lap later. [`Duration::ZERO`], the default, sets no limit. With a limit, a send
    /// blocks until the oldest message has that age. A Python subscriber that copies a message within this
    /// time, from the moment it is published, never reads it torn.
    pub min_lap: Duration,
    /// Requesters with a replier in Python: time after which a request without a reply counts as lost, so
    /// that the next reply is not taken for a late one.
    pub write_off: Duration,
    /// Handle that stops the blocking calls of the end, and the wait while it opens. With `None` the end
    /// makes a handle, which `stop_handle()` returns.
    pub stop: Option<StopHandle>,
    /// Receiving ends, in pickle: read objects that only a call into Python could make as
    /// [`Value::Opaque`](crate::codec), with name, arguments and state. Such objects are an exception, an
    /// `Enum`, or a class of another library. Off by default: then one such object makes the whole message
    /// [`Unreadable`](super::Unreadable). Types other than `Value` refuse such objects in any case.
    pub opaque: bool,
    /// Receiving ends, in pickle: classes that are an `Enum`, as `module.qualname`. Their members are read as
    /// [`Value::Enum`](crate::codec), which can be sent, and by other types as their value. Empty by default.
    pub enums: Vec<Cow<'static, str>>,
}

impl Options {
    /// Returns options for publishers and subscribers: 64 slots of 4096 bytes.
    pub fn pubsub(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), Self::usual(Kind::Pub))
    }

    /// Returns options for requesters and repliers: 16 slots of 8192 bytes, in each direction.
    pub fn reqrep(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), Self::usual(Kind::Req))
    }

    /// Returns options for pushers and pullers: 128 slots of 4096 bytes.
    pub fn pushpull(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name.into(), Self::usual(Kind::Push))
    }

    /// Returns the slots and their size as Python makes them.
    fn usual(kind: Kind) -> Shape {
        let (slots, slot_size) = match kind {
            Kind::Pub => (64, 4096),
            Kind::Req | Kind::Rep => (16, 8192),
            Kind::Push => (128, 4096),
        };
        Shape { slots, slot_size }
    }

    /// Reports slots that differ from these options, once for each segment.
    pub(super) fn compare(&self, kind: Kind, segment: &Segment) {
        let (usual, there) = (Self::usual(kind), segment.shape());
        let differs = |here, usual, there| here != usual && here != there;
        let mut differ = Vec::new();
        if differs(self.slots, usual.slots, there.slots) {
            differ.push(format!("`slots` {} instead of {}", there.slots, self.slots));
        }
        if differs(self.slot_size, usual.slot_size, there.slot_size) {
            differ.push(format!("`slot_size` {} instead of {}", there.slot_size, self.slot_size));
        }
        settings::report_differences(
            &self.name,
            segment.id(),
            &differ,
            "the process that creates the segment decides",
        );
    }

    fn new(name: Cow<'static, str>, Shape { slots, slot_size }: Shape) -> Self {
        Options {
            name,
            slots,
            slot_size,
            connect_timeout: Duration::from_secs(5),
            lock_path: None,
            linger: Duration::from_secs(5),
            answer_all: false,
            late_reply_stays: Duration::from_secs(1),
            fillers: true,
            min_lap: Duration::ZERO,
            write_off: Duration::from_secs(30),
            stop: None,
            opaque: false,
            enums: Vec::new(),
        }
    }
}
