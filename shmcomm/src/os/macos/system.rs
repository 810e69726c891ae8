//! Directories, sizes and clocks on macOS.
//!
//! Owns the system calls for them. Calls `session` for the default directory, and `unix`. Never interprets the contents
//! of a file.

use super::session;
use crate::os::File;
use crate::os::unix::file_size_limit;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Reason why parts of the library are refused here.
pub(crate) const REASON: &str = "macOS has no channels with Python's shm-comm 1.0.0, and no access to the open files of \
     another process; native channels work";

/// `true` if the file system takes `a` and `A` for one name, and drops a dot at the end of a name. APFS does the first,
/// unless it is formatted otherwise.
pub(crate) const FOLDS_NAMES: bool = true;

/// Returns the default directory of segments. Creates it for this user alone if it does not exist.
pub(crate) fn default_dir() -> io::Result<PathBuf> {
    session::directory(&caches()?, &boot_session()?)
}

/// Returns the user's directory for caches, such as `/var/folders/zz/…/C`. The system creates it.
fn caches() -> io::Result<PathBuf> {
    let mut path = [0u8; libc::PATH_MAX as usize];
    // SAFETY: room for that many bytes.
    let len = unsafe { libc::confstr(libc::_CS_DARWIN_USER_CACHE_DIR, path.as_mut_ptr().cast(), path.len()) };
    match CStr::from_bytes_until_nul(&path) {
        Ok(path) if len > 0 && len <= libc::PATH_MAX as usize => {
            Ok(OsStr::from_bytes(path.to_bytes()).into())
        }
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "the user has no directory for caches (`confstr`)")),
    }
}

/// Returns the identifier of this start of the system.
fn boot_session() -> io::Result<String> {
    let mut text = [0u8; 64];
    let mut len = text.len();
    // SAFETY: the name ends with a zero, and there is room for `len` bytes.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    if result != 0 {
        let error = io::Error::last_os_error();
        return Err(io::Error::new(error.kind(), format!("kern.bootsessionuuid cannot be read: {error}")));
    }
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    Ok(text.to_string_lossy().into_owned())
}

/// Sets the length of `file` to `len` zero bytes and allocates their blocks on the volume. A block that is missing would
/// raise SIGBUS on a full volume.
///
/// Returns `FileTooLarge` beyond the limit of the process (`RLIMIT_FSIZE`), before the kernel sends SIGXFSZ, which
/// kills the process.
pub(crate) fn reserve(file: &File, len: u64) -> io::Result<()> {
    if file_size_limit().is_some_and(|limit| len > limit) {
        return Err(Errno::FBIG.into());
    }
    let disk = rustix::fs::fstatfs(file)?;
    if len > free(&disk) {
        return Err(Errno::NOSPC.into());
    }
    Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len)?)
}

/// Does nothing: [`reserve`] has allocated the blocks.
pub(crate) fn back(_file: &File, _len: u64) -> io::Result<()> {
    Ok(())
}

/// Returns the number of bytes that the file system of `dir` still has for this user.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    // The numbers of `statvfs` have 32 bits here.
    Ok(free(&rustix::fs::statfs(dir)?))
}

fn free(disk: &rustix::fs::StatFs) -> u64 {
    disk.f_bavail.saturating_mul(disk.f_bsize.into())
}

unsafe extern "C" {
    /// Nanoseconds of a clock (`clock_gettime_nsec_np(3)`, macOS 10.12). Zero if there is no such clock.
    safe fn clock_gettime_nsec_np(clock: libc::clockid_t) -> u64;
}

/// Returns nanoseconds of a clock that never jumps and that all processes share. It stops while the machine sleeps.
pub(crate) fn monotonic() -> u64 {
    clock_gettime_nsec_np(libc::CLOCK_UPTIME_RAW)
}

/// Returns [`monotonic`] as of the last time at which the kernel stored it, for a part of its price.
#[inline]
pub(crate) fn monotonic_coarse() -> u64 {
    clock_gettime_nsec_np(libc::CLOCK_UPTIME_RAW_APPROX)
}

/// Returns the name of this program, without its path.
pub(crate) fn process_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
