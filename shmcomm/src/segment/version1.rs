//! Segments of version 1, made by the Python library shm-comm: their entries in the list of all segments, and
//! their removal by force.
//!
//! Owns [`describe`], [`LiveHeader`], [`remove`], [`remove_stale`] and [`lock_file`]. Reads headers, maps nothing, writes into no
//! segment.

use super::Backlog;
use super::info::SegmentInfo;
use super::removal::{Outcome, SpareReason};
use crate::error::{Error, ErrorKind};
use crate::escape::is_plain;
use crate::layout::v1::{HEADER, Header, Kind, OURS, word};
use crate::os::{self, File, FileId, FileKind};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Number of file names to try before a directory counts as not writable.
const TRIES: u32 = 100;

/// Returns the entry of a file. Returns `None` if its name is not one of Python's or has control characters,
/// if the file belongs to another user, or if another name of the same segment has an entry.
pub(super) fn describe(dir: &Path, file: &str, mapped: &HashSet<FileId>) -> Option<SegmentInfo> {
    let (kind, channel) = Kind::of_file(file).or_else(|| Kind::of_hidden(file))?;
    if !is_plain(channel) {
        return None;
    }
    let path = dir.join(file);
    let stat = os::stat_path(&path).ok()?;
    if os::is_own(&stat).is_err() || stat.kind != FileKind::Regular {
        return None;
    }
    // The second name has an entry only while the first one refers to another file, or does not exist.
    let first = dir.join(kind.file(channel));
    if first != path && matches!(os::id_of_path(&first), Ok(Some(id)) if id == stat.id) {
        return None;
    }
    let mut info = SegmentInfo {
        channel: channel.to_owned(),
        version: 1,
        path,
        group: None,
        size: stat.len,
        problem: None,
        stale: !mapped.contains(&stat.id),
        pattern: kind.pattern(),
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
    match words(dir, kind, channel, &info.path) {
        Err(why) => info.problem = Some(why),
        Ok(words) => match Header::read(&words, stat.len) {
            Header::Complete(shape) => {
                info.slots = shape.slots;
                info.slot_size = shape.slot_size;
                info.messages = words[word::MSG_COUNT];
                info.backlog = waiting(kind, &words, shape.slots);
            }
            Header::HalfMade => info.problem = Some("its header is not complete".to_owned()),
            Header::Impossible(why) => info.problem = Some(format!("its header claims {why}")),
            Header::NotASegment { magic } => info.problem = Some(format!("it starts with {magic:#018x}")),
            Header::Version(version) => info.problem = Some(format!("it has version {version}")),
        },
    }
    Some(info)
}

/// Returns the jobs of a queue from its header, whose head and tail count modulo the slots. Readers of the
/// other kinds store their own position.
fn waiting(kind: Kind, words: &[u64; word::COUNT], slots: u64) -> Option<Backlog> {
    if kind != Kind::Push {
        return None;
    }
    let waiting = Header::waiting(words, slots);
    let acknowledged = words[word::MSG_COUNT].saturating_sub(waiting);
    Some(Backlog { waiting, acknowledged, ..Backlog::default() })
}

fn words(dir: &Path, kind: Kind, channel: &str, path: &Path) -> Result<[u64; word::COUNT], String> {
    // A process that opens the requests of a service in Rust requests admission. The replies of the same
    // session have the same shape, and each request has its reply.
    if kind == Kind::Req
        && let Some(replies) = replies_of(dir, channel, path)
        && let Ok(words) = read(&replies)
        && words[word::MARK] == OURS
    {
        return Ok(words);
    }
    read(path)
}

/// Returns the second name of the replies that belong to these requests, if both are of a session in Rust.
fn replies_of(dir: &Path, channel: &str, requests: &Path) -> Option<PathBuf> {
    let id = os::id_of_path(requests).ok().flatten()?;
    let files = os::list(dir).ok()?;
    let file = files.iter().find(|file| {
        Kind::of_hidden(file) == Some((Kind::Req, channel))
            && matches!(os::id_of_path(&dir.join(file)), Ok(Some(one)) if one == id)
    })?;
    let session = file.strip_prefix(&Kind::Req.hidden(channel))?;
    Some(dir.join(Kind::Rep.hidden(channel) + session))
}

/// An open header, whose counters are read again and again.
pub(super) struct LiveHeader(File);

impl LiveHeader {
    /// Opens the segment that was listed under `path`, or the replies of the same session.
    pub(super) fn open(channel: &str, path: &Path) -> Result<(Self, FileId), Error> {
        let failed = |error: io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::PermissionDenied => ErrorKind::Permission,
                _ => ErrorKind::Os,
            };
            let why = format!("cannot read {}: {error}", path.display());
            Error::new(kind, channel.to_owned(), why).with_source(error)
        };
        let file = os::open(path).map_err(failed)?;
        let id = os::stat(&file).map_err(failed)?.id;
        Ok((LiveHeader(file), id))
    }

    /// Returns the number of messages sent; 0 if the header cannot be read.
    pub(super) fn messages(&self) -> u64 {
        let mut bytes = [0; HEADER];
        match os::read_at(&self.0, &mut bytes, 0) {
            Ok(()) => Header::from_bytes(&bytes)[word::MSG_COUNT],
            Err(_) => 0,
        }
    }
}

