//! [`Call`]: a pending request.
//!
//! Owns the ticket, which fetches the answer or cancels the request. The steps in the ring are in `raw_requester`.

use super::form::Read;
use super::raw_requester::{Polls, RawRequester};
use super::reply::Reply;
use super::{RequestError, RequestTimeoutError};
use crate::codec::IncomingOwned;
use crate::error::Error;
use crate::message::{Fixed, ShmMessage};
use crate::queue_end::WaitTarget;
use crate::ring::ReplyGuard;
use crate::ring::queue::Ticket;
use crate::sync::{AtomicBool, Ordering};
use crate::wait::{Deadline, Stopped};
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::cell::OnceCell;
use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pending request, made by [`Requester::call`](super::Requester::call).
///
/// It can be [polled](Call::poll) or [waited](Call::wait) for. If it is dropped, the request is cancelled. A
/// replier that has not taken a cancelled request never receives it. If a replier has taken it, the reply is
/// discarded; the reply cannot reach a later request. A requester may have as many pending calls as there are
/// slots. Each call occupies a slot until its answer is fetched or the call is dropped.
///
/// **If the replier dies** with the request, the answer is `PeerDied`. A blocked call reports the death within 50 ms, a
/// polled call within 20 ms and 100 polls. On a channel with `redeliver: true` another replier gets the request.
///
/// `R` is the type that the answer is received as: the reply, or its owned form if the reply is unsized, such
/// as `Vec<u8>`. `F` is the format of the channel. On a channel of fixed layout the answer can be received
/// [in place](Call::wait_ref).
#[must_use = "dropping a call gives the request up"]
pub struct Call<'r, R, F: ?Sized = Fixed> {
    pub(super) end: &'r RawRequester,
    /// `None` once the answer was fetched.
    pub(super) ticket: Option<Ticket>,
    pub(super) read: Read<R>,
    pub(super) polls: Polls,
    /// Flag that a wait set sets when it has seen the answer. It is made when the call joins a set, and
    /// dropped with the answer.
    watched: OnceCell<Arc<AtomicBool>>,
    _format: PhantomData<fn(&F)>,
}

impl<'r, R, F: ?Sized> Call<'r, R, F> {
    #[inline]
    pub(super) fn new(end: &'r RawRequester, ticket: Ticket, read: Read<R>) -> Self {
        let polls = Polls::new(&end.wake);
        let (watched, _format) = (OnceCell::new(), PhantomData);
        Call { end, ticket: Some(ticket), read, polls, watched, _format }
    }
}

impl<'r, R, F: IncomingOwned<R> + ?Sized> Call<'r, R, F> {
    /// Returns the answer if it has arrived. Returns `None` also after the answer was returned. Never blocks.
    ///
    /// The reply is returned by value: a large one takes its size of stack, in a debug build several times.
    /// [`poll_ref`](Call::poll_ref) takes none.
    #[inline(always)]
    pub fn poll(&mut self) -> Option<Result<R, RequestError>> {
        let answer = self.poll_answer()?;
        Some(self.fetch(answer))
    }

    /// Waits for the answer and returns it.
    ///
    /// While no replier is alive, waits for one. The reply is returned by value: a large one takes its size
    /// of stack, in a debug build several times. [`wait_ref`](Call::wait_ref) takes none.
    ///
    /// # Errors
    /// See [`RequestError`]; `Unanswered` also if [`poll`](Call::poll) returned the answer before. `Stopped`
    /// if the requester is [stopped](crate::StopHandle) and there is no answer: the request is then
    /// cancelled.
    pub fn wait(mut self) -> Result<R, RequestError> {
        let answer = self.await_answer(Deadline::Never)?;
        // Without a deadline there is no answer only if `poll` returned it before.
        answer.map_or(Err(RequestError::Unanswered), |answer| self.fetch(answer))
    }

