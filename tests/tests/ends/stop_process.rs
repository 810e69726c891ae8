//! A process that handles SIGINT and SIGTERM with a [`StopHandle`]: it gets out of every blocking call in time,
//! and leaves nothing behind.

use shmcomm::codec::Bytes;
use shmcomm::python::{self, Options};
use shmcomm::{
    PullError, RecvError, RequestError, SendError, ServeError, StopHandle, WaitSet, channel, list_segments,
};
use shmcomm_tests::wire::Name;
use shmcomm_tests::{Jobs, Namespace, Service, Small, SmallFeed, namespace, say, stage};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const ASLEEP: Duration = Duration::from_millis(150);

channel! {
    Reliable: PubSub<Small> { name: "reliable", slots: 2, overflow: Wait }
}

static STOP: OnceLock<StopHandle> = OnceLock::new();

/// The parts of the process that is told to stop.
const PARTS: [(&str, fn()); 11] = [
    ("subscribe", subscribe),
    ("iterate", iterate),
    ("publish", publish),
    ("claim", claim),
    ("flush", flush),
    ("ask", ask),
    ("serve", serve),
    ("set", set),
    ("open", open),
    ("all at once", all_at_once),
    ("without futex_waitv", without_futex_waitv),
];

#[test]
fn part() {
    stage::play(&PARTS);
}

/// The handler itself stops: it must be async-signal-safe.
extern "C" fn handler(_signal: libc::c_int) {
    if let Some(stop) = STOP.get() {
        stop.stop();
    }
}

/// The handle, with a handler of both signals that stops it.
fn stop() -> StopHandle {
    let stop = STOP.get_or_init(StopHandle::new).clone();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: an all-zero `sigaction` is a valid one.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        // As most libraries do: the system call goes on after the handler, unless it is woken.
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the action is valid, and the handler is async-signal-safe.
        assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
    }
    stop
}

fn subscribe() {
    let stop = stop();
    let _publisher = SmallFeed::open().publisher().unwrap();
    let mut subscriber = SmallFeed::open().stop(&stop).subscriber().unwrap();
    say("up");
    assert_eq!(subscriber.recv(), Err(RecvError::Stopped));
    say("stopped");
}

fn iterate() {
    let stop = stop();
    let mut publisher = SmallFeed::open().publisher().unwrap();
    let mut subscriber = SmallFeed::open().stop(&stop).subscriber().unwrap();
    publisher.send(&Small::new(1)).unwrap();
    say("up");
    assert_eq!(subscriber.iter().count(), 1);
    say("stopped");
}

fn publish() {
    let stop = stop();
    let mut publisher = Reliable::open().stop(&stop).publisher().unwrap();
    let _subscriber = Reliable::open().patience(Duration::MAX).subscriber().unwrap();
    say("up");
    let failed = (0..).find_map(|number| publisher.send(&Small::new(number)).err());
    assert_eq!(failed, Some(SendError::Stopped));
    say("stopped");
}

fn claim() {
    let stop = stop();
    let mut puller = Jobs::open().stop(&stop).puller().unwrap();
    say("up");
    assert_eq!(puller.claim().err(), Some(PullError::Stopped));
    say("stopped");
}

fn flush() {
    let stop = stop();
    let mut pusher = Jobs::open().stop(&stop).pusher().unwrap();
    let mut puller = Jobs::open().puller().unwrap();
    pusher.send(&Small::new(1)).unwrap();
    say("up");
    assert_eq!(pusher.flush(LONG), Err(shmcomm::FlushError::Stopped(1)));
    assert_eq!(puller.try_recv(), Ok(Small::new(1)));
    say("stopped");
}

fn ask() {
    let stop = stop();
    let requester = Service::open().stop(&stop).requester().unwrap();
    say("up");
    assert_eq!(requester.request(&Small::new(1)), Err(RequestError::Stopped));
    say("stopped");
}

