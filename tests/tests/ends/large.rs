//! Messages of 64 MiB in every pattern, by threads with 256 KiB of stack. A message that is made, sent and received in
//! place, by reference or in a box never passes through the stack, in a debug build too.

use shmcomm::{ShmMessage, ShmVec, channel, message, python};
use shmcomm_tests::{Namespace, namespace, stage};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SIZE: usize = 64 << 20;
const STACK: usize = 256 << 10;
const LIMIT: Duration = Duration::from_secs(60);

type Frame = [u8; SIZE];

/// As large, and checked when it is received.
#[derive(ShmMessage)]
#[repr(C)]
struct Picture {
    number: u64,
    pixels: ShmVec<u8, { SIZE - 16 }>,
}

channel! {
    Frames: PubSub<Frame> { name: "frames", slots: 2, seats: 4 }
    Pictures: PubSub<Picture> { name: "pictures", slots: 2, seats: 4 }
    Lossless: PubSub<Frame> { name: "lossless", slots: 2, seats: 4, overflow: Wait }
    Shared: PubSub<Frame> { name: "shared", slots: 2, seats: 4, publishers: 2 }
    Tailed: PubSub<u64, [u8]> { name: "tailed", slots: 2, seats: 4, max_len: SIZE }
    Blobs: PubSub<[u8], Bytes> { name: "blobs", slots: 2, seats: 4, slot_size: SIZE }
    Work: PushPull<Frame> { name: "work", slots: 2 }
    Checked: PushPull<Picture> { name: "checked", slots: 2 }
    Render: ReqRep<Frame, Frame> { name: "render", slots: 2 }
    Draw: ReqRep<Picture, Picture> { name: "draw", slots: 2 }
}

/// Runs `test` in a thread with little stack. One at a time: each takes some hundred MiB of shared memory.
fn on_a_small_stack(name: &str, test: impl FnOnce(&Namespace) + Send) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = std::env::var_os("SHMCOMM_DIR").unwrap_or_else(|| "/dev/shm".into());
    let free = rustix::fs::statvfs(&directory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    if free < 1 << 30 {
        return stage::skip(&format!(
            "{directory:?} has {} MiB free of the 1024 that this takes",
            free >> 20
        ));
    }
    let namespace = namespace(name);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, || test(&namespace)).unwrap().join().unwrap();
    });
}

/// A frame on the heap that starts and ends with `mark`.
fn frame(mark: u8) -> Box<Frame> {
    let mut frame = message::zeroed_boxed::<Frame>();
    (frame[0], frame[SIZE - 1]) = (mark, mark);
    frame
}

fn marks(frame: &Frame) -> (u8, u8) {
    (frame[0], frame[SIZE - 1])
}

#[test]
fn publisher_sends_64_mib_on_a_small_stack() {
    on_a_small_stack("publisher", |ns| {
        let mut publisher = Frames::open().namespace(&**ns).publisher().unwrap();
        let mut subscriber = Frames::open().namespace(&**ns).subscriber().unwrap();

        let mut loan = publisher.loan().unwrap();
        (loan[0], loan[SIZE - 1]) = (1, 1);
        loan.send().unwrap();
        assert_eq!(marks(&subscriber.recv_ref().unwrap()), (1, 1));

        publisher.send(&frame(2)).unwrap();
        assert_eq!(marks(&subscriber.try_recv_ref().unwrap()), (2, 2));
        publisher.try_send(&frame(3)).unwrap();
        assert_eq!(marks(&subscriber.recv_ref_timeout(LIMIT).unwrap()), (3, 3));
        publisher.send_timeout(&frame(4), LIMIT).unwrap();
        let sample = subscriber.latest_ref().unwrap().unwrap();
        let kept = message::copy_boxed(&*sample);
        drop(sample);
        assert_eq!(marks(&kept), (4, 4));

        let mut loan = publisher.try_loan().unwrap();
        loan.copy_from_slice(&*kept);
        loan.send().unwrap();
        assert_eq!(marks(&subscriber.recv_ref().unwrap()), (4, 4));
    });
}

