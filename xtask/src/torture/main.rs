//! Torture: `cargo xtask torture` builds this with the library's fault points and runs it.
//!
//! Real processes in all roles send self-proving messages. Meanwhile they are killed, aborted, stopped,
//! slowed down and restarted, at the fault points and at random times. Owns the arguments and the order of
//! rounds, and removes all files at the end. The processes of a channel are in `scene`, their checks in
//! `roles`, and their faults in `supervise`. The evidence is in `ledger`, and the statistics are in `report`.

mod fault;
mod harm;
mod ledger;
mod life;
mod mutants;
#[path = "../names.rs"]
mod names;
mod process;
mod random;
mod report;
mod roles;
mod scene;
mod supervise;

use harm::Mode;
use ledger::{Ledger, POINTS, WORKERS};
use life::Wrong;
use random::Random;
use report::{Report, Totals, missed};
use scene::{SCENES, Scene};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use supervise::Round;

/// Directory of the segments of all runs, each in a folder named for its process.
const SHM: &str = "/dev/shm";
const FOLDER: &str = "shmcomm-torture-";
/// Duration of a round, with its start and end.
const ROUND: Duration = Duration::from_millis(1700);
/// Longest duration of a recovery in seconds, beyond the delay that the machine itself shows. A longer
/// recovery is a failure.
const SLOW: f64 = 0.1;

struct Options {
    time: Duration,
    seed: u64,
    jobs: usize,
    only: Option<&'static str>,
    keep_going: bool,
    mutants: bool,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("torture: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Wrong> {
    let seed = ledger::now() ^ u64::from(std::process::id()) << 40;
    let mut options = Options {
        time: Duration::from_secs(600),
        seed,
        jobs: 5,
        only: None,
        keep_going: false,
        mutants: false,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} takes a value"));
        match argument.as_str() {
            "--quick" => options.time = Duration::from_secs(55),
            "--minutes" => options.time = Duration::try_from_secs_f64(60.0 * value()?.parse::<f64>()?)?,
            "--seed" => options.seed = value()?.parse()?,
            "--jobs" => options.jobs = value()?.parse::<usize>()?.min(WORKERS - 1),
            "--only" => {
                let name = value()?;
                let scene = SCENES.iter().find(|scene| scene.name == name).ok_or_else(|| {
                    let names: Vec<_> = SCENES.iter().map(|scene| scene.name).collect();
                    format!("no scene `{name}`; there are {}", names.join(", "))
                })?;
                options.only = Some(scene.name);
            }
            "--keep-going" => options.keep_going = true,
            "--mutants" => options.mutants = true,
            other => return Err(format!("no option `{other}`").into()),
        }
    }
    Ok(options)
}

/// Returns the folder of this run.
fn folder() -> PathBuf {
    std::env::var_os("SHMCOMM_DIR").map_or_else(|| PathBuf::from(SHM), PathBuf::from)
}

