//! `shmcomm record`: the messages of channels in MCAP files.
//!
//! Owns the options, the end of the command and its exit code. Calls `choice` for the channels, `trigger`, `report`, and
//! `shmcomm-record`. Observes without a seat, unless --lossless is given.

mod choice;
mod report;
mod trigger;

use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::pace::{self, Pace};
use crate::units;
use choice::Choice;
use clap::{Args, ValueEnum};
use shmcomm_record::encoding::Encoding;
use shmcomm_record::{Compression, RecordError, RecordOptions, Recorder};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use trigger::Trigger;

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

A pattern selects channels that appear later too, from their first message on. Only publish/subscribe
channels are recorded; the command names the others that it leaves out. It observes: no publisher waits for
it, and losses are counted. --lossless takes a seat in each channel instead, so that a publisher with
`overflow: Wait` waits for the recorder.

Messages with a layout are recorded as ROS 2 messages (ros2msg and CDR) or as protobuf, those of MessagePack
and pickle as JSON. A process that is killed leaves a readable file without its last second. If the disk is
full, the command fails and leaves a readable file. --split-size and --max-disk take bytes, or K, M, G.

JSON: an object per channel at the end, also after an error, with channel, written, bytes, lost, refused
(messages that are not valid), dropped and expired (messages that left the buffer before the trigger because
it was full, or because their time was over) and cut_off (messages that did not fit on the disk). Progress
goes to standard error.")]
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
        ..RecordOptions::default()
    };
    let mut choice = Choice::new(common, &args.channels);
    // Names without a pattern must exist, before a file is made.
    if !args.wait {
        choice.check()?;
    }
    let mut trigger = args.trigger.as_deref().map(|name| Trigger::open(common, name)).transpose()?;
    let path = args.output.clone().unwrap_or_else(default_name);
    let mut recorder = Recorder::create(&path, options).map_err(|error| match error {
        RecordError::Create { ref source, .. } if is_wrong_name(source.kind()) => {
            Failure::Usage(error.to_string())
        }
        error => failure(error),
    })?;
    eprintln!("shmcomm: records to {}; Ctrl-C ends", path.display());
    if args.lossless {
        eprintln!(
            "shmcomm: takes a seat in each channel, so that publishers with `overflow: Wait` wait for it"
        );
    }
    let result = record(&pace, common, &mut recorder, &mut choice, trigger.as_mut());
    let waited = recorder.is_waiting();
    let closed = recorder.close().map_err(failure);
    pace::progress("");
    report::print(common, recorder.report())?;
    result.and(closed)?;
    let written = recorder.report().iter().any(|channel| channel.written > 0);
    match written {
        true => Ok(()),
        false if waited => {
            Err(Failure::TimedOut("the trigger did not come, so that nothing was written".into()))
        }
        false => Err(Failure::TimedOut("no message came in the given time".into())),
    }
}

/// Records until the end of the command.
fn record(
    pace: &Pace,
    common: &Common,
    recorder: &mut Recorder,
    choice: &mut Choice<'_>,
    mut trigger: Option<&mut Trigger>,
) -> Outcome {
    let (start, mut searched) = (Instant::now(), None::<Instant>);
    while !pace.is_over() {
        if searched.is_none_or(|searched| searched.elapsed() >= SEARCH) {
            choice.add(recorder)?;
            searched = Some(Instant::now());
            report::progress(recorder, start.elapsed());
        }
        let result = recorder.record_for(pace.at_most(STEP));
        for notice in recorder.take_notices() {
            pace::progress("");
            eprintln!("shmcomm: {notice}");
        }
        result.map_err(failure)?;
        if recorder.is_waiting() && trigger.as_mut().is_some_and(|trigger| trigger.came()) {
            pace::progress("");
            eprintln!("shmcomm: triggered");
            recorder.trigger().map_err(failure)?;
        }
        let written: u64 = recorder.report().iter().map(|channel| channel.written).sum();
        if common.count.is_some_and(|count| written >= count) {
            break;
        }
    }
    Ok(())
}

/// Returns `true` if a file cannot be created because of its name. Other reasons are no wrong arguments.
fn is_wrong_name(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::AlreadyExists
            | ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
    )
}

/// Returns the file of a recording without a name: the date and the time in UTC.
fn default_name() -> PathBuf {
    let text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    PathBuf::from(format!("shmcomm_{}.mcap", text.replace([':', '-'], "").replace('T', "_").replace('Z', "")))
}

fn failure(error: RecordError) -> Failure {
    match error {
        RecordError::Channel(error) => error.into(),
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
