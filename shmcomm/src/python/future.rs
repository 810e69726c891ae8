//! Waiting in tasks where nobody wakes: a task is woken to look as often as a thread would look.
//!
//! Owns the stream of an end, and the pace of a task. Waits with `wait::task`. Never reads a ring.

use super::RecvError;
use super::poll::{Poll as Target, nap, once};
use crate::wait::task::{self, Timer};
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready as or_pending};
use std::time::Instant;

/// Waits until `target` has something.
pub(super) async fn ready<P: Target>(target: &mut P) -> P::Output {
    task::turn().await;
    let mut pace = Pace::new();
    poll_fn(|context| pace.poll(target, context)).await
}

/// The wait of one task.
#[derive(Debug)]
pub(super) struct Pace {
    timer: Timer,
    /// When it began to wait.
    since: Option<Instant>,
}

impl Pace {
    fn new() -> Self {
        Pace { timer: Timer::new(), since: None }
    }

    /// Looks, and if there is nothing, has the task woken when it is time to look again.
    pub(super) fn poll<P: Target>(&mut self, target: &mut P, context: &mut Context<'_>) -> Poll<P::Output> {
        if let Some(output) = once(target) {
            self.since = None;
            return Poll::Ready(output);
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        self.timer.set(now + nap(now - since).min(target.longest_nap()), context);
        Poll::Pending
    }
}

type Take<E, M> = fn(&mut E, &mut Pace, &mut Context<'_>) -> Poll<Result<M, RecvError>>;

/// Message after message of an end: what its `recv_async` answers, as a
/// [`Stream`](futures_core::Stream).
#[must_use = "a stream does nothing until it is polled"]
pub struct Stream<'e, E, M> {
    end: &'e mut E,
    take: Take<E, M>,
    pace: Pace,
    ended: bool,
}

impl<'e, E, M> Stream<'e, E, M> {
    pub(super) fn new(end: &'e mut E, take: Take<E, M>) -> Self {
        Stream { end, take, pace: Pace::new(), ended: false }
    }
}

impl<E, M> futures_core::Stream for Stream<'_, E, M> {
    type Item = Result<M, RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        or_pending!(task::poll_turn(context));
        let message = or_pending!((this.take)(this.end, &mut this.pace, context));
        this.ended = message.as_ref().is_err_and(|error| *error == RecvError::Forked);
        Poll::Ready(Some(message))
    }
}

impl<E, M> fmt::Debug for Stream<'_, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("ended", &self.ended).finish_non_exhaustive()
    }
}
