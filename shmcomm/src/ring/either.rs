//! The ends of publish/subscribe, whichever ring the segment has: the broadcast ring of one publisher, or
//! the shared ring of several.
//!
//! Owns the choice, made once, and what a publisher among several counts on its own seat. Calls `broadcast`
//! and `shared`, which do the work; adds nothing to either protocol.

use super::broadcast::{self, AllPinned, Glance, Grabbed, Missed};
use super::shared::{self, Sender, Tangled, Unsent};
use crate::layout::{Geometry, Region, seat};
use crate::sync::Ordering::Relaxed;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// What no writer leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Corrupt {
    #[error(transparent)]
    Broadcast(#[from] broadcast::Corrupt),
    #[error(transparent)]
    Shared(#[from] Tangled),
}

/// The sending end of a ring.
#[derive(Debug)]
pub(crate) enum Writer {
    One(broadcast::Writer),
    Several(shared::Writer, Tally),
}

/// What one of several publishers has sent, in its seat, for others to look at.
#[derive(Debug)]
pub(crate) struct Tally {
    region: Region,
    seat: usize,
    messages: u64,
    bytes: u64,
}

impl Tally {
    #[inline]
    fn sent(&mut self, position: u64, len: usize) {
        self.messages += 1;
        self.bytes = self.bytes.wrapping_add(len as u64);
        // Relaxed, all: figures.
        for (at, value) in
            [(seat::POSITION, position + 1), (seat::MESSAGES, self.messages), (seat::BYTES, self.bytes)]
        {
            self.region.u64(self.seat + at).store(value, Relaxed);
        }
    }
}

impl Writer {
    /// Takes the place of `sender` among the writers.
    pub(crate) fn new(region: Region, geometry: &Geometry, sender: Sender) -> Result<Self, Corrupt> {
        if !geometry.discipline.shared() {
            return Ok(Writer::One(broadcast::Writer::new(region, geometry)?));
        }
        let writer = shared::Writer::new(region, geometry, sender)?;
        let tally = Tally { region, seat: geometry.seat(sender.seat), messages: 0, bytes: 0 };
        Ok(Writer::Several(writer, tally))
    }

    /// Positions taken before, and messages that the last writer had begun, which are lost.
    pub(crate) fn found(&self) -> (u64, u64) {
        match self {
            Writer::One(writer) => (writer.adopted().positions, writer.adopted().unfinished),
            Writer::Several(writer, _) => (writer.end(), 0),
        }
    }

    /// Publishes a message where one publisher copies it to the next slot, and is below its limit. False, and
    /// nothing is done, elsewhere.
    #[inline(always)]
    pub(crate) fn send_copied(&mut self, payload: &[u8]) -> bool {
        match self {
            Writer::One(writer) => writer.send_copied(payload),
            Writer::Several(..) => false,
        }
    }

    /// Publishes a message. One longer than a slot holds is cut; the caller sees to that.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), AllPinned> {
        match self {
            Writer::One(writer) => writer.send(payload),
            Writer::Several(writer, tally) => several(writer, tally, payload),
        }
    }

    /// Takes a slot that no reader holds, to write a message in place through [`Writer::claimed`]; pinned rings
    /// only.
    #[inline(always)]
    pub(crate) fn secure(&mut self) -> Result<(), AllPinned> {
        match self {
            Writer::One(writer) => writer.secure(),
            Writer::Several(writer, _) => match writer.secure() {
                Ok(()) => Ok(()),
                Err(Unsent::NoSlot | Unsent::Limit) => Err(AllPinned),
            },
        }
    }

    /// What was secured last.
    #[inline(always)]
    pub(crate) fn claimed(&mut self) -> Claim<'_> {
        Claim { writer: self }
    }

    /// Whether messages are made in their slots rather than copied into them.
    #[inline(always)]
    pub(crate) fn is_pinned(&self) -> bool {
        match self {
            Writer::One(writer) => writer.is_pinned(),
            Writer::Several(writer, _) => writer.is_pinned(),
        }
    }

    /// Whether readers hold every slot, so that a claim would fail, as far as one look can tell. One of
    /// several has always a slot more than readers can hold.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Writer::One(writer) => writer.is_full(),
            Writer::Several(..) => false,
        }
    }

    /// Whether the next position is below the limit.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Writer::One(writer) => writer.has_room(),
            Writer::Several(..) => true,
        }
    }

    /// Keeps to the positions below `limit` from now on. (Several publishers do not wait: there is no limit
    /// that one could set for the others.)
    pub(crate) fn set_limit(&mut self, limit: u64) {
        match self {
            Writer::One(writer) => writer.set_limit(limit),
            Writer::Several(writer, _) => writer.set_limit(limit),
        }
    }

    /// The position of the next message, as far as one look can tell.
    pub(crate) fn next_position(&self) -> u64 {
        match self {
            Writer::One(writer) => writer.next_position(),
            Writer::Several(writer, _) => writer.end(),
        }
    }

    /// Messages published since the ring was made.
    pub(crate) fn messages(&self) -> u64 {
        match self {
            Writer::One(writer) => writer.messages(),
            Writer::Several(writer, _) => writer.end(),
        }
    }

    /// How often a slot was passed: because a reader held it, perhaps a dead one.
    #[inline(always)]
    pub(crate) fn passed(&self) -> u64 {
        match self {
            Writer::One(writer) => writer.holes(),
            Writer::Several(writer, _) => writer.passed(),
        }
    }
}

