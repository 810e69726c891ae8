//! `shmcomm doctor` on a system other than Linux.
//!
//! Owns the refusal. Never checks anything.

use crate::common::Common;
use crate::failure::{Failure, Outcome};
use clap::Args;

/// Finds what is wrong on this machine (Linux only)
#[derive(Args, Debug)]
pub struct Arguments {}

pub fn run(_: &Common, _: &Arguments) -> Outcome {
    Err(Failure::Failed(
        "doctor checks /dev/shm, /proc and the limits of Linux, which this system does not have; `shmcomm list` shows \
         the segments and what is wrong with them"
            .into(),
    ))
}
