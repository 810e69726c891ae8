//! [`Requester`]: the asking end.
//!
//! Owns the ways to send a request. The state of a pending request is in `call`, its steps in the ring are in
//! `raw_requester`, and what the end tells of its channel is in `asking_end`. Never touches a slot itself.

use super::form::read;
use super::raw_requester::RawRequester;
use super::reply::Reply;
use super::request_loan::RequestLoan;
use super::{Call, CallError, RequestError, RequestTimeoutError, asking_end, ops};
use crate::codec::{Incoming, Outgoing};
use crate::error::Error;
use crate::message::{Fixed, ShmMessage};
use crate::queue_end::{QueueEnd, WaitTarget};
use crate::segment::{Role, Spec};
use crate::wait::{Deadline, Stopped};
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::cell::RefCell;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// An asking end of a request/reply channel. Any number of requesters may be open, in any order with the
/// repliers.
///
/// Each request goes to one replier, whichever is free first. Its reply arrives in the slot of the request,
/// so replies need no correlation. While no replier is alive, requests wait for one.
///
/// ```
/// # use shmcomm::{Channel, ReqRep};
/// # const SQUARE: Channel<ReqRep<u64, u64>> = Channel::new("square");
/// # let ns = format!("doc-square-{}", std::process::id());
/// let requester = SQUARE.open().namespace(&ns).requester()?;
/// let mut replier = SQUARE.open().namespace(&ns).replier()?;
/// let first = requester.call(&3)?;
/// let second = requester.call(&4)?;
/// for _ in 0..2 {
///     let request = replier.recv()?;
///     let square = *request * *request;
///     request.reply(&square)?;
/// }
/// assert_eq!((second.wait()?, first.wait()?), (16, 9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **If a replier dies** with a request, its requester receives [`RequestError::PeerDied`] within 50 ms. On a
/// channel with `redeliver: true` another replier gets the request, marked as
/// [`redelivered`](super::Request::redelivered). **If this process dies**, its requests are withdrawn and
/// their slots are free again.
///
/// The code of a message (`Serialize`, `Deserialize`, `Drop`), of a waker and of a logger may use the requester that
/// runs it. A request that is being encoded takes its slot meanwhile.
pub struct Requester<Q: ?Sized, R: ?Sized, F: ?Sized = Fixed> {
    pub(super) end: RawRequester,
    _messages: PhantomData<fn(&Q, &F) -> Box<R>>,
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Requester<Q, R, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        let end = QueueEnd::open(&spec, Role::Requester, ops(&spec), RefCell::new)?;
        Ok(Requester { end, _messages: PhantomData })
    }
}

asking_end!(Requester, "[`Call`]s");

impl<Q: ?Sized, R: ?Sized, F: Outgoing<Q> + Incoming<R>> Requester<Q, R, F> {
    /// Sends `request` and returns the [`Call`] that fetches the answer: copies a fixed layout, encodes with a
    /// codec. Never blocks.
    ///
    /// # Errors
    /// [`CallError::Full`] if no slot is free. With a codec, [`CallError::Unencodable`] with the exact size if
    /// the encoded request does not fit into a slot. For the other errors see [`CallError`].
    #[inline(always)]
    pub fn call(&self, request: &Q) -> Result<Call<'_, F::Owned, F>, CallError> {
        let ticket = self.end.send(|room| F::write(request, room))?;
        Ok(Call::new(&self.end, ticket, read::<R, F>))
    }

    /// Sends `request` and waits for the answer, and before that for a free slot.
    ///
    /// The reply is returned by value: a large one of a fixed layout takes its size of stack, in a debug build
    /// several times. [`request_ref`](Requester::request_ref) takes none.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request(&self, request: &Q) -> Result<F::Owned, RequestError> {
        self.ask(request)?.wait()
    }

    /// Sends `request` and waits for the answer for at most `timeout`; then the request is cancelled. The
    /// reply is returned by value: see [`request`](Requester::request).
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came in time; for the other errors see
    /// [`RequestTimeoutError`].
    pub fn request_timeout(&self, request: &Q, timeout: Duration) -> Result<F::Owned, RequestTimeoutError> {
        let deadline = Deadline::after(timeout);
        self.send_until(request, deadline)??.answer_until(deadline)
    }

    /// Sends `request` and waits for the answer until `deadline` at the latest; then the request is
    /// cancelled. The reply is returned by value: see [`request`](Requester::request).
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came in time; for the other errors see
    /// [`RequestTimeoutError`].
    pub fn request_deadline(&self, request: &Q, deadline: Instant) -> Result<F::Owned, RequestTimeoutError> {
        let deadline = Deadline::At(deadline);
        self.send_until(request, deadline)??.answer_until(deadline)
    }

    /// Sends a request, waiting for room. Returns [`CallError::Full`] at the deadline.
    fn send_until(
        &self,
        request: &Q,
        deadline: Deadline,
    ) -> Result<Result<Call<'_, F::Owned, F>, CallError>, Stopped> {
        self.end.stop.check()?;
        loop {
            match self.call(request) {
                Err(CallError::Full) if self.end.wait(WaitTarget::Room, deadline)? => {}
                outcome => return Ok(outcome),
            }
        }
    }

    /// Sends a request, waiting for room without a deadline.
    fn ask(&self, request: &Q) -> Result<Call<'_, F::Owned, F>, RequestError> {
        loop {
            match self.send_until(request, Deadline::Never)? {
                // `Deadline::Never` cannot have passed.
                Err(CallError::Full) => {}
                outcome => return outcome.map_err(RequestError::unsent),
            }
        }
    }
}

