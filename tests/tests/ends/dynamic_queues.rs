//! Jobs and requests of dynamic ends: claimed jobs, and messages that are too long.

use shmcomm::schema::Value;
use shmcomm::{
    Content, Declaration, DynError, DynPublisher, DynPuller, DynPusher, DynReplier, DynRequester, Wire,
};
use shmcomm_tests::namespace;
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Wires of this platform.
const WIRES: &[Wire] = if cfg!(unix) { &[Wire::Native, Wire::Python] } else { &[Wire::Native] };

#[test]
fn claimed_job_is_done_or_returns_to_the_queue() {
    let ns = namespace("claimed");
    let declared = Declaration::push_pull(Content::Msgpack).slots(4);
    let mut pusher = DynPusher::create(&format!("{ns}/jobs"), &declared).unwrap();
    let mut puller = DynPuller::open(pusher.name()).unwrap();
    assert!(matches!(puller.try_claim().map(drop), Err(DynError::Empty)));
    assert!(matches!(puller.claim_timeout(Duration::ZERO).map(drop), Err(DynError::Timeout)));
    pusher.send(&7.into()).unwrap();
    let mut other = DynPuller::open(pusher.name()).unwrap();
    let job = puller.claim().unwrap();
    assert!(!job.redelivered() && job.message().value().unwrap() == Value::Int(7));
    assert!(matches!(other.try_recv(), Err(DynError::Empty)), "one puller has it");
    job.put_back();
    let job = other.claim_timeout(PATIENCE).unwrap();
    assert!(job.redelivered() && job.message().value().unwrap() == Value::Int(7));
    job.done();
    assert!(matches!(puller.try_recv(), Err(DynError::Empty)));
    for &wire in WIRES.iter().filter(|wire| **wire == Wire::Python) {
        let name = format!("{}-jobs", ns.replace('/', "-"));
        let declared = Declaration::push_pull(Content::Bytes).wire(wire);
        let _pusher = DynPusher::create(&name, &declared).unwrap();
        let mut puller = DynPuller::open(&name).unwrap();
        let refused = puller.try_claim().unwrap_err().to_string();
        assert!(refused.contains("Python wire"), "{refused}");
    }
}

#[test]
fn too_long_job_request_and_reply_state_both_sizes() {
    let ns = namespace("too-long");
    let sizes = |error: DynError| match error {
        DynError::TooLong { size, capacity } => (size, capacity),
        other => panic!("{other}"),
    };
    let bytes = vec![7; 65];
    for &wire in WIRES {
        let name = |what: &str| match wire {
            Wire::Native => format!("{ns}/{what}"),
            _ => format!("{}-{what}", ns.replace('/', "-")),
        };
        let declared = |declared: Declaration| declared.slot_size(64).wire(wire);
        let jobs = declared(Declaration::push_pull(Content::Bytes));
        let mut pusher = DynPusher::create(&name("jobs"), &jobs).unwrap();
        for result in [
            pusher.send_bytes(&bytes),
            pusher.try_send_bytes(&bytes),
            pusher.send_bytes_timeout(&bytes, Duration::ZERO),
        ] {
            assert_eq!(sizes(result.unwrap_err()), (65, 64), "{wire:?}");
        }
        let service = declared(Declaration::req_rep(Content::Bytes, Content::Bytes));
        let mut replier = DynReplier::create(&name("service"), &service).unwrap();
        let mut requester = DynRequester::open(replier.name()).unwrap();
        let refused = requester.request_bytes(&bytes, PATIENCE).unwrap_err();
        assert_eq!(sizes(refused), (65, 64), "{wire:?}");
        let answering = thread::spawn(move || {
            let request = replier.recv_timeout(PATIENCE).unwrap();
            request.reply_bytes(&[7; 65]).unwrap_err()
        });
        let _ = requester.request_bytes(&[1], Duration::from_millis(300));
        assert_eq!(sizes(answering.join().unwrap()), (65, 64), "{wire:?}");
        let feed = declared(Declaration::pub_sub(Content::Bytes));
        let mut publisher = DynPublisher::create(&name("feed"), &feed).unwrap();
        assert_eq!(sizes(publisher.send_bytes(&bytes).unwrap_err()), (65, 64), "{wire:?}");
    }
    for content in [Content::Msgpack, Content::Pickle, Content::Bytes] {
        let declared = Declaration::push_pull(content).slot_size(64);
        let mut pusher = DynPusher::create(&format!("{ns}/coded"), &declared).unwrap();
        let (size, capacity) = sizes(pusher.try_send(&Value::Bytes(bytes.clone())).unwrap_err());
        assert!((65..90).contains(&size) && capacity == 64, "{size} of {capacity}");
    }
}
