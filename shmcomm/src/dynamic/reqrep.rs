//! [`DynRequester`] and [`DynReplier`]: the ends of request/reply whose layouts are known at run time.
//!
//! Owns the choice of the wire. The native ends, with one reply or streams, are in `stream`. Calls the typed ends, with
//! messages of bytes.

use super::content::Content;
use super::declaration::Declaration;
#[cfg(feature = "python")]
use super::end::Bytes;
use super::end::{Found, checked, dynamic_end, encoded, on_wire, open_on_wire};
use super::payload::Payload;
#[cfg(feature = "python")]
use super::stream::no_streams;
use super::stream::{BytesStream, NativeReplier, NativeRequest, NativeRequester};
use super::{DynError, DynMessage, DynReplies, ValueError};
use crate::error::Error;
use crate::layout::Pattern;
#[cfg(feature = "python")]
use crate::python;
use crate::schema::Value;
use core::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A requester whose layouts are known at run time. It takes values or bytes, and checks both.
pub struct DynRequester {
    end: Asker,
    name: String,
    request: Arc<Payload>,
    reply: Arc<Payload>,
}

enum Asker {
    Native(Box<NativeRequester>),
    #[cfg(feature = "python")]
    Python(Box<python::Requester<[u8], Vec<u8>, Bytes>>),
}

impl DynRequester {
    /// Opens a requester of an existing channel, by its full name, with the layouts in the segment.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such channel;
    /// [`ErrorKind::TypeMismatch`](crate::ErrorKind::TypeMismatch) if the layouts were too long for the
    /// segment, or are damaged; the errors of [`describe`](super::describe).
    pub fn open(channel: &str) -> Result<Self, Error> {
        Self::on(Found::existing(channel, Pattern::ReqRep)?)
    }

    /// Opens a requester of the channel with this full name, which it creates if it does not exist.
    ///
    /// # Errors
    /// See [`open`](DynRequester::open); `TypeMismatch` if the channel has other layouts.
    pub fn create(channel: &str, declaration: &Declaration) -> Result<Self, Error> {
        Self::on(Found::declared(channel, declaration, Pattern::ReqRep)?)
    }

    fn on(found: Found) -> Result<Self, Error> {
        let found = found.writable()?;
        let end = open_on_wire!(found, Asker, NativeRequester, Requester, 0, Duration::ZERO);
        Ok(DynRequester { end, name: found.name, request: found.first, reply: found.second })
    }

    /// Returns the contents of the requests, as the segment stated them when this end was opened.
    ///
    /// # Errors
    /// [`ValueError::Unknown`] if the layouts were too long for the segment, or are damaged, and on the Python wire, which
    /// does not state them.
    pub fn request_content(&self) -> Result<Content, ValueError> {
        self.request.content()
    }

    /// Returns the contents of the replies.
    ///
    /// # Errors
    /// See [`request_content`](Self::request_content).
    pub fn reply_content(&self) -> Result<Content, ValueError> {
        self.reply.content()
    }

    /// Returns the number of repliers that are alive; 0 on the Python wire, which does not count them.
    pub fn repliers(&self) -> usize {
        match &self.end {
            Asker::Native(end) => end.repliers(),
            #[cfg(feature = "python")]
            Asker::Python(_) => 0,
        }
    }

    /// Returns `true` if the replies to a request of the channel are a [stream](DynRequester::stream).
    pub fn has_streams(&self) -> bool {
        match &self.end {
            Asker::Native(end) => end.streaming().is_ok(),
            #[cfg(feature = "python")]
            Asker::Python(_) => false,
        }
    }

