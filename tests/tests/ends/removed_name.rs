//! The file of a segment is removed under its live participants, as `rm /dev/shm/*` does, and systemd at a logout:
//! new participants find the segment again, and nothing that was queued is lost.
// Only on Linux a process can open a removed file of another process.
#![cfg(target_os = "linux")]

use shmcomm::{Channel, ErrorKind, Opener, PubSub, PushPull, ReqRep, WaitSet};
use shmcomm_tests::{Namespace, namespace, say, stage};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

fn feed(namespace: &str) -> Opener<PubSub<u64>> {
    Channel::<PubSub<u64>>::new("feed").open().namespace(namespace).connect_timeout(LONG)
}

fn jobs(namespace: &str) -> Opener<PushPull<u64>> {
    Channel::<PushPull<u64>>::new("jobs").open().namespace(namespace)
}

fn service(namespace: &str) -> Opener<ReqRep<u64, u64>> {
    Channel::<ReqRep<u64, u64>>::new("service").open().namespace(namespace)
}

fn environment() -> String {
    std::env::var("SHMCOMM_NAMESPACE").unwrap_or_default()
}

fn file(namespace: &Namespace, channel: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm/shmcomm2_{}%2F{channel}", &**namespace))
}

fn remove(namespace: &Namespace, channel: &str) {
    std::fs::remove_file(file(namespace, channel)).unwrap();
}

