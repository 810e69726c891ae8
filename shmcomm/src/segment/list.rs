//! Lists segments without attaching, and removes them by force.
//!
//! Owns [`list_segments`], [`list_segments_in`] and [`force_unlink`]. Takes no seat and disturbs no
//! participant; the values of a live segment may change while they are read.

use super::forward::Forward;
use super::info::SegmentInfo;
use super::inspect::{self, Found, Intact};
use super::mapping::region;
use super::participant::{Participant, time};
use super::registration::Turn;
use super::seats;
use super::{Backlog, ChannelPath, Sharing, Spec, backlog, create, name, system};
use crate::error::{Error, ErrorKind};
use crate::layout::{self, Discipline, FLAG_WAIT, Region, control};
use crate::os::{self, File, FileKind, Stat};
use crate::plural::count;
use crate::sync::Ordering;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Returns all segments of this user in `/dev/shm` (on macOS in the user's directory for caches, on
/// Windows in `%LOCALAPPDATA%\shmcomm`), or in the directory that `SHMCOMM_DIR` names, sorted by channel. It also
/// returns the segments of the groups of this user, of any owner.
/// With the feature `python` it also returns the segments of the Python library shm-comm. Does not wait, and changes
/// nothing.
///
/// # Errors
///
/// [`ErrorKind::Permission`] or [`ErrorKind::Os`] if the directory cannot be read, [`ErrorKind::Unsupported`]
/// on systems without channels. A damaged segment is not an error; its [`SegmentInfo::problem`] gives the
/// reason.
pub fn list_segments() -> Result<Vec<SegmentInfo>, Error> {
    list_within(&name::dir()?)
}

/// Lists the segments of one namespace like [`list_segments`]: the channels whose full name starts with
/// `namespace` and `/`. The empty namespace contains all channels. Channels of the Python library have no
/// namespace.
///
/// # Errors
///
/// [`ErrorKind::InvalidName`] if no channel can have that namespace; for the other errors see
/// [`list_segments`].
pub fn list_segments_in(namespace: &str) -> Result<Vec<SegmentInfo>, Error> {
    let mut found = list_segments()?;
    if namespace.is_empty() {
        return Ok(found);
    }
    name::encode(namespace)?;
    found.retain(|segment| {
        segment.version != 1
            && segment.channel.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('/'))
    });
    Ok(found)
}

/// Returns the segment of one native channel, by its full name, like [`list_segments`]: the private one, or else that of
/// a group of this user. Returns `None` if there is none. Does not wait, and changes nothing.
///
/// # Errors
///
/// [`ErrorKind::InvalidName`] if no channel can have that name.
pub fn find_segment(channel: &str) -> Result<Option<SegmentInfo>, Error> {
    let private = found_at(&ChannelPath::new(channel)?);
    if private.is_some() {
        return Ok(private);
    }
    Ok(ChannelPath::in_groups(channel)?.iter().find_map(found_at))
}

/// Describes the segment at a place. A file that has been removed by now, or belongs to another user, is not described.
fn found_at(place: &ChannelPath) -> Option<SegmentInfo> {
    let stat = os::stat_path(place.path()).ok()?;
    let ours = place.sharing().is_some() || os::is_own(&stat).is_ok();
    if ours && stat.kind == FileKind::Regular { describe(place, &stat) } else { None }
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
        found.extend(found_at(&ChannelPath::within(dir, &channel)?));
    }
    for sharing in Sharing::all_in(dir) {
        for file in os::list(&sharing.dir(dir)).unwrap_or_default() {
            if let Some(channel) = name::decode(&file) {
                found.extend(found_at(&ChannelPath::shared(dir, &channel, &sharing)?));
            }
        }
    }
    found.sort_by(|a, b| (&a.channel, &a.group).cmp(&(&b.channel, &b.group)));
    Ok(found)
}

