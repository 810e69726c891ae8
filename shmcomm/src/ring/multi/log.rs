//! [`Log`]: the log of entries, their meaning, and the search for their end.
//!
//! Owns the packing of an entry and the search for the end. Calls `slot` for the loads. Never trusts a word
//! that it loads: whatever is in the region, each call ends, and without overflow.

use crate::layout::{Geometry, MAX_PUBLISHERS, Region};
use crate::ring::slot::{Entries, OwnSlots, Slot};

/// Number of bits of an entry for the writer.
const WRITER: u32 = MAX_PUBLISHERS.trailing_zeros();
const _: () = assert!(MAX_PUBLISHERS.is_power_of_two());
/// Number of bits of an entry for the name of a slot, beyond those of the number of entries. A shift by it leaves the lap
/// times the number of entries, plus less than that number.
const NAME_BITS: u32 = WRITER + 1;

/// Number of positions that entries can name, for any number of slots. It lasts one to three centuries, at
/// a position in 20 ns.
const POSITIONS: u64 = 1 << 58;
/// The first position that no writer takes. A position above it is damage.
pub(super) const LAST_ENTRY: u64 = POSITIONS - (1 << 22);

/// The log of a ring: its entries, and their decoding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    entries: Entries,
    /// Base-2 logarithm of the number of entries.
    bits: u32,
}

/// The relation of an entry to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The entry names an older position, or none.
    Older,
    /// The entry names this position.
    Current(Named),
    /// The entry names a later position.
    Newer,
}

/// A message as its entry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    word: u64,
    pub(super) position: u64,
    pub(super) writer: u64,
    pub(super) slot: u64,
}

/// Damage that no writer leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogCorrupt {
    #[error("entry {entry} has the word {word:#x}, but no publisher puts it there")]
    Word { entry: u64, word: u64 },
    #[error("entry {entry} has the word {word:#x}, more than a lap behind the newest position, {newest}")]
    Behind { entry: u64, word: u64, newest: u64 },
}

impl Log {
    pub(super) fn new(region: Region, geometry: &Geometry) -> Self {
        let entries = Entries::new(region, geometry);
        Log { entries, bits: geometry.slots.trailing_zeros() }
    }

