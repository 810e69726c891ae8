//! Segments: the operating system's objects that hold a channel's region.
//!
//! Owns their life cycle (creating, finding, taking over, replacing and removing them), their participants, and
//! the resolution of names. Calls `os` and `layout`. Never accesses a slot: the pattern provides the recovery
//! of a dead participant's slots as a [`PatternOps`].
//!
//! ```text
//!    made: complete, seat 0 locked, without a name
//!         │ link: the name was free          │ rename: over one that cannot be used
//!         ▼                                  ▼
//!    ┌─────────────────────────────────────────┐   all participants die   ┌───────┐
//!    │ live: a name, and participants          │ ───────────────────────► │ stale │
//!    │                                         │ ◄─────────────────────── │       │
//!    └─────────────────────────────────────────┘ taken over: same layout  └───────┘
//!         │ the last one leaves: unlinked                │ replaced: other layout
//!         │ replaced, or removed by force: marked, then  │ removed by force
//!         ▼                                              ▼
//!    without a name; its bytes go with its last mapping
//! ```
//!
//! # Rules
//!
//! 1. A name never refers to an incomplete segment: a file gets its name when it is complete. A creator that
//!    dies before leaves nothing, because the kernel frees a file without a name with its last user.
//! 2. A participant on seat `i` lives while byte `i` of the file is locked. The lock belongs to an open file
//!    that the participant's mapping owns. The participant releases it when it leaves, and the kernel
//!    releases it when the process ends: by exit, by kill, by exec. No pid is ever trusted.
//! 3. The target of a name changes only under the registration lock of the segment that has the name, after a
//!    check that it still has it. Seats are taken under the same lock, after the same check. Therefore no
//!    participant joins a segment that has lost its name. A name also refers to a segment to which the
//!    forwarding file of this name leads: see [`forward`].
//! 4. The first seats of a publish/subscribe segment are the publishers': seat 0 alone, unless the segment
//!    admits several. There are as many publishers as there are locks. Seat `i` of a table belongs to the writer of
//!    key `i`, unless its keys have several writers, which then have any seats. Readers of a table take no seat.
//! 5. A participant that takes a seat recovers it first, before it writes its entry.
//! 6. A file that has not passed every check is never written to, except with the mark of rule 7. A file that
//!    is not this user's segment is never changed.
//! 7. A segment that other processes may be attached to is marked as superseded before its name is removed. A
//!    process that finds a marked segment under a name removes the name. A segment that another one continues is marked
//!    after that one has the name: see [`grow`].
//!
//! A process that ends without dropping its ends, by `exit` or `abort`, counts as killed. Its seats are free
//! at once, and the other participants recover them.
//!
//! The channels of a group of users are in a directory of their own: see [`sharing`].
//!
//! # Fork
//!
//! A child does not inherit mappings of segments, and its inherited ends return errors. A copy of an open
//! file has the lock of the seat too, so a child of `fork` closes its copies before it runs any other code.
//! No thread forks while another one opens a file. A child that is made without the handlers of `fork` has
//! its copies until it execs or exits: `posix_spawn`, `vfork`, and the system call alone make such children.
//! Because of such children a participant that leaves releases its lock explicitly. Only a killed participant
//! appears alive meanwhile.
//!
//! # Caveats
//!
//! Other code of the process may close the file of an end, as in programs that close all descriptors. The end
//! then still sends and receives, and takes no participant for dead; see [`liveness`]. On tmpfs it also keeps
//! its seat, because the mapping keeps the open file. Overlayfs maps another file than the opened one. There
//! the end loses its lock, and the other participants take it for dead.
//!
//! Taking a seat fails on a file system that does not show a lock to a second open file.
//!
//! Programs remove the files of live segments: `rm`, or systemd at a logout (`RemoveIPC`). The participants
//! notice it within about 50 ms and restore the name with a forwarding file, so that the channel keeps its
//! one segment. If a process creates a segment of the same name in between, the channel is divided; the
//! participants then report it.
//!
//! Other programs of the user can truncate a file with a name. An access to the missing part kills the
//! process with SIGBUS. shmcomm itself never changes the length of a file that has a name.

mod attachment;
pub(crate) mod backlog;
mod cleanup;
mod counters;
mod create;
mod event_page;
mod forward;
mod grow;
mod info;
mod inspect;
mod list;
mod liveness;
mod mapping;
mod memory;
mod name;
mod observe;
mod open;
mod open_error;
mod participant;
mod refusal;
mod registration;
mod removal;
mod retry;
mod seats;
mod series;
pub(crate) mod settings;
mod sharing;
mod spec;
#[cfg(test)]
mod tests;
#[cfg(feature = "python")]
mod version1;
mod view;

