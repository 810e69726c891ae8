//! Push/pull with Python processes on the other end, and beside this one.

use serde::{Deserialize, Serialize};
use shmcomm::codec::{Bytes, Pickle};
use shmcomm::python::{
    Options, Puller, Pusher, RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError,
};
use shmcomm_tests::python;
use shmcomm_tests::wire::{LONG, Name, Talker};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    number: u64,
}

/// Pulls until nothing came for two seconds.
fn pull_all(name: &Name) -> std::thread::JoinHandle<Vec<u64>> {
    let mut puller = Puller::<Job, Pickle>::open(name.pushpull()).unwrap();
    std::thread::spawn(move || {
        let mut numbers = Vec::new();
        loop {
            match puller.recv_timeout(Duration::from_secs(2)) {
                Ok(job) => numbers.push(job.number),
                Err(RecvTimeoutError::Timeout) => return numbers,
                Err(error) => panic!("{error}"),
            }
        }
    })
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|number| number.parse().unwrap()).collect()
}

fn each_once(parts: Vec<Vec<u64>>, count: u64) {
    eprintln!("taken: {:?}", parts.iter().map(Vec::len).collect::<Vec<_>>());
    for part in &parts {
        assert!(part.is_sorted(), "a puller got jobs out of order");
    }
    let mut all: Vec<u64> = parts.into_iter().flatten().collect();
    all.sort_unstable();
    assert_eq!(all.len() as u64, count);
    assert!(all.into_iter().eq(0..count), "a job was done twice");
}

#[test]
fn jobs_from_rust_are_done_once_by_both_kinds() {
    let Some(python) = python::latest() else { return };
    const COUNT: u64 = 60_000;
    let name = Name::new("mixed");
    let mut pusher = Pusher::<Job, Pickle>::open(name.pushpull()).unwrap();
    let mut snakes = [(); 2].map(|()| Talker::python(python, "pull.py", &[&name.0, "pickle"]));
    for snake in &mut snakes {
        snake.expect("ready");
        snake.say("go");
    }
    let crabs = [(); 2].map(|()| pull_all(&name));
    for number in 0..COUNT {
        pusher.send_timeout(&Job { number }, LONG).unwrap();
    }
    let crabs = crabs.map(|crab| crab.join().unwrap());
    let snakes = snakes.map(|mut snake| numbers(&snake.line()));
    each_once(crabs.into_iter().chain(snakes).collect(), COUNT);
    assert_eq!(pusher.close(Duration::ZERO), 0);
    assert!(!name.file("push").exists());
}

#[test]
fn jobs_from_python_are_done_once_by_both_kinds() {
    let Some(python) = python::latest() else { return };
    const COUNT: u64 = 10_000;
    let name = Name::new("from-python");
    let mut pusher = Talker::python(python, "push.py", &[&name.0, "pickle", &COUNT.to_string()]);
    pusher.expect("ready");
    let mut snake = Talker::python(python, "pull.py", &[&name.0, "pickle"]);
    snake.expect("ready");
    snake.say("go");
    let crabs = [(); 2].map(|()| pull_all(&name));
    pusher.say("go");
    let mut parts: Vec<_> = crabs.into_iter().map(|crab| crab.join().unwrap()).collect();
    parts.push(numbers(&snake.line()));
    pusher.expect("pushed");
    each_once(parts, COUNT);
}

#[test]
fn raw_jobs_go_both_ways() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("raw-jobs");
    let mut snake = Talker::python(python, "lines.py", &[]);
    let mut talk = |line: &str, answer: &str| {
        snake.say(line);
        assert_eq!(snake.line(), answer, "{line}");
    };
    let mut pusher = Pusher::<[u8], Bytes>::open(name.pushpull()).unwrap();
    talk(&format!("p = Puller({:?})", name.0), "ok");
    for job in [&b""[..], b"one", &[0xff; 4092]] {
        pusher.send(job).unwrap();
        talk(&format!("p.recv_bytes(timeout=30.0) == b'' + bytes.fromhex('{}')", hex(job)), "True");
    }
    talk("p.close()", "None");
    drop(pusher);
    talk(&format!("p = Pusher({:?}, num_slots=4, slot_size=4096)", name.0), "ok");
    let mut puller = Puller::<Vec<u8>, Bytes>::open(name.pushpull()).unwrap();
    for job in [&b"one"[..], b"two", &[0xff; 4092]] {
        talk(&format!("p.send_bytes(bytes.fromhex('{}'))", hex(job)), "True");
        assert_eq!(puller.recv_timeout(LONG).unwrap(), job);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn fifty_python_pullers_join_and_leave_a_queue() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("pullers");
    let mut pusher = Pusher::<Job, Pickle>::open(name.pushpull()).unwrap();
    for _ in 0..10 {
        let five = [(); 5].map(|()| Talker::python(python, "visit.py", &[&name.0, "Puller"]));
        five.into_iter().for_each(Talker::finish);
    }
    name.wait_until_back("push");
    pusher.send(&Job { number: 7 }).unwrap();
    let mut snake = Talker::python(python, "pull.py", &[&name.0, "pickle"]);
    snake.expect("ready");
    snake.say("go");
    assert_eq!(snake.line(), "7");
}

