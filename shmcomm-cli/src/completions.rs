//! `shmcomm completions`: a script that completes arguments in a shell.
//!
//! Owns nothing of the script: `clap_complete` makes it from the arguments. Never reads a segment.

use crate::common::Common;
use crate::failure::Outcome;
use crate::out::Out;
use clap::{Args, Command};
use clap_complete::Shell;

/// Prints a script that completes the arguments of `shmcomm` in a shell.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm completions bash > ~/.local/share/bash-completion/completions/shmcomm
  shmcomm completions zsh > \"${fpath[1]}/_shmcomm\"
  shmcomm completions fish > ~/.config/fish/completions/shmcomm.fish

The output is a script in any case; --json, -n and --duration have no effect.")]
pub struct Arguments {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for `cli`, the whole command line.
pub fn run(mut cli: Command, args: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "shmcomm", &mut script);
    let mut out = Out::new(&Common::default());
    out.raw(&script)?;
    out.flush()
}
