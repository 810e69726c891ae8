//! The Foxglove WebSocket protocol, version 1, and the dialect of the page.
//!
//! Owns the form of all frames. Calls nothing. Never reads a socket.
//!
//! The protocol is described at <https://github.com/foxglove/ws-protocol>. Two names stand for it: older programs
//! know `foxglove.websocket.v1` only, and newer ones `foxglove.sdk.v1`. The page asks for `shmcomm.view.v1`: it
//! subscribes in the same way, gets messages as [`shown`](crate::shown) writes them, and gets figures in place of
//! advertisements.

use crate::figures::Figures;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Form of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Page,
    Foxglove,
}

/// Names of subprotocols, in the order of the server's preference.
pub const NAMES: [(&str, Dialect); 3] = [
    ("shmcomm.view.v1", Dialect::Page),
    ("foxglove.sdk.v1", Dialect::Foxglove),
    ("foxglove.websocket.v1", Dialect::Foxglove),
];

/// Number and topic of the server's own channel: the figures of all channels. Topics of channels start with `/`.
pub const FIGURES: u32 = 1;
pub const FIGURES_TOPIC: &str = "shmcomm.channels";

/// Chooses a subprotocol from the list that the client offers.
pub fn choose(offered: &str) -> Option<(&'static str, Dialect)> {
    let offers = |name: &str| offered.split(',').any(|offer| offer.trim() == name);
    NAMES.into_iter().find(|(name, _)| offers(name))
}

/// An operation that a client asks for in a text frame.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Operation {
    Subscribe {
        subscriptions: Vec<Subscription>,
    },
    Unsubscribe {
        subscription_ids: Vec<u32>,
    },
    Advertise {
        channels: Vec<ClientChannel>,
    },
    Unadvertise {
        channel_ids: Vec<u32>,
    },
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pub id: u32,
    pub channel_id: u32,
}

/// A channel on which a client wants to publish.
#[derive(Debug, Deserialize)]
pub struct ClientChannel {
    pub id: u32,
    pub topic: String,
    pub encoding: String,
}

/// Importance of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info = 0,
    Warning = 1,
    Error = 2,
}

/// A message for the person at the client. A status with an `id` replaces the earlier one.
#[derive(Clone, Debug)]
pub struct Status {
    pub level: Level,
    pub id: Option<String>,
    pub text: String,
}

impl Status {
    pub fn error(text: impl Into<String>) -> Self {
        Status { level: Level::Error, id: None, text: text.into() }
    }

    pub fn frame(&self) -> String {
        let mut frame = json!({ "op": "status", "level": self.level as u8, "message": self.text });
        if let Some(id) = &self.id {
            frame["id"] = json!(id);
        }
        frame.to_string()
    }
}

/// Returns the frame that removes statuses.
pub fn remove_status(ids: &[String]) -> String {
    json!({ "op": "removeStatus", "statusIds": ids }).to_string()
}

/// Returns the first frame of a connection.
pub fn server_info(session: &str, publish: bool, rate: f64) -> String {
    let capabilities: &[&str] = if publish { &["clientPublish"] } else { &[] };
    json!({
        "op": "serverInfo",
        "name": format!("shmcomm {}", env!("CARGO_PKG_VERSION")),
        "capabilities": capabilities,
        "supportedEncodings": ["json"],
        "metadata": { "rate": rate.to_string() },
        "sessionId": session,
    })
    .to_string()
}

/// A channel as clients see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advertisement {
    pub id: u32,
    pub topic: String,
    pub encoding: String,
    pub schema_name: String,
    pub schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_encoding: Option<String>,
}

pub fn advertise(channels: &[Advertisement]) -> String {
    json!({ "op": "advertise", "channels": channels }).to_string()
}

pub fn unadvertise(ids: &[u32]) -> String {
    json!({ "op": "unadvertise", "channelIds": ids }).to_string()
}

