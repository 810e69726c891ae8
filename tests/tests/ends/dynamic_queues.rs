//! Jobs and requests of dynamic ends: claimed jobs, and messages that are too long.

use shmcomm::schema::Value;
use shmcomm::{
    Content, Declaration, DynError, DynPublisher, DynPuller, DynPusher, DynReplier, DynRequester, ErrorKind,
    RequestTimeoutError, Wire, describe,
};
use shmcomm_tests::{Plan, Small, namespace};
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

/// Returns the declaration of `Plan` that is known at run time.
fn plan(name: &str) -> Declaration {
    let what = describe(name).unwrap().unwrap();
    let part = |layout: Option<&shmcomm::schema::Layout>| Content::Fixed(layout.unwrap().clone());
    Declaration::req_rep(part(what.request()), part(what.reply())).streams(Plan::WINDOW as u64)
}

#[test]
fn dynamic_and_typed_ends_share_streams() {
    let ns = namespace("dyn-stream");
    let requester = Plan::open().namespace(&*ns).requester().unwrap();
    let name = requester.name().to_owned();
    let declared = plan(&name);
    // The dynamic end takes the layout from the segment, then it makes the same segment.
    for made in [false, true] {
        let mut replier = DynReplier::open(&name);
        let mut requester = Some(Plan::open().namespace(&*ns).requester().unwrap());
        if made {
            drop((replier, requester.take()));
            replier = DynReplier::create(&format!("{ns}/made/plan"), &declared);
            requester = Some(Plan::open().namespace(&*ns).sub_namespace("made").requester().unwrap());
        }
        let (mut replier, requester) = (replier.unwrap(), requester.unwrap());
        assert_eq!(requester.window(), 4);
        let mut replies = requester.call(&Small::new(1)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut request = replier.recv_timeout(PATIENCE).unwrap();
                assert!(request.has_stream() && request.is_wanted());
                let value = request.message().value().unwrap();
                for _ in 0..100 {
                    request.send(&value).unwrap();
                }
                request.end().unwrap();
            });
            for _ in 0..100 {
                assert_eq!(replies.recv().unwrap(), Some(Small::new(1)));
            }
            assert_eq!(replies.recv().unwrap(), None);
        });
    }
    let mut replier = Plan::open().namespace(&*ns).replier().unwrap();
    let requester = DynRequester::open(&name).unwrap();
    assert!(requester.has_streams());
    let request = describe(&name).unwrap().unwrap().request().unwrap().clone();
    let bytes = vec![0; request.size()];
    let mut streams = [requester.stream_bytes(&bytes, PATIENCE), requester.stream_bytes(&bytes, PATIENCE)]
        .map(Result::unwrap);
    assert!(matches!(streams[0].try_recv(), Err(DynError::Empty)));
    assert!(matches!(streams[0].recv_timeout(Duration::ZERO), Err(DynError::Timeout)));
    for round in 0..2 {
        let mut request = replier.recv_timeout(PATIENCE).unwrap();
        for number in 0..3 {
            request.try_send(&Small::new(10 * round + number)).unwrap();
        }
        request.end().unwrap();
    }
    for (round, replies) in streams.iter_mut().enumerate() {
        let numbers: Vec<_> = replies.map(|reply| reply.unwrap().value().unwrap().to_string()).collect();
        let expected = |number: u64| format!("\"number\":{}", 10 * round as u64 + number);
        assert!((0..3).all(|number| numbers[number as usize].contains(&expected(number))), "{numbers:?}");
        assert_eq!((numbers.len(), replies.received()), (3, 3));
        assert!(replies.recv().unwrap().is_none());
    }
}

