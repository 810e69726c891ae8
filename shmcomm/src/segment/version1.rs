//! Segments of version 1, those of the Python library shm-comm, in the list of all segments.
//!
//! Owns their entries. Reads headers, maps nothing, writes nothing.

use super::list::SegmentInfo;
use crate::layout::python::{HEADER, Header, Kind, OURS, word};
use crate::os::{self, FileId, FileKind};
use std::collections::HashSet;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// The entry of a file; nothing if its name is none of Python's, or the file is another user's.
pub(super) fn describe(dir: &Path, file: &str, mapped: &HashSet<FileId>) -> Option<SegmentInfo> {
    let (kind, channel) = Kind::of_file(file)?;
    let path = dir.join(file);
    let stat = os::stat_path(&path).ok()?;
    if stat.owner != os::user() || stat.kind != FileKind::Regular {
        return None;
    }
    let mut info = SegmentInfo {
        channel: channel.to_owned(),
        version: 1,
        path,
        size: stat.len,
        problem: None,
        stale: !mapped.contains(&stat.id),
        pattern: kind.pattern(),
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
    match words(dir, kind, channel, &info.path) {
        Err(why) => info.problem = Some(why),
        Ok(words) => match Header::read(&words, stat.len) {
            Header::Complete(shape) => {
                info.slots = shape.slots;
                info.slot_size = shape.capacity() as u64;
                info.messages = words[word::MSG_COUNT];
            }
            Header::HalfMade => info.problem = Some("its header is not complete".to_owned()),
            Header::Impossible(why) => info.problem = Some(format!("it says it has {why}")),
            Header::NotASegment { magic } => info.problem = Some(format!("it starts with {magic:#018x}")),
            Header::Version(version) => info.problem = Some(format!("it has version {version}")),
        },
    }
    Some(info)
}

fn words(dir: &Path, kind: Kind, channel: &str, path: &Path) -> Result<[u64; word::COUNT], String> {
    // Opening the requests of a service in Rust is how a requester announces itself. The replies have the
    // same shape, and each request its reply.
    let replies = dir.join(Kind::Rep.hidden(channel));
    if kind == Kind::Req
        && let Ok(words) = read(&replies)
        && words[word::MARK] == OURS
    {
        return Ok(words);
    }
    read(path)
}

fn read(path: &Path) -> Result<[u64; word::COUNT], String> {
    let mut bytes = [0; HEADER];
    os::open(path)
        .and_then(|file| os::read_at(&file, &mut bytes, 0))
        .map_err(|error| format!("its header cannot be read: {error}"))?;
    Ok(Header::from_bytes(&bytes))
}
