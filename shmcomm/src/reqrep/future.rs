//! RawRequester and answering in tasks: the asynchronous forms of the blocking calls.
//!
//! Owns the future forms of `request`, [`Call`] and `recv`. Waits with `wait::task`. If the future of a
//! request is dropped, the request is cancelled, like that of a dropped [`Call`].

use super::form::read;
use super::raw_requester::{Polls, RawRequester};
use super::reply::Reply;
use super::{Call, CallError, Replier, Replies, Request, RequestError, Requester, ServeError};
use crate::codec::{EncodeError, Incoming, IncomingOwned, Outgoing};
use crate::message::{Fixed, ShmMessage};
use crate::queue_end::{QueueWait, WaitTarget};
use crate::ring::ReplyGuard;
use crate::ring::queue::Ticket;
use crate::wait::task::{self, TaskWait};
use core::borrow::Borrow;
use core::fmt;
use core::future::{Future, IntoFuture, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

/// A request of a task. If it is dropped, the request is cancelled.
struct PendingRequest<'e> {
    /// An exclusive reference, so that the task can move to another thread while it waits.
    end: &'e mut RawRequester,
    ticket: Option<Ticket>,
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.end.close(ticket);
        }
    }
}

impl PendingRequest<'_> {
    /// Polls the answer. If there is none, the task is woken when it may have arrived.
    fn poll(
        &mut self,
        polls: &mut Polls,
        task_wait: &mut TaskWait,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, RequestError>> {
        loop {
            // The ticket is taken only after this poll.
            let Some(ticket) = &self.ticket else { return Poll::Ready(Err(RequestError::Unanswered)) };
            if let Some(answer) = self.end.answer(ticket, polls) {
                return Poll::Ready(answer);
            }
            ready!(task_wait.poll(&mut self.end.waiting(WaitTarget::Reply(ticket)), context))?;
            polls.look_closer();
        }
    }
}

impl RawRequester {
    /// Sends a request and waits for its reply.
    async fn ask_async(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<ReplyGuard<&Self>, RequestError> {
        task::coop().await;
        self.stop.check()?;
        let ticket = loop {
            match self.send(&write) {
                Ok(ticket) => break ticket,
                Err(CallError::Full) => task::ready(&mut self.waiting(WaitTarget::Room)).await?,
                Err(why) => return Err(RequestError::unsent(why)),
            }
        };
        let mut polls = Polls::new(&self.wake);
        let mut asked = PendingRequest { end: &mut *self, ticket: Some(ticket) };
        let mut task_wait = TaskWait::new();
        let answer = poll_fn(|context| asked.poll(&mut polls, &mut task_wait, context)).await;
        let mut ticket = asked.ticket.take();
        drop(asked);
        self.take(&mut ticket, answer)
    }
}

impl<Q: ?Sized, R: ?Sized, F: Outgoing<Q> + Incoming<R>> Requester<Q, R, F> {
    /// Sends `request` and waits for the answer like [`request`](Requester::request), and before that for a
    /// free slot; the task sleeps, not the thread. If the future is dropped, the request is cancelled. To
    /// send several requests at a time, [`call`](Requester::call) for each and await the [`Call`]s.
    ///
    /// The reply is part of the future: a large one of a fixed layout makes a large future.
    /// [`request_ref_async`](Requester::request_ref_async) does not.
    ///
    /// # Errors
    /// See [`RequestError`]; `PeerDied` within 50 ms of the replier's death.
    pub async fn request_async(&mut self, request: &Q) -> Result<F::Owned, RequestError> {
        let reply = self.end.ask_async(|room| F::write(request, room)).await?;
        read::<R, F>(reply).map_err(|why| self.end.refuse(why))
    }
}

impl<Q: ShmMessage, R: ShmMessage> Requester<Q, R> {
    /// Sends `request` and waits like [`request_async`](Requester::request_async), and returns the answer in place. The
    /// [`Reply`] stays in the thread that it was received in: drop it before the next await.
    ///
    /// # Errors
    /// See [`request_async`](Requester::request_async).
    pub async fn request_ref_async(&mut self, request: &Q) -> Result<Reply<'_, R>, RequestError> {
        self.end.check_in_place("request_async").map_err(RequestError::Invalid)?;
        Reply::new(self.end.ask_async(|room| Fixed::write(request, room)).await?)
    }
}

