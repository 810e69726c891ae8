//! The ways to receive, on a segment of another layout: history, latest, filter, in place, wait sets, tasks, tails.

use shmcomm::{Channel, PubSub, RecvError, ShmMessage, WaitSet};
use shmcomm_tests::namespace;
use std::time::Duration;

mod v1 {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Reading {
        pub number: u32,
        pub value: f32,
        pub extra: u64,
    }
}

mod v2 {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Reading {
        pub value: f64,
        pub number: u64,
        #[shm(default = "7")]
        pub unit: u64,
    }

    /// A prefix of version 1.
    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Start {
        pub number: u32,
        pub value: f32,
    }

    /// Has the size of version 1.
    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(C)]
    pub struct Swapped {
        pub extra: u64,
        pub value: f32,
        pub number: u32,
    }
}

fn old(number: u32) -> v1::Reading {
    v1::Reading { number, value: number as f32 / 2.0, extra: 9 }
}

fn new(number: u32) -> v2::Reading {
    v2::Reading { value: f64::from(number) / 2.0, number: number.into(), unit: 7 }
}

const OLD: Channel<PubSub<v1::Reading>> = Channel::new("reading").slots(16);
const NEW: Channel<PubSub<v2::Reading>> = Channel::new("reading").slots(16);
const START: Channel<PubSub<v2::Start>> = Channel::new("reading").slots(16);
const SWAPPED: Channel<PubSub<v2::Swapped>> = Channel::new("reading").slots(16);

#[test]
fn every_receive_by_value_converts() {
    let ns = namespace("by-value");
    let mut publisher = OLD.open().namespace(&*ns).publisher().unwrap();
    for number in 0..5 {
        publisher.send(&old(number)).unwrap();
    }
    let mut subscriber = NEW.open().namespace(&*ns).history(3).subscriber().unwrap();
    assert_eq!(subscriber.try_recv(), Ok(new(2)));
    assert_eq!(subscriber.recv(), Ok(new(3)));
    assert_eq!(subscriber.latest(), Ok(Some(new(4))));
    assert_eq!(subscriber.latest(), Ok(Some(new(4))));
    let resolution = subscriber.resolution();
    assert_eq!(resolution.defaulted, ["unit"]);
    assert_eq!(resolution.ignored, ["extra"]);
    assert_eq!(resolution.widened, ["value", "number"]);
    let mut set = WaitSet::new();
    set.add("reading", &subscriber).unwrap();
    assert!(set.wait_timeout(Duration::ZERO).unwrap().is_empty());
    for number in 10..14 {
        publisher.send(&old(number)).unwrap();
    }
    assert_eq!(set.wait_timeout(Duration::from_secs(60)).unwrap().len(), 1);
    let mut odd = subscriber.filter(|reading| reading.number % 2 == 1);
    assert_eq!(odd.recv(), Ok(new(11)));
    assert_eq!(odd.try_recv(), Ok(new(13)));
    assert_eq!((subscriber.received(), subscriber.lost()), (7, 0));
}

#[test]
fn layout_of_equal_size_is_converted() {
    let ns = namespace("swapped");
    let mut publisher = OLD.open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SWAPPED.open().namespace(&*ns).subscriber().unwrap();
    for number in 0..100 {
        publisher.send(&old(number)).unwrap();
        let v1::Reading { number, value, extra } = old(number);
        assert_eq!(subscriber.recv(), Ok(v2::Swapped { number, value, extra }));
    }
    assert!(subscriber.resolution().is_exact());
    assert_eq!(subscriber.resolution().to_string(), "fields moved");
}

#[test]
fn receive_in_place_needs_a_prefix() {
    let ns = namespace("in-place");
    let mut publisher = OLD.open().namespace(&*ns).publisher().unwrap();
    let mut prefix = START.open().namespace(&*ns).subscriber().unwrap();
    let mut other = NEW.open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&old(3)).unwrap();
    assert_eq!(*prefix.recv_ref().unwrap(), v2::Start { number: 3, value: 1.5 });
    assert_eq!(**prefix.latest_ref().unwrap().as_ref().unwrap(), v2::Start { number: 3, value: 1.5 });
    assert_eq!(prefix.resolution().ignored, ["extra"]);
    let Err(RecvError::Invalid(why)) = other.recv_ref() else { panic!("a refusal") };
    assert!(why.to_string().contains("another layout") && why.to_string().contains("use `recv`"), "{why}");
    assert!(other.latest_ref().is_err());
    // The message is still there.
    assert_eq!(other.recv(), Ok(new(3)));
}

#[test]
fn header_and_items_are_converted() {
    const OLD: Channel<PubSub<v1::Reading, [v1::Reading]>> = Channel::new("scan").slots(4).max_len(10);
    const NEW: Channel<PubSub<v2::Reading, [v2::Reading]>> = Channel::new("scan").slots(4).max_len(10);
    let ns = namespace("tail");
    let mut publisher = OLD.open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = NEW.open().namespace(&*ns).subscriber().unwrap();
    for len in [0, 3, 10] {
        let items: Vec<_> = (0..len).map(old).collect();
        publisher.send(&old(77), &items).unwrap();
        let scan = subscriber.recv_ref().unwrap();
        assert_eq!(*scan.header(), new(77));
        assert_eq!(scan.items(), (0..len).map(new).collect::<Vec<_>>());
    }
    assert_eq!(subscriber.resolution().defaulted, ["unit", "unit"]);
}

#[test]
fn two_publishers_are_read_by_another_version() {
    const OLD: Channel<PubSub<v1::Reading>> = Channel::new("many").slots(16).publishers(2);
    const NEW: Channel<PubSub<v2::Reading>> = Channel::new("many").slots(16).publishers(2);
    let ns = namespace("many");
    let mut one = OLD.open().namespace(&*ns).publisher().unwrap();
    let mut two = OLD.open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = NEW.open().namespace(&*ns).subscriber().unwrap();
    one.send(&old(1)).unwrap();
    two.send(&old(2)).unwrap();
    assert_eq!((subscriber.recv(), subscriber.recv()), (Ok(new(1)), Ok(new(2))));
    assert!(subscriber.publisher().is_some());
    // A publisher writes the layout of the segment exactly, and does not replace it under live publishers.
    drop(two);
    let error = NEW.open().namespace(&*ns).publisher().expect_err("a refusal");
    assert_eq!(error.kind(), shmcomm::ErrorKind::TypeMismatch);
}

#[test]
fn enum_of_another_size_is_converted() {
    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(u8)]
    enum Old {
        Off = 1,
        On = 2,
    }
    #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
    #[repr(u16)]
    enum New {
        Off = 1,
        On = 2,
    }
    let ns = namespace("enum");
    let channel = Channel::<PubSub<Old>>::try_new("state").unwrap().namespace(&*ns);
    let mut publisher = channel.publisher().unwrap();
    let mut subscriber =
        Channel::<PubSub<New>>::try_new("state").unwrap().namespace(&*ns).subscriber().unwrap();
    publisher.send(&Old::On).unwrap();
    assert_eq!(subscriber.recv(), Ok(New::On));
    assert_eq!(subscriber.resolution().widened, [""]);
}
