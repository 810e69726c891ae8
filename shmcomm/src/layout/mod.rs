//! The byte layout of a segment, version 2.
//!
//! Owns every offset and size that two processes have to agree on (`docs/format.md` is the prose of
//! this module; a test compares both with a golden dump), the [`Identity`] at the start of a segment,
//! the arithmetic of [`Geometry`], and [`Region`], the bytes that a ring works on.
//!
//! Never opens, maps, waits or interprets a message.
//!
//! ```text
//!      0  identity      what the segment is; written before it gets a name, never again
//!    256  control       hot words, each group on 128 bytes of its own
//!   2048  seats         one entry of 128 bytes for each participant
//!      …  schema        JSON text of the message layout
//!      …  entries       of a channel of several publishers; page-aligned, a word for each of `slots`
//!      …  slots         page-aligned; `slots` times `stride` bytes, or so many for each publisher
//! ```
//!
//! All numbers are in the byte order of the machine: a segment never leaves it.

mod exchange;
pub(crate) mod geometry;
#[cfg(all(feature = "python", not(loom)))]
pub(crate) mod python;
mod region;

pub(crate) use exchange::Exchange;
pub(crate) use geometry::{
    Geometry, GeometryError, MAX_PUBLISHERS, MAX_SCHEMA, MAX_SEATS, MAX_SLOT_SIZE, MAX_SLOTS, PINNED_READERS,
    Shape,
};
#[cfg(any(test, loom))]
pub(crate) use region::Heap;
pub(crate) use region::{Line, Region, Words};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `1MMOCMHS` on disk: the magic of version 1 (PyPI `shm-comm`), which old readers look for first.
pub(crate) const MAGIC: u64 = 0x5348_4D43_4F4D_4D31;
/// This format.
pub(crate) const VERSION: u64 = 2;
/// The format of PyPI's `shm-comm` 1.0.0.
pub(crate) const VERSION_PYTHON: u64 = 1;

/// Bytes that no two participants should write alternately: two cache lines, because x86 fetches
/// them in pairs.
pub(crate) const LINE: usize = 128;
/// The unit of mapping that the slots are aligned to.
pub(crate) const PAGE: usize = 4096;

/// Control words, as byte offsets into the segment.
pub(crate) mod control {
    /// u64, [`LIVE`] or [`SUPERSEDED`].
    pub(crate) const STATE: usize = 256;
    /// u64, the position that is written next (broadcast), or a hint of it (queue).
    pub(crate) const HEAD: usize = 384;
    /// u64, messages sent by senders that have left (queue).
    pub(crate) const MESSAGES: usize = 392;
    /// u64, payload bytes published since creation; or, as `MESSAGES`, those of senders that have left. On
    /// the line of `HEAD`: the same writer.
    pub(crate) const BYTES: usize = 400;
    /// u64, positions that carry no message, since creation.
    pub(crate) const HOLES: usize = 408;
    /// u64, a hint of the oldest position not acknowledged (queue).
    pub(crate) const TAIL: usize = 512;
    /// u64, messages received by participants that have left (queue).
    pub(crate) const RECEIVED: usize = 520;
    /// u64, messages put back for another puller (queue).
    pub(crate) const REDELIVERED: usize = 528;
    /// Event that receivers sleep on: three u32, see `wait`.
    pub(crate) const ITEMS: usize = 640;
    /// Event that senders sleep on while the queue is full, like `ITEMS`.
    pub(crate) const ROOM: usize = 768;
    /// Event that requesters sleep on, like `ITEMS`.
    pub(crate) const REPLIES: usize = 896;
    /// u64, how often a subscriber has come into the window of a channel whose publisher waits.
    pub(crate) const JOINS: usize = 1024;
    /// The end of the control words; what lies between is reserved and zero.
    pub(crate) const END: usize = 2048;

    /// `STATE`: in use.
    pub(crate) const LIVE: u64 = 0;
    /// `STATE`: another segment has the name now; whoever is attached should look for it.
    pub(crate) const SUPERSEDED: u64 = 1;
}

/// The words of an event, as byte offsets from its start.
pub(crate) mod event {
    /// u32, not 0 while a participant that may sleep is registered.
    pub(crate) const MODE: usize = 0;
    /// u32, not 0 while somebody sleeps, or is about to.
    pub(crate) const WAITERS: usize = 4;
    /// u32, the futex: changes with every wake.
    pub(crate) const FUTEX: usize = 8;
}

