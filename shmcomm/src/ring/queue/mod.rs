//! The queue ring: every message goes to exactly one receiver, and back if it asked for a reply.
//!
//! Source: bounded MPMC queue (Vyukov), with recovery of dead participants (Agrona `unblock`).
//!
//! Owns the protocol of push/pull and of request/reply in one slot. Calls `sync` and `layout::Region` only.
//! Never allocates, blocks, reads the time or calls the operating system. It never trusts a word that it
//! loads: whatever a damaged segment contains, every operation ends and stays in bounds.
//!
//! # States
//!
//! The whole state of a slot is in one word (see `word`): its lap, its state, the seat that sent the
//! message (`sender`), and the seat that took it (`receiver`). Every step is one compare-exchange of the
//! whole word, so no crash can leave half of a step.
//!
//! | state      | payload belongs to | left by                                                   |
//! |------------|--------------------|-----------------------------------------------------------|
//! | FREE       | no participant     | a pusher: WRITING                                         |
//! | WRITING    | the sender         | the sender: READY, or FREE if it gave up                  |
//! | READY      | no participant     | a receiver: CLAIMED; a requester that cancels: FREE       |
//! | CLAIMED    | the receiver       | the receiver: FREE, READY, REPLIED or UNANSWERED          |
//! | … with a status | the sender    | the receiver: REPLIED; the requester: FREE                |
//! | REPLIED    | the sender         | the requester: FREE                                       |
//! | UNANSWERED | no participant     | the requester: FREE                                       |
//! | DIED       | no participant     | the requester: FREE                                       |
//!
//! ```text
//!              claim            publish            take           acknowledge
//!   ┌──► FREE ───────► WRITING ─────────► READY ─────────► CLAIMED ──────────┐
//!   │                     │ abort           ▲ │ cancel       │ │ │           │
//!   │◄────────────────────┘                 │ │     put back │ │ │ reply     │
//!   │◄──────────────────────────────────────┼─┘◄─────────────┘ │ └─► REPLIED │
//!   │                                       └── (redelivered)  │      │      │
//!   │                                                          ▼ close│      │
//!   │◄──────────────────────────────────── UNANSWERED, DIED ◄─────────┤      │
//!   └─────────────────────────────────────────────────────────────────┴──────┘
//!                          every way back to FREE goes to the next lap
//! ```
//!
//! When a participant dies, the process that takes the lock of its seat next *recovers* it:
//!
//! | found                              | becomes                                              |
//! |------------------------------------|------------------------------------------------------|
//! | WRITING by the dead                | FREE                                                 |
//! | CLAIMED by the dead, a job         | READY, redelivered                                   |
//! | CLAIMED by the dead, a request     | DIED; or READY, redelivered, if the service says so  |
//! | … whose reply status it had stored | REPLIED                                              |
//! | … which its sender had given up    | FREE                                                 |
//! | a request of the dead, CLAIMED     | CLAIMED, cancelled: the receiver frees it            |
//! | a request of the dead, other state | FREE                                                 |
//! | READY or CLAIMED, a job of the dead | stays: what was accepted is delivered               |
//!
//! # Positions
//!
//! Position `p` is slot `p % slots` on lap `p / slots`. A word on a later lap, or a word on this lap that
//! is not FREE, means that `p` is *taken*. A word on a later lap means that `p` is *done*. There is no head
//! to advance before or after the slot is marked, and so no instant between the two. A participant finds
//! the first position that is not taken by scanning, and remembers where it was.
//!
//! **Relocation** to the next lap. A participant may keep a slot for a long time: a job that
//! runs for an hour, a loan, a suspended process, a reply that no requester fetches. When the other
//! participants reach it on the next lap, and find a free slot behind it, they relocate it to their own
//! lap. Everything else in its word stays unchanged, as if it had been taken there. One slow participant
//! therefore costs the others one slot, not the ring. Only a READY slot cannot be relocated: then the ring
//! is full.
//!
//! # Invariants
//!
//! 1. A word changes only by a compare-exchange of the whole word. Its lap never decreases.
//! 2. Only the sender in WRITING and REPLIED, and only the receiver in CLAIMED, may touch the payload. One
//!    exception: the payload is the sender's from the reply status on. A seat has one owner at a time, which has
//!    its lock.
//! 3. Only the participant whose seat the word names leaves WRITING, CLAIMED and REPLIED. There are two
//!    exceptions: relocation changes the lap and cancelling changes the flag; and a requester that has loaded
//!    the reply status frees the slot whether its replier has come to REPLIED or not. When that participant is
//!    dead, the process that has the lock of its seat acts for it.
//! 4. A participant takes a position only after it saw all lower positions taken. Hence, if `p` is taken,
//!    all positions up to `p - slots` are done.
//! 5. A participant that sees that a position is taken also sees that all lower positions are: 4 and
//!    [change]. Hence an upward scan may stop at the first position that is not taken. It finds every
//!    message whose sending happened before the scan.
//! 6. Relocation moves a word from the lap before a taken position to that position. It maintains 4: the
//!    lower position becomes done, the higher one taken.
//! 7. The slots of the requests of a seat distinguish them. A slot names the requester from WRITING until
//!    the requester frees or cancels it. A second request therefore cannot be in it, and a late reply finds
//!    the flag and frees the slot. There is no number to compare, and none to reuse. The reply status is
//!    pending when a request is published. Only the participant that has the request CLAIMED stores it, before
//!    the slot can become free, so no later request finds it.
//! 8. The messages of one pusher are on rising positions. A receiver takes a message only if no lower
//!    position that it passed in WRITING has become READY since. Hence the order is first in, first out per
//!    pusher, except for messages that are redelivered.
//!
//! # Orderings
//!
//! One pair orders almost everything. [change]: each compare-exchange is `AcqRel`. [see]: each load of a
//! word, and each failed compare-exchange, is `Acquire`. Payload and lengths are plain or Relaxed accesses
//! between two changes. The lock of a seat, which the operating system transfers, orders the death of a
//! seat before its recovery.
//!
//! A second pair transfers a reply: [replied] is the `Release` store of the reply status, after the reply was
//! written, [reply seen] is its `Acquire` load. The participant that frees the slot then records that by a [change], as
//! always.
//!
//! A third pair spares receivers a scan below their cursor, which would take cache lines from the
//! participants that use those slots. [count]: a participant that put messages back adds their number to
//! `REDELIVERED` afterwards (release). [recall]: a receiver that finds nothing above its cursor scans below
//! it if that number has changed since a scan found nothing there (acquire). The number is a hint: the
//! participant that would add to it may die first. So the first scan after each recovery goes below, and
//! every 8192nd that finds nothing.
//!
//! # Cache lines
//!
//! The cost of a message between two processors is the transfer of its cache lines, and of the right to
//! write them. Three rules follow, on which no invariant depends:
//!
//! * Before a slot is released, its owner leaves every cache line of it in the modified state. A receiver
//!   that has read a job overwrites a word of each line with its present value before it leaves the slot,
//!   while the slot is still its own (invariant 2): see `QueueSlots::keep_lines_modified`. The bytes stay the same, word
//!   for word, so that a death in between leaves the message intact for a redelivery. Requests and replies
//!   gain nothing by it: each side waits for the next line of the other anyway.
//! * A participant backs off from a line that another participant is writing. A receiver that has caught up
//!   with a stream, and a sender that finds the ring full, pause for about 1 µs before they poll again. A
//!   receiver pauses only after 16 jobs in a row for which it hardly had to wait, so single jobs and
//!   requests do not meet a pause. A requester polls only the reply status, which lies on the line of the reply.
//!   The word, and the request beside it, stay with the replier.
//! * A participant prefetches a line as soon as it knows that it needs the line next, and no other participant polls it.
//!   A receiver prefetches the second line of a message before it takes the slot. A requester that has seen the
//!   status prefetches the line of the word, which it needs to free the slot, while it reads the reply. After that it
//!   prefetches the lines of its next request, except the line of the word, which a replier polls. It does not do so
//!   if the next slot was taken at its last request: other participants use the slots from there on.
//!
//! If both ends poll, a call then moves lines, or the right to write them, seven times, one after the other:
//!
//! 1. the word to the requester, for WRITING;
//! 2. the word to the requester, for READY, because the replier has polled it meanwhile;
//! 3. the word to the replier, which loads it;
//! 4. the right to write it to the replier, for CLAIMED;
//! 5. the line of the reply to the replier;
//! 6. the line of the reply to the requester;
//! 7. the word to the requester, which frees the slot.
//!
//! # Request and reply in one slot
//!
//! The reply lies behind the request, on lines of its own, and never over it (`layout::Exchange`). A
//! request whose replier died while writing the reply is therefore still intact, and can go to another
//! replier. The offset of the reply is the same for all requests of a segment, whatever their length.
//!
//! The first word of these lines is the *reply status word*. It is 0 until there is an answer. Then it is the
//! length of the reply + 1, or a mark that there is no reply, and that the slot's word has the reason. A
//! replier stores the status before its step to REPLIED. Its requester then reads the reply and frees the
//! slot. If the replier has not made that step yet, the requester frees the slot from CLAIMED, and the
//! replier then finds that nothing remains to be done. A replier that declines stores the status before its
//! step to UNANSWERED, and the requester waits for that step.
//!
//! A process that recovers a replier writes only the word, because the slot may belong to another request by
//! the time of the write. It loads the status. If the dead replier had stored a reply, the process makes
//! the step to REPLIED for it. No other replier gets the request, because the reply may be in use already.
//! If the step succeeds, the word did not change meanwhile, and the status was about this request. If the
//! step fails, the status may have been about another request, and its value is not used. A requester
//! therefore learns of DIED from the word. It loads the word between two sleeps, after it was woken or
//! notified, and at every 64th poll.
//!
//! On a channel with streams the slot has a window of replies instead of one reply: see `stream`.

