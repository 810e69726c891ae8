//! [`Encoder`]: the form in which a client gets the messages of a channel.
//!
//! Owns the choice: ROS 2 messages as CDR, or JSON for messages of a codec, and the form of the page. Calls
//! `shmcomm_record` and `shown`. Never sends.

use crate::protocol::{Advertisement, Dialect};
use crate::shown;
use shmcomm::{Description, MessageFormat, ObservedMessage};
use shmcomm_record::encoding::{self, Encoding};

/// Writes the messages of one channel.
pub struct Encoder {
    form: Form,
    /// The layouts that the encoder was made for, as the segment states them.
    schema: String,
    codec: Option<MessageFormat>,
}

enum Form {
    /// For the page.
    Shown,
    /// For other programs.
    Encoded(Box<encoding::Encoder>),
}

impl Encoder {
    /// Chooses the form for a channel and a client. An error says why the messages cannot be encoded.
    pub fn new(what: &Description, dialect: Dialect) -> Result<Encoder, String> {
        let form = match dialect {
            Dialect::Page => Form::Shown,
            Dialect::Foxglove => {
                let encoder =
                    encoding::Encoder::of(what, Encoding::Ros2).map_err(|error| error.to_string())?;
                Form::Encoded(Box::new(encoder))
            }
        };
        Ok(Encoder { form, schema: what.schema.clone(), codec: what.codec })
    }

    /// Returns `true` if the messages of the channel still have the same form.
    pub fn fits(&self, what: &Description) -> bool {
        self.schema == what.schema && self.codec == what.codec
    }

    /// Returns the advertisement of the channel with this number and name; `None` for the page, which knows the
    /// channels from their figures.
    pub fn advertisement(&self, id: u32, channel: &str) -> Option<Advertisement> {
        let Form::Encoded(encoder) = &self.form else { return None };
        let schema = encoder.schema();
        Some(Advertisement {
            id,
            topic: format!("/{channel}"),
            encoding: encoder.message_encoding().into(),
            schema_name: schema.name.clone(),
            schema: schema.text().to_owned(),
            schema_encoding: Some(schema.encoding.to_owned()).filter(|encoding| !encoding.is_empty()),
        })
    }

    /// Replaces the contents of `out` by the message. An error says why the message cannot be written.
    pub fn encode(&self, message: &ObservedMessage<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        match &self.form {
            Form::Shown => {
                shown::write(message, out);
                Ok(())
            }
            Form::Encoded(encoder) => {
                encoder.encode_into(message.bytes(), out).map_err(|error| error.to_string())
            }
        }
    }
}
