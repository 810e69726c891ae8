//! The shared ring: several writers, any number of readers, one order, the oldest is overwritten.
//!
//! Owns the meaning of entries, and of the words of a slot here. [`Writer`] and [`Reader`] are its
//! ends, `order` finds where the newest position is, [`sweep_reader`] is what somebody does for a
//! reader that died. A writer that died needs no repair.
//!
//! # How it works
//!
//! Positions 0, 1, 2, … are messages, of all writers, in the order that all readers see. Position `p`
//! has entry `p mod n`: one word that says whose message it is, and in which slot. A writer has slots of
//! its own; it makes a message in one that no entry names, and then publishes it by **one**
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
//! Taking the position and publishing the message are one step: there is no instant at which a writer
//! has one without the other. A writer that is killed or stopped, wherever it is, has published or it has
//! not; it leaves no hole in the order, nothing for others to wait for, and nothing to repair.
//!
//! ## Entries
//!
//! ```text
//!   63                 k + 6  k + 5   k + 1  k          0         n = 2^k
//!  ┌────────────────────────┬──────────────┬─────────────┐
//!  │ lap of the position + 1│ writer       │ slot of his │
//!  └────────────────────────┴──────────────┴─────────────┘
//! ```
//!
//! An entry that was never used is 0. The index has the low bits of the position, the lap the rest, so an
//! entry names one position of 2^58, and an entry's word only grows. A reader at position `r` compares
//! the position `q` of its entry once to know all:
//!
//! | | means to a reader at `r` | to a writer that would take `r` |
//! |---|---|---|
//! | `q < r`, or 0 | nothing new | free, if `q = r - n` |
//! | `q = r` | the message | taken: on to `r + 1` |
//! | `q > r` | lapped: message `r` is gone | taken, and so is `q` |
//!
//! There are no holes, so what a reader missed is the difference of two positions.
//!
//! ## Slots
//!
//! | word | has |
//! |---|---|
//! | stamp | the position of the message plus 1, written before that is tried to take; only its writer reads it |
//! | meta | length of the payload; high half: pid of the sender |
//! | state | pinned: owner and readers. One word, whatever the lap: a slot has no message that comes to it next |
//! | extra | when the sender came, which with its pid says who sent the message |
//!
//! **Copied**: a writer has `n + 1` slots and uses them in turn. When it comes round to one it has
//! published `n` messages since, each at a later position, so the entry has been replaced.
//!
//! **Pinned**: as many more as there can be readers, as each may hold one that no entry names. The writer
//! takes one that no entry names (its stamp says which entry to look at) and no reader holds. It never
//! makes a hole: a held slot costs the writer that slot, not the channel a position.
//!
//! ## Finding the end
//!
//! There is no shared head. Each end keeps a position below which all are taken, and goes on from there by
//! looking at entries, in doubling steps and halves: a writer that was away for a lap finds the end in
//! `2 log n` loads, one in the thick of it in one. So a message costs the writers one locked instruction on
//! one shared line.
//!
//! ## Who dies where
//!
//! | killed or stopped | leaves |
//! |---|---|
//! | writer, before its compare-exchange | a slot that nothing names; perhaps with its owner's bit, which the next on that seat takes up |
//! | writer, after it | a message. Perhaps sleepers that nobody has woken: they look up by themselves |
//! | reader, holding a slot | its bit: [`sweep_reader`] |
//!
//! The next writer on a seat looks which of its slots entries name, and starts behind the newest.
//!
//! ## Invariants
//!
//! Guaranteed by the segment, with locks of the operating system: a seat has one writer at a time, the next
//! one starts after the last store of the one before; a reader's bit is its own.
//!
//! Kept by the ring:
//!
//! 1. An entry of position `p` is replaced only by that of `p + n`, by a compare-exchange that expects the
//!    word which names `p`. As the lap is part of the word, a writer that was stopped for a lap fails: an
//!    older message never replaces a newer one.
//! 2. `p` is taken only by somebody who has seen all positions below taken, by loads or exchanges that
//!    acquire what [take] releases. So all below a taken position are taken, and whoever sees one taken
//!    sees all below taken.
//! 3. Only the writer on seat `w` makes an entry name a slot of `w`.
//! 4. A writer changes a slot only after it has seen that no entry names it: the one that did has been
//!    replaced, and by 3 nobody else can name it again. In a copied ring it has taken `n` positions
//!    above (by 2 it has seen what comes before the last of them).
//! 5. Before it changes meta, sender or payload, there is a release fence after what it saw in 4.
//! 6. The state word is as in the broadcast ring: a reader that set its bit before which there was no owner,
//!    and after which the entry was still the same, keeps the writer out until it clears the bit.
//!
//! ## Orderings
//!
//! * **\[take\]** (release, the compare-exchange) with **\[observe\]** (acquire): the slot is as the entry
//!   says, and the positions below are taken.
//! * **\[reopen\]** (release fence, before the slot is changed) with **\[settle\]** (acquire fence, before the
//!   second look at the entry): a reader that copied anything newer, or marked the slot after its owner
//!   had been there, sees that the entry has changed.
//! * **\[unpin\]** with **\[claim\]** as in the broadcast ring.
//!
//! A writer's send ends after a bounded number of steps, or others have published meanwhile: each time it
//! fails, somebody else has got on.

mod order;
mod reader;
mod writer;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use order::Tangled;
pub(crate) use reader::Reader;
pub(crate) use writer::{Unsent, Writer};

use super::slot::{OwnSlots, Parity};
use crate::layout::{Discipline, Geometry, Region};
use order::Order;

/// Who sent a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) seat: u32,
    pub(crate) pid: u32,
    /// Nanoseconds since the Unix epoch.
    pub(crate) joined: i64,
}

/// The length of a message, for the meta word, which also has the sender's pid.
const fn meta(len: usize, pid: u32) -> u64 {
    (pid as u64) << 32 | len as u64 & 0xffff_ffff
}

/// Sees whether a reader would find anything, without being the reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Onlooker {
    order: Order,
}

impl Onlooker {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        Onlooker { order: Order::new(region, geometry) }
    }

    /// Whether a reader at `position` would find anything: as [`Reader::ready`].
    pub(crate) fn ready_at(&self, position: u64) -> bool {
        self.order.taken(position)
    }
}

/// Takes back what a dead reader holds. Nobody else may be using `bit`, or be given it, meanwhile.
pub(crate) fn sweep_reader(region: Region, geometry: &Geometry, bit: u32) {
    if geometry.discipline == Discipline::SharedPinned {
        OwnSlots::new(region, geometry).all().for_each(|slot| _ = slot.clear(Parity::EVEN, 1 << bit));
    }
}
