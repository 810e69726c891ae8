//! The queue ring: every message to exactly one receiver, and back if it asked for a reply.
//!
//! Owns the protocol of push/pull and of request/reply in one slot. Calls `sync` and
//! `layout::Region` only. Never allocates, blocks, asks the time or calls the OS; never trusts a
//! word it reads: whatever a damaged segment says, every operation ends and stays in bounds.
//!
//! # States
//!
//! All there is to know of a slot is in one word (see `word`): the lap it is on, the state, whose
//! message it is (`sender`), who took it (`receiver`). Every step is one compare-exchange of the
//! whole word, so no crash can leave half of a step.
//!
//! | state      | payload belongs to | left by                                                   |
//! |------------|--------------------|-----------------------------------------------------------|
//! | FREE       | nobody             | a pusher: WRITING                                         |
//! | WRITING    | the sender         | the sender: READY, or FREE if it gave up                  |
//! | READY      | nobody             | a receiver: CLAIMED; a requester that cancels: FREE       |
//! | CLAIMED    | the receiver       | the receiver: FREE, READY, REPLIED or UNANSWERED          |
//! | … and rung | the sender         | the receiver: REPLIED; the requester: FREE                |
//! | REPLIED    | the sender         | the requester: FREE                                       |
//! | UNANSWERED | nobody             | the requester: FREE                                       |
//! | DIED       | nobody             | the requester: FREE                                       |
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
//! A participant that dies is *reaped* by whoever holds its seat's lock from then on:
//!
//! | found                              | becomes                                              |
//! |------------------------------------|------------------------------------------------------|
//! | WRITING by the dead                | FREE                                                 |
//! | CLAIMED by the dead, a job         | READY, redelivered                                   |
//! | CLAIMED by the dead, a request     | DIED; or READY, redelivered, if the service says so  |
//! | … whose bell it had rung           | REPLIED                                              |
//! | … which its sender had given up    | FREE                                                 |
//! | a request of the dead, CLAIMED     | CLAIMED, cancelled: the receiver frees it            |
//! | a request of the dead, other state | FREE                                                 |
//! | READY or CLAIMED, a job of the dead | stays: what was accepted is delivered               |
//!
//! # Positions
//!
//! Position `p` is slot `p % slots` on lap `p / slots`. A word on a later lap, or on this lap and
//! not FREE, says that `p` is *taken*; a word on a later lap, that `p` is *done*. There is no head
//! to advance before or after the slot is marked, and so no instant between the two: the first
//! position that is not taken is found by looking. Each participant remembers where that was.
//!
//! **Carrying.** A slot may be held for long: a job that runs for an hour, a loan, a process that
//! was stopped, a reply that nobody fetches. When the others come round to it, and find a free slot
//! behind it, they put it on their own lap with everything else in its word unchanged, as if it had
//! been taken there. So one slow participant costs the others one slot, not the ring. Only a READY
//! slot stands in the way: then the ring is full.
//!
//! # Invariants
//!
//! 1. A word changes only by a compare-exchange of the whole; its lap never goes back.
//! 2. In WRITING and REPLIED the sender, in CLAIMED the receiver may touch the payload, and nobody
//!    else, except that the payload is the sender's from the bell on; a seat has one owner at a time, who
//!    holds its lock.
//! 3. Only the participant whose seat the word names leaves WRITING, CLAIMED and REPLIED, except
//!    that carrying changes the lap and cancelling the flag, and that a requester that has heard the bell
//!    frees the slot whether its replier has come to REPLIED or not; when it is dead, whoever holds the
//!    lock of its seat does.
//! 4. A position is taken only by somebody that saw all lower ones taken. Hence, if `p` is taken,
//!    all positions up to `p - slots` are done.
//! 5. Whoever sees that a position is taken also sees that all lower ones are: 4 and [change].
//!    Hence a look upwards may stop at the first position that is not taken, and finds every
//!    message whose sending happened before the look.
//! 6. Carrying puts a word from the lap before a taken position to that position. It keeps 4: the
//!    lower position becomes done, the higher one taken.
//! 7. The requests of a seat are told apart by their slots: a slot names the requester from WRITING
//!    until it frees or cancels, so a second request cannot be in it, and a late reply finds the
//!    flag and frees the slot. There is no number to be compared, and none to repeat.
//!    The bell is silent when a request is published, and rung only by who has it CLAIMED: before the
//!    slot can be free, so no bell is heard by a later request.
//! 8. The messages of one pusher are on rising positions, and a receiver takes a message only if no
//!    lower position that it passed over as WRITING has become READY since. Hence first in, first
//!    out per pusher, except for messages that are redelivered.
//!
//! # Orderings
//!
//! One pair does it all. [change]: each compare-exchange is `AcqRel`; [see]: each load of a word,
//! and each failed compare-exchange, is `Acquire`. Payload and lengths are plain or Relaxed accesses
//! between two changes. A seat's death and the reaping of it are ordered by the lock of the seat,
//! which the operating system hands over.
//!
//! A second pair hands a reply over: [rung] is the `Release` store of the bell, after the reply was written,
//! [heard] its `Acquire` load. Whoever frees the slot then says so by a [change], as always.
//!
//! A third pair spares receivers a look below their cursor, which would take slots from those who
//! work on them. [count]: whoever put messages back adds them to `REDELIVERED` afterwards (release);
//! [recall]: who finds nothing above looks below if that number has changed since a look found nothing
//! there (acquire). It is a hint: its writer may die before it, so the first look after each sweep goes
//! below, and every 8192nd that finds nothing.
//!
//! # Lines
//!
//! What a message costs between two processors is its lines and who may write them. Two rules, which
//! no invariant rests on:
//!
//! * A line is left *written* by whoever hands it on. A receiver of a job that has looked at it writes a word
//!   of each line over with what is there before it leaves the slot, while that is still its own (invariant
//!   2): see `Slots::keep_lines`. The bytes stay as they are, word for word, so that a death in between
//!   leaves the message whole for a redelivery. (Requests and replies gain nothing by it: each side waits
//!   for the other's next line anyway.)
//! * Nobody follows at the heels of somebody who works. A receiver that has caught up with a stream, and
//!   a sender that finds the ring full, pause for about a microsecond before they look again. A receiver
//!   does so after 16 jobs in a row that it hardly had to wait for, so lone jobs and requests do not
//!   meet a pause. A requester looks at the bell alone, which lies on the reply's line: the word, and the
//!   request beside it, stay with the replier.
//!
//! # Request and reply in one slot
//!
//! The reply lies behind the request, on lines of its own, and never over it (`layout::Exchange`): a
//! request whose replier died half way through its reply is still whole, and can go to another one. Where it
//! lies is the same for all requests of a segment, whatever their length.
//!
//! The first word of these lines is the *bell*: 0 until there is an answer, then the length of the reply + 1,
//! or a mark that there is none, and that the word says why. Before its step to REPLIED a replier rings it,
//! and its requester reads the reply and frees the slot: from CLAIMED, if the replier has not come to that
//! step yet, who then finds that nothing is left to be done. A replier that declines rings before its step to
//! UNANSWERED, and the requester waits for that step.
//!
//! Who reaps a replier writes nothing but the word, since the slot may be another one's by the time that it
//! writes. It asks the bell, and if the dead had rung for a reply it makes the step to REPLIED for it, and
//! nobody else gets the request: the reply may be in use already. (If its step succeeds, the word did not
//! change meanwhile, so what the bell said was said of this request. If not, it may have been said of another,
//! and is not used.) A requester therefore learns of DIED from the word, at which it looks between two sleeps,
//! once it was woken or told, and at every 64th poll.