// Out of line: one publisher's send is small and goes where its caller is.
#[inline(never)]
fn several(writer: &mut shared::Writer, tally: &mut Tally, payload: &[u8]) -> Result<(), AllPinned> {
    match writer.send(payload) {
        Ok(position) => {
            tally.sent(position, payload.len());
            Ok(())
        }
        Err(Unsent::NoSlot | Unsent::Limit) => Err(AllPinned),
    }
}

/// A slot to write a message into. Dropping it publishes nothing.
//
// No more than where to look: it is part of what is moved about, and what it would hold is at hand.
#[must_use = "dropping a claim publishes nothing"]
#[derive(Debug)]
pub(crate) struct Claim<'w> {
    writer: &'w mut Writer,
}

impl Claim<'_> {
    /// The payload of the slot, exclusively the claim's for as long as it lives: aligned as the geometry
    /// says, [`capacity`](Claim::capacity) bytes, whatever values.
    #[inline(always)]
    pub(crate) fn payload(&mut self) -> NonNull<u8> {
        match self.writer {
            Writer::One(writer) => writer.claimed().payload(),
            Writer::Several(writer, _) => writer.claimed().payload(),
        }
    }

    /// Bytes that fit.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        match &*self.writer {
            Writer::One(writer) => writer.slot_size(),
            Writer::Several(writer, _) => writer.slot_size(),
        }
    }

    /// Publishes the first `len` bytes of the slot. Fails only where the ring is damaged.
    #[inline(always)]
    pub(crate) fn publish(self, len: usize) -> Result<(), AllPinned> {
        match self.writer {
            Writer::One(writer) => writer.publish(len),
            Writer::Several(writer, tally) => match writer.publish_claimed(len) {
                Ok(position) => tally.sent(position, len),
                Err(Unsent::NoSlot | Unsent::Limit) => return Err(AllPinned),
            },
        }
        Ok(())
    }
}

/// The receiving end of a ring.
#[derive(Debug)]
pub(crate) enum Reader {
    One(broadcast::Reader),
    Several(shared::Reader),
}

impl Reader {
    /// Starts at the end, or as many messages before it as are still there.
    pub(crate) fn join(region: Region, geometry: &Geometry, bit: u32, history: u64) -> Result<Self, Corrupt> {
        Ok(if geometry.discipline.shared() {
            Reader::Several(shared::Reader::join(region, geometry, bit, history)?)
        } else {
            Reader::One(broadcast::Reader::join(region, geometry, bit, history)?)
        })
    }

    /// Starts at the first position that was ever written: what is not there any more counts as lost.
    pub(crate) fn from_start(region: Region, geometry: &Geometry, bit: u32) -> Self {
        if geometry.discipline.shared() {
            Reader::Several(shared::Reader::from_start(region, geometry, bit))
        } else {
            Reader::One(broadcast::Reader::from_start(region, geometry, bit))
        }
    }

    /// Its writer waits for it: see [`broadcast::Reader::be_waited_for`].
    pub(crate) fn be_waited_for(&mut self) {
        if let Reader::One(reader) = self {
            reader.be_waited_for();
        }
    }

    /// Whether a receive would find anything.
    #[inline]
    pub(crate) fn ready(&self) -> bool {
        match self {
            Reader::One(reader) => reader.ready(),
            Reader::Several(reader) => reader.ready(),
        }
    }

    /// Copies the next message into the front of `bytes` and returns its length.
    #[inline]
    pub(super) fn read_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, Missed> {
        match self {
            Reader::One(reader) => reader.read_into(bytes),
            Reader::Several(reader) => reader.read_into(bytes),
        }
    }

    /// See [`broadcast::Reader::glance_exact`].
    #[inline(always)]
    pub(super) fn glance_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Glance {
        match self {
            Reader::One(reader) => reader.glance_exact(bytes),
            Reader::Several(_) => Glance::Otherwise,
        }
    }

