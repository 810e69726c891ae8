//! [`DynRequester`] and [`DynReplier`]: the ends of request/reply whose layouts are known at run time.
//!
//! Owns the choice of the wire. Calls the typed ends, with messages of bytes.

use super::content::Content;
use super::declaration::Declaration;
use super::end::{Bytes, Found, checked, dynamic_end, encoded, on_wire, open_on_wire};
use super::payload::Payload;
use super::{DynError, DynMessage, ValueError};
use crate::error::Error;
use crate::layout::Pattern;
#[cfg(feature = "python")]
use crate::python;
use crate::reqrep::{Replier, Request, Requester};
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
    Native(Box<Requester<[u8], [u8], Bytes>>),
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
        let end = open_on_wire!(found, Asker, Requester, 0, Duration::ZERO);
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

    /// Sends a request and returns its reply, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit its field; [`DynError::Timeout`] if no reply came in
    /// time; the errors of [`Requester::request_timeout`], such as that the replier died.
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
            Asker::Native(end) => end.request_timeout(bytes, timeout)?,
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
        let reply = on_wire!(&mut self.end, Asker.request_async(&bytes).await?);
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
    Native(Box<Replier<[u8], [u8], Bytes>>),
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
    Native(Request<'r, [u8], [u8], Bytes>),
    #[cfg(feature = "python")]
    Python(&'r mut python::Replier<Vec<u8>, [u8], Bytes>),
}

/// Calls a method of either end, and converts its result.
macro_rules! serve {
    ($self:ident, $method:ident($($argument:expr),*) $($await:tt)*) => {{
        let (bytes, end) = match &mut $self.end {
            Answerer::Native(end) => {
                let request = end.$method($($argument),*)$($await)*?;
                (request.to_vec(), Pending::Native(request))
            }
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
        let end = open_on_wire!(found, Answerer, Replier, 0, Duration::ZERO);
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

impl DynRequest<'_> {
    /// Returns the request.
    pub fn message(&self) -> &DynMessage {
        &self.message
    }

    /// Sends the reply.
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit its field; the request is then declined. The errors of
    /// [`Request::reply`], such as that the requester does not wait any more.
    pub fn reply(self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.reply, value)?;
        self.send(&bytes)
    }

    /// Sends the bytes of the reply, after a check.
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a reply of the channel; see [`reply`](DynRequest::reply).
    pub fn reply_bytes(self, bytes: &[u8]) -> Result<(), DynError> {
        checked(&self.reply, bytes)?;
        self.send(bytes)
    }

    fn send(self, bytes: &[u8]) -> Result<(), DynError> {
        match self.end {
            Pending::Native(request) => Ok(request.reply(bytes)?),
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
