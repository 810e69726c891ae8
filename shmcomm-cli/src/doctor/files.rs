//! Checks of the files in the directory: other users' files, modes, stale and unusable segments.
//!
//! Owns the reading of the directory. Calls nothing. Never opens a file.

use super::{Finding, Level};
use crate::units;
use shmcomm::{ErrorKind, SegmentInfo};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Start of the name of a group's directory.
const GROUP_PREFIX: &str = "shmcomm.";
/// Mode of a group's directory: owner and group change its names, and its files belong to its group.
const GROUP_MODE: u32 = 0o2770;

pub(super) fn check(directory: &Path, segments: &[SegmentInfo]) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(modes(directory));
    found.extend(groups(directory));
    found.extend(unusable(segments));
    found.extend(stale(segments));
    found
}

/// Returns `true` for the names that the library and the Python library give to segments.
pub(super) fn is_segment_name(name: &str) -> bool {
    ["shmcomm2_", "shmcomm2~", "shmcomm_", "shmcomm~"].iter().any(|prefix| name.starts_with(prefix))
}

/// Files of other users, and files that other users may write to.
fn modes(directory: &Path) -> Vec<Finding> {
    let me = rustix::process::geteuid().as_raw();
    let (mut others, mut open) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(data) = entry.metadata() else { continue };
        if !is_segment_name(&name) {
            continue;
        }
        let name = name.escape_debug().to_string();
        if data.uid() != me {
            others.push((name, data.uid(), data.len()));
        } else if data.mode() & 0o022 != 0 && data.is_file() {
            open.push((name, data.mode() & 0o7777));
        }
    }
    let mut found = Vec::new();
    others.sort();
    open.sort();
    if let Some((first, uid, _)) = others.first() {
        let size: u64 = others.iter().map(|(_, _, size)| size).sum();
        let number = units::count(others.len() as u64, "segment");
        found.push(
            Finding::new(
                "other-user",
                Level::Warning,
                format!(
                    "{number} of other users, {}: {first} of user {uid}{}",
                    units::bytes(size as f64),
                    more(others.len())
                ),
            )
            .cause("a program runs as another user, such as a service, a container or `sudo`")
            .consequence(
                "programs of this user cannot join these channels, and cannot create channels of these names",
            )
            .cure("run all programs of a channel as one user, or use another namespace (SHMCOMM_NAMESPACE)"),
        );
    }
    if let Some((first, mode)) = open.first() {
        found.push(
            Finding::new(
                "segment-mode",
                Level::Error,
                format!("other users may write to {first} (mode {mode:o}){}", more(open.len())),
            )
            .cause("a program changed the mode, or another program made the file")
            .consequence("the library refuses the segment, because another user could falsify messages")
            .cure(format!("`chmod 600 {}`", directory.join(first).display())),
        );
    }
    found
}

/// Directories of groups that the library refuses, and those of groups that this user is not in.
fn groups(directory: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut foreign, mut names) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A `%` is part of the name of a group that is no plain word; the library reads it when an end is opened.
        if let Some(group) = name.strip_prefix(GROUP_PREFIX).filter(|group| !group.contains(['%', '~'])) {
            names.push((group.to_owned(), entry.metadata().map(|data| data.mode() & 0o7777)));
        }
    }
    names.sort_by(|one, other| one.0.cmp(&other.0));
    for (group, mode) in names {
        // The library checks group and mode of the directory, and that this user is a member.
        let Err(error) = shmcomm::describe_in_group("shmcomm-doctor", &group) else { continue };
        if error.kind() != ErrorKind::Permission {
            continue;
        }
        let is_member = !error.to_string().contains("is not a member of group");
        if !is_member && matches!(mode, Ok(GROUP_MODE)) {
            foreign.push(group);
            continue;
        }
        let path = directory.join(format!("{GROUP_PREFIX}{group}"));
        let path = path.display();
        let what = error.to_string().replacen("channel `shmcomm-doctor`: ", "", 1).escape_debug().to_string();
        found.push(
            Finding::new("group-directory", Level::Error, what.replace("\\\"", "\""))
                .cause("a program or a user changed the directory, made it, or removed the group")
                .consequence(format!("the members of group `{group}` cannot open the channels that they share"))
                .cure(format!("as root: `chgrp {group} {path} && chmod 2770 {path}`, or remove it if no program needs it")),
        );
    }
    if let Some(first) = foreign.first() {
        found.push(
            Finding::new(
                "group-member",
                Level::Note,
                format!(
                    "this user is not a member of group `{first}`, which shares channels{}",
                    more(foreign.len())
                ),
            )
            .cause("the programs of a group share channels in a directory that only its members read")
            .consequence("this user does not see these channels, and cannot open them")
            .cure(format!("if it should: `usermod -aG {first} USER`, and a new session")),
        );
    }
    found
}

fn more(all: usize) -> String {
    if all > 1 { format!(" and {} more", all - 1) } else { String::new() }
}

/// Damaged and foreign files, and other versions.
fn unusable(segments: &[SegmentInfo]) -> impl Iterator<Item = Finding> {
    segments.iter().filter_map(|segment| {
        let why = segment.problem.as_ref()?;
        let name = &segment.channel;
        Some(
            Finding::new("unusable", Level::Warning, format!("channel `{name}` has an unusable file: {why}"))
                .cause("a program damaged the file, another program made it, or a release with another format did")
                .consequence("ends of this channel fail to open, or replace the file")
                .cure(format!("if no program needs it: `shmcomm clean --yes --with-work {name}`, or `rm {}`", segment.path.display()))
                .channel(name),
        )
    })
}

/// Segments without a process, and queues that were left with jobs.
fn stale(segments: &[SegmentInfo]) -> Vec<Finding> {
    let stale = || segments.iter().filter(|segment| segment.stale && segment.problem.is_none());
    let (kept, free): (Vec<_>, Vec<_>) = stale().partition(|segment| segment.queued_work() > 0);
    let mut found = Vec::new();
    if let Some(first) = free.first() {
        let size: u64 = free.iter().map(|segment| segment.size).sum();
        let number = units::count(free.len() as u64, "stale segment");
        found.push(
            Finding::new(
                "stale",
                Level::Warning,
                format!("{number}, {}: `{}`{}", units::bytes(size as f64), first.channel, more(free.len())),
            )
            .cause("their processes were killed, or ended by Ctrl-C or `exit` without dropping their ends")
            .consequence("they use memory until a program opens the channel again; nothing else is affected")
            .cure("`shmcomm clean --yes`"),
        );
    }
    for segment in kept {
        let jobs = units::count(segment.queued_work(), "job");
        let name = &segment.channel;
        found.push(
            Finding::new(
                "kept-jobs",
                Level::Note,
                format!("queue `{name}` holds {jobs}, and no process uses it"),
            )
            .cause("its processes ended before the jobs were done")
            .consequence("the next worker of the queue gets the jobs; until then they use memory")
            .cure(format!("start a worker, or drop the jobs: `shmcomm clean --yes --with-work {name}`"))
            .channel(name),
        );
    }
    found
}
