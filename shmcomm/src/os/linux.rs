//! The verbs of [`super`] on Linux (3.15 or later for the locks, 4.14 for cheap fork detection).
//!
//! Owns every system call of the crate. Needs `/proc`: an unnamed file gets its name, and a file is
//! opened once more, through `/proc/self/fd`.

use super::{FileId, FileKind, Stat};
use crate::sync::{AtomicPtr, AtomicU32, Ordering};
use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Mode, OFlags, inotify};
use rustix::io::Errno;
use rustix::process::Resource;
use rustix::time::{ClockId, Timespec};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::Duration;

/// Where segments live unless the user says otherwise.
pub(crate) const DEFAULT_DIR: &str = "/dev/shm";

/// Bytes reserved by one system call: few enough to get done between two ticks of a profiler's
/// timer, whose signal makes the kernel drop what it has reserved and start over.
const RESERVE_STEP: u64 = 16 << 20;

/// A new file in `dir` that has no name, mode 0600, and vanishes with its last user until
/// [`link`] gives it one.
pub(crate) fn create_unnamed(dir: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(file))
}

/// Gives `file` its `len` bytes, zero, and the memory behind them: a page that is only promised
/// would be a SIGBUS on a full file system, on reads too.
///
/// Beyond the limit of the process (`RLIMIT_FSIZE`) it returns `FileTooLarge` by itself, as the
/// kernel would send SIGXFSZ first, and that kills.
pub(crate) fn reserve(file: &File, len: u64) -> io::Result<()> {
    if file_size_limit().is_some_and(|limit| len > limit) {
        return Err(Errno::FBIG.into());
    }
    // A reservation that must fail would first take all the memory there is.
    let disk = rustix::fs::fstatvfs(file)?;
    let limited = disk.f_blocks > 0;
    if limited && len > disk.f_bfree.saturating_mul(disk.f_frsize) {
        return Err(Errno::NOSPC.into());
    }
    back(file, len)
}

/// Puts memory behind the first `len` bytes of a file that has them already, where somebody else
/// only promised them. Changes nothing where the memory is there.
pub(crate) fn back(file: &File, len: u64) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        let step = RESERVE_STEP.min(len - done);
        match rustix::fs::fallocate(file, FallocateFlags::empty(), done, step) {
            Ok(()) => done += step,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Most bytes that this process may give a file, if there is a limit.
pub(crate) fn file_size_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Fsize).current
}

/// Most files that this process may hold open, if there is a limit.
pub(crate) fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// Bytes that the file system of `dir` still has for this user.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives an unnamed file its name. `AlreadyExists` if there is anything of that name.
pub(crate) fn link(file: &File, path: &Path) -> io::Result<()> {
    // Linking by descriptor alone (AT_EMPTY_PATH) takes a privilege; through /proc it takes none.
    rustix::fs::linkat(CWD, proc_path(file), CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(through_proc)
}

/// Opens what stands under `path` for reading and writing: no symbolic link, and no waiting for
/// the other end where it is a FIFO.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
}

/// Opens the same file once more: a new open file description, with locks of its own.
pub(crate) fn reopen(file: &File) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::openat(CWD, proc_path(file), flags, Mode::empty()).map(File::from).map_err(through_proc)
}

/// Where there is no `/proc`, a file seems to be missing that is there.
fn through_proc(errno: Errno) -> io::Error {
    if errno == Errno::NOENT && !Path::new("/proc/self/fd").exists() {
        let why = "/proc is not mounted, and through it files are opened once more and get their names";
        return io::Error::new(io::ErrorKind::Unsupported, why);
    }
    errno.into()
}

fn proc_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

pub(crate) fn stat(file: &File) -> io::Result<Stat> {
    Ok(convert(rustix::fs::fstat(file)?))
}

/// Of what stands under the name itself, be it a symbolic link.
pub(crate) fn stat_path(path: &Path) -> io::Result<Stat> {
    Ok(convert(rustix::fs::lstat(path)?))
}

// The fields' widths differ from one architecture to the next.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
fn convert(stat: rustix::fs::Stat) -> Stat {
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
        mode: stat.st_mode & 0o7777,
        len: u64::try_from(stat.st_size).unwrap_or(0),
    }
}

/// Fills `buffer` from byte `at` of the file; `UnexpectedEof` if the file ends before.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(buffer, at)
}

/// Writes `bytes` at byte `at`. Whoever has the file mapped sees them.
pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlink(path)?)
}

/// Puts the file at `from` under the name `to` in one step, instead of what had the name.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::rename(from, to)?)
}

/// Names in `dir` that are UTF-8: no other is ours.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Shared memory of a file, unmapped on drop.
///
/// Invariant: `raw` is a live shared mapping of this process alone (children do not inherit it).
/// It keeps the open file description it was made from, and with it that description's locks,
/// until it is unmapped or the process ends, however it ends.
pub(crate) struct Map {
    raw: ManuallyDrop<MmapRaw>,
}

