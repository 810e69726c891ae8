//! [`File`]: an open file of the library, on Windows, with its locks and its names.
//!
//! Owns the handle and the list of its locks. Calls `security`. Never interprets the contents of a file.
//!
//! 1. A file is created with a temporary name, and its creator locks [`CREATOR`] for as long as it has the file
//!    open. A process that deletes a file with a temporary name takes this lock first. So a clean-up spares a file
//!    that is about to get its name.
//! 2. A mapped file can be neither deleted nor replaced, but moved. A name is taken from a file by a move to a
//!    temporary name. The file is deleted then, or with its last mapping, or by the next clean-up.
//! 3. A question for locks takes a shared lock for a moment. The system grants it beside an exclusive lock of the same
//!    handle, and its unlock would release the exclusive one. So a handle remembers its locks and asks for the other
//!    bytes only. The list of its locks is locked during the system calls, so that no other thread with this handle
//!    takes a lock that the question would release.
//! 4. Other code of the process may close the handle. Its number may then belong to another file, which the library
//!    neither closes nor deletes.

use super::{check, security, wide};
use crate::os::{FileId, FileKind, Stat, TEMPORARY};
use crate::sync::{AtomicU32, Ordering};
use std::ffi::OsString;
use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::ffi::OsStringExt as _;
use std::os::windows::fs::FileExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CREATE_NEW, CreateFileW, DELETE, FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TEMPORARY, FILE_DISPOSITION_FLAG_DELETE,
    FILE_DISPOSITION_FLAG_POSIX_SEMANTICS, FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES, FILE_RENAME_INFO,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_STANDARD_INFO, FileDispositionInfo,
    FileDispositionInfoEx, FileRenameInfo, FileStandardInfo, GetFileInformationByHandle,
    GetFileInformationByHandleEx, GetFinalPathNameByHandleW, LOCKFILE_EXCLUSIVE_LOCK,
    LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, OPEN_EXISTING, READ_CONTROL, ReOpenFile,
    SetFileInformationByHandle, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

/// Offset of byte 0 of the locks: beyond all bytes, because a lock keeps other handles from the bytes in it.
const LOCKS: u64 = 1 << 62;
/// The byte that the creator of a file locks: beyond the seats and the registration lock.
const CREATOR: u64 = 1 << 32;
/// Attempts for a lock that other processes only ask for.
const ATTEMPTS: u32 = 10_000;

const ACCESS: u32 = GENERIC_READ | GENERIC_WRITE | DELETE;
const SHARE: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// A file object of this process, and its one handle. Clones share both; the last one closes it.
#[derive(Clone, Debug)]
pub(crate) struct File(Arc<Open>);

#[derive(Debug)]
struct Open {
    /// Dropped only while it is the file with the identity `id`. (4)
    file: ManuallyDrop<std::fs::File>,
    id: FileId,
    /// 1 while a file that [`create_unnamed`] made has a temporary name.
    unnamed: AtomicU32,
    /// First byte and length of the locks of this handle. (3)
    locks: Mutex<Vec<(u64, u64)>>,
}

impl File {
    fn new(file: std::fs::File, unnamed: bool) -> io::Result<Self> {
        let id = id_of(&file)?;
        let unnamed = AtomicU32::new(unnamed.into());
        let file = ManuallyDrop::new(file);
        Ok(File(Arc::new(Open { file, id, unnamed, locks: Mutex::default() })))
    }

    /// Returns the file as the standard library's type.
    pub(super) fn inner(&self) -> &std::fs::File {
        &self.0.file
    }

    pub(super) fn id(&self) -> FileId {
        self.0.id
    }

    /// Returns the directory of the file.
    pub(super) fn directory(&self) -> io::Result<PathBuf> {
        let path = final_path(self.inner())?;
        path.parent().map(Path::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Deletes the file if it was moved aside, and no process has it mapped. (2)
    pub(super) fn remove_if_aside(&self) {
        if self.0.is_intact() && has_temporary_name(self.inner()) {
            let _ = delete(self.inner());
        }
    }

    /// Locks the list of the locks of this handle. (3)
    fn locks(&self) -> MutexGuard<'_, Vec<(u64, u64)>> {
        self.0.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Returns `true` if the handle still stands for the file. (4)
    fn is_intact(&self) -> bool {
        id_of(&self.file).is_ok_and(|id| id == self.id)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_intact() {
            return;
        }
        // Relaxed: exclusive access.
        if self.unnamed.load(Ordering::Relaxed) == 1 {
            let _ = delete(&self.file);
        }
        // SAFETY: the handle is this value's own (just checked), and not used again.
        unsafe { ManuallyDrop::drop(&mut self.file) };
    }
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY))
}

