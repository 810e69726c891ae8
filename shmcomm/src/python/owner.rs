//! [`Owned`]: a segment that this process made, or resumed, and keeps under its name.
//!
//! Owns making, resuming, healing and removing. Calls `os` and `segment`.
//!
//! Every Python process that ever attached removes the name when it exits: its resource tracker takes
//! the segment for a leak (CPython issue 38119, fixed for nobody who asks for the name alone). So an
//! owned segment has two names from its first moment on: Python's, and a hidden one that no tracker
//! knows. A thread that sleeps in inotify links Python's name to the same file again as soon as it
//! vanishes; attached processes notice nothing, and later ones find it.
//!
//! # Invariants
//!
//! 1. Whoever has the lock on byte 0 of the file with the hidden name is the owner: there is one. The
//!    lock is that of the mapping, whose own file is closed: the kernel drops it when the mapping dies,
//!    and children of a fork do not inherit it.
//! 2. The file has memory behind every byte and a whole header before it has any name.
//! 3. A name is removed only while it stands for the owner's own file, or in order to put that there.

use super::name::Place;
use super::segment::{Look, Segment, check_owner, no_room};
use crate::fault::fault_point;
use crate::layout::python::{Header, Kind, Shape, word};
use crate::os::{self, FileId, Lineage};
use crate::sync::{AtomicU32, Ordering};
use crate::{Error, ErrorKind};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the name is looked at where there is no inotify.
const PERIOD: Duration = Duration::from_millis(20);
/// How soon it is looked at again after something happened to it, and how long that goes on, four times later each
/// time.
const SOON: Duration = Duration::from_millis(1);
const AT_LAST: Duration = Duration::from_secs(2);
/// Others can take the name away as often as we can take it back; somebody must give up.
const TRIES: usize = 100;

/// State of the name.
const HELD: u32 = 0;
/// It stands for another file: another owner came.
const REPLACED: u32 = 1;
/// This end is gone.
const CLOSED: u32 = 2;

/// A segment with its names, from `open` until it is dropped.
pub(super) struct Owned {
    segment: Segment,
    keeper: Arc<Keeper>,
    lineage: Lineage,
    resumed: bool,
}

/// Keeps the name. Shared with the thread that does it.
struct Keeper {
    place: Place,
    file: File,
    id: FileId,
    watch: Option<os::Watch>,
    state: AtomicU32,
    /// Held while a name is changed.
    names: Mutex<()>,
}

impl Owned {
    /// Makes the segment, or goes on with the one that a dead owner left, if it has the same shape.
    pub(super) fn open(place: &Place, slots: u64, slot_size: u64) -> Result<Self, Error> {
        let owned = Self::claim(place, slots, slot_size)?;
        let thread = Arc::clone(&owned.keeper);
        std::thread::Builder::new()
            .name("shmcomm-keeper".into())
            .stack_size(128 << 10)
            .spawn(move || thread.run())
            .map_err(|error| place.system("start the thread that keeps", error))?;
        Ok(owned)
    }

    /// As [`Owned::open`], but without Python's name: see [`Owned::show`].
    pub(super) fn open_unnamed(place: &Place, slots: u64, slot_size: u64) -> Result<Self, Error> {
        let owned = Self::claim(place, slots, slot_size)?;
        owned.hide();
        Ok(owned)
    }

    fn claim(place: &Place, slots: u64, slot_size: u64) -> Result<Self, Error> {
        let shape = Shape::new(slots, slot_size).map_err(|why| {
            place.error(ErrorKind::InvalidGeometry, format!("a segment cannot be made with {why}"))
        })?;
        for _ in 0..TRIES {
            let (segment, resumed) = match os::open(place.hidden()) {
                Ok(file) => match resume(place, file, shape)? {
                    Some(segment) => (segment, true),
                    None => continue,
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => match create(place, shape)? {
                    Some(segment) => (segment, false),
                    None => continue,
                },
                Err(error) => return Err(place.system("open the hidden name of", error)),
            };
            // Relaxed: to show.
            segment.raw().store(word::OWNER, u64::from(os::pid()), Ordering::Relaxed);
            take_name(place, &segment)?;
            return Self::new(place, segment, resumed);
        }
        Err(place.error(
            ErrorKind::AlreadyPublished,
            format!("another process keeps creating and removing {}", place.path().display()),
        ))
    }

    fn new(place: &Place, segment: Segment, resumed: bool) -> Result<Self, Error> {
        let lineage = Lineage::here().map_err(|error| place.system("keep", error))?;
        let file = segment.file().try_clone().map_err(|error| place.system("keep", error))?;
        let keeper = Arc::new(Keeper {
            place: place.clone(),
            file,
            id: segment.id(),
            watch: os::watch(&[place.hidden()]).ok(),
            state: AtomicU32::new(HELD),
            names: Mutex::new(()),
        });
        Ok(Owned { segment, keeper, lineage, resumed })
    }

    #[inline]
    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Whether a dead owner left it.
    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }

    /// Whether another owner has taken the name: nobody who comes later will find this segment.
    #[inline]
    pub(super) fn replaced(&self) -> bool {
        // Relaxed: a flag of its own.
        self.keeper.state.load(Ordering::Relaxed) == REPLACED
    }

    /// Gives the segment Python's name; it is not kept.
    pub(super) fn show(&self) {
        self.keeper.heal();
    }

    /// Whether Python's name is there.
    pub(super) fn is_shown(&self) -> bool {
        stands_for(self.keeper.place.path(), self.keeper.id)
    }

    /// Takes Python's name away. Whoever is attached notices nothing.
    pub(super) fn hide(&self) {
        let _names = self.keeper.names.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.keeper.place.path();
        if stands_for(path, self.keeper.id) {
            let _ = os::unlink(path);
        }
    }

    /// Leaves the names when this is dropped, for the next owner.
    pub(super) fn abandon(&self) {
        // Relaxed: the thread looks at it under the lock of the names, and the drop is this thread's.
        self.keeper.state.store(CLOSED, Ordering::Relaxed);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // A child of a fork owns nothing.
        if self.lineage.forked() {
            return;
        }
        let names = self.keeper.names.lock().unwrap_or_else(PoisonError::into_inner);
        if self.keeper.state.load(Ordering::Relaxed) != CLOSED {
            self.keeper.state.store(CLOSED, Ordering::Relaxed);
            for path in [self.keeper.place.path(), self.keeper.place.hidden()] {
                if stands_for(path, self.keeper.id) {
                    let _ = os::unlink(path);
                    fault_point!("py.leaving");
                }
            }
        }
        drop(names);
        if let Some(watch) = &self.keeper.watch {
            watch.stop();
        }
    }
}

impl Keeper {
    fn run(&self) {
        let mut pause = None;
        while self.heal() {
            let happened = self.watch.as_ref().map(|watch| watch.wait(pause, |_| ()));
            pause = match happened {
                // The kernel tells of it a moment before the name is gone.
                Some(Ok(true)) => Some(SOON),
                Some(Ok(false)) => pause.map(|pause| pause * 4).filter(|pause| *pause <= AT_LAST),
                Some(Err(_)) | None => {
                    std::thread::sleep(PERIOD);
                    pause
                }
            };
        }
    }

    /// False if there is nothing left to keep.
    fn heal(&self) -> bool {
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: changed under the lock, but for `abandon`, which nothing is ordered by.
        if self.state.load(Ordering::Relaxed) != HELD {
            return false;
        }
        let path = self.place.path();
        match os::id_of_path(path) {
            Ok(Some(id)) if id == self.id => true,
            Ok(None) => {
                match os::link(&self.file, path) {
                    Ok(()) => {
                        fault_point!("py.healed");
                        log::trace!(
                            target: "shmcomm",
                            "channel `{}`: {} is there again",
                            self.place.name(),
                            path.display()
                        );
                    }
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => {
                        log::error!(
                            target: "shmcomm",
                            "channel `{}`: {} and its hidden name were removed, and cannot be brought back: \
                             {error}",
                            self.place.name(),
                            path.display()
                        );
                        self.state.store(REPLACED, Ordering::Relaxed);
                        return false;
                    }
                }
                true
            }
            Ok(Some(_)) => {
                log::warn!(
                    target: "shmcomm",
                    "channel `{}`: another process has put its own segment under {}; \
                     this end sends to nobody new from now on",
                    self.place.name(),
                    path.display()
                );
                self.state.store(REPLACED, Ordering::Relaxed);
                false
            }
            Err(error) => {
                log::warn!(target: "shmcomm", "cannot look at {}: {error}", path.display());
                true
            }
        }
    }
}