mod claim;
mod loan;
mod pull;
mod push;
mod recover;
mod reply_status;
mod slots;
mod stream;
mod ticket;
mod trace;
mod word;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
#[allow(unsafe_code, reason = "they stand for the message layer, which fills and reads payloads")]
mod tests;

use claim::ClaimedSlot;
pub(crate) use claim::{AcquiredSlot, Delivery, Job, Request};
pub(crate) use loan::Loan;
#[cfg(not(loom))]
pub(crate) use loan::RawLoan;
#[cfg(test)]
use recover::RecoveredSlots;
#[cfg_attr(loom, allow(unused_imports))]
pub(crate) use recover::SlotCounts;
#[cfg_attr(loom, allow(unused_imports))]
pub(crate) use stream::{StreamState, StreamTicket, StreamWriter};
pub(crate) use ticket::{CloseOutcome, ReplyState, Ticket};

use crate::layout::{Discipline, Geometry, Region};
use reply_status::ReplyArea;
use slots::QueueSlots;
use word::{State, Word};

/// One participant's end of a queue.
///
/// Invariants, unless the segment is damaged:
/// 1. Every position below `next` is taken.
/// 2. Every position below `cursor` was seen taken, and neither WRITING nor READY.
/// 3. Every position below `tail` is done.
///
/// Positions wrap; they are compared by their difference.
#[derive(Debug)]
pub(crate) struct Queue {
    slots: QueueSlots,
    next: u64,
    cursor: u64,
    tail: u64,
    /// Number of messages that had been put back when no message was below `cursor`.
    returned: u64,
    /// Number of unsuccessful polls, which triggers a scan below `cursor` now and then.
    empty_polls: u32,
    /// Number of polls that found the ring full since a slot was last taken.
    full: u32,
    /// `true` if the slot at `next` was not free at the last request: another participant uses the slots from there on.
    met_others: bool,
    /// Number of unsuccessful polls since a message was last taken.
    misses: u32,
    /// Number of consecutive messages that the first or second poll found.
    dense: u32,
    /// The slot of the claim that is outstanding.
    held: ClaimedSlot,
    /// The location of the reply to the outstanding claim, if it is a request.
    reply_area: ReplyArea,
    /// The name of the channel for the records of slots.
    #[cfg(feature = "trace-slots")]
    channel: Option<std::sync::Arc<str>>,
}

