//! [`Subscriber`]: a receiving end.
//!
//! Owns the four ways to receive, by value and in place, and what they answer. What does not depend
//! on the type of the messages is in `source`. Never touches a slot itself.

use super::sample::{Sample, TailSample};
use super::source::{Glimpse, Source};
use super::{Fixed, PublisherId, RecvError, RecvTimeoutError, TryRecvError};
use crate::error::Error;
use crate::message::in_place::Landing;
use crate::message::{self, Invalid, ShmMessage};
use crate::segment::Spec;
use crate::stats::{self, Stats};
use crate::wait::Deadline;
use crate::waitset::{Waitable, Watchable, Watched};
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// A receiving end of a publish/subscribe channel. Any number may be open; each gets every message.
///
/// A subscriber that falls more than `slots` messages behind loses the oldest (unless the publisher
/// [waits](crate::Overflow::Wait) for it): the next receive answers `Lagged(n)` with the exact number, then goes on with the oldest message that is safely
/// there. It never sees a message torn, twice or out of order.
///
/// Receiving comes in four ways, [by value](Subscriber::recv) and [in place](Subscriber::recv_ref):
///
/// | | nothing there |
/// |---|---|
/// | `try_recv` | answers `Empty` at once |
/// | `recv` | blocks |
/// | `recv_timeout`, `recv_deadline` | block until then, and answer `Timeout` |
///
/// Blocking means a few microseconds of looking, then sleep in the kernel until a message is sent.
/// A message that is there beats a deadline that has passed.
///
/// One that [expects](crate::Opener::expect_every) a message in every period is told `Missed` when a period
/// passes without one, by all of these, once a period.
///
/// **If the publisher dies or leaves** (on a channel of several, the last one), what is in the segment can still be received; then receives
/// answer `Disconnected` (blocking ones within 50 ms of a crash, `try_recv` within 256 calls). When a
/// publisher comes back, receives go on with its messages by themselves, even if it had to replace
/// the segment: `Disconnected` means "nobody there now". To wait for that, use
/// [`wait_for_publisher`](Subscriber::wait_for_publisher).
pub struct Subscriber<M: ?Sized, F: ?Sized = Fixed> {
    source: Source,
    _messages: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized> Subscriber<M, F> {
    /// Finds the channel's segment, waiting for it and for a publisher for at most the connect
    /// timeout.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Subscriber { source: Source::open(spec)?, _messages: PhantomData })
    }

    pub(super) fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    /// The full name of the channel, namespace included.
    pub fn name(&self) -> &str {
        self.source.attachment().channel()
    }

    /// Counts of the channel, and one entry for each participant.
    pub fn stats(&self) -> Stats {
        stats::read(self.source.attachment())
    }

    /// Messages that this subscriber has received, from all segments it followed.
    pub fn received(&self) -> u64 {
        self.source.counts().received
    }

    /// Messages that were overwritten before this subscriber received them.
    pub fn lost(&self) -> u64 {
        self.source.counts().lost
    }

    /// Messages that [`latest`](Subscriber::latest) passed over.
    pub fn skipped(&self) -> u64 {
        self.source.counts().skipped
    }

    /// Who sent the message that this subscriber received last, on a channel of several `publishers`; `None`
    /// before the first one, and where one publishes at a time, whose messages do not say.
    pub fn publisher(&self) -> Option<PublisherId> {
        self.source.publisher()
    }

    /// How many messages are waiting to be received. (Positions without a message, which a crashed
    /// or hindered publisher leaves, count too.)
    pub fn lag(&self) -> u64 {
        self.source.lag()
    }

    /// Whether a publisher is alive now. Asks the kernel: about half a microsecond.
    pub fn is_connected(&self) -> bool {
        self.source.publisher_alive()
    }

    /// Waits until a publisher is alive, and says whether one is. Follows it if it replaced the
    /// segment. Looks every few milliseconds, for at most `timeout`; zero looks once.
    pub fn wait_for_publisher(&mut self, timeout: Duration) -> bool {
        self.source.wait_for_publisher(Deadline::after(timeout))
    }
}

