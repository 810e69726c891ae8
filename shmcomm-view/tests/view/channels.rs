//! Channels that come and go, their messages and their figures.

use crate::client::{Client, FOXGLOVE, PAGE, start};
use serde_json::json;
use shmcomm::codec::{Msgpack, Pickle};
use shmcomm::{Channel, PubSub, PushPull, ShmMessage, Timestamp};
use shmcomm_tests::namespace;

#[derive(Clone, Copy, Debug, Default, ShmMessage)]
#[repr(C)]
struct Imu {
    stamp: Timestamp,
    number: u64,
    acceleration: [f32; 2],
}

const IMU: Channel<PubSub<Imu>> = Channel::new("imu").slots(16);

#[test]
fn page_gets_messages_that_are_cut_and_figures() {
    let ns = namespace("messages");
    let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
    let server = start(&ns, |_| {});
    let mut client = Client::new(&server, PAGE);
    let id = client.channel(publisher.name());
    publisher.send(&Imu { number: u64::MAX, acceleration: [0.5, f32::NAN], ..Imu::default() }).unwrap();
    client.subscribe(7, id);
    let data = client.data();
    assert_eq!(data.subscription, 7);
    let expected = json!({ "position": 0, "value": {
        "stamp": { "$time": "0" }, "number": { "$int": u64::MAX.to_string() },
        "acceleration": [0.5, { "$number": "NaN" }],
    } });
    assert_eq!(data.json(), expected);
    assert_eq!(publisher.subscribers(), 0, "the view takes no seat");
    // A burst between two messages: the newest is sent, and the others are counted.
    for number in 1..=1000 {
        publisher.send(&Imu { number, ..Imu::default() }).unwrap();
    }
    let mut position = 0;
    while position < 1000 {
        position = client.data().json()["position"].as_u64().unwrap();
    }
    let figures = client.until(|json| {
        let counts = &json["subscriptions"][0];
        let sum = |names: &[&str]| names.iter().map(|name| counts[*name].as_u64().unwrap()).sum::<u64>();
        json["op"] == "figures" && !counts.is_null() && sum(&["sent", "skipped", "dropped"]) == 1001
    });
    assert_eq!(
        (&figures["channels"][0]["sent"], &figures["channels"][0]["senders"]),
        (&json!(1001), &json!(1))
    );
}

#[test]
fn losses_and_lags_of_subscribers_are_figures() {
    let ns = namespace("losses");
    let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = IMU.open().namespace(&*ns).subscriber().unwrap();
    for number in 0..100 {
        publisher.send(&Imu { number, ..Imu::default() }).unwrap();
    }
    assert!(subscriber.try_recv().is_err(), "messages were lost");
    publisher.send(&Imu::default()).unwrap();
    let server = start(&ns, |_| {});
    let mut client = Client::new(&server, PAGE);
    let lost = subscriber.lost();
    assert!(lost > 0);
    let figures = client.until(|json| json["channels"][0]["lost"] == lost);
    let one = &figures["channels"][0];
    // The lag is the number of published positions that the subscriber has not passed.
    let passed = lost + subscriber.received();
    assert_eq!((&one["lag"], &one["sent"]), (&json!(101 - passed), &json!(101)), "{one}");
    let end = one["ends"].as_array().unwrap().iter().find(|end| end["role"] == "subscriber").unwrap();
    assert_eq!((&end["lost"], &end["pid"]), (&json!(lost), &json!(std::process::id())));
    assert_eq!(end["lag"], one["lag"]);
    // When the subscriber has caught up, the lag is 0.
    while subscriber.try_recv().is_ok() {}
    client.until(|json| json["channels"][0]["lag"] == 0);
    // Foxglove sees the same on the server's own channel.
    let mut foxglove = Client::new(&server, FOXGLOVE);
    foxglove.subscribe(1, 1);
    let figures = foxglove.data().json();
    assert_eq!(figures["channels"][0]["lost"], lost);
}

#[test]
fn channels_appear_and_vanish_as_segments_do() {
    let ns = namespace("come-and-go");
    let server = start(&ns, |_| {});
    let mut client = Client::new(&server, FOXGLOVE);
    client.operation("serverInfo");
    let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
    let name = publisher.name().to_owned();
    let id = client.channel(&name);
    client.subscribe(1, id);
    publisher.send(&Imu::default()).unwrap();
    client.data();
    drop(publisher);
    let left = client.operation("unadvertise");
    assert_eq!(left["channelIds"], json!([id]));
    // The same name with other messages is another channel.
    const OTHER: Channel<PubSub<[u16; 2]>> = Channel::new("imu");
    let mut publisher = OTHER.open().namespace(&*ns).publisher().unwrap();
    let other = client.channel(&name);
    assert_ne!(other, id);
    publisher.send(&[1, 2]).unwrap();
    client.subscribe(1, other);
    assert_eq!(client.data().subscription, 1);
}

#[test]
fn restarted_publisher_is_followed() {
    let ns = namespace("restart");
    let server = start(&ns, |_| {});
    let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
    // Keeps the segment.
    let _subscriber = IMU.open().namespace(&*ns).subscriber().unwrap();
    let mut client = Client::new(&server, FOXGLOVE);
    let id = client.channel(publisher.name());
    client.subscribe(1, id);
    publisher.send(&Imu::default()).unwrap();
    client.data();
    drop(publisher);
    assert!(client.status(0).contains("has no publisher now"));
    let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
    client.operation("removeStatus");
    publisher.send(&Imu { number: 9, ..Imu::default() }).unwrap();
    client.data();
}

