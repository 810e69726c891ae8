//! [`LivenessFile`]: the open file through which an end queries locks: its liveness file.
//!
//! Owns that file and the [`Turn`]s of the threads that use it. Checks that the descriptor still belongs to
//! that file. Other code of the process can close a descriptor that it did not open, as in programs that
//! close all descriptors. The number then belongs to another file, or none. On tmpfs the lock of the seat is
//! safe from that, because the mapping keeps it. Calls `os`. Never makes a decision.

use super::registration::{self, SharedFile, Turn};
use super::seats;
use crate::os::{self, File, FileId};
use std::io;

/// The open file that has the lock of the participant's seat: it sees all locks except its own.
///
/// Results of a file that is no longer the segment's are not trusted. Every participant then counts as alive,
/// no byte is locked, and the file is left to its owner.
pub(super) struct LivenessFile {
    file: SharedFile<File>,
    id: FileId,
}

impl LivenessFile {
    /// Makes the liveness file from `file`, the segment with that identity.
    pub(super) fn new(file: File, id: FileId) -> Self {
        LivenessFile { file: SharedFile::new(file), id }
    }

    /// Returns the file, to query locks. Fails if the descriptor belongs to another file by now. Makes a
    /// system call.
    pub(super) fn file(&self) -> io::Result<&File> {
        os::intact(self.file.file()).map(|()| self.file.file())
    }

    /// Waits until no other thread of this process locks through the file, and returns the right to lock.
    ///
    /// Another thread keeps the right for microseconds, or while it waits for the registration lock: at most
    /// 5 s.
    pub(super) fn turn(&self) -> io::Result<Turn<'_>> {
        let turn = self.file.turn();
        self.file().map(|_| turn)
    }

    /// Returns the right to lock through the file, unless another thread of this process has it.
    pub(super) fn try_turn(&self) -> io::Result<Option<Turn<'_>>> {
        let turn = self.file.try_turn();
        self.file().map(|_| turn)
    }

    /// Returns the identity of the opened file.
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Returns `true` if the participant on `seat` lives, or if that cannot be determined.
    pub(super) fn alive(&self, seat: u32) -> bool {
        // Checked only if a participant would be declared dead.
        seats::alive(self.file.file(), seat) || self.file().is_err()
    }

    /// Returns `true` if another participant joins, leaves or recovers at this moment: it has the
    /// registration lock. Makes a system call of 200 to 500 ns.
    pub(super) fn joining(&self) -> bool {
        registration::is_held(self.file.file())
    }
}
