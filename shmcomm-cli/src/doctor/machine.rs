//! Checks of the machine: the directory of segments, its file system, limits, and calls of the kernel.
//!
//! Owns the thresholds. Calls the kernel, and once the library. Never reads a segment.

use super::{Finding, Level};
use crate::procs::Procs;
use crate::units;
use rustix::fs::{Access, CWD, FileType, StatVfsMountFlags};
use rustix::process::Resource;
use shmcomm::codec::Bytes;
use shmcomm::{Channel, PubSub, SegmentInfo};
use std::path::Path;

/// Size below which the directory counts as small: programs with large messages need more.
const SMALL: u64 = 256 << 20;
/// Free bytes below which the directory counts as full.
const FULL: u64 = 1 << 20;
/// Free part below which the directory counts as nearly full, in percent.
const NEARLY: u64 = 10;
/// Open files that a process with many channels needs.
const FILES: u64 = 256;

/// Runs the checks that need no segment.
pub(super) fn check(directory: &Path, procs: &Procs, cgroup: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(permissions(directory));
    found.extend(space(directory));
    found.extend(file_system(directory));
    found.extend(proc_mounted(procs));
    found.extend(waiting());
    found.extend(limits(cgroup));
    found.extend(probe(&found));
    found
}

/// Owner and mode of the directory, and the mode of its mount.
fn permissions(directory: &Path) -> Vec<Finding> {
    let shown = directory.display();
    let Ok(stat) = rustix::fs::stat(directory) else {
        return vec![
            Finding::new("directory", Level::Error, format!("{shown} does not exist, or is not visible"))
                .cause("the container or chroot has no /dev/shm, or SHMCOMM_DIR names another directory")
                .consequence("no channel can be opened")
                .cure(format!(
                    "mount a tmpfs there: `mount -t tmpfs -o mode=1777 tmpfs {shown}`, or set SHMCOMM_DIR"
                )),
        ];
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return vec![
            Finding::new("directory", Level::Error, format!("{shown} is not a directory"))
                .cause("another file has that name, or SHMCOMM_DIR names a file")
                .consequence("no channel can be opened")
                .cure("set SHMCOMM_DIR to a directory, the same in all processes"),
        ];
    }
    let mut found = Vec::new();
    let read_only =
        rustix::fs::statvfs(directory).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    let mode = stat.st_mode & 0o7777;
    if read_only {
        found.push(
            Finding::new("permissions", Level::Error, format!("{shown} is mounted read-only"))
                .cause("the container or the service has a read-only file system there")
                .consequence("no program can create or join a channel")
                .cure(
                    "mount a tmpfs there, or remove the read-only option (`ProtectSystem=`, `--read-only`)",
                ),
        );
    } else if rustix::fs::accessat(
        CWD,
        directory,
        Access::WRITE_OK | Access::EXEC_OK,
        rustix::fs::AtFlags::EACCESS,
    )
    .is_err()
    {
        found.push(
            Finding::new(
                "permissions",
                Level::Error,
                format!("this user may not create files in {shown} (mode {mode:o})"),
            )
            .cause("the directory belongs to another user, and its mode does not admit this one")
            .consequence("no program of this user can create a channel")
            .cure(format!("`chmod 1777 {shown}` as root, or set SHMCOMM_DIR to a directory of this user")),
        );
    }
    if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        found.push(
            Finding::new(
                "permissions",
                Level::Warning,
                format!("every user may remove files from {shown} (mode {mode:o})"),
            )
            .cause("the directory admits all users and has no sticky bit")
            .consequence("another user can remove or replace the segments of this user")
            .cure(format!("`chmod 1777 {shown}`")),
        );
    }
    found
}

