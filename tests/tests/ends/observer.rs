//! Observers: they see whole messages of every discipline at full speed, disturb no participant, and report
//! each death, restart and replacement of a publisher once.
//!
//! `SHMCOMM_OBSERVER_SECONDS=60 cargo test --release -p shmcomm-tests --test ends observer` runs the stress for
//! longer.

use shmcomm::schema::Value;
use shmcomm::{
    Channel, Discipline, ErrorKind, Observed, Observer, Overflow, Pattern, PubSub, PushPull, ShmMessage,
    WaitSet, Wire, describe,
};
use shmcomm_tests::{Peer, namespace};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(30);

const SMALL: Channel<PubSub<[u64; 8]>> = Channel::new("small");
const PAGE: Channel<PubSub<[u64; 512]>> = Channel::new("page").seats(128);
const MIDDLE: Channel<PubSub<[u64; 512]>> = Channel::new("middle");
const LARGE: Channel<PubSub<[u64; 2048]>> = Channel::new("large").slots(8);
const SHARED: Channel<PubSub<[u64; 8]>> = Channel::new("shared").publishers(2);
const SHARED_LARGE: Channel<PubSub<[u64; 2048]>> = Channel::new("shared-large").slots(8).publishers(2);
const WAITING: Channel<PubSub<[u64; 8]>> = Channel::new("waiting").overflow(Overflow::Wait);

/// Time for which each stress runs.
fn stress_time() -> Duration {
    let seconds = std::env::var("SHMCOMM_OBSERVER_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.map_or(Duration::from_millis(300), Duration::from_secs)
}

/// Counts of an observer.
#[derive(Debug, Default)]
struct Seen {
    messages: u64,
    missed: u64,
    torn: u64,
    back: u64,
    largest: u64,
}

/// Observes until `done`, then to the end. All words of a message are its number; its high half names the
/// publisher.
fn observe(mut observer: Observer, done: &AtomicBool) -> Seen {
    let (mut seen, mut last) = (Seen::default(), [None; 4]);
    loop {
        let finished = done.load(Ordering::Acquire);
        match observer.next() {
            Observed::Message(message) => {
                let words =
                    message.bytes().chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
                let mut words = words.peekable();
                let number = *words.peek().expect("a message has words");
                seen.torn += u64::from(!words.all(|word| word == number));
                let last = &mut last[(number >> 32) as usize % 4];
                seen.back += u64::from(last.is_some_and(|last| last >= number));
                *last = Some(number);
                seen.messages += 1;
                seen.largest = seen.largest.max(number & 0xffff_ffff);
            }
            Observed::Missed(missed) => seen.missed += missed,
            Observed::Empty if finished => return seen,
            Observed::Empty => thread::yield_now(),
            other => panic!("{other:?}"),
        }
    }
}

/// Publishes at full speed while an observer polls, and compares.
fn stress<const N: usize>(
    test: &str,
    channel: Channel<PubSub<[u64; N]>>,
    publishers: u64,
    discipline: Discipline,
) where
    [u64; N]: ShmMessage,
{
    let ns = namespace(test);
    let open = || channel.open().namespace(&*ns).publisher().unwrap();
    let mut ends: Vec<_> = (0..publishers).map(|_| open()).collect();
    let name = ends[0].name().to_owned();
    assert_eq!(describe(&name).unwrap().unwrap().discipline, Some(discipline));
    let observer = Observer::open(&name).unwrap();
    let done = AtomicBool::new(false);
    let (seen, sent) = thread::scope(|scope| {
        let observer = scope.spawn(|| observe(observer, &done));
        let end = Instant::now() + stress_time();
        let senders: Vec<_> = ends
            .iter_mut()
            .enumerate()
            .map(|(i, publisher)| {
                scope.spawn(move || {
                    let mut sent = 0;
                    while Instant::now() < end {
                        for _ in 0..64 {
                            publisher.send(&[(i as u64) << 32 | sent; N]).unwrap();
                            sent += 1;
                        }
                    }
                    assert_eq!(publisher.subscribers(), 0, "an observer is no subscriber");
                    sent
                })
            })
            .collect();
        let sent: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
        done.store(true, Ordering::Release);
        (observer.join().unwrap(), sent)
    });
    println!("{test}: sent {sent}, {seen:?}");
    assert_eq!((seen.torn, seen.back), (0, 0), "{seen:?}");
    assert_eq!(seen.messages + seen.missed, sent, "{seen:?}");
    assert!(seen.messages > 0);
}

#[test]
fn copied_messages_are_never_torn() {
    stress("torn-copied", SMALL, 1, Discipline::Copied);
    stress("torn-page", PAGE, 1, Discipline::Copied);
}

#[test]
fn pinned_messages_are_never_torn() {
    stress("torn-pinned", LARGE, 1, Discipline::Pinned);
    stress("torn-middle", MIDDLE, 1, Discipline::Pinned);
}

#[test]
fn messages_of_several_publishers_are_never_torn() {
    stress("torn-shared", SHARED, 2, Discipline::MultiCopied);
    stress("torn-shared-pinned", SHARED_LARGE, 2, Discipline::MultiPinned);
}

#[test]
fn messages_of_a_waiting_publisher_are_never_torn() {
    stress("torn-waiting", WAITING, 1, Discipline::Copied);
}

#[test]
fn pinned_loans_are_never_torn() {
    let ns = namespace("torn-loans");
    let mut publisher = LARGE.open().namespace(&*ns).publisher().unwrap();
    // A subscriber that pins makes holes.
    let mut subscriber = LARGE.open().namespace(&*ns).subscriber().unwrap();
    let observer = Observer::open(publisher.name()).unwrap();
    let done = AtomicBool::new(false);
    let (seen, sent) = thread::scope(|scope| {
        let observer = scope.spawn(|| observe(observer, &done));
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let _ = subscriber.try_recv_ref().map(|sample| sample[0]);
            }
        });
        let (end, mut sent) = (Instant::now() + stress_time(), 0);
        while Instant::now() < end {
            let mut loan = publisher.loan().unwrap();
            loan.fill(sent);
            loan.send().unwrap();
            sent += 1;
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
        (observer.join().unwrap(), sent)
    });
    assert_eq!((seen.torn, seen.back), (0, 0), "{seen:?}");
    assert_eq!(seen.messages + seen.missed, sent, "{seen:?}");
}

