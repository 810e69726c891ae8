//! [`Reader`]: one of the ends that receive.
//!
//! Owns the reader's position, and the exact count of what it missed; in `grab` its mark, in a pinned ring.
//! Calls `slot` for what happens in a slot. Writes to shared memory only in a pinned ring, and there only its
//! own bit. Every call ends after a bounded number of steps, whatever the writer does meanwhile.

mod grab;

use super::{Corrupt, DONE, HOLE, LAST, Meta, done, hole, parse, writing};
use crate::fault::{fault_point, mutant};
use crate::layout::{Discipline, Geometry, PINNED_READERS, Region};
use crate::ring::slot::{Control, Parity, Slot, Slots};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::spin_loop;
use core::mem::MaybeUninit;
pub(crate) use grab::Grabbed;
#[cfg(all(test, not(loom)))]
pub(crate) use grab::Pinned;

/// How often a call looks again, when the writer overwrites what it is looking at.
const ATTEMPTS: u32 = if cfg!(loom) { 3 } else { 64 };

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Nothing new.
    Empty,
    /// So many messages were overwritten before this reader came to them. Said once, before the
    /// message that follows them.
    Lagged(u64),
}

/// What a reader sees at first sight.
pub(crate) enum Glance {
    /// The next message.
    Message,
    /// Nothing new.
    Nothing,
    /// Something that takes a closer look.
    Otherwise,
}

/// A reader of a ring. Any number of them; in a pinned ring each has a bit of its own.
///
/// Invariants:
/// 1. `position` is the next position to look at, and never falls.
/// 2. `gap` positions before it were passed without a look since the last one that was accounted for;
///    `holes` (modulo 2^32) is the number of holes before it, without those in the gap.
///
/// So when a message at `position` says that `h` holes are before it, `h - holes` of the gap were
/// holes, and the others messages.
#[derive(Debug)]
pub(crate) struct Reader {
    slots: Slots,
    control: Control,
    /// This reader's mark in state words; 0 where the payload is copied.
    bit: u64,
    position: u64,
    gap: u64,
    holes: u32,
    lost: u64,
    skipped: u64,
    /// Slots before the writer that are left out after a lap: they would be gone before they are read.
    margin: u64,
    /// The position whose slot has this reader's mark between two calls. Below `position`: what was grabbed,
    /// until its [`Pinned`] is dropped. At `position`: what will be, marked before it is there.
    holding: Option<u64>,
    /// How often nothing was there to grab since the last message.
    looks: u32,
}

impl Reader {
    /// Starts at the head, or, with a `history`, as many messages before it as are still there.
    ///
    /// `bit` is this reader's alone in a pinned ring (and below [`PINNED_READERS`]), until the last
    /// use of the reader; elsewhere it means nothing.
    pub(crate) fn join(region: Region, geometry: &Geometry, bit: u32, history: u64) -> Result<Self, Corrupt> {
        let mut reader = Self::from_start(region, geometry, bit);
        reader.start(history)?;
        Ok(reader)
    }

    /// Starts at the first position that was ever written: what is not there any more counts as lost.
    pub(crate) fn from_start(region: Region, geometry: &Geometry, bit: u32) -> Self {
        debug_assert_ne!(geometry.discipline, Discipline::Queue);
        let bit = match geometry.discipline {
            Discipline::Pinned => {
                assert!(bit < PINNED_READERS);
                1 << bit
            }
            _ => 0,
        };
        let slots = Slots::new(region, geometry);
        Reader {
            slots,
            control: Control::new(region),
            bit,
            position: 0,
            gap: 0,
            holes: 0,
            lost: 0,
            skipped: 0,
            margin: slots.count() / 4 + 1,
            holding: None,
            looks: 0,
        }
    }

    /// From now on the writer waits for this reader: after a lap it goes on with the oldest message there is.
    pub(crate) fn be_waited_for(&mut self) {
        self.margin = 0;
    }

