//! The functions of [`super`] on Linux (3.15 or later for the locks, 4.14 for cheap fork detection).
//!
//! Owns the system calls that macOS lacks. Calls `unix` for the others. Needs `/proc`: an unnamed file gets its name,
//! and a file is reopened, through `/proc/self/fd`. Never interprets the contents of a file.

use super::{File, FileId, Refusal, Stat, convert, file_size_limit, made_private, stat, user};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, inotify};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};
use std::collections::HashSet;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Magic number of hugetlbfs in `statfs`.
const HUGETLBFS: u64 = 0x9584_58f6;

/// `true` if the file system takes `a` and `A` for one name, and drops a dot at the end of a name.
pub(crate) const FOLDS_NAMES: bool = false;

/// Returns the default directory of segments.
pub(crate) fn default_dir() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/dev/shm"))
}

/// Returns the directory of the segments of Python's library, which has no setting for it.
pub(crate) fn python_dir() -> io::Result<PathBuf> {
    default_dir()
}

/// Bytes reserved by one system call. The step is small enough to finish between two ticks of a profiler's
/// timer: its signal makes the kernel drop the reservation and start again.
const RESERVE_STEP: u64 = 16 << 20;

/// Returns a new unnamed file in `dir` with mode 0600, whatever the umask. It vanishes with its last user
/// unless [`link`] gives it a name.
pub(crate) fn create_unnamed(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    made_private(File::by(|| rustix::fs::openat(CWD, dir, flags, mode))?)
}

/// Sets the length of `file` to `len` zero bytes and allocates their memory. A page without memory would
/// raise SIGBUS on a full file system, even on a read.
///
/// Returns `FileTooLarge` beyond the limit of the process (`RLIMIT_FSIZE`), before the kernel sends SIGXFSZ,
/// which kills the process.
pub(crate) fn reserve(file: &File, len: u64) -> io::Result<()> {
    check_room(file, len, len)?;
    back(file, len)
}

/// Sets the length of `file` to `len` zero bytes, and allocates the memory of `parts` alone, which are in order.
pub(crate) fn reserve_parts(
    file: &File,
    len: u64,
    parts: impl Iterator<Item = Range<u64>>,
) -> io::Result<()> {
    let page = rustix::param::page_size() as u64;
    // Whole pages; parts whose pages meet are one part.
    let mut whole: Vec<Range<u64>> = Vec::new();
    for part in parts {
        let (start, end) = (part.start / page * page, part.end.next_multiple_of(page).min(len));
        match whole.last_mut().filter(|last| last.end >= start) {
            Some(last) => last.end = last.end.max(end),
            None => whole.push(start..end),
        }
    }
    check_room(file, len, whole.iter().map(|part| part.end - part.start).sum())?;
    rustix::io::retry_on_intr(|| rustix::fs::ftruncate(file, len))?;
    whole.into_iter().try_for_each(|part| back_part(file, part))
}

/// Allocates the memory of a part of a file: all of it, or nothing. The bytes before it have memory, so the page in which
/// it begins has some. No process uses the other pages, except the last one.
pub(crate) fn extend(file: &File, part: Range<u64>) -> io::Result<()> {
    let page = rustix::param::page_size() as u64;
    // If an allocation fails, the kernel takes back pages of the range that were never written.
    let start = part.start.next_multiple_of(page);
    let Some(bytes) = part.end.checked_sub(start).filter(|bytes| *bytes > 0) else { return Ok(()) };
    let last = (part.end - 1) / page * page;
    let give_back = || {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if start < last {
            // If it fails, the pages stay, for the next attempt.
            let _ = rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, flags, start, last - start));
        }
    };
    if check_free(file, bytes).is_err() {
        // A process that died in this call may have left pages of the range.
        give_back();
        check_free(file, bytes)?;
    }
    let allocated = back_part(file, start..part.end);
    if allocated.is_err() {
        give_back();
    }
    allocated
}

