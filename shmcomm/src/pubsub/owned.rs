//! [`OwnedBytes`]: a received message that may outlive its subscriber.
//!
//! Owns the pin of the slot and a share of the seat, or a private copy. Calls `ring` for the pin. Never interprets a
//! message.
//!
//! The slot of a large message stays pinned until the message is dropped, also in another thread. The message owns
//! the seat together with the subscriber: a participant that recovers the seat would clear the pin, and none does
//! that before the seat is left. So the payload is valid, and unchanged, as long as the message lives.
//!
//! Meanwhile the subscriber has no pin bit for other messages. It receives copies, as an observer does, into a
//! private buffer of the size of a slot.

use super::RecvError;
use super::buffer::Buffer;
use super::raw_subscriber::{Acquired, RawSubscriber};
use super::subscriber::Subscriber;
use crate::ring::{ForkGuard, LentPin, StableBytes};
use crate::segment::Seat;
use crate::wait::Deadline;
use std::sync::Arc;

/// The bytes of a received message.
pub(crate) enum OwnedBytes {
    /// A copy: the message is small, or the subscriber has no pin bit at the moment.
    Private(Box<[u8]>),
    /// The slot. It is unpinned before the seat may be left: fields are dropped in this order.
    Slot { pin: ForkGuard<LentPin>, seat: Arc<Seat> },
}

impl OwnedBytes {
    /// Returns the bytes; `None` in the child of a fork, where the slot is not mapped.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            OwnedBytes::Private(bytes) => Some(bytes),
            OwnedBytes::Slot { pin, .. } if pin.forked() => None,
            OwnedBytes::Slot { pin, .. } => Some(pin.bytes()),
        }
    }

    /// Drops the message when the process ends. Its memory stays mapped: references that are not borrows may exist.
    pub(crate) fn leave_at_exit(self) {
        match self {
            OwnedBytes::Private(bytes) => _ = Box::leak(bytes),
            OwnedBytes::Slot { pin, seat } => {
                seat.keep_mapped();
                drop(pin);
                drop(seat);
            }
        }
    }
}

impl RawSubscriber {
    /// Receives the next message, waiting for it if there is a deadline. It is valid without this subscriber.
    fn receive_owned(&mut self, deadline: Option<Deadline>) -> Result<Option<OwnedBytes>, RecvError> {
        self.take_back();
        loop {
            if deadline.is_some() {
                self.stop().check()?;
            }
            if let Some(acquired) = self.acquire()? {
                return Ok(Some(self.owned(acquired)));
            }
            match deadline {
                Some(deadline) if self.wait(deadline)? => {}
                _ => return Ok(None),
            }
        }
    }

    fn owned(&mut self, Acquired { len, acquired, .. }: Acquired) -> OwnedBytes {
        match acquired {
            Some(acquired) => OwnedBytes::Slot {
                pin: ForkGuard::new(self.reader.lend(&acquired), self.attachment.fork_id()),
                seat: self.attachment.shared_seat(),
            },
            None => OwnedBytes::Private(self.buffer.bytes()[..len].into()),
        }
    }

    /// Takes back the pin of an owned message that was dropped. Otherwise provides memory for the copies that the
    /// subscriber receives meanwhile.
    fn take_back(&mut self) {
        let geometry = self.attachment.geometry();
        if !self.attachment.forked() && !self.reader.take_back() && self.buffer.bytes().is_empty() {
            self.buffer = Buffer::new(geometry.slot_size as usize, geometry.align as usize);
        }
    }
}

impl<M: ?Sized, F: ?Sized> Subscriber<M, F> {
    /// Receives the next message, waiting for it if there is a deadline. It is valid without this subscriber.
    ///
    /// Until it is dropped, every other receive of this subscriber must come after a call of
    /// [`take_back`](Subscriber::take_back).
    pub(crate) fn receive_owned(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<OwnedBytes>, RecvError> {
        self.raw().receive_owned(deadline)
    }

    /// Prepares a receive, if the last message was received by [`receive_owned`](Subscriber::receive_owned).
    pub(crate) fn take_back(&mut self) {
        self.raw().take_back();
    }
}
