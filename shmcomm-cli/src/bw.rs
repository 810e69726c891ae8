//! `shmcomm bw`: the bytes per second of channels.
//!
//! Owns the reports. Calls `rates` and `hz`. Never receives a message.

use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::hz::{self, LONG, SHORT};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::rates::Rate;
use crate::units;
use clap::Args;
use serde::Serialize;
use std::time::Duration;

/// Measures the bytes per second of channels, from the counters in their headers.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm bw robot/camera                  a report each second, until Ctrl-C
  shmcomm bw 'robot/*' -n 1                one report for each channel
  shmcomm bw robot/camera --json --duration 10s

Only payload bytes count. The Python library does not count bytes: its channels are refused.

JSON: an object per report, with channel, bytes_per_s (over 1 s), bytes_per_s_10s, bytes_per_message,
bytes (since the creation), messages and window_s.")]
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
    bytes_per_s: Option<f64>,
    bytes_per_s_10s: Option<f64>,
    bytes_per_message: Option<f64>,
    bytes: u64,
    messages: u64,
    window_s: f64,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut channels = hz::watched(common, &args.channels)?;
    let uncounted =
        channels.iter_mut().find_map(|(name, meter)| meter.read().bytes.is_none().then_some(name));
    if let Some(name) = uncounted {
        let why = format!(
            "channel `{name}` is of the Python library, which does not count bytes; use `shmcomm hz`"
        );
        return Err(Failure::Failed(why));
    }
    let mut out = Out::new(common);
    let mut pace = Pace::new(common);
    let width = channels.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut gone = vec![false; channels.len()];
    loop {
        let complete = pace.sleep(args.interval);
        for ((name, meter), gone) in channels.iter_mut().zip(&mut gone) {
            let Some(now) = hz::refresh(common, name, meter) else {
                if !std::mem::replace(gone, true) {
                    eprintln!("shmcomm: channel `{name}` has been removed");
                }
                continue;
            };
            *gone = false;
            let (short, long) = (meter.rate(SHORT), meter.rate(LONG));
            let bytes = |rate: Option<Rate>| rate.and_then(|rate| rate.bytes);
            let each = short.and_then(|rate| rate.bytes_per_message);
            let total = now.bytes.unwrap_or(0);
            if out.form() == Form::Json {
                out.json(&Report {
                    channel: name,
                    bytes_per_s: bytes(short),
                    bytes_per_s_10s: bytes(long),
                    bytes_per_message: each,
                    bytes: total,
                    messages: now.messages,
                    window_s: short.map_or(0.0, |rate| rate.window.as_secs_f64()),
                })?;
                continue;
            }
            let shown = |bytes: Option<f64>| {
                bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{}/s", units::bytes(bytes)))
            };
            let each = each.map_or_else(String::new, |each| format!("  {}/message", units::bytes(each)));
            let line = format!(
                "{name:<width$}  {} (1 s)  {} (10 s){each}  {} in all",
                shown(bytes(short)),
                shown(bytes(long)),
                units::bytes(total as f64)
            );
            let line = match out.form() {
                Form::Terminal => crate::table::cut(&line, out.width()),
                _ => line,
            };
            out.line(line)?;
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
