//! Channels whose slots grow: no message is lost by a step, and subscribers, observers and wait sets follow.

use shmcomm::codec::Bytes;
use shmcomm::{
    Channel, Content, Declaration, DynPublisher, DynSubscriber, ErrorKind, Observed, Observer, Opener,
    PubSub, Publisher, RecvTimeoutError, SendError, Subscriber, TryRecvError, WaitSet, channel,
    list_segments_in,
};
use shmcomm_tests::{Namespace, namespace, stage};
use std::thread;
use std::time::Duration;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

channel! {
    Scans: PubSub<u64, [u8]> { name: "scans", slots: 16, max_len: 56, grow: 64 KiB }
    Names: PubSub<[String], Msgpack> { name: "names", slots: 8, slot_size: 64, grow: 1 MiB }
}

/// Copied up to 512 bytes, and pinned from the start if the limit is larger.
pub(super) const BLOBS: Channel<PubSub<[u8], Bytes>> = Channel::new("blobs").slots(16).slot_size(64);

pub(super) fn blobs(ns: &Namespace, grow: usize) -> Opener<PubSub<[u8], Bytes>> {
    BLOBS.open().namespace(&**ns).grow(grow)
}

/// Returns a message that verifies itself: every byte follows from its number and its length.
pub(super) fn blob(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(len.max(8), number as u8 ^ len as u8);
    bytes
}

/// Returns the number of a message that is whole.
pub(super) fn number(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, blob(number, bytes.len()), "torn");
    number
}

#[test]
fn message_beyond_the_slot_grows_the_slots() {
    for grow in [512, 4096, 1 << 20] {
        let ns = namespace("grows");
        let mut publisher = blobs(&ns, grow).publisher().unwrap();
        let mut subscriber = blobs(&ns, grow).subscriber().unwrap();
        let sizes = [64, 65, 100, 200, 10, grow, 64];
        for (i, size) in sizes.into_iter().enumerate() {
            publisher.send(&blob(i as u64, size)).unwrap();
        }
        for (i, size) in sizes.into_iter().enumerate() {
            let message = subscriber.recv_timeout(PATIENCE).unwrap();
            assert_eq!((number(&message), message.len()), (i as u64, size.max(8)));
        }
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
        let stats = publisher.stats();
        assert_eq!((stats.slot_size, stats.grow, stats.growths), (grow as u64, grow as u64, 3));
        // The counts go on, and so does the time of the publisher.
        assert_eq!((stats.messages, stats.position, stats.named), (7, 7, true));
        assert_eq!(stats.bytes, sizes.map(|size| size.max(8) as u64).iter().sum::<u64>());
        assert_eq!(stats.publisher().unwrap().messages, 7);
        assert_eq!((subscriber.received(), subscriber.lost()), (7, 0));
        let listed = &list_segments_in(&ns).unwrap()[0];
        assert_eq!((listed.version, listed.grow, listed.growths), (3, grow as u64, 3));
        assert_eq!(listed.participants.len(), 2);
    }
}

#[test]
fn tails_and_encoded_messages_grow() {
    let ns = namespace("kinds");
    let mut publisher = Scans::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Scans::open().namespace(&*ns).subscriber().unwrap();
    assert_eq!((Scans::SLOT_SIZE, Scans::GROW, publisher.max_len()), (64, 65536, 65528));
    for len in [1, 56, 57, 3000, 65528, 2] {
        let mut loan = publisher.loan(len).unwrap();
        let (header, items) = loan.parts_mut();
        *header = len as u64;
        items.fill(len as u8);
        loan.send().unwrap();
        publisher.send(&7, &[3; 100][..len.min(100)]).unwrap();
    }
    for len in [1, 56, 57, 3000, 65528, 2] {
        let scan = subscriber.recv_ref_timeout(PATIENCE).unwrap();
        assert_eq!(*scan.header(), len as u64);
        assert!(scan.items().len() == len && scan.items().iter().all(|&item| item == len as u8));
        drop(scan);
        assert_eq!(subscriber.recv_ref_timeout(PATIENCE).unwrap().items().len(), len.min(100));
    }
    let mut publisher = Names::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Names::open().namespace(&*ns).subscriber().unwrap();
    for len in [1, 10, 1000, 100_000] {
        publisher.send(&["x".repeat(len)]).unwrap();
    }
    for len in [1, 10, 1000, 100_000] {
        assert_eq!(subscriber.recv_timeout(PATIENCE).unwrap()[0].len(), len);
    }
    assert_eq!(publisher.stats().growths, 2);
}

