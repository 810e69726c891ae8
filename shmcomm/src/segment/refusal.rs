//! Error texts for a refusal of the operating system: its cause and its cure.
//!
//! Owns the texts. Calls `os` to distinguish the causes, and to get limits and permissions. Changes no file.

use super::name;
use crate::error::ErrorKind;
use crate::os::{self, CURES, Refusal};
use crate::plural::count;
use std::fmt::Display;
use std::io;
use std::path::Path;

/// Returns the kind of the error, and its cause and cure: empty, or words that follow a semicolon. `verb` is
/// the attempted operation on the file at `path`, in the directory `dir` of all segments.
pub(crate) fn explain(dir: &Path, path: &Path, verb: &str, error: &io::Error) -> (ErrorKind, String) {
    let shown = dir.display();
    let limit = |limit: Option<u64>| limit.map_or("only so many".to_owned(), |limit| limit.to_string());
    let no_locks =
        verb == "lock" && matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput);
    let refusal = os::refusal(error).or(no_locks.then_some(Refusal::NoLocks));
    if let Some((refusal, advice)) = refusal.and_then(|refusal| Some((refusal, os::advice(refusal)?))) {
        let kind = match refusal {
            Refusal::ReadOnly | Refusal::Access | Refusal::Forbidden => ErrorKind::Permission,
            Refusal::Missing | Refusal::NoLocks => ErrorKind::Unsupported,
            _ => ErrorKind::Os,
        };
        return (kind, advice.to_owned());
    }
    match refusal {
        Some(Refusal::ReadOnly) => (
            ErrorKind::Permission,
            format!(
                "; the file system of {shown} is mounted read-only: mount it writable \
                 (`mount -o remount,rw`), or set {} to another directory in all processes",
                name::DIR_VARIABLE
            ),
        ),
        Some(Refusal::Forbidden) => (ErrorKind::Permission, forbidden(verb)),
        Some(Refusal::Missing) => (
            ErrorKind::Unsupported,
            format!(
                "; this kernel does not have the system call {}, or a sandbox (seccomp) hides it: allow it",
                call(verb)
            ),
        ),
        Some(Refusal::Access) => (ErrorKind::Permission, access(dir, path, verb)),
        Some(Refusal::LockedMemory) if !verb.starts_with("start") => (
            ErrorKind::Os,
            format!(
                "; this process locks all memory that it maps (`mlockall` with MCL_FUTURE), and may lock {} \
                 bytes: raise `ulimit -l` (RLIMIT_MEMLOCK), or use fewer or smaller slots",
                limit(os::locked_memory_limit())
            ),
        ),
        Some(Refusal::Memory) => {
            (ErrorKind::Os, "; the process may map no more memory (`ulimit -v`, `vm.max_map_count`)".into())
        }
        Some(Refusal::ProcessFiles) => (
            ErrorKind::Os,
            format!(
                "; this process may have {} files open, and an end of a channel takes one, \
                 two while it is opened: raise `ulimit -n`",
                limit(os::open_files_limit())
            ),
        ),
        Some(Refusal::SystemFiles) => {
            (ErrorKind::Os, "; all processes together have as many files open: raise `fs.file-max`".into())
        }
        Some(Refusal::NoLocks) => (
            ErrorKind::Unsupported,
            format!(
                "; the file system of {shown} has no locks that belong to an open file: \
                 {}",
                CURES.no_locks
            ),
        ),
        Some(Refusal::PathTooLong) => (
            ErrorKind::Os,
            format!(
                "; the path of {} is too long for the system: set {} to a directory with a shorter path in all \
                 processes",
                count(path.as_os_str().len(), "byte"),
                name::DIR_VARIABLE
            ),
        ),
        None if error.kind() == io::ErrorKind::Unsupported => (ErrorKind::Unsupported, String::new()),
        Some(Refusal::LockedMemory) | None => (ErrorKind::Os, String::new()),
    }
}

/// Returns the system call of a verb, as a sandbox names it.
fn call(verb: &str) -> &'static str {
    match verb {
        "create" => "`openat` with O_TMPFILE",
        "name" => "`linkat`",
        "reserve room for" => "`fallocate`",
        "map" => "`mmap`",
        "lock" => "`fcntl` with F_OFD_SETLK",
        "remove" => "`unlink`",
        "examine" => "`fstat`",
        "read" => "`pread64`",
        "write" => "`pwrite64`",
        verb if verb.starts_with("open") => "`openat`",
        _ => "behind it",
    }
}

fn forbidden(verb: &str) -> String {
    format!(
        "; the system forbids this process the system call {}, whatever its user: allow it in the sandbox \
         (seccomp, as of a container) or in the security module (AppArmor, SELinux)",
        call(verb)
    )
}

/// Returns the text for a refusal that depends on users, modes and rules.
fn access(dir: &Path, path: &Path, verb: &str) -> String {
    let user = os::user();
    let rules = |of: &dyn Display| {
        format!(
            "; this process runs as user {user}, which has permission for {of}, so other rules refuse it: those \
             of a sandbox (Landlock) or of a security module (AppArmor, SELinux)"
        )
    };
    if verb.starts_with("open")
        && let Ok(stat) = os::stat_path(path)
    {
        return match os::is_own(&stat) {
            Err(why) => format!("; it {why}"),
            Ok(()) if !os::may_write(path, false) => format!(
                "; its mode does not let its own user {user} read and write it: `chmod 600` it, or delete it"
            ),
            Ok(()) => rules(&path.display()),
        };
    }
    if !os::may_write(dir, true) {
        return format!(
            "; this process runs as user {user}, which may not make files in {}: give the user permission \
             (`/dev/shm` has mode 1777), or set {} to another directory in all processes",
            dir.display(),
            name::DIR_VARIABLE
        );
    }
    rules(&dir.display())
}

#[cfg(test)]
mod tests {
    use crate::os;
    use crate::segment::{ChannelPath, system};
    use std::path::PathBuf;

    #[test]
    fn path_that_is_too_long_is_named_with_the_cure() {
        let dir = PathBuf::from(format!("/{}", "directory/".repeat(1000)));
        let place = ChannelPath::within(&dir, "robot/imu").unwrap();
        // Windows may report a missing directory instead. This is its number for such a path.
        let too_long = || std::io::Error::from_raw_os_error(206);
        let error = if cfg!(windows) { too_long() } else { os::open(place.path()).err().unwrap() };
        let text = system(&place, "open", error).to_string();
        assert!(
            text.contains(&format!("the path of {} bytes is too long", place.path().as_os_str().len())),
            "{text}"
        );
        assert!(text.contains("set SHMCOMM_DIR to a directory with a shorter path"), "{text}");
    }
}
