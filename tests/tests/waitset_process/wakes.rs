//! No wake-up is lost: single messages wake a sleeper at once, whatever it sleeps in.

use crate::PATIENCE;
use rustix::time::{ClockId, clock_gettime};
use shmcomm::{Interest, WaitSet};
use shmcomm_tests::{Jobs, Namespace, Small, SmallFeed, namespace, say, stage};
use std::os::unix::net::UnixStream;

fn nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Sends a job for each message of the feed, after a pause: the receiver sleeps, prepares to sleep, or still polls.
pub fn ping() {
    let mut feed = SmallFeed::open().connect_timeout(PATIENCE).subscriber().unwrap();
    let mut pusher = Jobs::open().pusher().unwrap();
    say("here");
    let mut random = 1u64;
    let mut late = 0;
    while let Ok(message) = feed.recv() {
        if message.number == 0 {
            break;
        }
        late += u64::from(nanos() - message.number > LATE);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = nanos() + (random >> 33) % 100_000;
        while nanos() < until {
            std::hint::spin_loop();
        }
        pusher.send(&Small::new(nanos())).unwrap();
    }
    say(late);
}

/// Delay in nanoseconds from which a wake-up counts as late: the end of a sleep, or a busy machine.
const LATE: u64 = 40_000_000;

/// Returns the number of messages to send: a million with `SHMCOMM_WAKES=1000000`, in ten minutes.
fn wakes() -> u64 {
    std::env::var("SHMCOMM_WAKES").ok().and_then(|wakes| wakes.parse().ok()).unwrap_or(2_000)
}

/// Has a pinger send single messages to a sleeper. Returns the numbers of late messages here and there.
fn late_wakes(ns: &Namespace, part: &str, mut wait: impl FnMut(&mut shmcomm::Puller<Small>)) -> (u64, u64) {
    let mut feed = SmallFeed::open().namespace(&**ns).publisher().unwrap();
    let mut puller = Jobs::open().namespace(&**ns).puller().unwrap();
    let mut pinger = stage::part_of("part", part, ns);
    assert_eq!(pinger.said(), "here");
    let mut late = 0;
    for _ in 0..wakes() {
        feed.send(&Small::new(nanos())).unwrap();
        wait(&mut puller);
        let message = puller.recv_timeout(PATIENCE).expect("the pinger answers");
        late += u64::from(nanos() - message.number > LATE);
    }
    feed.send(&Small::new(0)).unwrap();
    (late, pinger.said().parse().unwrap())
}

/// Accepts one late message in a thousand. A lost wake-up would delay half of the messages.
#[track_caller]
fn assert_woken((here, there): (u64, u64)) {
    let most = 2 + wakes() / 1000;
    assert!(here <= most && there <= most, "{here} and {there} of {} messages came late", wakes());
}

#[test]
fn no_wake_of_a_blocking_receive_is_lost() {
    let ns = namespace("wake-recv");
    assert_woken(late_wakes(&ns, "pinger", |_| {}));
}

#[test]
fn no_wake_of_a_set_is_lost() {
    let ns = namespace("wake-set");
    let other = SmallFeed::open().namespace(format!("{ns}/other")).publisher().unwrap();
    let quiet = SmallFeed::open().namespace(format!("{ns}/other")).subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add("quiet", &quiet).unwrap();
    assert_woken(late_wakes(&ns, "pinger", |puller| {
        if set.len() == 1 {
            set.add("jobs", puller).unwrap();
        }
        assert_eq!(set.wait_timeout(PATIENCE).unwrap()[0].key, "jobs");
    }));
    drop(other);
}

#[test]
fn no_wake_of_a_set_is_lost_when_others_sleep_for_it() {
    for part in ["pinger", "pinger without the call"] {
        let ns = namespace("wake-gate");
        let (file, _other) = UnixStream::pair().unwrap();
        let mut set = WaitSet::new();
        set.add_fd("file", &file, Interest::Readable).unwrap();
        assert_woken(late_wakes(&ns, part, |puller| {
            if set.len() == 1 {
                set.add("jobs", puller).unwrap();
            }
            assert_eq!(set.wait_timeout(PATIENCE).unwrap()[0].key, "jobs");
        }));
    }
}
