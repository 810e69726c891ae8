//! A publisher that is restarted with another declaration: its subscribers say why they do not follow, once.

use crate::records;
use log::Level;
use shmcomm::codec::Bytes;
use shmcomm::python::{self, Options};
use shmcomm::{ErrorKind, RecvError, ShmMessage, TryRecvError, WaitSet, channel};
use shmcomm_tests::namespace;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
#[repr(C)]
struct Before {
    number: u64,
    height: f32,
    width: f32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage)]
#[repr(C)]
struct After {
    number: u64,
    height: f64,
}

channel! {
    Old: PubSub<Before> { name: "size" }
    OldMany: PubSub<Before> { name: "many", publishers: 2 }
    OldWords: PubSub<String, Msgpack> { name: "words", slot_size: 64 }
}

// As the next version of the publisher declares them.
channel! {
    New: PubSub<After> { name: "size" }
    NewMany: PubSub<After> { name: "many", publishers: 2 }
    NewWords: PubSub<Before> { name: "words" }
}

/// The records that speak of a channel not followed.
fn refusals(of: &str) -> Vec<(Level, String)> {
    records::find(|(_, text)| text.contains("not followed") && text.contains(of))
}

#[test]
fn changed_struct_is_named_once_for_each_segment() {
    records::start();
    let ns = namespace("once");
    let mut publisher = Old::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Old::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&Before::default()).unwrap();
    assert_eq!(subscriber.recv(), Ok(Before::default()));
    assert!(subscriber.follow_error().is_none());
    drop(publisher);
    for restarts in 1..=2 {
        let other = New::open().namespace(&*ns).publisher().unwrap();
        for _ in 0..300 {
            assert_eq!(subscriber.try_recv(), Err(TryRecvError::Disconnected));
        }
        assert_eq!(subscriber.recv(), Err(RecvError::Disconnected));
        assert!(!subscriber.wait_for_publisher(Duration::from_millis(100)));
        let error = subscriber.follow_error().expect("a reason");
        assert_eq!(error.kind(), ErrorKind::TypeMismatch);
        // Field by field, as when a subscriber is opened.
        let opened = Old::open().namespace(&*ns).connect_timeout(Duration::ZERO).subscriber().err().unwrap();
        assert_eq!(error.to_string(), opened.to_string());
        assert!(error.to_string().contains("`height`"), "{error}");
        let said = refusals(&ns);
        assert_eq!(said.len(), restarts, "{said:?}");
        assert!(
            said.iter().all(|(level, text)| *level == Level::Warn && text.contains("`height`")),
            "{said:?}"
        );
        drop(other);
    }
    // One of its own declaration is followed, and nothing is left to say.
    let mut publisher = Old::open().namespace(&*ns).publisher().unwrap();
    let message = Before { number: 7, ..Before::default() };
    publisher.send(&message).unwrap();
    assert_eq!(subscriber.recv_timeout(LONG), Ok(message));
    assert!(subscriber.follow_error().is_none());
    assert_eq!(refusals(&ns).len(), 2);
}

#[test]
fn every_form_of_a_channel_names_the_change() {
    records::start();
    let ns = namespace("forms");
    let (many, words) = (OldMany::open().namespace(&*ns), OldWords::open().namespace(&*ns));
    let publishers = (many.clone().publisher().unwrap(), words.clone().publisher().unwrap());
    let (mut many, mut words) = (many.subscriber().unwrap(), words.subscriber().unwrap());
    drop(publishers);
    let _others = (
        NewMany::open().namespace(&*ns).publisher().unwrap(),
        NewWords::open().namespace(&*ns).publisher().unwrap(),
    );
    for _ in 0..10 {
        assert_eq!(many.recv(), Err(RecvError::Disconnected));
        assert_eq!(words.recv(), Err(RecvError::Disconnected));
    }
    assert_eq!(many.follow_error().unwrap().kind(), ErrorKind::TypeMismatch);
    assert_eq!(words.follow_error().unwrap().kind(), ErrorKind::ChannelMismatch);
    assert_eq!((refusals(&format!("{ns}/many")).len(), refusals(&format!("{ns}/words")).len()), (1, 1));
}

/// A set does not report the subscriber again and again.
#[test]
fn wait_set_rests_while_a_segment_cannot_be_followed() {
    records::start();
    let ns = namespace("set");
    let publisher = Old::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Old::open().namespace(&*ns).subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add("size", &subscriber).unwrap();
    drop(publisher);
    let _other = New::open().namespace(&*ns).publisher().unwrap();
    let (start, mut reports) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(2) {
        if !set.wait_timeout(Duration::from_millis(100)).unwrap().is_empty() {
            reports += 1;
            assert_eq!(subscriber.try_recv(), Err(TryRecvError::Disconnected));
        }
    }
    // The departure, the other segment, and once a second after that.
    assert!((1..=5).contains(&reports), "{reports}");
    assert_eq!(subscriber.follow_error().unwrap().kind(), ErrorKind::TypeMismatch);
    assert_eq!(refusals(&ns).len(), 1);
    drop(_other);
    let mut publisher = Old::open().namespace(&*ns).publisher().unwrap();
    publisher.send(&Before::default()).unwrap();
    while subscriber.try_recv().is_err() {
        assert!(start.elapsed() < LONG);
        set.wait_timeout(LONG).unwrap();
    }
}

/// On the Python wire a segment has no layout, but it can be damaged.
#[test]
#[cfg_attr(windows, ignore = "Windows has no channels with Python")]
fn python_wire_names_a_segment_that_cannot_be_used() {
    records::start();
    let name = format!("changed-{}", std::process::id());
    let path = format!("/dev/shm/shmcomm_pub_{name}");
    let publisher = python::Publisher::<[u8], Bytes>::open(Options::pubsub(name.clone())).unwrap();
    let mut subscriber = python::Subscriber::<Vec<u8>, Bytes>::open(Options::pubsub(name.clone())).unwrap();
    drop(publisher);
    std::fs::write(&path, [7; 8192]).unwrap();
    let start = Instant::now();
    while subscriber.follow_error().is_none() {
        assert_eq!(
            subscriber.recv_timeout(Duration::from_millis(10)),
            Err(python::RecvTimeoutError::Timeout)
        );
        assert!(start.elapsed() < LONG);
    }
    assert!(subscriber.recv_timeout(Duration::from_millis(300)).is_err());
    let error = subscriber.follow_error().unwrap();
    assert!(error.to_string().contains(&path), "{error}");
    let said = refusals(&name);
    assert!(said.len() == 1 && said[0].0 == Level::Warn, "{said:?}");
    std::fs::remove_file(&path).unwrap();
    let mut publisher = python::Publisher::<[u8], Bytes>::open(Options::pubsub(name.clone())).unwrap();
    publisher.send(b"again").unwrap();
    assert_eq!(subscriber.recv_timeout(LONG), Ok(b"again".to_vec()));
    assert!(subscriber.follow_error().is_none());
}