    /// Waits for the answer and returns it; blocks for at most `timeout`. A timeout of zero polls once. The
    /// call stays pending after a timeout and after a stop. After the answer was returned, the call has none
    /// left to wait for.
    ///
    /// The reply is returned by value: see [`wait`](Call::wait). [`wait_ref_timeout`](Call::wait_ref_timeout) takes no
    /// stack for it.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came in time; for the other errors see
    /// [`RequestTimeoutError`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<R, RequestTimeoutError> {
        self.answer_until(Deadline::after(timeout))
    }

    /// Waits for the answer and returns it; blocks until `deadline` at the latest: see
    /// [`wait_timeout`](Call::wait_timeout).
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came in time; for the other errors see
    /// [`RequestTimeoutError`].
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<R, RequestTimeoutError> {
        self.answer_until(Deadline::At(deadline))
    }

    pub(super) fn answer_until(&mut self, deadline: Deadline) -> Result<R, RequestTimeoutError> {
        let answer = self.await_answer(deadline)?.ok_or(RequestTimeoutError::Timeout)?;
        Ok(self.fetch(answer)?)
    }

    /// Takes the reply by value, if `answer` reports one.
    #[inline(always)]
    pub(super) fn fetch(&mut self, answer: Result<usize, RequestError>) -> Result<R, RequestError> {
        self.watched.take();
        match self.end.read_fixed::<R, F>(&mut self.ticket, &answer) {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(why)) => Err(self.end.refuse(why)),
            None => {
                let reply = self.end.take(&mut self.ticket, answer)?;
                (self.read)(reply).map_err(|why| self.end.refuse(why))
            }
        }
    }
}

impl<'r, R, F: ?Sized> Call<'r, R, F> {
    /// Polls the answer, which the caller then takes.
    #[inline(always)]
    pub(super) fn poll_answer(&mut self) -> Option<Result<usize, RequestError>> {
        // Acquire: pairs with the Release of a wait set that has seen the answer, so that this poll loads it
        // too.
        if self.watched.get().is_some_and(|seen| seen.load(Ordering::Acquire)) {
            self.polls.look_closer();
        }
        self.end.answer(self.ticket.as_ref()?, &mut self.polls)
    }

    /// Waits for the answer, which the caller then takes. Returns `None` at the deadline, and if the answer
    /// was taken before.
    pub(super) fn await_answer(
        &mut self,
        deadline: Deadline,
    ) -> Result<Option<Result<usize, RequestError>>, Stopped> {
        loop {
            if let Some(answer) = self.poll_answer() {
                return Ok(Some(answer));
            }
            let Some(ticket) = &self.ticket else { return Ok(None) };
            if !self.end.wait(WaitTarget::Reply(ticket), deadline)? {
                return Ok(None);
            }
            self.polls.look_closer();
        }
    }

    /// Takes the reply in its slot, if `answer` reports one.
    #[inline]
    pub(super) fn take(
        &mut self,
        answer: Result<usize, RequestError>,
    ) -> Result<ReplyGuard<&'r RawRequester>, RequestError> {
        self.watched.take();
        self.end.take(&mut self.ticket, answer)
    }
}

