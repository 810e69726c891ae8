//! Clocks, signals and numbers of processes: the effects of time and identity on waits.

use shmcomm::{
    ErrorKind, FlushError, PullTimeoutError, PushTimeoutError, RecvTimeoutError, RequestTimeoutError,
};
use shmcomm_tests::{Jobs, LargeFeed, Namespace, Peer, Service, Small, SmallFeed, namespace, say, stage};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn part() {
    stage::play(&[
        ("echo", echo),
        ("publisher", publisher),
        ("under a storm", under_a_storm),
        ("reuse a pid", reuse_a_pid),
    ]);
}

/// Each wait that ends by itself lasts as long as it was told, never less, and, on a machine that is not
/// overloaded, at most a tenth more. The machine of a test may be: so the best of twenty counts.
#[test]
fn waits_end_within_a_tenth_and_never_early() {
    let ns = namespace("deadlines");
    let time = Duration::from_millis(60);
    let keeps = |what: &str, mut wait: Box<dyn FnMut(Duration) + '_>| {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            wait(time);
            let took = start.elapsed();
            assert!(took >= time, "{what}: {took:?} instead of {time:?}");
            best = best.min(took);
            if best <= time + time / 10 {
                return;
            }
        }
        panic!("{what}: {best:?} instead of {time:?} at best");
    };
    let publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    keeps("receive", Box::new(|t| assert_eq!(subscriber.recv_timeout(t), Err(RecvTimeoutError::Timeout))));
    keeps("wait for subscribers", Box::new(|t| assert!(!publisher.wait_for_subscribers(2, t))));
    drop(publisher);
    keeps("wait for a publisher", Box::new(|t| assert!(!subscriber.wait_for_publisher(t))));
    let late = || SmallFeed::open().namespace("no-such-channel");
    keeps(
        "connect",
        Box::new(|t| {
            let error = late().connect_timeout(t).subscriber().err().unwrap();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }),
    );
    let mut pusher = Jobs::open().namespace(&*ns).slots(2).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    keeps("pull", Box::new(|t| assert_eq!(puller.recv_timeout(t), Err(PullTimeoutError::Timeout))));
    pusher.send(&Small::new(0)).unwrap();
    pusher.send(&Small::new(1)).unwrap();
    keeps(
        "push",
        Box::new(|t| assert_eq!(pusher.send_timeout(&Small::new(2), t), Err(PushTimeoutError::Timeout))),
    );
    keeps("flush", Box::new(|t| assert_eq!(pusher.flush(t), Err(FlushError::Timeout(2)))));
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    keeps("serve", Box::new(|t| assert!(replier.recv_timeout(t).is_err())));
    keeps(
        "request",
        Box::new(|t| {
            let answer = requester.request_timeout(&Small::new(0), t);
            assert_eq!(answer, Err(RequestTimeoutError::Timeout));
        }),
    );
    while puller.try_recv().is_ok() {}
}

/// So a wall clock that jumps moves no deadline: no wait reads it.
#[test]
fn wall_clock_is_only_for_showing() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shmcomm/src");
    // When a segment was made and a participant joined; a message type; and how both are shown.
    let shown = [
        "os/mod.rs",
        "segment/create.rs",
        "segment/seats.rs",
        "segment/open_error.rs",
        "segment/info.rs",
        "segment/participant.rs",
        "segment/version1.rs",
        "pubsub/identity.rs",
        "dynamic/description.rs",
        "message/",
        "python/",
        // The time of a value, which readers show.
        "table/raw_writer.rs",
        // Values of Python's datetime, converted from and to a `SystemTime`: no clock is read, see below.
        "codec/value/time.rs",
    ];
    let mut open = vec![root.clone()];
    let mut read = 0;
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let below = path.strip_prefix(&root).unwrap().display().to_string();
            if path.is_dir() {
                open.push(path);
            } else if !shown.iter().any(|start| below.starts_with(start)) && !below.contains("tests") {
                let text = std::fs::read_to_string(&path).unwrap();
                read += 1;
                for (number, line) in
                    text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//"))
                {
                    let asks = line.contains("SystemTime") || line.contains("wall_clock");
                    assert!(!asks, "{below}:{}: asks the wall clock: {line}", number + 1);
                }
            }
        }
    }
    assert!(read > 40, "{read} files");
    let values = std::fs::read_to_string(root.join("codec/value/time.rs")).unwrap();
    assert!(!values.contains("now()") && !values.contains("elapsed()"), "values read no clock");
    // Files that may show the wall clock measure their waits by another clock.
    for (file, monotonic) in
        [("segment/registration.rs", true), ("segment/seats.rs", false), ("segment/open.rs", true)]
    {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains("Instant::now") == monotonic && !text.contains("SystemTime"), "{file}");
    }
}

