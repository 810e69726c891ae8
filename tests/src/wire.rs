//! The common parts of the tests on a live channel with Python: names, child processes that talk in lines,
//! and the programs under `tests/python/`.
//!
//! Owns the children: dropping one ends it. Calls the Python that [`crate::python`] prepares.

use crate::python::Python;
use crate::stage;
use shmcomm::python::Options;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(60);

/// A channel that no other test has, cleared away at the end.
#[derive(Debug)]
pub struct Name(pub String);

impl Name {
    pub fn new(test: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = Name(format!("wire-{}-{count}-{test}", std::process::id()));
        name.clear();
        name
    }

    fn clear(&self) {
        for entry in std::fs::read_dir("/dev/shm").unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().into_string().unwrap_or_default();
            let rest = file.strip_prefix("shmcomm_").and_then(|rest| rest.split_once(['_', '~']));
            if rest.is_some_and(|(_, name)| name.split('~').next() == Some(&self.0)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let _ =
            std::fs::remove_file(std::env::temp_dir().join(format!("shmcomm_shmcomm_push_{}.lock", self.0)));
    }

    pub fn pubsub(&self) -> Options {
        Options { connect_timeout: LONG, ..Options::pubsub(self.0.clone()) }
    }

    pub fn reqrep(&self) -> Options {
        Options { connect_timeout: LONG, ..Options::reqrep(self.0.clone()) }
    }

    pub fn pushpull(&self) -> Options {
        Options { connect_timeout: LONG, ..Options::pushpull(self.0.clone()) }
    }

    /// Waits until the resource tracker of a Python process that was killed has removed a name: it would
    /// remove that of the next process, too.
    pub fn wait_until_gone(&self, kind: &str) {
        let start = std::time::Instant::now();
        while self.file(kind).exists() {
            assert!(start.elapsed() < LONG, "{} stays", self.file(kind).display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until an owner has brought back a name that the tracker of a client removed.
    pub fn wait_until_back(&self, kind: &str) {
        let start = std::time::Instant::now();
        while !self.file(kind).exists() {
            assert!(start.elapsed() < LONG, "{} did not come back", self.file(kind).display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn file(&self, kind: &str) -> PathBuf {
        PathBuf::from(format!("/dev/shm/shmcomm_{kind}_{}", self.0))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A process that reads and writes lines.
pub struct Talker {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Talker {
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the process starts");
        let output = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Talker { input: child.stdin.take(), child, lines }
    }

    /// A program from `tests/python/`.
    pub fn python(python: &Python, program: &str, arguments: &[&str]) -> Self {
        // The trackers say at every exit that they take the segment for a leak.
        let quiet = ("PYTHONWARNINGS", "ignore::UserWarning");
        Self::start(python.command().env(quiet.0, quiet.1).arg(program_path(program)).args(arguments))
    }

    /// This test program again, as the role that `SHMCOMM_ROLE` names: see the test `role`.
    #[track_caller]
    pub fn rust(role: &str, name: &Name) -> Self {
        let mut command = stage::only(&stage::sibling("role"));
        Self::start(command.env("SHMCOMM_ROLE", role).env("SHMCOMM_CHANNEL", &name.0))
    }

    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("still open");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("the process reads");
    }

    /// The next line. (What the test harness prints around a role is passed over.)
    pub fn line(&mut self) -> String {
        loop {
            let line = self.lines.recv_timeout(LONG).expect("the process answers");
            if !(line.is_empty() || line.starts_with("running ") || line.starts_with("test ")) {
                return line;
            }
        }
    }

    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    pub fn number(&mut self) -> u64 {
        let line = self.line();
        line.parse().unwrap_or_else(|_| panic!("`{line}` is no number"))
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Closes its input and waits for its end.
    pub fn finish(mut self) {
        drop(self.input.take());
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn program_path(program: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python").join(program)
}

/// The number that a message of [`numbered`] carries; panics if it is torn.
pub fn number_of(message: &[u8]) -> u64 {
    let number = u64::from_le_bytes(message[..8].try_into().unwrap());
    let torn = message.chunks_exact(8).position(|word| word != &message[..8]);
    assert_eq!(torn, None, "message {number} of {} bytes is torn", message.len());
    number
}

pub fn numbered(number: u64, words: usize) -> Vec<u8> {
    number.to_le_bytes().repeat(words)
}
