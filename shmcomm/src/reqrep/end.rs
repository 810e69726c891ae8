//! [`End`]: what requester and replier have in common, without the types of the messages.
//!
//! Owns the seat, the place in the ring, and the three waits: for a request, for room,
//! for a reply. Calls `segment`, `ring` and `wait`. Never interprets a message.

use super::{CallError, RequestError};
use crate::codec::EncodeError;
use crate::counts::{self, Counts};
use crate::error::Error;
use crate::fault::fault_point;
use crate::layout::{FLAG_REDELIVER, Geometry, Region, control};
use crate::os::{self, Lineage};
use crate::ring::queue::{Queue, Reply, Ticket};
use crate::segment::{self, Attachment, Keeper, Role, Spec};
use crate::sync::{AtomicU32, Ordering};
use crate::wait::{self, Await, Deadline, Event, Patience};
use crate::waitset::{Awaited, QueueWatch, Watched};

/// Nanoseconds between two looks for the dead by an end that works or polls.
const LOOK: u64 = 20_000_000;
/// So many calls come between two looks at the clock, where nothing makes an end wait.
const PROBE: u32 = 8;
/// Polls of a call between two that look at more than its bell, though nobody was woken.
const LOOK_CLOSER: u32 = 64;

/// Requests live no longer than those who ask, so nothing keeps a segment without participants.
const KEEPER: Keeper = Keeper { sweep: |region, geometry, seat| sweep(region, geometry, seat, false), spent };
const REDELIVERING: Keeper =
    Keeper { sweep: |region, geometry, seat| sweep(region, geometry, seat, true), spent };

fn spent(_: &Region, _: &Geometry) -> bool {
    true
}

/// The requests of the dead one are withdrawn, those that it had are answered or go to another, and
/// its counts to those of the channel.
fn sweep(region: &Region, geometry: &Geometry, index: u32, redeliver: bool) {
    Queue::new(*region, geometry, index).reap(index, redeliver);
    counts::bury(region, geometry, index);
}

pub(super) struct End {
    pub(super) attachment: Attachment,
    pub(super) queue: Queue,
    pub(super) counts: Counts,
    pub(super) wake: Wake,
    patience: Patience,
    calls: u32,
    looked: u64,
    /// The coarse clock after the last request.
    now: u64,
}

/// Looks at an answer that found nothing.
pub(super) struct Polls {
    count: u32,
    /// How often those who wait for replies had been woken at the last one: they are, after a request of theirs
    /// was found with a dead replier.
    woken: u32,
}

impl Polls {
    /// Somebody has seen an answer: the next look finds it wherever it is.
    #[inline]
    pub(super) fn look_closer(&mut self) {
        self.count = LOOK_CLOSER - 1;
    }
}

/// Those who sleep: repliers until there are requests, requesters until there is room or a reply. Woken
/// by the process that opened the end, not by its forks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    pub(super) lineage: Lineage,
    pub(super) requests: Event,
    pub(super) room: Event,
    pub(super) replies: Event,
}