/// Size and free space.
fn space(directory: &Path) -> Vec<Finding> {
    let Ok(stat) = rustix::fs::statvfs(directory) else { return Vec::new() };
    let (total, free) =
        (stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize));
    let shown = directory.display();
    let mut found = Vec::new();
    // Some file systems do not tell their size.
    if total == 0 {
        return found;
    }
    let facts = format!("{} of {} are free", units::bytes(free as f64), units::bytes(total as f64));
    let enlarge = format!(
        "remove what is not used (`shmcomm clean`, `du -a {shown}`), or enlarge it: `mount -o remount,size=2G {shown}`, \
         `docker run --shm-size=2g`, `emptyDir: {{medium: Memory}}` in Kubernetes"
    );
    let full = free < FULL || (stat.f_files > 0 && stat.f_favail == 0);
    let nearly = (free as u128) * 100 < (total as u128) * u128::from(NEARLY);
    if full || nearly {
        let (level, word) = if full { (Level::Error, "full") } else { (Level::Warning, "nearly full") };
        let files = if stat.f_files > 0 && stat.f_favail == 0 { "; no more files are possible" } else { "" };
        found.push(
            Finding::new("space", level, format!("{shown} is {word}: {facts}{files}"))
                .cause(
                    "segments and files of other programs use the space; a segment reserves all of its bytes",
                )
                .consequence(
                    "the next channel that is created fails with `NoSpace`; channels in use are not affected",
                )
                .cure(enlarge.clone()),
        );
    }
    if total < SMALL {
        found.push(
            Finding::new(
                "size",
                Level::Warning,
                format!("{shown} is small: {} in all", units::bytes(total as f64)),
            )
            .cause("a container has 64 MB there unless it is started with another size")
            .consequence("channels with large messages or many slots cannot be created")
            .cure(enlarge),
        );
    }
    found
}

/// File system of the directory.
fn file_system(directory: &Path) -> Option<Finding> {
    let kind = rustix::fs::statfs(directory).ok()?.f_type as u64 & 0xffff_ffff;
    let shown = directory.display();
    match kind {
        // tmpfs, ramfs.
        0x0102_1994 | 0x8584_58f6 => None,
        0x794c_7630 => Some(
            Finding::new("overlayfs", Level::Warning, format!("{shown} is on overlayfs"))
                .cause("SHMCOMM_DIR names a directory of the container's own file system")
                .consequence(
                    "messages are written to a disk, and a process that closes all its descriptors loses its seats: \
                     others take it for dead",
                )
                .cure("use a tmpfs: `docker run --tmpfs /channels` or `--shm-size=2g`, and set SHMCOMM_DIR to it"),
        ),
        // NFS, SMB, CIFS, FUSE, 9p.
        0x6969 | 0x517b | 0xff53_4d42 | 0x6573_5546 | 0x0102_1997 => Some(
            Finding::new("file-system", Level::Error, format!("{shown} is on a network or user-space file system"))
                .cause("SHMCOMM_DIR names a directory that another machine or program serves")
                .consequence("locks and shared mappings may not work, so ends refuse to open or take each other for dead")
                .cure("use a tmpfs, such as /dev/shm"),
        ),
        0x9584_58f6 => Some(
            Finding::new("file-system", Level::Error, format!("{shown} is on hugetlbfs"))
                .cause("SHMCOMM_DIR names a mount of huge pages")
                .consequence("segments have sizes that are no multiple of a huge page, so channels cannot be created")
                .cure("use a tmpfs, such as /dev/shm; `mount -o huge=advise` gives it huge pages"),
        ),
        other => Some(
            Finding::new("file-system", Level::Warning, format!("{shown} is not on a tmpfs (type {other:#x})"))
                .cause("SHMCOMM_DIR names a directory of a disk")
                .consequence("the kernel writes messages to the disk from time to time, which slows programs down")
                .cure("use a tmpfs, such as /dev/shm"),
        ),
    }
}

fn proc_mounted(procs: &Procs) -> Option<Finding> {
    (!procs.is_mounted()).then(|| {
        Finding::new("proc", Level::Error, format!("{} does not show processes", procs.root().display()))
            .cause("the container or chroot has no /proc")
            .consequence(
                "a segment whose file was removed cannot get its name again, the segments of the Python library all \
                 count as stale, and this check cannot see processes",
            )
            .cure("mount it: `mount -t proc proc /proc`")
    })
}