impl<Q: ShmMessage, R: ShmMessage> Requester<Q, R> {
    /// Claims a free slot, in which the caller builds the request. [`RequestLoan::send`] sends it; a dropped
    /// loan sends no request. Blocks until a slot is free; sending the loan never blocks.
    /// ([`wait_for_room`](Requester::wait_for_room) waits with a timeout.)
    ///
    /// If all bytes are valid in a `Q`, the loan starts with the previous contents of the slot; otherwise its
    /// bytes are zero. A type without an all-zero value does not compile here.
    ///
    /// # Errors
    /// [`RequestError::Stopped`] if the requester is [stopped](crate::StopHandle) while no slot is free,
    /// [`RequestError::Forked`] in a forked child.
    pub fn loan(&self) -> Result<RequestLoan<'_, Q, R>, RequestError> {
        loop {
            match self.try_loan() {
                Err(CallError::Full) => {
                    // `Deadline::Never` passes only in the child of a fork, where the next attempt fails.
                    self.end.wait(WaitTarget::Room, Deadline::Never)?;
                }
                outcome => return outcome.map_err(RequestError::unsent),
            }
        }
    }

    /// Claims a slot like [`loan`](Requester::loan), if one is free. Never blocks.
    ///
    /// # Errors
    /// [`CallError::Full`] if no slot is free, [`CallError::Forked`] in a forked child.
    pub fn try_loan(&self) -> Result<RequestLoan<'_, Q, R>, CallError> {
        Ok(RequestLoan::new(self.end.claim()?, &self.end))
    }

    /// Sends `request` like [`request`](Requester::request), and returns the answer in place. The reply stays
    /// in its slot until it is dropped, and takes no stack.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request_ref(&self, request: &Q) -> Result<Reply<'_, R>, RequestError> {
        self.end.check_in_place("request").map_err(RequestError::Invalid)?;
        self.ask(request)?.wait_ref()
    }

    /// Sends `request` like [`request_timeout`](Requester::request_timeout), and returns the answer in place.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came in time; for the other errors see
    /// [`RequestTimeoutError`].
    pub fn request_ref_timeout(
        &self,
        request: &Q,
        timeout: Duration,
    ) -> Result<Reply<'_, R>, RequestTimeoutError> {
        self.ask_ref_until(request, Deadline::after(timeout))
    }

    /// Sends `request` like [`request_deadline`](Requester::request_deadline), and returns the answer in place.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came in time; for the other errors see
    /// [`RequestTimeoutError`].
    pub fn request_ref_deadline(
        &self,
        request: &Q,
        deadline: Instant,
    ) -> Result<Reply<'_, R>, RequestTimeoutError> {
        self.ask_ref_until(request, Deadline::At(deadline))
    }

    fn ask_ref_until(&self, request: &Q, deadline: Deadline) -> Result<Reply<'_, R>, RequestTimeoutError> {
        let in_place = self.end.check_in_place("request_timeout");
        in_place.map_err(|why| RequestTimeoutError::from(RequestError::Invalid(why)))?;
        self.send_until(request, deadline)??.answer_ref_until(deadline)
    }
}

/// Ready while there is room for a request, and in the child of a fork. For its answer, wait for the
/// [`Call`].
impl<Q: ?Sized, R: ?Sized, F: ?Sized> Waitable for Requester<Q, R, F> {}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Watchable for Requester<Q, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.watch(Awaited::Room)
    }
}