fn uptime() -> u64 {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec as u64
}

/// Processes whose monotonic clocks differ by eleven days, as after a container was moved.
#[test]
fn clocks_that_differ_between_processes_delay_nothing() {
    let offset = 1_000_000;
    let flags = ["--time", "--monotonic", "1000000", "--boottime", "1000000", "--fork", "--kill-child"];
    let Some(wrapper) = stage::unshare(&flags) else { return };
    let ns = namespace("clocks");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut jobs = Jobs::open().namespace(&*ns).pusher().unwrap();
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    jobs.send(&Small::new(0)).unwrap();
    let mut process = stage::part_under(&wrapper, "echo", &ns);
    let theirs: u64 = process.said().parse().unwrap();
    assert!(theirs.abs_diff(uptime() + offset) < 100, "the clocks are {theirs} and {}", uptime());
    // Its waits take their time by this clock as by its own.
    let start = Instant::now();
    assert_eq!(process.said(), "Timeout after at least 200 ms");
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(process.said(), "job 0, the backlog's age is known");
    for number in 0..20 {
        std::thread::sleep(Duration::from_millis(5));
        publisher.send(&Small::new(number)).unwrap();
        assert_eq!(process.said(), format!("got {number}"));
        assert_eq!(requester.request_timeout(&Small::new(number), PATIENCE), Ok(Small::new(!number)));
    }
    // A job that a clock of the future has stamped has an age here, too.
    assert!(jobs.stats().backlog.unwrap().oldest.unwrap() < PATIENCE);
    process.kill();
    drop(publisher);
}

fn echo() {
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let mut puller = Jobs::puller().unwrap();
    let mut pusher = Jobs::pusher().unwrap();
    let mut replier = Service::replier().unwrap();
    say(uptime());
    let start = Instant::now();
    let time = Duration::from_millis(200);
    let outcome = subscriber.recv_timeout(time).unwrap_err();
    say(format_args!("{outcome:?} after at least {} ms", if start.elapsed() >= time { 200 } else { 0 }));
    let known = puller.stats().backlog.unwrap().oldest.is_some();
    let job = puller.recv_timeout(PATIENCE).unwrap().number;
    say(format_args!("job {job}, the backlog's age is {}", if known { "known" } else { "unknown" }));
    pusher.send(&Small::new(1)).unwrap();
    loop {
        say(format_args!("got {}", subscriber.recv_timeout(PATIENCE).unwrap().number));
        let request = replier.recv_timeout(PATIENCE).unwrap();
        let number = !request.number;
        request.reply(&Small::new(number)).unwrap();
    }
}

fn publisher() {
    let mut publisher = SmallFeed::publisher().unwrap();
    publisher.send(&Small::new(7)).unwrap();
    say(std::process::id());
    stage::wait();
}

/// A signal every 100 µs interrupts every system call that can be.
#[test]
fn signals_end_no_wait_early_and_lose_nothing() {
    let ns = namespace("storm");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut process = stage::part("under a storm", &ns);
    assert_eq!(process.said(), "Timeout after at least 300 ms");
    for number in 0..20 {
        std::thread::sleep(Duration::from_millis(10));
        publisher.send(&Small::new(number)).unwrap();
        assert_eq!(process.said(), format!("got {number}"));
        assert_eq!(requester.request_timeout(&Small::new(number), PATIENCE), Ok(Small::new(!number)));
    }
    assert_eq!(process.said(), "opened and left 20 times");
    let signals: u64 = process.said().parse().unwrap();
    assert!(signals > 1000, "{signals} signals are no storm");
}

static SIGNALS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

