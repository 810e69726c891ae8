//! `shmcomm doctor` where there are no channels.
//!
//! Owns the refusal. Never checks anything.

use crate::common::Common;
use crate::failure::{Failure, Outcome};
use clap::Args;

/// Finds what is wrong on this machine; on Linux only.
#[derive(Args, Debug)]
pub struct Arguments {}

pub fn run(_: &Common, _: &Arguments) -> Outcome {
    Err(Failure::Failed("shmcomm has channels on Linux only, so there is nothing to check".into()))
}
