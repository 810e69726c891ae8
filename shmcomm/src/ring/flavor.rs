//! The two flavors of publish/subscribe ends (as in crossbeam): the broadcast ring of one publisher, or the
//! multi-producer broadcast of several.
//!
//! Owns the choice, made once. Calls `broadcast` and `multi`, which do the work, and `counters`. Never adds to either
//! protocol.

mod counters;
mod ready;
#[allow(unsafe_code)]
mod receive;
mod series;

use super::broadcast::{self, AllPinned};
use super::lent::LentPin;
use super::multi::{self, LogCorrupt, NotAppended, Sender};
use super::slot::{AcquiredToken, FastPath, NoMessage};
use crate::layout::{Geometry, Region};
use core::{mem::MaybeUninit, ptr::NonNull};
use counters::SeatCounters;
pub(crate) use ready::ReadyCheck;

/// Damage that no writer leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Corrupt {
    #[error(transparent)]
    Broadcast(#[from] broadcast::BroadcastCorrupt),
    #[error(transparent)]
    Multi(#[from] LogCorrupt),
}

/// The sending end of a ring.
#[derive(Debug)]
pub(crate) enum Writer {
    Broadcast(broadcast::Writer),
    Multi(multi::Writer, SeatCounters),
}

impl Writer {
    /// Joins the writers as `sender`.
    pub(crate) fn new(region: Region, geometry: &Geometry, sender: Sender) -> Result<Self, Corrupt> {
        if !geometry.discipline.shared() {
            return Ok(Writer::Broadcast(broadcast::Writer::new(region, geometry)?));
        }
        let writer = multi::Writer::new(region, geometry, sender)?;
        let counters = SeatCounters::new(region, geometry.seat(sender.seat));
        Ok(Writer::Multi(writer, counters))
    }

    /// Returns the number of positions taken before, and the number of messages that the last writer had
    /// begun, which are lost.
    pub(crate) fn found(&self) -> (u64, u64) {
        match self {
            Writer::Broadcast(writer) => (writer.recovered().positions, writer.recovered().unfinished),
            Writer::Multi(writer, _) => (writer.end(), 0),
        }
    }

    /// Publishes a message on the fast path: see [`broadcast::Writer::send_fast`] and
    /// [`multi::Writer::send_copied`]. Returns `false`, and publishes nothing, in all other cases.
    #[inline(always)]
    pub(crate) fn send_fast(&mut self, payload: &[u8]) -> bool {
        match self {
            Writer::Broadcast(writer) => writer.send_fast(payload),
            Writer::Multi(writer, counters) => {
                let Some(position) = writer.send_copied(payload) else { return false };
                counters.sent(position, payload.len());
                true
            }
        }
    }

    /// Publishes a message. A message longer than a slot is truncated; the caller checks the length.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), AllPinned> {
        match self {
            Writer::Broadcast(writer) => writer.send(payload),
            Writer::Multi(writer, counters) => send_multi(writer, counters, payload),
        }
    }

    /// Claims a slot that no reader pins, to write a message in place through [`Writer::claim`]; pinned
    /// rings only.
    #[inline(always)]
    pub(crate) fn try_claim(&mut self) -> Result<(), AllPinned> {
        match self {
            Writer::Broadcast(writer) => writer.try_claim(),
            Writer::Multi(writer, _) => match writer.try_claim() {
                Ok(()) => Ok(()),
                Err(NotAppended::NoSlot | NotAppended::Limit) => Err(AllPinned),
            },
        }
    }

    /// Claims a slot on the fast path of one publisher: see [`broadcast::Writer::claim_fast`]. Returns `false` without
    /// effect in all other cases.
    #[inline(always)]
    pub(crate) fn claim_fast(&mut self) -> bool {
        match self {
            Writer::Broadcast(writer) => writer.claim_fast(),
            Writer::Multi(..) => false,
        }
    }

    /// Returns the slot that was claimed last.
    #[inline(always)]
    pub(crate) fn claim(&mut self) -> Claim<'_> {
        Claim { writer: self }
    }

    /// Returns `true` if messages are written in their slots rather than copied into them.
    #[inline(always)]
    pub(crate) fn is_pinned(&self) -> bool {
        match self {
            Writer::Broadcast(writer) => writer.is_pinned(),
            Writer::Multi(writer, _) => writer.is_pinned(),
        }
    }

    /// Returns `true` if, in a snapshot, readers pin every slot, so that a claim would fail. One of several
    /// publishers always has one slot more than readers can pin.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Writer::Broadcast(writer) => writer.is_full(),
            Writer::Multi(..) => false,
        }
    }

    /// Returns `true` if the next position is below the limit.
    #[inline]
    pub(crate) fn has_credit(&self) -> bool {
        match self {
            Writer::Broadcast(writer) => writer.has_credit(),
            Writer::Multi(..) => true,
        }
    }

    /// Restricts the writer to the positions below `limit` from now on. (Several publishers do not wait:
    /// one of them cannot set a limit for the others.)
    pub(crate) fn set_limit(&mut self, limit: u64) {
        match self {
            Writer::Broadcast(writer) => writer.set_limit(limit),
            Writer::Multi(writer, _) => writer.set_limit(limit),
        }
    }

    /// Makes [`Writer::send_fast`] and [`Writer::claim_fast`] refuse the positions from `position` on.
    pub(crate) fn set_checkpoint(&mut self, position: u64) {
        if let Writer::Broadcast(writer) = self {
            writer.set_checkpoint(position);
        }
    }

    /// Returns the position of the next message, or an older one if there are other publishers.
    #[inline]
    pub(crate) fn next_position(&self) -> u64 {
        match self {
            Writer::Broadcast(writer) => writer.next_position(),
            Writer::Multi(writer, _) => writer.next_position(),
        }
    }

    /// Returns the number of messages published since the ring was made.
    pub(crate) fn messages(&self) -> u64 {
        match self {
            Writer::Broadcast(writer) => writer.messages(),
            Writer::Multi(writer, _) => writer.end(),
        }
    }

    /// Returns the number of slots skipped because a reader, perhaps a dead one, pinned them.
    #[inline(always)]
    pub(crate) fn passed(&self) -> u64 {
        match self {
            Writer::Broadcast(writer) => writer.passed(),
            Writer::Multi(writer, _) => writer.passed(),
        }
    }
}