/// A participant's entry, as byte offsets from its start. Only its participant writes it, but for what a
/// publisher that waits does to [`WINDOW`](seat::WINDOW) and [`CUT`](seat::CUT).
pub(crate) mod seat {
    /// Bytes of an entry.
    pub(crate) const SIZE: usize = super::LINE;
    /// u32, 0 or the role: see `segment::Role`.
    pub(crate) const ROLE: usize = 0;
    /// u32, process id, in the pid namespace of the participant. To show, never to decide with.
    pub(crate) const PID: usize = 4;
    /// u32, not 0 if the participant may sleep in an event.
    pub(crate) const MAY_SLEEP: usize = 8;
    /// u32, a futex of this participant's own.
    pub(crate) const FUTEX: usize = 12;
    /// i64, when it came, in nanoseconds since the Unix epoch.
    pub(crate) const JOINED: usize = 16;
    /// Name of the process, UTF-8, padded with zeros.
    pub(crate) const NAME: usize = 24;
    /// Bytes of the name.
    pub(crate) const NAME_LEN: usize = 32;
    /// u64, the position it reads next.
    pub(crate) const POSITION: usize = 56;
    /// u64, messages received (or sent).
    pub(crate) const MESSAGES: usize = 64;
    /// u64, payload bytes received (or sent).
    pub(crate) const BYTES: usize = 72;
    /// u64, messages overwritten before they were received.
    pub(crate) const LOST: usize = 80;
    /// u64, messages passed over on purpose (`latest`).
    pub(crate) const SKIPPED: usize = 88;
    /// u64, messages refused because their bytes are no valid value.
    pub(crate) const INVALID: usize = 96;
    /// u64, messages received that somebody else had taken before and not acknowledged (queue).
    pub(crate) const REDELIVERED: usize = 104;
    /// u64, a subscriber's part in the window of a publisher that waits: see `ring::window`.
    pub(crate) const WINDOW: usize = 112;
    /// u64, how often the publisher has gone on without this subscriber; the publisher writes it.
    pub(crate) const CUT: usize = 120;
}

/// A slot, as byte offsets from its start.
pub(crate) mod slot {
    /// u64, position and state: see `ring`.
    pub(crate) const STAMP: usize = 0;
    /// u64, length of the payload in the low half; high half: see `ring`.
    pub(crate) const META: usize = 8;
    /// u64, nanoseconds of the monotonic clock (queue).
    pub(crate) const TIME: usize = 16;
    /// u64: see `ring`.
    pub(crate) const EXTRA: usize = 24;
}

/// Bytes [0, 256) of a segment: what it is. Written before the segment gets its name, constant
/// from then on; a reader copies it once and believes only the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Identity {
    pub(crate) magic: u64,
    pub(crate) version: u64,
    pub(crate) segment_size: u64,
    /// Layout of the message (the request, the header).
    pub(crate) fingerprint: u64,
    /// Layout of the reply, or of the items of the tail; else 0.
    pub(crate) fingerprint2: u64,
    pub(crate) pattern: u32,
    pub(crate) codec: u32,
    pub(crate) discipline: u32,
    pub(crate) flags: u32,
    pub(crate) slots: u64,
    /// Payload bytes that a slot holds.
    pub(crate) slot_size: u64,
    /// Bytes from one slot to the next.
    pub(crate) stride: u64,
    /// Where the payload starts in a slot.
    pub(crate) payload_offset: u64,
    pub(crate) slots_offset: u64,
    /// Alignment of the payload.
    pub(crate) align: u64,
    pub(crate) seats: u32,
    pub(crate) seat_size: u32,
    pub(crate) seats_offset: u64,
    pub(crate) schema_offset: u64,
    pub(crate) schema_len: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) created: i64,
    pub(crate) creator: u32,
    /// Publishers that there may be at a time, where that is more than one; else 0.
    pub(crate) publishers: u32,
    /// Bytes of the longest request, of `ReqRep`; else 0.
    pub(crate) request_size: u64,
    pub(crate) reserved: [u64; 12],
}

