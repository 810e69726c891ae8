//! Bridges of hosts in network namespaces of their own, which the tests make.

use crate::support::*;
use shmcomm::DynError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Carries messages of all sizes from one host to another and compares each byte.
fn all_equal(networks: &Networks, messages: u64) {
    let (a, b) = (Host::new("equal-a"), Host::new("equal-b"));
    let _out = a.bridge_in(networks.name(0), &["--listen", "tcp/10.9.0.1:7447", "--export", "*,reliable"]);
    let _in = b.bridge_in(networks.name(1), &["--connect", "tcp/10.9.0.1:7447", "--import", "*"]);
    let mut publisher = a.publisher("x", &bytes().slots(1024).waits(true));
    let mut subscriber = b.subscriber("x");
    // The connection is complete when a message has come.
    until_received(&mut publisher, &mut subscriber, u64::MAX - 10_000);
    while drain(&mut subscriber).last().is_some() {}
    let receiver = std::thread::spawn(move || {
        for n in 0..messages {
            let received =
                subscriber.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("message {n}: {error}"));
            assert_eq!(received.bytes(), message(n), "message {n}");
        }
        assert_eq!(subscriber.lost(), 0);
    });
    for n in 0..messages {
        publisher.send_bytes(&message(n)).unwrap();
    }
    receiver.join().unwrap();
}

#[test]
fn a_hundred_thousand_messages_are_equal() {
    let Some(networks) = Networks::chain(2) else { return };
    all_equal(&networks, 100_000);
}

#[test]
fn delay_and_loss_of_packets_change_no_message() {
    let Some(networks) = Networks::chain(2) else { return };
    networks.narrow(0);
    all_equal(&networks, 20_000);
    assert!(networks.dropped(0) > 0, "the link has lost no packet");
}

#[test]
fn short_cuts_of_the_link_change_no_message() {
    let Some(networks) = Networks::chain(2) else { return };
    let (done, cuts) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                networks.link(0, "down");
                std::thread::sleep(Duration::from_millis(20));
                networks.link(0, "up");
                cuts.fetch_add(1, Relaxed);
            }
        });
        let carried = std::panic::catch_unwind(|| {
            // Packets are lost at each cut, so more messages are carried until there were some.
            while cuts.load(Relaxed) < 5 {
                all_equal(&networks, 20_000);
            }
        });
        done.store(true, Relaxed);
        carried.unwrap();
    });
}

#[test]
fn bridges_that_export_everything_repeat_nothing() {
    let Some(networks) = Networks::chain(2) else { return };
    let (a, b) = (Host::new("loop-a"), Host::new("loop-b"));
    let both = ["--export", "*", "--import", "*"];
    let to_a = a.bridge_in(networks.name(0), &[&["--listen", "tcp/10.9.0.1:7447"], &both[..]].concat());
    let to_b = b.bridge_in(networks.name(1), &[&["--connect", "tcp/10.9.0.1:7447"], &both[..]].concat());
    let mut one = a.publisher("one", &numbers());
    let mut here = a.publisher("many", &numbers().publishers(4));
    let mut there = b.publisher("many", &numbers().publishers(4));
    let (mut one_b, mut many_a, mut many_b) =
        (b.subscriber("one"), a.subscriber("many"), b.subscriber("many"));
    until_received(&mut one, &mut one_b, 0);
    wait_until("both ways", || {
        here.send_bytes(&1_u64.to_le_bytes()).unwrap();
        there.send_bytes(&2_u64.to_le_bytes()).unwrap();
        drain(&mut many_a).contains(&2) && drain(&mut many_b).contains(&1)
    });
    drain(&mut one_b);
    drain(&mut many_a);
    drain(&mut many_b);
    for n in 10..20_u64 {
        for publisher in [&mut one, &mut here] {
            publisher.send_bytes(&n.to_le_bytes()).unwrap();
        }
        there.send_bytes(&(n + 100).to_le_bytes()).unwrap();
    }
    let start = Instant::now();
    let (mut of_one, mut of_a, mut of_b) = (Vec::new(), Vec::new(), Vec::new());
    while start.elapsed() < Duration::from_secs(10) {
        of_one.extend(drain(&mut one_b));
        of_a.extend(drain(&mut many_a));
        of_b.extend(drain(&mut many_b));
    }
    assert_eq!(of_one, (10..20).collect::<Vec<_>>());
    for mut all in [of_a, of_b] {
        all.sort_unstable();
        assert_eq!(all, (10..20).chain(110..120).collect::<Vec<_>>());
    }
    for bridge in [to_a, to_b] {
        assert_eq!(bridge.metric("repeated_total", &[]), 0);
    }
}

