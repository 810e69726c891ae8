//! The functions of [`super`] on Windows 10 and later.
//!
//! Owns names, metadata, clocks and the refusals of the system. Its children own open files with their locks,
//! access control lists, mappings, events, and pollers. Never interprets the contents of a file.
//!
//! | what Linux has | what this module uses | because |
//! |---|---|---|
//! | a file in `/dev/shm` | a file in `%LOCALAPPDATA%\shmcomm`, mapped | a named section is gone with its last handle |
//! | a file without a name | a file with a temporary name, which its creator locks | Windows has no such files |
//! | `unlink`, `rename` over a name | a move to a temporary name, then a deletion | a mapped file can be moved only |
//! | a lock of an open file description | `LockFileEx` far behind the data | the system drops it with the handle |
//! | `futex` | two named events for each word | `WaitOnAddress` wakes no other process |
//! | mode 0600 | an access control list with one entry | |

mod event;
mod file;
mod futex;
mod map;
mod poll;
mod security;
#[cfg(test)]
mod tests;

pub(crate) use super::unsupported::{
    OwnedFd, TimerFd, Watch, block_signals, descriptor, file_size_limit, holders_of_removed,
    locked_memory_limit, mapped_files, mappings, open_files_limit, open_lock_file, open_of_process,
    pid_namespace, python_dir, try_flock, unflock, watch,
};
pub(crate) use file::{
    File, create_unnamed, intact, is_linked, is_locked, link, open, read_at, reopen, replace_name, stat,
    take_name, try_lock, unlink, unlock, write_at,
};
pub(crate) use futex::{
    FUTEXES, FutexAt, futex_is, futex_wait, futex_wait_any, futex_wait_at, futex_wake, waits_for_many,
};
pub(crate) use map::{Map, map, map_read_only};
pub(crate) use poll::{EventFd, PollSet};

use super::{FileId, Refusal, Stat};
use crate::sync::{AtomicU64, Ordering};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_COMMITMENT_LIMIT, ERROR_FILENAME_EXCED_RANGE,
    ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES,
    ERROR_WRITE_PROTECT,
};
use windows_sys::Win32::Storage::FileSystem::{CreateDirectoryW, GetDiskFreeSpaceExW};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

/// Reason why parts of the library are refused here.
pub(crate) const REASON: &str = "Windows has no channels with Python's shm-comm 1.0.0, and no access to the open files of \
     another process; native channels work";

/// `true` if the file system takes `a` and `A` for one name, and drops a dot at the end of a name.
pub(crate) const FOLDS_NAMES: bool = true;

/// Environment variable with the user's directory for data of this machine.
const LOCAL_DATA: &str = "LOCALAPPDATA";

/// Returns an error for a call that returned zero.
fn check(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns a path for a system call, as the system resolves it: absolute, without `.` and `..`. A path with a drive or
/// of a network share gets the prefix that lifts the limit of 260 characters. After the prefix the system takes each
/// character as it is.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    const SEPARATOR: u16 = b'\\' as u16;
    const COLON: u16 = b':' as u16;
    const DRIVE: &str = r"\\?\";
    const SHARE: &str = r"\\?\UNC\";
    let path = std::path::absolute(path)?;
    let mut text: Vec<u16> = path.as_os_str().encode_wide().collect();
    match text[..] {
        [_, COLON, SEPARATOR, ..] => drop(text.splice(0..0, DRIVE.encode_utf16())),
        // Such a prefix, or a device.
        [SEPARATOR, SEPARATOR, third, ..] if third == u16::from(b'?') || third == u16::from(b'.') => {}
        [SEPARATOR, SEPARATOR, ..] => drop(text.splice(0..2, SHARE.encode_utf16())),
        _ => {}
    }
    text.push(0);
    Ok(text)
}

/// Returns the default directory of segments. Creates it for this user alone if it does not exist.
pub(crate) fn default_dir() -> io::Result<PathBuf> {
    let Some(base) = std::env::var_os(LOCAL_DATA).filter(|base| Path::new(base).is_absolute()) else {
        let why = format!("the environment variable {LOCAL_DATA} has no absolute path");
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    };
    let dir = Path::new(&base).join("shmcomm");
    let attributes = security::for_files()?;
    let path = wide(&dir)?;
    // SAFETY: the path ends with a zero, and the attributes are never freed.
    let made = unsafe { CreateDirectoryW(path.as_ptr(), attributes.as_ptr()) };
    match check(made) {
        Err(error) if error.raw_os_error() != Some(ERROR_ALREADY_EXISTS as i32) => Err(error),
        _ => Ok(dir),
    }
}

/// Sets the length of `file` to `len` zero bytes. NTFS allocates them. The section of the file takes nothing of the
/// commit limit.
pub(crate) fn reserve(file: &File, len: u64) -> io::Result<()> {
    // A file system may accept more than it has, and an access to the missing part raises an exception.
    let free = file.directory().and_then(|dir| free_bytes(&dir));
    if matches!(free, Ok(free) if len > free) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.inner().set_len(len)
}