    /// Sends a request and returns its replies, of a channel with `replies: Stream`; waits for a free slot for at most
    /// `timeout`.
    ///
    /// ```
    /// use shmcomm::{Content, Declaration, DynReplier, DynRequester};
    ///
    /// # let name = format!("doc-dyn-stream-{}/count", std::process::id());
    /// let declaration = Declaration::req_rep(Content::Msgpack, Content::Msgpack).streams(8);
    /// let mut replier = DynReplier::create(&name, &declaration)?;
    /// let requester = DynRequester::open(&name)?;
    /// let replies = requester.stream(&"go".into(), std::time::Duration::from_secs(1))?;
    /// let mut request = replier.recv()?;
    /// for number in 0..3 {
    ///     request.send(&number.into())?; // waits while eight replies are unread
    /// }
    /// request.end()?;
    /// for (number, reply) in replies.enumerate() {
    ///     assert_eq!(reply?.value()?.to_string(), number.to_string());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit its field; [`DynError::Timeout`] if no slot became free;
    /// [`DynError::Other`] if a request of the channel has one reply.
    pub fn stream(&self, value: &Value, timeout: Duration) -> Result<DynReplies<'_>, DynError> {
        self.ask_stream(&encoded(&self.request, value)?, timeout)
    }

    /// Sends the bytes of a request, after a check, and returns its replies: see [`stream`](DynRequester::stream).
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a request of the channel.
    pub fn stream_bytes(&self, bytes: &[u8], timeout: Duration) -> Result<DynReplies<'_>, DynError> {
        self.ask_stream(checked(&self.request, bytes)?, timeout)
    }

    fn ask_stream(&self, bytes: &[u8], timeout: Duration) -> Result<DynReplies<'_>, DynError> {
        match &self.end {
            Asker::Native(end) => {
                let replies = end.streaming()?.request_timeout(bytes, timeout)?;
                Ok(DynReplies::new(replies, &self.reply))
            }
            #[cfg(feature = "python")]
            Asker::Python(_) => Err(no_streams()),
        }
    }

    /// Sends a request and returns its reply, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit its field; [`DynError::Timeout`] if no reply came in time;
    /// [`DynError::Other`] if the channel has [streams](DynRequester::stream); the errors of
    /// [`Requester::request_timeout`](crate::Requester::request_timeout), such as that the replier died.
    pub fn request(&mut self, value: &Value, timeout: Duration) -> Result<DynMessage, DynError> {
        let bytes = encoded(&self.request, value)?;
        self.ask(&bytes, timeout)
    }

    /// Sends the bytes of a request, after a check: see [`request`](DynRequester::request).
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a request of the channel.
    pub fn request_bytes(&mut self, bytes: &[u8], timeout: Duration) -> Result<DynMessage, DynError> {
        checked(&self.request, bytes)?;
        self.ask(bytes, timeout)
    }

    fn ask(&mut self, bytes: &[u8], timeout: Duration) -> Result<DynMessage, DynError> {
        let reply = match &mut self.end {
            Asker::Native(end) => end.one()?.request_timeout(bytes, timeout)?,
            #[cfg(feature = "python")]
            Asker::Python(end) => end.request(bytes, timeout)?,
        };
        Ok(DynMessage::new(reply, &self.reply))
    }

    /// Sends a request and returns its reply; the task waits, not the thread.
    ///
    /// # Errors
    /// See [`request`](DynRequester::request).
    #[cfg(feature = "async")]
    pub async fn request_async(&mut self, value: &Value) -> Result<DynMessage, DynError> {
        let bytes = encoded(&self.request, value)?;
        let reply = match &mut self.end {
            Asker::Native(end) => end.one()?.request_async(&bytes).await?,
            #[cfg(feature = "python")]
            Asker::Python(end) => end.request_async(&bytes).await?,
        };
        Ok(DynMessage::new(reply, &self.reply))
    }
}

dynamic_end! {
    /// Ready when a slot is free for another request.
    DynRequester, Asker
}

/// A replier whose layouts come from the segment, or are given.
pub struct DynReplier {
    end: Answerer,
    name: String,
    request: Arc<Payload>,
    reply: Arc<Payload>,
}

enum Answerer {
    Native(Box<NativeReplier>),
    #[cfg(feature = "python")]
    Python(Box<python::Replier<Vec<u8>, [u8], Bytes>>),
}

/// A request that a [`DynReplier`] received. If it is dropped without a reply, it is declined; on the Python
/// wire its requester then gets no reply.
pub struct DynRequest<'r> {
    message: DynMessage,
    reply: Arc<Payload>,
    end: Pending<'r>,
}