impl Identity {
    /// Bytes of the identity.
    pub(crate) const SIZE: usize = 256;
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Identity>() == Identity::SIZE);
    assert!(offset_of!(Identity, magic) == 0);
    assert!(offset_of!(Identity, version) == 8);
    assert!(offset_of!(Identity, fingerprint) == 24);
    assert!(offset_of!(Identity, pattern) == 40);
    assert!(offset_of!(Identity, slots) == 56);
    assert!(offset_of!(Identity, seats) == 104);
    assert!(offset_of!(Identity, created) == 136);
    assert!(offset_of!(Identity, request_size) == 152);
    assert!(control::STATE == Identity::SIZE);
    assert!(control::JOINS + LINE <= control::END);
    assert!(seat::CUT + 8 <= seat::SIZE);
    assert!(seat::NAME + seat::NAME_LEN == seat::POSITION);
};

/// How messages are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Pattern {
    PubSub = 1,
    PushPull = 2,
    ReqRep = 3,
}

impl Pattern {
    pub(crate) const fn from_u32(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Pattern::PubSub),
            2 => Some(Pattern::PushPull),
            3 => Some(Pattern::ReqRep),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Pattern::PubSub => "publish/subscribe",
            Pattern::PushPull => "push/pull",
            Pattern::ReqRep => "request/reply",
        }
    }
}

/// What the bytes in a slot are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Format {
    /// One `ShmMessage`.
    Fixed = 0,
    /// A MessagePack document.
    Msgpack = 1,
    /// A pickle.
    Pickle = 2,
    /// Bytes without a meaning known here.
    Bytes = 3,
    /// A `ShmMessage`, then items of another one to the end.
    Tail = 4,
}

impl Format {
    pub(crate) const fn from_u32(raw: u32) -> Option<Self> {
        match raw {
            0 => Some(Format::Fixed),
            1 => Some(Format::Msgpack),
            2 => Some(Format::Pickle),
            3 => Some(Format::Bytes),
            4 => Some(Format::Tail),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Format::Fixed => "fixed layout",
            Format::Msgpack => "msgpack",
            Format::Pickle => "pickle",
            Format::Bytes => "raw bytes",
            Format::Tail => "header and tail",
        }
    }
}

/// How a slot is protected: see `ring`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Discipline {
    /// Broadcast; both sides copy. Small messages.
    Copied = 1,
    /// Broadcast; readers hold a slot while they look at it. Large messages.
    Pinned = 2,
    /// Each message to one receiver.
    Queue = 3,
    /// Broadcast by several publishers; both sides copy.
    SharedCopied = 4,
    /// Broadcast by several publishers; readers hold a slot while they look at it.
    SharedPinned = 5,
}

impl Discipline {
    pub(crate) const fn from_u32(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Discipline::Copied),
            2 => Some(Discipline::Pinned),
            3 => Some(Discipline::Queue),
            4 => Some(Discipline::SharedCopied),
            5 => Some(Discipline::SharedPinned),
            _ => None,
        }
    }

    /// Whether readers hold the slot that they look at.
    pub(crate) const fn pins(self) -> bool {
        matches!(self, Discipline::Pinned | Discipline::SharedPinned)
    }

    /// State words of a slot.
    pub(crate) const fn states(self) -> u64 {
        match self {
            Discipline::Pinned => 2,
            Discipline::SharedPinned => 1,
            Discipline::Copied | Discipline::Queue | Discipline::SharedCopied => 0,
        }
    }

    /// Bytes of a slot before its payload, where that asks for no alignment.
    pub(crate) const fn head(self) -> usize {
        match self {
            Discipline::Copied | Discipline::Pinned => 16,
            Discipline::Queue | Discipline::SharedCopied | Discipline::SharedPinned => 32,
        }
    }

    /// Whether several publish.
    pub(crate) const fn shared(self) -> bool {
        matches!(self, Discipline::SharedCopied | Discipline::SharedPinned)
    }
}

/// [`Identity::flags`]: a request whose replier died goes to another one.
pub(crate) const FLAG_REDELIVER: u32 = 1;
/// [`Identity::flags`]: the publisher waits for its subscribers and overwrites nothing they have not read.
pub(crate) const FLAG_WAIT: u32 = 2;

/// Largest message, in bytes, that a broadcast ring copies instead of pinning. The group "send and
/// receive" of `cargo bench -p shmcomm --bench pubsub` has sizes on both sides of it.
pub(crate) const COPIED_MAX: u64 = 4096;
