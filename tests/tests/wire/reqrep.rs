//! Request/reply with a Python process on the other end, and between two of them.

use serde::{Deserialize, Serialize};
use shmcomm::codec::{Bytes, Pickle};
use shmcomm::python::{
    self as wire, Options, RecvTimeoutError, Replier, RequestError, Requester, SendError, TryRecvError,
};
use shmcomm_tests::python;
use shmcomm_tests::wire::{LONG, Name, Talker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ask {
    n: u64,
    #[serde(default)]
    sleep: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    twice: u64,
}

fn ask(n: u64) -> Ask {
    Ask { n, sleep: 0.0 }
}

fn answer(n: u64) -> Answer {
    Answer { twice: 2 * n }
}

/// A service in this process, in a thread of its own, until it is dropped.
struct Service {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Replier<Ask, Answer, Pickle>>>,
}

impl Service {
    fn start(options: Options) -> Self {
        let mut replier = Replier::<Ask, Answer, Pickle>::open(options).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match replier.recv_timeout(Duration::from_millis(50)) {
                    Ok(ask) => {
                        std::thread::sleep(Duration::from_secs_f64(ask.sleep));
                        replier.send(&answer(ask.n)).unwrap();
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            replier
        });
        Service { stop, thread: Some(thread) }
    }

    fn end(mut self) -> Replier<Ask, Answer, Pickle> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("still there").join().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn rust_answers_ten_thousand_python_requests() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("ten-thousand");
    let service = Service::start(Options { slots: 4, ..name.reqrep() });
    let mut requester = Talker::python(python, "ask.py", &[&name.0, "pickle", "10000"]);
    requester.expect("ready");
    requester.say("go");
    requester.expect("done");
    let replier = service.end();
    assert_eq!((replier.received(), replier.given_up()), (10_000, 0));
    drop(replier);
    assert!(!name.file("req").exists() && !name.file("rep").exists());
}

#[test]
fn python_answers_ten_thousand_rust_requests() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("from-rust");
    let mut replier = Talker::python(python, "serve.py", &[&name.0, "pickle", "4"]);
    replier.expect("ready");
    let mut requester = Requester::<Ask, Answer, Pickle>::open(name.reqrep()).unwrap();
    for n in 0..10_000 {
        assert_eq!(requester.request(&ask(n), LONG), Ok(answer(n)));
    }
    assert_eq!((requester.received(), requester.passed_over()), (10_000, 0));
}

/// Says a line to Python and expects what it prints.
fn talk(python: &mut Talker, line: &str, answer: &str) {
    python.say(line);
    assert_eq!(python.line(), answer, "{line}");
}

#[test]
fn after_a_time_out_python_gets_the_right_answer() {
    let Some(python) = python::latest() else { return };
    for slots in [4, 16] {
        let name = Name::new(&format!("late-{slots}"));
        let late_reply_stays = Duration::from_millis(100);
        let _service = Service::start(Options { slots, late_reply_stays, ..name.reqrep() });
        let mut snake = Talker::python(python, "lines.py", &[]);
        talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
        for n in 0..6 {
            // Asked again while the replier is still at it, or after its late reply.
            let pause = [0.0, 0.5][n % 2];
            let slow = format!("r.request({{'n': {n}, 'sleep': 0.3}}, timeout=0.1)");
            talk(&mut snake, &slow, "SHMTimeoutError");
            talk(&mut snake, &format!("time.sleep({pause})"), "None");
            let quick = format!("r.request({{'n': {}}}, timeout=30.0)", n + 100);
            talk(&mut snake, &quick, &format!("{{'twice': {}}}", 2 * (n + 100)));
        }
    }
}

#[test]
fn second_python_requester_gets_its_own_answers() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("second");
    let _service = Service::start(name.reqrep());
    let mut snake = Talker::python(python, "lines.py", &[]);
    for n in 0..40 {
        // In one line: the second one asks some microseconds after the first one has its answer.
        let both = format!(
            "[Requester({:?}).request({{'n': n}}, timeout=30.0)['twice'] for n in ({n}, {})]",
            name.0,
            n + 100
        );
        talk(&mut snake, &both, &format!("[{}, {}]", 2 * n, 2 * (n + 100)));
    }
}

#[test]
fn reply_waits_for_a_busy_python_requester() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("patient");
    let _service = Service::start(name.reqrep());
    let mut snake = Talker::python(python, "lines.py", &[]);
    for n in 0..4 {
        if n % 2 == 0 {
            talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
        }
        talk(&mut snake, &format!("r.send({{'n': {n}, 'sleep': {}}})", f64::from(n) * 0.05), "True");
        talk(&mut snake, "time.sleep(0.3)", "None");
        talk(&mut snake, "r.recv(timeout=30.0)", &format!("{{'twice': {}}}", 2 * n));
    }
}

