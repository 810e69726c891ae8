//! [`Life`]: the state of a worker process, from its fork to its end.
//!
//! Owns the worker's access to the ledger, its random numbers, its end time, and the recording of its
//! complaints.
//! Calls the fault plan of the library. Knows no pattern.

use super::fault::{self, Action};
use super::ledger::{self, CLAIMED, JOBS, Ledger, RECEIVED, Round, SENT, now};
use super::process::{COMPLAINED, End, LEFT, PANICKED, fork, outlive};
use super::random::Random;
use std::fmt::Display;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Work of a role: until [`Life::is_over`], or until a check fails, which is the error.
pub type Work = fn(&mut Life) -> Result<(), Wrong>;

/// A failed check, as text.
pub type Wrong = Box<dyn std::error::Error>;

/// One worker.
pub struct Life {
    pub ledger: &'static Ledger,
    pub random: Random,
    /// Index of its role in the table of all roles, and of the worker in the scene.
    pub role: usize,
    pub me: usize,
    /// `true` for a sender, `false` for a receiver.
    pub sends: bool,
    /// Full name of the channel.
    pub channel: String,
    /// Time at which it must leave by itself, as of [`now`].
    pub term: u64,
    /// Plan for the fault points.
    pub plan: String,
    /// `true` if it waits in tasks rather than in threads. Such a process has two threads, and does not fork.
    pub tasks: bool,
    /// `true` if it waits in a set.
    pub sets: bool,
    /// `true` if it drops ends while a second thread waits on them. Such a process does not fork.
    pub threads: bool,
}

/// State for the observer of fault points.
static OBSERVED: OnceLock<(&'static Ledger, &'static [String], usize)> = OnceLock::new();

fn observe(name: &'static str, action: Option<Action>) {
    let Some((ledger, names, role)) = OBSERVED.get() else { return };
    let Ok(at) = names.binary_search_by(|known| known.as_str().cmp(name)) else {
        return ledger.round.complain(&format!("fault point {name} is not in the sources"));
    };
    let point = &ledger.points[at];
    match action {
        None => {
            point.roles.fetch_or(1 << role, Relaxed);
            point.lives.fetch_add(1, Relaxed);
        }
        Some(Action::Yield | Action::Sleep(_)) => {}
        Some(Action::Stop) => {
            point.acts.fetch_add(1, Relaxed);
        }
        Some(Action::Kill | Action::Abort | Action::Panic) => {
            point.acts.fetch_add(1, Relaxed);
            ledger.round.harmed.store(now(), Relaxed);
        }
    }
}