#[test]
fn checked_messages_of_64_mib_need_no_stack() {
    on_a_small_stack("pictures", |ns| {
        let mut publisher = Pictures::open().namespace(&**ns).publisher().unwrap();
        let mut subscriber = Pictures::open().namespace(&**ns).subscriber().unwrap();
        let mut loan = publisher.loan().unwrap();
        loan.number = 7;
        loan.pixels.extend_from_slice(&[9; 1000]).unwrap();
        loan.send().unwrap();
        let sample = subscriber.recv_ref().unwrap();
        assert_eq!((sample.number, sample.pixels.len()), (7, 1000));
        let kept = message::copy_boxed(&*sample);
        drop(sample);
        publisher.send(&kept).unwrap();
        assert_eq!(subscriber.recv_ref().unwrap().pixels[999], 9);

        let bytes = message::as_bytes(&*kept).to_vec();
        assert_eq!(message::read_boxed::<Picture>(&bytes).unwrap().number, 7);
        drop((publisher, subscriber));

        let mut pusher = Checked::open().namespace(&**ns).pusher().unwrap();
        let mut puller = Checked::open().namespace(&**ns).puller().unwrap();
        pusher.send(&kept).unwrap();
        let mut loan = pusher.loan().unwrap();
        loan.number = 8;
        loan.send().unwrap();
        for number in [7, 8] {
            let job = puller.claim().unwrap();
            assert_eq!(job.number, number);
            job.done();
        }
    });
}

#[test]
fn lossless_publisher_sends_64_mib_on_a_small_stack() {
    on_a_small_stack("lossless", |ns| {
        let mut publisher = Lossless::open().namespace(&**ns).publisher().unwrap();
        let mut subscriber = Lossless::open().namespace(&**ns).subscriber().unwrap();
        for mark in 1..4 {
            publisher.send(&frame(mark)).unwrap();
            assert_eq!(marks(&subscriber.recv_ref().unwrap()), (mark, mark));
            publisher.loan().unwrap().send().unwrap();
            drop(subscriber.recv_ref().unwrap());
        }
    });
}

#[test]
fn several_publishers_send_64_mib_on_a_small_stack() {
    on_a_small_stack("shared", |ns| {
        let mut left = Shared::open().namespace(&**ns).publisher().unwrap();
        let mut right = Shared::open().namespace(&**ns).publisher().unwrap();
        let mut subscriber = Shared::open().namespace(&**ns).subscriber().unwrap();
        left.send(&frame(1)).unwrap();
        let mut loan = right.loan().unwrap();
        (loan[0], loan[SIZE - 1]) = (2, 2);
        loan.send().unwrap();
        assert_eq!(marks(&subscriber.recv_ref().unwrap()), (1, 1));
        assert_eq!(marks(&subscriber.recv_ref().unwrap()), (2, 2));
    });
}

#[test]
fn tails_and_bytes_of_64_mib_need_no_stack() {
    on_a_small_stack("tails", |ns| {
        let mut publisher = Tailed::open().namespace(&**ns).publisher().unwrap();
        let mut subscriber = Tailed::open().namespace(&**ns).subscriber().unwrap();
        publisher.send(&1, &frame(1)[..]).unwrap();
        assert_eq!(subscriber.recv_ref().unwrap().items()[SIZE - 1], 1);
        let mut loan = publisher.loan(SIZE).unwrap();
        loan.parts_mut().1[SIZE - 1] = 2;
        loan.send().unwrap();
        assert_eq!(subscriber.recv_ref().unwrap().items()[SIZE - 1], 2);
        drop((publisher, subscriber));

        let mut publisher = Blobs::open().namespace(&**ns).publisher().unwrap();
        let mut subscriber = Blobs::open().namespace(&**ns).subscriber().unwrap();
        publisher.send(&frame(3)[..]).unwrap();
        assert_eq!(subscriber.recv().unwrap()[SIZE - 1], 3);
    });
}