fn read(path: &Path) -> Result<[u64; word::COUNT], String> {
    let mut bytes = [0; HEADER];
    os::open(path)
        .and_then(|file| os::read_at(&file, &mut bytes, 0))
        .map_err(|error| format!("its header cannot be read: {error}"))?;
    Ok(Header::from_bytes(&bytes))
}

/// Removes all segments of a channel, by the channel's name or by the name of one of its files: both
/// names of each, and the lock file of a queue. Returns `false` if there is none.
pub(crate) fn remove_named(name: &str) -> Result<bool, Error> {
    if name.contains(['/', '\0']) {
        return Ok(false);
    }
    let by_file = Kind::of_file(name).or_else(|| Kind::of_hidden(name));
    Ok(remove(name, &Kind::ALL)?
        || by_file.map_or(Ok(false), |(kind, channel)| remove(channel, kind.pair()))?)
}

fn remove(channel: &str, kinds: &[Kind]) -> Result<bool, Error> {
    // Without such a directory there is no file.
    let Ok(dir) = os::python_dir() else { return Ok(false) };
    let files = os::list(&dir).unwrap_or_default();
    let mut any = false;
    for &kind in kinds {
        // In this order: the owner cannot reach a file without a name, and so does not restore the other
        // names.
        for file in files.iter().filter(|file| Kind::of_hidden(file) == Some((kind, channel))) {
            any |= remove_file(channel, &dir.join(file))?;
        }
        any |= remove_file(channel, &dir.join(kind.file(channel)))?;
        if kind == Kind::Push
            && let Ok(lock) = lock_file(channel)
        {
            any |= remove_file(channel, &lock)?;
        }
    }
    Ok(any)
}

fn remove_file(channel: &str, path: &Path) -> Result<bool, Error> {
    let failed = |verb: &str, error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            io::ErrorKind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Os,
        };
        let why = format!("cannot {verb} {}: {error}", path.display());
        Err(Error::new(kind, channel.to_owned(), why).with_source(error))
    };
    let stat = match os::stat_path(path) {
        Ok(stat) => stat,
        // A name that is too long for a file belongs to no channel.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename) => {
            return Ok(false);
        }
        Err(error) => return failed("examine", error),
    };
    let path_shown = path.display();
    if stat.kind != FileKind::Regular {
        let why = format!("{path_shown} is a {}, not a segment; move it out of the way", stat.kind.name());
        return Err(Error::new(ErrorKind::NotASegment, channel.to_owned(), why));
    }
    if let Err(why) = os::is_own(&stat) {
        let why = format!("{path_shown} {why}");
        return Err(Error::new(ErrorKind::Permission, channel.to_owned(), why));
    }
    match os::unlink(path) {
        Ok(()) => {
            log::debug!(target: "shmcomm", "channel `{channel}`: removed {path_shown} by force");
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => failed("remove", error),
    }
}

