//! [`StreamRequester`]: the asking end of a channel whose replies are streams.
//!
//! Owns the ways to send a request. The replies are in `replies`, the steps in the ring in `raw_requester`, and what the
//! end tells of its channel in `asking_end`. Never touches a slot itself.

use super::raw_requester::RawRequester;
use super::{CallError, Replies, RequestError, RequestTimeoutError, asking_end, ops};
use crate::codec::{Incoming, Outgoing};
use crate::error::Error;
use crate::message::{Fixed, Invalid};
use crate::queue_end::{QueueEnd, WaitTarget};
use crate::segment::{Role, Spec};
use crate::wait::{Deadline, Stopped};
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::cell::RefCell;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// An asking end of a request/reply channel with `replies: Stream`. Any number of requesters may be open, in any order
/// with the repliers.
///
/// Each request goes to one replier, whichever is free first. Its replies arrive in the slot of the request, in the
/// order in which they were sent, until the replier ends the stream.
///
/// ```
/// use shmcomm::channel;
///
/// channel! {
///     /// Numbers below a limit.
///     pub Count: ReqRep<u32, u32> { name: "count", replies: Stream, window: 4 }
/// }
///
/// # let ns = format!("doc-count-{}", std::process::id());
/// let requester = Count::open().namespace(&ns).requester()?;
/// let mut replier = Count::open().namespace(&ns).replier()?;
/// let service = std::thread::spawn(move || {
///     let mut request = replier.recv().unwrap();
///     for number in 0..*request {
///         request.send(&number).unwrap(); // waits while four replies are unread
///     }
///     request.end().unwrap();
/// });
/// let numbers: Result<Vec<u32>, _> = requester.request(&100)?.collect();
/// assert_eq!(numbers?, (0..100).collect::<Vec<_>>());
/// # service.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **If a replier dies**, its requester receives every reply that was sent, then [`RequestError::PeerDied`]. **If this
/// process dies**, its requests are withdrawn. A replier that has one learns of it at its next send.
pub struct StreamRequester<Q: ?Sized, R: ?Sized, F: ?Sized = Fixed> {
    end: RawRequester,
    _messages: PhantomData<fn(&Q, &F) -> Box<R>>,
}

/// Reads a private copy of a reply.
fn read<R: ?Sized, F: Incoming<R>>(bytes: &[u8]) -> Result<F::Owned, Invalid> {
    F::read_private(bytes, bytes.len())
}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> StreamRequester<Q, R, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        let end = QueueEnd::open(&spec, Role::Requester, ops(&spec), RefCell::new)?;
        Ok(StreamRequester { end, _messages: PhantomData })
    }

    /// Returns the number of replies that may wait for one requester: `window` of the channel.
    pub fn window(&self) -> u64 {
        self.end.attachment.geometry().stream.window
    }
}

asking_end!(StreamRequester, "[`Replies`]");

impl<Q: ?Sized, R: ?Sized, F: Outgoing<Q> + Incoming<R>> StreamRequester<Q, R, F> {
    /// Sends `request` and returns its [`Replies`]. Never blocks.
    ///
    /// # Errors
    /// [`CallError::Full`] if no slot is free. With a codec, [`CallError::Unencodable`] if the encoded request does not
    /// fit. For the other errors see [`CallError`].
    pub fn call(&self, request: &Q) -> Result<Replies<'_, F::Owned, F>, CallError> {
        let ticket = self.end.send_stream(|room| F::write(request, room))?;
        Ok(Replies::new(&self.end, ticket, read::<R, F>))
    }

    /// Sends `request` and returns its [`Replies`]; waits for a free slot.
    ///
    /// # Errors
    /// [`RequestError::Stopped`] if the requester is [stopped](crate::StopHandle) while no slot is free; for the others see
    /// [`RequestError`].
    pub fn request(&self, request: &Q) -> Result<Replies<'_, F::Owned, F>, RequestError> {
        self.request_until(request, Deadline::Never)?.map_err(RequestError::unsent)
    }

    /// Sends `request` like [`request`](StreamRequester::request); waits for a free slot for at most `timeout`.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if no slot became free; for the others see [`RequestTimeoutError`].
    pub fn request_timeout(
        &self,
        request: &Q,
        timeout: Duration,
    ) -> Result<Replies<'_, F::Owned, F>, RequestTimeoutError> {
        Ok(self.request_until(request, Deadline::after(timeout))??)
    }

    /// Sends `request` like [`request`](StreamRequester::request); waits for a free slot until `deadline` at the latest.
    ///
    /// # Errors
    /// [`RequestTimeoutError::Timeout`] if no slot became free; for the others see [`RequestTimeoutError`].
    pub fn request_deadline(
        &self,
        request: &Q,
        deadline: Instant,
    ) -> Result<Replies<'_, F::Owned, F>, RequestTimeoutError> {
        Ok(self.request_until(request, Deadline::At(deadline))??)
    }

    fn request_until(
        &self,
        request: &Q,
        deadline: Deadline,
    ) -> Result<Result<Replies<'_, F::Owned, F>, CallError>, Stopped> {
        self.end.stop.check()?;
        loop {
            match self.call(request) {
                Err(CallError::Full) if self.end.wait(WaitTarget::Room, deadline)? => {}
                // `Deadline::Never` passes only in the child of a fork.
                Err(CallError::Full) if deadline == Deadline::Never => return Ok(Err(CallError::Forked)),
                outcome => return Ok(outcome),
            }
        }
    }
}

/// Ready while there is room for a request, and in the child of a fork. For the replies, wait for the [`Replies`].
impl<Q: ?Sized, R: ?Sized, F: ?Sized> Waitable for StreamRequester<Q, R, F> {}

impl<Q: ?Sized, R: ?Sized, F: ?Sized> Watchable for StreamRequester<Q, R, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.watch(Awaited::Room)
    }
}
