//! [`SegmentInfo`]: a segment of this user, as plain values to show.
//!
//! Owns the public form of a segment, and the facts that follow from it: state, live senders and receivers, losses.
//! `list` and `version1` fill it in. Never opens a file.

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
    /// Version of the format: 2, 3 for tables, streams and slots that grow, or 1 for the channels of the Python library shm-comm. For version 1, fields
    /// that its header does not have are empty, `stale` means that no process has the segment mapped, and a
    /// service has two segments.
    pub version: u32,
    /// Path of the file. A file of version 1 with `~` in its name is the second name of a segment whose first
    /// name does not refer to it.
    pub path: PathBuf,
    /// Name of the group of users that share the channel: see [`Opener::group`](crate::Opener::group). `None` if it is
    /// private, of this user alone.
    pub group: Option<String>,
    /// Size of the file in bytes. The file of a queue whose slots grow takes less memory, until all of them have grown.
    pub size: u64,
    /// Reason why the file is not a usable segment, with control characters escaped. All following fields are
    /// empty then.
    pub problem: Option<String>,
    /// `true` if no participant is alive: its processes died, or it is a queue that still has messages.
    /// [`backlog`](Self::backlog) gives their number.
    pub stale: bool,
    /// `publish/subscribe`, `push/pull`, `request/reply`, `table`, or `request/stream` for a channel whose replies are
    /// streams.
    pub pattern: &'static str,
    /// Format of the messages: `fixed layout`, `msgpack`, `pickle`, `raw bytes`, `header and tail`.
    pub codec: &'static str,
    /// Number of slots; for a table, of its keys.
    pub slots: u64,
    /// Largest size of a message in bytes. For request/reply: the bytes of request, reply and the padding
    /// between. For a table: the bytes of all keys, with both buffers of each. For version 1: as in `python::Options`, with the 4 bytes of the length.
    pub slot_size: u64,
    /// Largest size in bytes to which the slots may grow; 0 if they do not grow.
    pub grow: u64,
    /// Number of times that the slots have grown.
    pub growths: u64,
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
    /// Number of replies of one request that may be unread, if the replies are streams; otherwise 0.
    pub window: u64,
    /// Jobs or requests in a queue; `None` for publish/subscribe. Version 1 reports only the `waiting` and
    /// `acknowledged` jobs of push/pull, and no counts of request/reply.
    pub backlog: Option<Backlog>,
    /// Participants that are attached, or died while they were.
    pub participants: Vec<Participant>,
}

/// State of a segment: see [`SegmentInfo::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SegmentState {
    /// A participant is alive.
    Live,
    /// No participant is alive.
    Stale,
    /// The file is not a usable segment.
    Problem,
}

impl SegmentState {
    /// Returns the name in lower case: `live`, `stale`, `problem`.
    pub const fn name(self) -> &'static str {
        match self {
            SegmentState::Live => "live",
            SegmentState::Stale => "stale",
            SegmentState::Problem => "problem",
        }
    }
}

impl SegmentInfo {
    /// Returns the state, from [`problem`](Self::problem) and [`stale`](Self::stale).
    pub fn state(&self) -> SegmentState {
        match (&self.problem, self.stale) {
            (Some(_), _) => SegmentState::Problem,
            (None, true) => SegmentState::Stale,
            (None, false) => SegmentState::Live,
        }
    }

    /// Returns the number of live publishers, pushers, requesters or writers. Returns `None` if it is unknown: segments of
    /// version 1 do not list their participants, and a file with a problem cannot be read.
    pub fn senders(&self) -> Option<u32> {
        self.alive(true)
    }

    /// Returns the number of live subscribers, pullers or repliers. Returns `None` if it is unknown, as
    /// [`senders`](Self::senders) does, and for tables, whose readers take no seat.
    pub fn receivers(&self) -> Option<u32> {
        self.alive(false).filter(|_| self.pattern != Pattern::Table.name())
    }

    /// Returns the number of messages that the listed subscribers lost: the sum of [`Participant::lost`]. Returns
    /// `None` if it is unknown, as [`senders`](Self::senders) does, and for queues, which lose no message.
    pub fn lost(&self) -> Option<u64> {
        let lost = self.participants.iter().map(|end| end.lost).fold(0, u64::saturating_add);
        (self.lists_participants() && self.pattern == Pattern::PubSub.name()).then_some(lost)
    }

    fn lists_participants(&self) -> bool {
        self.version != 1 && self.problem.is_none()
    }

    fn alive(&self, sends: bool) -> Option<u32> {
        let alive = self.participants.iter().filter(|end| end.alive && end.role.sends() == sends);
        // A segment has at most `seats` participants, which is a `u32`.
        self.lists_participants().then(|| alive.count() as u32)
    }

    /// Returns the number of jobs that would be lost with the segment: accepted and not finished. Returns 0
    /// for patterns other than push/pull. A request is not counted: if its requester is dead, no process
    /// waits for the reply.
    pub fn queued_work(&self) -> u64 {
        let jobs = self.pattern == Pattern::PushPull.name();
        self.backlog.as_ref().filter(|_| jobs).map_or(0, Backlog::unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, PubSub, PushPull};

    #[test]
    fn facts_that_a_segment_does_not_state_are_unknown() {
        let namespace = format!("info-{}", std::process::id());
        let feed: Channel<PubSub<u64>> = Channel::new("feed").slots(4);
        let jobs: Channel<PushPull<u64>> = Channel::new("jobs");
        let mut publisher = feed.open().namespace(&namespace).publisher().unwrap();
        let mut subscriber = feed.open().namespace(&namespace).subscriber().unwrap();
        let _pusher = jobs.open().namespace(&namespace).pusher().unwrap();
        for number in 0..20 {
            publisher.send(&number).unwrap();
        }
        assert!(subscriber.try_recv().is_err(), "messages were lost");
        let mut found = crate::list_segments_in(&namespace).unwrap();
        let jobs = &found[1];
        assert_eq!((jobs.senders(), jobs.receivers(), jobs.lost()), (Some(1), Some(0), None));
        let feed = &mut found[0];
        assert_eq!((feed.senders(), feed.receivers(), feed.state().name()), (Some(1), Some(1), "live"));
        assert_eq!(feed.lost(), Some(subscriber.lost()));
        feed.participants[0].alive = false;
        assert_eq!((feed.senders(), feed.receivers()), (Some(0), Some(1)));
        feed.stale = true;
        assert_eq!(feed.state(), SegmentState::Stale);
        feed.version = 1;
        assert_eq!((feed.senders(), feed.receivers(), feed.lost()), (None, None, None));
        feed.version = 2;
        feed.problem = Some("it is damaged".into());
        assert_eq!((feed.senders(), feed.lost(), feed.state()), (None, None, SegmentState::Problem));
    }
}
