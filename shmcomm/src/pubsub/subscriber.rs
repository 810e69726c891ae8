//! [`Subscriber`]: a receiving end.
//!
//! Owns the four ways to receive, by value and in place, and their results. The part that does not depend on
//! the message type is in `raw_subscriber`, and the format reads the message. Never touches a slot itself.

use super::raw_subscriber::{RawSubscriber, Refusal};
use super::sample::{Received, Sample, TailSample};
use super::{Fixed, PublisherId, RecvError, RecvTimeoutError, TryRecvError};
use crate::codec::{Incoming, Room};
use crate::error::Error;
use crate::layout::seat;
use crate::message::ShmMessage;
use crate::ring::FastPath;
use crate::ring::Storage;
use crate::schema::Resolution;
use crate::segment::Spec;
use crate::stats::{self, Stats};
use crate::wait::{Deadline, StopHandle};
use crate::waitset::{Waitable, Watchable, Watched};
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// A receiving end of a publish/subscribe channel. Any number of subscribers may be open; each receives every
/// message.
///
/// A subscriber that falls more than `slots` messages behind loses the oldest, unless the publisher
/// [waits](crate::Overflow::Wait) for it. The next receive returns `Lagged(n)` with the exact number. Later
/// receives continue with the oldest message that is still intact. A subscriber never receives a message
/// torn, twice or out of order.
///
/// Receiving comes in four ways, [by value](Subscriber::recv) and [in place](Subscriber::recv_ref):
///
/// | | nothing there |
/// |---|---|
/// | `try_recv` | answers `Empty` at once |
/// | `recv` | blocks |
/// | `recv_timeout`, `recv_deadline` | block until then, and answer `Timeout` |
///
/// A blocking call polls for a few microseconds and then sleeps in the kernel until a message is sent. An
/// available message is returned even if the deadline has passed. A [`StopHandle`] ends all blocking calls,
/// with `Stopped`.
///
/// A subscriber can [expect](crate::Opener::expect_every) a message in every period. Then each of these calls
/// returns `Missed` when a period passes without a message, once per period.
///
/// **If the publisher dies or leaves** (on a channel of several, the last one), the messages in the segment
/// can still be received. Then receives return `Disconnected`: blocking calls within 50 ms of a crash,
/// `try_recv` within 20 ms or 64 calls, whichever is later. When a publisher opens the channel again, receives
/// return its messages, even if it had to replace the segment. `Disconnected` means that no publisher is alive
/// now. To wait for a publisher, use [`wait_for_publisher`](Subscriber::wait_for_publisher).
pub struct Subscriber<M: ?Sized, F: ?Sized = Fixed> {
    raw: RawSubscriber,
    _messages: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized> Subscriber<M, F> {
    /// Finds the channel's segment, waiting for it and for a publisher for at most the connect
    /// timeout.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Subscriber { raw: RawSubscriber::open(spec)?, _messages: PhantomData })
    }

    pub(super) fn raw(&mut self) -> &mut RawSubscriber {
        &mut self.raw
    }

    /// Returns `true` in the child of a fork.
    pub(crate) fn forked(&self) -> bool {
        self.raw.attachment.forked()
    }

    /// Returns the full name of the channel, with its namespace.
    pub fn name(&self) -> &str {
        self.raw.attachment().channel()
    }

    /// Returns the counts of the channel and one entry per participant.
    pub fn stats(&self) -> Stats {
        stats::read(self.raw.attachment())
    }

    /// Returns the number of messages that this subscriber has received, from all segments that it followed; 0 in a
    /// forked child.
    pub fn received(&self) -> u64 {
        self.raw.counted(seat::MESSAGES)
    }

    /// Returns the number of messages that were overwritten before this subscriber received them; 0 in a forked child.
    pub fn lost(&self) -> u64 {
        self.raw.counted(seat::LOST)
    }

    /// Returns the position in the segment of the message that is received next.
    pub(crate) fn position(&self) -> u64 {
        self.raw.reader.position()
    }

    /// Returns the number of messages that [`latest`](Subscriber::latest) skipped; 0 in a forked child.
    pub fn skipped(&self) -> u64 {
        self.raw.counted(seat::SKIPPED)
    }

    /// Returns the publisher of the message that this subscriber received last, on a channel of several
    /// `publishers`. Returns `None` before the first message, and on a channel of one publisher, whose
    /// messages do not name it.
    pub fn publisher(&self) -> Option<PublisherId> {
        self.raw.publisher()
    }

    /// Returns the number of messages that wait for this subscriber. (Positions without a message count too;
    /// a crashed or hindered publisher leaves them.)
    pub fn lag(&self) -> u64 {
        self.raw.lag()
    }

