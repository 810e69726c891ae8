//! Channels that appear late, change their layout or settings, or cannot be recorded for a time.

use super::{FEED, FRAMES, directory, imu, next, poll};
use shmcomm::{Channel, PubSub, PushPull, ShmMessage, Timestamp, force_unlink};
use shmcomm_record::{Notice, PlayOptions, Player, RecordOptions, Recorder, read};
use shmcomm_tests::namespace;
use std::path::Path;
use std::time::{Duration, Instant};

const NEXT: Channel<PubSub<next::Imu>> = Channel::new("robot/imu");

fn next_imu(number: u64) -> next::Imu {
    next::Imu {
        number,
        stamp: Timestamp::from_nanos(number as i64),
        acceleration: [number as f64; 3],
        frame: shmcomm::ShmString::new("map").unwrap(),
        temperature: 21.5,
    }
}

/// Polls until the recorder has a number of messages of its first channel in all figures.
fn poll_until(recorder: &mut Recorder, number: u64) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        poll(recorder);
        let report = &recorder.report()[0];
        if report.written + report.lost + report.refused >= number {
            return;
        }
        assert!(Instant::now() < end, "{:?}", recorder.report());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns layout, slot size and bytes of each message.
fn contents(path: &Path) -> Vec<(String, u64, Vec<u8>)> {
    let messages = read(path).unwrap().map(Result::unwrap);
    messages
        .map(|one| {
            let facts = &one.channel.facts;
            (format!("{:?}", facts.form), facts.slot_size, one.decode().unwrap())
        })
        .collect()
}

/// Replays a file on the channel `to`, and records that to another file.
fn record_again(from: &Path, to: &Path, channel: &str, name: &str) {
    let remap = vec![(channel.to_owned(), name.to_owned())];
    let options = PlayOptions { speed: f64::INFINITY, remap, ..PlayOptions::default() };
    let mut player = Player::open([from], options).unwrap();
    let mut recorder = Recorder::create(to, RecordOptions::default()).unwrap();
    recorder.add(name).unwrap();
    let mut sent = 0;
    player
        .run(|_| {
            // Each message is recorded before the next one may replace its segment.
            poll_until(&mut recorder, sent);
            sent += 1;
            true
        })
        .unwrap();
    poll_until(&mut recorder, sent);
    assert_eq!(recorder.finish().unwrap()[0].written, sent);
}

#[test]
fn layout_change_is_replayed_as_a_change() {
    let space = namespace("recording");
    let dir = directory("change");
    let (first, second) = (dir.join("a.mcap"), dir.join("b.mcap"));
    let mut recorder = Recorder::create(&first, RecordOptions::default()).unwrap();
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let name = feed.name().to_owned();
    recorder.add(&name).unwrap();
    feed.send(&imu(1)).unwrap();
    feed.send(&imu(2)).unwrap();
    poll_until(&mut recorder, 2);
    drop(feed);
    let mut feed = NEXT.open().namespace(&*space).publisher().unwrap();
    feed.send(&next_imu(3)).unwrap();
    poll_until(&mut recorder, 3);
    drop(feed);
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    feed.send(&imu(4)).unwrap();
    poll_until(&mut recorder, 4);
    drop(feed);
    let notice = Notice::Changed { channel: name.clone() };
    assert_eq!(recorder.take_notices(), [notice.clone(), notice]);
    recorder.finish().unwrap();
    let recorded = contents(&first);
    assert_ne!(recorded[1].0, recorded[2].0);
    assert_eq!(recorded[2].2, shmcomm::message::to_bytes(&next_imu(3))[..]);
    assert_eq!(recorded[1].0, recorded[3].0);

    record_again(&first, &second, &name, &format!("{}/again", &*space));
    assert_eq!(contents(&second), recorded);
}

