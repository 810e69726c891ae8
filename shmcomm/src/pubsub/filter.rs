//! [`Filter`]: a subscriber that receives only the messages that a condition accepts.
//!
//! Owns the loop that tests messages and skips the unwanted ones, a fixed layout in its slot. Calls `raw_subscriber`.

use super::subscriber::messages;
use super::{Fixed, RecvError, RecvTimeoutError, Subscriber, TryRecvError};
use crate::codec::Incoming;
use crate::wait::Deadline;
use core::fmt;
use std::time::{Duration, Instant};

/// Number of unwanted messages skipped between two reads of the clock: less than a microsecond of them.
const CHECK_EVERY: u64 = 64;

/// The messages that a condition accepts: see [`Subscriber::filter`].
pub struct Filter<'s, M: ?Sized, P, F: ?Sized = Fixed> {
    subscriber: &'s mut Subscriber<M, F>,
    accept: P,
}

impl<M: ?Sized, F: Incoming<M>> Subscriber<M, F> {
    /// Receives only messages that `accept` accepts. The other messages count as received.
    ///
    /// The condition reads a message of a fixed layout in its slot; messages of up to 512 bytes are copied first,
    /// because that is faster. A codec decodes each message before the condition reads it.
    /// Accepted messages are returned by value: a large message of a fixed layout takes its size of stack, in
    /// contrast to [`recv_ref`](Subscriber::recv_ref).
    ///
    /// ```
    /// # use shmcomm::{Channel, PubSub};
    /// # let name = format!("doc-filter-{}", std::process::id());
    /// # let readings = Channel::<PubSub<[f32; 4]>>::try_new(name)?;
    /// let mut publisher = readings.clone().publisher()?;
    /// let mut subscriber = readings.subscriber()?;
    /// publisher.send(&[20.0; 4])?;
    /// publisher.send(&[90.0; 4])?;
    /// let mut hot = subscriber.filter(|reading| reading[0] > 80.0);
    /// assert_eq!(hot.recv()?, [90.0; 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter<P: FnMut(&M) -> bool>(&mut self, accept: P) -> Filter<'_, M, P, F> {
        Filter { subscriber: self, accept }
    }
}

impl<M: ?Sized, P: FnMut(&M) -> bool, F: Incoming<M>> Filter<'_, M, P, F> {
    /// Receives like [`Subscriber::try_recv`]. Skips at most one lap of unwanted messages.
    pub fn try_recv(&mut self) -> Result<F::Owned, TryRecvError> {
        self.find(None)?.ok_or(TryRecvError::Empty)
    }

    /// Receives like [`Subscriber::recv`].
    pub fn recv(&mut self) -> Result<F::Owned, RecvError> {
        // `Deadline::Never` cannot have passed.
        self.find(Some(Deadline::Never))?.ok_or(RecvError::Disconnected)
    }

    /// Receives like [`Subscriber::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<F::Owned, RecvTimeoutError> {
        self.find(Some(Deadline::after(timeout)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// Receives like [`Subscriber::recv_deadline`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<F::Owned, RecvTimeoutError> {
        self.find(Some(Deadline::At(deadline)))?.ok_or(RecvTimeoutError::Timeout)
    }

    fn find(&mut self, deadline: Option<Deadline>) -> Result<Option<F::Owned>, RecvError> {
        let raw = self.subscriber.raw();
        let lap = raw.attachment().geometry().slots;
        for passed in 1.. {
            let Some((received, refusal)) = raw.receive(deadline)? else { return Ok(None) };
            match F::select(received.bytes, &mut self.accept) {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(why) => return Err(refusal.count(why)),
            }
            let over = match deadline {
                None => passed >= lap,
                Some(Deadline::Never) => false,
                Some(deadline) => passed.is_multiple_of(CHECK_EVERY) && deadline.has_passed(),
            };
            if over {
                break;
            }
        }
        Ok(None)
    }
}

/// Blocks for each message, like [`Subscriber::iter`].
impl<M: ?Sized, P: FnMut(&M) -> bool, F: Incoming<M>> Iterator for Filter<'_, M, P, F> {
    type Item = F::Owned;

    fn next(&mut self) -> Option<F::Owned> {
        messages(|| self.recv())
    }
}

impl<M: ?Sized, P, F: ?Sized> fmt::Debug for Filter<'_, M, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("channel", &self.subscriber.name()).finish_non_exhaustive()
    }
}
