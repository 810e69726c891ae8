//! Request/reply and push/pull between hosts.

use crate::support::*;
use shmcomm::schema::{Layout, Value};
use shmcomm::{
    Channel, Content, Declaration, DynPuller, DynPusher, DynReplier, DynRequester, ErrorKind, ReqStream,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(5);

fn layout(text: &str) -> Content {
    Content::Fixed(Layout::parse(text).unwrap().remove(0))
}

/// A struct of a `u32` and, if it is new, of another one.
fn question(name: &str, fields: &[&str]) -> Content {
    let field = |(i, field): (usize, &&str)| {
        format!(r#"{{"name":"{field}","offset":{},"of":{{"size":4,"type":"<u4"}}}}"#, 4 * i)
    };
    let all: Vec<String> = fields.iter().enumerate().map(field).collect();
    let size = 4 * fields.len();
    layout(&format!(r#"{{"size":{size},"name":"{name}","align":4,"fields":[{}]}}"#, all.join(",")))
}

/// A replier that answers each request with its bytes, until the value is dropped.
struct Echo(Option<std::thread::JoinHandle<()>>, shmcomm::StopHandle);

impl Echo {
    fn new(full: &str, declaration: &Declaration, convert: fn(Vec<u8>) -> Vec<u8>) -> Echo {
        let mut replier = DynReplier::create(full, declaration).unwrap();
        let stop = replier.stop_handle();
        let serve = move || {
            while let Ok(request) = replier.recv() {
                let bytes = convert(request.message().bytes().to_vec());
                let _ = request.reply_bytes(&bytes);
            }
        };
        Echo(Some(std::thread::spawn(serve)), stop)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.1.stop();
        self.0.take().unwrap().join().unwrap();
    }
}

/// Asks until a reply comes: the service may not be there yet.
fn ask(full: &str, declaration: &Declaration, bytes: &[u8]) -> Vec<u8> {
    let mut requester = DynRequester::create(full, declaration).unwrap();
    wait_for("reply", || Some(requester.request_bytes(bytes, WAIT).ok()?.into_bytes()))
}

#[test]
fn replies_of_another_host_come_back() {
    let (a, b, at) = (Host::new("ask-a"), Host::new("ask-b"), address());
    let _out = a.bridge(&["--listen", &at, "--export", "*", "--import", "*"]);
    let to_b = b.bridge(&["--connect", &at, "--import", "*", "--export", "*"]);
    let service = Declaration::req_rep(Content::Bytes, Content::Bytes).slot_size(512);
    let _echo = Echo::new(&a.full("echo"), &service, |mut bytes| {
        bytes.reverse();
        bytes
    });
    assert_eq!(ask(&b.full("echo"), &service, &[1, 2, 3]), [3, 2, 1]);
    // Many requesters at a time; no reply is mixed up.
    let full = b.full("echo");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let full = &full;
            scope.spawn(move || {
                let mut requester = DynRequester::open(full).unwrap();
                for n in 0..100 {
                    let sent = message(thread * 1000 + n);
                    let mut reply = requester.request_bytes(&sent, WAIT).unwrap().into_bytes();
                    reply.reverse();
                    assert_eq!(reply, sent);
                }
            });
        }
    });
    wait_until("count", || to_b.metric("messages_total", &["echo", "import"]) >= 401);
}

#[test]
fn service_that_ends_is_gone_on_all_hosts() {
    let (a, b, at) = (Host::new("gone-a"), Host::new("gone-b"), address());
    let _out = a.bridge(&["--listen", &at, "--export", "*"]);
    let _in = b.bridge(&["--connect", &at, "--import", "*"]);
    let service = Declaration::req_rep(Content::Bytes, Content::Bytes);
    let echo = Echo::new(&a.full("echo"), &service, |bytes| bytes);
    assert_eq!(ask(&b.full("echo"), &service, &[1]), [1]);
    drop(echo);
    let requester = DynRequester::open(&b.full("echo")).unwrap();
    wait_until("end", || requester.repliers() == 0);
    let _echo = Echo::new(&a.full("echo"), &service, |bytes| bytes);
    assert_eq!(ask(&b.full("echo"), &service, &[2]), [2]);
}

#[test]
fn local_replier_keeps_its_service() {
    let (a, b, at) = (Host::new("keep-a"), Host::new("keep-b"), address());
    let both = ["--export", "*", "--import", "*"];
    let _out = a.bridge(&[&["--listen", &at], &both[..]].concat());
    let to_b = b.bridge(&[&["--connect", &at], &both[..]].concat());
    let service = Declaration::req_rep(Content::Bytes, Content::Bytes);
    let _here = Echo::new(&a.full("who"), &service, |_| b"a".to_vec());
    assert_eq!(ask(&b.full("who"), &service, &[]), b"a");
    // A replier starts on the host that imports the service: its requests stay there.
    let _there = Echo::new(&b.full("who"), &service, |_| b"b".to_vec());
    assert!(to_b.refusal("who").contains("on this host"));
    for _ in 0..20 {
        assert_eq!(ask(&b.full("who"), &service, &[]), b"b");
        assert_eq!(ask(&a.full("who"), &service, &[]), b"a");
    }
}

#[test]
fn service_of_another_layout_is_resolved_or_refused() {
    let (a, b, at) = (Host::new("other-a"), Host::new("other-b"), address());
    // The requester is of a newer version: it sends a field more, which the replier does not read.
    let old = Declaration::req_rep(question("Sum", &["x"]), question("Total", &["x"]));
    let new = Declaration::req_rep(question("Sum", &["x", "y"]), question("Total", &["x"]));
    let wrong = Declaration::req_rep(question("Sum", &["z"]), question("Total", &["x"]));
    let mut requester = DynRequester::create(&b.full("sum"), &new).unwrap();
    let _refused = DynRequester::create(&b.full("bad"), &wrong).unwrap();
    let _out = a.bridge(&["--listen", &at, "--export", "*"]);
    let to_b = b.bridge(&["--connect", &at, "--import", "*"]);
    let _sum = Echo::new(&a.full("sum"), &old, |bytes| bytes);
    let _bad = Echo::new(&a.full("bad"), &old, |bytes| bytes);
    let value = Value::from_iter([("x", Value::from(3)), ("y", Value::from(4))]);
    let reply = wait_for("reply", || requester.request(&value, WAIT).ok());
    assert_eq!(reply.value().unwrap().to_string(), r#"{"x":3}"#);
    let why = to_b.refusal("bad");
    assert!(why.contains("field `x`"), "{why}");
}

/// Pulls jobs on a host until it is stopped; returns how often each came.
fn count_jobs(full: String, stop: &AtomicBool) -> BTreeMap<u64, u32> {
    let mut puller = wait_for("queue", || match DynPuller::open(&full) {
        Ok(puller) => Some(puller),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    });
    let mut counted = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok(job) = puller.recv_timeout(Duration::from_millis(20)) {
            *counted.entry(number(job.bytes())).or_default() += 1;
        }
    }
    counted
}

#[test]
fn each_job_is_done_once_on_another_host() {
    let (a, b, at) = (Host::new("jobs-a"), Host::new("jobs-b"), address());
    let out = a.bridge(&["--listen", &at, "--export", "*"]);
    let _in = b.bridge(&["--connect", &at, "--import", "*"]);
    let queue = Declaration::push_pull(Content::Bytes).slot_size(256).slots(16);
    let mut pusher = DynPusher::create(&a.full("jobs"), &queue).unwrap();
    let stop = AtomicBool::new(false);
    let counted = std::thread::scope(|scope| {
        let counted = scope.spawn(|| count_jobs(b.full("jobs"), &stop));
        for n in 0..1_000 {
            pusher.send_bytes(&message(n)).unwrap();
        }
        // Jobs stay when their pusher leaves.
        drop(pusher);
        wait_until("all jobs", || out.metric("messages_total", &["jobs"]) == 1_000);
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        counted.join().unwrap()
    });
    assert_eq!(counted, (0..1_000).map(|n| (n, 1)).collect());
}

#[test]
fn killed_bridge_loses_no_job() {
    let (a, b, at) = (Host::new("jobkill-a"), Host::new("jobkill-b"), address());
    let listen = ["--listen", at.as_str(), "--export", "*"];
    let connect = ["--connect", at.as_str(), "--import", "*"];
    let (mut out, mut to_b) = (a.bridge(&listen), b.bridge(&connect));
    let queue = Declaration::push_pull(Content::Bytes).slot_size(256).slots(64);
    let mut pusher = DynPusher::create(&a.full("jobs"), &queue).unwrap();
    let stop = AtomicBool::new(false);
    let (counted, kills) = std::thread::scope(|scope| {
        let counted = scope.spawn(|| count_jobs(b.full("jobs"), &stop));
        for n in 0..1_000 {
            if n == 300 {
                out.kill();
                out = a.bridge(&listen);
            }
            if n == 600 {
                to_b.kill();
                to_b = b.bridge(&connect);
            }
            pusher.send_bytes(&message(n)).unwrap();
        }
        wait_until("empty queue", || {
            shmcomm::find_segment(&a.full("jobs")).unwrap().is_none_or(|info| info.queued_work() == 0)
        });
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        (counted.join().unwrap(), 2)
    });
    assert_eq!(counted.keys().copied().collect::<Vec<_>>(), (0..1_000).collect::<Vec<_>>());
    let repeated: u32 = counted.values().map(|times| times - 1).sum();
    assert!(repeated <= kills, "{repeated} jobs came twice after {kills} kills");
}

#[test]
fn queue_with_two_directions_is_refused() {
    let (a, b, at) = (Host::new("ways-a"), Host::new("ways-b"), address());
    let both = ["--export", "*", "--import", "*"];
    let out = a.bridge(&[&["--listen", &at], &both[..]].concat());
    let _in = b.bridge(&[&["--connect", &at], &both[..]].concat());
    let queue = Declaration::push_pull(Content::Bytes).slot_size(256);
    let mut pusher = DynPusher::create(&a.full("jobs"), &queue).unwrap();
    pusher.send_bytes(&message(1)).unwrap();
    assert!(out.refusal("jobs").contains("one direction"));
    let mut puller = DynPuller::open(&a.full("jobs")).unwrap();
    assert_eq!(number(puller.recv_timeout(DEADLINE).unwrap().bytes()), 1);
}

shmcomm::channel! {
    State: Table { name: "state", number: u32 }
}

#[test]
fn streams_and_tables_are_refused_with_the_reason() {
    let (a, at) = (Host::new("stays"), address());
    let out = a.bridge(&["--listen", &at, "--export", "*"]);
    const ROWS: Channel<ReqStream<u32, u32>> = Channel::new("rows");
    let replier = ROWS.open().namespace(&a.name).replier().unwrap();
    let writer = State::open().namespace(&a.name).writer(State::NUMBER).unwrap();
    let why = out.refusal("rows");
    assert!(why.contains("direction=\"export\"") && why.contains("its replies are streams"), "{why}");
    let why = out.refusal("state");
    assert!(why.contains("it is a table"), "{why}");
    drop((replier, writer));
    wait_until("end of the refusals", || out.metric("refusal{", &[]) == 0);
}
