//! Errors of recording and replay.
//!
//! Owns their texts: what happened, the numbers, the name and the cure. Calls nothing.

use crate::encoding::EncodingError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Error of a recording.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file cannot be created.
    #[error("cannot create the recording {}: {source}{}", path.display(), cure(source))]
    Create {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The file cannot be written further, such as if the disk is full. It is closed and readable.
    #[error(
        "cannot write the recording {}: {source}; the file was closed with its first {kept} bytes, and can be read",
        path.display()
    )]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Bytes that the file has.
        kept: u64,
        /// Error of the system.
        source: io::Error,
    },
    /// The channel cannot be recorded.
    #[error(transparent)]
    Channel(#[from] shmcomm::Error),
    /// The messages of the channel cannot be encoded.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// The channel is no publish/subscribe channel.
    #[error(
        "channel `{channel}` is for {pattern}: to record its messages would take them from the receivers; record a \
         publish/subscribe channel"
    )]
    Pattern {
        /// Full name of the channel.
        channel: String,
        /// Its pattern.
        pattern: String,
    },
}

/// Error of a replay.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlayError {
    /// The file cannot be opened or read.
    #[error("cannot read the recording {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The file is no MCAP file, or is damaged.
    #[error("the recording {} is no MCAP file, or is damaged: {why}", path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Problem in words.
        why: String,
    },
    /// The files are not the consecutive files of one recording.
    #[error("the files cannot be replayed together: {why}")]
    Parts {
        /// The file that does not fit, and the cure.
        why: String,
    },
    /// The start is behind the last message.
    #[error(
        "the replay would start {start:?} after the first message, but the last message comes after {length:?}; start          earlier"
    )]
    LateStart {
        /// Time of the start, from the first message.
        start: Duration,
        /// Time of the last message, from the first one.
        length: Duration,
    },
    /// The file has no channel that can be replayed.
    #[error(
        "the recording {} has no message of a channel that `shmcomm record` wrote{}",
        path.display(),
        if *chosen { " and the options select" } else { "" }
    )]
    Nothing {
        /// Path of the file.
        path: PathBuf,
        /// `true` if options select channels or times.
        chosen: bool,
    },
    /// A publisher of the channel is alive.
    #[error(
        "channel `{channel}` has a live publisher ({publisher}); stop it, give the replayed channel another name, or \
         force the replacement"
    )]
    LivePublisher {
        /// Full name of the channel.
        channel: String,
        /// Name and process of the publisher.
        publisher: String,
    },
    /// The channel exists with other messages.
    #[error(
        "channel `{channel}` exists with messages of another type than the recorded ones: {why}; force the \
         replacement, so that subscribers convert the recorded messages by their own rules"
    )]
    TypeMismatch {
        /// Full name of the channel.
        channel: String,
        /// The first difference, with the field.
        why: String,
    },
    /// The channel cannot be opened.
    #[error(transparent)]
    Channel(#[from] shmcomm::Error),
    /// A message cannot be sent.
    #[error("channel `{channel}`: {source}")]
    Send {
        /// Full name of the channel.
        channel: String,
        /// Error of the publisher.
        source: shmcomm::DynError,
    },
}

fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AlreadyExists => "; a recording never replaces a file, so give another name",
        _ => "",
    }
}