#[test]
fn puller_killed_with_the_lock_delays_no_other() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("holder");
    let mut pusher = Pusher::<Job, Pickle>::open(name.pushpull()).unwrap();
    let mut puller = Puller::<Job, Pickle>::open(name.pushpull()).unwrap();
    pusher.send(&Job { number: 1 }).unwrap();
    let mut holder = Talker::python(python, "hold_lock.py", &[&name.0]);
    holder.expect("held");
    // Python and this end mean the same lock, and a time limit holds while another process has it.
    let start = Instant::now();
    assert_eq!(puller.recv_timeout(Duration::from_millis(100)), Err(RecvTimeoutError::Timeout));
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert_eq!(puller.try_recv(), Err(TryRecvError::Empty));
    holder.kill();
    assert_eq!(puller.recv_timeout(LONG), Ok(Job { number: 1 }));
}

#[test]
fn a_lock_file_that_was_cleaned_away_is_found_again() {
    let name = Name::new("cleaned");
    let mut pusher = Pusher::<[u8], Bytes>::open(name.pushpull()).unwrap();
    let mut first = Puller::<Vec<u8>, Bytes>::open(name.pushpull()).unwrap();
    assert!(first.lock_path().ends_with(format!("shmcomm_shmcomm_push_{}.lock", name.0)));
    for i in 0..3u8 {
        std::fs::remove_file(first.lock_path()).unwrap();
        let mut second = Puller::<Vec<u8>, Bytes>::open(name.pushpull()).unwrap();
        pusher.send_bytes(&[i]).unwrap();
        pusher.send_bytes(&[i]).unwrap();
        assert_eq!(second.recv_timeout(LONG).unwrap(), [i]);
        assert_eq!(first.recv_timeout(LONG).unwrap(), [i]);
    }
}

#[test]
fn a_full_queue_refuses_waits_and_counts() {
    let name = Name::new("full-queue");
    let options = Options { slots: 4, linger: Duration::ZERO, ..name.pushpull() };
    let mut pusher = Pusher::<[u8], Bytes>::open(options.clone()).unwrap();
    for _ in 0..3 {
        pusher.try_send(b"job").unwrap();
    }
    assert_eq!(pusher.try_send(b"job"), Err(TrySendError::Full));
    let late = pusher.send_timeout(b"job", Duration::from_millis(10));
    assert_eq!(late, Err(SendTimeoutError::Timeout));
    let stats = pusher.stats();
    assert_eq!((stats.used_slots, stats.free_slots, stats.drop_count, stats.msg_count), (3, 0, 1, 3));
    // What is left stays for pullers, and for the next pusher.
    drop(pusher);
    let mut puller = Puller::<Vec<u8>, Bytes>::open(name.pushpull()).unwrap();
    assert_eq!(puller.recv_timeout(LONG).unwrap(), b"job");
    let mut pusher = Pusher::<[u8], Bytes>::open(options).unwrap();
    assert!(pusher.resumed() && pusher.waiting() == 2);
    pusher.send(b"last").unwrap();
    let taker = std::thread::spawn(move || [(); 3].map(|()| puller.recv_timeout(LONG).unwrap()));
    assert_eq!(pusher.close(LONG), 0);
    assert_eq!(taker.join().unwrap()[2], b"last");
    assert!(!name.file("push").exists());
}

#[test]
fn pullers_follow_a_python_pusher_that_was_restarted() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("pusher-restart");
    let mut puller = None;
    for round in 0..3 {
        let mut pusher = Talker::python(python, "push.py", &[&name.0, "pickle", "100"]);
        pusher.expect("ready");
        let puller = puller.get_or_insert_with(|| Puller::<Job, Pickle>::open(name.pushpull()).unwrap());
        pusher.say("go");
        for number in 0..100 {
            assert_eq!(puller.recv_timeout(LONG), Ok(Job { number }), "round {round}");
        }
        pusher.expect("pushed");
        if round == 1 {
            pusher.kill();
        } else {
            pusher.finish();
        }
        name.wait_until_gone("push");
    }
}

#[test]
fn python_pullers_survive_a_killed_pusher() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("pusher-killed");
    let mut first = Talker::rust("pusher", &name);
    first.expect("ready");
    let mut snake = Talker::python(python, "pull.py", &[&name.0, "pickle"]);
    snake.expect("ready");
    first.say("0");
    first.say("1");
    while Puller::<Job, Pickle>::open(name.pushpull()).unwrap().stats().msg_count < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    first.kill();
    let mut second = Talker::rust("pusher", &name);
    second.expect("ready again");
    second.say("2");
    snake.say("go");
    assert_eq!(snake.line(), "0 1 2");
}

/// Not a test: what [`Talker::rust`] runs in another process.
#[test]
fn role() {
    let (Ok(role), Ok(channel)) = (std::env::var("SHMCOMM_ROLE"), std::env::var("SHMCOMM_CHANNEL")) else {
        return;
    };
    assert_eq!(role, "pusher");
    let mut pusher = Pusher::<Job, Pickle>::open(Options::pushpull(channel)).unwrap();
    println!("\n{}", if pusher.resumed() { "ready again" } else { "ready" });
    for line in std::io::stdin().lines() {
        pusher.send(&Job { number: line.unwrap().parse().unwrap() }).unwrap();
    }
}
