//! `shmcomm pub` and `shmcomm push`: messages from a user.
//!
//! Owns the loop over the messages. Takes the seat of a sender while it runs. Calls `given`, and the library's
//! dynamic ends. Never sends bytes that are not a message of the channel: the library checks them.

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::given::{Content, Given, Source};
use crate::out::{Form, Out};
use crate::pace::{self, Pace};
use crate::sharing::Sharing;
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm::{Declaration, DynError, DynPublisher, DynPusher};
use std::time::{Duration, Instant};

/// Longest wait of one attempt before the end of the command is checked.
const SLICE: Duration = Duration::from_millis(100);

/// Sends messages to a publish/subscribe channel, as its publisher.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm pub robot/command '{\"number\": 7, \"velocity\": 0.5}'
  shmcomm echo robot/imu --json | shmcomm pub copy/imu --stdin --like robot/imu
  shmcomm pub robot/command '{\"number\": 7, \"velocity\": 0.5}' --rate 10 -n 100

A message is JSON, as serde_json writes the Rust type; --stdin reads one per line, also the objects that
`echo --json` prints. A value that does not fit is refused, with the name of its field. The layout comes
from the segment of the channel. --like takes layout and settings from another channel, and creates the
channel if it does not exist. Without it, a channel that `echo --json` names serves as the model.
--group takes the channel of a group of users, and creates it for the group.

The command is a publisher: a channel with one publisher refuses it while that one lives.

JSON: one object at the end, with channel and sent.")]
pub struct Arguments {
    #[command(flatten)]
    send: Send,
    /// Waits for this number of subscribers first, at most for --duration
    #[arg(long, value_name = "N", default_value_t = 0)]
    subscribers: usize,
}

/// Puts jobs into a push/pull queue.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm push jobs '{\"number\": 7, \"effort\": 250}'
  shmcomm push jobs --stdin < jobs.jsonl
  shmcomm push jobs '{\"number\": 7, \"effort\": 250}' -n 10 --duration 5s

A job is JSON, as for `shmcomm pub`. If the queue is full, the command waits for room, at most for
--duration; then the exit code is 3.

JSON: one object at the end, with channel and sent.")]
pub struct PushArguments {
    #[command(flatten)]
    send: Send,
}

/// Arguments of commands that send.
#[derive(Args, Debug)]
struct Send {
    /// Name of the channel
    channel: String,
    /// Message as JSON
    #[arg(value_name = "JSON", required_unless_present = "stdin", allow_hyphen_values = true)]
    message: Option<String>,
    /// Reads a message from each line of standard input
    #[arg(long, conflicts_with = "message")]
    stdin: bool,
    /// Creates the channel like this one, if it does not exist
    #[arg(long, value_name = "CHANNEL")]
    like: Option<String>,
    /// Repeats the message, or sends the lines, at most this number of times a second
    #[arg(long, value_name = "HZ", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    sharing: Sharing,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number of messages per second".to_owned())?;
    if (1e-6..=1e9).contains(&rate) {
        Ok(rate)
    } else {
        Err("expected 0.000001 to 1000000000 per second".into())
    }
}

#[derive(Serialize)]
struct Report<'a> {
    channel: &'a str,
    sent: u64,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let wanted = args.subscribers;
    send(common, &args.send, DynPublisher::open, DynPublisher::create, |publisher, pace| {
        let mut told = false;
        while publisher.subscribers() < wanted {
            if !std::mem::replace(&mut told, true) {
                eprintln!("shmcomm: waiting for {}", units::count(wanted as u64, "subscriber"));
            }
            if !pace.sleep(Duration::from_millis(5)) {
                return Err(Failure::TimedOut(format!(
                    "{} of {wanted} came on channel `{}` in the given time",
                    units::count(publisher.subscribers() as u64, "subscriber"),
                    publisher.name()
                )));
            }
        }
        Ok(())
    })
}

pub fn push(common: &Common, args: &PushArguments) -> Outcome {
    send(common, &args.send, DynPusher::open, DynPusher::create, |_, _| Ok(()))
}

/// An end that sends.
trait Sender {
    fn name(&self) -> String;
    fn value(&mut self, value: &shmcomm::schema::Value, timeout: Duration) -> Result<(), DynError>;
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), DynError>;
}

impl Sender for DynPublisher {
    fn name(&self) -> String {
        DynPublisher::name(self).to_owned()
    }
    fn value(&mut self, value: &shmcomm::schema::Value, timeout: Duration) -> Result<(), DynError> {
        self.send_timeout(value, timeout)
    }
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), DynError> {
        self.send_bytes(bytes)
    }
}

