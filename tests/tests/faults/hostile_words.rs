//! Words of a segment with values that no participant stores: sets, blocking calls and tasks neither panic nor hang
//! past their deadlines, and they work again as soon as the word is right.
// Channels with Python exist on Linux only.
#![cfg(target_os = "linux")]

use shmcomm::codec::Bytes;
use shmcomm::python::{self, Options};
use shmcomm::{Channel, Opener, PubSub, RecvTimeoutError, TryRecvError, WaitSet};
use shmcomm_tests::{Namespace, namespace};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::time::Duration;

/// Longer than any of this takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(20);

type Message = [u64; 4];

fn feed(ns: &Namespace, publishers: u32) -> Opener<PubSub<Message>> {
    Channel::<PubSub<Message>>::try_new("x")
        .unwrap()
        .namespace(&**ns)
        .publishers(publishers as usize)
        .slots(8)
        .seats(8)
}

fn file(ns: &Namespace) -> File {
    OpenOptions::new().read(true).write(true).open(format!("/dev/shm/shmcomm2_{}%2Fx", &**ns)).unwrap()
}

/// Returns the offset of the position of the first subscriber, by `docs/format.md`.
fn position(publishers: u32) -> u64 {
    2048 + 128 * u64::from(publishers) + 56
}

const POSITIONS: [u64; 6] = [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 62, (1 << 58) - 1, 1 << 20];

/// Runs `test` in a thread of its own, which may hang or panic.
fn ends(what: &str, test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match wait.recv_timeout(PATIENCE) {
        Ok(()) => thread.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what} panicked"),
    }
}

#[test]
fn wait_set_survives_any_position_of_a_subscriber() {
    for publishers in [1, 2] {
        let ns = namespace("position");
        let mut publisher = feed(&ns, publishers).publisher().unwrap();
        let mut subscriber = feed(&ns, publishers).subscriber().unwrap();
        let mut set = WaitSet::new();
        set.add((), &subscriber).unwrap();
        let segment = file(&ns);
        for (round, word) in POSITIONS.into_iter().enumerate() {
            assert!(set.try_wait().unwrap().is_empty(), "{publishers} publishers, {word:#x}");
            segment.write_all_at(&word.to_ne_bytes(), position(publishers)).unwrap();
            // It is reported at the latest with the next message, though the word is above that.
            publisher.send(&[round as u64; 4]).unwrap();
            assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1, "{publishers} publishers, {word:#x}");
            assert_eq!(subscriber.try_recv(), Ok([round as u64; 4]));
            assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

/// With a descriptor of its own, whose watches are checked in another thread.
#[test]
fn descriptor_of_a_set_survives_any_position() {
    for publishers in [1, 2] {
        let ns = namespace("descriptor");
        let mut publisher = feed(&ns, publishers).publisher().unwrap();
        let mut subscriber = feed(&ns, publishers).subscriber().unwrap();
        let mut set = WaitSet::new();
        set.add((), &subscriber).unwrap();
        let segment = file(&ns);
        for (round, word) in POSITIONS.into_iter().enumerate() {
            set.fd().unwrap();
            set.try_wait().unwrap();
            segment.write_all_at(&word.to_ne_bytes(), position(publishers)).unwrap();
            // The thread that sleeps for the set checks several times.
            std::thread::sleep(Duration::from_millis(150));
            segment.write_all_at(&(round as u64).to_ne_bytes(), position(publishers)).unwrap();
            set.try_wait().unwrap();
            publisher.send(&[round as u64; 4]).unwrap();
            assert!(readable(set.fd().unwrap()), "{publishers} publishers, {word:#x}: the set is deaf");
            assert_eq!(subscriber.try_recv(), Ok([round as u64; 4]));
            assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
            assert!(set.try_wait().unwrap().is_empty());
        }
    }
}

fn readable(fd: impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)).unwrap() == 1
}

/// Every slot seems to be ahead of the reader, which passes one after the other and never gets there.
fn overwrite_slots(ns: &Namespace) {
    let segment = file(ns);
    let len = segment.metadata().unwrap().len();
    segment.write_all_at(&vec![0xff; (len - 4096) as usize], 4096).unwrap();
}

#[test]
fn receive_in_a_damaged_ring_keeps_its_deadline() {
    let ns = namespace("ahead");
    let _publisher = feed(&ns, 1).publisher().unwrap();
    let mut subscriber = feed(&ns, 1).subscriber().unwrap();
    overwrite_slots(&ns);
    ends("recv_timeout", move || {
        assert_eq!(subscriber.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
        assert_eq!(subscriber.recv_ref_timeout(MOMENT).map(drop), Err(RecvTimeoutError::Timeout));
        assert_eq!(subscriber.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
    });
}

#[test]
fn task_in_a_damaged_ring_lets_others_run() {
    let ns = namespace("task");
    let _publisher = feed(&ns, 1).publisher().unwrap();
    let mut subscriber = feed(&ns, 1).subscriber().unwrap();
    overwrite_slots(&ns);
    ends("recv_async", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let received = tokio::time::timeout(MOMENT, subscriber.recv_async()).await;
            assert!(received.is_err(), "{received:?}");
        });
    });
}

/// The words of `HEAD` and `MSG_COUNT` in a segment of Python's format.
const HEAD: u64 = 16;
const COUNT: u64 = 32;

#[test]
fn count_of_python_messages_can_be_anything() {
    let options = || Options {
        slots: 4,
        slot_size: 64,
        connect_timeout: Duration::ZERO,
        ..Options::pubsub(format!("words-{}", std::process::id()))
    };
    let mut publisher = python::Publisher::<[u8], Bytes>::open(options()).unwrap();
    let path = format!("/dev/shm/shmcomm_pub_{}", options().name);
    let segment = OpenOptions::new().write(true).open(path).unwrap();
    let counts = [
        u64::MAX,
        0,
        u64::MAX - 1,
        1,
        1 << 63,
        (1 << 63) - 1,
        u64::MAX,
        1 << 62,
        u64::MAX - 2,
        7,
        (1 << 63) + 5,
        u64::MAX,
    ];
    for first in counts {
        segment.write_all_at(&first.to_le_bytes(), COUNT).unwrap();
        segment.write_all_at(&(first % 4).to_le_bytes(), HEAD).unwrap();
        let mut subscriber = python::Subscriber::<Vec<u8>, Bytes>::open(options()).unwrap();
        for count in counts {
            segment.write_all_at(&count.to_le_bytes(), COUNT).unwrap();
            for head in [count % 4, count.wrapping_add(1) % 4, u64::MAX] {
                segment.write_all_at(&head.to_le_bytes(), HEAD).unwrap();
                publisher.send(b"x").unwrap();
                let _ = (subscriber.try_recv(), subscriber.try_recv(), subscriber.latest(), subscriber.lag());
                let _ = (subscriber.recv_timeout(Duration::ZERO), subscriber.stats());
            }
        }
    }
}
