//! The sizes and offsets of one segment: computed at creation, checked at attach.
//!
//! Owns the arithmetic; every sum and product of numbers that come from a file is checked. Calls
//! `exchange`. Never reads a file or a mapping: it takes an [`Identity`] that was copied out.

use super::exchange::MAX_WINDOW;
use super::{
    Discipline, Exchange, Format, Growth, Identity, LINE_PAIR, PAGE, Pattern, StreamPlaces, control, seat,
};
use crate::plural::count;

/// Smallest number of slots: one to read while the other is written.
pub(crate) const MIN_SLOTS: u64 = 2;
/// Largest number of slots.
pub(crate) const MAX_SLOTS: u64 = 1 << 20;
/// Largest payload capacity of a slot, in bytes: the length is a u32, with a margin.
pub(crate) const MAX_SLOT_SIZE: u64 = 1 << 31;
/// Largest number of bytes of all slots of a queue that grow: a process can map as many.
pub(crate) const MAX_GROWN: u64 = 1 << 45;
/// Largest number of participants.
pub(crate) const MAX_SEATS: u32 = 4096;
/// Largest number of readers of a pinned ring: the number of reader bits in a slot's state word.
pub(crate) const PINNED_READERS: u32 = 56;
/// Fewest slots of a channel without declared seats that pins messages of middle size: it has 6 subscribers.
pub(crate) const PINNED_SLOTS: u64 = 8;
/// Distance in bytes from one state word of a slot to the next, and from the payload to the first. It keeps
/// apart words that different processes write at the same time.
pub(crate) const STATE: u64 = LINE_PAIR as u64;
/// Distance in bytes from one packed slot to the next: half a cache line.
pub(crate) const PACKED: u64 = 32;
/// Size of an entry of the multi-producer ring, in bytes.
pub(crate) const ENTRY: u64 = 8;
/// Largest number of publishers at a time: the number that an entry of the multi-producer ring can name.
pub(crate) const MAX_PUBLISHERS: u32 = 32;
/// Largest number of keys of a table.
pub(crate) const MAX_KEYS: u64 = 1024;
/// Largest size of the schema text, in bytes.
pub(crate) const MAX_SCHEMA: u64 = 1 << 20;

/// Default number of slots of a channel.
pub(crate) const DEFAULT_SLOTS: u64 = 64;
/// Bytes that the slots of a publish/subscribe channel with default settings take at most, if that leaves it 8 slots.
/// Large messages then stay in the cache that the processors share.
pub(crate) const DEFAULT_BYTES: u64 = 8 << 20;
/// Largest message, in bytes, of a publish/subscribe channel that has 8 slots by default. Above it there are 4.
pub(crate) const EIGHT_SLOTS_MAX: u64 = 4 << 20;

/// Returns the default number of slots of a publish/subscribe channel. With declared `seats` there are enough slots for
/// as many subscribers, as far as [`DEFAULT_SLOTS`] go; 0 seats means that none are declared.
pub(crate) const fn default_slots(slot_size: u64, seats: u64) -> u64 {
    let fewest = if slot_size > EIGHT_SLOTS_MAX { 4 } else { 8 };
    let mut slots = DEFAULT_SLOTS;
    // A ring has two slots more than subscribers, and a seat for its publisher.
    while slots > fewest && slot_size > DEFAULT_BYTES / slots && slots / 2 > seats {
        slots /= 2;
    }
    slots
}

/// The parameters of a new segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) pattern: Pattern,
    pub(crate) slots: u64,
    /// Payload capacity of a slot, in bytes. For `Table`: size of all keys.
    pub(crate) slot_size: u64,
    /// Size in bytes of the longest request, for `ReqRep`; otherwise 0.
    pub(crate) request_size: u64,
    /// Alignment of the payload in bytes: a power of two, at most a page.
    pub(crate) align: u64,
    pub(crate) seats: u32,
    /// Number of publishers at a time; 1 for the patterns that have none. `Table` ignores it.
    pub(crate) publishers: u32,
    pub(crate) schema_len: u64,
}

