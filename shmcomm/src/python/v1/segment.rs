//! [`Segment`]: a segment of version 1 that this process has mapped, whichever process made it.
//!
//! Owns finding it, the checks before it is mapped, and the detection of a new segment under the name. Calls
//! `os` and `raw`. Never creates or removes a file: `owner` does.

use super::name::SegmentPaths;
use super::raw::Raw;
use crate::error::{Error, ErrorKind};
use crate::escape::Shown as _;
use crate::layout::v1::{HEADER, Header, Kind, OURS, Shape, word};
use crate::os::{self, File, FileId, FileKind, ForkId, Stat};
use crate::plural::count;
use crate::sync::Ordering;
use crate::wait::{Deadline, Stop};
use std::io;
use std::time::Duration;

/// Time between two lookups of a name that does not exist yet.
const RETRY: Duration = Duration::from_millis(2);
/// Reason why an end was not opened.
const OPENING: &str = "its `StopHandle` was stopped while this end waited for the channel to appear; \
                       `reset` the handle, or open the channel with another one";

/// A mapped segment.
pub(in crate::python) struct Segment {
    raw: Raw,
    file: File,
    id: FileId,
    ours: bool,
    /// Place where it was found; `None` for a segment that this process owns or only examines.
    attached: Option<SegmentPaths>,
    /// The file that has the name now and cannot be used, with the reason.
    refused: Option<Box<(FileId, Error)>>,
    /// The session that was last found besides this one.
    beside: Option<FileId>,
}

/// State of the file under a name.
pub(in crate::python) enum Lookup {
    Nothing,
    /// Reason why it is not a segment yet: its creator may be writing it.
    HalfMade(String),
    Found(Segment),
}

