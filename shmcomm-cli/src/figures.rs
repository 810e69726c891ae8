//! [`Figures`]: the facts about a channel that tables and JSON Lines show.
//!
//! Owns the one form of these facts, for `list`, `info`, `top` and `export`. Calls `procs`. Never
//! prints.

use crate::procs::Mapped;
use crate::tone::Tone;
use crate::units;
use serde::Serialize;
use shmcomm::{Participant, Role, SegmentInfo};
use std::time::{Duration, SystemTime};

/// A process at a channel.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    /// Name of the role; `process` if it is unknown.
    pub role: &'static str,
    /// The role; `None` for a process of a Python channel.
    #[serde(skip)]
    pub kind: Option<Role>,
    pub process: String,
    pub pid: u32,
    pub alive: bool,
    pub joined: Option<f64>,
    pub messages: u64,
    pub bytes: u64,
    pub lag: Option<u64>,
    pub lost: u64,
    pub skipped: u64,
    pub invalid: u64,
    pub evictions: u64,
    pub redelivered: u64,
}

/// Jobs or requests in a queue.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Queue {
    pub waiting: u64,
    pub claimed: u64,
    pub writing: u64,
    pub answered: u64,
    pub oldest_s: Option<f64>,
    pub redelivered: u64,
    pub acknowledged: u64,
}

/// Facts about a channel. The names are those of its JSON form.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub channel: String,
    /// `pub/sub`, `queue`, `req/rep`, `stream` or `table`; `requests` and `replies` for the two segments of a Python service.
    pub pattern: &'static str,
    /// `native`, or `python` for the segments of the Python library.
    pub wire: &'static str,
    /// Group of users that share the channel; `None` if it is private.
    pub group: Option<String>,
    pub message: String,
    pub codec: &'static str,
    /// `live`, `stale`, or `problem`.
    pub state: &'static str,
    pub problem: Option<String>,
    pub slots: u64,
    pub slot_size: u64,
    pub grow: u64,
    pub growths: u64,
    pub size: u64,
    pub sent: u64,
    pub bytes: u64,
    pub holes: u64,
    /// Messages per second.
    pub rate: Option<f64>,
    /// Seconds that the rate was measured over. `None`: since the senders joined.
    pub rate_window_s: Option<f64>,
    /// Senders that are alive; `None` for the Python library, whose segments do not list them.
    pub senders: Option<u32>,
    /// Receivers that are alive; `None` as for the senders.
    pub receivers: Option<u32>,
    pub lost: Option<u64>,
    pub queue: Option<Queue>,
    pub ends: Vec<End>,
    /// Seconds since the Unix epoch.
    pub created: Option<f64>,
    /// Largest number of seconds for which the segment has had no live end.
    pub stale_at_most_s: Option<f64>,
    pub fingerprint: Option<String>,
    pub path: String,
}

