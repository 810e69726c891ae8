//! `shmcomm export`: the counters of all channels for a monitoring system.
//!
//! Owns the names of the metrics. Calls `channels` and `figures`. Never opens an end of a channel.

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::figures::{End, Figures};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::procs::Procs;
use crate::units;
use clap::Args;
use shmcomm::Role;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Roles in the order in which participants are counted.
const ROLES: [Role; 7] = [
    Role::Publisher,
    Role::Subscriber,
    Role::Pusher,
    Role::Puller,
    Role::Requester,
    Role::Replier,
    Role::Writer,
];

/// Prints the counters of all channels in the text format of Prometheus.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm export --prometheus
  shmcomm export --prometheus --output /var/lib/node_exporter/shmcomm.prom --interval 15s
  shmcomm export --prometheus 'robot/*' | grep lost

With --output the file is replaced as a whole, as the textfile collector of node_exporter needs it. With
--interval the command repeats until Ctrl-C, -n or --duration.

JSON: an object per channel, as `shmcomm list --json` prints it.")]
pub struct Arguments {
    /// Names of channels; `*` stands for any characters [default: all]
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Text format of Prometheus, version 0.0.4: the only format, and the default
    #[arg(long)]
    prometheus: bool,
    /// Writes to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Repeats after this time
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    interval: Option<Duration>,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut pace = Pace::new(common);
    let mut out = Out::new(common);
    loop {
        let segments = channels::select(common, &args.channels)?;
        let python = segments.iter().any(|segment| segment.version == 1);
        let mapped = if python { Procs::default().mapped(&channels::directory()) } else { Vec::new() };
        let figures: Vec<Figures> = segments.iter().map(|segment| Figures::of(segment, &mapped)).collect();
        match &args.output {
            Some(file) => replace(file, &text(&figures))?,
            None if out.form() == Form::Json => figures.iter().try_for_each(|one| out.json(one))?,
            None => out.raw(text(&figures).as_bytes())?,
        }
        out.flush()?;
        match args.interval {
            Some(time) if pace.another() && pace.sleep(time) => {}
            _ => return Ok(()),
        }
    }
}

/// Writes a file as a whole: a reader sees the old text or the new one.
fn replace(file: &Path, text: &str) -> Outcome {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = file.with_file_name(name);
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, file));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        Failure::Failed(format!("cannot write {}: {error}", file.display()))
    })
}

/// Metrics of one name, with help and type.
struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
    empty: bool,
    head: String,
}

