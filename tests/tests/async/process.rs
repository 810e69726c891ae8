//! Tasks and their process: where the kernel cannot wait for many words, forks, threads that come and go,
//! processor time.

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use shmcomm::RecvError;
#[allow(dead_code, reason = "each file uses a part of it")]
use shmcomm_tests::executor::{block_on, current_thread};
use shmcomm_tests::{Namespace, Small, SmallFeed, namespace, say, stage};
use std::time::Duration;

#[test]
fn part() {
    stage::play(&[
        ("tasks", || follow_many(20)),
        ("tasks without the call", || {
            stage::forbid_futex_waitv();
            follow_many(20);
        }),
        ("fork with a waiting task", fork_with_a_waiting_task),
        ("one task", one_task),
        ("idle tasks", idle_tasks),
    ]);
}

/// Threads of this process that sleep for tasks.
fn sleepers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).is_ok_and(|name| name == "shmcomm-wait\n")
    };
    tasks.map(named).filter(|is| *is).count()
}

/// Receives 10 messages on each of `count` channels, in one thread; says how many threads slept for it.
fn follow_many(count: usize) {
    let channels = (0..count).map(|channel| {
        SmallFeed::open()
            .namespace(format!("{}/{channel}", std::env::var("SHMCOMM_NAMESPACE").unwrap()))
            .connect_timeout(Duration::from_secs(10))
            .subscriber()
            .unwrap()
    });
    let mut most = 0;
    let tasks = join_all(channels.collect::<Vec<_>>().into_iter().map(|mut feed| async move {
        for number in 0..10 {
            assert_eq!(feed.recv_async().await, Ok(Small::new(number)));
        }
    }));
    let mut tasks = std::pin::pin!(tasks);
    say("ready");
    block_on(std::future::poll_fn(|context| {
        let outcome = tasks.as_mut().poll(context);
        most = most.max(sleepers());
        outcome.map(drop)
    }));
    say(format_args!("received with {most} sleepers"));
}

fn publish_to_part(part: &str) -> String {
    let ns = namespace(&part.replace(' ', "-"));
    let mut feeds: Vec<_> =
        (0..20).map(|n| SmallFeed::open().namespace(format!("{ns}/{n}")).publisher().unwrap()).collect();
    let mut process = stage::part(part, &ns);
    assert_eq!(process.said(), "ready");
    for number in 0..10 {
        for feed in &mut feeds {
            feed.send(&Small::new(number)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    process.said()
}

#[test]
fn one_thread_sleeps_for_all_tasks() {
    assert_eq!(publish_to_part("tasks"), "received with 1 sleepers");
}

#[test]
fn tasks_are_woken_without_futex_waitv() {
    // A thread for each word.
    assert_eq!(publish_to_part("tasks without the call"), "received with 20 sleepers");
}

#[test]
fn forked_child_drops_inherited_tasks_and_has_its_own() {
    let ns = namespace("async-fork");
    let mut process = stage::part("fork with a waiting task", &ns);
    assert_eq!(process.said(), "child ended with 0");
    assert_eq!(process.said(), "parent: Ok(2)");
}

fn fork_with_a_waiting_task() {
    let mut publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let mut waiting = Box::pin(subscriber.recv_async());
    assert!(waiting.as_mut().now_or_never().is_none());
    // SAFETY: there are two other threads. The thread of the test harness waits. The thread that sleeps for tasks may hold
    // locks, but the child takes none of these.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        assert_eq!(block_on(waiting), Err(RecvError::Forked));
        let mut own = SmallFeed::subscriber().unwrap();
        assert_eq!(block_on(async { own.recv_async().now_or_never() }), None);
        drop(own);
        drop((publisher, subscriber));
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for our child and writes to our variable.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    say(format_args!("child ended with {status}"));
    publisher.send(&Small::new(2)).unwrap();
    say(format_args!("parent: {:?}", block_on(waiting).map(|message| message.number)));
}

#[test]
fn reactor_thread_ends_with_the_last_task() {
    let ns = namespace("async-thread");
    let mut process = stage::part("one task", &ns);
    assert_eq!(process.said(), "0, then 1, then 0 sleepers");
}

fn one_task() {
    let _publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let before = sleepers();
    let mut waiting = Box::pin(subscriber.recv_async());
    assert!(waiting.as_mut().now_or_never().is_none());
    // It has its name as soon as it runs.
    let appears = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        sleepers() == 1
    });
    drop(waiting);
    let ends = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        sleepers() == 0
    });
    say(format_args!("{before}, then {}, then {} sleepers", u8::from(appears), u8::from(!ends)));
}

#[test]
fn idle_tasks_take_no_processor() {
    let ns: Namespace = namespace("async-idle");
    let _publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut process = stage::part("idle tasks", &ns);
    let used: u64 = process.said().parse().unwrap();
    // 100 tasks check their publisher twenty times a second: some microseconds each.
    assert!(used < 500, "{used} ms of processor time in a second");
}

fn idle_tasks() {
    let feeds: Vec<_> = (0..100).map(|_| SmallFeed::subscriber().unwrap()).collect();
    let processor = || {
        // SAFETY: zero is a value of every field.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: fills our structure.
        unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
        let millis = |time: libc::timeval| time.tv_sec as u64 * 1000 + time.tv_usec as u64 / 1000;
        millis(usage.ru_utime) + millis(usage.ru_stime)
    };
    current_thread(async {
        let waiting = join_all(feeds.into_iter().map(|mut feed| async move { feed.recv_async().await }));
        let second = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let before = processor();
            tokio::time::sleep(Duration::from_secs(1)).await;
            processor() - before
        };
        tokio::select! {
            _ = waiting => say("a message"),
            used = second => say(used),
        }
    });
}
