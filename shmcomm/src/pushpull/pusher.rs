//! [`Pusher`]: the sending end.
//!
//! Owns the four ways to send, loans, and `flush`. The steps without the message type are in `raw`, and the
//! format writes the message. Never touches a slot itself.

use super::job::PushLoan;
use super::{FlushError, OPS, PushError, PushTimeoutError, TryPushError};
use crate::codec::Outgoing;
use crate::error::Error;
use crate::message::{Fixed, ShmMessage};
use crate::queue_end::{QueueEnd, State, WaitTarget};
use crate::ring::queue::{Loan, RawLoan};
use crate::segment::{Role, Spec};
use crate::stats::{self, Stats};
use crate::wait::{Deadline, StopHandle, Stopped};
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// A sending end of a push/pull channel. Any number of pushers may be open, in any order with the pullers.
///
/// Each message goes to exactly one puller. A message that `send` accepted is not lost while the machine
/// runs: it stays in the segment until a puller acknowledges it, whichever process dies. If all ends are
/// closed, the segment stays for pullers that open the channel later. `force_unlink` drops it. If no
/// process dies, the messages of one pusher are taken in the order in which they were sent.
///
/// **When the queue is full**, `try_send` returns `Full` within some microseconds. `send` waits for room, and
/// `send_timeout` and `send_deadline` wait until the time is over. A queue without pullers fills up and stays
/// full.
///
/// **If this process dies**, a message that it was writing counts as not sent. Its slot is free again within
/// 50 ms of the next wait of any other end.
pub struct Pusher<M: ?Sized, F: ?Sized = Fixed> {
    pub(super) end: QueueEnd<State>,
    _messages: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized> Pusher<M, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Pusher { end: QueueEnd::open(&spec, Role::Pusher, OPS, |state| state)?, _messages: PhantomData })
    }

    /// Returns the full name of the channel, with its namespace.
    pub fn name(&self) -> &str {
        self.end.attachment.channel()
    }

    /// Returns the handle that stops the blocking calls of this pusher from another thread or from a signal
    /// handler.
    ///
    /// If the pusher was [opened with](crate::Opener::stop) a handle, this is that handle.
    pub fn stop_handle(&self) -> StopHandle {
        self.end.stop.handle()
    }

    /// Returns the counts of the channel, the number of waiting jobs, the age of the oldest, and one entry
    /// per participant.
    pub fn stats(&self) -> Stats {
        stats::read_queue(&self.end.attachment, &self.end.state.queue)
    }

    /// Waits until every message of this pusher is acknowledged, for at most `timeout`.
    ///
    /// # Errors
    /// [`FlushError::Timeout`] or [`FlushError::Stopped`], with the number of messages that were not
    /// acknowledged. They stay in the queue.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), FlushError> {
        if self.end.attachment.forked() {
            return Err(FlushError::Forked);
        }
        match self.end.wait(WaitTarget::Acknowledgement, Deadline::after(timeout)) {
            _ if self.end.attachment.forked() => Err(FlushError::Forked),
            Ok(true) => Ok(()),
            Ok(false) => Err(FlushError::Timeout(self.end.state.queue.outstanding())),
            Err(Stopped) => self.stopped(),
        }
    }

    /// Returns the outcome of a stopped [`flush`](Pusher::flush), which may have no message to wait for.
    pub(super) fn stopped(&self) -> Result<(), FlushError> {
        match self.end.state.queue.outstanding() {
            0 => Ok(()),
            left => Err(FlushError::Stopped(left)),
        }
    }

    /// Waits until there is room for a message, for at most `timeout`, and returns `true` if there is.
    /// Another pusher may take the room first. Returns `false` also if the pusher is [stopped](StopHandle).
    pub fn wait_for_room(&mut self, timeout: Duration) -> bool {
        !self.end.attachment.forked()
            && self.end.wait(WaitTarget::Room, Deadline::after(timeout)).unwrap_or(false)
    }
}

