//! Results of the removal of stale segments: [`Cleanup`], [`Spared`], [`SpareReason`].
//!
//! Plain data, made by `cleanup` and `version1`. Never removes a file.

use super::SegmentInfo;
use crate::error::Error;
use crate::plural::count;
use std::fmt;

/// Result of [`remove_stale`](crate::remove_stale).
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Cleanup {
    /// The removed segments, as they were before.
    pub removed: Vec<SegmentInfo>,
    /// All other segments of the namespace.
    pub spared: Vec<Spared>,
}

/// A segment that [`remove_stale`](crate::remove_stale) did not remove.
#[derive(Debug)]
#[non_exhaustive]
pub struct Spared {
    /// The segment, as it was listed.
    pub segment: SegmentInfo,
    /// The reason why it was not removed.
    pub reason: SpareReason,
}

/// Reason why [`remove_stale`](crate::remove_stale) did not remove a segment. `Display` writes it as text.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpareReason {
    /// A participant is alive, or another process has the segment mapped.
    InUse,
    /// A queue that no process uses, with this number of jobs that were accepted and not finished. The next
    /// puller of the channel receives them. `force_unlink` with the name of the channel removes the segment
    /// and the jobs.
    HoldsWork(u64),
    /// The file is not a usable segment, for this reason. It may be a queue with jobs.
    Unreadable(String),
    /// The system refused the removal.
    Failed(Error),
}

impl fmt::Display for SpareReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpareReason::InUse => f.write_str("it is in use"),
            SpareReason::HoldsWork(1) => f.write_str("it holds 1 job that is not finished"),
            SpareReason::HoldsWork(jobs) => {
                write!(f, "it holds {jobs} that are not finished", jobs = count(*jobs, "job"))
            }
            SpareReason::Unreadable(why) => write!(f, "it cannot be read: {why}"),
            SpareReason::Failed(error) => write!(f, "it cannot be removed: {error}"),
        }
    }
}

/// Result for one stale segment.
pub(super) enum Outcome {
    Removed,
    /// Another process has removed the segment, or replaced it.
    Gone,
    Spared(SpareReason),
}
