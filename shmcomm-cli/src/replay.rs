//! `shmcomm replay`: the messages of a recording, published again.
//!
//! Owns the progress line and the report. Calls `shmcomm-record`. Is the publisher of the channels while it runs.

use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::{self, Pace};
use crate::units;
use clap::Args;
use serde::Serialize;
use shmcomm_record::{PlayError, PlayOptions, Played, Player};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time between two progress lines.
const PROGRESS: Duration = Duration::from_millis(500);

/// Publishes the messages of a recording again, at their times.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm replay drive.mcap
  shmcomm replay drive.mcap --channel robot/imu --remap robot/imu=test/imu --speed 0.5
  shmcomm replay drive_000.mcap drive_001.mcap --start 90s --end 2min --loop

The recorded channels are created again, with their layouts and settings. A channel that exists keeps its
layout: recorded messages are converted by the rules of evolution, or refused with the name of the field.
With --force the recorded layout replaces it, and subscribers convert by their own rules. A live publisher is
replaced with --force only. Times of --start and --end count from the first message. --speed 0 does not wait.

JSON: an object per channel at the end, with recorded, channel, sent and refused.")]
pub struct Arguments {
    /// Files of the recording, in their order
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Replays only this channel, by its recorded name; may be repeated
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Replays a channel under another name; may be repeated
    #[arg(long, value_name = "FROM=TO", value_parser = remap)]
    remap: Vec<(String, String)>,
    /// Speed; 0 sends without waiting
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Starts again at the end
    #[arg(long = "loop")]
    repeat: bool,
    /// Leaves out the messages before this time
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    start: Option<Duration>,
    /// Leaves out the messages after this time
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    end: Option<Duration>,
    /// Waits for this number of subscribers first, at most for --duration
    #[arg(long, value_name = "N", default_value_t = 0)]
    subscribers: usize,
    /// Replaces live publishers, and channels with other messages
    #[arg(long)]
    force: bool,
}

fn remap(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err("expected two names, such as `robot/imu=test/imu`".into()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let wanted = "expected a factor from 0.001 to 1000, or 0";
    let speed: f64 = text.parse().map_err(|_| wanted.to_owned())?;
    match speed {
        0.0 => Ok(f64::INFINITY),
        _ if (0.001..=1000.0).contains(&speed) => Ok(speed),
        _ => Err(wanted.into()),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    recorded: &'a str,
    channel: &'a str,
    sent: u64,
    refused: u64,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let pace = Pace::new(common);
    let options = PlayOptions {
        speed: args.speed,
        repeat: args.repeat,
        start: args.start.unwrap_or_default(),
        end: args.end,
        channels: (!args.channels.is_empty()).then(|| args.channels.clone()),
        remap: args.remap.clone(),
        namespace: common.namespace().map(str::to_owned),
        count: common.count,
        force: args.force,
    };
    if let (Some(start), Some(end)) = (args.start, args.end)
        && start > end
    {
        return Err(Failure::Usage(format!("--start {start:?} is after --end {end:?}")));
    }
    let mut player = Player::open(&args.files, options).map_err(failure)?;
    for path in player.cut_files() {
        eprintln!(
            "shmcomm: {} has no complete end, because the recorder was killed, its disk was full, or the file was copied in \
             part; the messages up to its last complete chunk are replayed",
            path.display()
        );
    }
    while player.subscribers() < args.subscribers {
        if !pace.sleep(Duration::from_millis(5)) {
            let (came, wanted) = (units::count(player.subscribers() as u64, "subscriber"), args.subscribers);
            return Err(Failure::TimedOut(format!("{came} of {wanted} came in the given time")));
        }
    }
    let mut shown = Instant::now();
    let result = player.run(|at| {
        if shown.elapsed() >= PROGRESS {
            shown = Instant::now();
            pace::progress(&format!("replays {}", units::time(at)));
        }
        !pace.is_over()
    });
    pace::progress("");
    report(common, player.report())?;
    result.map_err(failure)?;
    let any = player.report().iter().any(|channel| channel.sent + channel.refused > 0);
    if !any && !pace.is_over() {
        return Err(Failure::NotFound("the recording has no message between --start and --end".into()));
    }
    Ok(())
}

fn report(common: &Common, channels: &[Played]) -> Outcome {
    let mut out = Out::new(common);
    for Played { recorded, name, sent, refused } in channels {
        if out.form() == Form::Json {
            out.json(&Line { recorded, channel: name, sent: *sent, refused: *refused })?;
            continue;
        }
        let from = if recorded == name { String::new() } else { format!(" (recorded as {recorded})") };
        let more = if *refused > 0 {
            format!(", {} refused: they are damaged", units::grouped(*refused))
        } else {
            String::new()
        };
        out.line(format!("{name}{from}: {} sent{more}", units::count(*sent, "message")))?;
    }
    out.flush()
}

fn failure(error: PlayError) -> Failure {
    match error {
        PlayError::Channel(error) => error.into(),
        PlayError::Read { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::NotFound(error.to_string())
        }
        PlayError::Nothing { .. } | PlayError::LateStart { .. } => Failure::NotFound(error.to_string()),
        PlayError::Parts { .. } => Failure::Usage(error.to_string()),
        _ => Failure::Failed(error.to_string()),
    }
}