    /// Copies `bytes.len()` bytes of the next message, without asking for its length first.
    pub(super) fn read_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, Missed> {
        match self {
            Reader::One(reader) => reader.read_exact(bytes),
            Reader::Several(reader) => reader.read_exact(bytes),
        }
    }

    /// Copies the newest message, and goes on after it.
    pub(super) fn latest_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Option<usize> {
        match self {
            Reader::One(reader) => reader.latest_into(bytes),
            Reader::Several(reader) => reader.latest_into(bytes),
        }
    }

    /// Holds the next message, to be looked at through [`Reader::guard`].
    #[inline(always)]
    pub(crate) fn grab(&mut self) -> Result<Grabbed, Missed> {
        match self {
            Reader::One(reader) => reader.grab(),
            Reader::Several(reader) => reader.grab(),
        }
    }

    /// Holds the newest message like [`Reader::grab`].
    #[inline]
    pub(crate) fn grab_latest(&mut self) -> Option<Grabbed> {
        match self {
            Reader::One(reader) => reader.grab_latest(),
            Reader::Several(reader) => reader.grab_latest(),
        }
    }

    /// Makes what was grabbed last accessible.
    #[inline(always)]
    pub(crate) fn guard(&mut self, grabbed: Grabbed) -> Pinned<'_> {
        let holds = match self {
            Reader::One(reader) => reader.holds(&grabbed),
            Reader::Several(reader) => reader.holds(&grabbed),
        };
        assert!(holds, "one message at a time");
        Pinned { len: grabbed.len(), reader: self }
    }

    /// Whether messages are held in their slots rather than copied.
    #[inline(always)]
    pub(crate) fn is_pinned(&self) -> bool {
        match self {
            Reader::One(reader) => reader.is_pinned(),
            Reader::Several(reader) => reader.is_pinned(),
        }
    }

    /// The position that is read next.
    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        match self {
            Reader::One(reader) => reader.position(),
            Reader::Several(reader) => reader.position(),
        }
    }

    /// Positions between this reader and the end.
    pub(crate) fn lag(&self) -> u64 {
        match self {
            Reader::One(reader) => reader.lag(),
            Reader::Several(reader) => reader.lag(),
        }
    }

    /// Messages passed over to get the newest.
    pub(crate) fn skipped(&self) -> u64 {
        match self {
            Reader::One(reader) => reader.skipped(),
            Reader::Several(reader) => reader.skipped(),
        }
    }

    /// Who sent the message that was taken last; `None` where one publishes, whose messages do not say.
    #[inline(always)]
    pub(crate) fn sender(&self) -> Option<Sender> {
        match self {
            Reader::One(_) => None,
            Reader::Several(reader) => Some(reader.sender()),
        }
    }
}

/// A message in the slot it was written to; it stays there, unchanged, until this is dropped. A leaked one
/// costs its writer that slot until its reader takes the next one, or is gone.
//
// No more than where to look, as with `Claim`.
#[must_use = "dropping it lets the message go"]
#[derive(Debug)]
pub(crate) struct Pinned<'r> {
    len: usize,
    reader: &'r mut Reader,
}

impl Pinned<'_> {
    /// The payload, for as long as this lives: [`len`](Pinned::len) bytes that nobody writes.
    #[inline(always)]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        match &*self.reader {
            Reader::One(reader) => reader.payload(),
            Reader::Several(reader) => reader.payload(),
        }
    }

    /// Bytes of the message; no more than a slot holds.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Pinned<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.reader {
            Reader::One(reader) => reader.unpin(),
            Reader::Several(reader) => reader.unpin(),
        }
    }
}

/// Sees whether a reader would find anything, without being the reader.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Onlooker {
    One(broadcast::Onlooker),
    Several(shared::Onlooker),
}

impl Onlooker {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        if geometry.discipline.shared() {
            Onlooker::Several(shared::Onlooker::new(region, geometry))
        } else {
            Onlooker::One(broadcast::Onlooker::new(region, geometry))
        }
    }

    /// Whether a reader at `position` would find anything.
    pub(crate) fn ready_at(&self, position: u64) -> bool {
        match self {
            Onlooker::One(onlooker) => onlooker.ready_at(position),
            Onlooker::Several(onlooker) => onlooker.ready_at(position),
        }
    }
}

/// Takes back what a dead reader holds. Nobody else may be using `bit`, or be given it, meanwhile.
pub(crate) fn sweep_reader(region: Region, geometry: &Geometry, bit: u32) {
    if geometry.discipline.shared() {
        shared::sweep_reader(region, geometry, bit);
    } else {
        broadcast::sweep_reader(region, geometry, bit);
    }
}
