//! Segments: the operating system's objects that hold a channel's region.
//!
//! Owns their life: making, finding, adopting, replacing and removing them, who takes part, and what
//! a name stands for. Calls `os` and `layout`. Never looks into a slot: what has to be done there
//! when a participant dies, the pattern gives as a [`Keeper`].
//!
//! ```text
//!    made: complete, seat 0 locked, without a name
//!         │ link: the name was free          │ rename: over one that cannot be used
//!         ▼                                  ▼
//!    ┌─────────────────────────────────────────┐   all participants die   ┌───────┐
//!    │ live: a name, and participants          │ ───────────────────────► │ stale │
//!    │                                         │ ◄─────────────────────── │       │
//!    └─────────────────────────────────────────┘   adopted: same layout   └───────┘
//!         │ the last one leaves: unlinked                │ replaced: other layout
//!         │ replaced, or removed by force: marked, then  │ removed by force
//!         ▼                                              ▼
//!    without a name; its bytes go with its last mapping
//! ```
//!
//! # Rules
//!
//! 1. A name never stands for an incomplete segment: a file gets its name when it is whole. A maker
//!    that dies before leaves nothing, as a file without a name goes with its last user.
//! 2. Byte `i` of the file, locked, is the life of the participant on seat `i`. The lock belongs to an
//!    open file of which only the participant's mapping is left, so the kernel drops it exactly when
//!    the mapping goes: by leaving, by exit, by kill, by exec. No pid is ever trusted.
//! 3. What a name stands for changes only under the registration lock of the segment that has it, after
//!    a look that it still has. Seats are taken under the same lock, after the same look. So nobody
//!    joins a segment that has lost its name.
//! 4. The first seats of a publish/subscribe segment are the publishers': seat 0 alone, unless the segment
//!    admits several. There are as many publishers as there are locks.
//! 5. Whoever takes a seat sweeps it first, before its entry is written.
//! 6. Nothing is written into a file that has not passed every check, but the mark of rule 7; and
//!    nothing is ever done to a file that is not this user's segment.
//! 7. A segment that others may be attached to is marked as superseded before its name goes. Whoever
//!    finds a marked one under a name finishes that.
//!
//! A process that ends without dropping its ends, by `exit` or `abort`, counts as killed: its seats
//! are free at once, and cleaned up by the others.
//!
//! # Fork
//!
//! A child does not inherit mappings of segments, and its ends say so. If another thread forks in the
//! microseconds between the opening of a file and its closing, the child has a copy of the open file,
//! and with it the lock of the seat, until it execs or exits: for a moment where it starts a program,
//! for as long as it lives where it goes on by itself. The entry tells such a lock from a participant,
//! as long as the participant left; a killed one looks alive until the child has gone.
//!
//! # Caveats
//!
//! An end whose file was closed by other code of its process (one that closes all descriptors, say) keeps its
//! seat, sends and receives, and takes nobody for dead; see [`probe`].
//!
//! A file with a name can be cut short by other programs of the user. Whoever touches what is missing
//! is killed by SIGBUS. shmcomm itself never changes the length of a file that has a name.

mod attachment;
mod create;
mod hold;
mod inspect;
mod list;
mod name;
mod open;
mod participant;
mod probe;
mod seats;
mod spec;
#[cfg(test)]
mod tests;
#[cfg(feature = "python")]
mod version1;

#[cfg(test)]
pub(crate) use attachment::Arrival;
pub(crate) use attachment::Attachment;
pub(crate) use hold::Witness;
pub use list::{SegmentInfo, force_unlink, list_segments};
pub(crate) use name::Place;
#[cfg(fuzzing)]
pub(crate) use name::{decode, encode};
pub(crate) use open::{join, publish, subscribe};
pub use participant::Participant;
pub(crate) use seats::{Entry, Sent};
pub(crate) use spec::Spec;

use crate::layout::{Geometry, Region};
use crate::{Error, ErrorKind, os};
use std::io;

/// What a participant does in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Role {
    /// Sends in publish/subscribe; there is one at a time, unless the channel declares more.
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
            _ => return None,
        })
    }

    /// In lower case, as in messages: `publisher`.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Publisher => "publisher",
            Role::Subscriber => "subscriber",
            Role::Pusher => "pusher",
            Role::Puller => "puller",
            Role::Requester => "requester",
            Role::Replier => "replier",
        }
    }

    /// The events it may sleep in: `ITEMS`, `ROOM`, `REPLIES`.
    const fn sleeps_in(self) -> [bool; 3] {
        match self {
            Role::Subscriber | Role::Puller | Role::Replier => [true, false, false],
            // A publisher only where it waits for its subscribers.
            Role::Publisher | Role::Pusher => [false, true, false],
            Role::Requester => [false, true, true],
        }
    }
}

/// What the pattern knows about its ring and `segment` does not.
#[derive(Clone, Copy)]
pub(crate) struct Keeper {
    /// Makes good what the participant of that seat left in the ring; it is dead or leaving, and the
    /// caller holds its seat. May be called for a seat that nobody has had.
    pub(crate) sweep: fn(&Region, &Geometry, u32),
    /// Whether nothing would be lost with the segment: a queue says no while there are messages in it.
    /// Asked under the registration lock.
    pub(crate) spent: fn(&Region, &Geometry) -> bool,
}

/// Puts a refusal of the operating system into words.
fn system(place: &Place, verb: &str, error: io::Error) -> Error {
    let path = place.path().display();
    let (kind, cure) = match error.kind() {
        io::ErrorKind::Unsupported => (ErrorKind::Unsupported, String::new()),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::Permission,
            format!("; this process runs as user {}, and both ends of a channel run as one user", os::user()),
        ),
        io::ErrorKind::OutOfMemory => {
            (ErrorKind::Os, "; the process may map no more memory (`ulimit -v`, `vm.max_map_count`)".into())
        }
        _ if os::too_many_files(&error) => (
            ErrorKind::Os,
            format!(
                "; this process may have {} files open, and an end of a channel takes one, \
                 two while it is opened: raise `ulimit -n`",
                os::open_files_limit().map_or("only so many".to_owned(), |limit| limit.to_string())
            ),
        ),
        _ => (ErrorKind::Os, String::new()),
    };
    place.error(kind, format!("cannot {verb} {path}: {error}{cure}")).with_source(error)
}
