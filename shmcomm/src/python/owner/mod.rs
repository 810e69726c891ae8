//! [`Owned`]: a segment that this process made or resumed, and whose name it keeps.
//!
//! Owns making, resuming, healing and removing. Calls `os` and `v1`. `session` and `replies` hold the
//! segments of a service, `late_join` admits its requesters, and `heal` serves services that are all Python.
//!
//! Every Python process that ever attached removes the name when it exits: its resource tracker takes the
//! segment for a leak. That is CPython issue 38119, whose fix does not apply to a process that passes only
//! the name. An owned segment therefore has two names from the start: Python's name, and a hidden name that
//! no tracker knows. A thread that sleeps in inotify links Python's name to the same file again as soon as it
//! vanishes. Attached processes notice no change, and later ones find it. A Python process that creates the
//! channel again removes the name too, and takes over: see `OPENED`.
//!
//! # Invariants
//!
//! 1. The process that has the lock on byte 0 of the file with the hidden name is the only owner. The lock
//!    belongs to the open file, which the mapping and the thread share. The owner releases it when it leaves,
//!    and the kernel releases it when the owner dies; children of a fork do not inherit it.
//! 2. The file has memory behind every byte and a complete header before it has any name.
//! 3. A name is removed only while it refers to the owner's own file, or to give it to that file.

mod create;
pub(in crate::python) mod heal;
pub(in crate::python) mod late_join;
pub(in crate::python) mod replies;
pub(in crate::python) mod session;
pub(in crate::python) mod unlink;

use crate::error::{Error, ErrorKind};
use crate::escape::Shown as _;
use crate::fault::fault_point;
use crate::layout::v1::{Shape, word};
use crate::os::{self, File, FileId, ForkId};
use crate::plural::count;
use crate::python::v1::name::SegmentPaths;
use crate::python::v1::segment::Segment;
use crate::records::LogRecords;
use crate::sync::{AtomicU32, Ordering};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two checks of the name without inotify.
const PERIOD: Duration = Duration::from_millis(20);
/// First and last pause between two checks of the name after an event; each pause is four times the one
/// before.
const SOON: Duration = Duration::from_millis(1);
const AT_LAST: Duration = Duration::from_secs(2);
/// A process in Python that creates a channel opens the segment that has the name, removes the name, and
/// creates its own segment under it. A name that is removed within `OPENED` after the segment was opened is
/// therefore left free for `LEFT_FREE`, so that the new owner always takes over; it is checked every `TICK`.
const OPENED: Duration = Duration::from_millis(50);
const LEFT_FREE: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(5);
/// Number of attempts: other processes can remove the name as often as this process restores it.
const TRIES: usize = 100;

/// Target of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// The name refers to the owner's file.
    There,
    /// The name does not exist.
    Missing,
    /// The owner has closed, or has been replaced.
    Over,
}

/// States of the name: the owner has it.
const HELD: u32 = 0;
/// The name refers to another file, because another owner came.
const REPLACED: u32 = 1;
/// This end is closed.
const CLOSED: u32 = 2;

/// A segment with its names, from `open` until it is dropped.
pub(in crate::python) struct Owned {
    segment: Segment,
    name: Arc<NameGuard>,
    fork_id: ForkId,
    resumed: bool,
    /// Dropped last, after the lock.
    _released: Released,
}

/// Reports the release of the owner's lock when it is dropped.
struct Released(SegmentPaths, ForkId);

impl Drop for Released {
    fn drop(&mut self) {
        if !self.1.forked() {
            let (name, hidden) = (self.0.name(), self.0.hidden().display());
            log::debug!(target: "shmcomm", "channel `{name}`: owner lock released: {hidden}");
        }
    }
}

/// The name that is kept. Shared with the thread that keeps it.
struct NameGuard {
    place: SegmentPaths,
    file: File,
    id: FileId,
    watch: Option<os::Watch>,
    state: AtomicU32,
    /// Held while a name is changed.
    names: Mutex<()>,
}

/// Finishes a removal of Python's name by an owner that was killed in the middle of it. The file of another
/// owner gets the name back if it is free. The caller has the lock of the owner, whose file is `own`.
fn clear_aside(place: &SegmentPaths, own: FileId) {
    let aside = place.aside();
    let Ok(Some(id)) = os::id_of_path(&aside) else { return };
    if id != own
        && let Ok(file) = os::open(&aside)
    {
        // Fails if the name belongs to a later file.
        let _ = os::link(&file, place.path());
    }
    let _ = os::unlink(&aside);
}

impl Owned {
    /// Creates the segment, or resumes the segment of a dead owner if it has the same shape.
    pub(in crate::python) fn open(place: &SegmentPaths, slots: u64, slot_size: u64) -> Result<Self, Error> {
        let owned = Self::claim(place, slots, slot_size, true)?;
        let thread = Arc::clone(&owned.name);
        std::thread::Builder::new()
            .name("shmcomm-owner".into())
            .stack_size(128 << 10)
            .spawn(move || thread.run())
            .map_err(|error| place.system("start the thread that keeps", error))?;
        Ok(owned)
    }

