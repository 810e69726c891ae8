//! A set of many things to wait for: what is ready is said, nothing is forgotten, nothing runs hot.

// For the files in a set: Windows has no file descriptors to wait for.
#[cfg(unix)]
use shmcomm::{Cause, Interest};
use shmcomm::{Ready, TryRecvError, WaitSet};
use shmcomm_tests::{Jobs, Service, Small, SmallFeed, namespace};
#[cfg(unix)]
use std::io::{Read, Write};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn keys<K: Copy>(ready: &[Ready<K>]) -> Vec<K> {
    ready.iter().map(|ready| ready.key).collect()
}

#[test]
fn three_patterns_a_file_and_a_timer_in_one_set() {
    let ns = namespace("three");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    // Windows has no file descriptors to wait for.
    #[cfg(unix)]
    let (mut here, mut there) = UnixStream::pair().unwrap();

    let mut set = WaitSet::new();
    assert!(set.wait().unwrap().is_empty(), "nothing to wait for");
    set.add("feed", &subscriber).unwrap();
    set.add("jobs", &puller).unwrap();
    set.add("requests", &replier).unwrap();
    assert_eq!(set.wait_timeout(Duration::from_millis(20)).unwrap(), []);

    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(keys(&set.wait().unwrap()), ["feed"]);
    // As long as it is unread.
    assert_eq!(keys(&set.wait().unwrap()), ["feed"]);
    pusher.send(&Small::new(2)).unwrap();
    assert_eq!(keys(&set.wait().unwrap()), ["feed", "jobs"]);
    assert_eq!(subscriber.try_recv().unwrap(), Small::new(1));
    assert_eq!(keys(&set.try_wait().unwrap()), ["jobs"]);
    assert_eq!(puller.try_recv().unwrap(), Small::new(2));
    assert_eq!(set.try_wait().unwrap(), []);

    let mut call = requester.call(&Small::new(21)).unwrap();
    set.add("reply", &call).unwrap();
    assert_eq!(keys(&set.wait().unwrap()), ["requests"]);
    let request = replier.try_recv().unwrap();
    assert_eq!(set.wait_timeout(Duration::from_millis(20)).unwrap(), []);
    let reply = Small::new(!request.number);
    request.reply(&reply).unwrap();
    assert_eq!(keys(&set.wait().unwrap()), ["reply"]);
    assert_eq!(call.poll(), Some(Ok(Small::new(!21))));
    assert_eq!(set.try_wait().unwrap(), []);
    assert_eq!(set.len(), 3, "an answered call leaves");

    // Windows has no file descriptors to wait for.
    #[cfg(unix)]
    {
        set.add_fd("socket", &here, Interest::Readable).unwrap();
        assert_eq!(set.wait_timeout(Duration::from_millis(20)).unwrap(), []);
        there.write_all(b"x").unwrap();
        let cause = Cause::Fd { readable: true, writable: false };
        assert_eq!(set.wait().unwrap()[0].cause, cause);
        publisher.send(&Small::new(3)).unwrap();
        assert_eq!(keys(&set.wait().unwrap()), ["socket", "feed"]);
        here.read_exact(&mut [0]).unwrap();
        assert_eq!(keys(&set.wait().unwrap()), ["feed"]);
        subscriber.try_recv().unwrap();
    }
    assert_eq!(set.wait_timeout(Duration::from_millis(20)).unwrap(), []);

    let start = Instant::now();
    set.add_interval("tick", Duration::from_millis(5));
    for _ in 0..3 {
        assert_eq!(keys(&set.wait().unwrap()), ["tick"]);
    }
    assert!(start.elapsed() >= Duration::from_millis(15));
    assert!(set.remove(&"tick") && !set.remove(&"tick"));
    set.add_timer("once", Instant::now() + Duration::from_millis(5));
    assert_eq!(keys(&set.wait_timeout(PATIENCE).unwrap()), ["once"]);
    assert_eq!(set.len(), 3 + usize::from(cfg!(unix)));

    // With a file in the set threads sleep in the futexes: what comes while it sleeps is told too.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            pusher.send(&Small::new(4)).unwrap();
        });
        assert_eq!(keys(&set.wait_timeout(PATIENCE).unwrap()), ["jobs"]);
    });
    puller.try_recv().unwrap();
    assert_eq!(set.remove(&"socket"), cfg!(unix));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            publisher.send(&Small::new(5)).unwrap();
        });
        assert_eq!(keys(&set.wait_timeout(PATIENCE).unwrap()), ["feed"]);
    });
    subscriber.try_recv().unwrap();
    drop((subscriber, puller, replier));
    assert_eq!(set.wait().unwrap(), []);
    assert!(set.is_empty(), "what was dropped leaves");
    drop(set);
}

#[test]
fn set_reports_a_lost_publisher_and_its_successor() {
    let ns = namespace("goes");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add((), &subscriber).unwrap();
    publisher.send(&Small::new(1)).unwrap();
    drop(publisher);
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    assert_eq!(subscriber.try_recv().unwrap(), Small::new(1));
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(set.wait_timeout(Duration::from_millis(120)).unwrap(), []);
    // In a segment of another size, which takes the place of this one.
    let mut publisher = SmallFeed::open().namespace(&*ns).slots(8).publisher().unwrap();
    publisher.send(&Small::new(2)).unwrap();
    loop {
        assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
        match subscriber.try_recv() {
            Ok(message) => break assert_eq!(message, Small::new(2)),
            Err(TryRecvError::Empty) => {}
            Err(error) => panic!("{error}"),
        }
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            publisher.send(&Small::new(3)).unwrap();
        });
        assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    });
    assert_eq!(subscriber.try_recv().unwrap(), Small::new(3));
}
