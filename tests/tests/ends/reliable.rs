//! Publishers that wait: no message is lost and no end waits for ever, although processes die, stop, join or are slow.

use shmcomm::{
    Opener, Overflow, PubSub, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError, channel,
};
use shmcomm_tests::{Large, Namespace, Small, SmallFeed, namespace, say, stage};
// For the test that starts cargo.
#[cfg(unix)]
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SLOTS: u64 = 16;
/// Longer than any test waits for what must come.
const LONG: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(20);

channel! {
    /// Copied messages, none of which may be lost.
    Record: PubSub<Small> { name: "record", slots: 16, overflow: Wait, patience: 60s }
    /// The same, held in place.
    Frames: PubSub<Large> { name: "frames", slots: 8, overflow: Wait, patience: 60s }
    Tails: PubSub<Small, [u64]> { name: "tails", slots: 4, max_len: 1000, overflow: Wait }
    Lines: PubSub<Vec<u8>, Bytes> { name: "lines", slots: 4, slot_size: 64, overflow: Wait }
    Packed: PubSub<Vec<String>, Msgpack> { name: "packed", slots: 4, slot_size: 8192, overflow: Wait }
    Pickled: PubSub<Vec<u32>, Pickle> { name: "pickled", slots: 4, slot_size: 256, overflow: Wait }
}

#[test]
fn part() {
    stage::play(&[
        ("record", || record(|_| ())),
        ("record slowly", || {
            record(|number| {
                if number % 64 == 0 {
                    std::thread::sleep(Duration::from_millis(1))
                }
            })
        }),
        ("record impatiently", || record_from(Record::open().patience(Duration::from_millis(100)), |_| ())),
        ("look on", look_on),
        ("publish", publish),
    ]);
}

fn record(pause: impl Fn(u64)) {
    record_from(Record::open(), pause);
}

/// Receives to the last message, whose number is `u64::MAX`, and says how many there were and were lost.
fn record_from(channel: Opener<PubSub<Small>>, pause: impl Fn(u64)) {
    let mut subscriber = channel.subscriber().unwrap();
    say("ready");
    let mut next = 0;
    loop {
        match subscriber.recv() {
            Ok(message) if message.number == u64::MAX => break,
            Ok(message) => {
                message.check();
                assert_eq!(message.number, next, "repeated, out of order, or lost in silence");
                pause(next);
                next += 1;
            }
            Err(RecvError::Lagged(lost)) => next += lost,
            Err(error) => panic!("{error}"),
        }
    }
    say(format_args!("received {} lost {}", subscriber.received(), subscriber.lost()));
}

/// Takes part and receives nothing.
fn look_on() {
    let _subscriber = Record::subscriber().unwrap();
    say("ready");
    stage::wait();
}

/// Sends without end, each message with the number of those before it.
fn publish() {
    let mut publisher = Record::publisher().unwrap();
    say("ready");
    for number in publisher.stats().messages.. {
        publisher.send(&Small::new(number)).unwrap();
    }
}

fn channel(ns: &Namespace) -> Opener<PubSub<Small>> {
    Record::open().namespace(&**ns)
}

/// Sends until nothing more goes in; returns how many messages did.
fn fill(publisher: &mut shmcomm::Publisher<Small>, first: u64) -> u64 {
    (first..).find(|&number| publisher.try_send(&Small::new(number)) == Err(TrySendError::Full)).unwrap()
        - first
}

#[test]
fn blocking_send_takes_a_single_free_slot() {
    let ns = namespace("single");
    let mut publisher = channel(&ns).slots(64).publisher().unwrap();
    let mut subscriber = channel(&ns).slots(64).subscriber().unwrap();
    assert_eq!(fill(&mut publisher, 0), 64);
    for number in 0..4 {
        assert_eq!(subscriber.try_recv().map(|message| message.number), Ok(number));
        // Far less than an eighth of the ring is free.
        publisher.send_timeout(&Small::new(64 + number), LONG).unwrap();
        assert_eq!(publisher.try_send(&Small::new(0)), Err(TrySendError::Full));
    }
}

