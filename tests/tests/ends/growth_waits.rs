//! Channels whose slots grow and whose publisher waits: subscribers in all segments hold it up, and no message is lost.

use super::growth::{BLOBS, PATIENCE, blob, blobs, drain, number};
use shmcomm::codec::Bytes;
use shmcomm::{Opener, Overflow, PubSub, Publisher, WaitSet};
use shmcomm_tests::{Namespace, namespace, stage};
use std::thread;
use std::time::Duration;

#[test]
fn part() {
    stage::play(&[("subscribe and hang", subscribe_and_hang)]);
}

/// A channel of 8 slots whose publisher waits.
fn lossless(ns: &Namespace) -> Opener<PubSub<[u8], Bytes>> {
    blobs(ns, 1 << 16).slots(8).overflow(Overflow::Wait).patience(Duration::MAX)
}

/// Sends until there is no room, and returns the number of the next message.
fn fill(publisher: &mut Publisher<[u8], Bytes>, mut next: u64, len: usize) -> u64 {
    while publisher.try_send(&blob(next, len)).is_ok() {
        next += 1;
        assert!(next < 1000, "the publisher waits for no subscriber");
    }
    next
}

#[test]
fn publisher_that_waits_loses_nothing_by_growing() {
    let ns = namespace("waits");
    let mut publisher = lossless(&ns).publisher().unwrap();
    let mut subscribers: Vec<_> = (0..2).map(|_| lossless(&ns).subscriber().unwrap()).collect();
    publisher.send(&blob(0, 10)).unwrap();
    publisher.send(&blob(1, 1000)).unwrap();
    subscribers.push(lossless(&ns).subscriber().unwrap());
    assert_eq!(publisher.subscribers(), 3);
    publisher.send(&blob(2, 10_000)).unwrap();
    // Subscribers in two earlier segments hold the publisher up, each at its position.
    assert_eq!(fill(&mut publisher, 3, 20), 8);
    assert!(!publisher.wait_for_room(Duration::from_millis(5)));
    assert_eq!(number(&subscribers[0].recv().unwrap()), 0);
    assert_eq!(fill(&mut publisher, 8, 20), 8);
    assert_eq!(number(&subscribers[1].recv().unwrap()), 0);
    assert_eq!(fill(&mut publisher, 8, 20), 9);
    let sent = 500;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 9..sent {
                publisher.send(&blob(number, 10 + (number as usize * 97) % 40_000)).unwrap();
            }
        });
        for (i, subscriber) in subscribers.iter_mut().enumerate() {
            scope.spawn(move || {
                for expected in [1, 1, 2][i]..sent {
                    assert_eq!(number(&subscriber.recv_timeout(PATIENCE).unwrap()), expected);
                }
                assert_eq!(subscriber.lost(), 0);
            });
        }
    });
}

#[test]
fn successor_waits_for_earlier_subscribers() {
    let ns = namespace("heirs");
    let mut publisher = lossless(&ns).publisher().unwrap();
    let mut subscriber = lossless(&ns).subscriber().unwrap();
    let gone = stage::part("subscribe and hang", &ns);
    while publisher.subscribers() < 2 {
        thread::yield_now();
    }
    publisher.send(&blob(0, 10)).unwrap();
    publisher.send(&blob(1, 1000)).unwrap();
    drop(publisher);
    let mut heir = lossless(&ns).publisher().unwrap();
    assert_eq!(heir.subscribers(), 2);
    assert_eq!(fill(&mut heir, 2, 100), 8);
    for expected in 0..8 {
        assert_eq!(number(&subscriber.recv_timeout(PATIENCE).unwrap()), expected);
    }
    // The other subscriber is still where it was, until it dies.
    assert_eq!(fill(&mut heir, 8, 100), 8);
    let mut room = WaitSet::new();
    room.add((), &heir).unwrap();
    assert!(room.try_wait().unwrap().is_empty());
    gone.kill();
    assert_eq!(room.wait_timeout(PATIENCE).unwrap().len(), 1);
    heir.send_timeout(&blob(8, 2000), PATIENCE).unwrap();
    assert_eq!(number(&subscriber.recv_timeout(PATIENCE).unwrap()), 8);
    assert_eq!(subscriber.lost(), 0);
}

fn subscribe_and_hang() {
    let _subscriber = BLOBS.open().patience(Duration::MAX).subscriber().unwrap();
    stage::wait();
}

#[test]
fn stalled_subscriber_in_a_smaller_segment_is_evicted() {
    let ns = namespace("evicts");
    let mut publisher = lossless(&ns).publisher().unwrap();
    let mut slow = lossless(&ns).patience(Duration::from_millis(20)).subscriber().unwrap();
    publisher.send(&blob(0, 10)).unwrap();
    for number in 1..30 {
        publisher.send(&blob(number, 1000)).unwrap();
    }
    drain(&mut slow, 30);
    assert_eq!(slow.received() + slow.lost(), 30);
    assert!(slow.lost() > 0 && publisher.stats().growths == 1);
}
