//! [`File`]: an open file of the library, on Linux and macOS.
//!
//! Owns the descriptor and the table of all descriptors of the library in this process. Calls `fork`. Never
//! interprets the contents of a file.
//!
//! The table serves two purposes. A forked child closes the copies that it inherits: the lock of a seat ends
//! with the last copy of its description, so a copy in a child would keep a dead parent alive. The table also
//! prevents the use of a descriptor that other code of the process closed. Such a descriptor is not closed
//! again either, because its number may belong to another file.

use super::fork::{self, Inherited, no_fork};
use super::{FileId, unix};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An open file description of this process, and its one descriptor. Clones share both; the last one closes
/// it. In a forked child it is already closed.
#[derive(Clone, Debug)]
pub(crate) struct File(Arc<Open>);

/// Invariant: `file` is open with the identity `id` as long as its entry in the table has `serial`, unless
/// other code of the process closed it.
#[derive(Debug)]
struct Open {
    file: ManuallyDrop<std::fs::File>,
    serial: u64,
    id: FileId,
    /// Name that the file has only until it gets its own. The last user of the file removes it. Always `None` on
    /// Linux, where a file can be without a name.
    temporary: Mutex<Option<PathBuf>>,
}

impl File {
    /// Opens a file with `open`, with no fork between the opening and the entry in the table.
    pub(super) fn by(open: impl FnOnce() -> rustix::io::Result<OwnedFd>) -> io::Result<Self> {
        fork::remove_in_children(Inherited::Files, close_inherited)?;
        // Allocated before the lock is taken.
        let mut shared = Arc::<Open>::new_uninit();
        let forks = no_fork();
        let file = std::fs::File::from(open()?);
        let stat = unix::convert(rustix::fs::fstat(&file)?);
        let entry = Entry::of(file.as_raw_fd())?;
        let serial = Entry::next_serial();
        entry.set(serial, stat.id);
        drop(forks);
        let open = Open { file: ManuallyDrop::new(file), serial, id: stat.id, temporary: Mutex::new(None) };
        Arc::get_mut(&mut shared).expect("not shared yet").write(open);
        // SAFETY: just written.
        Ok(File(unsafe { shared.assume_init() }))
    }

    /// Returns the file as the standard library's type.
    pub(super) fn inner(&self) -> &std::fs::File {
        &self.0.file
    }

    /// Returns the temporary name of the file, if it has one.
    #[cfg_attr(
        not(any(target_os = "macos", test)),
        allow(dead_code, reason = "macOS has no files without a name")
    )]
    pub(super) fn temporary(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.0.temporary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

/// Returns an error if other code of this process closed the descriptor, even if its number now belongs to
/// another file. Makes a system call.
pub(crate) fn intact(file: &File) -> io::Result<()> {
    let open = &*file.0;
    let refusal = match rustix::fs::fstat(&*open.file) {
        _ if !open.is_entered() => "its number stands for another file of shmcomm now".to_owned(),
        Ok(stat) if unix::convert(stat).id == open.id => return Ok(()),
        Ok(_) => "its number stands for another file now".to_owned(),
        Err(error) => io::Error::from(error).to_string(),
    };
    Err(io::Error::other(format!(
        "other code of this process closed a file of shmcomm ({refusal}); \
         close only files that you opened, or close them before channels are opened"
    )))
}

impl Open {
    /// Returns `true` unless a child of a fork closed the file, or its number belongs to a later file.
    fn is_entered(&self) -> bool {
        // Relaxed: only a fork changes the entry of a descriptor that this value owns.
        Entry::of(self.file.as_raw_fd())
            .is_ok_and(|entry| entry.serial.load(Ordering::Relaxed) == self.serial)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_entered()
            && let Some(path) = self.temporary.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        {
            let _ = rustix::fs::unlink(path);
        }
        let _forks = no_fork();
        let Ok(entry) = Entry::of(self.file.as_raw_fd()) else { return };
        // Relaxed, here and below: under the lock.
        if entry.serial.load(Ordering::Relaxed) != self.serial {
            return;
        }
        entry.serial.store(0, Ordering::Relaxed);
        if matches!(rustix::fs::fstat(&*self.file), Ok(stat) if unix::convert(stat).id == self.id) {
            // SAFETY: the descriptor is this value's own (invariant; just checked), and not used again.
            unsafe { ManuallyDrop::drop(&mut self.file) }
        }
    }
}

/// Entry of a descriptor in the table.
#[derive(Default)]
struct Entry {
    /// Number of the [`Open`] that has the descriptor; 0 if none.
    serial: AtomicU64,
    device: AtomicU64,
    inode: AtomicU64,
}

/// Number of entries in the first part of the table; each later part has twice as many as the one before.
const FIRST: usize = 128;
/// Number of parts that hold all descriptor numbers.
const PARTS: usize = 25;
/// Parts of the table: null, or `FIRST << part` entries that are never freed.
static TABLE: [AtomicPtr<Entry>; PARTS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; PARTS];

impl Entry {
    /// Returns the entry of a descriptor; allocates its part of the table for the first descriptor in it.
    fn of(descriptor: i32) -> io::Result<&'static Entry> {
        let number = descriptor as usize / FIRST + 1;
        let part = number.ilog2() as usize;
        let index = descriptor as usize - ((1 << part) - 1) * FIRST;
        // [part made] pairs with [part published].
        let mut entries = TABLE[part].load(Ordering::Acquire);
        if entries.is_null() {
            let fresh: *mut Entry = fork::pages((FIRST << part) * size_of::<Entry>())?.cast();
            // [part published] pairs with [part made]. Only opened files have entries, and files are opened
            // under the lock.
            TABLE[part].store(fresh, Ordering::Release);
            entries = fresh;
        }
        // SAFETY: `index` is less than the number of entries: `number` is less than `2 << part`.
        let entry = unsafe { entries.add(index) };
        // SAFETY: zeros are a valid entry; it is never freed, and is only used as atomics.
        Ok(unsafe { &*entry })
    }

    fn next_serial() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only the uniqueness of the number matters.
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    fn set(&self, serial: u64, id: FileId) {
        // Relaxed: under the lock.
        self.device.store(id.0, Ordering::Relaxed);
        self.inode.store(id.1, Ordering::Relaxed);
        self.serial.store(serial, Ordering::Relaxed);
    }
}

/// Closes all files of the parent, in the child of a fork: the child's copies would keep the parent's locks.
fn close_inherited() {
    for (part, entries) in TABLE.iter().enumerate() {
        // Relaxed, here and below: a child starts with one thread.
        let entries = entries.load(Ordering::Relaxed);
        if entries.is_null() {
            continue;
        }
        for index in 0..FIRST << part {
            // SAFETY: within the part.
            let entry = unsafe { entries.add(index) };
            // SAFETY: zeros are a valid entry; it is never freed, and is only used as atomics.
            let entry = unsafe { &*entry };
            if entry.serial.load(Ordering::Relaxed) == 0 {
                continue;
            }
            entry.serial.store(0, Ordering::Relaxed);
            let id = (entry.device.load(Ordering::Relaxed), entry.inode.load(Ordering::Relaxed));
            let descriptor = (((1 << part) - 1) * FIRST + index) as i32;
            // SAFETY: only its identity is read before it is known to be the file of the entry.
            let file = unsafe { BorrowedFd::borrow_raw(descriptor) };
            if matches!(rustix::fs::fstat(file), Ok(stat) if unix::convert(stat).id == id) {
                // SAFETY: the copy belongs to the parent's values, which the child does not use: their
                // serials are no longer in the table.
                unsafe { rustix::io::close(descriptor) };
            }
        }
    }
}
