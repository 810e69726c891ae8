//! [`Outlets`]: the channels on which a client publishes.
//!
//! Owns the publishers of one client, and the check of the allow-list. Takes the seat of a publisher for each.
//! Calls the library's dynamic ends, which check all messages. Never creates a channel.

use crate::options::Options;
use crate::protocol::ClientChannel;
use serde_json::Value as Json;
use shmcomm::schema::Value;
use shmcomm::{DynError, DynPublisher};
use std::collections::HashMap;
use std::time::Duration;

/// Largest number of channels on which a client publishes at a time.
const MOST: usize = 64;
/// Longest wait for subscribers, on a channel whose publisher waits.
const WAIT: Duration = Duration::from_millis(100);

/// Publishers of a client, by the numbers that the client chose.
#[derive(Default)]
pub struct Outlets(HashMap<u32, DynPublisher>);

impl Outlets {
    /// Opens the publisher that a client asks for. An error is the reason for the client.
    pub fn open(&mut self, options: &Options, wanted: &ClientChannel) -> Result<(), String> {
        let channel = wanted.topic.strip_prefix('/').unwrap_or(&wanted.topic);
        let shown = channel.escape_debug();
        if options.allow_publish.is_empty() {
            return Err(format!(
                "publishing on `{shown}` is off; start the server with --allow-publish '{shown}' to allow it"
            ));
        }
        if !options.publishes(channel) {
            return Err(format!(
                "publishing on `{shown}` is not allowed; --allow-publish names {}",
                options.allow_publish.join(", ")
            ));
        }
        if wanted.encoding != "json" {
            return Err(format!(
                "messages for `{shown}` come as `{}`, and only `json` is accepted",
                wanted.encoding.escape_debug()
            ));
        }
        if self.0.contains_key(&wanted.id) {
            return Err(format!("the number {} already stands for a channel of this client", wanted.id));
        }
        if self.0.len() >= MOST {
            return Err(format!("a client may publish on {MOST} channels at a time"));
        }
        let publisher = DynPublisher::open(channel).map_err(|error| error.to_string())?;
        self.0.insert(wanted.id, publisher);
        Ok(())
    }

    /// Closes a publisher; its seat is free.
    pub fn close(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// Publishes a message of a client, for at most 0.1 s. An error is the reason for the client.
    pub fn send(&mut self, id: u32, payload: &[u8]) -> Result<(), String> {
        let publisher = self
            .0
            .get_mut(&id)
            .ok_or_else(|| format!("no channel of this client has the number {id}; advertise it first"))?;
        let name = publisher.name().to_owned();
        let json: Json = serde_json::from_slice(payload)
            .map_err(|error| format!("channel `{name}`: the message is no JSON: {error}"))?;
        publisher.send_timeout(&Value::from(&json), WAIT).map_err(|error| match error {
            DynError::Timeout | DynError::Full => {
                format!("channel `{name}` is full: its subscribers did not receive a message within 0.1 s")
            }
            error => format!("channel `{name}`: {error}"),
        })
    }
}
