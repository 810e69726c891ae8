//! Ends whose layout is known at run time, against their typed twins: every pattern, format and wire.

use shmcomm::codec::{Bytes, Msgpack, Pickle};
use shmcomm::schema::{Layout, Value};
use shmcomm::{
    Channel, Content, Declaration, DynError, DynPublisher, DynPuller, DynPusher, DynReplier, DynRequester,
    DynSubscriber, ErrorKind, MessageFormat, Observed, Observer, Overflow, Pad, PubSub, PushPull, ReqRep,
    ShmMessage, ShmOption, ShmString, ShmVec, Timestamp, WaitSet, describe,
};
use shmcomm_tests::namespace;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, Default, PartialEq, ShmMessage, serde::Serialize)]
#[repr(u8)]
enum Mode {
    #[default]
    Idle = 0,
    Run = 7,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage, serde::Serialize)]
#[repr(C)]
struct State {
    stamp: Timestamp,
    number: u64,
    acc: [f32; 3],
    mode: Mode,
    ok: bool,
    #[serde(skip)]
    pad: Pad<2>,
    frame: ShmString<20>,
    path: ShmVec<[i16; 2], 4>,
    target: ShmOption<char>,
    #[serde(skip)]
    end: Pad<4>,
}

fn state(number: u64) -> State {
    State {
        stamp: Timestamp::from_nanos(-5),
        number,
        acc: [0.97, -0.24, 9.81],
        mode: Mode::Run,
        ok: true,
        pad: Pad::default(),
        frame: ShmString::new("ödom").unwrap(),
        path: ShmVec::try_from([[1, 2], [-3, 4]].as_slice()).unwrap(),
        target: ShmOption::some('√'),
        end: Pad::default(),
    }
}

/// Returns the value that serde sees in a message.
fn json<M: serde::Serialize>(message: &M) -> Value {
    serde_json::from_str(&serde_json::to_string(message).unwrap()).unwrap()
}

const STATES: Channel<PubSub<State>> = Channel::new("states");

#[test]
fn dynamic_and_typed_ends_exchange_structs() {
    let channels =
        [STATES, STATES.slots(8).slot_size(8192), STATES.publishers(2), STATES.overflow(Overflow::Wait)];
    for channel in channels {
        let ns = namespace("structs");
        let mut publisher = channel.open().namespace(&*ns).publisher().unwrap();
        let mut dynamic = DynSubscriber::open(publisher.name()).unwrap();
        assert_eq!(publisher.subscribers(), 1);
        publisher.send(&state(7)).unwrap();
        let message = dynamic.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            serde_json::to_string(&message.view().unwrap()).unwrap(),
            serde_json::to_string(&state(7)).unwrap()
        );
        assert_eq!(
            serde_json::Value::from(message.value().unwrap()),
            serde_json::to_value(state(7)).unwrap(),
            "as `serde_json` sees the typed value"
        );
        let name = publisher.name().to_owned();
        let mut subscriber = channel.open().namespace(&*ns).subscriber().unwrap();
        drop(publisher);
        let mut publisher = DynPublisher::open(&name).unwrap();
        publisher.send(&json(&state(8))).unwrap();
        publisher.send_bytes(shmcomm::message::as_bytes(&state(9))).unwrap();
        let received: Vec<_> =
            std::iter::from_fn(|| subscriber.recv_timeout(PATIENCE).ok()).take(2).collect();
        assert_eq!(received, [state(8), state(9)]);
    }
}

