//! Faults for a worker, drawn when it starts.
//!
//! Owns the three modes of a round: faults at fault points, at random times, and at random times with yields
//! and sleeps at all points.

use super::ledger::{Ledger, POINTS};
use super::random::Random;
use std::sync::atomic::Ordering::Relaxed;

const MILLI: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    Kill,
    Stop,
    /// Continue a stopped worker.
    GoOn,
}

/// Mode of the faults of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Points,
    Random,
    /// With yields and sleeps at all points.
    Chance,
}

/// Faults of one worker, drawn at its start.
pub struct Fate {
    /// Plan for the fault points.
    pub plan: String,
    pub harm: Harm,
    pub harm_after: Option<u64>,
    pub leaves_after: Option<u64>,
}

impl Mode {
    pub fn of(round: u64) -> Self {
        [Mode::Points, Mode::Random, Mode::Chance][(round % 3) as usize]
    }

    /// Draws the faults of a worker of role `role`. A worker that is not harmed only loses time at its
    /// points.
    pub fn fate(
        self,
        random: &mut Random,
        ledger: &Ledger,
        role: usize,
        names: &[String],
        harmless: bool,
    ) -> Fate {
        let mut plan = format!("seed={}", random.number());
        if self == Mode::Chance {
            plan += &format!(
                ";*=yield%{};*=sleep:{}%{}",
                random.magnitude(20),
                random.magnitude(500),
                random.below(3)
            );
        }
        if harmless {
            return Fate { plan, harm: Harm::Kill, harm_after: None, leaves_after: None };
        }
        let armed = match self {
            Mode::Points => random.percent(95),
            Mode::Random => false,
            Mode::Chance => random.percent(50),
        };
        if armed && let Some(name) = point(random, ledger, role, names) {
            let action = match random.below(20) {
                0 => "abort",
                1 | 2 => "panic",
                3 => "stop",
                _ => "kill",
            };
            let visit = if random.percent(40) { 1 } else { random.magnitude(1000) };
            plan += &format!(";{name}={action}@{visit}");
        }
        // Also if it dies at a point by its plan, because it may never reach that point.
        let harm_after = (1 + random.magnitude(64)) * MILLI;
        let harm = if random.percent(15) { Harm::Stop } else { Harm::Kill };
        let leaves_after = random.percent(15).then(|| random.magnitude(40) * MILLI);
        Fate { plan, harm, harm_after: Some(harm_after), leaves_after: leaves_after.or(Some(60_000 * MILLI)) }
    }
}

/// Draws a point that this role reaches; prefers points with few actions so far.
fn point<'n>(random: &mut Random, ledger: &Ledger, role: usize, names: &'n [String]) -> Option<&'n str> {
    let known: Vec<usize> = (0..names.len().min(POINTS))
        .filter(|&at| ledger.points[at].roles.load(Relaxed) >> role & 1 != 0)
        .collect();
    if known.is_empty() {
        return None;
    }
    let acts = |at: &usize| ledger.points[*at].acts.load(Relaxed);
    let at = if random.percent(50) { known.iter().copied().min_by_key(acts)? } else { *random.pick(&known) };
    Some(&names[at])
}
