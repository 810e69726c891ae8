//! Why macOS refused a call, and the cure.
//!
//! Owns the meaning of error numbers and the texts. Calls nothing.
//!
//! | number | meaning | source of the fact |
//! |---|---|---|
//! | ENOMEM of `mmap` | more than `RLIMIT_AS` or `RLIMIT_DATA`, or no addresses left | `vm_map_enter` in `osfmk/vm/vm_map.c` of xnu-11417 |
//! | EPERM | the App Sandbox, or the privacy settings for a folder | Apple's *App Sandbox* |
//! | EMFILE, ENFILE | `RLIMIT_NOFILE` (256 in a terminal), `kern.maxfiles` | `launchctl limit` |
//! | ENOTSUP of a lock | a network volume | `fcntl(2)` |

use crate::os::Refusal;
use std::io;

/// Returns the reason why the system refused a call, if it is known.
pub(crate) fn refusal(error: &io::Error) -> Option<Refusal> {
    Some(match error.raw_os_error()? {
        libc::EROFS => Refusal::ReadOnly,
        libc::EPERM => Refusal::Forbidden,
        libc::ENOSYS => Refusal::Missing,
        libc::EACCES => Refusal::Access,
        libc::ENOMEM => Refusal::Memory,
        libc::EMFILE => Refusal::ProcessFiles,
        libc::ENFILE => Refusal::SystemFiles,
        libc::ENOLCK => Refusal::NoLocks,
        libc::ENAMETOOLONG => Refusal::PathTooLong,
        _ => return None,
    })
}

/// Returns the cause and the cure of a refusal, as it follows the error, where they are particular to this system.
pub(crate) fn advice(refusal: Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::ReadOnly => {
            "; the volume is mounted read-only: set SHMCOMM_DIR to a directory of another volume in all processes"
        }
        Refusal::Forbidden => {
            "; the App Sandbox or the privacy settings forbid this program the directory: set SHMCOMM_DIR to a directory \
             that both programs may write to, such as the container of their app group, in all processes"
        }
        Refusal::Missing => {
            "; this version of macOS does not have the system call: channels need macOS 10.15 or later"
        }
        Refusal::Memory => {
            "; the process may map no more memory: raise `ulimit -v` and `ulimit -d`, or use fewer or smaller slots. The \
             limits kern.sysv.shm* do not apply: segments are files"
        }
        Refusal::ProcessFiles => {
            "; this process has reached its limit of open files, 256 in a terminal, and an end of a channel takes one, \
             two while it is opened: raise `ulimit -n`"
        }
        Refusal::SystemFiles => {
            "; all processes together have as many files open: raise it with `sudo sysctl kern.maxfiles=…`"
        }
        Refusal::NoLocks => {
            "; the volume has no locks that belong to an open file, as network volumes: set SHMCOMM_DIR to a directory \
             of an APFS volume in all processes"
        }
        // The owner and the mode of the file or the directory, and the length of the path, tell more.
        Refusal::Access | Refusal::PathTooLong | Refusal::LockedMemory => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_a_cause_and_a_cure() {
        let numbers = [
            (libc::EROFS, "SHMCOMM_DIR"),
            (libc::EPERM, "App Sandbox"),
            (libc::ENOSYS, "macOS 10.15"),
            (libc::ENOMEM, "`ulimit -v`"),
            (libc::EMFILE, "`ulimit -n`"),
            (libc::ENFILE, "kern.maxfiles"),
            (libc::ENOLCK, "APFS"),
        ];
        for (number, cure) in numbers {
            let refusal = refusal(&io::Error::from_raw_os_error(number)).unwrap();
            let text = advice(refusal).unwrap();
            assert!(text.starts_with("; ") && text.contains(cure), "{text}");
        }
        let access = refusal(&io::Error::from_raw_os_error(libc::EACCES)).unwrap();
        assert_eq!((access, advice(access)), (Refusal::Access, None));
        assert_eq!(refusal(&io::Error::from_raw_os_error(libc::EBADF)), None);
    }
}
