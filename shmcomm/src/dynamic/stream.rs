//! [`DynReplies`], and the native ends of request/reply with one reply or a stream of replies.
//!
//! Owns the choice between the two. Calls the typed ends, with messages of bytes. Never waits itself.

use super::end::Bytes;
use super::payload::Payload;
use super::{DynError, DynMessage};
use crate::error::Error;
use crate::reqrep::{Replier, Replies, Request, Requester, StreamReplier, StreamRequest, StreamRequester};
use crate::segment::Spec;
use crate::wait::StopHandle;
use crate::waitset::{Waitable, Watchable, Watched};
use core::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The asking end of a native channel.
pub(super) enum NativeRequester {
    One(Requester<[u8], [u8], Bytes>),
    Stream(StreamRequester<[u8], [u8], Bytes>),
}

impl NativeRequester {
    pub(super) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(match spec.window {
            0 => NativeRequester::One(Requester::open(spec)?),
            _ => NativeRequester::Stream(StreamRequester::open(spec)?),
        })
    }

    /// Returns the requester of a channel with one reply to a request.
    pub(super) fn one(&mut self) -> Result<&mut Requester<[u8], [u8], Bytes>, DynError> {
        match self {
            NativeRequester::One(end) => Ok(end),
            NativeRequester::Stream(_) => Err(DynError::Other(
                "a request of this channel has a stream of replies, and this call returns one; use `stream`"
                    .into(),
            )),
        }
    }

    /// Returns the requester of a channel with streams.
    pub(super) fn streaming(&self) -> Result<&StreamRequester<[u8], [u8], Bytes>, DynError> {
        match self {
            NativeRequester::Stream(end) => Ok(end),
            NativeRequester::One(_) => Err(no_streams()),
        }
    }

    pub(super) fn repliers(&self) -> usize {
        match self {
            NativeRequester::One(end) => end.repliers(),
            NativeRequester::Stream(end) => end.repliers(),
        }
    }

    pub(super) fn stop_handle(&self) -> StopHandle {
        match self {
            NativeRequester::One(end) => end.stop_handle(),
            NativeRequester::Stream(end) => end.stop_handle(),
        }
    }

    pub(super) fn watch(&self) -> Result<Watched, Error> {
        match self {
            NativeRequester::One(end) => end.watch(),
            NativeRequester::Stream(end) => end.watch(),
        }
    }
}

/// Returns the error of a call for streams on a channel without them.
pub(super) fn no_streams() -> DynError {
    DynError::Other(
        "a request of this channel has one reply, and this call is for a stream of replies".into(),
    )
}

/// The answering end of a native channel.
pub(super) enum NativeReplier {
    One(Replier<[u8], [u8], Bytes>),
    Stream(StreamReplier<[u8], [u8], Bytes>),
}

impl NativeReplier {
    pub(super) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(match spec.window {
            0 => NativeReplier::One(Replier::open(spec)?),
            _ => NativeReplier::Stream(StreamReplier::open(spec)?),
        })
    }

    pub(super) fn stop_handle(&self) -> StopHandle {
        match self {
            NativeReplier::One(end) => end.stop_handle(),
            NativeReplier::Stream(end) => end.stop_handle(),
        }
    }

    pub(super) fn watch(&self) -> Result<Watched, Error> {
        match self {
            NativeReplier::One(end) => end.watch(),
            NativeReplier::Stream(end) => end.watch(),
        }
    }
}

/// A request whose replies are a stream.
pub(super) type BytesStream<'r> = StreamRequest<'r, [u8], [u8], Bytes>;