impl Figures {
    /// Returns the facts about a segment. `mapped` are the segments that processes have mapped: the only trace
    /// of the ends of a Python channel.
    pub fn of(segment: &SegmentInfo, mapped: &[Mapped]) -> Self {
        let now = SystemTime::now();
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            (!since.is_zero()).then_some(since.as_secs_f64())
        };
        let python = segment.version == 1;
        let mut ends: Vec<End> =
            segment.participants.iter().map(|end| of_participant(end, seconds)).collect();
        if python {
            let here = mapped.iter().filter(|mapped| mapped.path == segment.path);
            ends.extend(here.map(|mapped| of_mapping(mapped.pid)));
        }
        let broken = segment.problem.is_some();
        let last = segment.participants.iter().map(|end| end.joined).chain([segment.created]).max();
        let stale = segment.stale && !broken;
        let since = last.filter(|_| stale && !python).and_then(|last| now.duration_since(last).ok());
        Figures {
            channel: segment.channel.clone(),
            pattern: pattern(segment),
            wire: if python { "python" } else { "native" },
            group: segment.group.clone(),
            message: segment.message_name(),
            codec: segment.codec,
            state: segment.state().name(),
            problem: segment.problem.as_ref().map(|problem| short(problem, segment)),
            slots: segment.slots,
            slot_size: segment.slot_size,
            grow: segment.grow,
            growths: segment.growths,
            size: segment.size,
            sent: segment.messages,
            bytes: segment.bytes,
            holes: segment.holes,
            rate: average(segment, now),
            rate_window_s: None,
            senders: segment.senders(),
            receivers: segment.receivers(),
            lost: segment.lost(),
            queue: segment.backlog.as_ref().map(|backlog| Queue {
                waiting: backlog.waiting,
                claimed: backlog.claimed,
                writing: backlog.writing,
                answered: backlog.answered,
                oldest_s: backlog.oldest.map(|age| age.as_secs_f64()),
                redelivered: backlog.redelivered,
                acknowledged: backlog.acknowledged,
            }),
            ends,
            created: seconds(segment.created),
            stale_at_most_s: since.map(|since| since.as_secs_f64()),
            fingerprint: (!python && !broken).then(|| format!("{:#018x}", segment.fingerprint)),
            path: segment.path.display().to_string(),
        }
    }

    /// Returns the sender as a table shows it: `sensor (4711)`, `(25192) dead`.
    pub fn sender(&self) -> String {
        let senders: Vec<&End> = self.ends.iter().filter(|end| end.kind.is_some_and(Role::sends)).collect();
        let first = senders.iter().find(|end| end.alive).or(senders.first());
        let Some(first) = first else {
            return match (self.wire, self.ends.len()) {
                ("python", 1) => format!("{} ({})", self.ends[0].process, self.ends[0].pid),
                ("python", some) if some > 0 => units::count(some as u64, "process"),
                _ => String::new(),
            };
        };
        let mut text = match first.process.is_empty() {
            true => format!("({})", first.pid),
            false => format!("{} ({})", first.process, first.pid),
        };
        if !first.alive {
            text += " dead";
        }
        if senders.len() > 1 {
            text += &format!(" +{}", senders.len() - 1);
        }
        text
    }

    /// Returns the state as a table shows it, with its meaning.
    pub fn shown_state(&self) -> (String, Tone) {
        if let Some(problem) = &self.problem {
            return (problem.clone(), Tone::Bad);
        }
        let oldest = |queue: &Queue| {
            let age = queue.oldest_s.map(|age| units::time(Duration::from_secs_f64(age.max(0.0))));
            age.map_or_else(String::new, |age| format!(", oldest {age}"))
        };
        if self.state == "stale" {
            if let Some(queue) =
                self.queue.filter(|queue| queue.waiting + queue.claimed > 0 && self.pattern == "queue")
            {
                let jobs = units::count(queue.waiting + queue.claimed, "job");
                return (format!("no process, {jobs} kept{}", oldest(&queue)), Tone::Warning);
            }
            let since = self.stale_at_most_s.map(|most| units::time(Duration::from_secs_f64(most)));
            let text = match since {
                Some(since) => format!("stale for ≤ {since}: shmcomm clean"),
                None => "stale: shmcomm clean".to_owned(),
            };
            return (text, Tone::Faint);
        }
        match &self.queue {
            Some(queue) if self.receivers == Some(0) => {
                let waiting =
                    if queue.waiting > 0 { format!("{} waiting, ", queue.waiting) } else { String::new() };
                (format!("{waiting}no worker{}", oldest(queue)), Tone::Warning)
            }
            Some(queue) if queue.waiting > 0 => {
                (format!("{} waiting{}", units::grouped(queue.waiting), oldest(queue)), Tone::Plain)
            }
            _ => ("live".to_owned(), Tone::Good),
        }
    }
}

fn of_participant(end: &Participant, seconds: impl Fn(SystemTime) -> Option<f64>) -> End {
    End {
        role: end.role.name(),
        kind: Some(end.role),
        process: end.process.clone(),
        pid: end.pid,
        alive: end.alive,
        joined: seconds(end.joined),
        messages: end.messages,
        bytes: end.bytes,
        lag: end.lag,
        lost: end.lost,
        skipped: end.skipped,
        invalid: end.invalid,
        evictions: end.evictions,
        redelivered: end.redelivered,
    }
}

/// Returns an end of a Python channel, of which only the process is known.
fn of_mapping(pid: u32) -> End {
    End {
        role: "process",
        kind: None,
        process: crate::procs::Procs::default().name(pid),
        pid,
        alive: true,
        joined: None,
        messages: 0,
        bytes: 0,
        lag: None,
        lost: 0,
        skipped: 0,
        invalid: 0,
        evictions: 0,
        redelivered: 0,
    }
}

/// Returns a problem without the name and the path, which stand beside it.
fn short(problem: &str, segment: &SegmentInfo) -> String {
    let name = format!("channel `{}`: ", segment.channel);
    let path = format!("{} ", segment.path.display());
    problem.strip_prefix(&name).unwrap_or(problem).replacen(&path, "it ", 1)
}

/// Returns the messages per second since the live senders joined.
fn average(segment: &SegmentInfo, now: SystemTime) -> Option<f64> {
    let senders = segment.participants.iter().filter(|end| end.alive && end.role.sends());
    let rates: Vec<f64> = senders
        .filter_map(|end| {
            let seconds = now.duration_since(end.joined).ok()?.as_secs_f64();
            (seconds > 0.0).then(|| end.messages as f64 / seconds)
        })
        .collect();
    (!rates.is_empty()).then(|| rates.iter().sum())
}

/// Returns the short name of a pattern.
fn pattern(segment: &SegmentInfo) -> &'static str {
    let file = segment.path.file_name().unwrap_or_default().to_string_lossy();
    match segment.pattern {
        "publish/subscribe" => "pub/sub",
        "push/pull" => "queue",
        "table" => "table",
        "request/stream" => "stream",
        "request/reply" if segment.version == 1 && file.starts_with("shmcomm_req") => "requests",
        "request/reply" if segment.version == 1 => "replies",
        "request/reply" => "req/rep",
        _ => "",
    }
}