#[test]
fn observer_takes_no_seat_and_no_part() {
    let ns = namespace("no-seat");
    let mut publisher = LARGE.open().namespace(&*ns).publisher().unwrap();
    let before = describe(publisher.name()).unwrap().unwrap().participants;
    let mut observers: Vec<_> = (0..80).map(|_| Observer::open(publisher.name()).unwrap()).collect();
    assert_eq!(publisher.subscribers(), 0);
    assert!(!publisher.wait_for_subscribers(1, Duration::from_millis(20)));
    assert_eq!(describe(publisher.name()).unwrap().unwrap().participants, before);
    publisher.send(&[7; 2048]).unwrap();
    for observer in &mut observers {
        let Observed::Message(message) = observer.next() else { panic!("a message was sent") };
        assert_eq!((message.position(), message.bytes().len()), (0, 16384));
        assert_eq!(message.view().and_then(|view| view.at("[9]")).and_then(|word| word.as_int()), Some(7));
    }
    // The mappings of observers keep no channel alive.
    let name = publisher.name().to_owned();
    drop(publisher);
    assert!(describe(&name).unwrap().is_none());
    for observer in &mut observers {
        assert!(matches!(observer.next_timeout(PATIENCE), Observed::Gone));
        assert!(matches!(observer.next_timeout(Duration::from_millis(5)), Observed::Empty));
    }
}

#[test]
fn waiting_publisher_does_not_wait_for_an_observer() {
    let ns = namespace("no-wait");
    let mut publisher = WAITING.open().namespace(&*ns).publisher().unwrap();
    let mut observer = Observer::open(publisher.name()).unwrap();
    for number in 0..1000 {
        publisher.try_send(&[number; 8]).unwrap();
    }
    assert!(matches!(observer.next(), Observed::Missed(_)));
    assert!(describe(publisher.name()).unwrap().unwrap().waits);
}

#[test]
fn oldest_and_newest_message_are_found() {
    for channel in [SMALL, SHARED] {
        let ns = namespace("seek");
        let mut publisher = channel.open().namespace(&*ns).publisher().unwrap();
        let name = publisher.name().to_owned();
        let number = |message: shmcomm::ObservedMessage<'_>| message.bytes()[0];
        let mut observer = Observer::open(&name).unwrap();
        assert!(observer.latest().is_none());
        for number in 0..100 {
            publisher.send(&[number; 8]).unwrap();
        }
        let mut late = Observer::open(&name).unwrap();
        assert!(matches!(late.next(), Observed::Empty));
        assert_eq!(late.latest().map(number), Some(99));
        assert_eq!(late.latest().map(number), Some(99));
        late.seek_oldest().unwrap();
        let Observed::Message(oldest) = late.next() else { panic!("messages are there") };
        assert_eq!((number(oldest), oldest.position()), (36, 36));
        late.seek_start();
        let Observed::Missed(gone) = late.next() else { panic!("the first messages are gone") };
        let Observed::Message(first) = late.next() else { panic!("messages are there") };
        assert!(gone >= 36 && first.position() == gone, "{gone}");
        let Observed::Missed(missed) = observer.next() else { panic!("it was lapped") };
        let Observed::Message(next) = observer.next() else { panic!("messages are there") };
        assert_eq!(u64::from(number(next)), missed);
    }
}