fn has_temporary_name(file: &std::fs::File) -> bool {
    final_path(file).is_ok_and(|path| is_temporary(&path))
}

/// Returns the path that an open file has now.
fn final_path(file: &std::fs::File) -> io::Result<PathBuf> {
    let mut room = vec![0u16; 1 << 15];
    let handle = file.as_raw_handle();
    // SAFETY: an open file, and room for that many units.
    let len = unsafe { GetFinalPathNameByHandleW(handle, room.as_mut_ptr(), room.len() as u32, 0) } as usize;
    match len {
        0 => Err(io::Error::last_os_error()),
        _ if len > room.len() => Err(io::ErrorKind::InvalidFilename.into()),
        _ => Ok(OsString::from_wide(&room[..len]).into()),
    }
}

/// Returns an error if other code of this process closed the handle, even if its number now belongs to another
/// file. Makes a system call.
pub(crate) fn intact(file: &File) -> io::Result<()> {
    let refusal = match id_of(file.inner()) {
        Ok(id) if id == file.id() => return Ok(()),
        Ok(_) => "its handle stands for another file now".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(io::Error::other(format!(
        "other code of this process closed a file of shmcomm ({refusal}); close only handles that you opened"
    )))
}

fn unused_name(dir: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the uniqueness of the number matters.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("{TEMPORARY}{}-{}-{count}", crate::os::pid(), super::monotonic()))
}

/// Returns a new file in `dir` for this user alone, with a temporary name. It vanishes with its last user unless
/// [`link`] gives it a name. If the process is killed before, the next clean-up deletes it.
pub(crate) fn create_unnamed(dir: &Path) -> io::Result<File> {
    let attributes = security::for_files()?;
    for _ in 0..ATTEMPTS {
        let path = wide(&unused_name(dir))?;
        // The attribute keeps the system from writing the pages to the disk while there is memory.
        // SAFETY: the path ends with a zero, and the attributes are never freed.
        let handle = unsafe {
            CreateFileW(
                path.as_ptr(),
                ACCESS,
                SHARE,
                attributes.as_ptr(),
                CREATE_NEW,
                FILE_ATTRIBUTE_TEMPORARY,
                null_mut(),
            )
        };
        let file = File::new(owned(handle)?, true)?;
        // (1): a clean-up has the lock for a moment, and has then marked the file for deletion.
        if try_lock(&file, CREATOR, 1)? && !is_deleted(file.inner())? {
            return Ok(file);
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

fn owned(handle: HANDLE) -> io::Result<std::fs::File> {
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new handle, which nothing else closes.
    Ok(unsafe { std::fs::File::from_raw_handle(handle) })
}

fn opened(path: &Path, access: u32, flags: u32) -> io::Result<std::fs::File> {
    let path = wide(path)?;
    let flags = flags | FILE_FLAG_OPEN_REPARSE_POINT;
    // SAFETY: the path ends with a zero.
    owned(unsafe {
        CreateFileW(path.as_ptr(), access, SHARE, std::ptr::null(), OPEN_EXISTING, flags, null_mut())
    })
}

/// Opens what is at `path`, to read its metadata.
pub(super) fn examine(path: &Path) -> io::Result<std::fs::File> {
    opened(path, FILE_READ_ATTRIBUTES | READ_CONTROL, FILE_FLAG_BACKUP_SEMANTICS)
}

/// Opens the file at `path` for reading and writing. Follows no symbolic link.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::new(opened(path, ACCESS, 0)?, false)
}

/// Reopens the file: returns a new file object with its own locks. `_path_hint` is a possible path of the file;
/// Windows does not need it.
pub(crate) fn reopen(file: &File, _path_hint: &Path) -> io::Result<File> {
    // SAFETY: an open file.
    File::new(owned(unsafe { ReOpenFile(file.inner().as_raw_handle(), ACCESS, SHARE, 0) })?, false)
}

fn information(file: &std::fs::File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: an open file; the call fills the structure.
    check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) })?;
    Ok(information)
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Returns 0 and the index of the file in its volume. All segments are in one directory, and so on one volume, whose
/// serial number is not needed. Wine fails to tell it at times.
pub(super) fn id_of(file: &std::fs::File) -> io::Result<FileId> {
    Ok(id_in(&information(file)?))
}

fn id_in(information: &BY_HANDLE_FILE_INFORMATION) -> FileId {
    (0, pair(information.nFileIndexHigh, information.nFileIndexLow))
}

