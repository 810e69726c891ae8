//! What is done to a worker: its fate, drawn when it starts.
//!
//! Owns the three ways of a round: at fault points, at random, and at random with yields and sleeps at
//! all points.

use super::ledger::{Ledger, POINTS};
use super::random::Random;
use std::sync::atomic::Ordering::Relaxed;

const MILLI: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    Kill,
    Stop,
    /// Of one that is stopped.
    GoOn,
}

/// How a round harms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Points,
    Random,
    /// With yields and sleeps at all points.
    Chance,
}

/// Drawn at a start.
pub struct Fate {
    /// At fault points.
    pub plan: String,
    pub harm: Harm,
    pub harm_after: Option<u64>,
    pub leaves_after: Option<u64>,
}

impl Mode {
    pub fn of(round: u64) -> Self {
        [Mode::Points, Mode::Random, Mode::Chance][(round % 3) as usize]
    }

    /// What becomes of a worker of role `role`. A harmless one only loses time at its points.
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
        // Also where it was to die at a point, as it may never come there.
        let harm_after = (1 + random.magnitude(64)) * MILLI;
        let harm = if random.percent(15) { Harm::Stop } else { Harm::Kill };
        let leaves_after = random.percent(15).then(|| random.magnitude(40) * MILLI);
        Fate { plan, harm, harm_after: Some(harm_after), leaves_after: leaves_after.or(Some(60_000 * MILLI)) }
    }
}

/// A point where this role comes by; one where little was done yet more often than others.
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