impl<'r, R: ShmMessage> Call<'r, R> {
    /// Returns the answer in place if it has arrived. Returns `None` also after the answer was returned.
    /// Never blocks and copies no reply.
    pub fn poll_ref(&mut self) -> Option<Result<Reply<'r, R>, RequestError>> {
        let answer = self.poll_answer()?;
        Some(self.fetch_ref(answer))
    }

    /// Waits for the answer like [`wait`](Call::wait) and returns it in place. The reply stays in its slot,
    /// which is free again when the [`Reply`] is dropped. Takes no stack for the reply.
    ///
    /// ```
    /// # use shmcomm::{Channel, ReqRep};
    /// # const SCAN: Channel<ReqRep<u32, [u8; 65536]>> = Channel::new("scan");
    /// # let ns = format!("doc-wait-ref-{}", std::process::id());
    /// # let requester = SCAN.open().namespace(&ns).requester()?;
    /// # let mut replier = SCAN.open().namespace(&ns).replier()?;
    /// let call = requester.call(&3)?;
    /// replier.recv()?.reply_with(|scan| scan[0] = 7)?;
    /// let scan = call.wait_ref()?;
    /// assert_eq!(scan[0], 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`wait`](Call::wait).
    pub fn wait_ref(mut self) -> Result<Reply<'r, R>, RequestError> {
        let answer = self.await_answer(Deadline::Never)?;
        answer.map_or(Err(RequestError::Unanswered), |answer| self.fetch_ref(answer))
    }

    /// Waits like [`wait_timeout`](Call::wait_timeout) for at most `timeout`, and returns the answer in
    /// place. A timeout of zero polls once. The call stays pending after a timeout.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if no answer came; for the other errors see [`RequestTimeoutError`].
    pub fn wait_ref_timeout(&mut self, timeout: Duration) -> Result<Reply<'r, R>, RequestTimeoutError> {
        self.answer_ref_until(Deadline::after(timeout))
    }

    /// Waits like [`wait_deadline`](Call::wait_deadline) until `deadline` at the latest, and returns the
    /// answer in place. The call stays pending after a timeout.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if no answer came; for the other errors see [`RequestTimeoutError`].
    pub fn wait_ref_deadline(&mut self, deadline: Instant) -> Result<Reply<'r, R>, RequestTimeoutError> {
        self.answer_ref_until(Deadline::At(deadline))
    }

    pub(super) fn answer_ref_until(
        &mut self,
        deadline: Deadline,
    ) -> Result<Reply<'r, R>, RequestTimeoutError> {
        let answer = self.await_answer(deadline)?.ok_or(RequestTimeoutError::Timeout)?;
        Ok(self.fetch_ref(answer)?)
    }

    /// Takes the reply in place, if `answer` reports one.
    pub(super) fn fetch_ref(
        &mut self,
        answer: Result<usize, RequestError>,
    ) -> Result<Reply<'r, R>, RequestError> {
        Reply::new(self.take(answer)?)
    }
}

impl<R, F: ?Sized> Drop for Call<'_, R, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.end.close(ticket);
        }
    }
}

impl<R, F: ?Sized> fmt::Debug for Call<'_, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("pending", &self.ticket.is_some()).finish_non_exhaustive()
    }
}

/// Ready when there is an answer, or when no answer can arrive. A call leaves the set when its answer was
/// fetched, or when it is dropped.
impl<R, F: ?Sized> Waitable for Call<'_, R, F> {}

impl<R, F: ?Sized> Watchable for Call<'_, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        let Some(ticket) = &self.ticket else { return Ok(Watched::over()) };
        let watched = self.watched.get_or_init(Arc::default);
        self.end.watch(Awaited::Reply(ticket.poll_copy(), Arc::downgrade(watched)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::reqrep::RequestError;
    use crate::ring::queue::Queue;
    use crate::{Channel, ReqRep, WaitSet};
    use std::time::Duration;

    #[test]
    fn poll_after_wait_set_reports_peer_died() {
        let name = format!("unit-{}-told", std::process::id());
        let channel = Channel::<ReqRep<u64, u64>>::try_new(name).unwrap().namespace("");
        let requester = channel.clone().requester().unwrap();
        let mut replier = channel.replier().unwrap();
        let mut call = requester.call(&1).unwrap();
        let mut set = WaitSet::new();
        set.add("answer", &call).unwrap();
        core::mem::forget(replier.try_recv().unwrap());
        // As if the replier died after it answered and woke no requester.
        let attachment = &replier.end.attachment;
        let seat = attachment.seat();
        let recovered = Queue::new(attachment.region(), attachment.geometry(), seat).recover(seat, false);
        assert_eq!(recovered.died, 1);
        assert!(call.poll().is_none());
        assert_eq!(set.wait_timeout(Duration::ZERO).unwrap().len(), 1);
        assert_eq!(call.poll(), Some(Err(RequestError::PeerDied)));
        assert!(call.poll().is_none());
    }
}