    /// Opens the segment like [`Owned::open`], but without Python's name and without a thread that keeps it:
    /// see [`Owned::show`].
    pub(in crate::python) fn open_unnamed(
        place: &SegmentPaths,
        slots: u64,
        slot_size: u64,
    ) -> Result<Self, Error> {
        Self::claim(place, slots, slot_size, false)
    }

    fn claim(place: &SegmentPaths, slots: u64, slot_size: u64, named: bool) -> Result<Self, Error> {
        let shape = Shape::new(slots, slot_size).map_err(|why| {
            place.error(ErrorKind::InvalidGeometry, format!("a segment cannot be made with {why}"))
        })?;
        create::spare_jobs(place, shape)?;
        for _ in 0..TRIES {
            let (segment, resumed) = match os::open(place.hidden()) {
                Ok(file) => match create::resume(place, file, shape)? {
                    Some(segment) => (segment, true),
                    None => continue,
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match create::create(place, shape)? {
                        Some(segment) => (segment, false),
                        None => continue,
                    }
                }
                Err(error) => return Err(place.system("open the hidden name of", error)),
            };
            // Relaxed: a statistic.
            segment.raw().store(word::OWNER, u64::from(os::pid()), Ordering::Relaxed);
            clear_aside(place, segment.id());
            if named {
                create::take_name(place, &segment)?;
            }
            let what = if resumed { "resumed" } else { "created" };
            log::info!(
                target: "shmcomm",
                "channel `{}`: {what} {} ({slots} of {slot_size})",
                place.name(),
                if named { place.path() } else { place.hidden() }.shown(), slot_size = count(slot_size, "byte"), slots = count(slots, "slot"));
            log::debug!(
                target: "shmcomm",
                "channel `{}`: owner lock acquired: {}",
                place.name(),
                place.hidden().shown()
            );
            return Self::new(place, segment, resumed, named);
        }
        Err(place.error(
            ErrorKind::AlreadyPublished,
            format!("another process keeps creating and removing {}", place.path().display()),
        ))
    }

    fn new(place: &SegmentPaths, segment: Segment, resumed: bool, named: bool) -> Result<Self, Error> {
        let fork_id = ForkId::here().map_err(|error| place.system("keep", error))?;
        let name = Arc::new(NameGuard {
            place: place.clone(),
            file: segment.file().clone(),
            id: segment.id(),
            watch: if named { os::watch(&[place.hidden()]).ok() } else { None },
            state: AtomicU32::new(HELD),
            names: Mutex::new(()),
        });
        let _released = Released(place.clone(), fork_id);
        Ok(Owned { segment, name, fork_id, resumed, _released })
    }

    #[inline]
    pub(in crate::python) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Returns `true` if a dead owner left the segment.
    pub(in crate::python) fn resumed(&self) -> bool {
        self.resumed
    }

    /// Returns `true` if another owner has taken the name, so that no later process finds this segment.
    #[inline]
    pub(in crate::python) fn replaced(&self) -> bool {
        // Relaxed: an independent flag.
        self.name.state.load(Ordering::Relaxed) == REPLACED
    }

    pub(in crate::python) fn place(&self) -> &SegmentPaths {
        &self.name.place
    }

    /// Gives the segment Python's name, replacing the file that has it.
    pub(in crate::python) fn take_name(&self) -> Result<(), Error> {
        create::take_name(self.place(), &self.segment)
    }

    /// Gives the segment Python's name, without keeping it.
    pub(in crate::python) fn show(&self, records: &mut LogRecords) {
        self.name.check(true, records);
    }

    /// Returns `true` if Python's name refers to the segment.
    pub(in crate::python) fn is_shown(&self) -> bool {
        stands_for(self.name.place.path(), self.name.id)
    }

    /// Removes Python's name. Attached processes notice no change.
    pub(in crate::python) fn hide(&self) {
        let _names = self.name.names.lock().unwrap_or_else(PoisonError::into_inner);
        self.name.remove_name();
    }