#[test]
fn dynamic_stream_is_cancelled_and_waits_for_room() {
    let ns = namespace("dyn-stream-cancel");
    let declared = Declaration::req_rep(Content::Bytes, Content::Bytes).slot_size(8).streams(2);
    let mut replier = DynReplier::create(&format!("{ns}/lines"), &declared).unwrap();
    let requester = DynRequester::open(replier.name()).unwrap();
    let replies = requester.stream_bytes(&[1], PATIENCE).unwrap();
    let mut request = replier.try_recv().unwrap();
    request.send_bytes(&[1]).unwrap();
    let long = request.send_bytes(&[0; 4096]).unwrap_err();
    assert!(matches!(long, DynError::TooLong { size: 4096, .. }), "{long}");
    request.try_send(&Value::Bytes(vec![2; 8])).unwrap();
    assert!(matches!(request.try_send(&Value::Bytes(vec![3])), Err(DynError::Full)));
    assert!(matches!(request.send_bytes_timeout(&[3], Duration::ZERO), Err(DynError::Timeout)));
    replies.cancel();
    assert!(!request.is_wanted());
    assert!(matches!(request.send_bytes(&[4]), Err(DynError::Cancelled)));
    assert!(matches!(request.end(), Err(DynError::Cancelled)));
    // The replier drops a request without an end, and answers another one as if it had one reply.
    let mut replies = requester.stream_bytes(&[1], PATIENCE).unwrap();
    drop(replier.try_recv().unwrap());
    let dropped = replies.recv().unwrap_err();
    assert!(dropped.to_string().contains("dropped the request without an answer"), "{dropped}");
    let mut replies = requester.stream_bytes(&[1], PATIENCE).unwrap();
    let refused = replier.try_recv().unwrap().reply_bytes(&[1]).unwrap_err();
    assert!(refused.to_string().contains("use `send` for each reply"), "{refused}");
    assert!(replies.next().unwrap().is_err() && replies.next().is_none());
}

#[test]
fn calls_for_streams_and_one_reply_are_not_mixed() {
    let ns = namespace("dyn-stream-mixed");
    let one = Declaration::req_rep(Content::Bytes, Content::Bytes);
    let streams = one.clone().streams(2);
    let mut asking = DynRequester::create(&format!("{ns}/streams"), &streams).unwrap();
    let refused = asking.request_bytes(&[1], PATIENCE).unwrap_err();
    assert!(refused.to_string().contains("use `stream`"), "{refused}");
    let mut replier = DynReplier::create(&format!("{ns}/one"), &one).unwrap();
    let mut requester = DynRequester::open(replier.name()).unwrap();
    let refused = requester.stream_bytes(&[1], PATIENCE).unwrap_err();
    assert!(refused.to_string().contains("has one reply"), "{refused}");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut request = replier.recv_timeout(PATIENCE).unwrap();
            assert!(!request.has_stream());
            assert!(request.send_bytes(&[1]).unwrap_err().to_string().contains("has one reply"));
            assert!(request.end().unwrap_err().to_string().contains("has one reply"));
        });
        let declined = requester.request_bytes(&[1], PATIENCE).unwrap_err();
        let DynError::Other(why) = declined else { panic!("{declined}") };
        assert_eq!(why.downcast_ref(), Some(&RequestTimeoutError::Unanswered));
    });
    for (declared, why) in [
        (streams.clone().redelivers(true), "not redelivered"),
        (streams.clone().wire(Wire::Python), "Python library"),
    ] {
        let error = DynRequester::create(&format!("{ns}/wrong"), &declared).unwrap_err();
        assert!(error.kind() == ErrorKind::ChannelMismatch && error.to_string().contains(why), "{error}");
    }
    let jobs = DynPusher::create(&format!("{ns}/jobs"), &Declaration::push_pull(Content::Bytes).streams(2));
    let error = jobs.unwrap_err().to_string();
    assert!(error.contains("a stream of replies is for request/reply"), "{error}");
    let wide = DynRequester::create(&format!("{ns}/wide"), &one.streams(1 << 40)).unwrap_err();
    assert_eq!(wide.kind(), ErrorKind::InvalidGeometry);
}
