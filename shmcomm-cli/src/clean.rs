//! `shmcomm clean`: removes the segments that no process uses.
//!
//! Owns the dry run and the report. Calls the library's `remove_stale`, which checks again under locks, and
//! `force_unlink_segment` only for what the user names. Never removes a queue with work unless `--with-work` is given.

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::tone::Tone;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::{SegmentInfo, SpareReason};

/// Removes the segments of channels that no process uses. Without --yes it only says what it would do.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm clean                     what would be removed
  shmcomm clean --yes               removes it
  shmcomm clean --yes --with-work jobs   removes a queue together with its jobs

A queue with unfinished jobs stays, because the next worker receives them. --with-work removes such a queue
if it is named. A file that cannot be read as a segment may be such a queue: it stays too, unless it is
named together with --with-work. A channel that a process uses is never removed. The channels of the user's
groups are cleaned up too, whichever member made them.

JSON: an object per segment, with channel, group, path, size, action (removed, would remove, kept) and reason
(null for removed segments).")]
pub struct Arguments {
    /// Names of channels; `*` stands for any characters [default: all]
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Removes; otherwise nothing is changed
    #[arg(short, long)]
    yes: bool,
    /// Also removes named queues that hold jobs, and named files that are not readable. The jobs are lost
    #[arg(long, requires = "channels")]
    with_work: bool,
}

#[derive(Serialize)]
struct Step {
    channel: String,
    group: Option<String>,
    path: String,
    size: u64,
    action: &'static str,
    reason: Option<String>,
}

impl Step {
    fn new(segment: &SegmentInfo, action: &'static str, reason: Option<String>) -> Self {
        let path = segment.path.display().to_string();
        let (channel, group) = (segment.channel.clone(), segment.group.clone());
        Step { channel, group, path, size: segment.size, action, reason }
    }
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let selected = channels::select(common, &args.channels)?;
    let mut steps = Vec::new();
    let mut failed = false;
    if args.yes {
        for segment in &selected {
            let (step, fine) = remove(segment, args.with_work);
            failed |= !fine;
            steps.extend(step);
        }
    } else {
        steps.extend(selected.iter().filter_map(|segment| plan(segment, args.with_work)));
    }
    let most = common.count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    show(common, args, &steps, most)?;
    if failed { Err(Failure::Failed("a segment could not be removed".into())) } else { Ok(()) }
}

/// Returns what would happen to a segment; `None` if it is in use.
fn plan(segment: &SegmentInfo, with_work: bool) -> Option<Step> {
    if !segment.stale {
        return None;
    }
    let keeps = match &segment.problem {
        _ if with_work => None,
        Some(why) => Some(SpareReason::Unreadable(why.clone())),
        None if segment.queued_work() > 0 => Some(SpareReason::HoldsWork(segment.queued_work())),
        None => None,
    };
    Some(match keeps {
        Some(reason) => Step::new(segment, "kept", Some(reason.to_string())),
        None => Step::new(segment, "would remove", None),
    })
}

/// Removes a segment. Returns what happened, and `false` if the removal failed.
fn remove(segment: &SegmentInfo, with_work: bool) -> (Option<Step>, bool) {
    if !segment.stale {
        return (None, true);
    }
    let by_force = with_work && (segment.problem.is_some() || segment.queued_work() > 0);
    let outcome = if by_force {
        shmcomm::force_unlink_segment(segment).map(|_| None).map_err(|error| error.to_string())
    } else {
        match shmcomm::remove_stale_segment(segment) {
            Ok(_) => Ok(None),
            Err(SpareReason::Failed(error)) => Err(error.to_string()),
            Err(reason) => Ok(Some(reason.to_string())),
        }
    };
    match outcome {
        Ok(None) => (Some(Step::new(segment, "removed", None)), true),
        Ok(Some(reason)) => (Some(Step::new(segment, "kept", Some(reason))), true),
        Err(error) => (Some(Step::new(segment, "kept", Some(error))), false),
    }
}

fn show(common: &Common, args: &Arguments, steps: &[Step], most: usize) -> Outcome {
    let mut out = Out::new(common);
    if out.form() == Form::Json {
        steps.iter().take(most).try_for_each(|step| out.json(step))?;
        return out.flush();
    }
    for step in steps.iter().take(most) {
        let tone = if step.action == "kept" { Tone::Warning } else { Tone::Good };
        let why = step.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        if out.form() == Form::Plain {
            out.line(format!(
                "{}\t{}\t{}\t{}",
                step.action,
                step.channel,
                step.size,
                step.reason.as_deref().unwrap_or("-")
            ))?;
        } else {
            let action = out.paint(tone, step.action);
            let group = step.group.as_ref().map_or_else(String::new, |group| format!(" of group {group}"));
            out.line(format!("{action} {}{group} ({}){why}", step.channel, units::bytes(step.size as f64)))?;
        }
    }
    out.flush()?;
    let removable = steps.iter().filter(|step| step.action != "kept");
    let size: u64 = removable.clone().map(|step| step.size).sum();
    let (number, size) = (units::count(removable.count() as u64, "segment"), units::bytes(size as f64));
    if args.yes {
        eprintln!("shmcomm: removed {number}, {size}");
    } else if steps.is_empty() {
        eprintln!("shmcomm: nothing to clean");
    } else {
        eprintln!("shmcomm: would remove {number}, {size}; `shmcomm clean --yes` does it");
    }
    Ok(())
}
