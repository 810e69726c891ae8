//! The lock-free protocols on a segment's slots.
//!
//! Owns what the words of a slot mean and who may change them when. Calls atomics, on a
//! [`Region`](crate::layout::Region) that somebody else made and keeps. Never maps, allocates, blocks
//! or calls the operating system: so the model checker and Miri run this very code on heap memory.
//!
//! Bounded queues and broadcast rings for threads can rely on every thread to finish what it began.
//! Here either end may be killed between any two instructions, and be replaced by a process that
//! knows nothing but the region; a reader may be stopped for an hour; and what a reader finds may not
//! be what any writer wrote. Hence three rules for all that follows:
//!
//! * No step leaves the region in a state from which the others cannot go on.
//! * Nobody waits for anybody: each call ends after a bounded number of steps.
//! * A number from the region is compared or clamped before it is used, never trusted.
//!
//! # The broadcast ring
//!
//! One [`Writer`], any number of [`Reader`]s. Messages go to positions 0, 1, 2, …; position `p` to
//! slot `p mod n`, where it overwrites position `p - n`. The writer does not know the readers, and
//! a reader that is too slow learns how many messages it missed.
//!
//! ```text
//!  position        …  36   37   38   39   40   41   42
//!  slot (n = 4)        0    1    2    3    0    1    2
//!                     gone gone hole done done done writing
//!                                ▲              ▲    ▲
//!                         a slow reader         │   head: the position that is written next
//!                                               the newest message
//!
//!  slot    ┌──────────┬───────────────┬──────── ╌╌ ────────┐ ┌────────────────┐ ┌────────────────┐
//!          │ stamp    │ meta          │ payload            │ │ state, even    │ │ state, odd     │
//!          │ p, w/d/h │ length, holes │                    │ │ owner, readers │ │ owner, readers │
//!          └──────────┴───────────────┴──────── ╌╌ ────────┘ └────────────────┘ └────────────────┘
//!                                                            pinned only, each on lines of its own
//! ```
//!
//! The *lap* of position `p` is `p div n`. The stamp and the first bytes of the payload share a line, which
//! moves once for a message: whatever else a message takes is on other lines, and not waited for.
//!
//! ## Stamps
//!
//! The stamp is `(position + 1) << 2 | state`; a slot that was never used has 0. So a slot's stamp
//! only grows, and a reader at position `r` compares it once to know all:
//!
//! | stamp of slot `r mod n` | means to a reader at `r` |
//! |---|---|
//! | less than `writing(r)` | nothing new: the slot has an older message, or none |
//! | `writing(r)` | nothing new: the message is being written, or was when its writer died |
//! | `done(r)` | the message |
//! | `hole(r)` | there is no message at `r`; go on to `r + 1` |
//! | more than `hole(r)` | lapped: message `r` is gone |
//!
//! A position becomes a hole when readers hold its slot (pinned rings), or when the writer died
//! between `writing` and `done`.
//!
//! ## Counting what was missed
//!
//! The meta word has the length of the payload and the number of holes before the position, modulo
//! 2^32. Positions less holes are messages. A reader that passes positions without a look adds them
//! to its gap; the next message it comes to tells how many of them were holes, and so, exactly, how
//! many were messages. That takes no counter that a reader would have to read at the same instant as
//! the message, and it survives the writer's death: the slots themselves carry the count.
//!
//! ## Copied and pinned
//!
//! There are two [disciplines](crate::layout::Discipline) for the payload, chosen by its size.
//!
//! **Copied**, for small ones: a sequence lock. Both sides move the payload as atomic words, the
//! reader looks at the stamp before and after. No instruction is locked, no reader writes anything.
//!
//! **Pinned**, for large ones: whoever uses the payload has the slot for itself (the writer) or for
//! reading, by the state words: a byte for the owner, 56 bits for as many readers. The payload is then
//! plain memory, and can be made and looked at in place.
//!
//! ### The two state words
//!
//! A slot has a state word `W[0]` for its messages of even laps, and `W[1]` for those of odd ones. In the word of
//! lap `L`, `W[L mod 2]`, a reader's bit says: *I hold the message of this lap, or shall hold it as soon as it is
//! there*; the owner byte: *nobody may begin to hold a message by this word now*.
//!
//! ```text
//!              bar: only from 0                         mark: always succeeds,
//!           ┌─────────────────────┐                    counts only without an owner
//!           │                     ▼                   ┌──────────────────┐
//!         free ◄──────────────  barred              free ───────────► marked ──► held, once a look after
//!              admit: clears                          ▲                  │       the mark finds the stamp
//!              the owner, keeps                       └──────────────────┘
//!              readers' bits                           unpin: clears the bit
//! ```
//!
//! Two words, because a reader that polls may mark a slot **before** its message is there, while the writer is
//! about to write it: the one is the business of the word of lap `L`, the other that of lap `L - 1`, whose
//! message is overwritten. When the message comes the reader has it already; it changes nothing, and waits
//! for no line but that of the stamp.
//!
//! **The writer**, for position `p` of lap `L`, bars the word of lap `L - 1`. That is enough if the slot has
//! the message of `p - n`, or none yet: its claim shut out whoever held an older one, and since then nobody can
//! have begun to (invariant 8). Otherwise (`p - n` is a hole: the slot was passed, perhaps because of a reader
//! that still holds the message of lap `L - 2`, by the other word) it bars both words, or none.
//!
//! ```text
//!     bar W[L-1] ── writing(p) ── payload ── (admit W[L]) ── done(p) ── admit W[L-1]
//!         (and W[L])                         before done(p):            after it, as nobody waits for that:
//!                                            who sees that may hold     the next to use it is lap L + 1
//! ```
//!
//! It knows which case it is without a look at the stamp, the line of which readers have: there has been no
//! hole since `p - n`. Only for a lap after a hole, or after it took the ring over, it looks.
//!
//! The writer never waits for a held slot: it makes the position a hole and takes the next one. It
//! looks for a free slot first, so a ring that is held whole stays as it is ([`AllPinned`]).
//!
//! **A reader** at `r` of lap `L` holds the message `done(r)` by a mark in `W[L]` and a second look at the stamp,
//! which may come in either order with the message:
//!
//! * the message first: observe `done(r)`; mark; if there was an owner, the message is gone; look again.
//! * the mark first, of a reader that finds nothing [several times](broadcast) in a row: only over the stamp
//!   `done(r - n)`, or 0 on lap 0, and only if there is no owner. Then, with every look: `done(r)` twice, as
//!   before, but without a mark in between: held. Older or `writing(r)`: nothing new, the mark stays. Anything
//!   else: the mark is taken back, and the reader goes on.
//!
//! Over a hole nobody marks ahead: the writer would find the mark when it bars both words, and make another
//! hole. That a look at the stamp may be old by the time of the mark costs such a hole, and no more.
//!
//! A reader has one mark at a time, for what it holds or for what it waits for. So a subscriber that has polled
//! and then stands still costs its writer one slot, once a lap, as one that keeps a sample does; and the two
//! slots more than readers that a ring has are enough for both.
//!
//! ## Who dies where
//!
//! | killed | leaves | repaired by |
//! |---|---|---|
//! | writer, before `writing` | perhaps the owner's byte, in one word or both | the next writer clears both |
//! | writer, `writing` to `done` | a stamp `writing` | the next writer makes it a hole |
//! | writer, `done` to head | a head one behind, and a word barred | the next writer stores it, and clears it |
//! | writer, after the head | counters one message behind, a word barred | the next writer counts anew, and clears it |
//! | reader, holding or waiting | its bit, in either word | [`sweep_reader`] |
//!
//! Readers need no repair to go on: behind `writing` and before the head they see nothing new, and a
//! slot with an owner means that its old message is gone. A claim or a guard that is leaked is to the
//! ring like a death, and as harmless.
//!
//! ## Invariants
//!
//! Guaranteed by the segment, with locks of the operating system:
//!
//! 1. There is one writer at a time; the next one starts after the last store of the one before.
//! 2. A reader's bit is its own, from joining to the sweep; the sweep comes after its last access.
//!
//! Kept by the ring:
//!
//! 3. Only the writer changes stamp, meta and the control words; a stamp only grows.
//! 4. Positions are finished in order: all positions before the head are `done` or `hole`, unless a
//!    later one has taken the slot. The head is at most one behind.
//! 5. Between `done(p)` and the next stamp of the slot, meta and payload are those of message `p`.
//! 6. A state word is changed by read-modify-writes only. Barring succeeds only from 0, or if the
//!    owner's byte is there already, which only this writer's own earlier claim can have left.
//! 7. Whoever overwrites message `r` of lap `L` has barred `W[L]` before, and admits only after its stamp
//!    `writing(r + n)`, or a later one, is there. So a reader that set its bit in `W[L]` *before which there was no
//!    owner* and *after which the stamp was `done(r)`* keeps every writer out until it clears the bit: had such a
//!    claim come before the bit, it would also have admitted before it, and the look would have found its stamp;
//!    and after the bit none succeeds. Without the first test the owner may be at work; without the second it
//!    may have come and gone before. When `done(r)` was first seen does not matter.
//! 8. When the slot has `done(p)`, nobody holds an older message of it, and nobody can begin to: the claim for `p`
//!    found no bit in `W[L - 1]`; in `W[L]` it found none either, or the slot had `done(p - n)`, of which the same is
//!    true. Who marks a word later than it was admitted looks after that, and finds `writing(p)` at least. So
//!    for `p + n` only `W[L]` is to be barred. Bits in `W[L + 1]` are then of readers that wait for `p + n`, or take
//!    themselves back.
//! 9. A reader has at most one bit, in all words of the ring.
//! 10. A position is never reused, not even after a crash: else a reader might see `done(p)` before
//!     and after its copy, and two messages between.
//!
//! ## Orderings
//!
//! Each pair has a name, which the code cites:
//!
//! * **\[open\]** (release fence after `writing`) with **\[settle\]** (acquire fence before the second
//!   look): a reader that copied anything newer than `done(p)` sees that the stamp has changed. In a
//!   pinned ring the same pair orders the stamp before the admission against the mark before the second
//!   look (**\[release\]**, **\[pin\]**), which therefore need no ordering of their own. The second look also tells
//!   that meta is that of the message: a hole changes stamp and meta of a slot that is held, though never its
//!   payload.
//! * **\[publish\]** (release, `done` or `hole`) with **\[observe\]** (acquire, the first look): what
//!   the stamp speaks of is there. A reader usually touches one cache line for a small message.
//! * **\[unpin\]** (release) with **\[claim\]** (acquire, of each word that is barred): readers are through with the
//!   payload before it is overwritten. All changes in between are read-modify-writes, so each reader's
//!   release reaches the claim, whoever was last.
//! * **\[head\]** (release) with **\[catch up\]** (acquire): the slots before the head have their
//!   stamps, so that whoever jumps there finds them.
//!
//! The models in `broadcast/model.rs` and `broadcast/model/ahead.rs` run the code in all interleavings, with a crash at every step;
//! `.ci/loom-mutants` weakens each of these, one at a time, and sees the models fail.
//!
//! # A publisher that waits
//!
//! On a channel declared with `overflow: Wait` the writer takes a position only below a limit that its
//! subscribers set. That is a protocol of its own beside this one, which it leaves as it is: [`window`].
//!
//! # The shared ring
//!
//! Several writers, any number of readers, one order of all messages. Its states, invariants and orderings
//! are in [`shared`]. Whoever publishes or subscribes holds the end of `either` of the two.
//!
//! # The queue ring
//!
//! Any number of pushers and pullers, or of requesters and repliers, each message to exactly one of
//! them. Its states, invariants and orderings are in [`queue`].

mod broadcast;
#[cfg(not(loom))]
mod either;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod keep;
#[allow(dead_code, reason = "push/pull and request/reply are its callers")]
pub(crate) mod queue;
#[cfg(not(loom))]
#[allow(unsafe_code)]
mod receive;
pub(crate) mod shared;
#[allow(unsafe_code)]
mod slot;
#[cfg_attr(loom, allow(dead_code, reason = "the patterns are not built for the model checker"))]
pub(crate) mod window;

#[cfg(not(loom))]
pub(crate) use broadcast::{AllPinned, Grabbed, Missed};
#[cfg(not(loom))]
pub(crate) use either::{Claim, Corrupt, Onlooker, Pinned, Reader, Writer, sweep_reader};
#[cfg(not(loom))]
pub(crate) use keep::{AtHome, Keep, KeepMut, Place, ReplyRoom, Staged};
#[cfg(not(loom))]
pub(crate) use receive::Seen;
#[cfg(not(loom))]
pub(crate) use shared::Sender;
