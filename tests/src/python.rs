//! A real CPython with the real packages, for tests that talk to one.
//!
//! Owns the virtual environments under `target/python/`: made once, by whichever test comes first,
//! under a file lock that the others wait for. Calls `python3` and, the first time, PyPI. Where
//! either is missing, the tests that need it say so and pass; with `CI=true` they fail.
//!
//! ```no_run
//! let Some(python) = shmcomm_tests::python::latest() else { return };
//! assert_eq!(python.run("import sys; sys.stdout.write('hi')", b""), b"hi");
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Python's side of the tests: shm-comm as published, msgpack, and one numpy.
#[derive(Debug)]
pub struct Python {
    exe: PathBuf,
}

/// CPython with shm-comm 1.0.0, msgpack and numpy 2.
pub fn latest() -> Option<&'static Python> {
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    PYTHON.get_or_init(|| prepare("numpy2", &["shm-comm==1.0.0", "msgpack", "numpy>=2,<3"])).as_ref()
}

/// The same with numpy 1.26.
pub fn with_numpy_1() -> Option<&'static Python> {
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    PYTHON.get_or_init(|| prepare("numpy1", &["shm-comm==1.0.0", "msgpack", "numpy==1.26.4"])).as_ref()
}

impl Python {
    /// The interpreter, to be started with whatever arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.exe);
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1").env_remove("PYTHONPATH");
        command
    }

    /// The interpreter with a program, and arguments in `sys.argv[1:]` to be added.
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
    /// Where it fails, with what it said.
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

/// Makes the environment if it is not there yet. Python itself takes the lock, as it is needed anyway.
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
    let home = target_dir().join("python").join(name);
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

/// `target/`, found from the test that runs: `target/debug/deps/name`.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own path");
    exe.ancestors().nth(3).map_or_else(std::env::temp_dir, Path::to_path_buf)
}
