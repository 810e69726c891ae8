//! Request/reply across processes: every reply belongs to its request, every end is told.

use shmcomm::{
    CallError, ReplyError, RequestError, RequestTimeoutError, ServeTimeoutError, TryServeError, channel,
    list_segments,
};
use shmcomm_tests::{PatientService, Peer, Service, Small, namespace};
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn each_reply_comes_back_to_its_request() {
    let ns = namespace("own");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let other = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    assert_eq!(replier.try_recv().map(|_| ()), Err(TryServeError::Empty));
    for round in 0..100 {
        let mut first = requester.call(&Small::new(round)).unwrap();
        let second = requester.call(&Small::new(round + 1000)).unwrap();
        let third = other.call(&Small::new(round + 2000)).unwrap();
        assert!(first.poll().is_none());
        for _ in 0..3 {
            let request = replier.recv().unwrap();
            request.check();
            assert!(request.is_wanted() && !request.redelivered());
            let number = !request.number;
            if round % 2 == 0 {
                request.reply(&Small::new(number)).unwrap();
            } else {
                request.reply_with(|reply| *reply = Small::new(number)).unwrap();
            }
        }
        assert_eq!(third.wait(), Ok(Small::new(!(round + 2000))));
        assert_eq!(second.wait(), Ok(Small::new(!(round + 1000))));
        assert_eq!(first.poll(), Some(Ok(Small::new(!round))));
        assert_eq!(first.poll(), None, "an answer is given once");
    }
    let stats = requester.stats();
    assert_eq!((stats.messages, stats.backlog.unwrap().used()), (300, 0));
    drop((requester, other, replier));
    assert!(!list_segments().unwrap().iter().any(|s| s.channel.starts_with(&*ns)));
}

#[test]
fn dropped_request_is_reported_at_once() {
    let ns = namespace("dropped");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let first = requester.call(&Small::new(1)).unwrap();
    let second = requester.call(&Small::new(2)).unwrap();
    drop(replier.recv().unwrap());
    replier.recv().unwrap().decline();
    assert_eq!(first.wait(), Err(RequestError::Unanswered));
    assert_eq!(second.wait(), Err(RequestError::Unanswered));
}

#[test]
fn late_reply_never_comes_to_a_later_request() {
    let ns = namespace("late");
    let requester = Service::open().namespace(&*ns).slots(2).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    for number in 0..100 {
        assert_eq!(
            requester.request_timeout(&Small::new(number), Duration::ZERO),
            Err(RequestTimeoutError::Timeout)
        );
        let given_up = requester.call(&Small::new(number + 1000)).unwrap();
        let taken = replier.recv().unwrap();
        assert_eq!(taken.number, number + 1000, "what was given up before it was taken is never seen");
        drop(given_up);
        assert!(!taken.is_wanted());
        let next = requester.call(&Small::new(number + 2000)).unwrap();
        assert_eq!(taken.reply(&Small::new(1)), Err(ReplyError::Cancelled));
        let request = replier.recv().unwrap();
        let reply = Small::new(!request.number);
        request.reply(&reply).unwrap();
        assert_eq!(next.wait(), Ok(Small::new(!(number + 2000))));
    }
    assert_eq!(requester.stats().backlog.unwrap().used(), 0);
}

#[test]
fn full_channel_refuses_and_waits() {
    let ns = namespace("full");
    let requester = Service::open().namespace(&*ns).slots(4).requester().unwrap();
    let calls: Vec<_> = (0..4).map(|number| requester.call(&Small::new(number)).unwrap()).collect();
    assert_eq!(requester.call(&Small::new(4)).map(|_| ()), Err(CallError::Full));
    assert_eq!(
        requester.request_timeout(&Small::new(4), Duration::from_millis(5)),
        Err(RequestTimeoutError::Timeout)
    );
    assert_eq!(requester.stats().backlog.map(|backlog| backlog.waiting), Some(4));
    drop(calls);
    assert_eq!(requester.stats().backlog.map(|backlog| backlog.used()), Some(0));
    drop(requester.call(&Small::new(5)).unwrap());
}

