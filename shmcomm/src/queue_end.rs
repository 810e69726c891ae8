//! [`QueueEnd`]: the part that pusher, puller, requester and replier share, without the message types.
//!
//! Owns the seat, the place in the queue, and the waits for a message, for room, for acknowledgement and for a
//! reply. Calls `segment`, `ring`, `wait`, `counts` and `waitset`. Never interprets a message.
//!
//! A requester is used through shared references, so its [`State`] is in a `RefCell`. It is borrowed only for
//! single steps in the ring. It is never borrowed while a message is encoded or decoded, a waker is cloned or
//! dropped, a record is logged or this end sleeps. The code of a message, a waker or a logger may therefore
//! use the requester that calls it.

use crate::check_pace::CheckPace;
use crate::counts;
use crate::error::Error;
use crate::layout::{Geometry, Region, control};
use crate::message::Invalid;
use crate::os::{self, ForkId};
use crate::ring::queue::{Queue, ReplyState, StreamTicket, Ticket};
use crate::schema::Resolution;
use crate::schema::resolve::Resolved;
use crate::segment::{self, Attachment, PatternOps, Role, Spec};
use crate::wait::{self, Deadline, EventCount, Seated, SleepBackoff, Stop, Stopped, WaitFor};
use crate::waitset::{Awaited, QueueWatch, Watched};
use core::cell::RefCell;
use std::sync::Arc;

/// Nanoseconds between two liveness scans by an end that works or polls.
pub(crate) const PERIOD: u64 = 20_000_000;

/// Recovers a dead participant: returns or withdraws what it had in the queue, and adds its counts to those of
/// the channel. `redeliver` decides whether a request that it had taken goes to another replier.
pub(crate) fn recover(region: &Region, geometry: &Geometry, index: u32, redeliver: bool) {
    Queue::new(*region, geometry, index).recover(index, redeliver);
    counts::bury(region, geometry, index);
}

/// An end with its `S`: a [`State`], or a `RefCell` of it.
pub(crate) struct QueueEnd<S> {
    pub(crate) attachment: Attachment,
    pub(crate) wake: QueueEvents,
    pub(crate) stop: Stop,
    /// Conversion of the messages that this end reads, if the segment has another layout than its own.
    pub(crate) resolved: Option<Arc<Resolved>>,
    pub(crate) state: S,
}

/// The mutable part of an end.
pub(crate) struct State {
    pub(crate) queue: Queue,
    pub(crate) backoff: SleepBackoff,
    calls: u64,
    /// The next liveness scan, which also checks the channel name.
    pub(crate) scan: CheckPace,
    /// Value of the coarse clock after the last request.
    pub(crate) now: u64,
}

/// Access to the state of an end. `step` never runs user code.
pub(crate) trait Access {
    fn with<T>(&mut self, step: impl FnOnce(&mut State) -> T) -> T;
}

impl Access for &mut State {
    #[inline(always)]
    fn with<T>(&mut self, step: impl FnOnce(&mut State) -> T) -> T {
        step(self)
    }
}

impl Access for &RefCell<State> {
    #[inline(always)]
    fn with<T>(&mut self, step: impl FnOnce(&mut State) -> T) -> T {
        step(&mut self.borrow_mut())
    }
}

impl Access for &mut RefCell<State> {
    #[inline(always)]
    fn with<T>(&mut self, step: impl FnOnce(&mut State) -> T) -> T {
        step(self.get_mut())
    }
}

/// The sleeping ends: pullers and repliers wait for items, pushers and requesters for room, requesters for
/// replies. The process that opened the end wakes them, not its forks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueEvents {
    pub(crate) fork_id: ForkId,
    pub(crate) items: EventCount,
    pub(crate) room: EventCount,
    pub(crate) replies: EventCount,
}

/// The event that an end waits for.
#[derive(Clone, Copy)]
pub(crate) enum WaitTarget<'w> {
    /// A message to receive.
    Items,
    /// Room for a message.
    Room,
    /// The acknowledgement of every message of this end.
    Acknowledgement,
    /// An answer to this request.
    Reply(&'w Ticket),
    /// The next reply of this stream, or its end.
    Stream(&'w StreamTicket),
}

impl<S> QueueEnd<S> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(
        spec: &Spec,
        role: Role,
        ops: PatternOps,
        state: impl FnOnce(State) -> S,
    ) -> Result<Self, Error> {
        let mut attachment = segment::join(spec, role, ops)?;
        let resolved = attachment.take_resolved::<Resolved>();
        let region = attachment.region();
        let mut queue = Queue::new(region, attachment.geometry(), attachment.seat());
        queue.trace_as(attachment.channel());
        let wake = QueueEvents {
            fork_id: attachment.fork_id(),
            items: EventCount::new(region, control::ITEMS),
            room: EventCount::new(region, control::ROOM),
            replies: EventCount::new(region, control::REPLIES),
        };
        let (backoff, now) = (SleepBackoff::new(), os::monotonic_coarse());
        let inner = State { queue, backoff, calls: 0, scan: CheckPace::new(now), now };
        attachment.recover_peers();
        if let Some(resolved) = &resolved {
            resolved.log(attachment.channel());
        }
        let stop = Stop::given(spec.stop.as_ref());
        Ok(QueueEnd { attachment, wake, stop, resolved, state: state(inner) })
    }

    /// Returns what this end does with the fields of the segment's layout.
    pub(crate) fn resolution(&self) -> &Resolution {
        const EXACT: &Resolution = &Resolution::EXACT;
        self.resolved.as_ref().map_or(EXACT, |resolved| &resolved.resolution)
    }

    /// Checks that messages can be read in their slots. Returns `true` if they are longer than this end's own.
    /// `instead` is the call that reads them otherwise.
    #[inline]
    pub(crate) fn check_in_place(&self, instead: &str) -> Result<bool, Invalid> {
        match &self.resolved {
            None => Ok(false),
            Some(resolved) if resolved.is_in_place() => Ok(true),
            Some(resolved) => Err(resolved.not_in_place(instead)),
        }
    }

    /// Returns the state of this end that a wait set polls.
    pub(crate) fn watch(&self, awaited: Awaited) -> Result<Watched, Error> {
        Ok(Watched::new(QueueWatch::new(self.attachment.observer()?.clone(), awaited)))
    }

    /// Recovers what dead participants left, if that `is_due`.
    #[inline(always)]
    pub(crate) fn recover_if(&self, is_due: bool, mut state: impl Access) {
        if is_due {
            self.attachment.recover_peers();
            state.with(|state| state.queue.force_scan_below());
        }
    }
}