impl Shape {
    /// Returns the shape of a channel whose declaration names no number of seats. Messages of middle size are pinned if
    /// there are slots for some subscribers, and the channel then has the seats of a pinned ring.
    pub(crate) fn with_default_seats(self) -> Self {
        if self.is_middle() && self.slots >= PINNED_SLOTS {
            return Shape { seats: self.seats.min(pinned_seats(self.slots, self.publishers)), ..self };
        }
        self
    }

    /// Returns `true` if the messages may be copied or pinned: the number of seats decides.
    fn is_middle(&self) -> bool {
        self.pattern == Pattern::PubSub
            && self.publishers == 1
            && (super::SMALL_MAX + 1..=super::COPIED_MAX).contains(&self.slot_size)
    }

    /// Returns `true` if readers pin the messages in their slots.
    fn pins(&self) -> bool {
        if self.is_middle() {
            self.seats <= pinned_seats(self.slots, self.publishers)
        } else {
            self.slot_size > super::COPIED_MAX
        }
    }
}

/// Returns the largest number of seats of a pinned ring. It has no bit for more readers, and each reader may pin a slot.
/// Two slots must stay free, one to write and one to read. (In a ring of two slots one reader leaves one slot free,
/// which is enough.)
pub(super) const fn pinned_seats(slots: u64, publishers: u32) -> u32 {
    let readers = match (slots as u32).saturating_sub(2) {
        0 => 1,
        free if free > PINNED_READERS => PINNED_READERS,
        free => free,
    };
    readers.saturating_add(publishers)
}

/// The sizes and offsets of a segment.
///
/// Invariants, true of every value that [`Geometry::new`] or [`Geometry::check`] returned:
/// 1. `slots` is a power of two between 2 and 2^20; for `Table` it is the number of keys, 1 to [`MAX_KEYS`].
/// 2. `stride` is a multiple of 64, or [`PACKED`], and of `align`; `payload_offset + slot_size <= state_offset`, and
///    `payload_offset` is a multiple of 8 and of `align`. `state_offset + states * STATE <= stride`, and both
///    are multiples of 128 if `states` is not 0.
/// 3. Slot `i < slots_in_all` lies at `slots_offset + i * stride`, within `segment_size`. With one
///    publisher `slots_in_all` is `slots`. With several it is `publishers * own_slots`, and publisher `s`
///    has `own_slots` slots from `s * own_slots` on.
/// 4. Seat `i < seats` lies at `seats_offset + i * seat::SIZE`, before the schema.
/// 5. The schema ends before `slots_offset`, which is a multiple of the page.
/// 6. With several publishers, `publishers < seats` and `own_slots <= 2 * slots`. `slots` entries of 8
///    bytes lie from `entries_offset`, a multiple of the page, before `slots_offset`. Otherwise
///    `publishers` is 1.
/// 7. For `ReqRep`, `exchange` lies behind `request_size` bytes of payload, and its reply starts within
///    `slot_size`. Otherwise `request_size` is 0, and `exchange` is [`Exchange::NONE`].
///    With growing slots of a queue, `growth.limit` takes the place of `slot_size` in 2: the memory of a slot beyond
///    `slot_size` is allocated when a message needs it.
/// 8. For `Table`, the keys take `slot_size` bytes from `slots_offset`, up to `segment_size`, and invariants 2 and 3 do
///    not hold. `publishers` is `slots`: seat `i` belongs to the writer of key `i`, unless keys have several writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) discipline: Discipline,
    pub(crate) slots: u64,
    pub(crate) slot_size: u64,
    pub(crate) request_size: u64,
    /// Offsets of the reply and of its status word.
    pub(crate) exchange: Exchange,
    /// Offsets of the stream of replies, of a channel with streams.
    pub(crate) stream: StreamPlaces,
    /// Growth of the slots, of a channel whose slots grow.
    pub(crate) growth: Growth,
    pub(crate) stride: u64,
    pub(crate) payload_offset: u64,
    /// Offset in bytes of the first state word in a slot; the stride if there is none.
    pub(crate) state_offset: u64,
    pub(crate) slots_offset: u64,
    pub(crate) align: u64,
    pub(crate) publishers: u32,
    /// Number of slots that each of several publishers has for itself.
    pub(crate) own_slots: u64,
    pub(crate) entries_offset: u64,
    pub(crate) seats: u32,
    pub(crate) seats_offset: u64,
    pub(crate) schema_offset: u64,
    pub(crate) schema_len: u64,
    pub(crate) segment_size: u64,
}

