//! [`ChannelReport`]: the figures of a recorded channel; [`Notice`]: what happened to it.
//!
//! Owns the metadata of a file with these figures. Calls nothing.

use mcap::records::Metadata;
use std::fmt;

/// Figures of a recorded channel. Each message that a publisher sent since the channel was added is in one of them,
/// except those of a segment that the recorder could not open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelReport {
    /// Full name of the channel.
    pub name: String,
    /// Messages in the files.
    pub written: u64,
    /// Bytes of these messages in their encoding, before compression.
    pub bytes: u64,
    /// Messages that were overwritten before they were recorded.
    pub lost: u64,
    /// Messages that could not be encoded.
    pub refused: u64,
    /// Messages that left the pre-trigger buffer because it was full.
    pub dropped: u64,
    /// Messages that left the pre-trigger buffer because its time was over.
    pub expired: u64,
    /// Messages that were given to a file and were not in it when it was closed after an error.
    pub cut_off: u64,
}

/// Name in the metadata of a file, and the figure.
type Figure = (&'static str, fn(&ChannelReport) -> u64);

const FIGURES: [Figure; 6] = [
    ("shmcomm.written", |report| report.written),
    ("shmcomm.losses", |report| report.lost),
    ("shmcomm.refused", |report| report.refused),
    ("shmcomm.dropped", |report| report.dropped),
    ("shmcomm.expired", |report| report.expired),
    ("shmcomm.cut_off", |report| report.cut_off),
];

/// Returns the figures of all channels as the metadata of a file.
pub(super) fn metadata(reports: &[ChannelReport]) -> Vec<Metadata> {
    let of = |(name, figure): Figure| Metadata {
        name: name.to_owned(),
        metadata: reports.iter().map(|report| (report.name.clone(), figure(report).to_string())).collect(),
    };
    FIGURES.map(of).into()
}

/// Event of a recorded channel that a user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The channel has another layout or other settings, and is recorded with them.
    Changed {
        /// Full name of the channel.
        channel: String,
    },
    /// The messages of the channel cannot be recorded until its segment is replaced again. The recorder tries again, at
    /// most once a second.
    Interrupted {
        /// Full name of the channel.
        channel: String,
        /// Problem and cure.
        why: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Changed { channel } => {
                write!(
                    f,
                    "channel `{channel}` was replaced with another layout or other settings; the recording continues \
                     with them"
                )
            }
            Notice::Interrupted { channel, why } => {
                write!(f, "channel `{channel}` was replaced, and cannot be recorded now: {why}")
            }
        }
    }
}
