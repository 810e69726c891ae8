//! Encodings that other programs read: ROS 2, protobuf and JSON.
//!
//! Owns [`Encoder`], which knows the schema of one channel and converts its messages in both directions. Calls one
//! module per encoding. Never opens a channel, never panics on any bytes.
//!
//! | encoding | schema encoding | message encoding | for |
//! |---|---|---|---|
//! | [`Encoding::Ros2`] | `ros2msg` | `cdr` | messages with a layout |
//! | [`Encoding::Protobuf`] | `protobuf` | `protobuf` | messages with a layout |
//! | [`Encoding::Json`] | `jsonschema` | `json` | MessagePack, pickle, the Python wire |
//! | [`Encoding::Raw`] | none | `application/octet-stream` | channels of bytes |

mod json;
mod protobuf;
pub mod ros2;
mod shape;
#[cfg(test)]
mod tests;

use shmcomm::schema::{Invalid, Layout};
use shmcomm::{Content, Description, MessageFormat, Wire};
use thiserror::Error;

/// Largest size of a decoded message in bytes: the layout comes from a file, which may be hostile.
const LARGEST: usize = 1 << 31;
/// Size of a layout in bytes up to which its arrays are not compared with the length of a message.
const SMALL: usize = 1 << 16;

/// Returns the error for a message that would take too much memory.
fn too_large(size: usize) -> EncodingError {
    EncodingError::Message(format!("a message of {size} bytes exceeds the limit of {LARGEST} bytes"))
}

/// Encoding of the messages of a channel, in a file or on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Messages of ROS 2: definitions as text, values as CDR.
    Ros2,
    /// Messages of protobuf.
    Protobuf,
    /// Objects of JSON.
    Json,
    /// The bytes of the channel as they are.
    Raw,
}

/// Contents of the messages of a channel, as the segment or a file states them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// One fixed layout.
    Fixed(Layout),
    /// A header, then items of another layout up to the end.
    Tail {
        /// Layout of the header.
        header: Layout,
        /// Layout of an item.
        item: Layout,
    },
    /// A MessagePack document.
    Msgpack,
    /// A pickle.
    Pickle,
    /// A message of the Python wire, whose segments do not state the format.
    Python,
    /// Bytes.
    Bytes,
}

impl Form {
    /// Returns the contents of the messages of a channel.
    ///
    /// # Errors
    /// [`EncodingError::NoLayout`] if the segment does not state a layout that can be used.
    pub fn of(description: &Description) -> Result<Form, EncodingError> {
        let none = |why: String| EncodingError::NoLayout { channel: description.name.clone(), why };
        let layouts = description.layouts.as_ref().map_err(|error| none(error.to_string()))?;
        match (description.wire, description.codec) {
            (Wire::Python, _) | (_, None) => Ok(Form::Python),
            (_, Some(format)) => {
                Form::new(format, layouts).ok_or_else(|| none("the segment states no layout".to_owned()))
            }
        }
    }

    /// Returns the contents of a format with its layouts; `None` if layouts are missing.
    pub fn new(format: MessageFormat, layouts: &[Layout]) -> Option<Form> {
        Some(match (format, layouts) {
            (MessageFormat::Fixed, [layout, ..]) => Form::Fixed(layout.clone()),
            (MessageFormat::Tail, [header, item, ..]) => {
                Form::Tail { header: header.clone(), item: item.clone() }
            }
            (MessageFormat::Msgpack, _) => Form::Msgpack,
            (MessageFormat::Pickle, _) => Form::Pickle,
            (MessageFormat::Bytes, _) => Form::Bytes,
            _ => return None,
        })
    }

    /// Returns the offset of the items in a message with a tail, in bytes.
    fn items_at(header: &Layout, item: &Layout) -> usize {
        header.size().next_multiple_of(item.align())
    }

    /// Checks that an encoded message may have this form, before memory is taken for its bytes.
    fn check_room(&self, encoded: usize) -> Result<(), EncodingError> {
        let (Form::Fixed(layout) | Form::Tail { header: layout, .. }) = self else { return Ok(()) };
        let (size, least) = (layout.size(), if layout.size() > SMALL { shape::least(layout) } else { 0 });
        if size > LARGEST {
            return Err(too_large(size));
        }
        if least > encoded {
            let why = format!("{encoded} bytes, but a message with its arrays has at least {least}");
            return Err(EncodingError::Message(why));
        }
        Ok(())
    }