/// Maps the first `len` bytes of `file`; with `populate`, page tables and all. Children of a fork
/// do not inherit the mapping.
pub(crate) fn map(file: &File, len: usize, populate: bool) -> io::Result<Map> {
    let mut options = MmapOptions::new();
    options.len(len);
    if populate {
        options.populate();
    }
    let raw = options.map_raw(file)?;
    raw.advise(Advice::DontFork)?;
    Ok(Map { raw: ManuallyDrop::new(raw) })
}

impl Map {
    pub(crate) fn base(&self) -> NonNull<u8> {
        NonNull::new(self.raw.as_mut_ptr()).expect("no mapping lies at address 0")
    }

    pub(crate) fn len(&self) -> usize {
        self.raw.len()
    }

    /// Forgets the mapping. For the child of a fork, where other memory may lie there by now.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is live (invariant), and `raw` is not used after this.
        unsafe { ManuallyDrop::drop(&mut self.raw) }
    }
}

#[cfg(target_env = "musl")]
use libc::flock as Lock;
#[cfg(not(target_env = "musl"))]
use libc::flock64 as Lock;

fn lock_call(
    file: &File,
    command: libc::c_int,
    kind: libc::c_int,
    first: u64,
    len: u64,
) -> io::Result<libc::c_int> {
    // SAFETY: zero is a value of every field.
    let mut lock: Lock = unsafe { std::mem::zeroed() };
    let number = |n: u64| n.try_into().map_err(|_| io::Error::from(Errno::INVAL));
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = number(first)?;
    lock.l_len = number(len)?;
    // SAFETY: a call of fcntl with an open descriptor and the structure that these commands take
    // and that outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock.l_type.into())
}

/// Locks `len` bytes from `first` for this open file description alone, without waiting; false if
/// another one has some of them. The kernel drops the lock with the last descriptor *and mapping*
/// made from the description.
pub(crate) fn try_lock(file: &File, first: u64, len: u64) -> io::Result<bool> {
    match lock_call(file, libc::F_OFD_SETLK, libc::F_WRLCK, first, len) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Drops what this open file description has locked of the range.
pub(crate) fn unlock(file: &File, first: u64, len: u64) -> io::Result<()> {
    lock_call(file, libc::F_OFD_SETLK, libc::F_UNLCK, first, len).map(drop)
}

/// Whether another open file description has locked any byte of the range.
pub(crate) fn is_locked(file: &File, first: u64, len: u64) -> io::Result<bool> {
    let kind = lock_call(file, libc::F_OFD_GETLK, libc::F_WRLCK, first, len)?;
    Ok(kind != libc::F_UNLCK)
}

/// Leaves all signals to the other threads of the process.
pub(crate) fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `all` is filled by the call.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was filled; the old set is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut()) };
}

/// Nanoseconds of a clock that never jumps and that all processes share.
pub(crate) fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// [`monotonic`] as of the last tick of the kernel, up to 10 ms ago, for a tenth of its price.
#[inline]
pub(crate) fn monotonic_coarse() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::MonotonicCoarse);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Effective user id.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The kernel's short name of this process, at most 15 bytes of it; empty where there is no
/// `/proc`.
pub(crate) fn process_name() -> String {
    std::fs::read("/proc/self/comm")
        .map(|name| String::from_utf8_lossy(&name).trim_end().to_owned())
        .unwrap_or_default()
}

/// Tells a process from the children that it forks.
///
/// Invariant: `word` lies in a page that lives as long as the process. It is [`SAME`] in the process
/// that made it and 0 in its children, or [`ASK`] and the maker's pid where the kernel cannot wipe pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lineage {
    word: &'static AtomicU32,
}

const SAME: u32 = 1;
/// Pids have 22 bits.
const ASK: u32 = 1 << 31;

/// The page of this process: null before its first use, the parent's page in a child.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

impl Lineage {
    /// Of the calling process. A forked child gets one of its own, so that what it opens itself
    /// works, while what it inherited knows that it was.
    pub(crate) fn here() -> io::Result<Self> {
        loop {
            // [page made] pairs with [page published] below.
            let known = PAGE.load(Ordering::Acquire);
            // SAFETY: `PAGE` is null or a word that lives for ever and is only used as an atomic.
            if let Some(word) = unsafe { known.as_ref() } {
                let lineage = Lineage { word };
                if !lineage.forked() {
                    return Ok(lineage);
                }
            }
            let page = MmapOptions::new().len(rustix::param::page_size()).map_anon()?;
            let page = MmapRaw::from(page);
            let word: *mut AtomicU32 = page.as_mut_ptr().cast();
            // SAFETY: the page is this function's own; wiping it in a child is what is wanted.
            let wiped = unsafe {
                rustix::mm::madvise(page.as_mut_ptr().cast(), page.len(), rustix::mm::Advice::LinuxWipeOnFork)
            };
            // SAFETY: page-aligned and mapped.
            let mark = unsafe { &*word };
            // Relaxed: published by the exchange below.
            mark.store(if wiped.is_ok() { SAME } else { ASK | super::pid() }, Ordering::Relaxed);
            // [page published] pairs with [page made].
            if PAGE.compare_exchange(known, word, Ordering::Release, Ordering::Relaxed).is_ok() {
                std::mem::forget(page);
            }
        }
    }

