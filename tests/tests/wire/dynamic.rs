//! Observers and dynamic ends, on channels of an unmodified Python process.

use shmcomm::schema::Value;
use shmcomm::{
    DynError, DynPublisher, DynPuller, DynPusher, DynReplier, DynRequester, DynSubscriber, ErrorKind,
    Observed, Observer, WaitSet, Wire, describe,
};
use shmcomm_tests::python;
use shmcomm_tests::wire::{LONG, Name, Talker};

/// Says a line to Python and expects what it prints.
fn talk(python: &mut Talker, line: &str, answer: &str) {
    python.say(line);
    assert_eq!(python.line(), answer, "{line}");
}

fn pose(number: i64) -> Value {
    Value::from_iter([("number", Value::from(number)), ("xyz", Value::from(vec![1.0, 2.5]))])
}

#[test]
fn observer_and_dynamic_ends_meet_a_python_publisher() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("dynamic-in");
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("p = Publisher({:?})", name.0), "ok");
    let what = describe(&name.0).unwrap().unwrap();
    assert_eq!((what.wire, what.codec), (Wire::Python, None));
    let mut observer = Observer::open(&name.0).unwrap();
    let mut subscriber = DynSubscriber::open(&name.0).unwrap();
    assert_eq!(WaitSet::new().add((), &subscriber).unwrap_err().kind(), ErrorKind::Unsupported);
    let mut set = WaitSet::new();
    set.add((), &observer).unwrap();
    for number in 0..3 {
        talk(&mut snake, &format!("p.send({{'number': {number}, 'xyz': (1.0, 2.5)}})"), "True");
        assert_eq!(set.wait_timeout(LONG).unwrap().len(), 1);
        let Observed::Message(message) = observer.next() else { panic!("the set says so") };
        assert_eq!((message.position(), message.value().unwrap()), (number as u64, pose(number)));
        assert_eq!(subscriber.recv_timeout(LONG).unwrap().value().unwrap(), pose(number));
    }
    assert_eq!(observer.latest().map(|message| message.value().unwrap()), Some(pose(2)));
    // The publisher of Python leaves, and a dynamic one takes its place.
    talk(&mut snake, "p.close()", "None");
    assert!(matches!(observer.next_timeout(LONG), Observed::Gone));
    drop(snake);
}

#[test]
fn dynamic_publisher_is_received_by_python() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("dynamic-out");
    let declared =
        shmcomm::Declaration::pub_sub(shmcomm::Content::Pickle).wire(Wire::Python).slots(8).slot_size(100);
    let mut publisher = DynPublisher::create(&name.0, &declared).unwrap();
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("s = Subscriber({:?})", name.0), "ok");
    let mut observer = Observer::open(&name.0).unwrap();
    for number in 0..3 {
        publisher.send(&pose(number)).unwrap();
        talk(&mut snake, "s.recv(timeout=30.0)", &format!("{{'number': {number}, 'xyz': [1.0, 2.5]}}"));
        let Observed::Message(message) = observer.next_timeout(LONG) else { panic!("a message was sent") };
        assert_eq!(message.value().unwrap(), pose(number));
    }
    let long = publisher.send(&Value::from("x".repeat(200))).unwrap_err();
    assert!(matches!(long, DynError::TooLong { capacity: 100, .. }), "{long}");
}

#[test]
fn dynamic_ends_share_a_queue_with_python() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("dynamic-jobs");
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("p = Pusher({:?})", name.0), "ok");
    let mut puller = DynPuller::open(&name.0).unwrap();
    talk(&mut snake, "p.send({'number': 1, 'xyz': [1.0, 2.5]})", "True");
    assert_eq!(puller.recv_timeout(LONG).unwrap().value().unwrap(), pose(1));
    assert!(matches!(puller.try_recv(), Err(DynError::Empty)));
    talk(&mut snake, "p.close()", "None");
    drop(puller);

    let name = Name::new("dynamic-jobs-out");
    let declared = shmcomm::Declaration::push_pull(shmcomm::Content::Pickle).wire(Wire::Python);
    let mut pusher = DynPusher::create(&name.0, &declared).unwrap();
    talk(&mut snake, &format!("q = Puller({:?})", name.0), "ok");
    pusher.send(&pose(2)).unwrap();
    talk(&mut snake, "q.recv(timeout=30.0)", "{'number': 2, 'xyz': [1.0, 2.5]}");
}

#[test]
fn dynamic_ends_ask_and_answer_python() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("dynamic-ask");
    let mut service = Talker::python(python, "serve.py", &[&name.0, "pickle", "4"]);
    service.expect("ready");
    let mut requester = DynRequester::open(&name.0).unwrap();
    let reply = requester.request(&Value::from_iter([("n", Value::from(21))]), LONG).unwrap();
    assert_eq!(reply.value().unwrap().to_string(), r#"{"twice":42}"#);
    drop(requester);
    drop(service);

    let name = Name::new("dynamic-answer");
    let pickle = || shmcomm::Content::Pickle;
    let declared = shmcomm::Declaration::req_rep(pickle(), pickle()).wire(Wire::Python);
    let mut replier = DynReplier::create(&name.0, &declared).unwrap();
    let answering = std::thread::spawn(move || {
        let request = replier.recv_timeout(LONG).unwrap();
        let n = request.message().value().unwrap()["n"].clone();
        request.reply(&Value::from_iter([("is", n)])).unwrap();
        replier
    });
    let mut snake = Talker::python(python, "lines.py", &[]);
    talk(&mut snake, &format!("r = Requester({:?})", name.0), "ok");
    talk(&mut snake, "r.request({'n': 7}, timeout=30.0)", "{'is': 7}");
    drop(answering.join().unwrap());
}
