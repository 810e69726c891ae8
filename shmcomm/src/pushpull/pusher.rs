//! [`Pusher`]: the sending end.
//!
//! Owns the four ways to send, loans, and `flush`. What both ends share is in `end`. Never touches a
//! slot itself.

use super::end::End;
use super::job::PushLoan;
use super::{FlushError, PushError, PushTimeoutError, TryPushError};
use crate::codec::{Encode, EncodeError};
use crate::error::Error;
use crate::fault::fault_point;
use crate::message::{self, Fixed, ShmMessage};
use crate::os;
use crate::ring::KeepMut;
use crate::segment::{Role, Spec};
use crate::stats::{self, Stats};
use crate::wait::Deadline;
use crate::waitset::{Awaited, Waitable, Watchable, Watched};
use core::marker::PhantomData;
use std::time::{Duration, Instant};

/// A sending end of a push/pull channel. Any number may be open, in any order with the pullers.
///
/// Each message goes to exactly one puller. What `send` accepted is not lost while the machine runs:
/// it stays in the segment until a puller acknowledges it, whoever dies, and also if all ends are
/// closed: then the segment stays for pullers that come later. (`force_unlink` drops it.) If nobody
/// dies, the messages of one pusher are taken in the order in which they were sent.
///
/// **When the queue is full**, `try_send` says so within some microseconds, `send` waits for room, `send_timeout` and
/// `send_deadline` wait until then. A queue without pullers fills up and stays full.
///
/// **If this process dies**, a message that it was writing was never sent, and its slot is free again
/// within 50 ms of the next wait of any other end.
pub struct Pusher<M: ?Sized, F: ?Sized = Fixed> {
    pub(super) end: End,
    _messages: PhantomData<fn(&M, &F)>,
}

impl<M: ?Sized, F: ?Sized> Pusher<M, F> {
    /// Opens the channel, creating its segment if this is the first end.
    pub(crate) fn open(spec: Spec) -> Result<Self, Error> {
        Ok(Pusher { end: End::open(&spec, Role::Pusher)?, _messages: PhantomData })
    }

    /// The full name of the channel, namespace included.
    pub fn name(&self) -> &str {
        self.end.attachment.channel()
    }

    /// Counts of the channel, how many jobs wait and how old the oldest is, and one entry for each
    /// participant.
    pub fn stats(&self) -> Stats {
        stats::read_queue(&self.end.attachment, &self.end.queue)
    }

    /// Waits until every message of this pusher was acknowledged, for at most `timeout`.
    ///
    /// # Errors
    /// [`FlushError::Timeout`] with the number of those that were not. They stay in the queue.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), FlushError> {
        if !self.end.attachment.forked() && self.end.wait_for_acknowledgement(Deadline::after(timeout)) {
            return Ok(());
        }
        if self.end.attachment.forked() {
            return Err(FlushError::Forked);
        }
        Err(FlushError::Timeout(self.end.queue.outstanding()))
    }
}

impl<M: ShmMessage> Pusher<M> {
    /// Sends a copy of `message` if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TryPushError::Full`] if there is none; the message stays with the caller.
    #[inline]
    pub fn try_send(&mut self, message: &M) -> Result<(), TryPushError> {
        if self.put(copy(message))? { Ok(()) } else { Err(TryPushError::Full) }
    }

    /// Sends a copy of `message`; blocks until there is room.
    ///
    /// # Errors
    /// See [`PushError`].
    pub fn send(&mut self, message: &M) -> Result<(), PushError> {
        self.put_until(copy(message), Deadline::Never).map(|_sent| ())
    }

