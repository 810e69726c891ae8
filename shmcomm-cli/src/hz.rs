//! `shmcomm hz`: the rates of channels, and how regular their messages are.
//!
//! Owns the reports, and the sampling of intervals. Rates come from the counters in the header, so they are
//! exact at any speed. The jitter is sampled: a burst of readings sees some of the intervals. Calls `rates`.
//! Never receives a message.

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::{self, Pace};
use crate::rates::{Meter, Rate};
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::{CounterValues, Counters};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Windows of the two rates.
pub const SHORT: Duration = Duration::from_secs(1);
pub const LONG: Duration = Duration::from_secs(10);
/// Number of intervals that the jitter is computed from.
const INTERVALS: usize = 2000;
/// Time of a burst of readings, in which a processor does nothing else.
const BURST: Duration = Duration::from_millis(4);
/// Pause after a burst.
const REST: Duration = Duration::from_millis(80);
/// Messages per second from which bursts replace regular readings.
const FAST: f64 = 250.0;

/// Measures the rates of channels, from the counters in their headers.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm hz robot/imu                     a report each second, until Ctrl-C
  shmcomm hz robot/imu robot/camera -n 5   five reports for each of two channels
  shmcomm hz 'robot/*' --json --duration 10s

A report has the rate over 1 s and over 10 s, the bytes per second, and the jitter: the difference of an
interval between two messages from the mean interval. Rates are exact, because the header counts every
message. The jitter is sampled.

JSON: an object per report, with channel, hz (over 1 s), hz_10s, bytes_per_s (null for the Python library),
messages (since the creation), window_s, jitter_p50_us, jitter_p99_us (null without samples) and
jitter_samples.")]
pub struct Arguments {
    /// Names of channels; `*` stands for any characters
    #[arg(value_name = "CHANNEL", required = true)]
    channels: Vec<String>,
    /// Time between two reports
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::parse_duration)]
    interval: Duration,
}

