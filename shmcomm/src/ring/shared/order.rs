//! [`Order`]: what the entries say, and how far they are.
//!
//! Owns the packing of an entry and the search for the end. Trusts no word that it reads: whatever is
//! in the region, each call ends, and without overflow.

use crate::layout::{Geometry, MAX_PUBLISHERS, Region};
use crate::ring::slot::{Entries, OwnSlots, Slot};

/// Bits of an entry for the writer.
const WRITER: u32 = MAX_PUBLISHERS.trailing_zeros();
const _: () = assert!(MAX_PUBLISHERS.is_power_of_two());

/// Positions that entries can name, for any number of slots: one to three centuries, at a position in 20
/// nanoseconds.
const POSITIONS: u64 = 1 << 58;
/// Nobody takes a position from here on; what is above is damage.
pub(super) const LAST: u64 = POSITIONS - (1 << 22);

/// The entries of a ring, and what they mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    entries: Entries,
    /// `k` where there are `2^k` entries.
    bits: u32,
}

/// What an entry says of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It names an older position, or none, with this word.
    Before(u64),
    /// It names this position.
    Here(Named),
    /// It names a later position.
    After,
}

/// A message as its entry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    word: u64,
    pub(super) position: u64,
    pub(super) writer: u64,
    pub(super) slot: u64,
}

/// What no writer leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Tangled {
    #[error("entry {entry} has the word {word:#x}, but no publisher puts it there")]
    Word { entry: u64, word: u64 },
    #[error("entry {entry} has the word {word:#x}, more than a lap behind the newest position, {newest}")]
    Behind { entry: u64, word: u64, newest: u64 },
}

impl Order {
    pub(super) fn new(region: Region, geometry: &Geometry) -> Self {
        let entries = Entries::new(region, geometry);
        Order { entries, bits: geometry.slots.trailing_zeros() }
    }

    /// How many positions there are at a time.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.entries.count()
    }

    /// The word that names a message.
    #[inline]
    pub(super) fn word(&self, position: u64, writer: u64, slot: u64) -> u64 {
        let lap = (position >> self.bits) + 1;
        (lap << WRITER | writer) << (self.bits + 1) | slot
    }

    /// One more than the position that a word names in the entry of `position`, plus what is missing to a
    /// lap: comparable with `position + n`, and never negative.
    #[inline]
    fn reach(&self, position: u64, word: u64) -> u64 {
        let lap = word >> (self.bits + 1 + WRITER);
        lap << self.bits | position & (self.count() - 1)
    }

    /// What the entry of a position says of it.
    #[inline]
    pub(super) fn look(&self, position: u64) -> Said {
        self.said(position, self.entries.observe(position))
    }

    /// The same for a writer that would take it.
    #[inline]
    pub(super) fn examine(&self, position: u64) -> Said {
        self.said(position, self.entries.examine(position))
    }

    #[inline]
    fn said(&self, position: u64, word: u64) -> Said {
        let (reach, wanted) = (self.reach(position, word), position + self.count());
        if reach < wanted {
            return Said::Before(word);
        }
        if reach > wanted {
            return Said::After;
        }
        let own = word & ((1 << (self.bits + 1 + WRITER)) - 1);
        let (writer, slot) = (own >> (self.bits + 1), own & ((1 << (self.bits + 1)) - 1));
        Said::Here(Named { word, position, writer, slot })
    }

    /// Whether a position is taken.
    #[inline]
    pub(super) fn taken(&self, position: u64) -> bool {
        self.reach(position, self.entries.observe(position)) >= position + self.count()
    }

    /// Whether `word`, read from the entry of `position`, names the position one lap before, or none where
    /// there is none: only that may be replaced.
    #[inline]
    pub(super) fn precedes(&self, word: u64, position: u64) -> bool {
        self.reach(position, word) == position
    }

    /// Whether the entry still says the same; see [`Entries::settle`].
    #[inline]
    pub(super) fn settle(&self, named: Named) -> bool {
        self.entries.settle(named.position, named.word)
    }

    /// See [`Entries::take`].
    #[inline]
    pub(super) fn take(&self, position: u64, seen: u64, word: u64) -> bool {
        self.entries.take(position, seen, word)
    }

    #[cfg(loom)]
    pub(super) fn force(&self, position: u64, word: u64) {
        self.entries.force(position, word);
    }

    /// A position that nobody has taken, all below being taken, at some instant of the call. `from` is one
    /// below which all are taken.
    #[inline]
    pub(super) fn end(&self, from: u64) -> u64 {
        if self.taken(from) { self.end_after(from) } else { from }
    }

    /// The same, where `from` is known to be taken.
    #[cold]
    fn end_after(&self, from: u64) -> u64 {
        // The entry itself may be laps ahead.
        let mut taken = self.reach(from, self.entries.observe(from)).saturating_sub(self.count()).max(from);
        let mut step = 1;
        while step < self.count() && self.taken(taken + step) {
            taken += step;
            step *= 2;
        }
        // Not taken at `taken + step`, or a lap ahead, where only what came meanwhile is.
        while step > 1 {
            step /= 2;
            if self.taken(taken + step) {
                taken += step;
            }
        }
        taken + 1
    }

    /// Whether every entry is one that a writer puts there, as far as can be seen while they go on.
    pub(super) fn check(&self, slots: &OwnSlots) -> Result<(), Tangled> {
        let newest = self.end(0);
        for entry in 0..self.count() {
            let word = self.entries.observe(entry);
            let reach = self.reach(entry, word);
            if reach < newest {
                return Err(Tangled::Behind { entry, word, newest });
            }
            // An entry of no position has no writer and no slot either.
            let unused = reach < self.count();
            let named = self.named(entry);
            if unused && word != 0 || reach > LAST || named.is_some_and(|named| slots.find(named).is_none()) {
                return Err(Tangled::Word { entry, word });
            }
        }
        Ok(())
    }

    /// The message that an entry names, by the entry's index.
    pub(super) fn named(&self, entry: u64) -> Option<Named> {
        let reach = self.reach(entry, self.entries.observe(entry));
        match self.look(reach.checked_sub(self.count())?) {
            Said::Here(named) => Some(named),
            // It has been replaced since: by a later one.
            Said::Before(_) | Said::After => None,
        }
    }
}

/// Slots by the names that entries give them.
pub(super) trait Find {
    /// `None` if no writer has such a slot.
    fn find(&self, named: Named) -> Option<Slot>;
}

impl Find for OwnSlots {
    #[inline]
    fn find(&self, named: Named) -> Option<Slot> {
        self.of(named.writer, named.slot)
    }
}