// Out of line: the send of one publisher is small and is inlined into its caller.
#[inline(never)]
fn send_multi(
    writer: &mut multi::Writer,
    counters: &mut SeatCounters,
    payload: &[u8],
) -> Result<(), AllPinned> {
    match writer.send(payload) {
        Ok(position) => {
            counters.sent(position, payload.len());
            Ok(())
        }
        Err(NotAppended::NoSlot | NotAppended::Limit) => Err(AllPinned),
    }
}

/// A claimed slot to write a message into. Dropping it publishes nothing.
//
// Only an address: the claim is moved often, and the writer has all other facts.
#[must_use = "dropping a claim publishes nothing"]
#[derive(Debug)]
pub(crate) struct Claim<'w> {
    writer: &'w mut Writer,
}

impl Claim<'_> {
    /// Returns the payload of the slot, exclusively the claim's while it lives: aligned as the geometry
    /// says, [`capacity`](Claim::capacity) bytes, with any contents.
    #[inline(always)]
    pub(crate) fn payload(&mut self) -> NonNull<u8> {
        match self.writer {
            Writer::Broadcast(writer) => writer.claimed_slot().payload(),
            Writer::Multi(writer, _) => writer.claimed_slot().payload(),
        }
    }

    /// Returns the capacity in bytes.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        match &*self.writer {
            Writer::Broadcast(writer) => writer.slot_size(),
            Writer::Multi(writer, _) => writer.slot_size(),
        }
    }

    /// Publishes the first `len` bytes of the slot. Fails only if the ring is damaged.
    #[inline(always)]
    pub(crate) fn commit(self, len: usize) -> Result<(), AllPinned> {
        match self.writer {
            Writer::Broadcast(writer) => writer.commit(len),
            Writer::Multi(writer, counters) => match writer.commit(len) {
                Ok(position) => counters.sent(position, len),
                Err(NotAppended::NoSlot | NotAppended::Limit) => return Err(AllPinned),
            },
        }
        Ok(())
    }
}

