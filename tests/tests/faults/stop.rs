//! SIGSTOP of each role: a process that is stopped, by a debugger or a full machine, is not dead and not
//! gone, and no other process waits for it.

use shmcomm::{CallError, ErrorKind, PullTimeoutError, RecvTimeoutError, RequestTimeoutError, TryPushError};
use shmcomm_tests::{Jobs, Large, LargeFeed, Service, Small, SmallFeed, namespace, say, stage};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(100);
const STOP: i32 = libc::SIGSTOP;
const CONT: i32 = libc::SIGCONT;

#[test]
fn part() {
    stage::play(&[
        ("publish", publish),
        ("subscribe", subscribe),
        ("hold a sample", hold_a_sample),
        ("hold a loan", hold_a_loan),
        ("hold a request", hold_a_request),
        ("ask", ask),
    ]);
}

#[test]
fn stopped_publisher_keeps_its_channel() {
    let ns = namespace("publisher");
    let mut publisher = stage::part("publish", &ns);
    assert_eq!(publisher.said(), "ready");
    let mut subscriber = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    publisher.say("send");
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(0)));
    publisher.signal(STOP);
    assert_eq!(subscriber.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
    assert!(subscriber.is_connected());
    // Ends come and go meanwhile, and no participant takes its seat.
    drop(SmallFeed::open().namespace(&*ns).subscriber().unwrap());
    let refused = SmallFeed::open().namespace(&*ns).publisher().err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::AlreadyPublished);
    publisher.signal(CONT);
    publisher.say("send");
    assert_eq!(subscriber.recv_timeout(PATIENCE), Ok(Small::new(1)));
    assert_eq!(subscriber.lost(), 0);
}

fn publish() {
    let mut publisher = SmallFeed::publisher().unwrap();
    say("ready");
    for number in 0.. {
        stage::wait();
        publisher.send(&Small::new(number)).unwrap();
    }
}

#[test]
fn stopped_subscriber_delays_none_and_counts_losses() {
    let ns = namespace("subscriber");
    let mut publisher = SmallFeed::open().namespace(&*ns).publisher().unwrap();
    let mut other = SmallFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut stopped = stage::part("subscribe", &ns);
    assert_eq!(stopped.said(), "ready");
    stopped.signal(STOP);
    let sent = 10_000;
    for number in 0..sent {
        publisher.send(&Small::new(number)).unwrap();
        assert_eq!(other.try_recv(), Ok(Small::new(number)));
    }
    assert_eq!(publisher.subscribers(), 2);
    stopped.signal(CONT);
    assert_eq!(stopped.said(), format!("all {sent} accounted for, the last one received"));
}

