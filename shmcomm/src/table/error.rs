//! Errors of loads, stores and waits of a table.
//!
//! Owns the errors and their texts. Calls `ring` for the reasons.

use crate::error::operation_errors;
use crate::message::Invalid;
use crate::ring::table::{ATTEMPTS, NotLoaded};
use crate::wait::Stopped;

/// Reason why [`TableReader::load`](crate::TableReader::load) returned no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Writers stored new values during each attempt to copy the old ones. A later call may succeed.
    #[error(
        "writers stored new values during each of {attempts} attempts to copy; load again, load fewer keys at once, or \
         store less often"
    )]
    Busy {
        /// Number of attempts.
        attempts: u32,
    },
    /// The words of the table contradict each other: another process has damaged its segment.
    #[error(
        "the words of the table contradict each other, so another process has damaged its segment; end its writers, and \
         remove it with `shmcomm::force_unlink`"
    )]
    Damaged,
    /// The bytes of the value are not a value of its type: another process violates the type of the key.
    #[error("the value of key `{key}` is invalid: {problem}")]
    Invalid {
        /// Name of the key.
        key: &'static str,
        /// Part of the value that is wrong.
        problem: Invalid,
    },
    /// This process was forked from the process that opened the table.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

/// Reason why [`TableWriter::store`](crate::TableWriter::store) stored no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another writer is alive and has been in the middle of a store of this key for a second. Only a table with
    /// `writers: Many` returns it.
    #[error(
        "process {pid} has been in the middle of a store of this key for {seconds} s: it was stopped there; continue or end \
         that process, and store again"
    )]
    Busy {
        /// The process, in its own pid namespace; 0 if it is not known.
        pid: u32,
        /// Seconds for which this store has waited.
        seconds: u64,
    },
    /// This process was forked from the process that opened the table.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

operation_errors! {
    common {
        /// This process was forked from the process that opened the table.
        #[error("this end was opened before `fork`; open the channel again in the child")]
        Forked,
        /// The system has not mapped the page of the table that waiting readers write to.
        #[error("this reader cannot wait, and can still load: {0}")]
        Unavailable(why: String),
    }

    /// Reason why [`TableReader::wait`](crate::TableReader::wait) ended without a change.
    TableWaitError {
        /// The [`StopHandle`](crate::StopHandle) of the reader was stopped.
        #[error("the reader was stopped by its `StopHandle`")]
        Stopped,
    }

    /// Reason why [`TableReader::wait_timeout`](crate::TableReader::wait_timeout) or
    /// [`TableReader::wait_deadline`](crate::TableReader::wait_deadline) ended without a change.
    TableWaitTimeoutError {
        /// None of the keys was stored in time.
        #[error("no value was stored in time")]
        Timeout,
        /// See [`TableWaitError::Stopped`].
        #[error("the reader was stopped by its `StopHandle`")]
        Stopped,
    }
    <- TableWaitError { Stopped => Stopped }
}

impl From<Stopped> for TableWaitError {
    fn from(_: Stopped) -> Self {
        TableWaitError::Stopped
    }
}

impl From<NotLoaded> for LoadError {
    fn from(why: NotLoaded) -> Self {
        match why {
            NotLoaded::Busy => LoadError::Busy { attempts: ATTEMPTS },
            NotLoaded::Damaged => LoadError::Damaged,
        }
    }
}
