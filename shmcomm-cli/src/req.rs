//! `shmcomm req`: asks a service.
//!
//! Owns the report of each reply. Takes the seat of a requester while it runs. Calls `given`, and `echo` for
//! the form of a message. Never repeats a request.

use crate::channels;
use crate::common::Common;
use crate::echo::message::Message;
use crate::echo::text;
use crate::failure::{Failure, Outcome};
use crate::given::{Content, Source};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::publish::failed;
use crate::sharing::Sharing;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::{DynError, DynMessage, DynRequester};
use std::time::{Duration, Instant};

/// Longest wait for a reply, unless `--duration` gives it.
const USUAL: Duration = Duration::from_secs(5);

/// Sends a request to a service and prints the reply.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm req planner '{\"from\": [0, 0], \"to\": [3, 4]}'
  shmcomm req planner --stdin < trips.jsonl
  shmcomm req planner '{\"from\": [0, 0], \"to\": [3, 4]}' --json --duration 1s | jq .message

A request is JSON, as for `shmcomm pub`. The command waits for each reply at most for --duration, or 5 s;
then the exit code is 3. -n repeats the request.

If the replies of the channel are streams, the command prints each reply until the replier ends the stream, and
cancels the request if it stops before.

JSON: an object per reply, with channel, round_trip_us and message; or hex, if the schema cannot be read.
round_trip_us is the time from the request to the reply, in microseconds.")]
pub struct Arguments {
    /// Name of the channel
    channel: String,
    /// Request as JSON
    #[arg(value_name = "JSON", required_unless_present = "stdin", allow_hyphen_values = true)]
    request: Option<String>,
    /// Reads a request from each line of standard input
    #[arg(long, conflicts_with = "request")]
    stdin: bool,
    /// Cuts nothing
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    sharing: Sharing,
}

#[derive(Serialize)]
struct Record<'m> {
    channel: &'m str,
    round_trip_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'m Message<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    // The time is that of one request.
    let mut pace = Pace::new(&Common { count: common.count, ..Common::default() });
    if !args.stdin {
        pace = pace.or_count(1);
    }
    let timeout = common.duration.unwrap_or(USUAL);
    let mut requester = open(common, args)?;
    let mut source = Source::new(args.request.as_deref());
    let name = requester.name().to_owned();
    let mut out = Out::new(common);
    while let Some(given) = source.next(&pace)? {
        let start = Instant::now();
        let report = Report { name: &name, args, start };
        let failure = |error: DynError, requester: &DynRequester| match error {
            DynError::Timeout => {
                let hint = if requester.repliers() == 0 { "; no replier is alive" } else { "" };
                Failure::TimedOut(format!(
                    "no reply came on channel `{name}` within {}{hint}",
                    units::time(timeout)
                ))
            }
            error => failed(&name, &error),
        };
        if requester.has_streams() {
            let mut replies = match &given.content {
                Content::Value(value) => requester.stream(value, timeout),
                Content::Bytes(bytes) => requester.stream_bytes(bytes, timeout),
            }
            .map_err(|error| failure(error, &requester))?;
            while let Some(reply) =
                replies.recv_timeout(timeout).map_err(|error| failure(error, &requester))?
            {
                report.print(&mut out, &reply)?;
            }
        } else {
            let reply = match &given.content {
                Content::Value(value) => requester.request(value, timeout),
                Content::Bytes(bytes) => requester.request_bytes(bytes, timeout),
            };
            report.print(&mut out, &reply.map_err(|error| failure(error, &requester))?)?;
        }
        if !pace.another() {
            break;
        }
    }
    Ok(())
}

/// Opens the requester of an existing channel.
fn open(common: &Common, args: &Arguments) -> Result<DynRequester, Failure> {
    let full = channels::full_name(common, &args.channel);
    if let Some(declaration) = args.sharing.existing(&full)? {
        return Ok(DynRequester::create(&full, &declaration)?);
    }
    if args.sharing.is_shared()? {
        return Err(Failure::NotFound(format!("the group has no channel `{full}`; start its replier")));
    }
    Ok(DynRequester::open(&channels::intact(channels::find(common, &args.channel)?)?.channel)?)
}

/// The output for the replies to one request.
struct Report<'a> {
    name: &'a str,
    args: &'a Arguments,
    /// Time at which the request was sent.
    start: Instant,
}

impl Report<'_> {
    /// Prints one reply.
    fn print(&self, out: &mut Out, reply: &DynMessage) -> Outcome {
        let took = self.start.elapsed();
        let message = Message::received(reply).ok();
        if out.form() == Form::Json {
            let hex =
                message.is_none().then(|| reply.bytes().iter().map(|byte| format!("{byte:02x}")).collect());
            let round_trip_us = took.as_secs_f64() * 1e6;
            out.json(&Record { channel: self.name, round_trip_us, message: message.as_ref(), hex })?;
        } else {
            match &message {
                Some(message) => out.line(text::line(message, self.args.full))?,
                None => out.raw(text::hex(reply.bytes(), self.args.full).as_bytes())?,
            }
        }
        out.flush()
    }
}
