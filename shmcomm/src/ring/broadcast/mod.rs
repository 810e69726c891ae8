//! The broadcast ring: one writer, any number of readers, the oldest message is overwritten.
//!
//! Source: sequence lock (Linux `seqcount`; Boehm 2012) for the copied payload, validation and lapped readers
//! as in Agrona's `BroadcastReceiver`, recovery (Agrona `unblock`).
//!
//! Owns the meaning of stamp and meta words, and the errors of both ends. Calls `slot` for every access to
//! shared memory. Never chooses between rings. [`Writer`] and [`Reader`] are its two ends. `recover` repairs
//! the ring for a restarted writer, and [`reclaim_pins`] reclaims the pins of a dead reader.
//!
//! # How it works
//!
//! The ring has one [`Writer`] and any number of [`Reader`]s. Messages go to positions 0, 1, 2, ….
//! Position `p` uses slot `p mod n`, where it overwrites position `p - n`. The writer does not know the
//! readers, and a reader that is too slow learns how many messages it missed.
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
//! The *lap* of position `p` is `p div n`. The stamp and the first bytes of the payload share a cache line,
//! which moves between cores once per message. All other words of a message are on other lines, and no end
//! waits for them.
//!
//! # Stamps
//!
//! The stamp is `(position + 1) << 2 | state`. A slot that was never used has the stamp 0. The stamp of a
//! slot therefore only grows, and one comparison tells a reader at position `r` everything:
//!
//! | stamp of slot `r mod n` | means to a reader at `r` |
//! |---|---|
//! | less than `writing(r)` | nothing new: the slot has an older message, or none |
//! | `writing(r)` | nothing new: the message is being written, or was when its writer died |
//! | `done(r)` | the message |
//! | `hole(r)` | there is no message at `r`; continue at `r + 1` |
//! | more than `hole(r)` | lapped: message `r` is gone |
//!
//! A position becomes a hole if the writer died between `writing` and `done`. In pinned rings it also becomes one if
//! readers pin its slot, or if the writer goes back to a slot that it has used shortly before ([`short_laps`]).
//!
//! # Counting what was missed
//!
//! The meta word has the length of the payload and the number of holes before the position, modulo 2^32.
//! The number of messages is the number of positions minus the number of holes. A reader that skips
//! positions without loading their stamps adds them to its gap. The next message that it reaches tells how
//! many of the skipped positions were holes, and so exactly how many were messages. The count needs no
//! separate counter that a reader would have to load at the same instant as the message. It survives the
//! death of the writer, because the slots carry the count.
//!
//! # Copied and pinned
//!
//! There are two [disciplines](Discipline) for the payload. The size of the payload decides.
//!
//! **Copied**, for small payloads: a sequence lock. Both ends move the payload as atomic words, and the
//! reader loads the stamp before and after the copy. No instruction is locked, and no reader writes to the
//! region.
//!
//! **Pinned**, for large payloads: the state words give the slot to the writer alone, or to readers only. A
//! state word has a byte for the owner (the writer) and 56 bits for as many readers. The payload is then
//! plain memory, and can be written and read in place.
//!
//! ## The two state words
//!
//! A slot has a state word `W[0]` for its messages of even laps, and `W[1]` for its messages of odd laps
//! (the *phase*). In the word of lap `L`, `W[L mod 2]`, the bit of a reader says: *the reader pins the
//! message of this lap, or will pin it as soon as it is there*. The owner byte says: *no reader may begin
//! to pin a message by this word now*.
//!
//! A pin bit becomes a valid *pin* after the stamp was validated.
//!
//! ```text
//!              lock: only from 0                        set pin bit: always succeeds,
//!           ┌─────────────────────┐                    counts only without an owner
//!           │                     ▼                   ┌──────────────────┐
//!         free ◄──────────────  locked              free ───────────► bit set ──► pinned, once a load after
//!              unlock: clears                         ▲                  │       the bit finds the stamp
//!              the owner, keeps                       └──────────────────┘
//!              readers' bits                           unpin: clears the bit
//! ```
//!
//! A slot has two words because a reader that polls may set its pin bit **before** the message is there (it
//! *pre-pins* the slot), while the writer is about to write that message. The reader uses the word of lap
//! `L`; the writer locks the word of lap `L - 1`, whose message is overwritten. When the message arrives,
//! the reader already has its pin. It changes no word, and waits for no cache line except that of the
//! stamp.
//!
//! **The writer**, for position `p` of lap `L`, locks the word of lap `L - 1`. That lock is enough if the
//! slot has the message of `p - n`, or no message yet. In that case the claim for `p - n` excluded every
//! reader of an older message, and no reader can have begun to pin an older message since then (invariant
//! 8). Otherwise `p - n` is a hole: the writer skipped the slot, perhaps because a reader still pins the
//! message of lap `L - 2` by the other word. Then the writer locks both words, or neither.
//!
//! ```text
//!     lock W[L-1] ── writing(p) ── payload ── (unlock W[L]) ── done(p) ── unlock W[L-1]
//!      (and W[L])                           before done(p):              after it, as no reader waits for it:
//!                                           a reader of it may pin       the next to use it is lap L + 1
//! ```
//!
//! The writer knows the case without a load of the stamp, whose cache line the readers have: there was no
//! hole since `p - n`. It loads the stamp only for one lap after a hole, and for one lap after it recovered
//! the ring.
//!
//! The writer never waits for a pinned slot: it makes the position a hole and takes the next position. It
//! searches for a free slot first, so a ring whose slots are all pinned stays unchanged ([`AllPinned`]).
//!
//! **A reader** at `r` of lap `L` pins the message `done(r)` with its bit in `W[L]` and a second load of
//! the stamp. The message and the bit may come in either order:
//!
//! * The message comes first: the reader observes `done(r)` and sets its bit. If the word had an owner, the
//!   message is gone. Otherwise the reader validates the stamp.
//! * The bit comes first, if the reader has found nothing several times in a row. The reader
//!   pre-pins only over the stamp `done(r - n)`, or 0 on lap 0, and only if the word has no owner. From
//!   then on every poll loads the stamp. `done(r)` twice, as before, but without setting the bit in
//!   between, means that the message is pinned. An older stamp or `writing(r)` means nothing new, and the
//!   bit stays. After any other stamp the reader clears its bit and continues.
//!
//! A reader does not pre-pin over a hole: the writer would find the bit when it locks both words, and make
//! another hole. A stamp that has changed by the time the bit is set costs only such a hole.
//!
//! A reader has at most one bit at a time, for the message that it pins or for the message that it waits
//! for. A subscriber that has polled and then stops therefore costs its writer one slot per lap, as a
//! subscriber that keeps a sample does. A ring has two slots more than readers, which is enough for both.
//!
//! # Observers
//!
//! An observer is a reader without a seat, in a mapping that it cannot write to. It has no pin bit, and no
//! participant knows of it. It copies the payload as words, of a pinned ring too, and validates the copy. In a
//! copied ring it is a reader. In a pinned ring the writer stores the payload with plain stores, perhaps by
//! code of the user, while the observer loads it:
//!
//! ```text
//!     writer, for p + n:    lock W[L] ── writing(p + n) ── fence ── plain stores ── done(p + n) ── unlock
//!     observer, at p:       done(p)? ── words ── fence ── W[L] without owner? ── done(p)?
//! ```
//!
//! * If a loaded word is newer than message `p`, the lock of `W[L]` came before its store (invariant 7).
//!   On x86-64 a store that bypasses the cache (`movnt`) may overtake the stamp `writing`, though never a
//!   locked instruction. On other machines the fence of \[write_begin\] orders plain stores too.
//! * So the observer finds the owner in `W[L]`, or the lock has ended. In the second case the acquire load of
//!   the word shows the stamp that came before the unlock, which is not `done(p)`.
//! * A slot with an owner is passed, as a reader passes it: its message is gone.
//!
//! The loads are relaxed atomics (from 1 KiB on one string operation, which the compiler does not see into),
//! in a mapping to which no reference exists. So they are no data race inside the process of the observer.
//! Its maker, `segment`, maps the file with read access only, so that an observer cannot disturb a ring even
//! by an error.
//!
//! A reader that has [lent](super::lent) its pin observes in the same way, in the mapping of its seat. References exist
//! there, but only to payloads that are pinned or claimed, and no writer stores to a pinned payload.
//!
//! # Recovery after a kill
//!
//! | killed | leaves | repaired by |
//! |---|---|---|
//! | writer, before `writing` | perhaps the owner's byte, in one word or both | the next writer clears both |
//! | writer, `writing` to `done` | a stamp `writing` | the next writer makes it a hole |
//! | writer, `done` to head | a head one behind, and a word locked | the next writer stores the head, and unlocks the word |
//! | writer, after the head | counters one message behind, a word locked | the next writer counts again, and unlocks the word |
//! | reader, with a pin or pre-pin | its bit, in either word | [`reclaim_pins`] |
//!
//! Readers need no repair to continue: from the stamp `writing` up to the head they see nothing new, and a
//! slot with an owner means that its old message is gone. For the ring, a leaked claim or guard is the same
//! as a death, and as harmless.
//!
//! # Invariants
//!
//! The segment guarantees, with locks of the operating system:
//!
//! 1. There is one writer at a time. The next writer starts after the last store of the previous writer.
//! 2. A reader alone uses its bit, from joining to its recovery. The recovery comes after its last access.
//!
//! The ring maintains:
//!
//! 3. Only the writer changes stamp, meta and the control words. A stamp only grows.
//! 4. Positions are finished in order: all positions before the head are `done` or `hole`, unless a later
//!    position has taken the slot. The head is at most one position behind.
//! 5. Between `done(p)` and the next stamp of the slot, meta and payload are the words of message `p`.
//! 6. A state word is changed by read-modify-writes only. Locking succeeds only from 0, or if the owner
//!    byte is already there. Only an earlier claim of this writer can have left the byte.
//! 7. A writer that overwrites message `r` of lap `L` has locked `W[L]` before. It unlocks the word only
//!    after its stamp `writing(r + n)`, or a later stamp, is there. A reader that set its bit in `W[L]`
//!    *before which there was no owner* and *after which the stamp was `done(r)`* therefore excludes every
//!    writer until it clears the bit. A claim before the bit would also have been unlocked before the bit,
//!    and the second load would have found its stamp. After the bit no claim succeeds. Without the first
//!    test the owner may be writing. Without the second test an owner may have locked and unlocked the word
//!    before the bit. The time at which the reader first saw `done(r)` does not matter.
//! 8. While the slot has `done(p)`, no reader pins an older message of it, and no reader can begin to. The
//!    claim for `p` found no bit in `W[L - 1]`. In `W[L]` it found no bit either, or the slot had `done(p -
//!    n)`, for which the same is true. A reader that sets its bit after the word was unlocked loads the
//!    stamp after that, and finds at least `writing(p)`. So the writer must lock only `W[L]` for `p + n`.
//!    Bits in `W[L + 1]` then belong to readers that wait for `p + n`, or that are about to clear their
//!    bits.
//! 9. A reader has at most one bit, over all words of the ring. It sets none while its pin is lent.
//! 10. A position is never reused, not even after a crash. Otherwise a reader might see `done(p)` before
//!     and after its copy, and two messages in between.
//!
//! # Orderings
//!
//! Each pair has a name, which the code cites. \[publish\] is the store of `write_end`, \[observe\] the load of
//! `load_stamp`:
//!
//! * **\[write_begin\]** (release fence after `writing`) with **\[validate\]** (acquire fence before the second
//!   load of the stamp): a reader that copied anything newer than `done(p)` sees that the stamp has changed. In
//!   a pinned ring the same pair orders the stamp before the unlock against the pin bit before the second
//!   load (**\[release\]**, **\[pin\]**), which therefore need no ordering of their own. The second load
//!   also proves that meta is the word of the message. A hole changes stamp and meta of a slot that is
//!   pinned, though never its payload.
//! * **\[publish\]** (release, `done` or `hole`) with **\[observe\]** (acquire, the first load): the words
//!   that the stamp describes are visible. A reader usually touches one cache line for a small message.
//! * **\[unpin\]** (release) with **\[claim\]** (acquire, of each word that is locked): readers have
//!   finished with the payload before it is overwritten. All changes in between are read-modify-writes, so
//!   the release of each reader reaches the claim, in whatever order the readers unpin.
//! * **\[head\]** (release) with **\[catch up\]** (acquire): the slots before the head have their stamps,
//!   so that a reader that jumps to the head finds them.
//!
//! * **\[release\]** of a word (relaxed, after the fence of \[write_begin\]) with the acquire load of an observer's
//!   owner test: an unlocked word shows a later stamp.
//!
//! The models in `broadcast/model.rs` and in `broadcast/model/` run the code in all interleavings,
//! with a crash at every step. `.ci/loom-mutants` weakens each of these orderings, one at a time, and
//! checks that the models fail.