fn subscribe() {
    let mut subscriber = SmallFeed::subscriber().unwrap();
    say("ready");
    loop {
        match subscriber.recv() {
            Ok(message) if message.number == 9_999 => break,
            Ok(message) => message.check(),
            Err(shmcomm::RecvError::Lagged(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let all = subscriber.received() + subscriber.lost();
    say(format_args!("all {all} accounted for, the last one received"));
}

/// It sleeps on what it holds, as a subscriber does that works on its sample for long.
#[test]
fn subscriber_stopped_with_a_sample_costs_one_slot() {
    let ns = namespace("sample");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut other = LargeFeed::open().namespace(&*ns).subscriber().unwrap();
    let mut holder = stage::part("hold a sample", &ns);
    assert_eq!(holder.said(), "ready");
    publisher.send(&Large::new(0)).unwrap();
    assert_eq!(holder.said(), "holding 0");
    other.recv().unwrap();
    holder.signal(STOP);
    for number in 1..100 {
        publisher.send(&Large::new(number)).unwrap();
        other.recv_timeout(PATIENCE).unwrap().check();
    }
    let holes = publisher.stats().holes;
    assert!((10..=16).contains(&holes), "{holes} holes in 99 messages over 8 slots, one of them held");
    holder.signal(CONT);
    holder.say("look");
    assert_eq!(holder.said(), "still 0");
}

fn hold_a_sample() {
    let mut subscriber = LargeFeed::subscriber().unwrap();
    say("ready");
    let sample = subscriber.recv_ref().unwrap();
    say(format_args!("holding {}", sample.number));
    stage::wait();
    sample.check();
    say(format_args!("still {}", sample.number));
    stage::wait();
}

#[test]
fn stopped_pusher_is_overtaken_and_sends_later() {
    let ns = namespace("loan");
    let mut stopped = stage::part("hold a loan", &ns);
    assert_eq!(stopped.said(), "made");
    stopped.signal(STOP);
    let mut pusher = Jobs::open().namespace(&*ns).slots(4).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    for number in 0..100 {
        pusher.send_timeout(&Small::new(number), PATIENCE).unwrap();
        assert_eq!(puller.recv_timeout(PATIENCE), Ok(Small::new(number)));
    }
    stopped.signal(CONT);
    stopped.say("send");
    assert_eq!(stopped.said(), "sent");
    assert_eq!(puller.recv_timeout(PATIENCE), Ok(Small::new(1000)));
}

#[test]
fn pusher_killed_with_a_loan_frees_its_slot() {
    let ns = namespace("killed-loan");
    let mut killed = stage::part("hold a loan", &ns);
    assert_eq!(killed.said(), "made");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let fill = |pusher: &mut shmcomm::Pusher<Small>| {
        (0..).take_while(|&number| pusher.try_send(&Small::new(number)) != Err(TryPushError::Full)).count()
    };
    assert_eq!(fill(&mut pusher), 3);
    killed.kill();
    pusher.send_timeout(&Small::new(3), PATIENCE).unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    for number in 0..4 {
        assert_eq!(puller.recv_timeout(PATIENCE), Ok(Small::new(number)));
    }
    assert_eq!(puller.recv_timeout(Duration::ZERO), Err(PullTimeoutError::Timeout));
    assert_eq!(fill(&mut pusher), 4);
    while puller.try_recv().is_ok() {}
}

fn hold_a_loan() {
    let mut pusher = Jobs::open().slots(4).pusher().unwrap();
    let mut loan = pusher.loan().unwrap();
    *loan = Small::new(1000);
    say("made");
    stage::wait();
    loan.send().unwrap();
    say("sent");
    stage::wait();
}

#[test]
fn stopped_replier_delays_its_own_request_only() {
    let ns = namespace("replier");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut stopped = stage::part("hold a request", &ns);
    let mut slow = requester.call(&Small::new(1)).unwrap();
    assert_eq!(stopped.said(), "took 1");
    stopped.signal(STOP);
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    for number in 100..200 {
        let call = requester.call(&Small::new(number)).unwrap();
        let request = replier.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.number, number);
        request.reply(&Small::new(!number)).unwrap();
        assert_eq!(call.wait(), Ok(Small::new(!number)));
    }
    // Its request is late, not lost: it is neither dead, nor is the request given to another one.
    let start = Instant::now();
    assert_eq!(slow.wait_timeout(MOMENT), Err(RequestTimeoutError::Timeout));
    assert!(start.elapsed() >= MOMENT);
    assert!(replier.try_recv().is_err());
    stopped.signal(CONT);
    stopped.say("answer");
    assert_eq!(slow.wait_timeout(PATIENCE), Ok(Small::new(!1)));
}

fn hold_a_request() {
    let mut replier = Service::replier().unwrap();
    let request = replier.recv().unwrap();
    let number = request.number;
    say(format_args!("took {number}"));
    stage::wait();
    request.reply(&Small::new(!number)).unwrap();
    stage::wait();
}

#[test]
fn stopped_requester_keeps_slots_and_finds_replies() {
    let ns = namespace("requester");
    let mut replier = Service::open().namespace(&*ns).slots(4).replier().unwrap();
    let mut stopped = stage::part("ask", &ns);
    assert_eq!(stopped.said(), "asked");
    stopped.signal(STOP);
    let other = Service::open().namespace(&*ns).requester().unwrap();
    for _ in 0..2 {
        let request = replier.recv_timeout(PATIENCE).unwrap();
        let number = !request.number;
        request.reply(&Small::new(number)).unwrap();
    }
    // Two slots hold replies that are not fetched; the others go round.
    for number in 100..200 {
        let call = other.call(&Small::new(number)).unwrap();
        let request = replier.recv_timeout(PATIENCE).unwrap();
        request.reply(&Small::new(!number)).unwrap();
        assert_eq!(call.wait(), Ok(Small::new(!number)));
    }
    let calls = [other.call(&Small::new(5)).unwrap(), other.call(&Small::new(6)).unwrap()];
    assert_eq!(other.call(&Small::new(7)).map(|_| ()), Err(CallError::Full));
    drop(calls);
    stopped.signal(CONT);
    stopped.say("fetch");
    assert_eq!(stopped.said(), "both are right");
}

fn ask() {
    let requester = Service::requester().unwrap();
    let calls = [requester.call(&Small::new(0)).unwrap(), requester.call(&Small::new(1)).unwrap()];
    say("asked");
    stage::wait();
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.wait(), Ok(Small::new(!number)));
    }
    say("both are right");
    stage::wait();
}

/// As many subscribers as possible hold a sample each, and two slots are left. One more subscriber is refused.
#[test]
fn subscribers_that_pin_leave_two_slots_to_publisher() {
    let ns = namespace("quota");
    let mut publisher = LargeFeed::open().namespace(&*ns).publisher().unwrap();
    let mut subscribers: Vec<_> =
        (0..6).map(|_| LargeFeed::open().namespace(&*ns).subscriber().unwrap()).collect();
    let error = LargeFeed::open().namespace(&*ns).subscriber().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NoSeat, "{error}");
    let samples: Vec<_> = (0..)
        .zip(&mut subscribers)
        .map(|(number, subscriber)| {
            publisher.send(&Large::new(number)).unwrap();
            // Each holds another slot.
            subscriber.latest_ref().unwrap().unwrap()
        })
        .collect();
    for number in 100..1100 {
        publisher.send(&Large::new(number)).unwrap();
    }
    for (number, sample) in (0..).zip(&samples) {
        sample.check();
        assert_eq!(sample.number, number);
    }
}