    /// Returns the reason why this subscriber has not re-attached to the channel's newest segment, if it
    /// could not. Usually it is [`TypeMismatch`](crate::ErrorKind::TypeMismatch), with the first field that
    /// differs, because a publisher was restarted with another declaration.
    ///
    /// The reason dates from the last receive that returned `Disconnected`, or the last
    /// [`wait_for_publisher`](Subscriber::wait_for_publisher) that returned `false`. It is also logged as a
    /// warning, once for each such segment. Returns `None` if there is no other segment. Never blocks.
    pub fn follow_error(&self) -> Option<&Error> {
        self.raw.follow_error()
    }

    /// Returns what this subscriber does with the fields of a publisher whose layout is not its own: see
    /// `docs/evolution.md`. All lists are empty if the layouts are equal. A subscriber that follows to another segment
    /// resolves its layout again.
    pub fn resolution(&self) -> &Resolution {
        self.raw.resolution()
    }

    /// Returns `true` if a publisher is alive now. Asks the kernel: about half a microsecond.
    pub fn is_connected(&self) -> bool {
        self.raw.publisher_alive()
    }

    /// Returns the handle that stops the blocking calls of this subscriber from another thread or from a
    /// signal handler.
    ///
    /// If the subscriber was [opened with](crate::Opener::stop) a handle, this is that handle.
    pub fn stop_handle(&self) -> StopHandle {
        self.raw.stop().handle()
    }

    /// Waits until a publisher is alive, and returns `true` if one is. Follows the publisher if it replaced
    /// the segment. Checks every 2 ms, for at most `timeout`; a timeout of zero checks once. Returns `false`
    /// also if the subscriber is [stopped](StopHandle).
    pub fn wait_for_publisher(&mut self, timeout: Duration) -> bool {
        self.raw.wait_for_publisher(Deadline::after(timeout))
    }
}

impl<M: ?Sized, F: Incoming<M>> Subscriber<M, F> {
    /// Returns the next message, if there is one. Never blocks.
    ///
    /// A large message of a fixed layout takes its size of stack, in a debug build several times.
    /// [`try_recv_ref`](Subscriber::try_recv_ref) takes none.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none, [`TryRecvError::Invalid`] if its bytes are no `M`. For the
    /// other errors see [`TryRecvError`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<F::Owned, TryRecvError> {
        match self.take() {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(TryRecvError::Empty),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the next message, blocking until there is one.
    ///
    /// A large message of a fixed layout takes its size of stack, in a debug build several times.
    /// [`recv_ref`](Subscriber::recv_ref) takes none.
    ///
    /// # Errors
    /// See [`RecvError`]; [`RecvError::Disconnected`] if there is neither a message nor a publisher.
    pub fn recv(&mut self) -> Result<F::Owned, RecvError> {
        // `Deadline::Never` cannot have passed.
        self.recv_until(Deadline::Never)?.ok_or(RecvError::Disconnected)
    }

    /// Returns the next message, blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// The message is returned by value: a large one of a fixed layout takes its size of stack.
    /// [`recv_ref_timeout`](Subscriber::recv_ref_timeout) takes none.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came in time; for the other errors see [`RecvTimeoutError`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<F::Owned, RecvTimeoutError> {
        self.recv_until(Deadline::after(timeout))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// Returns the next message, blocking until `deadline` at the latest.
    ///
    /// The message is returned by value: a large one of a fixed layout takes its size of stack.
    /// [`recv_ref_deadline`](Subscriber::recv_ref_deadline) takes none.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came in time; for the other errors see [`RecvTimeoutError`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<F::Owned, RecvTimeoutError> {
        self.recv_until(Deadline::At(deadline))?.ok_or(RecvTimeoutError::Timeout)
    }