fn run(options: &Options) -> Result<bool, Wrong> {
    process::prepare()?;
    clean_up(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    let folder = Path::new(SHM).join(format!("{FOLDER}{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    // SAFETY: there is no other thread.
    unsafe { std::env::set_var("SHMCOMM_DIR", &folder) };
    let outcome = if options.mutants { mutants::refute(options) } else { rounds(options) };
    clean_up(|pid| pid == std::process::id());
    outcome
}

/// State for all rounds.
struct Stage {
    ledger: &'static Ledger,
    names: &'static [String],
    totals: Totals,
    seed: u64,
    jobs: usize,
    rounds: u64,
}

impl Stage {
    fn new(options: &Options) -> Result<Self, Wrong> {
        let names: &'static [String] = names::built_in().map_or_else(names::all, Ok)?.leak();
        if names.len() > POINTS {
            return Err(format!("{} fault points; make room in the ledger for them", names.len()).into());
        }
        let (seed, jobs) = (options.seed, options.jobs);
        Ok(Stage { ledger: Ledger::new()?, names, totals: Totals::default(), seed, jobs, rounds: 0 })
    }

    /// Returns `true` if a point is left that no process has reached, after rounds that cover all points.
    fn has_missed(&self, options: &Options) -> bool {
        is_whole(options, &self.totals) && !missed(self.ledger, self.names).is_empty()
    }

    /// Runs a round. Returns the failed check, if there is one.
    fn play(&mut self, scene: &'static Scene, mode: Mode) -> Option<String> {
        let number = self.rounds;
        self.rounds += 1;
        let random = Random::new(self.seed.wrapping_add(number));
        let channel = format!("torture-{}/{number}/{}", std::process::id(), scene.name);
        let Stage { ledger, names, totals, jobs, .. } = self;
        let mut round = Round::new(ledger, names, scene, channel.clone(), mode, random, totals, *jobs);
        let why = round.play(ROUND.mul_f64(0.85).as_nanos() as u64).err()?;
        clean_channel(&channel);
        Some(format!("round {number}, scene {}, {mode:?}: {why}", scene.name))
    }
}

/// Runs rounds until the time is over or a check fails.
fn rounds(options: &Options) -> Result<bool, Wrong> {
    let mut stage = Stage::new(options)?;
    let start = Instant::now();
    let scenes: Vec<&'static Scene> =
        SCENES.iter().filter(|scene| options.only.is_none_or(|only| scene.name == only)).collect();
    let mut wrong = Vec::new();
    for number in 0.. {
        // If no process has reached some point, the run takes at most four times as long.
        let most = if stage.has_missed(options) { 4 * options.time } else { options.time };
        if start.elapsed() + ROUND / 2 > most || process::interrupted() {
            break;
        }
        // Each scene in each mode, one after the other.
        let mode = Mode::of((number / scenes.len()) as u64);
        if let Some(why) = stage.play(scenes[number % scenes.len()], mode) {
            if process::interrupted() {
                break;
            }
            println!("WRONG: {why}");
            wrong.push(why);
            if !options.keep_going {
                break;
            }
        }
    }
    let Stage { ledger, names, totals, seed, .. } = stage;
    let report = Report { totals: &totals, ledger, names, seed, time: start.elapsed() };
    println!("{report}");
    wrong.extend(shortcomings(options, &report, &totals));
    for why in &wrong {
        println!("FAILED: {why}\n        again: cargo xtask torture --seed {seed}");
    }
    if process::interrupted() {
        return Err("interrupted".into());
    }
    Ok(wrong.is_empty())
}

/// Returns `true` if each scene was run in each mode, so that processes reached all points.
fn is_whole(options: &Options, totals: &Totals) -> bool {
    options.only.is_none() && totals.rounds >= 3 * SCENES.len() as u64
}

/// Returns the failures that only a whole run shows.
fn shortcomings(options: &Options, report: &Report<'_>, totals: &Totals) -> Vec<String> {
    let mut wrong = Vec::new();
    let missed = missed(report.ledger, report.names);
    if is_whole(options, totals) && !missed.is_empty() {
        wrong.push(format!("no process reached {}", missed.join(", ")));
    }
    let (recovery, delay) = (percentile(&totals.recoveries, 99), percentile(&totals.delays, 99));
    if recovery - 2.0 * delay > SLOW {
        wrong
            .push(format!("recovery takes {recovery:.3} s (p99), on a machine that is late by {delay:.3} s"));
    }
    wrong
}

/// Returns a percentile in seconds.
fn percentile(micros: &[u32], percent: usize) -> f64 {
    let mut micros = micros.to_vec();
    micros.sort_unstable();
    let at = micros.len().saturating_sub(1) * percent / 100;
    micros.get(at).map_or(0.0, |micros| f64::from(*micros) / 1e6)
}

/// Removes the files of a channel whose audit failed.
fn clean_channel(channel: &str) {
    roles::python::clean(channel);
    for entry in std::fs::read_dir(folder()).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
}

/// Removes the folders of runs, by the process that they are named for.
fn clean_up(whose: impl Fn(u32) -> bool) {
    for entry in std::fs::read_dir(SHM).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(FOLDER).and_then(|pid| pid.parse().ok());
        if pid.is_some_and(&whose) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
        // A channel of the Python wire, whose files are here whatever the folder.
        let python = name.split("_torture-").nth(1).and_then(|rest| rest.split('-').next());
        if python.and_then(|pid| pid.parse().ok()).is_some_and(&whose) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