/// The receiving end of a ring.
#[derive(Debug)]
pub(crate) enum Reader {
    Broadcast(broadcast::Reader),
    Multi(multi::Reader),
}

impl Reader {
    /// Starts at the end, or at most `history` messages before it, as far as they are still there.
    pub(crate) fn join(region: Region, geometry: &Geometry, bit: u32, history: u64) -> Result<Self, Corrupt> {
        Ok(if geometry.discipline.shared() {
            Reader::Multi(multi::Reader::join(region, geometry, bit, history)?)
        } else {
            Reader::Broadcast(broadcast::Reader::join(region, geometry, bit, history)?)
        })
    }

    /// Starts at the first position that was ever written. Messages that are no longer there count as lost.
    pub(crate) fn from_start(region: Region, geometry: &Geometry, bit: u32) -> Self {
        if geometry.discipline.shared() {
            Reader::Multi(multi::Reader::from_start(region, geometry, bit))
        } else {
            Reader::Broadcast(broadcast::Reader::from_start(region, geometry, bit))
        }
    }

    /// Starts like [`Reader::join`], as an observer: see [`broadcast::Reader::observe`].
    pub(crate) fn observe(region: Region, geometry: &Geometry, history: u64) -> Result<Self, Corrupt> {
        Ok(if geometry.discipline.shared() {
            Reader::Multi(multi::Reader::observe(region, geometry, history)?)
        } else {
            Reader::Broadcast(broadcast::Reader::observe(region, geometry, history)?)
        })
    }

    /// Starts like [`Reader::from_start`], as an observer: see [`broadcast::Reader::observe`].
    pub(crate) fn observe_from_start(region: Region, geometry: &Geometry) -> Self {
        if geometry.discipline.shared() {
            Reader::Multi(multi::Reader::observe_from_start(region, geometry))
        } else {
            Reader::Broadcast(broadcast::Reader::observe_from_start(region, geometry))
        }
    }

    /// Declares that the writer waits for this reader: see [`broadcast::Reader::gate_writer`].
    pub(crate) fn gate_writer(&mut self) {
        if let Reader::Broadcast(reader) = self {
            reader.gate_writer();
        }
    }

    /// Makes every receive take the slow path: see [`broadcast::Reader::leave_fast_path`].
    pub(crate) fn leave_fast_path(&mut self) {
        match self {
            Reader::Broadcast(reader) => reader.leave_fast_path(),
            Reader::Multi(reader) => reader.leave_fast_path(),
        }
    }

    /// Returns `true` if a receive would find anything.
    #[inline]
    pub(crate) fn ready(&self) -> bool {
        match self {
            Reader::Broadcast(reader) => reader.ready(),
            Reader::Multi(reader) => reader.ready(),
        }
    }

