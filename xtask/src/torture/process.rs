//! Processes: fork, signals, and their ends.
//!
//! Owns every child of this program. Calls the kernel; knows no role. Only processes that are listed
//! as children here are ever sent a signal.

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, kill_process, set_child_subreaper,
    set_parent_process_death_signal, setrlimit, wait,
};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Exit codes of workers.
pub const LEFT: i32 = 0;
/// The worker has recorded a complaint.
pub const COMPLAINED: i32 = 70;
/// The worker panicked at a fault point, as planned.
pub const PANICKED: i32 = 71;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Change of state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Signalled(i32),
    /// The child lives, and waits for SIGCONT.
    Stopped,
}

/// Makes this process the reaper of all its descendants. It leaves no core files, and ends in an orderly way
/// on Ctrl-C.
pub fn prepare() -> io::Result<()> {
    // The value does not matter: it is on or off.
    set_child_subreaper(Some(Pid::INIT))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic.
        unsafe { libc::signal(signal, interrupt as *const () as libc::sighandler_t) };
    }
    Ok(())
}

extern "C" fn interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Relaxed);
}

/// Returns `true` if a signal asked this process to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Relaxed)
}

/// Forks a copy of this process that runs `life` and exits with its result.
///
/// The program has one thread at each fork, so the copy is whole.
pub fn fork(life: impl FnOnce() -> i32) -> io::Result<Pid> {
    let parent = rustix::process::getpid();
    // SAFETY: this process has one thread, so no missing thread holds a lock in the copy.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if let Some(child) = Pid::from_raw(child) {
        return Ok(child);
    }
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have died before that call.
    if rustix::process::getppid() != Some(parent) {
        std::process::exit(LEFT);
    }
    std::process::exit(life());
}

pub fn kill(child: Pid) {
    let _ = kill_process(child, Signal::KILL);
}

pub fn stop(child: Pid) {
    let _ = kill_process(child, Signal::STOP);
}

pub fn go_on(child: Pid) {
    let _ = kill_process(child, Signal::CONT);
}

/// Returns the next child that ended or was stopped, if there is one.
pub fn next_end() -> Option<(Pid, End)> {
    let (child, status) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED).ok()??;
    Some((child, end(status)))
}

/// Waits for the end of one child.
pub fn outlive(child: Pid) -> Option<End> {
    let (_, status) = rustix::process::waitpid(Some(child), WaitOptions::empty()).ok()??;
    Some(end(status))
}

fn end(status: WaitStatus) -> End {
    if status.stopped() {
        End::Stopped
    } else if let Some(signal) = status.terminating_signal() {
        End::Signalled(signal)
    } else {
        End::Exited(status.exit_status().unwrap_or(-1))
    }
}
