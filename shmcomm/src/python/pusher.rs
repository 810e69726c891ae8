//! [`Pusher`]: the sending end of push/pull, for pullers in Python.
//!
//! Owns the order of the steps of a send, the wait for room, and the linger at the end. Calls `owner` for the
//! segment and `ring` for the slot.

use super::format::too_long;
use super::owner::Owned;
use super::poll::{self, Poll};
use super::v1::name::SegmentPaths;
use super::v1::ring;
use super::{
    Format, Options, Outgoing, SendError, SendTimeoutError, Sends, Stats, TrySendError, stats, trace,
};
use crate::error::Error;
use crate::escape::Shown as _;
use crate::layout::v1::Kind;
use crate::plural::count;
use crate::wait::{Deadline, Stop};
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// The sending end of a queue whose pullers may be Python processes, or programs in Rust, or both at
/// once. There is one pusher.
///
/// Each job goes to one puller. No job is overwritten: if all slots are full, `send` waits.
///
/// **Dropping the pusher waits** until its jobs are taken, for at most [`Options::linger`]. Then it removes
/// the segment, or leaves it with the remaining jobs. Python's `close()` discards them instead.
/// [`close`](Pusher::close) does the same as the drop and returns the number of remaining jobs. A pusher that
/// is [stopped](crate::StopHandle) leaves its jobs at once.
///
/// **If this process dies**, the segment stays with its jobs, and the next pusher in Rust with the same slots
/// resumes it. **If a puller dies**, the job it had taken is lost with it.
pub struct Pusher<M: ?Sized, F: ?Sized> {
    core: PusherCore,
    _messages: Sends<M, F>,
}

/// The part that does not depend on the message type.
struct PusherCore {
    place: SegmentPaths,
    owned: Owned,
    buffer: Vec<u8>,
    linger: Duration,
    /// `true` if the drop removes the segment with the jobs that are left.
    discards: bool,
    last_housekeeping: Instant,
    stop: Stop,
}

impl<M: ?Sized, F: Format> Pusher<M, F> {
    /// Creates the channel, or resumes the segment that a pusher in Rust left. A segment that a Python
    /// process made is replaced, like Python itself does.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyPublished`](crate::ErrorKind::AlreadyPublished) if a pusher in Rust is alive;
    /// `InvalidName`, `InvalidGeometry`, `NoSpace`, `Permission` for the reason in the error.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = SegmentPaths::new(Kind::Push, &options.name)?;
        let owned = Owned::open(&place, options.slots, options.slot_size)?;
        let buffer = vec![0; owned.segment().shape().capacity()];
        let stop = Stop::given(options.stop.as_ref());
        let core = PusherCore {
            place,
            owned,
            buffer,
            linger: options.linger,
            discards: false,
            last_housekeeping: Instant::now(),
            stop,
        };
        Ok(Pusher { core, _messages: PhantomData })
    }

    /// Returns the channel's name.
    pub fn name(&self) -> &str {
        self.core.place.name()
    }

    /// Returns `true` if this pusher resumed the segment of an earlier one.
    pub fn resumed(&self) -> bool {
        self.core.owned.resumed()
    }

    /// Returns the segment's counts.
    pub fn stats(&self) -> Stats {
        stats::read(self.core.owned.segment().raw(), None)
    }

    /// Returns the handle that stops the blocking calls of this pusher from another thread or from a signal
    /// handler: sends that wait for a free slot, `close`, and the wait at its end.
    ///
    /// It is the handle of [`Options::stop`] if that is given.
    pub fn stop_handle(&self) -> crate::StopHandle {
        self.core.stop.handle()
    }

    /// Closes the pusher at once and removes its segment, with the jobs that no puller has taken. Returns their number.
    /// If another pusher has taken over the channel, its segment stays.
    pub fn discard(mut self) -> u64 {
        let left = self.core.waiting();
        self.core.discards = true;
        left
    }

    /// Returns the number of jobs that no puller has taken.
    pub fn waiting(&self) -> u64 {
        self.core.waiting()
    }

    /// Sends a job, waiting for a free slot without a deadline.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, message: &M) -> Result<(), SendError>
    where
        F: Outgoing<M>,
    {
        let len = F::encode(message, &mut self.core.buffer)?;
        self.core.push(len, Some(Deadline::Never)).map(drop)
    }

    /// Sends a job if there is a free slot. Never blocks.
    ///
    /// # Errors
    /// [`TrySendError::Full`] if there is none, which `drop_count` counts; for the other errors see
    /// [`SendError`].
    pub fn try_send(&mut self, message: &M) -> Result<(), TrySendError>
    where
        F: Outgoing<M>,
    {
        let len = F::encode(message, &mut self.core.buffer)?;
        if self.core.push(len, None)? { Ok(()) } else { Err(TrySendError::Full) }
    }

    /// Sends a job, waiting for a free slot for at most `timeout`.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if none got free; for the other errors see [`SendError`].
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError>
    where
        F: Outgoing<M>,
    {
        let deadline = Deadline::after(timeout);
        let len = F::encode(message, &mut self.core.buffer)?;
        if self.core.push(len, Some(deadline))? { Ok(()) } else { Err(SendTimeoutError::Timeout) }
    }

    /// Sends a job, waiting for a free slot until `deadline` at the latest.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if none got free; for the other errors see [`SendError`].
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), SendTimeoutError>
    where
        F: Outgoing<M>,
    {
        let len = F::encode(message, &mut self.core.buffer)?;
        let sent = self.core.push(len, Some(Deadline::At(deadline)))?;
        if sent { Ok(()) } else { Err(SendTimeoutError::Timeout) }
    }

    /// Sends a job, like [`send`](Pusher::send); while there is no free slot the task sleeps, not the thread.
    /// If the future is dropped before it is ready, no job was sent.
    ///
    /// # Errors
    /// See [`SendError`].
    #[cfg(feature = "async")]
    pub async fn send_async(&mut self, message: &M) -> Result<(), SendError>
    where
        F: Outgoing<M>,
    {
        let len = F::encode(message, &mut self.core.buffer)?;
        self.core.check()?;
        if ring::is_full(self.core.owned.segment().raw()) {
            super::future::ready(&mut self.core).await??;
        }
        // There is room, and no other end fills it.
        self.core.push(len, Some(Deadline::Never)).map(drop)
    }

    /// Sends bytes, for Python's `recv_bytes`, or as encoded by a codec; waits for a free slot.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_bytes(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.core.fill(payload)?;
        self.core.push(payload.len(), Some(Deadline::Never)).map(drop)
    }

    /// Sends bytes like [`send_bytes`](Pusher::send_bytes), waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if no slot got free; for the other errors see [`SendError`].
    pub fn send_bytes_timeout(&mut self, payload: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.core.fill(payload)?;
        let sent = self.core.push(payload.len(), Some(Deadline::after(timeout)))?;
        if sent { Ok(()) } else { Err(SendTimeoutError::Timeout) }
    }

    /// Waits until all jobs are taken, for at most `linger`, and leaves. Returns the number of remaining
    /// jobs. They stay in the segment, under its name, for pullers and for the next pusher in Rust.
    pub fn close(mut self, linger: Duration) -> u64 {
        self.core.linger = Duration::ZERO;
        self.core.drain(linger)
    }
}

