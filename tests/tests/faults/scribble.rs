//! A process of the same user that writes random bytes over whole segments, headers and slots, while others work
//! on them: with ends that copy, no process crashes, panics or hangs.
//!
//! Two seconds as it stands; `SHMCOMM_SCRIBBLE_SECONDS=60` for the long form. Meant for AddressSanitizer and for
//! release builds, too, in which arithmetic wraps.

use shmcomm::{TryPullError, WaitSet, channel, force_unlink, list_segments};
use shmcomm_tests::{
    Jobs, Large, LargeFeed, Peer, Service, Small, SmallFeed, TailFeed, namespace, say, stage, word,
};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Longer than any of them takes between two signs of life, on a loaded machine under a sanitizer.
const PATIENCE: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(2);

/// Has bytes that no value has.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Report {
    name: String,
    flags: Vec<Option<bool>>,
}

channel! {
    /// Values with invalid bytes.
    Picky: PubSub<[bool; 8]> { name: "picky", slots: 8 }
    /// Decoded, from copies.
    Packed: PubSub<Report, Msgpack> { name: "packed", slots: 8, slot_size: 256 }
    /// Decoded, from slots that readers hold.
    Pickled: PubSub<Report, Pickle> { name: "pickled", slots: 8, slot_size: 8192 }
    /// Copied, of several publishers.
    Several: PubSub<Small> { name: "several", slots: 8, publishers: 3 }
    /// Held by readers, of several publishers.
    SeveralLarge: PubSub<Large> { name: "several-large", slots: 8, publishers: 3 }
    /// Copied, with a publisher that waits for its subscribers.
    Waits: PubSub<Small> { name: "waits", slots: 8, overflow: Wait, patience: 5ms }
    /// Held by readers, with a publisher that waits for its subscribers.
    WaitsLarge: PubSub<Large> { name: "waits-large", slots: 8, overflow: Wait, patience: 5ms }
    /// Of each flavor, for sets.
    SetFeed: PubSub<Small> { name: "set-feed", slots: 8 }
    SetLarge: PubSub<Large> { name: "set-large", slots: 8 }
    SetSeveral: PubSub<Small> { name: "set-several", slots: 8, publishers: 2 }
    SetJobs: PushPull<Small> { name: "set-jobs", slots: 8 }
    SetService: ReqRep<Small, Small> { name: "set-service", slots: 8, redeliver: true }
    /// For tasks.
    TaskFeed: PubSub<Small> { name: "task-feed", slots: 8 }
    TaskWaits: PubSub<Small> { name: "task-waits", slots: 8, overflow: Wait, patience: 5ms }
    TaskJobs: PushPull<Small> { name: "task-jobs", slots: 8 }
    TaskService: ReqRep<Small, Small> { name: "task-service", slots: 8 }
}

const PARTS: [(&str, fn()); 11] = [
    ("copied", copied),
    ("pinned", pinned),
    ("encoded", encoded),
    ("queue", queue),
    ("service", service),
    ("onlooker", onlooker),
    ("several", several),
    ("waits", waits),
    ("sets", || sets(false)),
    ("sets with a descriptor", || sets(true)),
    ("tasks", tasks),
];

#[test]
fn part() {
    stage::play(&PARTS);
}

fn seconds() -> Duration {
    let seconds = std::env::var("SHMCOMM_SCRIBBLE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

#[test]
fn scribbled_segments_cause_no_crash_and_no_hang() {
    let ns = namespace("scribble");
    let mut workers: Vec<(Peer, &str)> =
        PARTS.iter().map(|&(name, _)| (stage::part(name, &ns), name)).collect();
    let end = Instant::now() + seconds();
    let mut random = Random(0x5eed);
    let (mut scribbles, mut files) = (0u64, Vec::new());
    let mut looked = None::<Instant>;
    while Instant::now() < end {
        // Publishers replace segments that they find damaged.
        if looked.is_none_or(|at| at.elapsed() > Duration::from_millis(20)) {
            files = open_segments(&ns);
            looked = Some(Instant::now());
        }
        for (file, len) in &files {
            scribble(file, *len, &mut random);
            scribbles += 1;
        }
    }
    assert!(scribbles > 1000, "{scribbles} scribbles");
    for (worker, name) in &mut workers {
        let said = if worker.ended() {
            String::new()
        } else {
            worker.say("stop");
            worker.said()
        };
        let done: u64 =
            said.parse().unwrap_or_else(|_| panic!("`{name}` crashed, panicked or hung: `{said}`"));
        println!("{name}: {done} rounds under {scribbles} scribbles");
        assert!(done > 0, "`{name}` never got to work");
    }
    for (worker, name) in workers {
        assert!(worker.finish().success(), "{name}");
    }
    // What is left can be removed and made anew.
    for segment in list_segments().unwrap().into_iter().filter(|s| s.channel.starts_with(&*ns)) {
        force_unlink(&segment.channel).unwrap();
    }
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(1)));
}

