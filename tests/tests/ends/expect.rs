//! Messages that are expected at regular times, and messages that a condition accepts.

use shmcomm::{RecvError, RecvTimeoutError, TryRecvError, WaitSet, channel};
#[allow(dead_code, reason = "each file uses a part of it")]
use shmcomm_tests::executor::block_on;
use shmcomm_tests::{Large, LargeFeed, Small, SmallFeed, namespace, say, stage};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

channel! {
    Regular: PubSub<Small> { name: "regular", expect_every: 20ms }
    Words: PubSub<Vec<String>, Msgpack> { name: "words", slot_size: 256, expect_every: std::time::Duration::from_millis(20) }
}

#[test]
fn missed_deadline_is_reported_once_per_period() {
    assert_eq!((Regular::EXPECT_EVERY, Words::EXPECT_EVERY), (PERIOD, PERIOD));
    let ns = namespace("silence");
    let mut publisher = Regular::open().namespace(&*ns).publisher().unwrap();
    let opened = Instant::now();
    let mut subscriber = Regular::open().namespace(&*ns).subscriber().unwrap();
    let mut before = Duration::ZERO;
    for period in 1..=4 {
        let Err(RecvError::Missed { silent, expected }) = subscriber.recv() else {
            panic!("no publisher sent")
        };
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
fn present_message_beats_a_missed_deadline() {
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
fn timeout_and_missed_deadline_keep_their_order() {
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
fn deadline_of_encoded_messages_is_reported() {
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
fn filter_returns_accepted_and_counts_all_as_received() {
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

channel! {
    Pair: PubSub<Small> { name: "pair", slots: 64, publishers: 2, expect_every: 20ms }
}

#[test]
fn part() {
    stage::play(&[("send two and wait", send_two_and_wait)]);
}

fn send_two_and_wait() {
    let mut publisher = Regular::publisher().unwrap();
    (0..2).for_each(|number| publisher.send(&Small::new(number)).unwrap());
    say("sent");
    stage::wait();
}

/// Each call, when the publisher was killed before a period was over; and what is expected after that.
#[test]
fn dead_publisher_is_disconnected_not_missed() {
    type Receive = fn(&mut shmcomm::Subscriber<Small>) -> RecvTimeoutError;
    let receives: [Receive; 5] = [
        |subscriber| match subscriber.try_recv().unwrap_err() {
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            other => panic!("{other:?}"),
        },
        |subscriber| subscriber.recv().unwrap_err().into(),
        |subscriber| subscriber.recv_timeout(LONG).unwrap_err(),
        |subscriber| subscriber.recv_ref().err().unwrap().into(),
        |subscriber| block_on(subscriber.recv_async()).unwrap_err().into(),
    ];
    for receive in receives {
        let ns = namespace("dead");
        let mut process = stage::part("send two and wait", &ns);
        assert_eq!(process.said(), "sent");
        let mut subscriber = Regular::open().namespace(&*ns).history(8).subscriber().unwrap();
        process.kill();
        std::thread::sleep(3 * PERIOD);
        // What is there comes first, also when a period is over.
        assert_eq!(subscriber.try_recv(), Ok(Small::new(0)));
        assert_eq!(subscriber.recv(), Ok(Small::new(1)));
        std::thread::sleep(3 * PERIOD);
        for _ in 0..3 {
            assert_eq!(receive(&mut subscriber), RecvTimeoutError::Disconnected);
            std::thread::sleep(PERIOD);
        }
        // The first period after an absence begins when a publisher is back.
        let back = Instant::now();
        let mut publisher = Regular::open().namespace(&*ns).publisher().unwrap();
        let Err(RecvError::Missed { silent, expected }) = subscriber.recv() else { panic!("it was silent") };
        assert!(back.elapsed() >= PERIOD && silent >= 6 * PERIOD && expected == PERIOD, "{silent:?}");
        publisher.send(&Small::new(2)).unwrap();
        assert_eq!(subscriber.recv(), Ok(Small::new(2)));
    }
}

#[test]
fn last_of_several_publishers_makes_the_difference() {
    let ns = namespace("several");
    let first = Pair::open().namespace(&*ns).publisher().unwrap();
    let second = Pair::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Pair::open().namespace(&*ns).subscriber().unwrap();
    drop(first);
    std::thread::sleep(2 * PERIOD);
    assert!(matches!(subscriber.try_recv(), Err(TryRecvError::Missed { .. })));
    drop(second);
    std::thread::sleep(2 * PERIOD);
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(subscriber.recv(), Err(RecvError::Disconnected));
}

/// A set reports the end of the publisher once, and a missed message only while one is alive.
#[test]
fn wait_set_reports_an_absence_once() {
    let ns = namespace("set");
    let publisher = Regular::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Regular::open().namespace(&*ns).subscriber().unwrap();
    let mut set = WaitSet::new();
    set.add("regular", &subscriber).unwrap();
    assert_eq!(set.wait().unwrap().len(), 1);
    assert!(matches!(subscriber.try_recv(), Err(TryRecvError::Missed { .. })));
    drop(publisher);
    let start = Instant::now();
    loop {
        assert_eq!(set.wait_timeout(LONG).unwrap().len(), 1);
        match subscriber.try_recv().unwrap_err() {
            TryRecvError::Disconnected => break,
            // The set may have been woken just before the publisher left.
            error => assert!(matches!(error, TryRecvError::Empty), "{error:?}"),
        }
        assert!(start.elapsed() < LONG);
    }
    assert_eq!(set.wait_timeout(10 * PERIOD).unwrap().len(), 0, "nothing new");
    let back = Instant::now();
    let _publisher = Regular::open().namespace(&*ns).publisher().unwrap();
    assert_eq!(set.wait_timeout(LONG).unwrap().len(), 1);
    let missed = subscriber.try_recv();
    assert!(matches!(missed, Err(TryRecvError::Missed { .. })), "{missed:?}");
    assert!(back.elapsed() >= PERIOD);
}
