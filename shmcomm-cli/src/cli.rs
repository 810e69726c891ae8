//! The arguments of all commands.
//!
//! Owns the list of commands. Calls the modules of the commands for their own arguments. Never runs anything.

use crate::common::Common;
use crate::{
    bench, bw, clean, completions, delay, doctor, echo, export, hz, info, list, man, publish, pull, record,
    replay, req, schema, top, view,
};
use clap::{Parser, Subcommand};

/// Shows the channels of running programs, and sends to them.
#[derive(Debug, Parser)]
#[command(
    name = "shmcomm",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  shmcomm list                      all channels of this user
  shmcomm hz robot/imu              the rate of a channel, measured each second
  shmcomm doctor                    what is wrong on this machine, and the cure

On a terminal the output is a table. In a pipe it is plain: fields between tabs, numbers without units.
With --json it is JSON Lines: one object per line, described in the help of each command.

Exit codes: 0 success, 1 failure, 2 wrong arguments, 3 not found or timed out.
NO_COLOR turns colours off. SHMCOMM_DIR names the directory of the segments, as for all programs."
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    List(list::Arguments),
    Echo(echo::Arguments),
    Info(info::Arguments),
    Hz(hz::Arguments),
    Bw(bw::Arguments),
    Delay(delay::Arguments),
    Top(top::Arguments),
    Schema(schema::Arguments),
    Pub(publish::Arguments),
    Push(publish::PushArguments),
    Pull(pull::Arguments),
    Req(req::Arguments),
    Record(record::Arguments),
    Replay(replay::Arguments),
    Doctor(doctor::Arguments),
    Clean(clean::Arguments),
    Export(export::Arguments),
    Bench(bench::Arguments),
    View(view::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}