impl Queue {
    /// Creates the end of the participant on `seat`. The caller holds the lock of the seat for as long as
    /// it uses this end.
    pub(crate) fn new(region: Region, geometry: &Geometry, seat: u32) -> Self {
        debug_assert_eq!(geometry.discipline, Discipline::Queue);
        let slots = QueueSlots::new(region, geometry, seat);
        let tail = slots.tail();
        let returned = slots.redelivered();
        let reply_area = slots.reply_area(slots.slot(0));
        let held = ClaimedSlot { position: 0, slot: slots.slot(0), word: Word::free(0), len: 0 };
        Queue {
            slots,
            next: tail,
            cursor: tail,
            tail,
            returned,
            empty_polls: 0,
            full: 0,
            met_others: false,
            misses: 0,
            dense: 0,
            held,
            reply_area,
            #[cfg(feature = "trace-slots")]
            channel: None,
        }
    }

    /// Returns `true` if a message waits for a receiver. Costs one load if there is none and nothing is
    /// outstanding.
    pub(crate) fn has_ready(&mut self) -> bool {
        self.find_ready(&mut self.budget()).is_some()
    }

    /// Returns `true` if a slot is free for a message.
    pub(crate) fn has_capacity(&mut self) -> bool {
        self.find_free(&mut self.budget()).is_some()
    }

    /// Returns the capacity of a slot, in bytes.
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size
    }

    /// Returns the number of slots.
    pub(crate) fn slots(&self) -> u64 {
        self.slots.count
    }

    /// Returns the budget of one operation: many times what any interleaving with other participants takes.
    fn budget(&self) -> Budget {
        Budget(self.slots.count * 8 + 128)
    }
}

/// Number of words that an operation may still load before it gives up. All loops of the operation share it, so it
/// takes a time in proportion to the number of slots, whatever another process writes to the words meanwhile.
#[derive(Debug)]
struct Budget(u64);

impl Budget {
    /// Spends one. Returns `false` if there are none left.
    #[inline]
    fn spend(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 -= u64::from(left);
        left
    }
}

/// Returns `true` if position `a` is before `b`.
fn before(a: u64, b: u64) -> bool {
    (a.wrapping_sub(b) as i64) < 0
}

/// The position of the ring according to `word`, found in the slot of `position`.
impl QueueSlots {
    /// Returns the position that the word is on.
    fn position_of(&self, word: Word, position: u64) -> u64 {
        let laps = i64::from(self.ahead(word, position)) as u64;
        position.wrapping_add(laps.wrapping_mul(self.count))
    }

    /// Returns a position below which every position is taken (invariant 4).
    fn untaken_from(&self, word: Word, position: u64) -> u64 {
        let on = self.position_of(word, position).wrapping_add(1);
        if word.is(State::Free) { on.wrapping_sub(self.count) } else { on }
    }

    /// Returns a position below which every position is done (invariant 4).
    fn undone_from(&self, word: Word, position: u64) -> u64 {
        self.untaken_from(word, position).wrapping_sub(self.count)
    }
}
