//! [`World`]: a directory for segments, the processes at its channels, and the command line in it.

use crate::{doctor, group, world};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use shmcomm_tests::{Peer, namespace, stage};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn part() {
    stage::play(&[
        ("world", world::world),
        ("killed", world::killed),
        ("flood", world::flood),
        ("many", world::many),
        ("steady", world::steady),
        ("sandboxed", doctor::sandboxed),
        ("long", world::long),
        ("big", world::big),
        ("stamped", world::stamped),
        ("mirror", world::mirror),
        ("service", world::service),
        ("counting", world::counting),
        ("table", world::table),
        ("encoded", world::encoded),
        ("grown", world::grown),
        ("shared", group::shared),
    ]);
}

/// Returns the command that starts this program with a part.
pub fn command(part: &str) -> Command {
    let mut command = stage::command(part, &namespace("unused"));
    command.env("SHMCOMM_NAMESPACE", "");
    command
}

/// Longest time of a command: a test fails instead of waiting forever.
const LONGEST: &str = "60";

/// A directory for segments that no other test uses. It is removed with this value.
pub struct World {
    dir: PathBuf,
}

/// Result of a command.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl World {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/dev/shm/cli-test-{}-{number}", std::process::id()));
        fs::create_dir(&dir).expect("a new directory");
        World { dir }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a part of this program at the channels of this world, and waits until it says that it is ready.
    pub fn start(&self, part: &str) -> Peer {
        let mut command = command(part);
        command.env("SHMCOMM_DIR", &self.dir).stderr(Stdio::null());
        let mut peer = Peer::spawn(command);
        assert_eq!(peer.said(), "ready");
        peer
    }

    /// Returns the command line with arguments, in this world.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg(LONGEST).arg(env!("CARGO_BIN_EXE_shmcomm"));
        command.args(arguments).env("SHMCOMM_DIR", &self.dir);
        for variable in ["SHMCOMM_NAMESPACE", "NO_COLOR", "TERM", "COLUMNS", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the command line with its output in a pipe.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.feed(arguments, "")
    }

    /// Runs the command line with text on its standard input.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("the command ends");
        // The command may end before it has read everything.
        let _ = writer.join().expect("the writer ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the command writes UTF-8");
        Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the command line on a terminal of that many columns.
    pub fn on_terminal(&self, columns: u16, arguments: &[&str]) -> Run {
        self.on_terminal_with(columns, arguments, &[])
    }

    /// Runs the command line on a terminal, with further environment variables.
    pub fn on_terminal_with(&self, columns: u16, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let (mut master, slave) = terminal(columns);
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied()).env("TERM", "xterm");
        command.stdin(Stdio::null()).stdout(slave).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        // It holds the other end of the terminal.
        drop(command);
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        // The kernel returns an error when the last process has closed the terminal.
        while let Ok(len @ 1..) = master.read(&mut part) {
            bytes.extend(&part[..len]);
        }
        let mut err = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
        let code = child.wait().expect("the command ends").code();
        let out = String::from_utf8(bytes).expect("the command writes UTF-8").replace("\r\n", "\n");
        Run { code, out, err }
    }

    /// Runs the command line on a terminal of its own that also has keys: presses each when the text before it has
    /// been shown.
    #[cfg(feature = "tui")]
    pub fn with_keys(&self, arguments: &[&str], keys: &[(&str, &str)]) -> Run {
        let (mut master, slave) = terminal(100);
        let inner = self.command(arguments);
        // The terminal becomes that of the command, which reads it in the foreground.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", "timeout", "--foreground"]).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let stdin = slave.try_clone().expect("a terminal");
        command.env("TERM", "xterm").stdin(stdin).stdout(slave).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        drop(command);
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        let mut keys = keys.iter().peekable();
        let mut seen = 0;
        while let Ok(len @ 1..) = master.read(&mut part) {
            bytes.extend(&part[..len]);
            let shown = |text: &str| bytes[seen..].windows(text.len()).any(|piece| piece == text.as_bytes());
            if let Some((_, key)) = keys.next_if(|(text, _)| shown(text)) {
                seen = bytes.len();
                master.write_all(key.as_bytes()).expect("a terminal takes keys");
            }
        }
        let mut err = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
        let code = child.wait().expect("the command ends").code();
        Run { code, out: String::from_utf8_lossy(&bytes).into_owned(), err }
    }

    /// Writes a file into the directory of this world.
    pub fn file(&self, name: &str, content: &[u8]) {
        fs::write(self.dir.join(name), content).expect("the directory is writable");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(self.dir.join(name), mode).expect("the file is this user's");
    }
}

