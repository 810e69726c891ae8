//! Files that get their names when they are complete, on macOS, which has no files without a name.
//!
//! Owns the temporary names. Calls `file` and `unix`. Never interprets the contents of a file.
//!
//! 1. A file is created with a temporary name, and its creator locks [`CREATOR`] for as long as it has the file open. A
//!    process that deletes a file with a temporary name takes this lock first. So a clean-up spares a file that is
//!    about to get its name.
//! 2. [`File`] remembers its temporary name. The last user of the file removes it, unless the file has got its own
//!    name. If the process is killed before, the next clean-up does it.
//! 3. A file is reopened by its path, which the kernel knows (`F_GETPATH` of `fcntl(2)`). `/dev/fd` gives a copy of the
//!    descriptor instead, which shares the locks.
//!
//! A name is given by `renameatx_np` with `RENAME_EXCL` (`rename(2)`), or, on file systems that lack it, by a link and the
//! removal of the old name. `rename` replaces a name at once, and a mapped file can be deleted, as on Linux.
//!
//! All of this works on Linux too, where the tests run it.

use crate::os::unix::{made_private, open, stat, try_lock};
use crate::os::{File, TEMPORARY, pid};
use crate::sync::{AtomicU32, Ordering};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// The byte that the creator of a file locks: beyond the seats and the registration lock.
const CREATOR: u64 = 1 << 32;
/// Attempts to create a file with a temporary name.
const ATTEMPTS: u32 = 1000;

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()))
}

fn unused_name(dir: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the uniqueness of the number matters.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("{TEMPORARY}{}-{}-{count}", pid(), crate::os::monotonic()))
}

/// Returns a new file in `dir` with mode 0600 and a temporary name. It vanishes with its last user unless [`link`] gives
/// it a name.
pub(crate) fn create_unnamed(dir: &Path) -> io::Result<File> {
    for _ in 0..ATTEMPTS {
        let path = unused_name(dir);
        if let Some(file) = create(&path)? {
            return Ok(file);
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// Creates a file with the temporary name `path`. Returns `None` if a clean-up took it away.
fn create(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = File::by(|| rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR))?;
    // (2)
    *file.temporary() = Some(path.to_owned());
    let file = made_private(file)?;
    // (1): a clean-up has the lock for a moment, and has then removed the name.
    let kept = try_lock(&file, CREATOR, 1)? && rustix::fs::fstat(&file)?.st_nlink > 0;
    Ok(kept.then_some(file))
}

/// Gives a file its name, instead of its temporary one. A file with a name gets another one. Fails with
/// `AlreadyExists` if the name is taken.
pub(crate) fn link(file: &File, path: &Path) -> io::Result<()> {
    let mut temporary = file.temporary();
    if let Some(from) = &*temporary {
        move_to(from, path)?;
        *temporary = is_temporary(path).then(|| path.to_owned());
        return Ok(());
    }
    let from = path_of(file)?;
    if crate::os::id_of_path(&from)? != Some(stat(file)?.id) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(rustix::fs::linkat(CWD, &from, CWD, path, AtFlags::empty())?)
}

/// Renames a file. Fails with `AlreadyExists` if the name is taken.
fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::NOTSUP | Errno::INVAL) => move_in_two_steps(from, to),
        result => Ok(result?),
    }
}

/// Renames a file where the system cannot refuse to replace another one. If the process is killed in between, the file
/// has two names, and the clean-up removes the temporary one.
fn move_in_two_steps(from: &Path, to: &Path) -> io::Result<()> {
    rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?;
    Ok(rustix::fs::unlink(from)?)
}

/// Gives the file `new`, whose name is `from`, the name `to`, which may belong to another file. The replacement is
/// atomic; `_aside` is for other systems.
pub(crate) fn replace_name(new: &File, from: &Path, to: &Path, _aside: &Path) -> io::Result<()> {
    let mut temporary = new.temporary();
    rustix::fs::rename(from, to)?;
    *temporary = None;
    Ok(())
}

