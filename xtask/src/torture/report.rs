//! Totals of a run.
//!
//! Owns the totals and their text.

use super::ledger::{Ledger, Round};
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

#[derive(Default)]
pub struct Totals {
    pub rounds: u64,
    pub starts: u64,
    /// Kills by the supervisor at random times, and by processes at a fault point.
    pub random_kills: u64,
    pub point_kills: u64,
    pub aborts: u64,
    pub panics: u64,
    pub stops: u64,
    pub leaves: u64,
    pub sent: u64,
    pub received: u64,
    pub again: u64,
    pub unanswered: u64,
    /// Messages lost with receivers that died, on a format that cannot prevent it.
    pub taken_along: u64,
    pub recoveries: Vec<u32>,
    pub restarts: Vec<u32>,
    /// Microseconds by which the supervisor woke too late, because of the machine's load.
    pub delays: Vec<u32>,
}

impl Totals {
    pub fn deaths(&self) -> u64 {
        self.random_kills + self.point_kills + self.aborts + self.panics
    }

    /// Adds the counts of a finished round.
    pub fn add(&mut self, round: &Round) {
        self.rounds += 1;
        self.sent += round.sent.load(Relaxed);
        self.received += round.received.load(Relaxed);
        self.again += round.again.load(Relaxed);
        self.unanswered += round.unanswered.load(Relaxed);
        self.recoveries.extend(round.recoveries.all());
        self.restarts.extend(round.restarts.all());
    }
}

/// Percentiles of durations in microseconds.
struct Order<'t>(&'t [u32]);

impl Display for Order<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut times = self.0.to_vec();
        times.sort_unstable();
        let Some(last) = times.len().checked_sub(1) else { return f.write_str("none") };
        let at = |percent: usize| f64::from(times[last * percent / 100]) / 1000.0;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms of {}", at(50), at(99), at(100), times.len())
    }
}

/// Report of a run so far.
pub struct Report<'r> {
    pub totals: &'r Totals,
    pub ledger: &'r Ledger,
    pub names: &'r [String],
    pub seed: u64,
    pub time: Duration,
}

/// Returns the points that no process reached.
pub fn missed<'n>(ledger: &Ledger, names: &'n [String]) -> Vec<&'n str> {
    let lives = |at: usize| ledger.points[at].lives.load(Relaxed);
    names.iter().enumerate().filter(|(at, _)| lives(*at) == 0).map(|(_, name)| name.as_str()).collect()
}

impl Report<'_> {
    /// Returns the points that the fewest processes reached, with their number.
    fn least(&self, most: usize) -> Vec<(&str, u64)> {
        let lives = |at: usize| self.ledger.points[at].lives.load(Relaxed);
        let mut points: Vec<(&str, u64)> =
            self.names.iter().enumerate().map(|(at, name)| (name.as_str(), lives(at))).collect();
        points.sort_by_key(|(_, lives)| *lives);
        points.truncate(most);
        points
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Totals { rounds, starts, random_kills, point_kills, aborts, panics, stops, leaves, .. } =
            self.totals;
        let Totals { sent, received, again, unanswered, taken_along, recoveries, restarts, delays, .. } =
            self.totals;
        let seconds = self.time.as_secs_f64();
        writeln!(f, "seed {}, {seconds:.0} s, {rounds} rounds", self.seed)?;
        writeln!(
            f,
            "killed      {} of {starts} processes ({:.0} a second): {random_kills} at random, {point_kills} killed, \
             {aborts} aborted and {panics} panicked at a fault point; {stops} stops; {leaves} left by themselves",
            self.totals.deaths(),
            self.totals.deaths() as f64 / seconds.max(1e-9)
        )?;
        writeln!(f, "messages    {sent} sent, {received} received")?;
        writeln!(
            f,
            "jobs        {again} were redelivered and marked so; {taken_along} were lost with pullers of the Python wire"
        )?;
        writeln!(f, "requests    {unanswered} with an error in place of an answer")?;
        writeln!(f, "recovery    {}", Order(recoveries))?;
        writeln!(f, "at work     {} after a restart", Order(restarts))?;
        writeln!(f, "machine     the supervisor woke too late by {}", Order(delays))?;
        let missed = missed(self.ledger, self.names);
        let acted = (0..self.names.len()).filter(|at| self.ledger.points[*at].acts.load(Relaxed) > 0).count();
        write!(
            f,
            "points      {} of {} reached, something done at {acted}",
            self.names.len() - missed.len(),
            self.names.len()
        )?;
        if !missed.is_empty() {
            return write!(f, "; not at {}", missed.join(", "));
        }
        for (at, (name, lives)) in self.least(3).into_iter().enumerate() {
            write!(f, "{} {name} ({lives})", if at == 0 { "; by the fewest processes" } else { "," })?;
        }
        Ok(())
    }
}
