//! [`Segment`]: a segment of version 1 that this process has mapped, whoever made it.
//!
//! Owns finding it, the checks before it is mapped, and noticing that the name stands for another
//! one by now. Calls `os` and `raw`. Never makes or removes a file: that is `owner`'s.

use super::name::Place;
use super::raw::Raw;
use crate::layout::python::{HEADER, Header, OURS, Shape, word};
use crate::os::{self, FileId, FileKind, Lineage, Stat};
use crate::sync::Ordering;
use crate::wait::Deadline;
use crate::{Error, ErrorKind};
use std::fs::File;
use std::io;
use std::time::Duration;

/// How often a name is looked up that stands for nothing yet.
const RETRY: Duration = Duration::from_millis(2);

/// A mapped segment.
pub(super) struct Segment {
    raw: Raw,
    file: File,
    id: FileId,
    ours: bool,
}

/// What stands under a name.
pub(super) enum Look {
    Nothing,
    /// Why it is no segment yet: its maker may be at it.
    HalfMade(String),
    Found(Segment),
}

impl Segment {
    /// Waits until the name stands for a complete segment.
    pub(super) fn attach(place: &Place, deadline: Deadline, timeout: Duration) -> Result<Self, Error> {
        loop {
            let why = match Self::look(place)? {
                Look::Found(segment) => return Ok(segment),
                Look::Nothing => "there is no such file".to_owned(),
                Look::HalfMade(why) => why,
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
            std::thread::sleep(RETRY);
        }
    }

    /// Looks once.
    pub(super) fn look(place: &Place) -> Result<Look, Error> {
        let file = match os::open(place.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Nothing),
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
    pub(super) fn open(place: &Place, file: File) -> Result<Look, Error> {
        let stat = os::stat(&file).map_err(|error| place.system("examine", error))?;
        check_owner(place, &stat)?;
        if stat.len < HEADER as u64 {
            return Ok(Look::HalfMade(format!("it has {} bytes so far", stat.len)));
        }
        let mut bytes = [0; HEADER];
        os::read_at(&file, &mut bytes, 0).map_err(|error| place.system("read", error))?;
        let words = Header::from_bytes(&bytes);
        let path = place.path().display();
        let shape = match Header::read(&words, stat.len) {
            Header::Complete(shape) => shape,
            Header::HalfMade => return Ok(Look::HalfMade("its header is not complete".to_owned())),
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
                    format!("{path} is damaged: it says it has {why}; delete it, and restart its maker"),
                ));
            }
        };
        // Python only promises the memory: on a full file system the first touch would be a SIGBUS.
        os::back(&file, shape.size()).map_err(|error| no_room(place, shape, error))?;
        let ours = words[word::MARK] == OURS;
        Self::map(place, file, shape, stat.id, ours).map(Look::Found)
    }

    pub(super) fn map(
        place: &Place,
        file: File,
        shape: Shape,
        id: FileId,
        ours: bool,
    ) -> Result<Self, Error> {
        let lineage = Lineage::here().map_err(|error| place.system("map", error))?;
        let map = os::map(&file, shape.size() as usize, shape.size() <= 64 << 20)
            .map_err(|error| place.system("map", error))?;
        Ok(Segment { raw: Raw::new(map, shape, lineage), file, id, ours })
    }

    /// Exchanges the open file that holds a lock for one that holds none; the mapping keeps the lock.
    pub(super) fn without_lock(mut self, place: &Place) -> Result<Self, Error> {
        self.file = os::reopen(&self.file).map_err(|error| place.system("open", error))?;
        Ok(self)
    }

    #[inline]
    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    pub(super) fn shape(&self) -> Shape {
        self.raw.shape()
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Whether this crate made it.
    pub(super) fn is_ours(&self) -> bool {
        self.ours
    }

    #[inline]
    pub(super) fn forked(&self) -> bool {
        self.raw.forked()
    }

    /// The segment that the name stands for now, if it is another one and can be used.
    pub(super) fn successor(&self, place: &Place) -> Option<Segment> {
        let now = os::id_of_path(place.path()).ok().flatten()?;
        if now == self.id {
            return None;
        }
        match Self::look(place) {
            Ok(Look::Found(segment)) if segment.id != self.id => {
                let path = place.path().display();
                log::info!(target: "shmcomm", "channel `{}`: follows the new {path}", place.name());
                Some(segment)
            }
            Ok(_) => None,
            Err(error) => {
                log::debug!(target: "shmcomm", "the new segment cannot be used: {error}");
                None
            }
        }
    }

    /// Process id that the owner left, for messages.
    pub(super) fn owner_pid(&self) -> u64 {
        // Relaxed: to show.
        self.raw.load(word::OWNER, Ordering::Relaxed)
    }
}

/// Regular file, own user, not writable by others: Python would run the pickles of anybody.
pub(super) fn check_owner(place: &Place, stat: &Stat) -> Result<(), Error> {
    let path = place.path().display();
    if stat.kind != FileKind::Regular {
        return Err(place.error(
            ErrorKind::NotASegment,
            format!("{path} is a {}, not a segment; move it out of the way", stat.kind.name()),
        ));
    }
    let user = os::user();
    if stat.owner != user {
        return Err(place.error(
            ErrorKind::Permission,
            format!(
                "{path} belongs to user {}, and this process runs as user {user}: \
                 both ends of a channel run as one user",
                stat.owner
            ),
        ));
    }
    if stat.mode & 0o022 != 0 {
        return Err(place.error(
            ErrorKind::Permission,
            format!(
                "{path} has mode {:04o}, so other users may write to it; \
                 shm-comm makes segments with 0600: `chmod 600` it if you trust it, or delete it",
                stat.mode
            ),
        ));
    }
    Ok(())
}

/// There is no memory for a segment.
pub(super) fn no_room(place: &Place, shape: Shape, error: io::Error) -> Error {
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
                "the segment takes {} bytes ({slots} slots of {slot_size} bytes), and {} has {free} free \
                 ({error}); use fewer or smaller slots, remove segments that nobody uses \
                 (`shmcomm::list_segments`), or give the file system more \
                 (`mount -o remount,size=…`, in a container `--shm-size`)",
                shape.size(),
                place.dir().display()
            ),
        )
        .with_source(error)
}