    /// Leaves the names when this is dropped, for the next owner.
    pub(in crate::python) fn abandon(&self) {
        // Relaxed: the thread loads it under the lock of the names, and the drop happens in this thread.
        self.name.state.store(CLOSED, Ordering::Relaxed);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // The child of a fork owns no segment.
        if self.fork_id.forked() {
            return;
        }
        let mut removed = false;
        let names = self.name.names.lock().unwrap_or_else(PoisonError::into_inner);
        if self.name.state.load(Ordering::Relaxed) != CLOSED {
            self.name.state.store(CLOSED, Ordering::Relaxed);
            removed = self.name.remove_name();
            fault_point!("py.leaving");
            let hidden = self.name.place.hidden();
            if stands_for(hidden, self.name.id) {
                removed |= os::unlink(hidden).is_ok();
            }
        }
        // The thread keeps the file for a moment longer.
        if os::intact(&self.name.file).is_ok() {
            let _ = os::unlock(&self.name.file, 0, 1);
        }
        drop(names);
        if let Some(watch) = &self.name.watch {
            watch.stop();
        }
        let (name, path) = (self.name.place.name(), self.name.place.path().display());
        let what = if removed { "destroys" } else { "leaves" };
        log::info!(target: "shmcomm", "channel `{name}`: {what} {path}");
    }
}

impl NameGuard {
    fn run(&self) {
        let mut pause = None;
        let mut opened: Option<Instant> = None;
        // Time since which the name is missing, and time for which it is left to a new owner.
        let mut missing: Option<(Instant, Duration)> = None;
        loop {
            let restore = missing.is_some_and(|(since, left_free)| since.elapsed() >= left_free);
            match self.check(restore, &mut LogRecords::new()) {
                Check::Over => return,
                Check::There => missing = None,
                Check::Missing if missing.is_none() => {
                    // Without inotify every removal may be by a new owner.
                    let new_owner =
                        self.watch.is_none() || opened.is_some_and(|opened| opened.elapsed() < OPENED);
                    let left_free = if new_owner { LEFT_FREE } else { Duration::ZERO };
                    missing = Some((Instant::now(), left_free));
                    if !new_owner {
                        continue;
                    }
                }
                Check::Missing => {}
            }
            let timeout = if missing.is_some() { Some(TICK) } else { pause };
            let happened =
                self.watch.as_ref().map(|watch| watch.wait(timeout, |_| opened = Some(Instant::now())));
            pause = match happened {
                // The kernel reports the event a moment before the name is gone.
                Some(Ok(true)) => Some(SOON),
                Some(Ok(false)) => pause.map(|pause| pause * 4).filter(|pause| *pause <= AT_LAST),
                Some(Err(_)) | None => {
                    std::thread::sleep(PERIOD);
                    pause
                }
            };
        }
    }

    /// Removes Python's name if it refers to the owner's file. Returns `false` if it does not. The caller has
    /// the lock of the names.
    fn remove_name(&self) -> bool {
        let path = self.place.path();
        if !stands_for(path, self.id) {
            return false;
        }
        // A new owner may give the name to its own file at this moment, and that must not be removed. The
        // name is therefore moved before its file is examined.
        let aside = self.place.aside();
        match os::replace_name(&self.file, path, &aside, &aside) {
            Ok(()) => {}
            // A new owner has removed the name since. The next file under it is the new owner's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            Err(_) => return stands_for(path, self.id) && os::unlink(path).is_ok(),
        }
        fault_point!("py.aside");
        if stands_for(&aside, self.id) {
            return os::unlink(&aside).is_ok();
        }
        let _ = os::replace_name(&self.file, &aside, path, &aside);
        false
    }

    /// Checks the target of the name. Links the name to the owner's file if it is missing and `restore` is
    /// set.
    fn check(&self, restore: bool, records: &mut LogRecords) -> Check {
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: changed under the lock, except by `abandon`, which orders no other access.
        if self.state.load(Ordering::Relaxed) != HELD {
            return Check::Over;
        }
        let path = self.place.path();
        match os::id_of_path(path) {
            Ok(Some(id)) if id == self.id => Check::There,
            Ok(None) if !restore => Check::Missing,
            Ok(None) => match os::link(&self.file, path) {
                Ok(()) => {
                    fault_point!("py.healed");
                    let (name, path) = (self.place.name(), path.display());
                    records.trace(format!("channel `{name}`: restored {path}"));
                    Check::There
                }
                // Another process made a file first: the next check finds its segment.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Check::Missing,
                Err(error) => {
                    self.state.store(REPLACED, Ordering::Relaxed);
                    let (name, path) = (self.place.name(), path.display());
                    records.error(format!(
                        "channel `{name}`: {path} and its second name were removed, and cannot be restored: {error}"
                    ));
                    Check::Over
                }
            },
            Ok(Some(_)) => {
                self.state.store(REPLACED, Ordering::Relaxed);
                let (name, path) = (self.place.name(), path.display());
                records.warn(format!(
                    "channel `{name}`: another process has put its own segment under {path}; \
                     new processes do not find this end from now on"
                ));
                Check::Over
            }
            Err(error) => {
                records.warn(format!("cannot examine {}: {error}", path.display()));
                Check::There
            }
        }
    }
}

fn stands_for(path: &std::path::Path, id: FileId) -> bool {
    matches!(os::id_of_path(path), Ok(Some(now)) if now == id)
}
