//! [`Writer`]: a publishing end.
//!
//! Owns the choice of a slot, and the steps of a publication. Calls `log` for positions, `slot` for the
//! accesses to a slot. Never waits for another participant, and never writes to a slot of another writer.

use super::log::{Entry, LAST_ENTRY, Log, LogCorrupt};
use super::{Sender, meta};
use crate::fault::{fault_point, mutant};
use crate::layout::{Geometry, Region};
use crate::ring::slot::{Cursor, OwnSlots, Phase, Slot, WriteLock};
use crate::sync::Ordering::Relaxed;
use crate::sync::load_own;

/// Number of entries that no writer leaves, which one send may find before it gives up.
const CORRUPT_ENTRIES: u32 = 8;

/// Number of attempts of a send to take a position. Each attempt fails only if another writer has
/// published. Only a process that damages the entries makes it fail this number of times in a row.
const LOST_RACES: u32 = if cfg!(loom) { 64 } else { 1 << 16 };

/// The reason why a message was not published. No word was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAppended {
    /// Readers pinned every slot of its own that the writer tried, or the entries are damaged or never at
    /// rest.
    NoSlot,
    /// The next position is at the limit.
    Limit,
}

/// A writer of a ring. A lock of the operating system ensures that there is one at a time on its seat.
///
/// It has no destructor: it leaves the same state as a crash does, which needs no repair.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Log,
    slots: OwnSlots,
    sender: Sender,
    pinned: bool,
    /// The slot to try next.
    cursor: Cursor,
    /// A position below which all positions are taken.
    next: u64,
    /// The first position that the writer must not take: at most the one after [`LAST_ENTRY`].
    limit: u64,
    /// Name of the first slot of the writer in an entry.
    name: u64,
    /// Number of slots skipped because readers pinned them.
    passed: u64,
    /// True while the slot of the cursor is claimed but not published.
    claimed: bool,
}

impl Writer {
    /// Joins the writers on the seat of `sender`, however the last writer of the seat ended.
    pub(crate) fn new(region: Region, geometry: &Geometry, sender: Sender) -> Result<Self, LogCorrupt> {
        debug_assert!(geometry.discipline.shared() && sender.seat < geometry.publishers);
        let (log, slots) = (Log::new(region, geometry), OwnSlots::new(region, geometry));
        log.check(&slots)?;
        // Starts behind the newest named slot. If its entry is replaced meanwhile, the entries before it are
        // replaced too, and then all slots are free.
        let own = (0..log.count())
            .filter_map(|entry| log.named(entry))
            .filter(|named| named.writer == u64::from(sender.seat))
            .max_by_key(|named| named.position);
        let cursor = own.map_or(0, |newest| (newest.slot + 1) % slots.each());
        let cursor = slots.cursor(sender.seat.into(), cursor).expect("the seat of a publisher");
        let next = log.end(0);
        let pinned = geometry.discipline.pins();
        let (limit, name) = (LAST_ENTRY + 1, log.name(sender.seat.into(), 0));
        Ok(Writer { log, slots, sender, pinned, cursor, next, limit, name, passed: 0, claimed: false })
    }

    /// Publishes a message, and returns its position. A message longer than a slot is truncated; the caller
    /// checks the length.
    #[inline]
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<u64, NotAppended> {
        debug_assert!(payload.len() <= self.slots.size());
        let payload = &payload[..payload.len().min(self.slots.size())];
        if self.pinned {
            let mut claim = self.claim()?;
            claim.fill(payload);
            return claim.commit(payload.len());
        }
        self.copy_and_append(payload)
    }

    /// Publishes a message by copying it, and returns its position. Returns `None`, and publishes nothing, if the
    /// ring is pinned, the payload is too long, or [`Writer::send`] would fail.
    //
    // Always inlined, as in the broadcast ring: the compiler copies a payload of constant size without a loop.
    #[inline(always)]
    pub(crate) fn send_copied(&mut self, payload: &[u8]) -> Option<u64> {
        if self.pinned || payload.len() > self.slots.size() {
            return None;
        }
        self.copy_and_append(payload).ok()
    }

