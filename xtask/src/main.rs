//! Commands for work on the repository: `cargo xtask COMMAND`.
//!
//! Owns the commands and their arguments. Builds with `cargo`; never calls the library itself.

mod compile_time;
mod names;
mod picture;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask faults [--absent FILE...]
    Lists the fault points, from the sources. With --absent: fails if a file has the name of one, as
    a build without `--cfg shmcomm_fault` must not.

cargo xtask picture
    Runs the quickstart and the command line, and writes a picture of a terminal to docs/plots/terminal.svg.
    Needs `script` of util-linux.

cargo xtask compile-time [--check] [--rounds N] [--types N]
    Prints the CPU time that 200 messages and 200 channels take the compiler, beside the derives of zerocopy
    and serde on the same types. Takes some minutes. --rounds: 2, and --types: 200, if not said. With --check:
    fails if the ratio is larger than 0.30.

cargo xtask torture [--quick | --minutes N] [--seed N] [--jobs N] [--only SCENE] [--keep-going]
cargo xtask torture --mutants
    Kills processes in all roles, at their fault points and at random, and checks what every message
    proves. Ten minutes, or about one with --quick, and at most twice that time if a point has not been
    reached by then. --jobs: largest number of processes at a time, by default 5.
    Stops at the first failure, except with --keep-going. --mutants: checks that it detects each
    known-wrong variant of the library.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["faults"] => names::all().map(|names| names.iter().for_each(|name| println!("{name}"))),
        ["faults", "--absent", ref files @ ..] if !files.is_empty() => absent(files),
        ["picture"] => picture::make(),
        ["compile-time", ref arguments @ ..] => compile_time::run(arguments),
        ["torture", ref arguments @ ..] => torture(arguments),
        _ => Err(HELP.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Fails if any of the files contains the name of a fault point.
fn absent(files: &[&str]) -> Result<(), Box<dyn Error>> {
    let names = names::all()?;
    for file in files {
        let bytes = std::fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
        let found: Vec<&str> = names.iter().map(String::as_str).filter(|name| has(&bytes, name)).collect();
        if !found.is_empty() {
            return Err(format!("{file} has the names of fault points: {}", found.join(", ")).into());
        }
    }
    println!("none of {} fault points is in {}", names.len(), files.join(", "));
    Ok(())
}

fn has(bytes: &[u8], name: &str) -> bool {
    bytes.windows(name.len()).any(|window| window == name.as_bytes())
}

/// Builds the program with its fault points, in a folder of its own, and replaces this process by it.
fn torture(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let target = Path::new(names::ROOT).join("target/torture");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default() + " --cfg shmcomm_fault";
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "--package", "xtask", "--bin", "torture"])
        .args(["--features", "torture"])
        .current_dir(names::ROOT)
        .env("RUSTFLAGS", flags.trim())
        // The names of these sources, even if the sources change while the program runs.
        .env("SHMCOMM_FAULT_NAMES", names::all()?.join(","))
        .env("CARGO_TARGET_DIR", &target)
        .status()?;
    if !built.success() {
        return Err("the torture program does not build".into());
    }
    become_program(Command::new(target.join("release/torture")).args(arguments))
}

// Windows has no `exec`.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<(), Box<dyn Error>> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_program(_: &mut Command) -> Result<(), Box<dyn Error>> {
    Err("torture runs on Linux only: Windows has no `exec`".into())
}