#[test]
fn subscriber_two_growths_behind_loses_nothing() {
    let ns = namespace("lags");
    let mut publisher = blobs(&ns, 1 << 16).publisher().unwrap();
    let mut first = blobs(&ns, 1 << 16).subscriber().unwrap();
    publisher.send(&blob(0, 60)).unwrap();
    publisher.send(&blob(1, 600)).unwrap();
    // One subscriber is in each segment.
    let mut second = blobs(&ns, 1 << 16).subscriber().unwrap();
    publisher.send(&blob(2, 30)).unwrap();
    publisher.send(&blob(3, 6000)).unwrap();
    let mut late = blobs(&ns, 1 << 16).history(16).subscriber().unwrap();
    publisher.send(&blob(4, 20)).unwrap();
    for expected in 0..5 {
        assert_eq!(number(&first.recv_timeout(PATIENCE).unwrap()), expected);
        // The history of a late joiner reaches back into the first segment.
        assert_eq!(number(&late.recv_timeout(PATIENCE).unwrap()), expected);
    }
    for expected in 2..5 {
        assert_eq!(number(&second.recv_timeout(PATIENCE).unwrap()), expected);
    }
    assert_eq!((first.lost(), second.lost(), late.lost()), (0, 0, 0));
}

#[test]
fn overwritten_messages_are_counted_over_growths() {
    for grow in [512, 1 << 16] {
        let ns = namespace("counts");
        let mut publisher = blobs(&ns, grow).publisher().unwrap();
        let mut subscribers: Vec<_> = (0..3).map(|_| blobs(&ns, grow).subscriber().unwrap()).collect();
        let (mut sent, mut sizes) = (0, [20, 60, 100, 500].iter().cycle());
        for burst in [5, 40, 3, 16, 100, 1] {
            for _ in 0..burst {
                publisher.send(&blob(sent, *sizes.next().unwrap())).unwrap();
                sent += 1;
            }
            // The others stay behind, in the first segment.
            drain(&mut subscribers[0], sent);
        }
        for subscriber in &mut subscribers {
            drain(subscriber, sent);
            assert_eq!(subscriber.received() + subscriber.lost(), sent);
        }
        assert!(subscribers[2].lost() > 100 && subscribers[0].lost() < subscribers[2].lost());
    }
}

/// Receives up to the last message, and checks each count of lost ones.
pub(super) fn drain(subscriber: &mut Subscriber<[u8], Bytes>, sent: u64) {
    let mut expected = subscriber.received() + subscriber.lost();
    while expected < sent {
        match subscriber.recv_timeout(PATIENCE) {
            Ok(message) => {
                assert_eq!(number(&message), expected);
                expected += 1;
            }
            Err(RecvTimeoutError::Lagged(lost)) => expected += lost,
            Err(other) => panic!("{other}, at {expected} of {sent}"),
        }
    }
}

#[test]
fn message_beyond_the_limit_names_the_numbers() {
    let ns = namespace("limit");
    let mut publisher = blobs(&ns, 3000).publisher().unwrap();
    let mut subscriber = blobs(&ns, 3000).subscriber().unwrap();
    let error = publisher.send(&[0; 3001]).unwrap_err();
    assert_eq!(error, SendError::TooLong { size: 3001, capacity: 3000 });
    assert!(error.to_string().contains("3001") && error.to_string().contains("`grow`"), "{error}");
    assert_eq!(publisher.stats().growths, 0);
    publisher.send(&blob(1, 3000)).unwrap();
    assert_eq!(publisher.stats().slot_size, 3000);
    assert_eq!(number(&subscriber.recv_timeout(PATIENCE).unwrap()), 1);
    // Without the key, the error is the same.
    let mut plain = BLOBS.open().namespace(&*ns).name("plain").publisher().unwrap();
    assert_eq!(plain.send(&[0; 65]), Err(SendError::TooLong { size: 65, capacity: 64 }));
}

