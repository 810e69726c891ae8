//! [`part`]: this test program once more, as another process with one part to play; and what such a process
//! may be put into: namespaces of the kernel, another working directory for segments.
//!
//! A test file lists its parts and has a test that plays them:
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

use crate::{Namespace, Peer};
use std::fmt::Display;
use std::process::{Command, Stdio};

const PART: &str = "SHMCOMM_TEST_PART";

/// Plays the part that the environment names and ends the process, or does nothing.
pub fn play(parts: &[(&str, fn())]) {
    let Ok(wanted) = std::env::var(PART) else { return };
    let (_, play) = parts.iter().find(|(name, _)| *name == wanted).expect("a part of this file");
    play();
    std::process::exit(0);
}

/// Says a line to the test.
pub fn say(line: impl Display) {
    // At the start of a line of its own, whatever the test harness has printed.
    println!("\n> {line}");
}

/// Waits for the test to say something; ends the process where it has nothing more to say.
pub fn wait() {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
}

/// Starts this test program in another process, as `name` of the list that its test `part` plays.
pub fn part(name: &str, namespace: &Namespace) -> Peer {
    Peer::spawn(command(name, namespace))
}

/// The same under a program such as `unshare`, with its arguments.
pub fn part_under(wrapper: &[String], name: &str, namespace: &Namespace) -> Peer {
    let inner = command(name, namespace);
    let mut command = Command::new(&wrapper[0]);
    command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    Peer::spawn(command)
}

/// What starts a part, to be changed before it is started.
pub fn command(name: &str, namespace: &Namespace) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its own path"));
    command.args(["part", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PART, name).env("SHMCOMM_NAMESPACE", &**namespace);
    command
}

/// The command that puts a process into namespaces of its own, such as `["--mount"]`, where that is possible
/// here; else says so, loudly. With `CI=true` nothing is skipped: then it panics.
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

/// Like [`unshare`], with a file system of its own for segments: a tmpfs of that many bytes, mounted over
/// `dir` as long as the process lives. The process finds it in `SHMCOMM_DIR`.
pub fn own_tmpfs(dir: &std::path::Path, size: &str, then: &str) -> Option<Vec<String>> {
    let mut command = unshare(&["--mount"])?;
    let script = format!(
        "mount -t tmpfs -o size={size},mode=700 tmpfs \"$0\" && export SHMCOMM_DIR=\"$0\" && {then} && exec \"$@\""
    );
    command.extend(["sh".into(), "-c".into(), script, dir.display().to_string()]);
    Some(command)
}

/// Forbids this process, for good, the system call that waits for many futexes at once: as a sandbox that
/// has not heard of it does.
#[cfg(target_os = "linux")]
pub fn forbid_futex_waitv() {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, yes, k| libc::sock_filter { code, jt: yes, jf: 0, k };
    let mut filter = [
        // The number of the call is the first word of what a filter sees.
        step(LOAD, 0, 0),
        step(JUMP, 1, libc::SYS_futex_waitv as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: sets a flag of this process.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the program, which lives for the call.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!((promised, done), (0, 0), "{}", std::io::Error::last_os_error());
}

/// Whether this process may do what only the superuser may.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says loudly that something was not tested; fails with `CI=true`.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{why}, and nothing is skipped with CI=true: run it as root, outside of a sandbox"
    );
    eprintln!("\n!!!! SKIPPED: {why}\n");
}
