//! `shmcomm info`: all facts about one channel.
//!
//! Owns the order of the facts. Calls `channels`, `figures`, `keys` and `procs`. Never opens an end of a channel.

use crate::channels;
use crate::common::Common;
use crate::failure::Outcome;
use crate::figures::Figures;
use crate::keys::{self, Key};
use crate::out::{Form, Out};
use crate::procs::Procs;
use crate::table::{Cell, Column, Table};
use crate::tone::Tone;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::{Role, SegmentInfo};
use std::time::{Duration, SystemTime};

/// Shows all facts about a channel: geometry, counters, participants.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm info robot/imu
  shmcomm info robot/imu --json | jq .ends
  shmcomm info --namespace sim1 robot/imu

JSON: one object, as `shmcomm list --json` prints it, with seats (the largest number of participants),
publishers (the largest number of publishers), waits (true: the publisher waits for its subscribers) and
schema (the JSON text in the segment). Of a channel with streams of replies also window: the number of
unread replies of a request; queue.claimed are the open streams. Of a table also keys: key, type, version, time (Unix seconds;
null: never stored), writers (number that is alive), pid and process of one (null: none), and alive.")]
pub struct Arguments {
    /// Name of the channel
    channel: String,
}

#[derive(Serialize)]
struct Details {
    #[serde(flatten)]
    figures: Figures,
    seats: u32,
    publishers: u32,
    waits: bool,
    schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Key>,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let segment = channels::find(common, &args.channel)?;
    let mapped =
        if segment.version == 1 { Procs::default().mapped(&channels::directory()) } else { Vec::new() };
    let figures = Figures::of(&segment, &mapped);
    let mut out = Out::new(common);
    if out.form() == Form::Json {
        let SegmentInfo { seats, publishers, waits, .. } = segment;
        let window = Some(segment.window).filter(|window| *window != 0);
        let keys = if segment.pattern == "table" { keys::of(&segment)? } else { Vec::new() };
        let schema = segment.schema.clone();
        out.json(&Details { figures, seats, publishers, waits, schema, window, keys })?;
    } else {
        show(&mut out, &segment, &figures)?;
    }
    out.flush()
}

