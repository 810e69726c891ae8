//! Listing by namespace, and clean-ups that lose no accepted work: on native channels, and on those of Python.

use shmcomm::codec::Bytes;
use shmcomm::python::{self, Options};
use shmcomm::{
    Channel, Cleanup, PubSub, PushPull, ReqRep, SpareReason, force_unlink, list_segments, list_segments_in,
    remove_stale,
};
use shmcomm_tests::{Namespace, namespace, say, stage};
use std::io::{Seek as _, SeekFrom, Write as _};

const FEED: Channel<PubSub<[u64; 8]>> = Channel::new("feed");
const JOBS: Channel<PushPull<u64>> = Channel::new("jobs");
const SERVICE: Channel<ReqRep<u64, u64>> = Channel::new("service");
/// A queue of the Python wire, in `/dev/shm` of a mount namespace of its own.
const WIRE: &str = "cleanup-jobs";

#[test]
fn part() {
    stage::play(&[
        ("publish", publish),
        ("push", push),
        ("claim", claim),
        ("drain", drain),
        ("ask", ask),
        ("world", world),
        ("wire push", wire_push),
        ("wire publish", wire_publish),
    ]);
}

fn hold<T>(end: T) {
    say("ready");
    stage::wait();
    drop(end);
}

fn publish() {
    let mut publisher = FEED.publisher().unwrap();
    publisher.send(&[1; 8]).unwrap();
    hold(publisher);
}

fn push() {
    let mut pusher = JOBS.pusher().unwrap();
    for job in 0..3 {
        pusher.send(&job).unwrap();
    }
    hold(pusher);
}

fn claim() {
    let mut puller = JOBS.puller().unwrap();
    let job = puller.claim().unwrap();
    say("ready");
    stage::wait();
    job.done();
}

fn drain() {
    let mut puller = JOBS.puller().unwrap();
    while puller.try_recv().is_ok() {}
    hold(puller);
}

fn ask() {
    let requester = SERVICE.requester().unwrap();
    let call = requester.call(&7).unwrap();
    say("ready");
    stage::wait();
    drop(call);
}

fn wire_push() {
    let mut pusher = python::Pusher::<[u8], Bytes>::open(Options::pushpull(WIRE)).unwrap();
    for _ in 0..2 {
        pusher.try_send(b"a job").unwrap();
    }
    hold(pusher);
}

fn wire_publish() {
    let mut publisher = python::Publisher::<[u8], Bytes>::open(Options::pubsub("cleanup-feed")).unwrap();
    publisher.send(b"a message").unwrap();
    hold(publisher);
}

/// Starts a part and kills it when it is ready.
fn killed(name: &str, ns: &Namespace) {
    let mut process = stage::part(name, ns);
    assert_eq!(process.said(), "ready");
    process.kill();
}

/// The channels of a clean-up without their namespace: removed, and spared with the reason.
fn report(done: &Cleanup, ns: &str) -> (Vec<String>, Vec<String>) {
    let short = |name: &str| name.strip_prefix(ns).unwrap_or(name).trim_start_matches('/').to_owned();
    let removed = done.removed.iter().map(|segment| short(&segment.channel)).collect();
    let spared = done.spared.iter().map(|s| format!("{}: {}", short(&s.segment.channel), s.reason)).collect();
    (removed, spared)
}

#[test]
fn clean_up_spares_jobs_and_live_channels() {
    let (ns, other) = (namespace("clean"), namespace("other"));
    for ns in [&ns, &other] {
        killed("publish", ns);
        killed("push", ns);
        killed("ask", ns);
    }
    killed("claim", &ns);
    let live = FEED.open().namespace(format!("{ns}/deeper")).publisher().unwrap();

    let listed = list_segments_in(&ns).unwrap();
    let jobs = listed.iter().find(|segment| segment.channel.ends_with("/jobs")).unwrap();
    let backlog = jobs.backlog.unwrap();
    assert!(jobs.stale);
    assert_eq!((backlog.waiting, backlog.claimed, jobs.queued_work(), jobs.messages), (2, 1, 3, 3));
    let service = listed.iter().find(|segment| segment.channel.ends_with("/service")).unwrap();
    assert_eq!((service.backlog.unwrap().waiting, service.queued_work()), (1, 0));
    let feed = listed.iter().find(|segment| segment.channel == format!("{ns}/feed")).unwrap();
    assert_eq!((feed.backlog, feed.queued_work(), feed.stale), (None, 0, true));

    let (removed, spared) = report(&remove_stale(&ns).unwrap(), &ns);
    assert_eq!(removed, ["feed", "service"]);
    assert_eq!(spared, ["deeper/feed: it is in use", "jobs: it holds 3 jobs that are not finished"]);
    // Nothing was done to the other namespace, nor to one whose name only starts alike.
    assert_eq!(list_segments_in(&other).unwrap().len(), 3);
    assert_eq!(list_segments_in(&ns[..ns.len() - 1]).unwrap().len(), 0);
    drop(live);

    // What was accepted is there.
    let mut puller = JOBS.open().namespace(&*ns).puller().unwrap();
    let mut received: Vec<_> = std::iter::from_fn(|| puller.try_recv().ok()).collect();
    received.sort_unstable();
    assert_eq!(received, [0, 1, 2]);
    drop(puller);
    assert_eq!(list_segments_in(&ns).unwrap().len(), 0);
}

