//! Finds segments that processes use and that have no name any more.
//!
//! Owns the comparison of mapped files with the files of the directory, and the reading of a nameless segment
//! through a process. Never writes.

use super::files::is_segment_name;
use super::{Finding, Level};
use crate::procs::{Mapped, Procs};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

/// First bytes of a segment: see docs/format.md.
const MAGIC: u64 = 0x5348_4D43_4F4D_4D31;
/// Offsets of the control words `STATE` and `CHANNEL`, and the length of the latter.
const STATE: u64 = 256;
const CHANNEL: u64 = 1280;
const CHANNEL_LEN: usize = 200;
/// Bytes of a forwarding file.
const FORWARD: u64 = 64;

/// A segment, as the process that uses it shows it.
struct Nameless {
    name: String,
    superseded: bool,
}

pub(super) fn check(directory: &Path, procs: &Procs, mapped: &[Mapped]) -> Vec<Finding> {
    let named: BTreeSet<u64> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.metadata().ok()?.ino()))
        .collect();
    let mut users: BTreeMap<u64, Vec<&Mapped>> = BTreeMap::new();
    // The kernel marks a file that got its name late as removed, so only its number tells.
    for one in mapped.iter().filter(|one| one.removed && !named.contains(&one.inode)) {
        users.entry(one.inode).or_default().push(one);
    }
    users.into_values().filter_map(|users| describe(directory, procs, &users)).collect()
}

fn describe(directory: &Path, procs: &Procs, users: &[&Mapped]) -> Option<Finding> {
    let first = users.first()?;
    let file = first.path.file_name()?.to_string_lossy().into_owned();
    let nameless = match read(procs, first) {
        Some(nameless) => nameless,
        // The name that the file once had.
        None if is_segment_name(&file) => Nameless { name: channel_of(&file), superseded: false },
        None => return None,
    };
    let name = nameless.name;
    let path = directory.join(format!("shmcomm2_{}", name.replace('/', "%2F")));
    let restored = fs::metadata(&path).is_ok_and(|data| data.len() == FORWARD);
    if restored && !nameless.superseded {
        return None;
    }
    let processes: Vec<String> =
        users.iter().map(|user| format!("{} ({})", procs.name(user.pid), user.pid)).collect();
    let processes = processes.join(", ");
    let finding = if nameless.superseded {
        Finding::new(
            "nameless",
            Level::Warning,
            format!("{processes} uses a replaced segment of channel `{name}`"),
        )
        .cause("the segment was removed by force, or a publisher with another layout replaced it")
        .consequence(
            "the process does not meet programs that open the channel now, and the old memory stays in use",
        )
        .cure("restart the process, if it does not follow by itself")
    } else {
        Finding::new("nameless", Level::Error, format!("{processes} uses channel `{name}`, whose file was removed"))
            .cause("`rm`, systemd at a logout (`RemoveIPC=yes`), or Python's resource tracker removed the file")
            .consequence("programs that start now do not find the channel; they create a second one beside it")
            .cure(
                "the library restores the name as soon as the process uses the channel; a process of Python must be \
                 restarted. Set `RemoveIPC=no` in logind.conf, or run services as a system user",
            )
    };
    Some(finding.channel(&name))
}

/// Reads a segment through a process that has it open.
fn read(procs: &Procs, user: &Mapped) -> Option<Nameless> {
    let home = procs.root().join(user.pid.to_string()).join("fd");
    let entries = fs::read_dir(home).ok()?.flatten();
    let path = entries.map(|entry| entry.path()).find(|path| {
        // Checked before it is opened, because opening a device may have an effect.
        fs::metadata(path).is_ok_and(|data| data.is_file() && data.ino() == user.inode)
    })?;
    let file = File::open(path).ok()?;
    let word = |at| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).ok().map(|()| u64::from_ne_bytes(bytes))
    };
    if word(0)? != MAGIC || word(8)? != 2 {
        return None;
    }
    let mut name = [0; CHANNEL_LEN];
    file.read_exact_at(&mut name, CHANNEL).ok()?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(CHANNEL_LEN);
    let name = String::from_utf8_lossy(&name[..end]).escape_debug().to_string();
    Some(Nameless { name, superseded: word(STATE)? != 0 })
}

/// Returns the channel of a file name.
fn channel_of(file: &str) -> String {
    let bare = match file.strip_prefix("shmcomm2_") {
        Some(name) => name.replace("%2F", "/"),
        None => {
            let kinds = ["pub_", "req_", "rep_", "push_"];
            let rest = file.trim_start_matches("shmcomm").trim_start_matches(['_', '~']);
            kinds.iter().find_map(|kind| rest.strip_prefix(kind)).unwrap_or(rest).to_owned()
        }
    };
    bare.escape_debug().to_string()
}
