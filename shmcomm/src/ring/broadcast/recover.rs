//! Recovery of the ring by a new writer: finds where the last writer stopped, and finishes its work (Agrona
//! `unblock`).
//!
//! Owns the classification of stamps and counters that a crash can leave, and of damage that a crash cannot
//! leave. Calls `slot` for the words. Never trusts a word that it loads: whatever is in the region, it
//! ends, and without overflow.

use super::count::Count;
use super::{BroadcastCorrupt, HOLE, LAST_POSITION, Meta, WRITING, parse};
use crate::fault::{fault_point, mutant};
use crate::ring::slot::{Control, Phase, READERS, Slots};
use crate::sync::Ordering::{Relaxed, Release};
use crate::sync::load_own;

/// The state that a writer found when it recovered the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Positions written before, with and without a message; 0 if the ring was new.
    pub(crate) positions: u64,
    /// Messages that the last writer had begun. They are holes now.
    pub(crate) unfinished: u64,
    /// Slots that the last writer had claimed.
    pub(crate) claims: u64,
}

/// Recovers the ring. Only writers store the words that are loaded here. The lock that makes this process
/// the writer was released after the last store of the previous writer.
pub(super) fn recover(
    slots: &Slots,
    control: Control,
    pinned: bool,
) -> Result<(Count, Recovered), BroadcastCorrupt> {
    let head = load_own(control.head());
    let end = end(slots)?;
    // The state of a position whose stamp `end` has checked.
    let state = |position| load_own(slots.at(position).stamp()) & 3;

    // Positions are finished in order: only the last one can be unfinished.
    let finished = if end > 0 && state(end - 1) == WRITING { end - 1 } else { end };
    let oldest = end.saturating_sub(slots.count());
    if let Some(position) = (oldest..finished).find(|&position| state(position) == WRITING) {
        let stamp = load_own(slots.at(position).stamp());
        return Err(BroadcastCorrupt::Stamp { slot: position & (slots.count() - 1), stamp });
    }
    // The head is stored right after the stamp. No store comes between it and the next stamp.
    if head > finished || finished - head > 1 {
        return Err(BroadcastCorrupt::Head { head, expected: finished });
    }

    // A hole is counted after it is made, so the counter may lack the last one.
    let counted = load_own(control.holes());
    let expected = match finished.checked_sub(1) {
        None => 0,
        Some(last) => {
            let before = Meta::from_word(load_own(slots.at(last).meta())).holes;
            before.add(u64::from(state(last) == HOLE)).count()
        }
    };
    let holes = counted.saturating_add(expected.wrapping_sub(counted as u32).into());
    if holes - counted > 1 || holes > finished {
        return Err(BroadcastCorrupt::Holes { counted, expected });
    }

    let mut count = Count::new(control, finished, holes);
    let mut recovered = Recovered { positions: end, unfinished: end - finished, claims: 0 };
    if mutant("recovery trusts the head") {
        count.next = head;
    }
    for position in finished..end {
        count.hole(slots.at(position));
    }
    fault_point!("recover.holes");
    // [head] pairs with [catch up].
    control.head().store(count.next, Release);
    fault_point!("recover.head");
    // Relaxed: a statistic.
    control.holes().store(count.holes, Relaxed);
    fault_point!("recover.counted");
    if pinned {
        for index in 0..slots.count() {
            let [even, odd] = Phase::BOTH.map(|phase| {
                let spared = phase == Phase::EVEN && mutant("recovery clears one word");
                !spared && slots.at(index).clear(phase, !READERS)
            });
            recovered.claims += u64::from(even || odd);
        }
    }
    Ok((count, recovered))
}

/// Returns the position after the newest begun position; 0 in a new ring. Each slot must have the stamp
/// of the one position of the last lap that maps to it.
fn end(slots: &Slots) -> Result<u64, BroadcastCorrupt> {
    let mask = slots.count() - 1;
    let stamp = |slot| load_own(slots.at(slot).stamp());
    let mut end = 0;
    for slot in 0..slots.count() {
        match (stamp(slot), parse(stamp(slot))) {
            (0, _) => {}
            // Leaves capacity for a lap to come: some decades, at a position a nanosecond.
            (_, Some((position, _))) if position & mask == slot && position < LAST_POSITION - 2 * mask => {
                end = end.max(position + 1);
            }
            (stamp, _) => return Err(BroadcastCorrupt::Stamp { slot, stamp }),
        }
    }
    for slot in 0..slots.count() {
        // The distance of the slot's position from `end`, from 1 to the number of slots.
        let behind = (end.wrapping_sub(slot + 1) & mask) + 1;
        let position = end.checked_sub(behind);
        if parse(stamp(slot)).map(|(position, _)| position) != position {
            return Err(BroadcastCorrupt::Stamp { slot, stamp: stamp(slot) });
        }
    }
    Ok(end)
}
