//! Waiting in tasks: what [`wait`](super::wait) is for a thread.
//!
//! Owns the handshake of a task with notifiers, and the turns that tasks take. Calls the `reactor`,
//! the one thread that sleeps for all tasks. Never blocks.
//!
//! # A wait
//!
//! ```text
//!   look ─ there ──────────────────────────────────────────────→ ready
//!    │ not there
//!   the last wait was a slice ago: look after the dead, follow ─→ ready
//!    │
//!   futex value → v, WAITERS := 1, fence [sleep], look ─ there ─→ ready
//!    │ not there
//!   tell the reactor: wake this task when FUTEX is not v, or a slice from now
//!    │
//!   pending; polled again: from the start
//! ```
//!
//! It is the handshake of [`Event`](super::Event), with the reactor asleep in the futex instead of the
//! one who waits: so a wake cannot be lost for the same reasons. A task whose future is dropped leaves
//! a flag that is set for nothing, and costs one notifier one call; the next sleeper sets it anew.
//!
//! # Turns
//!
//! A task that finds a message whenever it looks would never give its executor a chance to run
//! another. So after [`TURN`] looks in a row without a wait, it says that it is pending, and ready to
//! go on at once. The count is the thread's, as futures come and go with each message.

use super::reactor::Alarm;
use super::{Await, Deadline, SLICE, handshake};
use crate::fault::fault_point;
use crate::os::FutexAt;
use core::cell::Cell;
use core::future::poll_fn;
use core::task::{Context, Poll};
use std::time::Instant;

/// So many messages may be received in a row before others get their turn.
const TURN: u32 = 128;

thread_local! {
    static TAKEN: Cell<u32> = const { Cell::new(0) };
}

/// Lets others have their turn, every so often.
pub(crate) fn poll_turn(context: &mut Context<'_>) -> Poll<()> {
    TAKEN.with(|taken| {
        if taken.get() < TURN {
            taken.set(taken.get() + 1);
            return Poll::Ready(());
        }
        taken.set(0);
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Lets others have their turn, every so often.
pub(crate) async fn turn() {
    poll_fn(poll_turn).await;
}

/// Waits until `target` has something.
pub(crate) async fn ready<A: Await>(target: &mut A) -> A::Output {
    let mut nap = Nap::new();
    poll_fn(|context| nap.poll(target, context)).await
}

/// The sleep of one task for one thing. Dropping it ends the sleep.
#[derive(Debug)]
pub(crate) struct Nap {
    alarm: Alarm,
    /// When to look after the dead.
    rounds: Option<Instant>,
}

impl Nap {
    pub(crate) const fn new() -> Self {
        Nap { alarm: Alarm::new(), rounds: None }
    }

    /// Looks, and if there is nothing, has the task woken when there may be.
    pub(crate) fn poll<A: Await>(&mut self, target: &mut A, context: &mut Context<'_>) -> Poll<A::Output> {
        if target.forked()
            && let Some(output) = target.idle()
        {
            return self.over(output);
        }
        if let Some(output) = target.look() {
            return self.over(output);
        }
        let now = Instant::now();
        if self.rounds.is_none_or(|rounds| rounds <= now) || target.due() <= Deadline::At(now) {
            if let Some(output) = target.idle() {
                return self.over(output);
            }
            self.rounds = now.checked_add(SLICE);
        }
        if !target.patience().announced {
            target.announce();
            target.patience().announced = true;
        }
        let event = target.event();
        let ([value], output) = handshake::ask([event.words()], || target.look());
        if let Some(output) = output {
            return self.over(output);
        }
        let slice = target.patience().slice();
        let mut until = self.rounds.map_or(now + slice, |rounds| rounds.min(now + slice));
        if let Deadline::At(due) = target.due() {
            until = until.min(due);
        }
        if !self.alarm.set(Some((FutexAt::new(event.futex()), value)), until, context.waker()) {
            // No thread: better to look all the time than never.
            context.waker().wake_by_ref();
        }
        fault_point!("wait.pending");
        TAKEN.with(|taken| taken.set(0));
        Poll::Pending
    }

    fn over<T>(&mut self, output: T) -> Poll<T> {
        self.alarm.unset();
        self.rounds = None;
        Poll::Ready(output)
    }
}

/// Wakes a task at a time. Dropping it ends that.
#[cfg(feature = "python")]
#[derive(Debug)]
pub(crate) struct Timer(Alarm);

#[cfg(feature = "python")]
impl Timer {
    pub(crate) const fn new() -> Self {
        Timer(Alarm::new())
    }

    /// Has the task woken at `at`, and not at the time that was set before.
    pub(crate) fn set(&mut self, at: Instant, context: &mut Context<'_>) {
        TAKEN.with(|taken| taken.set(0));
        if !self.0.set(None, at, context.waker()) {
            // As above.
            context.waker().wake_by_ref();
        }
    }
}
