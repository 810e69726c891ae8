//! [`Requester`]: the asking end.
//!
//! Owns the ways to ask. What is known of a request that is on its way is in `call`, what both ends
//! share in `end`. Never touches a slot itself.

use super::end::{End, What};
use super::form::{Read, copy, encode, fixed_reply, reply};
use super::{Call, CallError, RequestError, RequestTimeoutError};
use crate::codec::{Decode, Encode, EncodeError};
use crate::error::Error;
use crate::message::{Fixed, ShmMessage};
use crate::segment::{Role, Spec};
use crate::stats::{self, Stats};
use crate::wait::Deadline;
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::cell::RefCell;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// An asking end of a request/reply channel. Any number may be open, in any order with the repliers.
///
/// Each request goes to one replier, whichever is free first, and its reply comes back to where it was
/// asked: there is nothing to match. While no replier is alive, requests wait for one.
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
/// **If a replier dies** with a request, [`RequestError::PeerDied`] says so within 50 ms; on a channel
/// with `redeliver: true` another replier gets the request, marked as
/// [`redelivered`](super::Request::redelivered). **If this process dies**, its requests are withdrawn
/// and their slots free.
pub struct Requester<Q: ?Sized, R, F: ?Sized = Fixed> {
    pub(super) end: RefCell<End>,
    name: String,
    _messages: PhantomData<fn(&Q, &F) -> R>,
}

impl<Q: ?Sized, R, F: ?Sized> Requester<Q, R, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        let end = End::open(&spec, Role::Requester)?;
        Ok(Requester { end: RefCell::new(end), name: spec.name, _messages: PhantomData })
    }

    /// The full name of the channel, namespace included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts of the channel, how many requests wait and how old the oldest is, and one entry for each
    /// participant.
    pub fn stats(&self) -> Stats {
        let end = self.end.borrow();
        stats::read_queue(&end.attachment, &end.queue)
    }

    /// How many repliers are alive now.
    pub fn repliers(&self) -> usize {
        self.end.borrow().attachment.count_alive(Role::Replier)
    }

    /// Waits until at least `count` repliers are alive, and says whether they are. Looks every few
    /// milliseconds, for at most `timeout`; zero looks once.
    pub fn wait_for_repliers(&self, count: usize, timeout: Duration) -> bool {
        let deadline = Deadline::after(timeout);
        loop {
            if self.repliers() >= count {
                return true;
            }
            if deadline.has_passed() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl<Q: ShmMessage, R: ShmMessage> Requester<Q, R> {
    /// Sends `request`; the answer is the [`Call`]'s to fetch. Never blocks.
    ///
    /// # Errors
    /// [`CallError::Full`] if no slot is free; else see [`CallError`].
    #[inline]
    pub fn call(&self, request: &Q) -> Result<Call<'_, R>, CallError> {
        self.send(copy(request), fixed_reply)
    }

    /// Sends `request` and waits for the answer, and before that for a free slot.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request(&self, request: &Q) -> Result<R, RequestError> {
        self.ask(copy(request), fixed_reply)
    }

    /// Sends `request` and waits for the answer, for at most `timeout`; then the request is given up.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came; else see [`RequestTimeoutError`].
    pub fn request_timeout(&self, request: &Q, timeout: Duration) -> Result<R, RequestTimeoutError> {
        self.ask_until(copy(request), fixed_reply, Deadline::after(timeout))
    }

    /// Sends `request` and waits for the answer until `deadline` at the latest; then the request is
    /// given up.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came; else see [`RequestTimeoutError`].
    pub fn request_deadline(&self, request: &Q, deadline: Instant) -> Result<R, RequestTimeoutError> {
        self.ask_until(copy(request), fixed_reply, Deadline::At(deadline))
    }
}

impl<Q: ?Sized, R, C: Encode<Q> + Decode<R>> Requester<Q, R, C> {
    /// Sends `request`, encoded; the answer is the [`Call`]'s to fetch. Never blocks.
    ///
    /// # Errors
    /// [`CallError::Full`] if no slot is free; [`CallError::Unencodable`] with the exact size if the
    /// encoded request does not fit into a slot.
    pub fn call(&self, request: &Q) -> Result<Call<'_, R>, CallError> {
        self.send(encode::<Q, C>(request), reply::<R, C>)
    }

    /// Sends `request`, encoded, and waits for the answer, and before that for a free slot.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request(&self, request: &Q) -> Result<R, RequestError> {
        self.ask(encode::<Q, C>(request), reply::<R, C>)
    }

    /// Sends `request`, encoded, and waits for the answer, for at most `timeout`; then the request is
    /// given up.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came; else see [`RequestTimeoutError`].
    pub fn request_timeout(&self, request: &Q, timeout: Duration) -> Result<R, RequestTimeoutError> {
        self.ask_until(encode::<Q, C>(request), reply::<R, C>, Deadline::after(timeout))
    }

    /// Sends `request`, encoded, and waits for the answer until `deadline` at the latest; then the
    /// request is given up.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if none came; else see [`RequestTimeoutError`].
    pub fn request_deadline(&self, request: &Q, deadline: Instant) -> Result<R, RequestTimeoutError> {
        self.ask_until(encode::<Q, C>(request), reply::<R, C>, Deadline::At(deadline))
    }
}

impl<Q: ?Sized, R, F: ?Sized> Requester<Q, R, F> {
    #[inline]
    fn send(
        &self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
        read: Read<R>,
    ) -> Result<Call<'_, R>, CallError> {
        let mut end = self.end.borrow_mut();
        let ticket = end.send(write)?;
        Ok(Call::new(&self.end, ticket, end.no_polls(), read))
    }

    fn send_until(
        &self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
        read: Read<R>,
        deadline: Deadline,
    ) -> Result<Call<'_, R>, CallError> {
        loop {
            match self.send(&write, read) {
                Err(CallError::Full) if self.end.borrow_mut().wait(What::Room, deadline) => {}
                outcome => return outcome,
            }
        }
    }

    fn ask(
        &self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
        read: Read<R>,
    ) -> Result<R, RequestError> {
        loop {
            match self.send_until(&write, read, Deadline::Never) {
                Ok(call) => return call.wait(),
                // A deadline that never comes cannot have passed.
                Err(CallError::Full) => {}
                Err(CallError::Unencodable(why)) => return Err(RequestError::Unencodable(why)),
                Err(CallError::Forked) => return Err(RequestError::Forked),
                Err(CallError::Damaged) => return Err(RequestError::Damaged),
            }
        }
    }

    fn ask_until(
        &self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
        read: Read<R>,
        deadline: Deadline,
    ) -> Result<R, RequestTimeoutError> {
        self.send_until(write, read, deadline)?.answer_until(deadline)
    }
}

/// Ready while there is room for a request, and in the child of a fork. For its answer, wait for the
/// [`Call`].
impl<Q: ?Sized, R, F: ?Sized> Waitable for Requester<Q, R, F> {}

impl<Q: ?Sized, R, F: ?Sized> Watchable for Requester<Q, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.borrow().watch(Awaited::Room)
    }
}
