//! Channels that come and go, their messages and their figures.

use crate::client::{Client, FOXGLOVE, PAGE, start};
use serde_json::json;
use shmcomm::codec::Msgpack;
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
    assert!(one["lag"].as_u64().unwrap() > 0, "{one}");
    let end = one["ends"].as_array().unwrap().iter().find(|end| end["role"] == "subscriber").unwrap();
    assert_eq!((&end["lost"], &end["pid"]), (&json!(lost), &json!(std::process::id())));
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
