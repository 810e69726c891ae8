//! Asking and answering in tasks: the asynchronous forms of the blocking calls.
//!
//! Owns the future forms of `request`, [`Call`] and `recv`. Waits with `wait::task`. A request whose
//! future is dropped is given up, as a dropped [`Call`] is.

use super::call::{close, fetch};
use super::end::{End, Polls, What};
use super::form::{Read, copy, decoded, encode, fixed_reply, in_place, reply};
use super::replier::NEVER;
use super::{Call, CallError, Replier, Request, RequestError, Requester, ServeError};
use crate::codec::{Decode, Encode, EncodeError};
use crate::message::{Fixed, ShmMessage};
use crate::ring::queue::Ticket;
use crate::wait::task::{self, Nap};
use core::fmt;
use core::future::{Future, IntoFuture, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

/// A request of a task; dropping it gives the request up.
struct Asked<'e> {
    end: &'e mut End,
    ticket: Option<Ticket>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take()
            && !self.end.attachment.forked()
        {
            close(self.end, ticket);
        }
    }
}

/// One look at the answer; if there is none, the task is woken when there may be.
fn poll_answer<R>(
    end: &mut End,
    ticket: &mut Option<Ticket>,
    polls: &mut Polls,
    read: Read<R>,
    nap: &mut Nap,
    context: &mut Context<'_>,
) -> Poll<Result<R, RequestError>> {
    loop {
        // Only where the answer was polled for, and given, before.
        let Some(waited) = &*ticket else { return Poll::Ready(Err(RequestError::Unanswered)) };
        if let Some(answer) = end.answer(waited, polls) {
            return Poll::Ready(fetch(end, ticket, answer, read));
        }
        core::task::ready!(nap.poll(&mut end.waiting(What::Reply(waited)), context));
        polls.look_closer();
    }
}

impl<Q: ?Sized, R, F: ?Sized> Requester<Q, R, F> {
    async fn ask_async(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
        read: Read<R>,
    ) -> Result<R, RequestError> {
        task::turn().await;
        let end = self.end.get_mut();
        let ticket = loop {
            match end.send(&write) {
                Ok(ticket) => break ticket,
                Err(CallError::Full) => task::ready(&mut end.waiting(What::Room)).await,
                Err(CallError::Unencodable(why)) => return Err(RequestError::Unencodable(why)),
                Err(CallError::Forked) => return Err(RequestError::Forked),
                Err(CallError::Damaged) => return Err(RequestError::Damaged),
            }
        };
        let mut polls = end.no_polls();
        let mut asked = Asked { end, ticket: Some(ticket) };
        let mut nap = Nap::new();
        poll_fn(|context| {
            let Asked { end, ticket } = &mut asked;
            poll_answer(end, ticket, &mut polls, read, &mut nap, context)
        })
        .await
    }
}

impl<Q: ShmMessage, R: ShmMessage> Requester<Q, R> {
    /// Sends `request` and waits for the answer, and before that for a free slot, like
    /// [`request`](Requester::request); the task sleeps, not the thread. Dropping the future gives the
    /// request up. For several at a time, [`call`](Requester::call) and await the [`Call`]s.
    ///
    /// # Errors
    /// See [`RequestError`]; `PeerDied` within 50 ms of the replier's death.
    pub async fn request_async(&mut self, request: &Q) -> Result<R, RequestError> {
        self.ask_async(copy(request), fixed_reply).await
    }
}

impl<Q: ?Sized, R, C: Encode<Q> + Decode<R>> Requester<Q, R, C> {
    /// Sends `request`, encoded, and waits for the answer, and before that for a free slot, like
    /// [`request`](Requester::request); the task sleeps, not the thread. Dropping the future gives the
    /// request up. For several at a time, [`call`](Requester::call) and await the [`Call`]s.
    ///
    /// # Errors
    /// See [`RequestError`]; `PeerDied` within 50 ms of the replier's death.
    pub async fn request_async(&mut self, request: &Q) -> Result<R, RequestError> {
        self.ask_async(encode::<Q, C>(request), reply::<R, C>).await
    }
}

impl<'r, R> IntoFuture for Call<'r, R> {
    type Output = Result<R, RequestError>;
    type IntoFuture = Answer<'r, R>;

    fn into_future(self) -> Answer<'r, R> {
        Answer { call: self, nap: Nap::new() }
    }
}

/// The answer to a [`Call`] that is awaited; dropping it gives the request up.
#[must_use = "dropping it gives the request up"]
pub struct Answer<'r, R> {
    call: Call<'r, R>,
    nap: Nap,
}

impl<R> Future for Answer<'_, R> {
    type Output = Result<R, RequestError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Answer { call, nap } = self.get_mut();
        let Call { end, ticket, read, polls, watched } = call;
        let answer = poll_answer(&mut end.borrow_mut(), ticket, polls, *read, nap, context);
        if answer.is_ready() {
            watched.take();
        }
        answer
    }
}

impl<R> fmt::Debug for Answer<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.call).finish()
    }
}

/// The asynchronous ways to receive, for both kinds of formats.
macro_rules! receive_async {
    ($hold:expr, $write:expr, $form:ty) => {
        /// The next request, like [`recv`](Replier::recv); the task sleeps until there is one, not the
        /// thread. If the future is dropped before it is ready, no request was taken.
        ///
        /// # Errors
        /// See [`ServeError`].
        pub async fn recv_async(&mut self) -> Result<Request<'_, Q, R, $form>, ServeError> {
            task::turn().await;
            let taken = loop {
                if let Some(taken) = self.take(&NEVER)? {
                    break taken;
                }
                task::ready(&mut self.end.waiting(What::Request(&NEVER))).await;
            };
            self.show(taken, $hold)
        }

        /// Answers requests with what `service` returns, one after the other, like
        /// [`serve`](Replier::serve). It ends only with an error: to stop it, drop the future. A request
        /// that it is at then stays unanswered, and its requester is told.
        ///
        /// # Errors
        /// [`ServeError::Forked`].
        pub async fn serve_async(&mut self, mut service: impl AsyncFnMut(&Q) -> R) -> Result<(), ServeError> {
            loop {
                match self.recv_async().await {
                    Ok(request) => {
                        let reply = service(&request).await;
                        // A reply that nobody waits for any more is discarded.
                        let _ = request.answer($write(&reply));
                    }
                    Err(ServeError::Invalid(_)) => {}
                    Err(ServeError::Forked) => return Err(ServeError::Forked),
                }
            }
        }
    };
}

impl<Q: ShmMessage, R: ShmMessage> Replier<Q, R> {
    receive_async!(in_place, copy, Fixed);
}

impl<Q, R, C: Decode<Q> + Encode<R>> Replier<Q, R, C> {
    receive_async!(decoded::<Q, C>, encode::<R, C>, C);
}