/// Waits until the name is there again.
fn wait_for_name(namespace: &Namespace, channel: &str) {
    let start = Instant::now();
    while !file(namespace, channel).exists() {
        assert!(start.elapsed() < LONG, "the name never comes back");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Publishes a number every few milliseconds.
fn publishes() {
    let mut publisher = feed(&environment()).publisher().unwrap();
    say("there");
    for number in 0.. {
        publisher.send(&number).unwrap();
        thread::sleep(Duration::from_millis(3));
    }
}

/// Publishes nothing.
fn rests() {
    let _publisher = feed(&environment()).publisher().unwrap();
    say("there");
    stage::wait();
}

fn pulls() {
    let mut puller = jobs(&environment()).puller().unwrap();
    say("there");
    while let Ok(job) = puller.recv() {
        say(job);
    }
}

fn replies() {
    let mut replier = service(&environment()).replier().unwrap();
    say("there");
    while let Ok(request) = replier.recv() {
        let answer = *request + 1;
        request.reply(&answer).unwrap();
    }
}

/// Holds one end of the queue, waits for one job.
fn holds() {
    let mut puller = jobs(&environment()).puller().unwrap();
    say("there");
    let mut set = WaitSet::new();
    set.add((), &puller).unwrap();
    loop {
        set.wait().unwrap();
        while let Ok(job) = puller.try_recv() {
            say(job);
        }
    }
}

#[test]
fn part() {
    stage::play(&[
        ("publishes", publishes),
        ("rests", rests),
        ("pulls", pulls),
        ("replies", replies),
        ("holds", holds),
    ]);
}

#[test]
fn new_subscriber_finds_publisher_of_a_removed_file() {
    let ns = namespace("removed-feed");
    let mut publisher = stage::part("publishes", &ns);
    assert_eq!(publisher.said(), "there");
    let mut old = feed(&ns).subscriber().unwrap();
    old.recv_timeout(LONG).unwrap();
    remove(&ns, "feed");
    let mut new = feed(&ns).subscriber().unwrap();
    let seen = new.recv_timeout(LONG).unwrap();
    assert!(old.recv_timeout(LONG).is_ok());
    assert!(new.stats().named && old.stats().named);
    let info = shmcomm::list_segments().unwrap().into_iter().find(|info| info.channel == new.name()).unwrap();
    assert!(!info.stale && info.problem.is_none(), "{:?}", info.problem);
    assert_eq!(info.participants.len(), 3);
    // The publisher starts again: it goes on in the same segment, and both subscribers with it.
    publisher.kill();
    let mut publisher = stage::part("publishes", &ns);
    assert_eq!(publisher.said(), "there");
    for subscriber in [&mut old, &mut new] {
        let start = Instant::now();
        let next = |subscriber: &mut shmcomm::Subscriber<u64>| loop {
            match subscriber.recv_timeout(LONG) {
                Ok(number) => return number,
                Err(error) => assert!(start.elapsed() < LONG, "{error}"),
            }
        };
        while next(subscriber) >= seen {}
    }
    drop(publisher);
}

#[test]
fn new_subscriber_finds_a_publisher_that_never_polls() {
    let ns = namespace("removed-rest");
    let mut publisher = stage::part("rests", &ns);
    assert_eq!(publisher.said(), "there");
    remove(&ns, "feed");
    let new = feed(&ns).subscriber().unwrap();
    assert!(new.stats().named);
    // Without any time it searches as well.
    remove(&ns, "feed");
    let new = feed(&ns).connect_timeout(Duration::ZERO).subscriber().unwrap();
    assert!(new.stats().named);
}

#[test]
fn jobs_of_a_new_pusher_reach_the_old_puller() {
    for part in ["pulls", "holds"] {
        let ns = namespace("removed-jobs");
        let mut puller = stage::part(part, &ns);
        assert_eq!(puller.said(), "there");
        let mut old = jobs(&ns).pusher().unwrap();
        old.send(&1).unwrap();
        assert_eq!(puller.said(), "1");
        remove(&ns, "jobs");
        wait_for_name(&ns, "jobs");
        let mut new = jobs(&ns).pusher().unwrap();
        new.send(&2).unwrap();
        assert_eq!(puller.said(), "2");
        old.send(&3).unwrap();
        assert_eq!(puller.said(), "3");
    }
}

#[test]
fn pusher_that_never_waits_gives_the_name_back() {
    let ns = namespace("removed-rarely");
    let mut pusher = jobs(&ns).pusher().unwrap();
    for job in 0..40 {
        pusher.try_send(&job).unwrap();
    }
    remove(&ns, "jobs");
    let start = Instant::now();
    for job in 40.. {
        if file(&ns, "jobs").exists() {
            break;
        }
        assert!(start.elapsed() < LONG, "the name never comes back");
        thread::sleep(Duration::from_millis(15));
        // After the first ones the calls are rare, and the queue has 64 slots.
        let _ = pusher.try_send(&job);
    }
    assert_eq!(jobs(&ns).puller().unwrap().try_recv().unwrap(), 0);
}

#[test]
fn requests_of_a_new_requester_reach_the_old_replier() {
    let ns = namespace("removed-service");
    let mut replier = stage::part("replies", &ns);
    assert_eq!(replier.said(), "there");
    remove(&ns, "service");
    wait_for_name(&ns, "service");
    let requester = service(&ns).requester().unwrap();
    assert_eq!(requester.request(&41).unwrap(), 42);
}

#[test]
fn name_is_restored_after_its_process_is_killed() {
    let ns = namespace("removed-twice");
    let mut first = stage::part("pulls", &ns);
    assert_eq!(first.said(), "there");
    remove(&ns, "jobs");
    wait_for_name(&ns, "jobs");
    let mut second = stage::part("holds", &ns);
    assert_eq!(second.said(), "there");
    first.kill();
    // The name leads nowhere now, until the second process finds that.
    let mut pusher = jobs(&ns).pusher().unwrap();
    pusher.send(&7).unwrap();
    assert_eq!(second.said(), "7");
}

#[test]
fn dead_forwarding_file_is_replaced() {
    let ns = namespace("removed-dead");
    let mut first = stage::part("pulls", &ns);
    assert_eq!(first.said(), "there");
    remove(&ns, "jobs");
    wait_for_name(&ns, "jobs");
    first.kill();
    let listed = shmcomm::list_segments().unwrap();
    let info = listed.iter().find(|info| info.path == file(&ns, "jobs")).unwrap();
    assert!(info.stale && info.problem.is_some());
    let mut pusher = jobs(&ns).pusher().unwrap();
    pusher.send(&7).unwrap();
    assert_eq!(jobs(&ns).puller().unwrap().recv_timeout(LONG).unwrap(), 7);
    assert!(pusher.stats().named);
}

#[test]
fn queued_jobs_outlive_the_last_participant() {
    let ns = namespace("removed-queued");
    for given_back in [false, true] {
        let mut pusher = jobs(&ns).pusher().unwrap();
        for job in 0..5 {
            pusher.send(&job).unwrap();
        }
        remove(&ns, "jobs");
        if given_back {
            let start = Instant::now();
            while !file(&ns, "jobs").exists() {
                assert!(start.elapsed() < LONG);
                let _ = pusher.flush(Duration::from_millis(100));
            }
        }
        drop(pusher);
        let mut puller = jobs(&ns).puller().unwrap();
        for job in 0..5 {
            assert_eq!(puller.try_recv().unwrap(), job);
        }
        drop(puller);
        assert!(!file(&ns, "jobs").exists(), "an empty queue leaves nothing");
    }
}

#[test]
fn segment_removed_by_force_stays_removed() {
    let ns = namespace("removed-force");
    let mut publisher = stage::part("publishes", &ns);
    assert_eq!(publisher.said(), "there");
    let old = feed(&ns).subscriber().unwrap();
    remove(&ns, "feed");
    wait_for_name(&ns, "feed");
    assert!(shmcomm::force_unlink(old.name()).unwrap());
    thread::sleep(Duration::from_millis(300));
    assert!(!file(&ns, "feed").exists());
    assert!(!old.stats().named);
    let error = feed(&ns).connect_timeout(Duration::ZERO).subscriber().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn taken_name_is_reported() {
    let ns = namespace("removed-taken");
    let mut old = jobs(&ns).pusher().unwrap();
    // Nothing checks the name between the two.
    remove(&ns, "jobs");
    let _new = jobs(&ns).puller().unwrap();
    old.send(&1).unwrap();
    assert!(!old.stats().named, "its participants are divided from those that come");
}
