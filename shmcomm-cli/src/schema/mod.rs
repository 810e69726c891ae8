//! `shmcomm schema`: the messages of a channel as declarations of a programming language.
//!
//! Owns the choice of the language and the facts above the declarations. Calls `types` for the names, one
//! module per language, and `shmcomm-record` for ROS 2. Never opens an end of a channel.

mod c;
mod numpy;
mod python;
mod rust;
mod types;

use crate::channels;
use crate::common::Common;
use crate::failure::{Failure, Outcome};
use crate::out::{Form, Out};
use clap::{Args, ValueEnum};
use serde::Serialize;
use shmcomm::SegmentInfo;
use shmcomm::schema::Layout;
use types::Types;

/// Prints the messages of a channel as declarations of a programming language.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shmcomm schema robot/imu --as rust > src/imu.rs
  shmcomm schema robot/imu --as numpy > imu.py
  shmcomm schema robot/imu --as c > imu.h

The layout comes from the segment, so no source of the publisher is needed. The declarations have exactly
this layout: padding is written out, and sizes are asserted. Names that the language does not allow are
changed. ros2msg describes the meaning, not the bytes: times are builtin_interfaces/Time, texts are
bounded strings.

JSON: one object with channel, language and code.")]
pub struct Arguments {
    /// Name of the channel
    channel: String,
    /// Language of the declarations
    #[arg(long = "as", value_enum, value_name = "LANGUAGE", default_value_t = Language::Rust)]
    language: Language,
}

/// Language of the declarations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    /// Structs with derived ShmMessage, and the declaration of the channel
    Rust,
    /// A header for C11 and later
    C,
    /// Classes of ctypes
    Python,
    /// Structured dtypes
    Numpy,
    /// Message definitions of ROS 2
    Ros2msg,
    /// The text in the segment
    Json,
}

#[derive(Serialize)]
struct Output<'a> {
    channel: &'a str,
    language: Language,
    code: &'a str,
}

pub fn run(common: &Common, args: &Arguments) -> Outcome {
    let segment = channels::intact(channels::find(common, &args.channel)?)?;
    let layouts = layouts(&segment)?;
    let types = Types::of(&layouts);
    let code = match args.language {
        Language::Rust => rust::code(&segment, &types),
        Language::C => c::code(&segment, &types),
        Language::Python => python::code(&segment, &types),
        Language::Numpy => numpy::code(&segment, &types),
        Language::Ros2msg => shmcomm_record::encoding::ros2::definitions(types.roots),
        Language::Json => pretty(&segment.schema),
    };
    let mut out = Out::new(common);
    match out.form() {
        Form::Json => {
            out.json(&Output { channel: &segment.channel, language: args.language, code: &code })?
        }
        _ => out.raw(code.as_bytes())?,
    }
    out.flush()
}

/// Returns the layouts of the messages of a segment.
pub fn layouts(segment: &SegmentInfo) -> Result<Vec<Layout>, Failure> {
    let name = &segment.channel;
    if segment.version == 1 {
        let why = format!("channel `{name}` is of the Python library, whose segments have no schema");
        return Err(Failure::Failed(why));
    }
    let layouts = Layout::parse(&segment.schema).map_err(|error| {
        Failure::Failed(format!("the schema of channel `{name}` cannot be used: {error}"))
    })?;
    if layouts.is_empty() {
        let codec = segment.codec;
        let why = format!(
            "channel `{name}` carries {codec}: each message describes itself, and the segment has no schema"
        );
        return Err(Failure::Failed(why));
    }
    Ok(layouts)
}

/// Returns a title for a comment, without characters that could end it.
fn title(segment: &SegmentInfo) -> String {
    format!("Messages of the channel {} ({}), from its segment.", segment.channel, segment.pattern)
}

fn pretty(schema: &str) -> String {
    // The text was parsed before.
    let value: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}
