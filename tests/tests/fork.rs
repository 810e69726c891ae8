//! Forks, execs, closed files and threads that end: what a process may do to itself while its ends are open.

use shmcomm::{
    CallError, DynError, DynSubscriber, FlushError, PullError, PullTimeoutError, PushError, RecvError,
    RecvTimeoutError, RequestError, Role, SendError, ServeError, TryPullError, TryPushError, TryRecvError,
    TryServeError,
};
use shmcomm_tests::{Jobs, Large, LargeFeed, Peer, Service, Small, SmallFeed, namespace, say, stage};
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(10);

#[test]
fn part() {
    stage::play(&[
        ("fork with samples", fork_with_samples),
        ("fork with loans", fork_with_loans),
        ("fork with jobs", fork_with_jobs),
        ("fork with requests", fork_with_requests),
        ("fork and be killed", fork_and_be_killed),
        ("fork while opening", fork_while_opening),
        ("exec", exec),
        ("close files", close_files),
        ("close files of queues", close_files_of_queues),
        ("leave by exit", leave_by_exit),
    ]);
}

/// Forks; true in the child, which goes on to [`end`]. The parent waits for that and says how it ended.
fn fork() -> bool {
    // SAFETY: the other threads of this process, if any, are those of the test harness, which wait for this
    // one and hold no lock meanwhile.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        return true;
    }
    let mut status = 0;
    // SAFETY: waits for our child and writes to our variable.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    say(format_args!("child ended with {status}"));
    false
}

/// Ends a forked child: the exit handlers are the parent's.
fn end() -> ! {
    // SAFETY: nothing of this process is used any more.
    unsafe { libc::_exit(0) }
}

#[test]
fn forked_child_may_drop_what_its_parent_receives() {
    let ns = namespace("samples");
    let mut process = stage::part("fork with samples", &ns);
    assert_eq!(process.said(), "child ended with 0");
    assert_eq!(process.said(), "parent goes on: 0, then 1, no holes");
}

fn fork_with_samples() {
    let mut publisher = LargeFeed::publisher().unwrap();
    let mut subscriber = LargeFeed::subscriber().unwrap();
    let mut other = LargeFeed::subscriber().unwrap();
    let mut dynamic = DynSubscriber::open(publisher.name()).unwrap();
    publisher.send(&Large::new(0)).unwrap();
    let sample = subscriber.recv_ref().unwrap();
    let held = dynamic.recv_sample().unwrap();
    if fork() {
        assert!(matches!(dynamic.try_recv_sample(), Err(DynError::Forked)), "not that a sample is held");
        assert!(matches!(held.bytes(), Err(DynError::Forked)));
        drop((dynamic, held));
        drop(sample);
        assert_eq!(other.try_recv().map(|_| ()), Err(TryRecvError::Forked));
        assert_eq!(other.recv_timeout(MOMENT).map(|_| ()), Err(RecvTimeoutError::Forked));
        assert_eq!(other.latest().map(|_| ()), Err(RecvError::Forked));
        assert!(!other.is_connected() && !other.wait_for_publisher(MOMENT));
        assert_eq!((other.lag(), other.stats().messages), (0, 0));
        drop(other);
        end();
    }
    sample.check();
    let first = sample.number;
    drop(sample);
    publisher.send(&Large::new(1)).unwrap();
    let holes = publisher.stats().holes;
    say(format_args!(
        "parent goes on: {first}, then {}, {} holes",
        subscriber.recv_ref().unwrap().number,
        if holes == 0 { "no" } else { "some" }
    ));
}

#[test]
fn forked_child_may_drop_what_its_parent_is_making() {
    let ns = namespace("loans");
    let mut process = stage::part("fork with loans", &ns);
    assert_eq!(process.said(), "child ended with 0");
    assert_eq!(process.said(), "child ended with 0");
    assert_eq!(process.said(), "parent goes on: 7 and 8");
}

fn fork_with_loans() {
    let mut publisher = LargeFeed::publisher().unwrap();
    let mut subscriber = LargeFeed::subscriber().unwrap();
    let loan = publisher.loan_with(Large::new(7)).unwrap();
    if fork() {
        drop(loan);
        end();
    }
    loan.send().unwrap();
    let mut pusher = Jobs::pusher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    let mut loan = pusher.loan().unwrap();
    if fork() {
        drop(loan);
        end();
    }
    *loan = Small::new(8);
    loan.send().unwrap();
    let (large, small) = (subscriber.recv().unwrap(), puller.recv().unwrap());
    large.check();
    small.check();
    say(format_args!("parent goes on: {} and {}", large.number, small.number));
}

