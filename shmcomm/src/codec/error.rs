//! The two errors of every codec, with the path to the field that is wrong.
//!
//! Owns their wording, in Python's names for things, because one end of the wire is often Python.
//! Calls nothing; never carries more than a short excerpt of the message.

use std::fmt;

/// Why a message was not encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The encoded message does not fit into the slot.
    TooLong {
        /// Bytes that the encoded message takes, exactly.
        needed: usize,
        /// Bytes that there was room for.
        capacity: usize,
    },
    /// The format, or Python at the other end, cannot hold this message.
    Refused {
        /// The way to the value, such as `.poses[3].x`; empty for the message itself.
        path: String,
        /// What is wrong with it, and what to do instead.
        reason: String,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { needed, capacity } => {
                write!(f, "the encoded message takes {needed} bytes, but there is room for {capacity}")
            }
            Self::Refused { path, reason } if path.is_empty() => f.write_str(reason),
            Self::Refused { path, reason } => write!(f, "{path}: {reason}"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// What kind of fault a [`DecodeError`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the message does.
    Truncated,
    /// Bytes follow the end of the message.
    Trailing,
    /// The bytes are not what the format allows.
    Malformed,
    /// The message is well formed, but needs code, or a type this crate does not read.
    Unsupported,
    /// The message is nested too deep, or would grow too large in memory.
    Limit,
    /// The message contains itself.
    Cyclic,
    /// The message is fine, but is not of the type that was asked for.
    Type,
}

/// Why bytes were not decoded into a message.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(pub(super) Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inner {
    pub(super) kind: DecodeErrorKind,
    pub(super) path: String,
    pub(super) reason: String,
    pub(super) offset: Option<usize>,
}

impl DecodeError {
    /// What kind of fault it is.
    #[must_use]
    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// The way to the value that is wrong, such as `.poses[3].x`; empty for the message itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What is wrong, without the path.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The byte of the message at which the fault shows, where that is known.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.0.path)?;
        }
        f.write_str(&self.0.reason)?;
        match self.0.offset {
            Some(offset) => write!(f, " (at byte {offset} of the message)"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for DecodeError {}
