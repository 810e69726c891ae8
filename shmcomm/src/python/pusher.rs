//! [`Pusher`]: the sending end of push/pull, for pullers in Python.
//!
//! Owns the order of a send, the wait for room, and the linger at the end. Calls `owner` for the
//! segment and `ring` for the slot.

use super::format::too_long;
use super::name::Place;
use super::owner::Owned;
use super::poll::{self, Poll};
use super::{
    Format, Options, Outgoing, SendError, SendTimeoutError, Sends, Stats, TrySendError, ring, stats,
};
use crate::Error;
use crate::layout::python::Kind;
use crate::wait::Deadline;
use core::fmt;
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// The sending end of a queue whose pullers may be Python processes, or programs in Rust, or both at
/// once. There is one pusher.
///
/// Each job goes to one puller. Nothing is overwritten: where all slots are full, `send` waits.
///
/// **Dropping the pusher waits** until its jobs are taken, for at most [`Options::linger`]; then it
/// removes the segment, or leaves it with the jobs that are left. (Python's `close()` throws them
/// away.) [`close`](Pusher::close) does the same and tells how many are left.
///
/// **If this process dies**, the segment stays with its jobs, and the next pusher in Rust with the same
/// slots goes on with it. **If a puller dies**, the job it had taken is lost with it.
pub struct Pusher<M: ?Sized, F: ?Sized> {
    core: Core,
    _messages: Sends<M, F>,
}

/// What does not depend on the type of the messages.
struct Core {
    place: Place,
    owned: Owned,
    buffer: Vec<u8>,
    linger: Duration,
    last_around: Instant,
}

impl<M: ?Sized, F: Format> Pusher<M, F> {
    /// Creates the channel, or goes on with what a pusher in Rust left behind. A segment that a Python
    /// process made is replaced, as Python itself would.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyPublished`](crate::ErrorKind::AlreadyPublished) if a pusher in Rust is
    /// alive; `InvalidName`, `InvalidGeometry`, `NoSpace`, `Permission` as they say.
    pub fn open(options: Options) -> Result<Self, Error> {
        let place = Place::new(Kind::Push, &options.name)?;
        let owned = Owned::open(&place, options.slots, options.slot_size)?;
        let buffer = vec![0; owned.segment().shape().capacity()];
        let core = Core { place, owned, buffer, linger: options.linger, last_around: Instant::now() };
        Ok(Pusher { core, _messages: PhantomData })
    }

    /// The channel's name.
    pub fn name(&self) -> &str {
        self.core.place.name()
    }

    /// Whether this goes on with the segment of a pusher that is gone.
    pub fn resumed(&self) -> bool {
        self.core.owned.resumed()
    }

    /// The segment's numbers.
    pub fn stats(&self) -> Stats {
        stats::read(self.core.owned.segment().raw(), None)
    }

    /// Jobs that nobody has taken yet.
    pub fn waiting(&self) -> u64 {
        self.core.waiting()
    }

    /// Sends a job; waits for a free slot as long as it takes.
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
    /// [`TrySendError::Full`] if there is none, which `drop_count` counts; else see [`SendError`].
    pub fn try_send(&mut self, message: &M) -> Result<(), TrySendError>
    where
        F: Outgoing<M>,
    {
        let len = F::encode(message, &mut self.core.buffer)?;
        if self.core.push(len, None)? { Ok(()) } else { Err(TrySendError::Full) }
    }

    /// Sends a job; waits for a free slot for at most `timeout`.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if none got free; else see [`SendError`].
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError>
    where
        F: Outgoing<M>,
    {
        let deadline = Deadline::after(timeout);
        let len = F::encode(message, &mut self.core.buffer)?;
        if self.core.push(len, Some(deadline))? { Ok(()) } else { Err(SendTimeoutError::Timeout) }
    }

    /// Sends a job; waits for a free slot until `deadline` at the latest.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if none got free; else see [`SendError`].
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), SendTimeoutError>
    where
        F: Outgoing<M>,
    {
        let len = F::encode(message, &mut self.core.buffer)?;
        let sent = self.core.push(len, Some(Deadline::At(deadline)))?;
        if sent { Ok(()) } else { Err(SendTimeoutError::Timeout) }
    }

    /// Sends a job, like [`send`](Pusher::send); while there is no free slot the task sleeps, not the
    /// thread. If the future is dropped before it is ready, nothing was sent.
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
        super::future::ready(&mut self.core).await?;
        // There is room, and this is the only one who fills it.
        self.core.push(len, Some(Deadline::Never)).map(drop)
    }

    /// Sends bytes, for Python's `recv_bytes`, or what some codec made; waits for a free slot.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_bytes(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.core.fill(payload)?;
        self.core.push(payload.len(), Some(Deadline::Never)).map(drop)
    }

    /// Like [`send_bytes`](Pusher::send_bytes), for at most `timeout`.
    ///
    /// # Errors
    /// [`SendTimeoutError::Timeout`] if no slot got free; else see [`SendError`].
    pub fn send_bytes_timeout(&mut self, payload: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.core.fill(payload)?;
        let sent = self.core.push(payload.len(), Some(Deadline::after(timeout)))?;
        if sent { Ok(()) } else { Err(SendTimeoutError::Timeout) }
    }

    /// Waits until all jobs are taken, for at most `linger`, and leaves. Returns how many are left: they
    /// stay in the segment, under its name, for pullers and for the next pusher in Rust.
    pub fn close(mut self, linger: Duration) -> u64 {
        self.core.linger = Duration::ZERO;
        self.core.drain(linger)
    }
}

impl Core {
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

    /// Sends what is in the buffer; false if there was no room until the deadline (none: now).
    fn push(&mut self, len: usize, deadline: Option<Deadline>) -> Result<bool, SendError> {
        self.check()?;
        if ring::is_full(self.owned.segment().raw()) {
            let Some(deadline) = deadline else {
                ring::count_drop(self.owned.segment().raw());
                return Ok(false);
            };
            match poll::until(self, deadline) {
                Some(room) => room?,
                None => return Ok(false),
            }
        }
        ring::write(self.owned.segment().raw(), &self.buffer[..len]);
        Ok(true)
    }

    fn drain(&self, linger: Duration) -> u64 {
        let deadline = Deadline::after(linger);
        while self.waiting() > 0 && self.check().is_ok() && !deadline.has_passed() {
            std::thread::sleep(Duration::from_micros(200));
        }
        self.waiting()
    }
}

/// Waits for room.
impl Poll for Core {
    type Output = Result<(), SendError>;

    fn look(&mut self) -> Option<Self::Output> {
        if self.owned.segment().forked() {
            return Some(Err(SendError::Forked));
        }
        if !ring::is_full(self.owned.segment().raw()) {
            return Some(Ok(()));
        }
        self.owned.replaced().then_some(Err(SendError::Replaced))
    }

    fn around(&mut self) {}

    fn last_around(&mut self) -> &mut Instant {
        &mut self.last_around
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.check().is_err() {
            return;
        }
        let left = self.drain(self.linger);
        if left > 0 {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: {left} jobs are left, which stay in {}",
                self.place.name(),
                self.place.path().display()
            );
            self.owned.abandon();
        }
    }
}

impl<M: ?Sized, F: ?Sized> fmt::Debug for Pusher<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher").field("name", &self.core.place.name()).finish_non_exhaustive()
    }
}