#[test]
fn service_runs_until_it_is_stopped() {
    let ns = namespace("stop");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    assert_eq!(requester.repliers(), 1);
    let stop = replier.stop_handle();
    let serving = std::thread::spawn(move || replier.serve(|request| Small::new(!request.number)));
    for number in 0..1000 {
        assert_eq!(requester.request(&Small::new(number)), Ok(Small::new(!number)));
    }
    // Both asleep by now.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(requester.request_timeout(&Small::new(5), PATIENCE), Ok(Small::new(!5)));
    stop.stop();
    assert_eq!(serving.join().unwrap(), Ok(1001));
    assert!(!requester.wait_for_repliers(1, Duration::ZERO));
}

#[test]
fn requests_wait_for_a_replier_that_comes_later() {
    let ns = namespace("order");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let call = requester.call(&Small::new(3)).unwrap();
    let _late = Peer::start(PEER, &ns, &["serve"]);
    assert!(requester.wait_for_repliers(1, PATIENCE));
    assert_eq!(call.wait(), Ok(Small::new(!3)));
}

#[test]
fn killed_replier_is_reported_to_its_requester_only() {
    let ns = namespace("killed");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut taker = Peer::start(PEER, &ns, &["take"]);
    taker.expect("ready");
    let lost = requester.call(&Small::new(1)).unwrap();
    taker.expect("taken 1");
    let mut waiting = requester.call(&Small::new(2)).unwrap();
    taker.kill();
    assert_eq!(lost.wait(), Err(RequestError::PeerDied));
    assert!(waiting.poll().is_none());
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let request = replier.recv().unwrap();
    assert!(!request.redelivered());
    let reply = Small::new(!request.number);
    request.reply(&reply).unwrap();
    assert_eq!(waiting.wait_timeout(PATIENCE), Ok(Small::new(!2)));
}