#[test]
fn nothing_is_lost_by_processes_of_unlike_speed() {
    const COUNT: u64 = 20_000;
    let ns = namespace("unlike");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut recorders = ["record", "record slowly", "record"].map(|part| stage::part(part, &ns));
    assert!(publisher.wait_for_subscribers(3, LONG));
    for number in 0..COUNT {
        publisher.send(&Small::new(number)).unwrap();
    }
    publisher.send(&Small::new(u64::MAX)).unwrap();
    for recorder in &mut recorders {
        assert_eq!(recorder.said(), "ready");
        assert_eq!(recorder.said(), format!("received {} lost 0", COUNT + 1));
    }
    assert!(
        publisher.stats().subscribers().all(|subscriber| (subscriber.lost, subscriber.evictions) == (0, 0))
    );
}

#[test]
fn publisher_waits_for_the_given_time() {
    let ns = namespace("waits");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut subscriber = channel(&ns).subscriber().unwrap();
    assert_eq!(fill(&mut publisher, 0), SLOTS);
    let message = Small::new(SLOTS);
    let start = Instant::now();
    assert_eq!(publisher.send_timeout(&message, MOMENT), Err(SendTimeoutError::Timeout));
    assert!(start.elapsed() >= MOMENT);
    assert_eq!(publisher.send_deadline(&message, start + 3 * MOMENT), Err(SendTimeoutError::Timeout));
    assert!(start.elapsed() >= 3 * MOMENT);
    assert_eq!(publisher.send_timeout(&message, Duration::ZERO), Err(SendTimeoutError::Timeout));
    assert!(!publisher.wait_for_room(MOMENT));
    assert!(matches!(publisher.try_loan(), Err(TrySendError::Full)));
    // A message that is received leaves room for another one.
    assert_eq!(subscriber.try_recv(), Ok(Small::new(0)));
    assert!(publisher.wait_for_room(Duration::ZERO));
    assert_eq!(publisher.try_send(&message), Ok(()));
    assert_eq!(publisher.try_send(&message), Err(TrySendError::Full));
    for number in 1..=SLOTS {
        assert_eq!(subscriber.try_recv(), Ok(Small::new(number)));
    }
    assert_eq!(subscriber.lost(), 0);
}

#[test]
fn sleeping_publisher_is_woken_by_receive_and_leave() {
    let ns = namespace("woken");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut subscriber = channel(&ns).subscriber().unwrap();
    let other = channel(&ns).subscriber().unwrap();
    let total = 40 * SLOTS;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            for number in 0..total {
                publisher.send_timeout(&Small::new(number), LONG).unwrap();
            }
            publisher
        });
        // Both sleep in turn; the other one receives nothing, and goes.
        std::thread::sleep(5 * MOMENT);
        drop(other);
        for number in 0..total {
            if number % (3 * SLOTS) == 0 {
                std::thread::sleep(MOMENT);
            }
            assert_eq!(subscriber.recv_timeout(LONG), Ok(Small::new(number)));
        }
        drop(sender.join().unwrap());
    });
    assert_eq!((subscriber.received(), subscriber.lost()), (total, 0));
}

#[test]
fn killed_subscriber_does_not_delay_the_publisher() {
    let ns = namespace("killed");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut dead = stage::part("look on", &ns);
    assert_eq!(dead.said(), "ready");
    let mut alive = channel(&ns).subscriber().unwrap();
    assert_eq!(fill(&mut publisher, 0), SLOTS);
    for number in 0..SLOTS {
        assert_eq!(alive.try_recv(), Ok(Small::new(number)));
    }
    assert_eq!(publisher.send_timeout(&Small::new(SLOTS), MOMENT), Err(SendTimeoutError::Timeout));
    dead.kill();
    for number in SLOTS..4 * SLOTS {
        publisher.send_timeout(&Small::new(number), LONG).unwrap();
        assert_eq!(alive.try_recv(), Ok(Small::new(number)));
    }
    assert_eq!(publisher.subscribers(), 1);
}

