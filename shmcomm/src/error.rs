//! What can go wrong when a channel is set up: one opaque [`Error`] that knows its kind, its channel
//! and its cause.
//!
//! Owns that type. Errors of single operations (send, receive) are small enums beside the operation.
//! Never formats on the path of a message.

use std::borrow::Cow;
use std::fmt;

/// What kind of failure an [`Error`] is; match on it, show the error itself to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No segment of that name appeared within the connect timeout.
    NotFound,
    /// The name of the channel, or the namespace, cannot be used.
    InvalidName,
    /// The requested number or size of slots, or of seats, cannot be used.
    InvalidGeometry,
    /// There is a file of that name, but it is no segment, or a damaged one.
    NotASegment,
    /// The segment has another version of the format, such as version 1 of the Python library.
    Version,
    /// The segment carries messages of another layout.
    TypeMismatch,
    /// The segment belongs to another pattern, codec or setting of the channel.
    ChannelMismatch,
    /// Another live publisher has the channel.
    AlreadyPublished,
    /// All seats for participants are taken.
    NoSeat,
    /// The segment belongs to another user, or others may write to it, or the system refused.
    Permission,
    /// The file system for shared memory has not enough room.
    NoSpace,
    /// This operating system lacks something.
    Unsupported,
    /// Any other refusal of the operating system; see `source()`.
    Os,
}

/// Why a channel could not be set up, listed or removed.
///
/// `Display` says what happened, with the numbers, and what to do about it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    channel: Cow<'static, str>,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        channel: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Error(Box::new(Inner { kind, channel: channel.into(), message: message.into(), source: None }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The full name of the channel, namespace included, or of the segment if no channel is known.
    pub fn channel(&self) -> &str {
        &self.0.channel
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel `{}`: {}", self.0.channel, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("channel", &self.0.channel)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as _)
    }
}
