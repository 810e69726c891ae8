//! Push/pull across processes: no accepted message is lost, whichever process is killed.

use shmcomm::{FlushError, PullTimeoutError, PushTimeoutError, TryPullError, TryPushError, list_segments};
use shmcomm_tests::{Jobs, Peer, Small, namespace};
use std::collections::HashMap;
use std::time::Duration;

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn each_job_goes_to_one_puller_in_order() {
    let ns = namespace("order");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut a = Jobs::open().namespace(&*ns).puller().unwrap();
    let mut b = Jobs::open().namespace(&*ns).puller().unwrap();
    for number in 0..100 {
        pusher.send(&Small::new(number)).unwrap();
    }
    for number in (0..100).step_by(2) {
        assert_eq!(a.try_recv(), Ok(Small::new(number)));
        assert_eq!(b.recv(), Ok(Small::new(number + 1)));
    }
    assert_eq!(a.try_recv(), Err(TryPullError::Empty));
    assert_eq!(b.recv_timeout(Duration::from_millis(1)), Err(PullTimeoutError::Timeout));
    let backlog = pusher.stats().backlog.unwrap();
    assert_eq!((backlog.used(), backlog.acknowledged, backlog.oldest), (0, 100, None));
}

#[test]
fn full_queue_refuses_and_waits_and_loses_nothing() {
    let ns = namespace("full");
    let mut pusher = Jobs::open().namespace(&*ns).slots(4).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    for number in 0..4 {
        pusher.try_send(&Small::new(number)).unwrap();
    }
    let five = Small::new(4);
    assert_eq!(pusher.try_send(&five), Err(TryPushError::Full));
    assert_eq!(pusher.try_loan().map(|_| ()), Err(TryPushError::Full));
    assert_eq!(pusher.send_timeout(&five, Duration::from_millis(20)), Err(PushTimeoutError::Timeout));
    assert_eq!(pusher.flush(Duration::from_millis(20)), Err(FlushError::Timeout(4)));
    let backlog = puller.stats().backlog.unwrap();
    assert!(backlog.waiting == 4 && backlog.oldest.unwrap() > Duration::from_millis(20), "{backlog:?}");
    // A sender that waits is woken by the first acknowledgement.
    let sender = std::thread::spawn(move || {
        pusher.send(&five).unwrap();
        pusher
    });
    std::thread::sleep(Duration::from_millis(50));
    for number in 0..5 {
        assert_eq!(puller.recv(), Ok(Small::new(number)));
    }
    sender.join().unwrap().flush(PATIENCE).unwrap();
}

#[test]
fn dropped_job_comes_back_marked() {
    let ns = namespace("back");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    let mut loan = pusher.loan().unwrap();
    *loan = Small::new(1);
    loan.send().unwrap();
    drop(pusher.loan().unwrap());
    for round in 0..3 {
        let job = puller.claim().unwrap();
        assert_eq!((job.number, job.redelivered()), (1, round > 0));
    }
    let job = puller.try_claim().unwrap();
    job.check();
    assert_eq!(pusher.stats().backlog.map(|b| (b.waiting, b.claimed)), Some((0, 1)));
    job.done();
    assert_eq!(puller.try_claim().map(|_| ()), Err(TryPullError::Empty));
    assert_eq!(pusher.stats().backlog.map(|b| (b.redelivered, b.acknowledged)), Some((3, 1)));
}

#[test]
fn jobs_outlive_all_ends() {
    let ns = namespace("outlive");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    for number in 0..10 {
        pusher.send(&Small::new(number)).unwrap();
    }
    drop(pusher);
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    for number in 0..10 {
        assert_eq!(puller.try_recv(), Ok(Small::new(number)));
    }
    drop(puller);
    assert!(
        !list_segments().unwrap().iter().any(|s| s.channel.starts_with(&*ns)),
        "an empty queue is removed"
    );
}

#[test]
fn killed_worker_s_job_goes_to_another() {
    let ns = namespace("worker");
    let mut pusher = Jobs::open().namespace(&*ns).pusher().unwrap();
    let mut worker = Peer::start(PEER, &ns, &["claim"]);
    worker.expect("ready");
    pusher.send(&Small::new(7)).unwrap();
    worker.expect("claimed 7");
    let mut other = Jobs::open().namespace(&*ns).puller().unwrap();
    assert_eq!(other.recv_timeout(Duration::from_millis(100)), Err(PullTimeoutError::Timeout));
    worker.kill();
    let job = other.claim_timeout(PATIENCE).unwrap();
    assert_eq!((job.number, job.redelivered()), (7, true));
    job.done();
    pusher.flush(PATIENCE).unwrap();
}

