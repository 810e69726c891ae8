//! [`Conversion`]: the messages of a segment whose layout is not that of its subscriber.
//!
//! Owns the private buffer of converted messages. Calls the plans of `schema`. Never touches a slot.

use super::{Acquired, RawSubscriber, Refusal};
use super::{PublisherId, RecvError};
use crate::message::Invalid;
use crate::pubsub::buffer::Buffer;
use crate::pubsub::sample::Received;
use crate::ring::{ForkGuard, StableBytes, Storage};
use crate::schema::Resolution;
use crate::schema::resolve::Resolved;
use crate::wait::Deadline;
use std::sync::Arc;

/// Conversion of messages, with the memory for the last one.
pub(in crate::pubsub) struct Conversion {
    resolved: Arc<Resolved>,
    buffer: Buffer,
}

impl Conversion {
    /// Allocates memory for a message without a tail.
    pub(in crate::pubsub) fn new(resolved: Arc<Resolved>) -> Self {
        let reader = resolved.first.reader();
        let buffer = Buffer::new(reader.size(), reader.align());
        Conversion { resolved, buffer }
    }

    /// Converts a message. The result is aligned for header and items.
    fn convert(&mut self, bytes: &[u8]) -> Result<&[u8], Invalid> {
        let size = self.resolved.size(bytes)?;
        if self.buffer.bytes().len() < size {
            let items = self.resolved.items.as_ref().map_or(1, |items| items.reader().align());
            self.buffer = Buffer::new(size, self.resolved.first.reader().align().max(items));
        }
        let out = self.buffer.bytes_mut().get_mut(..size).unwrap_or_default();
        self.resolved.convert(bytes, out)?;
        Ok(out)
    }
}

impl RawSubscriber {
    /// Reads all messages by conversion, if the segment has another layout.
    pub(in crate::pubsub) fn resolve(&mut self) {
        let Some(resolved) = self.attachment.take_resolved::<Resolved>() else { return };
        resolved.log(self.attachment.channel());
        self.reader.leave_fast_path();
        self.conversion = Some(Box::new(Conversion::new(resolved)));
    }

    /// Returns what this subscriber does with the fields of the segment's layout.
    pub(in crate::pubsub) fn resolution(&self) -> &Resolution {
        const EXACT: &Resolution = &Resolution::EXACT;
        self.conversion.as_ref().map_or(EXACT, |conversion| &conversion.resolved.resolution)
    }

    /// Returns `true` if the segment has another layout.
    #[inline(always)]
    pub(in crate::pubsub) fn converts(&self) -> bool {
        self.conversion.is_some()
    }

    /// Checks that an `M` can be read in its slot although the segment has another layout.
    pub(in crate::pubsub) fn check_in_place(&self, instead: &str) -> Result<(), RecvError> {
        match &self.conversion {
            Some(conversion) if !conversion.resolved.is_in_place() => {
                Err(RecvError::Invalid(conversion.resolved.not_in_place(instead)))
            }
            _ => Ok(()),
        }
    }

    /// Acquires the next message and returns it unconverted, waiting for it if there is a deadline.
    pub(in crate::pubsub) fn receive_unconverted(
        &mut self,
        deadline: Option<Deadline>,
    ) -> Result<Option<(Received<'_>, Refusal<'_>)>, RecvError> {
        loop {
            if deadline.is_some() {
                self.stop().check()?;
            }
            if let Some(acquired) = self.acquire()? {
                return Ok(Some(self.get(acquired)));
            }
            match deadline {
                Some(deadline) if self.wait(deadline)? => {}
                _ => return Ok(None),
            }
        }
    }

    /// Converts the message that was acquired last, and releases its slot.
    #[cold]
    pub(in crate::pubsub) fn get_converted(
        &mut self,
        Acquired { len, acquired, counted }: Acquired,
    ) -> Result<(Received<'_>, Refusal<'_>), RecvError> {
        let RawSubscriber { attachment, reader, buffer, conversion, .. } = self;
        let counted = counted.then_some(len);
        let publisher = reader.sender().map(PublisherId::new);
        let refusal = Refusal { attachment, counted };
        let Some(conversion) = conversion else { return Err(RecvError::Disconnected) };
        let converted = match acquired {
            Some(acquired) => {
                let slot = ForkGuard::new(reader.get(acquired), attachment.fork_id());
                conversion.convert(slot.bytes())
            }
            None => conversion.convert(&buffer.bytes()[..len]),
        };
        match converted {
            Ok(bytes) => Ok((Received { bytes: Storage::Private(bytes), publisher }, refusal)),
            Err(why) => Err(refusal.count(why)),
        }
    }
}