#[cfg_attr(loom, allow(dead_code, reason = "no participant sees an incomplete copy"))]
mod copy;
mod count;
mod reader;
mod recover;
mod short_laps;
mod writer;

#[cfg(all(test, loom))]
pub(super) mod model;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(not(loom))]
pub(crate) use copy::copy_ring;
#[cfg(all(test, not(loom)))]
pub(crate) use reader::Pinned;
pub(crate) use reader::Reader;
pub(crate) use recover::Recovered;
pub(crate) use writer::{AllPinned, Writer, all_pinned};

use super::slot::{Phase, Slots};
use crate::fault::mutant;
use crate::layout::{Discipline, Geometry, Region};
use crate::plural::count;

/// States of a stamp, in its two low bits.
const WRITING: u64 = 1;
const DONE: u64 = 2;
const HOLE: u64 = 3;

/// Distance, in slots, at which cache lines are prefetched ahead of the writer of small messages: about the time that a
/// line takes to come from another core.
const AHEAD: u64 = 8;

/// The last position that a stamp can name.
const LAST_POSITION: u64 = (1 << 62) - 2;

const fn stamp(position: u64, state: u64) -> u64 {
    (position + 1) << 2 | state
}

const fn writing(position: u64) -> u64 {
    stamp(position, WRITING)
}

