//! The three patterns with a Python process on the other end, in both directions, with msgpack.

use serde::{Deserialize, Serialize};
use shmcomm::codec::Msgpack;
use shmcomm::python::{Publisher, Puller, Pusher, Replier, Requester, Subscriber};
use shmcomm_tests::python;
use shmcomm_tests::wire::{LONG, Name, Talker};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Number {
    number: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ask {
    n: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    twice: u64,
}

#[test]
fn python_receives_what_a_publisher_sends() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("msgpack-out");
    let mut publisher = Publisher::<Number, Msgpack>::open(name.pubsub()).unwrap();
    let mut subscriber = Talker::python(python, "subscribe.py", &[&name.0, "msgpack"]);
    subscriber.expect("ready");
    publisher.send(&Number { number: u64::MAX }).unwrap();
    subscriber.expect(&format!("{{'number': {}}}", u64::MAX));
}

#[test]
fn a_subscriber_receives_what_python_publishes() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("msgpack-in");
    let mut publisher = Talker::python(python, "publish.py", &[&name.0, "msgpack"]);
    publisher.expect("ready");
    let mut subscriber = Subscriber::<Number, Msgpack>::open(name.pubsub()).unwrap();
    publisher.say("{'number': 2**63}");
    assert_eq!(subscriber.recv_timeout(LONG).unwrap(), Number { number: 1 << 63 });
}

#[test]
fn jobs_go_both_ways() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("msgpack-push");
    let mut pusher = Pusher::<Number, Msgpack>::open(name.pushpull()).unwrap();
    let mut puller = Talker::python(python, "pull.py", &[&name.0, "msgpack"]);
    puller.expect("ready");
    for number in 0..3 {
        pusher.send(&Number { number }).unwrap();
    }
    puller.say("go");
    puller.expect("0 1 2");
    drop(pusher);

    let mut pusher = Talker::python(python, "push.py", &[&name.0, "msgpack", "3"]);
    pusher.expect("ready");
    let mut puller = Puller::<Number, Msgpack>::open(name.pushpull()).unwrap();
    pusher.say("go");
    for number in 0..3 {
        assert_eq!(puller.recv_timeout(LONG).unwrap(), Number { number });
    }
}

#[test]
fn python_is_answered() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("msgpack-serve");
    let mut replier = Replier::<Ask, Answer, Msgpack>::open(name.reqrep()).unwrap();
    // Two clients, one after the other: old replies are hidden with a None of msgpack.
    for _ in 0..2 {
        let mut requester = Talker::python(python, "ask.py", &[&name.0, "msgpack", "40"]);
        requester.expect("ready");
        requester.say("go");
        for _ in 0..40 {
            let Ask { n } = replier.recv_timeout(LONG).unwrap();
            replier.send(&Answer { twice: 2 * n }).unwrap();
        }
        requester.expect("done");
    }
}

#[test]
fn python_answers() {
    let Some(python) = python::latest() else { return };
    let name = Name::new("msgpack-ask");
    let mut replier = Talker::python(python, "serve.py", &[&name.0, "msgpack", "16"]);
    replier.expect("ready");
    let mut requester = Requester::<Ask, Answer, Msgpack>::open(name.reqrep()).unwrap();
    for n in 0..40 {
        assert_eq!(requester.request(&Ask { n }, LONG), Ok(Answer { twice: 2 * n }));
    }
}