impl PusherCore {
    fn check(&self) -> Result<(), SendError> {
        if self.owned.segment().forked() {
            return Err(SendError::Forked);
        }
        if self.owned.replaced() {
            return Err(SendError::Replaced);
        }
        Ok(())
    }

    fn waiting(&self) -> u64 {
        let raw = self.owned.segment().raw();
        if raw.forked() { 0 } else { ring::waiting_from(raw, ring::tail(raw)) }
    }

    fn fill(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let capacity = self.buffer.len();
        let room = self.buffer.get_mut(..payload.len()).ok_or_else(|| too_long(payload.len(), capacity))?;
        room.copy_from_slice(payload);
        Ok(())
    }

    /// Sends the contents of the buffer. Returns `false` if there was no room until the deadline; without a
    /// deadline, does not wait.
    fn push(&mut self, len: usize, deadline: Option<Deadline>) -> Result<bool, SendError> {
        self.check()?;
        if ring::is_full(self.owned.segment().raw()) {
            let Some(deadline) = deadline else {
                ring::count_drop(self.owned.segment().raw());
                return Ok(false);
            };
            match poll::until(self, deadline)? {
                Some(room) => room?,
                None => return Ok(false),
            }
        }
        let slot = ring::write(self.owned.segment().raw(), &self.buffer[..len]);
        trace::wrote(&self.place, slot, len);
        Ok(true)
    }

    fn drain(&self, linger: Duration) -> u64 {
        let deadline = Deadline::after(linger);
        let over = || self.stop.is_stopped() || deadline.has_passed();
        while self.waiting() > 0 && self.check().is_ok() && !over() {
            std::thread::sleep(Duration::from_micros(200));
        }
        self.waiting()
    }
}

/// Waits for room.
impl Poll for PusherCore {
    type Output = Result<(), SendError>;

    fn poll_once(&mut self) -> Option<Self::Output> {
        if self.owned.segment().forked() {
            return Some(Err(SendError::Forked));
        }
        if !ring::is_full(self.owned.segment().raw()) {
            return Some(Ok(()));
        }
        self.owned.replaced().then_some(Err(SendError::Replaced))
    }

    fn housekeeping(&mut self) {}

    fn last_housekeeping(&mut self) -> &mut Instant {
        &mut self.last_housekeeping
    }

    fn stop(&self) -> &Stop {
        &self.stop
    }
}

impl Drop for PusherCore {
    fn drop(&mut self) {
        if self.discards || self.check().is_err() {
            return;
        }
        let left = self.drain(self.linger);
        if left > 0 {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: {left} left, for pullers and the next pusher, in {}",
                self.place.name(),
                self.place.path().shown(), left = count(left, "job"));
            self.owned.abandon();
        }
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for Pusher<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher").field("name", &self.core.place.name()).finish_non_exhaustive()
    }
}
