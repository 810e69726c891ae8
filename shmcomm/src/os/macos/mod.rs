//! The functions of [`super`] on macOS 10.15 and later (14.4 for the documented calls that wait for a word).
//!
//! Owns clocks, sizes and the default directory. Calls `unix`, `file`, `map` and `fork`, which Linux uses too. Its
//! children own temporary names, the calls that wait, and pollers. Never interprets the contents of a file.
//!
//! | what Linux has | what this module uses | because |
//! |---|---|---|
//! | a file in `/dev/shm` | a file in the user's directory for caches | names of `shm_open` have 31 characters and cannot be listed; its objects have no locks |
//! | a file without a name | a file with a temporary name, which its creator locks | macOS has no such files |
//! | a lock that lasts as long as the mapping | a `Map` that keeps its file open | the lock ends with the last descriptor (`vn_closefile` in `bsd/vfs/vfs_vnops.c`) |
//! | `fallocate` | `F_PREALLOCATE`, then `ftruncate` | `fcntl(2)` |
//! | `futex`, `futex_waitv` | `os_sync_wait_on_address_with_timeout`, or `__ulock_wait`; one word | macOS waits for one word only |
//! | `MADV_DONTFORK` | `minherit` with `VM_INHERIT_NONE` | `minherit(2)` |
//! | `MADV_WIPEONFORK` | the handler of `pthread_atfork` alone | macOS cannot wipe a page |
//! | epoll, eventfd | kqueue, a pipe | |
//! | `CLOCK_MONOTONIC` | `CLOCK_UPTIME_RAW`, which does not count sleep either | macOS sets its `CLOCK_MONOTONIC` with the time of day |
//! | `/proc` | nothing | a process cannot open the files of another one |
//!
//! Liveness comes from locks, so neither the start time of a process nor its number matters. On Linux the tests compile
//! the children that need no call of macOS, and run them. With `--cfg shmcomm_macos` all tests on Linux use them.

#[cfg(target_os = "macos")]
mod futex;
#[cfg(all(target_os = "linux", shmcomm_macos))]
pub(super) mod on_linux;
#[cfg(target_os = "macos")]
mod poll;
mod ready;
mod refusal;
mod session;
mod sleep;
#[cfg(target_os = "macos")]
mod system;
mod unnamed;

#[cfg(target_os = "macos")]
pub(crate) use {
    super::unsupported::{
        Watch, descriptor, holders_of_removed, mapped_files, mappings, open_lock_file, open_of_process,
        pid_namespace, python_dir, try_flock, unflock, watch,
    },
    futex::{
        FUTEXES, FutexAt, futex_is, futex_wait, futex_wait_any, futex_wait_at, futex_wake, waits_for_many,
    },
    poll::{EventFd, FileList, PollSet, TimerFd},
    refusal::{advice, refusal},
    system::*,
    unnamed::{create_unnamed, link, reopen, replace_name, take_name, unlink},
};
