//! The byte layout of a segment, version 2.
//!
//! Owns every offset and size that two processes must agree on, in these parts: the [`Identity`] at the
//! start of a segment, the arithmetic of [`Geometry`], and [`Region`], the bytes that a ring works on.
//! `docs/format.md` is the prose of this module; a test compares both with a golden dump. Calls nothing.
//!
//! Never opens, maps, waits or interprets a message.
//!
//! ```text
//!      0  identity      what the segment is; written before it gets a name, never again
//!    256  control       hot words, each group on 128 bytes of its own
//!   2048  seats         one entry of 128 bytes for each participant
//!      …  schema        JSON text of the message layout
//!      …  entries       of a channel of several publishers; page-aligned, a word for each of `slots`
//!      …  slots         page-aligned; `stride` bytes for each of `slots`, or of the slots of each publisher.
//!                       A table has its keys there: see `table`
//! ```
//!
//! All numbers are in the byte order of the machine, because a segment never leaves it.

mod exchange;
pub(crate) mod geometry;
mod growth;
mod identity;
mod packing;
mod placement;
#[cfg(not(loom))]
mod prefetch;
mod queue_growth;
mod region;
mod table;
#[cfg(all(feature = "python", not(loom)))]
pub(crate) mod v1;

pub(crate) use exchange::{Exchange, MAX_WINDOW, StreamPlaces};
pub(crate) use geometry::{
    DEFAULT_SLOTS, Geometry, GeometryError, MAX_PUBLISHERS, MAX_SCHEMA, MAX_SEATS, MAX_SLOT_SIZE, MAX_SLOTS,
    PINNED_READERS, Shape, default_slots,
};
pub(crate) use growth::Growth;
pub(crate) use placement::{InPlaceAsked, InPlaceRefusal};
#[cfg(not(loom))]
pub(crate) use prefetch::prefetch_for_write;
pub(crate) use queue_growth::Grown;
#[cfg(any(test, loom))]
pub(crate) use region::Heap;
pub(crate) use region::{Line, Region, Words};
pub(crate) use table::{BUFFERS, KEY_OWNER, KeyPlace, places};

/// `1MMOCMHS` on disk: the magic of version 1 (PyPI `shm-comm`), which old readers check first.
pub(crate) const MAGIC: u64 = 0x5348_4D43_4F4D_4D31;
/// The version of this format.
pub(crate) const VERSION: u64 = 2;
/// The version in the header of a table, and of a channel whose replies are streams, or whose slots grow or are packed.
/// Releases that know none of them refuse it by name, instead of taking it for a damaged segment. Its parts are those of
/// [`VERSION`].
pub(crate) const VERSION_EXTENDED: u64 = 3;
/// The version of the format of PyPI's `shm-comm` 1.0.0.
pub(crate) const VERSION_PYTHON: u64 = 1;

/// Size of a cache line, in bytes.
pub(crate) const CACHE_LINE: usize = 64;
/// Distance in bytes between words that different participants write: two cache lines, because x86 fetches
/// lines in pairs.
pub(crate) const LINE_PAIR: usize = 128;
/// The unit of mapping, in bytes, to which the slots are aligned.
pub(crate) const PAGE: usize = 4096;

/// Size of [`control::CHANNEL`], in bytes.
pub(crate) const CHANNEL_LEN: usize = 200;

