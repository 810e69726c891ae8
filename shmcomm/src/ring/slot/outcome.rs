//! Results of the readers of both broadcast rings: [`AcquiredToken`], [`NoMessage`], [`FastPath`].
//!
//! Plain data. Never touches a slot.

/// An acquired message: the token to access it once. The reader pins the message until then, or
/// until it acquires the next message.
#[must_use = "a pinned message occupies a slot of the writer"]
#[derive(Debug)]
pub(crate) struct AcquiredToken {
    position: u64,
    len: usize,
}

impl AcquiredToken {
    #[inline(always)]
    pub(in crate::ring) fn new(position: u64, len: usize) -> Self {
        AcquiredToken { position, len }
    }

    #[inline(always)]
    pub(in crate::ring) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the length of the message in bytes. It never exceeds the slot size.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// The reason why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMessage {
    /// Nothing new.
    Empty,
    /// Number of messages that were overwritten before this reader reached them. Reported once, before the
    /// message that follows them.
    Lagged(u64),
}

/// The result of the fast path of a receive.
pub(crate) enum FastPath<T = ()> {
    /// The next message, whose bytes are written.
    Ready(T),
    /// No new message.
    Empty,
    /// A state that only the slow path handles.
    Slow,
}