#[test]
fn after_a_time_out_a_requester_gets_the_right_answer() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("late-rust");
    let mut replier = Talker::python(python, "serve.py", &[&name.0, "pickle", "4"]);
    replier.expect("ready");
    let mut requester = Requester::<Ask, Answer, Pickle>::open(name.reqrep()).unwrap();
    for n in 0..4 {
        let slow = Ask { n, sleep: 0.2 };
        let short = Duration::from_millis(50);
        assert_eq!(requester.request(&slow, short), Err(RequestError::Timeout));
        std::thread::sleep(Duration::from_millis(300 * (n % 2)));
        assert_eq!(requester.request(&ask(n + 10), LONG), Ok(answer(n + 10)));
    }
    assert_eq!(requester.passed_over(), 4);
    assert_eq!(requester.try_recv(), Err(TryRecvError::NoRequest));
}

#[test]
fn rust_and_rust_understand_each_other_on_this_wire() {
    for slots in [2, 3, 4, 16] {
        let name = Name::new(&format!("rust-{slots}"));
        let service = Service::start(Options { slots, ..name.reqrep() });
        let mut first = Requester::<Ask, Answer, Pickle>::open(name.reqrep()).unwrap();
        for n in 0..200 {
            assert_eq!(first.request(&ask(n), LONG), Ok(answer(n)));
        }
        for pause in [0, 100] {
            let slow = Ask { n: 1, sleep: 0.2 };
            assert_eq!(first.request(&slow, Duration::from_millis(10)), Err(RequestError::Timeout));
            std::thread::sleep(Duration::from_millis(pause));
            let mut second = Requester::<Ask, Answer, Pickle>::open(name.reqrep()).unwrap();
            for n in 0..50 {
                assert_eq!(second.request(&ask(n + 1), LONG), Ok(answer(n + 1)));
                assert_eq!(first.request(&ask(n), LONG), Ok(answer(n)));
            }
        }
        drop(service.end());
    }
}

#[test]
fn recv_bytes_gets_no_filler_if_none_was_sent() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("no-fillers");
    let _service = Service::start(Options { fillers: false, ..name.reqrep() });
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, "import pickle", "ok");
    for _requester in 0..2 {
        talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
        for n in 0..6 {
            // Long enough for the replies that fillers precede otherwise.
            let sleep = if n % 2 == 0 { 0.0 } else { 0.03 };
            talk(&mut snake, &format!("r.send({{'n': {n}, 'sleep': {sleep}}})"), "True");
            let twice = format!("{{'twice': {}}}", 2 * n);
            talk(&mut snake, "pickle.loads(r.recv_bytes(timeout=30.0))", &twice);
        }
    }
}

#[test]
fn raw_requests_and_replies_go_both_ways() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("raw-service");
    let mut replier = Replier::<Vec<u8>, [u8], Bytes>::open(name.reqrep()).unwrap();
    assert_eq!(replier.send(b"early"), Err(SendError::NoRequest));
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
    for _ in 0..20 {
        talk(&mut snake, "r.send_bytes(b'ping')", "True");
        assert_eq!(replier.recv_bytes_timeout(LONG).unwrap(), b"ping");
        replier.send(b"pong").unwrap();
        assert_eq!(replier.send(b"pong"), Err(SendError::NoRequest));
        talk(&mut snake, "r.recv_bytes(timeout=30.0)", "b'pong'");
    }
    drop(replier);
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("r = Replier({:?}, num_slots=3)", name.0), "ok");
    let mut requester = Requester::<[u8], Vec<u8>, Bytes>::open(name.reqrep()).unwrap();
    for _ in 0..20 {
        requester.send(b"ping").unwrap();
        talk(&mut snake, "r.recv_bytes(timeout=30.0)", "b'ping'");
        talk(&mut snake, "r.send_bytes(b'pong')", "True");
        assert_eq!(requester.recv_timeout(LONG).unwrap(), b"pong");
    }
}

#[test]
fn requester_follows_a_restarted_python_replier() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("replier-restart");
    let mut requester = None;
    for n in 0..3 {
        let mut replier = Talker::python(python, "serve.py", &[&name.0, "pickle", "16"]);
        replier.expect("ready");
        let requester =
            requester.get_or_insert_with(|| Requester::<Ask, Answer, Pickle>::open(name.reqrep()).unwrap());
        // A request on the way to a replier that is gone is answered by an error, at once or at the end.
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(requester.request(&ask(n), LONG), Ok(answer(n)));
        if n == 1 {
            requester.send(&Ask { n, sleep: 60.0 }).unwrap();
            replier.kill();
            name.wait_until_gone("req");
            name.wait_until_gone("rep");
            let mut next = Talker::python(python, "serve.py", &[&name.0, "pickle", "16"]);
            next.expect("ready");
            assert_eq!(requester.recv_timeout(LONG), Err(RecvTimeoutError::Restarted));
            assert_eq!(requester.request(&ask(7), LONG), Ok(answer(7)));
            next.kill();
        } else {
            replier.kill();
        }
        name.wait_until_gone("req");
        name.wait_until_gone("rep");
    }
}