// A signal stops it.
#[cfg(unix)]
#[test]
fn stopped_worker_does_not_delay_a_sleeping_worker() {
    let ns = namespace("stopped");
    let mut pusher = Jobs::open().namespace(&*ns).slots(4).pusher().unwrap();
    let mut stopped = Peer::start(PEER, &ns, &["claim"]);
    stopped.expect("ready");
    std::thread::sleep(Duration::from_millis(100));
    pusher.send(&Small::new(0)).unwrap();
    stopped.expect("claimed 0");
    stopped.signal(libc::SIGSTOP);
    // It holds a slot; the others go round it.
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    for number in 1..100 {
        pusher.send_timeout(&Small::new(number), PATIENCE).unwrap();
        assert_eq!(puller.recv_timeout(PATIENCE), Ok(Small::new(number)));
    }
    stopped.signal(libc::SIGCONT);
}

/// Three pushers, four pullers; a puller is killed every few thousand jobs. Every job is done,
/// and a job that is done twice was marked.
#[test]
fn nothing_is_lost_while_workers_are_killed() {
    const EACH: u64 = if cfg!(debug_assertions) { 20_000 } else { 335_000 };
    const BETWEEN: u64 = if cfg!(debug_assertions) { 2_000 } else { 8_000 };
    let ns = namespace("killed");
    let mut pushers: Vec<Peer> =
        (0..3).map(|i| Peer::start(PEER, &ns, &["push", &i.to_string(), &EACH.to_string()])).collect();
    let (sink, jobs) = std::sync::mpsc::channel();
    let mut seen: HashMap<u64, (u64, u64)> = HashMap::new();
    let (mut kills, mut received, mut next_kill) = (0, 0, BETWEEN);
    let mut workers: Vec<_> = (0..4).map(|_| Peer::start_into(PEER, &ns, &["pull"], sink.clone())).collect();
    while (seen.len() as u64) < 3 * EACH {
        let line: String = jobs.recv_timeout(PATIENCE).expect("a worker works");
        let Some((number, mark)) = line.split_once(' ') else { continue };
        // The last line of a killed worker may be cut short.
        let (Ok(number), "first" | "again") = (number.parse::<u64>(), mark) else { continue };
        let entry = seen.entry(number).or_default();
        if mark == "again" {
            entry.1 += 1
        } else {
            entry.0 += 1
        }
        received += 1;
        if received >= next_kill {
            next_kill += BETWEEN;
            kills += 1;
            workers.remove(0).kill();
            workers.push(Peer::start_into(PEER, &ns, &["pull"], sink.clone()));
        }
    }
    for pusher in &mut pushers {
        for line in ["ready", "sent", "flushed"] {
            pusher.expect(line);
        }
    }
    assert!(seen.keys().all(|number| number >> 32 < 3 && number & 0xffff_ffff < EACH), "an invented job");
    assert!(seen.values().all(|(first, _)| *first <= 1), "a job came twice without a mark");
    let again: u64 = seen.values().map(|(_, again)| again).sum();
    assert!(again <= kills, "{again} jobs came again, {kills} workers were killed");
    assert!(kills > 0);
}

#[test]
fn loan_waits_for_room_and_try_loan_does_not() {
    let ns = namespace("loan-waits");
    let mut pusher = Jobs::open().namespace(&*ns).slots(2).pusher().unwrap();
    let mut puller = Jobs::open().namespace(&*ns).puller().unwrap();
    (0..2).for_each(|number| pusher.send(&Small::new(number)).unwrap());
    assert_eq!(pusher.try_loan().map(|_| ()), Err(TryPushError::Full));
    let worker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(puller.recv(), Ok(Small::new(0)));
        puller
    });
    let mut loan = pusher.loan().unwrap();
    *loan = Small::new(2);
    loan.send().unwrap();
    let mut puller = worker.join().unwrap();
    assert_eq!((puller.recv(), puller.recv()), (Ok(Small::new(1)), Ok(Small::new(2))));
}