impl Sender for DynPusher {
    fn name(&self) -> String {
        DynPusher::name(self).to_owned()
    }
    fn value(&mut self, value: &shmcomm::schema::Value, timeout: Duration) -> Result<(), DynError> {
        self.send_timeout(value, timeout)
    }
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), DynError> {
        self.send_bytes(bytes)
    }
}

type Open<E> = fn(&str) -> Result<E, shmcomm::Error>;
type Create<E> = fn(&str, &Declaration) -> Result<E, shmcomm::Error>;

fn send<E: Sender>(
    common: &Common,
    args: &Send,
    open: Open<E>,
    create: Create<E>,
    ready: impl FnOnce(&E, &Pace) -> Outcome,
) -> Outcome {
    let mut pace = Pace::new(common);
    // An argument is sent once, unless a number or a rate is given.
    if !args.stdin && common.count.is_none() && args.rate.is_none() {
        pace = pace.or_count(1);
    }
    let mut source = Source::new(args.message.as_deref());
    let (mut end, mut ready, mut sent) = (None, Some(ready), 0u64);
    let start = Instant::now();
    while let Some(given) = source.next(&pace)? {
        let end = match &mut end {
            Some(end) => end,
            None => {
                let like = args.like.as_deref().or(given.source.as_deref());
                let opened = open_end(common, args, like, open, create)?;
                if let Some(ready) = ready.take() {
                    ready(&opened, &pace)?;
                }
                end.insert(opened)
            }
        };
        if !send_one(end, &given, &pace)? {
            break;
        }
        sent += 1;
        if !pace.another() {
            break;
        }
        if let Some(rate) = args.rate {
            let next = Duration::from_secs_f64(sent as f64 / rate);
            if !pace.sleep(next.saturating_sub(start.elapsed())) {
                break;
            }
        }
    }
    let mut out = Out::new(common);
    let name = end.as_ref().map_or_else(|| channels::full_name(common, &args.channel), Sender::name);
    if out.form() == Form::Json {
        out.json(&Report { channel: &name, sent })?;
        out.flush()?;
    } else {
        eprintln!("shmcomm: sent {} on `{name}`", units::count(sent, "message"));
    }
    Ok(())
}

/// Sends a message; waits for room. Returns `false` after a signal.
fn send_one<E: Sender>(end: &mut E, given: &Given, pace: &Pace) -> Result<bool, Failure> {
    loop {
        let result = match &given.content {
            Content::Value(value) => end.value(value, pace.at_most(SLICE)),
            Content::Bytes(bytes) => end.bytes(bytes),
        };
        match result {
            Ok(()) => return Ok(true),
            Err(DynError::Timeout | DynError::Full) if pace::stopped() => return Ok(false),
            Err(DynError::Timeout | DynError::Full) if pace.is_over() => {
                let name = end.name();
                return Err(Failure::TimedOut(format!("channel `{name}` was full for the given time")));
            }
            Err(DynError::Timeout | DynError::Full) => {}
            Err(error) => return Err(failed(&end.name(), &error)),
        }
    }
}

/// Returns the failure of an operation of a dynamic end.
pub fn failed(name: &str, error: &DynError) -> Failure {
    Failure::Failed(format!("channel `{name}`: {error}"))
}

/// Opens the end of an existing channel, or creates the channel like another one.
fn open_end<E>(
    common: &Common,
    args: &Send,
    like: Option<&str>,
    open: Open<E>,
    create: Create<E>,
) -> Result<E, Failure> {
    let (sharing, full) = (&args.sharing, channels::full_name(common, &args.channel));
    if let Some(declaration) = sharing.existing(&full)? {
        return Ok(create(&full, &declaration)?);
    }
    let missing = if sharing.is_shared()? {
        Failure::NotFound(format!("the group has no channel `{full}`; --like creates it"))
    } else {
        match channels::find(common, &args.channel) {
            Ok(segment) => return Ok(open(&channels::intact(segment)?.channel)?),
            Err(missing) => missing,
        }
    };
    let Some(like) = like.filter(|_| matches!(missing, Failure::NotFound(_))) else {
        return Err(missing);
    };
    let model = channels::intact(channels::find(common, like)?)?;
    let what = shmcomm::describe(&model.channel)?
        .ok_or_else(|| Failure::NotFound(format!("channel `{}` has been removed", model.channel)))?;
    if let Err(error) = &what.layouts {
        return Err(Failure::Failed(format!(
            "the schema of channel `{}` cannot be used: {error}",
            what.name
        )));
    }
    eprintln!("shmcomm: creates channel `{full}` like `{}`", model.channel);
    Ok(create(&full, &sharing.apply(Declaration::from(&what))?)?)
}