    fn recv_until(&mut self, deadline: Deadline) -> Result<Option<F::Owned>, RecvError> {
        loop {
            self.raw.stop().check()?;
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if !self.raw.wait(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Takes the next message, if there is one.
    //
    // Only the fast path of a fixed layout is inlined, so that the message need not be in memory.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Result<Option<F::Owned>, RecvError> {
        let mut room = F::Room::new();
        let Some(room) = room.bytes() else { return self.take_encoded() };
        match self.raw.receive_fast(room) {
            FastPath::Ready(bytes) => {
                let len = bytes.len();
                match F::read_private(bytes, len) {
                    Ok(message) => Ok(Some(message)),
                    Err(why) => Err(self.raw.refuse(len, why)),
                }
            }
            FastPath::Empty => Ok(None),
            FastPath::Slow => {
                // A variable of its own: a call that returned the message to where the fast path leaves it
                // would force that path to leave it in memory.
                let mut message = None;
                self.take_slow(&mut message)?;
                Ok(message)
            }
        }
    }

    #[inline(never)]
    fn take_slow(&mut self, message: &mut Option<F::Owned>) -> Result<(), RecvError> {
        let mut room = F::Room::new();
        let (false, Some(room)) = (self.raw.converts(), room.bytes()) else {
            *message = self.take_encoded()?;
            return Ok(());
        };
        let Some((bytes, len)) = self.raw.read(room)? else { return Ok(()) };
        *message = Some(F::read_private(bytes, len).map_err(|why| self.raw.refuse(len, why))?);
        Ok(())
    }

    fn take_encoded(&mut self) -> Result<Option<F::Owned>, RecvError> {
        let Some((received, refusal)) = self.raw.receive(None)? else { return Ok(None) };
        read::<M, F>(received, refusal).map(Some)
    }

    /// Returns the newest message, even if it was received before, or `None` if there is none yet. Never
    /// blocks.
    ///
    /// The message is returned by value: a large one of a fixed layout takes its size of stack.
    /// [`latest_ref`](Subscriber::latest_ref) takes none.
    ///
    /// The messages between the last received message and the newest are skipped. They count as
    /// [`skipped`](Subscriber::skipped), not as lost, and later receives continue behind the newest. A
    /// publisher with `overflow: Wait` does not wait for skipped messages.
    ///
    /// # Errors
    /// [`RecvError::Invalid`] if its bytes are no valid value, [`RecvError::Forked`].
    #[inline]
    pub fn latest(&mut self) -> Result<Option<F::Owned>, RecvError> {
        let Some((received, refusal)) = self.raw.receive_latest()? else { return Ok(None) };
        read::<M, F>(received, refusal).map(Some)
    }

    /// Receives messages one after the other, blocking. The iterator ends when no publisher is alive and no
    /// message is left, or when the subscriber is [stopped](StopHandle). Losses, refused messages and missed
    /// periods do not end it: see [`lost`](Subscriber::lost).
    ///
    /// The message is returned by value: a large one of a fixed layout takes its size of stack.
    /// [`recv_ref`](Subscriber::recv_ref) takes none.
    pub fn iter(&mut self) -> Iter<'_, M, F> {
        Iter { subscriber: self }
    }
}

/// Reads a message out of the slot or the buffer that it was received in.
#[inline]
fn read<M: ?Sized, F: Incoming<M>>(
    received: Received<'_>,
    refusal: Refusal<'_>,
) -> Result<F::Owned, RecvError> {
    let message = match received.bytes {
        Storage::Private(bytes) => F::read_private(bytes, bytes.len()),
        Storage::Slot(slot) => F::take(slot),
    };
    message.map_err(|why| refusal.count(why))
}

impl<M: ShmMessage> Subscriber<M> {
    /// Receives like [`latest`](Subscriber::latest), in place: large messages are not copied.
    ///
    /// # Errors
    /// See [`latest`](Subscriber::latest).
    #[inline]
    pub fn latest_ref(&mut self) -> Result<Option<Sample<'_, M>>, RecvError> {
        if self.raw.converts() {
            self.raw.check_in_place("latest")?;
            let Some(acquired) = self.raw.acquire_latest()? else { return Ok(None) };
            let (received, refusal) = self.raw.get(acquired);
            return Sample::prefix(received).map(Some).map_err(|why| refusal.count(why));
        }
        let Some((received, refusal)) = self.raw.receive_latest()? else { return Ok(None) };
        Sample::new(received).map(Some).map_err(|why| refusal.count(why))
    }

    /// Receives like [`try_recv`](Subscriber::try_recv), in place: large messages are not copied.
    ///
    /// It is also meant for polling in a loop: the fourth consecutive call that finds no message pins the
    /// slot of the next large message. If the subscriber stops polling after that, the pin costs the
    /// publisher one slot until the subscriber polls again.
    /// A received [`Sample`] has the same cost.
    #[inline(always)]
    pub fn try_recv_ref(&mut self) -> Result<Sample<'_, M>, TryRecvError> {
        self.ref_until(None)?.ok_or(TryRecvError::Empty)
    }

    /// Receives like [`recv`](Subscriber::recv), in place: large messages are not copied.
    pub fn recv_ref(&mut self) -> Result<Sample<'_, M>, RecvError> {
        self.ref_until(Some(Deadline::Never))?.ok_or(RecvError::Disconnected)
    }

    /// Receives like [`recv_timeout`](Subscriber::recv_timeout), in place: large messages are not copied.
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<Sample<'_, M>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::after(timeout)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// Receives like [`recv_deadline`](Subscriber::recv_deadline), in place: large messages are not copied.
    pub fn recv_ref_deadline(&mut self, deadline: Instant) -> Result<Sample<'_, M>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::At(deadline)))?.ok_or(RecvTimeoutError::Timeout)
    }

    #[inline(always)]
    fn ref_until(&mut self, deadline: Option<Deadline>) -> Result<Option<Sample<'_, M>>, RecvError> {
        if self.raw.converts() {
            return self.prefix_until(deadline);
        }
        let Some((received, refusal)) = self.raw.receive(deadline)? else { return Ok(None) };
        Sample::new(received).map(Some).map_err(|why| refusal.count(why))
    }
}

