//! What comes out: medians of ratios, percentiles, a Markdown table, raw results as JSON lines.
//!
//! Owns the figures of a case, the table, the log and the targets. Never measures.

use crate::Result;
use crate::work::{Case, Figure};
use hdrhistogram::Histogram;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What one way is to reach, beside another one.
pub struct Target {
    way: &'static str,
    factor: f64,
    at_least: bool,
    beside: &'static str,
}

impl Target {
    /// `way` is to have at least `factor` times the throughput of `beside`.
    pub fn at_least(way: &'static str, factor: f64, beside: &'static str) -> Self {
        Target { way, factor, at_least: true, beside }
    }

    /// `way` is to take at most `factor` times as long as `beside`.
    pub fn at_most(way: &'static str, factor: f64, beside: &'static str) -> Self {
        Target { way, factor, at_least: false, beside }
    }
}

/// What was measured of one way.
pub struct Measured {
    name: String,
    /// Nanoseconds a message, one entry for each round: the median where there are samples.
    rounds: Vec<f64>,
    samples: Histogram<u64>,
}

impl Measured {
    pub fn new(name: &str) -> Self {
        let samples = Histogram::new(3).expect("three digits are allowed");
        Measured { name: name.into(), rounds: Vec::new(), samples }
    }

    pub fn add(&mut self, count: u64, total: Option<u64>, samples: Option<Histogram<u64>>) -> Result<()> {
        if let Some(total) = total {
            self.rounds.push(total as f64 / count as f64);
        }
        if let Some(samples) = samples {
            self.rounds.push(samples.value_at_quantile(0.5) as f64);
            self.samples.add(samples)?;
        }
        Ok(())
    }

    fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// The median of the ratios of nanoseconds, round by round.
    fn beside(&self, other: &Measured) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(a, b)| a / b).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The figures of a case, as Markdown.
pub struct Table(String);

impl Table {
    pub fn new(case: &Case, measured: Vec<Measured>) -> Result<Self> {
        let mut text = String::new();
        let first = &measured[0];
        rows(&mut text, case, &measured, first)?;
        for target in &case.targets {
            let find = |name| measured.iter().find(|way| way.name == name);
            let (Some(way), Some(beside)) = (find(target.way), find(target.beside)) else { continue };
            judge(&mut text, target, way.beside(beside))?;
        }
        Ok(Table(text))
    }
}

fn rows(out: &mut impl fmt::Write, case: &Case, measured: &[Measured], first: &Measured) -> Result<()> {
    match case.figure {
        Figure::Latency => {
            writeln!(out, "| ns | p50 | p90 | p99 | p99.9 | × {} |\n|---|--:|--:|--:|--:|--:|", first.name)?;
            for way in measured {
                let at = |q| way.samples.value_at_quantile(q);
                let (p50, p90, p99, p999) = (at(0.5), at(0.9), at(0.99), at(0.999));
                let ratio = way.beside(first);
                writeln!(out, "| {} | {p50} | {p90} | {p99} | {p999} | {ratio:.2} |", way.name)?;
            }
        }
        Figure::Throughput { bytes } => {
            writeln!(out, "| | million/s | GB/s | ns each | × {} |\n|---|--:|--:|--:|--:|", first.name)?;
            for way in measured {
                let ns = way.median();
                let (rate, volume) = (1e3 / ns, bytes as f64 / ns);
                let ratio = first.beside(way);
                writeln!(out, "| {} | {rate:.3} | {volume:.2} | {ns:.1} | {ratio:.2} |", way.name)?;
            }
        }
        Figure::Cost => {
            writeln!(out, "| | ns a call | × {} |\n|---|--:|--:|", first.name)?;
            for way in measured {
                writeln!(out, "| {} | {:.1} | {:.2} |", way.name, way.median(), way.beside(first))?;
            }
        }
    }
    Ok(())
}

fn judge(out: &mut impl fmt::Write, target: &Target, ns_ratio: f64) -> Result<()> {
    let Target { way, factor, at_least, beside } = *target;
    let (ratio, reached, bound) = if at_least {
        (1.0 / ns_ratio, 1.0 / ns_ratio >= factor, "≥")
    } else {
        (ns_ratio, ns_ratio <= factor, "≤")
    };
    let verdict = if reached { "reached" } else { "**not reached**" };
    writeln!(out, "\n{way} / {beside}: {ratio:.3}; to be {bound} {factor}: {verdict}")?;
    Ok(())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the tables that follow were measured on.
pub fn preamble(quick: bool) {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or(std::env::consts::ARCH);
    let system = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{processor}, {processors} processors, Linux {}", system.trim());
    if quick {
        println!("\n`--quick`: five rounds; for a first look only");
    }
}

/// Every burst, as a line of JSON.
pub struct Log {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Log {
    pub fn create() -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/results");
        std::fs::create_dir_all(&folder)?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let path = folder.join(format!("{seconds}.jsonl"));
        Ok(Log { file: BufWriter::new(File::create(&path)?), path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes the last burst of `way`. Names are our own: they need no escapes.
    pub fn burst(&mut self, case: &Case, way: &Measured, round: usize, count: u64) -> Result<()> {
        let (id, name, ns) = (case.id, &way.name, way.rounds.last().copied().unwrap_or(f64::NAN));
        writeln!(
            self.file,
            r#"{{"case":"{id}","way":"{name}","round":{round},"messages":{count},"ns":{ns:.2}}}"#
        )?;
        self.file.flush()?;
        Ok(())
    }
}
