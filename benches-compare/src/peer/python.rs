//! shm-comm 1.0.0, the library in Python: a Python process at each end, controlled by ours.
//!
//! Owns the virtual environment under this workspace's `target/`, made by the first run. Without Python, or
//! without a network the first time, the rows are left out, with a message.

use crate::Result;
use crate::case::{Burst, Ended, Entry, Outcome, Place, Way};
use hdrhistogram::Histogram;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

const PACKAGE: &str = "shm-comm==1.0.0";

/// An interpreter that has the library.
pub struct Venv(PathBuf);

impl Venv {
    /// Returns the interpreter, or `None` if it cannot be set up.
    pub fn get() -> Option<&'static Venv> {
        static VENV: OnceLock<Option<Venv>> = OnceLock::new();
        VENV.get_or_init(|| {
            let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python");
            let python = home.join("bin/python");
            let made = home.join("made-for");
            if std::fs::read_to_string(&made).is_ok_and(|package| package == PACKAGE) {
                return Some(Venv(python));
            }
            let run = |program: &Path, args: &[&str]| {
                let status =
                    Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
                status.is_ok_and(|status| status.success())
            };
            let there = run(Path::new("python3"), &["-m", "venv", &home.to_string_lossy()])
                && run(&python, &["-m", "pip", "install", "-q", "--disable-pip-version-check", PACKAGE]);
            (there && std::fs::write(made, PACKAGE).is_ok()).then_some(Venv(python))
        })
        .as_ref()
    }
}

/// A process in Python.
pub struct Script {
    child: Child,
    tell: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Script {
    /// Starts the process in a role of `ends.py`, and waits until its end is open.
    pub fn start(venv: &Venv, place: &Place, role: &str) -> Result<Self> {
        let mut child = Command::new(&venv.0)
            .args(["-c", include_str!("ends.py"), role, &place.name, if place.leads { "0" } else { "1" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let tell = child.stdin.take().ok_or("no input")?;
        let hear = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut script = Script { child, tell, hear };
        script.answer()?;
        Ok(script)
    }

    /// Runs a burst in the process, and returns its output: nanoseconds of each message, or nothing.
    pub fn ask(&mut self, burst: Burst) -> Result<Vec<u64>> {
        writeln!(self.tell, "{} {}", burst.from, burst.count)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Vec<u64>> {
        let mut line = String::new();
        if self.hear.read_line(&mut line)? == 0 {
            return Err("the process in Python ended".into());
        }
        Ok(line.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The process ends at the end of its input, which an empty line stands for, and removes its segment.
        let _ = writeln!(self.tell);
        let _ = self.child.wait();
    }
}

/// Makes the entry of publish/subscribe round trips, with the waiting of the library itself.
pub fn echo_entry(burst: u64) -> Option<Entry> {
    let venv = Venv::get()?;
    Some(Entry::new("Python shm-comm", burst, move |place| {
        Ok(Box::new(Echo(Script::start(venv, place, if place.leads { "ping" } else { "pong" })?)))
    }))
}

struct Echo(Script);

impl Way for Echo {
    fn lead(&mut self, burst: Burst) -> Result<Outcome> {
        let mut samples = Histogram::new(3)?;
        for round_trip in self.0.ask(burst)? {
            samples.record(round_trip / 2)?;
        }
        Ok(Outcome::Samples(samples))
    }

    fn follow(&mut self, burst: Burst) -> Result<Ended> {
        self.0.ask(burst)?;
        Ok(Ended::now())
    }
}
