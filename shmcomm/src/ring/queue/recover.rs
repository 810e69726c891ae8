//! Recovery of the slots of a dead participant, and a scan of the whole ring for statistics.
//!
//! Owns the word that replaces each word of a dead seat (Agrona `unblock`). Calls `slots` for the changes.
//! Never decides that a participant is dead: the caller has the lock of its seat.

use super::Queue;
use super::reply_status::ReplyStatus;
use super::slots::{QueueSlot, Step, TRIES};
use super::word::{State, Word};
use crate::fault::{fault_point, mutant};

/// The result of a recovery, which tells the caller which participants it must wake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecoveredSlots {
    /// Slots that are free now, for senders.
    pub(crate) freed: u32,
    /// Messages that are ready again, for receivers.
    pub(crate) returned: u32,
    /// Requests whose replier died, or had replied: their requesters have an answer.
    pub(crate) died: u32,
    /// Requests that no requester wants any more, and that their replier still has.
    pub(crate) abandoned: u32,
}

/// The contents of the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotCounts {
    /// Number of messages that wait for a receiver.
    pub(crate) ready: u64,
    /// Number of messages that a receiver has.
    pub(crate) claimed: u64,
    /// Number of slots that a sender is filling.
    pub(crate) writing: u64,
    /// Number of requests that have an answer of any kind, which their requester has not fetched.
    pub(crate) answered: u64,
    /// Time at which the oldest ready or claimed message was sent, as its sender recorded it.
    pub(crate) oldest: Option<u64>,
    /// Number of messages put back since the segment was made.
    pub(crate) redelivered: u64,
}

impl Queue {
    /// Recovers the slots of the dead participant of `seat`. The caller holds the lock of that
    /// seat from before this call until after it. A repeated recovery has no effect.
    ///
    /// With `redeliver`, a request that the dead participant had goes to another replier. Without it, the
    /// requester is told.
    pub(crate) fn recover(&self, seat: u32, redeliver: bool) -> RecoveredSlots {
        let mut recovered = RecoveredSlots::default();
        for slot in self.slots.all() {
            // A slot may need two steps: the dead participant may have sent a request to itself.
            let mut word = self.slots.word(slot);
            for _ in 0..TRIES {
                let Some(to) = recovered_word(word, seat, redeliver, || self.slots.reply_area(slot).status())
                else {
                    break;
                };
                match self.slots.change(slot, word, to, Step::Recover) {
                    Ok(()) => {
                        recovered.count(to);
                        word = to;
                    }
                    Err(seen) => word = seen,
                }
            }
        }
        if recovered.returned > 0 {
            self.slots.count_redelivered(recovered.returned.into());
        }
        fault_point!("queue.cleared");
        recovered
    }

    /// Returns the number of messages of this participant that are not acknowledged. A result of 0 is final
    /// while this participant sends nothing.
    pub(crate) fn outstanding(&self) -> u64 {
        let mine = |slot: &QueueSlot| {
            let word = self.slots.word(*slot);
            word.sent_by(self.slots.seat) && matches!(word.state(), State::Ready | State::Claimed)
        };
        self.slots.all().filter(mine).count() as u64
    }

    /// Loads the word of every slot. A statistic: the slots change meanwhile.
    pub(crate) fn backlog(&self) -> SlotCounts {
        let mut backlog = SlotCounts { redelivered: self.slots.redelivered(), ..SlotCounts::default() };
        for slot in self.slots.all() {
            let word = self.slots.word(slot);
            let count = match word.state() {
                State::Free | State::Unknown => continue,
                State::Writing => &mut backlog.writing,
                State::Ready => &mut backlog.ready,
                State::Claimed => &mut backlog.claimed,
                State::Replied | State::Unanswered | State::Died => &mut backlog.answered,
            };
            *count += 1;
            if matches!(word.state(), State::Ready | State::Claimed) {
                let sent = self.slots.sent_at(slot);
                backlog.oldest = Some(backlog.oldest.map_or(sent, |oldest| oldest.min(sent)));
            }
        }
        backlog
    }
}

impl RecoveredSlots {
    fn count(&mut self, to: Word) {
        match to.state() {
            State::Ready => self.returned += 1,
            State::Died | State::Replied => self.died += 1,
            State::Claimed => self.abandoned += 1,
            _ => self.freed += 1,
        }
    }
}

/// Returns the word that replaces a word that names the dead `seat`. `status` loads the reply status of a request.
/// Returns `None` if the word stays.
fn recovered_word(word: Word, seat: u32, redeliver: bool, status: impl Fn() -> ReplyStatus) -> Option<Word> {
    if word.claimed_by(seat) {
        let replied = word.asked()
            && matches!(status(), ReplyStatus::Reply(_))
            && !mutant("queue recovery ignores the status");
        return Some(if word.cancelled() || mutant("queue no redelivery") {
            word.freed()
        } else if replied {
            // Its requester may be reading the reply already.
            word.replied()
        } else if redeliver || !word.asked() {
            word.returned()
        } else {
            word.died()
        });
    }
    if !word.sent_by(seat) {
        return None;
    }
    match word.state() {
        State::Writing => Some(word.freed()),
        State::Ready if mutant("queue recovers ready") => Some(word.freed()),
        State::Claimed if word.asked() && !mutant("queue recovery forgets claimed") => Some(word.abandoned()),
        State::Ready | State::Replied | State::Unanswered | State::Died if word.asked() => Some(word.freed()),
        _ => None,
    }
}