    fn start(&mut self, history: u64) -> Result<(), Corrupt> {
        let mask = self.slots.count() - 1;
        let mut head = 0;
        for _ in 0..ATTEMPTS {
            // [catch up] pairs with [head].
            head = self.control.head().load(Acquire);
            if head == 0 {
                return Ok(());
            }
            let slot = self.slots.at(head - 1);
            let stamp = slot.observe();
            // The slot has what was there when the head was stored, or something newer.
            let (last, state) = match parse(stamp) {
                Some((last, state)) if last >= head - 1 && (last ^ (head - 1)) & mask == 0 => (last, state),
                _ => return Err(Corrupt::Stamp { slot: (head - 1) & mask, stamp }),
            };
            if (state == DONE || state == HOLE)
                && let Some(meta) = slot.settle(stamp)
            {
                let holes = Meta::from_word(meta).holes;
                self.position = last + 1;
                self.holes = holes.wrapping_add(u32::from(state == HOLE));
                self.go_back(last, history);
                return Ok(());
            }
            spin_loop();
        }
        Err(Corrupt::Restless { head })
    }

    /// Moves back over up to `history` messages that are still there.
    fn go_back(&mut self, last: u64, mut history: u64) {
        let oldest = (last + 1).saturating_sub(self.slots.count());
        for position in (oldest..=last).rev() {
            if history == 0 {
                break;
            }
            let slot = self.slots.at(position);
            let stamp = slot.observe();
            if stamp != done(position) && stamp != hole(position) {
                break;
            }
            let Some(meta) = slot.settle(stamp) else { break };
            history -= u64::from(stamp == done(position));
            self.position = position;
            self.holes = Meta::from_word(meta).holes;
        }
    }

    /// Whether a receive would find anything: a message, or that some were missed. A hole counts too.
    #[inline]
    pub(crate) fn ready(&self) -> bool {
        self.slots.at(self.position).observe() > writing(self.position)
    }

    /// The next message, if it fills `bytes` and everything is as it almost always is: copied by all, next to the
    /// last one received. Or nothing new. [`Reader::read_exact`] tells all else.
    //
    // In line, and for messages of one size without a loop.
    #[inline(always)]
    pub(crate) fn glance_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Glance {
        let (slot, stamp) = (self.slots.at(self.position), done(self.position));
        let seen = slot.observe();
        if seen < stamp {
            return Glance::Nothing;
        }
        // Its holes are those that were counted, and its length is that of `bytes`: one comparison.
        let next = Meta { len: bytes.len() as u32, holes: self.holes };
        if self.bit == 0 && seen == stamp && self.gap == 0 && copy::<true>(slot, stamp, bytes) == Some(next) {
            self.position += 1;
            return Glance::Message;
        }
        Glance::Otherwise
    }

    /// Copies the next message into the front of `bytes` and returns its length. If that is more than
    /// `bytes` has, the rest is left out.
    pub(crate) fn read_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, Missed> {
        self.read::<false>(bytes)
    }