#[test]
fn pinning_subscribers_are_limited_by_pin_bits() {
    let ns = namespace("bits");
    let bits = 56;
    let mut publisher = LargeFeed::open().namespace(&*ns).slots(64).seats(256).publisher().unwrap();
    let mut subscribers: Vec<_> =
        (0..bits).map(|_| LargeFeed::open().namespace(&*ns).subscriber().unwrap()).collect();
    let error = LargeFeed::open().namespace(&*ns).subscriber().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NoSeat, "{error}");
    assert!(error.to_string().contains(&bits.to_string()), "{error}");
    publisher.send(&Large::new(0)).unwrap();
    // All bits of one slot are set, and the publisher skips it.
    let samples: Vec<_> = subscribers.iter_mut().map(|subscriber| subscriber.recv_ref().unwrap()).collect();
    for number in 1..=64 {
        publisher.send(&Large::new(number)).unwrap();
    }
    assert_eq!(publisher.stats().holes, 1);
    for sample in &samples {
        sample.check();
        assert_eq!(sample.number, 0);
    }
    drop(samples);
    for number in 65..=128 {
        publisher.send(&Large::new(number)).unwrap();
    }
    assert_eq!(publisher.stats().holes, 1, "the slot is used again");
    drop(subscribers.pop());
    LargeFeed::open().namespace(&*ns).subscriber().unwrap();
}
