//! The lock-free protocols on the slots of a segment.
//!
//! Owns the meaning of the words of a slot, and the rules that say which participant may change them and
//! when. Calls atomics, on a [`Region`](crate::layout::Region) that the caller made and keeps mapped. Never
//! maps, allocates, blocks or calls the operating system, so that the model checker and Miri run this very
//! code on heap memory.
//!
//! Bounded queues and broadcast rings for threads can rely on every thread to finish what it began. Here
//! the operating system may kill either end between any two instructions, and the bytes that a reader finds
//! may come from a damaged process. Hence three rules apply to all code below:
//!
//! * No step leaves the region in a state from which the other participants cannot continue.
//! * No participant waits for another: each call ends after a bounded number of steps.
//! * A number from the region is compared or clamped before it is used, never trusted.
//!
//! | ring or protocol | guarantees | source | document |
//! |---|---|---|---|
//! | broadcast | one writer, any number of readers; a slow reader learns the number of lost messages | sequence lock (Linux `seqcount`; Boehm 2012) | [`broadcast`] |
//! | multi-producer broadcast | the same for several writers, in one order | one compare-exchange per position (Vyukov) and a sequence lock | [`multi`] |
//! | queue | every message goes to one receiver, and is redelivered if that receiver dies | bounded MPMC queue (Vyukov); recovery (Agrona `unblock`) | [`queue`] |
//! | request and reply | every request gets one reply, or its requester learns the reason | reply status word in the slot of the request | [`queue`] |
//! | stream of replies | every reply that was sent arrives once, in order, in its own call | SPSC ring (Lamport 1977) in the slot of the request, credits | `queue/stream.rs` |
//! | table | the latest value of each key: one writer for each key, readers that store nothing | two copies with a version (Linux `seqcount_latch`), double collect (Afek et al.) | [`table`] |
//! | flow control | a writer takes no position that a subscriber still reads | credits (Firedancer tango `fctl`; Disruptor gating sequences) | [`flow_control`] |
//!
//! [`slot`] has the words of a slot: the sequence lock, the pin bits of readers and the lock of a writer.
//! `flavor` dispatches between the two broadcast rings. [`lent`] is a pin that outlives the borrow of its reader.
//! `guard` makes slots accessible as stable bytes.
//!
//! | term | meaning |
//! |---|---|
//! | position | number of a message or hole since the ring was made; it belongs to slot `position mod n` |
//! | lap | one pass of the positions over all slots |
//! | stamp | the word of a slot that names its position and state: the sequence of the sequence lock |
//! | validate | to load the stamp again after the payload, and compare |
//! | pin, lock | a reader's bit, and the writer's byte, in a state word |
//! | claim, commit | to reserve a slot for writing, and to publish it |
//! | recover, reclaim | to repair what a dead participant left, and to free its slots |

mod broadcast;
#[cfg(not(loom))]
mod flavor;
#[cfg_attr(loom, allow(dead_code, reason = "the patterns are not built for the model checker"))]
pub(crate) mod flow_control;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod guard;
#[cfg_attr(loom, allow(dead_code, reason = "the patterns are not built for the model checker"))]
mod lent;
pub(crate) mod multi;
#[allow(dead_code, reason = "push/pull and request/reply are its callers")]
pub(crate) mod queue;
#[allow(unsafe_code)]
mod slot;
pub(crate) mod table;

#[cfg(not(loom))]
pub(crate) use broadcast::{AllPinned, all_pinned, copy_ring};
#[cfg(not(loom))]
pub(crate) use flavor::{Claim, Corrupt, Pinned, Reader, ReadyCheck, Writer, reclaim_pins};
#[cfg(not(loom))]
pub(crate) use guard::{
    ForkGuard, ReplyBuffer, ReplyGuard, RequestEnd, RequestSlot, StableBytes, StableBytesMut, StagingBuffer,
    Storage, reply_bytes, stream_bytes, stream_room,
};
#[cfg(not(loom))]
pub(crate) use lent::LentPin;
#[cfg(not(loom))]
pub(crate) use multi::Sender;
#[cfg(not(loom))]
pub(crate) use slot::{AcquiredToken, FastPath, NoMessage};