#[test]
fn jobs_of_64_mib_need_no_stack() {
    on_a_small_stack("jobs", |ns| {
        let mut pusher = Work::open().namespace(&**ns).pusher().unwrap();
        let mut puller = Work::open().namespace(&**ns).puller().unwrap();
        let mut loan = pusher.loan().unwrap();
        (loan[0], loan[SIZE - 1]) = (1, 1);
        loan.send().unwrap();
        let job = puller.claim().unwrap();
        assert_eq!(marks(&job), (1, 1));
        job.done();
        pusher.send(&frame(2)).unwrap();
        let job = puller.try_claim().unwrap();
        assert_eq!(marks(&job), (2, 2));
        job.done();
        pusher.send_timeout(&frame(3), LIMIT).unwrap();
        pusher.try_send(&frame(4)).unwrap();
        for mark in [3, 4] {
            let job = puller.claim_timeout(LIMIT).unwrap();
            assert_eq!(marks(&message::copy_boxed(&*job)), (mark, mark));
            job.done();
        }
    });
}

#[test]
fn requests_and_replies_of_64_mib_need_no_stack() {
    on_a_small_stack("requests", |ns| {
        let requester = Render::open().namespace(&**ns).requester().unwrap();
        let mut replier = Render::open().namespace(&**ns).replier().unwrap();
        let mut answer = |mark| {
            let request = replier.recv_timeout(LIMIT).unwrap();
            assert_eq!(marks(&request), (mark, mark));
            request.reply_with(|reply| (reply[0], reply[SIZE - 1]) = (mark + 1, mark + 1)).unwrap();
        };

        let call = requester.call(&frame(1)).unwrap();
        answer(1);
        let reply = call.wait_ref().unwrap();
        assert_eq!(marks(&reply), (2, 2));
        assert_eq!(marks(&message::copy_boxed(&*reply)), (2, 2));
        drop(reply);

        let mut loan = requester.loan().unwrap();
        (loan[0], loan[SIZE - 1]) = (3, 3);
        let mut call = loan.send().unwrap();
        assert!(call.poll_ref().is_none());
        answer(3);
        assert_eq!(marks(&call.poll_ref().unwrap().unwrap()), (4, 4));

        let mut call = requester.call(&frame(5)).unwrap();
        answer(5);
        assert_eq!(marks(&call.wait_ref_timeout(LIMIT).unwrap()), (6, 6));
        drop(call);

        std::thread::scope(|scope| {
            let service = std::thread::Builder::new().stack_size(STACK);
            let service = service.spawn_scoped(scope, || {
                for _ in 0..2 {
                    let request = replier.recv_timeout(LIMIT).unwrap();
                    let reply = message::copy_boxed(&*request);
                    request.reply(&reply).unwrap();
                }
            });
            assert_eq!(marks(&requester.request_ref(&frame(7)).unwrap()), (7, 7));
            assert_eq!(marks(&requester.request_ref_timeout(&frame(8), LIMIT).unwrap()), (8, 8));
            service.unwrap().join().unwrap();
        });
    });
}

#[test]
fn checked_replies_of_64_mib_need_no_stack() {
    on_a_small_stack("draw", |ns| {
        let requester = Draw::open().namespace(&**ns).requester().unwrap();
        let mut replier = Draw::open().namespace(&**ns).replier().unwrap();
        let mut loan = requester.loan().unwrap();
        loan.number = 3;
        let call = loan.send().unwrap();
        let request = replier.recv().unwrap();
        let number = request.number;
        request.reply_with(|reply| reply.number = number + 1).unwrap();
        assert_eq!(call.wait_ref().unwrap().number, 4);
    });
}