/// Returns the error of a reservation of `bytes` in a file of `len` bytes that cannot succeed.
fn check_room(file: &File, len: u64, bytes: u64) -> io::Result<()> {
    if file_size_limit().is_some_and(|limit| len > limit) {
        return Err(Errno::FBIG.into());
    }
    if rustix::fs::fstatfs(file)?.f_type as u64 == HUGETLBFS {
        let why = "it is a hugetlbfs, whose files can only be mapped";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    check_free(file, bytes)
}

fn check_free(file: &File, bytes: u64) -> io::Result<()> {
    // A reservation that must fail would take all free memory before it fails.
    let disk = rustix::fs::fstatvfs(file)?;
    let limited = disk.f_blocks > 0;
    if limited && bytes > disk.f_bfree.saturating_mul(disk.f_frsize) {
        return Err(Errno::NOSPC.into());
    }
    Ok(())
}

/// Allocates the memory of the first `len` bytes of a file of that length, if its creator only set the
/// length. Changes nothing if the memory is allocated.
pub(crate) fn back(file: &File, len: u64) -> io::Result<()> {
    back_part(file, 0..len)
}

/// Allocates the memory of a part of a file. Changes nothing where it is allocated.
fn back_part(file: &File, part: Range<u64>) -> io::Result<()> {
    let mut done = part.start;
    while done < part.end {
        let step = RESERVE_STEP.min(part.end - done);
        match rustix::fs::fallocate(file, FallocateFlags::empty(), done, step) {
            Ok(()) => done += step,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Returns the number of bytes that the file system of `dir` still has for this user.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives an unnamed file its name. Fails with `AlreadyExists` if the name is taken.
pub(crate) fn link(file: &File, path: &Path) -> io::Result<()> {
    // Linking by descriptor alone (AT_EMPTY_PATH) needs a privilege; linking through /proc needs none.
    rustix::fs::linkat(CWD, proc_path(file), CWD, path, AtFlags::SYMLINK_FOLLOW)
        .map_err(|errno| through_proc(errno.into()))
}

/// Reopens the file: returns a new open file description with its own locks. `_path_hint` is a possible path
/// of the file; Linux does not need it.
pub(crate) fn reopen(file: &File, _path_hint: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    File::by(|| rustix::fs::openat(CWD, proc_path(file), flags, Mode::empty())).map_err(through_proc)
}

/// Replaces an error about the file by one about `/proc`, if `/proc` is missing.
fn through_proc(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound && !Path::new("/proc/self/fd").exists() {
        let why = "/proc is not mounted, and shmcomm needs it to reopen files and to name them";
        return io::Error::new(io::ErrorKind::Unsupported, why);
    }
    error
}

fn proc_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
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

/// Gives the file `_new`, whose name is `from`, the name `to`, which may belong to another file. The
/// replacement is atomic; `_aside` is as for [`take_name`].
pub(crate) fn replace_name(_new: &File, from: &Path, to: &Path, _aside: &Path) -> io::Result<()> {
    Ok(rustix::fs::rename(from, to)?)
}

/// Returns the metadata of the file that `path` leads to.
pub(crate) fn stat_behind(path: &Path) -> io::Result<Stat> {
    Ok(convert(rustix::fs::stat(path)?))
}

/// Removes the name `path`.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlink(path)?)
}

/// Returns nanoseconds of a clock that never jumps and that all processes share.
pub(crate) fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Returns [`monotonic`] as of the last tick of the kernel, up to 10 ms ago, for a tenth of its price.
#[inline]
pub(crate) fn monotonic_coarse() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::MonotonicCoarse);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Returns the kernel's short name of this process, at most 15 bytes of it. The name is empty without
/// `/proc`.
pub(crate) fn process_name() -> String {
    std::fs::read("/proc/self/comm")
        .map(|name| String::from_utf8_lossy(&name).trim_end().to_owned())
        .unwrap_or_default()
}

/// Returns the reason why the system refused a call, if it is known.
pub(crate) fn refusal(error: &io::Error) -> Option<Refusal> {
    Some(match error.raw_os_error()? {
        libc::EROFS => Refusal::ReadOnly,
        libc::EPERM => Refusal::Forbidden,
        libc::ENOSYS => Refusal::Missing,
        // Landlock refuses a link with EXDEV.
        libc::EACCES | libc::EXDEV => Refusal::Access,
        libc::EAGAIN => Refusal::LockedMemory,
        libc::ENOMEM => Refusal::Memory,
        libc::EMFILE => Refusal::ProcessFiles,
        libc::ENFILE => Refusal::SystemFiles,
        libc::ENOLCK => Refusal::NoLocks,
        libc::ENAMETOOLONG => Refusal::PathTooLong,
        _ => return None,
    })
}

/// Returns `None`: the texts about a refusal describe this system.
pub(crate) fn advice(_refusal: Refusal) -> Option<&'static str> {
    None
}

/// Opens a lock file, or creates it like Python's `open(path, "a")`, with mode 0666 less the umask. Follows
/// no symbolic link.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::by(|| rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o666)))?;
    let Stat { owner, mode, .. } = stat(&file)?;
    // The umask may remove permissions of this user too, so that no other puller could open the file.
    if owner == user() && mode & 0o600 != 0o600 {
        let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(mode | 0o600));
    }
    Ok(file)
}

