//! The functions of [`super`] that Linux and macOS have in common.
//!
//! Owns opening, metadata, bytes, locks and limits of files. Calls `file` for the descriptors. Never makes or names a
//! file: the module of the system does.
//!
//! The locks are locks of open file descriptions (`F_OFD_SETLK`). Linux has them since 3.15, and XNU since macOS 10.11
//! (`bsd/sys/fcntl.h` of xnu-3248). On both systems the kernel drops them with the last descriptor.

use super::{File, FileId, FileKind, Stat};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Resource;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Returns the largest size in bytes that this process may give a file, if there is a limit.
pub(crate) fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Fsize).current
}

/// Returns the number of files that this process may hold open, if there is a limit.
pub(crate) fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// Returns the number of bytes that this process may lock in memory, if there is a limit.
pub(crate) fn locked_memory_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Memlock).current
}

/// Returns `true` if the file has a name.
pub(crate) fn is_linked(file: &File) -> io::Result<bool> {
    Ok(rustix::fs::fstat(file)?.st_nlink > 0)
}

/// Opens the file at `path` for reading and writing. Follows no symbolic link, and does not wait for the
/// other end of a FIFO.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    File::by(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
}

/// Gives a new file mode 0600, whatever the umask. The umask may remove permissions of this user too, so that the file
/// could not be reopened.
pub(super) fn made_private(file: File) -> io::Result<File> {
    if stat(&file)?.mode != 0o600 {
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    }
    Ok(file)
}

pub(crate) fn stat(file: &File) -> io::Result<Stat> {
    Ok(convert(rustix::fs::fstat(file)?))
}

/// Returns the metadata of the name itself, even if it is a symbolic link.
pub(crate) fn stat_path(path: &Path) -> io::Result<Stat> {
    Ok(convert(rustix::fs::lstat(path)?))
}

// The widths of the fields differ between architectures.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
pub(super) fn convert(stat: rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        _ => FileKind::Device,
    };
    Stat {
        kind,
        id: (stat.st_dev as u64, stat.st_ino as u64),
        owner: stat.st_uid,
        group: stat.st_gid,
        mode: u32::from(stat.st_mode) & 0o7777,
        len: u64::try_from(stat.st_size).unwrap_or(0),
    }
}

/// Fills `buffer` from byte `at` of the file. Fails with `UnexpectedEof` if the file ends before.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    file.inner().read_exact_at(buffer, at)
}

/// Writes `bytes` at byte `at`. Processes that have the file mapped see them.
pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.inner().write_all_at(bytes, at)
}

/// Returns the names in `dir` that are UTF-8; the library uses no other names.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(any(target_env = "musl", target_os = "macos"))]
use libc::flock as Lock;
#[cfg(not(any(target_env = "musl", target_os = "macos")))]
use libc::flock64 as Lock;

// The types of these numbers differ between systems.
#[allow(clippy::unnecessary_cast)]
const EXCLUSIVE: libc::c_int = libc::F_WRLCK as libc::c_int;
#[allow(clippy::unnecessary_cast)]
const NO_LOCK: libc::c_int = libc::F_UNLCK as libc::c_int;

fn lock_call(
    file: &File,
    command: libc::c_int,
    kind: libc::c_int,
    first: u64,
    len: u64,
) -> io::Result<libc::c_int> {
    // SAFETY: zero is a valid value of every field.
    let mut lock: Lock = unsafe { std::mem::zeroed() };
    let number = |n: u64| n.try_into().map_err(|_| io::Error::from(Errno::INVAL));
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = number(first)?;
    lock.l_len = number(len)?;
    // SAFETY: a call of fcntl with an open descriptor and the structure that these commands take
    // and that outlives the call.
    if unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, &raw mut lock) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock.l_type.into())
}

/// Locks `len` bytes from `first` for this open file description alone, without waiting. Returns `false` if
/// another description has locked some of them. The kernel drops the lock with the last descriptor of the
/// description. On tmpfs the lock also lasts until the last mapping made through the description ends;
/// overlayfs does not wait for that.
pub(crate) fn try_lock(file: &File, first: u64, len: u64) -> io::Result<bool> {
    match lock_call(file, libc::F_OFD_SETLK, EXCLUSIVE, first, len) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Drops the locks of this open file description in the range.
pub(crate) fn unlock(file: &File, first: u64, len: u64) -> io::Result<()> {
    lock_call(file, libc::F_OFD_SETLK, NO_LOCK, first, len).map(drop)
}

/// Returns `true` if another open file description has locked any byte of the range.
pub(crate) fn is_locked(file: &File, first: u64, len: u64) -> io::Result<bool> {
    let kind = lock_call(file, libc::F_OFD_GETLK, EXCLUSIVE, first, len)?;
    Ok(kind != NO_LOCK)
}

/// Blocks all signals in this thread, so that other threads of the process receive them.
pub(crate) fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `all` is filled by the call.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was filled; the old set is not returned.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut()) };
}

/// Checks that a file belongs to the user of this process. Otherwise returns a text such as "belongs to user
/// 1001, …".
pub(crate) fn is_own(stat: &Stat) -> Result<(), String> {
    if stat.owner == user() {
        return Ok(());
    }
    Err(format!(
        "belongs to user {}, and this process runs as user {}; both ends of a channel run as one user, \
         or share it with a group: start them so, or use another name",
        stat.owner,
        user()
    ))
}

/// Checks that a file belongs to the user of this process and that no other user may write to it. Otherwise
/// returns a text like [`is_own`].
pub(crate) fn is_mine(stat: &Stat) -> Result<(), String> {
    is_own(stat)?;
    if stat.mode & 0o022 == 0 {
        return Ok(());
    }
    Err(format!(
        "has mode {:04o}, so other users may write to it; segments have mode 0600: \
         `chmod 600` it if you trust what is in it, or delete it",
        stat.mode
    ))
}

/// Returns the effective user id.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns the identity of the file at `path`, if there is one.
pub(crate) fn id_of_path(path: &Path) -> io::Result<Option<FileId>> {
    match stat_path(path) {
        Ok(stat) => Ok(Some(stat.id)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns `true` if the mode of the file at `path` lets this process read and write it. For a directory,
/// checks also the right to create files in it.
pub(crate) fn may_write(path: &Path, directory: bool) -> bool {
    let access =
        if directory { Access::WRITE_OK | Access::EXEC_OK } else { Access::READ_OK | Access::WRITE_OK };
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}
