//! Sending and receiving in tasks: the asynchronous forms of the blocking calls, and streams.
//!
//! Owns the future forms of `send` and `recv`. Waits with `wait::task`. A future that is dropped has taken
//! nothing: a message is taken and handed over in one step, without an await between.

use super::encoded::decode;
use super::sample::{Sample, TailSample};
use super::source::{Held, Refusals, Source};
use super::{Fixed, Publisher, RecvError, SendError, Subscriber};
use crate::codec::{Decode, Encode};
use crate::message::ShmMessage;
use crate::wait::task::{self, Nap};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use futures_core::Stream;

impl Source {
    async fn hold_async(&mut self) -> Result<(Held<'_>, Refusals<'_>), RecvError> {
        task::turn().await;
        let seized = loop {
            if let Some(seized) = self.seize()? {
                break seized;
            }
            task::ready(self).await?;
        };
        Ok(self.show(seized))
    }
}

impl<M: ShmMessage> Publisher<M> {
    /// Sends like [`send`](Publisher::send); where the publisher waits, the task does until there is room,
    /// not the thread. Dropping the future sends nothing.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_async(&mut self, message: &M) -> Result<(), SendError> {
        task::turn().await;
        while !self.send_until(message, || None)? {
            self.core().room_async().await?;
        }
        Ok(())
    }
}

impl<H: ShmMessage + Copy, T: ShmMessage + Copy> Publisher<H, [T]> {
    /// Sends like [`send`](Publisher::send); where the publisher waits, the task does until there is room,
    /// not the thread. Dropping the future sends nothing.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_async(&mut self, header: &H, items: &[T]) -> Result<(), SendError> {
        task::turn().await;
        while !self.send_until(header, items, None)? {
            self.core().room_async().await?;
        }
        Ok(())
    }
}

impl<M: ?Sized, C: Encode<M>> Publisher<M, C> {
    /// Sends like [`send`](Publisher::send); where the publisher waits, the task does until there is room,
    /// not the thread. Dropping the future sends nothing.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_async(&mut self, message: &M) -> Result<(), SendError> {
        task::turn().await;
        while !self.send_until(message, None)? {
            self.core().room_async().await?;
        }
        Ok(())
    }
}

impl<M: ShmMessage> Subscriber<M> {
    /// The next message, like [`recv`](Subscriber::recv); the task sleeps until there is one, not the
    /// thread. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`RecvError`]; [`RecvError::Disconnected`] if there is neither a message nor a publisher,
    /// within 50 ms of a publisher's death.
    pub async fn recv_async(&mut self) -> Result<M, RecvError> {
        task::turn().await;
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            task::ready(self.source()).await?;
        }
    }

    /// Like [`recv_async`](Subscriber::recv_async), in place: large messages are not copied.
    ///
    /// # Errors
    /// As [`recv_async`](Subscriber::recv_async).
    pub async fn recv_ref_async(&mut self) -> Result<Sample<'_, M>, RecvError> {
        let (held, refusals) = self.source().hold_async().await?;
        Sample::new(held).map_err(|why| refusals.count(why))
    }

    /// The messages as a stream: see [`MessageStream`].
    pub fn stream(&mut self) -> MessageStream<'_, M> {
        MessageStream { subscriber: self, take: Subscriber::take, nap: Nap::new(), ended: false }
    }
}

impl<H: ShmMessage, T: ShmMessage> Subscriber<H, [T]> {
    /// The next message in place, like [`recv_ref`](Subscriber::recv_ref); the task sleeps until there
    /// is one, not the thread. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`RecvError`].
    pub async fn recv_ref_async(&mut self) -> Result<TailSample<'_, H, T>, RecvError> {
        let (held, refusals) = self.source().hold_async().await?;
        TailSample::new(held).map_err(|why| refusals.count(why))
    }
}

impl<M, C: Decode<M>> Subscriber<M, C> {
    /// The next message, like [`recv`](Subscriber::recv); the task sleeps until there is one, not the
    /// thread. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`RecvError`]; [`RecvError::Disconnected`] if there is neither a message nor a publisher,
    /// within 50 ms of a publisher's death.
    pub async fn recv_async(&mut self) -> Result<M, RecvError> {
        let (held, refusals) = self.source().hold_async().await?;
        decode::<M, C>(held, refusals)
    }

    /// The messages as a stream: see [`MessageStream`].
    pub fn stream(&mut self) -> MessageStream<'_, M, C> {
        let take = |subscriber: &mut Self| match subscriber.source().hold(None)? {
            Some((held, refusals)) => decode::<M, C>(held, refusals).map(Some),
            None => Ok(None),
        };
        MessageStream { subscriber: self, take, nap: Nap::new(), ended: false }
    }
}

type Take<M, F> = fn(&mut Subscriber<M, F>) -> Result<Option<M>, RecvError>;

/// Message after message: a [`Stream`] of what [`recv_async`](Subscriber::recv_async) answers.
///
/// It goes on after [`Lagged`](RecvError::Lagged), [`Invalid`](RecvError::Invalid) and
/// [`Missed`](RecvError::Missed), and ends after
/// [`Disconnected`](RecvError::Disconnected) and [`Forked`](RecvError::Forked), which it yields too.
/// To go on when a publisher is back, wait for it and ask for another stream. Dropping it loses nothing.
#[must_use = "a stream does nothing until it is polled"]
pub struct MessageStream<'s, M, F: ?Sized = Fixed> {
    subscriber: &'s mut Subscriber<M, F>,
    take: Take<M, F>,
    nap: Nap,
    ended: bool,
}

impl<M, F: ?Sized> Stream for MessageStream<'_, M, F> {
    type Item = Result<M, RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        ready!(task::poll_turn(context));
        loop {
            let failed = match (this.take)(this.subscriber) {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => ready!(this.nap.poll(this.subscriber.source(), context)).err(),
                Err(error) => Some(error),
            };
            if let Some(error) = failed {
                this.ended = matches!(error, RecvError::Disconnected | RecvError::Forked);
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl<M, F: ?Sized> fmt::Debug for MessageStream<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream")
            .field("channel", &self.subscriber.name())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
