//! Waiting in tasks: the counterpart of [`wait`](super::wait) for a thread.
//!
//! Source: eventcount (Vyukov; folly).
//!
//! Owns the handshake of a task with notifiers, and the cooperative budget of tasks. Calls the `reactor`,
//! the one thread that sleeps for all tasks. Never blocks.
//!
//! # A wait
//!
//! ```text
//!   poll ─ there ──────────────────────────────────────────────→ ready
//!    │ not there
//!   the last wait was a slice ago: housekeeping ──────────────→ ready
//!    │
//!   futex value → v, WAITERS := 1, fence [sleep], poll ─ there ─→ ready
//!    │ not there
//!   tell the reactor: wake this task when FUTEX is not v, or a slice from now
//!    │
//!   pending; polled again: from the start
//! ```
//!
//! It is the handshake of [`EventCount`](super::EventCount), with the reactor asleep in the futex instead of
//! the waiting thread. So a wake cannot be lost, for the same reasons. A task whose future is dropped leaves
//! a flag set, which costs one notifier one call. The next sleeper sets it again.
//!
//! # Cooperative budget (turns)
//!
//! A task that finds a message with every poll would never let its executor run another task. After
//! [`COOP_BUDGET`] successful polls in a row without a wait, it therefore returns pending, and wakes itself
//! at once. The count belongs to the thread, because each message has its own futures.

use super::reactor::WakeRegistration;
use super::{Deadline, MAX_SLEEP, Seated, Stopped, WaitFor, eventcount};
use crate::fault::fault_point;
use crate::os::{self, FutexAt};
use core::cell::Cell;
use core::future::poll_fn;
use core::task::{Context, Poll};
use std::time::Instant;

/// Number of messages that a task may receive in a row before it yields to other tasks (cooperative
/// budget).
const COOP_BUDGET: u32 = 128;

thread_local! {
    static SPENT: Cell<u32> = const { Cell::new(0) };
}

/// Yields to other tasks after every [`COOP_BUDGET`] calls.
pub(crate) fn poll_coop(context: &mut Context<'_>) -> Poll<()> {
    SPENT.with(|taken| {
        if taken.get() < COOP_BUDGET {
            taken.set(taken.get() + 1);
            return Poll::Ready(());
        }
        taken.set(0);
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Yields to other tasks after every [`COOP_BUDGET`] calls.
pub(crate) async fn coop() {
    poll_fn(poll_coop).await;
}

/// Waits until `target` has something.
pub(crate) async fn ready<A: WaitFor>(target: &mut A) -> Result<A::Output, Stopped> {
    let mut wait = TaskWait::new();
    poll_fn(|context| wait.poll(target, context)).await
}

/// The wait of one task for one condition. Dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct TaskWait {
    registration: WakeRegistration,
    /// The registration for the stop, of an end that can be stopped.
    stop: WakeRegistration,
    /// Time of the next housekeeping.
    next_tick_at: Option<Instant>,
}

impl TaskWait {
    pub(crate) const fn new() -> Self {
        TaskWait { registration: WakeRegistration::new(), stop: WakeRegistration::new(), next_tick_at: None }
    }

    /// Polls the condition. If it is not met, registers the task to be woken when it may be met.
    pub(crate) fn poll<A: WaitFor>(
        &mut self,
        target: &mut A,
        context: &mut Context<'_>,
    ) -> Poll<Result<A::Output, Stopped>> {
        if target.seat().forked()
            && let Some(output) = target.housekeeping()
        {
            return self.over(output);
        }
        if target.stop().is_stopped() {
            self.end();
            return Poll::Ready(Err(Stopped));
        }
        if let Some(output) = target.poll_once() {
            if target.backoff().has_found() {
                // In a damaged ring the caller can try again for ever, and other tasks must run.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return self.over(output);
        }
        let now = Instant::now();
        if self.next_tick_at.is_none_or(|next_tick_at| next_tick_at <= now)
            || target.due() <= Deadline::At(now)
        {
            if let Some(output) = target.housekeeping() {
                return self.over(output);
            }
            self.next_tick_at = now.checked_add(MAX_SLEEP);
        }
        if !target.backoff().announced {
            target.seat().enable_notify();
            target.backoff().announced = true;
        }
        let event = target.event();
        let ([value], output) = eventcount::prepare_wait([event.words()], || target.poll_once());
        if let Some(output) = output {
            return self.over(output);
        }
        let slice = target.backoff().max_sleep();
        let mut until = self.next_tick_at.map_or(now + slice, |next_tick_at| next_tick_at.min(now + slice));
        if let Deadline::At(due) = target.due() {
            until = until.min(due);
        }
        if !self.registration.set(Some((FutexAt::new(event.futex()), value)), until, context.waker()) {
            // There is no thread: polling all the time is better than never.
            context.waker().wake_by_ref();
        }
        // Without `futex_waitv` this word would take a thread of its own, and a task is polled every 50 ms.
        if let Some(stop) = target.stop().get().filter(|_| os::waits_for_many()) {
            self.stop.set(Some(stop.word()), until, context.waker());
        }
        fault_point!("wait.pending");
        SPENT.with(|taken| taken.set(0));
        Poll::Pending
    }

    fn over<T>(&mut self, output: T) -> Poll<Result<T, Stopped>> {
        self.end();
        Poll::Ready(Ok(output))
    }

    fn end(&mut self) {
        self.registration.unset();
        self.stop.unset();
        self.next_tick_at = None;
    }
}

/// Wakes a task at a time. Dropping it cancels that.
#[cfg(feature = "python")]
#[derive(Debug)]
pub(crate) struct TaskTimer(WakeRegistration);

#[cfg(feature = "python")]
impl TaskTimer {
    pub(crate) const fn new() -> Self {
        TaskTimer(WakeRegistration::new())
    }

    /// Registers the task to be woken at `at`, instead of the time that was set before.
    pub(crate) fn set(&mut self, at: Instant, context: &mut Context<'_>) {
        SPENT.with(|taken| taken.set(0));
        if !self.0.set(None, at, context.waker()) {
            // There is no thread: polling all the time is better than never.
            context.waker().wake_by_ref();
        }
    }
}
