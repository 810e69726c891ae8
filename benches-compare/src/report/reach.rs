//! Verdicts: whether the measured figures are within the bounds of their case.

use super::Done;
use crate::Result;
use crate::case::Target;
use crate::case::target::Limit;
use std::fmt::Write;

/// Returns the way, the bound, the measured figure, and whether the figure is within the bound.
fn judge(target: &Target, done: &Done) -> Option<(String, String, String, bool)> {
    let way = done.way(&target.way)?;
    if let Limit::Figure(bound, unit, name) = target.limit {
        let value = way.median() / unit;
        let bound_text = format!("≤ {bound} {name}");
        return Some((way.name.clone(), bound_text, format!("{value:.1} {name}"), value <= bound));
    }
    let beside = done.way(&target.beside)?;
    let both = format!("{} / {}", way.name, beside.name);
    let ratio = way.beside(beside);
    Some(match target.limit {
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

/// Returns all bounds of the cases that ran, as a Markdown table.
pub fn table(all: &[Done]) -> Result<String> {
    let mut out = String::from("| work | | bound | measured | state | |\n|---|---|--:|--:|---|---|\n");
    let head = out.len();
    for done in all {
        for (way, bound, measured, reached) in done.case.targets.iter().filter_map(|t| judge(t, done)) {
            let verdict = if reached { "reached" } else { "**not reached**" };
            let state = done.state.name();
            writeln!(out, "| {} | {way} | {bound} | {measured} | {state} | {verdict} |", done.case.title)?;
        }
    }
    if out.len() == head {
        out.clear();
    }
    Ok(out)
}