    /// Copies the next message into the front of `bytes` and returns its length.
    #[inline]
    pub(super) fn read_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        match self {
            Reader::Broadcast(reader) => reader.read_into(bytes),
            Reader::Multi(reader) => reader.read_into(bytes),
        }
    }

    /// Receives on the fast path: see [`broadcast::Reader::read_fast`] and [`multi::Reader::read_fast`].
    #[inline(always)]
    pub(super) fn read_fast(&mut self, bytes: &mut [MaybeUninit<u8>]) -> FastPath<u64> {
        match self {
            Reader::Broadcast(reader) => reader.read_fast(bytes),
            Reader::Multi(reader) => match reader.read_fast(bytes) {
                FastPath::Ready(()) => FastPath::Ready(reader.position()),
                FastPath::Empty => FastPath::Empty,
                FastPath::Slow => FastPath::Slow,
            },
        }
    }

    /// Copies `bytes.len()` bytes of the next message, without loading its length first.
    pub(super) fn read_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        match self {
            Reader::Broadcast(reader) => reader.read_exact(bytes),
            Reader::Multi(reader) => reader.read_exact(bytes),
        }
    }

    /// Copies the newest message, and continues after it.
    pub(super) fn latest_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Option<usize> {
        match self {
            Reader::Broadcast(reader) => reader.latest_into(bytes),
            Reader::Multi(reader) => reader.latest_into(bytes),
        }
    }

    /// Acquires the next message, for access through [`Reader::get`].
    #[inline(always)]
    pub(crate) fn acquire(&mut self) -> Result<AcquiredToken, NoMessage> {
        match self {
            Reader::Broadcast(reader) => reader.acquire(),
            Reader::Multi(reader) => reader.acquire(),
        }
    }

    /// Acquires the newest message like [`Reader::acquire`].
    #[inline]
    pub(crate) fn acquire_latest(&mut self) -> Option<AcquiredToken> {
        match self {
            Reader::Broadcast(reader) => reader.acquire_latest(),
            Reader::Multi(reader) => reader.acquire_latest(),
        }
    }

    /// Makes the message that was acquired last accessible.
    #[inline(always)]
    pub(crate) fn get(&mut self, acquired: AcquiredToken) -> Pinned<'_> {
        let pinned = match self {
            Reader::Broadcast(reader) => reader.is_pinned_message(&acquired),
            Reader::Multi(reader) => reader.is_pinned_message(&acquired),
        };
        assert!(pinned, "one message at a time");
        Pinned { len: acquired.len(), reader: self }
    }

    /// Lends the pin of the message that was acquired last: see [`broadcast::Reader::lend`].
    pub(crate) fn lend(&mut self, acquired: &AcquiredToken) -> LentPin {
        match self {
            Reader::Broadcast(reader) => reader.lend(acquired),
            Reader::Multi(reader) => reader.lend(acquired),
        }
    }

    /// Takes the pin back if it was lent and returned. Returns `false` while it is lent.
    pub(crate) fn take_back(&mut self) -> bool {
        match self {
            Reader::Broadcast(reader) => reader.take_back(),
            Reader::Multi(reader) => reader.take_back(),
        }
    }

    /// Returns `true` if messages are pinned in their slots rather than copied.
    #[inline(always)]
    pub(crate) fn is_pinned(&self) -> bool {
        match self {
            Reader::Broadcast(reader) => reader.is_pinned(),
            Reader::Multi(reader) => reader.is_pinned(),
        }
    }

    /// Returns the position that is read next.
    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        match self {
            Reader::Broadcast(reader) => reader.position(),
            Reader::Multi(reader) => reader.position(),
        }
    }

    /// Returns the number of positions between this reader and the end.
    pub(crate) fn lag(&self) -> u64 {
        match self {
            Reader::Broadcast(reader) => reader.lag(),
            Reader::Multi(reader) => reader.lag(),
        }
    }

    /// Returns the number of messages skipped to receive the newest.
    pub(crate) fn skipped(&self) -> u64 {
        match self {
            Reader::Broadcast(reader) => reader.skipped(),
            Reader::Multi(reader) => reader.skipped(),
        }
    }

    /// Returns the sender of the message that was received last. `None` in the ring of one publisher, whose
    /// messages do not name it.
    #[inline(always)]
    pub(crate) fn sender(&self) -> Option<Sender> {
        match self {
            Reader::Broadcast(_) => None,
            Reader::Multi(reader) => Some(reader.sender()),
        }
    }
}

/// A message in the slot that it was written to. It stays there, unchanged, until this guard is dropped. A
/// leaked guard costs the writer that slot until the reader acquires the next message, or is gone.
//
// Only an address, as with `Claim`.
#[must_use = "dropping it releases the message"]
#[derive(Debug)]
pub(crate) struct Pinned<'r> {
    len: usize,
    reader: &'r mut Reader,
}

impl Pinned<'_> {
    /// Returns the payload, valid while this guard lives: [`len`](Pinned::len) bytes that no writer writes.
    #[inline(always)]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        match &*self.reader {
            Reader::Broadcast(reader) => reader.payload(),
            Reader::Multi(reader) => reader.payload(),
        }
    }

    /// Returns the length of the message in bytes. It never exceeds the slot size.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Pinned<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.reader {
            Reader::Broadcast(reader) => reader.unpin(),
            Reader::Multi(reader) => reader.unpin(),
        }
    }
}

/// Clears the pins of a dead reader. No other participant may use `bit`, or receive it, meanwhile.
pub(crate) fn reclaim_pins(region: Region, geometry: &Geometry, bit: u32) {
    if geometry.discipline.shared() {
        multi::reclaim_pins(region, geometry, bit);
    } else {
        broadcast::reclaim_pins(region, geometry, bit);
    }
}