fn serve() {
    let stop = stop();
    let mut replier = Service::open().stop(&stop).replier().unwrap();
    say("up");
    assert_eq!(replier.serve(|request| *request), Ok(0));
    assert_eq!(replier.recv().err(), Some(ServeError::Stopped));
    say("stopped");
}

fn set() {
    let stop = stop();
    let puller = Jobs::open().puller().unwrap();
    let mut set = WaitSet::new();
    set.add("jobs", &puller).unwrap();
    set.add("stop", &stop).unwrap();
    say("up");
    assert_eq!(set.wait().unwrap()[0].key, "stop");
    say("stopped");
}

fn open() {
    let stop = stop();
    say("up");
    let opened = SmallFeed::open().connect_timeout(LONG).stop(&stop).subscriber();
    assert_eq!(opened.err().unwrap().kind(), shmcomm::ErrorKind::Stopped);
    say("stopped");
}

/// Every kind of thread of a process sleeps; the signal goes to any of them.
fn all_at_once() {
    let stop = stop();
    std::thread::scope(|scope| {
        let stop = &stop;
        for _ in 0..2 {
            scope.spawn(|| {
                let mut puller = Jobs::open().stop(stop).puller().unwrap();
                assert_eq!(puller.recv(), Err(PullError::Stopped));
            });
            scope.spawn(|| {
                let mut replier = Service::open().stop(stop).replier().unwrap();
                assert_eq!(replier.serve(|request| *request), Ok(0));
            });
        }
        let _publisher = SmallFeed::open().publisher().unwrap();
        let mut subscriber = SmallFeed::open().stop(stop).subscriber().unwrap();
        say("up");
        assert_eq!(subscriber.iter().count(), 0);
    });
    say("stopped");
}

/// As on a kernel before 5.16: within a slice of 50 ms.
fn without_futex_waitv() {
    stage::forbid_futex_waitv();
    all_at_once();
}

#[test]
fn process_stops_at_a_signal_and_leaves_nothing() {
    for (number, (part, _)) in PARTS.into_iter().enumerate() {
        let ns = namespace("signal");
        let mut process = stage::part(part, &ns);
        assert_eq!(process.said(), "up", "{part}");
        std::thread::sleep(ASLEEP);
        let start = Instant::now();
        process.signal(if number % 2 == 0 { libc::SIGINT } else { libc::SIGTERM });
        assert_eq!(process.said(), "stopped", "{part}");
        assert!(process.finish().success(), "{part}");
        assert!(start.elapsed() < LONG / 3, "{part}: {:?}", start.elapsed());
        assert_eq!(segments(&ns), Vec::<String>::new(), "{part}");
    }
}

/// The handle of a child is its own.
#[test]
fn stop_of_a_forked_child_does_not_stop_its_parent() {
    let ns = namespace("forked");
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    let stop = puller.stop_handle();
    // SAFETY: the child calls only what is async-signal-safe.
    let child = unsafe { libc::fork() };
    if child == 0 {
        stop.stop();
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(i32::from(!stop.is_stopped())) };
    }
    let mut status = -1;
    // SAFETY: waits for the child that was just made.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(!stop.is_stopped());
    assert!(matches!(puller.recv_timeout(ASLEEP), Err(shmcomm::PullTimeoutError::Timeout)));
}