#[test]
fn value_that_does_not_fit_is_refused_by_field() {
    let ns = namespace("refused");
    let typed = STATES.open().namespace(&*ns).publisher().unwrap();
    let subscriber = STATES.open().namespace(&*ns).subscriber().unwrap();
    let name = typed.name().to_owned();
    assert_eq!(DynPublisher::open(&name).unwrap_err().kind(), ErrorKind::AlreadyPublished);
    drop(typed);
    let mut publisher = DynPublisher::open(&name).unwrap();
    let Value::Map(mut parts) = json(&state(1)) else { unreachable!() };
    parts.iter_mut().find(|(name, _)| name == "mode").unwrap().1 = "Walk".into();
    let error = publisher.send(&Value::Map(parts)).unwrap_err();
    assert!(matches!(&error, DynError::Encode(why) if why.path() == "State.mode"), "{error}");
    let mut bytes = shmcomm::message::as_bytes(&state(1)).to_vec();
    bytes[28] = 3;
    let error = publisher.send_bytes(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "`State.mode`: 3 is no variant of `Mode`");
    assert!(publisher.send_bytes(&bytes[1..]).is_err());
    assert_eq!(describe(&name).unwrap().unwrap().messages, 0);
    drop(subscriber);
}

#[test]
fn padding_is_sent_as_zeros() {
    let ns = namespace("padding");
    let typed = STATES.open().namespace(&*ns).publisher().unwrap();
    let name = typed.name().to_owned();
    let _stays = STATES.open().namespace(&*ns).subscriber().unwrap();
    drop(typed);
    let mut observer = Observer::open(&name).unwrap();
    let mut publisher = DynPublisher::open(&name).unwrap();
    publisher.send(&json(&state(1))).unwrap();
    loop {
        if let Observed::Message(message) = observer.next_timeout(PATIENCE) {
            assert_eq!(message.bytes(), shmcomm::message::as_bytes(&state(1)));
            break;
        }
    }
}

#[test]
fn dynamic_end_creates_what_a_typed_end_creates() {
    let ns = namespace("create");
    let name = |what: &str| format!("{ns}/{what}");
    let mut publisher =
        DynPublisher::create(&name("states"), &Declaration::pub_sub(Content::Fixed(Layout::of::<State>())))
            .unwrap();
    let mut subscriber = STATES.open().namespace(&*ns).subscriber().unwrap();
    publisher.send(&json(&state(3))).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE).unwrap(), state(3));
    let made = describe(&name("states")).unwrap().unwrap();
    drop((publisher, subscriber));
    let typed = STATES.open().namespace(&*ns).publisher().unwrap();
    let wanted = describe(typed.name()).unwrap().unwrap();
    assert_eq!(
        (made.slots, made.slot_size, made.align, made.seats),
        (wanted.slots, wanted.slot_size, wanted.align, wanted.seats)
    );
    assert_eq!(
        (&made.schema, made.discipline, made.fingerprint),
        (&wanted.schema, wanted.discipline, wanted.fingerprint)
    );
    drop(typed);
    // The very channel again, from its description.
    let again = DynPublisher::create(&name("states"), &Declaration::from(&wanted)).unwrap();
    let again = describe(again.name()).unwrap().unwrap();
    assert_eq!((again.slots, again.slot_size, again.schema), (wanted.slots, wanted.slot_size, wanted.schema));
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Header {
    number: u64,
}

