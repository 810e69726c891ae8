//! The two errors of every codec, with the path to the field that is wrong.
//!
//! Owns their wording, in Python's names for things, because one end of the wire is often Python.
//! Calls nothing; never carries more than a short excerpt of the message.

use crate::plural::count;
use std::fmt;

/// Reason why a message was not encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The encoded message does not fit into the slot.
    TooLong {
        /// Exact number of bytes that the encoded message takes.
        needed: usize,
        /// Number of bytes that the slot holds.
        capacity: usize,
    },
    /// The format, or Python at the other end, cannot hold this message.
    Refused {
        /// Path to the value, such as `.poses[3].x`; empty for the message itself.
        path: String,
        /// Fault of the value, and the remedy.
        reason: String,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { needed, capacity } => {
                write!(
                    f,
                    "the encoded message takes {needed}, but there is room for {capacity}",
                    needed = count(*needed, "byte")
                )
            }
            Self::Refused { path, reason } if path.is_empty() => f.write_str(reason),
            Self::Refused { path, reason } => write!(f, "{path}: {reason}"),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Kind of fault that a [`DecodeError`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the message does.
    Truncated,
    /// Bytes follow the end of the message.
    Trailing,
    /// The bytes are not what the format allows.
    Malformed,
    /// The bytes are a message in another format than the declared one, which the error names.
    Mismatch,
    /// The message is well formed, but needs code, or a type that this crate does not read.
    Unsupported,
    /// The message is nested too deep, or would grow too large in memory.
    Limit,
    /// The message contains itself.
    Cyclic,
    /// The message is well formed, but is not of the requested type.
    Type,
}

/// Reason why bytes were not decoded into a message.
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
    /// Makes the error of bytes that are not UTF-8 from `offset` on.
    pub(super) fn not_text(offset: usize) -> Self {
        let reason = "the bytes are no UTF-8 text".to_owned();
        Self(Box::new(Inner {
            kind: DecodeErrorKind::Malformed,
            path: String::new(),
            reason,
            offset: Some(offset),
        }))
    }

    /// Makes the error of `len` bytes that do not make an `M`.
    pub(super) fn other_type<M>(len: usize) -> Self {
        let reason = format!("{len}: no `{}`", core::any::type_name::<M>(), len = count(len, "byte"));
        Self(Box::new(Inner { kind: DecodeErrorKind::Type, path: String::new(), reason, offset: None }))
    }

    /// Returns the kind of fault.
    #[must_use]
    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// Returns the path to the wrong value, such as `.poses[3].x`; empty for the message itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Returns the text of the fault, without the path. Control characters of the message are escaped.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Returns the index of the byte at which the fault shows, if it is known.
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
