//! Checks of the processes at the channels: old Pythons, stopped processes, queues without a worker.
//!
//! Owns the meaning of locks and program names. Calls `procs`. Never sends a signal.

use super::files::is_segment_name;
use super::{Finding, Level};
use crate::procs::{Lock, Mapped, Procs};
use crate::units;
use shmcomm::{Participant, Role, SegmentInfo};
use std::collections::BTreeSet;
use std::path::Path;

/// Byte of a segment's file that is locked while a participant joins or leaves: see docs/format.md.
const REGISTRATION: u64 = 1 << 16;
/// First minor version of Python 3 whose shared memory can be told not to remove files of others.
const TRACKED_BEFORE: u32 = 13;

pub(super) fn check(
    directory: &Path,
    procs: &Procs,
    segments: &[SegmentInfo],
    mapped: &[Mapped],
) -> Vec<Finding> {
    let mut found = old_pythons(procs, mapped);
    found.extend(stopped(directory, procs, segments));
    found.extend(segments.iter().filter_map(|segment| without_worker(segment, mapped)));
    found
}

/// Processes of Python before 3.13 at segments of its library.
fn old_pythons(procs: &Procs, mapped: &[Mapped]) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in mapped {
        let file = one.path.file_name().unwrap_or_default().to_string_lossy();
        if !file.starts_with("shmcomm_") && !file.starts_with("shmcomm~") {
            continue;
        }
        let Some(minor) = python_minor(procs, one.pid).filter(|&minor| minor < TRACKED_BEFORE) else {
            continue;
        };
        let name = file.escape_debug().to_string();
        found.push(
            Finding::new("old-python", Level::Warning, format!("process {} with Python 3.{minor} uses {name}", one.pid))
                .cause("before 3.13 each process registers every segment that it opens with a resource tracker")
                .consequence("when such a process ends, its tracker removes the file, also under a live publisher of another process")
                .cure("use Python 3.13 or later; a publisher in Rust restores the name, but a reader that starts meanwhile fails")
                .channel(&name),
        );
    }
    found
}

