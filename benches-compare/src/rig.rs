//! Two processes, each on its own processor, that do the work of a case together.
//!
//! Owns the second process, the order of the bursts and their clock. The leading process announces each burst
//! to the following process through its standard input. The following process answers through its standard
//! output: when it is ready, and when it has finished. None of this is timed. Every round runs one burst of
//! every way, so that all meet the same disturbances. The first round is not counted.
//!
//! Never waits for a process that is gone: if either fails, both end.

use crate::Result;
use crate::case::{Burst, Case, Ended, Entry, Outcome, Place, Way};
use crate::report::Log;
use crate::report::state::Rounds;
use hdrhistogram::Histogram;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// First argument of the following process.
pub const FOLLOW: &str = "--follow";

/// Maximum number of rounds, however much time is left: the medians are stable by then.
const ROUNDS: usize = 60;
const ROUNDS_AT_LEAST: usize = 5;

/// Amount of measuring.
#[derive(Clone, Copy)]
pub enum Budget {
    /// Two rounds of short bursts, for a first impression.
    Quick,
    /// All rounds that fit into the time.
    Time(Duration),
}

impl Budget {
    fn goes_on(self, round: usize, began: Instant) -> bool {
        match self {
            Budget::Quick => round <= 2,
            Budget::Time(time) => round <= ROUNDS_AT_LEAST || (round <= ROUNDS && began.elapsed() < time),
        }
    }

    fn messages(self, burst: u64) -> u64 {
        match self {
            Budget::Quick => (burst / 5).max(1),
            Budget::Time(_) => burst,
        }
    }
}

/// Runs `case` with a following process, and returns the figures. `line` is one cache line between the processors: it
/// runs before each round, and its figures tell the state of the machine.
pub fn lead(case: &Case, line: &Entry, budget: Budget, log: &mut Log) -> Result<Rounds> {
    let run = std::process::id().to_string();
    let folder = Folder::create(&run)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args([FOLLOW, &case.id, &run])
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

    let patience = Patience::start(case);
    let mut ways = open(case, line, &run, true)?;
    hear()?;
    pin(0);
    let mut rounds = Rounds::new(case);
    let (mut from, mut round, began) = (1, 0, Instant::now());
    while budget.goes_on(round, began) {
        let (index, burst) = (case.ways.len(), Burst { from, count: line.burst });
        from += burst.count;
        writeln!(tell, "{index} {} {}", burst.from, burst.count)?;
        hear()?;
        let Outcome::Samples(samples) = ways[index].lead(burst)? else {
            return Err("no samples of the line".into());
        };
        hear()?;
        // The first round warms up.
        let mut measured = None;
        if round > 0 {
            let ns = samples.value_at_quantile(0.5) as f64;
            log.line(case, round, ns)?;
            measured = Some(rounds.begin(ns));
        }
        for (index, way) in ways[..case.ways.len()].iter_mut().enumerate() {
            patience.renew(index);
            let burst = Burst { from, count: budget.messages(case.ways[index].burst) };
            from += burst.count;
            writeln!(tell, "{index} {} {}", burst.from, burst.count)?;
            hear()?;
            let outcome = way.lead(burst)?;
            let ended = decode(&hear()?)?;
            if let Some(measured) = &mut measured {
                measured[index].add(burst.count, outcome, ended)?;
                log.burst(case, &measured[index], round, burst.count)?;
            } else if let Outcome::Began(began) = outcome {
                way.calibrate(ended.at.saturating_sub(began) as f64 / burst.count as f64);
            }
        }
        round += 1;
    }
    drop(patience);
    through.store(true, Ordering::Release);
    drop(ways);
    drop(tell);
    watch.join().map_err(|_| "the watch panicked")?;
    unpin();
    Ok(rounds)
}

/// Runs the following process.
pub fn follow(case: Case, line: &Entry, run: &str) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let mut ways = open(&case, line, run, false)?;
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
        println!("{}", encode(&ended)?);
    }
    Ok(())
}

fn encode(ended: &Ended) -> Result<String> {
    let mut line = format!("{} {} {}", ended.at, ended.lost, ended.value.unwrap_or(f64::NAN));
    if let Some(samples) = &ended.samples {
        for step in samples.iter_recorded() {
            write!(line, " {}:{}", step.value_iterated_to(), step.count_at_value())?;
        }
    }
    Ok(line)
}

fn decode(line: &str) -> Result<Ended> {
    let mut parts = line.split(' ');
    let mut next = || parts.next().ok_or("the other process says too little");
    let (at, lost, value) = (next()?.parse()?, next()?.parse()?, next()?.parse::<f64>()?);
    let mut samples: Option<Histogram<u64>> = None;
    for pair in parts {
        let (value, count) = pair.split_once(':').ok_or("no sample")?;
        let samples = match &mut samples {
            Some(samples) => samples,
            None => samples.insert(Histogram::new(3)?),
        };
        samples.record_n(value.parse()?, count.parse()?)?;
    }
    Ok(Ended { at, lost, value: (!value.is_nan()).then_some(value), samples })
}

/// Opens all ways and the line, in the same order in both processes: some wait for their other end.
fn open(case: &Case, line: &Entry, run: &str, leads: bool) -> Result<Vec<Box<dyn Way>>> {
    case.ways
        .iter()
        .chain([line])
        .enumerate()
        .map(|(index, way)| {
            let place = Place { leads, name: format!("{run}-{}-{index}", case.id) };
            (way.open)(&place).map_err(|error| format!("{}: {}: {error}", case.id, way.name).into())
        })
        .collect()
}

/// Keeps this thread, and the threads that it starts, on one processor. Threads that a peer has started
/// before are not affected.
pub fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        eprintln!("not pinned to processor {cpu}: {error}");
    }
}

/// Removes the restriction, so that the next process does not inherit one processor.
fn unpin() {
    let mut set = rustix::thread::CpuSet::new();
    (0..rustix::thread::CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Ends the run if a burst does not end: two ends that wait for each other would poll for ever.
struct Patience {
    /// Index of the way whose burst runs, and number of bursts that have begun.
    state: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Patience {
    const LIMIT: Duration = Duration::from_secs(40);

    fn start(case: &Case) -> Self {
        let state = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let (watched, id) = (Arc::downgrade(&state), case.id.clone());
        let names: Vec<_> = case.ways.iter().map(|way| way.name.clone()).collect();
        std::thread::spawn(move || {
            let (mut bursts, mut since) = (0, Instant::now());
            while let Some(state) = watched.upgrade() {
                // Relaxed, both: the blamed way is only a guess.
                let now = state.1.load(Ordering::Relaxed);
                if now != bursts {
                    (bursts, since) = (now, Instant::now());
                }
                if since.elapsed() > Self::LIMIT {
                    let name = names.get(state.0.load(Ordering::Relaxed)).map_or("", String::as_str);
                    eprintln!("{id}: {name}: no end after {:?}", Self::LIMIT);
                    let _ = std::fs::remove_dir_all(crate::peer::folder(&std::process::id().to_string()));
                    std::process::exit(1);
                }
                drop(state);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Patience { state }
    }

    fn renew(&self, way: usize) {
        // Relaxed, both: only the watching thread reads them, for a guess.
        self.state.0.store(way, Ordering::Relaxed);
        self.state.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// Folder for the files and sockets of peers; removed with the run.
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
