//! Looking at segments from outside, and removing them by force.
//!
//! Owns [`list_segments`] and [`force_unlink`]. Takes no seat and disturbs nobody by looking; what it
//! reads of a live segment may change while it does.

use super::inspect::{self, Found, Intact};
use super::seats::{self, Registration};
use super::{Participant, Place, create, name, system};
use crate::layout::{self, Region};
use crate::os::{self, FileKind, Stat};
use crate::{Error, ErrorKind};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A segment of this user, as [`list_segments`] found it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Full name of the channel, namespace included.
    pub channel: String,
    /// Version of the format: 2, or 1 for the channels of the Python library shm-comm. Of those, what has no
    /// place in their header is empty here, `stale` means that no process has the segment mapped, and a
    /// service has two segments.
    pub version: u32,
    /// The file behind it.
    pub path: PathBuf,
    /// Bytes of the file.
    pub size: u64,
    /// Why the file is no usable segment; everything below is empty then.
    pub problem: Option<String>,
    /// No live participant: its processes died, or it is a queue that still has messages.
    pub stale: bool,
    /// `publish/subscribe`, `push/pull` or `request/reply`.
    pub pattern: &'static str,
    /// What the messages are: `fixed layout`, `msgpack`, `pickle`, `raw bytes`, `header and tail`.
    pub codec: &'static str,
    /// Number of slots.
    pub slots: u64,
    /// Payload bytes that a slot holds.
    pub slot_size: u64,
    /// Most participants at a time.
    pub seats: u32,
    /// Of the message, the request, or the header.
    pub fingerprint: u64,
    /// JSON: the layouts of the messages; `[]` where a codec knows them.
    pub schema: String,
    /// When it was made.
    pub created: SystemTime,
    /// Messages sent since then.
    pub messages: u64,
    /// Payload bytes sent since then.
    pub bytes: u64,
    /// Those who take part, or died while they did.
    pub participants: Vec<Participant>,
}

/// All segments of this user in `/dev/shm`, or in the directory that `SHMCOMM_DIR` names, sorted by
/// channel; with the feature `python` also those of the Python library shm-comm. Does not wait, and changes nothing.
///
/// # Errors
///
/// [`ErrorKind::Permission`] or [`ErrorKind::Os`] if the directory cannot be read,
/// [`ErrorKind::Unsupported`] on systems other than Linux. A damaged segment is no error; its
/// [`SegmentInfo::problem`] says what is wrong.
pub fn list_segments() -> Result<Vec<SegmentInfo>, Error> {
    list_within(&name::dir()?)
}

pub(super) fn list_within(dir: &Path) -> Result<Vec<SegmentInfo>, Error> {
    let files = os::list(dir).map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            io::ErrorKind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Os,
        };
        let dir = dir.display().to_string();
        Error::new(kind, "*", format!("cannot list the segments in {dir}: {error}")).with_source(error)
    })?;
    let mut found = Vec::new();
    #[cfg(feature = "python")]
    let mapped = os::mapped_files(None);
    for file in files {
        let Some(channel) = name::decode(&file) else {
            #[cfg(feature = "python")]
            found.extend(super::version1::describe(dir, &file, &mapped));
            continue;
        };
        let place = Place::within(dir, &channel)?;
        // A file that is gone by now, or another user's, is nobody's business here.
        let Ok(stat) = os::stat_path(place.path()) else { continue };
        if stat.owner == os::user() && stat.kind == FileKind::Regular {
            found.extend(describe(&place, &stat));
        }
    }
    found.sort_by(|a, b| a.channel.cmp(&b.channel));
    Ok(found)
}

fn describe(place: &Place, stat: &Stat) -> Option<SegmentInfo> {
    let mut info = SegmentInfo {
        channel: place.name().to_owned(),
        version: 2,
        path: place.path().to_owned(),
        size: stat.len,
        problem: None,
        stale: true,
        pattern: "",
        codec: "",
        slots: 0,
        slot_size: 0,
        seats: 0,
        fingerprint: 0,
        schema: String::new(),
        created: UNIX_EPOCH,
        messages: 0,
        bytes: 0,
        participants: Vec::new(),
    };
    match inspect::look(place) {
        Ok(Found::Nothing) => return None,
        Ok(Found::HalfMade { len }) => {
            info.problem = Some(format!("it has {len} bytes, fewer than the header of a segment"));
        }
        Ok(Found::Damaged { file, why, .. }) => {
            info.stale = matches!(seats::any_alive(&file), Ok(false));
            info.problem = Some(why);
        }
        Ok(Found::Intact(found)) => fill(&mut info, &found),
        Err(error) => info.problem = Some(error.to_string()),
    }
    Some(info)
}

