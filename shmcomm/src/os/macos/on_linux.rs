//! The functions of macOS that Linux uses with `--cfg shmcomm_macos`, for tests of all layers above.
//!
//! Owns the refusals that macOS has. Calls `unnamed`.

pub(crate) use super::super::unsupported::{holders_of_removed, open_of_process, pid_namespace, python_dir};
pub(crate) use super::unnamed::{create_unnamed, link, reopen, replace_name, take_name, unlink};

/// Largest number of words that one call can wait for.
pub(crate) const FUTEXES: usize = 1;

/// Returns `false`.
pub(crate) fn waits_for_many() -> bool {
    false
}