/// The error in a shape or a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GeometryError {
    #[error("{slots}; it takes a power of two from {MIN_SLOTS} to {MAX_SLOTS}", slots = count(*.0, "slot"))]
    Slots(u64),
    #[error("{keys}; a table takes 1 to {MAX_KEYS}", keys = count(*.0, "key"))]
    Keys(u64),
    #[error("keys of {bytes}; a table takes at most {MAX_SLOT_SIZE}", bytes = count(*.0, "byte"))]
    KeysSize(u64),
    #[error("slots of {bytes}; it takes 1 to {MAX_SLOT_SIZE}", bytes = count(*.0, "byte"))]
    SlotSize(u64),
    #[error(
        "slots of {slot_size} for requests of {request_size}; with its reply a request takes {needed} or more", slot_size = count(*.slot_size, "byte"))]
    Exchange { request_size: u64, slot_size: u64, needed: u64 },
    #[error(
        "a `window` of {window} in slots of {size}; it takes 1 to {MAX_WINDOW} replies of equal size behind a request", size = count(*.slot_size, "byte"))]
    Window { window: u64, slot_size: u64 },
    #[error("payload alignment {0}; it takes a power of two up to {PAGE}")]
    Align(u64),
    #[error("{seats}; it takes 2 to {MAX_SEATS}", seats = count(*.0, "seat"))]
    Seats(u32),
    #[error("{publishers}; it takes 1 to {MAX_PUBLISHERS}", publishers = count(*.0, "publisher"))]
    Publishers(u32),
    #[error("{publishers} on {seats}; it takes one seat more than publishers", seats = count(*.seats, "seat"), publishers = count(*.publishers, "publisher"))]
    Crowded { publishers: u32, seats: u32 },
    #[error("a schema of {bytes}; it may have {MAX_SCHEMA}", bytes = count(*.0, "byte"))]
    Schema(u64),
    #[error("slots that grow to {bytes}; together they may have {MAX_GROWN}", bytes = count(*.0, "byte"))]
    Grown(u64),
    #[error("`{field}` is {found}, which contradicts the other fields: they imply {expected}")]
    Inconsistent { field: &'static str, found: u64, expected: u64 },
    #[error("`{field}` has the unknown value {found}")]
    Unknown { field: &'static str, found: u64 },
}

impl Geometry {
    /// Computes the layout of a segment.
    ///
    /// Messages of up to [`SMALL_MAX`](super::SMALL_MAX) bytes are copied, and messages above
    /// [`COPIED_MAX`](super::COPIED_MAX) pinned. Between the two, the ring of one publisher pins if that leaves a seat for
    /// every declared one, and otherwise copies: no channel loses a subscriber by it. Several publishers copy, because
    /// pinned slots would double the memory of each of them.
    pub(crate) fn new(shape: Shape) -> Result<Self, GeometryError> {
        let pins = shape.pins();
        let discipline = match shape.pattern {
            Pattern::PubSub if shape.publishers == 1 && pins => Discipline::Pinned,
            Pattern::PubSub if shape.publishers == 1 => Discipline::Copied,
            Pattern::PubSub if pins => Discipline::MultiPinned,
            Pattern::PubSub => Discipline::MultiCopied,
            Pattern::PushPull | Pattern::ReqRep => Discipline::Queue,
            Pattern::Table => Discipline::Table,
        };
        Self::with(discipline, shape)
    }

    /// Computes the layout of a segment under a given discipline: a broadcast ring may have either.
    pub(crate) fn with(discipline: Discipline, shape: Shape) -> Result<Self, GeometryError> {
        let Shape { pattern, slots, slot_size, request_size, align, seats, publishers, schema_len } = shape;
        if discipline == Discipline::Table {
            return Self::table(shape);
        }
        if !slots.is_power_of_two() || !(MIN_SLOTS..=MAX_SLOTS).contains(&slots) {
            return Err(GeometryError::Slots(slots));
        }
        if slot_size == 0 || slot_size > MAX_SLOT_SIZE {
            return Err(GeometryError::SlotSize(slot_size));
        }
        if !align.is_power_of_two() || align > PAGE as u64 {
            return Err(GeometryError::Align(align));
        }
        if !(2..=MAX_SEATS).contains(&seats) {
            return Err(GeometryError::Seats(seats));
        }
        if schema_len > MAX_SCHEMA {
            return Err(GeometryError::Schema(schema_len));
        }
        let allowed = if discipline.shared() { 2..=MAX_PUBLISHERS } else { 1..=1 };
        if !allowed.contains(&publishers) {
            return Err(GeometryError::Publishers(publishers));
        }
        if publishers >= seats {
            return Err(GeometryError::Crowded { publishers, seats });
        }
        let seats = if discipline.pins() { seats.min(pinned_seats(slots, publishers)) } else { seats };
        // All slots that entries name, the slot that is written, and the further slots that readers may
        // pin.
        let own_slots = match discipline {
            Discipline::MultiCopied => slots + 1,
            Discipline::MultiPinned => slots + 1 + u64::from(seats - publishers),
            _ => 0,
        };
        // None of these overflows: the largest product is 2^26 slots of 2^31 + 2 pages.
        let payload_offset = (discipline.head() as u64).max(align);
        let end = payload_offset + slot_size;
        let (request_size, exchange) = if pattern == Pattern::ReqRep {
            let longest = usize::try_from(request_size).unwrap_or(usize::MAX);
            let exchange = Exchange::behind(longest, payload_offset as usize, align as usize);
            let needed = (exchange.reply as u64).max(request_size);
            if needed > slot_size {
                return Err(GeometryError::Exchange { request_size, slot_size, needed });
            }
            (request_size, exchange)
        } else {
            (0, Exchange::NONE)
        };
        let (state_offset, stride) = match discipline.states() {
            0 => (end.next_multiple_of(align.max(64)), end.next_multiple_of(align.max(64))),
            states => {
                let first = end.next_multiple_of(STATE);
                (first, (first + states * STATE).next_multiple_of(align.max(STATE)))
            }
        };
        let seats_offset = control::END as u64;
        let schema_offset = seats_offset + seats as u64 * seat::SIZE as u64;
        let entries_offset = (schema_offset + schema_len).next_multiple_of(PAGE as u64);
        let entries = if discipline.shared() { slots * ENTRY } else { 0 };
        let slots_offset = (entries_offset + entries).next_multiple_of(PAGE as u64);
        let slots_in_all = if discipline.shared() { own_slots * u64::from(publishers) } else { slots };
        let segment_size = slots_offset + slots_in_all * stride;
        Ok(Geometry {
            discipline,
            slots,
            slot_size,
            request_size,
            exchange,
            stream: StreamPlaces::NONE,
            growth: Growth::NONE,
            stride,
            payload_offset,
            state_offset,
            slots_offset,
            align,
            publishers,
            own_slots,
            entries_offset,
            seats,
            seats_offset,
            schema_offset,
            schema_len,
            segment_size,
        })
    }

    /// Returns the same layout for replies that are streams of at most `window` unread replies. A window of 0 changes
    /// nothing.
    pub(crate) fn streaming(self, window: u64) -> Result<Self, GeometryError> {
        if window == 0 {
            return Ok(self);
        }
        if self.exchange == Exchange::NONE {
            return Err(GeometryError::Unknown { field: "window", found: window });
        }
        let (payload, align) = (self.payload_offset as usize, self.align as usize);
        let slot_size = self.slot_size;
        let stream = StreamPlaces::within(self.exchange, payload, align, (window, slot_size))
            .ok_or(GeometryError::Window { window, slot_size })?;
        Ok(Geometry { stream, ..self })
    }

    /// Computes the layout of a table.
    fn table(shape: Shape) -> Result<Self, GeometryError> {
        let Shape { slots: keys, slot_size, align, seats, schema_len, .. } = shape;
        if !(1..=MAX_KEYS).contains(&keys) {
            return Err(GeometryError::Keys(keys));
        }
        if slot_size == 0 || slot_size > MAX_SLOT_SIZE {
            return Err(GeometryError::KeysSize(slot_size));
        }
        if !align.is_power_of_two() || align > PAGE as u64 {
            return Err(GeometryError::Align(align));
        }
        if !(2..=MAX_SEATS).contains(&seats) || u64::from(seats) <= keys {
            return Err(GeometryError::Seats(seats));
        }
        if schema_len > MAX_SCHEMA {
            return Err(GeometryError::Schema(schema_len));
        }
        let seats_offset = control::END as u64;
        let schema_offset = seats_offset + u64::from(seats) * seat::SIZE as u64;
        let slots_offset = (schema_offset + schema_len).next_multiple_of(PAGE as u64);
        Ok(Geometry {
            discipline: Discipline::Table,
            slots: keys,
            slot_size,
            request_size: 0,
            exchange: Exchange::NONE,
            stream: StreamPlaces::NONE,
            growth: Growth::NONE,
            stride: 0,
            payload_offset: 0,
            state_offset: 0,
            slots_offset,
            align,
            publishers: keys as u32,
            own_slots: 0,
            entries_offset: slots_offset,
            seats,
            seats_offset,
            schema_offset,
            schema_len,
            segment_size: slots_offset + slot_size,
        })
    }

    /// Checks a header that came from a file. Every number must equal the number that [`Geometry::new`]
    /// computes from the few independent numbers.
    pub(crate) fn check(identity: &Identity) -> Result<Self, GeometryError> {
        let unknown = |field, found: u32| GeometryError::Unknown { field, found: found.into() };
        let pattern =
            Pattern::from_u32(identity.pattern).ok_or_else(|| unknown("pattern", identity.pattern))?;
        let discipline = Discipline::from_u32(identity.discipline)
            .filter(|d| match pattern {
                Pattern::PubSub => !matches!(d, Discipline::Queue | Discipline::Table),
                Pattern::PushPull | Pattern::ReqRep => *d == Discipline::Queue,
                Pattern::Table => *d == Discipline::Table,
            })
            .ok_or_else(|| unknown("discipline", identity.discipline))?;
        let shape = Shape {
            pattern,
            slots: identity.slots,
            slot_size: identity.slot_size,
            request_size: identity.request_size,
            align: identity.align,
            seats: identity.seats,
            publishers: if discipline.shared() { identity.publishers } else { identity.publishers.max(1) },
            schema_len: identity.schema_len,
        };
        let computed = Self::with(discipline, shape)?.streaming(identity.window)?.growing_as(identity)?;
        // Segments of earlier releases have one slot in each line.
        let computed = if identity.stride == PACKED { computed.packed() } else { computed };
        for (field, found, expected) in [
            ("publishers", identity.publishers.into(), computed.publishers_field().into()),
            ("seats", identity.seats.into(), computed.seats.into()),
            ("seat_size", identity.seat_size.into(), seat::SIZE as u64),
            ("request_size", identity.request_size, computed.request_size),
            ("stride", identity.stride, computed.stride),
            ("payload_offset", identity.payload_offset, computed.payload_offset),
            ("slots_offset", identity.slots_offset, computed.slots_offset),
            ("seats_offset", identity.seats_offset, computed.seats_offset),
            ("schema_offset", identity.schema_offset, computed.schema_offset),
            ("segment_size", identity.segment_size, computed.segment_size),
        ] {
            if found != expected {
                return Err(GeometryError::Inconsistent { field, found, expected });
            }
        }
        Ok(computed)
    }

    /// Returns the number of slots of all publishers together.
    pub(crate) fn slots_in_all(&self) -> u64 {
        if self.discipline.shared() { self.own_slots * u64::from(self.publishers) } else { self.slots }
    }

    /// Returns the value of the identity's field for the number of publishers.
    pub(crate) fn publishers_field(&self) -> u32 {
        if self.discipline.shared() { self.publishers } else { 0 }
    }

    /// Returns the offset of seat `index`, in bytes.
    pub(crate) fn seat(&self, index: u32) -> usize {
        debug_assert!(index < self.seats);
        self.seats_offset as usize + index as usize * seat::SIZE
    }
}

impl Geometry {
    /// Returns the same layout for slots that grow. A growth of [`Growth::NONE`] changes nothing.
    pub(crate) fn growing(self, growth: Growth) -> Result<Self, GeometryError> {
        let (Growth { limit, series, steps }, unknown) =
            (growth, |field, found| Err(GeometryError::Unknown { field, found }));
        if limit != 0 && self.is_job_queue() {
            return self.growing_each_slot(growth);
        }
        let grows = matches!(self.discipline, Discipline::Copied | Discipline::Pinned);
        if limit == 0 {
            return match (series, steps) {
                (0, 0) => Ok(self),
                (0, _) => unknown("steps", steps),
                _ => unknown("series", series),
            };
        }
        if !grows || limit < self.slot_size || limit > MAX_SLOT_SIZE {
            return unknown("grow", limit);
        }
        Ok(Geometry { growth, ..self })
    }

    /// Checks the growth of a header whose layout is `self`.
    pub(super) fn growing_as(self, identity: &Identity) -> Result<Self, GeometryError> {
        let growth = Growth::of(identity);
        // Messages of a fixed layout all have one size.
        if growth.is_some() && identity.codec == Format::Fixed as u32 {
            return Err(GeometryError::Unknown { field: "grow", found: growth.limit });
        }
        self.growing(growth)
    }

    /// Returns `true` if the two segments are of one series, so that a position means the same in both.
    pub(crate) fn continues(&self, other: &Geometry) -> bool {
        self.growth.is_some()
            && !self.grows_each_slot()
            && (self.growth.limit, self.growth.series) == (other.growth.limit, other.growth.series)
            && (self.discipline, self.slots) == (other.discipline, other.slots)
    }
}

impl Growth {
    /// Returns the reason why slots of `slot_size` bytes cannot be declared to grow up to `limit` bytes.
    pub(crate) fn refusal(format: Format, slot_size: u64, limit: u64, publishers: u64) -> Option<String> {
        let slots = count(slot_size, "byte");
        if format == Format::Fixed {
            let why = "it is for messages with a tail or a codec";
            return Some(format!("`grow`, but all messages have one size, {slots}; {why}"));
        }
        if publishers > 1 {
            return Some(format!(
                "{publishers} and `grow`; slots grow for one publisher only: take `publishers` 1, or a \
                 `slot_size` for the longest message",
                publishers = count(publishers, "publisher")
            ));
        }
        (limit <= slot_size || limit > MAX_SLOT_SIZE).then(|| {
            format!("`grow` {limit} for slots of {slots}; it takes more than the slots hold, and at most {MAX_SLOT_SIZE}")
        })
    }
}

const _: () = assert!(seat::SIZE == LINE_PAIR);