/// What to wait for.
#[derive(Clone, Copy)]
pub(super) enum What<'w> {
    /// A request to answer, or the word not to be 0.
    Request(&'w AtomicU32),
    /// Room for a request.
    Room,
    /// An answer to this one.
    Reply(&'w Ticket),
}

impl End {
    pub(super) fn open(spec: &Spec, role: Role) -> Result<Self, Error> {
        let keeper = if spec.flags & FLAG_REDELIVER != 0 { REDELIVERING } else { KEEPER };
        let attachment = segment::join(spec, role, keeper)?;
        let region = attachment.region();
        let queue = Queue::new(region, attachment.geometry(), attachment.seat());
        let wake = Wake {
            lineage: attachment.lineage(),
            requests: Event::new(region, control::ITEMS),
            room: Event::new(region, control::ROOM),
            replies: Event::new(region, control::REPLIES),
        };
        let (counts, patience, looked) = (Counts::default(), Patience::new(), os::monotonic_coarse());
        let end = End { attachment, queue, counts, wake, patience, calls: 0, looked, now: looked };
        end.attachment.sweep();
        Ok(end)
    }

    /// Sends a request, if there is room.
    #[inline]
    pub(super) fn send(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<Ticket, CallError> {
        if self.attachment.forked() {
            return Err(CallError::Forked);
        }
        let Some(mut loan) = self.queue.begin_request() else { return Err(CallError::Full) };
        let len = write(loan.request_room()).map_err(CallError::Unencodable)?;
        fault_point!("push.written");
        let ticket = loan.request(len, self.now).ok_or(CallError::Damaged)?;
        self.counts.message(len, false, &self.attachment);
        self.wake.requests.notify();
        // The clock ticks every few milliseconds, and is read while the replier works.
        let now = os::monotonic_coarse();
        if now != self.now {
            self.now = now;
            self.queue.date(&ticket, now);
            self.look_for_the_dead(now);
        }
        Ok(ticket)
    }

    /// The answer that `ticket` stands for, if it is there: the bytes of the reply, or why there is none.
    /// `polls` are the looks that found nothing.
    #[inline(always)]
    pub(super) fn answer(
        &mut self,
        ticket: &Ticket,
        polls: &mut Polls,
    ) -> Option<Result<usize, RequestError>> {
        if self.attachment.forked() {
            return Some(Err(RequestError::Forked));
        }
        let mut reply = self.queue.poll_reply(ticket);
        if reply == Reply::Pending {
            self.called();
            polls.count = polls.count.wrapping_add(1);
            let woken = self.wake.replies.wakes();
            if woken != polls.woken || polls.count.is_multiple_of(LOOK_CLOSER) {
                polls.woken = woken;
                reply = self.queue.find_reply(ticket);
            }
        }
        match reply {
            Reply::Pending => None,
            Reply::Replied(len) => Some(Ok(len)),
            Reply::Unanswered => Some(Err(RequestError::Unanswered)),
            Reply::PeerDied => Some(Err(RequestError::PeerDied)),
        }
    }

    /// After a request was sent, before the first look at its answer.
    #[inline(always)]
    pub(super) fn no_polls(&self) -> Polls {
        Polls { count: 0, woken: self.wake.replies.wakes() }
    }

    /// For those who wait for it without using it.
    pub(super) fn watch(&self, awaited: Awaited) -> Result<Watched, Error> {
        Ok(Watched::new(QueueWatch::new(self.attachment.witness()?.clone(), awaited)))
    }

    /// Counts a call that need not wait, and looks for the dead every so often.
    #[inline(always)]
    pub(super) fn called(&mut self) {
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(PROBE) {
            self.look_for_the_dead(os::monotonic_coarse());
        }
    }

    /// Looks for the dead, and for what they put back without saying so, if that was not done just before `now`.
    #[inline(always)]
    fn look_for_the_dead(&mut self, now: u64) {
        if now.saturating_sub(self.looked) >= LOOK {
            self.looked = now;
            self.attachment.sweep();
            self.queue.look_everywhere();
        }
    }

    /// Waits for something to look at, which may be that this process was forked; false at the
    /// deadline.
    pub(super) fn wait(&mut self, what: What<'_>, deadline: Deadline) -> bool {
        wait::wait(&mut self.waiting(what), deadline).is_some()
    }

    /// What a wait waits for.
    pub(super) fn waiting<'e, 'w>(&'e mut self, what: What<'w>) -> Waiting<'e, 'w> {
        Waiting { end: self, what }
    }
}

pub(super) struct Waiting<'e, 'w> {
    end: &'e mut End,
    what: What<'w>,
}

impl Await for Waiting<'_, '_> {
    type Output = ();

    #[inline]
    fn look(&mut self) -> Option<()> {
        match self.what {
            // Relaxed: a flag by itself.
            What::Request(stop) => self.end.queue.has_ready() || stop.load(Ordering::Relaxed) != 0,
            What::Room => self.end.queue.has_room(),
            What::Reply(ticket) => self.end.queue.poll_reply(ticket) != Reply::Pending,
        }
        .then_some(())
    }

    fn idle(&mut self) -> Option<()> {
        if self.end.attachment.forked() {
            // The caller finds out.
            return Some(());
        }
        self.end.attachment.sweep();
        self.end.queue.look_everywhere();
        match self.what {
            What::Reply(ticket) => (self.end.queue.find_reply(ticket) != Reply::Pending).then_some(()),
            _ => self.look(),
        }
    }

    fn event(&self) -> Event {
        match self.what {
            What::Request(_) => self.end.wake.requests,
            What::Room => self.end.wake.room,
            What::Reply(_) => self.end.wake.replies,
        }
    }

    fn announce(&mut self) {
        self.end.attachment.announce_sleeper();
    }

    fn patience(&mut self) -> &mut Patience {
        &mut self.end.patience
    }

    fn channel(&self) -> &str {
        self.end.attachment.channel()
    }

    fn forked(&self) -> bool {
        self.end.attachment.forked()
    }
}
