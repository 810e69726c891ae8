//! Code of the user may panic while it has a message, forget the message, or make it as long as possible.

use shmcomm::codec::EncodeError;
use shmcomm::{
    PullTimeoutError, RecvTimeoutError, RequestError, RequestTimeoutError, SendError, TryPullError,
    TryPushError, TryRecvError, channel,
};
use shmcomm_tests::{Jobs, Large, LargeFeed, Service, Small, SmallFeed, TailFeed, namespace};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(20);

channel! {
    RawSmall: PubSub<Vec<u8>, Bytes> { name: "raw-small", slots: 8, slot_size: 100 }
    RawLarge: PubSub<Vec<u8>, Bytes> { name: "raw-large", slots: 8, slot_size: 10_000 }
    RawJobs: PushPull<Vec<u8>, Bytes> { name: "raw-jobs", slots: 8, slot_size: 100 }
    RawService: ReqRep<Vec<u8>, Vec<u8>, Bytes> { name: "raw-service", slots: 8, slot_size: 100 }
}

/// Runs code that panics, as a test of a caller's error would.
fn panics(code: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(code)).is_err(), "it did not panic");
}

#[test]
fn panic_in_a_loan_sends_nothing_and_blocks_nothing() {
    let ns = namespace("loan");
    let mut small = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut large = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut tails = TailFeed::open().namespace(&*ns).publisher().unwrap();
    let mut jobs = Jobs::open().namespace(&*ns).slots(2).pusher().unwrap();
    let mut small_sub = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut large_sub = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut tails_sub = TailFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut worker = Jobs::open().namespace(&*ns).puller().unwrap();
    for number in 0..10 {
        panics(|| {
            let mut loan = small.loan().unwrap();
            *loan = Small::new(999);
            panic!("in a loan");
        });
        panics(|| {
            let mut loan = large.loan().unwrap();
            *loan = Large::new(999);
            panic!("in a loan");
        });
        panics(|| {
            let mut loan = tails.loan(7).unwrap();
            loan.parts_mut().1.fill(999);
            panic!("in a loan");
        });
        panics(|| {
            let mut loan = jobs.loan().unwrap();
            *loan = Small::new(999);
            panic!("in a loan");
        });
        small.send(&Small::new(number)).unwrap();
        large.send(&Large::new(number)).unwrap();
        tails.send(&Small::new(number), &[number]).unwrap();
        jobs.try_send(&Small::new(number)).unwrap();
        assert_eq!(small_sub.recv_timeout(PATIENCE), Ok(Small::new(number)));
        large_sub.recv_timeout(PATIENCE).unwrap().check();
        assert_eq!(tails_sub.recv_ref().unwrap().items(), [number]);
        assert_eq!(worker.recv_timeout(PATIENCE), Ok(Small::new(number)));
    }
    assert_eq!(small_sub.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(large.stats().messages, 10);
    assert_eq!(worker.try_recv(), Err(TryPullError::Empty));
}

#[test]
fn panic_while_a_sample_is_read_releases_it() {
    let ns = namespace("sample");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    for number in 0..20 {
        publisher.send(&Large::new(number)).unwrap();
        panics(|| {
            let sample = subscriber.recv_ref().unwrap();
            panic!("at {}", sample.number);
        });
    }
    assert_eq!(publisher.stats().holes, 0);
}

#[test]
fn panic_of_a_worker_puts_its_job_back() {
    let ns = namespace("worker");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut worker = Jobs::open().namespace(&*ns).puller().unwrap();
    let mut other = Jobs::open().namespace(&*ns).puller().unwrap();
    pusher.send(&Small::new(4)).unwrap();
    panics(|| {
        let job = worker.claim().unwrap();
        panic!("at {}", job.number);
    });
    let job = other.claim_timeout(PATIENCE).unwrap();
    assert_eq!((job.number, job.redelivered()), (4, true));
    job.done();
    pusher.flush(PATIENCE).unwrap();
}

#[test]
fn panic_of_a_service_is_reported_to_its_requester() {
    let ns = namespace("service");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let stop = replier.stop_handle();
    let serving = std::thread::spawn(move || {
        panics(|| {
            let _ = replier.serve(|request| {
                assert_ne!(request.number, 13, "a number that this service cannot stand");
                Small::new(!request.number)
            });
        });
        replier.serve(|request| Small::new(!request.number))
    });
    assert_eq!(requester.request_timeout(&Small::new(12), PATIENCE), Ok(Small::new(!12)));
    assert_eq!(requester.request_timeout(&Small::new(13), PATIENCE), Err(RequestTimeoutError::Unanswered));
    assert_eq!(requester.request_timeout(&Small::new(14), PATIENCE), Ok(Small::new(!14)));
    stop.stop();
    assert_eq!(serving.join().unwrap(), Ok(1));
}

#[test]
fn what_is_forgotten_is_kept_until_its_end_is_dropped() {
    let ns = namespace("forgotten");
    let mut pusher = Jobs::open().namespace(&*ns).slots(2).pusher().unwrap();
    let mut worker = Jobs::open().namespace(&*ns).puller().unwrap();
    let mut other = Jobs::open().namespace(&*ns).puller().unwrap();
    pusher.send(&Small::new(1)).unwrap();
    std::mem::forget(worker.claim().unwrap());
    assert_eq!(other.recv_timeout(MOMENT), Err(PullTimeoutError::Timeout));
    let mut second = Jobs::open().namespace(&*ns).pusher().unwrap();
    std::mem::forget(second.loan().unwrap());
    assert_eq!(pusher.try_send(&Small::new(2)), Err(TryPushError::Full));
    drop((worker, second));
    let job = other.claim_timeout(PATIENCE).unwrap();
    assert!(job.redelivered());
    job.done();
    for number in 2..4 {
        pusher.try_send(&Small::new(number)).unwrap();
    }
    for number in 2..4 {
        assert_eq!(other.recv_timeout(PATIENCE), Ok(Small::new(number)));
    }

    let requester = Service::open().namespace(&*ns).slots(2).requester().unwrap();
    let careless = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let mut call = requester.call(&Small::new(1)).unwrap();
    std::mem::forget(replier.recv().unwrap());
    std::mem::forget(careless.call(&Small::new(2)).unwrap());
    assert!(requester.call(&Small::new(3)).is_err(), "both slots are taken");
    assert_eq!(call.wait_timeout(MOMENT), Err(RequestTimeoutError::Timeout));
    drop((replier, careless));
    let told = call.wait_timeout(PATIENCE);
    assert!(matches!(told, Err(RequestTimeoutError::PeerDied | RequestTimeoutError::Unanswered)), "{told:?}");
    drop((requester.call(&Small::new(4)).unwrap(), requester.call(&Small::new(5)).unwrap()));
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + len) as u8).collect()
}