#[cfg(test)]
pub(crate) use attachment::Arrival;
pub(crate) use attachment::{Attachment, Seat};
pub use backlog::Backlog;
pub use cleanup::{remove_stale, remove_stale_segment};
pub use counters::{CounterValues, Counters};
pub(crate) use event_page::EventPage;
pub(crate) use grow::{grow, grow_slot};
pub use info::{SegmentInfo, SegmentState};
pub(crate) use list::remove_by_force;
pub use list::{find_segment, force_unlink, force_unlink_segment, list_segments, list_segments_in};
pub(crate) use mapping::{Mapping, NAME_PERIOD, ObserverMapping};
pub(crate) use name::ChannelPath;
pub use name::name_matches;
#[cfg(fuzzing)]
pub(crate) use name::{decode, encode};
pub(crate) use observe::{observe, observe_now};
pub(crate) use open::{follow, join, publish, subscribe, write_key, write_shared};
pub use participant::Participant;
#[cfg(feature = "python")]
pub(crate) use refusal::explain;
pub use removal::{Cleanup, SpareReason, Spared};
pub(crate) use seats::{Entry, Sent};
pub(crate) use series::earlier;
pub(crate) use sharing::Sharing;
pub(crate) use spec::{Accepted, Requested, Resolve, Spec};
#[cfg(feature = "python")]
pub(crate) use version1::{lock_file, remove_named};
#[cfg(feature = "python")]
pub(crate) use view::ReadMap;
pub(crate) use view::{Publishing, View};

use crate::error::{Error, ErrorKind};
use crate::layout::{Geometry, Region};
use std::io;

/// Role of a participant in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Role {
    /// Sends in publish/subscribe; one at a time, unless the channel declares more.
    Publisher = 1,
    /// Receives in publish/subscribe.
    Subscriber = 2,
    /// Sends in push/pull.
    Pusher = 3,
    /// Receives in push/pull.
    Puller = 4,
    /// Asks in request/reply.
    Requester = 5,
    /// Answers in request/reply.
    Replier = 6,
    /// Stores the values of one key of a table, alone or with other writers. Readers of a table take no seat, so they have no role.
    Writer = 7,
}

impl Role {
    fn from_u32(raw: u32) -> Option<Self> {
        Some(match raw {
            1 => Role::Publisher,
            2 => Role::Subscriber,
            3 => Role::Pusher,
            4 => Role::Puller,
            5 => Role::Requester,
            6 => Role::Replier,
            7 => Role::Writer,
            _ => return None,
        })
    }

    /// Returns the name in lower case, as in messages: `publisher`.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Publisher => "publisher",
            Role::Subscriber => "subscriber",
            Role::Pusher => "pusher",
            Role::Puller => "puller",
            Role::Requester => "requester",
            Role::Replier => "replier",
            Role::Writer => "writer",
        }
    }

    /// Returns `true` for the roles that send: publisher, pusher, requester, writer.
    pub const fn sends(self) -> bool {
        matches!(self, Role::Publisher | Role::Pusher | Role::Requester | Role::Writer)
    }

    /// Returns `true` for each event that the role may sleep in: `ITEMS`, `ROOM`, `REPLIES`.
    const fn sleeps_in(self) -> [bool; 3] {
        match self {
            Role::Subscriber | Role::Puller | Role::Replier => [true, false, false],
            // A publisher sleeps only if it waits for its subscribers.
            Role::Publisher | Role::Pusher => [false, true, false],
            Role::Requester => [false, true, true],
            Role::Writer => [false, false, false],
        }
    }
}

/// Functions of the pattern that access the ring for `segment`.
#[derive(Clone, Copy)]
pub(crate) struct PatternOps {
    /// Recovers the slots of the participant of that seat. It is dead or leaving, and the caller holds its
    /// seat. May be called for a seat that no participant has had.
    pub(crate) recover: fn(&Region, &Geometry, u32),
    /// Returns `true` if no accepted message would be lost with the segment. A queue with messages returns
    /// `false`. The caller holds the registration lock.
    pub(crate) drained: fn(&Region, &Geometry) -> bool,
}

/// Converts an error of the operating system into an error with its cause and cure.
fn system(place: &ChannelPath, verb: &str, error: io::Error) -> Error {
    let (kind, mut cure) = refusal::explain(place.dir(), place.path(), verb, &error);
    if let (Some(sharing), ErrorKind::Permission) = (place.sharing(), kind) {
        cure = sharing.cure(place.dir());
    }
    place.error(kind, format!("cannot {verb} {}: {error}{cure}", place.path().display())).with_source(error)
}