fn under_a_storm() {
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let mut replier = Service::replier().unwrap();
    // SAFETY: zero is a value of every field: no flags, so that calls are interrupted rather than restarted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as *const () as usize;
    // SAFETY: the handler only counts, which a handler may.
    assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) }, 0);
    let period = libc::timeval { tv_sec: 0, tv_usec: 100 };
    let timer = libc::itimerval { it_interval: period, it_value: period };
    // SAFETY: a timer of this process, by a structure that outlives the call.
    let started = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    assert_eq!(started, 0);
    let start = Instant::now();
    let time = Duration::from_millis(300);
    let outcome = subscriber.recv_timeout(time).unwrap_err();
    say(format_args!("{outcome:?} after at least {} ms", if start.elapsed() >= time { 300 } else { 0 }));
    for _ in 0..20 {
        say(format_args!("got {}", subscriber.recv().unwrap().number));
        let request = replier.recv().unwrap();
        let number = !request.number;
        request.reply(&Small::new(number)).unwrap();
    }
    for _ in 0..20 {
        // 16 MiB to reserve, which takes longer than from one signal to the next.
        drop((LargeFeed::open().slots(1024).publisher().unwrap(), LargeFeed::subscriber().unwrap()));
    }
    say("opened and left 20 times");
    say(SIGNALS.load(std::sync::atomic::Ordering::Relaxed));
}

/// A lock shows liveness, so another process with the pid of a dead one does not count as it.
#[test]
fn reused_pid_of_a_dead_process_does_no_harm() {
    let flags = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let Some(wrapper) = stage::unshare(&flags) else { return };
    let ns = namespace("reuse");
    let mut process = stage::part_under(&wrapper, "reuse a pid", &ns);
    let said = process.said();
    if said == "pids cannot be chosen" {
        return stage::skip("/proc/sys/kernel/ns_last_pid cannot be written");
    }
    assert_eq!(said, "an unrelated process has the dead one's pid");
    assert_eq!(process.said(), "Disconnected, 1 dead publisher");
    assert_eq!(process.said(), "published again");
}

fn reuse_a_pid() {
    let ns = std::env::var("SHMCOMM_NAMESPACE").unwrap();
    let start = || {
        let mut command = stage::only(&stage::sibling("part"));
        command.env("SHMCOMM_TEST_PART", "publisher").env("SHMCOMM_NAMESPACE", &ns);
        let mut peer = Peer::spawn(command);
        let pid: u32 = peer.said().parse().unwrap();
        (peer, pid)
    };
    let (publisher, pid) = start();
    let mut subscriber = SmallFeed::open().history(1).subscriber().unwrap();
    assert_eq!(subscriber.recv(), Ok(Small::new(7)));
    publisher.kill();
    // The next process to be started gets the number after this one.
    if std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
        return say("pids cannot be chosen");
    }
    let mut unrelated = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    assert_eq!(unrelated.id(), pid);
    say("an unrelated process has the dead one's pid");
    let outcome = subscriber.recv_timeout(PATIENCE).unwrap_err();
    let stats = subscriber.stats();
    let dead = stats.publisher().filter(|p| p.pid == pid && !p.alive).map_or(0, |_| 1);
    say(format_args!("{outcome:?}, {dead} dead publisher"));
    let (publisher, _) = start();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(7)));
    say("published again");
    publisher.kill();
    unrelated.kill().unwrap();
    unrelated.wait().unwrap();
}

/// Two containers with one `/dev/shm`: both ends are process 1 of their namespaces.
#[test]
fn liveness_works_across_pid_namespaces() {
    let flags = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let Some(wrapper) = stage::unshare(&flags) else { return };
    let ns: Namespace = namespace("pid-namespaces");
    let mut publisher = stage::part_under(&wrapper, "publisher", &ns);
    let pid = publisher.said();
    assert_ne!(pid, publisher.pid().to_string(), "it sees itself under another number");
    let mut subscriber = SmallFeed::open().namespace(&*ns).history(1).subscriber().unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(7)));
    assert_eq!(subscriber.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
    let refused = SmallFeed::open().namespace(&*ns).publisher().err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::AlreadyPublished);
    assert!(refused.to_string().contains(&format!("process {pid} ")), "{refused}");
    publisher.kill();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    let mut heir = stage::part_under(&wrapper, "publisher", &ns);
    assert_eq!(heir.said(), pid, "the heir has the dead one's number");
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(7)));
    heir.kill();
}
