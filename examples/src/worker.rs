//! [`Worker`]: another process of an example, which ends with it.

use std::io;
use std::process::{Child, Command};

/// A process of the same program in another role. Dropping it kills the process.
pub struct Worker(Child);

impl Worker {
    /// Starts this program again, with a role as its argument and the channels of a namespace.
    pub fn hire(role: &str, namespace: &str) -> io::Result<Self> {
        let mut program = Command::new(std::env::current_exe()?);
        program.arg(role).env("SHMCOMM_NAMESPACE", namespace).spawn().map(Worker)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
