//! Benchmarks that do the same work through shmcomm and through its alternatives, in one run.
//!
//! `cargo run --release --manifest-path benches-compare/Cargo.toml -- all`
//!
//! Owns the command line. `case` defines the terms, `rig` measures a figure, `work` defines the workloads, `peer` the libraries under
//! comparison, and `report` the output. The README of this folder explains how to read it.

mod case;
mod peer;
mod report;
mod rig;
mod work;

use report::Done;
use rig::Budget;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Default duration of a run in minutes.
const MINUTES: f64 = 12.0;

struct Options {
    names: Vec<String>,
    quick: bool,
    minutes: f64,
    write_docs: bool,
}

fn usage() -> String {
    let works: Vec<_> = work::WORKS.iter().map(|(name, _)| *name).collect();
    format!(
        "usage: benches-compare all | WORK… | CASE…  [--quick | --minutes N] [--write-docs]\n\
         works: {}\n\
         a case is a work and what comes after it in the tables, as latency-64; --write-docs goes with all",
        works.join(", ")
    )
}

impl Options {
    fn parse(args: Vec<String>) -> Result<Self> {
        let mut options = Options { names: vec![], quick: false, minutes: MINUTES, write_docs: false };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--write-docs" => options.write_docs = true,
                "--minutes" => options.minutes = args.next().ok_or_else(usage)?.parse()?,
                flag if flag.starts_with('-') => return Err(usage().into()),
                _ => options.names.push(arg),
            }
        }
        let all = options.names == ["all"];
        if options.names.is_empty() || (options.write_docs && !all) || options.minutes <= 0.0 {
            return Err(usage().into());
        }
        if all {
            options.names.clear();
        }
        Ok(options)
    }
}

fn main() -> std::process::ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<()> {
    peer::allow_many_files();
    if let [follow, case, run] = &args[..]
        && follow == rig::FOLLOW
    {
        return rig::follow(work::find(case).ok_or("no such case")?, &work::latency::line(), run);
    }
    let options = Options::parse(args)?;
    let named = |case: &case::Case| options.names.iter().any(|name| case.belongs_to(name));
    let cases: Vec<_> =
        work::all().into_iter().filter(|case| options.names.is_empty() || named(case)).collect();
    if cases.is_empty() {
        return Err(usage().into());
    }
    peer::report_missing()?;
    let mut log = report::Log::create()?;
    let machine = report::machine(options.quick);
    println!("{machine}");
    let until = Instant::now() + Duration::from_secs_f64(60.0 * options.minutes);
    let (mut all, mut left) = (Vec::new(), cases.len() as u32);
    for case in cases {
        // The other cases share the time that a case did not need.
        let time = until.saturating_duration_since(Instant::now()) / left;
        let budget = if options.quick { Budget::Quick } else { Budget::Time(time) };
        let rounds = rig::lead(&case, &work::latency::line(), budget, &mut log)?;
        let done = Done { case, rounds };
        println!("\n### {} (`{}`), {}\n\n{}", done.case.title, done.case.id, done.rounds, done.table()?);
        all.push(done);
        left -= 1;
    }
    println!("\n{}", report::reach::Bounds::of(&all, &machine).table()?);
    if options.write_docs {
        report::docs::write(&all, &machine)?;
    }
    eprintln!("raw results: {}", log.path().display());
    Ok(())
}
