//! Operating system interface of the crate: the same functions on each system.
//!
//! Owns the choice of the implementation and the plain types of the functions. Calls only `sync` of the
//! crate; knows no layout, no name of a channel, no policy. Only this module uses `rustix` and `libc`. Every
//! function that fails returns [`std::io::Error`]; `segment` turns it into an error text.
//!
//! # What every platform provides
//!
//! | items | promise | Linux | macOS | Windows |
//! |---|---|---|---|---|
//! | [`default_dir`], [`list`], [`free_bytes`] | the directory of all segments, its names, its free bytes | `/dev/shm` | the user's directory for caches, one for each start of the system | `%LOCALAPPDATA%\shmcomm` |
//! | [`python_dir`] | the directory of the segments of Python's library | `/dev/shm` | refused | refused |
//! | [`File`], [`intact`] | an open file with locks of its own; clones share it, the last one closes it; a forked child has none | a descriptor, in a table of all | as on Linux | a handle |
//! | [`create_unnamed`], [`reserve`], [`back`], [`reserve_parts`], [`extend`], [`link`] | a file that gets its name when it is complete, with memory behind every byte, or behind the parts that are asked for; systems that cannot do that reserve all | `O_TMPFILE`, `fallocate`, `linkat` | a temporary name, moved; `F_PREALLOCATE` | a temporary name, moved; `SetEndOfFile` |
//! | [`open`], [`reopen`] | another [`File`] of the same file, which sees the locks of the first one | `O_NOFOLLOW`, `/proc/self/fd` | `O_NOFOLLOW`, the path of `F_GETPATH` | `ReOpenFile` |
//! | [`stat`], [`stat_path`], [`id_of_path`], [`is_own`], [`is_mine`], [`is_linked`] | which file it is; whether it is this user's, and another user may write to it | `fstat`, `lstat`; owner and mode | as on Linux | file index; owner and access control list |
//! | [`group`], [`own_group`], [`is_member`], [`is_unmapped`], [`share`], [`is_group_file`], [`is_group_dir`], [`make_shared_dir`], [`remove_empty_dir`] | groups of users, and the files and directories that they share | `getgrnam_r`, `fchown`, `fchmod` | refused | refused |
//! | [`read_at`], [`write_at`] | bytes, coherent with mappings | `pread`, `pwrite` | as on Linux | `ReadFile`, `WriteFile` |
//! | [`take_name`], [`replace_name`], [`unlink`] | what a name stands for, changed while the file is mapped | `unlink`, `rename` | as on Linux | a move aside, a deletion |
//! | [`map`], [`map_read_only`] → [`Map`] | shared memory that keeps its file, and with it the locks; no child inherits it | `MAP_SHARED`, `MADV_DONTFORK`, `pthread_atfork` | `MAP_SHARED`, `minherit` | a section of the file; no fork |
//! | [`try_lock`], [`unlock`], [`is_locked`] | exclusive locks of bytes, beyond the end of the file too, that the system drops when the process ends, however it ends | open-file-description locks | as on Linux | `LockFileEx` from byte 2^62 on |
//! | [`open_lock_file`], [`try_flock`], [`unflock`] | the lock that Python's library uses | `flock` | refused | refused |
//! | [`watch`] → [`Watch`], [`mapped_files`], [`mappings`] | what happens to a file, and which process has it mapped | inotify, `/proc/*/maps` | refused | refused |
//! | [`futex_wait`], [`futex_wake`], [`futex_wait_at`], [`futex_wait_any`], [`futex_is`], [`FutexAt`], [`waits_for_many`], [`FUTEXES`] | sleep in words that other processes share | `futex`, `futex_waitv` | `os_sync_wait_on_address`, `__ulock_wait` | two named events for each word |
//! | [`EventFd`], [`TimerFd`], [`PollSet`] | a set of descriptors that is one itself | eventfd, timerfd, epoll; a pipe and `poll` if a sandbox refuses them | a pipe, kqueue | an event; no files |
//! | [`open_of_process`], [`holders_of_removed`], [`pid_namespace`], [`descriptor`] | a file without a name, through a process that has it open | `/proc/*/fd`, `/proc/self/ns` | refused | refused |
//! | [`ForkId`] | tells a process from its forked children in under 1 ns | a page under `MADV_WIPEONFORK`, `pthread_atfork` | `pthread_atfork` | no fork |
//! | [`monotonic`], [`monotonic_coarse`] | nanoseconds, the same for all processes | `CLOCK_MONOTONIC` | `CLOCK_UPTIME_RAW` | `QueryPerformanceCounter` |
//! | [`process_name`], [`user`], [`block_signals`] | what is shown of a process; no signals for a thread | | | |
//! | [`file_size_limit`], [`open_files_limit`], [`locked_memory_limit`], [`refusal`], [`advice`], [`may_write`] | limits, why a call was refused, and the cure, for errors; [`CURES`] has the other ones | `getrlimit`, `faccessat` | as on Linux | none; error codes |
//!
//! Linux and macOS share `unix`, `file`, `map`, `fork` and `inherit`.
//!
//! [`FOLDS_NAMES`] tells how names of files are made from names of channels. Outside of this module `cfg(unix)` stands
//! where `waitset` has file descriptors, which do not exist on Windows.
//!
//! On other systems (`other`) each function returns [`std::io::ErrorKind::Unsupported`] with the reason.