#[test]
fn two_networks_of_three_hosts_are_one_realm() {
    let Some(networks) = Networks::chain(3) else { return };
    let hosts = [Host::new("three-a"), Host::new("three-b"), Host::new("three-c")];
    let both = ["--export", "*", "--import", "*"];
    // The host in the middle has an address in both networks, and passes messages on.
    let middle = ["--mode", "router", "--listen", "tcp/10.9.0.2:7447", "--listen", "tcp/10.9.1.1:7447"];
    let _b = hosts[1].bridge_in(networks.name(1), &[&middle[..], &both[..]].concat());
    let _a = hosts[0].bridge_in(
        networks.name(0),
        &[&["--mode", "client", "--connect", "tcp/10.9.0.2:7447"], &both[..]].concat(),
    );
    let _c = hosts[2].bridge_in(
        networks.name(2),
        &[&["--mode", "client", "--connect", "tcp/10.9.1.1:7447"], &both[..]].concat(),
    );
    for (at, host) in hosts.iter().enumerate() {
        let name = format!("of-{at}");
        let mut publisher = host.publisher(&name, &numbers().slots(1024));
        let others = hosts.iter().enumerate().filter(|(other, _)| *other != at);
        for mut subscriber in others.map(|(_, other)| other.subscriber(&name)) {
            let (next, _) = until_received(&mut publisher, &mut subscriber, 0);
            drain(&mut subscriber);
            for n in next..next + 100 {
                publisher.send_bytes(&n.to_le_bytes()).unwrap();
                std::thread::sleep(Duration::from_micros(500));
            }
            assert_eq!(drain(&mut subscriber), (next..next + 100).collect::<Vec<_>>());
        }
    }
}

#[test]
fn network_that_comes_back_carries_messages_again() {
    let Some(networks) = Networks::chain(2) else { return };
    let (a, b) = (Host::new("cut-a"), Host::new("cut-b"));
    let short = ["--config", &a.file("lease.toml")];
    std::fs::write(short[1], "lease_ms = 1000\n").unwrap();
    let listen = ["--listen", "tcp/10.9.0.1:7447", "--export", "*"];
    let _out = a.bridge_in(networks.name(0), &[&short[..], &listen[..]].concat());
    let connect = ["--connect", "tcp/10.9.0.1:7447", "--import", "*"];
    let to_b = b.bridge_in(networks.name(1), &[&short[..], &connect[..]].concat());
    let mut publisher = a.publisher("x", &numbers());
    let mut subscriber = b.subscriber("x");
    let (next, _) = until_received(&mut publisher, &mut subscriber, 0);
    let last = drain(&mut subscriber).last().copied().unwrap_or(next - 1);
    let lost = to_b.metric("lost_total", &["x"]);
    networks.link(0, "down");
    wait_until("end of the lease", || {
        matches!(subscriber.recv_timeout(Duration::from_millis(10)), Err(DynError::Disconnected))
    });
    networks.link(0, "up");
    let (_, first) = until_received(&mut publisher, &mut subscriber, last + 1);
    wait_until("exact loss", || to_b.metric("lost_total", &["x"]) == lost + first - last - 1);
}
