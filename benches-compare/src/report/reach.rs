//! Bounds: the required figure of a way, absolute or relative to another way, and the verdict.

use super::Done;
use crate::Result;
use std::fmt::Write;

/// Required figure of one way.
pub struct Target {
    way: String,
    limit: Limit,
    beside: String,
}

enum Limit {
    /// Maximum ratio of the times.
    AtMost(f64),
    /// Maximum ratio of the times at a percentile of all messages.
    AtMostAt(f64, f64),
    /// Minimum ratio of the throughputs.
    AtLeast(f64),
    /// Minimum ratio of the throughputs, or minimum throughput in millions per second.
    AtLeastOr(f64, f64),
    /// Maximum of the figure itself: bound, unit in the figure's own unit, and name of the unit.
    Figure(f64, f64, &'static str),
}

impl Target {
    fn new(way: &str, limit: Limit, beside: &str) -> Self {
        Target { way: way.into(), limit, beside: beside.into() }
    }

    /// Requires that `way` takes at most `factor` times as long as `beside`.
    pub fn at_most(way: &str, factor: f64, beside: &str) -> Self {
        Self::new(way, Limit::AtMost(factor), beside)
    }

    /// Requires that at `quantile` `way` takes at most `factor` times as long as `beside`.
    pub fn at_most_at(quantile: f64, way: &str, factor: f64, beside: &str) -> Self {
        Self::new(way, Limit::AtMostAt(quantile, factor), beside)
    }

    /// Requires that `way` has at least `factor` times the throughput of `beside`.
    pub fn at_least(way: &str, factor: f64, beside: &str) -> Self {
        Self::new(way, Limit::AtLeast(factor), beside)
    }

    /// Requires at least `factor` times the throughput of `beside`, or `millions` of messages per second.
    pub fn at_least_or(way: &str, factor: f64, beside: &str, millions: f64) -> Self {
        Self::new(way, Limit::AtLeastOr(factor, millions), beside)
    }

    /// Requires that the figure of `way`, in `name`s of `unit` each, is at most `bound`.
    pub fn figure(way: &str, bound: f64, unit: f64, name: &'static str) -> Self {
        Self::new(way, Limit::Figure(bound, unit, name), "")
    }

    /// Returns the way, the bound, the measured figure, and whether the figure is within the bound.
    fn judge(&self, done: &Done) -> Option<(String, String, String, bool)> {
        let way = done.way(&self.way)?;
        if let Limit::Figure(bound, unit, name) = self.limit {
            let value = way.median() / unit;
            let bound_text = format!("≤ {bound} {name}");
            return Some((way.name.clone(), bound_text, format!("{value:.1} {name}"), value <= bound));
        }
        let beside = done.way(&self.beside)?;
        let both = format!("{} / {}", way.name, beside.name);
        let ratio = way.beside(beside);
        Some(match self.limit {
            Limit::AtMost(factor) => (both, format!("≤ {factor:.2}"), format!("{ratio:.2}"), ratio <= factor),
            Limit::AtMostAt(quantile, factor) => {
                let ratio = way.at(quantile) / beside.at(quantile);
                let both = format!("{both}, p{}", 100.0 * quantile);
                (both, format!("≤ {factor:.2}"), format!("{ratio:.2}"), ratio <= factor)
            }
            Limit::AtLeast(factor) => {
                (both, format!("≥ {factor:.2}"), format!("{:.2}", 1.0 / ratio), 1.0 / ratio >= factor)
            }
            Limit::AtLeastOr(factor, millions) => {
                let rate = 1e3 / way.median();
                let reached = 1.0 / ratio >= factor || rate >= millions;
                let bound = format!("≥ {factor:.2}, or {millions} million/s");
                (both, bound, format!("{:.2}, {rate:.1} million/s", 1.0 / ratio), reached)
            }
            Limit::Figure(..) => return None,
        })
    }
}

/// Returns all bounds of the cases that ran, as a Markdown table.
pub fn table(all: &[Done]) -> Result<String> {
    let mut out = String::from("| work | | bound | measured | |\n|---|---|--:|--:|---|\n");
    let head = out.len();
    for done in all {
        for (way, bound, measured, reached) in done.case.targets.iter().filter_map(|t| t.judge(done)) {
            let verdict = if reached { "reached" } else { "**not reached**" };
            writeln!(out, "| {} | {way} | {bound} | {measured} | {verdict} |", done.case.title)?;
        }
    }
    if out.len() == head {
        out.clear();
    }
    Ok(out)
}