#[test]
fn messages_of_0_max_and_max_plus_1_bytes() {
    let ns = namespace("lengths");
    let mut small = RawSmall::open().namespace(&*ns).publisher().unwrap();
    let mut small_sub = RawSmall::open().namespace(&*ns).subscriber().unwrap();
    let mut large = RawLarge::open().namespace(&*ns).publisher().unwrap();
    let mut large_sub = RawLarge::open().namespace(&*ns).subscriber().unwrap();
    let mut pusher = RawJobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = RawJobs::open().namespace(&*ns).puller().unwrap();
    for len in [0, 1, 99, 100] {
        small.send(&bytes(len)).unwrap();
        assert_eq!(small_sub.recv_timeout(PATIENCE), Ok(bytes(len)));
        large.send(&bytes(len * 100)).unwrap();
        assert_eq!(large_sub.recv_timeout(PATIENCE), Ok(bytes(len * 100)));
        pusher.try_send(&bytes(len)).unwrap();
        assert_eq!(puller.recv_timeout(PATIENCE), Ok(bytes(len)));
    }
    assert_eq!(small.send(&bytes(101)), Err(SendError::TooLong { size: 101, capacity: 100 }));
    assert_eq!(large.send(&bytes(10_001)), Err(SendError::TooLong { size: 10_001, capacity: 10_000 }));
    let too_long = EncodeError::TooLong { needed: 101, capacity: 100 };
    assert_eq!(pusher.try_send(&bytes(101)), Err(TryPushError::Unencodable(too_long.clone())));
    // Nothing of these was sent, and their slots are free.
    assert_eq!(small_sub.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(large_sub.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
    assert_eq!(puller.try_recv(), Err(TryPullError::Empty));
    for _ in 0..8 {
        pusher.try_send(&bytes(100)).unwrap();
    }
    assert_eq!(pusher.try_send(&bytes(0)), Err(TryPushError::Full));
    while puller.try_recv().is_ok() {}
}

#[test]
fn requests_and_replies_of_0_max_and_max_plus_1_bytes() {
    let ns = namespace("request-lengths");
    let requester = RawService::open().namespace(&*ns).requester().unwrap();
    let mut replier = RawService::open().namespace(&*ns).replier().unwrap();
    for len in [0, 1, 99, 100] {
        let call = requester.call(&bytes(len)).unwrap();
        let request = replier.recv().unwrap();
        assert_eq!(*request, bytes(len));
        request.reply(&bytes(100 - len)).unwrap();
        assert_eq!(call.wait(), Ok(bytes(100 - len)));
    }
    let too_long = requester.request(&bytes(101)).unwrap_err();
    assert!(
        matches!(too_long, RequestError::Unencodable(EncodeError::TooLong { needed: 101, .. })),
        "{too_long}"
    );
    // A request of the full length leaves room for a reply of the full length, and for no more.
    let call = requester.call(&bytes(100)).unwrap();
    let refused = replier.recv().unwrap().reply(&bytes(300)).unwrap_err();
    assert!(refused.to_string().contains("300"), "{refused}");
    assert_eq!(call.wait(), Err(RequestError::Unanswered));
    assert_eq!(requester.stats().backlog.unwrap().used(), 0);
}
