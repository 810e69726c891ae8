//! The functions of [`super`] on a system without the facilities that segments need. Each returns
//! [`io::ErrorKind::Unsupported`] with the reason that the system's own file gives.
//!
//! [`File`], [`Map`] and [`ForkId`] have no values, so functions that take them are never called.

#[cfg(unix)]
use super::OwnedFd;
use super::{FileId, REASON, Ready, Refusal, Stat, Woken, WokenOf};
use crate::sync::AtomicU32;
use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::Duration;

pub(crate) fn default_dir() -> io::Result<PathBuf> {
    refuse()
}

/// Returns the directory of the segments of Python's library.
pub(crate) fn python_dir() -> io::Result<PathBuf> {
    refuse()
}

/// Has no values.
#[derive(Clone, Debug)]
pub(crate) enum File {}

pub(crate) fn intact(file: &File) -> io::Result<()> {
    match *file {}
}

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, REASON))
}

pub(crate) fn create_unnamed(_dir: &Path) -> io::Result<File> {
    refuse()
}

pub(crate) fn reserve(_file: &File, _len: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn reserve_parts(
    _file: &File,
    _len: u64,
    _parts: impl Iterator<Item = Range<u64>>,
) -> io::Result<()> {
    refuse()
}

pub(crate) fn extend(_file: &File, _part: Range<u64>) -> io::Result<()> {
    refuse()
}

pub(crate) fn back(_file: &File, _len: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn open_lock_file(_path: &Path) -> io::Result<super::File> {
    refuse()
}

pub(crate) fn try_flock(_file: &super::File) -> io::Result<bool> {
    refuse()
}

pub(crate) fn unflock(_file: &super::File) -> io::Result<()> {
    refuse()
}

/// Has no values.
#[derive(Debug)]
pub(crate) enum Watch {}

pub(crate) fn watch(_paths: &[&Path]) -> io::Result<Watch> {
    refuse()
}

impl Watch {
    pub(crate) fn wait(&self, _timeout: Option<Duration>, _opened: impl FnMut(usize)) -> io::Result<bool> {
        match *self {}
    }

    pub(crate) fn stop(&self) {
        match *self {}
    }
}

pub(crate) fn is_linked(_file: &File) -> io::Result<bool> {
    refuse()
}

pub(crate) fn mapped_files(_but: Option<u32>) -> HashSet<FileId> {
    HashSet::new()
}

pub(crate) fn mappings() -> impl Iterator<Item = (u32, Vec<FileId>)> {
    std::iter::empty()
}

pub(crate) fn file_size_limit() -> Option<u64> {
    None
}

pub(crate) fn open_files_limit() -> Option<u64> {
    None
}

pub(crate) fn free_bytes(_dir: &Path) -> io::Result<u64> {
    refuse()
}

pub(crate) fn link(_file: &File, _path: &Path) -> io::Result<()> {
    refuse()
}

pub(crate) fn open(_path: &Path) -> io::Result<File> {
    refuse()
}

pub(crate) fn reopen(_file: &File, _path_hint: &Path) -> io::Result<File> {
    refuse()
}

pub(crate) fn stat(_file: &File) -> io::Result<Stat> {
    refuse()
}

pub(crate) fn stat_path(_path: &Path) -> io::Result<Stat> {
    refuse()
}

pub(crate) fn id_of_path(_path: &Path) -> io::Result<Option<FileId>> {
    refuse()
}

pub(crate) fn open_of_process(_pid: u32, _fd: u32, _id: FileId) -> io::Result<(super::File, Stat)> {
    refuse()
}

pub(crate) fn pid_namespace() -> io::Result<FileId> {
    refuse()
}

pub(crate) fn descriptor(_file: &super::File) -> u32 {
    0
}

pub(crate) fn holders_of_removed(_path: &Path) -> impl Iterator<Item = (u32, u32, FileId)> {
    std::iter::empty()
}

pub(crate) fn read_at(_file: &File, _buffer: &mut [u8], _at: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn write_at(_file: &File, _bytes: &[u8], _at: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn unlink(_path: &Path) -> io::Result<()> {
    refuse()
}

pub(crate) fn take_name(_file: &File, _path: &Path, _aside: &Path) -> io::Result<bool> {
    refuse()
}

pub(crate) fn replace_name(_new: &File, _from: &Path, _to: &Path, _aside: &Path) -> io::Result<()> {
    refuse()
}

pub(crate) fn is_own(_stat: &Stat) -> Result<(), String> {
    Ok(())
}

pub(crate) fn is_mine(_stat: &Stat) -> Result<(), String> {
    Ok(())
}

pub(crate) fn list(_dir: &Path) -> io::Result<Vec<String>> {
    refuse()
}

/// Has no values.
pub(crate) enum Map {}

pub(crate) fn map(_file: File, _len: usize, _populate: bool) -> io::Result<Map> {
    refuse()
}

pub(crate) fn map_read_only(_file: File, _len: usize) -> io::Result<Map> {
    refuse()
}

impl Map {
    pub(crate) fn base(&self) -> NonNull<u8> {
        match *self {}
    }

    pub(crate) fn len(&self) -> usize {
        match *self {}
    }

    pub(crate) fn forget(self) {
        match self {}
    }
}

pub(crate) fn try_lock(_file: &File, _first: u64, _len: u64) -> io::Result<bool> {
    refuse()
}

pub(crate) fn unlock(_file: &File, _first: u64, _len: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn is_locked(_file: &File, _first: u64, _len: u64) -> io::Result<bool> {
    refuse()
}

/// Sleeps the whole timeout, because no thread could wake it.
pub(crate) fn futex_wait(_word: &AtomicU32, _expected: u32, timeout: Duration) -> Woken {
    std::thread::sleep(timeout);
    Woken::TimedOut
}

pub(crate) fn futex_wake(_word: &AtomicU32, _count: u32) -> usize {
    0
}

/// Largest number of words that one call can wait for.
pub(crate) const FUTEXES: usize = 1;

/// An address that is never mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FutexAt;

impl FutexAt {
    pub(crate) fn new(_word: &AtomicU32) -> Self {
        FutexAt
    }
}

pub(crate) fn waits_for_many() -> bool {
    false
}

pub(crate) fn futex_wait_any(_words: &[(FutexAt, u32)], timeout: Duration) -> WokenOf {
    std::thread::sleep(timeout);
    WokenOf::TimedOut
}

pub(crate) fn futex_wait_at(_at: FutexAt, _expected: u32, timeout: Duration) -> Woken {
    std::thread::sleep(timeout);
    Woken::TimedOut
}

pub(crate) fn futex_is(_at: FutexAt, _value: u32) -> bool {
    true
}

pub(crate) fn block_signals() {}

/// Has no values.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) enum OwnedFd {}

/// Has no values.
#[derive(Debug)]
pub(crate) enum EventFd {}

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn notify(&self) {
        match *self {}
    }

    pub(crate) fn reset(&self) {
        match *self {}
    }
}

/// Has no values.
#[derive(Debug)]
pub(crate) enum TimerFd {}

impl TimerFd {
    pub(crate) fn new() -> io::Result<Option<Self>> {
        refuse()
    }

    pub(crate) fn set(&self, _left: Option<Duration>) {
        match *self {}
    }
}

/// Has no values.
#[derive(Debug)]
pub(crate) enum PollSet {}

impl PollSet {
    pub(crate) fn new<F>(_first: &F, _number: u64, _what: Ready) -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn add<F>(&mut self, _fd: &F, _number: u64, _what: Ready) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn remove(&mut self, _fd: &OwnedFd, _number: u64) {
        match *self {}
    }

    pub(crate) fn sleep(&self, _timeout: Duration) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn ready(&self, _found: impl FnMut(u64, Ready)) -> io::Result<()> {
        match *self {}
    }
}

#[cfg(unix)]
impl PollSet {
    pub(crate) fn exported(&self) -> Result<std::os::fd::BorrowedFd<'_>, &FileList> {
        match *self {}
    }
}

/// Has no values.
#[cfg(unix)]
#[derive(Clone, Debug)]
pub(crate) enum FileList {}

#[cfg(unix)]
impl FileList {
    pub(crate) fn is_ready(&self, _from: u64) -> bool {
        match *self {}
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for EventFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match *self {}
    }
}

/// Returns nanoseconds since the first call in this process.
pub(crate) fn monotonic() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

/// Returns [`monotonic`].
pub(crate) fn monotonic_coarse() -> u64 {
    monotonic()
}

pub(crate) fn user() -> u32 {
    0
}

pub(crate) fn process_name() -> String {
    String::new()
}

/// Has no values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ForkId {}

impl ForkId {
    pub(crate) fn here() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn forked(&self) -> bool {
        match *self {}
    }
}

pub(crate) fn refusal(_error: &io::Error) -> Option<Refusal> {
    None
}

pub(crate) fn advice(_refusal: Refusal) -> Option<&'static str> {
    None
}

/// `true` if the file system takes `a` and `A` for one name, and drops a dot at the end of a name.
pub(crate) const FOLDS_NAMES: bool = false;

pub(crate) fn may_write(_path: &Path, _directory: bool) -> bool {
    true
}

pub(crate) fn locked_memory_limit() -> Option<u64> {
    None
}