const fn done(position: u64) -> u64 {
    stamp(position, DONE)
}

const fn hole(position: u64) -> u64 {
    stamp(position, HOLE)
}

/// Returns position and state of a stamp. `None` for 0, and for a stamp that no writer stores.
const fn parse(stamp: u64) -> Option<(u64, u64)> {
    match ((stamp >> 2).checked_sub(1), stamp & 3) {
        (None, _) | (_, 0) => None,
        (Some(position), state) => Some((position, state)),
    }
}

/// The decoded meta word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meta {
    /// Bytes of the payload. The number comes from another process and is not trusted.
    len: u32,
    /// Holes before this position.
    holes: Holes,
}

impl Meta {
    #[inline]
    const fn from_word(word: u64) -> Self {
        Meta { len: word as u32, holes: Holes(word & !(u32::MAX as u64)) }
    }

    #[inline]
    const fn word(self) -> u64 {
        self.holes.0 | self.len as u64
    }
}

/// A number of holes modulo 2^32, in the high half, where a meta word has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holes(u64);

impl Holes {
    const fn new(holes: u64) -> Self {
        Holes(holes << 32)
    }

    const fn count(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[must_use]
    const fn add(self, holes: u64) -> Self {
        Holes(self.0.wrapping_add(holes << 32))
    }

    /// Returns the number of holes after `before`.
    const fn since(self, before: Holes) -> u32 {
        Holes(self.0.wrapping_sub(before.0)).count()
    }
}

/// Damage that no writer leaves behind, however it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BroadcastCorrupt {
    #[error("slot {slot} has the stamp {stamp:#x}, but no writer puts it there")]
    Stamp { slot: u64, stamp: u64 },
    #[error("the head is at {head}, but the newest slot implies {expected}")]
    Head { head: u64, expected: u64 },
    #[error("{counted} counted, but the newest slot implies {expected} modulo 2^32", counted = count(*.counted, "hole"))]
    Holes { counted: u64, expected: u32 },
    #[error("the slot before the head ({head}) changes all the time")]
    Restless { head: u64 },
}