/// Takes over what a dead owner left; nothing if the caller should look again.
fn resume(place: &Place, file: File, shape: Shape) -> Result<Option<Segment>, Error> {
    let stat = os::stat(&file).map_err(|error| place.system("examine", error))?;
    check_owner(place, &stat)?;
    if !os::try_lock(&file, 0, 1).map_err(|error| place.system("lock", error))? {
        let pid = match Segment::open(place, file) {
            Ok(Look::Found(segment)) => format!("process {}", segment.owner_pid()),
            _ => "another process".to_owned(),
        };
        return Err(place.error(
            ErrorKind::AlreadyPublished,
            format!(
                "{pid} has this end of the channel already; a channel has one publisher, pusher or replier"
            ),
        ));
    }
    if !stands_for(place.hidden(), stat.id) {
        return Ok(None);
    }
    let fits = |segment: &Segment| {
        segment.shape() == shape && segment.is_ours() && consistent(place.kind(), segment)
    };
    match Segment::open(place, file) {
        Ok(Look::Found(segment)) if fits(&segment) => {
            fault_point!("py.resumed");
            return segment.without_lock(place).map(Some);
        }
        _ => log::info!(
            target: "shmcomm",
            "channel `{}`: what an earlier owner left has another shape; it is replaced",
            place.name()
        ),
    }
    os::unlink(place.hidden()).map_err(|error| place.system("remove the hidden name of", error))?;
    fault_point!("py.replacing");
    Ok(None)
}

/// The head and the count of messages agree; the one step between them is made good if the dead owner
/// was killed in that step. (Of a request segment others are the writers, and one may be at it. A reply
/// segment may make several steps at once.)
fn consistent(kind: Kind, segment: &Segment) -> bool {
    let raw = segment.raw();
    let slots = segment.shape().slots;
    // Relaxed: the writer is dead, and its lock, taken since, ordered what it did.
    let count = raw.load(word::MSG_COUNT, Ordering::Relaxed);
    let head = raw.load(word::HEAD, Ordering::Relaxed);
    match head.wrapping_add(slots).wrapping_sub(count % slots) % slots {
        _ if head >= slots => false,
        0 => true,
        _ if kind == Kind::Req => true,
        steps if steps == 1 || kind == Kind::Rep => {
            raw.store(word::MSG_COUNT, count + steps, Ordering::Relaxed);
            fault_point!("py.mended");
            true
        }
        _ => false,
    }
}

/// A new segment under the hidden name, locked; nothing if that exists by now.
fn create(place: &Place, shape: Shape) -> Result<Option<Segment>, Error> {
    let file = os::create_unnamed(place.dir()).map_err(|error| place.system("create", error))?;
    os::reserve(&file, shape.size()).map_err(|error| no_room(place, shape, error))?;
    fault_point!("py.reserved");
    let header = Header::to_bytes(&Header::fresh(shape, os::pid()));
    os::write_at(&file, &header, 0).map_err(|error| place.system("write", error))?;
    os::try_lock(&file, 0, 1).map_err(|error| place.system("lock", error))?;
    fault_point!("py.locked");
    let stat = os::stat(&file).map_err(|error| place.system("examine", error))?;
    match os::link(&file, place.hidden()) {
        Ok(()) => fault_point!("py.hidden"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(place.system("name", error)),
    }
    Segment::map(place, file, shape, stat.id, true)?.without_lock(place).map(Some)
}

/// Puts the owner's file under Python's name, as Python itself would: whatever had it is unlinked.
fn take_name(place: &Place, segment: &Segment) -> Result<(), Error> {
    for _ in 0..TRIES {
        match os::link(segment.file(), place.path()) {
            Ok(()) => {
                fault_point!("py.named");
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(place.system("name", error)),
        }
        let Ok(stat) = os::stat_path(place.path()) else { continue };
        if stat.id == segment.id() {
            return Ok(());
        }
        check_owner(place, &stat)?;
        log::warn!(
            target: "shmcomm",
            "channel `{}`: replaces the {} that a Python process made",
            place.name(),
            place.path().display()
        );
        match os::unlink(place.path()) {
            Ok(()) => fault_point!("py.unnamed"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(place.system("remove", error)),
        }
    }
    Err(place.error(
        ErrorKind::AlreadyPublished,
        format!("another process keeps putting its own segment under {}", place.path().display()),
    ))
}

fn stands_for(path: &std::path::Path, id: FileId) -> bool {
    matches!(os::id_of_path(path), Ok(Some(now)) if now == id)
}
