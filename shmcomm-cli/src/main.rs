//! `shmcomm`: the command line of the library of that name. It shows the channels of running programs and
//! sends to them.
//!
//! Owns the start, the choice of the command, and the exit code. Calls one module per command. Never prints
//! anything except an error.

mod bench;
mod bw;
mod channels;
mod clean;
mod cli;
mod common;
mod completions;
mod delay;
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(not(target_os = "linux"))]
#[path = "doctor/other.rs"]
mod doctor;
mod echo;
mod export;
mod failure;
mod figures;
mod given;
mod hz;
mod info;
mod keys;
mod list;
mod man;
mod out;
mod pace;
mod procs;
mod publish;
mod pull;
mod rates;
mod record;
mod replay;
mod req;
mod schema;
mod sharing;
mod table;
mod tone;
mod top;
mod units;
mod view;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = run(&cli);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has gone: there is no more to do, and no error.
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let common = &cli.common;
    match &cli.command {
        Command::List(args) => list::run(common, args),
        Command::Echo(args) => echo::run(common, args),
        Command::Delay(args) => delay::run(common, args),
        Command::Info(args) => info::run(common, args),
        Command::Hz(args) => hz::run(common, args),
        Command::Bw(args) => bw::run(common, args),
        Command::Pub(args) => publish::run(common, args),
        Command::Push(args) => publish::push(common, args),
        Command::Pull(args) => pull::run(common, args),
        Command::Req(args) => req::run(common, args),
        Command::Record(args) => record::run(common, args),
        Command::Replay(args) => replay::run(common, args),
        Command::Schema(args) => schema::run(common, args),
        Command::Top(args) => top::run(common, args),
        Command::Doctor(args) => doctor::run(common, args),
        Command::Clean(args) => clean::run(common, args),
        Command::Export(args) => export::run(common, args),
        Command::Bench(args) => bench::run(common, args),
        Command::View(args) => view::run(common, args),
        Command::Completions(args) => completions::run(Cli::command(), args),
        Command::Man(args) => man::run(Cli::command(), args),
    }
}