mod bell;
mod call;
mod claim;
mod loan;
mod pull;
mod push;
mod reap;
mod slots;
mod word;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
#[allow(unsafe_code, reason = "they stand for the message layer, which fills and reads payloads")]
mod tests;

pub(crate) use call::{Closed, Reply, Ticket};
use claim::Held;
pub(crate) use claim::{Answer, Job, Request};
pub(crate) use loan::Loan;
pub(crate) use pull::Taken;
#[cfg(test)]
use reap::{Backlog, Reaped};

use crate::layout::{Discipline, Geometry, Region};
use bell::Back;
use slots::Slots;
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
    slots: Slots,
    next: u64,
    cursor: u64,
    tail: u64,
    /// Messages that had been put back when there was none below `cursor`.
    returned: u64,
    /// Looks without success, to look below `cursor` now and then.
    looks: u32,
    /// Looks for room in vain since a slot was last taken.
    full: u32,
    /// Looks in vain since a message was last taken.
    misses: u32,
    /// Messages in a row that were found at the first or second look.
    dense: u32,
    /// Of the claim that is out.
    held: Held,
    /// Where it has its reply, if it is a request.
    back: Back,
}

impl Queue {
    /// The end of the participant on `seat`, whose lock the caller holds for as long as it uses
    /// this.
    pub(crate) fn new(region: Region, geometry: &Geometry, seat: u32) -> Self {
        debug_assert_eq!(geometry.discipline, Discipline::Queue);
        let slots = Slots::new(region, geometry, seat);
        let tail = slots.tail();
        let returned = slots.redelivered();
        let back = slots.back(slots.slot(0));
        let held = Held { position: 0, slot: slots.slot(0), word: Word::free(0), len: 0 };
        Queue {
            slots,
            next: tail,
            cursor: tail,
            tail,
            returned,
            looks: 0,
            full: 0,
            misses: 0,
            dense: 0,
            held,
            back,
        }
    }

    /// Whether a message waits for a receiver. Costs one load when none does and nothing is
    /// outstanding.
    pub(crate) fn has_ready(&mut self) -> bool {
        self.find_ready().is_some()
    }

    /// Whether a message would find room.
    pub(crate) fn has_room(&mut self) -> bool {
        self.find_room().is_some()
    }

    /// The bytes that a slot holds.
    pub(crate) fn slot_size(&self) -> usize {
        self.slots.size
    }

    /// The number of slots.
    pub(crate) fn slots(&self) -> u64 {
        self.slots.count
    }

    /// Steps that an operation may take before it gives up: many times what any interleaving of
    /// others costs it, and an end if somebody scribbles on the words.
    fn budget(&self) -> u64 {
        self.slots.count * 4 + 64
    }
}

/// Whether position `a` is before `b`.
fn before(a: u64, b: u64) -> bool {
    (a.wrapping_sub(b) as i64) < 0
}

/// Where `word`, found in the slot of `position`, says that the ring is.
impl Slots {
    /// The position that the word is on.
    fn position_of(&self, word: Word, position: u64) -> u64 {
        let laps = i64::from(self.ahead(word, position)) as u64;
        position.wrapping_add(laps.wrapping_mul(self.count))
    }

    /// Every position below this one is taken (invariant 4).
    fn untaken_from(&self, word: Word, position: u64) -> u64 {
        let on = self.position_of(word, position).wrapping_add(1);
        if word.is(State::Free) { on.wrapping_sub(self.count) } else { on }
    }

    /// Every position below this one is done (invariant 4).
    fn undone_from(&self, word: Word, position: u64) -> u64 {
        self.untaken_from(word, position).wrapping_sub(self.count)
    }
}
