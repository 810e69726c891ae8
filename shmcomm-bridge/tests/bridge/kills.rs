//! `kill -9` of either bridge: the connection comes back, and the number of lost messages is exact. On loopback, and
//! between network namespaces.

use crate::support::*;
use std::time::{Duration, Instant};

/// Sends from `next` on until a message comes, then nothing for a while; returns the next number and the last that came.
fn settle(
    publisher: &mut shmcomm::DynPublisher,
    subscriber: &mut shmcomm::DynSubscriber,
    next: u64,
) -> (u64, u64) {
    let (next, received) = until_received(publisher, subscriber, next);
    let last = drain(subscriber).last().copied().unwrap_or(received);
    assert_eq!(last, next - 1, "the last message came");
    (next, last)
}

/// Place of the bridges of two hosts: both on loopback, or each in a network namespace.
struct Place(Option<Networks>);

impl Place {
    fn address(&self) -> String {
        if self.0.is_some() { "tcp/10.9.0.1:7447".into() } else { address() }
    }

    /// Starts a bridge of host number `at`.
    fn bridge(&self, at: usize, host: &Host, arguments: &[&str]) -> Bridge {
        match &self.0 {
            Some(networks) => host.bridge_in(networks.name(at), arguments),
            None => host.bridge(arguments),
        }
    }
}

#[test]
fn killed_exporter_costs_an_exact_number() {
    kill_exporter(&Place(None));
}

#[test]
fn killed_far_exporter_costs_an_exact_number() {
    let Some(networks) = Networks::chain(2) else { return };
    kill_exporter(&Place(Some(networks)));
}

fn kill_exporter(place: &Place) {
    let (a, b, at) = (Host::new("kill-out-a"), Host::new("kill-out-b"), place.address());
    let arguments = ["--listen", &at, "--export", "*"];
    let out = place.bridge(0, &a, &arguments);
    let to_b = place.bridge(1, &b, &["--connect", &at, "--import", "*"]);
    let mut publisher = a.publisher("x", &numbers());
    let mut subscriber = b.subscriber("x");
    let (next, _) = settle(&mut publisher, &mut subscriber, 0);
    let lost = to_b.metric("lost_total", &["x"]);
    out.kill();
    for n in next..next + 100 {
        publisher.send_bytes(&n.to_le_bytes()).unwrap();
    }
    let start = Instant::now();
    let _out = place.bridge(0, &a, &arguments);
    let (_, first) = until_received(&mut publisher, &mut subscriber, next + 100);
    eprintln!("messages {:?} after the start of another exporter", start.elapsed());
    let missing = first - next;
    wait_until("exact loss", || to_b.metric("lost_total", &["x"]) == lost + missing);
}

#[test]
fn killed_importer_costs_an_exact_number() {
    kill_importer(&Place(None));
}

#[test]
fn killed_far_importer_costs_an_exact_number() {
    let Some(networks) = Networks::chain(2) else { return };
    kill_importer(&Place(Some(networks)));
}

fn kill_importer(place: &Place) {
    let (a, b, at) = (Host::new("kill-in-a"), Host::new("kill-in-b"), place.address());
    let _out = place.bridge(0, &a, &["--listen", &at, "--export", "*"]);
    let state = b.file("state");
    let arguments = ["--connect", &at, "--import", "*", "--state", &state];
    let to_b = place.bridge(1, &b, &arguments);
    let mut publisher = a.publisher("x", &numbers());
    let mut subscriber = b.subscriber("x");
    let (next, _) = settle(&mut publisher, &mut subscriber, 0);
    to_b.kill();
    for n in next..next + 100 {
        publisher.send_bytes(&n.to_le_bytes()).unwrap();
    }
    let start = Instant::now();
    let to_b = place.bridge(1, &b, &arguments);
    let (_, first) = until_received(&mut publisher, &mut subscriber, next + 100);
    eprintln!("messages {:?} after the start of another importer", start.elapsed());
    wait_until("exact loss", || to_b.metric("lost_total", &["x"]) == first - next);
}

#[test]
fn channel_that_is_exported_again_loses_nothing() {
    let (a, b, at) = (Host::new("again-a"), Host::new("again-b"), address());
    let _out = a.bridge(&["--listen", &at, "--export", "*"]);
    let to_b = b.bridge(&["--connect", &at, "--import", "*"]);
    let mut publisher = a.publisher("x", &numbers());
    // Keeps the segment while there is no publisher.
    let _local = a.subscriber("x");
    let mut subscriber = b.subscriber("x");
    let (next, _) = settle(&mut publisher, &mut subscriber, 0);
    drop(publisher);
    let mut publisher = a.publisher("x", &numbers());
    for n in next..next + 10 {
        publisher.send_bytes(&n.to_le_bytes()).unwrap();
    }
    let mut received = Vec::new();
    wait_until("all messages", || {
        received.extend(subscriber.recv_timeout(Duration::from_millis(10)).map(|m| number(m.bytes())));
        received.len() >= 10
    });
    assert_eq!(received, (next..next + 10).collect::<Vec<_>>());
    assert_eq!(to_b.metric("lost_total", &["x"]), 0);
}
