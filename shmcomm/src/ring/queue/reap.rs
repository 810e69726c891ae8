//! What the dead leave behind, and what a look over the whole ring shows.

use super::Queue;
use super::bell::Bell;
use super::slots::{Slot, Step, TRIES};
use super::word::{State, Word};
use crate::fault::{fault_point, mutant};

/// What a sweep changed: whom to wake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reaped {
    /// Slots that are free now: room for senders.
    pub(crate) freed: u32,
    /// Messages that are ready again: work for receivers.
    pub(crate) returned: u32,
    /// Requests whose replier died, or had replied: requesters have an answer.
    pub(crate) died: u32,
    /// Requests that are not wanted any more, still with their replier.
    pub(crate) abandoned: u32,
}

/// What lies in the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Messages that wait for a receiver.
    pub(crate) ready: u64,
    /// Messages that a receiver has.
    pub(crate) claimed: u64,
    /// Slots that a sender fills.
    pub(crate) writing: u64,
    /// Requests that are answered, one way or the other, and not fetched.
    pub(crate) answered: u64,
    /// When the oldest message that is ready or claimed was sent, as its sender said.
    pub(crate) oldest: Option<u64>,
    /// Messages put back since the segment was made.
    pub(crate) redelivered: u64,
}

impl Queue {
    /// Sweeps what the dead participant of `seat` left. The caller holds the lock of that seat from
    /// before this call until after it; sweeping again does no harm.
    ///
    /// `redeliver`: a request that the dead had goes to another replier; else its requester is told.
    pub(crate) fn reap(&self, seat: u32, redeliver: bool) -> Reaped {
        let mut reaped = Reaped::default();
        for slot in self.slots.all() {
            // A slot may need two sweeps: the dead may have asked itself.
            let mut word = self.slots.word(slot);
            for _ in 0..TRIES {
                let Some(to) = buried(word, seat, redeliver, || self.slots.back(slot).bell()) else { break };
                match self.slots.change(slot, word, to, Step::Reap) {
                    Ok(()) => {
                        reaped.count(to);
                        word = to;
                    }
                    Err(seen) => word = seen,
                }
            }
        }
        if reaped.returned > 0 {
            self.slots.count_redelivered(reaped.returned.into());
        }
        fault_point!("queue.swept");
        reaped
    }

    /// Messages of this participant that are not acknowledged. None means none: a participant that
    /// sends nothing meanwhile does not get more.
    pub(crate) fn outstanding(&self) -> u64 {
        let mine = |slot: &Slot| {
            let word = self.slots.word(*slot);
            word.sent_by(self.slots.seat) && matches!(word.state(), State::Ready | State::Claimed)
        };
        self.slots.all().filter(mine).count() as u64
    }

    /// Looks at every slot. For people: the slots change meanwhile.
    pub(crate) fn backlog(&self) -> Backlog {
        let mut backlog = Backlog { redelivered: self.slots.redelivered(), ..Backlog::default() };
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

impl Reaped {
    fn count(&mut self, to: Word) {
        match to.state() {
            State::Ready => self.returned += 1,
            State::Died | State::Replied => self.died += 1,
            State::Claimed => self.abandoned += 1,
            _ => self.freed += 1,
        }
    }
}

/// What a word that names the dead `seat` becomes, where `bell` is that of a request; `None` if it is to stay.
fn buried(word: Word, seat: u32, redeliver: bool, bell: impl Fn() -> Bell) -> Option<Word> {
    if word.claimed_by(seat) {
        let replied = word.asked() && matches!(bell(), Bell::Reply(_)) && !mutant("queue reap hears no bell");
        return Some(if word.cancelled() || mutant("queue no redelivery") {
            word.freed()
        } else if replied {
            // Its requester may look at the reply already.
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
        State::Ready if mutant("queue reap ready") => Some(word.freed()),
        State::Claimed if word.asked() && !mutant("queue reap forgets claimed") => Some(word.abandoned()),
        State::Ready | State::Replied | State::Unanswered | State::Died if word.asked() => Some(word.freed()),
        _ => None,
    }
}
