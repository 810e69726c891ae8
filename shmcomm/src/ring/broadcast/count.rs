//! [`Count`]: the writer's own copies of its control words.
//!
//! Owns the stores of the head and of the counters after a message and after a hole. Calls `slot`. Never
//! loads a control word, except for the count of bytes, which decides nothing.

use super::{Holes, Meta, hole, writing};
use crate::fault::{fault_point, mutant, weak};
use crate::ring::slot::{Control, Slot};
use crate::sync::Ordering::{Relaxed, Release};
use crate::sync::add_own;

/// The writer's own copies of its control words.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) control: Control,
    pub(super) next: u64,
    pub(super) holes: u64,
    /// `holes` as a meta word has it.
    before: Holes,
}

impl Count {
    pub(super) fn new(control: Control, next: u64, holes: u64) -> Self {
        Count { control, next, holes, before: Holes::new(holes) }
    }

    /// Returns the meta word of a message of `len` bytes at the next position.
    #[inline(always)]
    pub(super) fn meta(&self, len: usize) -> u64 {
        Meta { len: len as u32, holes: self.before }.word()
    }

    /// Stores the head and the byte counter for the message at `position`, the next one, whose stamp was just stored.
    #[inline(always)]
    pub(super) fn message(&mut self, position: u64, len: usize) {
        debug_assert_eq!(position, self.next);
        self.next = position + 1;
        // [head] pairs with [catch up]: every slot before the head has its stamp.
        let head = if mutant("flow scan before the head") { self.next - 1 } else { self.next };
        self.control.head().store(head, weak("relaxed head", Release));
        fault_point!("pub.head");
        // A statistic. The number of messages follows from head and holes.
        add_own(self.control.bytes(), len as u64);
    }

    /// Makes the next position a hole.
    #[cold]
    pub(super) fn hole(&mut self, slot: Slot) {
        slot.write_begin(writing(self.next));
        slot.write_end(self.meta(0), hole(self.next));
        self.next += 1;
        self.holes += 1;
        self.before = self.before.add(1);
        // [head] pairs with [catch up].
        self.control.head().store(self.next, weak("relaxed head", Release));
        fault_point!("pub.hole");
        // Relaxed: a statistic. A recovering writer checks it against the newest slot.
        self.control.holes().store(self.holes, Relaxed);
    }
}