enum Pending<'r> {
    Native(NativeRequest<'r>),
    #[cfg(feature = "python")]
    Python(&'r mut python::Replier<Vec<u8>, [u8], Bytes>),
}

/// Calls a method of either end, and converts its result.
macro_rules! serve {
    ($self:ident, $method:ident($($argument:expr),*) $($await:tt)*) => {{
        let (bytes, end) = match &mut $self.end {
            Answerer::Native(end) => match &mut **end {
                NativeReplier::One(end) => {
                    let request = end.$method($($argument),*)$($await)*?;
                    (request.to_vec(), Pending::Native(NativeRequest::One(request)))
                }
                NativeReplier::Stream(end) => {
                    let request = end.$method($($argument),*)$($await)*?;
                    (request.to_vec(), Pending::Native(NativeRequest::Stream(Box::new(request))))
                }
            },
            #[cfg(feature = "python")]
            Answerer::Python(end) => (end.$method($($argument),*)$($await)*?, Pending::Python(end)),
        };
        let message = DynMessage::new(bytes, &$self.request);
        Ok(DynRequest { message, reply: $self.reply.clone(), end })
    }};
}

impl DynReplier {
    /// Opens a replier of an existing channel, by its full name, with the layouts in the segment.
    ///
    /// # Errors
    /// See [`DynRequester::open`].
    pub fn open(channel: &str) -> Result<Self, Error> {
        Self::on(Found::existing(channel, Pattern::ReqRep)?)
    }

    /// Opens a replier of the channel with this full name, which it creates if it does not exist.
    ///
    /// # Errors
    /// See [`DynRequester::create`].
    pub fn create(channel: &str, declaration: &Declaration) -> Result<Self, Error> {
        Self::on(Found::declared(channel, declaration, Pattern::ReqRep)?)
    }

    fn on(found: Found) -> Result<Self, Error> {
        let found = found.writable()?;
        let end = open_on_wire!(found, Answerer, NativeReplier, Replier, 0, Duration::ZERO);
        Ok(DynReplier { end, name: found.name, request: found.first, reply: found.second })
    }

    /// Returns the contents of the requests, as the segment stated them when this end was opened.
    ///
    /// # Errors
    /// [`ValueError::Unknown`] if the layouts were too long for the segment, or are damaged, and on the Python wire, which
    /// does not state them.
    pub fn request_content(&self) -> Result<Content, ValueError> {
        self.request.content()
    }

    /// Returns the contents of the replies.
    ///
    /// # Errors
    /// See [`request_content`](Self::request_content).
    pub fn reply_content(&self) -> Result<Content, ValueError> {
        self.reply.content()
    }

    /// Returns `true` if the replies to a request of the channel are a [stream](DynRequest::send).
    pub fn has_streams(&self) -> bool {
        match &self.end {
            Answerer::Native(end) => matches!(**end, NativeReplier::Stream(_)),
            #[cfg(feature = "python")]
            Answerer::Python(_) => false,
        }
    }

    /// Returns the next request, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Empty`] if there is none.
    pub fn try_recv(&mut self) -> Result<DynRequest<'_>, DynError> {
        serve!(self, try_recv())
    }

    /// Returns the next request, blocking until there is one.
    ///
    /// # Errors
    /// [`DynError::Stopped`], [`DynError::Forked`].
    pub fn recv(&mut self) -> Result<DynRequest<'_>, DynError> {
        serve!(self, recv())
    }

    /// Returns the next request, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none came in time.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<DynRequest<'_>, DynError> {
        serve!(self, recv_timeout(timeout))
    }

    /// Returns the next request; the task waits, not the thread.
    ///
    /// # Errors
    /// See [`recv`](DynReplier::recv).
    #[cfg(feature = "async")]
    pub async fn recv_async(&mut self) -> Result<DynRequest<'_>, DynError> {
        serve!(self, recv_async().await)
    }
}

impl<'r> DynRequest<'r> {
    /// Returns the request.
    pub fn message(&self) -> &DynMessage {
        &self.message
    }

