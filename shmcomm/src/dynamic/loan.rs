//! [`DynLoan`]: a message that is built in its slot, whose layout is known at run time.
//!
//! Owns the check before the send. Calls the loans of publish/subscribe. Never copies a large message.

use super::DynError;
use super::end::checked;
use super::payload::Payload;
use super::pubsub::{DynPublisher, Sender};
use crate::pubsub::BytesLoan;
use crate::wait::Deadline;
#[cfg(feature = "python")]
use crate::{codec::Bytes, python};
use core::fmt;
use std::time::Duration;

/// Room for a message of a [`DynPublisher`]. A large message is in its slot; a small one is in a private buffer.
///
/// [`send`](DynLoan::send) publishes it. If it is dropped or forgotten, no message is sent.
#[must_use = "a loan that is dropped sends nothing"]
pub struct DynLoan<'p> {
    room: Room<'p>,
    payload: &'p Payload,
    len: usize,
}

enum Room<'p> {
    Native(BytesLoan<'p>),
    #[cfg(feature = "python")]
    Python(Vec<u8>, &'p mut python::Publisher<[u8], Bytes>),
}

impl DynPublisher {
    /// Returns room for a message of `len` bytes, with the contents of an earlier message. Waits for subscribers if the
    /// channel says so (`overflow: Wait`).
    ///
    /// # Errors
    /// [`DynError::TooLong`], [`DynError::Full`] if subscribers pin all slots, and the errors of
    /// [`send`](DynPublisher::send).
    pub fn loan(&mut self, len: usize) -> Result<DynLoan<'_>, DynError> {
        self.loan_until(len, Some(Deadline::Never), DynError::Full)
    }

    /// Returns room for a message like [`loan`](DynPublisher::loan), without waiting.
    ///
    /// # Errors
    /// [`DynError::Full`] if subscribers have not received what is in the slots.
    pub fn try_loan(&mut self, len: usize) -> Result<DynLoan<'_>, DynError> {
        self.loan_until(len, None, DynError::Full)
    }

    /// Returns room for a message like [`loan`](DynPublisher::loan), waiting for at most `timeout`.
    ///
    /// # Errors
    /// [`DynError::Timeout`] if all slots held messages that a subscriber had not received until the time was over.
    pub fn loan_timeout(&mut self, len: usize, timeout: Duration) -> Result<DynLoan<'_>, DynError> {
        self.loan_until(len, Some(Deadline::after(timeout)), DynError::Timeout)
    }

    fn loan_until(
        &mut self,
        len: usize,
        deadline: Option<Deadline>,
        none: DynError,
    ) -> Result<DynLoan<'_>, DynError> {
        let room = match &mut self.end {
            Sender::Native(end) => Room::Native(end.loan_bytes(len, deadline)?.ok_or(none)?),
            #[cfg(feature = "python")]
            Sender::Python(end) => Room::Python(vec![0; len], end),
        };
        Ok(DynLoan { room, payload: &self.payload, len })
    }
}

impl DynLoan<'_> {
    /// Returns the bytes of the message for writing. Address and length stay until the loan is sent or dropped.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.room {
            Room::Native(loan) => &mut loan.bytes_mut()[..self.len],
            #[cfg(feature = "python")]
            Room::Python(bytes, _) => bytes,
        }
    }

    /// Publishes the message after a check, and wakes the subscribers that sleep. Never blocks.
    ///
    /// # Errors
    /// [`DynError::Value`] if the bytes are not a message of the channel. Nothing was sent.
    pub fn send(mut self) -> Result<(), DynError> {
        let payload = self.payload;
        checked(payload, self.bytes_mut())?;
        match self.room {
            Room::Native(loan) => Ok(loan.send(self.len)?),
            #[cfg(feature = "python")]
            Room::Python(bytes, end) => Ok(end.send_bytes(&bytes)?),
        }
    }
}

impl fmt::Debug for DynLoan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynLoan").field("len", &self.len).finish_non_exhaustive()
    }
}