impl<M: ?Sized, F: Outgoing<M>> Pusher<M, F> {
    /// Sends `message` if there is room: copies a fixed layout, encodes with a codec. Never blocks.
    ///
    /// # Errors
    /// [`TryPushError::Full`] if there is none. With a codec, [`TryPushError::Unencodable`] with the exact size
    /// if the encoded message does not fit into a slot. The caller keeps the message.
    #[inline]
    pub fn try_send(&mut self, message: &M) -> Result<(), TryPushError> {
        if self.put(message)? { Ok(()) } else { Err(TryPushError::Full) }
    }

    /// Sends `message` like [`try_send`](Pusher::try_send); blocks until there is room.
    ///
    /// # Errors
    /// See [`PushError`].
    pub fn send(&mut self, message: &M) -> Result<(), PushError> {
        self.put_until(message, Deadline::Never).map(|_sent| ())
    }

    /// Sends `message` like [`try_send`](Pusher::try_send); blocks for at most `timeout`. A timeout of zero
    /// polls once.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`] if there was no room; the caller keeps the message.
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), PushTimeoutError> {
        let sent = self.put_until(message, Deadline::after(timeout))?;
        if sent { Ok(()) } else { Err(PushTimeoutError::Timeout) }
    }

    /// Sends `message` like [`try_send`](Pusher::try_send); blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`] if there was no room; the caller keeps the message.
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), PushTimeoutError> {
        let sent = self.put_until(message, Deadline::At(deadline))?;
        if sent { Ok(()) } else { Err(PushTimeoutError::Timeout) }
    }

    fn put_until(&mut self, message: &M, deadline: Deadline) -> Result<bool, PushError> {
        self.end.put_until(|room| F::write(message, room), deadline)
    }

    /// Writes the message into a free slot and sends it. Returns `false` if there is no free slot.
    #[inline]
    pub(super) fn put(&mut self, message: &M) -> Result<bool, PushError> {
        self.end.put(|room| F::write(message, room))
    }
}

impl<M: ShmMessage> Pusher<M> {
    /// Lends a free slot, in which the caller builds the message. [`PushLoan::send`] sends it; a dropped loan
    /// sends no message. Blocks until there is room; sending the loan never blocks.
    /// ([`wait_for_room`](Pusher::wait_for_room) waits with a timeout.)
    ///
    /// If all bytes are valid in an `M`, the loan starts with the previous contents of the slot; otherwise
    /// its bytes are zero. A type without an all-zero value does not compile here.
    ///
    /// # Errors
    /// [`PushError::Stopped`] if the pusher is [stopped](StopHandle) while there is no room,
    /// [`PushError::Forked`] in a forked child.
    pub fn loan(&mut self) -> Result<PushLoan<'_, M>, PushError> {
        let raw = loop {
            // `Deadline::Never` passes only in the child of a fork, where the next attempt fails.
            if let Some(raw) = self.end.claim_until(Deadline::Never)? {
                break raw;
            }
        };
        Ok(self.lend(raw))
    }

    /// Lends a slot like [`loan`](Pusher::loan), if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TryPushError::Full`] if there is none, [`TryPushError::Forked`] in a forked child.
    pub fn try_loan(&mut self) -> Result<PushLoan<'_, M>, TryPushError> {
        let raw = self.end.claim()?.ok_or(TryPushError::Full)?;
        Ok(self.lend(raw))
    }

    fn lend(&mut self, raw: RawLoan) -> PushLoan<'_, M> {
        let QueueEnd { attachment, wake, state: State { queue, .. }, .. } = &mut self.end;
        PushLoan::new(Loan::from_raw(queue, raw), attachment, wake)
    }
}

/// Ready while there is room for a message, and in the child of a fork.
impl<M: ?Sized, F: ?Sized> Waitable for Pusher<M, F> {}

impl<M: ?Sized, F: ?Sized> Watchable for Pusher<M, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.watch(Awaited::Room)
    }
}
