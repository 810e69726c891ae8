//! [`Failure`]: the reason why a command failed, and its exit code.
//!
//! Owns the four exit codes. Calls nothing. Never prints to standard output.

use shmcomm::{Error, ErrorKind};
use std::io;

/// Result of a command.
pub type Outcome = Result<(), Failure>;

/// Reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Exit code 2: an argument has no sense here.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3: no such channel.
    #[error("{0}")]
    NotFound(String),
    /// Exit code 3: nothing arrived in time.
    #[error("{0}")]
    TimedOut(String),
    /// The reader of the output has gone. Not an error.
    #[error("the output is closed")]
    Closed,
}

impl Failure {
    /// Returns the exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Closed => 0,
            Failure::Failed(_) => 1,
            Failure::Usage(_) => 2,
            Failure::NotFound(_) | Failure::TimedOut(_) => 3,
        }
    }

    /// Prints the failure to standard error.
    pub fn report(&self) {
        // A closed standard error leaves the exit code.
        let _ = io::Write::write_all(&mut io::stderr(), format!("shmcomm: {self}\n").as_bytes());
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Failure::NotFound(error.to_string()),
            ErrorKind::InvalidName => Failure::Usage(error.to_string()),
            _ => Failure::Failed(error.to_string()),
        }
    }
}

/// An error of the output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Failed(format!("cannot write the output: {error}")),
        }
    }
}
