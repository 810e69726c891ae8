//! The size of the messages decides whether they are copied or in place, and the default number of slots.

use shmcomm::{Channel, Declaration, Discipline, DynPublisher, ErrorKind, Opener, PubSub, channel, describe};
use shmcomm_tests::namespace;

channel! {
    Small: PubSub<[u8; 512]> { name: "small" }
    Middle: PubSub<[u8; 513]> { name: "middle" }
    Largest: PubSub<[u8; 4096]> { name: "largest", slots: 8 }
    Few: PubSub<[u8; 1024]> { name: "few", slots: 4 }
    Served: PubSub<[u8; 1024]> { name: "served", slots: 4, seats: 3 }
    Many: PubSub<[u8; 1024]> { name: "many", seats: 58 }
    Shared: PubSub<[u8; 4096]> { name: "shared", publishers: 2 }
    Large: PubSub<[u8; 4097]> { name: "large", seats: 128 }

    Cached: PubSub<[u8; 131_072]> { name: "cached" }
    Mega: PubSub<[u8; 1 << 20]> { name: "mega" }
    Camera: PubSub<u64, [u8]> { name: "camera", max_len: 1920 * 1080 * 3 }
    Viewed: PubSub<[u8; 6_220_800]> { name: "viewed", seats: 5 }
    Chosen: PubSub<[u8; 6_220_800]> { name: "chosen", slots: 2 }
    Jobs: PushPull<[u8; 1 << 20]> { name: "jobs" }
}

/// Opens a publisher and returns discipline and number of seats of its segment.
fn made<M: shmcomm::ShmMessage>(opener: Opener<PubSub<M>>) -> (Option<Discipline>, u32) {
    let publisher = opener.publisher().unwrap();
    let made = describe(publisher.name()).unwrap().unwrap();
    (made.discipline, made.seats)
}

#[test]
fn seats_decide_whether_middle_sizes_are_in_place() {
    let ns = namespace("sizes-middle");
    let (copied, pinned) = (Some(Discipline::Copied), Some(Discipline::Pinned));
    assert_eq!(made(Small::open().namespace(&*ns)), (copied, 128));
    assert_eq!(made(Middle::open().namespace(&*ns)), (pinned, 57));
    assert_eq!(made(Largest::open().namespace(&*ns)), (pinned, 7));
    assert_eq!(made(Few::open().namespace(&*ns)), (copied, 128), "too few slots for pins");
    assert_eq!(made(Served::open().namespace(&*ns)), (pinned, 3));
    assert_eq!(made(Many::open().namespace(&*ns)), (copied, 58), "no declared seat is lost");
    assert_eq!(made(Shared::open().namespace(&*ns)), (Some(Discipline::MultiCopied), 128));
    assert_eq!(made(Large::open().namespace(&*ns)), (pinned, 57));
}

#[test]
fn channel_in_place_without_a_seat_names_the_cure() {
    let ns = namespace("sizes-cure");
    let _publisher = Largest::open().namespace(&*ns).publisher().unwrap();
    let _subscribers: Vec<_> =
        (0..6).map(|_| Largest::open().namespace(&*ns).subscriber().unwrap()).collect();
    let error = Largest::open().namespace(&*ns).subscriber().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSeat);
    assert!(error.to_string().contains("declare more `seats`"), "{error}");
}

#[test]
fn recreated_channel_has_the_same_discipline() {
    let ns = namespace("sizes-again");
    for (name, seats) in [("in-place", None), ("copied", Some(128))] {
        let opener = Channel::<PubSub<[u8; 1024]>>::try_new(name).unwrap().namespace(&*ns);
        let opener = if let Some(seats) = seats { opener.seats(seats) } else { opener };
        let publisher = opener.publisher().unwrap();
        let first = describe(publisher.name()).unwrap().unwrap();
        let other = format!("{}-again", publisher.name());
        let _again = DynPublisher::create(&other, &Declaration::from(&first)).unwrap();
        let second = describe(&other).unwrap().unwrap();
        assert_eq!((first.discipline, first.seats), (second.discipline, second.seats), "{name}");
    }
}

#[test]
fn large_messages_have_few_slots_by_default() {
    assert_eq!((Small::SLOTS, Cached::SLOTS, Mega::SLOTS), (64, 64, 8));
    assert_eq!((Camera::SLOTS, Viewed::SLOTS, Chosen::SLOTS), (4, 8, 2));
    assert_eq!(Jobs::SLOTS, 64, "a queue holds as many jobs at every size");
    let ns = namespace("sizes-slots");
    let publisher = Camera::open().namespace(&*ns).publisher().unwrap();
    let bytes = describe(publisher.name()).unwrap().unwrap().slots * (Camera::SLOT_SIZE as u64 + 512);
    assert!(bytes <= 32_000_000, "{bytes} bytes for one publisher and two subscribers");
    let _two = [(); 2].map(|()| Camera::open().namespace(&*ns).subscriber().unwrap());
}

#[test]
fn default_slots_follow_a_size_at_run_time() {
    let ns = namespace("sizes-run-time");
    let slots = |len: usize| {
        let name = format!("tail-{len}");
        let publisher = Camera::open().name(name).namespace(&*ns).max_len(len).publisher().unwrap();
        describe(publisher.name()).unwrap().unwrap().slots
    };
    assert_eq!([1000, 1 << 18, 1 << 19, 1 << 21].map(slots), [64, 16, 8, 8]);
}