fn describe(place: &ChannelPath, stat: &Stat) -> Option<SegmentInfo> {
    let mut info = SegmentInfo {
        channel: place.name().to_owned(),
        version: 2,
        path: place.path().to_owned(),
        group: place.sharing().map(|sharing| sharing.name().to_owned()),
        size: stat.len,
        problem: None,
        stale: true,
        pattern: "",
        codec: "",
        slots: 0,
        slot_size: 0,
        grow: 0,
        growths: 0,
        seats: 0,
        fingerprint: 0,
        schema: String::new(),
        created: UNIX_EPOCH,
        messages: 0,
        bytes: 0,
        holes: 0,
        publishers: 0,
        waits: false,
        window: 0,
        backlog: None,
        participants: Vec::new(),
    };
    match inspect::find(place) {
        Ok(Found::Nothing) => return None,
        Ok(Found::HalfMade { len }) => {
            info.problem =
                Some(format!("it has {len}, fewer than the header of a segment", len = count(len, "byte")));
        }
        Ok(Found::LeadsNowhere { why, .. }) => info.problem = Some(why),
        Ok(Found::Damaged { file, why, .. }) => {
            info.stale = matches!(seats::any_alive(&file), Ok(false));
            info.problem = Some(why);
        }
        Ok(Found::Intact(found)) => fill(&mut info, &found),
        Err(error) => info.problem = Some(error.to_string()),
    }
    Some(info)
}

/// Name of the pattern of a channel whose replies are streams.
const STREAMS: &str = "request/stream";

fn fill(info: &mut SegmentInfo, found: &Intact) {
    let geometry = &found.geometry;
    info.size = found.stat.len;
    info.version = found.identity.version as u32;
    info.window = geometry.stream.window;
    info.pattern = if info.window == 0 { found.pattern.name() } else { STREAMS };
    info.codec = found.format.name();
    info.slots = geometry.slots;
    info.slot_size = geometry.slot_size;
    (info.grow, info.growths) = (geometry.growth.limit, geometry.growth.steps);
    info.seats = geometry.seats;
    info.fingerprint = found.identity.fingerprint;
    info.schema.clone_from(&found.schema);
    info.created = time(found.identity.created);
    // Everything before the slots, and the slots of a queue. The file was just found to have that length.
    let is_queue = geometry.discipline == Discipline::Queue;
    let len = if is_queue { geometry.segment_size } else { geometry.slots_offset };
    let map = match usize::try_from(len)
        .map_err(io::Error::other)
        .and_then(|len| os::map(found.file.clone(), len, false))
    {
        Ok(map) => map,
        Err(error) => {
            info.problem = Some(format!("it cannot be mapped: {error}"));
            return;
        }
    };
    let region: Region = region(&map);
    // Relaxed: a figure to show.
    let grown = region.u64(control::GROWN).load(Ordering::Relaxed);
    (info.slot_size, info.growths) = geometry.grown(grown);
    let sent = seats::sent(&region, geometry);
    (info.messages, info.bytes) = (sent.messages, sent.bytes);
    if !is_queue {
        // Relaxed: a figure to show.
        info.holes = region.u64(control::HOLES).load(Ordering::Relaxed);
        info.publishers = geometry.publishers;
        info.waits = found.identity.flags & FLAG_WAIT != 0;
    }
    info.participants = (0..geometry.seats)
        .filter_map(|index| seats::read(&region, geometry, index))
        .map(|entry| {
            let alive = seats::alive(&found.file, entry.seat);
            Participant::new(&region, geometry, entry, alive)
        })
        .collect();
    if is_queue {
        (info.messages, info.bytes) = backlog::sent(sent, &info.participants);
        info.backlog = Some(Backlog::of(backlog::scan(region, geometry), &region, &info.participants));
    }
    info.stale = !info.participants.iter().any(|participant| participant.alive);
}

/// Removes the segment of a channel (full name, with its namespace), even if processes use it and messages
/// are in it. Returns `false` if there is none. Its participants keep their mapping and find that the segment
/// is superseded. They continue among themselves, and subscribers follow to a new segment once their
/// publisher has left. Processes that open the channel later do not find the old segment.
///
/// **This is the only call that destroys accepted work**: the jobs of a queue that no process has open are
/// lost, and the jobs of a queue in use are lost with its ends. [`remove_stale`](crate::remove_stale) removes
/// unused segments and spares queues with work; [`SegmentInfo::queued_work`] returns the number of jobs in a
/// segment.
///
/// If there is no private segment of the name, it removes that of a group of this user, of any owner.
/// If there is no such segment, it removes the channel of the Python library with that name, with the feature
/// `python`: all its files, and the lock file of a queue. This loop therefore removes everything that is
/// listed, with the jobs in it:
///
/// ```no_run
/// for segment in shmcomm::list_segments()? {
///     shmcomm::force_unlink(&segment.channel)?;
/// }
/// # Ok::<(), shmcomm::Error>(())
/// ```
///
/// Works on damaged segments too. Waits at most five seconds for participants that join or leave.
///
/// # Errors
///
/// [`ErrorKind::InvalidName`]; [`ErrorKind::Permission`] if the file is another user's;
/// [`ErrorKind::NotASegment`] if there is no regular file under the name; [`ErrorKind::Os`] if another
/// process replaces the segment again and again.
pub fn force_unlink(channel: &str) -> Result<bool, Error> {
    let removed = ChannelPath::new(channel).and_then(|place| remove_first(channel, &place));
    // A name that is invalid for a native channel may be the name of a channel with Python.
    #[cfg(feature = "python")]
    if !matches!(&removed, Ok(true)) && super::version1::remove_named(channel)? {
        return Ok(true);
    }
    removed
}

