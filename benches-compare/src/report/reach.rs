//! Verdicts: whether the measured figures are within the bounds of their case, in each state of the machine.
//!
//! Owns the table of bounds. Its two columns may come from two runs, each on a machine of its own. Never measures.

use super::state::Distance;
use super::{Done, Measured};
use crate::Result;
use crate::case::Target;
use crate::case::target::Limit;
use std::collections::HashMap;
use std::fmt::Write;

/// Returns the ways, the bound, the measured figure, and whether the figure is within the bound.
fn judge(target: &Target, ways: &[Measured]) -> Option<(String, String, String, bool)> {
    let find = |name: &str| ways.iter().find(|way| way.name == name);
    let way = find(&target.way)?;
    if let Limit::Figure(bound, unit, name) = target.limit {
        let value = way.median() / unit;
        let bound_text = format!("≤ {bound} {name}");
        return Some((way.name.clone(), bound_text, format!("{value:.1} {name}"), value <= bound));
    }
    let beside = find(&target.beside)?;
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

/// The table of bounds.
pub struct Bounds {
    /// The cells before the figures, and the figure of each state. A figure that is not within its bound is bold.
    rows: Vec<(String, [Option<String>; 2])>,
    /// The machine of each column.
    machines: [Option<String>; 2],
}

impl Bounds {
    /// Returns the bounds of the cases that ran on `machine`.
    pub fn of(all: &[Done], machine: &str) -> Self {
        let mut rows = Vec::new();
        for done in all {
            for target in &done.case.targets {
                let verdicts = Distance::ALL.map(|state| judge(target, done.rounds.ways_at(state)?));
                let Some((way, bound, ..)) = verdicts.iter().flatten().next() else { continue };
                let head = format!("| {} | {way} | {bound} |", done.case.title);
                let cell = |(_, _, figure, reached)| if reached { figure } else { format!("**{figure}**") };
                rows.push((head, verdicts.map(|verdict| verdict.map(cell))));
            }
        }
        Bounds { rows, machines: Distance::ALL.map(|_| Some(machine.into())) }
    }

    /// Completes the table by the `text` of an earlier run: a figure that this run did not measure is the earlier one, if
    /// that is of the same machine. If it is of another machine, this run's figures of a state count if they are at least
    /// half of the column, and otherwise the earlier column stays.
    pub fn keep(&mut self, text: &str) {
        for state in Distance::ALL {
            let column = state as usize;
            let begin = format!("* {}: ", state.name());
            let machine = text.lines().find_map(|line| line.strip_prefix(&begin)).map(str::to_owned);
            let same = machine == self.machines[column];
            let measured = self.rows.iter().filter(|(_, figures)| figures[column].is_some()).count();
            if !same && 2 * measured >= self.rows.len() {
                continue;
            }
            self.machines[column] = machine;
            let earlier: HashMap<_, _> = text.lines().filter_map(|line| figure(line, column)).collect();
            for (head, figures) in &mut self.rows {
                let now = figures[column].take().filter(|_| same);
                figures[column] = now.or_else(|| Some((*earlier.get(head.as_str())?).to_owned()));
            }
        }
    }

    /// Returns the machines of both columns as a Markdown list.
    pub fn machines(&self) -> Result<String> {
        let mut out = String::new();
        for (state, machine) in Distance::ALL.iter().zip(&self.machines) {
            writeln!(out, "* {}: {}", state.name(), machine.as_deref().unwrap_or("not measured"))?;
        }
        Ok(out)
    }

    /// Returns the bounds as a Markdown table.
    pub fn table(&self) -> Result<String> {
        let mut out = String::new();
        if !self.rows.is_empty() {
            writeln!(out, "| work | | bound | far | near |\n|---|---|--:|--:|--:|")?;
        }
        for (head, figures) in &self.rows {
            let [far, near] = figures.each_ref().map(|figure| figure.as_deref().unwrap_or("–"));
            writeln!(out, "{head} {far} | {near} |")?;
        }
        Ok(out)
    }
}

/// Returns the first cells of a row of the table, and the figure in `column`, if it has one.
fn figure(line: &str, column: usize) -> Option<(&str, &str)> {
    let ends: Vec<_> = line.match_indices('|').map(|(at, _)| at).collect();
    let &[_, _, _, head, far, near] = &ends[..] else { return None };
    let cells = [&line[head + 1..far], &line[far + 1..near]];
    let figure = cells[column].trim();
    (figure != "–").then_some((&line[..=head], figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(figures: [[Option<&str>; 2]; 2]) -> Bounds {
        let row = |(i, figures): (usize, [Option<&str>; 2])| {
            (format!("| work {i} | a / b | ≤ 1.10 |"), figures.map(|figure| figure.map(str::to_owned)))
        };
        let machines = [Some("here".into()), Some("here".into())];
        Bounds { rows: figures.into_iter().enumerate().map(row).collect(), machines }
    }

    #[test]
    fn column_without_figures_is_that_of_an_earlier_run() {
        let earlier = bounds([[Some("1.00"), Some("**2.00**")], [Some("3.00"), None]]);
        let text =
            format!("{}\n{}", earlier.machines().unwrap(), earlier.table().unwrap()).replace("here", "there");
        let mut now = bounds([[None, Some("5.00")], [None, None]]);
        now.keep(&text);
        assert_eq!(now.machines().unwrap(), "* far: there\n* near: here\n");
        assert!(now.table().unwrap().ends_with(
            "| work 0 | a / b | ≤ 1.10 | 1.00 | 5.00 |\n| work 1 | a / b | ≤ 1.10 | 3.00 | – |\n"
        ));
    }

    #[test]
    fn missing_figure_is_that_of_an_earlier_run() {
        let earlier = bounds([[Some("1.00"), None], [Some("3.00"), None]]);
        let text = format!("{}\n{}", earlier.machines().unwrap(), earlier.table().unwrap());
        let mut now = bounds([[Some("5.00"), None], [None, None]]);
        now.keep(&text);
        let table = now.table().unwrap();
        assert!(table.ends_with("0 | a / b | ≤ 1.10 | 5.00 | – |\n| work 1 | a / b | ≤ 1.10 | 3.00 | – |\n"));
        // Figures of two machines are never in one column.
        let mut now = bounds([[Some("5.00"), None], [None, None]]);
        now.keep(&text.replace("here", "there"));
        let table = now.table().unwrap();
        assert!(table.ends_with("0 | a / b | ≤ 1.10 | 5.00 | – |\n| work 1 | a / b | ≤ 1.10 | – | – |\n"));
    }

    #[test]
    fn bound_that_no_run_measured_has_no_figure() {
        let mut now = bounds([[None, None], [Some("1.00"), None]]);
        now.keep("no table");
        assert_eq!(now.machines().unwrap(), "* far: here\n* near: not measured\n");
        assert!(now.table().unwrap().contains("| work 0 | a / b | ≤ 1.10 | – | – |\n"));
    }
}