#[test]
fn every_message_is_sent_without_a_limit() {
    let ns = namespace("each");
    const EACH: Channel<PubSub<u64>> = Channel::new("each").slots(1024);
    let mut publisher = EACH.open().namespace(&*ns).publisher().unwrap();
    let server = start(&ns, |options| options.rate = 0.0);
    let mut client = Client::new(&server, PAGE);
    let id = client.channel(publisher.name());
    client.subscribe(1, id);
    client.operation("figures");
    client.until(|json| json["subscriptions"][0]["id"] == 1);
    for number in 0..1000 {
        publisher.send(&number).unwrap();
    }
    for number in 0..1000u64 {
        assert_eq!(client.data().json()["value"], number);
    }
}

#[test]
fn encoded_channels_and_queues_are_shown() {
    let ns = namespace("others");
    const TEXT: Channel<PubSub<String, Msgpack>> = Channel::new("text").slot_size(256);
    const JOBS: Channel<PushPull<u64>> = Channel::new("jobs");
    let mut text = TEXT.open().namespace(&*ns).publisher().unwrap();
    let mut jobs = JOBS.open().namespace(&*ns).pusher().unwrap();
    jobs.send(&7).unwrap();
    text.send(&"all is well".to_owned()).unwrap();
    let server = start(&ns, |_| {});
    let mut client = Client::new(&server, PAGE);
    let figures = client.until(|json| json["channels"].as_array().is_some_and(|list| list.len() == 2));
    let queue = &figures["channels"][0];
    assert_eq!((&queue["waiting"], &queue["id"]), (&json!(1), &json!(null)), "{queue}");
    let id = figures["channels"][1]["id"].as_u64().unwrap();
    client.subscribe(1, u32::try_from(id).unwrap());
    assert_eq!(client.data().json()["value"], "all is well");
}

#[test]
fn unknown_facts_of_a_python_channel_are_null() {
    let name = format!("view-python-{}", std::process::id());
    let options = shmcomm::python::Options::pubsub(name.clone());
    let mut publisher = shmcomm::python::Publisher::<u64, Pickle>::open(options).unwrap();
    publisher.send(&7).unwrap();
    let server = start("", |options| options.channels = vec![name.clone()]);
    let mut client = Client::new(&server, PAGE);
    let id = client.channel(&name);
    client.subscribe(1, id);
    assert_eq!(client.data().json()["value"], 7);
    let figures = client.until(|json| json["subscriptions"][0]["id"] == 1);
    let one = &figures["channels"][0];
    for unknown in ["senders", "receivers", "lost", "lag", "bytes_per_s"] {
        assert_eq!(one[unknown], json!(null), "{unknown}: {one}");
    }
    assert_eq!((&one["state"], &one["sent"]), (&json!("live"), &json!(1)));
    // The observer knows whether the publisher is alive.
    assert_eq!(figures["subscriptions"][0]["gone"], false);
    drop(publisher);
    client.until(|json| json["subscriptions"][0]["gone"] == true || json["channels"] == json!([]));
}

#[test]
fn second_subscription_to_a_channel_is_ignored() {
    let ns = namespace("second");
    let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
    let server = start(&ns, |_| {});
    for protocol in [PAGE, FOXGLOVE] {
        let mut client = Client::new(&server, protocol);
        let id = client.channel(publisher.name());
        client.subscribe(1, id);
        client.subscribe(2, id);
        let status = client.until(|json| json["op"] == "status");
        assert_eq!((&status["level"], &status["id"]), (&json!(1), &json!("subscription-2")));
        assert!(status["message"].as_str().unwrap().contains("already has subscription 1"), "{status}");
        // The first one goes on, and its end makes room for the next.
        publisher.send(&Imu::default()).unwrap();
        assert_eq!(client.data().subscription, 1);
        client.send(&json!({ "op": "unsubscribe", "subscriptionIds": [2, 1] }));
        client.subscribe(3, id);
        publisher.send(&Imu::default()).unwrap();
        while client.data().subscription != 3 {}
    }
    let mut client = Client::new(&server, FOXGLOVE);
    client.subscribe(1, 1);
    client.subscribe(2, 1);
    assert!(client.status(1).contains("`shmcomm.channels`: the client already has subscription 1"));
    assert_eq!(client.data().subscription, 1);
}

#[test]
fn fast_publisher_that_comes_back_is_reported() {
    let ns = namespace("fast");
    let server = start(&ns, |_| {});
    let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
    let _subscriber = IMU.open().namespace(&*ns).subscriber().unwrap();
    let mut client = Client::new(&server, FOXGLOVE);
    let id = client.channel(publisher.name());
    client.subscribe(1, id);
    publisher.send(&Imu::default()).unwrap();
    client.data();
    drop(publisher);
    client.status(0);
    // No check of the observer finds the channel without a new message.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = IMU.open().namespace(&*ns).publisher().unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                publisher.send(&Imu::default()).unwrap();
            }
        });
        let removed = client.operation("removeStatus");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(removed["statusIds"], json!(["gone-1"]));
    });
}
