//! Two bridges on loopback: messages that cross, refusals, and publishers that keep their channel.

use crate::support::*;
use shmcomm::codec::Msgpack;
use shmcomm::schema::{Layout, Value};
use shmcomm::{Channel, Content, Declaration, DynError, DynSubscriber, PubSub, ShmMessage};
use std::time::Duration;

mod old {
    #[derive(Clone, Copy, Debug, Default, shmcomm::ShmMessage)]
    #[repr(C)]
    pub struct Pose {
        pub x: f32,
        pub y: f32,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
#[repr(C)]
struct Pose {
    y: f64,
    x: f64,
    #[shm(default)]
    z: f64,
}

/// Two hosts, and the address between them.
fn pair(test: &str) -> (Host, Host, String) {
    (Host::new(&format!("{test}-a")), Host::new(&format!("{test}-b")), address())
}

#[test]
fn all_forms_of_messages_cross() {
    let (a, b, at) = pair("forms");
    let _out = a.bridge(&["--listen", &at, "--export", "*"]);
    let _in = b.bridge(&["--connect", &at, "--import", "*"]);
    let item = Layout::parse(r#"{"size":2,"type":"<u2"}"#).unwrap().remove(0);
    let number = Layout::parse(r#"{"size":8,"type":"<u8"}"#).unwrap().remove(0);
    let tail = Content::Tail { header: number.clone(), item };
    let value = Value::from_iter([("n", Value::from(7)), ("text", Value::from("seven"))]);
    let with_tail = Value::from_iter([("header", Value::from(7)), ("tail", Value::from(vec![1, 2, 3]))]);
    for (name, content, sent) in [
        ("fixed", Content::Fixed(number), Value::from(7)),
        ("tail", tail, with_tail),
        ("msgpack", Content::Msgpack, value.clone()),
        ("pickle", Content::Pickle, value),
        ("bytes", Content::Bytes, Value::Bytes(vec![1, 2, 3])),
    ] {
        let mut publisher = a.publisher(name, &Declaration::pub_sub(content));
        let mut subscriber = b.subscriber(name);
        let received = wait_for(name, || {
            publisher.send(&sent).unwrap();
            subscriber.recv_timeout(Duration::from_millis(50)).ok()
        });
        assert_eq!(received.value().unwrap().to_string(), sent.to_string(), "{name}");
        let (here, there) = (shmcomm::describe(&a.full(name)), shmcomm::describe(&b.full(name)));
        let (here, there) = (here.unwrap().unwrap(), there.unwrap().unwrap());
        assert_eq!((here.fingerprint, here.schema), (there.fingerprint, there.schema), "{name}");
    }
}

#[test]
fn typed_ends_meet_over_the_network() {
    let (a, b, at) = pair("typed");
    let _out = a.bridge(&["--listen", &at, "--export", "report"]);
    let _in = b.bridge(&["--connect", &at, "--import", "report"]);
    const REPORT: Channel<PubSub<Vec<u32>, Msgpack>> = Channel::new("report").slot_size(256);
    let mut publisher = REPORT.open().namespace(&a.name).publisher().unwrap();
    let mut subscriber = REPORT.open().namespace(&b.name).connect_timeout(DEADLINE).subscriber().unwrap();
    let received = wait_for("report", || {
        publisher.send(&vec![1, 2, 3]).unwrap();
        subscriber.recv_timeout(Duration::from_millis(50)).ok()
    });
    assert_eq!(received, [1, 2, 3]);
}

#[test]
fn reader_of_another_layout_resolves_it() {
    let (a, b, at) = pair("evolution");
    let _out = a.bridge(&["--listen", &at, "--export", "pose"]);
    let _in = b.bridge(&["--connect", &at, "--import", "pose"]);
    const OLD: Channel<PubSub<old::Pose>> = Channel::new("pose");
    const NEW: Channel<PubSub<Pose>> = Channel::new("pose");
    const WRONG: Channel<PubSub<[u64; 4]>> = Channel::new("pose");
    let mut publisher = OLD.open().namespace(&a.name).publisher().unwrap();
    let mut subscriber = NEW.open().namespace(&b.name).connect_timeout(DEADLINE).subscriber().unwrap();
    let received = wait_for("pose", || {
        publisher.send(&old::Pose { x: 1.0, y: 2.0 }).unwrap();
        subscriber.recv_timeout(Duration::from_millis(50)).ok()
    });
    assert_eq!(received, Pose { x: 1.0, y: 2.0, z: 0.0 });
    let refused = WRONG.open().namespace(&b.name).subscriber().unwrap_err();
    assert_eq!(refused.kind(), shmcomm::ErrorKind::TypeMismatch);
    // The publisher is restarted with the new layout, and the subscriber on the other host follows.
    drop(publisher);
    let mut publisher = wait_for("seat", || NEW.open().namespace(&a.name).publisher().ok());
    let received = wait_for("new pose", || {
        publisher.send(&Pose { x: 3.0, y: 4.0, z: 5.0 }).unwrap();
        subscriber.recv_timeout(Duration::from_millis(50)).ok().filter(|pose| pose.z == 5.0)
    });
    assert_eq!(received, Pose { x: 3.0, y: 4.0, z: 5.0 });
}

#[test]
fn nothing_crosses_without_a_pattern() {
    let (a, b, at) = pair("allowed");
    let _out = a.bridge(&["--listen", &at, "--export", "open/*", "--export", "half"]);
    let _in = b.bridge(&["--connect", &at, "--import", "open/*", "--import", "secret"]);
    let mut hidden = [a.publisher("secret", &numbers()), a.publisher("half", &numbers())];
    let mut shown = a.publisher("open/x", &numbers());
    let mut subscriber = b.subscriber("open/x");
    until_received(&mut shown, &mut subscriber, 0);
    hidden.iter_mut().for_each(|publisher| publisher.send_bytes(&[0; 8]).unwrap());
    for name in ["secret", "half"] {
        assert!(shmcomm::describe(&b.full(name)).unwrap().is_none(), "{name}");
    }
}

#[test]
fn another_realm_sees_nothing() {
    let (a, b, at) = pair("realm");
    let _out = a.bridge(&["--listen", &at, "--export", "*", "--realm", "one"]);
    let other = b.bridge(&["--connect", &at, "--import", "*", "--realm", "two"]);
    let _publisher = a.publisher("x", &numbers());
    wait_until("connection", || other.metric("peers", &[]) == 1);
    std::thread::sleep(Duration::from_millis(500));
    assert!(shmcomm::describe(&b.full("x")).unwrap().is_none());
}

#[test]
fn local_publisher_keeps_its_channel() {
    let (a, b, at) = pair("local");
    let _out = a.bridge(&["--listen", &at, "--export", "*", "--import", "*"]);
    let to_b = b.bridge(&["--connect", &at, "--export", "*", "--import", "*"]);
    let mut there = b.publisher("x", &numbers());
    let mut here = a.publisher("x", &numbers());
    let (mut subscriber_a, mut subscriber_b) = (a.subscriber("x"), b.subscriber("x"));
    assert!(to_b.refusal("x").contains("on this host"));
    for n in 0..20_u64 {
        here.send_bytes(&n.to_le_bytes()).unwrap();
        there.send_bytes(&(100 + n).to_le_bytes()).unwrap();
    }
    assert_eq!(drain(&mut subscriber_a), (0..20).collect::<Vec<_>>());
    assert_eq!(drain(&mut subscriber_b), (100..120).collect::<Vec<_>>());
}

#[test]
fn both_directions_of_several_publishers_cross_once() {
    let (a, b, at) = pair("several");
    let _to_a = a.bridge(&["--listen", &at, "--export", "*", "--import", "*"]);
    let _to_b = b.bridge(&["--connect", &at, "--export", "*", "--import", "*"]);
    let several = numbers().publishers(4);
    let (mut here, mut there) = (a.publisher("x", &several), b.publisher("x", &several));
    let (mut subscriber_a, mut subscriber_b) = (a.subscriber("x"), b.subscriber("x"));
    until_received(&mut here, &mut subscriber_b, 1_000);
    until_received(&mut there, &mut subscriber_a, 2_000);
    // Both ways are open when messages of the other host come.
    wait_until("a to b", || {
        here.send_bytes(&3_000_u64.to_le_bytes()).unwrap();
        drain(&mut subscriber_b).contains(&3_000)
    });
    wait_until("b to a", || {
        there.send_bytes(&4_000_u64.to_le_bytes()).unwrap();
        drain(&mut subscriber_a).contains(&4_000)
    });
    drain(&mut subscriber_a);
    drain(&mut subscriber_b);
    for n in 0..20_u64 {
        here.send_bytes(&n.to_le_bytes()).unwrap();
        there.send_bytes(&(100 + n).to_le_bytes()).unwrap();
    }
    for subscriber in [&mut subscriber_a, &mut subscriber_b] {
        let mut all = drain(subscriber);
        all.sort_unstable();
        assert_eq!(all, (0..20).chain(100..120).collect::<Vec<_>>());
    }
}

#[test]
fn limits_of_the_rate_skip_and_lose_nothing() {
    let (a, b, at) = pair("rate");
    let _out = a.bridge(&["--listen", &at, "--export", "slow,max_hz=20"]);
    let to_b = b.bridge(&["--connect", &at, "--import", "*"]);
    let mut publisher = a.publisher("slow", &numbers().slots(1024));
    let mut subscriber = b.subscriber("slow");
    let (mut next, _) = until_received(&mut publisher, &mut subscriber, 0);
    let first = next;
    for _ in 0..500 {
        publisher.send_bytes(&next.to_le_bytes()).unwrap();
        next += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    let received = drain(&mut subscriber);
    assert_eq!(received.last(), Some(&(next - 1)), "the newest message comes");
    assert!(received.len() < 250, "{} of 500 messages at 20 Hz", received.len());
    assert!(received.iter().all(|n| *n >= first - 1) && received.is_sorted());
    wait_until("count", || to_b.metric("messages_total", &["slow"]) > received.len() as u64);
    assert_eq!(to_b.metric("lost_total", &["slow"]), 0);
}

#[test]
fn end_of_a_publisher_is_seen_on_the_other_host() {
    let (a, b, at) = pair("end");
    let _out = a.bridge(&["--listen", &at, "--export", "*"]);
    let _in = b.bridge(&["--connect", &at, "--import", "*"]);
    let mut publisher = a.publisher("x", &numbers());
    let mut subscriber = b.subscriber("x");
    let (next, _) = until_received(&mut publisher, &mut subscriber, 0);
    drain(&mut subscriber);
    drop(publisher);
    wait_until("end", || {
        matches!(subscriber.recv_timeout(Duration::from_millis(10)), Err(DynError::Disconnected))
    });
    let mut publisher = a.publisher("x", &numbers());
    until_received(&mut publisher, &mut subscriber, next);
}

#[test]
fn wrong_arguments_are_errors_with_a_cure() {
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shmcomm-bridge"));
        let out = command.args(arguments).output().unwrap();
        assert!(!out.status.success());
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(run(&["--export", "*"]).contains("--listen"));
    assert!(run(&["--listen", "tcp/127.0.0.1:0"]).contains("--export"));
    assert!(run(&["--listen", "tcp/127.0.0.1:0", "--export", "*,hz=1"]).contains("hz"));
    assert!(run(&["--listen", "tcp/203.0.113.7:7447", "--export", "*"]).contains("belongs to this host"));
    assert!(run(&["--config", "/no/such/file"]).contains("/no/such/file"));
    assert!(run(&["--listen", "tls/127.0.0.1:0", "--export", "*"]).contains("--tls-certificate"));
}

#[test]
fn relay_passes_on_what_it_is_told_to() {
    let (a, b, c) = (Host::new("relay-a"), Host::new("relay-b"), Host::new("relay-c"));
    let (one, two) = (address(), address());
    let _a = a.bridge(&["--listen", &one, "--export", "*", "--realm", "one"]);
    let _b = b.bridge(&["--connect", &one, "--import", "*", "--realm", "one"]);
    let to_two = ["--listen", &two, "--export", "*", "--realm", "two"];
    let keeps = b.bridge(&to_two);
    let _c = c.bridge(&["--connect", &two, "--import", "*", "--realm", "two"]);
    let mut publisher = a.publisher("x", &numbers());
    let mut on_b = b.subscriber("x");
    until_received(&mut publisher, &mut on_b, 0);
    wait_until("connection", || keeps.metric("peers", &[]) == 1);
    std::thread::sleep(Duration::from_millis(500));
    assert!(shmcomm::describe(&c.full("x")).unwrap().is_none());
    keeps.kill();
    let _passes = b.bridge(&[&to_two[..], &["--relay"]].concat());
    let mut on_c = c.subscriber("x");
    until_received(&mut publisher, &mut on_c, 1_000);
}

#[test]
fn history_of_a_configured_channel_is_sent() {
    let (a, b, at) = pair("history");
    let file = a.file("bridge.toml");
    let text = format!("listen = [\"{at}\"]\n[[export]]\nchannels = \"state/*\"\nhistory = 2\n");
    std::fs::write(&file, text).unwrap();
    let mut publisher = a.publisher("state/x", &numbers());
    for n in 0..5_u64 {
        publisher.send_bytes(&n.to_le_bytes()).unwrap();
    }
    let _in = b.bridge(&["--connect", &at, "--import", "state/*"]);
    let _out = a.bridge(&["--config", &file]);
    let mut subscriber = DynSubscriber::open_timeout(&b.full("state/x"), DEADLINE, 10).unwrap();
    let mut received = Vec::new();
    wait_until("two messages", || {
        received.extend(subscriber.recv_timeout(Duration::from_millis(20)).map(|m| number(m.bytes())));
        received.len() == 2
    });
    assert_eq!(received, [3, 4]);
}
