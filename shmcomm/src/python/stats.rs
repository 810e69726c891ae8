//! [`Stats`]: the counts of a segment, by Python's names.

use super::v1::raw::Raw;
use crate::layout::v1::word;
use crate::sync::Ordering;

/// A snapshot of a segment's counts, named as in Python's `stats()`. In the child of a fork, the counts of an
/// end that the parent opened are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The slot that is written next.
    pub head: u64,
    /// The slot that is read next, if readers share it: pushers and pullers, requests. Publishers do not use
    /// it.
    pub tail: u64,
    /// The slot that this end reads next, if it has its own position.
    pub local_tail: Option<u64>,
    /// Number of slots.
    pub num_slots: u64,
    /// Bytes of a slot, 4 of them the length.
    pub slot_size: u64,
    /// Messages written since the segment was made.
    pub msg_count: u64,
    /// Messages refused because the ring was full.
    pub drop_count: u64,
    /// Slots between the tail and the head. For an end with its own position: between that position and the
    /// head.
    pub used_slots: u64,
    /// Messages that still fit.
    pub free_slots: u64,
}

pub(super) fn read(raw: &Raw, local_tail: Option<u64>) -> Stats {
    // The child of a fork does not have the mapping: its counts are 0.
    let forked = raw.forked();
    // Relaxed: statistics; no decision depends on them.
    let word = |index| if forked { 0 } else { raw.load(index, Ordering::Relaxed) };
    let num_slots = raw.shape().slots;
    let (head, tail) = (word(word::HEAD), word(word::TAIL));
    let from = local_tail.unwrap_or(tail) % num_slots;
    let used_slots = (head % num_slots + num_slots - from) % num_slots;
    Stats {
        head,
        tail,
        local_tail,
        num_slots,
        slot_size: raw.shape().slot_size,
        msg_count: word(word::MSG_COUNT),
        drop_count: word(word::DROP_COUNT),
        used_slots,
        free_slots: num_slots - used_slots - 1,
    }
}
