//! [`Reader`]: a receiving end.
//!
//! Owns the reader's position and the exact count of the messages that it missed; `pinned` owns its pin bit,
//! in a pinned ring. Calls `slot` for the accesses to a slot. Never writes to shared memory, except for its
//! own bit in a pinned ring. Every call ends after a bounded number of steps, whatever the writer does
//! meanwhile. The copied payload is the read side of a sequence lock (Linux `seqcount`; Boehm 2012).

mod observe;
mod pinned;

use super::{
    BroadcastCorrupt, DONE, HOLE, Holes, LAST_POSITION, Meta, done, hole, parse, short_laps, writing,
};
use crate::fault::{fault_point, mutant};
use crate::layout::{Discipline, Geometry, PINNED_READERS, Region};
use crate::ring::lent::Lending;
use crate::ring::slot::{Control, FastPath, NoMessage, Phase, Slot, Slots};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::spin_loop;
use core::mem::MaybeUninit;
#[cfg(all(test, not(loom)))]
pub(crate) use pinned::Pinned;

/// Number of attempts of one call, if the writer overwrites the slots that it reads.
const READ_ATTEMPTS: u32 = if cfg!(loom) { 3 } else { 64 };

/// A reader of a ring. A ring has any number of readers; in a pinned ring each reader has a bit of its own.
///
/// Invariants:
/// 1. `position` is the next position to read, and never falls.
/// 2. `gap` positions before it were skipped without loading their stamps, since the last message that was
///    accounted for. `holes` is the number of holes before it, without the holes in the gap.
///
/// So when a message at `position` says that `h` holes are before it, `h - holes` positions of the gap were
/// holes, and the remaining positions were messages.
#[derive(Debug)]
pub(crate) struct Reader {
    slots: Slots,
    control: Control,
    /// The reader's pin bit in state words; 0 if the payload is copied.
    bit: u64,
    /// `true` if the payload is copied, and no message needs work that only the slow path does. The fast path may copy a
    /// message if there is no gap either: [`Reader::set_gap`] tells the slots.
    fast: bool,
    position: u64,
    gap: u64,
    holes: Holes,
    lost: u64,
    skipped: u64,
    /// Number of slots next to the writer that the reader skips after it was lapped: they would be
    /// overwritten before they are read. 0 if the writer waits for the reader. See [`Reader::widen_margin`].
    margin: u64,
    /// The least margin: 1 if there is time to pin a message while the writer writes one, else a quarter of the slots.
    least_margin: u64,
    /// The head when the reader was lapped the last time: where it has caught up.
    lapped_at: u64,
    /// The position whose slot has this reader's bit between two calls. Below `position`: the acquired
    /// message, until it is unpinned. At `position`: the next message, pre-pinned before it is
    /// there.
    pinned: Option<u64>,
    /// `true` if this observes a pinned ring: it copies what the writer may be overwriting, and sets no bit.
    observes: bool,
    /// Number of consecutive empty polls since the last message.
    empty_polls: u32,
    /// The pin that was lent, until the reader has taken it back. `bit` is 0 meanwhile.
    lent: Option<Lending>,
}

impl Reader {
    /// Starts at the head, or, with a `history`, at most `history` messages before it, as far as they are
    /// still there.
    ///
    /// In a pinned ring, `bit` belongs to this reader alone (and is below [`PINNED_READERS`]) until the
    /// last use of the reader. In other rings it has no meaning.
    pub(crate) fn join(
        region: Region,
        geometry: &Geometry,
        bit: u32,
        history: u64,
    ) -> Result<Self, BroadcastCorrupt> {
        let mut reader = Self::from_start(region, geometry, bit);
        reader.start(history)?;
        Ok(reader)
    }

    /// Starts at the first position that was ever written. Messages that are no longer there count as lost.
    pub(crate) fn from_start(region: Region, geometry: &Geometry, bit: u32) -> Self {
        debug_assert_ne!(geometry.discipline, Discipline::Queue);
        let bit = match geometry.discipline {
            Discipline::Pinned => {
                assert!(bit < PINNED_READERS);
                1 << bit
            }
            _ => 0,
        };
        Self::with_bit(region, geometry, bit)
    }

