//! The multi-producer broadcast ring: several writers, any number of readers, one order, the oldest message is
//! overwritten.
//!
//! Source: one compare-exchange per position, as in the bounded MPMC queue (Vyukov), and a sequence lock
//! (Linux `seqcount`; Boehm 2012) for the copied payload.
//!
//! Owns the meaning of entries, and of the words of a slot in this ring. Calls `slot` for every access to
//! shared memory. Never repairs a writer: a writer that died leaves nothing to repair. [`Writer`] and
//! [`Reader`] are its ends, `log` finds the newest position, and [`reclaim_pins`] reclaims the pins of a
//! dead reader.
//!
//! # How it works
//!
//! Positions 0, 1, 2, … are the messages of all writers, in the order that all readers see. Position `p`
//! has entry `p mod n`: one word that names the writer and the slot of the message. A writer has slots of
//! its own. It writes a message in a slot that no entry names, and then publishes it by **one**
//! compare-exchange of an entry.
//!
//! ```text
//!  position     …  36    37    38    39    40            41: free
//!  entry (n = 4)    0     1     2     3     0             1
//!                  gone ┌────┬─────┬─────┬────────┐
//!                       │ A2 │ B0  │ A3  │ A4     │       A4: lap of position 40, writer A, slot 4
//!                       └─┬──┴──┬──┴──┬──┴───┬────┘
//!         ┌───────────────┘     │     │      │
//!         ▼           ┌─────────│─────┴──────┘
//!  slots  of A  0  1  2  3  4   │   ← 0 is next: nothing names it
//!         of B  0  1  2  3  4 ──┘
//! ```
//!
//! One step takes the position and publishes the message: there is no instant at which a writer has only
//! one of the two. A writer that is killed or suspended, at any instruction, has published or it has not.
//! It leaves no hole in the order, nothing that another participant must wait for, and nothing to repair.
//!
//! ## Entries
//!
//! ```text
//!   63                 k + 6  k + 5   k + 1  k          0         n = 2^k
//!  ┌────────────────────────┬──────────────┬─────────────┐
//!  │ lap of the position + 1│ writer       │ its slot    │
//!  └────────────────────────┴──────────────┴─────────────┘
//! ```
//!
//! An entry that was never used is 0. The index has the low bits of the position, the lap has the rest. An
//! entry therefore names one position of 2^58, and the word of an entry only grows. One comparison with the
//! position `q` of its entry tells a reader at position `r` everything:
//!
//! | | means to a reader at `r` | to a writer that would take `r` |
//! |---|---|---|
//! | `q < r`, or 0 | nothing new | free, if `q = r - n` |
//! | `q = r` | the message | taken: on to `r + 1` |
//! | `q > r` | lapped: message `r` is gone | taken, and so is `q` |
//!
//! There are no holes, so the number of messages that a reader missed is the difference of two positions.
//!
//! ## Slots
//!
//! | word | has |
//! |---|---|
//! | stamp | the position of the message plus 1, stored before the writer tries to take it; only its writer loads it |
//! | meta | length of the payload; high half: pid of the sender |
//! | state | pinned: owner and readers. One word for all laps, because the next message of a slot is not predetermined |
//! | extra | join time of the sender, which identifies it together with its pid |
//!
//! **Copied**: a writer has `n + 1` slots and uses them in turn. When it reaches a slot again, it has
//! published `n` messages since, each at a later position, so the entry of the slot has been replaced.
//!
//! **Pinned**: a writer has one more slot for each possible reader, because each reader may pin a slot that
//! no entry names. The writer takes a slot that no entry names (its stamp says which entry to load) and
//! that no reader pins. It never makes a hole: a pinned slot costs the writer that slot, and does not cost
//! the channel a position.
//!
//! **Observers** copy from the slots of both disciplines, without a bit, and load the entry again. They need no
//! owner test. A writer changes a slot only after it has loaded the entry that replaced the slot (invariants 4
//! and 5). So that entry is visible before any store to the payload.
//!
//! ## Finding the end
//!
//! There is no shared head. Each end keeps a position below which all are taken. From there it scans
//! entries, in doubling steps and then in halves. A writer that was suspended for a lap finds the end in `2
//! log n` loads, an active writer in one load. So a message costs the writers one locked instruction on one
//! shared line.
//!
//! ## Recovery after a kill or a stop
//!
//! | killed or stopped | leaves |
//! |---|---|
//! | writer, before its compare-exchange | a slot that no entry names; perhaps a claim, which the next writer on that seat resumes |
//! | writer, after it | a message. Perhaps sleepers that it has not woken: they poll again by themselves |
//! | reader, with a pinned slot | its bit: [`reclaim_pins`] |
//!
//! The next writer on a seat checks which of its slots entries name, and starts behind the newest.
//!
//! ## Invariants
//!
//! The segment guarantees, with locks of the operating system: a seat has one writer at a time; the next
//! writer starts after the last store of the previous one. A reader alone uses its bit.
//!
//! The ring maintains:
//!
//! 1. Only the entry of position `p + n` replaces an entry of position `p`, by a compare-exchange that
//!    expects the word which names `p`. The lap is part of the word, so a writer that was suspended for a
//!    lap fails: an older message never replaces a newer one.
//! 2. A writer takes `p` only after it has seen all positions below taken, by loads or exchanges that
//!    acquire what [append] releases. So all positions below a taken position are taken. A participant that
//!    sees one taken sees all below taken.
//! 3. Only the writer on seat `w` makes an entry name a slot of `w`.
//! 4. A writer changes a slot only after it has seen that no entry names it. The entry that named it has
//!    been replaced, and by 3 no other writer can name it again. In a copied ring the writer has taken `n`
//!    positions above (by 2 it has seen all positions before the last of them).
//! 5. Before the writer changes meta, sender or payload, there is a release fence after the loads of 4.
//! 6. The state word is as in the broadcast ring. A reader that set its bit before which there was no
//!    owner, and after which the entry was still the same, excludes the writer until it clears the bit.
//!
//! ## Orderings
//!
//! * **\[append\]** (release, the compare-exchange) with **\[observe\]** (acquire): the slot is as the entry
//!   says, and the positions below are taken.
//! * **\[write_begin\]** (release fence, before the slot is changed) with **\[validate\]** (acquire fence, before
//!   the second load of the entry). A reader that copied anything newer, or set its bit after the owner had
//!   changed the slot, sees that the entry has changed.
//! * **\[unpin\]** with **\[claim\]** as in the broadcast ring.
//!
//! A writer's send ends after a bounded number of steps. It starts again each time another writer has
//! published first, and gives up after 2^16 attempts.

