//! Sets and their process: many channels, without the system call for many futexes, dead peers, forks,
//! the set's own file descriptor in other event loops, processor time, and no wake lost.
// `futex_waitv`, epoll and `/proc` exist on Linux only.
#![cfg(target_os = "linux")]

mod wakes;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::time::{ClockId, clock_gettime};
use shmcomm::{Interest, Publisher, RecvError, Subscriber, TryRecvError, WaitSet};
use shmcomm_tests::{Jobs, Service, Small, SmallFeed, namespace, say, stage};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use wakes::ping;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn part() {
    stage::play(&[
        ("many", || follow_many(200, if stage::waits_for_many_futexes() { 2 } else { 200 })),
        ("many without the call", || {
            stage::forbid_futex_waitv();
            follow_many(200, 200);
        }),
        ("publisher", || {
            let mut publisher = SmallFeed::open().publisher().unwrap();
            publisher.wait_for_subscribers(1, PATIENCE);
            publisher.send(&Small::new(1)).unwrap();
            say("sent");
            stage::wait();
        }),
        ("puller", || {
            let mut puller = Jobs::open().puller().unwrap();
            std::mem::forget(puller.claim().unwrap());
            say("claimed");
            stage::wait();
        }),
        ("replier", || {
            let mut replier = Service::open().replier().unwrap();
            std::mem::forget(replier.recv().unwrap());
            say("taken");
            stage::wait();
        }),
        ("fork", fork_with_a_set),
        ("idle", idle_sets),
        ("pinger", ping),
        ("pinger without the call", || {
            stage::forbid_futex_waitv();
            ping();
        }),
    ]);
}

/// Threads of this process that sleep for sets.
fn sleepers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).is_ok_and(|name| name == "shmcomm-wait\n")
    };
    tasks.map(named).filter(|is| *is).count()
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn feed(number: usize) -> String {
    format!("{}/{number}", std::env::var("SHMCOMM_NAMESPACE").unwrap())
}

/// Follows `count` channels by one set, whose publishers are in this process, each of which sends when
/// everything is asleep.
/// Says how many threads slept for it, of `expected`.
fn follow_many(count: usize, expected: usize) {
    let mut publishers: Vec<Publisher<Small>> =
        (0..count).map(|i| SmallFeed::open().namespace(feed(i)).publisher().unwrap()).collect();
    let mut subscribers: Vec<Subscriber<Small>> =
        (0..count).map(|i| SmallFeed::open().namespace(feed(i)).subscriber().unwrap()).collect();
    let mut set = WaitSet::new();
    for (number, subscriber) in subscribers.iter().enumerate() {
        set.add(number, subscriber).unwrap();
    }
    let rounds = 2;
    let most = std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            // Until all are asleep.
            for _ in 0..200 {
                std::thread::sleep(Duration::from_millis(50));
                if sleepers() >= expected {
                    break;
                }
            }
            let most = sleepers();
            for round in 0..rounds {
                // First all at once, then one after the other, each to a sleeper.
                for publisher in &mut publishers {
                    if round > 0 {
                        std::thread::sleep(Duration::from_micros(300));
                    }
                    publisher.send(&Small::new(round)).unwrap();
                }
            }
            (most, publishers)
        });
        let mut received = vec![0; count];
        while received.iter().any(|&n| n < rounds) {
            let ready = set.wait_timeout(PATIENCE).unwrap();
            assert!(!ready.is_empty(), "{received:?}");
            for ready in ready {
                if let Ok(message) = subscribers[ready.key].try_recv() {
                    assert_eq!(message, Small::new(received[ready.key]));
                    received[ready.key] += 1;
                }
            }
        }
        sender.join().unwrap().0
    });
    say(format_args!("received with {most} sleepers"));
}

#[test]
fn two_hundred_channels_are_followed_by_one_set() {
    let ns = namespace("many");
    // Each thread takes 127 words in one call of the kernel, or one word without that call.
    let sleepers = if stage::waits_for_many_futexes() { 2 } else { 200 };
    assert_eq!(stage::part("many", &ns).said(), format!("received with {sleepers} sleepers"));
}

#[test]
fn without_futex_waitv_each_channel_has_a_thread() {
    let ns = namespace("forbidden");
    assert_eq!(stage::part("many without the call", &ns).said(), "received with 200 sleepers");
}

