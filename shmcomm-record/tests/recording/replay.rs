//! Replays: the part of the time, the pace, repetitions, and what is found before a message is sent.

use super::{FEED, directory, imu, poll};
use shmcomm_record::{PlayError, PlayOptions, Player, RecordOptions, Recorder, read};
use shmcomm_tests::namespace;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SPACING: Duration = Duration::from_millis(30);

/// A recording of ten messages, one every 30 ms, and its channel.
fn ten(name: &str) -> (PathBuf, String) {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let path = directory(name).join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..10 {
        feed.send(&imu(number)).unwrap();
        poll(&mut recorder);
        std::thread::sleep(SPACING);
    }
    recorder.finish().unwrap();
    (path, feed.name().to_owned())
}

/// Returns the times of the messages since the first one.
fn times(path: &PathBuf) -> Vec<Duration> {
    let times: Vec<_> = read(path).unwrap().map(|message| message.unwrap().time).collect();
    times.iter().map(|time| Duration::from_nanos(time - times[0])).collect()
}

fn fast() -> PlayOptions {
    PlayOptions { speed: f64::INFINITY, ..PlayOptions::default() }
}

/// Returns the number of messages sent.
fn sent(path: &PathBuf, options: PlayOptions) -> u64 {
    let mut player = Player::open([path], options).unwrap();
    player.run(|_| true).unwrap();
    player.report()[0].sent
}

#[test]
fn start_and_end_select_messages() {
    let (path, _) = ten("times");
    let times = times(&path);
    let half = Duration::from_nanos(1);
    assert_eq!(sent(&path, fast()), 10);
    assert_eq!(sent(&path, PlayOptions { start: times[4], ..fast() }), 6);
    assert_eq!(sent(&path, PlayOptions { start: times[4] + half, ..fast() }), 5);
    assert_eq!(sent(&path, PlayOptions { end: Some(times[4]), ..fast() }), 5);
    assert_eq!(sent(&path, PlayOptions { start: times[2], end: Some(times[6]), ..fast() }), 5);
    assert_eq!(sent(&path, PlayOptions { count: Some(3), ..fast() }), 3);
    let late = PlayOptions { start: times[9] + half, ..fast() };
    let error = Player::open([&path], late).err().expect("nothing is left");
    assert!(matches!(error, PlayError::LateStart { .. }), "{error}");
}

#[test]
fn speed_changes_the_pace() {
    let (path, _) = ten("speed");
    let length = *times(&path).last().unwrap();
    let time = |speed| {
        let start = Instant::now();
        assert_eq!(sent(&path, PlayOptions { speed, ..PlayOptions::default() }), 10);
        start.elapsed()
    };
    assert!(time(1.0) >= length);
    assert!(time(0.5) >= 2 * length);
    assert!(time(4.0) >= length / 4);
    // A busy machine may delay a run, but hardly all of them.
    let faster = |speed| (0..50).any(|_| time(speed) < length);
    assert!(faster(4.0) && faster(f64::INFINITY));
}

#[test]
fn loop_starts_again_until_it_is_stopped() {
    let (path, _) = ten("loop");
    assert_eq!(sent(&path, PlayOptions { repeat: true, count: Some(25), ..fast() }), 25);
    let mut player = Player::open([&path], PlayOptions { repeat: true, ..fast() }).unwrap();
    let mut calls = 0;
    player
        .run(|_| {
            calls += 1;
            calls <= 33
        })
        .unwrap();
    assert_eq!(player.report()[0].sent, 33);
}

/// A recording of 12,000 messages of one channel, then one of another.
fn long(name: &str) -> (PathBuf, String, String) {
    const LATE: shmcomm::Channel<shmcomm::PubSub<u64>> = shmcomm::Channel::new("late");
    let space = namespace("recording");
    let mut feed = FEED.slots(1024).open().namespace(&*space).publisher().unwrap();
    let mut late = LATE.open().namespace(&*space).publisher().unwrap();
    let path = directory(name).join("a.mcap");
    let mut recorder = Recorder::create(&path, RecordOptions::default()).unwrap();
    recorder.add(feed.name()).unwrap();
    recorder.add(late.name()).unwrap();
    for number in 0..12_000 {
        feed.send(&imu(number)).unwrap();
        if number % 100 == 0 {
            poll(&mut recorder);
        }
    }
    poll(&mut recorder);
    late.send(&1).unwrap();
    poll(&mut recorder);
    let report = recorder.finish().unwrap();
    assert_eq!(report.iter().map(|channel| channel.written).collect::<Vec<_>>(), [12_000, 1]);
    (path, feed.name().to_owned(), late.name().to_owned())
}

#[test]
fn channels_are_opened_before_a_message_is_sent() {
    let (path, _, late) = long("survey");
    let cut = path.with_file_name("cut.mcap");
    let bytes = std::fs::read(&path).unwrap();
    // Without the summary, the indexes of the messages name the channels.
    std::fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    for path in [&path, &cut] {
        let player = Player::open([path], fast()).unwrap();
        let recorded: Vec<_> = player.report().iter().map(|channel| channel.recorded.clone()).collect();
        assert_eq!(recorded.len(), 2);
        assert_eq!(recorded[1], late);
    }
}

#[test]
fn skipped_messages_can_be_interrupted() {
    let (path, _, late) = long("skip");
    let mut player = Player::open([&path], PlayOptions { channels: Some(vec![late]), ..fast() }).unwrap();
    let mut calls = 0;
    player
        .run(|_| {
            calls += 1;
            false
        })
        .unwrap();
    assert_eq!((calls, player.report()[0].sent), (1, 0));
}
