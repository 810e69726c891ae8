//! [`Round`]: one scene, for some seconds. Starts its workers, harms them, watches them, and audits the
//! channel.
//!
//! Owns the workers' processes, and the detection of stuck or lost messages. Calls `process` and the ledger;
//! never opens a channel itself.
//!
//! ```text
//!   work: kill, stop, restart ──→ finish: senders leave, receivers take the rest ──→ leave ──→ audit
//!           │ nothing received for a second
//!           ▼
//!         mercy: no worker is harmed until a message is received, or it counts as stuck
//! ```
//!
//! The machine's load delays the supervisor like all other processes. The time by which it woke too late is
//! subtracted from every delay.

use super::harm::{Harm, Mode};
use super::ledger::{FINISH, LEAVE, Ledger, WORK, now};
use super::life::{Life, Wrong};
use super::process::{self, COMPLAINED, End, LEFT, PANICKED};
use super::random::Random;
use super::report::Totals;
use super::scene::Scene;
use rustix::process::Pid;
use std::sync::atomic::Ordering::Relaxed;

const MILLI: u64 = 1_000_000;
/// Nanoseconds without a receive after which no worker is harmed any more.
const MERCY: u64 = 1000 * MILLI;
/// Nanoseconds without a receive, and without harm, after which the round counts as stuck.
pub const STUCK: u64 = 3000 * MILLI;
/// Nanoseconds between two turns of the supervisor.
const TICK: u64 = MILLI;
/// Index of the auditor in the table of roles.
const AUDITOR: usize = 63;

struct Worker {
    role: usize,
    process: Option<Pid>,
    /// Earliest time of its start.
    start_at: u64,
    /// Harm for it, and the time of the harm.
    harm: Harm,
    harm_at: u64,
    stopped: bool,
    /// `true` if it is never harmed in this round.
    safe: bool,
    killed: bool,
}

pub struct Round<'r> {
    pub ledger: &'static Ledger,
    pub names: &'static [String],
    pub scene: &'static Scene,
    pub channel: String,
    pub mode: Mode,
    pub random: Random,
    pub totals: &'r mut Totals,
    workers: Vec<Worker>,
    /// Nanoseconds by which the supervisor woke too late since the last receive.
    late: u64,
    last_progress: u64,
    merciful: bool,
    auditor: Option<(Pid, Option<End>)>,
}