/// The ends on the Python wire, each of which finds out within a millisecond or so.
#[test]
fn ends_on_the_python_wire_stop() {
    let name = Name::new("stop");
    let stop = StopHandle::new();
    let with = |options: Options| Options { stop: Some(stop.clone()), ..options };
    let publisher = python::Publisher::<[u8], Bytes>::open(with(name.pubsub())).unwrap();
    let mut subscriber = python::Subscriber::<Vec<u8>, Bytes>::open(with(name.pubsub())).unwrap();
    let options = Options { slots: 2, ..with(name.pushpull()) };
    let mut pusher = python::Pusher::<[u8], Bytes>::open(options).unwrap();
    let mut puller = python::Puller::<Vec<u8>, Bytes>::open(with(name.pushpull())).unwrap();
    let mut replier = python::Replier::<Vec<u8>, [u8], Bytes>::open(with(name.reqrep())).unwrap();
    let mut requester = python::Requester::<[u8], Vec<u8>, Bytes>::open(with(name.reqrep())).unwrap();
    let deadline = || Instant::now() + LONG;
    pusher.send(b"1").unwrap();
    let stopped = || {
        use python::{RecvError::Stopped, RecvTimeoutError as Timeout, RequestError, SendError};
        assert!(publisher.stop_handle().is_stopped());
        assert_eq!(subscriber.recv(), Err(Stopped));
        assert_eq!(subscriber.recv_timeout(LONG), Err(Timeout::Stopped));
        assert_eq!(subscriber.recv_deadline(deadline()), Err(Timeout::Stopped));
        assert_eq!(subscriber.recv_bytes(), Err(Stopped));
        assert_eq!(subscriber.recv_bytes_timeout(LONG), Err(Timeout::Stopped));
        assert_eq!(replier.recv(), Err(Stopped));
        assert_eq!(requester.request(b"1", LONG), Err(RequestError::Stopped));
        assert_eq!(pusher.send(b"2"), Err(SendError::Stopped));
        assert_eq!(pusher.send_timeout(b"2", LONG), Err(SendError::Stopped.into()));
        assert_eq!(puller.recv(), Err(Stopped));
        assert_eq!(puller.try_recv(), Ok(b"1".to_vec()));
        (subscriber, puller, replier, requester, pusher)
    };
    stop.stop();
    let (mut subscriber, mut puller, mut replier, requester, mut pusher) = stopped();
    // While it waits.
    let during = |call: &mut dyn FnMut()| {
        stop.reset();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(ASLEEP);
                stop.stop();
            });
            call();
        });
    };
    during(&mut || assert_eq!(subscriber.recv(), Err(python::RecvError::Stopped)));
    during(&mut || assert_eq!(puller.recv(), Err(python::RecvError::Stopped)));
    during(&mut || assert_eq!(replier.recv(), Err(python::RecvError::Stopped)));
    pusher.try_send(b"3").unwrap();
    during(&mut || assert_eq!(pusher.send(b"4"), Err(python::SendError::Stopped)));
    let paced = Name::new("stop-paced");
    let options = Options { slots: 2, min_lap: LONG, ..with(paced.pubsub()) };
    let mut slow = python::Publisher::<[u8], Bytes>::open(options).unwrap();
    (0..2).for_each(|_| slow.send(b"1").unwrap());
    during(&mut || assert_eq!(slow.send(b"2"), Err(python::SendError::Stopped)));
    // What waits for the job does not hold up a stopped process, and the job stays.
    let start = Instant::now();
    assert_eq!(pusher.close(LONG), 1);
    assert!(start.elapsed() < LONG / 2);
    let mut pusher = python::Pusher::<[u8], Bytes>::open(Options { slots: 2, ..name.pushpull() }).unwrap();
    assert!(pusher.resumed() && pusher.waiting() == 1);
    assert_eq!(puller.try_recv(), Ok(b"3".to_vec()));
    pusher.try_send(b"5").unwrap();
    assert_eq!(puller.try_recv(), Ok(b"5".to_vec()));
    drop((subscriber, puller, replier, requester, pusher, publisher));
    let late = python::Subscriber::<Vec<u8>, Bytes>::open(with(name.pubsub()));
    assert_eq!(late.err().unwrap().kind(), shmcomm::ErrorKind::Stopped);
}

fn segments(ns: &Namespace) -> Vec<String> {
    let prefix = format!("{ns}/");
    let all = list_segments().unwrap().into_iter().map(|segment| segment.channel);
    all.filter(|channel| channel.starts_with(&prefix)).collect()
}
