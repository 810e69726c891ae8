//! [`Spec`]: the declaration of a channel, with which an end creates or finds its segment.
//!
//! Plain data: made by `channel`, read by the patterns and by `segment`. Checks no value itself.

use super::{ChannelPath, Role, Sharing};
use crate::error::Error;
use crate::layout::{Format, Pattern};
use crate::wait::StopHandle;
use std::any::Any;
use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Declaration of a channel by the program that opens it.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Name with the namespace: `sim1/robot/imu`.
    pub(crate) name: String,
    /// The group of users that share the channel; `None` if it is private.
    pub(crate) sharing: Option<Sharing>,
    pub(crate) pattern: Pattern,
    pub(crate) format: Format,
    pub(crate) slots: u64,
    /// Payload bytes that a slot holds.
    pub(crate) slot_size: u64,
    /// Largest size in bytes to which the slots grow; 0 if they do not grow.
    pub(crate) grow: u64,
    /// `true` if messages are in place at every size, `false` if they are copied, `None` if their size decides.
    pub(crate) in_place: Option<bool>,
    /// Bytes of the longest request, for request/reply; otherwise 0.
    pub(crate) request_size: u64,
    /// Number of unread replies that a request may have, if its replies are a stream; otherwise 0.
    pub(crate) window: u64,
    /// Bytes of the longest reply of a stream; otherwise 0.
    pub(crate) reply_size: u64,
    /// Alignment of the payload, a power of two.
    pub(crate) align: u64,
    pub(crate) seats: u32,
    /// Publishers at a time; 1 for patterns without publishers.
    pub(crate) publishers: u32,
    /// Flags: `layout::FLAG_*`.
    pub(crate) flags: u32,
    /// Fingerprint of the message, the request, or the header.
    pub(crate) fingerprint: u64,
    /// Fingerprint of the reply or of the tail's items; otherwise 0.
    pub(crate) fingerprint2: u64,
    /// JSON array of the layouts, as stored in the segment; `[]` if a codec defines them.
    pub(crate) schema: Cow<'static, str>,
    /// Function that describes the difference between two such texts, the segment's and this one.
    pub(crate) difference: fn(&str, &str) -> String,
    /// Function that returns the difference between the codecs in two such texts, whose fingerprints are equal, and the cure.
    pub(crate) codecs: fn(&str, &str) -> Option<(String, &'static str)>,
    /// Resolution of other layouts, if the messages have layouts.
    pub(crate) resolve: Option<Arc<dyn Resolve>>,
    /// Longest time to wait for a segment that does not exist yet. Zero checks once.
    pub(crate) connect_timeout: Duration,
    /// Number of messages from before the joining that a subscriber wants, if they are still in the ring.
    pub(crate) history: u64,
    /// Stall timeout: longest time for which a subscriber may block a publisher with `overflow: Wait`. Zero:
    /// the subscriber is an observer.
    pub(crate) patience: Duration,
    /// Period in which a subscriber expects a message.
    pub(crate) expect_every: Option<Duration>,
    /// Handle that stops the blocking calls of the end, and its opening.
    pub(crate) stop: Option<StopHandle>,
    /// Settings that do not have their default.
    pub(crate) asked: Requested,
}

impl Spec {
    /// Returns the place of the segment.
    pub(super) fn place(&self) -> Result<ChannelPath, Error> {
        ChannelPath::of(&self.name, self.sharing.as_ref())
    }
}

/// The settings that a program specified itself. The other settings have their default, and are not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requested(u16);

impl Requested {
    pub(crate) const NOTHING: Requested = Requested(0);
    pub(crate) const SLOTS: Requested = Requested(1);
    /// Includes the longest tail, which determines the size of the slots.
    pub(crate) const SLOT_SIZE: Requested = Requested(2);
    pub(crate) const SEATS: Requested = Requested(4);
    pub(crate) const PUBLISHERS: Requested = Requested(8);
    pub(crate) const OVERFLOW: Requested = Requested(16);
    pub(crate) const PATIENCE: Requested = Requested(32);
    pub(crate) const WINDOW: Requested = Requested(64);
    pub(crate) const GROW: Requested = Requested(128);
    pub(crate) const IN_PLACE: Requested = Requested(256);

    pub(crate) const fn and(self, other: Requested) -> Self {
        Requested(self.0 | other.0)
    }

    pub(crate) const fn has(self, other: Requested) -> bool {
        self.0 & other.0 != 0
    }
}

/// Resolution of the layouts in a segment against those of this program.
pub(crate) trait Resolve: Debug + Send + Sync {
    /// Resolves the layouts `theirs` for an end of this role. Returns the difference and the cure if it cannot read
    /// such messages, or writes messages of its own layout.
    fn resolve(
        &self,
        theirs: &str,
        fingerprints: (u64, u64),
        role: Role,
    ) -> Result<Accepted, (String, String)>;
}

/// Another layout that an end reads.
pub(crate) struct Accepted {
    /// Alignment of the messages that the end writes.
    pub(crate) align: u64,
    /// Size in bytes of the requests that the end writes; otherwise 0.
    pub(crate) request_size: u64,
    /// Conversion of the messages, for the layers above.
    pub(crate) resolved: Arc<dyn Any + Send + Sync>,
}
