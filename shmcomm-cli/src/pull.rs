//! `shmcomm pull`: takes jobs from a queue.
//!
//! Owns the loop. Takes the seat of a puller while it runs; each printed job is done. Calls `echo` for the
//! form of a message. Never takes more jobs than asked for.

use crate::channels;
use crate::common::Common;
use crate::echo::message::Message;
use crate::echo::text;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::{self, Pace};
use crate::publish::failed;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::{DynError, DynMessage, DynPuller};
use std::time::Duration;

/// Longest wait for a job before the end of the command is checked.
const SLICE: Duration = Duration::from_millis(100);

/// Takes jobs from a push/pull queue and prints them. The jobs are done: no other worker gets them.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm pull jobs                     one job
  shmcomm pull jobs -n 100 --json > jobs.jsonl
  shmcomm pull jobs --all               all jobs that wait

The command waits for a job, at most for --duration; then the exit code is 3. With --all it ends when the
queue is empty. To see the figures of a queue without taking a job, use `shmcomm info`.

JSON: an object per job, with channel, position (number of the job in this run, from 0) and message; or
hex, if the schema cannot be read.
`shmcomm push --stdin` accepts the messages.")]
pub struct Arguments {
    /// Name of the channel
    channel: String,
    /// Takes all jobs that wait, and ends
    #[arg(long)]
    all: bool,
    /// Cuts nothing
    #[arg(long)]
    full: bool,
}

#[derive(Serialize)]
struct Record<'m> {
    channel: &'m str,
    position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'m Message<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let mut pace = Pace::new(common);
    if !args.all {
        pace = pace.or_count(1);
    }
    let segment = channels::intact(channels::find(common, &args.channel)?)?;
    let mut puller = DynPuller::open(&segment.channel)?;
    let name = puller.name().to_owned();
    let mut out = Out::new(common);
    let mut taken = 0u64;
    loop {
        let received = if args.all { puller.try_recv() } else { puller.recv_timeout(pace.at_most(SLICE)) };
        match received {
            Ok(job) => {
                show(&mut out, &name, taken, &job, args.full)?;
                taken += 1;
                if !pace.another() {
                    return out.flush();
                }
            }
            Err(DynError::Empty) => break,
            Err(DynError::Timeout) if pace.is_over() => break,
            Err(DynError::Timeout) => out.flush()?,
            Err(error) => return Err(failed(&name, &error)),
        }
    }
    out.flush()?;
    if pace::stopped() || args.all {
        return Ok(());
    }
    Err(Failure::TimedOut(format!(
        "{} came on channel `{name}` in the given time",
        units::count(taken, "job")
    )))
}

/// Prints a job.
fn show(out: &mut Out, name: &str, position: u64, job: &DynMessage, full: bool) -> Outcome {
    let message = Message::received(job).ok();
    if out.form() == Form::Json {
        let hex = message.is_none().then(|| job.bytes().iter().map(|byte| format!("{byte:02x}")).collect());
        return out.json(&Record { channel: name, position, message: message.as_ref(), hex });
    }
    match &message {
        Some(message) => out.line(text::line(message, full)),
        None => out.raw(text::hex(job.bytes(), full).as_bytes()),
    }
}
