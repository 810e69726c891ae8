//! Sending and receiving in tasks: the asynchronous forms of the blocking calls, and a stream.
//!
//! Owns the future forms of `send`, `recv`, `claim` and `flush`. Waits with `wait::task`. A dropped future
//! has taken and sent no message: each happens in one step, without an await between.

use super::{FlushError, Job, PullError, Puller, PushError, Pusher};
use crate::codec::{Incoming, Outgoing};
use crate::message::{Fixed, ShmMessage};
use crate::queue_end::WaitTarget;
use crate::wait::task::{self, TaskWait};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use futures_core::Stream;

impl<M: ?Sized, F: ?Sized> Pusher<M, F> {
    /// Waits until every message of this pusher is acknowledged; the task sleeps, not the thread.
    ///
    /// # Errors
    /// [`FlushError::Stopped`], [`FlushError::Forked`].
    pub async fn flush_async(&mut self) -> Result<(), FlushError> {
        loop {
            if self.end.attachment.forked() {
                return Err(FlushError::Forked);
            }
            if self.end.state.queue.outstanding() == 0 {
                return Ok(());
            }
            if task::ready(&mut self.end.waiting(WaitTarget::Acknowledgement)).await.is_err() {
                return self.stopped();
            }
        }
    }
}

impl<M: ?Sized, F: Outgoing<M>> Pusher<M, F> {
    /// Sends `message` like [`send`](Pusher::send); while the queue is full the task sleeps, not the thread. If
    /// the future is dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// See [`PushError`].
    pub async fn send_async(&mut self, message: &M) -> Result<(), PushError> {
        task::coop().await;
        while !self.put(message)? {
            task::ready(&mut self.end.waiting(WaitTarget::Room)).await?;
        }
        Ok(())
    }
}

impl<M: ?Sized, F: Incoming<M>> Puller<M, F> {
    /// Returns the next message, like [`recv`](Puller::recv); the task sleeps until there is one, not the
    /// thread. If the future is dropped before it is ready, no message was taken.
    ///
    /// The message is returned by value: a large one of a fixed layout makes a large future.
    /// [`claim_async`](Puller::claim_async) does not.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn recv_async(&mut self) -> Result<F::Owned, PullError> {
        task::coop().await;
        loop {
            self.end.stop.check()?;
            if let Some(message) = self.get()? {
                return Ok(message);
            }
            task::ready(&mut self.end.waiting(WaitTarget::Items)).await?;
        }
    }

    /// Returns the messages as a stream, each acknowledged as it is yielded: see [`JobStream`].
    ///
    /// The message is returned by value: a large one of a fixed layout makes a large future.
    /// [`claim_async`](Puller::claim_async) does not.
    pub fn stream(&mut self) -> JobStream<'_, M, F> {
        JobStream { puller: self, progress: Progress::new() }
    }

    /// Returns the messages as a stream that owns the puller, for a task or a struct that outlives this function. Each
    /// message is acknowledged as it is yielded.
    pub fn into_stream(self) -> OwnedJobStream<M, F> {
        OwnedJobStream { puller: self, progress: Progress::new() }
    }
}

impl<M: ShmMessage> Puller<M> {
    /// Returns the next message in place, like [`claim`](Puller::claim); the task sleeps until there is one,
    /// not the thread. If the future is dropped before it is ready, no message was taken.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn claim_async(&mut self) -> Result<Job<'_, M>, PullError> {
        task::coop().await;
        let prefix = self.end.check_in_place("recv_async").map_err(PullError::Invalid)?;
        let taken = loop {
            self.end.stop.check()?;
            if let Some(taken) = self.end.take()? {
                break taken;
            }
            task::ready(&mut self.end.waiting(WaitTarget::Items)).await?;
        };
        self.show(taken, prefix)
    }
}

/// [`Stream`] of the results of [`recv_async`](Puller::recv_async).
///
/// It continues after [`Invalid`](PullError::Invalid). It yields [`Stopped`](PullError::Stopped) or
/// [`Forked`](PullError::Forked) and then ends. If the stream is dropped, no message is taken.
#[must_use = "a stream does nothing until it is polled"]
pub struct JobStream<'p, M: ?Sized, F: ?Sized = Fixed> {
    puller: &'p mut Puller<M, F>,
    progress: Progress,
}

/// [`JobStream`] that owns its puller: see [`Puller::into_stream`].
#[must_use = "a stream does nothing until it is polled"]
pub struct OwnedJobStream<M: ?Sized, F: ?Sized = Fixed> {
    puller: Puller<M, F>,
    progress: Progress,
}

impl<M: ?Sized, F: ?Sized> OwnedJobStream<M, F> {
    /// Returns the puller, for its figures.
    pub fn puller(&self) -> &Puller<M, F> {
        &self.puller
    }

    /// Ends the stream and returns the puller. No message is taken.
    pub fn into_inner(self) -> Puller<M, F> {
        self.puller
    }
}

/// State of a stream between two polls.
struct Progress {
    task_wait: TaskWait,
    ended: bool,
}

impl Progress {
    fn new() -> Self {
        Progress { task_wait: TaskWait::new(), ended: false }
    }

    fn poll<M: ?Sized, F: Incoming<M>>(
        &mut self,
        puller: &mut Puller<M, F>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<F::Owned, PullError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        ready!(task::poll_coop(context));
        loop {
            let stopped = puller.end.stop.check();
            let failed = match stopped.map_err(PullError::from).and_then(|()| puller.get()) {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {
                    let outcome =
                        ready!(self.task_wait.poll(&mut puller.end.waiting(WaitTarget::Items), context));
                    outcome.err().map(PullError::from)
                }
                Err(error) => Some(error),
            };
            if let Some(error) = failed {
                self.ended = matches!(error, PullError::Stopped | PullError::Forked);
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl<M: ?Sized, F: Incoming<M>> Stream for JobStream<'_, M, F> {
    type Item = Result<F::Owned, PullError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let JobStream { puller, progress } = self.get_mut();
        progress.poll(puller, context)
    }
}

impl<M: ?Sized, F: Incoming<M>> Stream for OwnedJobStream<M, F> {
    type Item = Result<F::Owned, PullError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let OwnedJobStream { puller, progress } = self.get_mut();
        progress.poll(puller, context)
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for OwnedJobStream<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedJobStream")
            .field("channel", &self.puller.name())
            .field("ended", &self.progress.ended)
            .finish_non_exhaustive()
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for JobStream<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobStream")
            .field("channel", &self.puller.name())
            .field("ended", &self.progress.ended)
            .finish_non_exhaustive()
    }
}