pub(super) fn stat_of(file: &std::fs::File) -> io::Result<Stat> {
    let found = information(file)?;
    let kind = match found.dwFileAttributes {
        attributes if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 => FileKind::Symlink,
        attributes if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 => FileKind::Directory,
        _ => FileKind::Regular,
    };
    let (owner, mode) = security::owner_and_mode(file)?;
    Ok(Stat { kind, id: id_in(&found), owner, mode, len: pair(found.nFileSizeHigh, found.nFileSizeLow) })
}

pub(crate) fn stat(file: &File) -> io::Result<Stat> {
    stat_of(file.inner())
}

fn is_deleted(file: &std::fs::File) -> io::Result<bool> {
    let mut found = FILE_STANDARD_INFO::default();
    let (into, size) = ((&raw mut found).cast(), size_of::<FILE_STANDARD_INFO>() as u32);
    // SAFETY: an open file; the call fills a structure of that size.
    check(unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), FileStandardInfo, into, size) })?;
    Ok(found.DeletePending)
}

/// Returns `true` if the file has a name.
pub(crate) fn is_linked(file: &File) -> io::Result<bool> {
    Ok(!is_deleted(file.inner())? && !is_temporary(&final_path(file.inner())?))
}

/// Fills `buffer` from byte `at` of the file. Fails with `UnexpectedEof` if the file ends before.
pub(crate) fn read_at(file: &File, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.inner().seek_read(buffer, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => (buffer, at) = (&mut buffer[n..], at + n as u64),
        }
    }
    Ok(())
}

/// Writes `bytes` at byte `at`. Processes that have the file mapped see them.
pub(crate) fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.inner().seek_write(bytes, at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => (bytes, at) = (&bytes[n..], at + n as u64),
        }
    }
    Ok(())
}

/// Gives a file the name `path`, instead of the name that it has. Fails with `AlreadyExists` if the name is taken.
fn move_to(file: &std::fs::File, path: &Path) -> io::Result<()> {
    let name = wide(path)?;
    let size = size_of::<FILE_RENAME_INFO>() + name.len() * 2;
    let mut room = vec![0u64; size.div_ceil(8)];
    let info: *mut FILE_RENAME_INFO = room.as_mut_ptr().cast();
    // SAFETY: within `room`, which is aligned. The length does not count the zero at the end.
    unsafe { (*info).FileNameLength = (name.len() as u32 - 1) * 2 };
    // SAFETY: the address of a field within `room`.
    let to: *mut u16 = unsafe { &raw mut (*info).FileName }.cast();
    // SAFETY: `room` has space for all units behind the structure.
    unsafe { to.copy_from_nonoverlapping(name.as_ptr(), name.len()) };
    let handle = file.as_raw_handle();
    // SAFETY: an open file, and a structure of that size.
    check(unsafe { SetFileInformationByHandle(handle, FileRenameInfo, info.cast(), size as u32) })
}

/// Deletes a file. Fails if a process has it mapped.
fn delete(file: &std::fs::File) -> io::Result<()> {
    let handle = file.as_raw_handle();
    let flags = FILE_DISPOSITION_FLAG_DELETE | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS;
    // The name vanishes at once, not with the last handle. Some file systems cannot do that.
    let at_once = FILE_DISPOSITION_INFO_EX { Flags: flags };
    let (info, size) = ((&raw const at_once).cast(), size_of::<FILE_DISPOSITION_INFO_EX>() as u32);
    // SAFETY: an open file, and a structure of that size.
    if unsafe { SetFileInformationByHandle(handle, FileDispositionInfoEx, info, size) } != 0 {
        return Ok(());
    }
    let later = FILE_DISPOSITION_INFO { DeleteFile: true };
    let (info, size) = ((&raw const later).cast(), size_of::<FILE_DISPOSITION_INFO>() as u32);
    // SAFETY: an open file, and a structure of that size.
    check(unsafe { SetFileInformationByHandle(handle, FileDispositionInfo, info, size) })
}

/// Gives a file its name, instead of the name that it has. Fails with `AlreadyExists` if the name is taken.
pub(crate) fn link(file: &File, path: &Path) -> io::Result<()> {
    move_to(file.inner(), path)?;
    // A file that loses its creator before it has its final name is deleted.
    if !is_temporary(path) {
        // Relaxed: the last user of the file reads it, after all others.
        file.0.unnamed.store(0, Ordering::Relaxed);
    }
    Ok(())
}

