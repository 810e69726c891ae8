//! The figures of each participant, in every role and pattern, as its own end and as `list_segments` show them.

use shmcomm::codec::{Bytes, Msgpack};
use shmcomm::{Channel, Overflow, Participant, PubSub, PushPull, ReqRep, Role, TryRecvError, list_segments};
use shmcomm_tests::{Peer, namespace};
use std::time::Duration;

const PEER: &str = env!("CARGO_BIN_EXE_peer");

type Small = [u64; 8];
type Large = [u64; 1024];

/// Messages, bytes.
type Figures = (u64, u64);

/// The participants of a role, as a program without an end sees them.
fn seen(name: &str, role: Role) -> Vec<Participant> {
    let segments = list_segments().unwrap();
    let segment =
        segments.into_iter().find(|segment| segment.channel == name).expect("the segment is listed");
    segment.participants.into_iter().filter(|who| who.role == role).collect()
}

#[track_caller]
fn assert_figures(name: &str, role: Role, expected: &[Figures]) {
    let found: Vec<_> = seen(name, role).iter().map(|who| (who.messages, who.bytes)).collect();
    assert_eq!(found, expected, "{role:?}");
}

#[test]
fn sole_publisher_counts_what_it_sent_itself() {
    let ns = namespace("sole");
    const SMALL: Channel<PubSub<Small>> = Channel::new("figures/small");
    const LARGE: Channel<PubSub<Large>> = Channel::new("figures/large").slots(8);
    macro_rules! check {
        ($channel:ident, $message:ty) => {
            let open = || $channel.open().namespace(&*ns);
            let size = size_of::<$message>() as u64;
            let mut subscriber = {
                let mut first = open().publisher().unwrap();
                let subscriber = open().subscriber().unwrap();
                let name = first.name().to_owned();
                assert_figures(&name, Role::Publisher, &[(0, 0)]);
                for _ in 0..5 {
                    first.send(&[1; _]).unwrap();
                }
                let mut loan = first.loan().unwrap();
                *loan = [2; _];
                loan.send().unwrap();
                assert_figures(&name, Role::Publisher, &[(6, 6 * size)]);
                let stats = first.stats();
                let own = stats.publisher().unwrap();
                assert_eq!((own.messages, own.bytes, own.lag), (6, 6 * size, None));
                subscriber
            };
            // The next one carries on in the same segment, and counts for itself.
            let mut second = open().publisher().unwrap();
            let name = second.name().to_owned();
            assert_figures(&name, Role::Publisher, &[(0, 0)]);
            second.send(&[3; _]).unwrap();
            assert_figures(&name, Role::Publisher, &[(1, size)]);
            let stats = second.stats();
            assert_eq!((stats.messages, stats.bytes), (7, 7 * size));
            while subscriber.try_recv().is_ok() {}
            assert_figures(&name, Role::Subscriber, &[(7, 7 * size)]);
        };
    }
    check!(SMALL, Small);
    check!(LARGE, Large);
}

#[test]
fn killed_publisher_keeps_its_counts_until_replaced() {
    let ns = namespace("killed-figures");
    let mut peer = Peer::start(PEER, &ns, &["publish-small", "0", "20", "0"]);
    peer.expect("ready");
    peer.expect("sent");
    let subscriber = shmcomm_tests::SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    peer.kill();
    let dead = seen(subscriber.name(), Role::Publisher);
    assert_eq!(dead.iter().map(|who| (who.alive, who.messages)).collect::<Vec<_>>(), [(false, 20)]);
    let next = shmcomm_tests::SmallFeed::open().namespace(&*ns).publisher().unwrap();
    assert_figures(next.name(), Role::Publisher, &[(0, 0)]);
}