/// Does nothing: [`reserve`] has allocated the bytes.
pub(crate) fn back(_file: &File, _len: u64) -> io::Result<()> {
    Ok(())
}

/// Returns the number of bytes that the file system of `dir` still has for this user.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let (path, mut free) = (wide(dir)?, 0);
    let none = std::ptr::null_mut();
    // SAFETY: the path ends with a zero, and the call fills one number.
    check(unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, none, none) })?;
    Ok(free)
}

/// Returns the metadata of the name itself, even if it is a symbolic link.
pub(crate) fn stat_path(path: &Path) -> io::Result<Stat> {
    file::stat_of(&file::examine(path)?)
}

/// Returns the identity of the file at `path`, if there is one.
pub(crate) fn id_of_path(path: &Path) -> io::Result<Option<FileId>> {
    match file::examine(path).and_then(|file| file::id_of(&file)) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the names in `dir` that are Unicode; the library uses no other names.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Checks that a file belongs to the user of this process. Otherwise returns a text such as "belongs to another
/// user, …".
pub(crate) fn is_own(stat: &Stat) -> Result<(), String> {
    if stat.owner == user() {
        return Ok(());
    }
    Err("belongs to another user; both ends of a channel run as one user: start them so, or use another name"
        .into())
}

/// Checks that a file belongs to the user of this process and that no other user may write to it. Otherwise
/// returns a text like [`is_own`].
pub(crate) fn is_mine(stat: &Stat) -> Result<(), String> {
    is_own(stat)?;
    if stat.mode & security::OTHERS_WRITE == 0 {
        return Ok(());
    }
    Err("has an access control list by which other users may write to it; a segment admits its user only: \
         delete the file, or let `icacls` remove the other users if you trust what is in it"
        .into())
}

/// Returns the number that stands for the user of this process in a [`Stat`].
pub(crate) fn user() -> u32 {
    security::OWN
}

/// Returns the name of this program, without its path and `.exe`.
pub(crate) fn process_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Returns nanoseconds of a clock that never jumps and that all processes share.
pub(crate) fn monotonic() -> u64 {
    static FREQUENCY: AtomicU64 = AtomicU64::new(0);
    let (mut now, mut each) = (0, 0);
    // SAFETY: fills one number.
    unsafe { QueryPerformanceCounter(&raw mut now) };
    // Relaxed: the frequency never changes.
    let mut frequency = FREQUENCY.load(Ordering::Relaxed);
    if frequency == 0 {
        // SAFETY: fills one number.
        unsafe { QueryPerformanceFrequency(&raw mut each) };
        frequency = each.max(1) as u64;
        FREQUENCY.store(frequency, Ordering::Relaxed);
    }
    (now as u128 * 1_000_000_000 / u128::from(frequency)) as u64
}

/// Returns [`monotonic`].
pub(crate) fn monotonic_coarse() -> u64 {
    monotonic()
}

/// Returns the reason why the system refused a call, if it is known.
pub(crate) fn refusal(error: &io::Error) -> Option<Refusal> {
    Some(match error.raw_os_error()? as u32 {
        ERROR_WRITE_PROTECT => Refusal::ReadOnly,
        ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION => Refusal::Access,
        ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY | ERROR_COMMITMENT_LIMIT => Refusal::Memory,
        ERROR_TOO_MANY_OPEN_FILES => Refusal::ProcessFiles,
        ERROR_FILENAME_EXCED_RANGE => Refusal::PathTooLong,
        _ => return None,
    })
}

/// Returns the cause and the cure of a refusal, as it follows the error, where they are particular to this system.
pub(crate) fn advice(refusal: Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::Access => {
            "; the file or the directory belongs to another user or its access control list excludes this user, or a \
             program such as a virus scanner has the file open: run both ends as one user, exclude the directory from the \
             scan, or set SHMCOMM_DIR to a directory of this user in all processes"
        }
        Refusal::ReadOnly => {
            "; the volume is write-protected: set SHMCOMM_DIR to a directory of another volume in all processes"
        }
        Refusal::Memory => {
            "; the process has no room for the mapping: a process of 32 bits has 2 GiB of addresses, and a job object \
             may limit its memory. Use fewer or smaller slots"
        }
        Refusal::ProcessFiles => "; the process has too many handles open",
        _ => return None,
    })
}

/// Returns `true`: the access control list is not evaluated, and the error of the call itself tells more.
pub(crate) fn may_write(_path: &Path, _directory: bool) -> bool {
    true
}

/// Identity of a process. Windows has no fork.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForkId(());

impl ForkId {
    pub(crate) fn here() -> io::Result<Self> {
        Ok(ForkId(()))
    }

    /// Returns `false`.
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        false
    }
}
