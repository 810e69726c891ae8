//! Clients that break the protocol, or do not read.

use crate::client::{Client, FOXGLOVE, PAGE, start};
use serde_json::json;
use shmcomm::codec::Msgpack;
use shmcomm::{Channel, PubSub};
use shmcomm_tests::namespace;
use shmcomm_view::Event;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tungstenite::Message;

#[test]
fn hostile_frames_are_answered_or_end_the_connection() {
    let ns = namespace("frames");
    let server = start(&ns, |_| {});
    let mut client = Client::new(&server, FOXGLOVE);
    client.operation("serverInfo");
    for (frame, reason) in [
        (Message::text("not json"), "no operation"),
        (Message::text("{}"), "no operation"),
        (Message::text("[".repeat(100_000)), "no operation"),
        (Message::text(r#"{"op":"getParameters","parameterNames":[]}"#), "no such operation"),
        (
            Message::text(r#"{"op":"subscribe","subscriptions":[{"id":1,"channelId":4000000000}]}"#),
            "no channel",
        ),
        (Message::text(r#"{"op":"subscribe","subscriptions":[{"id":1e99,"channelId":1}]}"#), "no operation"),
        (Message::binary(vec![]), "no message"),
        (Message::binary(vec![1, 2, 3]), "no message"),
        (Message::binary(vec![1, 9, 0, 0, 0, 1, 2]), "has the number 9"),
        (Message::binary(vec![255; 1000]), "no message"),
    ] {
        client.socket.send(frame.clone()).unwrap();
        let status = client.status(2);
        assert!(status.contains(reason), "{status}");
    }
    client.send(&json!({ "op": "unsubscribe", "subscriptionIds": [1, 2, 3] }));
    client.send(&json!({ "op": "unadvertise", "channelIds": [1, 2, 3] }));
    client.subscribe(5, 1);
    client.subscribe(5, 1);
    assert!(client.status(2).contains("already is a subscription 5"));
    // Longer than a frame may be: the connection ends.
    let _ = client.socket.send(Message::binary(vec![0; 5 << 20]));
    client.closed();
    // A frame that is not masked.
    let mut client = Client::new(&server, FOXGLOVE);
    client.operation("serverInfo");
    client.socket.get_mut().write_all(&[0x82, 0x01, 0x07]).unwrap();
    client.closed();
    // A frame that never ends does not hold the server up.
    let mut client = Client::new(&server, FOXGLOVE);
    client.operation("serverInfo");
    client.socket.get_mut().write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10]).unwrap();
    let mut other = Client::new(&server, PAGE);
    other.operation("figures");
    drop(client);
    server.stop();
}

/// A client that sends single bytes of a frame gets figures and messages meanwhile.
#[test]
fn client_that_sends_single_bytes_is_served_meanwhile() {
    let ns = namespace("drip");
    const NUMBER: Channel<PubSub<u64>> = Channel::new("number");
    let mut publisher = NUMBER.open().namespace(&*ns).publisher().unwrap();
    let server = start(&ns, |_| {});
    let mut client = Client::new(&server, PAGE);
    let id = client.channel(publisher.name());
    client.subscribe(1, id);
    publisher.send(&0).unwrap();
    client.data();
    let mut stream = client.socket.get_ref().try_clone().unwrap();
    // The head of a masked binary frame of 3 MiB, and then a byte each millisecond, without an end.
    stream.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) && stream.write_all(&[0]).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for number in 1..=5 {
            publisher.send(&number).unwrap();
            while client.data().json()["value"] != number {}
            client.operation("figures");
        }
        stop.store(true, Ordering::Relaxed);
    });
    // The server does not wait for the end of the frame.
    server.stop();
}

/// A client that reads single bytes gets a message, and the server can stop.
#[test]
fn client_that_reads_slowly_does_not_hold_its_thread() {
    const LENGTH: usize = 32 << 20;
    let ns = namespace("sip");
    const TEXT: Channel<PubSub<String, Msgpack>> = Channel::new("text").slots(2).slot_size(LENGTH + 64);
    let mut publisher = TEXT.open().namespace(&*ns).publisher().unwrap();
    let server = start(&ns, |_| {});
    let mut client = Client::new(&server, FOXGLOVE);
    let id = client.channel(publisher.name());
    client.subscribe(1, id);
    publisher.send(&"x".repeat(LENGTH)).unwrap();
    let mut stream = client.socket.get_ref().try_clone().unwrap();
    let (stop, read) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut part = [0; 4096];
            while !stop.load(Ordering::Relaxed)
                && let Ok(length @ 1..) = stream.read(&mut part)
            {
                read.fetch_add(length, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        server.stop();
        let read = read.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        // At this speed the client needs more than 8 s for the message that waits for it.
        assert!(read < LENGTH, "the server stopped only after the client had read {read} bytes");
    });
}

/// A client that reads nothing costs one message, whatever is published.
#[test]
fn client_that_does_not_read_costs_one_message() {
    const LONG: usize = 1 << 20;
    const COUNT: u64 = 400;
    let ns = namespace("slow");
    const TEXT: Channel<PubSub<String, Msgpack>> = Channel::new("text").slots(4).slot_size(LONG + 64);
    let mut publisher = TEXT.open().namespace(&*ns).publisher().unwrap();
    let server = start(&ns, |options| {
        options.rate = 1000.0;
        options.client_buffer = 2 << 20;
    });
    let mut client = Client::new(&server, FOXGLOVE);
    let id = client.channel(publisher.name());
    client.subscribe(1, id);
    let text = |number: u64| format!("{number:04}{}", "x".repeat(LONG - 4));
    publisher.send(&text(0)).unwrap();
    assert!(client.data().payload.len() >= LONG);
    // A second client shows that the server works on meanwhile, and how far it is.
    let mut other = Client::new(&server, PAGE);
    let id = other.channel(publisher.name());
    other.subscribe(1, id);
    for number in 1..=COUNT {
        publisher.send(&text(number)).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    other.until(|json| json["channels"][0]["sent"] == COUNT + 1);
    // The first client reads on: what the system had buffered, then the newest.
    let (mut frames, mut newest) = (0, 0);
    while newest < COUNT {
        let payload = client.data().payload;
        let at = payload.iter().position(u8::is_ascii_digit).unwrap();
        newest = std::str::from_utf8(&payload[at..at + 4]).unwrap().parse().unwrap();
        frames += 1;
    }
    assert!(frames < COUNT / 4, "{frames} of {COUNT} messages were kept for a client that did not read");
    let losses = client.status(1);
    assert!(losses.contains("this client reads too slowly"), "{losses}");
    drop(client);
    let ended = std::iter::from_fn(|| server.event(Duration::from_secs(60)));
    let dropped = ended.filter_map(|event| match event {
        Event::Disconnected { dropped, .. } => Some(dropped),
        _ => None,
    });
    assert!(dropped.take(1).sum::<u64>() > 0);
}

#[test]
fn message_longer_than_the_buffer_is_reported() {
    let ns = namespace("long");
    const TEXT: Channel<PubSub<String, Msgpack>> = Channel::new("text").slots(4).slot_size(1 << 18);
    let mut publisher = TEXT.open().namespace(&*ns).publisher().unwrap();
    let server = start(&ns, |options| options.client_buffer = 1 << 16);
    let mut client = Client::new(&server, FOXGLOVE);
    let id = client.channel(publisher.name());
    client.subscribe(1, id);
    publisher.send(&"x".repeat(1 << 17)).unwrap();
    assert!(client.status(2).contains("more than the 65536"));
    publisher.send(&"short".to_owned()).unwrap();
    client.data();
}
