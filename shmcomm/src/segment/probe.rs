//! [`Probe`]: the open file through which an end asks for locks.
//!
//! Owns that file, and the doubt about it: other code of the process can close a descriptor that it did not
//! open (as programs do that close all of theirs), and its number then stands for another file, or none. The
//! lock of the seat is safe from that, as the mapping has it. Calls `os`. Decides nothing.

use super::seats;
use crate::os::{self, FileId};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;

/// Another open file description of the segment than the mapping's: it has no lock on a seat, so it sees all.
///
/// Answers of a file that is not the segment's any more are not believed: everybody counts as alive, nothing
/// is locked, and it is left to whom it belongs now.
pub(super) struct Probe {
    file: ManuallyDrop<File>,
    id: FileId,
}

impl Probe {
    /// `file` is the segment of that identity.
    pub(super) fn new(file: File, id: FileId) -> Self {
        Probe { file: ManuallyDrop::new(file), id }
    }

    /// The file; an error if it is another one by now. A system call.
    pub(super) fn file(&self) -> io::Result<&File> {
        let refusal = match os::stat(&self.file) {
            Ok(stat) if stat.id == self.id => return Ok(&self.file),
            Ok(_) => "its number stands for another file now".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(io::Error::other(format!(
            "something in this process closed a file of shmcomm ({refusal}); \
             close only files that you opened, or close them before channels are opened"
        )))
    }

    /// Which file it was opened as.
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Whether the participant on `seat` lives, as far as can be told.
    pub(super) fn alive(&self, seat: u32) -> bool {
        // Asked a second time only where somebody would be declared dead.
        seats::alive(&self.file, seat) || self.file().is_err()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if self.file().is_ok() {
            // SAFETY: it is there, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.file) }
        }
    }
}