#[derive(Serialize)]
struct Report<'a> {
    channel: &'a str,
    hz: Option<f64>,
    hz_10s: Option<f64>,
    bytes_per_s: Option<f64>,
    messages: u64,
    window_s: f64,
    jitter_p50_us: Option<f64>,
    jitter_p99_us: Option<f64>,
    jitter_samples: usize,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut channels = watched(common, &args.channels)?;
    let intervals: Vec<_> = channels.iter().map(|_| Mutex::new(Intervals::default())).collect();
    let ended = AtomicBool::new(false);
    let burst = Mutex::new(());
    std::thread::scope(|scope| {
        for ((name, _), intervals) in channels.iter().zip(&intervals) {
            let (ended, burst) = (&ended, &burst);
            let name = name.clone();
            scope.spawn(move || sample(&name, intervals, burst, ended));
        }
        let outcome = report(common, args, &mut channels, &intervals);
        // Relaxed: the flag orders no other access.
        ended.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Opens the counters of the selected channels.
pub fn watched(common: &Common, names: &[String]) -> Result<Vec<(String, Meter)>, Failure> {
    let segments = channels::select(common, names)?;
    let open = |segment: shmcomm::SegmentInfo| {
        let segment = channels::intact(segment)?;
        Ok((segment.channel.clone(), Meter::open(&segment)?))
    };
    segments.into_iter().map(open).collect()
}

/// Reads the counters again; follows the name to a new segment. Returns `None` if the channel has gone.
pub fn refresh(common: &Common, name: &str, meter: &mut Meter) -> Option<CounterValues> {
    if !meter.is_current() {
        let segment = channels::find(&Common::default(), name).ok()?;
        *meter = Meter::open(&segment).ok()?;
        if !common.json {
            eprintln!("shmcomm: channel `{name}` has a new segment");
        }
    }
    Some(meter.read())
}

fn report(
    common: &Common,
    args: &Arguments,
    channels: &mut [(String, Meter)],
    intervals: &[Mutex<Intervals>],
) -> Outcome {
    let mut out = Out::new(common);
    let mut pace = Pace::new(common);
    let width = channels.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut gone = vec![false; channels.len()];
    loop {
        let complete = pace.sleep(args.interval);
        for (((name, meter), intervals), gone) in channels.iter_mut().zip(intervals).zip(&mut gone) {
            let Some(CounterValues { messages, .. }) = refresh(common, name, meter) else {
                if !std::mem::replace(gone, true) {
                    eprintln!("shmcomm: channel `{name}` has been removed");
                }
                continue;
            };
            *gone = false;
            let (short, long) = (meter.rate(SHORT), meter.rate(LONG));
            let jitter = intervals.lock().unwrap_or_else(PoisonError::into_inner).jitter();
            if out.form() == Form::Json {
                out.json(&Report {
                    channel: name,
                    hz: short.map(|rate| rate.messages),
                    hz_10s: long.map(|rate| rate.messages),
                    bytes_per_s: short.and_then(|rate| rate.bytes),
                    messages,
                    window_s: short.map_or(0.0, |rate| rate.window.as_secs_f64()),
                    jitter_p50_us: jitter.map(|jitter| jitter.p50.as_secs_f64() * 1e6),
                    jitter_p99_us: jitter.map(|jitter| jitter.p99.as_secs_f64() * 1e6),
                    jitter_samples: jitter.map_or(0, |jitter| jitter.samples),
                })?;
            } else {
                out.line(line(&out, name, width, short, long, jitter))?;
            }
        }
        out.flush()?;
        if gone.iter().all(|gone| *gone) {
            return Err(Failure::NotFound("no channel is left".into()));
        }
        if !complete || !pace.another() {
            return Ok(());
        }
    }
}

fn line(
    out: &Out,
    name: &str,
    width: usize,
    short: Option<Rate>,
    long: Option<Rate>,
    jitter: Option<Jitter>,
) -> String {
    let hertz = |rate: Option<Rate>| match rate.map(|rate| rate.messages) {
        Some(rate) if rate < 9999.5 => format!("{rate:.1}"),
        Some(rate) => units::grouped(rate.round() as u64),
        None => "–".to_owned(),
    };
    let mut parts =
        vec![format!("{name:<width$}  {} Hz (1 s)", hertz(short)), format!("  {} (10 s)", hertz(long))];
    if let Some(bytes) = short.and_then(|rate| rate.bytes) {
        parts.push(format!("  {}/s", units::bytes(bytes)));
    }
    if let Some(jitter) = jitter {
        parts.push(format!(
            "   jitter p50 {} p99 {} (sampled)",
            units::time(jitter.p50),
            units::time(jitter.p99)
        ));
    }
    // A narrow terminal shows the first facts.
    while out.form() == Form::Terminal && parts.len() > 1 {
        if parts.iter().map(|part| part.chars().count()).sum::<usize>() <= out.width() {
            break;
        }
        parts.pop();
    }
    parts.concat()
}

/// Differences of intervals from their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Jitter {
    p50: Duration,
    p99: Duration,
    samples: usize,
}

/// Intervals between messages that followed each other, the newest last.
#[derive(Debug, Default)]
struct Intervals(VecDeque<f64>);

impl Intervals {
    fn push(&mut self, seconds: f64) {
        if self.0.len() == INTERVALS {
            self.0.pop_front();
        }
        self.0.push_back(seconds);
    }

    fn jitter(&self) -> Option<Jitter> {
        if self.0.len() < 2 {
            return None;
        }
        let mean = self.0.iter().sum::<f64>() / self.0.len() as f64;
        let mut off: Vec<f64> = self.0.iter().map(|interval| (interval - mean).abs()).collect();
        off.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| Duration::from_secs_f64(off[(off.len() - 1) * percent / 100]);
        Some(Jitter { p50: at(50), p99: at(99), samples: off.len() })
    }
}

/// Samples intervals of a channel until the command ends. Readings of a slow channel are regular; readings of
/// a fast one come in bursts, of one channel at a time.
fn sample(name: &str, intervals: &Mutex<Intervals>, burst: &Mutex<()>, ended: &AtomicBool) {
    let open = || {
        let segment = channels::find(&Common::default(), name).ok()?;
        Counters::open(&segment).ok()
    };
    // Relaxed: the flag orders no other access.
    let over = || ended.load(Ordering::Relaxed) || pace::stopped();
    let keep = |seconds| intervals.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
    while !over() {
        let Some(counters) = open() else {
            std::thread::sleep(REST);
            continue;
        };
        let mut last: Option<(Instant, u64)> = None;
        let (mut since, mut before) = (Instant::now(), counters.read().messages);
        let mut hertz = 0.0;
        // The name is checked again from time to time.
        let recheck = Instant::now() + SHORT;
        while !over() && (Instant::now() < recheck || counters.is_current()) {
            let fast = hertz >= FAST;
            let until = Instant::now() + if fast { BURST } else { REST };
            let alone = fast.then(|| burst.lock().unwrap_or_else(PoisonError::into_inner));
            if fast {
                last = None;
            }
            while Instant::now() < until && !over() {
                let (now, count) = (Instant::now(), counters.read().messages);
                match last {
                    Some((_, known)) if known == count => {}
                    Some((seen, known)) => {
                        // More than one message in between: their intervals were not seen.
                        if count == known.wrapping_add(1) {
                            keep(now.duration_since(seen).as_secs_f64());
                        }
                        last = Some((now, count));
                    }
                    None => last = Some((now, count)),
                }
                if fast {
                    std::hint::spin_loop();
                } else {
                    let step = if hertz > 1.0 { 0.02 / hertz } else { 0.005 };
                    std::thread::sleep(Duration::from_secs_f64(step.clamp(0.0002, 0.005)));
                }
            }
            drop(alone);
            if fast {
                std::thread::sleep(REST);
            }
            let passed = since.elapsed();
            if passed >= Duration::from_millis(200) {
                let count = counters.read().messages;
                hertz = count.saturating_sub(before) as f64 / passed.as_secs_f64();
                (since, before) = (Instant::now(), count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_the_difference_from_the_mean() {
        let mut intervals = Intervals::default();
        assert_eq!(intervals.jitter(), None);
        for index in 0..100 {
            intervals.push(if index % 2 == 0 { 0.001 } else { 0.003 });
        }
        let jitter = intervals.jitter().unwrap();
        assert_eq!((jitter.samples, jitter.p50.as_micros(), jitter.p99.as_micros()), (100, 1000, 1000));
    }
}