/// Returns what comes next, except nothing.
fn event(observer: &mut Observer) -> String {
    match observer.next_timeout(PATIENCE) {
        Observed::Message(message) => format!("{}", message.bytes()[0]),
        other => format!("{other:?}"),
    }
}

#[test]
fn restart_and_replacement_are_reported_once() {
    let ns = namespace("restart");
    let mut publisher = SMALL.open().namespace(&*ns).publisher().unwrap();
    let subscriber = SMALL.open().namespace(&*ns).subscriber().unwrap();
    let mut observer = Observer::open(publisher.name()).unwrap();
    publisher.send(&[1; 8]).unwrap();
    drop(publisher);
    // The segment stays, because of the subscriber.
    assert_eq!((event(&mut observer), event(&mut observer)), ("1".into(), "Gone".into()));
    assert!(!observer.is_connected());
    let mut publisher = SMALL.open().namespace(&*ns).publisher().unwrap();
    publisher.send(&[2; 8]).unwrap();
    let mut seen = [event(&mut observer), event(&mut observer)];
    seen.sort();
    assert_eq!(seen, ["2", "Replaced"]);
    assert_eq!(observer.position(), 2);
    drop((publisher, subscriber));
    assert_eq!(event(&mut observer), "Gone");
    // A new segment, with another layout.
    const OTHER: Channel<PubSub<[u16; 2]>> = Channel::new("small");
    let mut publisher = OTHER.open().namespace(&*ns).publisher().unwrap();
    publisher.send(&[3; 2]).unwrap();
    assert_eq!((event(&mut observer), event(&mut observer)), ("Replaced".into(), "3".into()));
    assert_eq!(
        observer.description().message().map(|layout| layout.to_string()).as_deref(),
        Some("[u16; 2]")
    );
    assert!(matches!(observer.next_timeout(Duration::from_millis(20)), Observed::Empty));
    drop(publisher);
    assert_eq!(event(&mut observer), "Gone");
    assert!(matches!(observer.next_timeout(Duration::from_millis(20)), Observed::Empty));
}

#[test]
fn killed_publisher_is_reported_once() {
    let ns = namespace("killed");
    let name = format!("{ns}/{}", shmcomm_tests::SmallFeed::CHANNEL.name());
    for round in 0..3 {
        let mut peer = Peer::start(PEER, &ns, &["publish-small", "0", "1000000000", "100"]);
        assert_eq!(peer.line(), "ready");
        let mut observer = Observer::open_timeout(&name, PATIENCE).unwrap();
        let Observed::Message(message) = observer.next_timeout(PATIENCE) else { panic!("it publishes") };
        assert!(message.value().is_ok());
        peer.kill();
        let end = Instant::now() + PATIENCE;
        loop {
            match observer.next_timeout(PATIENCE) {
                Observed::Message(_) | Observed::Missed(_) => assert!(Instant::now() < end),
                Observed::Gone => break,
                other => panic!("round {round}: {other:?}"),
            }
        }
        let mut next = Peer::start(PEER, &ns, &["publish-small", "0", "1000000000", "100"]);
        assert_eq!(next.line(), "ready");
        let mut replaced = 0;
        while Instant::now() < end && replaced == 0 {
            match observer.next_timeout(PATIENCE) {
                Observed::Replaced => replaced += 1,
                Observed::Gone => panic!("reported already"),
                _ => {}
            }
        }
        assert_eq!(replaced, 1);
    }
}

#[test]
fn wait_set_reports_an_observer() {
    let ns = namespace("wait-set");
    let mut publisher = SMALL.open().namespace(&*ns).publisher().unwrap();
    let mut observer = Observer::open(publisher.name()).unwrap();
    let mut set = WaitSet::new();
    set.add((), &observer).unwrap();
    assert!(set.wait_timeout(Duration::from_millis(10)).unwrap().is_empty());
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        publisher.send(&[5; 8]).unwrap();
        publisher
    });
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    assert_eq!(event(&mut observer), "5");
    drop(sender.join().unwrap());
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    assert_eq!(event(&mut observer), "Gone");
    assert!(set.wait_timeout(Duration::from_millis(60)).unwrap().is_empty());
    drop(observer);
    assert!(set.wait_timeout(Duration::from_millis(1)).unwrap().is_empty());
    assert!(set.is_empty());
}

#[derive(Clone, Copy, ShmMessage)]
#[repr(C)]
struct Header {
    number: u64,
}