#[test]
fn killed_replier_is_noticed_by_polling() {
    let ns = namespace("polls");
    let requester = Service::open().namespace(&*ns).requester().unwrap();
    let mut taker = Peer::start(PEER, &ns, &["take"]);
    taker.expect("ready");
    let mut call = requester.call(&Small::new(1)).unwrap();
    taker.expect("taken 1");
    taker.kill();
    let start = Instant::now();
    loop {
        match call.poll() {
            Some(answer) => break assert_eq!(answer, Err(RequestError::PeerDied)),
            None => assert!(start.elapsed() < PATIENCE),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn redelivering_service_passes_request_to_another() {
    let ns = namespace("patient");
    let requester = PatientService::open().namespace(&*ns).requester().unwrap();
    let call = requester.call(&Small::new(1)).unwrap();
    let mut taker = Peer::start(PEER, &ns, &["take-patiently"]);
    taker.expect("taken 1");
    taker.kill();
    let mut replier = PatientService::open().namespace(&*ns).replier().unwrap();
    let request = replier.recv_timeout(PATIENCE).unwrap();
    request.check();
    assert!(request.redelivered());
    request.reply(&Small::new(!1)).unwrap();
    assert_eq!(call.wait(), Ok(Small::new(!1)));
    assert_eq!(replier.recv_timeout(Duration::from_millis(1)).map(|_| ()), Err(ServeTimeoutError::Timeout));
}

#[test]
fn killed_requester_leaves_no_slot_taken() {
    let ns = namespace("requester");
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let mut asker = Peer::start(PEER, &ns, &["ask-and-hold", "8"]);
    for line in ["ready", "asked 8"] {
        asker.expect(line);
    }
    let answered = replier.recv().unwrap();
    answered.reply(&Small::new(0)).unwrap();
    let held = replier.recv().unwrap();
    asker.kill();
    // Another end notices, and withdraws what the dead one asked.
    let start = Instant::now();
    let mut other = Service::open().namespace(&*ns).replier().unwrap();
    while held.is_wanted() {
        assert!(start.elapsed() < PATIENCE);
        let _ = other.recv_timeout(Duration::from_millis(10)).map(|request| request.decline());
    }
    assert_eq!(held.reply(&Small::new(0)), Err(ReplyError::Cancelled));
    assert_eq!(other.stats().backlog.map(|backlog| backlog.used()), Some(0));
}

/// There are three requesters and two repliers, one of which is killed again and again. Every reply belongs to its
/// request, which the requester checks, and every request is answered in the end.
#[test]
fn replies_are_never_mixed_up_under_kills() {
    // Even the fastest machine takes longer for this number than the time between two kills.
    const EACH: u64 = 100_000;
    // Far longer than it takes on a loaded machine under a sanitizer.
    const SLOWEST: Duration = Duration::from_secs(600);
    let ns = namespace("mixed");
    let counted: String = EACH.to_string();
    let mut askers: Vec<_> =
        (0..3).map(|i| Peer::start(PEER, &ns, &["ask", &i.to_string(), &counted])).collect();
    let (sink, answers) = std::sync::mpsc::channel();
    for asker in &mut askers {
        asker.expect("ready");
    }
    let done = askers.into_iter().map(|mut asker| {
        let sink = sink.clone();
        std::thread::spawn(move || {
            let _ = sink.send(asker.line());
        })
    });
    let done: Vec<_> = done.collect();
    let mut repliers: Vec<_> = (0..2).map(|_| Peer::start(PEER, &ns, &["serve"])).collect();
    let (mut finished, mut kills) = (Vec::new(), 0);
    let start = Instant::now();
    while finished.len() < 3 {
        assert!(start.elapsed() < SLOWEST, "finished after {kills} kills: {finished:?}");
        match answers.recv_timeout(Duration::from_millis(30)) {
            Ok(line) => finished.push(line),
            Err(_) => {
                repliers.remove(0).kill();
                let mut replier = Peer::start(PEER, &ns, &["serve"]);
                // Without this wait, two kills in a row would leave no replier if processes start slowly.
                replier.expect("ready");
                repliers.push(replier);
                kills += 1;
            }
        }
    }
    let mut died = 0;
    for line in &finished {
        let words: Vec<&str> = line.split(' ').collect();
        let ["answered", answered, "died", deaths] = words[..] else { panic!("{line}") };
        let given_up = (0..EACH).filter(|k| k % 50 == 7).count() as u64;
        assert!(answered.parse::<u64>().unwrap() >= EACH - given_up - 50, "{line}");
        died += deaths.parse::<u64>().unwrap();
    }
    assert!(died <= kills, "{died} requests met a death, {kills} repliers were killed");
    assert!(kills > 0);
    for thread in done {
        thread.join().unwrap();
    }
}

#[test]
fn encoded_requests_and_replies_take_what_they_take() {
    channel! { Words: ReqRep<String, Vec<String>, Msgpack> { name: "words", slots: 4, slot_size: 64 } }
    let ns = namespace("encoded");
    let requester = Words::open().namespace(&*ns).requester().unwrap();
    let mut replier = Words::open().namespace(&*ns).replier().unwrap();
    let text = "x".repeat(100);
    assert!(matches!(requester.call(&text), Err(CallError::Unencodable(_))));
    let call = requester.call(&"to be or not".to_owned()).unwrap();
    let request = replier.recv().unwrap();
    let words: Vec<String> = request.split(' ').map(str::to_owned).collect();
    request.reply(&words).unwrap();
    assert_eq!(call.wait(), Ok(words));
    let call = requester.call(&"too long".to_owned()).unwrap();
    let request = replier.recv().unwrap();
    assert!(matches!(request.reply(&vec!["y".repeat(1000)]), Err(ReplyError::Unencodable(_))));
    assert_eq!(call.wait(), Err(RequestError::Unanswered));
    assert_eq!(requester.stats().backlog.map(|backlog| backlog.used()), Some(0));
}

#[test]
fn loan_waits_for_a_free_slot_and_try_loan_does_not() {
    let ns = namespace("loan-waits");
    let requester = Service::open().namespace(&*ns).slots(2).requester().unwrap();
    let mut replier = Service::open().namespace(&*ns).replier().unwrap();
    let (full, is_full) = std::sync::mpsc::channel();
    let other = Service::open().namespace(&*ns).requester().unwrap();
    let busy = std::thread::spawn(move || {
        let calls = [other.call(&Small::new(0)).unwrap(), other.call(&Small::new(1)).unwrap()];
        full.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        drop(calls);
    });
    is_full.recv().unwrap();
    assert_eq!(requester.try_loan().map(|_| ()).err(), Some(CallError::Full));
    let mut loan = requester.loan().unwrap();
    *loan = Small::new(2);
    let call = loan.send().unwrap();
    busy.join().unwrap();
    let request = replier.recv().unwrap();
    assert_eq!(request.number, 2);
    request.reply(&Small::new(3)).unwrap();
    assert_eq!(call.wait(), Ok(Small::new(3)));
}
