//! Publish/subscribe across processes: order of starting, leaving, restarting, taking over, following.

use shmcomm::{ErrorKind, RecvTimeoutError, TryRecvError, force_unlink, list_segments};
use shmcomm_tests::{LargeFeed, Peer, Small, SmallFeed, TailFeed, namespace};
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
// For a test that reads `/proc`.
#[cfg(target_os = "linux")]
const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn subscriber_started_first_waits_for_its_publisher() {
    let ns = namespace("first");
    let mut subscriber = Peer::start(PEER, &ns, &["count-small", "9"]);
    // It cannot be ready: there is no channel yet.
    std::thread::sleep(Duration::from_millis(50));
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    subscriber.expect("ready");
    assert!(publisher.wait_for_subscribers(1, PATIENCE));
    for number in 0..10 {
        publisher.send(&Small::new(number)).unwrap();
    }
    subscriber.expect("received 10 lost 0");
    assert!(subscriber.finish().success());
}

#[test]
fn history_reaches_back_to_what_is_still_there() {
    let ns = namespace("history");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    for number in 0..200 {
        publisher.send(&Small::new(number)).unwrap();
    }
    let mut subscriber = SmallFeed::open().namespace(&*ns).history(10).subscriber().unwrap();
    for number in 190..200 {
        assert_eq!(subscriber.try_recv(), Ok(Small::new(number)));
    }
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    let mut greedy = SmallFeed::open().namespace(&*ns).history(usize::MAX).subscriber().unwrap();
    let first = greedy.recv().unwrap();
    first.check();
    assert!(first.number >= 136, "64 slots hold no message {}", first.number);
    assert_eq!(greedy.iter().take(199 - first.number as usize).last(), Some(Small::new(199)));
}

#[test]
fn lag_is_counted_exactly() {
    let ns = namespace("lag");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    const SENT: u64 = 1000;
    for number in 0..SENT {
        publisher.send(&Small::new(number)).unwrap();
    }
    let (mut received, mut lost, mut next) = (0, 0, 0);
    loop {
        match subscriber.try_recv() {
            Ok(message) => {
                assert_eq!(message, Small::new(next));
                received += 1;
                next += 1;
            }
            Err(TryRecvError::Lagged(n)) => {
                lost += n;
                next += n;
            }
            Err(TryRecvError::Empty) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(received + lost, SENT);
    assert_eq!((subscriber.received(), subscriber.lost()), (received, lost));
    assert!(received > 0 && lost > 0);
}

#[test]
fn killed_publisher_disconnects_and_is_succeeded() {
    let ns = namespace("killed");
    let mut publisher = Peer::start(PEER, &ns, &["publish-small", "0", "100", "0"]);
    publisher.expect("ready");
    publisher.expect("sent");
    let mut subscriber = SmallFeed::open().namespace(&*ns).history(5).subscriber().unwrap();
    for number in 95..100 {
        assert_eq!(subscriber.recv(), Ok(Small::new(number)));
    }
    publisher.kill();
    let start = Instant::now();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    assert!(start.elapsed() < PATIENCE);
    // The next publisher takes the segment over: the same subscriber goes on, without loss.
    let inode = segment_of(&ns).created;
    let mut next = Peer::start(PEER, &ns, &["publish-small", "100", "10", "100"]);
    next.expect("ready");
    assert!(subscriber.wait_for_publisher(PATIENCE));
    for number in 100..110 {
        assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(number)));
    }
    assert_eq!((segment_of(&ns).created, subscriber.lost()), (inode, 0));
}

#[test]
fn messages_can_be_received_after_the_publisher_left() {
    let ns = namespace("leaves");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&Small::new(1)).unwrap();
    drop(publisher);
    assert_eq!(subscriber.try_recv(), Ok(Small::new(1)));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Disconnected));
    assert!(!subscriber.is_connected());
    let mut again = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    again.send(&Small::new(2)).unwrap();
    assert_eq!(subscriber.try_recv(), Ok(Small::new(2)));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn last_to_leave_removes_the_segment() {
    let ns = namespace("last");
    let publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    drop(publisher);
    assert!(find(&ns).is_some());
    drop(subscriber);
    assert!(find(&ns).is_none());
}

