//! [`Registration`]: the lock under which participants join, leave and are recovered (Linux open file
//! description locks).
//!
//! Owns every lock that is taken on a byte of a segment's file, and the right to take one ([`Turn`]). Calls
//! `os` through [`LockFile`], so that loom runs this code on a model of such locks. Never writes into a
//! segment.
//!
//! The kernel's locks belong to an open file description. The kernel grants a lock that the description
//! already has. An unlock by one thread releases the lock that another thread took through the same
//! description. Two threads that share an open file therefore need a mutex too:
//!
//! 1. A lock is taken through a [`Turn`] only, and a description has one turn at a time. Either the turn
//!    borrows the file exclusively ([`Turn::sole`]), or it holds the mutex of a [`SharedFile`] file.
//! 2. A [`Registration`] keeps its turn until it has unlocked.

use crate::fault::mutant;
use crate::sync::{Mutex, MutexGuard};
use std::io;
use std::sync::PoisonError;

#[cfg(not(loom))]
use super::ChannelPath;
#[cfg(not(loom))]
use crate::error::{Error, ErrorKind};
#[cfg(not(loom))]
use crate::layout::MAX_SEATS;
#[cfg(not(loom))]
use crate::os::{self, CURES, File};
#[cfg(not(loom))]
use std::time::{Duration, Instant};

#[cfg(loom)]
#[path = "registration/model.rs"]
mod model;

/// The byte that is locked while a participant joins, leaves or recovers others, or while the target of a
/// name changes. It may lie beyond the end of the file.
const REGISTRATION: u64 = 1 << 16;
#[cfg(not(loom))]
const _: () = assert!(MAX_SEATS as u64 <= REGISTRATION);
/// A byte that is never locked.
#[cfg(not(loom))]
const UNUSED: u64 = REGISTRATION + 1;

/// Longest wait for the registration lock. A holder runs a few hundred instructions, so only a stopped
/// process takes this long. A dead process has lost the lock.
#[cfg(not(loom))]
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// An open file description that can lock single bytes.
pub(super) trait LockFile {
    /// Locks a byte without waiting; `false` if another description has it.
    fn try_lock(&self, byte: u64) -> io::Result<bool>;
    /// Releases a byte for the whole description.
    fn unlock(&self, byte: u64) -> io::Result<()>;
}

#[cfg(not(loom))]
impl LockFile for File {
    fn try_lock(&self, byte: u64) -> io::Result<bool> {
        os::try_lock(self, byte, 1)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        os::unlock(self, byte, 1)
    }
}

#[cfg(not(loom))]
type Locks = File;
#[cfg(loom)]
type Locks = model::Description;

/// Returns `true` if another open file description has the registration lock.
#[cfg(not(loom))]
pub(super) fn is_held(file: &File) -> bool {
    os::is_locked(file, REGISTRATION, 1).unwrap_or(false)
}

/// An open file that several threads use.
pub(super) struct SharedFile<F = Locks> {
    file: F,
    /// It guards no data, so the panic of another thread leaves nothing behind.
    mutex: Mutex<()>,
}

impl<F> SharedFile<F> {
    pub(super) fn new(file: F) -> Self {
        SharedFile { file, mutex: Mutex::new(()) }
    }

    /// Returns the file, to query the locks of other descriptions.
    pub(super) fn file(&self) -> &F {
        &self.file
    }

    /// Waits until no other thread locks through the file.
    pub(super) fn turn(&self) -> Turn<'_, F> {
        let mutex = (!mutant("segment turn without the mutex"))
            .then(|| self.mutex.lock().unwrap_or_else(PoisonError::into_inner));
        Turn { file: &self.file, _mutex: mutex }
    }

    /// Returns the turn if no other thread locks through the file.
    #[cfg(not(loom))]
    pub(super) fn try_turn(&self) -> Option<Turn<'_, F>> {
        match self.mutex.try_lock() {
            Ok(mutex) => Some(Turn { file: &self.file, _mutex: Some(mutex) }),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => {
                Some(Turn { file: &self.file, _mutex: Some(poisoned.into_inner()) })
            }
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

/// The right of one thread to lock bytes through an open file description.
pub(super) struct Turn<'a, F = Locks> {
    file: &'a F,
    _mutex: Option<MutexGuard<'a, ()>>,
}

impl<'a, F: LockFile> Turn<'a, F> {
    /// Returns the turn on a file that no other thread can use: it is borrowed exclusively.
    pub(super) fn sole(file: &'a mut F) -> Self {
        Turn { file, _mutex: None }
    }

