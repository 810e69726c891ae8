//! Sending and receiving in tasks: the asynchronous forms of the blocking calls, and a stream.
//!
//! Owns the future forms of `send`, `recv`, `claim` and `flush`. Waits with `wait::task`. A future that
//! is dropped has taken nothing and sent nothing: both happen in one step, without an await between.

use super::end::What;
use super::puller::decode;
use super::pusher::copy;
use super::{FlushError, Job, PullError, Puller, PushError, Pusher};
use crate::codec::{Decode, Encode, EncodeError};
use crate::message::in_place::copy_out;
use crate::message::{Fixed, Invalid, ShmMessage};
use crate::wait::task::{self, Nap};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use futures_core::Stream;

impl<M: ?Sized, F: ?Sized> Pusher<M, F> {
    async fn put_async(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<(), PushError> {
        task::turn().await;
        while !self.put(&write)? {
            task::ready(&mut self.end.waiting(What::Room)).await;
        }
        Ok(())
    }

    /// Waits until every message of this pusher was acknowledged; the task sleeps, not the thread.
    ///
    /// # Errors
    /// [`FlushError::Forked`].
    pub async fn flush_async(&mut self) -> Result<(), FlushError> {
        loop {
            if self.end.attachment.forked() {
                return Err(FlushError::Forked);
            }
            if self.end.queue.outstanding() == 0 {
                return Ok(());
            }
            task::ready(&mut self.end.waiting(What::Acknowledgement)).await;
        }
    }
}

impl<M: ShmMessage> Pusher<M> {
    /// Sends a copy of `message`, like [`send`](Pusher::send); while the queue is full the task sleeps,
    /// not the thread. If the future is dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// See [`PushError`].
    pub async fn send_async(&mut self, message: &M) -> Result<(), PushError> {
        self.put_async(copy(message)).await
    }
}

impl<M: ?Sized, C: Encode<M>> Pusher<M, C> {
    /// Sends `message`, encoded, like [`send`](Pusher::send); while the queue is full the task sleeps,
    /// not the thread. If the future is dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// See [`PushError`].
    pub async fn send_async(&mut self, message: &M) -> Result<(), PushError> {
        self.put_async(|room| C::encode(message, room)).await
    }
}

impl<M, F: ?Sized> Puller<M, F> {
    async fn get_async(&mut self, read: impl Fn(&[u8]) -> Result<M, Invalid>) -> Result<M, PullError> {
        task::turn().await;
        loop {
            if let Some(message) = self.get(&read)? {
                return Ok(message);
            }
            task::ready(&mut self.end.waiting(What::Items)).await;
        }
    }
}

impl<M: ShmMessage> Puller<M> {
    /// The next message, like [`recv`](Puller::recv); the task sleeps until there is one, not the
    /// thread. If the future is dropped before it is ready, no message was taken.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn recv_async(&mut self) -> Result<M, PullError> {
        self.get_async(copy_out).await
    }

    /// The next message in place, like [`claim`](Puller::claim); the task sleeps until there is one,
    /// not the thread. If the future is dropped before it is ready, no message was taken.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn claim_async(&mut self) -> Result<Job<'_, M>, PullError> {
        task::turn().await;
        let taken = loop {
            if let Some(taken) = self.take()? {
                break taken;
            }
            task::ready(&mut self.end.waiting(What::Items)).await;
        };
        self.show(taken)
    }

    /// The messages as a stream, each acknowledged as it is yielded: see [`JobStream`].
    pub fn stream(&mut self) -> JobStream<'_, M> {
        JobStream { puller: self, take: |puller| puller.get(copy_out), nap: Nap::new(), ended: false }
    }
}

impl<M, C: Decode<M>> Puller<M, C> {
    /// The next message, like [`recv`](Puller::recv); the task sleeps until there is one, not the
    /// thread. If the future is dropped before it is ready, no message was taken.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn recv_async(&mut self) -> Result<M, PullError> {
        self.get_async(decode::<M, C>).await
    }

    /// The messages as a stream, each acknowledged as it is yielded: see [`JobStream`].
    pub fn stream(&mut self) -> JobStream<'_, M, C> {
        JobStream { puller: self, take: |puller| puller.get(decode::<M, C>), nap: Nap::new(), ended: false }
    }
}

type Take<M, F> = fn(&mut Puller<M, F>) -> Result<Option<M>, PullError>;

/// Message after message: a [`Stream`] of what [`recv_async`](Puller::recv_async) answers.
///
/// It goes on after [`Invalid`](PullError::Invalid), and ends after [`Forked`](PullError::Forked), which
/// it yields too. Dropping it takes nothing.
#[must_use = "a stream does nothing until it is polled"]
pub struct JobStream<'p, M, F: ?Sized = Fixed> {
    puller: &'p mut Puller<M, F>,
    take: Take<M, F>,
    nap: Nap,
    ended: bool,
}

impl<M, F: ?Sized> Stream for JobStream<'_, M, F> {
    type Item = Result<M, PullError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        ready!(task::poll_turn(context));
        loop {
            match (this.take)(this.puller) {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => ready!(this.nap.poll(&mut this.puller.end.waiting(What::Items), context)),
                Err(error) => {
                    this.ended = error == PullError::Forked;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl<M, F: ?Sized> fmt::Debug for JobStream<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobStream")
            .field("channel", &self.puller.name())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
