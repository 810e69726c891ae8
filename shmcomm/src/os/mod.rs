//! What shmcomm asks of the operating system, in the same verbs on each of them.
//!
//! Owns the choice of the implementation and the plain types that the verbs speak of. Calls nothing
//! of the crate but `sync`; knows no layout, no name of a channel, no policy. Only this module sees
//! `rustix`, `libc` and `memmap2`. Every verb that fails returns [`std::io::Error`]; `segment` turns
//! it into words.
//!
//! | verbs | Linux |
//! |---|---|
//! | [`create_unnamed`], [`reserve`], [`back`], [`link`] | `O_TMPFILE`, `fallocate`, `linkat` |
//! | [`open`], [`reopen`], [`stat`], [`stat_path`], [`list`], [`unlink`], [`rename`] | `O_NOFOLLOW`, `/proc/self/fd` |
//! | [`map`] → [`Map`] | `mmap(MAP_SHARED)`, `MADV_DONTFORK` |
//! | [`try_lock`], [`unlock`], [`is_locked`] | open-file-description locks on ranges of bytes |
//! | [`open_lock_file`], [`try_flock`], [`unflock`] | `flock`, the lock that Python's library uses |
//! | [`watch`] → [`Watch`], [`mapped_files`], [`is_mapped_without`] | inotify, `/proc/*/maps` |
//! | [`futex_wait`], [`futex_wake`], [`futex_wait_any`] | the futex that other processes share |
//! | [`Bell`], [`Clock`], [`Poller`] | eventfd, timerfd, epoll |
//! | [`Lineage`] | a page under `MADV_WIPEONFORK` |
//! | [`monotonic`], [`monotonic_coarse`], [`wall_clock`], [`pid`], [`process_name`], [`user`] | |
//!
//! Elsewhere each verb returns [`std::io::ErrorKind::Unsupported`] with the reason.

#[cfg(unix)]
pub(crate) use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

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
mod poll;
#[cfg(target_os = "linux")]
pub(crate) use poll::*;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;

#[cfg(target_os = "windows")]
mod windows;
#[cfg(target_os = "windows")]
pub(crate) use windows::*;

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
mod other;
#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
pub(crate) use other::*;

#[cfg(not(target_os = "linux"))]
mod unsupported;

#[cfg(all(shmcomm_fault, not(loom)))]
mod fault;
#[cfg(all(shmcomm_fault, not(loom)))]
pub(crate) use fault::{kill_self, stop_self};

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Which file it is, whatever its name: device and inode.
pub(crate) type FileId = (u64, u64);

/// What the system says of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: FileKind,
    pub(crate) id: FileId,
    pub(crate) owner: u32,
    /// Permission bits, as in `0o600`.
    pub(crate) mode: u32,
    pub(crate) len: u64,
}

/// How a [`futex_wait`] ended. Each of them may be spurious: look again at what you wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody woke it, or a signal came, or the word had changed already.
    Perhaps,
    /// The time is over.
    TimedOut,
}

/// Most words that one call can wait for.
pub(crate) const FUTEXES: usize = 128;

/// How a wait for many words ended. Each may be spurious.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WokenOf {
    /// Somebody woke the word of that index, and perhaps others.
    One(usize),
    /// A word had changed already, is not mapped, or a signal came.
    Perhaps,
    /// The time is over.
    TimedOut,
}

/// What a file descriptor is ready for, or is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Nanoseconds since the Unix epoch; 0 where the clock stands before it.
pub(crate) fn wall_clock() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Id of this process in its pid namespace.
pub(crate) fn pid() -> u32 {
    std::process::id()
}

#[cfg(test)]
mod tests;