#[test]
fn subscriber_follows_publisher_of_another_geometry() {
    let ns = namespace("geometry");
    let old = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    drop(old);
    let mut new = SmallFeed::open().namespace(&*ns).slots(256).publisher().unwrap();
    for number in 0..100 {
        new.send(&Small::new(number)).unwrap();
    }
    for number in 0..100 {
        assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(number)));
    }
    assert_eq!((subscriber.stats().slots, subscriber.lost()), (256, 0));
}

#[test]
fn blocked_subscriber_follows_a_replaced_segment() {
    let ns = namespace("blocked");
    let old = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let receiver = std::thread::spawn(move || {
        loop {
            match subscriber.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Disconnected) => assert!(subscriber.wait_for_publisher(PATIENCE)),
                other => return other,
            }
        }
    });
    std::thread::sleep(Duration::from_millis(100));
    drop(old);
    let mut new = SmallFeed::open().namespace(&*ns).slots(128).publisher().unwrap();
    new.send(&Small::new(7)).unwrap();
    assert_eq!(receiver.join().unwrap(), Ok(Small::new(7)));
}

#[test]
fn two_subscribers_of_one_process_each_get_everything() {
    let ns = namespace("two");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut a = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut b = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    for number in 0..10 {
        publisher.send(&Small::new(number)).unwrap();
    }
    for number in 0..10 {
        assert_eq!(a.recv(), Ok(Small::new(number)));
        assert_eq!(b.recv(), Ok(Small::new(number)));
    }
    let stats = publisher.stats();
    assert_eq!((stats.messages, stats.bytes), (10, 640));
    assert_eq!(
        stats.subscribers().map(|s| (s.alive, s.messages, s.lag)).collect::<Vec<_>>(),
        [(true, 10, Some(0)); 2]
    );
}

#[test]
fn second_publisher_gets_the_pid_of_the_first() {
    let ns = namespace("second");
    let mut first = Peer::start(PEER, &ns, &["publish-small", "0", "0", "0"]);
    first.expect("ready");
    let error = SmallFeed::open().namespace(&*ns).publisher().map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyPublished);
    let text = error.to_string();
    assert!(text.contains(&first.pid().to_string()) && text.contains(&format!("{ns}/small")), "{text}");
}

#[test]
fn sixty_four_subscribers_get_every_message() {
    let ns = namespace("many");
    let mut publisher = SmallFeed::open().namespace(&*ns).slots(1024).publisher().unwrap();
    let mut subscribers: Vec<_> =
        (0..64).map(|_| SmallFeed::open().namespace(&*ns).subscriber().unwrap()).collect();
    assert_eq!(publisher.subscribers(), 64);
    for number in 0..500 {
        publisher.send(&Small::new(number)).unwrap();
    }
    for subscriber in &mut subscribers {
        for number in 0..500 {
            assert_eq!(subscriber.try_recv(), Ok(Small::new(number)));
        }
    }
}

// Counts open files in `/proc`.
#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_attachments_leak_nothing() {
    let ns = namespace("attach");
    let publisher = SmallFeed::open().namespace(&*ns).seats(2).publisher().unwrap();
    let mut peer = Peer::start(PEER, &ns, &["attach-small", "10000"]);
    peer.expect("done");
    assert!(peer.finish().success());
    // With two seats a leaked lock byte would have kept the second attachment out.
    assert_eq!(publisher.subscribers(), 0);
}

#[test]
fn full_house_is_an_error_with_the_number_of_seats() {
    let ns = namespace("full");
    let _publisher = SmallFeed::open().namespace(&*ns).seats(2).publisher().unwrap();
    let _one = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let error = SmallFeed::open().namespace(&*ns).subscriber().map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSeat);
    assert!(error.to_string().contains('2'), "{error}");
}