impl<'r> Round<'r> {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        ledger: &'static Ledger,
        names: &'static [String],
        scene: &'static Scene,
        channel: String,
        mode: Mode,
        mut random: Random,
        totals: &'r mut Totals,
        most: usize,
    ) -> Self {
        ledger.round.clear();
        let mut workers: Vec<Worker> = scene
            .cast(most)
            .into_iter()
            .map(|role| Worker {
                role,
                process: None,
                start_at: 0,
                harm: Harm::Kill,
                harm_at: 0,
                stopped: false,
                safe: false,
                killed: false,
            })
            .collect();
        // A worker that lives through the whole round, if its role has other workers to harm.
        for role in 0..scene.roles.len() {
            let mut these = workers.iter_mut().filter(|worker| worker.role == role);
            if let (Some(first), Some(_)) = (these.next(), these.next()) {
                first.safe = random.percent(70);
            }
        }
        let last_progress = now();
        Round {
            ledger,
            names,
            scene,
            channel,
            mode,
            random,
            totals,
            workers,
            late: 0,
            last_progress,
            merciful: false,
            auditor: None,
        }
    }

    /// Runs the round for `nanos`; the error is the failed check.
    pub fn play(&mut self, nanos: u64) -> Result<(), Wrong> {
        let outcome = self.acts(nanos);
        for worker in &self.workers {
            if let Some(process) = worker.process {
                process::kill(process);
                process::outlive(process);
            }
        }
        self.totals.add(&self.ledger.round);
        outcome
    }

    fn acts(&mut self, nanos: u64) -> Result<(), Wrong> {
        let end = now() + nanos;
        while now() < end && !process::interrupted() {
            self.tick()?;
            self.watch()?;
        }
        let round = &self.ledger.round;
        round.order.store(FINISH, Relaxed);
        self.merciful = true;
        self.until("senders that leave", |this| {
            this.workers.iter().all(|w| !this.sends(w) || w.process.is_none())
        })?;
        // No sender is left, so each job that was sent and not received is in the queue.
        let most = if self.scene.keeps { 1 << 10 } else { 0 };
        let missing = |this: &Self| this.ledger.round.missing().take(most).collect::<Vec<u64>>();
        let outcome = self.until("jobs that no worker gets", |this| {
            let excuses = this.ledger.round.receiver_deaths.load(Relaxed);
            missing(this).len() as u64 <= if this.scene.loses_with_receivers { excuses } else { 0 }
        });
        let missing = missing(self);
        outcome
            .map_err(|why| format!("lost: {} jobs, such as {:?}: {why}", missing.len(), missing.first()))?;
        self.totals.taken_along += missing.len() as u64;
        round.order.store(LEAVE, Relaxed);
        self.until("workers that leave", |this| this.workers.iter().all(|w| w.process.is_none()))?;
        self.audit(self.scene.audit)?;
        self.audit(nothing_is_left)
    }

    /// Continues until `done`, at most for the time after which a round counts as stuck.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<(), Wrong> {
        let (start, late) = (now(), self.late);
        while !done(self) {
            if process::interrupted() {
                return Err("interrupted".into());
            }
            self.tick()?;
            if (now() - start).saturating_sub(self.late.saturating_sub(late)) > STUCK {
                return Err(format!("stuck: {what}: {}", self.describe()).into());
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Wrong> {
        let before = now();
        std::thread::sleep(std::time::Duration::from_nanos(TICK));
        let late = (now() - before).saturating_sub(TICK);
        self.late += late;
        self.totals.delays.push(u32::try_from(late / 1000).unwrap_or(u32::MAX));
        while let Some((process, end)) = process::next_end() {
            self.ended(process, end);
        }
        for at in 0..self.workers.len() {
            let worker = &self.workers[at];
            match worker.process {
                Some(process) if worker.harm_at <= now() && (!self.merciful || worker.stopped) => {
                    self.harm(at, process);
                }
                None if worker.start_at <= now() && self.wanted(worker) => self.start(at)?,
                _ => {}
            }
        }
        match self.ledger.round.complaint() {
            Some(complaint) => Err(complaint.into()),
            None => Ok(()),
        }
    }

    fn sends(&self, worker: &Worker) -> bool {
        self.scene.roles[worker.role].sends
    }

    fn wanted(&self, worker: &Worker) -> bool {
        match self.ledger.round.order.load(Relaxed) {
            WORK => true,
            FINISH => !self.sends(worker),
            _ => false,
        }
    }

    /// Starts worker `at`, with its faults.
    fn start(&mut self, at: usize) -> Result<(), Wrong> {
        let role = &self.scene.roles[self.workers[at].role];
        let number = self.scene.number(self.workers[at].role);
        let harmless = self.merciful || self.workers[at].safe;
        let fate = self.mode.fate(&mut self.random, self.ledger, number, self.names, harmless);
        let now = now();
        let round = &self.ledger.round;
        // If its role has no other worker, no message arrives before it works.
        let alone = self.workers.iter().filter(|other| other.role == self.workers[at].role).count() == 1;
        if alone && round.harmed.load(Relaxed) != 0 {
            round.harmed.store(now, Relaxed);
        }
        round.workers[at].beat.store(now, Relaxed);
        round.workers[at].started.store(now, Relaxed);
        let waits = self.random.below(100);
        let life = Life {
            ledger: self.ledger,
            random: Random::new(self.random.number()),
            role: number,
            me: at,
            sends: role.sends,
            channel: self.channel.clone(),
            term: fate.leaves_after.map_or(u64::MAX, |nanos| now + nanos),
            plan: fate.plan,
            tasks: waits < 25,
            sets: (25..45).contains(&waits),
            threads: (35..60).contains(&waits),
        };
        let (names, work) = (self.names, role.work);
        let worker = &mut self.workers[at];
        (worker.harm, worker.harm_at) = (fate.harm, fate.harm_after.map_or(u64::MAX, |nanos| now + nanos));
        (worker.stopped, worker.killed) = (false, false);
        worker.process = Some(process::fork(move || life.run(names, work))?);
        self.totals.starts += 1;
        Ok(())
    }

    fn harm(&mut self, at: usize, process: Pid) {
        let round = &self.ledger.round;
        let worker = &mut self.workers[at];
        worker.harm_at = u64::MAX;
        if worker.harm == Harm::GoOn {
            worker.stopped = false;
            round.workers[at].beat.store(now(), Relaxed);
            process::go_on(process);
            worker.harm_at = now() + self.random.below(40) * MILLI;
            // A worker that is never harmed may have been stopped by its plan.
            worker.harm_at = if worker.safe { u64::MAX } else { worker.harm_at };
            worker.harm = Harm::Kill;
        } else if worker.harm == Harm::Stop {
            process::stop(process);
        } else {
            round.harmed.store(now(), Relaxed);
            worker.killed = true;
            process::kill(process);
        }
    }

    /// Handles a process that ended or was stopped, for any reason.
    fn ended(&mut self, process: Pid, end: End) {
        if let Some((auditor, outcome)) = &mut self.auditor
            && *auditor == process
        {
            *outcome = Some(end);
        }
        let Some(at) = self.workers.iter().position(|worker| worker.process == Some(process)) else { return };
        let round = &self.ledger.round;
        if end == End::Stopped {
            self.totals.stops += 1;
            // The duration of a stop is no property of the library.
            round.harmed.store(0, Relaxed);
            round.workers.iter().for_each(|worker| worker.started.store(0, Relaxed));
            let worker = &mut self.workers[at];
            worker.stopped = true;
            worker.harm_at = now() + self.random.magnitude(60) * MILLI;
            // Or it is killed while stopped, with the slots that it holds.
            worker.harm = if self.random.percent(20) { Harm::Kill } else { Harm::GoOn };
            return;
        }
        let killed = self.workers[at].killed;
        match end {
            End::Exited(LEFT) => self.totals.leaves += 1,
            End::Exited(PANICKED) => self.totals.panics += 1,
            End::Signalled(libc::SIGKILL) if killed => self.totals.random_kills += 1,
            End::Signalled(libc::SIGKILL) => self.totals.point_kills += 1,
            End::Signalled(libc::SIGABRT) => self.totals.aborts += 1,
            End::Exited(COMPLAINED) => {}
            other => round
                .complain(&format!("a {} ended by {other:?}", self.scene.roles[self.workers[at].role].name)),
        }
        if end != End::Exited(LEFT) {
            let deaths =
                if self.sends(&self.workers[at]) { &round.sender_deaths } else { &round.receiver_deaths };
            deaths.fetch_add(1, Relaxed);
        }
        let pause = match self.random.below(10) {
            0 => self.random.below(40) * MILLI,
            1..4 => self.random.below(3) * MILLI,
            _ => 0,
        };
        let worker = &mut self.workers[at];
        (worker.process, worker.start_at) = (None, now() + pause);
    }

    /// Checks that messages arrive and that every worker's loop runs.
    fn watch(&mut self) -> Result<(), Wrong> {
        let progress = self.ledger.round.progress.load(Relaxed);
        if progress > self.last_progress {
            (self.last_progress, self.late, self.merciful) = (progress, 0, false);
        }
        let idle = now().saturating_sub(self.last_progress).saturating_sub(self.late);
        self.merciful |= idle > MERCY;
        if idle > MERCY + STUCK {
            return Err(
                format!("stuck: nothing received for {} ms: {}", idle / MILLI, self.describe()).into()
            );
        }
        for (at, worker) in self.workers.iter().enumerate() {
            let beat = self.ledger.round.workers[at].beat.load(Relaxed);
            let silent = now().saturating_sub(beat).saturating_sub(self.late);
            if worker.process.is_some() && !worker.stopped && silent > STUCK {
                return Err(format!("stuck: a call without end: {}", self.describe()).into());
            }
        }
        Ok(())
    }

    /// Describes every worker, for a complaint.
    fn describe(&self) -> String {
        let mut text = String::new();
        for (at, worker) in self.workers.iter().enumerate() {
            let silent = now().saturating_sub(self.ledger.round.workers[at].beat.load(Relaxed)) / MILLI;
            let state = match worker.process {
                Some(process) if worker.stopped => format!("{} stopped", process.as_raw_nonzero()),
                Some(process) => format!("{}, silent for {silent} ms", process.as_raw_nonzero()),
                None => "none".to_owned(),
            };
            text += &format!("{} {state}; ", self.scene.roles[worker.role].name);
        }
        text + &format!("the supervisor late by {} ms", self.late / MILLI)
    }

    /// Runs an audit of the channel in a separate process.
    fn audit(&mut self, audit: super::life::Work) -> Result<(), Wrong> {
        let life = Life {
            ledger: self.ledger,
            random: Random::new(self.random.number()),
            role: AUDITOR,
            me: self.workers.len(),
            sends: false,
            channel: self.channel.clone(),
            term: u64::MAX,
            plan: String::new(),
            tasks: false,
            sets: false,
            threads: false,
        };
        let names = self.names;
        let auditor = process::fork(move || life.run(names, audit))?;
        self.auditor = Some((auditor, None));
        let (start, late) = (now(), self.late);
        loop {
            let ticked = self.tick();
            match self.auditor {
                Some((_, Some(End::Exited(LEFT)))) => return Ok(()),
                Some((_, Some(End::Exited(COMPLAINED)))) => {
                    return ticked.map_err(|why| format!("audit: {why}").into());
                }
                Some((_, Some(end))) => return Err(format!("the auditor ended by {end:?}").into()),
                _ if (now() - start).saturating_sub(self.late - late) > 2 * STUCK => break,
                _ => {}
            }
        }
        process::kill(auditor);
        process::outlive(auditor);
        Err("stuck: the auditor".into())
    }
}

/// Checks that the folder of this run is empty after the last channel is closed. Only segments of creators
/// that died before they had a name may be left; the next creator of a segment removes them.
fn nothing_is_left(_: &mut Life) -> Result<(), Wrong> {
    drop(shmcomm::Channel::<shmcomm::PubSub<u64>>::try_new("recovery")?.namespace("").publisher()?);
    for entry in std::fs::read_dir(super::folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("shmcomm") {
            return Err(format!("leaked: segment {name}").into());
        }
    }
    Ok(())
}
