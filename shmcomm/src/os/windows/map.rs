//! [`Map`]: shared memory of a file, on Windows.
//!
//! Owns the views and the list of all views in this process. Calls `file` and `event`. Never interprets their
//! contents.

use super::event::Pair;
use super::file::File;
use crate::sync::{AtomicU32, Ordering};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::windows::io::AsRawHandle as _;
use std::ptr::{NonNull, null};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    PAGE_READONLY, PAGE_READWRITE, UnmapViewOfFile,
};

/// Mapped memory of a file, unmapped when its last user is done: the [`Map`], or a thread that sleeps in a word.
///
/// Invariants:
/// 1. `range` is a live shared mapping.
/// 2. `file` is the open file that it was made from: its locks last as long.
#[derive(Debug)]
pub(super) struct MappedView {
    // Dropped in this order: a file that is mapped cannot be deleted.
    range: AddressRange,
    file: FileOfView,
    events: Mutex<HashMap<usize, Pair>>,
}

/// Addresses of a view, unmapped on drop.
#[derive(Debug)]
struct AddressRange {
    base: usize,
    len: usize,
}

impl Drop for AddressRange {
    fn drop(&mut self) {
        let base = MEMORY_MAPPED_VIEW_ADDRESS { Value: std::ptr::with_exposed_provenance_mut(self.base) };
        // SAFETY: the view is live (invariant 1 of `MappedView`), and not used after this.
        unsafe { UnmapViewOfFile(base) };
    }
}

/// File of a view, deleted on drop if it has lost its name.
#[derive(Debug)]
struct FileOfView(File);

impl Drop for FileOfView {
    fn drop(&mut self) {
        self.0.remove_if_aside();
    }
}

/// All views of this process, by their addresses.
static VIEWS: RwLock<BTreeMap<usize, Arc<MappedView>>> = RwLock::new(BTreeMap::new());

impl MappedView {
    /// Returns the view that has a word, and the offset of the word in it.
    pub(super) fn find(address: usize) -> Option<(Arc<MappedView>, usize)> {
        let views = VIEWS.read().unwrap_or_else(PoisonError::into_inner);
        let (&base, view) = views.range(..=address).next_back()?;
        let offset = address - base;
        (offset + size_of::<AtomicU32>() <= view.range.len).then(|| (view.clone(), offset))
    }

    /// Loads the word at an offset that [`MappedView::find`] returned.
    pub(super) fn load(&self, offset: usize) -> u32 {
        let word = std::ptr::with_exposed_provenance::<AtomicU32>(self.range.base + offset);
        // SAFETY: invariant 1; `find` checked that the word is in the view, and words are aligned.
        unsafe { &*word }.load(Ordering::SeqCst)
    }

    /// Returns the events of the word at `offset`, which all processes share by their names.
    pub(super) fn events(&self, offset: usize) -> io::Result<Pair> {
        let mut known: MutexGuard<'_, _> = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = known.get(&offset) {
            return Ok(pair.clone());
        }
        let (_, index) = self.file.0.id();
        let pair = Pair::named(&format!("shmcomm2-{index:x}-{offset:x}"))?;
        known.insert(offset, pair.clone());
        Ok(pair)
    }
}

/// Shared memory of a file, unmapped on drop.
///
/// While this value lives, the locks that were taken through its file last, until the process ends, however it
/// ends.
pub(crate) struct Map(Arc<MappedView>);

/// Maps the first `len` bytes of `file`, and keeps the file. Windows has no call that fills the page tables.
pub(crate) fn map(file: File, len: usize, _populate: bool) -> io::Result<Map> {
    map_with(file, len, PAGE_READWRITE, FILE_MAP_READ | FILE_MAP_WRITE)
}

/// Maps the first `len` bytes of `file` like [`map`], for loads only: a store ends the process.
pub(crate) fn map_read_only(file: File, len: usize) -> io::Result<Map> {
    map_with(file, len, PAGE_READONLY, FILE_MAP_READ)
}

fn map_with(file: File, len: usize, protection: u32, access: u32) -> io::Result<Map> {
    // Size 0 is that of the file: another size would let the file grow.
    // SAFETY: an open file; the section has no name.
    let section =
        unsafe { CreateFileMappingW(file.inner().as_raw_handle(), null(), protection, 0, 0, null()) };
    if section.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new view at an address that the system chooses; it fails if the file is shorter.
    let view = unsafe { MapViewOfFile(section, access, 0, 0, len) };
    let result = NonNull::new(view.Value).ok_or_else(io::Error::last_os_error);
    // SAFETY: this function's own handle; the view keeps the section.
    unsafe { CloseHandle(section) };
    let base = result?.as_ptr().expose_provenance();
    let view =
        MappedView { range: AddressRange { base, len }, file: FileOfView(file), events: Mutex::default() };
    let view = Arc::new(view);
    VIEWS.write().unwrap_or_else(PoisonError::into_inner).insert(base, view.clone());
    Ok(Map(view))
}

impl Map {
    pub(crate) fn base(&self) -> NonNull<u8> {
        let base = std::ptr::with_exposed_provenance_mut(self.0.range.base);
        NonNull::new(base).unwrap_or(NonNull::dangling())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.range.len
    }

    /// Drops this value without unmapping, as the child of a fork must on other systems.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        let view = VIEWS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.0.range.base);
        // Unmapped here, unless another thread sleeps in one of its words.
        drop(view);
    }
}
