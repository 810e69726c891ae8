//! Several requesters on one service in Rust: each gets the replies to its own requests.

use shmcomm::codec::{Bytes, Pickle, Value};
use shmcomm::python::{Options, RecvTimeoutError, Replier, Requester};
use shmcomm_tests::python::{self, Python};
use shmcomm_tests::wire::{LONG, Name, Talker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A service that answers each request with itself, in a thread of its own, until it is dropped.
struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(options: Options) -> Self {
        let mut replier = Replier::<Value, Value, Pickle>::open(options).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match replier.recv_bytes_timeout(Duration::from_millis(50)) {
                    Ok(request) => {
                        let reply = request.to_vec();
                        replier.send_bytes(&reply).unwrap();
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Echo { stop, thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Says a line to Python and expects what it prints.
fn talk(python: &mut Talker, line: &str, answer: &str) {
    python.say(line);
    assert_eq!(python.line(), answer, "{line}");
}

/// Two Python processes ask in turn, `rounds` times each, with a pause before each request.
fn in_turn(python: &Python, pause: Duration, rounds: u32) {
    let name = Name::new(&format!("turn-{}", pause.as_millis()));
    let _service = Echo::start(name.reqrep());
    let mut snakes = ["a", "b"].map(|who| {
        let mut snake = Talker::python(python, "lines.py", &[]);
        talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
        (who, snake)
    });
    for round in 0..rounds {
        for (who, snake) in &mut snakes {
            std::thread::sleep(pause);
            talk(snake, &format!("r.request('{who}{round}', timeout=30.0)"), &format!("'{who}{round}'"));
        }
    }
}

/// Rounds of the long pauses: few, or as many as `SHMCOMM_TURNS` says.
fn rounds(few: u32) -> u32 {
    std::env::var("SHMCOMM_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(few)
}

#[test]
fn two_requesters_in_turn_get_their_own_replies() {
    let Some(python) = python::latest() else { return };
    std::thread::scope(|scope| {
        for (pause, rounds) in [(0, 50), (50, 50), (1500, rounds(4)), (3000, rounds(2))] {
            scope.spawn(move || in_turn(python, Duration::from_millis(pause), rounds));
        }
    });
}

#[test]
fn requesters_of_one_process_get_their_own_replies() {
    let Some(python) = python::latest() else { return };
    for fillers in [true, false] {
        let name = Name::new("turn-one-process");
        let _service = Echo::start(Options { fillers, ..name.reqrep() });
        let mut snake = Talker::python(python, "lines.py", &[]);
        talk(&mut snake, &format!("a, b = Requester({0:?}), Requester({0:?})", name.0), "ok");
        let wrong = "sum(r.request((n, m), timeout=30.0) != (n, m) for n in range(200) for m, r in enumerate((a, b)))";
        talk(&mut snake, wrong, "0");
        let raw = "[r.send_bytes(b'%d %d' % (n, m)) and r.recv_bytes(timeout=30.0) == b'%d %d' % (n, m)";
        let raw = format!("all({raw} for n in range(50) for m, r in enumerate((a, b))])");
        talk(&mut snake, &raw, "True");
    }
}

#[test]
fn simultaneous_requesters_get_their_own_replies() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("same-time");
    let _service = Echo::start(name.reqrep());
    let mut snakes: Vec<_> = (0..4)
        .map(|_| {
            let mut snake = Talker::python(python, "lines.py", &[]);
            talk(&mut snake, &format!("r = Requester({:?}, timeout_connect=60.0)", name.0), "ok");
            snake
        })
        .collect();
    let mut rust = Requester::<Value, Value, Pickle>::open(name.reqrep()).unwrap();
    for (number, snake) in snakes.iter_mut().enumerate() {
        snake.say(&format!(
            "sum(r.request([{number}, n], timeout=30.0) != [{number}, n] for n in range(300))"
        ));
    }
    for n in 0..300 {
        assert_eq!(rust.request(&Value::from(n), LONG), Ok(Value::from(n)));
    }
    for snake in &mut snakes {
        snake.expect("0");
    }
    assert_eq!(rust.passed_over(), 0);
}

#[test]
fn segments_of_gone_requesters_serve_the_next_ones() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("come-and-go");
    let _service = Echo::start(name.reqrep());
    for n in 0..6 {
        let mut snake = Talker::python(python, "lines.py", &[]);
        talk(&mut snake, &format!("r = Requester({:?}, timeout_connect=60.0)", name.0), "ok");
        // The first request of each finds no old reply, and the last one stays unanswered in the segments.
        talk(&mut snake, &format!("r.request('first of {n}', timeout=30.0)"), &format!("'first of {n}'"));
        talk(&mut snake, "r.send('never received')", "True");
        // On every second round it leaves before the service can have seen it.
        talk(&mut snake, &format!("time.sleep({})", f64::from(n % 2) * 0.5), "None");
        snake.kill();
    }
    let files = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let pairs = files.filter(|file| file.file_name().to_string_lossy().contains(&name.0)).count();
    // Without new use there would be seven pairs.
    assert!(pairs <= 10, "{pairs} names");
}

#[test]
fn raw_requesters_in_turn_get_their_own_replies() {
    let name = Name::new("turn-raw");
    let mut replier = Replier::<Vec<u8>, [u8], Bytes>::open(name.reqrep()).unwrap();
    let mut ends: Vec<_> =
        (0..3).map(|_| Requester::<[u8], Vec<u8>, Bytes>::open(name.reqrep()).unwrap()).collect();
    for round in 0..50u8 {
        for (number, end) in ends.iter_mut().enumerate() {
            end.send(&[round, number as u8]).unwrap();
            let request = replier.recv_timeout(LONG).unwrap();
            replier.send(&request).unwrap();
            assert_eq!(end.recv_timeout(LONG).unwrap(), [round, number as u8]);
        }
    }
    assert_eq!(replier.stats().msg_count, 150);
}
