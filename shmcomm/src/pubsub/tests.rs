//! Both ends on real segments in one process, with invalid messages, which the public interface cannot send.

use super::{Publisher, RecvError, SendError, Subscriber, TryRecvError};
use crate::ShmMessage;
use crate::layout::{Format, Pattern};
use crate::message::ShmString;
use crate::segment::Spec;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(u8)]
enum Mode {
    Idle,
    Run,
}

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Status {
    number: u64,
    ok: bool,
    mode: Mode,
    name: ShmString<10>,
}

/// A type of the same size, without validity rules.
type Raw = [u64; 3];

const _: () = assert!(size_of::<Status>() == size_of::<Raw>());

#[derive(Clone, Copy, Debug, PartialEq, ShmMessage)]
#[repr(C)]
struct Big {
    status: Status,
    rest: [u8; 8192],
}

fn spec<M: ShmMessage>(test: &str) -> Spec {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    Spec {
        name: format!("unit-{}-{}-{test}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)),
        sharing: None,
        pattern: Pattern::PubSub,
        format: Format::Fixed,
        slots: 8,
        slot_size: size_of::<M>() as u64,
        grow: 0,
        in_place: None,
        request_size: 0,
        window: 0,
        reply_size: 0,
        align: 8,
        seats: 8,
        publishers: 1,
        flags: 0,
        // The same fingerprint for all types here: the test needs a publisher that declares a wrong type.
        fingerprint: 1,
        fingerprint2: 0,
        schema: "[]".into(),
        difference: crate::message::schema::first_difference,
        codecs: crate::message::schema::codec_difference,
        resolve: None,
        connect_timeout: Duration::ZERO,
        history: 0,
        patience: Duration::from_secs(5),
        expect_every: None,
        stop: None,
        asked: crate::segment::Requested::NOTHING,
    }
}

fn status(number: u64) -> Status {
    Status { number, ok: true, mode: Mode::Run, name: ShmString::new("left").unwrap() }
}

/// Returns the bytes of a status, with some of them replaced.
fn raw(number: u64, at: usize, bytes: &[u8]) -> Raw {
    let mut all = crate::message::as_bytes(&status(number)).to_vec();
    all[at..at + bytes.len()].copy_from_slice(bytes);
    crate::message::read(&all).unwrap()
}

#[test]
fn subscriber_without_a_start_is_not_counted() {
    let spec = spec::<Status>("start");
    let mut publisher = Publisher::<Raw>::open(spec.clone()).unwrap();
    // As between taking the seat and finding the start: the next message could still be missed.
    let seated = crate::segment::subscribe(&spec, super::OPS).unwrap();
    assert_eq!(publisher.subscribers(), 0);
    assert!(!publisher.wait_for_subscribers(1, Duration::ZERO));
    drop(seated);

    let mut subscriber = Subscriber::<Status>::open(spec).unwrap();
    assert_eq!(publisher.subscribers(), 1);
    publisher.send(&raw(1, 0, &[])).unwrap();
    assert_eq!(subscriber.recv(), Ok(status(1)));
    drop(subscriber);
    assert_eq!(publisher.subscribers(), 0);
}

#[test]
fn invalid_message_is_refused_and_the_next_received() {
    let spec = spec::<Status>("invalid");
    let mut publisher = Publisher::<Raw>::open(spec.clone()).unwrap();
    let mut subscriber = Subscriber::<Status>::open(spec).unwrap();
    for (at, bytes, place) in [
        (8, &[2][..], "`Status.ok`: 2"),
        (9, &[7], "`Status.mode`: 7"),
        (10, &[11, 0, 0, 0], "`Status.name`"),
        (14, &[0xff], "`Status.name`"),
    ] {
        publisher.send(&raw(0, at, bytes)).unwrap();
        publisher.send(&raw(1, 0, &[])).unwrap();
        match subscriber.try_recv() {
            Err(TryRecvError::Invalid(why)) => assert!(why.to_string().starts_with(place), "{why}"),
            other => panic!("{place}: {other:?}"),
        }
        assert_eq!(subscriber.try_recv(), Ok(Status { number: 1, ..status(1) }));
        publisher.send(&raw(0, at, bytes)).unwrap();
        publisher.send(&raw(2, 0, &[])).unwrap();
        assert!(matches!(subscriber.recv_ref(), Err(RecvError::Invalid(_))));
        assert_eq!(subscriber.recv_ref().unwrap().number, 2);
    }
    assert_eq!(
        subscriber.stats().subscribers().map(|s| (s.invalid, s.messages)).collect::<Vec<_>>(),
        [(8, 8)]
    );
}

#[test]
fn message_of_another_length_is_refused() {
    let spec = spec::<Status>("length");
    let mut publisher = Publisher::<u64>::open(spec.clone()).unwrap();
    let mut subscriber = Subscriber::<Status>::open(spec).unwrap();
    publisher.send(&5).unwrap();
    publisher.send(&6).unwrap();
    let error = subscriber.try_recv().unwrap_err().to_string();
    assert!(error.contains("24 bytes, there are 8"), "{error}");
    let error = subscriber.try_recv_ref().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("24 bytes, there are 8"), "{error}");
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn invalid_message_in_place_is_refused_and_unpinned() {
    let spec = spec::<Big>("place");
    let mut publisher = Publisher::<[u8; 8216]>::open(spec.clone()).unwrap();
    let mut subscriber = Subscriber::<Big>::open(spec).unwrap();
    for round in 0..40u8 {
        let mut loan = publisher.loan().unwrap();
        loan.fill(round % 2 + 1);
        loan.send().unwrap();
        assert!(matches!(subscriber.recv_ref(), Err(RecvError::Invalid(_))), "{round}");
    }
    assert_eq!(publisher.stats().holes, 0);
}

#[test]
fn loan_starts_with_zeros_if_some_bytes_are_no_value() {
    let spec = spec::<Big>("zeros");
    let mut publisher = Publisher::<Big>::open(spec.clone()).unwrap();
    let mut subscriber = Subscriber::<Big>::open(spec).unwrap();
    for _ in 0..20 {
        let mut loan = publisher.loan().unwrap();
        assert_eq!((loan.status.number, loan.status.mode, loan.rest[8191]), (0, Mode::Idle, 0));
        loan.status = status(9);
        loan.rest.fill(0xff);
        loan.send().unwrap();
        assert_eq!(subscriber.recv_ref().unwrap().status, status(9));
    }
}

#[test]
fn slots_held_by_all_hands_are_an_error_that_passes() {
    // Four slots allow two subscribers that pin one slot each. Only a forged table of seats allows more.
    let mut spec = spec::<Big>("held");
    spec.slots = 4;
    let mut publisher = Publisher::<Big>::open(spec.clone()).unwrap();
    let mut subscribers: Vec<_> = std::iter::repeat_with(|| Subscriber::<Big>::open(spec.clone()))
        .map_while(Result::ok)
        .take(5)
        .collect();
    let mut samples = Vec::new();
    for subscriber in &mut subscribers {
        publisher.send(&Big { status: status(0), rest: [0; 8192] }).unwrap();
        if let Ok(sample) = subscriber.recv_ref() {
            samples.push(sample);
        }
    }
    assert!(samples.len() <= 2, "{} slots of 4 are held", samples.len());
    for number in 0..20 {
        assert_ne!(
            publisher.send(&Big { status: status(number), rest: [0; 8192] }),
            Err(SendError::AllSlotsHeld)
        );
    }
}

#[test]
fn fast_path_is_off_while_an_earlier_segment_is_used() {
    let mut spec = spec::<Raw>("earlier");
    (spec.format, spec.grow, spec.flags) = (Format::Tail, 1 << 16, crate::layout::FLAG_WAIT);
    let mut publisher = Publisher::<Raw>::open(spec.clone()).unwrap();
    let mut subscriber = Subscriber::<Raw>::open(spec).unwrap();
    let message = [7; 3];
    // A claim that is not used publishes nothing. A check of the name makes single claims take the slow path.
    let goes_fast = |publisher: &mut Publisher<Raw>, subscriber: &mut Subscriber<Raw>| {
        (0..200).any(|_| {
            publisher.send(&message).unwrap();
            while subscriber.try_recv().is_ok() {}
            publisher.raw().writer.claim_fast()
        })
    };
    assert!(goes_fast(&mut publisher, &mut subscriber));
    publisher.raw().make_fit(200).unwrap();
    // The subscriber has not followed yet. Only the slow path checks its segment.
    for _ in 0..6 {
        publisher.send(&message).unwrap();
        assert!(!publisher.raw().writer.claim_fast());
    }
    for _ in 0..6 {
        assert_eq!(subscriber.recv(), Ok(message));
    }
    assert!(goes_fast(&mut publisher, &mut subscriber));
}

#[test]
fn publisher_replaces_segment_with_damaged_slots() {
    let spec = spec::<Status>("damaged");
    let mut first = Publisher::<Status>::open(spec.clone()).unwrap();
    let mut subscriber = Subscriber::<Status>::open(spec.clone()).unwrap();
    first.send(&status(1)).unwrap();
    assert_eq!(subscriber.try_recv(), Ok(status(1)));
    // The test overwrites the head, then the publisher ends.
    let region = first.raw().attachment.region();
    region.u64(crate::layout::control::HEAD).store(1 << 40, crate::sync::Ordering::Relaxed);
    drop(first);
    let mut second = Publisher::<Status>::open(spec).unwrap();
    second.send(&status(2)).unwrap();
    assert_eq!(subscriber.recv_timeout(Duration::from_secs(10)), Ok(status(2)));
}
