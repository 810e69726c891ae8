//! [`Lock`]: the file lock that Python's pullers share.
//!
//! Owns where it is and how it is taken. Calls `os`. Never waits: whoever does not get it looks again.
//!
//! Python takes `flock` on a file in the directory that its `tempfile` module finds; processes with
//! different `TMPDIR` therefore lock different files, and take the same jobs. This end searches as
//! Python does, and takes a path that its user knows better. It also looks, once it has the lock,
//! whether the path still stands for the file: cleaners of temporary directories remove it, and the
//! next puller makes a new one.

use crate::os::{self, FileId, FileKind};
use crate::{Error, ErrorKind};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Names to try before a directory counts as one that nothing can be written to.
const TRIES: u32 = 100;
/// A path that stands for another file each time we lock it is somebody's game.
const REOPENS: u32 = 100;

/// A lock file, open or to be opened.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: Option<(File, FileId)>,
}

/// The lock is held until this is dropped.
pub(super) struct Held<'l> {
    file: &'l File,
}

impl Lock {
    /// Of the channel, where Python has it, or at the path that is known better.
    pub(super) fn new(channel: &str, path: Option<PathBuf>) -> Result<Self, Error> {
        let path = match path {
            Some(path) => path,
            None => temporary_directory()
                .map_err(|why| Error::new(ErrorKind::Os, channel.to_owned(), why))?
                .join(format!("shmcomm_shmcomm_push_{channel}.lock")),
        };
        let mut lock = Lock { path, file: None };
        lock.open().map_err(|why| Error::new(ErrorKind::Permission, channel.to_owned(), why))?;
        Ok(lock)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock if nobody has it; nothing if somebody has.
    pub(super) fn try_hold(&mut self) -> Result<Option<Held<'_>>, String> {
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
                // Taken once more from the field: a loop cannot give out a borrow it goes on with.
                return Ok(self.file.as_ref().map(|(file, _)| Held { file }));
            }
            // Closing the file drops the lock.
            self.file = None;
        }
        Err(format!("{} keeps becoming another file; somebody replaces it all the time", self.path.display()))
    }

    fn open(&mut self) -> Result<(), String> {
        let file = os::open_lock_file(&self.path).map_err(|error| self.words("open", &error))?;
        let stat = os::stat(&file).map_err(|error| self.words("examine", &error))?;
        if stat.kind != FileKind::Regular || stat.owner != os::user() {
            return Err(format!(
                "the lock file {} is a {} of user {}, and this process runs as user {}; remove it, \
                 or give all pullers another `TMPDIR` or `lock_path`",
                self.path.display(),
                stat.kind.name(),
                stat.owner,
                os::user()
            ));
        }
        self.file = Some((file, stat.id));
        Ok(())
    }

    fn words(&self, verb: &str, error: &std::io::Error) -> String {
        format!(
            "cannot {verb} the lock file {}, which all pullers share: {error}; \
             give all of them another `TMPDIR` or `lock_path`",
            self.path.display()
        )
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // It can fail only for a file that is not open.
        let _ = os::unflock(self.file);
    }
}

/// The directory for temporary files, as `tempfile.gettempdir()` finds it on Unix: the first of these
/// that a file can be written in.
fn temporary_directory() -> Result<PathBuf, String> {
    let variables = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(std::env::var_os);
    let named = variables.filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp", "/usr/tmp"].into_iter().map(PathBuf::from);
    let current = std::env::current_dir().ok();
    let mut candidates = named.chain(usual).chain(current).filter_map(|dir| std::path::absolute(dir).ok());
    candidates.find(|dir| writable(dir)).ok_or_else(|| {
        "no directory for temporary files can be written to, so the lock that pullers share has no place; \
         set `TMPDIR`, for Python too, or `lock_path`"
            .to_owned()
    })
}

fn writable(dir: &Path) -> bool {
    for n in 0..TRIES {
        let path = dir.join(format!("shmcomm-{}-{}-{n}", os::pid(), os::monotonic()));
        match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                let written = std::io::Write::write_all(&mut file, b"blat").is_ok();
                let _ = std::fs::remove_file(&path);
                return written;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(_) => return false,
        }
    }
    false
}
