//! [`Lock`]: the file lock that Python's pullers share.
//!
//! Owns the path of the file and the locking. Calls `os`. Never waits: a puller without the lock polls again.
//!
//! Python takes `flock` on a file in the directory that its `tempfile` module finds; processes with different
//! `TMPDIR` therefore lock different files, and take the same jobs. This end searches like Python, or takes a
//! path that its user gives. Once it has the lock, it also checks that the path still refers to the file:
//! cleaners of temporary directories remove the file, and the next puller makes a new one.

use crate::error::{Error, ErrorKind};
use crate::escape::Shown as _;
use crate::os::{self, File, FileId, FileKind};
use crate::segment::lock_file;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Number of attempts to lock the file: if the path refers to another file each time, a process keeps
/// replacing it.
const REOPENS: u32 = 100;

/// A lock file, reopened at the next use if its path was replaced.
#[derive(Debug)]
pub(in crate::python) struct Lock {
    channel: String,
    path: PathBuf,
    file: Option<(File, FileId)>,
}

/// The lock, held until this is dropped. The log records are written after the release, because other
/// processes wait for the lock and a logger may be slow.
pub(in crate::python) struct LockGuard<'l> {
    file: &'l File,
    channel: &'l str,
    path: &'l Path,
    since: Instant,
}

impl Lock {
    /// Makes the lock of the channel, at Python's path or at the given path.
    pub(in crate::python) fn new(channel: &str, path: Option<PathBuf>) -> Result<Self, Error> {
        let path = match path {
            Some(path) => path,
            None => lock_file(channel).map_err(|why| Error::new(ErrorKind::Os, channel.to_owned(), why))?,
        };
        let mut lock = Lock { channel: channel.to_owned(), path, file: None };
        lock.open().map_err(|why| Error::new(ErrorKind::Permission, channel.to_owned(), why))?;
        Ok(lock)
    }

    pub(in crate::python) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock if it is free. Returns `None` if another puller holds it.
    pub(in crate::python) fn try_hold(&mut self) -> Result<Option<LockGuard<'_>>, String> {
        for _ in 0..REOPENS {
            if self.file.is_none() {
                self.open()?;
            }
            let (file, id) = self.file.as_ref().expect("just opened");
            let got = os::try_flock(file).map_err(|error| self.words("lock", &error))?;
            if !got {
                return Ok(None);
            }
            if matches!(os::id_of_path(&self.path), Ok(Some(now)) if now == *id) {
                // Borrowed again from the field: a loop cannot return a borrow that it continues to use.
                let (channel, path, since) = (&*self.channel, &*self.path, Instant::now());
                return Ok(self.file.as_ref().map(|(file, _)| LockGuard { file, channel, path, since }));
            }
            // Closing the file drops the lock.
            self.file = None;
        }
        Err(format!(
            "{} was replaced by another file at each of {REOPENS} attempts; find the process that replaces it",
            self.path.shown()
        ))
    }

    fn open(&mut self) -> Result<(), String> {
        let file = os::open_lock_file(&self.path).map_err(|error| self.words("open", &error))?;
        let stat = os::stat(&file).map_err(|error| self.words("examine", &error))?;
        let refusal = match os::is_own(&stat) {
            Ok(()) if stat.kind == FileKind::Regular => None,
            Ok(()) => Some(format!("is a {}", stat.kind.name())),
            Err(why) => Some(why),
        };
        if let Some(refusal) = refusal {
            let path = self.path.shown();
            return Err(format!(
                "the lock file {path} {refusal}; remove it, or give all pullers another `TMPDIR` or `lock_path`"
            ));
        }
        self.file = Some((file, stat.id));
        Ok(())
    }

    fn words(&self, verb: &str, error: &std::io::Error) -> String {
        format!(
            "cannot {verb} the lock file {}, which all pullers share: {error}; \
             give all of them another `TMPDIR` or `lock_path`",
            self.path.shown()
        )
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        // It can fail only for a file that is not open.
        let _ = os::unflock(self.file);
        let (channel, path) = (self.channel, self.path.shown());
        log::debug!(target: "shmcomm", "channel `{channel}`: lock acquired: {path}");
        log::debug!(
            target: "shmcomm",
            "channel `{channel}`: lock released after {:?}: {path}",
            self.since.elapsed()
        );
    }
}
