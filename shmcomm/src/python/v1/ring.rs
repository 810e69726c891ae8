//! The ring of version 1, with an absolute count as a sequence lock (Linux `seqcount`; Boehm 2012): the slots
//! that may be read or written.
//!
//! Owns the protocol, on the words and slots of [`Raw`]. Never maps, allocates, waits or calls the OS.
//!
//! Python writes length, payload, `HEAD`, `MSG_COUNT`, in this order, and its readers use `HEAD` alone, which
//! counts modulo the number of slots. A reader that falls a whole lap behind sees an empty ring, and a lapped
//! reader reads torn messages, in any order. An absolute count avoids that:
//!
//! 1. `HEAD` is `MSG_COUNT` modulo n, or one more while the writer is between the two stores. A `MSG_COUNT`
//!    that is the same before and after the load of `HEAD` therefore gives the absolute head ([`head`]). A
//!    sequence lock that is never at rest counts as an empty ring; it takes a process that overwrites the
//!    words.
//! 2. Message `i` is in slot `i mod n` from the time when the head is `i + 1` until the writer begins with
//!    message `i + n`. The writer begins with it once the head is `i + n`. Message `i` may therefore be read
//!    while `head - i <= n - 1`, and the copy is intact if that still holds afterwards ([`read`]).
//!
//! On x86-64 stores become visible in program order, for any program. On other machines Python's stores have
//! no order, and neither end can repair that.

use super::raw::{BadLength, Raw};
use crate::fault::fault_point;
use crate::layout::v1::word;
use crate::sync::{Ordering, fence, spin_loop};

/// Number of loads of the head until its count is at rest. A writer stores the count once for each message,
/// in a time in which a reader loads it dozens of times.
const COPY_ATTEMPTS: u32 = 1 << 14;

/// Returns the number of messages that have ever been written (1), or `None` if the count is never at rest.
#[inline]
pub(in crate::python) fn head(raw: &Raw) -> Option<u64> {
    head_of(raw.shape().slots, |word, order| raw.load(word, order))
}

#[inline]
pub(in crate::python) fn head_of(slots: u64, mut load: impl FnMut(usize, Ordering) -> u64) -> Option<u64> {
    for _ in 0..COPY_ATTEMPTS {
        // Acquire, all three: they are loaded in this order. [head] pairs with [written].
        let count = load(word::MSG_COUNT, Ordering::Acquire);
        let head = load(word::HEAD, Ordering::Acquire) % slots;
        if load(word::MSG_COUNT, Ordering::Acquire) == count {
            // They differ by more than one step only if a writer was killed and another one, in Python,
            // continued: its readers follow the head.
            return Some(count.wrapping_add((head + slots - count % slots) % slots));
        }
        spin_loop();
    }
    None
}

/// Result of reading a message that other processes may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::python) enum Read {
    /// Not written yet, or unknown: the count is never at rest, or is before the message again.
    Empty,
    /// The next `n` messages, starting with the requested one, are overwritten or about to be.
    Lost(u64),
    Message(usize),
    BadLength(u32),
}

/// Returns the number of messages from `index` on, or `None` if that is unknown. Any process can write the
/// words, so the number can be anything up to 2^63.
#[inline]
pub(in crate::python) fn ahead(raw: &Raw, index: u64) -> Option<u64> {
    head(raw).map(|head| head.wrapping_sub(index)).filter(|&ahead| ahead <= u64::MAX / 2)
}

/// Copies message `index` to `buffer` (2).
#[inline]
pub(in crate::python) fn read(raw: &Raw, index: u64, buffer: &mut [u8]) -> Read {
    let slots = raw.shape().slots;
    let Some(ahead) = ahead(raw, index).filter(|&ahead| ahead > 0) else { return Read::Empty };
    if ahead > slots - 1 {
        return Read::Lost(ahead - (slots - 1));
    }
    let copied = raw.take(index % slots, buffer);
    fault_point!("py.copied");
    // The copy comes before the second check.
    fence(Ordering::Acquire);
    let Some(ahead) = self::ahead(raw, index) else { return Read::Empty };
    if ahead > slots - 1 {
        return Read::Lost(ahead - (slots - 1));
    }
    match copied {
        Ok(len) => Read::Message(len),
        Err(BadLength(claimed)) => Read::BadLength(claimed),
    }
}

