//! Messages that are expected at regular times, and messages that a condition accepts.

use shmcomm::{RecvError, RecvTimeoutError, TryRecvError, channel};
use shmcomm_tests::{Large, LargeFeed, Small, SmallFeed, namespace};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

channel! {
    Regular: PubSub<Small> { name: "regular", expect_every: 20ms }
    Words: PubSub<Vec<String>, Msgpack> { name: "words", slot_size: 256, expect_every: std::time::Duration::from_millis(20) }
}

#[test]
fn silence_is_said_once_a_period() {
    assert_eq!((Regular::EXPECT_EVERY, Words::EXPECT_EVERY), (PERIOD, PERIOD));
    let ns = namespace("silence");
    let mut publisher = Regular::open().namespace(&*ns).publisher().unwrap();
    let opened = Instant::now();
    let mut subscriber = Regular::open().namespace(&*ns).subscriber().unwrap();
    let mut before = Duration::ZERO;
    for period in 1..=4 {
        let Err(RecvError::Missed { silent, expected }) = subscriber.recv() else { panic!("nobody sent") };
        assert_eq!(expected, PERIOD);
        // At the end of a period each, of the same clock, whatever the machine does in between.
        assert!(
            silent >= period * PERIOD && silent >= before + PERIOD / 2,
            "{period}: {silent:?} after {before:?}"
        );
        before = silent;
    }
    assert!(opened.elapsed() >= 4 * PERIOD);
    publisher.send(&Small::new(1)).unwrap();
    assert_eq!(subscriber.recv(), Ok(Small::new(1)));
}

#[test]
fn message_that_is_there_beats_a_period_that_has_passed() {
    let ns = namespace("beats");
    let mut publisher = Regular::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Regular::open().namespace(&*ns).subscriber().unwrap();
    for number in 0..10 {
        publisher.send(&Small::new(number)).unwrap();
    }
    std::thread::sleep(2 * PERIOD);
    for number in 0..10 {
        assert_eq!(subscriber.try_recv(), Ok(Small::new(number)));
    }
    // The clock starts at the last one received.
    std::thread::sleep(3 * PERIOD);
    assert!(
        matches!(subscriber.try_recv(), Err(TryRecvError::Missed { silent, .. }) if silent >= 3 * PERIOD)
    );
}

#[test]
fn timeout_and_silence_come_in_their_order() {
    let ns = namespace("order");
    let _publisher = Regular::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Regular::open().namespace(&*ns).expect_every(LONG).subscriber().unwrap();
    assert_eq!(subscriber.recv_timeout(PERIOD), Err(RecvTimeoutError::Timeout));
    assert_eq!(subscriber.recv_deadline(Instant::now()), Err(RecvTimeoutError::Timeout));
    let mut subscriber = Regular::open().namespace(&*ns).subscriber().unwrap();
    assert!(matches!(subscriber.recv_timeout(LONG), Err(RecvTimeoutError::Missed { .. })));
    assert!(matches!(subscriber.recv_ref_timeout(LONG), Err(RecvTimeoutError::Missed { .. })));
    let mut calm = Regular::open().namespace(&*ns).expect_every(Duration::ZERO).subscriber().unwrap();
    assert_eq!(calm.recv_timeout(3 * PERIOD), Err(RecvTimeoutError::Timeout));
    assert_eq!(calm.latest(), Ok(None));
}

#[test]
fn encoded_messages_are_expected_too_and_absence_says_more() {
    let ns = namespace("encoded");
    let mut publisher = Words::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Words::open().namespace(&*ns).subscriber().unwrap();
    assert!(matches!(subscriber.recv(), Err(RecvError::Missed { .. })));
    publisher.send(&vec!["a".into()]).unwrap();
    assert_eq!(subscriber.recv(), Ok(vec!["a".into()]));
    drop(publisher);
    std::thread::sleep(2 * PERIOD);
    assert_eq!(subscriber.recv(), Err(RecvError::Disconnected));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn filter_takes_what_it_accepts_and_counts_the_rest_as_received() {
    let ns = namespace("filter");
    let mut small = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    (0..60).for_each(|number| small.send(&Small::new(number)).unwrap());
    let mut tens = subscriber.filter(|message| message.number % 10 == 7);
    assert_eq!(tens.try_recv(), Ok(Small::new(7)));
    assert_eq!(tens.recv(), Ok(Small::new(17)));
    assert_eq!(tens.recv_timeout(LONG), Ok(Small::new(27)));
    assert_eq!(tens.recv_deadline(Instant::now()), Ok(Small::new(37)));
    assert_eq!(tens.next(), Some(Small::new(47)));
    assert_eq!(tens.try_recv(), Ok(Small::new(57)));
    assert_eq!(tens.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(tens.recv_timeout(PERIOD), Err(RecvTimeoutError::Timeout));
    assert_eq!(subscriber.received(), 60);
    // It ends, whatever comes meanwhile.
    let mut none = subscriber.filter(|_| false);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                small.send(&Small::new(number)).unwrap();
            }
        });
        let passed = |error| matches!(error, TryRecvError::Empty | TryRecvError::Lagged(_));
        (0..100).for_each(|_| assert!(passed(none.try_recv().unwrap_err())));
        // A publisher that is fast enough makes it lag again and again, and that may be all it ever says.
        let end = Instant::now() + 4 * PERIOD;
        while Instant::now() < end {
            let outcome = none.recv_timeout(PERIOD).unwrap_err();
            assert!(matches!(outcome, RecvTimeoutError::Timeout | RecvTimeoutError::Lagged(_)), "{outcome}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn filter_holds_no_slot_of_a_large_message_it_passes() {
    let ns = namespace("large");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut even = subscriber.filter(|frame| frame.number % 2 == 0);
    for number in 0..100 {
        publisher.send(&Large::new(number)).unwrap();
        match even.try_recv() {
            Ok(frame) => assert_eq!(frame, Large::new(number)),
            Err(error) => assert_eq!((error, number % 2), (TryRecvError::Empty, 1)),
        }
    }
    assert_eq!(publisher.stats().holes, 0);
}
