//! Files of other processes of this user, found through `/proc`.
//!
//! Owns the search for a process that has a removed file open, and the opening of that file through it.

use super::{File, FileId, FileKind, Stat};
use rustix::fs::{CWD, Mode, OFlags};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

/// Reopens descriptor `fd` of process `pid`, if it is the regular file `id`: a new open file description.
pub(crate) fn open_of_process(pid: u32, fd: u32, id: FileId) -> io::Result<(File, Stat)> {
    let path = PathBuf::from(format!("/proc/{pid}/fd/{fd}"));
    let wanted = |stat: &Stat| stat.id == id && stat.kind == FileKind::Regular;
    // Checked before it is opened, because opening a device may have an effect.
    if !wanted(&super::stat_behind(&path)?) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::by(|| rustix::fs::openat(CWD, &path, flags, Mode::empty()))?;
    let stat = super::stat(&file)?;
    if wanted(&stat) { Ok((file, stat)) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Returns the PID namespace of this process.
pub(crate) fn pid_namespace() -> io::Result<FileId> {
    super::stat_behind(Path::new("/proc/self/ns/pid")).map(|stat| stat.id)
}

/// Returns the number of an open file in this process.
pub(crate) fn descriptor(file: &File) -> u32 {
    file.as_fd().as_raw_fd().unsigned_abs()
}

/// Returns the processes of this user that have a file open whose name was `path` until it was removed, each
/// with the descriptor. `/proc` shows a file that was created without a name as unnamed forever. All such
/// files in the same directory are therefore in the result. Reads the descriptors of all processes that this
/// user may see: some milliseconds.
pub(crate) fn holders_of_removed(path: &Path) -> impl Iterator<Item = (u32, u32, FileId)> {
    let removed = format!("{} (deleted)", path.display());
    let unnamed = format!("{}/#", path.parent().unwrap_or(Path::new("")).display());
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.flat_map(move |entry| {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        // Not a process, or it has ended, or it belongs to another user.
        let files = pid.and_then(|_| std::fs::read_dir(entry.path().join("fd")).ok());
        let matching = files.into_iter().flatten().flatten().filter(|file| {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            target.to_str().is_some_and(|target| target == removed || target.starts_with(&unnamed))
        });
        let found = matching.filter_map(|file| {
            let fd = file.file_name().to_str()?.parse().ok()?;
            Some((pid?, fd, super::stat_behind(&file.path()).ok()?.id))
        });
        found.collect::<Vec<_>>()
    })
}
