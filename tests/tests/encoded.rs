//! Messages of any serde type on native channels, through msgpack and pickle.

use serde::{Deserialize, Serialize};
use shmcomm::codec::Value;
use shmcomm::{PushTimeoutError, SendError, TryPullError, TryPushError, TryRecvError, channel};
use shmcomm_tests::namespace;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    id: u64,
    arguments: Vec<String>,
    options: BTreeMap<String, Option<f64>>,
}

fn job(id: u64) -> Job {
    Job {
        id,
        arguments: vec!["größe".into(), "x".repeat(id as usize % 50)],
        options: [("timeout".into(), Some(1.5)), ("retries".into(), None)].into(),
    }
}

channel! {
    Packed: PubSub<Job, Msgpack> { name: "packed", slots: 64, slot_size: 512 }
    Pickled: PubSub<Job, Pickle> { name: "pickled", slots: 8, slot_size: 16 * 1024 }
    Raw: PubSub<[u8], Bytes> { name: "raw", slots: 8, slot_size: 64 }
    Work: PushPull<Job, Msgpack> { name: "work", slots: 8, slot_size: 256 }
}

channel! {
    /// The same channel for a program that knows no type.
    Anything: PubSub<Value, Pickle> { name: "pickled", slots: 8, slot_size: 16 * 1024 }
}

#[test]
fn published_through_either_codec_in_either_discipline() {
    let ns = namespace("published");
    let mut packed = Packed::open().namespace(&*ns).publisher().unwrap();
    let mut unpack = Packed::open().namespace(&*ns).subscriber().unwrap();
    let mut pickled = Pickled::open().namespace(&*ns).publisher().unwrap();
    let mut unpickle = Pickled::open().namespace(&*ns).subscriber().unwrap();
    for id in 0..200 {
        packed.send(&job(id)).unwrap();
        assert_eq!(unpack.recv(), Ok(job(id)));
        pickled.send(&job(id)).unwrap();
        assert_eq!(unpickle.recv_timeout(Duration::from_secs(5)), Ok(job(id)));
    }
    assert_eq!(unpack.latest(), Ok(Some(job(199))));
    assert_eq!(unpack.try_recv(), Err(TryRecvError::Empty));
    // Who knows no type reads it as it is.
    pickled.send(&job(3)).unwrap();
    let mut any = Anything::open().namespace(&*ns).history(1).subscriber().unwrap();
    let value = any.recv().unwrap();
    assert_eq!(value.get("id").and_then(Value::as_i64), Some(3));
}

#[test]
fn message_that_does_not_fit_is_refused_with_its_size() {
    let ns = namespace("long");
    let mut publisher = Packed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Packed::open().namespace(&*ns).subscriber().unwrap();
    let mut long = job(1);
    long.arguments.push("y".repeat(1000));
    match publisher.send(&long) {
        Err(SendError::TooLong { size, capacity: 512 }) => assert!((1000..1200).contains(&size), "{size}"),
        other => panic!("{other:?}"),
    }
    publisher.send(&job(2)).unwrap();
    assert_eq!(subscriber.try_recv(), Ok(job(2)));
    assert_eq!(publisher.stats().messages, 1);

    let mut pusher = Work::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Work::open().namespace(&*ns).puller().unwrap();
    let error = pusher.send_timeout(&long, Duration::ZERO).unwrap_err();
    assert!(
        matches!(error, PushTimeoutError::Unencodable(_)) && error.to_string().contains("256"),
        "{error}"
    );
    assert_eq!(puller.try_recv(), Err(TryPullError::Empty));
    for id in 0..8 {
        pusher.try_send(&job(id)).unwrap();
    }
    assert_eq!(pusher.try_send(&job(8)), Err(TryPushError::Full));
    for id in 0..8 {
        assert_eq!(puller.recv(), Ok(job(id)));
    }
}

#[test]
fn bytes_that_are_no_message_are_refused_and_the_next_is_received() {
    let ns = namespace("refused");
    let mut raw = Raw::open().namespace(&*ns).publisher().unwrap();
    raw.send(b"abc").unwrap();
    // The same name with another codec is told apart when it is opened.
    channel! { Other: PubSub<Job, Msgpack> { name: "raw", slots: 8, slot_size: 64 } }
    let open = Other::open().namespace(&*ns).connect_timeout(Duration::ZERO).subscriber();
    let text = open.map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("raw bytes") && text.contains("msgpack"), "{text}");

    // Another type of the same codec shows only in the message.
    channel! { Wrong: PubSub<BTreeMap<String, u8>, Pickle> { name: "pickled", slots: 8, slot_size: 16 * 1024 } }
    let mut publisher = Wrong::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Pickled::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&BTreeMap::from([("id".to_owned(), 1)])).unwrap();
    match subscriber.try_recv() {
        Err(TryRecvError::Invalid(why)) => assert!(why.to_string().contains("Job"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}
