//! [`ChannelFacts`]: what a recording keeps of a channel, so that replay makes the same channel again; [`Part`]: the
//! place of a file in its recording.
//!
//! Owns the metadata `shmcomm.channel` of a channel in MCAP, which is one JSON object, and the metadata
//! `shmcomm.recording` of a file. Calls `encoding`. Never opens a channel.

use crate::encoding::{Encoder, Encoding, Form};
use serde_json::{Value as Json, json};
use shmcomm::schema::Layout;
use shmcomm::{Content, Declaration, Description, MessageFormat, Wire};
use std::collections::BTreeMap;

/// Key of the metadata of a channel in MCAP.
pub const KEY: &str = "shmcomm.channel";

/// Name of the metadata that states the place of a file in its recording.
pub(crate) const RECORDING: &str = "shmcomm.recording";

/// Place of a file in its recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Identifier of the recording, which all of its files have.
    pub(crate) recording: String,
    /// Number of the file in the recording, from 0.
    pub(crate) number: u64,
}

impl Part {
    pub(crate) fn to_metadata(&self) -> BTreeMap<String, String> {
        let parts = [("id", self.recording.clone()), ("file", self.number.to_string())];
        parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    pub(crate) fn parse(metadata: &BTreeMap<String, String>) -> Option<Part> {
        let number = metadata.get("file")?.parse().ok()?;
        Some(Part { recording: metadata.get("id")?.clone(), number })
    }
}

/// Facts of a recorded channel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChannelFacts {
    /// Full name of the channel, with its namespace.
    pub name: String,
    /// Contents of the messages.
    pub form: Form,
    /// Encoding of the messages in the file.
    pub encoding: Encoding,
    /// `true` if times are `int64` nanoseconds: see [`Encoder::widened`].
    pub wide: bool,
    /// Format of the segment.
    pub wire: Wire,
    /// Number of slots.
    pub slots: u64,
    /// Largest size of a message in bytes.
    pub slot_size: u64,
    /// Largest size in bytes to which the slots may grow; 0 if they do not grow.
    pub grow: u64,
    /// Largest number of participants at a time.
    pub seats: u32,
    /// Largest number of publishers at a time.
    pub publishers: u32,
    /// `true` if the publisher waits for its subscribers.
    pub waits: bool,
}

impl ChannelFacts {
    /// Returns the facts of a channel that `encoder` encodes.
    pub fn of(description: &Description, encoder: &Encoder) -> Self {
        ChannelFacts {
            name: description.name.clone(),
            form: encoder.form().clone(),
            encoding: encoder.encoding(),
            wide: encoder.is_wide(),
            wire: description.wire,
            slots: description.slots,
            slot_size: description.slot_size,
            grow: description.grow,
            seats: description.seats,
            publishers: description.publishers,
            waits: description.waits,
        }
    }

    /// Returns the facts as the text in a file.
    pub fn to_json(&self) -> String {
        let (format, layouts): (_, &[&Layout]) = match &self.form {
            Form::Fixed(layout) => ("fixed", &[layout]),
            Form::Tail { header, item } => ("tail", &[header, item]),
            Form::Msgpack => ("msgpack", &[]),
            Form::Pickle => ("pickle", &[]),
            Form::Python => ("python", &[]),
            Form::Bytes => ("bytes", &[]),
        };
        let texts: Vec<_> = layouts.iter().map(|layout| layout.to_json()).collect();
        let prints: Vec<_> = layouts.iter().map(|layout| fingerprint(layout)).collect();
        json!({
            "name": self.name,
            "format": format,
            "schema": format!("[{}]", texts.join(",")),
            "fingerprints": prints,
            "encoding": encoding_name(self.encoding),
            "wide": self.wide,
            "python": self.wire == Wire::Python,
            "slots": self.slots,
            "slot_size": self.slot_size,
            "grow": self.grow,
            "seats": self.seats,
            "publishers": self.publishers,
            "waits": self.waits,
        })
        .to_string()
    }

    /// Parses the text in a file, which may be hostile.
    ///
    /// # Errors
    /// Returns the problem in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let word = |key: &str| json[key].as_str().ok_or_else(|| format!("it has no text `{key}`"));
        let number = |key: &str| json[key].as_u64().ok_or_else(|| format!("it has no number `{key}`"));
        let small =
            |key: &str| number(key)?.try_into().map_err(|_| format!("its number `{key}` exceeds 32 bits"));
        let layouts = Layout::parse(word("schema")?).map_err(|error| error.to_string())?;
        let prints: Vec<_> = layouts.iter().map(fingerprint).collect();
        if json["fingerprints"] != json!(prints) {
            let found = &json["fingerprints"];
            return Err(format!("its fingerprints are {found}, and its schema has {}", json!(prints)));
        }
        let form = match word("format")? {
            "fixed" => Form::new(MessageFormat::Fixed, &layouts),
            "tail" => Form::new(MessageFormat::Tail, &layouts),
            "msgpack" => Some(Form::Msgpack),
            "pickle" => Some(Form::Pickle),
            "python" => Some(Form::Python),
            "bytes" => Some(Form::Bytes),
            _ => None,
        };
        let encoding = [Encoding::Ros2, Encoding::Protobuf, Encoding::Json, Encoding::Raw];
        let name = word("encoding")?;
        let encoding = encoding.into_iter().find(|encoding| encoding_name(*encoding) == name);
        Ok(ChannelFacts {
            name: word("name")?.to_owned(),
            form: form.ok_or("its format or its schema is unknown")?,
            encoding: encoding.ok_or("its encoding is unknown")?,
            wide: json["wide"].as_bool().unwrap_or(false),
            wire: if json["python"].as_bool() == Some(true) { Wire::Python } else { Wire::Native },
            slots: number("slots")?,
            slot_size: number("slot_size")?,
            // Absent in recordings of earlier releases.
            grow: json["grow"].as_u64().unwrap_or(0),
            seats: small("seats")?,
            publishers: small("publishers")?,
            waits: json["waits"].as_bool().unwrap_or(false),
        })
    }

    /// Returns `true` if the other recorded channel is created in the same way.
    pub(crate) fn same_channel(&self, other: &ChannelFacts) -> bool {
        let with = |encoding, wide| ChannelFacts { encoding, wide, ..other.clone() };
        *self == with(self.encoding, self.wide)
    }

    /// Returns the encoder of the recorded messages.
    pub fn encoder(&self) -> Encoder {
        let encoder = Encoder::new(&self.name, self.form.clone(), self.encoding);
        if self.wide { encoder.widened() } else { encoder }
    }

    /// Returns the declaration that creates the recorded channel again.
    pub fn declaration(&self) -> Declaration {
        let declaration = Declaration::pub_sub(Content::from(&self.form)).slots(self.slots);
        match self.wire {
            // The slot size of Python has the 4 bytes of the length.
            Wire::Python => declaration.slot_size(self.slot_size.saturating_sub(4)).wire(Wire::Python),
            _ => declaration
                .slot_size(self.slot_size)
                .grow(if self.grow > self.slot_size { self.grow } else { 0 })
                .seats(self.seats)
                .publishers(self.publishers)
                .waits(self.waits),
        }
    }
}

fn fingerprint(layout: &Layout) -> String {
    format!("{:#018x}", layout.fingerprint())
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Ros2 => "ros2",
        Encoding::Protobuf => "protobuf",
        Encoding::Json => "json",
        Encoding::Raw => "raw",
    }
}