    /// Like [`Reader::read_into`], but copies `bytes.len()` bytes (at most what a slot holds) without
    /// asking for the length first. If it returns a length, all of `bytes` are written.
    pub(crate) fn read_exact(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, Missed> {
        debug_assert!(bytes.len() <= self.slots.size());
        self.read::<true>(bytes)
    }

    fn read<const EXACT: bool>(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result<usize, Missed> {
        if self.bit != 0 {
            let (held, meta) = self.take()?;
            held.copy_to(front::<EXACT>(self.slots.size(), meta, bytes));
            return Ok(self.len(meta));
        }
        for _ in 0..ATTEMPTS {
            let (slot, stamp) = (self.slots.at(self.position), done(self.position));
            if slot.observe() == stamp
                && let Some(meta) = copy::<EXACT>(slot, stamp, bytes)
                && self.is_next(meta)
            {
                self.position += 1;
                return Ok(self.len(meta));
            }
            self.advance()?;
        }
        Err(Missed::Empty)
    }

    /// Copies the newest message like [`Reader::read_into`], whether it was received before or not,
    /// and goes on after it. `None` if there is none.
    pub(crate) fn latest_into(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Option<usize> {
        if self.bit != 0 {
            let (_, meta, held) = self.take_newest()?;
            held.copy_to(front::<false>(self.slots.size(), meta, bytes));
            return Some(self.len(meta));
        }
        let (_, meta, ()) = self.newest(|slot, _, stamp| Some((copy::<false>(slot, stamp, bytes)?, ())))?;
        Some(self.len(meta))
    }

    /// Whether messages are held in their slots rather than copied.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.bit != 0
    }

    /// Bytes that a slot holds: no message is longer.
    #[inline]
    #[cfg(test)]
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size()
    }

    /// The position that is read next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Positions between this reader and the writer.
    pub(crate) fn lag(&self) -> u64 {
        // Relaxed: a figure.
        self.control.head().load(Relaxed).saturating_sub(self.position)
    }

    /// Messages overwritten before they were received: the sum of all [`Missed::Lagged`].
    #[cfg(test)]
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Messages passed over by [`Reader::latest_into`] and [`Reader::grab_latest`].
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Goes on to a message that [`Reader::is_next`], as far as that is possible.
    #[cold]
    fn advance(&mut self) -> Result<(), Missed> {
        // As many steps as lead over a ring full of holes.
        for _ in 0..self.slots.count() + 1 {
            let position = self.position;
            let slot = self.slots.at(position);
            let stamp = slot.observe();
            if stamp == done(position) {
                let Some(meta) = slot.settle(stamp).map(Meta::from_word) else { continue };
                let lost = self.account(meta);
                if lost > 0 {
                    self.lost += lost;
                    return Err(Missed::Lagged(lost));
                }
                return Ok(());
            }
            if stamp <= writing(position) {
                return Err(Missed::Empty);
            }
            if stamp == hole(position) {
                self.position += 1;
                self.holes = self.holes.wrapping_add(1);
                continue;
            }
            // Lapped. What the writer comes to next would be gone before it is read: leave that out.
            // [catch up] pairs with [head].
            let head = self.control.head().load(Acquire).min(LAST);
            let resume = head.saturating_sub(self.slots.count() - self.margin);
            // The head may be older than the stamp.
            self.pass(resume.saturating_sub(position).max(1));
            fault_point!("sub.lapped");
        }
        Err(Missed::Empty)
    }

    /// Passes positions without a look.
    fn pass(&mut self, positions: u64) {
        self.position += positions;
        self.gap += positions;
    }

    /// Whether a message at `position` is the one after the last that was accounted for.
    #[inline]
    fn is_next(&self, meta: Meta) -> bool {
        self.gap == 0 && meta.holes == self.holes
    }

    /// Closes the gap before a message at `position`; returns how many messages were in it.
    fn account(&mut self, meta: Meta) -> u64 {
        let holes = meta.holes.wrapping_sub(self.holes);
        let messages = self.gap.saturating_sub(holes.into());
        self.gap = 0;
        self.holes = meta.holes;
        messages
    }

    /// Finds the newest message, takes it, and goes on after it.
    fn newest<T>(
        &mut self,
        mut take: impl FnMut(Slot, Parity, u64) -> Option<(Meta, T)>,
    ) -> Option<(u64, Meta, T)> {
        for _ in 0..ATTEMPTS {
            // [catch up] pairs with [head]. What was received is not taken for gone because the head
            // is stored after the stamp.
            let end = self.control.head().load(Acquire).min(LAST).max(self.position);
            let oldest = end.saturating_sub(self.slots.count());
            let (position, stamp) = (oldest..end)
                .rev()
                .map(|position| (position, self.slots.at(position).observe()))
                .find(|&(position, stamp)| stamp != hole(position))?;
            if stamp == done(position)
                && let Some((meta, taken)) = take(self.slots.at(position), self.slots.parity(position), stamp)
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

    /// The length of a message; no more than what a slot holds, whoever wrote it.
    #[inline]
    fn len(&self, meta: Meta) -> usize {
        (meta.len as usize).min(self.slots.size())
    }
}

/// Copies out of a slot what it has under `stamp`, if that is still there after the copy.
#[inline(always)]
fn copy<const EXACT: bool>(slot: Slot, stamp: u64, bytes: &mut [MaybeUninit<u8>]) -> Option<Meta> {
    if mutant("second look before the copy") {
        let meta = slot.settle(stamp).map(Meta::from_word)?;
        slot.load(front::<EXACT>(slot.size(), meta, bytes));
        return Some(meta);
    }
    // Relaxed: a first guess, of use only if `settle` finds the same.
    let guess = if EXACT { 0 } else { slot.meta().load(Relaxed) };
    slot.load(front::<EXACT>(slot.size(), Meta::from_word(guess), bytes));
    fault_point!("sub.copied");
    slot.settle(stamp).map(Meta::from_word)
}

/// As many of the bytes as a message may fill.
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
