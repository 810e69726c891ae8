//! Update of the documentation by a full run: the summary, the bounds, and every table.
//!
//! A marker is a line `<!-- comparison: NAME -->`. Only the text between it and the next line
//! `<!-- comparison: end -->` is replaced. Never writes a file without its markers.

use super::reach::Bounds;
use super::{Done, count, plot};
use crate::Result;
use std::fmt::Write;
use std::path::Path;

/// The implementations of the summary, by the name that they have in most cases.
const WAYS: &[&str] = &[
    "slot ring",
    "shmcomm",
    "iceoryx2",
    "shmem-ipc",
    "ZeroMQ",
    "Unix socket",
    "pipe",
    "ipc-channel",
    "Python shm-comm",
];

/// Conversion of a measured figure to the text of a cell.
type Cell = fn(&super::Measured) -> String;

/// The columns of the summary: heading, case, suffix of the implementation's name in that case, and figure.
const COLUMNS: &[(&str, &str, &str, Cell)] = &[
    ("64 B one way, polling, ns", "latency-64", "", |way| count(way.at(0.5))),
    ("64 B one way, asleep, µs", "asleep-64", "", |way| format!("{:.1}", way.at(0.5) / 1e3)),
    ("4 MiB in place, 8 B touched, ns", "touched-4M", "", |way| count(way.at(0.5))),
    ("64 B, lossless, million/s", "throughput-64", "", |way| format!("{:.1}", 1e3 / way.median())),
    ("`send` to 16 that poll, ns", "fanout-64", ", 16 subscribers", |way| count(way.median())),
    ("round trip, polling, ns", "call-64", "", |way| count(way.at(0.5))),
];

/// Replaces the text between the markers of README, `docs/performance.md` and `docs/benchmarks.md`, and the charts.
pub fn write(all: &[Done], machine: &str) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no folder above")?;
    let summary = summary(all)?;
    plot::write(all, &root.join("docs/plots"))?;
    let page = root.join("docs/benchmarks.md");
    replace(&page, "machine", &format!("{machine}.\n"))?;
    let mut bounds = Bounds::of(all, machine);
    bounds.keep(&std::fs::read_to_string(&page)?);
    replace(&page, "reach", &format!("{}\n{}", bounds.machines()?, bounds.table()?))?;
    replace(&page, "summary", &summary)?;
    replace(&page, "tables", &tables(all)?)?;
    replace(&root.join("docs/performance.md"), "summary", &summary)?;
    replace(&root.join("README.md"), "summary", &summary)
}

fn replace(path: &Path, name: &str, with: &str) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let (begin, end) = (format!("<!-- comparison: {name} -->\n"), "<!-- comparison: end -->");
    let missing = || format!("{} has no marker for `{name}`", path.display());
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(end).ok_or_else(missing)?;
    Ok(std::fs::write(path, format!("{before}{begin}\n{}\n\n{end}{after}", with.trim()))?)
}

fn summary(all: &[Done]) -> Result<String> {
    let mut out = String::from("| |");
    for (name, case, ..) in COLUMNS {
        match all.iter().find(|done| done.case.id == *case) {
            Some(done) => write!(out, " {name}, {} |", done.rounds.distance().name())?,
            None => write!(out, " {name} |")?,
        }
    }
    write!(out, "\n|---|{}\n", "--:|".repeat(COLUMNS.len()))?;
    for name in WAYS {
        let cells = COLUMNS.iter().map(|(_, case, suffix, cell)| {
            let done = all.iter().find(|done| done.case.id == *case)?;
            Some(cell(done.way(&format!("{name}{suffix}"))?))
        });
        let cells: Vec<_> = cells.map(|cell| cell.unwrap_or_else(|| "–".into())).collect();
        writeln!(out, "| {name} | {} |", cells.join(" | "))?;
    }
    Ok(out)
}

fn tables(all: &[Done]) -> Result<String> {
    let mut out = String::new();
    for done in all {
        writeln!(out, "**{}** (`{}`), {}\n\n{}", done.case.title, done.case.id, done.rounds, done.table()?)?;
    }
    Ok(out)
}