#[test]
fn queue_with_work_is_removed_only_by_name() {
    let ns = namespace("by-name");
    killed("push", &ns);
    let spared = remove_stale(&ns).unwrap().spared;
    assert!(matches!(spared[..], [ref one] if matches!(one.reason, SpareReason::HoldsWork(3))), "{spared:?}");
    for one in spared {
        if matches!(one.reason, SpareReason::HoldsWork(_)) {
            assert!(force_unlink(&one.segment.channel).unwrap());
        }
    }
    assert_eq!(list_segments_in(&ns).unwrap().len(), 0);
}

#[test]
fn queue_without_work_is_removed() {
    let ns = namespace("finished");
    killed("push", &ns);
    killed("drain", &ns);
    let segment = list_segments_in(&ns).unwrap().remove(0);
    assert_eq!((segment.queued_work(), segment.backlog.unwrap().acknowledged, segment.messages), (0, 3, 3));
    let (removed, spared) = report(&remove_stale(&ns).unwrap(), &ns);
    assert_eq!((removed, spared), (vec!["jobs".to_owned()], vec![]));
    assert!(!segment.path.exists());
}

#[test]
fn unreadable_segments_are_spared() {
    let ns = namespace("damaged");
    killed("push", &ns);
    let path = list_segments_in(&ns).unwrap().remove(0).path;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(56)).unwrap();
    file.write_all(&[0xff; 8]).unwrap();
    let done = remove_stale(&ns).unwrap();
    assert!(done.removed.is_empty());
    assert!(matches!(done.spared[0].reason, SpareReason::Unreadable(_)), "{done:?}");
    assert!(path.exists());
}

#[test]
fn names_that_differ_in_case_are_two_channels() {
    let ns = namespace("case");
    let names = ["Robot/imu", "robot/imu", "robot/imu."];
    let channels = names.map(Channel::<PubSub<u64>>::new);
    let mut publishers =
        channels.each_ref().map(|channel| channel.open().namespace(&*ns).publisher().unwrap());
    let mut subscribers =
        channels.each_ref().map(|channel| channel.open().namespace(&*ns).subscriber().unwrap());
    for (number, publisher) in publishers.iter_mut().enumerate() {
        publisher.send(&(number as u64)).unwrap();
    }
    assert_eq!(subscribers.each_mut().map(|subscriber| subscriber.recv().unwrap()), [0, 1, 2]);
    let listed = list_segments_in(&ns).unwrap();
    let listed: Vec<&str> = listed.iter().map(|segment| &segment.channel[ns.len() + 1..]).collect();
    assert_eq!(listed, names);
    drop((publishers, subscribers));
    assert_eq!(list_segments_in(&ns).unwrap().len(), 0);
}

#[test]
fn namespaces_follow_the_rules_of_names() {
    for wrong in ["/", "a//b", "größe", "a b", ".."] {
        assert_eq!(list_segments_in(wrong).unwrap_err().kind(), shmcomm::ErrorKind::InvalidName);
        assert_eq!(remove_stale(wrong).unwrap_err().kind(), shmcomm::ErrorKind::InvalidName);
    }
}

/// Plays in a `/dev/shm` of its own: a clean-up of everything must not meet other tests.
fn world() {
    let ns = namespace("world");
    killed("push", &ns);
    killed("publish", &ns);
    killed("wire push", &ns);
    killed("wire publish", &ns);
    let queue = list_segments().unwrap().into_iter().find(|segment| segment.channel == WIRE).unwrap();
    assert!(queue.stale && queue.version == 1);
    assert_eq!((queue.queued_work(), queue.backlog.unwrap().waiting), (2, 2));
    // Python's channels have no namespace.
    assert!(remove_stale(&ns).unwrap().removed.iter().all(|segment| segment.version == 2));
    let mut live = stage::part("wire publish", &ns);
    assert_eq!(live.said(), "ready");

    let (removed, spared) = report(&remove_stale("").unwrap(), &ns);
    let job = "it holds 2 jobs that are not finished";
    assert!(removed.is_empty(), "{removed:?}");
    assert!(spared.contains(&format!("{WIRE}: {job}")), "{spared:?}");
    assert!(spared.contains(&"cleanup-feed: it is in use".to_owned()), "{spared:?}");
    live.kill();
    let (removed, _) = report(&remove_stale("").unwrap(), &ns);
    assert_eq!(removed, ["cleanup-feed"]);
    let left = |part: &str| {
        let files = std::fs::read_dir("/dev/shm").unwrap().flatten();
        files.filter(|file| file.file_name().to_string_lossy().contains(part)).count()
    };
    assert_eq!(left("cleanup-feed"), 0, "the second name went with the first");

    // The jobs are there for the next puller.
    let mut pusher = stage::part("wire push", &ns);
    assert_eq!(pusher.said(), "ready");
    let mut puller = python::Puller::<Vec<u8>, Bytes>::open(Options::pushpull(WIRE)).unwrap();
    for _ in 0..4 {
        assert_eq!(puller.try_recv().unwrap(), b"a job");
    }
    pusher.kill();
    drop(puller);
    let (removed, spared) = report(&remove_stale("").unwrap(), &ns);
    assert_eq!(
        (removed, spared),
        (vec![WIRE.to_owned()], vec!["jobs: it holds 3 jobs that are not finished".to_owned()])
    );
    assert_eq!(left("cleanup-jobs"), 0);
    say("clean");
}

// Windows has no mount namespaces.
#[cfg(unix)]
#[test]
fn clean_up_of_everything_spares_jobs_of_python() {
    let Some(mut wrapper) = stage::unshare(&["--mount"]) else { return };
    let script = "mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm && exec \"$@\"";
    wrapper.extend(["sh", "-c", script, "sh"].map(str::to_owned));
    let mut process = stage::part_under(&wrapper, "world", &namespace("outside"));
    assert_eq!(process.said(), "clean");
}