/// Removes the name `path`. Fails with `ResourceBusy` for a temporary name whose creator lives. (1)
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    let mut creator = None;
    if is_temporary(path) {
        let file = creator.insert(open(path)?);
        if !try_lock(file, CREATOR, 1)? {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
    }
    // The lock lasts until the name is gone.
    Ok(rustix::fs::unlink(path)?)
}

/// Removes the name `path` from `_file`, which has it. Returns `false` if the name did not exist. `_aside` is
/// a free name in the same directory, for systems on which a mapped file can be moved but not deleted.
pub(crate) fn take_name(_file: &File, path: &Path, _aside: &Path) -> io::Result<bool> {
    match unlink(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reopens the file: returns a new open file description with its own locks. `path_hint` is a possible path of the
/// file. (3)
pub(crate) fn reopen(file: &File, path_hint: &Path) -> io::Result<File> {
    let id = stat(file)?.id;
    let known = path_of(file).ok();
    let mut reason = io::Error::from(io::ErrorKind::NotFound);
    for path in known.as_deref().into_iter().chain([path_hint]) {
        match open(path) {
            Ok(other) if stat(&other)?.id == id => return Ok(other),
            // Another file has the path now.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// Returns the path that the file has now. (3)
#[cfg(target_os = "macos")]
fn path_of(file: &File) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = rustix::fs::getpath(file)?;
    Ok(std::ffi::OsString::from_vec(path.into_bytes()).into())
}

#[cfg(not(target_os = "macos"))]
fn path_of(file: &File) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", crate::os::descriptor(file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{id_of_path, is_locked, list};

    /// A directory that is removed with its contents.
    struct Dir(PathBuf);

    impl Dir {
        fn new(test: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("shmcomm-test-{test}-{}", pid()));
            std::fs::create_dir(&dir).unwrap();
            Dir(dir)
        }

        fn names(&self) -> Vec<String> {
            let mut names = list(&self.0).unwrap();
            names.sort();
            names
        }

        fn only(&self) -> PathBuf {
            let names = self.names();
            assert_eq!(names.len(), 1, "{names:?}");
            self.0.join(&names[0])
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn file_vanishes_unless_it_gets_its_name() {
        let dir = Dir::new("vanishes");
        let file = create_unnamed(&dir.0).unwrap();
        assert_eq!(crate::os::is_mine(&stat(&file).unwrap()), Ok(()));
        assert!(is_temporary(&dir.only()));
        drop(file);
        assert_eq!(dir.names(), [""; 0]);
        let file = create_unnamed(&dir.0).unwrap();
        let path = dir.0.join("shmcomm2_a");
        link(&file, &path).unwrap();
        assert_eq!(dir.names(), ["shmcomm2_a"]);
        assert_eq!(id_of_path(&path).unwrap(), Some(stat(&file).unwrap().id));
        drop(file);
        assert_eq!(dir.names(), ["shmcomm2_a"]);
    }

    #[test]
    fn name_that_is_taken_is_not_replaced() {
        let dir = Dir::new("taken");
        let path = dir.0.join("shmcomm2_a");
        let (first, second) = (create_unnamed(&dir.0).unwrap(), create_unnamed(&dir.0).unwrap());
        link(&first, &path).unwrap();
        assert_eq!(link(&second, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let from = second.temporary().clone().unwrap();
        let error = move_in_two_steps(&from, &path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(id_of_path(&path).unwrap(), Some(stat(&first).unwrap().id));
        move_in_two_steps(&from, &dir.0.join("shmcomm2_b")).unwrap();
        assert_eq!(dir.names(), ["shmcomm2_a", "shmcomm2_b"]);
        drop(second);
        assert_eq!(dir.names(), ["shmcomm2_a", "shmcomm2_b"]);
    }

    #[test]
    fn replacement_takes_the_name_and_leaves_no_other() {
        let dir = Dir::new("replaced");
        let (path, aside) = (dir.0.join("shmcomm2_a"), dir.0.join("shmcomm2~1"));
        let (old, new) = (create_unnamed(&dir.0).unwrap(), create_unnamed(&dir.0).unwrap());
        link(&old, &path).unwrap();
        link(&new, &aside).unwrap();
        replace_name(&new, &aside, &path, &aside).unwrap();
        drop((old, new));
        assert_eq!(dir.names(), ["shmcomm2_a"]);
        // A replacement that fails.
        let lost = create_unnamed(&dir.0).unwrap();
        link(&lost, &aside).unwrap();
        assert_eq!(unlink(&aside).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(lost);
        assert_eq!(dir.names(), ["shmcomm2_a"]);
    }

    #[test]
    fn cleanup_spares_files_of_living_creators() {
        let dir = Dir::new("creator");
        let file = create_unnamed(&dir.0).unwrap();
        let path = dir.only();
        assert_eq!(unlink(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(dir.only(), path);
        // The creator dies: its lock goes, and the name stays.
        file.temporary().take();
        drop(file);
        unlink(&path).unwrap();
        assert_eq!(dir.names(), [""; 0]);
    }

    #[test]
    fn creator_starts_again_if_cleanup_was_faster() {
        let dir = Dir::new("faster");
        let path = unused_name(&dir.0);
        // The clean-up has the lock.
        std::fs::write(&path, "").unwrap();
        let cleaner = open(&path).unwrap();
        assert!(try_lock(&cleaner, CREATOR, 1).unwrap());
        let creator = open(&path).unwrap();
        assert!(!try_lock(&creator, CREATOR, 1).unwrap());
        // Its name is gone, and the lock is free.
        std::fs::remove_file(&path).unwrap();
        drop(cleaner);
        assert!(try_lock(&creator, CREATOR, 1).unwrap());
        assert_eq!(rustix::fs::fstat(&creator).unwrap().st_nlink, 0);
        assert_eq!(create(&path).unwrap().map(|file| stat(&file).unwrap().len), Some(0));
        // A name that exists is an error, not a file to share.
        std::fs::write(&path, "").unwrap();
        assert_eq!(create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn reopened_file_has_locks_of_its_own() {
        let dir = Dir::new("reopened");
        let file = create_unnamed(&dir.0).unwrap();
        let nowhere = dir.0.join("nowhere");
        assert!(try_lock(&file, 3, 1).unwrap());
        for name in [None, Some("shmcomm2_a"), Some("shmcomm2_b")] {
            if let Some(name) = name {
                link(&file, &dir.0.join(name)).unwrap();
            }
            let other = reopen(&file, &nowhere).unwrap();
            assert!(is_locked(&other, 3, 1).unwrap(), "{name:?}");
            assert!(!try_lock(&other, 3, 1).unwrap(), "{name:?}");
        }
        assert_eq!(dir.names(), ["shmcomm2_a", "shmcomm2_b"]);
        for name in dir.names() {
            unlink(&dir.0.join(name)).unwrap();
        }
        assert_eq!(reopen(&file, &nowhere).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(link(&file, &nowhere).is_err());
        // Another file at the path is not taken for it.
        std::fs::write(&nowhere, "").unwrap();
        assert_eq!(reopen(&file, &nowhere).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn errors_of_a_directory_reach_the_caller() {
        let dir = Dir::new("errors");
        let missing = create_unnamed(&dir.0.join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let long = create_unnamed(Path::new(&format!("/{}", "x/".repeat(3000)))).unwrap_err();
        assert_eq!(long.raw_os_error(), Some(libc::ENAMETOOLONG));
        std::os::unix::fs::symlink("target", dir.0.join("shmcomm2~link")).unwrap();
        assert!(unlink(&dir.0.join("shmcomm2~link")).is_err());
    }
}
