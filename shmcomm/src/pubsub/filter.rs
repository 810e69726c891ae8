//! [`Filter`]: only the messages that somebody wants.
//!
//! Owns the loop that looks at messages where they lie and goes on. Calls `source`.

use super::sample::Sample;
use super::{RecvError, RecvTimeoutError, Subscriber, TryRecvError};
use crate::message::ShmMessage;
use crate::wait::Deadline;
use core::fmt;
use std::time::{Duration, Instant};

/// So many unwanted messages are passed between two looks at the clock: less than a microsecond of them.
const GLANCE: u64 = 64;

/// The messages that a condition accepts: see [`Subscriber::filter`].
pub struct Filter<'s, M, P> {
    subscriber: &'s mut Subscriber<M>,
    accept: P,
}

impl<M: ShmMessage> Subscriber<M> {
    /// Receives only messages that `accept` accepts. The others are looked at in place, never copied out of
    /// their slots (small ones, up to 4 KiB, are copied to be looked at: that is faster there), and count as
    /// received.
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
    pub fn filter<P: FnMut(&M) -> bool>(&mut self, accept: P) -> Filter<'_, M, P> {
        Filter { subscriber: self, accept }
    }
}

impl<M: ShmMessage + Copy, P: FnMut(&M) -> bool> Filter<'_, M, P> {
    /// As [`Subscriber::try_recv`]. Passes over one lap of unwanted messages at most.
    pub fn try_recv(&mut self) -> Result<M, TryRecvError> {
        self.find(None)?.ok_or(TryRecvError::Empty)
    }

    /// As [`Subscriber::recv`].
    pub fn recv(&mut self) -> Result<M, RecvError> {
        // A deadline that never comes cannot have passed.
        self.find(Some(Deadline::Never))?.ok_or(RecvError::Disconnected)
    }

    /// As [`Subscriber::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.find(Some(Deadline::after(timeout)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// As [`Subscriber::recv_deadline`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<M, RecvTimeoutError> {
        self.find(Some(Deadline::At(deadline)))?.ok_or(RecvTimeoutError::Timeout)
    }

    fn find(&mut self, deadline: Option<Deadline>) -> Result<Option<M>, RecvError> {
        let source = self.subscriber.source();
        let lap = source.attachment().geometry().slots;
        for passed in 1.. {
            let Some((held, refusals)) = source.hold(deadline)? else { return Ok(None) };
            match Sample::new(held) {
                Ok(sample) if (self.accept)(&sample) => return Ok(Some(*sample)),
                Ok(_unwanted) => {}
                Err(why) => return Err(refusals.count(why)),
            }
            let over = match deadline {
                None => passed >= lap,
                Some(Deadline::Never) => false,
                Some(deadline) => passed.is_multiple_of(GLANCE) && deadline.has_passed(),
            };
            if over {
                break;
            }
        }
        Ok(None)
    }
}

/// Blocks for each, like [`Subscriber::iter`].
impl<M: ShmMessage + Copy, P: FnMut(&M) -> bool> Iterator for Filter<'_, M, P> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        loop {
            match self.recv() {
                Ok(message) => return Some(message),
                Err(RecvError::Lagged(_) | RecvError::Invalid(_) | RecvError::Missed { .. }) => {}
                Err(RecvError::Disconnected | RecvError::Forked) => return None,
            }
        }
    }
}

impl<M, P> fmt::Debug for Filter<'_, M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("channel", &self.subscriber.name()).finish_non_exhaustive()
    }
}