    /// Sends a copy of `message`; blocks for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`] if there was no room; the message stays with the caller.
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), PushTimeoutError> {
        let sent = self.put_until(copy(message), Deadline::after(timeout))?;
        if sent { Ok(()) } else { Err(PushTimeoutError::Timeout) }
    }

    /// Sends a copy of `message`; blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`] if there was no room; the message stays with the caller.
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), PushTimeoutError> {
        let sent = self.put_until(copy(message), Deadline::At(deadline))?;
        if sent { Ok(()) } else { Err(PushTimeoutError::Timeout) }
    }

    /// A free slot, to make the message in place: send it with [`PushLoan::send`], or drop it and
    /// nothing is sent. Never blocks; [`wait_for_room`](Pusher::wait_for_room) does.
    ///
    /// Where any bytes are a valid `M`, the message holds what the slot last held; otherwise its
    /// bytes are zero. A message without an all-zero value does not compile here.
    ///
    /// # Errors
    /// [`TryPushError::Full`] if there is no room.
    pub fn loan(&mut self) -> Result<PushLoan<'_, M>, TryPushError> {
        if self.end.attachment.forked() {
            return Err(TryPushError::Forked);
        }
        self.end.called();
        let End { attachment, queue, counts, wake, .. } = &mut self.end;
        match queue.claim_for_push() {
            Some(loan) => Ok(PushLoan::new(loan, counts, attachment, wake)),
            None => Err(TryPushError::Full),
        }
    }

    /// Waits until there is room for a message, for at most `timeout`, and says whether there is.
    /// Another pusher may take it first.
    pub fn wait_for_room(&mut self, timeout: Duration) -> bool {
        !self.end.attachment.forked() && self.end.wait_for_room(Deadline::after(timeout))
    }
}

impl<M: ?Sized, C: Encode<M>> Pusher<M, C> {
    /// Sends `message`, encoded, if there is room. Never blocks.
    ///
    /// # Errors
    /// [`TryPushError::Full`] if there is none; [`TryPushError::Unencodable`] with the exact size if
    /// the encoded message does not fit into a slot. The message stays with the caller.
    pub fn try_send(&mut self, message: &M) -> Result<(), TryPushError> {
        if self.put(|room| C::encode(message, room))? { Ok(()) } else { Err(TryPushError::Full) }
    }

    /// Sends `message`, encoded; blocks until there is room.
    ///
    /// # Errors
    /// See [`PushError`].
    pub fn send(&mut self, message: &M) -> Result<(), PushError> {
        self.put_until(|room| C::encode(message, room), Deadline::Never).map(|_sent| ())
    }

    /// Sends `message`, encoded; blocks for at most `timeout`. Zero looks once.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`] if there was no room; the message stays with the caller.
    pub fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), PushTimeoutError> {
        let sent = self.put_until(|room| C::encode(message, room), Deadline::after(timeout))?;
        if sent { Ok(()) } else { Err(PushTimeoutError::Timeout) }
    }

    /// Sends `message`, encoded; blocks until `deadline` at the latest.
    ///
    /// # Errors
    /// [`PushTimeoutError::Timeout`] if there was no room; the message stays with the caller.
    pub fn send_deadline(&mut self, message: &M, deadline: Instant) -> Result<(), PushTimeoutError> {
        let sent = self.put_until(|room| C::encode(message, room), Deadline::At(deadline))?;
        if sent { Ok(()) } else { Err(PushTimeoutError::Timeout) }
    }
}

/// Copies a message; the geometry was checked to hold it.
#[inline]
pub(super) fn copy<M: ShmMessage>(message: &M) -> impl Fn(&mut [u8]) -> Result<usize, EncodeError> {
    move |room| {
        let bytes = message::as_bytes(message);
        room[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl<M: ?Sized, F: ?Sized> Pusher<M, F> {
    fn put_until(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
        deadline: Deadline,
    ) -> Result<bool, PushError> {
        loop {
            if self.put(&write)? {
                return Ok(true);
            }
            if !self.end.wait_for_room(deadline) {
                return Ok(false);
            }
        }
    }

    /// Takes a slot, writes it, sends it; false if there is none.
    #[inline]
    pub(super) fn put(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<bool, PushError> {
        if self.end.attachment.forked() {
            return Err(PushError::Forked);
        }
        self.end.called();
        // Before the slot is taken: pullers look at it from then on.
        let now = os::monotonic_coarse();
        let Some(mut loan) = self.end.queue.claim_for_push() else { return Ok(false) };
        let len = write(loan.bytes_mut()).map_err(PushError::Unencodable)?;
        fault_point!("push.written");
        if !loan.publish(len, now) {
            return Err(PushError::Damaged);
        }
        self.end.counts.message(len, false, &self.end.attachment);
        self.end.wake.items.notify();
        Ok(true)
    }
}

/// Ready while there is room for a message, and in the child of a fork.
impl<M: ?Sized, F: ?Sized> Waitable for Pusher<M, F> {}

impl<M: ?Sized, F: ?Sized> Watchable for Pusher<M, F> {
    fn watch(&self) -> Result<Watched, Error> {
        self.end.watch(Awaited::Room)
    }
}
