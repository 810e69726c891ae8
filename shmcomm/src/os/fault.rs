//! Ends or stops this process at a fault point, as if another process had done it.
//!
//! Owns two signals to the own process. Compiled only under `cfg(shmcomm_fault)`.

#[cfg(any(target_os = "linux", target_os = "macos"))]
use rustix::process::{Signal, getpid, kill_process};

/// Ends this process as `kill -9` does.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn kill_self() {
    let _ = kill_process(getpid(), Signal::KILL);
}

/// Stops this process until another process sends SIGCONT.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn stop_self() {
    let _ = kill_process(getpid(), Signal::STOP);
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn kill_self() {
    std::process::abort();
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn stop_self() {}
