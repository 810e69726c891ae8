//! [`part`]: this test program, started as another process with one task (a part). Also the environments of
//! such a process: namespaces of the kernel, another directory for segments.
//!
//! A test file lists its parts and has a test `part` that runs them:
//!
//! ```no_run
//! use shmcomm_tests::{namespace, say, stage};
//!
//! fn greeter() {
//!     say("hello");
//!     stage::wait();
//! }
//!
//! // With `#[test]`: where it is not told to play a part, it passes at once.
//! fn part() {
//!     stage::play(&[("greeter", greeter)]);
//! }
//!
//! let ns = namespace("greets");
//! assert_eq!(stage::part("greeter", &ns).said(), "hello");
//! ```

use crate::{Namespace, Peer, program};
use std::ffi::OsStr;
use std::fmt::Display;
use std::panic::Location;
use std::path::Path;
use std::process::Command;
// Here and below: namespaces and mounts, which Windows does not have.
#[cfg(unix)]
use std::process::Stdio;

const PART: &str = "SHMCOMM_TEST_PART";

/// Runs the part that the environment names and ends the process, or does nothing.
pub fn play(parts: &[(&str, fn())]) {
    let Ok(wanted) = std::env::var(PART) else { return };
    let (_, play) = parts.iter().find(|(name, _)| *name == wanted).expect("a part of this file");
    play();
    std::process::exit(0);
}

/// Prints a line for the test.
pub fn say(line: impl Display) {
    // At the start of a new line, whatever the test harness has printed.
    println!("\n> {line}");
}

/// Waits until the test sends a line; ends the process if the test has closed the pipe.
pub fn wait() {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
}

/// Starts this test program in another process, as `name` in the list that the test `part` of the calling file runs.
#[track_caller]
pub fn part(name: &str, namespace: &Namespace) -> Peer {
    Peer::spawn(command(name, namespace))
}

/// Starts this test program in another process, as `name` in the list that the test `test` runs, by its full name.
pub fn part_of(test: &str, name: &str, namespace: &Namespace) -> Peer {
    let mut command = only(test);
    command.env(PART, name).env("SHMCOMM_NAMESPACE", &**namespace);
    Peer::spawn(command)
}

/// Starts the part under a program such as `unshare`, with its arguments.
#[track_caller]
pub fn part_under(wrapper: &[String], name: &str, namespace: &Namespace) -> Peer {
    let inner = command(name, namespace);
    let mut command = Command::new(&wrapper[0]);
    command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    Peer::spawn(command)
}

/// Returns the command that starts a part. The caller may change it.
#[track_caller]
pub fn command(name: &str, namespace: &Namespace) -> Command {
    let mut command = only(&sibling("part"));
    command.env(PART, name).env("SHMCOMM_NAMESPACE", &**namespace);
    command
}

/// Returns the full name of the test `name` in the calling file: `pubsub::part` in `ends/pubsub.rs`.
///
/// The files of a group are modules of one test program, and each may have a test of that name. A file directly in
/// `tests/` is a test program by itself.
#[track_caller]
pub fn sibling(name: &str) -> String {
    let file = Path::new(Location::caller().file());
    let module = file.file_stem().and_then(OsStr::to_str).expect("a source file");
    let is_program = module == "main" || file.parent().is_some_and(|folder| folder.ends_with("tests"));
    if is_program { name.to_owned() } else { format!("{module}::{name}") }
}

/// Returns the command that runs one test of this program, by its full name, in another process.
pub fn only(test: &str) -> Command {
    let mut command = program(std::env::current_exe().expect("a test knows its own path"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// Returns the command that puts a process into its own namespaces, such as `["--mount"]`, if that is
/// possible here. Otherwise prints a clear message and returns `None`. With `CI=true` it panics instead of
/// skipping.
#[cfg(unix)]
pub fn unshare(namespaces: &[&str]) -> Option<Vec<String>> {
    let mut command = vec!["unshare".to_owned()];
    if !is_root() {
        command.push("--map-root-user".to_owned());
    }
    command.extend(namespaces.iter().map(|&flag| flag.to_owned()));
    let mut probe = Command::new(&command[0]);
    probe.args(&command[1..]).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok_and(|status| status.success()) {
        return Some(command);
    }
    skip(&format!("`{}` is not possible here", command.join(" ")));
    None
}

/// Returns a command like [`unshare`], with a separate file system for segments: a tmpfs of that many bytes,
/// mounted over `dir` while the process lives. The process finds it in `SHMCOMM_DIR`.
#[cfg(unix)]
pub fn own_tmpfs(dir: &std::path::Path, size: &str, then: &str) -> Option<Vec<String>> {
    own_mount(
        dir,
        &format!("mount -t tmpfs -o size={size},mode=700 tmpfs \"$0\" && SHMCOMM_DIR=\"$0\" && {then}"),
    )
}

/// Returns a command like [`unshare`], with a shell script that mounts a file system below `dir`, which is
/// `$0` there, and sets `SHMCOMM_DIR`. The mounts end with the process.
#[cfg(unix)]
pub fn own_mount(dir: &std::path::Path, script: &str) -> Option<Vec<String>> {
    let mut command = unshare(&["--mount"])?;
    let script = format!("{script} && export SHMCOMM_DIR && exec \"$@\"");
    command.extend(["sh".into(), "-c".into(), script, dir.display().to_string()]);
    Some(command)
}

/// Returns `true` if this system can wait for many futexes in one call: Linux 5.16 and later can. An emulator such as
/// qemu-user may not know the call.
#[cfg(target_os = "linux")]
pub fn waits_for_many_futexes() -> bool {
    // SAFETY: the kernel refuses an empty list before it reads anything.
    let result = unsafe { libc::syscall(libc::SYS_futex_waitv, 0, 0, 0, 0, 0) };
    result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}

/// Forbids this process permanently the system call that waits for several futexes at once, like a sandbox
/// that does not know it.
#[cfg(target_os = "linux")]
pub fn forbid_futex_waitv() {
    if !waits_for_many_futexes() {
        return;
    }
    forbid(&[libc::SYS_futex_waitv], libc::EPERM);
}

/// Does nothing: other systems do not have that call.
#[cfg(not(target_os = "linux"))]
pub fn forbid_futex_waitv() {}

/// Forbids this process permanently some system calls, which fail with `errno` from now on.
#[cfg(target_os = "linux")]
pub fn forbid(calls: &[libc::c_long], errno: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, yes, k| libc::sock_filter { code, jt: yes, jf: 0, k };
    // The number of the call is the first word of a filter's input.
    let mut filter = vec![step(LOAD, 0, 0)];
    for (at, &call) in calls.iter().enumerate() {
        // Jumps to the last step, over the other comparisons and the step that allows.
        filter.push(step(JUMP, (calls.len() - at) as u8, call as u32));
    }
    filter.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(step(RETURN, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: sets a flag of this process.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the program, which lives for the call.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!((promised, done), (0, 0), "{}", std::io::Error::last_os_error());
}

/// Returns `true` if this process runs as the superuser, which Windows does not have.
#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Prints a clear message that something was not tested; fails with `CI=true`.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{why}, and nothing is skipped with CI=true: run it as root, outside of a sandbox"
    );
    eprintln!("\n!!!! SKIPPED: {why}\n");
}