    /// Takes the place of a reader whose ring this reader's ring [continues](super::copy).
    pub(crate) fn take_place_of(&mut self, before: &Self) {
        let Reader { position, gap, holes, lost, skipped, .. } = *before;
        (self.position, self.holes) = (position, holes);
        (self.lost, self.skipped) = (lost, skipped);
        self.set_gap(gap);
    }

    fn with_bit(region: Region, geometry: &Geometry, bit: u64) -> Self {
        let slots = Slots::new(region, geometry);
        let pins_in_time = bit != 0 && short_laps::are_large(geometry);
        let least_margin = if pins_in_time { 1 } else { slots.count() / 4 + 1 };
        let mut reader = Reader {
            slots,
            control: Control::new(region),
            bit,
            fast: bit == 0,
            position: 0,
            gap: 0,
            holes: Holes::new(0),
            lost: 0,
            skipped: 0,
            margin: least_margin,
            least_margin,
            lapped_at: 0,
            pinned: None,
            observes: false,
            empty_polls: 0,
            lent: None,
        };
        reader.set_gap(0);
        reader
    }

    /// Declares that the writer waits for this reader from now on: after a lap it continues with the oldest
    /// message.
    pub(crate) fn gate_writer(&mut self) {
        self.margin = 0;
    }

    /// Makes every receive of a message take the slow path.
    pub(crate) fn leave_fast_path(&mut self) {
        self.fast = false;
        self.set_gap(self.gap);
    }

    /// Sets the gap. The fast path copies no message behind a gap.
    fn set_gap(&mut self, gap: u64) {
        self.gap = gap;
        self.slots.allow_fast(self.fast && (gap == 0 || mutant("fast path over a gap")));
    }

    fn start(&mut self, history: u64) -> Result<(), BroadcastCorrupt> {
        let mask = self.slots.count() - 1;
        let mut head = 0;
        for _ in 0..READ_ATTEMPTS {
            // [catch up] pairs with [head].
            head = self.control.head().load(Acquire);
            if head == 0 {
                return Ok(());
            }
            let slot = self.slots.at(head - 1);
            let stamp = slot.load_stamp();
            // The slot has the stamp that was there when the head was stored, or a newer one.
            let (last, state) = match parse(stamp) {
                Some((last, state)) if last >= head - 1 && (last ^ (head - 1)) & mask == 0 => (last, state),
                _ => return Err(BroadcastCorrupt::Stamp { slot: (head - 1) & mask, stamp }),
            };
            if (state == DONE || state == HOLE)
                && let Some(meta) = slot.validate(stamp)
            {
                let holes = Meta::from_word(meta).holes;
                self.position = last + 1;
                self.holes = holes.add(u64::from(state == HOLE));
                self.go_back(last, history);
                return Ok(());
            }
            spin_loop();
        }
        Err(BroadcastCorrupt::Restless { head })
    }

    /// Moves back over at most `history` messages that are still there.
    fn go_back(&mut self, last: u64, mut history: u64) {
        let oldest = (last + 1).saturating_sub(self.slots.count());
        for position in (oldest..=last).rev() {
            if history == 0 {
                break;
            }
            let slot = self.slots.at(position);
            let stamp = slot.load_stamp();
            if stamp != done(position) && stamp != hole(position) {
                break;
            }
            let Some(meta) = slot.validate(stamp) else { break };
            history -= u64::from(stamp == done(position));
            self.position = position;
            self.holes = Meta::from_word(meta).holes;
        }
    }

    /// Returns `true` if a receive would find anything: a message, a hole, or a report of missed messages.
    #[inline]
    pub(crate) fn ready(&self) -> bool {
        self.slots.at(self.position).load_stamp() > writing(self.position)
    }

