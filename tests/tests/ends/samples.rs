//! Messages that dynamic subscribers receive in place, and that may outlive their subscribers.

use shmcomm::schema::Layout;
use shmcomm::{
    Content, Declaration, DynError, DynPublisher, DynSample, DynSubscriber, describe, list_segments,
};
use shmcomm_tests::namespace;
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const SIZE: usize = 32 * 1024;

/// Message `number`: every word is the number.
fn message(number: u64) -> Vec<u8> {
    number.to_ne_bytes().repeat(SIZE / 8)
}

/// Returns the number of a message that is whole.
fn number(bytes: &[u8]) -> u64 {
    let number = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    assert!(bytes == message(number), "message {number} is torn");
    number
}

fn declaration(publishers: u32, size: usize) -> Declaration {
    Declaration::pub_sub(Content::Bytes).publishers(publishers).slots(8).slot_size(size as u64).seats(4)
}

fn pair(name: &str, publishers: u32) -> (DynPublisher, DynSubscriber) {
    let publisher = DynPublisher::create(name, &declaration(publishers, SIZE)).unwrap();
    (publisher, DynSubscriber::open(name).unwrap())
}

fn receive(subscriber: &mut DynSubscriber) -> DynSample {
    subscriber.recv_sample_timeout(PATIENCE).unwrap()
}

#[test]
fn sample_is_in_its_slot_and_never_written() {
    for publishers in [1, 2] {
        let ns = namespace("samples-slot");
        let (mut publisher, mut subscriber) = pair(&format!("{ns}/feed"), publishers);
        publisher.send_bytes(&message(0)).unwrap();
        let sample = receive(&mut subscriber);
        assert!(sample.is_in_slot());
        for n in 1..100 {
            publisher.send_bytes(&message(n)).unwrap();
            assert_eq!(number(sample.bytes().unwrap()), 0, "written under a sample");
        }
        drop(sample);
        for n in 100..200 {
            publisher.send_bytes(&message(n)).unwrap();
        }
        assert!(!matches!(subscriber.try_recv_sample(), Err(DynError::SampleHeld)));
    }
}

#[test]
fn second_sample_is_refused_until_first_is_dropped() {
    for size in [64, SIZE] {
        let ns = namespace("samples-second");
        let name = format!("{ns}/feed");
        let mut publisher = DynPublisher::create(&name, &declaration(1, size)).unwrap();
        let mut subscriber = DynSubscriber::open(&name).unwrap();
        for n in 0..3u8 {
            publisher.send_bytes(&vec![n; size]).unwrap();
        }
        let first = receive(&mut subscriber);
        assert_eq!(first.is_in_slot(), size == SIZE);
        let refused = subscriber.try_recv_sample().unwrap_err();
        assert!(matches!(refused, DynError::SampleHeld), "{refused}");
        assert!(refused.to_string().contains("drop it first"), "{refused}");
        assert_eq!(subscriber.recv_timeout(PATIENCE).unwrap().bytes(), vec![1; size], "a copy");
        assert_eq!(first.bytes().unwrap(), vec![0; size]);
        drop(first);
        assert_eq!(receive(&mut subscriber).bytes().unwrap(), vec![2; size]);
        assert_eq!((subscriber.received(), subscriber.lost()), (3, 0));
    }
}

#[test]
fn subscriber_with_sample_receives_copies() {
    for publishers in [1, 2] {
        let ns = namespace("samples-copies");
        let (mut publisher, mut subscriber) = pair(&format!("{ns}/feed"), publishers);
        publisher.send_bytes(&message(0)).unwrap();
        let sample = receive(&mut subscriber);
        for n in 1..50 {
            publisher.send_bytes(&message(n)).unwrap();
            assert_eq!(number(subscriber.recv_timeout(PATIENCE).unwrap().bytes()), n);
        }
        assert_eq!(number(subscriber.latest().unwrap().unwrap().bytes()), 49);
        assert_eq!(number(sample.bytes().unwrap()), 0);
        drop(sample);
        publisher.send_bytes(&message(50)).unwrap();
        let sample = receive(&mut subscriber);
        assert!(sample.is_in_slot(), "the pin came back");
        assert_eq!(number(sample.bytes().unwrap()), 50);
    }
}

#[test]
fn sample_outlives_its_subscriber() {
    let ns = namespace("samples-outlive");
    let name = format!("{ns}/feed");
    let (mut publisher, mut subscriber) = pair(&name, 1);
    publisher.send_bytes(&message(0)).unwrap();
    let sample = receive(&mut subscriber);
    drop(subscriber);
    assert_eq!(publisher.subscribers(), 1, "the seat stays with the sample");
    for n in 1..100 {
        publisher.send_bytes(&message(n)).unwrap();
        assert_eq!(number(sample.bytes().unwrap()), 0, "written under a sample");
    }
    drop(publisher);
    assert_eq!(number(sample.bytes().unwrap()), 0);
    thread::spawn(move || drop(sample)).join().unwrap();
    assert!(describe(&name).unwrap().is_none(), "the last owner removes the segment");
    assert!(list_segments().unwrap().iter().all(|one| one.channel != name));
}