mod log;
mod reader;
mod writer;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use log::LogCorrupt;
pub(crate) use reader::Reader;
pub(crate) use writer::{NotAppended, Writer};

use super::slot::{OwnSlots, Phase};
use crate::layout::{Discipline, Geometry, Region};
use log::{LAST_ENTRY, Log};

/// The sender of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) seat: u32,
    pub(crate) pid: u32,
    /// Nanoseconds since the Unix epoch.
    pub(crate) joined: i64,
}

/// Returns the meta word: the length of a message, and the sender's pid.
const fn meta(len: usize, pid: u32) -> u64 {
    (pid as u64) << 32 | len as u64 & 0xffff_ffff
}

/// Checks for a message on behalf of a reader, without being the reader (an observer).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyCheck {
    log: Log,
}

impl ReadyCheck {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        ReadyCheck { log: Log::new(region, geometry) }
    }

    /// Returns `true` if a reader at `position` would find anything, as [`Reader::ready`], or if no reader
    /// has reached `position`. Any process can write the word that `position` comes from.
    pub(crate) fn ready_at(&self, position: u64) -> bool {
        // All positions below the position of a reader are taken.
        let ahead = || position.checked_sub(1).is_some_and(|last| !self.log.taken(last));
        position > LAST_ENTRY || ahead() || self.log.taken(position)
    }
}

/// Clears the pins of a dead reader. No other participant may use `bit`, or receive it, meanwhile.
pub(crate) fn reclaim_pins(region: Region, geometry: &Geometry, bit: u32) {
    if geometry.discipline == Discipline::MultiPinned {
        OwnSlots::new(region, geometry).all().for_each(|slot| _ = slot.clear(Phase::EVEN, 1 << bit));
    }
}