/// A request of a native channel.
pub(super) enum NativeRequest<'r> {
    One(Request<'r, [u8], [u8], Bytes>),
    Stream(Box<BytesStream<'r>>),
}

impl<'r> NativeRequest<'r> {
    /// Sends the one reply.
    pub(super) fn reply(self, bytes: &[u8]) -> Result<(), DynError> {
        match self {
            NativeRequest::One(request) => Ok(request.reply(bytes)?),
            NativeRequest::Stream(_) => Err(DynError::Other(
                "a request of this channel has a stream of replies; use `send` for each reply, then `end`"
                    .into(),
            )),
        }
    }

    /// Returns the request, whose replies are a stream.
    pub(super) fn stream(&mut self) -> Result<&mut BytesStream<'r>, DynError> {
        match self {
            NativeRequest::Stream(request) => Ok(request),
            NativeRequest::One(_) => Err(no_streams()),
        }
    }

    /// Ends the stream.
    pub(super) fn end(self) -> Result<(), DynError> {
        match self {
            NativeRequest::Stream(request) => Ok(request.end()?),
            NativeRequest::One(request) => {
                request.decline();
                Err(no_streams())
            }
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        match self {
            NativeRequest::One(request) => request.is_wanted(),
            NativeRequest::Stream(request) => request.is_wanted(),
        }
    }
}

/// The replies to one request of a [`DynRequester`](super::DynRequester), made by
/// [`stream`](super::DynRequester::stream).
///
/// As an iterator it waits for each reply and ends when the replier has ended the stream. Dropping it
/// [cancels](DynReplies::cancel) the request. If the replier dies, all replies that it sent are received first, and then
/// [`DynError::Other`] with [`RequestError::PeerDied`](crate::RequestError::PeerDied).
#[must_use = "dropping the replies gives the request up"]
pub struct DynReplies<'r> {
    replies: Replies<'r, Vec<u8>, Bytes>,
    payload: &'r Arc<Payload>,
}

impl<'r> DynReplies<'r> {
    pub(super) fn new(replies: Replies<'r, Vec<u8>, Bytes>, payload: &'r Arc<Payload>) -> Self {
        DynReplies { replies, payload }
    }

    fn message(&self, reply: Option<Vec<u8>>) -> Option<DynMessage> {
        reply.map(|bytes| DynMessage::new(bytes, self.payload))
    }

    /// Returns the number of replies received.
    pub fn received(&self) -> u64 {
        self.replies.received()
    }

    /// Tells the replier that no further reply is wanted, like dropping this.
    pub fn cancel(self) {}

    /// Returns the next reply if it has arrived, or `None` if the replier has ended the stream. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Empty`] if no reply has arrived; see [`Replies::try_recv`].
    pub fn try_recv(&mut self) -> Result<Option<DynMessage>, DynError> {
        let reply = self.replies.try_recv()?;
        Ok(self.message(reply))
    }

    /// Returns the next reply, blocking until there is one, or `None` if the replier has ended the stream.
    ///
    /// # Errors
    /// See [`Replies::recv`].
    pub fn recv(&mut self) -> Result<Option<DynMessage>, DynError> {
        let reply = self.replies.recv()?;
        Ok(self.message(reply))
    }

    /// Returns the next reply like [`recv`](DynReplies::recv), blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if no reply came in time; see [`Replies::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<DynMessage>, DynError> {
        let reply = self.replies.recv_timeout(timeout)?;
        Ok(self.message(reply))
    }

    /// Returns the next reply like [`recv`](DynReplies::recv); the task waits, not the thread.
    ///
    /// # Errors
    /// See [`Replies::recv`].
    #[cfg(feature = "async")]
    pub async fn recv_async(&mut self) -> Result<Option<DynMessage>, DynError> {
        let reply = self.replies.recv_async().await?;
        Ok(self.message(reply))
    }
}

/// Waits for each reply. After an error there is no further item.
impl Iterator for DynReplies<'_> {
    type Item = Result<DynMessage, DynError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reply = self.replies.next()?;
        Some(reply.map(|bytes| DynMessage::new(bytes, self.payload)).map_err(DynError::from))
    }
}

impl core::iter::FusedIterator for DynReplies<'_> {}

/// Ready while a reply can be received, or the end of the stream.
impl Waitable for DynReplies<'_> {}

impl Watchable for DynReplies<'_> {
    fn watch(&self) -> Result<Watched, Error> {
        self.replies.watch()
    }
}

impl fmt::Debug for DynReplies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynReplies").field("received", &self.received()).finish_non_exhaustive()
    }
}
