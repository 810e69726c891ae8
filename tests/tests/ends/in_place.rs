//! The key `in_place`: pinned slots at every size, copies up to 4096 bytes, and both ends agree.

use shmcomm::{
    Channel, Content, Declaration, Discipline, DynPublisher, ErrorKind, Overflow, PubSub, TrySendError,
    channel, describe,
};
use shmcomm_tests::namespace;

channel! {
    Poses: PubSub<[u64; 8]> { name: "poses", slots: 8, in_place: true }
    Clouds: PubSub<[u64; 128]> { name: "clouds", slots: 8, in_place: false }
}

// Declarations of other programs.
channel! { Copies: PubSub<[u64; 8]> { name: "poses", slots: 8, in_place: false } }
channel! { Unset: PubSub<[u64; 8]> { name: "poses", slots: 8 } }

const SEVERAL: Channel<PubSub<[u64; 8]>> = Channel::new("several").slots(8).publishers(2).in_place(true);

fn discipline(name: &str) -> Option<Discipline> {
    describe(name).unwrap().expect("the channel exists").discipline
}

#[test]
fn small_messages_are_in_place_if_declared() {
    let ns = namespace("pinned");
    let mut publisher = Poses::open().namespace(&*ns).publisher().unwrap();
    assert_eq!(discipline(publisher.name()), Some(Discipline::Pinned));
    let mut subscriber = Poses::open().namespace(&*ns).subscriber().unwrap();
    let mut loan = publisher.loan().unwrap();
    *loan = [1; 8];
    loan.send().unwrap();
    let kept = subscriber.recv_ref().unwrap();
    for number in 2..20 {
        publisher.send(&[number; 8]).unwrap();
    }
    // The publisher has skipped the slot of the sample in each lap.
    assert_eq!((*kept, publisher.stats().holes), ([1; 8], 2));
    drop(kept);
    // By value, too.
    let mut last = 0;
    while let Some(message) = subscriber.try_recv().ok().or_else(|| subscriber.try_recv().ok()) {
        assert_eq!(message, [message[0]; 8]);
        assert!(message[0] > last);
        last = message[0];
    }
    assert_eq!(last, 19);
}