/// Control words, as byte offsets into the segment.
pub(crate) mod control {
    /// u64, [`LIVE`] or [`SUPERSEDED`].
    pub(crate) const STATE: usize = 256;
    /// u64, the position that is written next (broadcast).
    pub(crate) const HEAD: usize = 384;
    /// u64, messages sent by senders that have left (queue).
    pub(crate) const MESSAGES: usize = 392;
    /// u64, payload bytes published since creation; or, like `MESSAGES`, payload bytes of senders that have
    /// left. On the line of `HEAD`, because it has the same writer.
    pub(crate) const BYTES: usize = 400;
    /// u64, number of positions without a message, since creation.
    pub(crate) const HOLES: usize = 408;
    /// u64, a hint of the oldest position that is not acknowledged (queue).
    pub(crate) const TAIL: usize = 512;
    /// u64, messages received by participants that have left (queue).
    pub(crate) const RECEIVED: usize = 520;
    /// u64, messages put back for another puller (queue).
    pub(crate) const REDELIVERED: usize = 528;
    /// Event in which receivers sleep: three u32, see `wait`.
    pub(crate) const ITEMS: usize = 640;
    /// Event in which senders sleep while the queue is full, like `ITEMS`.
    pub(crate) const ROOM: usize = 768;
    /// Event in which requesters sleep, like `ITEMS`.
    pub(crate) const REPLIES: usize = 896;
    /// u64, number of times that a subscriber became active in the flow control of a publisher that waits.
    pub(crate) const JOINS: usize = 1024;
    /// u64, how far the slots of a queue have grown: see [`Grown`](super::Grown).
    pub(crate) const GROWN: usize = 1032;
    /// Full name of the channel, padded with zeros.
    pub(crate) const CHANNEL: usize = 1280;
    /// The end of the control words. The bytes between them are reserved and zero.
    pub(crate) const END: usize = 2048;

    /// `STATE`: in use.
    pub(crate) const LIVE: u64 = 0;
    /// `STATE`: another segment has the name now. Every attached participant should re-attach to it.
    pub(crate) const SUPERSEDED: u64 = 1;
}

/// The words of an event, as byte offsets from its start.
pub(crate) mod event {
    /// u32, not 0 while a participant that may sleep is registered.
    pub(crate) const MODE: usize = 0;
    /// u32, not 0 while a participant sleeps, or is about to sleep.
    pub(crate) const WAITERS: usize = 4;
    /// u32, the futex: changes with every wake.
    pub(crate) const FUTEX: usize = 8;
}

/// The entry of a participant, as byte offsets from its start. Only its participant writes it, except that
/// a publisher that waits writes [`FLOW`](seat::FLOW) and [`EVICTIONS`](seat::EVICTIONS).
pub(crate) mod seat {
    /// Size of an entry, in bytes.
    pub(crate) const SIZE: usize = super::LINE_PAIR;
    /// u32, 0 or the role: see `segment::Role`.
    pub(crate) const ROLE: usize = 0;
    /// u32, process id, in the pid namespace of the participant. For display, never for a decision.
    pub(crate) const PID: usize = 4;
    /// u32, not 0 if the participant may sleep in an event.
    pub(crate) const MAY_SLEEP: usize = 8;
    /// u32, a futex of this participant's own.
    pub(crate) const FUTEX: usize = 12;
    /// i64, time of its join, in nanoseconds since the Unix epoch.
    pub(crate) const JOINED: usize = 16;
    /// Name of the process, UTF-8, padded with zeros.
    pub(crate) const NAME: usize = 24;
    /// Size of the name, in bytes.
    pub(crate) const NAME_LEN: usize = 32;
    /// u64, the position it reads next; of one of several writers of a key, the offset of the key plus 1.
    pub(crate) const POSITION: usize = 56;
    /// u64, messages received (or sent).
    pub(crate) const MESSAGES: usize = 64;
    /// u64, payload bytes received (or sent).
    pub(crate) const BYTES: usize = 72;
    /// u64, messages overwritten before they were received.
    pub(crate) const LOST: usize = 80;
    /// u64, messages skipped on purpose (`latest`).
    pub(crate) const SKIPPED: usize = 88;
    /// u64, messages refused because their bytes are not a valid value.
    pub(crate) const INVALID: usize = 96;
    /// u64, messages received that another participant had taken before and not acknowledged (queue).
    pub(crate) const REDELIVERED: usize = 104;
    /// u64, a subscriber's word in the flow control of a publisher that waits: see `ring::flow_control`.
    pub(crate) const FLOW: usize = 112;
    /// u64, number of times that the publisher has evicted this subscriber; the publisher writes it.
    pub(crate) const EVICTIONS: usize = 120;
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

/// Bytes [0, 256) of a segment: its identity. Written before the segment gets its name, constant from then
/// on. A reader copies it once and trusts only the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Identity {
    pub(crate) magic: u64,
    pub(crate) version: u64,
    pub(crate) segment_size: u64,
    /// Layout of the message (the request, the header).
    pub(crate) fingerprint: u64,
    /// Layout of the reply, or of the items of the tail; otherwise 0.
    pub(crate) fingerprint2: u64,
    pub(crate) pattern: u32,
    pub(crate) codec: u32,
    pub(crate) discipline: u32,
    pub(crate) flags: u32,
    pub(crate) slots: u64,
    /// Payload capacity of a slot, in bytes.
    pub(crate) slot_size: u64,
    /// Distance in bytes from one slot to the next.
    pub(crate) stride: u64,
    /// Offset in bytes of the payload in a slot.
    pub(crate) payload_offset: u64,
    pub(crate) slots_offset: u64,
    /// Alignment of the payload, in bytes.
    pub(crate) align: u64,
    pub(crate) seats: u32,
    pub(crate) seat_size: u32,
    pub(crate) seats_offset: u64,
    pub(crate) schema_offset: u64,
    pub(crate) schema_len: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) created: i64,
    pub(crate) creator: u32,
    /// Maximum number of publishers at a time, if that is more than one; otherwise 0.
    pub(crate) publishers: u32,
    /// Size in bytes of the longest request, for `ReqRep`; otherwise 0.
    pub(crate) request_size: u64,
    /// Number of unread replies that a request may have, if its replies are a stream; otherwise 0.
    pub(crate) window: u64,
    /// Largest slot size in bytes, if the slots grow; otherwise 0. See [`Growth`].
    pub(crate) grow: u64,
    pub(crate) series: u64,
    pub(crate) steps: u64,
    pub(crate) reserved: [u64; 8],
}

