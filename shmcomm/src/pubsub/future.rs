//! Sending and receiving in tasks: the asynchronous forms of the blocking calls, and streams.
//!
//! Owns the future forms of `send` and `recv`. Waits with `wait::task`. A dropped future has taken no
//! message: it takes and returns a message in one step, without an await between.

use super::raw_subscriber::{Acquired, RawSubscriber, Refusal};
use super::sample::{Received, Sample, TailSample};
use super::{Fixed, Publisher, RecvError, SendError, Subscriber};
use crate::codec::{Incoming, Outgoing};
use crate::message::ShmMessage;
use crate::wait::task::{self, TaskWait};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use futures_core::Stream;

impl RawSubscriber {
    /// Waits in a task for the next message and acquires it.
    pub(crate) async fn receive_async(&mut self) -> Result<(Received<'_>, Refusal<'_>), RecvError> {
        let acquired = self.acquire_async().await?;
        self.opened(acquired)
    }

    /// Waits in a task for the next message, to read it with `opened` or `get`.
    async fn acquire_async(&mut self) -> Result<Acquired, RecvError> {
        task::coop().await;
        loop {
            self.stop().check()?;
            if let Some(acquired) = self.acquire()? {
                return Ok(acquired);
            }
            task::ready(self).await??;
        }
    }
}

impl<M: ?Sized, F: Outgoing<M>> Publisher<M, F> {
    /// Sends like [`send`](Publisher::send); if there is no room, the task waits, not the thread. If the
    /// future is dropped, no message is sent.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_async(&mut self, message: &M) -> Result<(), SendError> {
        task::coop().await;
        while !self.send_until(message, || None)? {
            self.raw().credit_async().await?;
        }
        Ok(())
    }
}

impl<H: ShmMessage + Copy, T: ShmMessage + Copy> Publisher<H, [T]> {
    /// Sends like [`send`](Publisher::send); if there is no room, the task waits, not the thread. If the
    /// future is dropped, no message is sent.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_async(&mut self, header: &H, items: &[T]) -> Result<(), SendError> {
        task::coop().await;
        while !self.send_until(header, items, None)? {
            self.raw().credit_async().await?;
        }
        Ok(())
    }
}

impl<M: ?Sized, F: Incoming<M>> Subscriber<M, F> {
    /// Returns the next message, like [`recv`](Subscriber::recv); the task sleeps until there is one, not the
    /// thread. If the future is dropped, no message is lost.
    ///
    /// The message is returned by value: a large one of a fixed layout makes a large future.
    /// [`recv_ref_async`](Subscriber::recv_ref_async) does not.
    ///
    /// # Errors
    /// See [`RecvError`]; [`RecvError::Disconnected`] if there is neither a message nor a publisher,
    /// within 50 ms of a publisher's death.
    pub async fn recv_async(&mut self) -> Result<F::Owned, RecvError> {
        task::coop().await;
        loop {
            self.raw().stop().check()?;
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            task::ready(self.raw()).await??;
        }
    }

    /// Returns the messages as a stream: see [`MessageStream`].
    ///
    /// The message is returned by value: a large one of a fixed layout makes a large future.
    /// [`recv_ref_async`](Subscriber::recv_ref_async) does not.
    pub fn stream(&mut self) -> MessageStream<'_, M, F> {
        MessageStream { subscriber: self, progress: Progress::new() }
    }

    /// Returns the messages as a stream that owns the subscriber, for a task or a struct that outlives this function.
    ///
    /// ```
    /// # use shmcomm::{Channel, PubSub, RecvError};
    /// # let feed = Channel::<PubSub<u64>>::new("feed").open().namespace(format!("doc-into-{}", std::process::id()));
    /// # let mut publisher = feed.clone().publisher()?;
    /// use futures_core::Stream;
    ///
    /// fn messages(subscriber: shmcomm::Subscriber<u64>) -> impl Stream<Item = Result<u64, RecvError>> + Send + 'static {
    ///     subscriber.into_stream()
    /// }
    /// # let stream = messages(feed.subscriber()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> OwnedMessageStream<M, F> {
        OwnedMessageStream { subscriber: self, progress: Progress::new() }
    }
}

