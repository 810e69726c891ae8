//! Hosts that pass on what they import, in a line and in a circle of realms.

use crate::support::*;
use shmcomm::{Content, Declaration, DynPublisher, DynPuller, DynPusher, list_segments_in};
use std::collections::BTreeMap;
use std::time::Duration;

/// Connects two hosts in a realm of their own. Both relay.
fn join(a: &Host, b: &Host, realm: &str, ways: [&[&str]; 2]) -> (Bridge, Bridge) {
    let at = address();
    let common = ["--realm", realm, "--relay"];
    (
        a.bridge(&[&["--listen", at.as_str()], &common[..], ways[0]].concat()),
        b.bridge(&[&["--connect", at.as_str()], &common[..], ways[1]].concat()),
    )
}

const OUT: &[&str] = &["--export", "*"];
const IN: &[&str] = &["--import", "*"];
const BOTH: &[&str] = &["--export", "*", "--import", "*"];

#[test]
fn job_does_not_go_round_a_circle_of_realms() {
    let hosts = ["circle-a", "circle-b", "circle-c"].map(Host::new);
    let [a, b, c] = &hosts;
    let _one = join(a, b, "one", [OUT, IN]);
    let _two = join(b, c, "two", [OUT, IN]);
    let (_out, back) = join(c, a, "three", [OUT, IN]);
    let jobs = Declaration::push_pull(Content::Bytes).slot_size(64);
    let mut pusher = DynPusher::create(&a.full("jobs"), &jobs).unwrap();
    for n in 0..10_u8 {
        pusher.send_bytes(&[n]).unwrap();
    }
    let queued = |host: &Host| {
        let all = list_segments_in(&host.name).unwrap();
        all.iter().filter(|one| one.channel == host.full("jobs")).map(|one| one.queued_work()).sum::<u64>()
    };
    assert!(back.refusal("jobs").contains("it comes back: it has passed bridge"));
    wait_until("last host with all jobs", || queued(c) == 10);
    assert_eq!([queued(a), queued(b)], [0, 0]);
    let mut puller = DynPuller::open(&c.full("jobs")).unwrap();
    for n in 0..10_u8 {
        assert_eq!(puller.recv_timeout(DEADLINE).unwrap().bytes(), [n]);
    }
}

/// Counts the messages of each host that the others receive, when all have joined.
#[test]
fn relays_in_a_line_repeat_no_message() {
    let hosts = ["line-a", "line-b", "line-c", "line-d"].map(Host::new);
    let shared = || numbers().publishers(8);
    let mut publishers: Vec<DynPublisher> = hosts.iter().map(|host| host.publisher("x", &shared())).collect();
    let mut subscribers: Vec<_> = hosts.iter().map(|host| host.subscriber("x")).collect();
    let _joined: Vec<_> =
        (0..3).map(|at| join(&hosts[at], &hosts[at + 1], &format!("realm-{at}"), [BOTH, BOTH])).collect();
    // Numbers from 1,000 on count. Those before tell that the ways are complete.
    let mut heard: Vec<BTreeMap<u64, u32>> = vec![BTreeMap::new(); hosts.len()];
    let receive = |heard: &mut Vec<BTreeMap<u64, u32>>, subscribers: &mut Vec<shmcomm::DynSubscriber>| {
        for (subscriber, heard) in subscribers.iter_mut().zip(heard) {
            while let Ok(message) = subscriber.recv_timeout(Duration::from_millis(5)) {
                *heard.entry(number(message.bytes())).or_default() += 1;
            }
        }
    };
    wait_until("ways between all hosts", || {
        for (host, publisher) in publishers.iter_mut().enumerate() {
            publisher.send_bytes(&(host as u64).to_le_bytes()).unwrap();
        }
        receive(&mut heard, &mut subscribers);
        heard.iter().all(|heard| heard.len() == hosts.len())
    });
    let of = |host: usize, n: u64| (host as u64 + 1) * 1_000 + n;
    for n in 0..100 {
        for (host, publisher) in publishers.iter_mut().enumerate() {
            publisher.send_bytes(&of(host, n).to_le_bytes()).unwrap();
        }
        receive(&mut heard, &mut subscribers);
    }
    let all = |heard: &BTreeMap<u64, u32>| heard.keys().filter(|number| **number >= 1_000).count() == 400;
    wait_until("all messages", || {
        receive(&mut heard, &mut subscribers);
        heard.iter().all(all)
    });
    std::thread::sleep(Duration::from_millis(500));
    receive(&mut heard, &mut subscribers);
    for heard in heard {
        assert!(heard.iter().all(|(number, times)| *number < 1_000 || *times == 1), "{heard:?}");
    }
}

#[test]
fn channels_between_bridges_never_cross() {
    let (a, b) = (Host::new("own-a"), Host::new("own-b"));
    // Each host has a second bridge: a relay would carry what that one publishes, as it carries `x`.
    let _idle =
        [&a, &b].map(|host| host.bridge(&["--listen", &address(), "--realm", "idle", "--import", "*"]));
    for host in [&a, &b] {
        wait_until("idle bridge", || shmcomm::describe(&host.full("shmcomm-bridge/0")).unwrap().is_some());
    }
    let joined = join(&a, &b, "one", [BOTH, BOTH]);
    let mut publishers = [&a, &b].map(|host| host.publisher("x", &numbers().publishers(4)));
    let mut subscribers = [&a, &b].map(|host| host.subscriber("x"));
    // `x` is behind the channels of the bridges, in the order of names.
    let [to_b, to_a] = &mut publishers;
    for (number, publisher, subscriber) in [(1_000, to_b, 1), (2_000, to_a, 0)] {
        wait_until("message of the other host", || {
            publisher.send_bytes(&u64::to_le_bytes(number)).unwrap();
            drain(&mut subscribers[subscriber]).contains(&number)
        });
    }
    for bridge in [&joined.0, &joined.1] {
        for way in ["export", "import"] {
            wait_until("messages", || bridge.metric("messages_total", &["\"x\"", way]) > 0);
        }
        assert!(!bridge.metrics().contains("channel=\"shmcomm-bridge/"), "{}", bridge.metrics());
    }
}
