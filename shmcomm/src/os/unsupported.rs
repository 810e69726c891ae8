//! The verbs of [`super`] where the system lacks what segments are built on: each returns
//! [`io::ErrorKind::Unsupported`] with the reason that the system's own file states.
//!
//! [`Map`] and [`Lineage`] have no values, so what works on them is never reached.

#[cfg(unix)]
use super::OwnedFd;
use super::{FileId, REASON, Ready, Stat, Woken, WokenOf};
use crate::sync::AtomicU32;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

/// Nowhere: nothing is ever looked up.
pub(crate) const DEFAULT_DIR: &str = "";

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, REASON))
}

pub(crate) fn create_unnamed(_dir: &Path) -> io::Result<File> {
    refuse()
}

pub(crate) fn reserve(_file: &File, _len: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn back(_file: &File, _len: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn open_lock_file(_path: &Path) -> io::Result<File> {
    refuse()
}

pub(crate) fn try_flock(_file: &File) -> io::Result<bool> {
    refuse()
}

pub(crate) fn unflock(_file: &File) -> io::Result<()> {
    refuse()
}

/// Has no value.
#[derive(Debug)]
pub(crate) enum Watch {}

pub(crate) fn watch(_paths: &[&Path]) -> io::Result<Watch> {
    refuse()
}

impl Watch {
    pub(crate) fn each(self, _directory: &Path) -> io::Result<Watch> {
        match self {}
    }

    pub(crate) fn wait(&self, _timeout: Option<Duration>, _opened: impl FnMut(usize)) -> io::Result<bool> {
        match *self {}
    }

    pub(crate) fn stop(&self) {
        match *self {}
    }
}

pub(crate) fn mapped_files(_but: Option<u32>) -> HashSet<FileId> {
    HashSet::new()
}

pub(crate) fn is_mapped_without(_one: FileId, _other: FileId, _but: Option<u32>) -> bool {
    false
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

pub(crate) fn reopen(_file: &File) -> io::Result<File> {
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

pub(crate) fn read_at(_file: &File, _buffer: &mut [u8], _at: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn write_at(_file: &File, _bytes: &[u8], _at: u64) -> io::Result<()> {
    refuse()
}

pub(crate) fn unlink(_path: &Path) -> io::Result<()> {
    refuse()
}

pub(crate) fn rename(_from: &Path, _to: &Path) -> io::Result<()> {
    refuse()
}

pub(crate) fn list(_dir: &Path) -> io::Result<Vec<String>> {
    refuse()
}

/// Has no values.
pub(crate) enum Map {}

pub(crate) fn map(_file: &File, _len: usize, _populate: bool) -> io::Result<Map> {
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

/// Sleeps the whole timeout: there is nobody who could wake it.
pub(crate) fn futex_wait(_word: &AtomicU32, _expected: u32, timeout: Duration) -> Woken {
    std::thread::sleep(timeout);
    Woken::TimedOut
}

pub(crate) fn futex_wake(_word: &AtomicU32, _count: u32) -> usize {
    0
}

/// Nothing is ever mapped.
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
pub(crate) enum Bell {}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn ring(&self) {
        match *self {}
    }

    pub(crate) fn hush(&self) {
        match *self {}
    }
}

/// Has no values.
#[derive(Debug)]
pub(crate) enum Clock {}

impl Clock {
    pub(crate) fn new() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn set(&self, _left: Option<Duration>) {
        match *self {}
    }
}

/// Has no values.
#[derive(Debug)]
pub(crate) enum Poller {}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn add<F>(&self, _fd: &F, _number: u64, _what: Ready) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn remove(&self, _fd: &OwnedFd) {
        match *self {}
    }

    pub(crate) fn sleep(&self, _timeout: Duration) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn look(&self, _found: impl FnMut(u64, Ready)) -> io::Result<()> {
        match *self {}
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Poller {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match *self {}
    }
}

/// Nanoseconds since the first call in this process.
pub(crate) fn monotonic() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

/// As [`monotonic`].
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
pub(crate) enum Lineage {}

impl Lineage {
    pub(crate) fn here() -> io::Result<Self> {
        refuse()
    }

    pub(crate) fn forked(&self) -> bool {
        match *self {}
    }
}

pub(crate) fn too_many_files(_error: &io::Error) -> bool {
    false
}