impl<M: ShmMessage> Subscriber<M> {
    /// The next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none; else see [`TryRecvError`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<M, TryRecvError> {
        match self.take() {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(TryRecvError::Empty),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message; blocks until there is one.
    ///
    /// # Errors
    /// See [`RecvError`]; [`RecvError::Disconnected`] if there is neither a message nor a publisher.
    pub fn recv(&mut self) -> Result<M, RecvError> {
        match self.recv_until(Deadline::Never)? {
            Some(message) => Ok(message),
            // A deadline that never comes cannot have passed.
            None => Err(RecvError::Disconnected),
        }
    }

    /// The next message; blocks for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<M, RecvTimeoutError> {
        self.recv_until(Deadline::after(timeout))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// The next message; blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<M, RecvTimeoutError> {
        self.recv_until(Deadline::At(deadline))?.ok_or(RecvTimeoutError::Timeout)
    }

    fn recv_until(&mut self, deadline: Deadline) -> Result<Option<M>, RecvError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if !self.source.wait(deadline)? {
                return Ok(None);
            }
        }
    }

    /// The next message, if there is one.
    //
    // In line only what happens almost always: the message then need not be in memory.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Result<Option<M>, RecvError> {
        let mut landing = Landing::<M>::new();
        match self.source.glance(landing.bytes()) {
            Glimpse::Message(bytes) => match message::read(bytes) {
                Ok(message) => Ok(Some(message)),
                Err(why) => Err(self.source.refuse(why)),
            },
            Glimpse::Nothing => Ok(None),
            Glimpse::Otherwise => self.take_otherwise(),
        }
    }

    #[inline(never)]
    fn take_otherwise(&mut self) -> Result<Option<M>, RecvError> {
        let mut landing = Landing::<M>::new();
        let Some((bytes, len)) = self.source.read(landing.bytes())? else { return Ok(None) };
        let message =
            if len == size_of::<M>() { message::read(bytes) } else { Err(Invalid::length::<M>(len)) };
        message.map(Some).map_err(|why| self.source.refuse(why))
    }

    /// The newest message, received before or not; `None` if there is none yet. Never blocks.
    ///
    /// What lies between the last message received and this one is passed over: it counts as
    /// [`skipped`](Subscriber::skipped), not as lost, and later receives go on behind the newest. A publisher
    /// that waits need not wait for what was passed over.
    ///
    /// # Errors
    /// [`RecvError::Invalid`] if its bytes are no valid value, [`RecvError::Forked`].
    #[inline]
    pub fn latest(&mut self) -> Result<Option<M>, RecvError>
    where
        M: Copy,
    {
        Ok(self.latest_ref()?.map(|sample| *sample))
    }

    /// Like [`latest`](Subscriber::latest), in place: large messages are not copied.
    ///
    /// # Errors
    /// As [`latest`](Subscriber::latest).
    #[inline]
    pub fn latest_ref(&mut self) -> Result<Option<Sample<'_, M>>, RecvError> {
        let Some((held, refusals)) = self.source.hold_latest()? else { return Ok(None) };
        Sample::new(held).map(Some).map_err(|why| refusals.count(why))
    }

    /// Like [`try_recv`](Subscriber::try_recv), in place: large messages are not copied.
    ///
    /// Meant to be called in a loop, too: the fourth call in a row that finds nothing marks the slot of the next
    /// large message. A subscriber that stops looking after that is to its publisher as one that keeps a
    /// [`Sample`]: it costs it one slot, until it looks again.
    #[inline(always)]
    pub fn try_recv_ref(&mut self) -> Result<Sample<'_, M>, TryRecvError> {
        self.ref_until(None)?.ok_or(TryRecvError::Empty)
    }

    /// Like [`recv`](Subscriber::recv), in place: large messages are not copied.
    pub fn recv_ref(&mut self) -> Result<Sample<'_, M>, RecvError> {
        self.ref_until(Some(Deadline::Never))?.ok_or(RecvError::Disconnected)
    }

    /// Like [`recv_timeout`](Subscriber::recv_timeout), in place: large messages are not copied.
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Sample<'_, M>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::after(timeout)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// Like [`recv_deadline`](Subscriber::recv_deadline), in place: large messages are not copied.
    pub fn recv_ref_deadline(&mut self, deadline: Instant) -> Result<Sample<'_, M>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::At(deadline)))?.ok_or(RecvTimeoutError::Timeout)
    }

    #[inline(always)]
    fn ref_until(&mut self, deadline: Option<Deadline>) -> Result<Option<Sample<'_, M>>, RecvError> {
        let Some((held, refusals)) = self.source.hold(deadline)? else { return Ok(None) };
        Sample::new(held).map(Some).map_err(|why| refusals.count(why))
    }

    /// Receives message after message, blocking; ends when no publisher is alive and nothing is
    /// left. Losses, refused and missed messages are passed over: see [`lost`](Subscriber::lost).
    pub fn iter(&mut self) -> Iter<'_, M> {
        Iter { subscriber: self }
    }
}