impl State {
    /// Counts a call that does not wait. Returns `true` if a liveness check is due.
    #[inline(always)]
    pub(crate) fn called(&mut self) -> bool {
        self.calls = self.calls.wrapping_add(1);
        self.scan.is_due(self.calls, PERIOD)
    }
}

impl QueueEnd<State> {
    /// Counts a call that does not wait. When a check is due, recovers dead participants. The next empty poll then scans
    /// every slot, for a message that was put back but not counted.
    #[inline(always)]
    pub(crate) fn called(&mut self) {
        if self.state.called() {
            self.attachment.recover_peers();
            self.state.queue.force_scan_below();
        }
    }

    /// Waits until `what` has arrived or this process is a forked child. Returns `false` at the deadline.
    pub(crate) fn wait(&mut self, what: WaitTarget<'_>, deadline: Deadline) -> Result<bool, Stopped> {
        Ok(wait::wait(&mut self.waiting(what), deadline)?.is_some())
    }

    /// Returns the wait of a thread or a task.
    pub(crate) fn waiting<'e, 'w>(&'e mut self, what: WaitTarget<'w>) -> QueueWait<'e, 'w, &'e mut State> {
        QueueWait::new(&self.attachment, &self.wake, &self.stop, &mut self.state, what)
    }
}

impl QueueEnd<RefCell<State>> {
    /// Waits until `what` has arrived or this process is a forked child. Returns `false` at the deadline.
    pub(crate) fn wait(&self, what: WaitTarget<'_>, deadline: Deadline) -> Result<bool, Stopped> {
        let mut waiting = QueueWait::new(&self.attachment, &self.wake, &self.stop, &self.state, what);
        Ok(wait::wait(&mut waiting, deadline)?.is_some())
    }

    /// Returns the wait of a task.
    #[cfg(feature = "async")]
    pub(crate) fn waiting<'e, 'w>(
        &'e mut self,
        what: WaitTarget<'w>,
    ) -> QueueWait<'e, 'w, &'e mut RefCell<State>> {
        QueueWait::new(&self.attachment, &self.wake, &self.stop, &mut self.state, what)
    }
}

/// A wait of an end, which borrows its state for single steps.
pub(crate) struct QueueWait<'e, 'w, S: Access> {
    attachment: &'e Attachment,
    wake: &'e QueueEvents,
    stop: &'e Stop,
    state: S,
    /// Sleep backoff, copied from the state, and copied back when the wait is dropped.
    backoff: SleepBackoff,
    what: WaitTarget<'w>,
}

impl<'e, 'w, S: Access> QueueWait<'e, 'w, S> {
    #[inline]
    pub(crate) fn new(
        attachment: &'e Attachment,
        wake: &'e QueueEvents,
        stop: &'e Stop,
        mut state: S,
        what: WaitTarget<'w>,
    ) -> Self {
        let backoff = state.with(|state| state.backoff);
        QueueWait { attachment, wake, stop, state, backoff, what }
    }
}

impl<S: Access> Drop for QueueWait<'_, '_, S> {
    #[inline]
    fn drop(&mut self) {
        let backoff = self.backoff;
        self.state.with(|state| state.backoff = backoff);
    }
}

impl<S: Access> WaitFor for QueueWait<'_, '_, S> {
    type Output = ();

    #[inline]
    fn poll_once(&mut self) -> Option<()> {
        let what = self.what;
        self.state
            .with(|State { queue, .. }| match what {
                WaitTarget::Items => queue.has_ready(),
                WaitTarget::Room => queue.has_capacity(),
                WaitTarget::Acknowledgement => queue.outstanding() == 0,
                WaitTarget::Reply(ticket) => queue.poll_reply(ticket) != ReplyState::Pending,
                WaitTarget::Stream(ticket) => queue.has_next(ticket),
            })
            .then_some(())
    }

    fn housekeeping(&mut self) -> Option<()> {
        if self.attachment.forked() {
            // The caller returns the fork error.
            return Some(());
        }
        self.attachment.recover_peers();
        self.state.with(|state| state.queue.force_scan_below());
        match self.what {
            WaitTarget::Reply(ticket) => {
                self.state.with(|state| state.queue.find_reply(ticket) != ReplyState::Pending).then_some(())
            }
            _ => self.poll_once(),
        }
    }

    fn event(&self) -> EventCount {
        match self.what {
            WaitTarget::Items => self.wake.items,
            WaitTarget::Room | WaitTarget::Acknowledgement => self.wake.room,
            WaitTarget::Reply(_) | WaitTarget::Stream(_) => self.wake.replies,
        }
    }

    fn backoff(&mut self) -> &mut SleepBackoff {
        &mut self.backoff
    }

    fn seat(&self) -> &impl Seated {
        self.attachment
    }

    fn stop(&self) -> &Stop {
        self.stop
    }
}
