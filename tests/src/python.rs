//! A real CPython with the real packages, for tests that exchange messages with it.
//!
//! Owns the virtual environments under `target/python/`: the first test makes them, under a file lock that
//! the other tests wait for. Calls `python3` and, the first time, PyPI. If either is missing, the tests that
//! need it print that and pass; with `CI=true` they fail.
//!
//! ```no_run
//! let Some(python) = shmcomm_tests::python::latest() else { return };
//! assert_eq!(python.run("import sys; sys.stdout.write('hi')", b""), b"hi");
//! ```

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Python interpreter of the tests: shm-comm as published, msgpack, and one numpy.
#[derive(Debug)]
pub struct Python {
    exe: PathBuf,
}

/// Returns CPython with shm-comm 1.0.0, msgpack and numpy 2.
pub fn latest() -> Option<&'static Python> {
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    PYTHON.get_or_init(|| prepare("numpy2", &["shm-comm==1.0.0", "msgpack", "numpy>=2,<3"])).as_ref()
}

/// Returns the same environment with numpy 1.26.
pub fn with_numpy_1() -> Option<&'static Python> {
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    PYTHON.get_or_init(|| prepare("numpy1", &["shm-comm==1.0.0", "msgpack", "numpy==1.26.4"])).as_ref()
}

impl Python {
    /// Returns the command of the interpreter, without arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.exe);
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1").env_remove("PYTHONPATH");
        command
    }

    /// Returns the command of the interpreter with a program. The caller may add arguments, which are in
    /// `sys.argv[1:]`.
    #[must_use]
    pub fn program(&self, code: &str) -> Command {
        let mut command = self.command();
        command.arg("-c").arg(code);
        command
    }

    /// Runs a program to its end and returns what it printed.
    ///
    /// # Panics
    ///
    /// Panics if the program fails, with its error output.
    pub fn run(&self, code: &str, stdin: &[u8]) -> Vec<u8> {
        let mut child = self
            .program(code)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the interpreter starts");
        let mut input = child.stdin.take().expect("piped");
        let stdin = stdin.to_vec();
        let feeder = std::thread::spawn(move || input.write_all(&stdin));
        let output = child.wait_with_output().expect("the interpreter ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "python failed: {}\n{said}", output.status);
        feeder.join().expect("the feeder ends").expect("python reads all its input");
        output.stdout
    }
}

/// Program that makes the environment if it does not exist. Python itself takes the lock, because it is
/// needed anyway.
const PREPARE: &str = r#"
import fcntl, os, shutil, subprocess, sys
home, packages = sys.argv[1], sys.argv[2:]
os.makedirs(os.path.dirname(home), exist_ok=True)
with open(home + ".lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    made = os.path.join(home, "made-for")
    wanted = " ".join(packages)
    if not os.path.exists(made) or open(made).read() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        exe = os.path.join(home, "bin", "python")
        subprocess.run([exe, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
        with open(made, "w") as mark:
            mark.write(wanted)
"#;

fn prepare(name: &str, packages: &[&str]) -> Option<Python> {
    let home = crate::target_dir().join("python").join(name);
    let outcome = Command::new("python3")
        .arg("-c")
        .arg(PREPARE)
        .arg(&home)
        .args(packages)
        .stdin(Stdio::null())
        .output();
    let trouble = match outcome {
        Ok(output) if output.status.success() => {
            return Some(Python { exe: home.join("bin").join("python") });
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => format!("python3 does not start: {error}"),
    };
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "no Python with {packages:?}, which CI must have:\n{trouble}"
    );
    eprintln!("\n*** SKIPPED: no Python with {packages:?}, so nothing is tested against it ***\n{trouble}");
    None
}