#[test]
fn publishers_of_other_channels_count_too() {
    let ns = namespace("others");
    const TAIL: Channel<PubSub<u64, [u32]>> = Channel::new("figures/tail").slots(8).max_len(4096);
    let mut tail = TAIL.open().namespace(&*ns).publisher().unwrap();
    tail.send(&7, &[1; 10]).unwrap();
    tail.send(&7, &[]).unwrap();
    assert_figures(tail.name(), Role::Publisher, &[(2, 2 * 8 + 10 * 4)]);

    const TEXT: Channel<PubSub<String, Msgpack>> = Channel::new("figures/text").slot_size(64);
    let mut text = TEXT.open().namespace(&*ns).publisher().unwrap();
    text.send(&"four".to_owned()).unwrap();
    assert_figures(text.name(), Role::Publisher, &[(1, 5)]);

    const WAITS: Channel<PubSub<Small>> = Channel::new("figures/waits").overflow(Overflow::Wait);
    let mut waits = WAITS.open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = WAITS.open().namespace(&*ns).subscriber().unwrap();
    waits.send(&[0; 8]).unwrap();
    waits.send(&[0; 8]).unwrap();
    subscriber.recv().unwrap();
    assert_figures(waits.name(), Role::Publisher, &[(2, 128)]);
    assert_figures(waits.name(), Role::Subscriber, &[(1, 64)]);
    assert_eq!(seen(waits.name(), Role::Subscriber)[0].lag, Some(1));

    const SEVERAL: Channel<PubSub<Small>> = Channel::new("figures/several").publishers(2);
    const SEVERAL_LARGE: Channel<PubSub<Large>> = Channel::new("figures/several-large").publishers(2);
    macro_rules! several {
        ($channel:ident, $size:expr) => {
            let mut left = $channel.open().namespace(&*ns).publisher().unwrap();
            let mut right = $channel.open().namespace(&*ns).publisher().unwrap();
            left.send(&[0; _]).unwrap();
            right.send(&[0; _]).unwrap();
            right.loan().unwrap().send().unwrap();
            assert_figures(left.name(), Role::Publisher, &[(1, $size), (2, 2 * $size)]);
        };
    }
    several!(SEVERAL, 64);
    several!(SEVERAL_LARGE, 8192);
}

#[test]
fn subscriber_counts_received_lost_skipped_refused() {
    let ns = namespace("subscriber");
    const TEXT: Channel<PubSub<String, Msgpack>> = Channel::new("figures/mixed").slots(16).slot_size(64);
    const NUMBER: Channel<PubSub<u64, Msgpack>> = Channel::new("figures/mixed").slots(16).slot_size(64);
    let mut publisher = TEXT.open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = NUMBER.open().namespace(&*ns).subscriber().unwrap();
    let name = publisher.name().to_owned();
    let figures = || {
        let who = seen(&name, Role::Subscriber).remove(0);
        (who.messages, who.bytes, who.lost, who.skipped, who.invalid, who.lag)
    };
    // A string is no number: refused messages are not received ones, nor are their bytes.
    publisher.send(&"four".to_owned()).unwrap();
    assert!(matches!(subscriber.try_recv(), Err(TryRecvError::Invalid(_))));
    assert_eq!(figures(), (0, 0, 0, 0, 1, Some(0)));
    assert_eq!(subscriber.received(), 0);
    // The newest is refused once, however often it is asked for.
    for _ in 0..3 {
        publisher.send(&"five!".to_owned()).unwrap();
    }
    for _ in 0..3 {
        assert!(subscriber.latest().is_err());
    }
    assert_eq!(figures(), (0, 0, 0, 2, 2, Some(0)));
    drop(publisher);
    let mut publisher = NUMBER.open().namespace(&*ns).publisher().unwrap();
    for number in 0..4 {
        publisher.send(&number).unwrap();
    }
    assert_eq!(subscriber.latest(), Ok(Some(3)));
    assert_eq!(subscriber.latest(), Ok(Some(3)));
    assert_eq!(figures(), (1, 1, 0, 5, 2, Some(0)));
    for number in 0..100 {
        publisher.send(&number).unwrap();
    }
    assert!(matches!(subscriber.try_recv(), Err(TryRecvError::Lagged(_))));
    while subscriber.try_recv().is_ok() {}
    let (messages, bytes, lost, ..) = figures();
    assert_eq!((messages + lost, messages), (101, bytes));
    assert!(lost > 0);
}