    /// Returns `true` if the requester still wants a reply; `true` on the Python wire, which does not tell.
    pub fn is_wanted(&self) -> bool {
        match &self.end {
            Pending::Native(request) => request.is_wanted(),
            #[cfg(feature = "python")]
            Pending::Python(_) => true,
        }
    }

    /// Returns `true` if the replies are a stream: [`send`](DynRequest::send) sends each, and [`end`](DynRequest::end)
    /// ends it.
    pub fn has_stream(&self) -> bool {
        matches!(&self.end, Pending::Native(NativeRequest::Stream(_)))
    }

    fn streaming(&mut self) -> Result<&mut BytesStream<'r>, DynError> {
        match &mut self.end {
            Pending::Native(request) => request.stream(),
            #[cfg(feature = "python")]
            Pending::Python(_) => Err(no_streams()),
        }
    }

    /// Sends a reply of a stream; blocks while as many replies are unread as the window holds.
    ///
    /// # Errors
    /// [`DynError::Cancelled`] if the requester has cancelled the request, or died; [`DynError::Encode`] if the value does
    /// not fit its field: another reply can be sent. [`DynError::Other`] if the request has one reply.
    pub fn send(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.reply, value)?;
        Ok(self.streaming()?.send(&bytes)?)
    }

    /// Sends the bytes of a reply of a stream, after a check: see [`send`](DynRequest::send).
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a reply of the channel.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), DynError> {
        checked(&self.reply, bytes)?;
        Ok(self.streaming()?.send(bytes)?)
    }

    /// Sends a reply of a stream like [`send`](DynRequest::send), without waiting.
    ///
    /// # Errors
    /// [`DynError::Full`] if as many replies are unread as the window holds; see [`send`](DynRequest::send).
    pub fn try_send(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.reply, value)?;
        Ok(self.streaming()?.try_send(&bytes)?)
    }

    /// Sends the bytes of a reply of a stream like [`send_bytes`](DynRequest::send_bytes); blocks for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if the requester received no reply in time; see [`send_bytes`](DynRequest::send_bytes).
    pub fn send_bytes_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DynError> {
        checked(&self.reply, bytes)?;
        Ok(self.streaming()?.send_timeout(bytes, timeout)?)
    }

    /// Sends a reply of a stream like [`send`](DynRequest::send); the task waits, not the thread.
    ///
    /// # Errors
    /// See [`send`](DynRequest::send).
    #[cfg(feature = "async")]
    pub async fn send_async(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.reply, value)?;
        Ok(self.streaming()?.send_async(&bytes).await?)
    }

    /// Ends the stream: the requester receives the replies that were sent, then the end. Does not block.
    ///
    /// # Errors
    /// [`DynError::Cancelled`] if the requester has cancelled the request, or died. [`DynError::Other`] if the request has
    /// one reply; it is then declined.
    pub fn end(self) -> Result<(), DynError> {
        match self.end {
            Pending::Native(request) => request.end(),
            #[cfg(feature = "python")]
            Pending::Python(_) => Err(no_streams()),
        }
    }

    /// Sends the reply.
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit its field; the request is then declined. [`DynError::Cancelled`] if
    /// the requester does not wait any more. [`DynError::Other`] if the replies are a [stream](DynRequest::has_stream).
    pub fn reply(self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.reply, value)?;
        self.answer(&bytes)
    }

    /// Sends the bytes of the reply, after a check.
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a reply of the channel; see [`reply`](DynRequest::reply).
    pub fn reply_bytes(self, bytes: &[u8]) -> Result<(), DynError> {
        checked(&self.reply, bytes)?;
        self.answer(bytes)
    }

    fn answer(self, bytes: &[u8]) -> Result<(), DynError> {
        match self.end {
            Pending::Native(request) => request.reply(bytes),
            #[cfg(feature = "python")]
            Pending::Python(end) => Ok(end.send(bytes)?),
        }
    }
}

dynamic_end! {
    /// Ready when [`try_recv`](DynReplier::try_recv) has something else than [`DynError::Empty`].
    DynReplier, Answerer
}

impl fmt::Debug for DynRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynRequest").field("message", &self.message).finish_non_exhaustive()
    }
}
