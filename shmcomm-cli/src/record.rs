//! `shmcomm record`: the messages of channels in MCAP files.
//!
//! Owns the choice of the channels, the progress line and the report. Calls `shmcomm-record`. Observes without a seat,
//! unless --lossless is given.

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use crate::pace::{self, Pace};
use crate::units;
use clap::{Args, ValueEnum};
use serde::Serialize;
use shmcomm::{Observed, Observer};
use shmcomm_record::encoding::Encoding;
use shmcomm_record::{ChannelReport, Compression, RecordError, RecordOptions, Recorder};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Time of one recording step, before the end of the command is checked.
const STEP: Duration = Duration::from_millis(50);
/// Time between two searches for new channels, and between two progress lines.
const SEARCH: Duration = Duration::from_millis(500);

/// Records channels to an MCAP file, which Foxglove, Rerun, PlotJuggler and ROS 2 read.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm record robot/imu robot/camera -o drive.mcap
  shmcomm record 'robot/*' --lossless --compression zstd --duration 10min
  shmcomm record 'robot/*' --split-size 1G --max-disk 20G --pre-buffer 10s --trigger robot/fault

A pattern selects channels that appear later too. Only publish/subscribe channels are recorded. The command
observes: no publisher waits for it, and losses are counted. --lossless takes a seat in each channel instead,
so that a publisher with `overflow: Wait` waits for the recorder.

Messages with a layout are recorded as ROS 2 messages (ros2msg and CDR) or as protobuf, those of MessagePack
and pickle as JSON. A process that is killed leaves a readable file without its last second. If the disk is
full, the command fails and leaves a readable file. --split-size and --max-disk take bytes, or K, M, G.

JSON: an object per channel at the end, with channel, written, bytes, lost and refused (messages
that are not valid). Progress goes to standard error.")]
pub struct Arguments {
    /// Names or patterns of channels, such as 'robot/*'; all if none is given
    channels: Vec<String>,
    /// File to write; the default is the date and time
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Encoding of messages with a layout
    #[arg(long, value_enum, default_value_t = Coding::Ros2msg)]
    encoding: Coding,
    /// Compression of the file
    #[arg(long, value_enum, default_value_t = Packing::Lz4)]
    compression: Packing,
    /// Takes a seat in each channel; a publisher that waits for its subscribers waits for the recorder
    #[arg(long)]
    lossless: bool,
    /// Records the messages too that are in the channels at the start
    #[arg(long)]
    oldest: bool,
    /// Starts another file after this size
    #[arg(long, value_name = "SIZE", value_parser = size)]
    split_size: Option<u64>,
    /// Starts another file after this time
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    split_duration: Option<Duration>,
    /// Removes the oldest files of the recording when all have more than this size
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_disk: Option<u64>,
    /// Keeps the messages of this time in memory until the trigger
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration, requires = "trigger")]
    pre_buffer: Option<Duration>,
    /// Starts to write with the first message of this channel
    #[arg(long, value_name = "CHANNEL", requires = "pre_buffer")]
    trigger: Option<String>,
    /// Waits for channels that do not exist
    #[arg(long)]
    wait: bool,
}

/// Encoding of messages with a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Coding {
    /// Messages of ROS 2, as CDR
    Ros2msg,
    /// Messages of protobuf
    Protobuf,
}

/// Compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Packing {
    /// No compression
    None,
    /// Fast
    Lz4,
    /// Small
    Zstd,
}

#[derive(Serialize)]
struct Line<'a> {
    channel: &'a str,
    written: u64,
    bytes: u64,
    lost: u64,
    refused: u64,
}