impl Identity {
    /// Size of the identity, in bytes.
    pub(crate) const SIZE: usize = 256;

    /// Returns a field, by name and value, that only a header of [`VERSION_EXTENDED`] may have.
    pub(crate) fn extension(&self) -> Option<(&'static str, u64)> {
        let fields = [
            ("window", self.window, self.window != 0),
            ("grow", self.grow, self.grow != 0),
            ("pattern", self.pattern.into(), self.pattern == Pattern::Table as u32),
            ("stride", self.stride, self.stride == geometry::PACKED),
        ];
        fields.into_iter().find_map(|(name, value, extended)| extended.then_some((name, value)))
    }
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
    assert!(offset_of!(Identity, window) == 160);
    assert!(offset_of!(Identity, steps) == 184);
    assert!(control::STATE == Identity::SIZE);
    assert!(control::JOINS + LINE_PAIR <= control::END);
    assert!(seat::EVICTIONS + 8 <= seat::SIZE);
    assert!(seat::NAME + seat::NAME_LEN == seat::POSITION);
};

/// The communication pattern of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u32)]
pub enum Pattern {
    /// Publish/subscribe.
    PubSub = 1,
    /// Push/pull.
    PushPull = 2,
    /// Request/reply.
    ReqRep = 3,
    /// A table of latest values.
    Table = 4,
}

impl Pattern {
    pub(crate) const fn from_u32(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Pattern::PubSub),
            2 => Some(Pattern::PushPull),
            3 => Some(Pattern::ReqRep),
            4 => Some(Pattern::Table),
            _ => None,
        }
    }

    /// Returns the name of the pattern, as in listings: `publish/subscribe`.
    pub const fn name(self) -> &'static str {
        match self {
            Pattern::PubSub => "publish/subscribe",
            Pattern::PushPull => "push/pull",
            Pattern::ReqRep => "request/reply",
            Pattern::Table => "table",
        }
    }
}

/// The encoding of the bytes in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u32)]
pub enum Format {
    /// One `ShmMessage`.
    Fixed = 0,
    /// A MessagePack document.
    Msgpack = 1,
    /// A pickle.
    Pickle = 2,
    /// Bytes whose meaning this library does not know.
    Bytes = 3,
    /// A `ShmMessage`, then items of another type up to the end.
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

    /// Returns the name of the format, as in listings: `fixed layout`.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Fixed => "fixed layout",
            Format::Msgpack => "msgpack",
            Format::Pickle => "pickle",
            Format::Bytes => "raw bytes",
            Format::Tail => "header and tail",
        }
    }
}