/// Takes the `flock` of a whole file for this open file description, without waiting. Returns `false` if
/// another description has it. This lock is independent of the locks on byte ranges.
pub(crate) fn try_flock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Drops the lock that [`try_flock`] took.
pub(crate) fn unflock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, FlockOperation::Unlock)?)
}

/// Number of file events that one [`Watch::wait`] handles.
const EVENTS: usize = 4096;

/// Reports when files gain or lose a name, or are opened, even after their paths change.
#[derive(Debug)]
pub(crate) struct Watch {
    queue: OwnedFd,
    files: Vec<i32>,
}

/// Watches the files that these paths refer to now.
pub(crate) fn watch(paths: &[&Path]) -> io::Result<Watch> {
    let queue = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let flags = inotify::WatchFlags::ATTRIB | inotify::WatchFlags::OPEN;
    let files =
        paths.iter().map(|path| inotify::add_watch(&queue, *path, flags)).collect::<Result<_, _>>()?;
    Ok(Watch { queue, files })
}

impl Watch {
    /// Blocks until an event of one of the files, [`Watch::stop`], or the end of `timeout`. Returns `false`
    /// at the end of `timeout`. Calls `opened` with the index of a file for each time it was opened; two
    /// equal events in a row may count once.
    pub(crate) fn wait(&self, timeout: Option<Duration>, mut opened: impl FnMut(usize)) -> io::Result<bool> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX as _),
            tv_nsec: timeout.subsec_nanos() as _,
        });
        let mut ready = [PollFd::new(&self.queue, PollFlags::IN)];
        match rustix::event::poll(&mut ready, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut room = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(&self.queue, &mut room);
        // Other processes may make events without end. The caller has other work, and calls again.
        for _ in 0..EVENTS {
            match events.next() {
                Ok(event) if event.events().contains(inotify::ReadFlags::OPEN) => {
                    if let Some(index) = self.files.iter().position(|&file| file == event.wd()) {
                        opened(index);
                    }
                }
                Ok(_) => {}
                Err(Errno::WOULDBLOCK) => return Ok(true),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(true)
    }

    /// Ends a [`Watch::wait`] in another thread, now or later.
    pub(crate) fn stop(&self) {
        for &file in &self.files {
            // Removing a watch is an event too. The watch may be gone already, like the file.
            let _ = inotify::remove_watch(&self.queue, file);
        }
    }
}

/// Returns the files that processes of this user, except `but`, have mapped, if `/proc` shows them.
pub(crate) fn mapped_files(but: Option<u32>) -> HashSet<FileId> {
    maps(but).flat_map(|(_, files)| files).collect()
}

/// Returns the files that each process of this user has mapped, once for each mapping, if `/proc` shows them.
pub(crate) fn mappings() -> impl Iterator<Item = (u32, Vec<FileId>)> {
    maps(None)
}

/// Returns the mapped files of each process, except one.
fn maps(but: Option<u32>) -> impl Iterator<Item = (u32, Vec<FileId>)> {
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(move |entry| {
        let pid = entry.file_name();
        let pid = pid.to_str()?.parse::<u32>().ok()?;
        if Some(pid) == but {
            return None;
        }
        // The process has ended, or belongs to another user: neither can hold a file of this user.
        let maps = std::fs::read(entry.path().join("maps")).ok()?;
        Some((pid, maps.split(|&byte| byte == b'\n').filter_map(mapped_file).collect()))
    })
}

/// Returns the file of a line such as `7f1c0000-7f1d0000 rw-s 00000000 00:19 5 /dev/shm/name`, if it is shared
/// memory.
fn mapped_file(line: &[u8]) -> Option<FileId> {
    let space = line.iter().position(|&byte| byte == b' ')?;
    // Most lines are private memory: libraries, heaps and stacks.
    if line.get(space + 4) != Some(&b's') {
        return None;
    }
    // The path may be truncated, and need not be text.
    let line = String::from_utf8_lossy(&line[..line.len().min(space + 64)]);
    let mut words = line.split_ascii_whitespace().skip(3);
    let (major, minor) = words.next()?.split_once(':')?;
    let inode: u64 = words.next()?.parse().ok().filter(|&inode| inode != 0)?;
    let number = |hex| u32::from_str_radix(hex, 16).ok();
    Some((rustix::fs::makedev(number(major)?, number(minor)?), inode))
}