/// All segments of the test, whatever their headers say by now.
fn open_segments(namespace: &str) -> Vec<(File, u64)> {
    let prefix = format!("shmcomm2_{namespace}%2F");
    let paths = std::fs::read_dir("/dev/shm").unwrap().flatten().map(|entry| entry.path());
    let ours =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
    paths
        .filter(ours)
        .filter_map(|path| {
            let file = OpenOptions::new().write(true).open(path).ok()?;
            let len = file.metadata().ok()?.len();
            Some((file, len)).filter(|(_, len)| *len > 0)
        })
        .collect()
}

fn scribble(file: &File, len: u64, random: &mut Random) {
    // The header is a small part of the file, and the words at its start have the most effects.
    let at = match random.next() % 4 {
        0 => random.next() % 8192,
        1 => random.next() % 65_536,
        _ => random.next(),
    } % len;
    let mut bytes = [0; 64];
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&random.word().to_ne_bytes());
    }
    // Words at their places as often as bytes anywhere; the identity, which is read once, more rarely.
    let at = if random.next().is_multiple_of(2) { at & !7 } else { at };
    // A file without magic and version is foreign, and no end would touch it again.
    if at < 16 || at < 256 && !random.next().is_multiple_of(16) {
        return;
    }
    let size = (1 + random.next() % 64).min(len - at) as usize;
    file.write_all_at(&bytes[..size], at).unwrap();
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        word(self.0, 0)
    }

    /// A value that code may stumble over.
    fn word(&mut self) -> u64 {
        match self.next() % 6 {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << (self.next() % 64),
            3 => self.next() % 256,
            4 => (1u64 << (self.next() % 64)).wrapping_sub(1),
            _ => self.next(),
        }
    }
}

