//! [`Choice`]: the channels of a recording.
//!
//! Owns what was said about channels that are left out. Calls `channels` for the selection. Adds a channel that appears
//! later from its first message on. Never leaves out a channel that was named, without an error.

use super::failure;
use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use shmcomm::SegmentInfo;
use shmcomm_record::Recorder;
use std::collections::HashSet;

/// The channels that the arguments select.
pub struct Choice<'a> {
    common: &'a Common,
    names: &'a [String],
    /// `false` after the first search.
    first: bool,
    /// Channels that were left out, with the reason.
    left_out: HashSet<(String, String)>,
}

impl<'a> Choice<'a> {
    pub fn new(common: &'a Common, names: &'a [String]) -> Self {
        Choice { common, names, first: true, left_out: HashSet::new() }
    }

    /// Checks that the names and patterns select a channel that can be recorded.
    pub fn check(&self) -> Outcome {
        let chosen = channels::select(self.common, self.names)?;
        for segment in &chosen {
            if let Some(why) = refused(segment).filter(|_| self.is_named(segment)) {
                return Err(Failure::Failed(format!("channel `{}` {why}", segment.channel)));
            }
        }
        if chosen.iter().any(|segment| refused(segment).is_none()) {
            return Ok(());
        }
        let others = match chosen.len() {
            0 => String::new(),
            number => format!(" ({} of other kinds)", crate::units::count(number as u64, "channel")),
        };
        Err(Failure::NotFound(format!(
            "no publish/subscribe channel was found{others}; start a publisher, or give --wait"
        )))
    }

    /// Adds the channels that are not recorded yet.
    pub fn add(&mut self, recorder: &mut Recorder) -> Outcome {
        for segment in channels::choose(self.common, self.names)?.segments {
            let name = segment.channel.as_str();
            if recorder.channels().any(|known| known == name) {
                continue;
            }
            let error = match refused(&segment) {
                Some(why) => Failure::Failed(format!("channel `{name}` {why}")),
                None => match self.open(recorder, name) {
                    Ok(()) => {
                        eprintln!("shmcomm: records channel `{name}`");
                        continue;
                    }
                    Err(error) => error,
                },
            };
            // A channel that was named must be recorded; one of many is left out.
            if self.first && self.is_named(&segment) {
                return Err(error);
            }
            let why = error.to_string();
            if self.left_out.insert((name.to_owned(), why.clone())) {
                eprintln!("shmcomm: leaves out a channel: {why}");
            }
        }
        self.first = false;
        Ok(())
    }

    fn open(&self, recorder: &mut Recorder, name: &str) -> Outcome {
        let result = if self.first { recorder.add(name) } else { recorder.add_from_start(name) };
        result.map_err(failure)
    }

    fn is_named(&self, segment: &SegmentInfo) -> bool {
        channels::names_it(self.common, self.names, &segment.channel)
    }
}

/// Returns the reason why a segment cannot be recorded.
fn refused(segment: &SegmentInfo) -> Option<String> {
    match &segment.problem {
        Some(why) => Some(format!("cannot be used: {why}")),
        None if segment.pattern == "publish/subscribe" => None,
        None => Some(format!(
            "is for {}: to record its messages would take them from the receivers",
            segment.pattern
        )),
    }
}
