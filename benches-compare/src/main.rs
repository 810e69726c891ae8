//! The same work through shmcomm and through what one would use instead, in one run.
//!
//! `cargo run --release --manifest-path benches-compare/Cargo.toml -- [queue|call|latency|fanout] [--quick]`
//!
//! Owns the command line. How a figure comes about is in `rig`, what is done in `work`, with what in
//! `peer`, and the tables in `report`. See the README of this folder for how to read them.

mod peer;
mod report;
mod rig;
mod work;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: benches-compare [queue | call | latency | fanout]... [--quick]";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [follow, case, run] = &args[..]
        && follow == rig::FOLLOW
    {
        return rig::follow(work::find(case).ok_or("no such case")?, run);
    }
    let (options, names): (Vec<_>, Vec<_>) = args.into_iter().partition(|arg| arg.starts_with('-'));
    let quick = options.iter().any(|option| option == "--quick");
    if options.iter().any(|option| option != "--quick") {
        return Err(USAGE.into());
    }
    let cases: Vec<_> = work::all()
        .into_iter()
        .filter(|case| names.is_empty() || names.iter().any(|name| case.belongs_to(name)))
        .collect();
    if cases.is_empty() {
        return Err(USAGE.into());
    }
    peer::report_missing()?;
    let mut log = report::Log::create()?;
    report::preamble(quick);
    for case in cases {
        let title = case.title;
        let table = rig::lead(&case, quick, &mut log)?;
        println!("\n### {title}\n\n{table}");
    }
    eprintln!("raw results: {}", log.path().display());
    Ok(())
}
