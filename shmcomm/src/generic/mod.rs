//! Generic code over ends: the traits [`Transmit`] and [`Receive`], and the conditions of their errors.
//!
//! Owns the traits and their implementations. Calls the ends of all patterns. Never does anything that an inherent
//! method of an end does not do.

mod error;

pub use error::OperationError;

use crate::codec::{Incoming, Outgoing};
use crate::pubsub::{self, Publisher, Subscriber};
use crate::pushpull::{self, Puller, Pusher};
use std::time::{Duration, Instant};

/// An end that sends messages `M` in one direction: a publisher of messages without a tail, or a pusher.
///
/// The methods are those of the end, for code that takes either. An end itself needs no import of this trait.
/// (The name `Send` belongs to std.)
///
/// ```
/// use shmcomm::{Channel, OperationError, PubSub, PushPull, Receive, Transmit};
///
/// /// Sends all messages that fit, and returns their number.
/// fn fill(end: &mut impl Transmit<u64>, messages: &[u64]) -> Result<usize, Box<dyn std::error::Error>> {
///     for (sent, message) in messages.iter().enumerate() {
///         match end.try_send(message) {
///             Err(error) if error.is_full() => return Ok(sent),
///             outcome => outcome?,
///         }
///     }
///     Ok(messages.len())
/// }
///
/// # let namespace = format!("doc-transmit-{}", std::process::id());
/// # let feed = Channel::<PubSub<u64>>::new("feed").open().namespace(&namespace);
/// # let jobs = Channel::<PushPull<u64>>::new("jobs").open().namespace(&namespace).slots(4);
/// let mut publisher = feed.clone().publisher()?;
/// let mut pusher = jobs.clone().pusher()?;
/// assert_eq!(fill(&mut publisher, &[1, 2, 3, 4, 5])?, 5);
/// assert_eq!(fill(&mut pusher, &[1, 2, 3, 4, 5])?, 4);
/// # let mut puller = jobs.puller()?;
/// # while puller.try_recv().is_ok() {}
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Transmit<M: ?Sized> {
    /// Error of [`send`](Transmit::send).
    type Error: OperationError;
    /// Error of [`try_send`](Transmit::try_send).
    type TryError: OperationError;
    /// Error of [`send_timeout`](Transmit::send_timeout) and [`send_deadline`](Transmit::send_deadline).
    type TimeoutError: OperationError;

    /// Sends a message, waiting for room if the channel waits.
    ///
    /// # Errors
    /// The errors of the end; nothing was sent then.
    fn send(&mut self, message: &M) -> Result<(), Self::Error>;

    /// Sends a message, if there is room. Never blocks.
    ///
    /// # Errors
    /// An error with [`is_full`](OperationError::is_full) if there is no room; the other errors of the end.
    fn try_send(&mut self, message: &M) -> Result<(), Self::TryError>;

    /// Sends a message, blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// An error with [`is_timeout`](OperationError::is_timeout) if there was no room; the other errors of the end.
    fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), Self::TimeoutError>;

    /// Sends a message, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// An error with [`is_timeout`](OperationError::is_timeout) if there was no room; the other errors of the end.
    fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), Self::TimeoutError>;

    /// Returns the full name of the channel, with its namespace.
    fn name(&self) -> &str;
}

/// An end that receives messages `M` by value: a subscriber or a puller.
///
/// The methods are those of the end, for code that takes either. An end itself needs no import of this trait. A
/// replier is no such end: its requests borrow it until they are answered.
///
/// ```
/// use shmcomm::{OperationError, Receive};
/// use std::time::Duration;
///
/// /// Adds up what comes within a second without a message.
/// fn sum(end: &mut impl Receive<u64>) -> Result<u64, Box<dyn std::error::Error>> {
///     let mut sum = 0;
///     loop {
///         match end.recv_timeout(Duration::from_secs(1)) {
///             Ok(number) => sum += number,
///             Err(error) if error.is_timeout() || error.is_disconnected() => return Ok(sum),
///             Err(error) => return Err(error.into()),
///         }
///     }
/// }
/// # use shmcomm::{Channel, PushPull};
/// # let namespace = format!("doc-receive-{}", std::process::id());
/// # let jobs = Channel::<PushPull<u64>>::new("jobs").open().namespace(&namespace);
/// # let (mut pusher, mut puller) = (jobs.clone().pusher()?, jobs.puller()?);
/// # for number in 1..=3 { pusher.send(&number)?; }
/// assert_eq!(sum(&mut puller)?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Receive<M> {
    /// Error of [`recv`](Receive::recv).
    type Error: OperationError;
    /// Error of [`try_recv`](Receive::try_recv).
    type TryError: OperationError;
    /// Error of [`recv_timeout`](Receive::recv_timeout) and [`recv_deadline`](Receive::recv_deadline).
    type TimeoutError: OperationError;

    /// Returns the next message, blocking until there is one.
    ///
    /// # Errors
    /// The errors of the end.
    fn recv(&mut self) -> Result<M, Self::Error>;

    /// Returns the next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// An error with [`is_empty`](OperationError::is_empty) if there is none; the other errors of the end.
    fn try_recv(&mut self) -> Result<M, Self::TryError>;

    /// Returns the next message, blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// An error with [`is_timeout`](OperationError::is_timeout) if none came in time; the other errors of the end.
    fn recv_timeout(&mut self, timeout: Duration) -> Result<M, Self::TimeoutError>;

    /// Returns the next message, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// An error with [`is_timeout`](OperationError::is_timeout) if none came in time; the other errors of the end.
    fn recv_deadline(&mut self, deadline: Instant) -> Result<M, Self::TimeoutError>;

    /// Returns the full name of the channel, with its namespace.
    fn name(&self) -> &str;
}

