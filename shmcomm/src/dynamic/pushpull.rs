//! [`DynPusher`] and [`DynPuller`]: the ends of push/pull whose layout is known at run time.
//!
//! Owns the choice of the wire. Calls the typed ends, with messages of bytes.

use super::content::Content;
use super::declaration::Declaration;
use super::end::{Bytes, Found, checked, dynamic_end, encoded, on_wire, open_on_wire};
use super::payload::Payload;
use super::{DynError, DynMessage, ValueError};
use crate::error::Error;
use crate::layout::Pattern;
use crate::pushpull::{Puller, Pusher};
#[cfg(feature = "python")]
use crate::python;
use crate::schema::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pusher whose layout is known at run time. It takes values or bytes, and checks both against the layout.
pub struct DynPusher {
    end: Sender,
    name: String,
    payload: Arc<Payload>,
}

enum Sender {
    Native(Box<Pusher<[u8], Bytes>>),
    #[cfg(feature = "python")]
    Python(Box<python::Pusher<[u8], Bytes>>),
}

impl DynPusher {
    /// Opens a pusher of an existing channel, by its full name, with the layout in the segment.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such channel;
    /// [`ErrorKind::TypeMismatch`](crate::ErrorKind::TypeMismatch) if the layout was too long for the
    /// segment, or is damaged; the errors of [`describe`](super::describe).
    pub fn open(channel: &str) -> Result<Self, Error> {
        Self::on(Found::existing(channel, Pattern::PushPull)?)
    }

    /// Opens a pusher of the channel with this full name, which it creates if it does not exist.
    ///
    /// # Errors
    /// See [`open`](DynPusher::open); `TypeMismatch` if the channel has another layout.
    pub fn create(channel: &str, declaration: &Declaration) -> Result<Self, Error> {
        Self::on(Found::declared(channel, declaration, Pattern::PushPull)?)
    }

    fn on(found: Found) -> Result<Self, Error> {
        let found = found.writable()?;
        let end = open_on_wire!(found, Sender, Pusher, 0, Duration::ZERO);
        Ok(DynPusher { end, name: found.name, payload: found.first })
    }

    /// Returns the contents of the messages, as the segment stated them when this end was opened.
    ///
    /// # Errors
    /// [`ValueError::Unknown`] if the layout was too long for the segment, or is damaged, and on the Python wire, which
    /// does not state it.
    pub fn content(&self) -> Result<Content, ValueError> {
        self.payload.content()
    }

    /// Sends a job, waiting while the queue is full.
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit its field, [`DynError::TooLong`], [`DynError::Stopped`].
    pub fn send(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        on_wire!(&mut self.end, Sender.send(&bytes)?);
        Ok(())
    }

    /// Sends the bytes of a job, after a check, waiting while the queue is full.
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a message of the channel; see [`send`](DynPusher::send).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), DynError> {
        let bytes = checked(&self.payload, bytes)?;
        on_wire!(&mut self.end, Sender.send(bytes)?);
        Ok(())
    }

    /// Sends a job, without waiting.
    ///
    /// # Errors
    /// [`DynError::Full`] if the queue is full; see [`send`](DynPusher::send).
    pub fn try_send(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        on_wire!(&mut self.end, Sender.try_send(&bytes)?);
        Ok(())
    }

    /// Sends a job, waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if the queue stayed full; see [`send`](DynPusher::send).
    pub fn send_timeout(&mut self, value: &Value, timeout: Duration) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        on_wire!(&mut self.end, Sender.send_timeout(&bytes, timeout)?);
        Ok(())
    }

    /// Sends the bytes of a job like [`send_bytes`](DynPusher::send_bytes), without waiting.
    ///
    /// # Errors
    /// [`DynError::Full`] if the queue is full; see [`send_bytes`](DynPusher::send_bytes).
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), DynError> {
        checked(&self.payload, bytes)?;
        on_wire!(&mut self.end, Sender.try_send(bytes)?);
        Ok(())
    }

    /// Sends the bytes of a job like [`send_bytes`](DynPusher::send_bytes), waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if the queue stayed full; see [`send_bytes`](DynPusher::send_bytes).
    pub fn send_bytes_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DynError> {
        checked(&self.payload, bytes)?;
        on_wire!(&mut self.end, Sender.send_timeout(bytes, timeout)?);
        Ok(())
    }

    /// Sends a job; the task waits while the queue is full, not the thread.
    ///
    /// # Errors
    /// See [`send`](DynPusher::send).
    #[cfg(feature = "async")]
    pub async fn send_async(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        on_wire!(&mut self.end, Sender.send_async(&bytes).await?);
        Ok(())
    }
}

dynamic_end! {
    /// Ready when the queue has room.
    DynPusher, Sender
}

/// A puller whose layout comes from the segment, or is given. A job that [`recv`](DynPuller::recv) returns is done.
/// [`claim`](DynPuller::claim) returns a job that is done later.
pub struct DynPuller {
    pub(super) end: Receiver,
    name: String,
    pub(super) payload: Arc<Payload>,
}

pub(super) enum Receiver {
    Native(Box<Puller<[u8], Bytes>>),
    #[cfg(feature = "python")]
    Python(Box<python::Puller<Vec<u8>, Bytes>>),
}

impl DynPuller {
    /// Opens a puller of an existing channel, by its full name, with the layout in the segment.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such channel; the errors of
    /// [`describe`](super::describe).
    pub fn open(channel: &str) -> Result<Self, Error> {
        Self::on(Found::existing(channel, Pattern::PushPull)?)
    }

    /// Opens a puller of the channel with this full name, which it creates if it does not exist.
    ///
    /// # Errors
    /// See [`open`](DynPuller::open); `TypeMismatch` if the channel has another layout.
    pub fn create(channel: &str, declaration: &Declaration) -> Result<Self, Error> {
        Self::on(Found::declared(channel, declaration, Pattern::PushPull)?)
    }

    fn on(found: Found) -> Result<Self, Error> {
        let end = open_on_wire!(found, Receiver, Puller, 0, Duration::ZERO);
        Ok(DynPuller { end, name: found.name, payload: found.first })
    }

    /// Returns the contents of the messages, as the segment stated them when this end was opened.
    ///
    /// # Errors
    /// [`ValueError::Unknown`] if the layout was too long for the segment, or is damaged, and on the Python wire, which
    /// does not state it.
    pub fn content(&self) -> Result<Content, ValueError> {
        self.payload.content()
    }

    /// Returns the next job, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Empty`] if there is none.
    pub fn try_recv(&mut self) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(&mut self.end, Receiver.try_recv()?), &self.payload))
    }

    /// Returns the next job, blocking until there is one.
    ///
    /// # Errors
    /// [`DynError::Stopped`], [`DynError::Forked`].
    pub fn recv(&mut self) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(&mut self.end, Receiver.recv()?), &self.payload))
    }

    /// Returns the next job, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none came in time.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(&mut self.end, Receiver.recv_timeout(timeout)?), &self.payload))
    }

    /// Returns the next job, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none came in time.
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(&mut self.end, Receiver.recv_deadline(deadline)?), &self.payload))
    }

    /// Returns the next job; the task waits, not the thread.
    ///
    /// # Errors
    /// See [`recv`](DynPuller::recv).
    #[cfg(feature = "async")]
    pub async fn recv_async(&mut self) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(&mut self.end, Receiver.recv_async().await?), &self.payload))
    }
}

dynamic_end! {
    /// Ready when [`try_recv`](DynPuller::try_recv) has something else than [`DynError::Empty`].
    DynPuller, Receiver
}
