//! [`CURES`]: the parts of error texts that differ between systems.
//!
//! Owns the texts. Calls nothing. Never decides which error there is.

/// Causes and cures of errors, as this system calls them. Each text is a part of a sentence.
pub(crate) struct Cures {
    /// The directory cannot have files without names.
    pub(crate) no_unnamed_files: &'static str,
    /// The directory does not exist.
    pub(crate) no_directory: &'static str,
    /// The file system has no locks, or does not show them to other processes.
    pub(crate) no_locks: &'static str,
    /// The file system cannot reserve bytes.
    pub(crate) no_reservation: &'static str,
    /// The file system is full. Follows "or".
    pub(crate) full: &'static str,
    /// The file is larger than the system permits.
    pub(crate) too_large: &'static str,
    /// The system has no memory. Follows "or".
    pub(crate) no_memory: &'static str,
    /// The tools that stop a process. Follows "by".
    pub(crate) stops: &'static str,
    /// The programs that remove the file of a segment that is in use. Follows "by".
    pub(crate) removes: &'static str,
    /// The reason why two processes may have two directories of segments.
    pub(crate) two_directories: &'static str,
}

#[cfg(not(any(target_os = "windows", target_os = "macos")))]
pub(crate) const CURES: Cures = Cures {
    no_unnamed_files: "it takes a directory of a file system that can do that, such as tmpfs: mount one there, or set \
                       SHMCOMM_DIR in all processes",
    no_directory: "mount a tmpfs there, or set SHMCOMM_DIR to another directory in all processes",
    no_locks: "mount a tmpfs there, or set SHMCOMM_DIR to a directory of a tmpfs in all processes",
    no_reservation: "use tmpfs, or another directory in SHMCOMM_DIR",
    full: "give the file system more (`mount -o remount,size=…`, in a container `--shm-size`)",
    too_large: "raise the limit (`ulimit -f`), or use fewer or smaller slots",
    no_memory: "raise the memory limit of the control group",
    stops: "a debugger or SIGSTOP",
    removes: "`rm`, or by systemd's RemoveIPC when the user logged out",
    two_directories: "A container has a /dev/shm of its own",
};

#[cfg(target_os = "windows")]
pub(crate) const CURES: Cures = Cures {
    no_unnamed_files: "it takes a directory of a local NTFS volume: create it, or set SHMCOMM_DIR in all processes",
    no_directory: "create it, or set SHMCOMM_DIR to another directory in all processes",
    no_locks: "set SHMCOMM_DIR to a directory of a local NTFS volume in all processes",
    no_reservation: "set SHMCOMM_DIR to a directory of a local NTFS volume in all processes",
    full: "delete other files of the volume",
    too_large: "FAT32 has files of at most 4 GiB: set SHMCOMM_DIR to a directory of an NTFS volume in all processes, or \
                use fewer or smaller slots",
    no_memory: "raise the memory limit of the job object",
    stops: "a debugger",
    removes: "a program that moved it",
    two_directories: "Each user and each container has a directory of its own",
};

#[cfg(target_os = "macos")]
pub(crate) const CURES: Cures = Cures {
    no_unnamed_files: "create it, or set SHMCOMM_DIR to a directory of an APFS volume in all processes",
    no_directory: "create it, or set SHMCOMM_DIR to another directory in all processes",
    no_locks: "set SHMCOMM_DIR to a directory of a local APFS volume in all processes",
    no_reservation: "set SHMCOMM_DIR to a directory of a local APFS volume in all processes",
    full: "free some of the volume, or set SHMCOMM_DIR to a directory of another one in all processes",
    too_large: "raise the limit (`ulimit -f`), or use fewer or smaller slots",
    no_memory: "end other programs",
    stops: "a debugger or SIGSTOP",
    removes: "`rm`, or by a program that cleans caches",
    two_directories: "Another user and a program in the App Sandbox have directories of their own",
};