/// Returns the minor version of Python 3 that a process runs, from its program or its libraries.
fn python_minor(procs: &Procs, pid: u32) -> Option<u32> {
    let minor = |text: &str| {
        let (_, rest) = text.rsplit_once("python3.")?;
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    let program = procs.program(pid)?;
    let program = program.file_name()?.to_string_lossy().into_owned();
    minor(&program).or_else(|| procs.libraries(pid).iter().find_map(|path| minor(path)))
}

/// Stopped processes that are participants, or that hold a lock of a segment.
fn stopped(directory: &Path, procs: &Procs, segments: &[SegmentInfo]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut blamed = BTreeSet::new();
    for pid in procs.all().into_iter().filter(|&pid| procs.is_stopped(pid)) {
        let Some(lock) = procs.locks(pid).into_iter().find(|lock| blocks_others(directory, lock)) else {
            continue;
        };
        blamed.insert(pid);
        let file = lock.path.file_name().unwrap_or_default().to_string_lossy().escape_debug().to_string();
        let what = format!("process {} ({pid}) is stopped and holds the lock of {file}", procs.name(pid));
        let (consequence, kind) = match lock.whole {
            true => ("no other puller of the queue receives a job", "the lock that pullers of Python share"),
            false => (
                "no other process can join or leave the channel: after 5 s it fails",
                "the registration lock",
            ),
        };
        found.push(
            Finding::new("stopped-with-lock", Level::Error, what)
                .cause(format!("a signal (SIGSTOP, Ctrl-Z) or a debugger stopped it while it held {kind}"))
                .consequence(consequence)
                .cure(format!("`kill -CONT {pid}`, or `kill -9 {pid}`: the kernel then releases the lock")),
        );
    }
    let alive = segments.iter().flat_map(|segment| {
        let alive = segment.participants.iter().filter(|end| end.alive);
        alive.map(move |end| (segment, end))
    });
    for (segment, end) in alive {
        // A process may have several ends; the lock says more.
        if procs.is_stopped(end.pid) && blamed.insert(end.pid) {
            found.push(stopped_end(segment, end));
        }
    }
    found
}

fn stopped_end(segment: &SegmentInfo, end: &Participant) -> Finding {
    let Participant { pid, role, process, .. } = end;
    let (name, role) = (&segment.channel, role.name());
    let consequence = match end.role {
        Role::Publisher => "no messages come, and no other publisher can take its place",
        Role::Subscriber if segment.waits => "the publisher waits for it until its stall timeout",
        Role::Subscriber => "it loses messages; a message that it reads in place keeps its slot",
        Role::Puller | Role::Replier => "the jobs or requests that it has claimed are not finished",
        _ => "a slot that it is filling stays occupied",
    };
    Finding::new(
        "stopped",
        Level::Warning,
        format!("process {process} ({pid}), {role} of `{name}`, is stopped"),
    )
    .cause("a signal (SIGSTOP, Ctrl-Z) or a debugger stopped it; for the kernel it lives")
    .consequence(consequence)
    .cure(format!("`kill -CONT {pid}`, or `kill -9 {pid}`: the others recover its slots"))
    .channel(name)
}

/// Returns `true` for a lock that other processes wait for. The lock of a seat only shows that its owner lives.
fn blocks_others(directory: &Path, lock: &Lock) -> bool {
    let file = lock.path.file_name().unwrap_or_default().to_string_lossy();
    if lock.whole {
        return file.starts_with("shmcomm_shmcomm_push_") && file.ends_with(".lock");
    }
    // A file that got its name late is shown by its number.
    let ours = is_segment_name(&file) || file.starts_with('#');
    lock.start == REGISTRATION && ours && lock.path.parent() == Some(directory)
}

/// Queues and services whose messages no process receives.
fn without_worker(segment: &SegmentInfo, mapped: &[Mapped]) -> Option<Finding> {
    if segment.problem.is_some() || segment.stale {
        return None;
    }
    let waiting = segment.backlog.as_ref()?.waiting;
    let name = &segment.channel;
    let (noun, worker) = match segment.pattern {
        "push/pull" => ("job", "puller"),
        _ => ("request", "replier"),
    };
    let missing = match (segment.version, segment.pattern) {
        // A process is needed on both sides.
        (1, "push/pull") => waiting > 0 && mapped.iter().filter(|one| one.path == segment.path).count() == 1,
        (1, _) => false,
        _ => segment.receivers() == Some(0),
    };
    if !missing {
        return None;
    }
    let number = units::count(waiting, noun);
    let level = if waiting > 0 { Level::Error } else { Level::Warning };
    Some(
        Finding::new("no-worker", level, format!("channel `{name}` has no {worker}, and {number} waiting"))
            .cause(format!("no {worker} has been started, or all have ended"))
            .consequence(format!("{noun}s wait; when all {} slots are used, senders wait too", segment.slots))
            .cure(format!("start a {worker}; `shmcomm info {name}` lists the processes"))
            .channel(name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_locks_that_others_wait_for_are_blamed() {
        let dir = Path::new("/dev/shm");
        let lock = |path: &str, start, whole| Lock { path: path.into(), start, whole };
        assert!(blocks_others(dir, &lock("/dev/shm/#77 (deleted)", REGISTRATION, false)));
        assert!(blocks_others(dir, &lock("/dev/shm/shmcomm2_a", REGISTRATION, false)));
        assert!(!blocks_others(dir, &lock("/dev/shm/shmcomm2_a", 3, false)));
        assert!(!blocks_others(dir, &lock("/tmp/shmcomm2_a", REGISTRATION, false)));
        assert!(blocks_others(dir, &lock("/tmp/shmcomm_shmcomm_push_jobs.lock", 0, true)));
    }
}