#[test]
fn samples_are_dropped_in_other_threads() {
    let ns = namespace("samples-threads");
    let (mut publisher, mut subscriber) = pair(&format!("{ns}/feed"), 1);
    let (sender, receiver) = std::sync::mpsc::channel::<DynSample>();
    let holder = thread::spawn(move || {
        let mut last = None;
        for sample in receiver {
            let found = number(sample.bytes().unwrap());
            assert!(last < Some(found), "{found} after {last:?}");
            thread::yield_now();
            assert_eq!(number(sample.bytes().unwrap()), found, "written under a sample");
            last = Some(found);
        }
    });
    let writer = thread::spawn(move || {
        for n in 0..3000 {
            publisher.send_bytes(&message(n)).unwrap();
        }
    });
    let mut copies = 0;
    loop {
        match subscriber.recv_sample_timeout(PATIENCE) {
            Ok(sample) => sender.send(sample).unwrap(),
            Err(DynError::SampleHeld) => match subscriber.try_recv() {
                Ok(message) => {
                    number(message.bytes());
                    copies += 1;
                }
                Err(DynError::Empty | DynError::Lagged(_)) => {}
                Err(DynError::Disconnected) => break,
                Err(error) => panic!("{error}"),
            },
            Err(DynError::Lagged(_)) => {}
            Err(DynError::Disconnected) => break,
            Err(error) => panic!("{error}"),
        }
    }
    writer.join().unwrap();
    drop(sender);
    holder.join().unwrap();
    assert_eq!(subscriber.received() + subscriber.lost(), 3000, "{copies} were copies");
}

#[test]
fn subscriber_follows_while_its_sample_is_held() {
    let ns = namespace("samples-follow");
    let name = format!("{ns}/feed");
    let (mut publisher, mut subscriber) = pair(&name, 1);
    publisher.send_bytes(&message(0)).unwrap();
    let sample = receive(&mut subscriber);
    drop(publisher);
    let mut successor = DynPublisher::create(&name, &declaration(1, SIZE).slots(16)).unwrap();
    successor.send_bytes(&message(1)).unwrap();
    assert_eq!(number(subscriber.recv_timeout(PATIENCE).unwrap().bytes()), 1);
    assert_eq!(number(sample.bytes().unwrap()), 0, "the old segment stays mapped");
    drop(sample);
    successor.send_bytes(&message(2)).unwrap();
    assert_eq!(number(receive(&mut subscriber).bytes().unwrap()), 2);
}

#[test]
fn loan_is_sent_from_its_slot() {
    for (size, publishers) in [(64, 1), (SIZE, 1), (SIZE, 2)] {
        let ns = namespace("samples-loan");
        let name = format!("{ns}/feed");
        let mut publisher = DynPublisher::create(&name, &declaration(publishers, size)).unwrap();
        let mut subscriber = DynSubscriber::open(&name).unwrap();
        for n in 0..20u8 {
            let mut loan = publisher.loan_timeout(size - 8, PATIENCE).unwrap();
            let at = loan.bytes_mut().as_ptr();
            loan.bytes_mut().fill(n);
            assert_eq!(loan.bytes_mut().as_ptr(), at);
            // Nothing is sent yet, and nothing by a loan that is dropped.
            assert!(matches!(subscriber.try_recv(), Err(DynError::Empty)));
            if n % 2 == 0 {
                loan.send().unwrap();
                assert_eq!(receive(&mut subscriber).bytes().unwrap(), vec![n; size - 8]);
            }
        }
        let refused = publisher.try_loan(size + 1).unwrap_err();
        assert!(
            matches!(refused, DynError::TooLong { size: s, capacity } if (s, capacity) == (size + 1, size))
        );
        assert_eq!((subscriber.received(), subscriber.lost()), (10, 0));
    }
}

#[test]
fn loan_that_is_no_message_is_refused() {
    let ns = namespace("samples-refused");
    let declared = Declaration::pub_sub(Content::Fixed(Layout::of::<[bool; 8192]>()));
    let mut publisher = DynPublisher::create(&format!("{ns}/feed"), &declared).unwrap();
    let mut subscriber = DynSubscriber::open(publisher.name()).unwrap();
    let mut loan = publisher.loan(8192).unwrap();
    loan.bytes_mut().fill(2);
    assert!(matches!(loan.send(), Err(DynError::Value(_))));
    assert!(matches!(publisher.loan(8191).unwrap().send(), Err(DynError::Value(_))));
    let mut loan = publisher.loan(8192).unwrap();
    loan.bytes_mut().fill(1);
    loan.send().unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE).unwrap().bytes(), [1; 8192]);
}

/// A pointer to bytes outlives the sample, as the views of Python do at the end of the interpreter.
#[test]
fn sample_left_at_exit_stays_mapped() {
    for size in [64, SIZE] {
        let ns = namespace("samples-exit");
        let name = format!("{ns}/feed");
        let mut publisher = DynPublisher::create(&name, &declaration(1, size)).unwrap();
        let mut subscriber = DynSubscriber::open(&name).unwrap();
        publisher.send_bytes(&vec![7; size]).unwrap();
        let sample = receive(&mut subscriber);
        let kept = sample.bytes().unwrap().as_ptr();
        drop((subscriber, publisher));
        sample.leave_at_exit();
        assert!(describe(&name).unwrap().is_none(), "the segment is removed");
        // SAFETY: the memory stays mapped.
        assert_eq!(unsafe { kept.add(size - 1).read_volatile() }, 7);
    }
}