/// Checks for a message on behalf of a reader, without being the reader (an observer).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyCheck {
    slots: Slots,
}

impl ReadyCheck {
    pub(crate) fn new(region: Region, geometry: &Geometry) -> Self {
        ReadyCheck { slots: Slots::new(region, geometry) }
    }

    /// Returns `true` if a reader at `position` would find anything, as [`Reader::ready`], or if no reader
    /// has reached `position`. Any process can write the word that `position` comes from.
    pub(crate) fn ready_at(&self, position: u64) -> bool {
        if position > LAST_POSITION {
            return true;
        }
        // A reader passes a position only after it is finished, so its slot names that position or a later
        // one.
        let ahead = position.checked_sub(1).is_some_and(|last| self.slots.at(last).load_stamp() < done(last));
        ahead || self.slots.at(position).load_stamp() > writing(position)
    }
}

/// Clears the pins of a dead reader. No other participant may use `bit`, or receive it, meanwhile.
pub(crate) fn reclaim_pins(region: Region, geometry: &Geometry, bit: u32) {
    if geometry.discipline == Discipline::Pinned {
        let slots = Slots::new(region, geometry);
        for index in 0..slots.count() {
            for phase in Phase::BOTH {
                if phase == Phase::EVEN || !mutant("reclaim of one word") {
                    slots.at(index).clear(phase, 1 << bit);
                }
            }
        }
    }
}