#[test]
fn pinned_slots_limit_subscribers() {
    let ns = namespace("limit");
    let _publisher = Poses::open().namespace(&*ns).publisher().unwrap();
    let subscriber = || Poses::open().namespace(&*ns).subscriber();
    let _subscribers: Vec<_> = (0..6).map(|_| subscriber().unwrap()).collect();
    let error = subscriber().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSeat);
    let text = error.to_string();
    for part in ["6 seats for subscribers", "`in_place: true`", "the 8 slots", "raise `slots`"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn copied_messages_occupy_no_slot() {
    let ns = namespace("copied");
    let mut publisher = Clouds::open().namespace(&*ns).publisher().unwrap();
    assert_eq!(discipline(publisher.name()), Some(Discipline::Copied));
    let mut subscribers: Vec<_> =
        (0..20).map(|_| Clouds::open().namespace(&*ns).subscriber().unwrap()).collect();
    publisher.send(&[1; 128]).unwrap();
    let kept: Vec<_> = subscribers.iter_mut().map(|subscriber| subscriber.recv_ref().unwrap()).collect();
    for number in 2..20 {
        publisher.send(&[number; 128]).unwrap();
    }
    assert!(kept.iter().all(|sample| **sample == [1; 128]));
    assert_eq!(publisher.stats().holes, 0);
}

#[test]
fn several_publishers_send_small_messages_in_place() {
    let ns = namespace("several");
    let mut publishers = [0, 1].map(|_| SEVERAL.open().namespace(&*ns).publisher().unwrap());
    assert_eq!(discipline(publishers[0].name()), Some(Discipline::MultiPinned));
    let mut subscriber = SEVERAL.open().namespace(&*ns).subscriber().unwrap();
    publishers[0].send(&[1; 8]).unwrap();
    let kept = subscriber.recv_ref().unwrap();
    for number in 2..50 {
        publishers[number as usize % 2].send(&[number; 8]).unwrap();
    }
    assert_eq!(*kept, [1; 8]);
    drop(kept);
    assert_eq!(subscriber.latest().unwrap(), Some([49; 8]));
}

#[test]
fn publisher_in_place_waits_for_subscribers() {
    let ns = namespace("waits");
    let open = || Poses::open().namespace(&*ns).overflow(Overflow::Wait);
    let mut publisher = open().publisher().unwrap();
    let mut subscriber = open().subscriber().unwrap();
    let mut sent = 0;
    while sent < 100 {
        match publisher.try_send(&[sent; 8]) {
            Ok(()) => sent += 1,
            Err(TrySendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((1..100).contains(&sent), "{sent} messages in 8 slots");
    for number in 0..sent {
        assert_eq!(*subscriber.try_recv_ref().unwrap(), [number; 8]);
    }
    publisher.try_send(&[sent; 8]).unwrap();
    assert_eq!(subscriber.lost(), 0);
}

#[test]
fn ends_that_disagree_name_both_values() {
    let ns = namespace("disagree");
    let publisher = Poses::open().namespace(&*ns).publisher().unwrap();
    let error = Copies::open().namespace(&*ns).subscriber().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch);
    let text = error.to_string();
    assert!(text.contains("`in_place: true`") && text.contains("`in_place: false`"), "{text}");
    // A subscriber without the key takes the segment as it is.
    let mut subscriber = Unset::open().namespace(&*ns).subscriber().unwrap();
    drop(publisher);
    // The next publisher replaces the segment, and the subscriber follows.
    let mut publisher = Copies::open().namespace(&*ns).publisher().unwrap();
    assert_eq!(discipline(publisher.name()), Some(Discipline::Copied));
    publisher.send(&[3; 8]).unwrap();
    assert_eq!(subscriber.recv_timeout(std::time::Duration::from_secs(30)), Ok([3; 8]));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let ns = namespace("refused");
    let invalid = |error: shmcomm::Error, parts: &[&str]| {
        assert_eq!(error.kind(), ErrorKind::InvalidGeometry);
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{text}");
        }
    };
    let large = Channel::<PubSub<[u8; 4097]>>::new("large").open().namespace(&*ns);
    invalid(large.in_place(false).publisher().unwrap_err(), &["4097 bytes", "at most 4096 are copied"]);
    let seats = Poses::open().namespace(&*ns).seats(8);
    invalid(seats.publisher().unwrap_err(), &["8 seats", "8 slots", "6 subscribers", "take 16 slots"]);
    let seats = Poses::open().namespace(&*ns).seats(58).subscriber();
    invalid(seats.unwrap_err(), &["58 seats", "fewer `seats`"]);
    let declaration = Declaration::pub_sub(Content::Bytes).slot_size(8192).in_place(false);
    invalid(DynPublisher::create(&format!("{}/bytes", &*ns), &declaration).unwrap_err(), &["8192 bytes"]);
    let declaration = Declaration::push_pull(Content::Bytes).in_place(true);
    let error = shmcomm::DynPusher::create(&format!("{}/jobs", &*ns), &declaration).unwrap_err();
    invalid(error, &["`in_place` is for native publish/subscribe"]);
}

#[test]
fn described_channel_keeps_its_discipline() {
    let ns = namespace("described");
    let publisher = Poses::open().namespace(&*ns).publisher().unwrap();
    let what = describe(publisher.name()).unwrap().unwrap();
    drop(publisher);
    let copy = format!("{}/copy", &*ns);
    let _publisher = DynPublisher::create(&copy, &Declaration::from(&what)).unwrap();
    assert_eq!(discipline(&copy), Some(Discipline::Pinned));
}
