//! The ring of version 1: which slot may be read or written when.
//!
//! Owns the protocol, on the words and slots of [`Raw`]. Never maps, allocates, waits or calls the OS.
//!
//! Python writes length, payload, `HEAD`, `MSG_COUNT`, in this order, and its readers trust `HEAD`
//! alone, which counts modulo the number of slots: a reader that falls a whole lap behind sees an
//! empty ring, one that is lapped reads torn messages, in any order. The cure is an absolute count:
//!
//! 1. `HEAD` is `MSG_COUNT` modulo n, or one more while the writer stands between the two stores. So a
//!    `MSG_COUNT` that is the same before and after `HEAD` was read gives the absolute head
//!    ([`head`]).
//! 2. Message `i` is in slot `i mod n` from when the head is `i + 1` until the writer begins with
//!    message `i + n`, which it does once the head is `i + n`. So `i` may be read while
//!    `head - i <= n - 1`, and what was copied is whole if that still holds afterwards ([`read`]).
//!
//! On x86-64 stores become visible in the order of the program, whatever program. On other machines
//! Python's stores have no order, and neither end can mend that.

use super::raw::{BadLength, Raw};
use crate::fault::fault_point;
use crate::layout::python::word;
use crate::sync::{Ordering, fence, spin_loop};

/// How many messages have ever been written (1).
#[inline]
pub(super) fn head(raw: &Raw) -> u64 {
    let slots = raw.shape().slots;
    loop {
        // Acquire, all three: they are read in this order. [head] pairs with [written].
        let count = raw.load(word::MSG_COUNT, Ordering::Acquire);
        let head = raw.load(word::HEAD, Ordering::Acquire) % slots;
        if raw.load(word::MSG_COUNT, Ordering::Acquire) == count {
            // More than one step apart they are only where a writer was killed and another one, in
            // Python, went on: the head is what its readers follow.
            return count.wrapping_add((head + slots - count % slots) % slots);
        }
        spin_loop();
    }
}

/// What came of reading a message that others may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Not written yet.
    Empty,
    /// The next `n` messages, the asked one first, are overwritten or about to be.
    Lost(u64),
    Message(usize),
    BadLength(u32),
}

/// Copies message `index` to `buffer` (2).
#[inline]
pub(super) fn read(raw: &Raw, index: u64, buffer: &mut [u8]) -> Read {
    let slots = raw.shape().slots;
    let ahead = head(raw).wrapping_sub(index);
    if ahead == 0 || ahead > u64::MAX / 2 {
        return Read::Empty;
    }
    if ahead > slots - 1 {
        return Read::Lost(ahead - (slots - 1));
    }
    let copied = raw.take(index % slots, buffer);
    fault_point!("py.copied");
    // The copy comes before the second look.
    fence(Ordering::Acquire);
    let ahead = head(raw).wrapping_sub(index);
    if ahead > slots - 1 {
        return Read::Lost(ahead - (slots - 1));
    }
    match copied {
        Ok(len) => Read::Message(len),
        Err(BadLength(claimed)) => Read::BadLength(claimed),
    }
}

/// Writes the next message, in Python's order. The caller is the ring's only writer.
#[inline]
pub(super) fn write(raw: &Raw, payload: &[u8]) {
    write_after(raw, 0, payload, |_| {});
}

/// Like [`write`], `skipped` slots further on: whatever is in those becomes visible with the message.
/// `before` learns what `HEAD` will be, once the payload is there.
#[inline]
pub(super) fn write_after(raw: &Raw, skipped: u64, payload: &[u8], before: impl FnOnce(u64)) {
    let slots = raw.shape().slots;
    // Relaxed, both: this is the only writer.
    let slot = (raw.load(word::HEAD, Ordering::Relaxed) % slots + skipped) % slots;
    let count = raw.load(word::MSG_COUNT, Ordering::Relaxed);
    // A reader that sees any of these bytes sees the head of the message before, which was stored
    // with Release: it then knows that its own message is being overwritten.
    fence(Ordering::Release);
    raw.put(slot, payload);
    fault_point!("py.put");
    let next = if slot + 1 == slots { 0 } else { slot + 1 };
    before(next);
    // [written] pairs with [head], and with [taken].
    raw.store(word::HEAD, next, Ordering::Release);
    fault_point!("py.head");
    raw.store(word::MSG_COUNT, count.wrapping_add(1 + skipped), Ordering::Release);
    fault_point!("py.counted");
}

/// The slot that is written next.
#[inline]
pub(super) fn slot_of_head(raw: &Raw) -> u64 {
    // [taken] pairs with [written].
    raw.load(word::HEAD, Ordering::Acquire) % raw.shape().slots
}

/// Messages between `from`, a slot, and the head.
#[inline]
pub(super) fn waiting_from(raw: &Raw, from: u64) -> u64 {
    let slots = raw.shape().slots;
    (slot_of_head(raw) + slots - from % slots) % slots
}

/// The slot that is read next, where readers share it.
#[inline]
pub(super) fn tail(raw: &Raw) -> u64 {
    // Acquire: [room] pairs with [freed].
    raw.load(word::TAIL, Ordering::Acquire)
}

/// Gives the slots before `slot` back to the writer.
#[inline]
pub(super) fn set_tail(raw: &Raw, slot: u64) {
    // [freed] pairs with [room]: what was read is read.
    raw.store(word::TAIL, slot, Ordering::Release);
    fault_point!("py.tail");
}

/// Whether the ring takes no message, for a writer that respects the tail. A tail that is no slot at
/// all, as `heal` stores it, means that it always does.
#[inline]
pub(super) fn is_full(raw: &Raw) -> bool {
    let slots = raw.shape().slots;
    // Relaxed: this is the only writer.
    let head = raw.load(word::HEAD, Ordering::Relaxed) % slots;
    (head + 1) % slots == tail(raw)
}

/// Counts a message that was refused because the ring was full.
pub(super) fn count_drop(raw: &Raw) {
    // Relaxed: a figure to show, of the only writer.
    let drops = raw.load(word::DROP_COUNT, Ordering::Relaxed);
    raw.store(word::DROP_COUNT, drops.wrapping_add(1), Ordering::Relaxed);
}
