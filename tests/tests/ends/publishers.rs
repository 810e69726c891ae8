//! Several publishers on one channel, as processes that are killed and stopped: one order and exact counts, the
//! publisher of each message, and the limits for new publishers.

use shmcomm::{ErrorKind, PublisherId, RecvTimeoutError, TryRecvError};
use shmcomm_tests::{Large, Namespace, Peer, SharedFeed, SharedLargeFeed, Small, SmallFeed, namespace};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(30);
// Signals: Windows has none.
#[cfg(unix)]
const STOP: i32 = libc::SIGSTOP;
#[cfg(unix)]
const CONT: i32 = libc::SIGCONT;

/// The messages that a subscriber received: number and publisher, by position.
struct Seen {
    messages: BTreeMap<u64, (u64, PublisherId)>,
    lost: u64,
}

/// Receives until all that was sent has come or was passed. How much that is, `total` says once it is known.
fn record(ns: &str, total: &Arc<AtomicU64>) -> JoinHandle<Seen> {
    let mut feed = SharedFeed::open().namespace(ns).subscriber().unwrap();
    let total = Arc::clone(total);
    thread::spawn(move || {
        let (mut messages, mut lost) = (BTreeMap::new(), 0);
        let start = Instant::now();
        while messages.len() as u64 + lost < total.load(Ordering::Acquire) {
            assert!(start.elapsed() < 4 * PATIENCE, "{} and {lost} of {total:?}", messages.len());
            match feed.recv_timeout(Duration::from_millis(20)) {
                Ok(message) => {
                    message.check();
                    let publisher = feed.publisher().expect("messages of several say who sent them");
                    messages.insert(messages.len() as u64 + lost, (message.number, publisher));
                }
                Err(RecvTimeoutError::Lagged(n)) => lost += n,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(feed.try_recv().map(|message| message.number).ok(), None, "more than was sent");
        Seen { messages, lost }
    })
}

/// All agree on what is where, and the messages of each publisher are in its order.
fn assert_one_order(all: &[Seen]) {
    let mut order = HashMap::new();
    for seen in all {
        let mut last = HashMap::new();
        for (position, (number, publisher)) in &seen.messages {
            assert_eq!(*order.entry(position).or_insert((number, publisher)), (number, publisher));
            let before = last.insert(publisher, number);
            assert!(before < Some(number), "{publisher}: {number} after {before:?}");
        }
    }
}

const FOR_EVER: &str = "1000000000";

fn publisher(ns: &Namespace, number: u64, count: &str) -> Peer {
    let mut peer = Peer::start(PEER, ns, &["publish-shared", &number.to_string(), count, "0"]);
    peer.expect("ready");
    peer
}

/// Waits until `more` further messages have been sent. Returns the number of all that have been sent. For the test with
/// signals.
#[cfg(unix)]
fn sends_go_on(ns: &Namespace, more: u64) -> u64 {
    let feed = SharedFeed::open().namespace(&**ns).subscriber().unwrap();
    let start = Instant::now();
    let before = feed.stats().position;
    loop {
        let sent = feed.stats().position;
        if sent >= before + more {
            return sent;
        }
        assert!(start.elapsed() < PATIENCE, "{sent} after {before}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn subscribers_agree_on_the_order_of_four_processes() {
    const EACH: u64 = 30_000;
    let ns = namespace("order");
    let mut peers: Vec<_> = (0..4).map(|number| publisher(&ns, number, &EACH.to_string())).collect();
    let total = Arc::new(AtomicU64::new(4 * EACH));
    let readers: Vec<_> = (0..3).map(|_| record(&ns, &total)).collect();
    peers.iter_mut().for_each(|peer| peer.say("go"));
    peers.iter_mut().for_each(|peer| peer.expect("sent"));
    let all: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert_one_order(&all);
    let pids: Vec<_> = peers.iter().map(Peer::pid).collect();
    for seen in &all {
        assert_eq!(seen.messages.len() as u64 + seen.lost, 4 * EACH);
        for (number, publisher) in seen.messages.values() {
            assert_eq!(publisher.pid(), pids[(number >> 32) as usize]);
        }
    }
    let stats = SharedFeed::open().namespace(&*ns).subscriber().unwrap().stats();
    assert_eq!((stats.messages, stats.bytes, stats.position), (4 * EACH, 4 * EACH * 64, 4 * EACH));
    assert_eq!(
        stats.publishers().map(|who| (who.alive, who.messages)).collect::<Vec<_>>(),
        [(true, EACH); 4]
    );
}

// A signal stops some of them.
#[cfg(unix)]
#[test]
fn killed_and_stopped_publishers_block_no_other() {
    let ns = namespace("kills");
    let mut peers: Vec<_> = (0..4).map(|number| publisher(&ns, number, FOR_EVER)).collect();
    let total = Arc::new(AtomicU64::new(u64::MAX));
    let readers: Vec<_> = (0..3).map(|_| record(&ns, &total)).collect();
    peers.iter_mut().for_each(|peer| peer.say("go"));
    for round in 0..12 {
        sends_go_on(&ns, 2_000);
        // One is stopped wherever it is, for more than a lap, and another one killed and replaced.
        let stopped = &peers[round % 4];
        stopped.signal(STOP);
        sends_go_on(&ns, 8_192);
        peers.remove((round + 1) % 4).kill();
        sends_go_on(&ns, 2_000);
        let mut fresh = publisher(&ns, 4 + round as u64, FOR_EVER);
        fresh.say("go");
        peers.iter().for_each(|peer| peer.signal(CONT));
        peers.push(fresh);
    }
    peers.into_iter().for_each(Peer::kill);
    // One more, which counts: the killed may have sent messages that they had no time to count.
    let mut last = SharedFeed::open().namespace(&*ns).publisher().unwrap();
    last.send(&Small::new(u64::MAX)).unwrap();
    total.store(last.stats().position, Ordering::Release);
    let all: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert_one_order(&all);
    for seen in &all {
        assert!(seen.messages.len() > 1000);
        assert_eq!(seen.messages.last_key_value().map(|(_, last)| last), Some(&(u64::MAX, last.id())));
    }
}

#[test]
fn large_messages_survive_kills_in_place() {
    let ns = namespace("large");
    let start = |number: u64| {
        let mut peer = Peer::start(PEER, &ns, &["publish-shared-large", &number.to_string(), FOR_EVER, "0"]);
        peer.expect("ready");
        peer.say("go");
        peer
    };
    let mut peers: Vec<_> = (0..4).map(start).collect();
    let mut feeds = [0, 1].map(|_| SharedLargeFeed::open().namespace(&*ns).subscriber().unwrap());
    let mut last = HashMap::new();
    for round in 0..8 {
        for turn in 0..200 {
            let [first, second] = &mut feeds;
            let sample = match first.recv_ref_timeout(PATIENCE) {
                Ok(sample) => sample,
                Err(RecvTimeoutError::Lagged(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            sample.check();
            let publisher = sample.publisher().expect("messages of several say who sent them");
            assert!(last.insert(publisher, sample.number) < Some(sample.number), "{publisher}");
            if turn % 8 == 0 {
                // While it is held, the others go on.
                let newest: Option<Large> = second.latest().unwrap();
                newest.expect("there are messages").check();
            }
            sample.check();
        }
        peers.remove(0).kill();
        peers.push(start(4 + round));
    }
    assert!(last.len() > 4, "{} publishers", last.len());
}

#[test]
fn one_publisher_too_many_gets_the_pids_of_the_others() {
    let ns = namespace("fifth");
    let peers: Vec<_> = (0..4).map(|number| publisher(&ns, number, FOR_EVER)).collect();
    let error = SharedFeed::open().namespace(&*ns).publisher().map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyPublished);
    let text = error.to_string();
    assert!(peers.iter().all(|peer| text.contains(&peer.pid().to_string())), "{text}");
    assert!(text.contains("4 publishers") && text.contains("`publishers`"), "{text}");
    drop(peers);
    assert!(SharedFeed::open().namespace(&*ns).publisher().is_ok());
}

#[test]
fn publisher_with_other_settings_gets_both_values() {
    let ns = namespace("declared");
    let first = SharedFeed::open().namespace(&*ns).publisher().unwrap();
    let refused = |other: shmcomm::Opener<shmcomm::PubSub<Small>>| {
        let error = other.namespace(&*ns).publisher().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChannelMismatch, "{error}");
        error.to_string()
    };
    let text = refused(SharedFeed::open().publishers(3));
    assert!(text.contains("it admits 4 publishers, and this program declares 3"), "{text}");
    let text = refused(SharedFeed::open().publishers(1));
    assert!(text.contains("it admits 4 publishers, and this program declares 1"), "{text}");
    let text = refused(SharedFeed::open().slots(64));
    assert!(text.contains("4096 slots") && text.contains("declares 64"), "{text}");
    drop(first);
    // There is no publisher: the segment is made anew.
    let one = SharedFeed::open().namespace(&*ns).publishers(1).publisher().unwrap();
    let error = SharedFeed::open().namespace(&*ns).publisher().map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch, "{error}");
    drop(one);
}

#[test]
fn numbers_of_publishers_that_cannot_be_are_refused() {
    let ns = namespace("numbers");
    for (publishers, seats) in [(0, 128), (33, 128), (4, 4)] {
        let open = SharedFeed::open().namespace(&*ns).publishers(publishers).seats(seats);
        let error = open.publisher().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidGeometry, "{error}");
        assert!(error.to_string().contains(&format!("{publishers} publishers")), "{error}");
    }
}

#[test]
fn channel_lives_as_long_as_one_publisher() {
    let ns = namespace("lives");
    let mut first = SharedFeed::open().namespace(&*ns).publisher().unwrap();
    let mut second = SharedFeed::open().namespace(&*ns).publisher().unwrap();
    let mut feed = SharedFeed::open().namespace(&*ns).subscriber().unwrap();
    assert_eq!(feed.publisher(), None);
    first.send(&Small::new(1)).unwrap();
    let gone = first.id();
    drop(first);
    assert_eq!(feed.try_recv(), Ok(Small::new(1)));
    assert_eq!(feed.publisher(), Some(gone));
    assert_eq!(feed.try_recv(), Err(TryRecvError::Empty));
    assert!(feed.is_connected());
    // The seat is taken again, by another one.
    let mut third = SharedFeed::open().namespace(&*ns).publisher().unwrap();
    assert_eq!((third.id().seat(), third.id() == gone), (gone.seat(), false));
    third.send(&Small::new(2)).unwrap();
    second.send(&Small::new(3)).unwrap();
    for (number, publisher) in [(2, third.id()), (3, second.id())] {
        assert_eq!(feed.recv(), Ok(Small::new(number)));
        assert_eq!(feed.publisher(), Some(publisher));
    }
    let stats = feed.stats();
    assert_eq!((stats.messages, stats.bytes, stats.holes), (3, 192, 0));
    drop((second, third));
    assert_eq!(feed.try_recv(), Err(TryRecvError::Disconnected));
    let stats = feed.stats();
    assert_eq!((stats.messages, stats.bytes, feed.lag()), (3, 192, 0));
}

#[test]
fn history_latest_and_losses_cover_all_publishers() {
    let ns = namespace("history");
    let open = || SharedFeed::open().namespace(&*ns).slots(64);
    let mut all = [0, 1, 2].map(|_| open().publisher().unwrap());
    let mut slow = open().subscriber().unwrap();
    for number in 0..100 {
        for (publisher, feed) in (0..).zip(&mut all) {
            feed.send(&Small::new(publisher << 32 | number)).unwrap();
        }
    }
    let mut feed = open().history(5).subscriber().unwrap();
    for expected in [(1, 98), (2, 98), (0, 99), (1, 99), (2, 99)] {
        let (publisher, number) = expected;
        assert_eq!(feed.try_recv(), Ok(Small::new(publisher << 32 | number)));
        assert_eq!(feed.publisher(), Some(all[publisher as usize].id()));
    }
    assert_eq!(feed.try_recv(), Err(TryRecvError::Empty));
    let Err(TryRecvError::Lagged(lost)) = slow.try_recv() else { panic!("300 messages in 64 slots") };
    assert_eq!(lost + slow.lag(), 300);
    assert_eq!(slow.latest(), Ok(Some(Small::new(2 << 32 | 99))));
    assert_eq!((slow.lost(), slow.skipped(), slow.received()), (lost, 300 - lost - 1, 1));
}

#[test]
fn single_publisher_adds_nothing_to_its_messages() {
    let ns = namespace("single");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut feed = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(feed.recv_ref().unwrap().publisher(), None);
    assert_eq!((feed.publisher(), publisher.id().pid()), (None, std::process::id()));
}