/// Opens ends and works with them, again and again, until the test says stop. Then says how often.
fn work<E>(mut open: impl FnMut() -> Option<E>, mut round: impl FnMut(&mut E, u64)) {
    static STOP: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        stage::wait();
        STOP.store(true, Ordering::Relaxed);
        // The test waits for the number of rounds; without an end to that, it would hang with us.
        std::thread::sleep(PATIENCE);
        eprintln!("still at it, {PATIENCE:?} after it was told to stop");
        std::process::abort();
    });
    let mut rounds = 0;
    while !STOP.load(Ordering::Relaxed) {
        let Some(mut ends) = open() else {
            std::thread::sleep(MOMENT);
            continue;
        };
        for _ in 0..500 {
            round(&mut ends, rounds);
            rounds += 1;
            if STOP.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    say(rounds);
    std::process::exit(0);
}

fn copied() {
    work(
        || {
            let ends = (
                SmallFeed::publisher().ok()?,
                SmallFeed::open().connect_timeout(MOMENT).history(3).subscriber().ok()?,
                Picky::publisher().ok()?,
                Picky::open().connect_timeout(MOMENT).subscriber().ok()?,
                TailFeed::publisher().ok()?,
            );
            Some(ends)
        },
        |(small, small_sub, picky, picky_sub, tails), round| {
            let _ = small.send(&Small::new(round));
            let _ = small_sub.recv_timeout(MOMENT);
            let _ = small_sub.latest();
            let _ = picky.send(&[round % 2 == 0; 8]);
            let _ = (picky_sub.try_recv(), picky_sub.try_recv());
            let _ = picky_sub.recv_timeout(MOMENT);
            let _ = tails.send(&Small::new(round), &[round; 100]);
            let _ = (small.subscribers(), small_sub.lag(), small_sub.is_connected());
            if round % 64 == 0 {
                let _ = (small.stats(), picky_sub.stats());
            }
        },
    );
}

fn pinned() {
    work(
        || {
            let publisher = LargeFeed::publisher().ok()?;
            let subscriber = || LargeFeed::open().connect_timeout(MOMENT).history(2).subscriber().ok();
            Some((publisher, subscriber()?, subscriber()?))
        },
        |(publisher, one, two), round| {
            let _ = publisher.send(&Large::new(round));
            let _ = one.recv_timeout(MOMENT);
            let _ = two.latest();
            let _ = two.try_recv();
            if round % 64 == 0 {
                publisher.stats();
            }
        },
    );
}

fn encoded() {
    let report = |round: u64| Report { name: format!("{round}"), flags: vec![Some(true), None] };
    work(
        || {
            let ends = (
                Packed::publisher().ok()?,
                Packed::open().connect_timeout(MOMENT).subscriber().ok()?,
                Pickled::publisher().ok()?,
                Pickled::open().connect_timeout(MOMENT).subscriber().ok()?,
            );
            Some(ends)
        },
        |(packed, unpack, pickled, unpickle), round| {
            let _ = packed.send(&report(round));
            let _ = unpack.recv_timeout(MOMENT);
            let _ = pickled.send(&report(round));
            let _ = unpickle.recv_timeout(MOMENT);
            let _ = unpickle.latest();
        },
    );
}

fn queue() {
    work(
        || {
            // An end leaves a damaged queue as it is, for inspection: here it is removed.
            let _ = force_unlink(&format!("{}/jobs", std::env::var("SHMCOMM_NAMESPACE").ok()?));
            let pusher = Jobs::pusher().ok()?;
            Some((pusher, Jobs::puller().ok()?, Jobs::puller().ok()?))
        },
        |(pusher, one, two), round| {
            let _ = pusher.send_timeout(&Small::new(round), MOMENT);
            let _ = pusher.try_send(&Small::new(round));
            let _ = one.recv_timeout(MOMENT);
            for _ in 0..4 {
                if two.try_recv() == Err(TryPullError::Empty) {
                    break;
                }
            }
            if round % 64 == 0 {
                let _ = pusher.flush(MOMENT);
                pusher.stats();
            }
        },
    );
}

fn service() {
    work(
        || Some((Service::requester().ok()?, Service::replier().ok()?)),
        |(requester, replier), round| {
            let Ok(mut call) = requester.call(&Small::new(round)) else { return };
            if let Ok(request) = replier.recv_timeout(MOMENT) {
                let _ = request.reply(&Small::new(!round));
            }
            let _ = call.wait_timeout(MOMENT);
            let _ = requester.request_timeout(&Small::new(round), MOMENT);
            let _ = replier.try_recv().map(|request| request.decline());
            if round % 64 == 0 {
                let _ = (requester.stats(), requester.repliers());
            }
        },
    );
}

fn several() {
    work(
        || {
            let publishers =
                (Several::publisher().ok()?, Several::publisher().ok()?, SeveralLarge::publisher().ok()?);
            let small = || Several::open().connect_timeout(MOMENT).history(3).subscriber().ok();
            let large = || SeveralLarge::open().connect_timeout(MOMENT).subscriber().ok();
            Some((publishers, (small()?, small()?), (large()?, large()?)))
        },
        |((one, two, large), (small, other), (held, next)), round| {
            let _ = (one.send(&Small::new(round)), two.send(&Small::new(!round)));
            let _ = (small.recv_timeout(MOMENT), small.publisher(), small.lag());
            let _ = (other.try_recv(), other.latest());
            let _ = large.send(&Large::new(round));
            let _ = held.recv_timeout(MOMENT);
            let _ = (next.latest(), next.try_recv());
            if round % 64 == 0 {
                let _ = (one.stats(), large.stats(), one.subscribers());
            }
        },
    );
}

fn waits() {
    work(
        || {
            let small = || Waits::open().connect_timeout(MOMENT).subscriber().ok();
            let large = || WaitsLarge::open().connect_timeout(MOMENT).subscriber().ok();
            Some((
                (Waits::publisher().ok()?, small()?, small()?),
                (WaitsLarge::publisher().ok()?, large()?, large()?),
            ))
        },
        |((small, one, two), (large, held, next)), round| {
            let _ = small.send_timeout(&Small::new(round), MOMENT);
            let _ = small.try_send(&Small::new(round));
            let _ = (one.recv_timeout(MOMENT), two.try_recv(), one.lag());
            let _ = large.send_timeout(&Large::new(round), MOMENT);
            let _ = large.try_send(&Large::new(round));
            let _ = held.recv_timeout(MOMENT);
            let _ = (next.latest(), next.try_recv());
            let _ = (small.wait_for_room(Duration::ZERO), small.subscribers());
        },
    );
}

/// Sets that sleep by themselves, or with a descriptor, so that another thread sleeps for them.
fn sets(with_descriptor: bool) {
    work(
        || {
            let ns = std::env::var("SHMCOMM_NAMESPACE").ok()?;
            let ns = if with_descriptor { format!("{ns}/descriptor") } else { ns };
            let _ = force_unlink(&format!("{ns}/set-jobs"));
            let senders = (
                SetFeed::open().namespace(&*ns).publisher().ok()?,
                SetLarge::open().namespace(&*ns).publisher().ok()?,
                SetSeveral::open().namespace(&*ns).publisher().ok()?,
                SetJobs::open().namespace(&*ns).pusher().ok()?,
                SetService::open().namespace(&*ns).requester().ok()?,
            );
            let feed = SetFeed::open().namespace(&*ns).connect_timeout(MOMENT).subscriber().ok()?;
            let large = SetLarge::open().namespace(&*ns).connect_timeout(MOMENT).subscriber().ok()?;
            let several = SetSeveral::open().namespace(&*ns).connect_timeout(MOMENT).subscriber().ok()?;
            let (jobs, service) = (
                SetJobs::open().namespace(&*ns).puller().ok()?,
                SetService::open().namespace(&*ns).replier().ok()?,
            );
            let mut set = WaitSet::new();
            set.add(0, &feed).ok()?;
            set.add(1, &large).ok()?;
            set.add(2, &several).ok()?;
            set.add(3, &jobs).ok()?;
            set.add(4, &service).ok()?;
            set.add(5, &senders.3).ok()?;
            if with_descriptor {
                set.fd().ok()?;
            }
            Some((senders, (feed, large, several, jobs, service), set))
        },
        |((feed, large, several, jobs, service), ends, set), round| {
            let _ = (feed.send(&Small::new(round)), large.send(&Large::new(round)));
            let _ = (several.send(&Small::new(round)), jobs.try_send(&Small::new(round)));
            let mut call = service.call(&Small::new(round)).ok();
            if let Some(call) = &call {
                let _ = set.add(6, call);
            }
            for ready in set.wait_timeout(MOMENT).unwrap() {
                match ready.key {
                    0 => _ = ends.0.try_recv(),
                    1 => _ = ends.1.try_recv(),
                    2 => _ = ends.2.try_recv(),
                    3 => _ = ends.3.try_recv(),
                    4 => _ = ends.4.try_recv().map(|request| request.reply(&Small::new(round))),
                    6 => _ = call.as_mut().map(|call| call.poll()),
                    _ => {}
                }
            }
            drop(call);
            set.try_wait().unwrap();
        },
    );
}

fn tasks() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    work(
        || {
            let _ = force_unlink(&format!("{}/task-jobs", std::env::var("SHMCOMM_NAMESPACE").ok()?));
            let ends = (
                (TaskFeed::publisher().ok()?, TaskFeed::open().connect_timeout(MOMENT).subscriber().ok()?),
                (TaskWaits::publisher().ok()?, TaskWaits::open().connect_timeout(MOMENT).subscriber().ok()?),
                (TaskJobs::pusher().ok()?, TaskJobs::puller().ok()?),
                (TaskService::requester().ok()?, TaskService::replier().ok()?),
            );
            Some(ends)
        },
        |((feed, fed), (waiting, waited), (pusher, puller), (requester, replier)), round| {
            let message = Small::new(round);
            runtime.block_on(async {
                let _ = timeout(MOMENT, feed.send_async(&message)).await;
                let _ = timeout(MOMENT, fed.recv_async()).await;
                let _ = timeout(MOMENT, waiting.send_async(&message)).await;
                let _ = timeout(MOMENT, waited.recv_async()).await;
                let _ = timeout(MOMENT, pusher.send_async(&message)).await;
                let _ = timeout(MOMENT, puller.recv_async()).await;
                let answer = async {
                    if let Ok(request) = replier.recv_async().await {
                        let _ = request.reply(&Small::new(!round));
                    }
                };
                let (asked, answered) =
                    (timeout(MOMENT, requester.request_async(&message)), timeout(MOMENT, answer));
                let _ = futures_util::future::join(asked, answered).await;
            });
        },
    );
}

/// Inspects all of it from outside.
fn onlooker() {
    work(
        || Some(()),
        |(), _| {
            let segments = list_segments().unwrap();
            assert!(segments.iter().all(|segment| segment.participants.len() <= 65_536));
        },
    );
}