    /// Whether this is a child of the process that called [`Lineage::here`].
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        // Relaxed: nothing is ordered by it; only a fork changes it.
        let word = self.word.load(Ordering::Relaxed);
        word != SAME && Self::is_of_another(word)
    }

    #[cold]
    fn is_of_another(word: u32) -> bool {
        word != ASK | super::pid()
    }
}

/// Which file stands under `path` now, if any.
pub(crate) fn id_of_path(path: &Path) -> io::Result<Option<FileId>> {
    match stat_path(path) {
        Ok(stat) => Ok(Some(stat.id)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the process, or the system, has as many files open as it may.
pub(crate) fn too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Opens a file that is nothing but a lock, as Python's `open(path, "a")` makes it where it is not
/// there: what the umask leaves of mode 0666. No symbolic link.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o666))?))
}

/// Takes the `flock` of a whole file for this open file description, without waiting; false if
/// another one has it. Another lock than those on ranges of bytes.
pub(crate) fn try_flock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Drops what [`try_flock`] took.
pub(crate) fn unflock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, FlockOperation::Unlock)?)
}

/// Tells when files gain or lose a name, or are opened, whatever becomes of their paths.
#[derive(Debug)]
pub(crate) struct Watch {
    queue: OwnedFd,
    files: Vec<i32>,
}

/// Watches the files that stand under these paths now.
pub(crate) fn watch(paths: &[&Path]) -> io::Result<Watch> {
    let queue = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let flags = inotify::WatchFlags::ATTRIB | inotify::WatchFlags::OPEN;
    let files =
        paths.iter().map(|path| inotify::add_watch(&queue, *path, flags)).collect::<Result<_, _>>()?;
    Ok(Watch { queue, files })
}

impl Watch {
    /// Counts each time a file is opened, also if that happens twice in a row, for which the kernel tells
    /// once: `directory`, which holds the files, is watched besides, so that between two events of the
    /// same file there is one of the directory. (Two that open a file in the same microsecond, on two
    /// processors, may still count as one.) Every file that is opened in there ends a wait then.
    pub(crate) fn each(self, directory: &Path) -> io::Result<Watch> {
        inotify::add_watch(&self.queue, directory, inotify::WatchFlags::OPEN)?;
        Ok(self)
    }

    /// Blocks until something happens to one of the files, or [`Watch::stop`] is called, or the time is
    /// over, if there is one; false if it was the time. Calls `opened` with the index of a file for each time it
    /// was opened; what happens twice in a row may count once, but for [`Watch::each`].
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
        loop {
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
    }

    /// Ends a [`Watch::wait`] in another thread, now or later.
    pub(crate) fn stop(&self) {
        for &file in &self.files {
            // Taking a watch away is an event too. It may be gone already, as the file is.
            let _ = inotify::remove_watch(&self.queue, file);
        }
    }
}

/// Files that processes of this user, other than `but`, have mapped, as far as `/proc` shows them.
pub(crate) fn mapped_files(but: Option<u32>) -> HashSet<FileId> {
    maps(but).flatten().collect()
}

/// Whether such a process has mapped `one` file, and not the `other`.
pub(crate) fn is_mapped_without(one: FileId, other: FileId, but: Option<u32>) -> bool {
    maps(but).any(|files| files.contains(&one) && !files.contains(&other))
}

/// What each process has mapped, but for one.
fn maps(but: Option<u32>) -> impl Iterator<Item = Vec<FileId>> {
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(move |entry| {
        let pid = entry.file_name();
        let pid = pid.to_str()?.parse::<u32>().ok()?;
        if Some(pid) == but {
            return None;
        }
        // Gone by now, or another user's: neither can hold a file of this user.
        let maps = std::fs::read(entry.path().join("maps")).ok()?;
        Some(String::from_utf8_lossy(&maps).lines().filter_map(mapped_file).collect())
    })
}

/// Of a line such as `7f1c0000-7f1d0000 rw-s 00000000 00:19 5 /dev/shm/name`.
fn mapped_file(line: &str) -> Option<FileId> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let (major, minor) = words.next()?.split_once(':')?;
    let inode: u64 = words.next()?.parse().ok().filter(|&inode| inode != 0)?;
    let number = |hex| u32::from_str_radix(hex, 16).ok();
    Some((rustix::fs::makedev(number(major)?, number(minor)?), inode))
}