#[test]
fn tails_of_items_are_sent_and_received() {
    const TAIL: Channel<PubSub<Header, [Mode]>> = Channel::new("tail").max_len(5000);
    let ns = namespace("tail");
    let mut publisher = TAIL.open().namespace(&*ns).publisher().unwrap();
    let mut dynamic = DynSubscriber::open(publisher.name()).unwrap();
    let Ok(Content::Tail { header, item }) = dynamic.content() else { panic!("the contents are a tail") };
    assert_eq!((header, item), (Layout::of::<Header>(), Layout::of::<Mode>()));
    publisher.send(&Header { number: 7 }, &[Mode::Run, Mode::Idle]).unwrap();
    let message = dynamic.recv_timeout(PATIENCE).unwrap();
    let value = message.value().unwrap();
    assert_eq!(value.to_string(), r#"{"header":{"number":7},"tail":["Run","Idle"]}"#);
    let name = publisher.name().to_owned();
    let mut subscriber = TAIL.open().namespace(&*ns).subscriber().unwrap();
    drop(publisher);
    let mut publisher = DynPublisher::open(&name).unwrap();
    publisher.send(&value).unwrap();
    let sample = subscriber.recv_ref_timeout(PATIENCE).unwrap();
    assert_eq!((sample.header().number, sample.items()), (7, &[Mode::Run, Mode::Idle][..]));
    drop(sample);
    let wrong = Value::from_iter([("header", value["header"].clone()), ("tail", Value::from(vec!["Walk"]))]);
    assert!(publisher.send(&wrong).unwrap_err().to_string().starts_with("`tail[0]`: \"Walk\" is no variant"));
    let long =
        Value::from_iter([("header", value["header"].clone()), ("tail", Value::from(vec!["Run"; 6000]))]);
    assert!(matches!(publisher.send(&long), Err(DynError::TooLong { size: 6008, .. })));
    let error = publisher.send(&Value::Null).unwrap_err().to_string();
    assert!(error.contains("`header` and `tail`"), "{error}");
}

#[test]
fn header_with_padding_before_its_items_is_refused() {
    let ns = namespace("tail-gap");
    let tail = |header: Layout, item: Layout| {
        let declaration = Declaration::pub_sub(Content::Tail { header, item });
        let error = DynPublisher::create(&format!("{}/gap", &*ns), &declaration).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidGeometry);
        error.to_string()
    };
    let error = tail(Layout::of::<u32>(), Layout::of::<f64>());
    assert!(error.contains("takes 4 bytes") && error.contains("add a last field of 4 bytes"), "{error}");
    let error = tail(Layout::of::<u32>(), Layout::of::<[u32; 0]>());
    assert!(error.contains("takes no bytes"), "{error}");
}

#[test]
fn encoded_messages_are_sent_and_received() {
    const MSGPACK: Channel<PubSub<BTreeMap<String, Vec<f64>>, Msgpack>> =
        Channel::new("msgpack").slot_size(200);
    const PICKLE: Channel<PubSub<BTreeMap<String, Vec<f64>>, Pickle>> = Channel::new("pickle").slot_size(200);
    const BYTES: Channel<PubSub<[u8], Bytes>> = Channel::new("bytes").slot_size(200);
    let ns = namespace("encoded");
    let typed = BTreeMap::from([("xyz".to_owned(), vec![1.0, 2.5])]);
    let value = Value::from_iter([("xyz", Value::from(vec![1.0, 2.5]))]);
    macro_rules! both_ways {
        ($channel:ident, $typed:expr, $value:expr) => {{
            let mut publisher = $channel.open().namespace(&*ns).publisher().unwrap();
            let mut dynamic = DynSubscriber::open(publisher.name()).unwrap();
            publisher.send($typed).unwrap();
            assert_eq!(dynamic.recv_timeout(PATIENCE).unwrap().value().unwrap(), $value);
            let name = publisher.name().to_owned();
            let mut subscriber = $channel.open().namespace(&*ns).subscriber().unwrap();
            drop(publisher);
            let mut publisher = DynPublisher::open(&name).unwrap();
            publisher.send(&$value).unwrap();
            assert_eq!(&subscriber.recv_timeout(PATIENCE).unwrap(), $typed);
            let long = Value::from("x".repeat(300));
            assert!(matches!(publisher.send(&long), Err(DynError::TooLong { .. } | DynError::Codec(_))));
        }};
    }
    both_ways!(MSGPACK, &typed, value);
    both_ways!(PICKLE, &typed, value);
    both_ways!(BYTES, &[1u8, 2, 3][..], Value::Bytes(vec![1, 2, 3]));
}