#[test]
fn tasks_pass_64_mib_on_a_small_stack() {
    on_a_small_stack("tasks", |ns| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut publisher = Frames::open().namespace(&**ns).publisher().unwrap();
            let mut subscriber = Frames::open().namespace(&**ns).subscriber().unwrap();
            publisher.send_async(&frame(1)).await.unwrap();
            assert_eq!(marks(&subscriber.recv_ref_async().await.unwrap()), (1, 1));
            drop((publisher, subscriber));

            let mut pusher = Work::open().namespace(&**ns).pusher().unwrap();
            let mut puller = Work::open().namespace(&**ns).puller().unwrap();
            pusher.send_async(&frame(2)).await.unwrap();
            let job = puller.claim_async().await.unwrap();
            assert_eq!(marks(&job), (2, 2));
            job.done();
            drop((pusher, puller));

            let mut requester = Render::open().namespace(&**ns).requester().unwrap();
            let mut replier = Render::open().namespace(&**ns).replier().unwrap();
            let request = frame(3);
            let ask = async { marks(&requester.request_ref_async(&request).await.unwrap()) };
            let answer = async {
                let request = replier.recv_async().await.unwrap();
                assert_eq!(marks(&request), (3, 3));
                request.reply(&frame(4)).unwrap();
            };
            assert_eq!(tokio::join!(ask, answer).0, (4, 4));
            let call = requester.call(&request).unwrap();
            replier.recv_async().await.unwrap().reply(&frame(5)).unwrap();
            assert_eq!(marks(&call.wait_ref_async().await.unwrap()), (5, 5));
        });
    });
}

mod wire {
    use super::*;
    use shmcomm::Fixed;
    use shmcomm::python::Options;

    /// Python's segments have no namespace: a name with the number of this process in it.
    fn options(options: fn(String) -> Options, name: &str) -> Options {
        let options = options(format!("test-{}-large-{name}", std::process::id()));
        // A service admits a requester only after several steps, each of which a loaded machine delays.
        Options { slots: 2, slot_size: SIZE as u64 + 4, connect_timeout: LIMIT, ..options }
    }

    #[test]
    fn python_subscribers_take_64_mib_on_a_small_stack() {
        on_a_small_stack("wire", |_| {
            let pubsub = || options(Options::pubsub, "pubsub");
            let mut publisher = python::Publisher::<Frame, Fixed>::open(pubsub()).unwrap();
            let mut subscriber = python::Subscriber::<Frame, Fixed>::open(pubsub()).unwrap();
            publisher.send(&frame(1)).unwrap();
            assert_eq!(marks(&subscriber.recv_boxed().unwrap()), (1, 1));
            publisher.send(&frame(2)).unwrap();
            assert_eq!(marks(&subscriber.latest_boxed().unwrap().unwrap()), (2, 2));
        });
    }

    #[test]
    fn python_pullers_take_64_mib_on_a_small_stack() {
        on_a_small_stack("wire-jobs", |_| {
            let work = || options(Options::pushpull, "pushpull");
            let mut pusher = python::Pusher::<Frame, Fixed>::open(work()).unwrap();
            let mut puller = python::Puller::<Frame, Fixed>::open(work()).unwrap();
            pusher.send(&frame(3)).unwrap();
            assert_eq!(marks(&puller.try_recv_boxed().unwrap()), (3, 3));
            pusher.send(&frame(4)).unwrap();
            assert_eq!(marks(&puller.recv_boxed_timeout(LIMIT).unwrap()), (4, 4));
        });
        shmcomm_tests::remove_queue_locks(&format!("test-{}-large", std::process::id()));
    }

    #[test]
    fn python_requesters_take_64_mib_on_a_small_stack() {
        on_a_small_stack("wire-requests", |_| {
            let render = || options(Options::reqrep, "reqrep");
            let mut replier = python::Replier::<Frame, Frame, Fixed>::open(render()).unwrap();
            let mut requester = python::Requester::<Frame, Frame, Fixed>::open(render()).unwrap();
            requester.send(&frame(5)).unwrap();
            assert_eq!(marks(&replier.recv_boxed().unwrap()), (5, 5));
            replier.send(&frame(6)).unwrap();
            assert_eq!(marks(&requester.recv_boxed().unwrap()), (6, 6));
            std::thread::scope(|scope| {
                let service = std::thread::Builder::new().stack_size(STACK);
                let service = service.spawn_scoped(scope, || {
                    let request = replier.recv_boxed_timeout(LIMIT).unwrap();
                    replier.send(&request).unwrap();
                });
                assert_eq!(marks(&requester.request_boxed(&frame(7), LIMIT).unwrap()), (7, 7));
                service.unwrap().join().unwrap();
            });
        });
    }
}
