//! Two processes, each on a processor of its own, that do the work of a case together.
//!
//! Owns the second process, the order of the bursts and their clock. The leading process tells the
//! following one through its standard input which burst comes, and hears through its standard output
//! that it is ready and when it was through; nothing of that is timed. Every round runs one burst of
//! every way, so that all meet the same disturbances; the first round is not counted.
//!
//! Never waits for a process that is gone: if either fails, both end.

use crate::Result;
use crate::report::{Log, Measured, Table};
use crate::work::{Burst, Case, Outcome, Place, Way};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first argument of the following process.
pub const FOLLOW: &str = "--follow";

const ROUNDS: usize = 40;
const QUICK_ROUNDS: usize = 5;

/// Runs `case` with a process that follows, and says what came out.
pub fn lead(case: &Case, quick: bool, log: &mut Log) -> Result<Table> {
    let run = std::process::id().to_string();
    let folder = Folder::create(&run)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args([FOLLOW, case.id, &run])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut tell = child.stdin.take().ok_or("no input")?;
    let mut hear = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut hear = move || -> Result<String> { Ok(hear.next().ok_or("the other process ended")??) };

    let through = Arc::new(AtomicBool::new(false));
    let watch = std::thread::spawn({
        let through = through.clone();
        move || {
            let status = child.wait();
            if !through.load(Ordering::Acquire) {
                eprintln!("the other process ended too early: {status:?}");
                drop(folder);
                std::process::exit(1);
            }
            drop(folder);
        }
    });

    let mut ways = open(case, &run, true)?;
    hear()?;
    pin(0);
    let mut measured: Vec<Measured> = case.ways.iter().map(|way| Measured::new(&way.name)).collect();
    let mut from = 1;
    for round in 0..=if quick { QUICK_ROUNDS } else { ROUNDS } {
        for (index, way) in ways.iter_mut().enumerate() {
            let burst = Burst { from, count: case.ways[index].burst };
            from += burst.count;
            writeln!(tell, "{index} {} {}", burst.from, burst.count)?;
            hear()?;
            let outcome = way.lead(burst)?;
            let ended: u64 = hear()?.parse()?;
            if round == 0 {
                continue;
            }
            let (total, samples) = match outcome {
                Outcome::Samples(samples) => (None, Some(samples)),
                Outcome::Began(began) => (Some(ended.saturating_sub(began)), None),
                Outcome::Took(total) => (Some(total), None),
            };
            measured[index].add(burst.count, total, samples)?;
            log.burst(case, &measured[index], round, burst.count)?;
        }
    }
    through.store(true, Ordering::Release);
    drop(ways);
    drop(tell);
    watch.join().map_err(|_| "the watch panicked")?;
    unpin();
    Table::new(case, measured)
}

/// The other process.
pub fn follow(case: Case, run: &str) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let mut ways = open(&case, run, false)?;
    println!("open");
    pin(1);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut numbers = line.split(' ').map(str::parse);
        let mut number = || -> Result<u64> { Ok(numbers.next().ok_or("a number is missing")??) };
        let (index, burst) = (number()? as usize, Burst { from: number()?, count: number()? });
        let way = ways.get_mut(index).ok_or("no such way")?;
        println!("ready");
        let ended = way.follow(burst)?;
        println!("{ended}");
    }
    Ok(())
}

/// All ways, in the same order in both processes: some wait for their other end.
fn open(case: &Case, run: &str, leads: bool) -> Result<Vec<Box<dyn Way>>> {
    case.ways
        .iter()
        .enumerate()
        .map(|(index, way)| {
            let place = Place { leads, name: format!("{run}-{}-{index}", case.id) };
            (way.open)(&place).map_err(|error| format!("{}: {}: {error}", case.id, way.name).into())
        })
        .collect()
}

/// Keeps this thread on one processor. Threads that a peer has started run where they like.
fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        eprintln!("not pinned to processor {cpu}: {error}");
    }
}

/// So that the next process does not inherit one processor.
fn unpin() {
    let mut set = rustix::thread::CpuSet::new();
    (0..rustix::thread::CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Where peers put their files and sockets; gone with the run.
struct Folder(std::path::PathBuf);

impl Folder {
    fn create(run: &str) -> Result<Self> {
        let path = crate::peer::folder(run);
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