#[test]
fn publisher_in_a_set_is_ready_when_it_can_send() {
    let ns = namespace("set");
    let declared = Declaration::pub_sub(Content::Msgpack).slots(2).waits(true);
    let mut publisher = DynPublisher::create(&format!("{ns}/set"), &declared).unwrap();
    let mut subscriber = DynSubscriber::open(publisher.name()).unwrap();
    let mut set = WaitSet::new();
    set.add((), &publisher).unwrap();
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    let mut sent = 0;
    while publisher.try_send(&sent.into()).is_ok() {
        sent += 1;
    }
    assert_eq!(set.wait_timeout(Duration::from_millis(20)).unwrap().len(), 0);
    subscriber.recv().unwrap();
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    publisher.try_send(&sent.into()).unwrap();
}

#[test]
fn jobs_are_pushed_and_pulled() {
    const JOBS: Channel<PushPull<State>> = Channel::new("jobs");
    let ns = namespace("jobs");
    let mut pusher = JOBS.open().namespace(&*ns).pusher().unwrap();
    let mut dynamic = DynPuller::open(pusher.name()).unwrap();
    assert!(matches!(dynamic.try_recv(), Err(DynError::Empty)));
    let mut set = WaitSet::new();
    set.add((), &dynamic).unwrap();
    pusher.send(&state(1)).unwrap();
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    assert_eq!(
        dynamic.recv().unwrap().value().unwrap(),
        Layout::of::<State>().view(shmcomm::message::as_bytes(&state(1))).to_value()
    );
    let mut puller = JOBS.open().namespace(&*ns).puller().unwrap();
    drop(dynamic);
    let mut dynamic = DynPusher::open(pusher.name()).unwrap();
    dynamic.send(&json(&state(2))).unwrap();
    dynamic.send_timeout(&json(&state(3)), PATIENCE).unwrap();
    assert_eq!((puller.recv().unwrap(), puller.recv().unwrap()), (state(2), state(3)));
    let declared = Declaration::push_pull(Content::Msgpack).slots(2);
    let mut full = DynPusher::create(&format!("{ns}/full"), &declared).unwrap();
    full.try_send(&1.into()).unwrap();
    full.try_send(&2.into()).unwrap();
    assert!(matches!(full.try_send(&3.into()), Err(DynError::Full)));
    let mut puller = DynPuller::open(full.name()).unwrap();
    assert_eq!(puller.recv().unwrap().value().unwrap(), Value::Int(1));
}

#[test]
fn requests_are_asked_and_answered() {
    const SERVICE: Channel<ReqRep<State, [u16; 3]>> = Channel::new("service");
    let ns = namespace("service");
    let mut replier = SERVICE.open().namespace(&*ns).replier().unwrap();
    let mut dynamic = DynRequester::open(replier.name()).unwrap();
    let answering = thread::spawn(move || {
        let request = replier.recv_timeout(PATIENCE).unwrap();
        assert_eq!(*request, state(4));
        request.reply(&[1, 2, 3]).unwrap();
        replier
    });
    let reply = dynamic.request(&json(&state(4)), PATIENCE).unwrap();
    assert_eq!(reply.value().unwrap().to_string(), "[1,2,3]");
    drop(answering.join().unwrap());
    let requester = SERVICE.open().namespace(&*ns).requester().unwrap();
    let mut replier = DynReplier::open(requester.name()).unwrap();
    let answering = thread::spawn(move || {
        let request = replier.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.message().view().unwrap().at("number").and_then(|n| n.as_int()), Some(5));
        request.reply(&Value::from(vec![4, 5, 6])).unwrap();
        let request = replier.recv_timeout(PATIENCE).unwrap();
        let error = request.reply(&Value::from(vec![4, 70_000, 6])).unwrap_err();
        assert!(error.to_string().starts_with("`[u16; 3][1]`: 70000 is no `u16`"), "{error}");
    });
    assert_eq!(requester.request_timeout(&state(5), PATIENCE).unwrap(), [4, 5, 6]);
    assert!(requester.request_timeout(&state(6), PATIENCE).is_err(), "declined");
    answering.join().unwrap();
    // Created by dynamic ends alone.
    let declared = Declaration::req_rep(Content::Pickle, Content::Pickle);
    let mut replier = DynReplier::create(&format!("{ns}/echo"), &declared).unwrap();
    let mut requester = DynRequester::open(replier.name()).unwrap();
    let answering = thread::spawn(move || {
        let request = replier.recv_timeout(PATIENCE).unwrap();
        let value = request.message().value().unwrap();
        request.reply(&value).unwrap();
    });
    assert_eq!(requester.request(&"hello".into(), PATIENCE).unwrap().value().unwrap(), Value::from("hello"));
    answering.join().unwrap();
}