/// Returns the lock file that the pullers of a queue share, at the path that Python's library uses.
pub(crate) fn lock_file(channel: &str) -> Result<PathBuf, String> {
    Ok(temporary_directory()?.join(format!("shmcomm_shmcomm_push_{channel}.lock")))
}

/// Returns the directory for temporary files like `tempfile.gettempdir()` on Unix: the first of these
/// directories in which a file can be written.
fn temporary_directory() -> Result<PathBuf, String> {
    let variables = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(std::env::var_os);
    let named = variables.filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp", "/usr/tmp"].into_iter().map(PathBuf::from);
    let current = std::env::current_dir().ok();
    let mut candidates = named.chain(usual).chain(current).filter_map(|dir| std::path::absolute(dir).ok());
    candidates.find(|dir| writable(dir)).ok_or_else(|| {
        "no directory for temporary files can be written to, so the lock that pullers share has no place; \
         set `TMPDIR`, for Python too, or `lock_path`"
            .to_owned()
    })
}

fn writable(dir: &Path) -> bool {
    for n in 0..TRIES {
        let path = dir.join(format!("shmcomm-{}-{}-{n}", os::pid(), os::monotonic()));
        match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                let written = std::io::Write::write_all(&mut file, b"blat").is_ok();
                let _ = std::fs::remove_file(&path);
                return written;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => return false,
        }
    }
    false
}

/// Removes the file and its second name, if no process has it mapped and it holds no job. `SHMCOMM_DIR` is
/// absolute, so the path has a directory and a name.
pub(super) fn remove_stale(path: &Path) -> Outcome {
    let (Some(dir), Some(file)) = (path.parent(), path.file_name().and_then(|file| file.to_str())) else {
        return Outcome::Gone;
    };
    let failed = |error: io::Error| {
        let message = format!("cannot remove {}: {error}", path.display());
        let error = Error::new(ErrorKind::Os, file.to_owned(), message).with_source(error);
        Outcome::Spared(SpareReason::Failed(error))
    };
    let (open, id) = match os::open(path).and_then(|open| os::stat(&open).map(|stat| (open, stat.id))) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Outcome::Gone,
        Err(error) => return failed(error),
    };
    let Some(info) = describe(dir, file, &os::mapped_files(None)) else { return Outcome::Gone };
    // An owner in Rust holds byte 0, in any pid namespace.
    if !info.stale || os::is_locked(&open, 0, 1).unwrap_or(true) {
        return Outcome::Spared(SpareReason::InUse);
    }
    if let Some(why) = info.problem {
        return Outcome::Spared(SpareReason::Unreadable(why));
    }
    match info.queued_work() {
        0 => {}
        jobs => return Outcome::Spared(SpareReason::HoldsWork(jobs)),
    }
    // Python's name comes last: the owner cannot reach a file without a name, and so does not resume it.
    let mut names: Vec<_> = os::list(dir).unwrap_or_default();
    names.retain(|name| Kind::of_hidden(name).is_some());
    names.push(file.to_owned());
    for name in names.iter().map(|name| dir.join(name)) {
        if matches!(os::id_of_path(&name), Ok(Some(now)) if now == id)
            && let Err(error) = os::unlink(&name)
            && error.kind() != io::ErrorKind::NotFound
        {
            return failed(error);
        }
    }
    if info.pattern == Kind::Push.pattern()
        && let Ok(lock) = lock_file(&info.channel)
    {
        // It is useless without the queue; a later puller creates a new one.
        let _ = remove_file(&info.channel, &lock);
    }
    Outcome::Removed
}
