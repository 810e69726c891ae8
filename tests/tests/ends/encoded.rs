//! Messages of any serde type on native channels, through msgpack and pickle.

use serde::{Deserialize, Serialize};
use shmcomm::codec::Value;
use shmcomm::{PushTimeoutError, SendError, TryPullError, TryPushError, TryRecvError, channel};
use shmcomm_tests::namespace;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    id: u64,
    arguments: Vec<String>,
    options: BTreeMap<String, Option<f64>>,
}

fn job(id: u64) -> Job {
    Job {
        id,
        arguments: vec!["größe".into(), "x".repeat(id as usize % 50)],
        options: [("timeout".into(), Some(1.5)), ("retries".into(), None)].into(),
    }
}

channel! {
    Packed: PubSub<Job, Msgpack> { name: "packed", slots: 64, slot_size: 512 }
    Pickled: PubSub<Job, Pickle> { name: "pickled", slots: 8, slot_size: 16 * 1024 }
    Raw: PubSub<[u8], Bytes> { name: "raw", slots: 8, slot_size: 64 }
    Work: PushPull<Job, Msgpack> { name: "work", slots: 8, slot_size: 256 }
    RawWork: PushPull<[u8], Bytes> { name: "raw-work", slots: 8, slot_size: 64 }
    RawCalls: ReqRep<[u8], [u8], Bytes> { name: "raw-calls", slots: 8, slot_size: 64 }
    Words: PubSub<str, Bytes> { name: "words", slots: 8, slot_size: 64 }
    Names: ReqRep<str, [String], Msgpack> { name: "names", slots: 8, slot_size: 64 }
}

channel! {
    /// The same channel for a program that knows no type.
    Anything: PubSub<Value, Pickle> { name: "pickled", slots: 8, slot_size: 16 * 1024 }
}

#[test]
fn every_codec_publishes_in_every_discipline() {
    let ns = namespace("published");
    let mut packed = Packed::open().namespace(&*ns).publisher().unwrap();
    let mut unpack = Packed::open().namespace(&*ns).subscriber().unwrap();
    let mut pickled = Pickled::open().namespace(&*ns).publisher().unwrap();
    let mut unpickle = Pickled::open().namespace(&*ns).subscriber().unwrap();
    for id in 0..200 {
        packed.send(&job(id)).unwrap();
        assert_eq!(unpack.recv(), Ok(job(id)));
        pickled.send(&job(id)).unwrap();
        assert_eq!(unpickle.recv_timeout(Duration::from_secs(5)), Ok(job(id)));
    }
    assert_eq!(unpack.latest(), Ok(Some(job(199))));
    assert_eq!(unpack.try_recv(), Err(TryRecvError::Empty));
    // A program without the type reads the bytes.
    pickled.send(&job(3)).unwrap();
    let mut any = Anything::open().namespace(&*ns).history(1).subscriber().unwrap();
    let value = any.recv().unwrap();
    assert_eq!(value.get("id").and_then(Value::as_i64), Some(3));
}

#[test]
fn message_that_does_not_fit_is_refused_with_its_size() {
    let ns = namespace("long");
    let mut publisher = Packed::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Packed::open().namespace(&*ns).subscriber().unwrap();
    let mut long = job(1);
    long.arguments.push("y".repeat(1000));
    match publisher.send(&long) {
        Err(SendError::TooLong { size, capacity: 512 }) => assert!((1000..1200).contains(&size), "{size}"),
        other => panic!("{other:?}"),
    }
    publisher.send(&job(2)).unwrap();
    assert_eq!(subscriber.try_recv(), Ok(job(2)));
    assert_eq!(publisher.stats().messages, 1);

    let mut pusher = Work::open().namespace(&*ns).pusher().unwrap();
    let mut puller = Work::open().namespace(&*ns).puller().unwrap();
    let error = pusher.send_timeout(&long, Duration::ZERO).unwrap_err();
    assert!(
        matches!(error, PushTimeoutError::Unencodable(_)) && error.to_string().contains("256"),
        "{error}"
    );
    assert_eq!(puller.try_recv(), Err(TryPullError::Empty));
    for id in 0..8 {
        pusher.try_send(&job(id)).unwrap();
    }
    assert_eq!(pusher.try_send(&job(8)), Err(TryPushError::Full));
    for id in 0..8 {
        assert_eq!(puller.recv(), Ok(job(id)));
    }
}