impl<H: ShmMessage, T: ShmMessage> Subscriber<H, [T]> {
    /// The next message in place, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none; else see [`TryRecvError`].
    #[inline(always)]
    pub fn try_recv_ref(&mut self) -> Result<TailSample<'_, H, T>, TryRecvError> {
        self.ref_until(None)?.ok_or(TryRecvError::Empty)
    }

    /// The next message in place; blocks until there is one.
    ///
    /// # Errors
    /// See [`RecvError`].
    pub fn recv_ref(&mut self) -> Result<TailSample<'_, H, T>, RecvError> {
        self.ref_until(Some(Deadline::Never))?.ok_or(RecvError::Disconnected)
    }

    /// The next message in place; blocks for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<TailSample<'_, H, T>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::after(timeout)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// The next message in place; blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came; else see [`RecvTimeoutError`].
    pub fn recv_ref_deadline(&mut self, deadline: Instant) -> Result<TailSample<'_, H, T>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::At(deadline)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// The newest message in place, received before or not; `None` if there is none yet. Never
    /// blocks. What it passes over counts as [`skipped`](Subscriber::skipped).
    ///
    /// # Errors
    /// [`RecvError::Invalid`] if its bytes are no valid value, [`RecvError::Forked`].
    #[inline]
    pub fn latest_ref(&mut self) -> Result<Option<TailSample<'_, H, T>>, RecvError> {
        let Some((held, refusals)) = self.source.hold_latest()? else { return Ok(None) };
        TailSample::new(held).map(Some).map_err(|why| refusals.count(why))
    }

    #[inline(always)]
    fn ref_until(&mut self, deadline: Option<Deadline>) -> Result<Option<TailSample<'_, H, T>>, RecvError> {
        let Some((held, refusals)) = self.source.hold(deadline)? else { return Ok(None) };
        TailSample::new(held).map(Some).map_err(|why| refusals.count(why))
    }
}

/// Message after message: see [`Subscriber::iter`].
pub struct Iter<'s, M> {
    subscriber: &'s mut Subscriber<M>,
}

impl<M: ShmMessage> Iterator for Iter<'_, M> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        loop {
            match self.subscriber.recv() {
                Ok(message) => return Some(message),
                Err(RecvError::Lagged(_) | RecvError::Invalid(_) | RecvError::Missed { .. }) => {}
                Err(RecvError::Disconnected | RecvError::Forked) => return None,
            }
        }
    }
}

/// Ready when a receive would answer something other than `Empty`: a message, a loss, that the publisher
/// has gone (until a receive has said so), that this is the child of a fork.
impl<M: ?Sized, F: ?Sized> Waitable for Subscriber<M, F> {}

impl<M: ?Sized, F: ?Sized> Watchable for Subscriber<M, F> {
    fn watch(&self) -> Result<Watched, Error> {
        Ok(Watched::from(self.source.watched()?.clone()))
    }
}