    /// Returns the number of positions that the ring holds at a time.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.entries.count()
    }

    /// Returns the part of a word that names a slot of a writer.
    #[inline]
    pub(super) fn name(&self, writer: u64, slot: u64) -> u64 {
        writer << (self.bits + 1) | slot
    }

    /// Returns the word that names a message by its position and the [name](Log::name) of its slot.
    #[inline]
    pub(super) fn word(&self, position: u64, name: u64) -> u64 {
        self.wanted(position) << NAME_BITS | name
    }

    /// Returns the position that starts the lap after that of `position`: the number of the lap in a word that names the
    /// position, times the number of entries.
    #[inline(always)]
    fn wanted(&self, position: u64) -> u64 {
        (position | (self.count() - 1)) + 1
    }

    /// Returns the position that `word` names in the entry of `position`, plus a lap, or less than a lap
    /// for no position. It compares with `position + n`, and is never negative.
    #[inline]
    fn reach(&self, position: u64, word: u64) -> u64 {
        let lap = word >> (self.bits + 1 + WRITER);
        lap << self.bits | position & (self.count() - 1)
    }

    /// Loads the entry of a position, and compares it with that position.
    #[inline]
    pub(super) fn check_entry(&self, position: u64) -> Entry {
        self.decode(position, self.entries.load_entry(position))
    }

    /// Loads the entry of a position, for a writer that may take the position.
    #[inline]
    pub(super) fn load_entry_to_replace(&self, position: u64) -> u64 {
        self.entries.load_entry_to_replace(position)
    }

    #[inline]
    fn decode(&self, position: u64, word: u64) -> Entry {
        let (found, wanted) = (word >> NAME_BITS, self.wanted(position));
        if found < wanted {
            return Entry::Older;
        }
        if found - wanted >= self.count() {
            return Entry::Newer;
        }
        let name = word - (wanted << NAME_BITS);
        let (writer, slot) = (name >> (self.bits + 1), name & (2 * self.count() - 1));
        Entry::Current(Named { word, position, writer, slot })
    }

    /// Returns `true` if a position is taken.
    #[inline]
    pub(super) fn taken(&self, position: u64) -> bool {
        self.names_or_passes(self.entries.load_entry(position), position)
    }

    /// Returns `true` if `word`, loaded from the entry of `position`, names that position or a later one.
    #[inline]
    pub(super) fn names_or_passes(&self, word: u64, position: u64) -> bool {
        word >> NAME_BITS >= self.wanted(position)
    }

    /// Returns `true` if `word`, loaded from the entry of `position`, names the position one lap before, or
    /// no position on the first lap. A writer may replace only such a word.
    #[inline]
    pub(super) fn precedes(&self, word: u64, position: u64) -> bool {
        (word >> NAME_BITS) ^ position < self.count()
    }

    /// Returns `true` if the entry is unchanged; see [`Entries::validate`].
    #[inline]
    pub(super) fn validate(&self, named: Named) -> bool {
        self.entries.validate(named.position, named.word)
    }

    /// Takes a position by one compare-exchange; see [`Entries::try_append`].
    #[inline]
    pub(super) fn try_append(&self, position: u64, seen: u64, word: u64) -> bool {
        self.entries.try_append(position, seen, word)
    }

    #[cfg(loom)]
    pub(super) fn force(&self, position: u64, word: u64) {
        self.entries.force(position, word);
    }

    /// Returns a position that, at some instant of the call, was not taken while all positions below it
    /// were. All positions below `from` must be taken.
    #[inline]
    pub(super) fn end(&self, from: u64) -> u64 {
        if self.taken(from) { self.end_after(from) } else { from }
    }

    /// Returns the same as [`Log::end`], for a position `from` that is known to be taken.
    #[cold]
    fn end_after(&self, from: u64) -> u64 {
        // The entry may be laps ahead.
        let mut taken =
            self.reach(from, self.entries.load_entry(from)).saturating_sub(self.count()).max(from);
        let mut step = 1;
        while step < self.count() && self.taken(taken + step) {
            taken += step;
            step *= 2;
        }
        // The position `taken + step` is not taken, or it is a lap ahead, where only positions taken
        // meanwhile are.
        while step > 1 {
            step /= 2;
            if self.taken(taken + step) {
                taken += step;
            }
        }
        taken + 1
    }

    /// Returns an error if an entry has a word that no writer stores, as far as a scan during writes can
    /// tell.
    pub(super) fn check(&self, slots: &OwnSlots) -> Result<(), LogCorrupt> {
        let newest = self.end(0);
        for entry in 0..self.count() {
            let word = self.entries.load_entry(entry);
            let reach = self.reach(entry, word);
            if reach < newest {
                return Err(LogCorrupt::Behind { entry, word, newest });
            }
            // An entry of no position has no writer and no slot either.
            let unused = reach < self.count();
            let named = self.named(entry);
            if unused && word != 0
                || reach > LAST_ENTRY
                || named.is_some_and(|named| slots.find(named).is_none())
            {
                return Err(LogCorrupt::Word { entry, word });
            }
        }
        Ok(())
    }

    /// Returns the message that an entry names, by the index of the entry.
    pub(super) fn named(&self, entry: u64) -> Option<Named> {
        let reach = self.reach(entry, self.entries.load_entry(entry));
        match self.check_entry(reach.checked_sub(self.count())?) {
            Entry::Current(named) => Some(named),
            // A later entry has replaced it since.
            Entry::Older | Entry::Newer => None,
        }
    }
}

/// The mapping from a named message to its slot.
pub(super) trait Find {
    /// Returns the slot of a named message; `None` if no writer has such a slot.
    fn find(&self, named: Named) -> Option<Slot>;

    /// Returns the same slot to a fast path, without room unless that is [allowed](OwnSlots::allow_fast).
    fn find_fast(&self, named: Named) -> Option<Slot>;
}

impl Find for OwnSlots {
    #[inline]
    fn find(&self, named: Named) -> Option<Slot> {
        self.of(named.writer, named.slot)
    }

    #[inline]
    fn find_fast(&self, named: Named) -> Option<Slot> {
        self.of_fast(named.writer, named.slot)
    }
}
