//! Turns of several writers of one key of a table: stores of each writer at full speed, and the longest store.
//!
//! `cargo run --release --example writers`. Each writer is a process. Prints a line for each size of a value and each number
//! of writers. All writers store for two seconds, after all of them have begun.

use shmcomm::{Key, ShmMessage, StoreError, channel};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

channel! {
    Shared: Table { name: "writers", writers: Many, small: [u64; 8], large: [u64; 8192] }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TIME: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("small") => return store(Shared::SMALL),
        Some("large") => return store(Shared::LARGE),
        _ => {}
    }
    println!("| value | writers | stores/s | least | most | longest store | p99.99 | busy |");
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (key, bytes, writers) in [("small", "64 B"), ("large", "64 KiB")]
        .into_iter()
        .flat_map(|(key, bytes)| [1, 2, 4, 8].map(|writers| (key, bytes, writers)))
    {
        let found = run(key, writers)?;
        let all: u64 = found.iter().map(|one| one[0]).sum();
        let share = |stores: u64| 100.0 * writers as f64 * stores as f64 / all as f64;
        let each = |at: usize| found.iter().map(move |one| one[at]);
        println!(
            "| {bytes} | {writers} | {:.0} | {:.0} % | {:.0} % | {:.1} ms | {:.1} µs | {} |",
            all as f64 / TIME.as_secs_f64(),
            share(each(0).min().unwrap_or(0)),
            share(each(0).max().unwrap_or(0)),
            each(1).max().unwrap_or(0) as f64 / 1e6,
            each(2).max().unwrap_or(0) as f64 / 1e3,
            each(3).sum::<u64>(),
        );
    }
    println!("\nleast, most: stores of a writer, as a part of an even share. busy: stores that failed.");
    Ok(())
}

/// Returns stores, longest store, 99.99th percentile of the stores in nanoseconds, and failed stores of each writer.
fn run(key: &str, writers: usize) -> Result<Vec<Vec<u64>>> {
    let namespace = format!("writers-{}", std::process::id());
    let mut crew = Vec::new();
    for _ in 0..writers {
        let mut program = Command::new(std::env::current_exe()?);
        program.arg(key).env("SHMCOMM_NAMESPACE", &namespace);
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        said.next().ok_or("the writer ended")??;
        crew.push((child, said));
    }
    for (child, _) in &mut crew {
        child.stdin.as_mut().ok_or("no input")?.write_all(b"go\n")?;
    }
    let mut found = Vec::new();
    for (mut child, mut said) in crew {
        let line = said.next().ok_or("the writer ended")??;
        found.push(line.split(' ').map(str::parse).collect::<std::result::Result<Vec<u64>, _>>()?);
        child.wait()?;
    }
    Ok(found)
}

fn store<const N: usize>(key: Key<Shared, [u64; N]>) -> Result<()>
where
    [u64; N]: ShmMessage,
{
    let mut writer = Shared::writer(key)?;
    let mut times = hdrhistogram::Histogram::<u64>::new(3)?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let (start, mut stores, mut busy) = (Instant::now(), 0, 0);
    let mut before = start;
    while before - start < TIME {
        match writer.store(&[stores; N]) {
            Ok(_) => stores += 1,
            Err(StoreError::Busy { .. }) => busy += 1,
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        times.record((now - before).as_nanos() as u64)?;
        before = now;
    }
    println!("{stores} {} {} {busy}", times.max(), times.value_at_quantile(0.9999));
    Ok(())
}