macro_rules! transmit {
    ($(#[$cfg:meta])? [$($generics:tt)*] $M:ty, $end:ty, $Error:ty, $Try:ty, $Timeout:ty) => {
        $(#[$cfg])?
        impl<$($generics)*> Transmit<$M> for $end {
            type Error = $Error;
            type TryError = $Try;
            type TimeoutError = $Timeout;

            #[inline]
            fn send(&mut self, message: &$M) -> Result<(), Self::Error> {
                <$end>::send(self, message)
            }

            #[inline]
            fn try_send(&mut self, message: &$M) -> Result<(), Self::TryError> {
                <$end>::try_send(self, message)
            }

            fn send_timeout(&mut self, message: &$M, timeout: Duration) -> Result<(), Self::TimeoutError> {
                <$end>::send_timeout(self, message, timeout)
            }

            fn send_deadline(&mut self, message: &$M, deadline: Instant) -> Result<(), Self::TimeoutError> {
                <$end>::send_deadline(self, message, deadline)
            }

            fn name(&self) -> &str {
                <$end>::name(self)
            }
        }
    };
}

macro_rules! receive {
    ($(#[$cfg:meta])? [$($generics:tt)*] $M:ty, $end:ty, $Error:ty, $Try:ty, $Timeout:ty) => {
        $(#[$cfg])?
        impl<$($generics)*> Receive<$M> for $end {
            type Error = $Error;
            type TryError = $Try;
            type TimeoutError = $Timeout;

            fn recv(&mut self) -> Result<$M, Self::Error> {
                <$end>::recv(self)
            }

            #[inline]
            fn try_recv(&mut self) -> Result<$M, Self::TryError> {
                <$end>::try_recv(self)
            }

            fn recv_timeout(&mut self, timeout: Duration) -> Result<$M, Self::TimeoutError> {
                <$end>::recv_timeout(self, timeout)
            }

            fn recv_deadline(&mut self, deadline: Instant) -> Result<$M, Self::TimeoutError> {
                <$end>::recv_deadline(self, deadline)
            }

            fn name(&self) -> &str {
                <$end>::name(self)
            }
        }
    };
}

transmit!([M: ?Sized, F: Outgoing<M>] M, Publisher<M, F>, pubsub::SendError, pubsub::TrySendError, pubsub::SendTimeoutError);
transmit!([M: ?Sized, F: Outgoing<M>] M, Pusher<M, F>, pushpull::PushError, pushpull::TryPushError, pushpull::PushTimeoutError);
receive!([M: ?Sized, F: Incoming<M>] F::Owned, Subscriber<M, F>, pubsub::RecvError, pubsub::TryRecvError, pubsub::RecvTimeoutError);
receive!([M: ?Sized, F: Incoming<M>] F::Owned, Puller<M, F>, pushpull::PullError, pushpull::TryPullError, pushpull::PullTimeoutError);

#[cfg(feature = "python")]
mod wire {
    use super::{Duration, Instant, Receive, Transmit};
    use crate::python::{
        Format, Incoming, Outgoing, Puller, Pusher, RecvError, RecvTimeoutError, SendError, SendTimeoutError,
        Subscriber, TryRecvError, TrySendError,
    };

    transmit!([M: ?Sized, F: Format + Outgoing<M>] M, Pusher<M, F>, SendError, TrySendError, SendTimeoutError);
    receive!([M, F: Format + Incoming<M>] M, Subscriber<M, F>, RecvError, TryRecvError, RecvTimeoutError);
    receive!([M, F: Format + Incoming<M>] M, Puller<M, F>, RecvError, TryRecvError, RecvTimeoutError);
}