#[test]
fn forked_child_drops_inherited_jobs_and_gets_errors() {
    let ns = namespace("jobs");
    let mut process = stage::part("fork with jobs", &ns);
    assert_eq!(process.said(), "child ended with 0");
    assert_eq!(process.said(), "parent: job 0, 1 acknowledged, 0 redelivered");
}

fn fork_with_jobs() {
    let mut pusher = Jobs::pusher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    let mut idle = Jobs::puller().unwrap();
    pusher.send(&Small::new(0)).unwrap();
    let job = puller.claim().unwrap();
    if fork() {
        drop(job);
        assert_eq!(pusher.try_send(&Small::new(9)), Err(TryPushError::Forked));
        assert_eq!(pusher.send(&Small::new(9)), Err(PushError::Forked));
        assert_eq!(pusher.try_loan().map(|_| ()), Err(TryPushError::Forked));
        assert_eq!(pusher.loan().map(|_| ()), Err(PushError::Forked));
        assert_eq!(pusher.flush(MOMENT), Err(FlushError::Forked));
        assert!(!pusher.wait_for_room(MOMENT));
        assert_eq!(idle.try_recv().map(|_| ()), Err(TryPullError::Forked));
        assert_eq!(idle.recv().map(|_| ()), Err(PullError::Forked));
        assert_eq!(idle.claim_timeout(MOMENT).map(|_| ()), Err(PullTimeoutError::Forked));
        assert_eq!(pusher.stats().messages, 0);
        drop((pusher, idle));
        // What it opens itself is its own.
        Jobs::pusher().unwrap().send(&Small::new(1)).unwrap();
        end();
    }
    job.check();
    let number = job.number;
    job.done();
    assert_eq!(puller.recv().unwrap().number, 1);
    let backlog = pusher.stats().backlog.unwrap();
    say(format_args!(
        "parent: job {number}, {} acknowledged, {} redelivered",
        backlog.acknowledged - 1,
        backlog.redelivered
    ));
}

#[test]
fn forked_child_drops_requests_and_gets_errors() {
    let ns = namespace("requests");
    let mut process = stage::part("fork with requests", &ns);
    assert_eq!(process.said(), "child ended with 0");
    assert_eq!(process.said(), "parent: the answer to 0");
}

fn fork_with_requests() {
    let requester = Service::requester().unwrap();
    let mut replier = Service::replier().unwrap();
    let mut idle = Service::replier().unwrap();
    let mut call = requester.call(&Small::new(0)).unwrap();
    let request = replier.recv().unwrap();
    if fork() {
        assert_eq!(call.poll(), Some(Err(RequestError::Forked)));
        drop((call, request));
        assert_eq!(requester.call(&Small::new(9)).map(|_| ()), Err(CallError::Forked));
        assert_eq!(requester.request(&Small::new(9)), Err(RequestError::Forked));
        assert_eq!(requester.repliers(), 0);
        assert_eq!(idle.try_recv().map(|_| ()), Err(TryServeError::Forked));
        assert_eq!(idle.recv().map(|_| ()), Err(ServeError::Forked));
        drop(idle);
        end();
    }
    request.reply(&Small::new(!0)).unwrap();
    assert_eq!(call.wait_timeout(PATIENCE), Ok(Small::new(!0)));
    say("parent: the answer to 0");
}

/// Forks a child that sleeps until it is killed; says its pid.
fn leave_a_child() {
    // SAFETY: the child makes two system calls.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: limits the child's life, should the test be killed.
        unsafe { libc::alarm(120) };
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }
    say(format_args!("child {child}"));
}

/// Children that a killed process has left; they end with this.
struct Orphans(Vec<libc::pid_t>);