#[test]
fn invalid_bytes_are_refused_and_the_next_is_received() {
    let ns = namespace("refused");
    let mut raw = Raw::open().namespace(&*ns).publisher().unwrap();
    raw.send(b"abc").unwrap();
    // The same name with another codec is told apart when it is opened.
    channel! { Other: PubSub<Job, Msgpack> { name: "raw", slots: 8, slot_size: 64 } }
    let open = Other::open().namespace(&*ns).connect_timeout(Duration::ZERO).subscriber();
    let text = open.map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("raw bytes") && text.contains("msgpack"), "{text}");

    // Another type of the same codec shows only in the message.
    channel! { Wrong: PubSub<BTreeMap<String, u8>, Pickle> { name: "pickled", slots: 8, slot_size: 16 * 1024 } }
    let mut publisher = Wrong::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Pickled::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&BTreeMap::from([("id".to_owned(), 1)])).unwrap();
    match subscriber.try_recv() {
        Err(TryRecvError::Invalid(why)) => assert!(why.to_string().contains("Job"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn unsized_messages_are_received_in_owned_form() {
    let ns = namespace("unsized");
    let mut raw = Raw::open().namespace(&*ns).publisher().unwrap();
    let mut bytes = Raw::open().namespace(&*ns).subscriber().unwrap();
    for message in [&b"abc"[..], b"", &[0xff; 64]] {
        raw.send(message).unwrap();
        assert_eq!(bytes.recv(), Ok(message.to_vec()));
    }
    assert_eq!(bytes.latest(), Ok(Some(vec![0xff; 64])));
    assert!(matches!(raw.send(&[0; 65]), Err(SendError::TooLong { size: 65, capacity: 64 })));

    let mut pusher = RawWork::open().namespace(&*ns).pusher().unwrap();
    let mut puller = RawWork::open().namespace(&*ns).puller().unwrap();
    pusher.send(b"job").unwrap();
    assert_eq!(puller.recv(), Ok(b"job".to_vec()));

    let requester = RawCalls::open().namespace(&*ns).requester().unwrap();
    let mut replier = RawCalls::open().namespace(&*ns).replier().unwrap();
    let call = requester.call(b"question").unwrap();
    let request = replier.recv().unwrap();
    assert_eq!(&*request, b"question");
    request.reply(b"answer").unwrap();
    assert_eq!(call.wait(), Ok(b"answer".to_vec()));
    let call = requester.call(b"again").unwrap();
    let stop = replier.stop_handle();
    let service = |request: &[u8]| {
        stop.stop();
        request.to_ascii_uppercase()
    };
    assert_eq!(replier.serve(service), Ok(1));
    assert_eq!(call.wait(), Ok(b"AGAIN".to_vec()));

    let requester = Names::open().namespace(&*ns).requester().unwrap();
    let mut replier = Names::open().namespace(&*ns).replier().unwrap();
    let call = requester.call("a b").unwrap();
    let request = replier.recv().unwrap();
    let names: Vec<_> = request.split(' ').map(str::to_owned).collect();
    request.reply(&names).unwrap();
    assert_eq!(call.wait(), Ok(names));
}

#[test]
fn bytes_that_are_no_value_of_the_type_are_refused() {
    let ns = namespace("no-text");
    channel! { Any: PubSub<[u8], Bytes> { name: "words", slots: 8, slot_size: 64 } }
    channel! { Four: PubSub<[u8; 4], Bytes> { name: "words", slots: 8, slot_size: 64 } }
    let mut publisher = Any::open().namespace(&*ns).publisher().unwrap();
    let mut words = Words::open().namespace(&*ns).subscriber().unwrap();
    let mut four = Four::open().namespace(&*ns).subscriber().unwrap();
    publisher.send("größ".as_bytes()).unwrap();
    assert_eq!(words.recv(), Ok("größ".to_owned()));
    let refused = |error: TryRecvError, expected: &str| match error {
        TryRecvError::Invalid(why) => assert!(why.to_string().contains(expected), "{why}"),
        other => panic!("{other:?}"),
    };
    refused(four.try_recv().unwrap_err(), "6 bytes: no `[u8; 4]`");
    publisher.send(b"ab\xff!").unwrap();
    refused(words.try_recv().unwrap_err(), "no UTF-8");
    assert_eq!(four.recv(), Ok(*b"ab\xff!"));
}

#[test]
fn encoded_subscribers_iterate_until_disconnected() {
    let ns = namespace("iter");
    let mut packed = Packed::open().namespace(&*ns).publisher().unwrap();
    let mut pickled = Pickled::open().namespace(&*ns).publisher().unwrap();
    let mut words = Words::open().namespace(&*ns).publisher().unwrap();
    let mut unpack = Packed::open().namespace(&*ns).subscriber().unwrap();
    let mut unpickle = Pickled::open().namespace(&*ns).subscriber().unwrap();
    let mut reader = Words::open().namespace(&*ns).subscriber().unwrap();
    for id in 0..4 {
        packed.send(&job(id)).unwrap();
        pickled.send(&job(id)).unwrap();
        words.send(&"word ".repeat(id as usize)).unwrap();
    }
    drop((packed, pickled, words));
    let jobs: Vec<_> = (0..4).map(job).collect();
    assert_eq!(unpack.iter().collect::<Vec<_>>(), jobs);
    assert_eq!(unpickle.iter().collect::<Vec<_>>(), jobs);
    assert_eq!(reader.iter().collect::<Vec<String>>(), ["", "word ", "word word ", "word word word "]);
    assert_eq!(reader.received(), 4);
}

#[test]
fn encoded_filter_returns_accepted_messages_only() {
    let ns = namespace("filter");
    let mut packed = Packed::open().namespace(&*ns).publisher().unwrap();
    let mut pickled = Pickled::open().namespace(&*ns).publisher().unwrap();
    let mut raw = Raw::open().namespace(&*ns).publisher().unwrap();
    let mut unpack = Packed::open().namespace(&*ns).subscriber().unwrap();
    let mut unpickle = Pickled::open().namespace(&*ns).subscriber().unwrap();
    let mut bytes = Raw::open().namespace(&*ns).subscriber().unwrap();
    for id in 0..8 {
        packed.send(&job(id)).unwrap();
        pickled.send(&job(id)).unwrap();
        raw.send(&[id as u8; 3]).unwrap();
    }
    let mut odd = unpack.filter(|job| job.id % 2 == 1);
    assert_eq!((odd.try_recv(), odd.recv()), (Ok(job(1)), Ok(job(3))));
    assert_eq!(odd.recv_timeout(Duration::from_secs(5)), Ok(job(5)));
    assert_eq!((odd.try_recv(), odd.try_recv()), (Ok(job(7)), Err(TryRecvError::Empty)));
    assert_eq!((unpack.received(), unpack.lost()), (8, 0));
    assert_eq!(unpickle.filter(|job| job.id == 6).recv(), Ok(job(6)));
    drop(raw);
    let few: Vec<Vec<u8>> = bytes.filter(|bytes| bytes[0] > 5).collect();
    assert_eq!(few, [[6; 3], [7; 3]]);
}

#[test]
fn encoded_filter_reports_a_message_of_another_type() {
    let ns = namespace("filter-invalid");
    let mut publisher = Anything::open().namespace(&*ns).publisher().unwrap();
    let mut subscriber = Pickled::open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&Value::Str("no job".into())).unwrap();
    let mut any = subscriber.filter(|_| true);
    assert!(matches!(any.try_recv(), Err(TryRecvError::Invalid(_))));
    assert_eq!(any.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(subscriber.received(), 0);
}

#[test]
fn encoded_latest_skips_and_repeats() {
    let ns = namespace("latest");
    let mut pickled = Pickled::open().namespace(&*ns).publisher().unwrap();
    let mut words = Words::open().namespace(&*ns).publisher().unwrap();
    let mut unpickle = Pickled::open().namespace(&*ns).subscriber().unwrap();
    let mut reader = Words::open().namespace(&*ns).subscriber().unwrap();
    assert_eq!((unpickle.latest(), reader.latest()), (Ok(None), Ok(None)));
    for id in 0..5 {
        pickled.send(&job(id)).unwrap();
        words.send(&id.to_string()).unwrap();
    }
    assert_eq!((unpickle.latest(), unpickle.latest()), (Ok(Some(job(4))), Ok(Some(job(4)))));
    assert_eq!((reader.latest(), reader.latest()), (Ok(Some("4".into())), Ok(Some("4".into()))));
    assert_eq!((unpickle.skipped(), unpickle.received(), reader.skipped()), (4, 1, 4));
}

/// Code that is generic over all formats: fixed layouts and codecs.
mod generic {
    use shmcomm::codec::{Incoming, Outgoing};
    use shmcomm::{Publisher, Puller, Pusher, Replier, Requester, Subscriber};
    use std::borrow::Borrow as _;

    pub fn publish<M: ?Sized, F: Outgoing<M> + Incoming<M>>(
        publisher: &mut Publisher<M, F>,
        subscriber: &mut Subscriber<M, F>,
        message: &M,
    ) -> Vec<F::Owned> {
        publisher.send(message).unwrap();
        publisher.try_send(message).unwrap();
        let first = subscriber.recv().unwrap();
        let latest = subscriber.latest().unwrap().unwrap();
        publisher.send(message).unwrap();
        let filtered = subscriber.filter(|_| true).try_recv().unwrap();
        publisher.send(message).unwrap();
        vec![first, latest, filtered, subscriber.iter().next().unwrap()]
    }

    pub fn push<M: ?Sized, F: Outgoing<M> + Incoming<M>>(
        pusher: &mut Pusher<M, F>,
        puller: &mut Puller<M, F>,
        message: &M,
    ) -> F::Owned {
        pusher.send(message).unwrap();
        puller.recv().unwrap()
    }

    pub fn ask<M: ?Sized, F: Outgoing<M> + Incoming<M>>(
        requester: &Requester<M, M, F>,
        replier: &mut Replier<M, M, F>,
        message: &M,
        service: impl Fn(&M) -> F::Owned,
    ) -> F::Owned {
        let mut call = requester.call(message).unwrap();
        let stop = replier.stop_handle();
        let served = replier.serve(|request| {
            stop.stop();
            service(request)
        });
        assert_eq!(served, Ok(1));
        stop.reset();
        let first = call.poll().unwrap().unwrap();
        let second = requester.call(first.borrow()).unwrap();
        replier.recv().unwrap().reply(message).unwrap();
        second.wait().unwrap()
    }
}

channel! {
    Numbers: PubSub<u64> { name: "numbers", slots: 8 }
    NumberJobs: PushPull<u64> { name: "number-jobs", slots: 8 }
    NumberCalls: ReqRep<u64, u64> { name: "number-calls", slots: 8 }
    JobCalls: ReqRep<Job, Job, Pickle> { name: "job-calls", slots: 8, slot_size: 512 }
}

#[test]
fn generic_code_serves_fixed_layouts_and_codecs() {
    let ns = namespace("generic");
    macro_rules! ends {
        ($Channel:ident: $sender:ident, $receiver:ident) => {{
            let sender = $Channel::open().namespace(&*ns).$sender().unwrap();
            (sender, $Channel::open().namespace(&*ns).$receiver().unwrap())
        }};
    }
    let (mut publisher, mut subscriber) = ends!(Numbers: publisher, subscriber);
    assert_eq!(generic::publish(&mut publisher, &mut subscriber, &7), [7; 4]);
    let (mut publisher, mut subscriber) = ends!(Packed: publisher, subscriber);
    assert_eq!(generic::publish(&mut publisher, &mut subscriber, &job(7)), vec![job(7); 4]);
    let (mut publisher, mut subscriber) = ends!(Words: publisher, subscriber);
    assert_eq!(generic::publish(&mut publisher, &mut subscriber, "word"), ["word"; 4]);

    let (mut pusher, mut puller) = ends!(NumberJobs: pusher, puller);
    assert_eq!(generic::push(&mut pusher, &mut puller, &7), 7);
    let (mut pusher, mut puller) = ends!(Work: pusher, puller);
    assert_eq!(generic::push(&mut pusher, &mut puller, &job(7)), job(7));
    let (mut pusher, mut puller) = ends!(RawWork: pusher, puller);
    assert_eq!(generic::push(&mut pusher, &mut puller, b"raw"), b"raw");

    let (requester, mut replier) = ends!(NumberCalls: requester, replier);
    assert_eq!(generic::ask(&requester, &mut replier, &7, |number| number + 1), 7);
    let (requester, mut replier) = ends!(JobCalls: requester, replier);
    assert_eq!(generic::ask(&requester, &mut replier, &job(7), |request| job(request.id + 1)), job(7));
    let (requester, mut replier) = ends!(RawCalls: requester, replier);
    assert_eq!(generic::ask(&requester, &mut replier, b"raw", <[u8]>::to_vec), b"raw");
}