/// Writes the next message, in Python's order, and returns its slot. The caller is the ring's only writer.
#[inline]
pub(in crate::python) fn write(raw: &Raw, payload: &[u8]) -> u64 {
    write_after(raw, 0, payload, |_| {})
}

/// Writes a message like [`write`], `skipped` slots further on: the skipped slots become visible with the
/// message. Calls `before` with the next `HEAD`, once the payload is written.
#[inline]
pub(in crate::python) fn write_after(
    raw: &Raw,
    skipped: u64,
    payload: &[u8],
    before: impl FnOnce(u64),
) -> u64 {
    let slots = raw.shape().slots;
    // Relaxed, both: this is the only writer.
    let slot = (raw.load(word::HEAD, Ordering::Relaxed) % slots + skipped) % slots;
    let count = raw.load(word::MSG_COUNT, Ordering::Relaxed);
    // A reader that sees any of these bytes sees the head of the message before, which was stored with
    // Release. It then knows that its own message is being overwritten.
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
    slot
}

/// Returns the slot that is written next.
#[inline]
pub(in crate::python) fn slot_of_head(raw: &Raw) -> u64 {
    // [taken] pairs with [written].
    raw.load(word::HEAD, Ordering::Acquire) % raw.shape().slots
}

/// Returns the number of messages between the slot `from` and the head.
#[inline]
pub(in crate::python) fn waiting_from(raw: &Raw, from: u64) -> u64 {
    let slots = raw.shape().slots;
    (slot_of_head(raw) + slots - from % slots) % slots
}

/// Returns the slot that is read next, in a ring whose readers share it.
#[inline]
pub(in crate::python) fn tail(raw: &Raw) -> u64 {
    // Acquire: [room] pairs with [freed].
    raw.load(word::TAIL, Ordering::Acquire)
}

/// Releases the slots before `slot` to the writer.
#[inline]
pub(in crate::python) fn set_tail(raw: &Raw, slot: u64) {
    // [freed] pairs with [room]: every read of these slots is complete.
    raw.store(word::TAIL, slot, Ordering::Release);
    fault_point!("py.tail");
}

/// Returns `true` if the ring takes no message, for a writer that respects the tail. With a tail that is not
/// a slot, as `heal` stores it, the ring always takes messages.
#[inline]
pub(in crate::python) fn is_full(raw: &Raw) -> bool {
    let slots = raw.shape().slots;
    // Relaxed: this is the only writer.
    let head = raw.load(word::HEAD, Ordering::Relaxed) % slots;
    (head + 1) % slots == tail(raw)
}

/// Counts a message that was refused because the ring was full.
pub(in crate::python) fn count_drop(raw: &Raw) {
    // Relaxed: a statistic of the only writer.
    let drops = raw.load(word::DROP_COUNT, Ordering::Relaxed);
    raw.store(word::DROP_COUNT, drops.wrapping_add(1), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_that_is_never_at_rest_gives_no_head() {
        let mut count = 0;
        let restless = |at, _| {
            count += u64::from(at == word::MSG_COUNT);
            count
        };
        assert_eq!(head_of(4, restless), None);
        let (mut count, mut loads) = (u64::MAX - 100, 0);
        let at_rest_at_last = |at, _| {
            loads += 1;
            count += u64::from(at == word::MSG_COUNT && loads < 90);
            if at == word::HEAD { count % 4 } else { count }
        };
        assert!(head_of(4, at_rest_at_last).is_some());
    }
}