    /// Checks that bytes are a message.
    fn check(&self, bytes: &[u8]) -> Result<(), EncodingError> {
        match self {
            Form::Fixed(layout) => Ok(layout.check(bytes)?),
            Form::Tail { header, item } => {
                header.check(bytes.get(..header.size()).unwrap_or(bytes))?;
                let items = bytes.get(Form::items_at(header, item)..).unwrap_or(&[]);
                if item.size() > 0 && items.len() % item.size() > 0 {
                    let (len, size) = (items.len(), item.size());
                    let why = format!("a tail of {len} bytes is no whole number of items of {size} bytes");
                    return Err(EncodingError::Message(why));
                }
                if !item.any_bits() && item.size() > 0 {
                    for one in items.chunks_exact(item.size()) {
                        item.check(one)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Declares a channel with these contents. The Python wire is a setting of the declaration.
impl From<&Form> for Content {
    fn from(form: &Form) -> Content {
        match form.clone() {
            Form::Fixed(layout) => Content::Fixed(layout),
            Form::Tail { header, item } => Content::Tail { header, item },
            Form::Msgpack => Content::Msgpack,
            Form::Pickle => Content::Pickle,
            Form::Python | Form::Bytes => Content::Bytes,
        }
    }
}

/// Schema of the messages of a channel, as MCAP and the WebSocket protocol of Foxglove have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSchema {
    /// Name of the message: `shmcomm/msg/Imu`, `shmcomm.Imu`.
    pub name: String,
    /// Encoding of `data`: `ros2msg`, `protobuf`, `jsonschema`; empty if there is no schema.
    pub encoding: &'static str,
    /// The definition: text, or an encoded `FileDescriptorSet`.
    pub data: Vec<u8>,
}

impl ChannelSchema {
    /// Returns the definition as text; empty for protobuf, whose definition is no text.
    pub fn text(&self) -> &str {
        match self.encoding {
            "protobuf" => "",
            _ => std::str::from_utf8(&self.data).unwrap_or(""),
        }
    }
}

/// Encodes and decodes the messages of one channel.
#[derive(Clone, Debug)]
pub struct Encoder {
    channel: String,
    form: Form,
    encoding: Encoding,
    wide: bool,
    schema: ChannelSchema,
}

impl Encoder {
    /// Makes the encoder of a channel. `wanted` is for messages with a layout; a channel without layouts has
    /// [`Encoding::Json`] or [`Encoding::Raw`].
    ///
    /// # Errors
    /// [`EncodingError::NoLayout`] if the segment does not state a layout that can be used.
    pub fn of(description: &Description, wanted: Encoding) -> Result<Encoder, EncodingError> {
        Ok(Self::new(&description.name, Form::of(description)?, wanted))
    }

    /// Makes the encoder of a channel with these contents: see [`of`](Encoder::of).
    pub fn new(channel: &str, form: Form, wanted: Encoding) -> Encoder {
        Self::with(channel, form, wanted, false)
    }

    fn with(channel: &str, form: Form, wanted: Encoding, wide: bool) -> Encoder {
        let encoding = match (&form, wanted) {
            (Form::Bytes, _) => Encoding::Raw,
            (Form::Msgpack | Form::Pickle | Form::Python, Encoding::Raw) => Encoding::Raw,
            (Form::Msgpack | Form::Pickle | Form::Python, _) => Encoding::Json,
            (_, Encoding::Protobuf) => Encoding::Protobuf,
            (_, Encoding::Raw) => Encoding::Raw,
            _ => Encoding::Ros2,
        };
        let schema = match encoding {
            Encoding::Ros2 => {
                let (name, text) = ros2::schema(channel, &form, wide);
                let data = text.into_bytes();
                ChannelSchema { name: format!("shmcomm/msg/{name}"), encoding: "ros2msg", data }
            }
            Encoding::Protobuf => {
                let (name, data) = protobuf::schema(channel, &form);
                ChannelSchema { name, encoding: "protobuf", data }
            }
            Encoding::Json => {
                let name = crate::names::type_of_channel(channel);
                ChannelSchema { name, encoding: "jsonschema", data: json::SCHEMA.into() }
            }
            Encoding::Raw => ChannelSchema { name: String::new(), encoding: "", data: Vec::new() },
        };
        Encoder { channel: channel.to_owned(), form, encoding, wide, schema }
    }

    /// Returns the encoder of the same messages that also encodes times whose seconds exceed 32 bits: a time is
    /// `int64` nanoseconds there. Only [`Encoding::Ros2`] differs.
    #[must_use]
    pub fn widened(&self) -> Encoder {
        Self::with(&self.channel, self.form.clone(), self.encoding, self.encoding == Encoding::Ros2)
    }

    /// Returns `true` if times are `int64` nanoseconds: see [`widened`](Encoder::widened).
    pub fn is_wide(&self) -> bool {
        self.wide
    }

    /// Returns the encoding of the messages.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Returns the contents of the messages.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Returns the schema of the messages.
    pub fn schema(&self) -> &ChannelSchema {
        &self.schema
    }

    /// Returns the name of the encoding of a message: `cdr`, `protobuf`, `json` or `application/octet-stream`.
    pub fn message_encoding(&self) -> &'static str {
        match self.encoding {
            Encoding::Ros2 => "cdr",
            Encoding::Protobuf => "protobuf",
            Encoding::Json => "json",
            Encoding::Raw => "application/octet-stream",
        }
    }

    /// Returns the encoded form of the bytes of a message.
    ///
    /// # Errors
    /// See [`encode_into`](Encoder::encode_into).
    pub fn encode(&self, bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
        let mut out = Vec::with_capacity(bytes.len() + 16);
        self.encode_into(bytes, &mut out)?;
        Ok(out)
    }

    /// Replaces the contents of `out` by the encoded form of the bytes of a message. Keeps its memory.
    ///
    /// # Errors
    /// [`EncodingError::Message`] if the bytes are no message of the channel. [`EncodingError::TimeOutOfRange`]
    /// if a time needs the [`widened`](Encoder::widened) encoder. After an error `out` is unspecified.
    pub fn encode_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodingError> {
        out.clear();
        if self.encoding != Encoding::Raw {
            self.form.check(bytes)?;
        }
        match self.encoding {
            Encoding::Ros2 => ros2::write(&self.form, bytes, self.wide, out)
                .map_err(|ros2::OutOfRange| EncodingError::TimeOutOfRange),
            Encoding::Protobuf => {
                protobuf::write(&self.form, bytes, out);
                Ok(())
            }
            Encoding::Json => json::write(&self.form, bytes, out).map_err(EncodingError::Message),
            Encoding::Raw => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Returns the bytes of a message from its encoded form. Padding and unused capacity are zeros.
    ///
    /// # Errors
    /// [`EncodingError::Message`] if `encoded` is not the encoded form of a message of the channel.
    pub fn decode(&self, encoded: &[u8]) -> Result<Vec<u8>, EncodingError> {
        self.form.check_room(encoded.len())?;
        let bytes = match self.encoding {
            Encoding::Ros2 => ros2::read(&self.form, encoded, self.wide),
            Encoding::Protobuf => protobuf::read(&self.form, encoded),
            Encoding::Json => json::read(&self.form, encoded),
            Encoding::Raw => Ok(encoded.to_vec()),
        };
        let bytes = bytes.map_err(EncodingError::Message)?;
        self.form.check(&bytes)?;
        Ok(bytes)
    }
}

/// Error for a channel or message that has no encoded form.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// The segment does not state the layout of the messages.
    #[error("the messages of channel `{channel}` cannot be encoded: {why}")]
    NoLayout {
        /// Full name of the channel.
        channel: String,
        /// Problem and cure.
        why: String,
    },
    /// The bytes are no message of the channel.
    #[error("the bytes are no message of the channel: {0}")]
    Message(String),
    /// The seconds of a time or duration exceed the 32 bits of ROS 2.
    #[error(
        "a time is before 1901 or after 2038, or a duration exceeds 68 years: ROS 2 has 32 bits for seconds; \
         use the widened encoder, or protobuf"
    )]
    TimeOutOfRange,
}

impl From<Invalid> for EncodingError {
    fn from(invalid: Invalid) -> Self {
        EncodingError::Message(invalid.to_string())
    }
}
