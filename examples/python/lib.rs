//! Programs whose other end is a Python process: the examples `python-publisher`, `python-service` and
//! `python-workers`.

use std::io;
use std::path::Path;
use std::process::{Child, Command};

/// Starts a program of `examples/python/` with `python3`, or the program that the environment variable
/// `PYTHON` names.
pub fn python(program: &str) -> io::Result<Child> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    Command::new(python).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(program)).spawn()
}
