//! Ends or stops this process at a fault point, as if another process had done it.
//!
//! Owns two signals to the own process. Compiled only under `cfg(shmcomm_fault)`.

#[cfg(target_os = "linux")]
use rustix::process::{Signal, getpid, kill_process};

/// Ends this process as `kill -9` does.
#[cfg(target_os = "linux")]
pub(crate) fn kill_self() {
    let _ = kill_process(getpid(), Signal::KILL);
}

/// Stops this process until another process sends SIGCONT.
#[cfg(target_os = "linux")]
pub(crate) fn stop_self() {
    let _ = kill_process(getpid(), Signal::STOP);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_self() {
    std::process::abort();
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stop_self() {}