fn size(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let factor = match text[at..].trim().trim_end_matches(['B', 'b']).to_ascii_uppercase().as_str() {
        "" => 1.0,
        "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        _ => 0.0,
    };
    let number = text[..at].parse::<f64>().ok().map(|number| number * factor);
    let wanted = "expected a size of at least 1000 bytes, such as `500M` or `2G`";
    number.filter(|bytes| (1e3..1e18).contains(bytes)).map(|bytes| bytes as u64).ok_or_else(|| wanted.into())
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let pace = Pace::new(common);
    let options = RecordOptions {
        encoding: match args.encoding {
            Coding::Ros2msg => Encoding::Ros2,
            Coding::Protobuf => Encoding::Protobuf,
        },
        compression: match args.compression {
            Packing::None => Compression::None,
            Packing::Lz4 => Compression::Lz4,
            Packing::Zstd => Compression::Zstd,
        },
        lossless: args.lossless,
        oldest: args.oldest,
        split_size: args.split_size,
        split_duration: args.split_duration,
        max_disk: args.max_disk,
        pre_buffer: args.pre_buffer,
    };
    // Names without a pattern must exist, before a file is made.
    if !args.wait {
        let chosen = channels::select(common, &args.channels)?;
        if !chosen.iter().any(|segment| segment.pattern == "publish/subscribe") {
            return Err(Failure::NotFound(
                "no publish/subscribe channel was found; start a publisher, or give --wait".into(),
            ));
        }
    }
    let path = args.output.clone().unwrap_or_else(default_name);
    let mut recorder = Recorder::create(&path, options).map_err(failure)?;
    let mut trigger: Option<Observer> = None;
    let (start, mut searched) = (Instant::now(), None::<Instant>);
    eprintln!("shmcomm: records to {}; Ctrl-C ends", path.display());
    if args.lossless {
        eprintln!(
            "shmcomm: takes a seat in each channel, so that publishers with `overflow: Wait` wait for it"
        );
    }
    while !pace.is_over() {
        if searched.is_none_or(|searched| searched.elapsed() >= SEARCH) {
            add(common, args, &mut recorder, searched.is_none())?;
            if let Some(name) = args.trigger.as_deref().filter(|_| trigger.is_none()) {
                trigger = Observer::open(&channels::full_name(common, name)).ok();
            }
            searched = Some(Instant::now());
            progress(&recorder, start.elapsed());
        }
        recorder.record_for(pace.at_most(STEP)).map_err(failure)?;
        if recorder.is_waiting()
            && let Some(Observed::Message(_) | Observed::Missed(_)) = trigger.as_mut().map(Observer::next)
        {
            pace::progress("");
            eprintln!("shmcomm: triggered");
            recorder.trigger().map_err(failure)?;
        }
        let written: u64 = recorder.report().iter().map(|channel| channel.written).sum();
        if common.count.is_some_and(|count| written >= count) {
            break;
        }
    }
    pace::progress("");
    let recorded = recorder.report().iter().any(|channel| channel.written > 0);
    let end = recorder.finish().map_err(failure)?;
    report(common, &end)?;
    if recorded { Ok(()) } else { Err(Failure::TimedOut("no message came in the given time".into())) }
}

/// Adds the channels that the names select and that are not recorded yet.
fn add(common: &Common, args: &Arguments, recorder: &mut Recorder, first: bool) -> Outcome {
    let everything = shmcomm::list_segments()?;
    for segment in everything.iter().filter(|segment| segment.pattern == "publish/subscribe") {
        let name = segment.channel.as_str();
        let inside = common.namespace().is_none_or(|space| name.starts_with(&format!("{space}/")));
        let chosen = args.channels.iter().any(|pattern| {
            channels::matches(&channels::full_name(common, pattern), name) || channels::matches(pattern, name)
        });
        let all = args.channels.is_empty() && inside;
        if segment.problem.is_some() || !(chosen || all) || recorder.channels().any(|known| known == name) {
            continue;
        }
        match recorder.add(name) {
            Ok(()) => eprintln!("shmcomm: records channel `{name}`"),
            // A channel that was named must be recorded; one of many is left out.
            Err(error) if first && args.channels.iter().any(|pattern| pattern == name) => {
                return Err(failure(error));
            }
            Err(error) if first => eprintln!("shmcomm: leaves out channel `{name}`: {error}"),
            Err(_) => {}
        }
    }
    Ok(())
}

fn progress(recorder: &Recorder, time: Duration) {
    let sum = |figure: fn(&ChannelReport) -> u64| recorder.report().iter().map(figure).sum::<u64>();
    let state = if recorder.is_waiting() { "waits for the trigger" } else { "records" };
    let (channels, written) = (recorder.report().len() as u64, sum(|channel| channel.written));
    let lost = sum(|channel| channel.lost);
    pace::progress(&format!(
        "{state} {}  {}  {} written  {} lost  {}",
        units::time(time),
        units::count(channels, "channel"),
        units::grouped(written),
        units::grouped(lost),
        units::bytes(recorder.size() as f64)
    ));
}

fn report(common: &Common, channels: &[ChannelReport]) -> Outcome {
    let mut out = Out::new(common);
    for channel in channels {
        let ChannelReport { name, written, bytes, lost, refused } = channel;
        if out.form() == Form::Json {
            out.json(&Line {
                channel: name,
                written: *written,
                bytes: *bytes,
                lost: *lost,
                refused: *refused,
            })?;
            continue;
        }
        let more = if *refused > 0 {
            format!(", {} refused: they are not valid", units::grouped(*refused))
        } else {
            String::new()
        };
        out.line(format!(
            "{name}: {} written ({}), {} lost{more}",
            units::count(*written, "message"),
            units::bytes(*bytes as f64),
            units::grouped(*lost)
        ))?;
    }
    out.flush()
}

/// Returns the file of a recording without a name: the date and the time in UTC.
fn default_name() -> PathBuf {
    let text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    PathBuf::from(format!("shmcomm_{}.mcap", text.replace([':', '-'], "").replace('T', "_").replace('Z', "")))
}

fn failure(error: RecordError) -> Failure {
    match error {
        RecordError::Channel(error) => error.into(),
        RecordError::Create { .. } => Failure::Usage(error.to_string()),
        _ => Failure::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_prefixes() {
        assert_eq!(
            ["2000", "1.5K", "20G", "3MB"].map(size),
            [Ok(2000), Ok(1500), Ok(20_000_000_000), Ok(3_000_000)]
        );
        assert!(["", "G", "10", "1X", "-5M"].into_iter().all(|text| size(text).is_err()));
    }
}
