//! The offset of a reply in the slot of its request.
//!
//! Owns its arithmetic, on which both ends and the size of a slot depend. Calls nothing. Never touches
//! memory.
//!
//! ```text
//! slot   ┌──────┬─────────────────┬ ─ ─ ─ ┬──────┬ ─ ─ ─ ┬───────────────┐
//!        │ head │ request         │       │stat. │       │ reply         │
//!        └──────┴─────────────────┴ ─ ─ ─ ┴──────┴ ─ ─ ─ ┴───────────────┘
//!                 longest of all          next line      aligned
//! ```
//!
//! The reply has cache lines of its own, and its status word is on the first. A requester that polls
//! that word leaves the request, and the word of the slot, to its replier. The offsets are the same for
//! every request of a segment, however short, so that no message ever overlaps a status word.

use super::CACHE_LINE;

/// Size of the status word, in bytes.
const STATUS: usize = 8;

/// Byte offsets in the payload of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Offset of the reply status word, u64: see `ring::queue`.
    pub(crate) status: usize,
    /// Offset of the reply.
    pub(crate) reply: usize,
}

impl Exchange {
    /// The offsets of a pattern without replies.
    pub(crate) const NONE: Exchange = Exchange { status: 0, reply: 0 };

    /// Returns the offsets behind requests of at most `request` bytes. Payloads start at byte `payload` of
    /// their slots and are aligned to `align`, a power of two.
    #[inline(always)]
    pub(crate) const fn behind(request: usize, payload: usize, align: usize) -> Exchange {
        // Sums saturate at values that are too large, and a slot of such a size is refused.
        let status =
            (payload.saturating_add(request).saturating_add(CACHE_LINE - 1) & !(CACHE_LINE - 1)) - payload;
        Exchange { status, reply: status.saturating_add(STATUS + align - 1) & !(align - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_lies_behind_its_status_and_its_request() {
        for align in [1, 2, 4, 8, 16, 64, 128, 4096] {
            let payload = align.max(32);
            for request in (0..300).chain([4095, 4096, 4097]) {
                let Exchange { status, reply } = Exchange::behind(request, payload, align);
                assert!(status >= request && reply >= status + STATUS);
                assert!(status - request < CACHE_LINE && reply - status < STATUS + align);
                assert!((payload + status).is_multiple_of(CACHE_LINE) && reply.is_multiple_of(align));
                assert!(
                    align > CACHE_LINE
                        || (payload + reply) / CACHE_LINE <= (payload + status) / CACHE_LINE + 1
                );
            }
        }
    }
}
