//! Making a segment with its names, or resuming the segment of a dead owner.
//!
//! Owns the decision whether the segment of a dead owner is resumed or replaced. Calls `os` and
//! [`Segment`]. Never removes the segment of a live owner, and never a queue that holds jobs.

use super::{TRIES, stands_for};
use crate::error::{Error, ErrorKind};
use crate::escape::Shown as _;
use crate::fault::fault_point;
use crate::layout::v1::{HEADER, Header, Kind, OURS, Shape, word};
use crate::os::{self, File};
use crate::plural::count;
use crate::python::v1::name::SegmentPaths;
use crate::python::v1::segment::{Lookup, Segment, check_owner, is_session, no_room};
use crate::sync::Ordering;
use std::io;

/// Resumes the segment of a dead owner. Returns `None` if the caller must check again.
pub(in crate::python) fn resume(
    place: &SegmentPaths,
    file: File,
    shape: Shape,
) -> Result<Option<Segment>, Error> {
    let stat = os::stat(&file).map_err(|error| place.system("examine", error))?;
    check_owner(place, &stat)?;
    if !os::try_lock(&file, 0, 1).map_err(|error| place.system("lock", error))? {
        let pid = match Segment::open(place, file) {
            Ok(Lookup::Found(segment)) => format!("process {}", segment.owner_pid()),
            _ => "another process".to_owned(),
        };
        return Err(place.error(
            ErrorKind::AlreadyPublished,
            format!(
                "{pid} has this end of the channel already; a channel has one publisher, pusher or replier"
            ),
        ));
    }
    check_lock(place, &file)?;
    if !stands_for(place.hidden(), stat.id) {
        return Ok(None);
    }
    let fits = |segment: &Segment| {
        segment.shape() == shape && segment.is_ours() && consistent(place.kind(), segment)
    };
    match Segment::open(place, file) {
        Ok(Lookup::Found(segment)) if fits(&segment) => {
            fault_point!("py.resumed");
            return Ok(Some(segment));
        }
        Ok(Lookup::Found(segment)) if segment.shape() != shape => log::warn!(
            target: "shmcomm",
            "channel `{}`: replaced the segment of an earlier owner, as {}",
            place.name(),
            other_shape(segment.shape(), shape)
        ),
        _ => log::warn!(
            target: "shmcomm",
            "channel `{}`: replaced the segment of an earlier owner, as it is damaged",
            place.name()
        ),
    }
    // Both names are removed, so that the first one is not taken for a segment that a Python process made.
    if stands_for(place.path(), stat.id) {
        let _ = os::unlink(place.path());
    }
    os::unlink(place.hidden()).map_err(|error| place.system("remove the hidden name of", error))?;
    fault_point!("py.replacing");
    Ok(None)
}

/// Checks that the system shows the lock of the owner, which `file` has, to another open file.
fn check_lock(place: &SegmentPaths, file: &File) -> Result<(), Error> {
    let other = os::reopen(file, place.hidden()).map_err(|error| place.system("open", error))?;
    if os::is_locked(&other, 0, 1).map_err(|error| place.system("lock", error))? {
        return Ok(());
    }
    Err(place.error(
        ErrorKind::Unsupported,
        format!(
            "the file system of {} does not show one process the locks of another, by which it is known \
             whether the owner of a channel lives; mount a tmpfs there",
            place.dir().display()
        ),
    ))
}

fn other_shape(there: Shape, here: Shape) -> String {
    format!(
        "it has {} of {}, and this program sets {} of {}",
        count(there.slots, "slot"),
        count(there.slot_size, "byte"),
        count(here.slots, "slot"),
        count(here.slot_size, "byte")
    )
}

