//! Where a reply lies in the slot of its request.
//!
//! Owns the arithmetic of it: both ends and the size of a slot go by it. Never touches memory.
//!
//! ```text
//! slot   ┌──────┬─────────────────┬ ─ ─ ─ ┬──────┬ ─ ─ ─ ┬───────────────┐
//!        │ head │ request         │       │ bell │       │ reply         │
//!        └──────┴─────────────────┴ ─ ─ ─ ┴──────┴ ─ ─ ─ ┴───────────────┘
//!                                         next line      aligned
//! ```
//!
//! The reply has lines of its own, and its bell is on the first: a requester that polls the bell leaves
//! the request, and the word of the slot, to its replier.

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
    /// Behind a request of `request` bytes, where payloads start at byte `payload` of their slots and are
    /// aligned to `align`, a power of two.
    #[inline(always)]
    pub(crate) const fn behind(request: usize, payload: usize, align: usize) -> Exchange {
        let bell = ((payload + request + LINE - 1) & !(LINE - 1)) - payload;
        Exchange { bell, reply: (bell + BELL + align - 1) & !(align - 1) }
    }

    /// Bytes of the longest request that leaves room for a bell in a payload of `size` bytes; 0 also where
    /// there is no such room.
    #[inline]
    pub(crate) const fn longest(payload: usize, size: usize) -> usize {
        ((payload + size).saturating_sub(BELL) & !(LINE - 1)).saturating_sub(payload)
    }

    /// Bytes that may lie between a request and its reply, at most.
    pub(crate) const fn gap(align: usize) -> usize {
        LINE - 1 + if align > BELL { align } else { BELL }
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
                assert!(bell >= request && reply >= bell + BELL && reply - request <= Exchange::gap(align));
                assert!((payload + bell).is_multiple_of(LINE) && reply.is_multiple_of(align));
                assert!(align > LINE || (payload + reply) / LINE <= (payload + bell) / LINE + 1);
            }
        }
    }

    #[test]
    fn the_longest_request_leaves_room_for_a_bell() {
        for payload in [32, 64, 4096] {
            for size in 1..500 {
                let longest = Exchange::longest(payload, size);
                let fits = |request| Exchange::behind(request, payload, 8).bell + BELL <= size;
                assert!(longest == 0 || fits(longest), "{size}");
                assert!(!fits(longest + 1), "{size}");
            }
        }
    }
}