#![cfg_attr(shmcomm_macos, allow(dead_code, reason = "the functions of Linux that those of macOS replace"))]

#[cfg(unix)]
pub(crate) use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod futex;
#[cfg(target_os = "linux")]
pub(crate) use futex::*;

#[cfg(target_os = "linux")]
mod procfs;
#[cfg(target_os = "linux")]
pub(crate) use procfs::*;

#[cfg(all(target_os = "linux", not(shmcomm_macos)))]
#[allow(unsafe_code)]
mod groups;
#[cfg(all(target_os = "linux", not(shmcomm_macos)))]
pub(crate) use groups::*;
#[cfg(not(all(target_os = "linux", not(shmcomm_macos))))]
mod no_groups;
#[cfg(not(all(target_os = "linux", not(shmcomm_macos))))]
pub(crate) use no_groups::*;

#[cfg(target_os = "linux")]
mod poll;
#[cfg(target_os = "linux")]
pub(crate) use poll::*;

// Tests on Linux run the parts that need no call of macOS. With `--cfg shmcomm_macos` the library itself does: it has
// files with temporary names, no access to the files of other processes, and waits for one word only.
#[cfg(any(target_os = "macos", all(target_os = "linux", not(loom), any(test, shmcomm_macos))))]
#[cfg_attr(not(target_os = "macos"), allow(dead_code, reason = "some parts are used on macOS only"))]
#[allow(unsafe_code)]
mod macos;
#[cfg(all(target_os = "linux", not(loom), shmcomm_macos))]
pub(crate) use macos::on_linux::{
    FUTEXES, create_unnamed, holders_of_removed, link, open_of_process, pid_namespace, python_dir, reopen,
    replace_name, take_name, unlink, waits_for_many,
};
/// Reason of the refusals.
#[cfg(all(target_os = "linux", not(loom), shmcomm_macos))]
const REASON: &str = "this build for tests refuses what macOS refuses";
#[cfg(target_os = "macos")]
pub(crate) use macos::*;

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[allow(unsafe_code)]
mod unix;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) use unix::*;

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[allow(unsafe_code)]
mod file;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) use file::*;

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[allow(unsafe_code)]
mod map;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) use map::*;

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[allow(unsafe_code)]
mod inherit;

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[allow(unsafe_code)]
mod fork;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) use fork::*;

#[cfg(any(target_os = "macos", target_os = "windows"))]
mod whole;
#[cfg(any(target_os = "macos", target_os = "windows"))]
pub(crate) use whole::*;