#[test]
fn observers_do_not_count_where_the_publisher_waits() {
    let ns = namespace("observers");
    const WAITS: Channel<PubSub<Small>> = Channel::new("figures/observed").overflow(Overflow::Wait);
    const FREE: Channel<PubSub<Small>> = Channel::new("figures/free");
    let publisher = WAITS.open().namespace(&*ns).publisher().unwrap();
    let observer = WAITS.open().namespace(&*ns).patience(Duration::ZERO).subscriber().unwrap();
    assert_eq!(publisher.subscribers(), 0);
    assert!(!publisher.wait_for_subscribers(1, Duration::ZERO));
    let subscriber = WAITS.open().namespace(&*ns).subscriber().unwrap();
    assert_eq!(publisher.subscribers(), 1);
    // They are listed all the same.
    assert_eq!(publisher.stats().subscribers().count(), 2);
    drop(subscriber);
    assert_eq!(publisher.subscribers(), 0);
    drop(observer);
    // Without waiting there is nothing to observe: all subscribers are alike.
    let publisher = FREE.open().namespace(&*ns).publisher().unwrap();
    let _subscriber = FREE.open().namespace(&*ns).patience(Duration::ZERO).subscriber().unwrap();
    assert_eq!(publisher.subscribers(), 1);
}

#[test]
fn ends_of_a_queue_count_for_themselves() {
    let ns = namespace("queue");
    const JOBS: Channel<PushPull<Small>> = Channel::new("figures/jobs");
    let mut pusher = JOBS.open().namespace(&*ns).pusher().unwrap();
    let mut other = JOBS.open().namespace(&*ns).pusher().unwrap();
    let mut puller = JOBS.open().namespace(&*ns).puller().unwrap();
    let mut second = JOBS.open().namespace(&*ns).puller().unwrap();
    for _ in 0..4 {
        pusher.send(&[1; 8]).unwrap();
    }
    pusher.loan().unwrap().send().unwrap();
    other.send(&[2; 8]).unwrap();
    assert_figures(pusher.name(), Role::Pusher, &[(5, 320), (1, 64)]);
    puller.recv().unwrap();
    puller.claim().unwrap().done();
    drop(puller.claim().unwrap()); // put back
    assert_figures(pusher.name(), Role::Puller, &[(3, 192), (0, 0)]);
    let job = second.claim().unwrap();
    let redelivered = job.redelivered();
    job.done();
    let who = seen(pusher.name(), Role::Puller);
    assert_eq!((who[1].messages, who[1].bytes, who[1].redelivered), (1, 64, u64::from(redelivered)));
    assert!(who.iter().all(|who| who.lag.is_none() && who.lost == 0 && who.alive));
}

#[test]
fn refused_jobs_are_counted_as_refused_only() {
    let ns = namespace("refused");
    const TEXT: Channel<PushPull<String, Msgpack>> = Channel::new("figures/refused").slot_size(64);
    const NUMBER: Channel<PushPull<u64, Msgpack>> = Channel::new("figures/refused").slot_size(64);
    let mut pusher = TEXT.open().namespace(&*ns).pusher().unwrap();
    let mut puller = NUMBER.open().namespace(&*ns).puller().unwrap();
    pusher.send(&"four".to_owned()).unwrap();
    assert!(puller.try_recv().is_err());
    let who = seen(pusher.name(), Role::Puller).remove(0);
    assert_eq!((who.messages, who.bytes, who.invalid), (0, 0, 1));
    assert_figures(pusher.name(), Role::Pusher, &[(1, 5)]);
    assert_eq!(pusher.stats().backlog.unwrap().used(), 0);
}

#[test]
fn requesters_and_repliers_count_for_themselves() {
    let ns = namespace("requests");
    const SERVICE: Channel<ReqRep<Small, u64>> = Channel::new("figures/service");
    let requester = SERVICE.open().namespace(&*ns).requester().unwrap();
    let mut replier = SERVICE.open().namespace(&*ns).replier().unwrap();
    for _ in 0..3 {
        let call = requester.call(&[1; 8]).unwrap();
        replier.recv().unwrap().reply(&7).unwrap();
        assert_eq!(call.wait(), Ok(7));
    }
    let pending = requester.call(&[1; 8]).unwrap();
    assert_figures(requester.name(), Role::Requester, &[(4, 256)]);
    assert_figures(requester.name(), Role::Replier, &[(3, 192)]);
    drop(pending);

    const BYTES: Channel<ReqRep<[u8], Vec<u8>, Bytes>> = Channel::new("figures/bytes").slot_size(64);
    let requester = BYTES.open().namespace(&*ns).requester().unwrap();
    let call = requester.call(b"12345").unwrap();
    assert_figures(requester.name(), Role::Requester, &[(1, 5)]);
    drop(call);
}
