//! `shmcomm echo`: the messages of a channel.
//!
//! Owns the loop and the forms of a message. Observes without a seat: no participant notices it. Calls
//! `message`, `text`, `filter` and `csv`; `table` for tables. Never takes a message from a queue.

mod csv;
mod filter;
pub mod message;
mod table;
pub mod text;

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::units;
use clap::Args;
use filter::Filter;
use message::Message;
use serde::Serialize;
use shmcomm::{Description, Observed, ObservedMessage, Observer, SegmentInfo, Timestamp};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest wait for a message before the end of the command is checked.
const SLICE: Duration = Duration::from_millis(100);

/// Prints the messages of a publish/subscribe channel, or the values of a table.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm echo robot/imu -n1
  shmcomm echo robot/imu --field acceleration[2] --filter 'acceleration[2] > 9.8'
  shmcomm echo robot/imu --json | shmcomm pub copy/imu --stdin

The command observes: it takes no seat, and the publisher does not wait for it. Lists of more than 16
items and long texts are cut, unless --full is given. --json and --csv cut nothing.

A field is a path such as pose.xyz[2]. The fields of a header need no prefix; tail[3] is an item of the
tail. A condition compares fields with == != < <= > >= and ~ (contains), and combines them with && || !
and parentheses.

The exit code is 3 if no message, or fewer than -n, came within --duration.

The command prints the latest value of each key of a table, with its version, then each change that it
sees.

JSON: an object per message, with channel, position, observed (Unix seconds at which this command saw
it), missed (messages overwritten since the last object) and message, as serde_json writes the Rust type.
With --field, the object has fields instead: the path of each field and its value. With --hex: hex.
Of a table: an object per value, with channel, key, version, time (Unix seconds) and value.")]
pub struct Arguments {
    /// Name of the channel
    channel: String,
    /// Prints the newest message that is there, or else the next one, and ends
    #[arg(long)]
    once: bool,
    /// Begins with the oldest message that is there
    #[arg(long)]
    oldest: bool,
    /// Waits for the channel if it does not exist
    #[arg(long)]
    wait: bool,
    /// Prints only this part; may be repeated
    #[arg(short, long, value_name = "PATH")]
    field: Vec<String>,
    /// Prints only messages that meet this condition
    #[arg(long, value_name = "CONDITION", value_parser = Filter::parse)]
    filter: Option<Filter>,
    /// Prints comma-separated values, the names of the fields first
    #[arg(long, conflicts_with_all = ["hex", "json"])]
    csv: bool,
    /// Prints the bytes
    #[arg(long, conflicts_with = "field")]
    hex: bool,
    /// Cuts nothing
    #[arg(long)]
    full: bool,
}

#[derive(Serialize)]
struct Record<'m> {
    channel: &'m str,
    position: u64,
    observed: f64,
    #[serde(skip_serializing_if = "is_zero")]
    missed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'m Message<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<BTreeMap<&'m str, Option<message::Part<'m>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let pace = Pace::new(common);
    let patience = args.wait.then(|| pace.at_most(Duration::from_secs(365 * 86_400)));
    let segment = find(common, &args.channel, patience)?;
    if segment.pattern == "table" {
        return table::run(common, args, &segment.channel);
    }
    let mut observer = observe(&segment)?;
    check_fields(observer.description(), args)?;
    if args.oldest {
        observer.seek_oldest()?;
    }
    let wanted = if args.once { Some(1) } else { common.count };
    let paths = message::paths(observer.description(), csv::ITEMS);
    let mut echo =
        Echo { out: Out::new(common), args, paths, printed: 0, missed: 0, table: None, unreadable: false };
    let name = observer.name().to_owned();
    if args.once
        && let Some(seen) = observer.latest()
        && echo.message(&name, &seen)?
    {
        return echo.out.flush();
    }
    while wanted.is_none_or(|wanted| echo.printed < wanted) && !pace.is_over() {
        let mut observed = observer.next();
        if matches!(observed, Observed::Empty) {
            // Messages that come together are written together.
            echo.out.flush()?;
            observed = observer.next_timeout(pace.at_most(SLICE));
        }
        match observed {
            Observed::Message(seen) => {
                echo.message(&name, &seen)?;
            }
            Observed::Missed(missed) => {
                echo.missed += missed;
                eprintln!("shmcomm: missed {}", units::count(missed, "message"));
            }
            Observed::Gone => eprintln!("shmcomm: channel `{name}` has no publisher; waiting for one"),
            Observed::Replaced => {
                eprintln!("shmcomm: channel `{name}` has a new publisher");
                check_fields(observer.description(), args)?;
                echo.paths = message::paths(observer.description(), csv::ITEMS);
            }
            _ => {}
        }
    }
    echo.out.flush()?;
    match wanted {
        _ if crate::pace::stopped() => Ok(()),
        Some(wanted) if echo.printed < wanted => Err(too_few(&name, echo.printed, Some(wanted))),
        None if echo.printed == 0 => Err(too_few(&name, 0, None)),
        _ => Ok(()),
    }
}

fn too_few(name: &str, printed: u64, wanted: Option<u64>) -> Failure {
    let of = wanted.map_or_else(String::new, |wanted| format!(" of {}", units::grouped(wanted)));
    Failure::TimedOut(format!(
        "{}{of} came on channel `{name}` in the given time",
        units::count(printed, "message")
    ))
}

/// Opens an observer of a channel of publish/subscribe, after waiting for it if a time is given.
pub fn open(common: &Common, channel: &str, wait: Option<Duration>) -> Result<Observer, Failure> {
    observe(&find(common, channel, wait)?)
}