#[test]
fn tasks_use_dynamic_ends() {
    let ns = namespace("tasks");
    let declared = Declaration::pub_sub(Content::Fixed(Layout::of::<[u32; 2]>()));
    let mut publisher = DynPublisher::create(&format!("{ns}/tasks"), &declared).unwrap();
    let mut subscriber = DynSubscriber::open(publisher.name()).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let received = runtime.block_on(async {
        let receiving = tokio::spawn(async move { subscriber.recv_async().await.unwrap().value().unwrap() });
        publisher.send_async(&Value::from(vec![7, 8])).await.unwrap();
        receiving.await.unwrap()
    });
    assert_eq!(received.to_string(), "[7,8]");
}

#[test]
fn layout_that_is_too_long_is_shown_and_not_written() {
    macro_rules! tens {
        ($($name:ident of $part:ty),*) => {$(
            #[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
            #[repr(C)]
            struct $name { a: $part, b: $part, c: $part, d: $part, e: $part, f: $part, g: $part, h: $part }
        )*};
    }
    tens!(One of u8, Two of One, Three of Two, Four of Three);
    let ns = namespace("too-long");
    const LONG: Channel<PubSub<Four>> = Channel::new("long").slots(2);
    const JOBS: Channel<PushPull<Four>> = Channel::new("jobs").slots(2);
    let message = shmcomm::message::zeroed_boxed::<Four>();
    let mut publisher = LONG.open().namespace(&*ns).publisher().unwrap();
    let pusher = JOBS.open().namespace(&*ns).pusher().unwrap();
    let (name, jobs) = (publisher.name().to_owned(), pusher.name().to_owned());
    let what = describe(&name).unwrap().unwrap();
    assert!(what.layouts.as_ref().unwrap_err().to_string().contains("64 KiB"));
    // Its messages are received as bytes.
    let mut dynamic = DynSubscriber::open(&name).unwrap();
    publisher.send(&message).unwrap();
    let received = dynamic.recv_timeout(PATIENCE).unwrap();
    assert_eq!(received.bytes().len(), size_of::<Four>());
    assert!(received.view().is_none() && received.value().unwrap_err().to_string().contains("64 KiB"));
    // No end that writes is opened, neither on the segment nor from its description.
    drop(publisher);
    let refusals = [
        DynPublisher::open(&name).map(drop),
        DynPublisher::create(&name, &Declaration::from(&what)).map(drop),
        DynPusher::open(&jobs).map(drop),
    ];
    for refusal in refusals {
        let error = refusal.expect_err("a refusal");
        assert_eq!(error.kind(), ErrorKind::TypeMismatch);
        let text = error.to_string();
        assert!(text.contains("64 KiB") && text.matches("channel `").count() == 1, "{text}");
    }
    // A program that has the layout writes such a channel, as a typed publisher does.
    let declared = Declaration::pub_sub(Content::Fixed(Layout::of::<Four>())).slots(2);
    let mut publisher = DynPublisher::create(&format!("{ns}/own"), &declared).unwrap();
    const OWN: Channel<PubSub<Four>> = Channel::new("own").slots(2);
    let mut subscriber = OWN.open().namespace(&*ns).subscriber().unwrap();
    publisher.send_bytes(shmcomm::message::as_bytes(&*message)).unwrap();
    assert_eq!(subscriber.recv_timeout(PATIENCE).unwrap(), *message);
}