impl<'t> Family<'t> {
    fn new(text: &'t mut String, name: &'static str, kind: &str, help: &str) -> Self {
        let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text, name, empty: true, head }
    }

    /// Adds a metric of a channel, whose group is a label too.
    fn push_of(&mut self, one: &Figures, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let group = one.group.iter().map(|group| ("group", group.as_str()));
        let labels: Vec<_> = [("channel", one.channel.as_str())]
            .into_iter()
            .chain(group)
            .chain(labels.iter().copied())
            .collect();
        self.push(&labels, value);
    }

    fn push(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        if std::mem::take(&mut self.empty) {
            self.text.push_str(&self.head);
        }
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let _ = writeln!(self.text, "{}{{{}}} {value}", self.name, labels.join(","));
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Returns the metrics of all channels.
fn text(figures: &[Figures]) -> String {
    let mut text = String::new();
    type Value = fn(&Figures) -> Option<f64>;
    let fine = |one: &&Figures| one.problem.is_none();
    let native = |one: &Figures| one.wire == "native";
    let each: [(&'static str, &str, &str, Value); 13] = [
        ("shmcomm_live", "gauge", "1 if a participant of the channel is alive.", |one| {
            Some(if one.state == "live" { 1.0 } else { 0.0 })
        }),
        ("shmcomm_messages_total", "counter", "Messages sent.", |one| Some(one.sent as f64)),
        ("shmcomm_bytes_total", "counter", "Payload bytes sent.", |one| {
            (one.wire == "native").then_some(one.bytes as f64)
        }),
        ("shmcomm_holes_total", "counter", "Positions without a message.", |one| {
            (one.pattern == "pub/sub" && one.wire == "native").then_some(one.holes as f64)
        }),
        ("shmcomm_slots", "gauge", "Slots of the channel.", |one| Some(one.slots as f64)),
        ("shmcomm_slot_bytes", "gauge", "Payload bytes that a slot holds.", |one| Some(one.slot_size as f64)),
        ("shmcomm_segment_bytes", "gauge", "Bytes of the segment.", |one| Some(one.size as f64)),
        ("shmcomm_queue_waiting", "gauge", "Messages that wait for a receiver.", |one| {
            one.queue.map(|queue| queue.waiting as f64)
        }),
        ("shmcomm_queue_claimed", "gauge", "Messages that a receiver has claimed and not finished.", |one| {
            one.queue.map(|queue| queue.claimed as f64)
        }),
        ("shmcomm_queue_oldest_seconds", "gauge", "Age of the oldest message in the queue.", |one| {
            one.queue.map(|queue| queue.oldest_s.unwrap_or(0.0))
        }),
        ("shmcomm_queue_redelivered_total", "counter", "Messages put back.", |one| {
            one.queue.map(|queue| queue.redelivered as f64)
        }),
        ("shmcomm_queue_acknowledged_total", "counter", "Messages finished.", |one| {
            one.queue.map(|queue| queue.acknowledged as f64)
        }),
        ("shmcomm_created_seconds", "gauge", "Unix time of the creation.", |one| one.created),
    ];
    for (name, kind, help, value) in each {
        let mut family = Family::new(&mut text, name, kind, help);
        for one in figures.iter().filter(fine) {
            if let Some(value) = value(one) {
                family.push_of(one, &[("pattern", one.pattern), ("wire", one.wire)], value);
            }
        }
    }
    let mut family =
        Family::new(&mut text, "shmcomm_participants", "gauge", "Participants by role and state.");
    for one in figures.iter().filter(|one| one.problem.is_none() && native(one)) {
        for role in ROLES {
            for (alive, state) in [(true, "alive"), (false, "dead")] {
                let number =
                    one.ends.iter().filter(|end| end.kind == Some(role) && end.alive == alive).count();
                if number > 0 {
                    family.push_of(one, &[("role", role.name()), ("state", state)], number);
                }
            }
        }
    }
    type EndValue = fn(&End) -> u64;
    let ends: [(&'static str, &str, &str, EndValue); 3] = [
        (
            "shmcomm_subscriber_lag",
            "gauge",
            "Published positions that a subscriber has not reached.",
            |end| end.lag.unwrap_or(0),
        ),
        (
            "shmcomm_subscriber_lost_total",
            "counter",
            "Messages overwritten before a subscriber reached them.",
            |end| end.lost,
        ),
        ("shmcomm_subscriber_messages_total", "counter", "Messages that a subscriber received.", |end| {
            end.messages
        }),
    ];
    for (name, kind, help, value) in ends {
        let mut family = Family::new(&mut text, name, kind, help);
        for one in figures {
            // A process may have several subscribers, which the index tells apart.
            let subscribers = one.ends.iter().filter(|end| end.kind == Some(Role::Subscriber) && end.alive);
            for (index, end) in subscribers.enumerate() {
                let (pid, index) = (end.pid.to_string(), index.to_string());
                let labels = [("process", end.process.as_str()), ("pid", &pid), ("index", &index)];
                family.push_of(one, &labels, value(end));
            }
        }
    }
    let mut family =
        Family::new(&mut text, "shmcomm_unusable", "gauge", "1 for a file that is not a usable segment.");
    for one in figures {
        if let Some(problem) = &one.problem {
            family.push_of(one, &[("problem", problem)], 1);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_families_have_a_head() {
        let mut text = String::new();
        let mut family = Family::new(&mut text, "m", "gauge", "Help.");
        family.push(&[("a", "x\"\\\n")], 1.5);
        family.push(&[], 2);
        assert_eq!(text, "# HELP m Help.\n# TYPE m gauge\nm{a=\"x\\\"\\\\\\n\"} 1.5\nm{} 2\n");
        let mut none = String::new();
        Family::new(&mut none, "m", "gauge", "Help.");
        assert_eq!(none, "");
    }
}