#[test]
fn try_send_alone_gets_past_the_dead_and_the_stopped() {
    let ns = namespace("try");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut dead = stage::part("look on", &ns);
    assert_eq!(dead.said(), "ready");
    let mut stopped = channel(&ns).patience(MOMENT).subscriber().unwrap();
    let sent = fill(&mut publisher, 0);
    dead.kill();
    let start = Instant::now();
    while publisher.try_send(&Small::new(sent)) == Err(TrySendError::Full) {
        assert!(start.elapsed() < LONG);
    }
    // Only the first one is lost: nothing else was overwritten.
    let first = loop {
        match stopped.try_recv() {
            Ok(message) => break message.number,
            Err(TryRecvError::Lagged(lost)) => assert_eq!(lost, 1),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(first, 1);
}

// A signal stops it.
#[cfg(unix)]
#[test]
fn stopped_subscriber_is_evicted_and_counted() {
    let ns = namespace("stopped");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut recorder = stage::part("record impatiently", &ns);
    assert_eq!(recorder.said(), "ready");
    let mut patient = channel(&ns).subscriber().unwrap();
    let mut send = |publisher: &mut shmcomm::Publisher<Small>, number: u64| {
        publisher.send_timeout(&Small::new(number), LONG).unwrap();
        patient.recv_timeout(LONG).unwrap();
    };
    (0..100).for_each(|number| send(&mut publisher, number));
    recorder.signal(libc::SIGSTOP);
    (100..300).for_each(|number| send(&mut publisher, number));
    let cut = |publisher: &shmcomm::Publisher<Small>| {
        let stats = publisher.stats();
        let cut: Vec<_> =
            stats.role(shmcomm::Role::Subscriber).filter(|p| p.evictions > 0).map(|p| p.pid).collect();
        cut
    };
    assert_eq!(cut(&publisher), [recorder.pid()]);
    recorder.signal(libc::SIGCONT);
    // It is waited for again with its next message: from then on it loses nothing.
    let start = Instant::now();
    let lag = |publisher: &shmcomm::Publisher<Small>| {
        publisher.stats().subscribers().find(|p| p.pid == recorder.pid()).unwrap().lag.unwrap()
    };
    while lag(&publisher) > 0 {
        assert!(start.elapsed() < LONG);
        std::thread::sleep(MOMENT);
    }
    let lost = publisher.stats().subscribers().map(|p| p.lost).sum::<u64>();
    assert!(lost > 0 && lost < 200, "{lost}");
    (300..2000).for_each(|number| send(&mut publisher, number));
    send(&mut publisher, u64::MAX);
    assert_eq!(recorder.said(), format!("received {} lost {lost}", 2001 - lost));
}

#[test]
fn next_publisher_waits_for_present_subscribers() {
    let ns = namespace("next");
    let mut subscriber = channel(&ns).connect_timeout(LONG);
    let mut publisher = stage::part("publish", &ns);
    assert_eq!(publisher.said(), "ready");
    let mut subscriber = {
        subscriber = subscriber.patience(Duration::MAX);
        subscriber.subscriber().unwrap()
    };
    let mut next = None;
    for round in 0..6 {
        for _ in 0..1000 + 137 * round {
            let message = subscriber.recv_timeout(LONG).unwrap();
            message.check();
            assert!(next.is_none_or(|next| message.number == next), "{next:?}: {}", message.number);
            next = Some(message.number + 1);
        }
        publisher.kill();
        publisher = stage::part("publish", &ns);
        assert_eq!(publisher.said(), "ready");
        // The new one finds a full window, and an unhurried reader.
        std::thread::sleep(MOMENT);
    }
    assert_eq!(subscriber.lost(), 0);
}

#[test]
fn late_subscriber_loses_nothing_after_its_join() {
    let ns = namespace("late");
    let mut publisher = channel(&ns).publisher().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                publisher.send_timeout(&Small::new(number), LONG).unwrap();
            }
        });
        for round in 0..200 {
            let mut subscriber = channel(&ns).subscriber().unwrap();
            let first = subscriber.recv_timeout(LONG).unwrap().number;
            for number in first + 1..first + 1 + round % 50 {
                assert_eq!(subscriber.recv_timeout(LONG), Ok(Small::new(number)));
            }
            assert_eq!(subscriber.lost(), 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn history_is_waited_for_like_what_comes() {
    let ns = namespace("history");
    let mut publisher = channel(&ns).publisher().unwrap();
    (0..100).for_each(|number| publisher.send(&Small::new(number)).unwrap());
    let mut subscriber = channel(&ns).history(5).subscriber().unwrap();
    let mut greedy = channel(&ns).history(usize::MAX).subscriber().unwrap();
    assert_eq!(fill(&mut publisher, 100), 0, "the whole ring is to be read");
    for number in 100 - SLOTS..100 {
        assert_eq!(greedy.try_recv(), Ok(Small::new(number)));
    }
    assert_eq!(fill(&mut publisher, 100), SLOTS - 5);
    for number in 95..100 + SLOTS - 5 {
        assert_eq!(subscriber.try_recv(), Ok(Small::new(number)));
    }
    assert_eq!((subscriber.lost(), greedy.lost()), (0, 0));
}

#[test]
fn latest_skips_the_rest_and_frees_the_publisher() {
    let ns = namespace("latest");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut subscriber = channel(&ns).subscriber().unwrap();
    for round in 0..10 {
        assert_eq!(fill(&mut publisher, round * SLOTS), SLOTS);
        assert_eq!(subscriber.latest(), Ok(Some(Small::new((round + 1) * SLOTS - 1))));
    }
    assert_eq!((subscriber.skipped(), subscriber.received(), subscriber.lost()), (10 * (SLOTS - 1), 10, 0));
}

#[test]
fn observer_is_never_waited_for() {
    let ns = namespace("onlooker");
    let mut publisher = channel(&ns).publisher().unwrap();
    let mut onlooker = channel(&ns).patience(Duration::ZERO).subscriber().unwrap();
    assert_eq!(publisher.subscribers(), 0, "an observer does not count where the publisher waits");
    (0..100).for_each(|number| publisher.try_send(&Small::new(number)).unwrap());
    let Err(TryRecvError::Lagged(lost)) = onlooker.try_recv() else { panic!("it was overwritten") };
    assert_eq!(onlooker.try_recv(), Ok(Small::new(lost)));
}

#[test]
fn samples_in_place_and_loans_lose_nothing() {
    const COUNT: u64 = 500;
    let ns = namespace("place");
    let mut publisher = Frames::open().namespace(&*ns).publisher().unwrap();
    let receive = |pause: Duration| {
        let mut subscriber = Frames::open().namespace(&*ns).subscriber().unwrap();
        move || {
            for number in 0..COUNT {
                let sample = subscriber.recv_ref_timeout(LONG).unwrap();
                assert_eq!(sample.number, number);
                std::thread::sleep(pause);
                sample.check();
            }
            assert_eq!(subscriber.lost(), 0);
        }
    };
    let (fast, slow) = (receive(Duration::ZERO), receive(Duration::from_micros(200)));
    std::thread::scope(|scope| {
        scope.spawn(fast);
        scope.spawn(slow);
        for number in 0..COUNT {
            let mut loan = publisher.loan().unwrap();
            *loan = Large::new(number);
            loan.send().unwrap();
        }
    });
    assert_eq!(publisher.stats().messages, COUNT);
}

#[test]
fn tails_and_encoded_messages_are_waited_for() {
    let ns = namespace("formats");
    let mut tails = Tails::open().namespace(&*ns).publisher().unwrap();
    let mut tail_reader = Tails::open().namespace(&*ns).subscriber().unwrap();
    for number in 0..4 {
        tails.try_send(&Small::new(number), &[number; 1000]).unwrap();
    }
    assert_eq!(tails.try_send(&Small::new(4), &[]), Err(TrySendError::Full));
    assert_eq!(tails.send_timeout(&Small::new(4), &[], MOMENT), Err(SendTimeoutError::Timeout));
    assert!(matches!(tails.try_loan(1), Err(TrySendError::Full)));
    // What never fits is said at once.
    let long = tails.try_send(&Small::new(4), &[0; 1001]);
    assert!(matches!(long, Err(TrySendError::Refused(SendError::TooLong { .. }))), "{long:?}");
    for number in 0..100 {
        let sample = tail_reader.recv_ref().unwrap();
        assert_eq!((sample.header().number, sample.items()), (number, &[number; 1000][..]));
        drop(sample);
        tails.send(&Small::new(number + 4), &[number + 4; 1000]).unwrap();
    }

    let mut lines = Lines::open().namespace(&*ns).publisher().unwrap();
    let mut line_reader = Lines::open().namespace(&*ns).subscriber().unwrap();
    (0..4).for_each(|number| lines.try_send(&format!("line {number}").into_bytes()).unwrap());
    assert_eq!(lines.try_send(&b"too many".to_vec()), Err(TrySendError::Full));
    assert_eq!(lines.send_deadline(&b"too many".to_vec(), Instant::now()), Err(SendTimeoutError::Timeout));
    drop(line_reader);
    lines.try_send(&b"no peer is there".to_vec()).unwrap();
    line_reader = Lines::open().namespace(&*ns).subscriber().unwrap();
    assert_eq!(line_reader.try_recv(), Err(TryRecvError::Empty));

    let mut packed = Packed::open().namespace(&*ns).publisher().unwrap();
    let mut packed_reader = Packed::open().namespace(&*ns).subscriber().unwrap();
    let mut pickled = Pickled::open().namespace(&*ns).publisher().unwrap();
    let mut pickled_reader = Pickled::open().namespace(&*ns).subscriber().unwrap();
    let words = |number: u32| vec![number.to_string(); number as usize % 7];
    std::thread::scope(|scope| {
        scope.spawn(move || (0..1000).for_each(|number| packed.send(&words(number)).unwrap()));
        scope.spawn(move || (0..1000).for_each(|number| pickled.send(&vec![number; 3]).unwrap()));
        for number in 0..1000 {
            assert_eq!(packed_reader.recv(), Ok(words(number)));
            assert_eq!(pickled_reader.recv(), Ok(vec![number; 3]));
        }
    });
}

#[test]
fn publisher_decides_and_subscribers_adapt() {
    let ns = namespace("decides");
    // Declared to overwrite; this run waits.
    let mut publisher = SmallFeed::open().namespace(&*ns).overflow(Overflow::Wait).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    assert_eq!(fill(&mut publisher, 0), 64);
    drop(publisher);
    // The next one overwrites, in a segment of its own; what waits in the old one comes first.
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    (0..64).for_each(|number| assert_eq!(subscriber.try_recv(), Ok(Small::new(number))));
    assert!(subscriber.wait_for_publisher(LONG));
    (0..200).for_each(|number| publisher.try_send(&Small::new(number)).unwrap());
    assert!(publisher.wait_for_room(Duration::ZERO));
    assert!(matches!(subscriber.recv_timeout(LONG), Err(RecvTimeoutError::Lagged(_))));
}

/// The example, shorter: two processes, as fast as they can, into a file.
// It starts cargo, which a program for Windows cannot do under wine.
#[cfg(unix)]
#[test]
fn recorder_loses_nothing_at_full_speed() {
    const COUNT: u64 = 300_000;
    let file = std::env::temp_dir().join(format!("shmcomm-track-{}.bin", std::process::id()));
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "shmcomm-examples", "--example", "recorder", "--", &COUNT.to_string()])
        .arg(&file)
        .output()
        .expect("cargo runs");
    let recorded = std::fs::read(&file);
    let _ = std::fs::remove_file(&file);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("recorded  {COUNT} messages, 0 lost")), "{said}");
    let recorded = recorded.expect("it wrote the file");
    assert_eq!(recorded.len() as u64, 32 * COUNT);
    for (number, waypoint) in recorded.chunks(32).enumerate() {
        assert_eq!(waypoint[..8], (number as u64).to_ne_bytes());
    }
}
