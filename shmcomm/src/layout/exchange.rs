//! Where a reply lies in the slot of its request.
//!
//! Owns the arithmetic of it: both ends and the size of a slot go by it. Never touches memory.
//!
//! ```text
//! slot   ┌──────┬─────────────────┬ ─ ─ ─ ┬──────┬ ─ ─ ─ ┬───────────────┐
//!        │ head │ request         │       │ bell │       │ reply         │
//!        └──────┴─────────────────┴ ─ ─ ─ ┴──────┴ ─ ─ ─ ┴───────────────┘
//!                 longest of all          next line      aligned
//! ```
//!
//! The reply has lines of its own, and its bell is on the first: a requester that polls the bell leaves
//! the request, and the word of the slot, to its replier. The places are the same for every request of a
//! segment, however short, so that no message is ever where a bell is.

/// Bytes of a line between processors.
const LINE: usize = 64;

/// Bytes of a bell.
const BELL: usize = 8;

/// Byte offsets in the payload of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Of the bell, u64: see `ring::queue`.
    pub(crate) bell: usize,
    /// Of the reply.
    pub(crate) reply: usize,
}

impl Exchange {
    /// Where there are no replies.
    pub(crate) const NONE: Exchange = Exchange { bell: 0, reply: 0 };

    /// Behind requests of at most `request` bytes, where payloads start at byte `payload` of their slots and are
    /// aligned to `align`, a power of two.
    #[inline(always)]
    pub(crate) const fn behind(request: usize, payload: usize, align: usize) -> Exchange {
        // Sums that are too much stay so: who makes a slot by them is refused.
        let bell = (payload.saturating_add(request).saturating_add(LINE - 1) & !(LINE - 1)) - payload;
        Exchange { bell, reply: bell.saturating_add(BELL + align - 1) & !(align - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_lies_behind_its_bell_and_that_behind_its_request() {
        for align in [1, 2, 4, 8, 16, 64, 128, 4096] {
            let payload = align.max(32);
            for request in (0..300).chain([4095, 4096, 4097]) {
                let Exchange { bell, reply } = Exchange::behind(request, payload, align);
                assert!(bell >= request && reply >= bell + BELL);
                assert!(bell - request < LINE && reply - bell < BELL + align);
                assert!((payload + bell).is_multiple_of(LINE) && reply.is_multiple_of(align));
                assert!(align > LINE || (payload + reply) / LINE <= (payload + bell) / LINE + 1);
            }
        }
    }
}