#[test]
fn killed_reader_gives_back_the_slot_it_held() {
    let ns = namespace("holder");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut holder = Peer::start(PEER, &ns, &["hold-large"]);
    holder.expect("ready");
    publisher.send(&shmcomm_tests::Large::new(0)).unwrap();
    holder.expect("holding 0");
    let mut send = |range: std::ops::Range<u64>| {
        for number in range {
            publisher.send(&shmcomm_tests::Large::new(number)).unwrap();
        }
        publisher.stats().holes
    };
    // Four laps: each meets the held slot once.
    let held = send(1..32);
    assert!(held >= 3, "{held} holes");
    holder.kill();
    // The next meeting finds the holder dead, and the slot is used again from then on.
    let reclaimed = send(32..64);
    let later = send(64..128);
    assert_eq!(reclaimed, later, "holes go on after the holder's death");
}

#[test]
fn sample_is_constant_while_the_publisher_sends() {
    let ns = namespace("sample");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&shmcomm_tests::Large::new(0)).unwrap();
    let sample = subscriber.recv_ref().unwrap();
    for number in 1..100 {
        publisher.send(&shmcomm_tests::Large::new(number)).unwrap();
    }
    sample.check();
    assert_eq!(sample.number, 0);
    drop(sample);
    let mut next = 1;
    loop {
        match subscriber.try_recv_ref() {
            Ok(sample) => {
                sample.check();
                assert_eq!(sample.number, next);
                next += 1;
            }
            Err(TryRecvError::Lagged(n)) => next += n,
            Err(TryRecvError::Empty) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(next, 100);
}

#[test]
fn latest_is_the_newest_and_counts_skipped_messages() {
    let ns = namespace("latest");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    assert_eq!(subscriber.latest(), Ok(None));
    for number in 0..10 {
        publisher.send(&Small::new(number)).unwrap();
    }
    assert_eq!(subscriber.latest(), Ok(Some(Small::new(9))));
    assert_eq!(subscriber.latest(), Ok(Some(Small::new(9))));
    assert_eq!((subscriber.received(), subscriber.skipped(), subscriber.lost()), (1, 9, 0));
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    publisher.send(&Small::new(10)).unwrap();
    assert_eq!(subscriber.try_recv(), Ok(Small::new(10)));
}

#[test]
fn tail_has_the_length_it_was_sent_with() {
    let ns = namespace("tail");
    let mut publisher = TailFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = TailFeed::open().namespace(&*ns).subscriber().unwrap();
    assert_eq!(publisher.max_len(), 4096);
    for len in [0, 1, 100, 4096] {
        let mut loan = publisher.loan(len).unwrap();
        let (header, items) = loan.parts_mut();
        *header = Small::new(len as u64);
        for (i, item) in items.iter_mut().enumerate() {
            *item = shmcomm_tests::word(len as u64, i);
        }
        loan.send().unwrap();
        let sample = subscriber.recv_ref().unwrap();
        sample.header().check();
        assert_eq!(sample.items().len(), len);
        assert!(
            sample.items().iter().enumerate().all(|(i, item)| *item == shmcomm_tests::word(len as u64, i))
        );
    }
    let mut loan = publisher.loan(10).unwrap();
    loan.truncate(3);
    loan.send().unwrap();
    assert_eq!(subscriber.recv_ref().unwrap().items().len(), 3);
    let error = publisher.loan(4097).unwrap_err().to_string();
    assert!(error.contains("32832") && error.contains("32840"), "{error}");
}

#[test]
fn dropped_and_forgotten_loans_send_nothing() {
    let ns = namespace("loans");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    for round in 0..20 {
        drop(publisher.loan().unwrap());
        let _ = std::mem::ManuallyDrop::new(publisher.loan().unwrap());
        publisher.send(&shmcomm_tests::Large::new(round)).unwrap();
        let sample = subscriber.recv_ref().unwrap();
        sample.check();
        assert_eq!(sample.number, round);
    }
    assert_eq!(publisher.stats().messages, 20);
}

#[test]
fn sleeping_subscriber_is_woken_by_the_send() {
    let ns = namespace("woken");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut sleeper = Peer::start(PEER, &ns, &["wait-small"]);
    sleeper.expect("ready");
    for number in 0..20 {
        std::thread::sleep(Duration::from_millis(20));
        publisher.send(&Small::new(number)).unwrap();
        sleeper.expect(&format!("got {number}"));
    }
    drop(publisher);
    sleeper.expect("Disconnected");
}

// Reads the time from `/proc`.
#[cfg(target_os = "linux")]
#[test]
fn idle_subscriber_uses_no_processor() {
    let ns = namespace("idle");
    let _publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut sleeper = Peer::start(PEER, &ns, &["wait-small"]);
    sleeper.expect("ready");
    std::thread::sleep(SECOND);
    let before = cpu_time(sleeper.pid());
    assert!(before > Duration::ZERO, "this kernel does not count the time of threads");
    std::thread::sleep(3 * SECOND);
    // A hundredth of a processor. An emulator takes some 30 times as long for each of the 60 times that the sleeper wakes, and
    // ThreadSanitizer has a thread of its own. A subscriber that polls takes 3000 ms.
    let slow = cfg!(tsan) || std::env::var_os("SHMCOMM_TEST_RUNNER").is_some();
    let most = Duration::from_millis(if slow { 300 } else { 30 });
    let used = cpu_time(sleeper.pid()) - before;
    assert!(used <= most, "an idle subscriber used {used:?} in 3 s; {most:?} are the most");
}

#[test]
fn full_speed_loses_only_what_it_counts() {
    let ns = namespace("speed");
    const SENT: u64 = 300_000;
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut counter = Peer::start(PEER, &ns, &["count-small", &SENT.to_string()]);
    counter.expect("ready");
    for number in 0..SENT {
        publisher.send(&Small::new(number)).unwrap();
    }
    // The last one, until it is received: everything before may have been overwritten.
    let mut number = SENT;
    let line = loop {
        publisher.send(&Small::new(number)).unwrap();
        number += 1;
        std::thread::sleep(Duration::from_millis(10));
        if publisher.subscribers() == 0 {
            break counter.line();
        }
    };
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    assert!((SENT + 1..=number).contains(&(numbers[0] + numbers[1])), "{line}, {number} sent");
}

#[test]
fn channel_costs_its_slots_and_at_most_64_kib() {
    let ns = namespace("costs");
    let small = SmallFeed::open().namespace(&*ns).publisher().unwrap().stats();
    let large = LargeFeed::open().namespace(&*ns).publisher().unwrap().stats();
    // A slot of 64 bytes takes two cache lines, one of 16 KiB a line more than that.
    assert!(small.segment_size <= 64 * 128 + 65536, "{}", small.segment_size);
    assert!(large.segment_size <= 8 * (16384 + 64) + 65536, "{}", large.segment_size);
    // The default channel of such a message, all in all.
    assert!(small.segment_size <= 65536, "{}", small.segment_size);
}

#[test]
fn unlinked_channel_is_gone_for_newcomers() {
    let ns = namespace("unlink");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    force_unlink(&format!("{ns}/small")).unwrap();
    let late = SmallFeed::open().namespace(&*ns).connect_timeout(Duration::ZERO).subscriber();
    assert_eq!(late.map(|_| ()).unwrap_err().kind(), ErrorKind::NotFound);
    // The attached participants continue among themselves.
    publisher.send(&Small::new(3)).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(3)));
}

// Windows has no fork.
#[cfg(unix)]
#[test]
fn forked_child_gets_errors_and_does_no_harm() {
    let ns = namespace("fork");
    let mut peer = Peer::start(PEER, &ns, &["fork-small"]);
    peer.expect("child: Err(Forked) Err(Forked) Err(Forked) false");
    peer.expect("child: 0 0 0");
    peer.expect("child: 0 0 0");
    peer.expect("child: 2 subscribers");
    peer.expect("parent: 2");
    peer.expect("parent: 1 subscribers, 2 received");
}

fn find(namespace: &str) -> Option<shmcomm::SegmentInfo> {
    list_segments().unwrap().into_iter().find(|s| s.channel.starts_with(namespace))
}

fn segment_of(namespace: &str) -> shmcomm::SegmentInfo {
    find(namespace).expect("the segment is listed")
}

/// Time for which the threads of a process have run, from `/proc`. The times in `stat` are no measure of short runs: a run
/// that meets the tick of the clock counts as a whole tick.
#[cfg(target_os = "linux")]
fn cpu_time(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads
        .map(|thread| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
        })
        .sum()
}
