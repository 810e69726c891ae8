//! What a writer does first: find out where the last one stopped, and finish it.
//!
//! Owns the judgement of stamps and counters that a crash may leave, and of those that it cannot.
//! Trusts nothing that it reads: whatever is in the region, it ends, and without overflow.

use super::{Corrupt, HOLE, LAST, Meta, WRITING, parse};
use crate::fault::{fault_point, mutant};
use crate::ring::broadcast::writer::Count;
use crate::ring::slot::{Control, Parity, READERS, Slots};
use crate::sync::Ordering::{Relaxed, Release};
use crate::sync::load_own;

/// What a writer found when it took the ring over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Adopted {
    /// Positions written before, with and without a message; 0 if the ring was new.
    pub(crate) positions: u64,
    /// Messages that the last writer had begun; they are holes now.
    pub(crate) unfinished: u64,
    /// Slots that it had claimed.
    pub(crate) claims: u64,
}

/// Only writers store the words that are read here, and the lock that makes this process the writer
/// was let go after the last store of the writer before.
pub(super) fn adopt(slots: &Slots, control: Control, pinned: bool) -> Result<(Count, Adopted), Corrupt> {
    let head = load_own(control.head());
    let end = end(slots)?;
    // The state of a position whose stamp `end` has checked.
    let state = |position| load_own(slots.at(position).stamp()) & 3;

    // Positions are finished one after the other: all but the last one are.
    let finished = if end > 0 && state(end - 1) == WRITING { end - 1 } else { end };
    let oldest = end.saturating_sub(slots.count());
    if let Some(position) = (oldest..finished).find(|&position| state(position) == WRITING) {
        let stamp = load_own(slots.at(position).stamp());
        return Err(Corrupt::Stamp { slot: position & (slots.count() - 1), stamp });
    }
    // The head follows the stamp, and nothing else comes between it and the next stamp.
    if head > finished || finished - head > 1 {
        return Err(Corrupt::Head { head, expected: finished });
    }

    // Holes are counted after they are made, so the counter may lack the last one.
    let counted = load_own(control.holes());
    let expected = match finished.checked_sub(1) {
        None => 0,
        Some(last) => {
            let before = Meta::from_word(load_own(slots.at(last).meta())).holes;
            before.wrapping_add(u32::from(state(last) == HOLE))
        }
    };
    let holes = counted.saturating_add(expected.wrapping_sub(counted as u32).into());
    if holes - counted > 1 || holes > finished {
        return Err(Corrupt::Holes { counted, expected });
    }

    let bytes = load_own(control.bytes());
    let mut count = Count { control, next: finished, holes, bytes };
    let mut adopted = Adopted { positions: end, unfinished: end - finished, claims: 0 };
    if mutant("adoption trusts the head") {
        count.next = head;
    }
    for position in finished..end {
        count.hole(slots.at(position));
    }
    fault_point!("adopt.closed");
    // [head] pairs with [catch up].
    control.head().store(count.next, Release);
    fault_point!("adopt.head");
    // Relaxed: a figure.
    control.holes().store(count.holes, Relaxed);
    fault_point!("adopt.counted");
    if pinned {
        for index in 0..slots.count() {
            let [even, odd] = Parity::BOTH.map(|parity| {
                let spared = parity == Parity::EVEN && mutant("adoption clears one word");
                !spared && slots.at(index).clear(parity, !READERS)
            });
            adopted.claims += u64::from(even || odd);
        }
    }
    Ok((count, adopted))
}

/// The position after the newest that was begun: 0 in a new ring. Each slot then has the stamp of
/// the one position among the last ones that falls on it.
fn end(slots: &Slots) -> Result<u64, Corrupt> {
    let mask = slots.count() - 1;
    let stamp = |slot| load_own(slots.at(slot).stamp());
    let mut end = 0;
    for slot in 0..slots.count() {
        match (stamp(slot), parse(stamp(slot))) {
            (0, _) => {}
            // Room for a lap to come: some decades, at a position a nanosecond.
            (_, Some((position, _))) if position & mask == slot && position < LAST - 2 * mask => {
                end = end.max(position + 1);
            }
            (stamp, _) => return Err(Corrupt::Stamp { slot, stamp }),
        }
    }
    for slot in 0..slots.count() {
        // How far the slot's position is behind `end`, from 1 to the number of slots.
        let behind = (end.wrapping_sub(slot + 1) & mask) + 1;
        let position = end.checked_sub(behind);
        if parse(stamp(slot)).map(|(position, _)| position) != position {
            return Err(Corrupt::Stamp { slot, stamp: stamp(slot) });
        }
    }
    Ok(end)
}
