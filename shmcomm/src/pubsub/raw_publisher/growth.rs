//! Growth: a publisher continues in a segment with larger slots when a message needs them.
//!
//! Owns the step from one segment to the next. Calls `segment` for the new segment, and `ring` for the copy of the
//! messages. Never sends a message.
//!
//! The new segment has the messages of the old one at their positions. So no subscriber loses a message by the step, and
//! a new subscriber has its history. A loan that was dropped before the step leaves a hole. `segment::grow` has the order of
//! the steps, and what a death after each of them leaves.

use super::{RawPublisher, writer};
use crate::codec::EncodeError;
use crate::error::NotGrown;
use crate::layout::seat;
use crate::plural::count;
use crate::pubsub::SendError;
use crate::pubsub::buffer::Buffer;
use crate::ring;
use crate::segment::{self, Attachment};
use crate::sync::Ordering;
use crate::wait::Deadline;
use std::sync::OnceLock;

impl RawPublisher {
    /// Returns the size of the longest message that can be sent, in bytes: larger than the slots if these grow.
    pub(crate) fn longest(&self) -> usize {
        let geometry = self.attachment.geometry();
        geometry.slot_size.max(geometry.growth.limit) as usize
    }

    /// Continues in a segment whose slots hold a message of `size` bytes, if the slots of this one do not.
    pub(crate) fn make_fit(&mut self, size: usize) -> Result<(), SendError> {
        if size <= self.capacity() { Ok(()) } else { self.grow_for(size) }
    }

    /// Sends an encoded message whose length is known only after it is encoded. It is written into a private buffer
    /// first: a slot that is claimed for a message that does not fit has lost its old message.
    pub(super) fn send_fitting(
        &mut self,
        deadline: Option<Deadline>,
        write: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<bool, SendError> {
        let len = match write(self.staging.bytes_mut()) {
            Err(EncodeError::TooLong { needed, .. }) => {
                self.make_fit(needed)?;
                write(self.staging.bytes_mut())?
            }
            written => written?,
        };
        let staging = core::mem::replace(&mut self.staging, Buffer::new(0, 1));
        let sent = self.send(&staging.bytes()[..len], deadline);
        self.staging = staging;
        sent
    }

    #[cold]
    fn grow_for(&mut self, size: usize) -> Result<(), SendError> {
        let capacity = self.longest();
        let target = self.attachment.geometry().growth.size_for(size as u64);
        let (Some(target), Some(spec)) = (target, &self.spec) else {
            return Err(SendError::TooLong { size, capacity });
        };
        if self.attachment.forked() {
            return Err(SendError::Forked);
        }
        let before = self.attachment.geometry().slot_size;
        let failed = |why| SendError::NotGrown(NotGrown::new(size, before, target, &why));
        let filled = segment::grow(&self.attachment, spec, target, |next| {
            fill(&self.attachment, next);
            if self.watched.get().is_some() {
                // The wait sets move together with the publisher, or it does not move.
                next.observer()?;
            }
            writer(next).map_err(|why| next.damaged(why))
        });
        let (next, writer) = filled.map_err(failed)?;
        let (stop, spec) = (core::mem::take(&mut self.stop), self.spec.take());
        let watched = self.watched.take();
        if let Some(watched) = &watched
            && let Ok(observer) = next.observer()
        {
            watched.moved(observer.clone());
        }
        // The old segment is left here: its subscribers find no publisher, and follow.
        *self = RawPublisher::on(next, writer, stop, spec);
        self.watched = watched.map(OnceLock::from).unwrap_or_default();
        log::info!(
            target: "shmcomm",
            "channel `{}`: its slots grew from {before} to {target}, for a message of {size}",
            self.attachment.channel(),
            target = count(target, "byte"),
            size = count(size, "byte")
        );
        Ok(())
    }
}

/// Copies the messages of a segment, and the entry of its publisher, into the segment that continues it.
fn fill(old: &Attachment, new: &Attachment) {
    let mut buffer = Buffer::new(old.geometry().slot_size as usize, 8);
    ring::copy_ring((old.region(), old.geometry()), (new.region(), new.geometry()), buffer.bytes_mut());
    // It is the same publisher: observers and statistics see no restart. Relaxed: no other process knows the new segment.
    for at in [seat::JOINED, seat::MESSAGES, seat::BYTES] {
        new.seat_word(at).store(old.seat_word(at).load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