impl<M: ShmMessage> Subscriber<M> {
    /// Receives in place from a segment whose messages start with an `M`.
    #[cold]
    fn prefix_until(&mut self, deadline: Option<Deadline>) -> Result<Option<Sample<'_, M>>, RecvError> {
        self.raw.check_in_place("recv")?;
        let Some((received, refusal)) = self.raw.receive_unconverted(deadline)? else { return Ok(None) };
        Sample::prefix(received).map(Some).map_err(|why| refusal.count(why))
    }
}

impl<H: ShmMessage, T: ShmMessage> Subscriber<H, [T]> {
    /// Returns the next message in place, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if there is none; for the other errors see [`TryRecvError`].
    #[inline(always)]
    pub fn try_recv_ref(&mut self) -> Result<TailSample<'_, H, T>, TryRecvError> {
        self.ref_until(None)?.ok_or(TryRecvError::Empty)
    }

    /// Returns the next message in place, blocking until there is one.
    ///
    /// # Errors
    /// See [`RecvError`].
    pub fn recv_ref(&mut self) -> Result<TailSample<'_, H, T>, RecvError> {
        self.ref_until(Some(Deadline::Never))?.ok_or(RecvError::Disconnected)
    }

    /// Returns the next message in place, blocking for at most `timeout`. A timeout of zero polls once.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came in time; for the other errors see [`RecvTimeoutError`].
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<TailSample<'_, H, T>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::after(timeout)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// Returns the next message in place, blocking until `deadline` at the latest.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if none came in time; for the other errors see [`RecvTimeoutError`].
    pub fn recv_ref_deadline(&mut self, deadline: Instant) -> Result<TailSample<'_, H, T>, RecvTimeoutError> {
        self.ref_until(Some(Deadline::At(deadline)))?.ok_or(RecvTimeoutError::Timeout)
    }

    /// Returns the newest message in place, even if it was received before, or `None` if there is none yet.
    /// Never blocks. The messages that it skips count as [`skipped`](Subscriber::skipped).
    ///
    /// # Errors
    /// [`RecvError::Invalid`] if its bytes are no valid value, [`RecvError::Forked`].
    #[inline]
    pub fn latest_ref(&mut self) -> Result<Option<TailSample<'_, H, T>>, RecvError> {
        let Some((received, refusal)) = self.raw.receive_latest()? else { return Ok(None) };
        TailSample::new(received).map(Some).map_err(|why| refusal.count(why))
    }

    #[inline(always)]
    fn ref_until(&mut self, deadline: Option<Deadline>) -> Result<Option<TailSample<'_, H, T>>, RecvError> {
        let Some((received, refusal)) = self.raw.receive(deadline)? else { return Ok(None) };
        TailSample::new(received).map(Some).map_err(|why| refusal.count(why))
    }
}

/// Iterator over messages: see [`Subscriber::iter`].
pub struct Iter<'s, M: ?Sized, F: ?Sized = Fixed> {
    subscriber: &'s mut Subscriber<M, F>,
}

impl<M: ?Sized, F: Incoming<M>> Iterator for Iter<'_, M, F> {
    type Item = F::Owned;

    fn next(&mut self) -> Option<F::Owned> {
        messages(|| self.subscriber.recv())
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for Iter<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("channel", &self.subscriber.name()).finish_non_exhaustive()
    }
}

/// Receives until there is a message or none can arrive.
pub(super) fn messages<T>(mut recv: impl FnMut() -> Result<T, RecvError>) -> Option<T> {
    loop {
        match recv() {
            Ok(message) => return Some(message),
            Err(RecvError::Lagged(_) | RecvError::Invalid(_) | RecvError::Missed { .. }) => {}
            Err(RecvError::Disconnected | RecvError::Stopped | RecvError::Forked) => return None,
        }
    }
}

/// Ready when a receive would return something other than `Empty`: a message, a loss, the end of the
/// publisher (until a receive has reported it), or the fork error in a child.
impl<M: ?Sized, F: ?Sized> Waitable for Subscriber<M, F> {}

impl<M: ?Sized, F: ?Sized> Watchable for Subscriber<M, F> {
    fn watch(&self) -> Result<Watched, Error> {
        Ok(Watched::from(self.raw.watched()?.clone()))
    }
}
