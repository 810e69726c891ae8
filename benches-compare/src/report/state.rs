//! The state of the machine: how far apart the two processors were in each round.
//!
//! Owns the figures of the bare line, and the figures of all ways, separately for the two states. Never mixes rounds of
//! different states.

use super::{Measured, median};
use crate::case::Case;
use std::fmt::{self, Display, Formatter};

/// Distance of the two processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    Far,
    Near,
}

impl Distance {
    pub const ALL: [Self; 2] = [Self::Far, Self::Near];

    /// Time of 8 bytes one way, in nanoseconds, from which on the processors count as far.
    const FAR: f64 = 150.0;

    fn of(ns: f64) -> Self {
        if ns >= Self::FAR { Self::Far } else { Self::Near }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Far => "far",
            Self::Near => "near",
        }
    }
}

/// Figures of all ways of a case, in the rounds of one state.
struct Figures {
    /// Nanoseconds of 8 bytes one way, before each round.
    line: Vec<f64>,
    ways: Vec<Measured>,
}

/// Figures of all rounds of a case.
pub struct Rounds([Figures; 2]);

impl Rounds {
    /// The fewest rounds for a figure of the state that fewer rounds had.
    const FEWEST: usize = 3;

    pub fn new(case: &Case) -> Self {
        let ways = || case.ways.iter().map(|way| Measured::new(&way.name, way.x)).collect();
        Rounds(Distance::ALL.map(|_| Figures { line: vec![], ways: ways() }))
    }

    /// Begins a round, before which 8 bytes took `ns` one way. Returns the figures to which the round belongs.
    pub fn begin(&mut self, ns: f64) -> &mut [Measured] {
        let Figures { line, ways } = &mut self.0[Distance::of(ns) as usize];
        line.push(ns);
        ways
    }

    /// Returns the state that most rounds had.
    pub fn distance(&self) -> Distance {
        let [far, near] = &self.0;
        if far.line.len() > near.line.len() { Distance::Far } else { Distance::Near }
    }

    /// Returns the figures of the rounds in the state that most rounds had.
    pub fn ways(&self) -> &[Measured] {
        &self.0[self.distance() as usize].ways
    }

    /// Returns the figures of a state, if there are enough rounds.
    pub fn ways_at(&self, distance: Distance) -> Option<&[Measured]> {
        let Figures { line, ways } = &self.0[distance as usize];
        (distance == self.distance() || line.len() >= Self::FEWEST).then_some(ways)
    }
}

impl Display for Rounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (distance, all) =
            (self.distance(), self.0.iter().map(|figures| figures.line.len()).sum::<usize>());
        let line = &self.0[distance as usize].line;
        write!(f, "{}", distance.name())?;
        if line.len() < all {
            write!(f, " in {} of {all} rounds", line.len())?;
        }
        write!(f, ": 8 bytes one way in {:.0} ns", median(line.clone()))
    }
}