/// Returns the advertisement of the server's own channel.
pub fn figures_channel() -> Advertisement {
    let number = json!({ "type": "number" });
    let unknown = json!({ "type": ["number", "null"] });
    let text = json!({ "type": "string" });
    let schema = json!({
        "type": "object",
        "title": "shmcomm.Channels",
        "properties": { "channels": { "type": "array", "items": { "type": "object", "properties": {
            "channel": text, "pattern": text, "message": text, "state": text, "sent": number, "rate": unknown,
            "bytes_per_s": unknown, "lost": unknown, "lag": unknown, "waiting": unknown, "senders": unknown,
            "receivers": unknown,
        } } } },
    });
    Advertisement {
        id: FIGURES,
        topic: FIGURES_TOPIC.into(),
        encoding: "json".into(),
        schema_name: "shmcomm.Channels".into(),
        schema: schema.to_string(),
        schema_encoding: Some("jsonschema".into()),
    }
}

/// Counts of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages sent to the client.
    pub sent: u64,
    /// Messages that the limit of the rate left out.
    pub skipped: u64,
    /// Messages left out because the client read too slowly.
    pub dropped: u64,
    /// Messages overwritten before the server reached them.
    pub missed: u64,
    /// Messages that could not be encoded, or are longer than a client may get.
    pub failed: u64,
    /// `true` if no publisher is alive.
    pub gone: bool,
}

/// Returns the figures as a frame for the page.
pub fn figures(channels: &[Figures], subscriptions: &[(u32, Counts)], problem: Option<&str>) -> String {
    let subscriptions: Vec<Json> = subscriptions
        .iter()
        .map(|(id, counts)| {
            let mut json = json!(counts);
            json["id"] = json!(id);
            json
        })
        .collect();
    json!({ "op": "figures", "channels": channels, "subscriptions": subscriptions, "problem": problem })
        .to_string()
}

/// Returns the start of the frame of a message: opcode, subscription, and the time now.
pub fn data_head(subscription: u32) -> [u8; 13] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let mut head = [1; 13];
    head[1..5].copy_from_slice(&subscription.to_le_bytes());
    head[5..].copy_from_slice(&now.to_le_bytes());
    head
}

/// Returns the identifier of the status that a subscription was refused or has ended.
pub fn subscription_status(id: u32) -> String {
    format!("subscription-{id}")
}

/// Takes the frame of a message from a client apart: channel and payload.
pub fn client_data(frame: &[u8]) -> Option<(u32, &[u8])> {
    let (&[opcode, a, b, c, d], payload) = frame.split_first_chunk::<5>()?;
    (opcode == 1).then_some((u32::from_le_bytes([a, b, c, d]), payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_subprotocol_is_chosen() {
        assert_eq!(choose("foxglove.websocket.v1"), Some(("foxglove.websocket.v1", Dialect::Foxglove)));
        assert_eq!(choose("x, foxglove.websocket.v1, foxglove.sdk.v1").unwrap().0, "foxglove.sdk.v1");
        assert_eq!(choose(""), None);
    }

    #[test]
    fn operations_are_parsed() {
        let parse = serde_json::from_str::<Operation>;
        let text = r#"{"op":"subscribe","subscriptions":[{"id":0,"channelId":7,"more":1}]}"#;
        assert!(
            matches!(parse(text), Ok(Operation::Subscribe { subscriptions }) if subscriptions[0].channel_id == 7)
        );
        assert!(matches!(
            parse(r#"{"op":"unsubscribe","subscriptionIds":[0]}"#),
            Ok(Operation::Unsubscribe { .. })
        ));
        assert!(matches!(parse(r#"{"op":"getParameters","id":"x"}"#), Ok(Operation::Other)));
        for wrong in
            ["", "{}", "[]", "7", r#"{"op":"subscribe"}"#, r#"{"op":"unsubscribe","subscriptionIds":[-1]}"#]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn frames_of_clients_are_taken_apart() {
        assert_eq!(client_data(&[1, 2, 0, 0, 0, 9]), Some((2, &[9][..])));
        assert_eq!(client_data(&[2, 2, 0, 0, 0, 9]), None);
        assert_eq!(client_data(&[1, 2, 0]), None);
    }
}