#[test]
fn too_little_memory_keeps_message_and_channel() {
    let ns = namespace("full");
    // More than any machine has: 4096 slots of 2 GiB.
    let open = || blobs(&ns, 1 << 31).slots(4096);
    let mut publisher = open().publisher().unwrap();
    let mut subscriber = open().subscriber().unwrap();
    publisher.send(&blob(1, 10)).unwrap();
    let message = vec![0; (1 << 30) + 1];
    match publisher.send(&message) {
        Err(SendError::NotGrown(why)) => {
            assert_eq!(why.kind(), ErrorKind::NoSpace);
            let text = why.to_string();
            assert!(text.contains("1073741825 bytes") && text.contains("free"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    drop(message);
    publisher.send(&blob(2, 64)).unwrap();
    assert_eq!((publisher.stats().growths, publisher.stats().named), (0, true));
    publisher.send(&blob(3, 65)).unwrap();
    for expected in 1..4 {
        assert_eq!(number(&subscriber.recv_timeout(PATIENCE).unwrap()), expected);
    }
}

#[test]
fn successor_resumes_the_grown_size() {
    let ns = namespace("heir");
    let mut publisher = blobs(&ns, 1 << 16).publisher().unwrap();
    let mut subscriber = blobs(&ns, 1 << 16).subscriber().unwrap();
    publisher.send(&blob(0, 5000)).unwrap();
    drop(publisher);
    let mut heir = blobs(&ns, 1 << 16).publisher().unwrap();
    assert_eq!((heir.stats().slot_size, heir.stats().growths), (8192, 1));
    heir.send(&blob(1, 8000)).unwrap();
    heir.send(&blob(2, 9000)).unwrap();
    for expected in 0..3 {
        assert_eq!(number(&subscriber.recv_timeout(PATIENCE).unwrap()), expected);
    }
    assert_eq!(heir.stats().growths, 2);
    // Another limit is another declaration: the segment begins anew.
    drop(heir);
    let mut other = blobs(&ns, 1 << 17).publisher().unwrap();
    assert_eq!((other.stats().slot_size, other.stats().growths, other.stats().position), (64, 0, 0));
    other.send(&blob(3, 10)).unwrap();
    assert_eq!(number(&subscriber.recv_timeout(PATIENCE).unwrap()), 3);
}

#[test]
fn latest_and_wait_sets_follow() {
    let ns = namespace("sets");
    let mut publisher = blobs(&ns, 1 << 16).publisher().unwrap();
    let mut subscriber = blobs(&ns, 1 << 16).subscriber().unwrap();
    let mut latest = blobs(&ns, 1 << 16).subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add(1, &subscriber).unwrap();
    let mut senders = WaitSet::new();
    senders.add(2, &publisher).unwrap();
    for round in 0..6 {
        assert_eq!(senders.wait_timeout(PATIENCE).unwrap().len(), 1, "a publisher that overwrites is ready");
        publisher.send(&blob(round, 50 << round)).unwrap();
        let ready = set.wait_timeout(PATIENCE).unwrap();
        assert_eq!(ready.len(), 1, "round {round}");
        loop {
            match subscriber.try_recv() {
                Ok(message) => break assert_eq!(number(&message), round),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(number(&latest.latest().unwrap().unwrap()), round);
    }
    assert_eq!((latest.received(), latest.skipped()), (6, 0));
    assert_eq!(set.try_wait().unwrap(), []);
}

#[test]
fn observer_follows_growths_without_an_event() {
    let ns = namespace("observed");
    let mut publisher = blobs(&ns, 1 << 16).publisher().unwrap();
    let mut observer = Observer::open(publisher.name()).unwrap();
    for round in 0..8 {
        publisher.send(&blob(round, 50 << round)).unwrap();
        match observer.next_timeout(PATIENCE) {
            Observed::Message(message) => {
                assert_eq!((number(message.bytes()), message.position()), (round, round));
            }
            other => panic!("{other:?}, round {round}"),
        }
    }
    assert_eq!((observer.description().slot_size, observer.description().growths), (8192, 7));
    assert!(matches!(observer.next(), Observed::Empty));
    drop(publisher);
    assert!(matches!(observer.next_timeout(PATIENCE), Observed::Gone));
    // Another publisher is an event, also if the slots have grown meanwhile.
    let mut publisher = blobs(&ns, 1 << 16).publisher().unwrap();
    publisher.send(&blob(8, 20_000)).unwrap();
    assert!(matches!(observer.next_timeout(PATIENCE), Observed::Replaced));
    assert_eq!(observer.missed(), 0);
}

#[test]
fn dynamic_ends_grow_and_follow() {
    let ns = namespace("dynamic");
    let name = format!("{ns}/dynamic");
    let declaration = Declaration::pub_sub(Content::Bytes).slots(8).slot_size(64).grow(4000);
    let mut publisher = DynPublisher::create(&name, &declaration).unwrap();
    let mut subscriber = DynSubscriber::open(&name).unwrap();
    publisher.send_bytes(&blob(0, 100)).unwrap();
    let mut loan = publisher.loan(3000).unwrap();
    loan.bytes_mut().copy_from_slice(&blob(1, 3000));
    loan.send().unwrap();
    assert!(publisher.loan(4001).unwrap_err().to_string().contains("4000"));
    for expected in 0..2 {
        assert_eq!(number(subscriber.recv_timeout(PATIENCE).unwrap().bytes()), expected);
    }
    drop(publisher);
    // A publisher of the channel as it is may grow it further, and one of the largest size opens it.
    let mut publisher = DynPublisher::open(&name).unwrap();
    publisher.send_bytes(&blob(2, 4000)).unwrap();
    drop(publisher);
    DynPublisher::open(&name).unwrap().send_bytes(&blob(3, 4000)).unwrap();
    let sample = subscriber.recv_sample_timeout(PATIENCE).unwrap();
    assert_eq!(number(sample.bytes().unwrap()), 2);
    // The message in the old segment stays as it is while the subscriber goes on.
    DynPublisher::create(&name, &declaration).unwrap().send_bytes(&blob(4, 10)).unwrap();
    for expected in 3..5 {
        assert_eq!(number(subscriber.recv_timeout(PATIENCE).unwrap().bytes()), expected);
    }
    assert_eq!(number(sample.bytes().unwrap()), 2);
}

#[test]
fn growth_that_cannot_be_is_refused_with_the_reason() {
    let ns = namespace("refused");
    let reason = |open: Opener<PubSub<[u8], Bytes>>| {
        let error = open.publisher().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidGeometry, "{error}");
        error.to_string()
    };
    assert!(reason(blobs(&ns, 64)).contains("more than the slots hold"));
    assert!(reason(blobs(&ns, (1 << 31) + 1)).contains("at most 2147483648"));
    assert!(reason(blobs(&ns, 128).publishers(2)).contains("one publisher only"));
    let fixed = Channel::<PubSub<u64>>::new("fixed").open().namespace(&*ns).grow(4096);
    assert!(fixed.publisher().err().unwrap().to_string().contains("one size"));
    let service = Declaration::req_rep(Content::Bytes, Content::Bytes).grow(8192);
    let error = shmcomm::DynRequester::create(&format!("{ns}/service"), &service).unwrap_err();
    assert!(error.to_string().contains("`grow`"), "{error}");
}

#[test]
fn segment_waits_for_subscribers_of_earlier_ones() {
    let ns = namespace("awaited");
    let open = || blobs(&ns, 1 << 16);
    let mut publisher = open().publisher().unwrap();
    let mut lagging = open().subscriber().unwrap();
    publisher.send(&blob(0, 10)).unwrap();
    publisher.send(&blob(1, 100)).unwrap();
    let late = open().subscriber().unwrap();
    publisher.send(&blob(2, 1000)).unwrap();
    drop((late, publisher));
    let listed = &list_segments_in(&ns).unwrap()[0];
    assert!(listed.stale && shmcomm::remove_stale_segment(listed).is_err(), "{listed:?}");
    for expected in 0..3 {
        assert_eq!(number(&lagging.recv_timeout(PATIENCE).unwrap()), expected);
    }
    assert_eq!(lagging.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    drop(lagging);
    assert!(list_segments_in(&ns).unwrap().is_empty());
    // A subscriber that leaves without having followed removes what was left for it.
    let mut publisher = open().publisher().unwrap();
    let lagging = open().subscriber().unwrap();
    publisher.send(&blob(0, 100)).unwrap();
    drop(publisher);
    assert_eq!(list_segments_in(&ns).unwrap().len(), 1);
    drop(lagging);
    assert!(list_segments_in(&ns).unwrap().is_empty());
}

#[test]
fn part() {
    stage::play(&[("grow forever", grow_forever), ("grow once", grow_once)]);
}

/// Publishes growing messages until it is killed. Each life ends somewhere in a step.
fn grow_forever() {
    let open = || BLOBS.open().grow(1 << 20);
    let mut publisher = open().publisher().unwrap();
    stage::say(publisher.stats().position);
    let mut sent = publisher.stats().position;
    loop {
        let len = 16 << (sent % 14);
        publisher.send(&blob(sent, len)).unwrap();
        sent += 1;
    }
}

#[test]
fn killed_publisher_leaves_a_channel_that_goes_on() {
    let ns = namespace("killed");
    let open = || BLOBS.open().namespace(&*ns).grow(1 << 20);
    let mut peer = stage::part("grow forever", &ns);
    peer.said();
    let mut subscribers: Vec<Subscriber<[u8], Bytes>> = Vec::new();
    for life in 0..12 {
        subscribers.push(open().history(16).subscriber().unwrap());
        thread::sleep(Duration::from_micros(300 * life));
        peer.kill();
        // What one of them has received, the others receive or count.
        for subscriber in &mut subscribers {
            let mut last = None;
            loop {
                match subscriber.recv_timeout(PATIENCE) {
                    Ok(message) => {
                        let number = number(&message);
                        assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
                        last = Some(number);
                    }
                    Err(RecvTimeoutError::Lagged(_)) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        peer = stage::part("grow forever", &ns);
        peer.said();
    }
    drop(peer);
    let mut publisher: Publisher<[u8], Bytes> = open().publisher().unwrap();
    let position = publisher.stats().position;
    publisher.send(&blob(position, 100_000)).unwrap();
    for subscriber in &mut subscribers {
        while subscriber.latest().unwrap().is_none_or(|message| number(&message) != position) {
            thread::yield_now();
        }
    }
}

/// Publishes a message of each length up to the limit, and says how many were sent.
fn grow_once() {
    let open = || BLOBS.open().grow(4096);
    let mut publisher = open().publisher().unwrap();
    for number in 0..7 {
        publisher.send(&blob(number, 64 << number)).unwrap();
        stage::say(number);
    }
}

/// Needs a build with fault points: `RUSTFLAGS="--cfg shmcomm_fault"`.
#[cfg(shmcomm_fault)]
#[test]
fn death_at_each_step_of_a_growth_loses_nothing() {
    const POINTS: [&str; 8] = [
        "segment.reserved",
        "grow.made",
        "grow.filled",
        "grow.hidden",
        "segment.temporary",
        "segment.renamed",
        "grow.named",
        "segment.left",
    ];
    for point in POINTS {
        for count in 1..=3 {
            let ns = namespace("each-step");
            let open = || blobs(&ns, 4096);
            let first = open().publisher().unwrap();
            // It keeps the segment until the victim comes, and stays in it.
            let mut subscriber = open().subscriber().unwrap();
            drop(first);
            let mut command = stage::command("grow once", &ns);
            command.env("SHMCOMM_FAULT", format!("{point}=kill@{count}"));
            let mut victim = shmcomm_tests::Peer::spawn(command);
            let sent =
                std::iter::from_fn(|| Some(victim.said()).filter(|said| !said.is_empty())).count() as u64;
            victim.finish();
            assert!(sent < 7, "no fault point {point}");
            let mut heir = open().publisher().unwrap();
            let from = heir.stats().messages;
            assert!((sent..=sent + 1).contains(&from), "{point}:{count}: {from} of {sent}");
            for number in from..9 {
                heir.send(&blob(number, 64 << number.min(6))).unwrap();
            }
            for expected in 0..9 {
                let message = subscriber.recv_timeout(PATIENCE).unwrap();
                assert_eq!(number(&message), expected, "{point}:{count}");
            }
            assert_eq!(subscriber.lost(), 0);
        }
    }
}
