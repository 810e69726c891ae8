//! Waiting in tasks without notifications: a task is woken to poll as often as a thread would poll.
//!
//! Owns the stream of an end, and the poll interval of a task. Waits with `wait::task`. Never reads a ring.

use super::RecvError;
use super::poll::{Poll as Target, backoff, once};
use crate::wait::Stopped;
use crate::wait::task::{self, TaskTimer};
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready as or_pending};
use std::time::Instant;

/// Waits until `target` has a result.
pub(super) async fn ready<P: Target>(target: &mut P) -> Result<P::Output, Stopped> {
    task::coop().await;
    let mut pace = Pace::new();
    poll_fn(|context| pace.poll(target, context)).await
}

/// State of the wait of one task.
#[derive(Debug)]
pub(super) struct Pace {
    timer: TaskTimer,
    /// Time at which the wait began.
    since: Option<Instant>,
}

impl Pace {
    fn new() -> Self {
        Pace { timer: TaskTimer::new(), since: None }
    }

    /// Polls once. If there is no result, has the task woken for the next poll.
    pub(super) fn poll<P: Target>(
        &mut self,
        target: &mut P,
        context: &mut Context<'_>,
    ) -> Poll<Result<P::Output, Stopped>> {
        if target.stop().is_stopped() {
            self.since = None;
            return Poll::Ready(Err(Stopped));
        }
        if let Some(output) = once(target) {
            self.since = None;
            return Poll::Ready(Ok(output));
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        self.timer.set(now + backoff(now - since).min(target.max_sleep()), context);
        Poll::Pending
    }
}

type Take<E, M> = fn(&mut E, &mut Pace, &mut Context<'_>) -> Poll<Result<M, RecvError>>;

/// [`Stream`](futures_core::Stream) of the results of an end's `recv_async`.
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
        or_pending!(task::poll_coop(context));
        let message = or_pending!((this.take)(this.end, &mut this.pace, context));
        this.ended = matches!(message, Err(RecvError::Stopped | RecvError::Forked));
        Poll::Ready(Some(message))
    }
}

impl<E, M> fmt::Debug for Stream<'_, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("ended", &self.ended).finish_non_exhaustive()
    }
}
