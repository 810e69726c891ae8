//! [`Client`]: a WebSocket client, with the frames of the protocol taken apart. [`get`]: a request for a page.

use serde_json::{Value as Json, json};
use shmcomm_view::{Options, Server};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

pub const FOXGLOVE: &str = "foxglove.sdk.v1";
pub const PAGE: &str = "shmcomm.view.v1";

/// Longer than anything takes on a loaded machine.
const LONG: Duration = Duration::from_secs(60);

/// Starts a server that shows the channels of a namespace, on a free port.
pub fn start(namespace: &str, change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options {
        bind: "127.0.0.1:0".parse().unwrap(),
        channels: vec![format!("{namespace}/*")],
        ..Options::default()
    };
    change(&mut options);
    Server::start(options).unwrap()
}

pub struct Client {
    pub socket: WebSocket<TcpStream>,
}

/// A message of a channel.
#[derive(Debug)]
pub struct Data {
    pub subscription: u32,
    pub payload: Vec<u8>,
}

impl Data {
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

/// Connects with header fields. `Err` is the status and the body of a refusal.
pub fn connect(
    address: SocketAddr,
    protocol: &str,
    fields: &[(&'static str, &str)],
) -> Result<Client, (u16, String)> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut request = format!("ws://{address}/").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(protocol).unwrap());
    for (name, value) in fields {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    match tungstenite::client(request, stream) {
        Ok((socket, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
            Ok(Client { socket })
        }
        Err(HandshakeError::Failure(Error::Http(response))) => {
            let body = response.body().clone().unwrap_or_default();
            Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
        }
        Err(error) => panic!("{error}"),
    }
}

impl Client {
    pub fn new(server: &Server, protocol: &str) -> Client {
        connect(server.address(), protocol, &[]).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    pub fn send(&mut self, operation: &Json) {
        self.socket.send(Message::text(operation.to_string())).unwrap();
    }

    /// Returns the next text frame that the condition accepts. Other frames are left out.
    pub fn until(&mut self, mut accepts: impl FnMut(&Json) -> bool) -> Json {
        loop {
            if let Message::Text(text) = self.socket.read().unwrap() {
                let json: Json = serde_json::from_str(text.as_str()).unwrap();
                if accepts(&json) {
                    return json;
                }
            }
        }
    }

    pub fn operation(&mut self, op: &str) -> Json {
        self.until(|json| json["op"] == op)
    }

    /// Returns the text of the next status of that level.
    pub fn status(&mut self, level: u64) -> String {
        let status = self.until(|json| json["op"] == "status" && json["level"] == level);
        status["message"].as_str().unwrap().to_owned()
    }

    /// Waits until a channel is there, and returns its number.
    pub fn channel(&mut self, name: &str) -> u32 {
        let mut found = None;
        self.until(|json| {
            let list = json["channels"].as_array().map_or(&[][..], Vec::as_slice);
            let topic = format!("/{name}");
            let mut of = list.iter().filter(|one| one["topic"] == topic || one["channel"] == name);
            found = of.find_map(|one| one["id"].as_u64());
            found.is_some()
        });
        u32::try_from(found.unwrap()).unwrap()
    }

    pub fn subscribe(&mut self, id: u32, channel: u32) {
        self.send(&json!({ "op": "subscribe", "subscriptions": [{ "id": id, "channelId": channel }] }));
    }

    /// Returns the next message of a channel. Other frames are left out.
    pub fn data(&mut self) -> Data {
        loop {
            if let Message::Binary(frame) = self.socket.read().unwrap() {
                assert_eq!(frame[0], 1);
                let subscription = u32::from_le_bytes(frame[1..5].try_into().unwrap());
                let time = u64::from_le_bytes(frame[5..13].try_into().unwrap());
                assert!(time > 1_600_000_000_000_000_000, "{time}");
                return Data { subscription, payload: frame[13..].to_vec() };
            }
        }
    }

    /// Waits until the server has closed the connection.
    pub fn closed(&mut self) {
        while self.socket.read().is_ok() {}
    }
}

/// Sends a request, and returns the whole answer.
pub fn get(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A server that refuses a request early may reset the connection.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}
