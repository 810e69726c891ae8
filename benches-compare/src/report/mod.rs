//! Output: medians of ratios, percentiles, Markdown tables, raw results as JSON lines.
//!
//! Owns the figures of a case, its table and the log. The states of the machine are in [`state`], bounds in [`reach`],
//! charts in [`plot`], and the update of the documentation in [`docs`]. Never measures.

pub mod docs;
pub mod plot;
pub mod reach;
pub mod state;

use crate::Result;
use crate::case::{Case, Ended, Figure, Outcome};
use hdrhistogram::Histogram;
use state::Rounds;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Measured figures of one way (implementation).
pub struct Measured {
    pub name: String,
    pub x: f64,
    /// One entry for each round: nanoseconds per message, or the median if there are samples. For cases with
    /// other figures, those figures.
    rounds: Vec<f64>,
    samples: Histogram<u64>,
    sent: u64,
    lost: u64,
    bytes: u64,
}

impl Measured {
    pub fn new(name: &str, x: f64) -> Self {
        let samples = Histogram::new(3).expect("three digits are allowed");
        Measured { name: name.into(), x, rounds: Vec::new(), samples, sent: 0, lost: 0, bytes: 0 }
    }

    pub fn add(&mut self, count: u64, outcome: Outcome, ended: Ended) -> Result<()> {
        self.sent += count;
        self.lost += ended.lost;
        let arrived = count.saturating_sub(ended.lost).max(1) as f64;
        let samples = match outcome {
            Outcome::Samples(samples) => Some(samples),
            Outcome::Theirs => ended.samples,
            Outcome::Began(began) => {
                self.rounds.push(ended.at.saturating_sub(began) as f64 / arrived);
                None
            }
            Outcome::Took(took) => {
                self.rounds.push(took as f64 / count as f64);
                None
            }
            Outcome::Value(value, bytes) => {
                self.rounds.push(value);
                self.bytes = self.bytes.max(bytes);
                None
            }
        };
        if let Some(samples) = samples {
            self.rounds.push(ended.value.unwrap_or(samples.value_at_quantile(0.5) as f64));
            self.samples.add(samples)?;
        }
        Ok(())
    }

    /// Returns the median of the rounds.
    pub fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// Returns a percentile of all messages, or the median of the rounds if there are no samples.
    pub fn at(&self, quantile: f64) -> f64 {
        if self.samples.is_empty() { self.median() } else { self.samples.value_at_quantile(quantile) as f64 }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the median of the ratios, round by round.
    fn beside(&self, other: &Measured) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(a, b)| a / b).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A case that has run.
pub struct Done {
    pub case: Case,
    pub rounds: Rounds,
}

impl Done {
    /// Returns the figures of all ways, in the state that most rounds had.
    pub fn ways(&self) -> &[Measured] {
        self.rounds.ways()
    }

    pub fn way(&self, name: &str) -> Option<&Measured> {
        self.ways().iter().find(|way| way.name == name)
    }

    /// Returns the figures, in the state that most rounds had, as a Markdown table.
    pub fn table(&self) -> Result<String> {
        let mut out = String::new();
        let (Some(first), ways) = (self.ways().first(), self.ways()) else { return Ok(out) };
        match self.case.figure {
            Figure::Latency => {
                writeln!(
                    out,
                    "| ns | p50 | p90 | p99 | p99.9 | × {} |\n|---|--:|--:|--:|--:|--:|",
                    first.name
                )?;
                for way in ways {
                    let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|q| count(way.at(q)));
                    let ratio = way.beside(first);
                    writeln!(out, "| {} | {p50} | {p90} | {p99} | {p999} | {ratio:.2} |", way.name)?;
                }
            }
            Figure::Throughput { bytes } => {
                writeln!(out, "| | million/s | GB/s | ns each | × {} |\n|---|--:|--:|--:|--:|", first.name)?;
                for way in ways {
                    let (ns, ratio) = (way.median(), first.beside(way));
                    let (rate, volume) = (1e3 / ns, bytes as f64 / ns);
                    writeln!(out, "| {} | {rate:.3} | {volume:.2} | {ns:.1} | {ratio:.2} |", way.name)?;
                }
            }
            Figure::Lossy { bytes } => {
                writeln!(out, "| | million received/s | GB/s | lost |\n|---|--:|--:|--:|")?;
                for way in ways {
                    let ns = way.median();
                    let (rate, volume) = (1e3 / ns, bytes as f64 / ns);
                    let lost = 100.0 * way.lost as f64 / way.sent as f64;
                    writeln!(out, "| {} | {rate:.3} | {volume:.2} | {lost:.1} % |", way.name)?;
                }
            }
            Figure::Cost => {
                writeln!(out, "| | ns a call | × {} |\n|---|--:|--:|", first.name)?;
                for way in ways {
                    writeln!(out, "| {} | {:.1} | {:.2} |", way.name, way.median(), way.beside(first))?;
                }
            }
            Figure::Scale => {
                writeln!(out, "| | ns a message | × {} | memory |\n|---|--:|--:|--:|", first.name)?;
                for way in ways {
                    let (ns, ratio, bytes) = (way.median(), way.beside(first), kib(way.bytes as f64));
                    writeln!(out, "| {} | {ns:.1} | {ratio:.2} | {bytes} |", way.name)?;
                }
            }
            Figure::Memory => {
                writeln!(out, "| | segments | resident in the sender |\n|---|--:|--:|")?;
                for way in ways {
                    writeln!(out, "| {} | {} | {} |", way.name, kib(way.median()), kib(way.bytes as f64))?;
                }
            }
            Figure::Share => {
                writeln!(out, "| | one way, p50 | p99 | share |\n|---|--:|--:|--:|")?;
                for way in ways {
                    let (p50, p99, share) = (count(way.at(0.5)), count(way.at(0.99)), way.median());
                    writeln!(out, "| {} | {p50} | {p99} | {share:.1} % |", way.name)?;
                }
            }
        }
        Ok(out)
    }
}

/// Returns a number with separated thousands.
fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn kib(bytes: f64) -> String {
    format!("{} KiB", count(bytes / 1024.0))
}

/// Describes the machine on which the following tables were measured.
pub fn machine(quick: bool) -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or(std::env::consts::ARCH);
    let system = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let quick = if quick { "; `--quick`: two short rounds, for a first look only" } else { "" };
    format!("{processor}, {processors} processors, Linux {}{quick}", system.trim())
}

/// Log of every burst, as lines of JSON.
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

    /// Writes the line of a round to the log, in nanoseconds.
    pub fn line(&mut self, case: &Case, round: usize, ns: f64) -> Result<()> {
        let id = &case.id;
        writeln!(self.file, r#"{{"case":"{id}","line":true,"round":{round},"value":{ns:.2}}}"#)?;
        Ok(())
    }

    /// Writes the last burst of `way` to the log. Names are our own: they need no escapes.
    pub fn burst(&mut self, case: &Case, way: &Measured, round: usize, count: u64) -> Result<()> {
        let (id, name, value) = (&case.id, &way.name, way.rounds.last().copied().unwrap_or(f64::NAN));
        writeln!(
            self.file,
            r#"{{"case":"{id}","way":"{name}","round":{round},"messages":{count},"value":{value:.2},"lost":{}}}"#,
            way.lost
        )?;
        self.file.flush()?;
        Ok(())
    }
}