fn fill(info: &mut SegmentInfo, found: &Intact) {
    let geometry = &found.geometry;
    info.size = found.stat.len;
    info.pattern = found.pattern.name();
    info.codec = found.format.name();
    info.slots = geometry.slots;
    info.slot_size = geometry.slot_size;
    info.seats = geometry.seats;
    info.fingerprint = found.identity.fingerprint;
    info.schema.clone_from(&found.schema);
    info.created = time(found.identity.created);
    // Everything before the slots; the file has just been seen to be longer than that.
    let map = match os::map(&found.file, geometry.slots_offset as usize, false) {
        Ok(map) => map,
        Err(error) => {
            info.problem = Some(format!("it cannot be mapped: {error}"));
            return;
        }
    };
    let region: Region = create::region(&map);
    let sent = seats::sent(&region, geometry);
    (info.messages, info.bytes) = (sent.messages, sent.bytes);
    info.participants = (0..geometry.seats)
        .filter_map(|index| seats::read(&region, geometry, index))
        .map(|entry| {
            let alive = seats::alive(&found.file, entry.seat);
            Participant::new(&region, geometry, entry, alive)
        })
        .collect();
    info.stale = !info.participants.iter().any(|participant| participant.alive);
}

pub(super) fn time(nanoseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds.max(0) as u64)
}

/// Removes the segment of a channel (full name, namespace included), whoever uses it and whatever is
/// in it; `false` if there is none. Its participants keep what they have mapped and learn that it is
/// superseded: they go on among themselves, subscribers follow to a new one once their publisher has
/// gone, and newcomers find nothing. The messages of a queue are gone with its ends.
///
/// Works on damaged segments too. Waits at most five seconds for others that join or leave.
///
/// # Errors
///
/// [`ErrorKind::InvalidName`]; [`ErrorKind::Permission`] if the file is another user's;
/// [`ErrorKind::NotASegment`] if there is no regular file under the name.
pub fn force_unlink(channel: &str) -> Result<bool, Error> {
    force_unlink_at(&Place::new(channel)?)
}

pub(super) fn force_unlink_at(place: &Place) -> Result<bool, Error> {
    loop {
        let stat = match os::stat_path(place.path()) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(system(place, "examine", error)),
        };
        // Permissions are no obstacle to removing a file of one's own.
        inspect::check_owner(place, &Stat { mode: 0, ..stat })?;
        let removed = match os::open(place.path()) {
            Ok(file) => remove_open(place, &file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
            // Its mode forbids opening it, so nobody uses it either.
            Err(_) => Some(remove(place)?),
        };
        match removed {
            Some(true) => {
                log::warn!(target: "shmcomm", "channel `{}`: removed its segment by force", place.name());
                return Ok(true);
            }
            Some(false) => return Ok(false),
            // Replaced while we waited: each turn means that somebody else has got on.
            None => {}
        }
    }
}

/// Nothing if the name stands for another file by now.
fn remove_open(place: &Place, file: &File) -> Result<Option<bool>, Error> {
    // By force also means: without the lock, if that is not to be had.
    let _registration = Registration::wait(place, file).ok();
    let stat = os::stat(file).map_err(|error| system(place, "examine", error))?;
    if !inspect::names(place.path(), &stat) {
        return Ok(None);
    }
    if is_ours(file, &stat) { create::take_name(place, file, &stat) } else { remove(place) }.map(Some)
}

/// Whether it starts like a segment of this version, so that its control words are where we think.
fn is_ours(file: &File, stat: &Stat) -> bool {
    let mut start = [0; 16];
    let (magic, version) = (layout::MAGIC.to_ne_bytes(), layout::VERSION.to_ne_bytes());
    stat.kind == FileKind::Regular
        && os::read_at(file, &mut start, 0).is_ok()
        && start[..8] == magic
        && start[8..] == version
}

fn remove(place: &Place) -> Result<bool, Error> {
    match os::unlink(place.path()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(system(place, "remove", error)),
    }
}