impl<M: ShmMessage> Subscriber<M> {
    /// Receives like [`recv_async`](Subscriber::recv_async), in place: large messages are not copied.
    ///
    /// # Errors
    /// See [`recv_async`](Subscriber::recv_async).
    pub async fn recv_ref_async(&mut self) -> Result<Sample<'_, M>, RecvError> {
        if self.raw().converts() {
            self.raw().check_in_place("recv_async")?;
            let acquired = self.raw().acquire_async().await?;
            let (received, refusal) = self.raw().get(acquired);
            return Sample::prefix(received).map_err(|why| refusal.count(why));
        }
        let (received, refusal) = self.raw().receive_async().await?;
        Sample::new(received).map_err(|why| refusal.count(why))
    }
}

impl<H: ShmMessage, T: ShmMessage> Subscriber<H, [T]> {
    /// Returns the next message in place, like [`recv_ref`](Subscriber::recv_ref); the task sleeps until
    /// there is one, not the thread. If the future is dropped, no message is lost.
    ///
    /// # Errors
    /// See [`RecvError`].
    pub async fn recv_ref_async(&mut self) -> Result<TailSample<'_, H, T>, RecvError> {
        let (received, refusal) = self.raw().receive_async().await?;
        TailSample::new(received).map_err(|why| refusal.count(why))
    }
}

/// [`Stream`] of the results of [`recv_async`](Subscriber::recv_async).
///
/// It continues after [`Lagged`](RecvError::Lagged), [`Invalid`](RecvError::Invalid) and
/// [`Missed`](RecvError::Missed). It yields [`Disconnected`](RecvError::Disconnected),
/// [`Stopped`](RecvError::Stopped) or [`Forked`](RecvError::Forked) and then ends. After `Disconnected`, wait
/// for a publisher and create another stream. If the stream is dropped, no message is lost.
#[must_use = "a stream does nothing until it is polled"]
pub struct MessageStream<'s, M: ?Sized, F: ?Sized = Fixed> {
    subscriber: &'s mut Subscriber<M, F>,
    progress: Progress,
}

/// [`MessageStream`] that owns its subscriber: see [`Subscriber::into_stream`].
#[must_use = "a stream does nothing until it is polled"]
pub struct OwnedMessageStream<M: ?Sized, F: ?Sized = Fixed> {
    subscriber: Subscriber<M, F>,
    progress: Progress,
}

impl<M: ?Sized, F: ?Sized> OwnedMessageStream<M, F> {
    /// Returns the subscriber, for its figures.
    pub fn subscriber(&self) -> &Subscriber<M, F> {
        &self.subscriber
    }

    /// Ends the stream and returns the subscriber. No message is lost.
    pub fn into_inner(self) -> Subscriber<M, F> {
        self.subscriber
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
        subscriber: &mut Subscriber<M, F>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<F::Owned, RecvError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        ready!(task::poll_coop(context));
        loop {
            let stopped = subscriber.raw().stop().check();
            let failed = match stopped.map_err(RecvError::from).and_then(|()| subscriber.take()) {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => match ready!(self.task_wait.poll(subscriber.raw(), context)) {
                    Ok(outcome) => outcome.err(),
                    Err(stopped) => Some(stopped.into()),
                },
                Err(error) => Some(error),
            };
            if let Some(error) = failed {
                self.ended =
                    matches!(error, RecvError::Disconnected | RecvError::Stopped | RecvError::Forked);
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl<M: ?Sized, F: Incoming<M>> Stream for MessageStream<'_, M, F> {
    type Item = Result<F::Owned, RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let MessageStream { subscriber, progress } = self.get_mut();
        progress.poll(subscriber, context)
    }
}

impl<M: ?Sized, F: Incoming<M>> Stream for OwnedMessageStream<M, F> {
    type Item = Result<F::Owned, RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let OwnedMessageStream { subscriber, progress } = self.get_mut();
        progress.poll(subscriber, context)
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for MessageStream<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream")
            .field("channel", &self.subscriber.name())
            .field("ended", &self.progress.ended)
            .finish_non_exhaustive()
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for OwnedMessageStream<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedMessageStream")
            .field("channel", &self.subscriber.name())
            .field("ended", &self.progress.ended)
            .finish_non_exhaustive()
    }
}