/// Refuses to replace a queue that holds jobs: a segment of a dead owner in Rust with another shape, or a
/// segment that a Python process made.
pub(in crate::python) fn spare_jobs(place: &SegmentPaths, shape: Shape) -> Result<(), Error> {
    if place.kind() != Kind::Push {
        return Ok(());
    }
    let left = matches!(os::id_of_path(place.hidden()), Ok(Some(_)));
    for path in [place.hidden(), place.path()] {
        let Ok(file) = os::open(path) else { continue };
        let Ok(stat) = os::stat(&file) else { continue };
        let mut bytes = [0; HEADER];
        if os::is_own(&stat).is_err() || os::read_at(&file, &mut bytes, 0).is_err() {
            continue;
        }
        let words = Header::from_bytes(&bytes);
        let Header::Complete(there) = Header::read(&words, stat.len) else { continue };
        let goes_on = words[word::MARK] == OURS && left && there == shape;
        let jobs = Header::waiting(&words, there.slots);
        // A live owner in Rust leads to another error.
        if goes_on || jobs == 0 || os::is_locked(&file, 0, 1).unwrap_or(true) {
            continue;
        }
        let why =
            if there == shape { "a Python process made it".to_owned() } else { other_shape(there, shape) };
        return Err(place.error(
            ErrorKind::ChannelMismatch,
            format!(
                "{} holds {} that no puller has received, and would be replaced, as {why}; let pullers receive \
                 them first, use the same `slots` and `slot_size`, or remove it with `shmcomm::force_unlink({:?})`",
                path.display(),
                count(jobs, "job"),
                place.name()
            ),
        ));
    }
    Ok(())
}

/// Returns `true` if the head and the count of messages agree. Repairs a difference of one step, which a dead
/// owner leaves if it was killed between the two stores. Other processes write a request segment, and one may
/// be between the two stores. A reply segment may make several steps at once.
fn consistent(kind: Kind, segment: &Segment) -> bool {
    let raw = segment.raw();
    let slots = segment.shape().slots;
    // Relaxed: the writer is dead, and its lock, which was taken since, orders its stores.
    let count = raw.load(word::MSG_COUNT, Ordering::Relaxed);
    let head = raw.load(word::HEAD, Ordering::Relaxed);
    match head.wrapping_add(slots).wrapping_sub(count % slots) % slots {
        _ if head >= slots => false,
        0 => true,
        _ if kind == Kind::Req => true,
        steps if steps == 1 || kind == Kind::Rep => {
            raw.store(word::MSG_COUNT, count.wrapping_add(steps), Ordering::Relaxed);
            fault_point!("py.mended");
            true
        }
        _ => false,
    }
}

/// Creates a new segment with the hidden name, locked. Returns `None` if that name exists by now.
pub(in crate::python) fn create(place: &SegmentPaths, shape: Shape) -> Result<Option<Segment>, Error> {
    let file = os::create_unnamed(place.dir()).map_err(|error| place.system("create", error))?;
    os::reserve(&file, shape.size()).map_err(|error| no_room(place, shape, error))?;
    fault_point!("py.reserved");
    let header = Header::to_bytes(&Header::fresh(shape, os::pid()));
    os::write_at(&file, &header, 0).map_err(|error| place.system("write", error))?;
    os::try_lock(&file, 0, 1).map_err(|error| place.system("lock", error))?;
    check_lock(place, &file)?;
    fault_point!("py.locked");
    let stat = os::stat(&file).map_err(|error| place.system("examine", error))?;
    match os::link(&file, place.hidden()) {
        Ok(()) => fault_point!("py.hidden"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(place.system("name", error)),
    }
    Segment::map(place, file, shape, stat.id, true).map(Some)
}

/// Gives the owner's file Python's name, like Python itself: a file that had the name is unlinked.
pub(in crate::python) fn take_name(place: &SegmentPaths, segment: &Segment) -> Result<(), Error> {
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
        // A dead owner in Rust left its name to one of its sessions.
        if !is_session(place, stat.id) {
            log::warn!(
                target: "shmcomm",
                "channel `{}`: replaces the {} that a Python process made",
                place.name(),
                place.path().shown()
            );
        }
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
