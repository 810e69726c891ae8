//! [`DynPublisher`] and [`DynSubscriber`]: the ends of publish/subscribe whose layout is known at run time.
//!
//! Owns the choice of the wire. Calls the typed ends, with messages of bytes.

use super::content::Content;
use super::declaration::Declaration;
use super::end::{Bytes, Found, checked, dynamic_end, encoded, on_wire, open_on_wire};
use super::payload::Payload;
use super::sample::HeldSample;
use super::{Description, DynError, DynMessage, DynSample, ValueError};
use crate::error::Error;
use crate::layout::Pattern;
use crate::pubsub::{Publisher, PublisherId, Subscriber};
#[cfg(feature = "python")]
use crate::python;
use crate::schema::Value;
use crate::wait::Deadline;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A publisher whose layout is known at run time.
///
/// It takes values or bytes, and checks both against the layout: no subscriber can receive a message that is
/// not one. Padding becomes zeros. It is a publisher like [`Publisher`]: it takes the publisher's seat.
pub struct DynPublisher {
    pub(super) end: Sender,
    name: String,
    pub(super) payload: Arc<Payload>,
}

pub(super) enum Sender {
    Native(Box<Publisher<[u8], Bytes>>),
    #[cfg(feature = "python")]
    Python(Box<python::Publisher<[u8], Bytes>>),
}

impl DynPublisher {
    /// Opens the publisher of an existing channel, by its full name, with the layout in the segment.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such channel;
    /// [`ErrorKind::TypeMismatch`](crate::ErrorKind::TypeMismatch) if the layout was too long for the
    /// segment, or is damaged; the errors of [`Opener::publisher`](crate::Opener), such as `AlreadyPublished`.
    pub fn open(channel: &str) -> Result<Self, Error> {
        Self::on(Found::existing(channel, Pattern::PubSub)?)
    }

    /// Opens the publisher of the channel with this full name, which it creates if it does not exist. If the
    /// channel has another layout, its segment is replaced, as by a typed publisher.
    ///
    /// # Errors
    /// See [`open`](DynPublisher::open).
    pub fn create(channel: &str, declaration: &Declaration) -> Result<Self, Error> {
        Self::on(Found::declared(channel, declaration, Pattern::PubSub)?)
    }

    fn on(found: Found) -> Result<Self, Error> {
        let found = found.writable()?;
        let end = open_on_wire!(found, Sender, Publisher, 0, Duration::ZERO);
        Ok(DynPublisher { end, name: found.name, payload: found.first })
    }

    /// Returns the contents of the messages, as the segment stated them when this end was opened.
    ///
    /// # Errors
    /// [`ValueError::Unknown`] if the layout was too long for the segment, or is damaged, and on the Python wire, which
    /// does not state it.
    pub fn content(&self) -> Result<Content, ValueError> {
        self.payload.content()
    }

    /// Returns the number of subscribers that are alive; 0 on the Python wire, which does not count them.
    pub fn subscribers(&self) -> usize {
        match &self.end {
            Sender::Native(end) => end.subscribers(),
            #[cfg(feature = "python")]
            Sender::Python(_) => 0,
        }
    }

    /// Returns the identity of this publisher, as [`DynSubscriber::publisher`] returns it for its messages on a channel
    /// of several publishers; `None` on the Python wire.
    pub fn id(&self) -> Option<PublisherId> {
        match &self.end {
            Sender::Native(end) => Some(end.id()),
            #[cfg(feature = "python")]
            Sender::Python(_) => None,
        }
    }

    /// Sends a value, and waits for its subscribers if the channel says so (`overflow: Wait`).
    ///
    /// # Errors
    /// [`DynError::Encode`] if the value does not fit its field, [`DynError::TooLong`], [`DynError::Full`] if
    /// subscribers pin all slots, and the errors of [`Publisher::send`].
    pub fn send(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        self.send_raw(&bytes)
    }

