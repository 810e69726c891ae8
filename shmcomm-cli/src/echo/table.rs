//! `shmcomm echo` for a table: the latest value of each key, then each change.
//!
//! Owns the loop over the keys and the forms of a value. Observes without a seat, and sleeps until a writer wakes it. Calls
//! `text`.

use super::message::Message;
use super::{Arguments, SLICE, text};
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::Pace;
use crate::tone::Tone;
use crate::units;
use serde::Serialize;
use shmcomm::schema::ValueRef;
use shmcomm::{LoadError, ObservedValue, TableObserver, TableWaitTimeoutError};
use std::time::Duration;

/// Time after which a value that was overwritten during each attempt to copy it is loaded again.
const RETRY: Duration = Duration::from_millis(1);

#[derive(Serialize)]
struct Record<'v> {
    channel: &'v str,
    key: &'v str,
    version: u64,
    /// Seconds since the Unix epoch.
    time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<ValueRef<'v>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

pub fn run(common: &Common, args: &Arguments, channel: &str) -> Outcome {
    refuse(args, channel)?;
    let pace = Pace::new(common);
    let mut table = TableObserver::open(channel)?;
    let mut out = Out::new(common);
    let mut seen = vec![0; table.keys().len()];
    let mut printed = 0;
    let wanted = common.count.filter(|_| !args.once);
    while wanted.is_none_or(|wanted| printed < wanted) && !pace.is_over() {
        if table.follow()? {
            eprintln!("shmcomm: table `{channel}` has a new segment");
            seen = vec![0; table.keys().len()];
        }
        let (before, mut busy) = (printed, false);
        for (key, seen) in seen.iter_mut().enumerate() {
            if table.version(key) == *seen || wanted.is_some_and(|wanted| printed >= wanted) {
                continue;
            }
            let name = table.keys()[key].name.clone();
            match table.load(key) {
                Ok(Some(value)) => {
                    *seen = value.version();
                    show(&mut out, args, (channel, &name), &value)?;
                    printed += 1;
                }
                Ok(None) => {}
                // The next round tries again.
                Err(LoadError::Busy { .. }) => busy = true,
                Err(error) => return Err(Failure::Failed(error.to_string())),
            }
        }
        if printed > before {
            out.flush()?;
            if args.once {
                return Ok(());
            }
            continue;
        }
        if busy {
            pace.sleep(RETRY);
            continue;
        }
        match table.wait_timeout(pace.at_most(SLICE)) {
            Ok(()) | Err(TableWaitTimeoutError::Timeout) => {}
            Err(error) => return Err(Failure::Failed(error.to_string())),
        }
    }
    match wanted {
        _ if crate::pace::stopped() => Ok(()),
        Some(wanted) if printed < wanted => Err(too_few(channel, printed, Some(wanted))),
        None if printed == 0 => Err(too_few(channel, 0, None)),
        _ => Ok(()),
    }
}

/// Refuses the options that choose among messages.
fn refuse(args: &Arguments, channel: &str) -> Outcome {
    let given = [
        ("--field", !args.field.is_empty()),
        ("--filter", args.filter.is_some()),
        ("--csv", args.csv),
        ("--oldest", args.oldest),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Failure::Usage(format!(
            "channel `{channel}` is a table, whose keys have types of their own: {option} is for publish/subscribe; use \
             --json and choose by `key`"
        ))),
        None => Ok(()),
    }
}

fn show(out: &mut Out, args: &Arguments, (channel, key): (&str, &str), value: &ObservedValue<'_>) -> Outcome {
    let (version, time) = (value.version(), value.time().as_secs_f64());
    let hex = || value.bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if out.form() == Form::Json {
        let (value, hex) = if args.hex { (None, Some(hex())) } else { (Some(value.view()), None) };
        return out.json(&Record { channel, key, version, time, value, hex });
    }
    let number = out.paint(Tone::Faint, &format!("#{version}"));
    let key = text::bare(key);
    if args.hex {
        out.line(format!("{key}  {number}  {}", units::count(value.bytes().len() as u64, "byte")))?;
        return out.raw(text::hex(value.bytes(), args.full).as_bytes());
    }
    let message = Message::View { head: value.view(), tail: None };
    out.line(format!("{key}  {number}  {}", text::line(&message, args.full)))
}

fn too_few(channel: &str, printed: u64, wanted: Option<u64>) -> Failure {
    let of = wanted.map_or_else(String::new, |wanted| format!(" of {}", units::grouped(wanted)));
    Failure::TimedOut(format!(
        "{}{of} came on table `{channel}` in the given time",
        units::count(printed, "value")
    ))
}
