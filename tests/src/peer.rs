//! [`Peer`]: another process, for one test.

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::io::{BufRead, BufReader, Lines, Write};
use std::ops::Deref;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;

/// A namespace for one test: its names never collide with those of parallel tests, of other runs and of a
/// user's programs. When it is dropped, it removes the segments that killed processes left in it.
pub struct Namespace(String);

/// Returns a namespace for the test of that name.
pub fn namespace(test: &str) -> Namespace {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    Namespace(format!("test-{}-{}-{test}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
}

impl Deref for Namespace {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Display for Namespace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let prefix = format!("{self}/");
        for segment in shmcomm::list_segments().unwrap_or_default() {
            if segment.channel.starts_with(&prefix) {
                let _ = shmcomm::force_unlink(&segment.channel);
            }
        }
        remove_queue_locks(self);
    }
}

/// Removes the lock files of queues with Python whose names start with `prefix`. A puller leaves its file, because
/// another process may hold the lock.
pub fn remove_queue_locks(prefix: &str) {
    let prefix = format!("shmcomm_shmcomm_push_{prefix}");
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".lock"))
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Returns the command that runs the program at `path`. The variable `SHMCOMM_TEST_RUNNER` may give an
/// emulator with its arguments; the command then starts with it.
///
/// Cargo starts a test program for another processor under its `runner`. The kernel cannot start the
/// processes of such a test without the emulator.
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let runner = std::env::var("SHMCOMM_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    match words.next() {
        None => Command::new(path),
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.args(words).arg(path);
            command
        }
    }
}

/// A running process: the program `peer`, or a [part](crate::stage::part). It is killed when this is dropped.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    /// `None` if a thread forwards the lines.
    output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Peer {
    /// Starts the program at `path` (`env!("CARGO_BIN_EXE_peer")`) with a role and its arguments.
    pub fn start(path: &str, namespace: &str, arguments: &[&str]) -> Self {
        let mut command = program(path);
        command.args(arguments).env("SHMCOMM_NAMESPACE", namespace);
        Self::spawn(command)
    }

    /// Starts a command.
    pub fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the peer starts");
        let input = child.stdin.take().expect("piped");
        let output = Some(BufReader::new(child.stdout.take().expect("piped")).lines());
        Peer { child, input, output }
    }

    /// Starts a peer like [`Peer::start`]; its lines go to `sink` as they arrive.
    pub fn start_into(path: &str, namespace: &str, arguments: &[&str], sink: Sender<String>) -> Self {
        let mut peer = Self::start(path, namespace, arguments);
        if let Some(output) = peer.output.take() {
            // The thread ends with the process, or with the receiver.
            std::thread::spawn(move || {
                for line in output.map_while(Result::ok) {
                    if sink.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        peer
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next line that it prints.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let output = self.output.as_mut().expect("its lines come here");
        output.next().expect("the peer prints another line").expect("the line is text")
    }

    /// Returns the next line that it [`say`](crate::say)s and skips its other output. Returns an empty string
    /// if it ends first.
    pub fn said(&mut self) -> String {
        let output = self.output.as_mut().expect("its lines come here");
        let mut said =
            output.map_while(Result::ok).filter_map(|line| line.strip_prefix("> ").map(str::to_owned));
        said.next().unwrap_or_default()
    }

    /// Waits until it prints `expected`.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    /// Writes a line to its input.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the peer listens");
    }

    /// Returns `true` if it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("the peer is ours").is_some()
    }

    /// Kills it (SIGKILL, on Windows TerminateProcess), and waits until it has ended.
    pub fn kill(mut self) {
        self.child.kill().expect("the peer was running");
        self.child.wait().expect("the peer is ours");
    }

    /// Sends it a signal by number, such as `libc::SIGSTOP`. Windows has no signals.
    #[cfg(unix)]
    pub fn signal(&self, signal: i32) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let signal = rustix::process::Signal::from_named_raw(signal).expect("a signal");
        rustix::process::kill_process(pid, signal).expect("the peer is running");
        // The call returns before the other process has stopped, so this call waits for that.
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
        };
        while signal == rustix::process::Signal::STOP && !matches!(state(), Some('T' | 'Z') | None) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Waits until it ends.
    pub fn finish(mut self) -> ExitStatus {
        self.child.wait().expect("the peer is ours")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