/// Asks the kernel for the call that waits for several words.
#[cfg(target_os = "linux")]
fn waiting() -> Option<Finding> {
    // SAFETY: the kernel refuses an empty list before it reads anything.
    let result = unsafe { libc::syscall(libc::SYS_futex_waitv, 0, 0, 0, 0, 0) };
    let error = std::io::Error::last_os_error();
    if result != -1 || error.raw_os_error() == Some(libc::EINVAL) {
        return None;
    }
    let cause = match error.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel is older than Linux 5.16, or a sandbox hides the call",
        _ => "a sandbox forbids the call: an old seccomp profile, or `SystemCallFilter=` of a service",
    };
    Some(
        Finding::new("futex_waitv", Level::Warning, format!("futex_waitv is not possible: {error}"))
            .cause(cause)
            .consequence(
                "a WaitSet needs a thread for each channel, which costs memory and time; nothing fails",
            )
            .cure("update the kernel or the seccomp profile, or add futex_waitv to the calls that it admits"),
    )
}

#[cfg(not(target_os = "linux"))]
fn waiting() -> Option<Finding> {
    None
}

/// Limits of this process, which programs started from the same place have too.
fn limits(cgroup: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let files = rustix::process::getrlimit(Resource::Nofile).current;
    if let Some(files) = files.filter(|&files| files < FILES) {
        found.push(
            Finding::new("open-files", Level::Warning, format!("a process may open {files} files"))
                .cause("the limit of open files (RLIMIT_NOFILE) is low")
                .consequence(
                    "each end of a channel has a file, so a program with many channels fails to open one",
                )
                .cure("`ulimit -n 4096`, or `LimitNOFILE=` of the service"),
        );
    }
    if let Some(size) = rustix::process::getrlimit(Resource::Fsize).current {
        found.push(
            Finding::new(
                "file-size",
                Level::Warning,
                format!("a file may have {}", units::bytes(size as f64)),
            )
            .cause("the limit of the size of files (RLIMIT_FSIZE) is set")
            .consequence("a larger segment cannot be created")
            .cure("`ulimit -f unlimited`, or `LimitFSIZE=` of the service"),
        );
    }
    let most = cgroup_number(cgroup, "pids.max").filter(|&most| most < 32);
    if let Some(most) = most {
        found.push(
            Finding::new("threads", Level::Warning, format!("the container may have {most} threads"))
                .cause("the limit pids.max of the control group is low")
                .consequence("a WaitSet that needs a thread may fail")
                .cure("`docker run --pids-limit 512`, or `TasksMax=` of the service"),
        );
    }
    found
}

fn cgroup_number(cgroup: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(cgroup.join(file)).ok()?.trim().parse().ok()
}

/// Compares the memory limit of the container with the segments, which count as its memory.
pub(super) fn memory(cgroup: &Path, segments: &[SegmentInfo]) -> Option<Finding> {
    let limit = cgroup_number(cgroup, "memory.max")?;
    let used: u64 = segments.iter().map(|segment| segment.size).fold(0, u64::saturating_add);
    if used.saturating_mul(2) < limit {
        return None;
    }
    let (used, limit) = (units::bytes(used as f64), units::bytes(limit as f64));
    Some(
        Finding::new(
            "memory",
            Level::Warning,
            format!("segments have {used}, and the container may use {limit}"),
        )
        .cause("the pages of a segment count as memory of the control group that touches them first")
        .consequence("the kernel ends a process of the container (OOM) instead of refusing a channel")
        .cure("raise the limit (`docker run --memory`), or use fewer slots"),
    )
}

/// Opens a channel of its own for a moment. Not done if an error is already known.
fn probe(found: &[Finding]) -> Option<Finding> {
    if found.iter().any(|finding| finding.level == Level::Error) {
        return None;
    }
    let opened = Channel::<PubSub<[u8], Bytes>>::try_new(format!("doctor-{}", std::process::id()))
        .and_then(|channel| channel.slots(2).slot_size(8).namespace("").publisher());
    let error = opened.err()?;
    Some(
        Finding::new("probe", Level::Error, format!("a channel cannot be opened: {error}"))
            .cause("the system refuses a call that the library needs")
            .consequence("no program of this user can create a channel here")
            .cure("the text of the error says what to change; docs/troubleshooting.md has an entry for each error"),
    )
}