/// A codec: a way to write messages as bytes, identified by a number in the segment's header.
pub trait Codec {
    /// Number in the segment's header. 0 is a fixed layout, which needs no codec.
    const ID: u32;
    /// Name in error messages and listings, and in the layout of an [`Encoded`](crate::Encoded) value.
    const NAME: &'static str;
}

/// The protection of the messages in a segment, and the way in which slots change hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u32)]
pub enum Discipline {
    /// Broadcast. Both sides copy. Small messages.
    Copied = 1,
    /// Broadcast. Readers pin a slot while they read it. Large messages.
    Pinned = 2,
    /// Queue: each message goes to one receiver.
    Queue = 3,
    /// Broadcast by several publishers. Both sides copy.
    MultiCopied = 4,
    /// Broadcast by several publishers. Readers pin a slot while they read it.
    MultiPinned = 5,
    /// Latest values: two buffers for each key. Both sides copy.
    Table = 6,
}

impl Discipline {
    /// Returns the name of the discipline: `copied`, `pinned`, `queue`, `copied, several publishers`, `table`.
    pub const fn name(self) -> &'static str {
        match self {
            Discipline::Copied => "copied",
            Discipline::Pinned => "pinned",
            Discipline::Queue => "queue",
            Discipline::MultiCopied => "copied, several publishers",
            Discipline::MultiPinned => "pinned, several publishers",
            Discipline::Table => "table",
        }
    }

    pub(crate) const fn from_u32(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Discipline::Copied),
            2 => Some(Discipline::Pinned),
            3 => Some(Discipline::Queue),
            4 => Some(Discipline::MultiCopied),
            5 => Some(Discipline::MultiPinned),
            6 => Some(Discipline::Table),
            _ => None,
        }
    }

    /// Returns the discipline of publish/subscribe.
    pub(crate) const fn broadcast(shared: bool, pins: bool) -> Self {
        match (shared, pins) {
            (false, false) => Discipline::Copied,
            (false, true) => Discipline::Pinned,
            (true, false) => Discipline::MultiCopied,
            (true, true) => Discipline::MultiPinned,
        }
    }

    /// Returns `true` if readers pin the slot that they read.
    pub(crate) const fn pins(self) -> bool {
        matches!(self, Discipline::Pinned | Discipline::MultiPinned)
    }

    /// Returns the number of state words of a slot.
    pub(crate) const fn states(self) -> u64 {
        match self {
            Discipline::Pinned => 2,
            Discipline::MultiPinned => 1,
            Discipline::Copied | Discipline::Queue | Discipline::MultiCopied | Discipline::Table => 0,
        }
    }

    /// Returns the number of bytes of a slot before its payload, if the payload requires no alignment.
    pub(crate) const fn head(self) -> usize {
        match self {
            Discipline::Copied | Discipline::Pinned => 16,
            Discipline::Queue | Discipline::MultiCopied | Discipline::MultiPinned => 32,
            Discipline::Table => 0,
        }
    }

    /// Returns `true` if several participants publish.
    pub(crate) const fn shared(self) -> bool {
        matches!(self, Discipline::MultiCopied | Discipline::MultiPinned)
    }
}

/// [`Identity::flags`]: a request whose replier died goes to another replier.
pub(crate) const FLAG_REDELIVER: u32 = 1;
/// [`Identity::flags`]: the publisher waits for its subscribers and overwrites no message that they have
/// not read.
pub(crate) const FLAG_WAIT: u32 = 2;
/// [`Identity::flags`]: several writers of a table may store one key.
pub(crate) const FLAG_MANY: u32 = 4;

/// Largest message, in bytes, that a broadcast ring copies instead of pinning. The group "send and
/// receive" of `cargo bench -p shmcomm-measure-micro --bench pubsub` has sizes on both sides of it.
pub(crate) const COPIED_MAX: u64 = 4096;
/// Largest message, in bytes, that a ring of one publisher copies although pinned slots would serve all of its seats.
/// `benches-compare latency touched` has sizes on both sides of it.
pub(crate) const SMALL_MAX: u64 = 512;