#[test]
fn death_of_a_peer_makes_its_channel_ready() {
    let ns = namespace("death");
    // With a file in the set too, when others sleep for it.
    for others in [false, true] {
        let (file, _other) = UnixStream::pair().unwrap();
        let mut set = WaitSet::new();
        if others {
            set.add_fd("file", &file, Interest::Readable).unwrap();
        }

        let publisher = stage::part("publisher", &ns);
        let mut subscriber =
            SmallFeed::open().namespace(&*ns).connect_timeout(PATIENCE).subscriber().unwrap();
        set.add("feed", &subscriber).unwrap();
        assert_eq!(wait(&mut set), "feed");
        assert_eq!(subscriber.try_recv().unwrap(), Small::new(1));
        publisher.kill();
        assert_eq!(wait(&mut set), "feed");
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Disconnected));
        assert!(set.wait_timeout(Duration::from_millis(120)).unwrap().is_empty(), "said once");
        let publisher = stage::part("publisher", &ns);
        assert_eq!(wait(&mut set), "feed");
        assert_eq!(subscriber.recv(), Ok(Small::new(1)), "from the next publisher");
        publisher.kill();
        assert_eq!(wait(&mut set), "feed");
        assert_eq!(subscriber.recv(), Err(RecvError::Disconnected));
        drop(subscriber);

        // A job returns to the queue.
        let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
        let mut killed = stage::part("puller", &ns);
        pusher.send(&Small::new(2)).unwrap();
        assert_eq!(killed.said(), "claimed");
        let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
        set.add("jobs", &puller).unwrap();
        assert!(set.wait_timeout(Duration::from_millis(60)).unwrap().is_empty());
        killed.kill();
        assert_eq!(wait(&mut set), "jobs");
        let job = puller.try_claim().unwrap();
        assert!(job.redelivered());
        job.done();
        drop(puller);

        // A request is answered.
        let requester = Service::open().namespace(&*ns).requester().unwrap();
        let mut replier = stage::part("replier", &ns);
        let mut call = requester.call(&Small::new(3)).unwrap();
        assert_eq!(replier.said(), "taken");
        set.add("reply", &call).unwrap();
        assert!(set.wait_timeout(Duration::from_millis(60)).unwrap().is_empty());
        replier.kill();
        assert_eq!(wait(&mut set), "reply");
        assert!(call.poll().expect("an answer").is_err());
    }
}

