//! [`Peer`]: another process, for one test.

use std::fmt::{self, Display, Formatter};
use std::io::{BufRead, BufReader, Lines, Write};
use std::ops::Deref;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;

/// A namespace of a test's own: names of parallel tests, of other runs and of a user's programs
/// never meet. What is left in it, by processes that were killed, is removed when it is dropped.
pub struct Namespace(String);

/// The namespace of the test of that name.
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
    }
}

/// A running process: the program `peer`, or a [part](crate::stage::part). It is killed when this is dropped.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    /// Gone if it goes elsewhere.
    output: Option<Lines<BufReader<ChildStdout>>>,
}

impl Peer {
    /// Starts the program at `path` (`env!("CARGO_BIN_EXE_peer")`) with a role and its arguments.
    pub fn start(path: &str, namespace: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
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

    /// Like [`Peer::start`]; its lines go to `sink` as they come.
    pub fn start_into(path: &str, namespace: &str, arguments: &[&str], sink: Sender<String>) -> Self {
        let mut peer = Self::start(path, namespace, arguments);
        if let Some(output) = peer.output.take() {
            // Ends with the process, or with the receiver.
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

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line it prints.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let output = self.output.as_mut().expect("its lines come here");
        output.next().expect("the peer prints another line").expect("the line is text")
    }

    /// The next line that it [`say`](crate::say)s, whatever else it prints; empty if it ends first.
    pub fn said(&mut self) -> String {
        let output = self.output.as_mut().expect("its lines come here");
        let mut said =
            output.map_while(Result::ok).filter_map(|line| line.strip_prefix("> ").map(str::to_owned));
        said.next().unwrap_or_default()
    }

    /// Waits for it to print `expected`.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    /// Says something to it.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the peer listens");
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("the peer is ours").is_some()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("the peer was running");
        self.child.wait().expect("the peer is ours");
    }

    /// Sends it a signal by number, such as 19 (SIGSTOP) or 18 (SIGCONT).
    #[cfg(unix)]
    pub fn signal(&self, signal: i32) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let signal = rustix::process::Signal::from_named_raw(signal).expect("a signal");
        rustix::process::kill_process(pid, signal).expect("the peer is running");
        // The call returns before the other process has stopped: it may do a lot meanwhile.
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
        };
        while signal == rustix::process::Signal::STOP && !matches!(state(), Some('T' | 'Z') | None) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Waits for its end.
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