#[test]
fn other_patterns_and_unknown_channels_are_refused() {
    let ns = namespace("other");
    let name = format!("{ns}/states");
    assert_eq!(DynSubscriber::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(DynPublisher::open(&name).unwrap_err().kind(), ErrorKind::NotFound);
    let _typed = STATES.open().namespace(&*ns).publisher().unwrap();
    assert_eq!(DynPuller::open(&name).unwrap_err().kind(), ErrorKind::ChannelMismatch);
    assert_eq!(DynRequester::open(&name).unwrap_err().kind(), ErrorKind::ChannelMismatch);
    let other = Declaration::push_pull(Content::Fixed(Layout::of::<u8>()));
    let _queue = DynPusher::create(&format!("{ns}/queue"), &other).unwrap();
    let layout = Declaration::push_pull(Content::Fixed(Layout::of::<u16>()));
    let error = DynPuller::create(&format!("{ns}/queue"), &layout).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TypeMismatch);
    assert!(error.to_string().contains("there `u8`, here `u16`"), "{error}");
    let half = Declaration::req_rep(Content::Fixed(Layout::of::<u8>()), Content::Bytes);
    assert_eq!(
        DynReplier::create(&format!("{ns}/half"), &half).unwrap_err().kind(),
        ErrorKind::ChannelMismatch
    );
}

#[test]
#[cfg_attr(windows, ignore = "Windows has no channels with Python")]
fn python_wire_carries_values() {
    use shmcomm::python::{Options, Publisher, Puller, Replier, Subscriber};
    let name = |what: &str| format!("dynamic-{}-{what}", std::process::id());
    let value = Value::from_iter([("frame", Value::from("map")), ("xyz", Value::from(vec![1.0, 2.5]))]);
    let mut publisher =
        Publisher::<BTreeMap<String, u64>, Pickle>::open(Options::pubsub(name("in"))).unwrap();
    let mut dynamic = DynSubscriber::open(publisher.name()).unwrap();
    publisher.send(&BTreeMap::from([("n".to_owned(), 5)])).unwrap();
    assert_eq!(dynamic.recv_timeout(PATIENCE).unwrap().value().unwrap().to_string(), r#"{"n":5}"#);
    assert!(WaitSet::new().add((), &dynamic).is_err());

    let declared = Declaration::pub_sub(Content::Pickle).wire(shmcomm::Wire::Python);
    let mut dynamic = DynPublisher::create(&name("out"), &declared).unwrap();
    assert_eq!(describe(dynamic.name()).unwrap().unwrap().codec, None::<MessageFormat>);
    let mut subscriber =
        Subscriber::<shmcomm::codec::Value, Pickle>::open(Options::pubsub(name("out"))).unwrap();
    dynamic.send(&value).unwrap();
    assert_eq!(Value::from(&subscriber.recv_timeout(PATIENCE).unwrap()), value);

    let declared = Declaration::push_pull(Content::Msgpack).wire(shmcomm::Wire::Python);
    let mut dynamic = DynPusher::create(&name("jobs"), &declared).unwrap();
    let mut puller = Puller::<shmcomm::codec::Value, Msgpack>::open(Options::pushpull(name("jobs"))).unwrap();
    dynamic.send(&value).unwrap();
    assert_eq!(Value::from(&puller.recv_timeout(PATIENCE).unwrap()), value);

    let mut replier = Replier::<u64, u64, Pickle>::open(Options::reqrep(name("service"))).unwrap();
    let answering = thread::spawn(move || {
        let request = replier.recv_timeout(PATIENCE).unwrap();
        replier.send(&(request + 1)).unwrap();
        thread::sleep(Duration::from_millis(50));
    });
    let mut dynamic = DynRequester::open(&name("service")).unwrap();
    assert_eq!(dynamic.request(&41.into(), PATIENCE).unwrap().value().unwrap(), Value::Int(42));
    answering.join().unwrap();
    shmcomm_tests::remove_queue_locks(&format!("dynamic-{}", std::process::id()));
}