    /// Sends the bytes of a message, after a check.
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a message of the channel; see [`send`](DynPublisher::send).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), DynError> {
        checked(&self.payload, bytes)?;
        self.send_raw(bytes)
    }

    fn send_raw(&mut self, bytes: &[u8]) -> Result<(), DynError> {
        match &mut self.end {
            Sender::Native(end) => Ok(end.send(bytes)?),
            #[cfg(feature = "python")]
            Sender::Python(end) => Ok(end.send_bytes(bytes)?),
        }
    }

    /// Sends a value like [`send`](DynPublisher::send), without waiting.
    ///
    /// # Errors
    /// [`DynError::Full`] if subscribers have not received what is in the slots.
    pub fn try_send(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        match &mut self.end {
            Sender::Native(end) => Ok(end.try_send(&bytes)?),
            #[cfg(feature = "python")]
            Sender::Python(end) => Ok(end.send_bytes(&bytes)?),
        }
    }

    /// Sends a value like [`send`](DynPublisher::send), waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if all slots held messages that a subscriber had not received until the time was over.
    pub fn send_timeout(&mut self, value: &Value, timeout: Duration) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        match &mut self.end {
            Sender::Native(end) => Ok(end.send_timeout(&bytes, timeout)?),
            #[cfg(feature = "python")]
            Sender::Python(end) => Ok(end.send_bytes(&bytes)?),
        }
    }

    /// Sends the bytes of a message like [`send_bytes`](DynPublisher::send_bytes), waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if all slots held messages that a subscriber had not received until the time was over; see
    /// [`send_bytes`](DynPublisher::send_bytes).
    pub fn send_bytes_timeout(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), DynError> {
        checked(&self.payload, bytes)?;
        match &mut self.end {
            Sender::Native(end) => Ok(end.send_timeout(bytes, timeout)?),
            #[cfg(feature = "python")]
            Sender::Python(end) => Ok(end.send_bytes(bytes)?),
        }
    }

    /// Sends a value like [`send`](DynPublisher::send); the task waits, not the thread.
    ///
    /// # Errors
    /// See [`send`](DynPublisher::send).
    #[cfg(feature = "async")]
    pub async fn send_async(&mut self, value: &Value) -> Result<(), DynError> {
        let bytes = encoded(&self.payload, value)?;
        match &mut self.end {
            Sender::Native(end) => Ok(end.send_async(&bytes).await?),
            #[cfg(feature = "python")]
            Sender::Python(end) => Ok(end.send_bytes(&bytes)?),
        }
    }
}

dynamic_end! {
    /// Ready when a send would not wait.
    DynPublisher, Sender
}

/// A subscriber whose layout comes from the segment. It takes a seat, as [`Subscriber`] does; an
/// [`Observer`](super::Observer) takes none.
///
/// If the publisher is restarted with another layout, receives return [`DynError::Disconnected`] and
/// [`follow_error`](DynSubscriber::follow_error) says why: open the channel again.
pub struct DynSubscriber {
    end: Receiver,
    name: String,
    payload: Arc<Payload>,
    sample: HeldSample,
}

enum Receiver {
    Native(Box<Subscriber<[u8], Bytes>>),
    #[cfg(feature = "python")]
    Python(Box<python::Subscriber<Vec<u8>, Bytes>>),
}

impl DynSubscriber {
    /// Opens a subscriber of an existing channel, by its full name. If the publisher waits for its
    /// subscribers, it waits for this one too.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such channel; `NoSeat` if all seats
    /// are taken; the errors of [`describe`](super::describe).
    pub fn open(channel: &str) -> Result<Self, Error> {
        Self::on(Found::existing(channel, Pattern::PubSub)?, 0)
    }

    /// Opens a subscriber like [`open`](DynSubscriber::open), after waiting for the channel for at most
    /// `timeout`. It receives at most `history` messages from before, if the segment still has them.
    ///
    /// # Errors
    /// See [`open`](DynSubscriber::open).
    pub fn open_timeout(channel: &str, timeout: Duration, history: usize) -> Result<Self, Error> {
        Self::on(Found::within(channel, Pattern::PubSub, timeout)?, history)
    }

    /// Opens a subscriber of a channel that was described, private or of a group, without waiting. It receives at most
    /// `history` messages from before.
    ///
    /// # Errors
    /// See [`open`](DynSubscriber::open).
    pub fn described(what: &Description, history: usize) -> Result<Self, Error> {
        Self::on(Found::described(what, Pattern::PubSub)?, history)
    }

    fn on(found: Found, history: usize) -> Result<Self, Error> {
        let end = open_on_wire!(found, Receiver, Subscriber, history as u64, Duration::from_secs(5));
        Ok(DynSubscriber { end, name: found.name, payload: found.first, sample: HeldSample::default() })
    }

    /// Returns the contents of the messages, as the segment stated them when this end was opened.
    ///
    /// # Errors
    /// [`ValueError::Unknown`] if the layout was too long for the segment, or is damaged, and on the Python wire, which
    /// does not state it.
    pub fn content(&self) -> Result<Content, ValueError> {
        self.payload.content()
    }

    /// Returns the end, for a receive that may come after a sample.
    fn prepared(&mut self) -> &mut Receiver {
        match &mut self.end {
            Receiver::Native(end) => end.take_back(),
            #[cfg(feature = "python")]
            Receiver::Python(_) => {}
        }
        &mut self.end
    }

    /// Returns the next message in place, if there is one. Never blocks. While the sample lives, all other receives
    /// of this subscriber return copies.
    ///
    /// # Errors
    /// [`DynError::SampleHeld`] if the last sample was not dropped; see [`try_recv`](DynSubscriber::try_recv).
    pub fn try_recv_sample(&mut self) -> Result<DynSample, DynError> {
        self.receive_sample(None)?.ok_or(DynError::Empty)
    }

