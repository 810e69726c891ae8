//! The steps of both ends that do not depend on the message type.
//!
//! Owns sending and receiving of bytes, with and without a deadline. Calls `ring` for the slots. Never
//! interprets a message: closures write and read it.

use super::{PullError, PushError, growth};
use crate::codec::EncodeError;
use crate::counts;
use crate::fault::fault_point;
use crate::message::Invalid;
use crate::os;
use crate::queue_end::{QueueEnd, State, WaitTarget};
use crate::ring::queue::{AcquiredSlot, Loan, RawLoan};
use crate::ring::{StableBytes, StableBytesMut};
use crate::wait::Deadline;

impl QueueEnd<State> {
    /// Claims a free slot, writes the message and sends it. Returns `false` if there is no free slot.
    #[inline]
    pub(crate) fn put(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<bool, PushError> {
        if self.attachment.forked() {
            return Err(PushError::Forked);
        }
        self.called();
        // Before the slot is claimed: pullers check its age from then on.
        let now = os::monotonic_coarse();
        let Some(mut loan) = self.state.queue.claim_for_push() else { return Ok(false) };
        let grows = self.attachment.geometry().grows_each_slot();
        if grows {
            loan.take_grown();
        }
        let mut step = None;
        let len = match write(loan.bytes_mut()) {
            Ok(len) => len,
            Err(EncodeError::TooLong { needed, .. }) if grows => {
                step = growth::fit(&self.attachment, &mut loan, needed)?;
                write(loan.bytes_mut()).map_err(PushError::Unencodable)?
            }
            Err(why) => return Err(PushError::Unencodable(why)),
        };
        fault_point!("push.written");
        if !loan.commit(len, now) {
            return Err(PushError::Damaged);
        }
        counts::message(len, &self.attachment);
        self.wake.items.notify();
        if let Some(step) = step {
            step.log(&self.attachment);
        }
        Ok(true)
    }

    /// Sends like [`put`](Self::put), waiting for room. Returns `false` at the deadline.
    #[inline]
    pub(crate) fn put_until(
        &mut self,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
        deadline: Deadline,
    ) -> Result<bool, PushError> {
        loop {
            if self.put(&write)? {
                return Ok(true);
            }
            if !self.wait(WaitTarget::Room, deadline)? {
                return Ok(false);
            }
        }
    }

    /// Claims a free slot, if there is one.
    pub(crate) fn claim(&mut self) -> Result<Option<RawLoan>, PushError> {
        if self.attachment.forked() {
            return Err(PushError::Forked);
        }
        self.called();
        Ok(self.state.queue.claim_for_push().map(Loan::into_raw))
    }

    /// Claims a free slot, waiting for one. Returns `None` at the deadline.
    pub(crate) fn claim_until(&mut self, deadline: Deadline) -> Result<Option<RawLoan>, PushError> {
        loop {
            if let Some(loan) = self.claim()? {
                return Ok(Some(loan));
            }
            if !self.wait(WaitTarget::Room, deadline)? {
                return Ok(None);
            }
        }
    }

    /// Takes the next message, reads it and acknowledges it.
    #[inline]
    pub(crate) fn get<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<T, Invalid>,
    ) -> Result<Option<T>, PullError> {
        if self.attachment.forked() {
            return Err(PullError::Forked);
        }
        self.called();
        let Some(job) = self.state.queue.try_pull() else { return Ok(None) };
        let (len, redelivered) = (job.len(), job.redelivered());
        fault_point!("pull.reading");
        let message = read(job.bytes());
        job.done();
        self.wake.room.notify();
        match message {
            Ok(message) => {
                counts::taken(len, redelivered, &self.attachment);
                Ok(Some(message))
            }
            Err(why) => {
                counts::refused(&why, &self.attachment);
                Err(PullError::Invalid(why))
            }
        }
    }

    /// Receives like [`get`](Self::get), waiting for a message. Returns `None` at the deadline.
    #[inline]
    pub(crate) fn get_until<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<T, Invalid>,
        deadline: Deadline,
    ) -> Result<Option<T>, PullError> {
        loop {
            self.stop.check()?;
            if let Some(message) = self.get(&read)? {
                return Ok(Some(message));
            }
            if !self.wait(WaitTarget::Items, deadline)? {
                return Ok(None);
            }
        }
    }

    /// Takes the next message, if there is one.
    #[inline]
    pub(crate) fn take(&mut self) -> Result<Option<AcquiredSlot>, PullError> {
        if self.attachment.forked() {
            return Err(PullError::Forked);
        }
        self.called();
        Ok(self.state.queue.acquire_next())
    }

    /// Takes the next message, waiting for it if there is a deadline. Returns `None` at the deadline.
    #[inline]
    pub(crate) fn take_until(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<AcquiredSlot>, PullError> {
        loop {
            if deadline.is_some() {
                self.stop.check()?;
            }
            if let Some(taken) = self.take()? {
                return Ok(Some(taken));
            }
            match deadline {
                Some(deadline) if self.wait(WaitTarget::Items, deadline)? => {}
                _ => return Ok(None),
            }
        }
    }
}