#[cfg(target_os = "windows")]
#[allow(unsafe_code)]
mod windows;
#[cfg(target_os = "windows")]
pub(crate) use windows::*;

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
mod other;
#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
pub(crate) use other::*;

#[cfg(any(not(target_os = "linux"), all(not(loom), shmcomm_macos)))]
#[cfg_attr(
    any(target_os = "windows", target_os = "macos", shmcomm_macos),
    allow(dead_code, reason = "Windows and macOS have most of it")
)]
mod unsupported;

#[cfg(all(shmcomm_fault, not(loom)))]
mod fault;
#[cfg(all(shmcomm_fault, not(loom)))]
pub(crate) use fault::{kill_self, stop_self};

mod cures;
pub(crate) use cures::CURES;

/// Prefix of the files of segments that do not have their names: they are about to get them, or have lost them.
pub(crate) const TEMPORARY: &str = "shmcomm2~";

/// `true` if a file can have two names. On Windows a link moves the file.
pub(crate) const HAS_LINKS: bool = cfg!(not(windows));

/// Kind of the file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) enum FileKind {
    Regular,
    Directory,
    Symlink,
    Fifo,
    Socket,
    Device,
}

impl FileKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            FileKind::Regular => "regular file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "symbolic link",
            FileKind::Fifo => "FIFO",
            FileKind::Socket => "socket",
            FileKind::Device => "device",
        }
    }
}

/// Identity of a file, independent of its name: device and inode.
pub(crate) type FileId = (u64, u64);

/// Metadata of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: FileKind,
    pub(crate) id: FileId,
    /// User id of the owner, or a number that stands for it. For [`is_own`].
    #[cfg_attr(not(any(target_os = "linux", target_os = "macos", windows)), allow(dead_code))]
    owner: u32,
    /// Group id. For [`is_group_file`].
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[cfg_attr(any(not(target_os = "linux"), shmcomm_macos), allow(dead_code))]
    group: u32,
    /// Permission bits, as in `0o600`. For [`is_mine`].
    #[cfg_attr(not(any(target_os = "linux", target_os = "macos", windows)), allow(dead_code))]
    mode: u32,
    pub(crate) len: u64,
}

/// A group of users: a name of the system's group database, or a number if it has none, and the id as this process sees
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: u32,
}

/// Reason why the system refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) enum Refusal {
    /// The file system is mounted read-only.
    ReadOnly,
    /// A sandbox or a security module forbids this call to the process.
    Forbidden,
    /// The system has no such call.
    Missing,
    /// Owner, mode, or the rules of a security module.
    Access,
    /// All mapped memory is locked, and the process may lock no more.
    LockedMemory,
    /// The process may map no more memory.
    Memory,
    /// The process has reached its limit of open files.
    ProcessFiles,
    /// All processes together have reached the limit of open files.
    SystemFiles,
    /// The file system has no locks.
    NoLocks,
    /// The system has no paths of that length.
    PathTooLong,
}

/// Result of a [`futex_wait`]. Each result may be spurious: the caller must check its condition again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Another thread woke it, a signal arrived, or the word had changed already.
    Perhaps,
    /// The timeout is over.
    TimedOut,
}

/// Result of a wait for several words. Each result may be spurious.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WokenOf {
    /// A thread woke the word of that index, and perhaps other words.
    One(usize),
    /// A word had changed already, is not mapped, or a signal arrived.
    Perhaps,
    /// The timeout is over.
    TimedOut,
}

/// Readiness of a file descriptor, reported or requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Returns nanoseconds since the Unix epoch, or 0 if the clock is before it.
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[inline]
pub(crate) fn wall_clock() -> i64 {
    // A store of a table reads this clock, and takes less time than with `SystemTime`: 34 instead of 50 ns.
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec).max(0)
}

/// Returns nanoseconds since the Unix epoch, or 0 if the clock is before it.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn wall_clock() -> i64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Returns the id of this process in its pid namespace.
pub(crate) fn pid() -> u32 {
    std::process::id()
}

#[cfg(test)]
mod tests;
