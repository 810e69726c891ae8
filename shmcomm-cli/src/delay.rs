//! `shmcomm delay`: the age of messages when an observer sees them.
//!
//! Owns the statistics. The age is the time of the observation less a timestamp in the message. Observes
//! without a seat. Calls `echo` for the observer.

use crate::common::Common;
use crate::echo;
use crate::echo::message::{self, Message, Part};
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::schema::{Layout, LayoutKind, ValueRef};
use shmcomm::{Description, Observed, Timestamp};
use std::time::{Duration, Instant};

/// Pause between two polls without a message. It bounds the error of an age.
const POLL: Duration = Duration::from_micros(50);

/// Measures the age of messages, from a timestamp in the message to this command.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm delay robot/imu
  shmcomm delay robot/camera --field header.stamp -n 5
  shmcomm delay robot/imu --json --duration 10s

The timestamp is the first field of that type, or --field; an integer counts as nanoseconds since 1970.
The age includes the time until this command polls: about 0.1 ms, and more on a busy machine. Both times
are of the system's clock, so a step of the clock shows as an age.

JSON: an object per report, with channel, field, messages, missed, min_us, p50_us, p99_us and max_us (null
without messages).")]
pub struct Arguments {
    /// Name of the channel
    channel: String,
    /// Path of the timestamp [default: the first field of that type]
    #[arg(short, long, value_name = "PATH")]
    field: Option<String>,
    /// Time between two reports
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::parse_duration)]
    interval: Duration,
}

#[derive(Serialize)]
struct Report<'a> {
    channel: &'a str,
    field: &'a str,
    messages: usize,
    missed: u64,
    min_us: Option<f64>,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    max_us: Option<f64>,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut pace = Pace::new(common);
    let mut observer = echo::open(common, &args.channel, None)?;
    let name = observer.name().to_owned();
    let field = field(observer.description(), args.field.as_deref())?;
    let mut out = Out::new(common);
    let mut any = false;
    loop {
        let until = Instant::now() + pace.at_most(args.interval);
        let (mut ages, mut missed) = (Vec::new(), 0);
        while Instant::now() < until && !crate::pace::stopped() {
            match observer.next() {
                Observed::Message(seen) => {
                    let now = Timestamp::now().as_nanos();
                    let message = Message::of(&seen).map_err(|error| Failure::Failed(error.to_string()))?;
                    match message.at(&field).and_then(nanoseconds) {
                        Some(sent) => ages.push(now.saturating_sub(sent)),
                        None => {
                            return Err(Failure::Failed(format!("`{field}` of channel `{name}` is no time")));
                        }
                    }
                }
                Observed::Missed(number) => missed += number,
                Observed::Gone => eprintln!("shmcomm: channel `{name}` has no publisher; waiting for one"),
                _ => std::thread::sleep(POLL),
            }
        }
        any |= !ages.is_empty();
        show(&mut out, &name, &field, ages, missed)?;
        if pace.is_over() || !pace.another() {
            break;
        }
    }
    if any || crate::pace::stopped() {
        Ok(())
    } else {
        Err(Failure::TimedOut(format!("no message came on channel `{name}` in the given time")))
    }
}

fn show(out: &mut Out, name: &str, field: &str, mut ages: Vec<i64>, missed: u64) -> Outcome {
    ages.sort_unstable();
    let at = |percent: usize| ages.get(ages.len().saturating_sub(1) * percent / 100).copied();
    let (min, p50, p99, max) = (at(0), at(50), at(99), at(100));
    if out.form() == Form::Json {
        let us = |age: Option<i64>| age.map(|age| age as f64 / 1e3);
        let (messages, min_us, p50_us, p99_us, max_us) = (ages.len(), us(min), us(p50), us(p99), us(max));
        out.json(&Report { channel: name, field, messages, missed, min_us, p50_us, p99_us, max_us })?;
        return out.flush();
    }
    let time = |age: Option<i64>| match age {
        None => "–".to_owned(),
        Some(age) if age < 0 => format!("-{}", units::time(Duration::from_nanos(age.unsigned_abs()))),
        Some(age) => units::time(Duration::from_nanos(age.unsigned_abs())),
    };
    let missed = if missed > 0 { format!(", {} missed", units::grouped(missed)) } else { String::new() };
    let line = format!(
        "{name}  p50 {}  p99 {}  min {}  max {}  ({}{missed})",
        time(p50),
        time(p99),
        time(min),
        time(max),
        units::count(ages.len() as u64, "message")
    );
    let line = match out.form() {
        Form::Terminal => crate::table::cut(&line, out.width()),
        _ => line,
    };
    out.line(line)?;
    out.flush()
}

fn nanoseconds(part: Part<'_>) -> Option<i64> {
    match part {
        Part::View(ValueRef::Timestamp(time)) => Some(time.as_nanos()),
        Part::View(view) => view.as_int()?.try_into().ok(),
        Part::Tree(value) => match value.as_int() {
            Some(nanos) => nanos.try_into().ok(),
            // Python's `time.time()`.
            None => value.as_f64().map(|seconds| (seconds * 1e9) as i64),
        },
    }
}

/// Returns the path of the timestamp.
fn field(what: &Description, given: Option<&str>) -> Result<String, Failure> {
    let name = &what.name;
    if let Some(path) = given {
        return match message::exists(what, path) {
            Some(false) => {
                let path = path.escape_debug();
                Err(Failure::Usage(format!("messages of channel `{name}` have no field `{path}`")))
            }
            _ => Ok(path.to_owned()),
        };
    }
    let head = what.message().or(what.header());
    head.and_then(|head| first(head, "")).ok_or_else(|| {
        Failure::Usage(format!(
            "messages of channel `{name}` have no field of type Timestamp; name a field with --field"
        ))
    })
}

fn first(layout: &Layout, path: &str) -> Option<String> {
    match layout.kind() {
        LayoutKind::Timestamp => Some(path.to_owned()),
        LayoutKind::Struct { fields, .. } => fields.iter().find_map(|field| {
            let dot = if path.is_empty() { "" } else { "." };
            first(&field.layout, &format!("{path}{dot}{}", field.name))
        }),
        _ => None,
    }
}