impl Orphans {
    /// Returns the children that the process reports, and the first thing that it says after them.
    fn of(process: &mut Peer) -> (Self, String) {
        let mut orphans = Orphans(Vec::new());
        loop {
            let said = process.said();
            let Some(child) = said.strip_prefix("child ") else { return (orphans, said) };
            orphans.0.push(child.parse().unwrap());
        }
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        for &child in &self.0 {
            // SAFETY: ends a process that sleeps for this test.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
    }
}

#[test]
fn killed_parent_of_a_living_child_is_dead() {
    let ns = namespace("orphan");
    let mut process = stage::part("fork and be killed", &ns);
    let (orphans, said) = Orphans::of(&mut process);
    assert_eq!((orphans.0.len(), &*said), (1, "ready"));
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    assert!(subscriber.is_connected());
    process.kill();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    drop(SmallFeed::open().namespace(&*ns).publisher().unwrap());
    let job = puller.claim_timeout(PATIENCE).unwrap();
    assert_eq!((job.number, job.redelivered()), (3, true));
    job.done();
}

fn fork_and_be_killed() {
    let _publisher = SmallFeed::publisher().unwrap();
    let mut pusher = Jobs::pusher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    pusher.send(&Small::new(3)).unwrap();
    let _job = puller.claim().unwrap();
    leave_a_child();
    say("ready");
    stage::wait();
}

#[test]
fn fork_while_a_thread_opens_ends_keeps_no_seat() {
    let ns = namespace("fork-opening");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut process = stage::part("fork while opening", &ns);
    let (orphans, said) = Orphans::of(&mut process);
    assert_eq!((orphans.0.len(), &*said), (40, "ready"));
    assert_eq!(publisher.subscribers(), 8);
    process.kill();
    // A child that has not run yet has copies of the files for a moment.
    let start = Instant::now();
    while publisher.subscribers() > 0 {
        assert!(start.elapsed() < PATIENCE, "a child has copies of its parent's files");
        std::thread::sleep(Duration::from_millis(1));
    }
    publisher.send(&Small::new(0)).unwrap();
}

fn fork_while_opening() {
    let done = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let mut ends = std::collections::VecDeque::new();
            while !done.load(relaxed) || ends.len() < 8 {
                ends.push_back(SmallFeed::subscriber().unwrap());
                if ends.len() > 8 {
                    ends.pop_front();
                }
            }
            ends
        });
        for _ in 0..40 {
            leave_a_child();
        }
        done.store(true, relaxed);
        let _ends = opener.join().unwrap();
        say("ready");
        stage::wait();
    });
}