    /// Returns the next message in place, blocking until there is one.
    ///
    /// # Errors
    /// See [`try_recv_sample`](DynSubscriber::try_recv_sample) and [`recv`](DynSubscriber::recv).
    pub fn recv_sample(&mut self) -> Result<DynSample, DynError> {
        self.receive_sample(Some(Deadline::Never))?.ok_or(DynError::Disconnected)
    }

    /// Returns the next message in place, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none came in time; see [`recv_sample`](DynSubscriber::recv_sample).
    pub fn recv_sample_timeout(&mut self, timeout: Duration) -> Result<DynSample, DynError> {
        self.receive_sample(Some(Deadline::after(timeout)))?.ok_or(DynError::Timeout)
    }

    fn receive_sample(&mut self, deadline: Option<Deadline>) -> Result<Option<DynSample>, DynError> {
        let forked = match &self.end {
            Receiver::Native(end) => end.forked(),
            #[cfg(feature = "python")]
            Receiver::Python(end) => end.forked(),
        };
        if forked {
            return Err(DynError::Forked);
        }
        self.sample.check()?;
        let bytes = match &mut self.end {
            Receiver::Native(end) => end.receive_owned(deadline)?,
            #[cfg(feature = "python")]
            Receiver::Python(end) => {
                let received = match deadline {
                    None => end.try_recv().map_err(DynError::from),
                    Some(deadline) => {
                        end.recv_timeout(deadline.left().unwrap_or_default()).map_err(DynError::from)
                    }
                };
                match received {
                    Ok(bytes) => Some(crate::pubsub::OwnedBytes::Private(bytes.into())),
                    Err(DynError::Empty | DynError::Timeout) => None,
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(bytes.map(|bytes| self.sample.sample(bytes, &self.payload)))
    }

    /// Returns the next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Empty`] if there is none; [`DynError::Lagged`], [`DynError::Disconnected`].
    pub fn try_recv(&mut self) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(self.prepared(), Receiver.try_recv()?), &self.payload))
    }

    /// Returns the next message, blocking until there is one.
    ///
    /// # Errors
    /// [`DynError::Lagged`], [`DynError::Disconnected`], [`DynError::Stopped`].
    pub fn recv(&mut self) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(self.prepared(), Receiver.recv()?), &self.payload))
    }

    /// Returns the next message, blocking for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none came in time; see [`recv`](DynSubscriber::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(self.prepared(), Receiver.recv_timeout(timeout)?), &self.payload))
    }

    /// Returns the next message, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if none came in time; see [`recv`](DynSubscriber::recv).
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(self.prepared(), Receiver.recv_deadline(deadline)?), &self.payload))
    }

    /// Returns the next message; the task waits, not the thread.
    ///
    /// # Errors
    /// See [`recv`](DynSubscriber::recv).
    #[cfg(feature = "async")]
    pub async fn recv_async(&mut self) -> Result<DynMessage, DynError> {
        Ok(DynMessage::new(on_wire!(self.prepared(), Receiver.recv_async().await?), &self.payload))
    }

    /// Returns the newest message, even if it was received before; `None` if there is none yet. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Forked`].
    pub fn latest(&mut self) -> Result<Option<DynMessage>, DynError> {
        let bytes = on_wire!(self.prepared(), Receiver.latest()?);
        Ok(bytes.map(|bytes| DynMessage::new(bytes, &self.payload)))
    }

    /// Returns the number of messages that this subscriber has received. 0 in a forked child, on a native channel.
    pub fn received(&self) -> u64 {
        on_wire!(&self.end, Receiver.received())
    }

    /// Returns the number of messages that were overwritten before this subscriber received them. 0 in a forked child, on
    /// a native channel.
    pub fn lost(&self) -> u64 {
        on_wire!(&self.end, Receiver.lost())
    }

    /// Returns the position in the segment of the message that is received next.
    pub fn position(&self) -> u64 {
        on_wire!(&self.end, Receiver.position())
    }

    /// Returns the publisher of the message that was received last, on a channel of several publishers.
    pub fn publisher(&self) -> Option<PublisherId> {
        match &self.end {
            Receiver::Native(end) => end.publisher(),
            #[cfg(feature = "python")]
            Receiver::Python(_) => None,
        }
    }

    /// Returns the reason why this subscriber has not followed to the channel's newest segment.
    pub fn follow_error(&self) -> Option<&Error> {
        on_wire!(&self.end, Receiver.follow_error())
    }
}

dynamic_end! {
    /// Ready when [`try_recv`](DynSubscriber::try_recv) has something else than [`DynError::Empty`].
    DynSubscriber, Receiver
}
