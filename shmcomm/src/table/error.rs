//! Errors of loads and stores of a table.
//!
//! Owns the errors and their texts. Calls `ring` for the reasons.

use crate::message::Invalid;
use crate::ring::table::{ATTEMPTS, NotLoaded};

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
    /// This process was forked from the process that opened the table.
    #[error("this end was opened before `fork`; open the channel again in the child")]
    Forked,
}

impl From<NotLoaded> for LoadError {
    fn from(why: NotLoaded) -> Self {
        match why {
            NotLoaded::Busy => LoadError::Busy { attempts: ATTEMPTS },
            NotLoaded::Damaged => LoadError::Damaged,
        }
    }
}