impl<'r, R, F: ?Sized> Call<'r, R, F> {
    /// Polls the answer, which the caller then takes. If there is none, the task is woken when it may have
    /// arrived.
    fn poll_in(
        &mut self,
        task_wait: &mut TaskWait,
        context: &mut Context<'_>,
    ) -> Poll<Result<usize, RequestError>> {
        loop {
            if let Some(answer) = self.poll_answer() {
                return Poll::Ready(answer);
            }
            // This happens only if `poll` returned the answer before.
            let Some(ticket) = &self.ticket else { return Poll::Ready(Err(RequestError::Unanswered)) };
            let RawRequester { attachment, wake, stop, state, .. } = self.end;
            ready!(task_wait.poll(
                &mut QueueWait::new(attachment, wake, stop, state, WaitTarget::Reply(ticket)),
                context
            ))?;
            self.polls.look_closer();
        }
    }
}

impl<'r, R: ShmMessage> Call<'r, R> {
    /// Waits for the answer like [`wait_ref`](Call::wait_ref), and returns it in place; the task sleeps, not
    /// the thread. If the future is dropped, the request is cancelled.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn wait_ref_async(mut self) -> Result<Reply<'r, R>, RequestError> {
        let mut task_wait = TaskWait::new();
        let answer = poll_fn(|context| self.poll_in(&mut task_wait, context)).await;
        self.fetch_ref(answer)
    }
}

impl<'r, R, F: IncomingOwned<R> + ?Sized> IntoFuture for Call<'r, R, F> {
    type Output = Result<R, RequestError>;
    type IntoFuture = Answer<'r, R, F>;

    fn into_future(self) -> Answer<'r, R, F> {
        Answer { call: self, task_wait: TaskWait::new() }
    }
}

/// The answer to an awaited [`Call`]. If it is dropped, the request is cancelled.
#[must_use = "dropping it gives the request up"]
pub struct Answer<'r, R, F: ?Sized = Fixed> {
    call: Call<'r, R, F>,
    task_wait: TaskWait,
}

impl<R, F: IncomingOwned<R> + ?Sized> Future for Answer<'_, R, F> {
    type Output = Result<R, RequestError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Answer { call, task_wait } = self.get_mut();
        let answer = ready!(call.poll_in(task_wait, context));
        Poll::Ready(call.fetch(answer))
    }
}

impl<R, F: ?Sized> fmt::Debug for Answer<'_, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.call).finish()
    }
}

impl<Q: ?Sized, R: ?Sized, F: Incoming<Q>> Replier<Q, R, F> {
    /// Returns the next request, like [`recv`](Replier::recv); the task sleeps until there is one, not the
    /// thread. If the future is dropped before it is ready, no request was taken.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn recv_async(&mut self) -> Result<Request<'_, Q, R, F>, ServeError> {
        task::coop().await;
        let taken = loop {
            self.end.stop.check()?;
            if let Some(taken) = self.take()? {
                break taken;
            }
            task::ready(&mut self.end.waiting(WaitTarget::Items)).await?;
        };
        self.show(taken)
    }

    /// Answers requests with the results of `service`, one after the other, like [`serve`](Replier::serve),
    /// until [stopped](crate::StopHandle). A dropped future also stops it: the request in progress then stays
    /// unanswered, and its requester receives `Unanswered`.
    ///
    /// # Errors
    /// [`ServeError::Forked`].
    pub async fn serve_async(
        &mut self,
        mut service: impl AsyncFnMut(&Q) -> <F as Incoming<R>>::Owned,
    ) -> Result<(), ServeError>
    where
        F: Incoming<R> + Outgoing<R>,
    {
        loop {
            match self.recv_async().await {
                Ok(request) => {
                    let reply = service(&request).await;
                    // A reply whose requester no longer waits is discarded.
                    let _ = request.reply(reply.borrow());
                }
                Err(ServeError::Stopped) => return Ok(()),
                Err(ServeError::Invalid(_)) => {}
                Err(ServeError::Forked) => return Err(ServeError::Forked),
            }
        }
    }
}

impl<R, F: IncomingOwned<R> + ?Sized> Replies<'_, R, F> {
    /// Returns the next reply like [`recv`](Replies::recv); the task sleeps until there is one, not the thread. If the
    /// future is dropped before it is ready, no reply was taken.
    ///
    /// # Errors
    /// See [`recv`](Replies::recv).
    pub async fn recv_async(&mut self) -> Result<Option<R>, RequestError> {
        task::coop().await;
        loop {
            if let Some(next) = self.poll() {
                return next;
            }
            let Ok(ticket) = &self.stream else { continue };
            let RawRequester { attachment, wake, stop, state, .. } = self.end;
            task::ready(&mut QueueWait::new(attachment, wake, stop, state, WaitTarget::Stream(ticket)))
                .await?;
        }
    }
}