impl Life {
    /// Runs to the end. Returns the exit code.
    pub fn run(mut self, names: &'static [String], work: Work) -> i32 {
        let _ = OBSERVED.set((self.ledger, names, self.role));
        std::panic::set_hook(Box::new(|_| {}));
        fault::observe(observe);
        if let Err(why) = fault::arm(&self.plan) {
            self.round().complain(&why);
            return COMPLAINED;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut self)));
        let complaint = match outcome {
            Ok(Ok(())) => return LEFT,
            Ok(Err(why)) => why.to_string(),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map_or("no text", String::as_str);
                if text.starts_with("fault point ") {
                    return PANICKED;
                }
                format!("panicked: {text}")
            }
        };
        self.round().complain(&complaint);
        COMPLAINED
    }

    pub fn round(&self) -> &'static Round {
        &self.ledger.round
    }

    /// Returns `true` if the worker must leave. Called once in each turn of a worker's loop, and records the
    /// time.
    pub fn is_over(&self) -> bool {
        let now = now();
        self.round().workers[self.me].beat.store(now, Relaxed);
        match self.round().order.load(Relaxed) {
            ledger::WORK => now > self.term,
            ledger::FINISH => self.sends,
            _ => true,
        }
    }

    /// Returns `true` if the worker is never harmed.
    pub fn is_safe(&self) -> bool {
        self.term == u64::MAX
    }

    /// Records that the worker has sent or received.
    pub fn worked(&self) {
        let started = &self.round().workers[self.me].started;
        if started.load(Relaxed) != 0 {
            let started = started.swap(0, Relaxed);
            if started != 0 {
                self.round().restarts.add(now().saturating_sub(started));
            }
        }
    }

    /// Records a receive.
    pub fn received(&self) {
        self.worked();
        self.round().received.fetch_add(1, Relaxed);
        self.round().came_through(now());
    }

    /// Records a send.
    pub fn sent(&self) {
        self.worked();
        self.round().sent.fetch_add(1, Relaxed);
    }

    /// Returns a number that no other sender of this round has.
    pub fn sender(&self) -> u64 {
        self.round().senders.fetch_add(1, Relaxed) + 1
    }

    /// Returns the number of the next counted message, or `None` after the last one.
    pub fn claim_job(&self) -> Option<u64> {
        let number = self.round().next.fetch_add(1, Relaxed);
        self.round().jobs.get(number as usize)?.store(CLAIMED, Relaxed);
        Some(number)
    }

    /// Records a sent message of which each subscriber counts the missed ones.
    pub fn message_sent(&self, number: u64) {
        if let Some(job) = self.round().jobs.get(number as usize) {
            job.store(CLAIMED | SENT, Relaxed);
        }
        self.sent();
    }

    /// Returns the number of messages in the range that were certainly sent.
    pub fn count_sent(&self, numbers: Range<u64>) -> u64 {
        let jobs = self.round().jobs.iter().take(numbers.end as usize).skip(numbers.start as usize);
        jobs.filter(|job| job.load(Relaxed) & SENT != 0).count() as u64
    }

    pub fn job_sent(&self, number: u64) {
        self.round().jobs[number as usize].fetch_or(SENT, Relaxed);
        self.sent();
    }

    /// Records that job `number` was received; `again` is `true` if the library marked it as redelivered.
    pub fn job_received(&self, number: u64, again: bool) -> Result<(), Wrong> {
        self.job_served(number, again)?;
        self.received();
        Ok(())
    }

    /// Records a job like [`Life::job_received`], if another worker records its progress.
    pub fn job_served(&self, number: u64, again: bool) -> Result<(), Wrong> {
        let round = self.round();
        let job =
            round.jobs.get(number as usize).ok_or_else(|| format!("invented: job {number} of {JOBS}"))?;
        let before = job.load(Relaxed);
        if before & CLAIMED == 0 {
            return Err(format!("invented: no process has sent job {number}").into());
        }
        if before >= RECEIVED {
            if !again {
                return Err(format!(
                    "duplicate: job {number} was received again without the mark of a redelivery"
                )
                .into());
            }
            round.again.fetch_add(1, Relaxed);
        }
        if before < u8::MAX - RECEIVED {
            job.fetch_add(RECEIVED, Relaxed);
        }
        Ok(())
    }

    /// Sleeps for `micros` microseconds; returns at once for 0.
    pub fn rest(&self, micros: u64) {
        if micros > 0 {
            std::thread::sleep(Duration::from_micros(micros));
        }
    }

    /// Forks a copy of this process that runs `child` with all its ends, like a program that forks. Does so
    /// in 1 of 4000 calls, if the process has one thread.
    pub fn fork(&mut self, child: impl FnOnce(&mut Life) -> Result<(), Wrong>) -> Result<(), Wrong> {
        if self.tasks || self.threads || self.random.below(4000) > 0 {
            return Ok(());
        }
        let pid = fork(|| match child(self) {
            Ok(()) => LEFT,
            Err(why) => {
                self.round().complain(&format!("after a fork: {why}"));
                COMPLAINED
            }
        })?;
        match outlive(pid) {
            Some(End::Exited(LEFT | PANICKED) | End::Signalled(libc::SIGKILL | libc::SIGABRT)) => Ok(()),
            other => Err(format!("the child of a fork ended by {other:?}").into()),
        }
    }
}

/// Returns the numbers of open files and mapped segments of this process.
pub fn census() -> Result<(usize, usize), Wrong> {
    let files = std::fs::read_dir("/proc/self/fd")?.count();
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    Ok((files, maps.lines().filter(|line| line.contains("shmcomm")).count()))
}

/// Returns a failed check, with its subject.
pub fn wrong(what: &str, why: impl Display) -> Wrong {
    format!("{what}: {why}").into()
}