/// Finds the segment of a channel, after waiting for it if a time is given.
fn find(common: &Common, channel: &str, wait: Option<Duration>) -> Result<SegmentInfo, Failure> {
    let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
    if deadline.is_some() && matches!(channels::find(common, channel), Err(Failure::NotFound(_))) {
        eprintln!("shmcomm: waiting for channel `{}`", channel.escape_debug());
    }
    loop {
        match channels::find(common, channel) {
            Err(Failure::NotFound(_))
                if deadline.is_some_and(|deadline| Instant::now() < deadline) && !crate::pace::stopped() =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return channels::intact(other?),
        }
    }
}

fn observe(segment: &SegmentInfo) -> Result<Observer, Failure> {
    if segment.pattern != "publish/subscribe" {
        let name = &segment.channel;
        if segment.pattern == "table" {
            return Err(Failure::Failed(format!(
                "channel `{name}` is a table, which has values and no messages; `shmcomm echo {name}` shows them"
            )));
        }
        let instead = if segment.pattern == "push/pull" {
            "`shmcomm pull` takes one job"
        } else {
            "`shmcomm req` asks a question"
        };
        return Err(Failure::Failed(format!(
            "channel `{name}` is for {}: to show its messages would take them from the receivers; `shmcomm info {name}` \
             shows its figures, and {instead}",
            segment.pattern
        )));
    }
    Ok(Observer::open(&segment.channel)?)
}

/// Checks that the named fields exist.
fn check_fields(what: &Description, args: &Arguments) -> Outcome {
    let filtered = args.filter.iter().flat_map(Filter::fields);
    for path in args.field.iter().map(String::as_str).chain(filtered) {
        if message::exists(what, path) == Some(false) {
            let all = message::paths(what, 3);
            let shown: Vec<_> =
                all.iter().take(12).map(|path| format!("`{}`", path.escape_debug())).collect();
            let more = if all.len() > 12 { ", …" } else { "" };
            return Err(Failure::Usage(format!(
                "messages of channel `{}` have no field `{}`; they have {}{more}",
                what.name,
                path.escape_debug(),
                shown.join(", ")
            )));
        }
    }
    Ok(())
}

struct Echo<'a> {
    out: Out,
    args: &'a Arguments,
    /// Paths of the layout, if there is one.
    paths: Vec<String>,
    printed: u64,
    /// Messages missed since the last printed message.
    missed: u64,
    table: Option<csv::Columns>,
    /// The user was told that bytes are shown instead of values.
    unreadable: bool,
}

impl Echo<'_> {
    /// Prints a message, unless the condition excludes it. Returns `true` if it was printed.
    fn message(&mut self, name: &str, seen: &ObservedMessage<'_>) -> Result<bool, Failure> {
        let observed = Timestamp::now().as_secs_f64();
        let message = match Message::of(seen) {
            Ok(message) => Some(message),
            Err(error) => {
                if !self.args.hex && !std::mem::replace(&mut self.unreadable, true) {
                    eprintln!("shmcomm: messages are shown as bytes: {error}");
                }
                None
            }
        };
        if let Some(filter) = &self.args.filter
            && !message.as_ref().is_some_and(|message| filter.accepts(message))
        {
            return Ok(false);
        }
        let position = seen.position();
        match (&message, self.args.hex) {
            (Some(message), false) if self.args.csv => self.csv(position, observed, message)?,
            (Some(message), false) if self.out.form() == Form::Json => {
                let all = self.args.field.is_empty();
                let fields = self.args.field.iter().map(|path| (path.as_str(), message.at(path)));
                let fields = (!all).then(|| fields.collect());
                let missed = std::mem::take(&mut self.missed);
                let message = all.then_some(message);
                self.out.json(&Record {
                    channel: name,
                    position,
                    observed,
                    missed,
                    message,
                    fields,
                    hex: None,
                })?;
            }
            (Some(message), false) if !self.args.field.is_empty() => {
                let fields = self.args.field.iter().map(|path| text::part(message.at(path), self.args.full));
                let line = fields.collect::<Vec<_>>().join("\t");
                self.out.line(line)?;
            }
            (Some(message), false) => {
                let number = self.out.paint(crate::tone::Tone::Faint, &format!("#{position}"));
                self.out.line(format!("{number}  {}", text::line(message, self.args.full)))?;
            }
            _ => self.bytes(name, position, observed, seen.bytes())?,
        }
        self.printed += 1;
        Ok(true)
    }

    fn bytes(&mut self, name: &str, position: u64, observed: f64, bytes: &[u8]) -> Outcome {
        if self.out.form() == Form::Json {
            let hex = Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
            let missed = std::mem::take(&mut self.missed);
            return self.out.json(&Record {
                channel: name,
                position,
                observed,
                missed,
                message: None,
                fields: None,
                hex,
            });
        }
        let number = self.out.paint(crate::tone::Tone::Faint, &format!("#{position}"));
        self.out.line(format!("{number}  {}", units::count(bytes.len() as u64, "byte")))?;
        self.out.raw(text::hex(bytes, self.args.full).as_bytes())
    }

    fn csv(&mut self, position: u64, observed: f64, message: &Message<'_>) -> Outcome {
        if self.table.is_none() {
            let columns = csv::Columns::of(message, &self.args.field, &self.paths);
            self.out.raw(&columns.head()?)?;
            self.table = Some(columns);
        }
        let Some(columns) = &self.table else { return Ok(()) };
        let row = columns.row(position, observed, message)?;
        self.out.raw(&row)
    }
}