fn show(out: &mut Out, segment: &SegmentInfo, figures: &Figures) -> Outcome {
    let (state, tone) = figures.shown_state();
    fact(out, "channel", &figures.channel)?;
    let state = out.paint(tone, &state);
    fact(out, "state", &state)?;
    fact(out, "file", &format!("{}, {}", figures.path, units::bytes(figures.size as f64)))?;
    if let Some(group) = &figures.group {
        fact(out, "group", &format!("{group}, whose members share the channel"))?;
    }
    if figures.problem.is_some() {
        return Ok(());
    }
    let wire = if segment.version == 1 { ", wire of the Python library" } else { "" };
    fact(out, "pattern", &format!("{}{wire}", segment.pattern))?;
    if segment.version != 1 {
        fact(out, "messages", &format!("{} ({})", figures.message, figures.codec))?;
    }
    let is_table = segment.pattern == "table";
    let limit = units::count(figures.slot_size, "byte");
    if is_table {
        fact(out, "keys", &format!("{} in {limit}", units::grouped(figures.slots)))?;
    } else {
        fact(out, "slots", &format!("{} of {limit}", units::grouped(figures.slots)))?;
    }
    if segment.grow != 0 {
        let growths = units::count(segment.growths, "growth");
        fact(out, "grow", &format!("up to {}; {growths} so far", units::count(segment.grow, "byte")))?;
    }
    if segment.window != 0 {
        let noun = if segment.window == 1 { "reply" } else { "replies" };
        fact(out, "window", &format!("{} unread {noun}", units::grouped(segment.window)))?;
    }
    let overflow = match (segment.pattern, segment.waits) {
        ("publish/subscribe", true) => "the publisher waits for its subscribers",
        ("publish/subscribe", false) => "the oldest message is overwritten",
        _ => "senders wait",
    };
    if !is_table {
        fact(out, "when full", overflow)?;
    }
    let bytes = if segment.version == 1 {
        String::new()
    } else {
        format!(", {}", units::bytes(figures.bytes as f64))
    };
    let (sent, one) = if is_table { ("stored", "value") } else { ("sent", "message") };
    fact(out, sent, &format!("{}{bytes}", units::count(figures.sent, one)))?;
    if figures.holes > 0 {
        fact(out, "holes", &format!("{} without a message", units::count(figures.holes, "position")))?;
    }
    if let Some(rate) = figures.rate {
        fact(out, "rate", &format!("{} since the senders joined", units::rate(rate)))?;
    }
    if let Some(queue) = figures.queue.filter(|_| segment.window != 0) {
        let text = format!(
            "{} open, {} waiting, {} not fetched, {} done",
            units::grouped(queue.claimed),
            units::count(queue.waiting, "request"),
            units::grouped(queue.answered),
            units::grouped(queue.acknowledged)
        );
        fact(out, "streams", &text)?;
    } else if let Some(queue) = &figures.queue {
        let text = format!(
            "{} waiting, {} claimed, {} done, {} redelivered",
            units::grouped(queue.waiting),
            units::grouped(queue.claimed),
            units::grouped(queue.acknowledged),
            units::grouped(queue.redelivered)
        );
        fact(out, "queue", &text)?;
    }
    if segment.version != 1 {
        let used = segment.participants.len();
        fact(out, "seats", &format!("{used} of {} in use", segment.seats))?;
        fact(out, "fingerprint", figures.fingerprint.as_deref().unwrap_or("–"))?;
        let age = SystemTime::now().duration_since(segment.created).unwrap_or_default();
        fact(out, "created", &format!("{} ago", units::time(age)))?;
    }
    if is_table {
        out.line("")?;
        return out.table(&keys::table(&keys::of(segment)?));
    }
    if figures.ends.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.table(&ends(figures))
}

fn fact(out: &mut Out, name: &str, value: &str) -> Outcome {
    match out.form() {
        Form::Plain => out.line(format!("{name}\t{value}")),
        _ => {
            let name = out.paint(Tone::Faint, &format!("{name:<12}"));
            out.line(format!("{name} {value}"))
        }
    }
}

fn ends(figures: &Figures) -> Table {
    let column = |heading, right, expendable| Column { heading, right, expendable };
    let mut table = Table::new([
        column("ROLE", false, 0),
        column("PROCESS", false, 0),
        column("PID", true, 0),
        column("JOINED", true, 5),
        column("MESSAGES", true, 1),
        column("LAG", true, 2),
        column("LOST", true, 3),
        column("SKIPPED", true, 7),
        column("INVALID", true, 6),
        column("STATE", false, 4),
    ]);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    for end in &figures.ends {
        let number = |number: u64| Cell::both(units::grouped(number), number);
        let python = figures.wire == "python";
        let counted = |value: u64| if python { Cell::none() } else { number(value) };
        let receives = end.kind == Some(Role::Subscriber);
        let only = |value: Option<u64>| value.map_or_else(Cell::none, number);
        let joined = end.joined.map(|joined| units::time(Duration::from_secs_f64((now - joined).max(0.0))));
        let state = match end.alive {
            true => Cell::new("alive").tone(Tone::Good),
            false => Cell::new("dead").tone(Tone::Bad),
        };
        table.push(vec![
            Cell::new(end.role),
            if end.process.is_empty() { Cell::none() } else { Cell::new(end.process.clone()) },
            Cell::new(end.pid.to_string()),
            joined.map_or_else(Cell::none, |age| {
                Cell::both(format!("{age} ago"), format!("{:.3}", end.joined.unwrap_or(0.0)))
            }),
            counted(end.messages),
            only(end.lag),
            only(receives.then_some(end.lost)),
            only(receives.then_some(end.skipped)),
            counted(end.invalid),
            state,
        ]);
    }
    table
}
