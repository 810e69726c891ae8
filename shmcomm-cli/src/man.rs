//! `shmcomm man`: the manual pages.
//!
//! Owns the choice of a page. `clap_mangen` makes the pages from the arguments. Never reads a segment.

use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::Out;
use clap::{Args, Command};
use clap_mangen::Man;
use std::path::PathBuf;

/// Prints the manual page of `shmcomm` or of one command, or writes all pages to a directory.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm man | man -l -                  the page of shmcomm
  shmcomm man echo | man -l -             the page of a command
  shmcomm man --directory ~/.local/share/man/man1

The output is a page in any case; --json, -n and --duration have no effect.")]
pub struct Arguments {
    /// Name of a command [default: shmcomm itself]
    command: Option<String>,
    /// Writes all pages to this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    directory: Option<PathBuf>,
}

/// Prints or writes pages of `cli`, the whole command line.
pub fn run(mut cli: Command, args: &Arguments) -> Outcome {
    cli.build();
    if let Some(directory) = &args.directory {
        return clap_mangen::generate_to(cli, directory)
            .map_err(|error| Failure::Failed(format!("cannot write to {}: {error}", directory.display())));
    }
    let command = match &args.command {
        None => cli,
        Some(name) => match cli.find_subcommand(name) {
            Some(found) => found.clone(),
            None => return Err(Failure::Usage(format!("`{}` is no command", name.escape_debug()))),
        },
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    let mut out = Out::new(&Common::default());
    out.raw(&page)?;
    out.flush()
}