#[test]
fn values_of_every_format_are_observed() {
    use shmcomm::codec::{Bytes, Msgpack, Pickle};
    let ns = namespace("formats");
    const TAIL: Channel<PubSub<Header, [u64]>> = Channel::new("tail").max_len(100);
    let mut tail = TAIL.open().namespace(&*ns).publisher().unwrap();
    let mut observer = Observer::open(tail.name()).unwrap();
    tail.send(&Header { number: 7 }, &[1, 2, 3]).unwrap();
    let Observed::Message(message) = observer.next() else { panic!("a message was sent") };
    assert_eq!(message.value().unwrap().to_string(), r#"{"header":{"number":7},"tail":[1,2,3]}"#);
    assert_eq!(message.tail().map(|tail| tail.len()), Some(3));

    const MSGPACK: Channel<PubSub<Vec<u8>, Msgpack>> = Channel::new("msgpack").slot_size(100);
    let mut publisher = MSGPACK.open().namespace(&*ns).publisher().unwrap();
    let mut observer = Observer::open(publisher.name()).unwrap();
    publisher.send(&vec![1, 2]).unwrap();
    let Observed::Message(message) = observer.next() else { panic!("a message was sent") };
    assert_eq!(message.value().unwrap().to_string(), "[1,2]");
    assert!(message.view().is_none());

    const PICKLE: Channel<PubSub<String, Pickle>> = Channel::new("pickle").slot_size(100);
    let mut publisher = PICKLE.open().namespace(&*ns).publisher().unwrap();
    let mut observer = Observer::open(publisher.name()).unwrap();
    publisher.send(&"map".to_owned()).unwrap();
    let Observed::Message(message) = observer.next() else { panic!("a message was sent") };
    assert_eq!(message.value().unwrap(), Value::from("map"));

    const BYTES: Channel<PubSub<[u8], Bytes>> = Channel::new("bytes").slot_size(100);
    let mut publisher = BYTES.open().namespace(&*ns).publisher().unwrap();
    let mut observer = Observer::open(publisher.name()).unwrap();
    publisher.send(&[1, 2][..]).unwrap();
    let Observed::Message(message) = observer.next() else { panic!("a message was sent") };
    assert_eq!(message.value().unwrap(), Value::Bytes(vec![1, 2]));
}

#[test]
fn channel_that_cannot_be_observed_is_refused() {
    let ns = namespace("refused");
    assert_eq!(Observer::open(&format!("{ns}/none")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Observer::open("a//b").unwrap_err().kind(), ErrorKind::InvalidName);
    const JOBS: Channel<PushPull<u64>> = Channel::new("jobs");
    let pusher = JOBS.open().namespace(&*ns).pusher().unwrap();
    let error = Observer::open(pusher.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChannelMismatch);
    let found = describe(pusher.name()).unwrap().unwrap();
    assert_eq!((found.pattern, found.wire), (Pattern::PushPull, Wire::Native));
}

/// The Python wire, between two ends in Rust: at full speed, at its end, and with its next owner.
#[test]
#[cfg_attr(windows, ignore = "Windows has no channels with Python")]
fn python_wire_is_observed() {
    use shmcomm::python::{Options, Publisher};
    let name = format!("observed-{}", std::process::id());
    let open = || Publisher::<[u64; 64], shmcomm::Fixed>::open(Options::pubsub(name.clone())).unwrap();
    let mut publisher = open();
    let found = describe(&name).unwrap().unwrap();
    assert_eq!((found.wire, found.codec, found.pattern), (Wire::Python, None, Pattern::PubSub));
    let observer = Observer::open(&name).unwrap();
    let done = AtomicBool::new(false);
    let (seen, sent) = thread::scope(|scope| {
        let observer = scope.spawn(|| observe(observer, &done));
        let (end, mut sent) = (Instant::now() + stress_time(), 0);
        while Instant::now() < end {
            publisher.send(&[sent; 64]).unwrap();
            sent += 1;
        }
        done.store(true, Ordering::Release);
        (observer.join().unwrap(), sent)
    });
    assert_eq!((seen.torn, seen.back), (0, 0), "{seen:?}");
    assert_eq!(seen.messages + seen.missed, sent, "{seen:?}");
    let mut observer = Observer::open(&name).unwrap();
    publisher.send(&[1; 64]).unwrap();
    assert_eq!(event(&mut observer), "1");
    drop(publisher);
    assert_eq!(event(&mut observer), "Gone");
    let mut publisher = open();
    publisher.send(&[2; 64]).unwrap();
    assert_eq!((event(&mut observer), event(&mut observer)), ("Replaced".into(), "2".into()));
    drop(publisher);
    assert_eq!(event(&mut observer), "Gone");
}