/// Removes one listed segment like [`force_unlink`]. Of two channels of one name, a private one and one of a group, it
/// removes the listed one. Returns `false` if it is no longer there.
///
/// # Errors
///
/// See [`force_unlink`].
pub fn force_unlink_segment(segment: &SegmentInfo) -> Result<bool, Error> {
    #[cfg(feature = "python")]
    if segment.version == 1 {
        // The name of its file, because a native channel may have the name of a Python channel.
        let file = segment.path.file_name().and_then(std::ffi::OsStr::to_str);
        return super::version1::remove_named(file.unwrap_or_default());
    }
    force_unlink_at(&ChannelPath::listed(&segment.channel, segment.group.as_deref())?)
}

/// Removes the private segment, or else the first one of a group.
fn remove_first(channel: &str, private: &ChannelPath) -> Result<bool, Error> {
    if force_unlink_at(private)? {
        return Ok(true);
    }
    for place in ChannelPath::in_groups(channel)? {
        if force_unlink_at(&place)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the segment that `spec` declares like [`force_unlink`].
pub(crate) fn remove_by_force(spec: &Spec) -> Result<bool, Error> {
    force_unlink_at(&spec.place()?)
}

/// Attempts of [`force_unlink`], each of which fails if another process replaces the segment meanwhile.
const TURNS: u32 = 100;

pub(super) fn force_unlink_at(place: &ChannelPath) -> Result<bool, Error> {
    for _ in 0..TURNS {
        let stat = match os::stat_path(place.path()) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(system(place, "examine", error)),
        };
        // The owner of a file can remove it whatever its mode.
        inspect::check_own(place, &stat)?;
        let removed = match os::open(place.path()) {
            Ok(mut file) => remove_open(place, &mut file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
            // Its mode forbids opening it, so no process uses it either.
            Err(_) => Some(remove(place)?),
        };
        match removed {
            Some(true) => {
                log::warn!(target: "shmcomm", "channel `{}`: removed its segment by force", place.name());
                return Ok(true);
            }
            Some(false) => return Ok(false),
            // The segment was replaced while this call waited.
            None => {}
        }
    }
    Err(place.error(
        ErrorKind::Os,
        format!(
            "another process replaced {} {TURNS} times while it was to be removed; end that process",
            place.path().display()
        ),
    ))
}

/// Removes the segment of an open file. Returns `None` if the name refers to another file by now.
fn remove_open(place: &ChannelPath, file: &mut File) -> Result<Option<bool>, Error> {
    // Removal by force works without the lock, if another process keeps it.
    let stat = os::stat(file).map_err(|error| system(place, "examine", error))?;
    // A segment whose file was removed is marked too, so that its participants do not restore the name.
    let behind = Forward::at(place, file, &stat).and_then(|forward| forward.open());
    let (mut behind, stat) = behind.map_or((None, stat), |(file, stat)| (Some(file), stat));
    let turn = Turn::sole(behind.as_mut().unwrap_or(file));
    let file = turn.file();
    let _registration = turn.register(place).ok();
    if !inspect::names(place.path(), &stat) {
        return Ok(None);
    }
    if is_ours(file, &stat) { create::take_name(place, file, &stat) } else { remove(place) }.map(Some)
}

/// Returns `true` if the file starts like a segment of this version, so that its control words are in the
/// known place.
fn is_ours(file: &File, stat: &Stat) -> bool {
    let mut start = [0; 16];
    let versions = [layout::VERSION, layout::VERSION_EXTENDED].map(u64::to_ne_bytes);
    stat.kind == FileKind::Regular
        && os::read_at(file, &mut start, 0).is_ok()
        && start[..8] == layout::MAGIC.to_ne_bytes()
        && versions.iter().any(|version| start[8..] == *version)
}

fn remove(place: &ChannelPath) -> Result<bool, Error> {
    match os::unlink(place.path()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(system(place, "remove", error)),
    }
}