    #[inline(always)]
    fn copy_and_append(&mut self, payload: &[u8]) -> Result<u64, NotAppended> {
        let slot = self.cursor.slot();
        slot.write_begin_unstamped();
        if mutant("multi append before the write") {
            let position = self.append(slot)?;
            slot.store(payload);
            slot.describe(meta(payload.len(), self.sender.pid), self.sender.joined as u64);
            self.cursor.advance();
            return Ok(position);
        }
        slot.store(payload);
        slot.describe(meta(payload.len(), self.sender.pid), self.sender.joined as u64);
        let position = self.append(slot)?;
        self.cursor.advance();
        Ok(position)
    }

    /// Claims a slot that no entry names and no reader pins, to write a message in place; pinned rings
    /// only.
    #[inline]
    pub(crate) fn claim(&mut self) -> Result<MultiClaim<'_>, NotAppended> {
        self.try_claim()?;
        Ok(MultiClaim { writer: self })
    }

    /// Claims a slot (`try_claim`): the first half of [`Writer::claim`]. Afterwards there is a
    /// [`Writer::claimed_slot`].
    #[inline(never)]
    pub(crate) fn try_claim(&mut self) -> Result<(), NotAppended> {
        debug_assert!(self.pinned);
        // Scans twice, because a reader that advances may be met again.
        for _ in 0..2 * self.slots.each() {
            let slot = self.cursor.slot();
            if !self.is_named(slot) {
                if let Some(owned) = slot.try_lock(Phase::EVEN) {
                    slot.write_begin_unstamped();
                    owned.into_raw();
                    self.claimed = true;
                    return Ok(());
                }
                self.passed += 1;
            }
            self.cursor.advance();
        }
        Err(NotAppended::NoSlot)
    }

    /// Returns the slot that was claimed last and is not published.
    #[inline]
    pub(in crate::ring) fn claimed_slot(&self) -> WriteLock {
        assert!(self.claimed, "a slot is claimed before it is used");
        self.cursor.slot().lock_from_raw(Phase::ODD, false)
    }

    /// Publishes (commits) the first `len` bytes of the claimed slot, and returns the position of the
    /// message.
    #[inline]
    pub(crate) fn commit(&mut self, len: usize) -> Result<u64, NotAppended> {
        let owned = self.claimed_slot();
        self.claimed = false;
        debug_assert!(len <= self.slots.size());
        let len = len.min(self.slots.size());
        let slot = owned.slot();
        slot.describe(meta(len, self.sender.pid), self.sender.joined as u64);
        if mutant("multi append before unlock") {
            let position = self.append(slot)?;
            owned.finish().unlock();
            self.cursor.advance();
            return Ok(position);
        }
        // Unlocks before the entry, because a reader that sees the entry may pin the slot.
        owned.finish().unlock();
        let position = self.append(slot)?;
        self.cursor.advance();
        Ok(position)
    }

    /// Returns the payload capacity of a slot, in bytes.
    #[inline]
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size()
    }

    /// Returns `true` if messages are written in their slots rather than copied into them.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Returns the number of slots skipped because readers, perhaps dead ones, pinned them.
    #[inline]
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// Returns the number of positions taken by all writers: the messages published since the ring was
    /// made.
    pub(crate) fn end(&self) -> u64 {
        self.log.end(self.next)
    }

    /// Restricts the writer to the positions below `limit` from now on.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit.min(LAST_ENTRY + 1);
    }

    /// Returns `true` if an entry names the slot of the cursor. Only the entry of the last position that
    /// was tried for the slot can name it.
    fn is_named(&self, slot: Slot) -> bool {
        match load_own(slot.stamp()).checked_sub(1) {
            Some(position) if position <= LAST_ENTRY => match self.log.check_entry(position) {
                Entry::Current(named) => {
                    (named.writer, named.slot) == (self.sender.seat.into(), self.cursor.index())
                }
                Entry::Older | Entry::Newer => false,
            },
            _ => false,
        }
    }

    /// Takes the next position for the message in `slot`, the slot of the cursor.
    #[inline]
    fn append(&mut self, slot: Slot) -> Result<u64, NotAppended> {
        match self.attempt(slot) {
            Attempt::Took(position) => Ok(position),
            failed => self.append_further(failed),
        }
    }

    /// Continues after a failed attempt.
    #[cold]
    fn append_further(&mut self, mut attempt: Attempt) -> Result<u64, NotAppended> {
        let slot = self.cursor.slot();
        let mut corrupt_entries = 0;
        for _ in 0..LOST_RACES {
            match attempt {
                Attempt::Took(position) => return Ok(position),
                Attempt::Limit => return Err(NotAppended::Limit),
                Attempt::Raced => {}
                Attempt::Taken(position) => self.next = self.log.end(position),
                Attempt::Corrupt => {
                    corrupt_entries += 1;
                    if corrupt_entries > CORRUPT_ENTRIES {
                        return Err(NotAppended::NoSlot);
                    }
                    self.next = self.log.end(0);
                }
            }
            attempt = self.attempt(slot);
        }
        match attempt {
            Attempt::Took(position) => Ok(position),
            _ => Err(NotAppended::NoSlot),
        }
    }

    /// Tries once to take the next position.
    #[inline(always)]
    fn attempt(&mut self, slot: Slot) -> Attempt {
        let position = self.next;
        let seen = self.log.load_entry_to_replace(position);
        if !self.log.precedes(seen, position) || position >= self.limit {
            return self.obstacle(position, seen);
        }
        // Relaxed: only the writers of this seat load it.
        slot.stamp().store(position + 1, Relaxed);
        fault_point!("pub.stamped");
        let word = self.log.word(position, self.name | self.cursor.index());
        #[cfg(loom)]
        if mutant("multi append without the lap") {
            self.log.force(position, word);
            self.next = position + 1;
            return Attempt::Took(position);
        }
        if !self.log.try_append(position, seen, word) {
            return Attempt::Raced;
        }
        self.next = position + 1;
        Attempt::Took(position)
    }

    /// Returns the reason why the writer cannot replace the word `seen` in the entry of `position`.
    #[cold]
    fn obstacle(&self, position: u64, seen: u64) -> Attempt {
        if self.log.names_or_passes(seen, position) {
            Attempt::Taken(position)
        } else if position >= self.limit && position <= LAST_ENTRY {
            Attempt::Limit
        } else {
            Attempt::Corrupt
        }
    }

    /// Returns a position below which all positions are taken: the next one, unless other writers were faster.
    #[inline]
    pub(crate) fn next_position(&self) -> u64 {
        self.next
    }
}

/// The result of an attempt to take a position.
enum Attempt {
    /// This writer has taken it.
    Took(u64),
    /// Another writer had taken it before.
    Taken(u64),
    /// Another writer took it at the same time.
    Raced,
    /// It is at the limit.
    Limit,
    /// Its entry has a word that no writer leaves there.
    Corrupt,
}

/// A claimed slot to write a message into. Dropping the claim publishes nothing: the next claim reuses the
/// slot, also after a leak.
#[must_use = "dropping a claim publishes nothing"]
#[derive(Debug)]
pub(crate) struct MultiClaim<'w> {
    writer: &'w mut Writer,
}

impl MultiClaim<'_> {
    /// Copies a payload in, from the start of the slot.
    #[inline]
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        self.writer.claimed_slot().fill(bytes);
    }

    /// Publishes the first `len` bytes of the slot, and returns the position of the message.
    #[inline]
    pub(crate) fn commit(self, len: usize) -> Result<u64, NotAppended> {
        self.writer.commit(len)
    }
}