#[test]
fn layout_change_is_converted_for_an_existing_channel() {
    let space = namespace("recording");
    let path = directory("change-existing").join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    let mut feed = NEXT.open().namespace(&*space).publisher().unwrap();
    let name = feed.name().to_owned();
    recorder.add(&name).unwrap();
    feed.send(&next_imu(1)).unwrap();
    poll_until(&mut recorder, 1);
    drop(feed);
    // A version with the fields in another order.
    #[derive(Clone, ShmMessage)]
    #[repr(C)]
    struct Imu {
        acceleration: [f64; 3],
        number: u64,
        stamp: Timestamp,
        frame: shmcomm::ShmString<16>,
        temperature: f32,
    }
    const OTHER: Channel<PubSub<Imu>> = Channel::new("robot/imu");
    let mut feed = OTHER.open().namespace(&*space).publisher().unwrap();
    let next::Imu { number, stamp, acceleration, temperature, .. } = next_imu(2);
    let frame = shmcomm::ShmString::new("map").unwrap();
    feed.send(&Imu { acceleration, number, stamp, frame, temperature }).unwrap();
    poll_until(&mut recorder, 2);
    drop(feed);
    recorder.finish().unwrap();

    let there = namespace("recording");
    let publisher = NEXT.open().namespace(&*there).publisher().unwrap();
    let mut subscriber = NEXT.open().namespace(&*there).subscriber().unwrap();
    let remap = vec![(name, publisher.name().to_owned())];
    drop(publisher);
    let mut player = Player::open([&path], PlayOptions { remap, ..PlayOptions::default() }).unwrap();
    player.run(|_| true).unwrap();
    for number in 1..=2 {
        let end = Instant::now() + Duration::from_secs(20);
        let received = loop {
            match subscriber.recv_timeout(Duration::from_secs(1)) {
                Ok(received) => break received,
                // The end of the first publisher.
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        };
        assert_eq!(
            (received.number, received.acceleration[2], received.temperature),
            (number, number as f64, 21.5)
        );
    }
}

#[test]
fn larger_slots_are_recorded_and_replayed() {
    let space = namespace("recording");
    let dir = directory("slots");
    let (first, second) = (dir.join("a.mcap"), dir.join("b.mcap"));
    let mut recorder = Recorder::create(&first, RecordOptions::default()).unwrap();
    let mut name = String::new();
    for (number, len) in [(1, 100), (2, 5000)] {
        let mut feed = FRAMES.max_len(len).open().namespace(&*space).publisher().unwrap();
        name = feed.name().to_owned();
        recorder.add(&name).unwrap();
        feed.send(&number, &vec![number as u16; len]).unwrap();
        poll_until(&mut recorder, number.into());
    }
    recorder.finish().unwrap();
    let recorded = contents(&first);
    assert!(recorded[1].1 > recorded[0].1 && recorded[1].2.len() > 10_000, "{recorded:?}");
    record_again(&first, &second, &name, &format!("{}/again", &*space));
    assert_eq!(contents(&second), recorded);
}

#[test]
fn late_channel_counts_what_was_overwritten() {
    for lossless in [false, true] {
        let space = namespace("recording");
        let path = directory(&format!("late-{lossless}")).join("a.mcap");
        let options = RecordOptions { lossless, ..RecordOptions::default() };
        let mut recorder = Recorder::create(&path, options).unwrap();
        let mut feed = FEED.slots(8).open().namespace(&*space).publisher().unwrap();
        for number in 0..20 {
            feed.send(&imu(number)).unwrap();
        }
        recorder.add_from_start(feed.name()).unwrap();
        poll(&mut recorder);
        feed.send(&imu(20)).unwrap();
        poll(&mut recorder);
        let report = recorder.finish().unwrap().remove(0);
        assert!(report.written >= 5 && report.lost > 0, "{report:?}");
        assert_eq!(report.written + report.lost, 21, "{report:?}");
        let sequences: Vec<_> = read(&path).unwrap().map(|message| message.unwrap().sequence).collect();
        assert_eq!(sequences, (report.lost as u32..21).collect::<Vec<_>>());
    }
}

macro_rules! nested {
    ($($name:ident of $part:ty),*) => {$(
        #[derive(Clone, Copy, Default, ShmMessage)]
        #[repr(C)]
        struct $name { a: $part, b: $part, c: $part, d: $part, e: $part, f: $part, g: $part, h: $part }
    )*};
}
nested!(Level1 of u8, Level2 of Level1, Level3 of Level2, Level4 of Level3);

#[test]
fn channel_that_cannot_be_encoded_is_reported_once() {
    // Its description is too long for a segment.
    const LONG: Channel<PubSub<Level4>> = Channel::new("robot/imu");
    for lossless in [false, true] {
        let space = namespace("recording");
        let path = directory(&format!("long-{lossless}")).join("a.mcap");
        let options = RecordOptions { lossless, ..RecordOptions::default() };
        let mut recorder = Recorder::create(&path, options).unwrap();
        let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
        recorder.add(feed.name()).unwrap();
        feed.send(&imu(1)).unwrap();
        poll_until(&mut recorder, 1);
        drop(feed);
        let mut long = LONG.open().namespace(&*space).publisher().unwrap();
        for _ in 0..3 {
            long.send(&Level4::default()).unwrap();
        }
        poll_until(&mut recorder, 4);
        assert!(matches!(&recorder.take_notices()[..], [Notice::Interrupted { .. }]));
        drop(long);
        let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
        feed.send(&imu(2)).unwrap();
        poll_until(&mut recorder, 5);
        let report = recorder.finish().unwrap().remove(0);
        assert_eq!((report.written, report.refused, report.lost), (2, 3, 0), "{report:?}");
        let numbers: Vec<_> = contents(&path).into_iter().map(|(_, _, bytes)| bytes[8]).collect();
        assert_eq!(numbers, [1, 2]);
    }
}

#[test]
fn channel_that_is_gone_is_opened_with_pauses() {
    const QUEUE: Channel<PushPull<u64>> = Channel::new("robot/imu");
    for lossless in [false, true] {
        let space = namespace("recording");
        let path = directory(&format!("queue-{lossless}")).join("a.mcap");
        let options = RecordOptions { lossless, ..RecordOptions::default() };
        let mut recorder = Recorder::create(&path, options).unwrap();
        let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
        let name = feed.name().to_owned();
        recorder.add(&name).unwrap();
        feed.send(&imu(1)).unwrap();
        poll_until(&mut recorder, 1);
        drop(feed);
        force_unlink(&name).unwrap();
        let queue = QUEUE.open().namespace(&*space).pusher().unwrap();
        let (start, mut events, mut notices) = (Instant::now(), 0, Vec::new());
        while start.elapsed() < Duration::from_millis(500) {
            events += recorder.poll().unwrap();
            notices.extend(recorder.take_notices());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(events < 5, "{events} events");
        assert!(matches!(&notices[..], [Notice::Interrupted { .. }]), "{notices:?}");
        drop(queue);
        force_unlink(&name).unwrap();
        let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
        feed.send(&imu(2)).unwrap();
        poll_until(&mut recorder, 2);
        assert_eq!(recorder.finish().unwrap()[0].written, 2);
    }
}