#[track_caller]
fn wait(set: &mut WaitSet<&'static str>) -> &'static str {
    let ready = set.wait_timeout(PATIENCE).unwrap();
    assert_eq!(ready.len(), 1, "{ready:?}");
    ready[0].key
}

#[test]
fn others_can_sleep_in_the_set() {
    let ns = namespace("epoll");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add("feed", &subscriber).unwrap();
    let outer = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let fd = set.fd().unwrap().try_clone_to_owned().unwrap();
    epoll::add(&outer, &fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    let readable = |millis: i64| {
        let timeout = Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 };
        poll(&mut [PollFd::new(&outer, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    };
    assert!(readable(0), "no poll has happened yet");
    assert!(set.try_wait().unwrap().is_empty());
    assert!(!readable(120), "several slices without a wake");

    publisher.send(&Small::new(1)).unwrap();
    assert!(readable(20_000));
    assert_eq!(set.try_wait().unwrap().len(), 1);
    assert!(readable(0), "unread");
    subscriber.try_recv().unwrap();
    assert!(set.try_wait().unwrap().is_empty());
    assert!(!readable(20));

    set.add_interval("tick", Duration::from_millis(30));
    assert!(readable(0), "it has changed");
    assert!(set.try_wait().unwrap().is_empty());
    assert!(readable(20_000));
    assert_eq!(set.try_wait().unwrap()[0].key, "tick");
    assert!(set.remove(&"tick"));
    assert!(set.try_wait().unwrap().is_empty());
    assert!(!readable(60));

    let (here, mut there) = UnixStream::pair().unwrap();
    set.add_fd("socket", &here, Interest::Readable).unwrap();
    assert!(set.try_wait().unwrap().is_empty());
    there.write_all(b"x").unwrap();
    assert!(readable(20_000));
    assert_eq!(set.try_wait().unwrap()[0].key, "socket");
    assert!(set.remove(&"socket"));
    assert!(set.try_wait().unwrap().is_empty());

    // Blocking waits work beside.
    publisher.send(&Small::new(2)).unwrap();
    assert_eq!(set.wait().unwrap()[0].key, "feed");
    drop(subscriber);
    assert!(readable(20_000), "an end has gone");
    assert!(set.try_wait().unwrap().is_empty() && set.is_empty());
}

const ASYNCIO: &str = r#"
import asyncio, sys
fd = int(sys.argv[1])
async def main():
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        woken = loop.create_future()
        def ready():
            loop.remove_reader(fd)
            woken.set_result(None)
        loop.add_reader(fd, ready)
        try:
            await asyncio.wait_for(woken, float(line))
            print("ready", flush=True)
        except asyncio.TimeoutError:
            loop.remove_reader(fd)
            print("quiet", flush=True)
asyncio.run(main())
"#;

#[test]
fn asyncio_waits_for_the_set() {
    let Ok(true) = Command::new("python3").arg("--version").output().map(|o| o.status.success()) else {
        return stage::skip("there is no python3");
    };
    let ns = namespace("asyncio");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add((), &subscriber).unwrap();
    // A copy that the child inherits.
    // SAFETY: duplicates an open descriptor.
    let fd = unsafe { libc::dup(set.fd().unwrap().as_fd().as_raw_fd()) };
    let mut python = Command::new("python3")
        .args(["-c", ASYNCIO, &fd.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // SAFETY: the descriptor is this function's own.
    unsafe { libc::close(fd) };
    let mut input = python.stdin.take().unwrap();
    let mut lines = BufReader::new(python.stdout.take().unwrap()).lines();
    let mut ask = |seconds: &str| {
        writeln!(input, "{seconds}").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(ask("20"), "ready");
    assert!(set.try_wait().unwrap().is_empty());
    assert_eq!(ask("0.1"), "quiet");
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(ask("20"), "ready");
    assert_eq!(set.try_wait().unwrap().len(), 1);
    assert_eq!(ask("20"), "ready", "unread");
    subscriber.try_recv().unwrap();
    assert!(set.try_wait().unwrap().is_empty());
    assert_eq!(ask("0.1"), "quiet");
    drop(input);
    python.wait().unwrap();
}

/// A child that inherits a set in use is told so, and leaves its parent's alone.
fn fork_with_a_set() {
    let mut publisher = SmallFeed::open().publisher().unwrap();
    let mut subscriber = SmallFeed::open().subscriber().unwrap();
    let (file, _other) = UnixStream::pair().unwrap();
    let mut set = WaitSet::new();
    set.add("feed", &subscriber).unwrap();
    set.add_fd("file", &file, Interest::Readable).unwrap();
    set.fd().unwrap();
    assert!(set.wait_timeout(Duration::from_millis(60)).unwrap().is_empty());
    // SAFETY: the child uses the set, and ends without destructors of the test harness.
    match unsafe { libc::fork() } {
        0 => {
            let told = set.wait().is_ok_and(|ready| ready.len() == 1 && ready[0].key == "feed")
                && subscriber.try_recv() == Err(TryRecvError::Forked);
            drop((set, subscriber));
            // SAFETY: ends the process.
            unsafe { libc::_exit(i32::from(!told)) };
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child just made.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0, "the child was not told");
        }
    }
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(set.wait_timeout(PATIENCE).unwrap()[0].key, "feed");
    subscriber.try_recv().unwrap();
    say("the parent goes on");
}

#[test]
fn forked_child_gets_errors_and_its_parent_works() {
    let ns = namespace("fork");
    assert_eq!(stage::part("fork", &ns).said(), "the parent goes on");
}

/// Sets in which something stays unread, or gone, with and without a waiting thread.
fn idle_sets() {
    let mut publisher = SmallFeed::open().publisher().unwrap();
    let unread = SmallFeed::open().subscriber().unwrap();
    let mut widow = SmallFeed::open().namespace(feed(1)).connect_timeout(PATIENCE);
    let mut widow = {
        let _gone = SmallFeed::open().namespace(feed(1)).publisher().unwrap();
        widow = widow.connect_timeout(PATIENCE);
        widow.subscriber().unwrap()
    };
    let mut shown = WaitSet::new();
    shown.add((), &unread).unwrap();
    shown.fd().unwrap();
    assert!(shown.try_wait().unwrap().is_empty());
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(shown.wait_timeout(PATIENCE).unwrap().len(), 1);

    let mut set = WaitSet::new();
    set.add((), &widow).unwrap();
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    assert_eq!(widow.try_recv(), Err(TryRecvError::Disconnected));
    let before = cpu();
    assert!(set.wait_timeout(Duration::from_secs(1)).unwrap().is_empty());
    say(cpu().saturating_sub(before).as_millis());
}

#[test]
fn what_stays_unread_takes_no_processor_time() {
    let ns = namespace("idle");
    let millis: u64 = stage::part("idle", &ns).said().parse().unwrap();
    // The part waits for one second. It makes twenty liveness checks, at any speed of the machine.
    assert!(millis < 100, "{millis} ms of a second");
}

#[test]
fn calls_come_and_go_in_a_set() {
    let ns = namespace("calls");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let mut set = WaitSet::new();
    set.add(u64::MAX, &replier).unwrap();
    let mut calls = Vec::new();
    let mut answered = 0;
    for number in 0..500 {
        let call = requester.call(&Small::new(number)).unwrap();
        set.add(number, &call).unwrap();
        calls.push((number, call));
        // Some are dropped without an answer.
        if number % 7 == 0 && calls.len() > 1 {
            drop(calls.remove(0));
        }
        for ready in set.wait_timeout(PATIENCE).unwrap() {
            if ready.key == u64::MAX {
                while let Ok(request) = replier.try_recv() {
                    let reply = Small::new(!request.number);
                    let _ = request.reply(&reply);
                }
            } else if let Some(at) = calls.iter().position(|(number, _)| *number == ready.key) {
                let (number, mut call) = calls.remove(at);
                assert_eq!(call.poll(), Some(Ok(Small::new(!number))));
                answered += 1;
            }
        }
        assert!(set.len() <= 18, "what is over leaves");
    }
    assert!(answered > 300, "{answered}");
}
