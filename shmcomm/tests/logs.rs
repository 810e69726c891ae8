//! Tests of the log with `RUST_LOG=debug` and the feature `trace-slots`. The log shows segments, locks and slots,
//! for each pattern, on native channels and on channels with Python.
//!
//! Owns the logger of this program. Each test searches for records of its own channel.
// Channels with Python exist on Linux only.
#![cfg(all(target_os = "linux", feature = "python", feature = "trace-slots"))]

use log::{Level, LevelFilter, Log, Metadata, Record};
use shmcomm::codec::Bytes;
use shmcomm::python::{self, Options};
use shmcomm::{Channel, PubSub, PushPull, ReqRep};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("shmcomm") && self.enabled(record.metadata()) {
            RECORDS.lock().unwrap_or_else(PoisonError::into_inner).push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Returns a name that no other test has, and starts the log.
fn name(test: &str) -> String {
    static START: Once = Once::new();
    START.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
    format!("logs-{}-{test}", std::process::id())
}

/// Fails unless the records of the channel contain each of these texts, in this order.
#[track_caller]
fn expect(name: &str, texts: &[&str]) {
    let records = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
    let own: Vec<_> = records.iter().filter(|record| record.contains(name)).collect();
    let mut rest = own.iter();
    for text in texts {
        assert!(rest.any(|record| record.contains(text)), "no `{text}` in its place in {own:#?}");
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn native_publish_subscribe_is_in_the_log() {
    let name = name("native-pubsub");
    let open = || Channel::<PubSub<u64>>::try_new(name.clone()).unwrap();
    let mut publisher = open().publisher().unwrap();
    let mut subscriber = open().subscriber().unwrap();
    publisher.send(&7).unwrap();
    assert_eq!(subscriber.recv_timeout(LONG), Ok(7));
    drop(subscriber);
    drop(publisher);
    let texts = ["created as publisher", "registration lock acquired", "registration lock released"];
    expect(&name, &texts);
    expect(
        &name,
        &[
            "opened as subscriber",
            "lock of seat",
            "wrote 8 bytes",
            "read 8 bytes",
            "lock of seat",
            "destroyed",
        ],
    );
}

#[test]
fn native_push_pull_is_in_the_log() {
    let name = name("native-pushpull");
    let open = || Channel::<PushPull<u64>>::try_new(name.clone()).unwrap();
    let mut pusher = open().pusher().unwrap();
    let mut puller = open().puller().unwrap();
    pusher.send(&7).unwrap();
    assert_eq!(puller.recv_timeout(LONG), Ok(7));
    let mut loan = pusher.loan().unwrap();
    *loan = 8;
    loan.send().unwrap();
    puller.claim_timeout(LONG).unwrap().done();
    drop(puller);
    drop(pusher);
    let texts = ["created as pusher", "registration lock acquired", "registration lock released"];
    expect(&name, &texts);
    expect(&name, &["wrote to slot 0: 8 bytes", "read from slot 0: 8 bytes", "wrote to slot 1: 8 bytes"]);
    expect(&name, &["read from slot 1: 8 bytes", "lock of seat", "destroyed"]);
}

#[test]
fn native_request_reply_is_in_the_log() {
    let name = name("native-reqrep");
    let open = || Channel::<ReqRep<u64, u32>>::try_new(name.clone()).unwrap();
    let mut replier = open().replier().unwrap();
    let requester = open().requester().unwrap();
    let call = requester.call(&7).unwrap();
    replier.recv_timeout(LONG).unwrap().reply(&8).unwrap();
    assert_eq!(call.wait(), Ok(8));
    drop(requester);
    drop(replier);
    let texts = ["created as replier", "registration lock acquired", "registration lock released"];
    expect(&name, &texts);
    expect(
        &name,
        &["wrote to slot 0: 8 bytes", "read from slot 0: 8 bytes", "wrote a reply to slot 0: 4 bytes"],
    );
    expect(&name, &["read the reply from slot 0: 4 bytes", "lock of seat", "destroyed"]);
}

#[test]
fn publish_subscribe_with_python_is_in_the_log() {
    let name = name("pubsub");
    let mut publisher = python::Publisher::<[u8], Bytes>::open(Options::pubsub(name.clone())).unwrap();
    let mut subscriber = python::Subscriber::<Vec<u8>, Bytes>::open(Options::pubsub(name.clone())).unwrap();
    publisher.send(b"three").unwrap();
    assert_eq!(subscriber.recv_timeout(LONG).unwrap(), b"three");
    drop(subscriber);
    drop(publisher);
    expect(&name, &["created /dev/shm/shmcomm_pub_", "lock acquired", "attached to /dev/shm/shmcomm_pub_"]);
    expect(
        &name,
        &["wrote 5 bytes to slot 0", "read 5 bytes from slot 0", "detaches", "destroys", "lock released"],
    );
}

#[test]
fn push_pull_with_python_is_in_the_log() {
    let name = name("pushpull");
    let mut pusher = python::Pusher::<[u8], Bytes>::open(Options::pushpull(name.clone())).unwrap();
    let mut puller = python::Puller::<Vec<u8>, Bytes>::open(Options::pushpull(name.clone())).unwrap();
    pusher.send(b"three").unwrap();
    assert_eq!(puller.recv_timeout(LONG).unwrap(), b"three");
    let _ = std::fs::remove_file(puller.lock_path());
    drop(puller);
    drop(pusher);
    expect(&name, &["created /dev/shm/shmcomm_push_", "attached to /dev/shm/shmcomm_push_"]);
    // The lock of the pullers is reported after its release, so that no logger delays other pullers.
    expect(
        &name,
        &["wrote 5 bytes to slot 0", ": lock acquired:", ": lock released after", "read 5 bytes from slot 0"],
    );
    expect(&name, &["detaches", "destroys", "lock released"]);
}

#[test]
fn request_reply_with_python_is_in_the_log() {
    let name = name("reqrep");
    let options = || Options { connect_timeout: LONG, ..Options::reqrep(name.clone()) };
    let mut replier = python::Replier::<Vec<u8>, [u8], Bytes>::open(options()).unwrap();
    let mut requester = python::Requester::<[u8], Vec<u8>, Bytes>::open(options()).unwrap();
    requester.send(b"three").unwrap();
    assert_eq!(replier.recv_timeout(LONG).unwrap(), b"three");
    replier.send(b"four").unwrap();
    assert_eq!(requester.recv_timeout(LONG).unwrap(), b"four");
    drop(requester);
    drop(replier);
    expect(&name, &["created /dev/shm/shmcomm_req~", "lock acquired", "created /dev/shm/shmcomm_rep~"]);
    expect(&name, &["attached to /dev/shm/shmcomm_req_", "attached to /dev/shm/shmcomm_rep_"]);
    expect(&name, &["wrote 5 bytes to slot 0", "read 5 bytes from slot 0", "wrote 4 bytes to slot 0"]);
    expect(&name, &["read 4 bytes from slot 0", "detaches", "destroys", "lock released"]);
}
