//! The progress line and the report of a recording.
//!
//! Owns their texts. Calls `out` and `units`. Never changes the recording.

use crate::common::Common;
use crate::failure::Outcome;
use crate::out::{Form, Out};
use crate::pace;
use crate::units;
use serde::Serialize;
use shmcomm_record::{ChannelReport, Recorder};
use std::time::Duration;

#[derive(Serialize)]
struct Line<'a> {
    channel: &'a str,
    written: u64,
    bytes: u64,
    lost: u64,
    refused: u64,
    dropped: u64,
    expired: u64,
    cut_off: u64,
}

/// Shows the progress on a terminal.
pub fn progress(recorder: &Recorder, time: Duration) {
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

/// Prints the figures of all channels.
pub fn print(common: &Common, channels: &[ChannelReport]) -> Outcome {
    let mut out = Out::new(common);
    for channel in channels {
        let ChannelReport { name, written, bytes, lost, refused, dropped, expired, cut_off } = channel;
        if out.form() == Form::Json {
            out.json(&Line {
                channel: name,
                written: *written,
                bytes: *bytes,
                lost: *lost,
                refused: *refused,
                dropped: *dropped,
                expired: *expired,
                cut_off: *cut_off,
            })?;
            continue;
        }
        let more = [
            (*refused, "refused: they are not valid"),
            (*dropped, "dropped before the trigger: the buffer was full"),
            (*cut_off, "cut off: they did not fit into the file"),
        ];
        let more: String = more
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, why)| format!(", {} {why}", units::grouped(*number)))
            .collect();
        out.line(format!(
            "{name}: {} written ({}), {} lost{more}",
            units::count(*written, "message"),
            units::bytes(*bytes as f64),
            units::grouped(*lost)
        ))?;
    }
    out.flush()
}
