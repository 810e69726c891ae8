//! Processes whose sandbox refuses eventfd, timerfd, epoll or the wait for many futexes: sets, their descriptors and
//! tasks work there as elsewhere.
// seccomp exists on Linux only.
#![cfg(target_os = "linux")]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shmcomm::{Cause, Interest, WaitSet};
use shmcomm_tests::{Jobs, Service, Small, SmallFeed, namespace, say, stage};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(20);

/// Names of parts, and the system calls that each is refused.
const PARTS: [(&str, fn()); 6] = [
    ("eventfd", || refused(&[libc::SYS_eventfd2])),
    ("timerfd", || refused(&[libc::SYS_timerfd_create])),
    ("epoll", || refused(&[libc::SYS_epoll_create1])),
    ("epoll_ctl", || refused(&[libc::SYS_epoll_ctl])),
    ("epoll_pwait", || refused(&[libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, EPOLL_WAIT])),
    ("all", || {
        refused(&[
            libc::SYS_eventfd2,
            libc::SYS_timerfd_create,
            libc::SYS_epoll_create1,
            libc::SYS_epoll_ctl,
            libc::SYS_epoll_pwait,
            libc::SYS_epoll_pwait2,
            EPOLL_WAIT,
            libc::SYS_futex_waitv,
        ]);
    }),
];

#[cfg(target_arch = "x86_64")]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_wait;
#[cfg(not(target_arch = "x86_64"))]
const EPOLL_WAIT: libc::c_long = libc::SYS_epoll_pwait;

#[test]
fn part() {
    stage::play(&PARTS);
}

#[test]
fn sets_and_tasks_work_without_eventfd_and_epoll() {
    for (name, _) in PARTS {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let ns = namespace("sandbox");
            let mut command = stage::command(name, &ns);
            command.env("SHMCOMM_TEST_ERRNO", errno.to_string());
            let mut process = shmcomm_tests::Peer::spawn(command);
            assert_eq!(process.said(), "done", "without {name}, which fails with {errno}");
            assert!(process.finish().success());
        }
    }
}

fn refused(calls: &[libc::c_long]) {
    stage::forbid(calls, std::env::var("SHMCOMM_TEST_ERRNO").unwrap().parse().unwrap());
    files_channels_and_timers();
    descriptor();
    descriptor_with_files();
    tasks();
    say("done");
}

/// The key of what is ready, of which there is one thing.
fn only(set: &mut WaitSet<u8>) -> u8 {
    let ready = set.wait_timeout(PATIENCE).unwrap();
    assert_eq!(ready.len(), 1, "{ready:?}");
    ready[0].key
}

fn files_channels_and_timers() {
    let mut publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let mut pusher = Jobs::pusher().unwrap();
    let mut puller = Jobs::puller().unwrap();
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let mut set = WaitSet::new();
    set.add_fd(0, &here, Interest::Readable).unwrap();
    set.add(1, &subscriber).unwrap();
    set.add(2, &puller).unwrap();
    assert!(set.wait_timeout(MOMENT).unwrap().is_empty());

    there.write_all(b"x").unwrap();
    let ready = set.wait_timeout(PATIENCE).unwrap();
    assert_eq!((ready.len(), ready[0].cause), (1, Cause::Fd { readable: true, writable: false }));
    here.read_exact(&mut [0]).unwrap();
    assert!(set.try_wait().unwrap().is_empty());

    // Sent while the set sleeps.
    let sender = std::thread::spawn(move || {
        std::thread::sleep(MOMENT);
        publisher.send(&Small::new(7)).unwrap();
        publisher
    });
    assert_eq!(only(&mut set), 1);
    assert_eq!(subscriber.try_recv(), Ok(Small::new(7)));
    pusher.send(&Small::new(8)).unwrap();
    assert_eq!(only(&mut set), 2);
    assert_eq!(puller.try_recv(), Ok(Small::new(8)));

    let start = Instant::now();
    set.add_timer(3, start + MOMENT);
    assert_eq!(only(&mut set), 3);
    assert!(start.elapsed() >= MOMENT);

    // A file that is always ready is refused, as epoll refuses it. A file that was removed is ready for nothing.
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let error = set.add_fd(4, &file, Interest::Readable).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    there.write_all(b"y").unwrap();
    assert!(set.remove(&0));
    assert!(set.wait_timeout(MOMENT).unwrap().is_empty());
    sender.join().unwrap();
}

fn readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let patience =
        Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)).unwrap() == 1
}

/// The descriptor of a set with a channel and a timer.
fn descriptor() {
    let mut publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add(1, &subscriber).unwrap();
    set.fd().unwrap();
    for number in 0..3 {
        assert!(set.try_wait().unwrap().is_empty());
        assert!(!readable(set.fd().unwrap(), Duration::ZERO));
        publisher.send(&Small::new(number)).unwrap();
        assert!(readable(set.fd().unwrap(), PATIENCE));
        assert_eq!(set.try_wait().unwrap().len(), 1);
        assert_eq!(subscriber.try_recv(), Ok(Small::new(number)));
    }
    let due = Instant::now() + MOMENT;
    set.add_timer(2, due);
    while set.try_wait().unwrap().is_empty() {
        assert!(readable(set.fd().unwrap(), PATIENCE));
        assert!(due.elapsed() < PATIENCE);
    }
    assert!(Instant::now() >= due);
    assert!(set.try_wait().unwrap().is_empty());
}

/// The descriptor of a set with a file.
fn descriptor_with_files() {
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let mut set = WaitSet::new();
    set.add_fd(1, &here, Interest::Readable).unwrap();
    set.fd().unwrap();
    for _ in 0..3 {
        assert!(set.try_wait().unwrap().is_empty());
        assert!(!readable(set.fd().unwrap(), Duration::ZERO));
        there.write_all(b"x").unwrap();
        assert!(readable(set.fd().unwrap(), PATIENCE));
        assert_eq!(set.try_wait().unwrap().len(), 1);
        here.read_exact(&mut [0]).unwrap();
    }
    // One more comes in while the descriptor is there.
    assert!(set.try_wait().unwrap().is_empty());
    let (other, mut far) = UnixStream::pair().unwrap();
    set.add_fd(2, &other, Interest::Readable).unwrap();
    assert!(set.try_wait().unwrap().is_empty());
    far.write_all(b"x").unwrap();
    assert!(readable(set.fd().unwrap().as_fd(), PATIENCE));
    assert_eq!(set.try_wait().unwrap()[0].key, 2);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(task: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut task = pin!(task);
    loop {
        if let Poll::Ready(output) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park_timeout(PATIENCE);
    }
}

fn tasks() {
    let mut publisher = SmallFeed::publisher().unwrap();
    let mut subscriber = SmallFeed::subscriber().unwrap();
    let mut replier = Service::replier().unwrap();
    let mut requester = Service::requester().unwrap();
    let others = std::thread::spawn(move || {
        std::thread::sleep(MOMENT);
        publisher.send(&Small::new(1)).unwrap();
        block_on(replier.recv_async()).unwrap().reply(&Small::new(3)).unwrap();
        publisher
    });
    assert_eq!(block_on(subscriber.recv_async()), Ok(Small::new(1)));
    assert_eq!(block_on(requester.request_async(&Small::new(2))), Ok(Small::new(3)));
    others.join().unwrap();
}
