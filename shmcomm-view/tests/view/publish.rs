//! Publishing from a client: off, allowed, and wrong.

use crate::client::{Client, FOXGLOVE, PAGE, start};
use serde_json::{Value as Json, json};
use shmcomm::{Channel, PubSub, ShmMessage};
use shmcomm_tests::namespace;
use std::time::Duration;
use tungstenite::Message;

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
#[repr(C)]
struct Command {
    number: u32,
    velocity: f32,
}

const COMMAND: Channel<PubSub<Command>> = Channel::new("command").slots(16);

fn advertise(id: u32, topic: &str, encoding: &str) -> Json {
    json!({ "op": "advertise", "channels": [
        { "id": id, "topic": topic, "encoding": encoding, "schemaName": "Command" },
    ] })
}

fn message(id: u32, text: &str) -> Message {
    Message::binary([&[1][..], &id.to_le_bytes(), text.as_bytes()].concat())
}

#[test]
fn publishing_is_off_by_default() {
    let ns = namespace("publish-off");
    drop(COMMAND.open().namespace(&*ns).publisher().unwrap());
    let server = start(&ns, |_| {});
    for protocol in [FOXGLOVE, PAGE] {
        let mut client = Client::new(&server, protocol);
        assert_eq!(client.operation("serverInfo")["capabilities"], json!([]));
        client.send(&advertise(1, &format!("/{ns}/command"), "json"));
        assert!(client.status(2).contains("is off; start the server with --allow-publish"));
        client.socket.send(message(1, r#"{"number":1,"velocity":0}"#)).unwrap();
        assert!(client.status(2).contains("advertise it first"));
    }
}

#[test]
fn allowed_channels_get_checked_messages() {
    let ns = namespace("publish-on");
    let publisher = COMMAND.open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = COMMAND.open().namespace(&*ns).subscriber().unwrap();
    let name = publisher.name().to_owned();
    let server = start(&ns, |options| options.allow_publish.push(format!("{ns}/com*")));
    let mut client = Client::new(&server, FOXGLOVE);
    let info = client.operation("serverInfo");
    assert_eq!(
        (&info["capabilities"], &info["supportedEncodings"]),
        (&json!(["clientPublish"]), &json!(["json"]))
    );
    client.send(&advertise(1, &format!("/{ns}/other"), "json"));
    assert!(client.status(2).contains("is not allowed"));
    client.send(&advertise(1, &name, "cdr"));
    assert!(client.status(2).contains("only `json`"));
    client.send(&advertise(1, &name, "json"));
    assert!(client.status(2).contains("publisher"), "the other publisher lives");
    drop(publisher);
    client.send(&advertise(1, &format!("/{name}"), "json"));
    for wrong in
        ["", "7", r#"{"number":-1,"velocity":0}"#, r#"{"number":1}"#, r#"{"number":1,"velocity":"x"}"#]
    {
        client.socket.send(message(1, wrong)).unwrap();
        assert!(client.status(2).contains(&name), "{wrong}");
    }
    client.socket.send(message(1, r#"{"number":7,"velocity":0.5}"#)).unwrap();
    let received = loop {
        match subscriber.recv_timeout(Duration::from_secs(60)) {
            Ok(command) => break command,
            // Until the new publisher is there.
            Err(shmcomm::RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(received, Command { number: 7, velocity: 0.5 });
    // The seat is free again.
    client.send(&json!({ "op": "unadvertise", "channelIds": [1] }));
    client.socket.send(message(1, "{}")).unwrap();
    client.status(2);
    COMMAND.open().namespace(&*ns).publisher().unwrap();
}
