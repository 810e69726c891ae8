//! The buffer before the trigger: what it keeps, and what it counts.

use super::{FEED, all, directory, imu, poll};
use shmcomm_record::{RecordOptions, Recorder};
use shmcomm_tests::namespace;
use std::time::Duration;

#[test]
fn trigger_writes_the_messages_before_it() {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let path = directory("trigger").join("a.mcap");
    let options = RecordOptions { pre_buffer: Some(Duration::from_secs(3600)), ..RecordOptions::default() };
    let mut recorder = Recorder::create(&path, options).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..10 {
        feed.send(&imu(number)).unwrap();
    }
    poll(&mut recorder);
    assert!(recorder.is_waiting() && !path.exists());
    recorder.trigger().unwrap();
    feed.send(&imu(10)).unwrap();
    poll(&mut recorder);
    assert_eq!(recorder.finish().unwrap()[0].written, 11);
    assert_eq!(all(&path).len(), 11);
}

#[test]
fn old_messages_are_not_written_after_a_silence() {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let path = directory("silence").join("a.mcap");
    let options = RecordOptions { pre_buffer: Some(Duration::from_millis(100)), ..RecordOptions::default() };
    let mut recorder = Recorder::create(&path, options).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..5 {
        feed.send(&imu(number)).unwrap();
    }
    poll(&mut recorder);
    std::thread::sleep(Duration::from_millis(150));
    recorder.trigger().unwrap();
    feed.send(&imu(5)).unwrap();
    poll(&mut recorder);
    let report = recorder.finish().unwrap();
    assert_eq!((report[0].expired, report[0].written), (5, 1), "{report:?}");
    assert_eq!(all(&path).len(), 1);
}

#[test]
fn messages_that_a_full_buffer_drops_are_counted() {
    let space = namespace("recording");
    let mut feed = FEED.open().namespace(&*space).publisher().unwrap();
    let path = directory("full-buffer").join("a.mcap");
    let options = RecordOptions {
        pre_buffer: Some(Duration::from_secs(3600)),
        pre_buffer_bytes: 2000,
        ..RecordOptions::default()
    };
    let mut recorder = Recorder::create(&path, options).unwrap();
    recorder.add(feed.name()).unwrap();
    for number in 0..50 {
        feed.send(&imu(number)).unwrap();
        poll(&mut recorder);
    }
    recorder.trigger().unwrap();
    let report = recorder.finish().unwrap().remove(0);
    assert!(report.dropped > 20 && report.written > 5, "{report:?}");
    assert_eq!(report.dropped + report.written, 50, "{report:?}");
    assert_eq!(all(&path).len() as u64, report.written);
}
