//! [`SegmentInfo`]: a segment of this user, as plain values to show.
//!
//! Owns the public form of a segment. `list` and `version1` fill it in. Never opens a file.

use super::{Backlog, Participant};
use crate::layout::Pattern;
use std::path::PathBuf;
use std::time::SystemTime;

/// A segment of this user, as [`list_segments`](crate::list_segments) found it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Full name of the channel, with its namespace, as `force_unlink` takes it. It has no control
    /// characters: a file whose name has one belongs to no channel and is not listed.
    pub channel: String,
    /// Version of the format: 2, or 1 for the channels of the Python library shm-comm. For version 1, fields
    /// that its header does not have are empty, `stale` means that no process has the segment mapped, and a
    /// service has two segments.
    pub version: u32,
    /// Path of the file. A file of version 1 with `~` in its name is the second name of a segment whose first
    /// name does not refer to it.
    pub path: PathBuf,
    /// Size of the file in bytes.
    pub size: u64,
    /// Reason why the file is not a usable segment, with control characters escaped. All following fields are
    /// empty then.
    pub problem: Option<String>,
    /// `true` if no participant is alive: its processes died, or it is a queue that still has messages.
    /// [`backlog`](Self::backlog) gives their number.
    pub stale: bool,
    /// `publish/subscribe`, `push/pull` or `request/reply`.
    pub pattern: &'static str,
    /// Format of the messages: `fixed layout`, `msgpack`, `pickle`, `raw bytes`, `header and tail`.
    pub codec: &'static str,
    /// Number of slots.
    pub slots: u64,
    /// Largest size of a message in bytes. For request/reply: the bytes of request, reply and the padding
    /// between. For version 1: as in `python::Options`, with the 4 bytes of the length.
    pub slot_size: u64,
    /// Largest number of participants at a time.
    pub seats: u32,
    /// Fingerprint of the message, the request, or the header.
    pub fingerprint: u64,
    /// JSON array of the layouts of the messages; `[]` if a codec defines them. Any process of this user can
    /// have written any characters into this text: print it with `{:?}`.
    pub schema: String,
    /// Time of creation.
    pub created: SystemTime,
    /// Messages sent since the creation.
    pub messages: u64,
    /// Payload bytes sent since the creation; 0 for version 1, which does not count them.
    pub bytes: u64,
    /// Positions that carry no message; 0 for queues and for version 1.
    pub holes: u64,
    /// Largest number of publishers at a time; 0 for queues and for version 1.
    pub publishers: u32,
    /// `true` if the publisher waits for its subscribers: `overflow: Wait`.
    pub waits: bool,
    /// Jobs or requests in a queue; `None` for publish/subscribe. Version 1 reports only the `waiting` and
    /// `acknowledged` jobs of push/pull, and no counts of request/reply.
    pub backlog: Option<Backlog>,
    /// Participants that are attached, or died while they were.
    pub participants: Vec<Participant>,
}

impl SegmentInfo {
    /// Returns the number of jobs that would be lost with the segment: accepted and not finished. Returns 0
    /// for patterns other than push/pull. A request is not counted: if its requester is dead, no process
    /// waits for the reply.
    pub fn queued_work(&self) -> u64 {
        let jobs = self.pattern == Pattern::PushPull.name();
        self.backlog.as_ref().filter(|_| jobs).map_or(0, Backlog::unfinished)
    }
}