impl Segment {
    /// Waits until the name refers to a complete segment.
    pub(in crate::python) fn attach(
        place: &SegmentPaths,
        deadline: Deadline,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Self, Error> {
        loop {
            let why = match Self::lookup(place)? {
                Lookup::Found(segment) => return Ok(segment.attached(place)),
                Lookup::Nothing => "there is no such file".to_owned(),
                Lookup::HalfMade(why) => why,
            };
            if deadline.has_passed() {
                return Err(place.error(
                    ErrorKind::NotFound,
                    format!(
                        "{} did not become a segment within {timeout:?}: {why}; start the process that \
                         creates the channel (the publisher, pusher or replier), or wait longer",
                        place.path().display()
                    ),
                ));
            }
            if stop.is_stopped() {
                return Err(place.error(ErrorKind::Stopped, OPENING));
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Checks the name once.
    pub(in crate::python) fn lookup(place: &SegmentPaths) -> Result<Lookup, Error> {
        let file = match os::open(place.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lookup::Nothing),
            Err(error) => {
                return Err(match os::stat_path(place.path()) {
                    Ok(stat) => {
                        check_owner(place, &stat).err().unwrap_or_else(|| place.system("open", error))
                    }
                    Err(_) => place.system("open", error),
                });
            }
        };
        Self::open(place, file)
    }

    /// Checks a file and maps it.
    pub(in crate::python) fn open(place: &SegmentPaths, file: File) -> Result<Lookup, Error> {
        let stat = os::stat(&file).map_err(|error| place.system("examine", error))?;
        check_owner(place, &stat)?;
        if stat.len < HEADER as u64 {
            return Ok(Lookup::HalfMade(format!("it has {} so far", count(stat.len, "byte"))));
        }
        let mut bytes = [0; HEADER];
        os::read_at(&file, &mut bytes, 0).map_err(|error| place.system("read", error))?;
        let words = Header::from_bytes(&bytes);
        let path = place.path().display();
        let shape = match Header::read(&words, stat.len) {
            Header::Complete(shape) => shape,
            Header::HalfMade => return Ok(Lookup::HalfMade("its header is not complete".to_owned())),
            Header::NotASegment { magic } => {
                return Err(place.error(
                    ErrorKind::NotASegment,
                    format!("{path} starts with {magic:#018x}: it is no segment; move it out of the way"),
                ));
            }
            Header::Version(version) => {
                return Err(place.error(
                    ErrorKind::Version,
                    format!(
                        "{path} has version {version} of the format, and shm-comm 1.0.0 has version 1: \
                         is another version of it installed?"
                    ),
                ));
            }
            Header::Impossible(why) => {
                return Err(place.error(
                    ErrorKind::NotASegment,
                    format!("{path} is damaged: its header claims {why}; delete it, and restart the process that created it"),
                ));
            }
        };
        // Python only sets the length: on a full file system the first access would be a SIGBUS.
        os::back(&file, shape.size()).map_err(|error| no_room(place, shape, error))?;
        let ours = words[word::MARK] == OURS;
        Self::map(place, file, shape, stat.id, ours).map(Lookup::Found)
    }

    pub(in crate::python) fn map(
        place: &SegmentPaths,
        file: File,
        shape: Shape,
        id: FileId,
        ours: bool,
    ) -> Result<Self, Error> {
        let fork_id = ForkId::here().map_err(|error| place.system("map", error))?;
        let map = os::map(file.clone(), shape.size() as usize, shape.size() <= 64 << 20)
            .map_err(|error| place.system("map", error))?;
        Ok(Segment {
            raw: Raw::new(map, shape, fork_id),
            file,
            id,
            ours,
            attached: None,
            refused: None,
            beside: None,
        })
    }

    /// Logs that an end attaches to the segment, and later that it detaches.
    fn attached(mut self, place: &SegmentPaths) -> Self {
        let Shape { slots, slot_size } = self.shape();
        log::info!(
            target: "shmcomm",
            "channel `{}`: attached to {} ({slots} of {slot_size})",
            place.name(),
            place.path().shown(), slot_size = count(slot_size, "byte"), slots = count(slots, "slot"));
        self.attached = Some(place.clone());
        self
    }

    #[inline]
    pub(in crate::python) fn raw(&self) -> &Raw {
        &self.raw
    }

    pub(in crate::python) fn shape(&self) -> Shape {
        self.raw.shape()
    }

    pub(in crate::python) fn file(&self) -> &File {
        &self.file
    }

    pub(in crate::python) fn id(&self) -> FileId {
        self.id
    }

    /// Returns `true` if this crate made it.
    pub(in crate::python) fn is_ours(&self) -> bool {
        self.ours
    }

    #[inline]
    pub(in crate::python) fn forked(&self) -> bool {
        self.raw.forked()
    }

    /// Returns the segment that the name refers to now, if it is another one and can be used.
    pub(in crate::python) fn successor(&mut self, place: &SegmentPaths) -> Option<Segment> {
        let now = os::id_of_path(place.path())
            .ok()
            .flatten()
            .filter(|now| *now != self.id && !self.is_session_beside(place, *now));
        let Some(now) = now else {
            self.refused = None;
            return None;
        };
        match Self::lookup(place) {
            Ok(Lookup::Found(segment)) if segment.id != self.id => {
                let path = place.path().display();
                log::info!(target: "shmcomm", "channel `{}`: follows the new {path}", place.name());
                Some(segment.attached(place))
            }
            Ok(_) => None,
            Err(error) => {
                self.refuse(now, error);
                None
            }
        }
    }

    /// Stores the reason why a new segment cannot be used, and logs it once: the name is checked every 5 ms.
    fn refuse(&mut self, file: FileId, error: Error) {
        let same = |(old, why): &(FileId, Error)| *old == file && why.kind() == error.kind();
        if !self.refused.as_deref().is_some_and(same) {
            log::warn!(target: "shmcomm", "not followed: {error}; this end waits until another one takes its place");
        }
        self.refused = Some(Box::new((file, error)));
    }

    /// Returns the reason why the segment that has the name now cannot be used.
    pub(in crate::python) fn follow_error(&self) -> Option<&Error> {
        self.refused.as_deref().map(|(_, error)| error)
    }

    /// Returns `true` if this is a session of a live service in Rust, and `now` is another session of it,
    /// which waits for another requester.
    fn is_session_beside(&mut self, place: &SegmentPaths, now: FileId) -> bool {
        if !self.ours || !matches!(os::is_linked(&self.file), Ok(true)) {
            return false;
        }
        if self.beside != Some(now) {
            self.beside = is_session(place, now).then_some(now);
        }
        self.beside.is_some()
    }

    /// Returns the process id that the owner stored, for messages.
    pub(in crate::python) fn owner_pid(&self) -> u64 {
        // Relaxed: a statistic.
        self.raw.load(word::OWNER, Ordering::Relaxed)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let Some(place) = self.attached.take().filter(|_| !self.raw.forked()) else { return };
        log::debug!(
            target: "shmcomm",
            "channel `{}`: detaches from {}",
            place.name(),
            place.path().shown()
        );
    }
}

/// Checks that the file is a regular file of this user that other users cannot write to: Python would run any
/// user's pickles.
pub(in crate::python) fn check_owner(place: &SegmentPaths, stat: &Stat) -> Result<(), Error> {
    let path = place.path().display();
    if stat.kind != FileKind::Regular {
        return Err(place.error(
            ErrorKind::NotASegment,
            format!("{path} is a {}, not a segment; move it out of the way", stat.kind.name()),
        ));
    }
    os::is_mine(stat).map_err(|why| place.error(ErrorKind::Permission, format!("{path} {why}")))
}

/// Returns the error for a segment without memory.
pub(in crate::python) fn no_room(place: &SegmentPaths, shape: Shape, error: io::Error) -> Error {
    let full = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::FileTooLarge,
        io::ErrorKind::OutOfMemory,
    ];
    if !full.contains(&error.kind()) {
        return place.system("reserve room for", error);
    }
    let Shape { slots, slot_size } = shape;
    let free = os::free_bytes(place.dir()).map_or("too few".to_owned(), |free| free.to_string());
    place
        .error(
            ErrorKind::NoSpace,
            format!(
                "the segment takes {} ({slots} of {slot_size}), and {} has {free} free \
                 ({error}); use fewer or smaller slots, remove segments that no process uses \
                 (`shmcomm::remove_stale`), or give the file system more \
                 (`mount -o remount,size=…`, in a container `--shm-size`)",
                count(shape.size(), "byte"),
                place.dir().display(),
                slot_size = count(slot_size, "byte"),
                slots = count(slots, "slot")
            ),
        )
        .with_source(error)
}

/// Returns `true` if the segment under Python's name belongs to a session of a service in Rust.
pub(in crate::python) fn is_session(place: &SegmentPaths, id: FileId) -> bool {
    let files = os::list(place.dir()).unwrap_or_default();
    let mut hidden = files.iter().filter(|file| Kind::of_hidden(file) == Some((place.kind(), place.name())));
    hidden.any(|file| matches!(os::id_of_path(&place.dir().join(file)), Ok(Some(one)) if one == id))
}
