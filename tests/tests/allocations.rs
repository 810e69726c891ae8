//! Sending and receiving messages of a fixed size allocates nothing, in either discipline.

use shmcomm::Overflow;
use shmcomm_tests::{Jobs, Large, LargeFeed, Service, Small, SmallFeed, TailFeed, namespace};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

struct Counting;

thread_local! {
    /// Allocations of this thread: tests run beside each other.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: does what the system's allocator does.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations that `work` makes.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(5)))), 1);
}

#[test]
fn small_messages_allocate_nothing() {
    let ns = namespace("small");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let count = allocations(|| {
        for number in 0..1000 {
            publisher.send(&Small::new(number)).unwrap();
            subscriber.try_recv().unwrap().check();
            let mut loan = publisher.loan().unwrap();
            *loan = Small::new(number);
            loan.send().unwrap();
            subscriber.recv_ref().unwrap().check();
        }
        // Falling behind and finding nothing is no reason either.
        for number in 0..1000 {
            publisher.send(&Small::new(number)).unwrap();
        }
        while !matches!(subscriber.try_recv(), Err(shmcomm::TryRecvError::Empty)) {}
    });
    assert_eq!(count, 0);
}

#[test]
fn publishers_that_wait_allocate_nothing() {
    let ns = namespace("wait");
    let channel = || SmallFeed::open().namespace(&*ns).overflow(Overflow::Wait);
    let mut publisher = channel().publisher().unwrap();
    let mut subscriber = channel().expect_every(Duration::from_millis(1)).subscriber().unwrap();
    let count = allocations(|| {
        for number in 0..1000 {
            publisher.send(&Small::new(number)).unwrap();
            if publisher.try_send(&Small::new(number)).is_err() {
                assert!(publisher.send_timeout(&Small::new(number), Duration::from_millis(3)).is_err());
                while subscriber.try_recv().is_ok() {}
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn large_messages_allocate_nothing() {
    let ns = namespace("large");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    let count = allocations(|| {
        for number in 0..100 {
            let mut loan = publisher.loan().unwrap();
            *loan = Large::new(number);
            loan.send().unwrap();
            subscriber.recv_ref().unwrap().check();
            publisher.send(&Large::new(number)).unwrap();
            subscriber.try_recv().unwrap().check();
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn tails_allocate_nothing() {
    let ns = namespace("tails");
    let mut publisher = TailFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = TailFeed::open().namespace(&*ns).subscriber().unwrap();
    let count = allocations(|| {
        for number in 0..100 {
            let mut loan = publisher.loan(100).unwrap();
            *loan.parts_mut().0 = Small::new(number);
            loan.send().unwrap();
            subscriber.recv_ref().unwrap().header().check();
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn jobs_allocate_nothing() {
    let ns = namespace("jobs");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    let count = allocations(|| {
        for number in 0..2000 {
            pusher.send(&Small::new(number)).unwrap();
            puller.recv().unwrap().check();
            pusher.try_send(&Small::new(number)).unwrap();
            puller.try_claim().unwrap().done();
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn requests_and_replies_allocate_nothing() {
    let ns = namespace("requests");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let count = allocations(|| {
        for number in 0..2000 {
            let mut call = requester.call(&Small::new(number)).unwrap();
            assert!(call.poll().is_none());
            replier.try_recv().unwrap().reply(&Small::new(!number)).unwrap();
            assert_eq!(call.wait(), Ok(Small::new(!number)));
            if number == 1000 {
                // Long enough for another liveness check of both ends.
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
    });
    assert_eq!(count, 0);
}