#[test]
fn python_requesters_survive_a_killed_replier() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("replier-killed");
    let mut first = Talker::rust("replier", &name);
    first.expect("ready");
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
    talk(&mut snake, "r.request({'n': 1}, timeout=30.0)", "{'twice': 2}");
    first.kill();
    // What is asked meanwhile is answered by the next one.
    talk(&mut snake, "r.send({'n': 2})", "True");
    let mut second = Talker::rust("replier", &name);
    second.expect("ready again");
    talk(&mut snake, "r.recv(timeout=30.0)", "{'twice': 4}");
    talk(&mut snake, "r.request({'n': 3}, timeout=30.0)", "{'twice': 6}");
}

/// A client that comes, asks three times, and leaves.
fn ask_three(python: &python::Python, name: &Name) {
    let mut snake = Talker::python(python, "ask.py", &[&name.0, "pickle", "3"]);
    snake.expect("ready");
    snake.say("go");
    snake.expect("done");
    snake.finish();
}

#[test]
fn fifty_python_clients_join_and_leave_a_service() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("service-visitors");
    let _service = Service::start(name.reqrep());
    for _ in 0..10 {
        let five = [(); 5].map(|()| Talker::python(python, "visit.py", &[&name.0, "Requester"]));
        five.into_iter().for_each(Talker::finish);
    }
    for _ in 0..8 {
        ask_three(python, &name);
    }
}

/// As some tool does that watches what is there: the replies count as opened all the time.
#[test]
fn python_clients_join_while_a_tool_lists_the_files() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("service-looked-at");
    let _service = Service::start(name.reqrep());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = std::fs::File::open(format!("/dev/shm/shmcomm_rep~{}", name.0));
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let done = Ended(&over);
        for _ in 0..4 {
            ask_three(python, &name);
        }
        drop(done);
    });
}

/// Says so when it is dropped, also by a panic.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Not a test: what [`Talker::rust`] runs in another process.
#[test]
fn role() {
    let (Ok(role), Ok(channel)) = (std::env::var("SHMCOMM_ROLE"), std::env::var("SHMCOMM_CHANNEL")) else {
        return;
    };
    assert_eq!(role, "replier");
    let mut replier = Replier::<Ask, Answer, Pickle>::open(Options::reqrep(channel)).unwrap();
    println!("\n{}", if replier.resumed() { "ready again" } else { "ready" });
    loop {
        let ask = replier.recv().unwrap();
        replier.send(&answer(ask.n)).unwrap();
    }
}

#[test]
fn unhealed_python_pair_ends_after_15_exchanges() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("unhealed");
    let mut replier = Talker::python(python, "serve.py", &[&name.0, "pickle", "16"]);
    replier.expect("ready");
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
    let fifteen = "[r.request({'n': n}, timeout=30.0)['twice'] for n in range(15)][-1]";
    talk(&mut snake, fifteen, "28");
    talk(&mut snake, "r.send({'n': 15})", "False");
    // Healing helps at any time.
    let _healer = wire::heal(&name.0).unwrap();
    let more = "[r.request({'n': n}, timeout=30.0)['twice'] for n in range(100)][-1]";
    talk(&mut snake, more, "198");
}

#[test]
fn a_healed_service_of_two_python_processes_lives_on() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("healed");
    let healer = wire::heal(&name.0).unwrap();
    for round in 0..2 {
        let mut replier = Talker::python(python, "serve.py", &[&name.0, "pickle", "4"]);
        replier.expect("ready");
        std::thread::sleep(Duration::from_millis(50));
        let mut snake = Talker::python(python, "ask.py", &[&name.0, "pickle", "2000"]);
        snake.expect("ready");
        snake.say("go");
        assert_eq!(snake.line(), "done", "round {round}");
        // The tracker of the client removes both names, and the replier, which is still there, restores them.
        snake.finish();
        let start = Instant::now();
        while !(name.file("req").exists() && name.file("rep").exists()) {
            assert!(start.elapsed() < LONG, "the names did not come back");
            std::thread::sleep(Duration::from_millis(5));
        }
        replier.finish();
    }
    drop(healer);
    let left = std::fs::read_dir("/dev/shm").unwrap().flatten();
    let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().ends_with(&name.0)).collect();
    assert!(left.is_empty(), "{left:?}");
}