/// Removes the name `path`, and the file with it unless a process has it mapped. (2)
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    let file = open(path)?;
    if is_temporary(path) {
        // (1)
        if !try_lock(&file, CREATOR, 1)? {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        return delete(file.inner());
    }
    move_aside(&file, path)
}

/// Takes the name `path` from its file, and deletes the file unless a process has it mapped. (2)
fn move_aside(file: &File, path: &Path) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidFilename)?;
    move_to(file.inner(), &unused_name(dir))?;
    let _ = delete(file.inner());
    Ok(())
}

/// Removes the name `path` from `_file`, which has it. Returns `false` if the name did not exist. `_aside` is not
/// needed: [`unlink`] chooses a name.
pub(crate) fn take_name(_file: &File, path: &Path, _aside: &Path) -> io::Result<bool> {
    existed(unlink(path))
}

fn existed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the file `new`, whose name is `_from`, the name `to`, which may belong to another file. Takes two steps: for
/// a moment no file has the name. Fails with `AlreadyExists` if another process takes it then. `_aside` is not needed:
/// [`unlink`] chooses a name.
pub(crate) fn replace_name(new: &File, _from: &Path, to: &Path, _aside: &Path) -> io::Result<()> {
    existed(unlink(to))?;
    link(new, to)
}

fn position(first: u64) -> OVERLAPPED {
    let mut at = OVERLAPPED::default();
    at.Anonymous.Anonymous.Offset = (LOCKS + first) as u32;
    at.Anonymous.Anonymous.OffsetHigh = ((LOCKS + first) >> 32) as u32;
    at
}

/// Locks a range without waiting: exclusively, or shared with other shared locks.
fn lock_range(file: &File, first: u64, len: u64, exclusive: bool) -> io::Result<bool> {
    let mut at = position(first);
    let flags = LOCKFILE_FAIL_IMMEDIATELY | if exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 };
    let handle = file.inner().as_raw_handle();
    // SAFETY: an open file, and a position that outlives the call, which does not wait.
    let locked = unsafe { LockFileEx(handle, flags, 0, len as u32, (len >> 32) as u32, &raw mut at) };
    match check(locked) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error().map(|code| code as u32) {
            Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Ok(false),
            _ => Err(error),
        },
    }
}

fn unlock_range(file: &File, first: u64, len: u64) -> io::Result<()> {
    let mut at = position(first);
    let handle = file.inner().as_raw_handle();
    // SAFETY: an open file, and a position that outlives the call, which does not wait.
    check(unsafe { UnlockFileEx(handle, 0, len as u32, (len >> 32) as u32, &raw mut at) })
}

/// Locks `len` bytes from `first` for this file object alone, without waiting. Returns `false` if another one has
/// locked some of them. The system drops the lock with the file object.
pub(crate) fn try_lock(file: &File, first: u64, len: u64) -> io::Result<bool> {
    for _ in 0..ATTEMPTS {
        // (3)
        let mut locks = file.locks();
        if locks.contains(&(first, len)) {
            return Ok(true);
        }
        if lock_range(file, first, len, true)? {
            locks.push((first, len));
            return Ok(true);
        }
        // A process that asks has a shared lock for a moment; an owner does not let others share.
        if !lock_range(file, first, len, false)? {
            return Ok(false);
        }
        unlock_range(file, first, len)?;
        drop(locks);
        std::thread::yield_now();
    }
    Ok(false)
}

/// Drops the lock of this file object that has the range.
pub(crate) fn unlock(file: &File, first: u64, len: u64) -> io::Result<()> {
    let mut locks = file.locks();
    let Some(index) = locks.iter().position(|lock| *lock == (first, len)) else { return Ok(()) };
    locks.swap_remove(index);
    unlock_range(file, first, len)
}

/// Returns `true` if another file object has locked any byte of the range.
pub(crate) fn is_locked(file: &File, first: u64, len: u64) -> io::Result<bool> {
    // (3)
    let locks = file.locks();
    let (mut from, end) = (first, first + len);
    while from < end {
        let own = locks.iter().filter(|(at, len)| *at < end && at + len > from).min();
        let to = own.map_or(end, |(at, _)| *at);
        if to > from && is_range_locked(file, from, to - from)? {
            return Ok(true);
        }
        from = own.map_or(end, |(at, len)| at + len);
    }
    Ok(false)
}

/// Returns `true` if any byte of a range is locked. This file object has no lock in it.
fn is_range_locked(file: &File, first: u64, len: u64) -> io::Result<bool> {
    // Two processes that ask do not see each other: they share.
    if !lock_range(file, first, len, false)? {
        return Ok(true);
    }
    unlock_range(file, first, len)?;
    Ok(false)
}