#[test]
fn process_that_execs_has_left() {
    let ns = namespace("exec");
    let mut process = stage::part("exec", &ns);
    assert_eq!(process.said(), "open");
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    assert!(subscriber.is_connected());
    process.say("go");
    // Its ends went with the old program; the process lives on as another one.
    assert_eq!(subscriber.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    assert_eq!(process.said(), "another program");
    let heir = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    assert!(subscriber.is_connected());
    let job = puller.claim_timeout(PATIENCE).unwrap();
    assert_eq!((job.number, job.redelivered()), (3, true));
    job.done();
    drop(heir);
}

fn exec() {
    use std::os::unix::process::CommandExt as _;
    let _publisher = SmallFeed::publisher().unwrap();
    let mut pusher = Jobs::pusher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    pusher.send(&Small::new(3)).unwrap();
    let _job = puller.claim().unwrap();
    say("open");
    stage::wait();
    let error =
        std::process::Command::new("sh").args(["-c", "echo; echo '> another program'; read line"]).exec();
    panic!("{error}");
}

#[test]
fn exit_without_drop_counts_as_leaving() {
    let ns = namespace("exits");
    let mut process = stage::part("leave by exit", &ns);
    assert_eq!(process.said(), "open");
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    process.say("go");
    assert_eq!(subscriber.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    drop((SmallFeed::open().namespace(&*ns).publisher().unwrap(), subscriber));
    // Nothing is left of it but what the last one to leave has removed.
    let prefix = format!("{ns}/");
    assert!(!shmcomm::list_segments().unwrap().iter().any(|s| s.channel.starts_with(&prefix)));
}

fn leave_by_exit() {
    std::mem::forget(SmallFeed::publisher().unwrap());
    say("open");
    stage::wait();
}

#[test]
fn process_that_closes_its_files_declares_none_dead() {
    let ns = namespace("close");
    let mut process = stage::part("close files", &ns);
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    assert_eq!(process.said(), "closed");
    // The mapping has the lock of its seat, not the file.
    assert_eq!(publisher.subscribers(), 1);
    for number in 0..10 {
        publisher.send(&Small::new(number)).unwrap();
        assert_eq!(process.said(), format!("received {number}"));
    }
    // The wait is longer than the time between two liveness checks of the publisher.
    assert_eq!(process.said(), "Timeout, connected");
    drop(publisher);
    assert_eq!(process.said(), "Disconnected");
    assert_eq!(process.said(), "its new files are as it made them");
    assert!(process.finish().success());
}

/// Closes all files but the standard ones, as daemons do, and opens others under the same numbers.
fn close_and_reuse_files() -> Vec<std::fs::File> {
    // SAFETY: nothing of the test harness is behind these; what shmcomm has open is the point of the test.
    assert_eq!(unsafe { libc::close_range(3, 1023, 0) }, 0);
    let path = std::env::temp_dir().join(format!("shmcomm-test-files-{}", std::process::id()));
    let files = (0..16).map(|_| {
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap()
    });
    let files = files.collect();
    std::fs::remove_file(path).unwrap();
    files
}

fn check_files(files: Vec<std::fs::File>) {
    for file in &files {
        assert_eq!(file.metadata().expect("no code has closed it").len(), 0);
    }
    say("its new files are as it made them");
}

fn close_files() {
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let files = close_and_reuse_files();
    say("closed");
    for _ in 0..10 {
        say(format_args!("received {}", subscriber.recv().unwrap().number));
    }
    let outcome = subscriber.recv_timeout(Duration::from_millis(300)).unwrap_err();
    say(format_args!(
        "{outcome:?}, {}",
        if subscriber.is_connected() { "connected" } else { "not connected" }
    ));
    say(format_args!("{:?}", subscriber.recv_timeout(PATIENCE).unwrap_err()));
    drop(subscriber);
    check_files(files);
}

#[test]
fn worker_that_closes_its_files_steals_no_job() {
    let ns = namespace("close-queues");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    pusher.send(&Small::new(0)).unwrap();
    let job = puller.claim().unwrap();
    let mut process = stage::part("close files of queues", &ns);
    assert_eq!(process.said(), "closed");
    // It waits, and checks for dead peers meanwhile: the holder of the job is none of them.
    assert_eq!(process.said(), "Timeout");
    job.check();
    job.done();
    pusher.send(&Small::new(1)).unwrap();
    assert_eq!(process.said(), "received 1");
    assert_eq!(process.said(), "its new files are as it made them");
    assert!(process.finish().success());
    // It left without a clean-up; the next one to look finds its seat.
    let mut other = Peer::start(PEER, &ns, &["claim"]);
    other.expect("ready");
    assert_eq!(pusher.stats().participants.iter().filter(|p| p.role == Role::Puller && p.alive).count(), 2);
}

fn close_files_of_queues() {
    let mut puller = Jobs::puller().unwrap();
    let files = close_and_reuse_files();
    say("closed");
    say(format_args!("{:?}", puller.recv_timeout(Duration::from_millis(300)).unwrap_err()));
    say(format_args!("received {}", puller.recv_timeout(PATIENCE).unwrap().number));
    drop(puller);
    check_files(files);
}

#[test]
fn end_outlives_the_thread_that_opened_it() {
    let ns = namespace("threads");
    let space = ns.to_string();
    let (mut publisher, mut subscriber) = std::thread::spawn(move || {
        let publisher = SmallFeed::open().namespace(&space).publisher().unwrap();
        let subscriber = SmallFeed::open().namespace(&space).subscriber().unwrap();
        (publisher, subscriber)
    })
    .join()
    .unwrap();
    // Its lock was that of an open file, not of the thread.
    assert_eq!(publisher.subscribers(), 1);
    assert!(subscriber.is_connected());
    std::thread::spawn(move || publisher.send(&Small::new(5)).unwrap()).join().unwrap();
    // The publisher was dropped with the thread it had moved to.
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(5)));
    assert_eq!(subscriber.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn second_publisher_of_a_process_is_refused() {
    let ns = namespace("twice");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    for number in 0..10 {
        // A lock that belonged to the process would be granted again, and dropped with any file of it.
        let error = SmallFeed::open().namespace(&*ns).publisher().err().unwrap();
        assert_eq!(error.kind(), shmcomm::ErrorKind::AlreadyPublished);
        drop(SmallFeed::open().namespace(&*ns).subscriber().unwrap());
        publisher.send(&Small::new(number)).unwrap();
        assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(number)));
        assert_eq!(publisher.subscribers(), 1);
    }
}

#[test]
fn send_in_a_forked_child_is_an_error() {
    assert!(SendError::Forked.to_string().contains("fork"));
}