    /// Copies the next message on the fast path: it fills `bytes`, the ring is copied, and the message directly
    /// follows the last one received. Returns the position after it. Or reports that nothing is new.
    /// [`Reader::read_exact`] handles all other states.
    //
    // Always inlined, and without a loop for messages of one size.
    #[inline(always)]
    pub(crate) fn read_fast(&mut self, bytes: &mut [MaybeUninit<u8>]) -> FastPath<u64> {
        let position = self.position;
        let (slot, stamp) = (self.slots.at_fast(position), done(position));
        let seen = slot.load_stamp();
        if seen != stamp {
            return if seen < stamp { FastPath::Empty } else { FastPath::Slow };
        }
        // One comparison checks both: its holes are the counted holes, and its length is the length of
        // `bytes`.
        let next = Meta { len: bytes.len() as u32, holes: self.holes };
        // A slot without room tells that the fast path must not copy.
        let copies = !bytes.is_empty() && bytes.len() <= slot.size();
        if copies && copy::<true>(slot, stamp, bytes) == Some(next.word()) {
            self.position = position + 1;
            return FastPath::Ready(self.position);
        }
        FastPath::Slow
    }

    /// Copies the next message into the front of `bytes` and returns its length. If that length exceeds the
    /// length of `bytes`, the rest is left out.
    pub(crate) fn read_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        self.read::<false>(bytes)
    }

    /// Copies the next message like [`Reader::read_into`], but copies `bytes.len()` bytes (at most the slot
    /// size) without loading the length first. If it returns a length, all of `bytes` are written.
    pub(crate) fn read_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        debug_assert!(bytes.len() <= self.slots.size());
        self.read::<true>(bytes)
    }

    fn read<const EXACT: bool>(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, NoMessage> {
        if self.bit != 0 {
            let (held, meta) = self.pin_next()?;
            held.copy_to(front::<EXACT>(self.slots.size(), meta, bytes));
            return Ok(self.len(meta));
        }
        if self.observes {
            return self.read_observed(bytes);
        }
        for _ in 0..READ_ATTEMPTS {
            let (slot, stamp) = (self.slots.at(self.position), done(self.position));
            if slot.load_stamp() == stamp
                && let Some(meta) = copy::<EXACT>(slot, stamp, bytes).map(Meta::from_word)
                && self.is_next(meta)
            {
                self.position += 1;
                return Ok(self.len(meta));
            }
            self.advance()?;
        }
        Err(NoMessage::Empty)
    }

    /// Copies the newest message like [`Reader::read_into`], whether it was received before or not, and
    /// continues after it. Returns `None` if there is no message.
    pub(crate) fn latest_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Option<usize> {
        if self.bit != 0 {
            let (_, meta, held) = self.pin_newest()?;
            held.copy_to(front::<false>(self.slots.size(), meta, bytes));
            return Some(self.len(meta));
        }
        if self.observes {
            return self.latest_observed(bytes);
        }
        let (_, meta, ()) =
            self.newest(|slot, _, stamp| Some((Meta::from_word(copy::<false>(slot, stamp, bytes)?), ())))?;
        Some(self.len(meta))
    }

    /// Returns `true` if messages are pinned in their slots rather than copied.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.bit != 0
    }

    /// Returns the payload capacity of a slot, in bytes. No message is longer.
    #[inline]
    #[cfg(test)]
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size()
    }

    /// Returns the position that is read next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of positions between this reader and the writer.
    pub(crate) fn lag(&self) -> u64 {
        // Relaxed: a statistic.
        self.control.head().load(Relaxed).saturating_sub(self.position)
    }

    /// Returns the number of messages overwritten before they were received: the sum of all
    /// [`NoMessage::Lagged`].
    #[cfg(test)]
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the number of messages skipped by [`Reader::latest_into`] and [`Reader::acquire_latest`].
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Advances to a message that [`Reader::is_next`] accepts, as far as that is possible.
    #[cold]
    fn advance(&mut self) -> Result<(), NoMessage> {
        // This number of steps leads over a ring that is full of holes.
        for _ in 0..self.slots.count() + 1 {
            let position = self.position;
            let slot = self.slots.at(position);
            let stamp = slot.load_stamp();
            if stamp == done(position) {
                let Some(meta) = slot.validate(stamp).map(Meta::from_word) else { continue };
                let lost = self.account(meta);
                if lost > 0 {
                    self.lost += lost;
                    return Err(NoMessage::Lagged(lost));
                }
                return Ok(());
            }
            if stamp <= writing(position) {
                return Err(NoMessage::Empty);
            }
            if stamp == hole(position) {
                self.position += 1;
                self.holes = self.holes.add(1);
                continue;
            }
            // Lapped. The slots that the writer overwrites next would be gone before they are read, so the
            // reader skips them. [catch up] pairs with [head].
            let head = self.control.head().load(Acquire).min(LAST_POSITION);
            self.widen_margin();
            let resume = head.saturating_sub(self.slots.count() - self.margin);
            // The head may be older than the stamp.
            self.pass(resume.saturating_sub(position).max(1));
            self.lapped_at = head;
            fault_point!("sub.lapped");
        }
        Err(NoMessage::Empty)
    }

    /// Doubles the margin of a reader that is lapped again before it has caught up, and halves it for another. A
    /// reader that is slower than the writer by a factor `f` reads `margin / (f - 1)` messages until it is lapped, so
    /// with a wider margin it loses less time for laps.
    fn widen_margin(&mut self) {
        if self.margin == 0 {
            return;
        }
        let count = self.slots.count();
        self.margin = if self.position < self.lapped_at {
            (self.margin * 2).min((count - 1).max(1))
        } else {
            (self.margin / 2).max(self.least_margin)
        };
    }

    /// Skips positions without loading their stamps.
    fn pass(&mut self, positions: u64) {
        self.position += positions;
        self.set_gap(self.gap + positions);
    }

    /// Returns `true` if a message at `position` directly follows the last message that was accounted for.
    #[inline]
    fn is_next(&self, meta: Meta) -> bool {
        self.gap == 0 && meta.holes == self.holes
    }

    /// Closes the gap before a message at `position`. Returns the number of messages in the gap.
    fn account(&mut self, meta: Meta) -> u64 {
        let holes = meta.holes.since(self.holes);
        let messages = self.gap.saturating_sub(holes.into());
        self.set_gap(0);
        self.holes = meta.holes;
        messages
    }

    /// Finds the newest message, passes it to `take`, and continues after it.
    fn newest<T>(
        &mut self,
        mut take: impl FnMut(Slot, Phase, u64) -> Option<(Meta, T)>,
    ) -> Option<(u64, Meta, T)> {
        for _ in 0..READ_ATTEMPTS {
            // [catch up] pairs with [head]. The head is stored after the stamp, so a received message may
            // be at or beyond the head. `max` keeps the reader from treating such a message as gone.
            let end = self.control.head().load(Acquire).min(LAST_POSITION).max(self.position);
            let oldest = end.saturating_sub(self.slots.count());
            let (position, stamp) = (oldest..end)
                .rev()
                .map(|position| (position, self.slots.at(position).load_stamp()))
                .find(|&(position, stamp)| stamp != hole(position))?;
            if stamp == done(position)
                && let Some((meta, taken)) = take(self.slots.at(position), self.slots.phase(position), stamp)
            {
                if position >= self.position {
                    self.pass(position - self.position);
                    self.skipped += self.account(meta);
                    self.position += 1;
                }
                return Some((position, meta, taken));
            }
            spin_loop();
        }
        None
    }

    /// Returns the length of a message. It never exceeds the slot size, whatever process wrote it.
    #[inline]
    fn len(&self, meta: Meta) -> usize {
        (meta.len as usize).min(self.slots.size())
    }
}

/// Copies the payload of a slot, and returns the meta word, if the slot still has `stamp` after the copy.
#[inline(always)]
fn copy<const EXACT: bool>(slot: Slot, stamp: u64, bytes: &mut [MaybeUninit<u8>]) -> Option<u64> {
    if mutant("validation before the copy") {
        let meta = slot.validate(stamp)?;
        slot.load(front::<EXACT>(slot.size(), Meta::from_word(meta), bytes));
        return Some(meta);
    }
    // Relaxed: a first guess, which counts only if `validate` finds the same word.
    let guess = if EXACT { 0 } else { slot.meta().load(Relaxed) };
    slot.load(front::<EXACT>(slot.size(), Meta::from_word(guess), bytes));
    fault_point!("sub.copied");
    slot.validate(stamp)
}

/// Returns the part of the bytes that a message may fill.
#[inline]
fn front<const EXACT: bool>(
    size: usize,
    meta: Meta,
    bytes: &mut [MaybeUninit<u8>],
) -> &mut [MaybeUninit<u8>] {
    if EXACT {
        return bytes;
    }
    let len = (meta.len as usize).min(size).min(bytes.len());
    &mut bytes[..len]
}
