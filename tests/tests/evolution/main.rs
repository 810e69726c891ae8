//! A fleet that is upgraded one process at a time: two versions of each message, between processes.
//!
//! Every row of the table in `docs/evolution.md` is a module of `rows`.

#![allow(dead_code, reason = "each row sends and reads what it needs")]

mod queues;
mod rows;
mod subscribers;

use shmcomm::{Channel, ErrorKind, PubSub, RecvTimeoutError, ShmMessage, Subscriber};
use shmcomm_tests::{Namespace, Peer, say, stage};
use std::fmt::Debug;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

/// A version of a message. `number` is the same in all versions.
pub trait Version: ShmMessage + Clone + PartialEq + Debug {
    fn sent(number: u64) -> Self;
    fn number(&self) -> u64;
}

/// Result of reading the messages of the other version.
#[derive(Clone, Copy)]
pub enum Expect<R> {
    /// It reads each as the value that this function returns for its number.
    Reads(fn(u64) -> R),
    /// It refuses them, with these words.
    Refuses(&'static str),
}

pub const CHANNEL: &str = "evolving";

/// Publishes until it is killed: the part of a writer.
pub fn publish<M: Version>() {
    let mut publisher = Channel::<PubSub<M>>::try_new(CHANNEL).unwrap().publisher().unwrap();
    say("up");
    for number in 1.. {
        publisher.send(&M::sent(number)).unwrap();
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn start(part: &str, ns: &Namespace) -> Peer {
    let mut writer = stage::part_of("rows::part", part, ns);
    assert_eq!(writer.said(), "up");
    writer
}

/// Receives messages of one writer, and checks them.
fn receive<R: Version>(subscriber: &mut Subscriber<R>, expected: fn(u64) -> R) {
    let (mut last, start) = (0, Instant::now());
    let mut received = 0;
    while received < 20 {
        assert!(start.elapsed() < LONG, "{:?}", subscriber.follow_error());
        match subscriber.recv_timeout(Duration::from_millis(100)) {
            Ok(message) => {
                // The ring of the killed writer may have messages left.
                if message == expected(message.number()) && message.number() > last {
                    last = message.number();
                    received += 1;
                } else {
                    (last, received) = (0, 0);
                }
            }
            Err(RecvTimeoutError::Lagged(_) | RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(2)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks a reader of version `R`, whose own writer is the part `own`, against writers of both versions.
pub fn check<R: Version>(own: &str, other: &str, expect: Expect<R>, ns: &Namespace) {
    let open = || Channel::<PubSub<R>>::try_new(CHANNEL).unwrap().namespace(&**ns);
    // Attaches to the other version.
    let writer = start(other, ns);
    match expect {
        Expect::Reads(expected) => receive(&mut open().subscriber().unwrap(), expected),
        Expect::Refuses(words) => {
            let error = open().subscriber().expect_err("a refusal");
            assert_eq!(error.kind(), ErrorKind::TypeMismatch);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    writer.kill();
    // Is attached while writers are rolled out and back, each killed under traffic.
    let mut writer = start(own, ns);
    let mut subscriber = open().subscriber().unwrap();
    receive(&mut subscriber, R::sent);
    assert!(subscriber.resolution().is_exact());
    for _ in 0..2 {
        writer.kill();
        writer = start(other, ns);
        match expect {
            Expect::Reads(expected) => receive(&mut subscriber, expected),
            Expect::Refuses(words) => {
                let start = Instant::now();
                while subscriber.follow_error().is_none() {
                    assert!(start.elapsed() < LONG);
                    let _ = subscriber.recv_timeout(Duration::from_millis(20));
                }
                let error = subscriber.follow_error().unwrap();
                assert!(error.to_string().contains(words), "{error}");
            }
        }
        writer.kill();
        writer = start(own, ns);
        let start = Instant::now();
        receive(&mut subscriber, R::sent);
        // If converted messages equal own ones, those may have been left by the killed writer.
        while !subscriber.resolution().is_exact() {
            assert!(start.elapsed() < LONG, "{}", subscriber.resolution());
            receive(&mut subscriber, R::sent);
        }
        assert!(subscriber.follow_error().is_none());
    }
}