/// Returns both ends of a terminal of that many columns and 40 lines.
fn terminal(columns: u16) -> (fs::File, fs::File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("a terminal");
    unlockpt(&master).expect("a terminal");
    let name = ptsname(&master, Vec::new()).expect("a terminal has a name");
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).expect("a terminal has a size");
    let mut options = fs::File::options();
    options.read(true).write(true).custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32);
    let slave = options.open(name.to_str().expect("a path")).expect("the terminal opens");
    (fs::File::from(master), slave)
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Run {
    /// Returns the objects of JSON Lines.
    #[track_caller]
    pub fn objects(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }

    /// Returns everything that a snapshot keeps: output, diagnostics and exit code.
    pub fn all(&self) -> String {
        let code = self.code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let err = if self.err.is_empty() { String::new() } else { format!("--- stderr\n{}", self.err) };
        format!("{}{err}--- exit code {code}\n", self.out.replace('\x1b', "␛"))
    }
}

/// Compares a run with its snapshot, with stable words in place of numbers that vary.
macro_rules! snapshot {
    ($name:expr, $run:expr) => {
        $crate::support::settings().bind(|| insta::assert_snapshot!($name, $run.all()))
    };
}
pub(crate) use snapshot;

/// Returns the replacements of what varies between runs.
pub fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, word) in [
        (r"/dev/shm/cli-test-[0-9-]+", "[DIR]"),
        (r"cli-[0-9a-f]{6,16}", "[process]"),
        (r#""pid":[0-9]+"#, r#""pid":[PID]"#),
        (r"\[process\] \([0-9]+\)", "[process] ([PID])"),
        (r"\[process\](\s+)[0-9]+", "[process]$1[PID]"),
        (
            r#""(joined|created|rate|oldest_s|stale_at_most_s|window_s|hz|hz_10s|bytes_per_s|bytes_per_s_10s|jitter_p50_us|jitter_p99_us|jitter_samples|p50_ns|p99_ns|per_second|observed)":[0-9.e+-]+"#,
            r#""$1":[N]"#,
        ),
        (r#""jitter_p(50|99)_us":null"#, r#""jitter_p$1_us":[N]"#),
        (r"[0-9]+(\.[0-9]+)? [kMG]?/s", "[RATE]"),
        (r"[0-9.]+ [KMG]?B/s", "[BYTES/s]"),
        (
            r"[0-9][0-9 ]*(\.[0-9]+)? Hz \(1 s\)  [0-9][0-9 ]*(\.[0-9]+)? \(10 s\)",
            "[HZ] Hz (1 s)  [HZ] (10 s)",
        ),
        (r"   jitter p50 [0-9.]+ [µmn]?s p99 [0-9.]+ [µmn]?s \(sampled\)", "   [JITTER]"),
        (r"[0-9.]+ (ns|µs|ms|s|min)( ago)?\b", "[TIME]$2"),
        (r"\t[0-9]+\.[0-9]{1,3}\t", "\t[N]\t"),
        (r"0x[0-9a-f]{16}", "[FINGERPRINT]"),
        (r"of [0-9.]+ [KMGT]?B are free", "of [SIZE] are free"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?", "[STAMP]"),
        (r"[0-9.]+ [KMG]?B in all", "[SIZE] in all"),
        (r": shm[a-z]*…", ": shm…"),
        (r"\([0-9]+ messages?\)", "([N] messages)"),
        (r"(?m)^([0-9]+),[0-9]{10}\.[0-9]{6},", "$1,[N],"),
        (r"  +", "  "),
        (r"(Imu\s+16\s+)[0-9 ]+(\s+\[RATE\]|\t\[N\])", "$1[SENT]$2"),
    ] {
        settings.add_filter(pattern, word);
    }
    settings
}