    pub(super) fn file(&self) -> &'a F {
        self.file
    }

    /// Locks seat `index` for the open file description; `false` if another description has it.
    pub(super) fn take_seat(&self, index: u32) -> io::Result<bool> {
        self.file.try_lock(index.into())
    }

    /// Releases seat `index`, which [`Turn::take_seat`] has locked.
    pub(super) fn give_seat_back(&self, index: u32) -> io::Result<()> {
        self.file.unlock(index.into())
    }

    /// Takes the registration lock without waiting. Returns the turn if another description has the lock.
    pub(super) fn try_register(self) -> io::Result<Result<Registration<'a, F>, Self>> {
        Ok(if self.file.try_lock(REGISTRATION)? {
            Ok(Registration {
                turn: self,
                #[cfg(not(loom))]
                report: None,
            })
        } else {
            Err(self)
        })
    }
}

#[cfg(not(loom))]
impl<'a> Turn<'a> {
    /// Checks that the system shows the lock of seat `index`, which the description has, to another open
    /// file, and no lock that does not exist. Participants rely on such locks to know which of them live.
    pub(super) fn check_seat_shows(&self, place: &ChannelPath, index: u32) -> Result<(), Error> {
        let other =
            os::reopen(self.file, place.path()).map_err(|error| super::system(place, "open", error))?;
        let shown =
            |byte| os::is_locked(&other, byte, 1).map_err(|error| super::system(place, "lock", error));
        if shown(index.into())? && !shown(UNUSED)? {
            return Ok(());
        }
        Err(place.error(
            ErrorKind::Unsupported,
            format!(
                "the file system of {} does not show one process the locks of another, by which the ends of a \
                 channel know which of them live; {}",
                place.dir().display(),
                CURES.no_locks
            ),
        ))
    }

    /// Takes the registration lock, waiting at most [`LOCK_TIMEOUT`].
    pub(super) fn register(self, place: &ChannelPath) -> Result<Registration<'a>, Error> {
        self.register_within(place, LOCK_TIMEOUT)
    }

    pub(super) fn register_within(
        mut self,
        place: &ChannelPath,
        timeout: Duration,
    ) -> Result<Registration<'a>, Error> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            self = match self.try_register().map_err(|error| super::system(place, "lock", error))? {
                Ok(mut registration) => {
                    registration.report = Report::new(place);
                    return Ok(registration);
                }
                Err(turn) => turn,
            };
            if start.elapsed() >= timeout {
                return Err(place.error(
                    ErrorKind::Os,
                    format!(
                        "another process has held the registration lock of {} for {timeout:?}; \
                         a process that was stopped (by {}) while it joined \
                         holds it: continue or end that process",
                        place.path().display(),
                        CURES.stops
                    ),
                ));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }
}

/// The registration lock of a segment, held until this is dropped. The kernel releases it if the process
/// dies.
///
/// No user code runs meanwhile. No log record is written, because a logger that blocks would keep every other
/// process from joining.
pub(super) struct Registration<'a, F: LockFile = Locks> {
    turn: Turn<'a, F>,
    /// Dropped after the turn.
    #[cfg(not(loom))]
    report: Option<Report>,
}

/// Writes that the lock was acquired and released when it is dropped: after both the lock and the mutex of
/// the turn have been released. A recovery, which takes the lock many times a second, reports nothing.
#[cfg(not(loom))]
struct Report {
    channel: String,
    acquired: Instant,
}

#[cfg(not(loom))]
impl Report {
    /// Returns `None` if the log does not show records of level debug.
    fn new(place: &ChannelPath) -> Option<Self> {
        log::log_enabled!(target: "shmcomm", log::Level::Debug)
            .then(|| Report { channel: place.name().to_owned(), acquired: Instant::now() })
    }
}

#[cfg(not(loom))]
impl Drop for Report {
    fn drop(&mut self) {
        let (channel, held) = (&self.channel, self.acquired.elapsed());
        log::debug!(target: "shmcomm", "channel `{channel}`: registration lock acquired");
        log::debug!(target: "shmcomm", "channel `{channel}`: registration lock released after {held:?}");
    }
}

impl<'a, F: LockFile> Registration<'a, F> {
    /// Returns the file that the lock is held through.
    pub(super) fn file(&self) -> &'a F {
        self.turn.file()
    }

    /// Returns the turn, to take and release seats.
    pub(super) fn turn(&self) -> &Turn<'a, F> {
        &self.turn
    }
}

impl<F: LockFile> Drop for Registration<'_, F> {
    fn drop(&mut self) {
        // A failure needs no handling: the kernel drops the lock with the file.
        let _ = self.turn.file.unlock(REGISTRATION);
    }
}
