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
//!
//! A channel whose replies are streams has several replies behind the status word, in [`StreamPlaces`]:
//!
//! ```text
//! ┬──────┬──────┬ ─ ─ ─ ┬───────┬ ─ ─ ─ ┬──────────────────┬───┬──────────────────┐
//! │ stat.│ sent │       │ taken │       │ len │ reply 0    │ … │ len │ reply n-1  │
//! ┴──────┴──────┴ ─ ─ ─ ┴───────┴ ─ ─ ─ ┴──────────────────┴───┴──────────────────┘
//!   written by the        by the           `window` replies, `stride` bytes from one
//!   replier               requester        to the next
//! ```

use super::{CACHE_LINE, LINE_PAIR};

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

/// Largest number of replies in the window of a stream.
pub(crate) const MAX_WINDOW: u64 = 1 << 16;

/// Distance in bytes of the words that requester and replier write. (The words of a model lie side by side.)
const APART: usize = if cfg!(loom) { 16 } else { LINE_PAIR };
/// Alignment in bytes of a reply and of its length.
const REPLY_ALIGN: usize = if cfg!(loom) { 8 } else { CACHE_LINE };

/// Byte offsets of a stream of replies in the payload of a slot.
///
/// Invariant: all words and `window` replies of `stride` bytes end before the end of the slot. `window` is 0 if the
/// channel has no streams, and then no other field has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamPlaces {
    /// Number of replies that the replier may send before the requester takes one.
    pub(crate) window: u64,
    /// Offset of the number of replies sent, u64.
    pub(crate) sent: usize,
    /// Offset of the number of replies taken, u64.
    pub(crate) taken: usize,
    /// Offset of the first reply: its length, u64, then the reply.
    pub(crate) replies: usize,
    /// Distance in bytes from one reply to the next.
    pub(crate) stride: usize,
    /// Offset of the bytes of a reply behind its length.
    pub(crate) body: usize,
}

impl StreamPlaces {
    /// The places of a channel without streams.
    pub(crate) const NONE: StreamPlaces =
        StreamPlaces { window: 0, sent: 0, taken: 0, replies: 0, stride: 0, body: 0 };

    /// Returns the places without the replies. The other arguments are those of [`Exchange::behind`].
    const fn words(exchange: Exchange, payload: usize, align: usize) -> StreamPlaces {
        let (sent, taken) = (exchange.status.saturating_add(STATUS), exchange.status.saturating_add(APART));
        let unit = if align > REPLY_ALIGN { align } else { REPLY_ALIGN };
        let first = payload.saturating_add(taken).saturating_add(APART);
        let replies = (first.saturating_add(unit - 1) & !(unit - 1)) - payload;
        let body = if align > STATUS { align } else { STATUS };
        StreamPlaces { window: 0, sent, taken, replies, stride: 0, body }
    }

    /// Returns the size in bytes of a slot whose window has `window` replies of at most `reply` bytes.
    pub(crate) const fn slot_size(
        exchange: Exchange,
        payload: usize,
        align: usize,
        (window, reply): (usize, usize),
    ) -> usize {
        let places = Self::words(exchange, payload, align);
        let unit = if align > REPLY_ALIGN { align } else { REPLY_ALIGN };
        let stride = places.body.saturating_add(reply).saturating_add(unit - 1) & !(unit - 1);
        places.replies.saturating_add(stride.saturating_mul(window))
    }

    /// Returns the places in a slot of `slot_size` bytes; `None` if the window does not divide its bytes into replies.
    pub(crate) fn within(
        exchange: Exchange,
        payload: usize,
        align: usize,
        (window, slot_size): (u64, u64),
    ) -> Option<StreamPlaces> {
        let places = Self::words(exchange, payload, align);
        let unit = align.max(REPLY_ALIGN) as u64;
        if !(1..=MAX_WINDOW).contains(&window) {
            return None;
        }
        let room = slot_size.checked_sub(places.replies as u64)?;
        let stride = room / window;
        if !room.is_multiple_of(window) || !stride.is_multiple_of(unit) || stride < places.body as u64 {
            return None;
        }
        Some(StreamPlaces { window, stride: stride as usize, ..places })
    }

    /// Returns the size of the longest reply, in bytes.
    pub(crate) const fn reply_size(&self) -> usize {
        self.stride.saturating_sub(self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_lies_behind_its_request() {
        for align in [1, 8, 16, 64, 128, 4096] {
            let payload = align.max(32);
            for (request, reply, window) in [(0, 0, 1), (8, 8, 2), (100, 24, 16), (4096, 5000, 3)] {
                let exchange = Exchange::behind(request, payload, align);
                let size = StreamPlaces::slot_size(exchange, payload, align, (window, reply));
                let numbers = (window as u64, size as u64);
                let places = StreamPlaces::within(exchange, payload, align, numbers).unwrap();
                assert!(places.sent == exchange.status + STATUS && places.taken >= places.sent + STATUS);
                assert!(places.replies >= places.taken + STATUS && places.reply_size() >= reply);
                assert!((payload + places.replies).is_multiple_of(align.max(8)));
                assert!((places.replies + places.body).is_multiple_of(align) && places.body >= STATUS);
                assert!(places.stride.is_multiple_of(align));
                assert!(places.replies + window * places.stride <= size);
                for wrong in
                    [(0, size as u64), (numbers.0, numbers.1 - 1), (MAX_WINDOW + 1, numbers.1), (1, 64)]
                {
                    assert!(StreamPlaces::within(exchange, payload, align, wrong).is_none(), "{wrong:?}");
                }
            }
        }
    }

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
