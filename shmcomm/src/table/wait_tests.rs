//! Waiting for tables within one process: keys, sets, time limits, stops, and the move to a new segment.

use super::{AnyKey, TableWaitError, TableWaitTimeoutError};
use crate::{Cause, ErrorKind, StopHandle, WaitSet, channel};
use std::time::{Duration, Instant};

channel! {
    Robot: Table { name: "robot/state", mode: u32, pose: [f64; 3], label: u64 }
}

const SHORT: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(30);

fn namespace(test: &str) -> String {
    format!("table-wait-{}-{test}", std::process::id())
}

#[test]
fn wait_returns_at_once_after_a_store() {
    let ns = namespace("there");
    let mut mode = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    assert!(!reader.has_changed(AnyKey));
    mode.store(&1).unwrap();
    assert!(reader.has_changed(Robot::MODE) && !reader.has_changed((Robot::POSE, Robot::LABEL)));
    reader.wait(Robot::MODE).unwrap();
    reader.wait((Robot::POSE, Robot::MODE)).unwrap();
    reader.wait(AnyKey).unwrap();
    assert_eq!(reader.wait_timeout(Robot::POSE, SHORT), Err(TableWaitTimeoutError::Timeout));
    reader.load(Robot::MODE).unwrap();
    assert_eq!(reader.wait_timeout(AnyKey, Duration::ZERO), Err(TableWaitTimeoutError::Timeout));
    mode.store(&2).unwrap();
    reader.wait_deadline(Robot::MODE, Instant::now()).unwrap();
    reader.load_set((Robot::MODE, Robot::POSE)).unwrap();
    assert_eq!(reader.wait_deadline(Robot::MODE, Instant::now()), Err(TableWaitTimeoutError::Timeout));
}

#[test]
fn stores_wake_readers_that_wait() {
    let ns = namespace("woken");
    let rounds = if cfg!(miri) { 3 } else { 300 };
    let open = || Robot::open().namespace(&ns);
    let (mut ping, mut pong) = (open().writer(Robot::MODE).unwrap(), open().writer(Robot::LABEL).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut reader = open().reader().unwrap();
            for round in 1..=rounds {
                reader.wait(Robot::MODE).unwrap();
                assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().value, round);
                pong.store(&round.into()).unwrap();
            }
        });
        let mut reader = open().reader().unwrap();
        for round in 1..=rounds {
            ping.store(&round).unwrap();
            reader.wait(Robot::LABEL).unwrap();
            assert_eq!(reader.load(Robot::LABEL).unwrap().unwrap().version, u64::from(round));
        }
    });
}

#[test]
fn stop_ends_a_wait() {
    let ns = namespace("stop");
    let _mode = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    let stop = StopHandle::new();
    let mut reader = Robot::open().namespace(&ns).stop(&stop).reader().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            stop.stop();
        });
        assert_eq!(reader.wait(AnyKey), Err(TableWaitError::Stopped));
    });
    assert_eq!(reader.wait_timeout(AnyKey, PATIENCE), Err(TableWaitTimeoutError::Stopped));
    assert!(reader.load(Robot::MODE).unwrap().is_none(), "a stop does not end loads");
    reader.stop_handle().reset();
    assert_eq!(reader.wait_timeout(AnyKey, SHORT), Err(TableWaitTimeoutError::Timeout));
}

#[test]
fn wait_goes_on_without_writers_and_in_a_new_segment() {
    let ns = namespace("follow");
    let open = || Robot::open().namespace(&ns);
    let mut mode = open().writer(Robot::MODE).unwrap();
    mode.store(&1).unwrap();
    let mut reader = open().reader().unwrap();
    reader.load(Robot::MODE).unwrap();
    drop(mode);
    assert_eq!(reader.wait_timeout(AnyKey, SHORT), Err(TableWaitTimeoutError::Timeout));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut mode = open().writer(Robot::MODE).unwrap();
            std::thread::sleep(Duration::from_millis(5));
            mode.store(&2).unwrap();
            std::thread::sleep(Duration::from_millis(200));
        });
        reader.wait(Robot::MODE).unwrap();
        // The writer may have left by now; the reader keeps its segment.
        assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().value, 2);
    });
}

#[test]
fn set_reports_the_keys_that_changed() {
    let ns = namespace("set");
    let open = || Robot::open().namespace(&ns);
    let mut mode = open().writer(Robot::MODE).unwrap();
    let mut pose = open().writer(Robot::POSE).unwrap();
    let mut reader = open().reader().unwrap();
    let mut set = WaitSet::new();
    set.add("any", &reader).unwrap();
    set.add("mode", &reader.changes(Robot::MODE)).unwrap();
    set.add("pose", &reader.changes(Robot::POSE)).unwrap();
    let ready = |set: &mut WaitSet<_>| -> Vec<&str> {
        let ready = set.wait_timeout(SHORT).unwrap();
        assert!(ready.iter().all(|ready| ready.cause == Cause::Channel));
        ready.into_iter().map(|ready| ready.key).collect()
    };
    assert!(ready(&mut set).is_empty());
    mode.store(&1).unwrap();
    assert_eq!(ready(&mut set), ["any", "mode"]);
    pose.store(&[0.5; 3]).unwrap();
    assert_eq!(ready(&mut set), ["any", "mode", "pose"]);
    reader.load(Robot::MODE).unwrap();
    assert_eq!(ready(&mut set), ["any", "pose"]);
    reader.load(Robot::POSE).unwrap();
    assert!(ready(&mut set).is_empty());
    drop(reader);
    assert!(ready(&mut set).is_empty() && set.is_empty(), "a dropped reader leaves the set");
}

#[test]
fn set_follows_a_table_to_its_new_segment() {
    let ns = namespace("set-follow");
    let open = || Robot::open().namespace(&ns);
    let mut mode = open().writer(Robot::MODE).unwrap();
    mode.store(&1).unwrap();
    let mut reader = open().reader().unwrap();
    reader.load(Robot::MODE).unwrap();
    let mut set = WaitSet::new();
    set.add((), &reader).unwrap();
    drop(mode);
    assert!(set.wait_timeout(SHORT).unwrap().is_empty());
    let mut mode = open().writer(Robot::MODE).unwrap();
    mode.store(&2).unwrap();
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
    assert_eq!(reader.load(Robot::MODE).unwrap().unwrap().value, 2);
    assert!(set.wait_timeout(SHORT).unwrap().is_empty());
    mode.store(&3).unwrap();
    assert_eq!(set.wait_timeout(PATIENCE).unwrap().len(), 1);
}

/// A reader that is gone, like a killed one, leaves a lease that the writer ends. Until then a store costs a fence.
#[test]
fn writer_ends_the_lease_of_a_reader_that_is_gone() {
    let ns = namespace("lease");
    let mut mode = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    assert_eq!(mode.lease(), 0);
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    assert_eq!(mode.lease(), 0, "a reader that only loads announces nothing");
    // On a slow machine the time may pass before the reader sleeps.
    let since = Instant::now();
    while mode.lease() == 0 {
        assert!(since.elapsed() < PATIENCE, "the reader announces no sleep");
        let time = Duration::from_millis(20);
        assert_eq!(reader.wait_timeout(Robot::MODE, time), Err(TableWaitTimeoutError::Timeout));
    }
    // Writers that come and go do not end the lease of a reader.
    drop(Robot::open().namespace(&ns).writer(Robot::POSE).unwrap());
    assert_ne!(mode.lease(), 0);
    drop(reader);
    let since = Instant::now();
    while mode.lease() != 0 {
        assert!(since.elapsed() < PATIENCE, "the lease does not end");
        mode.store(&1).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(since.elapsed() >= Duration::from_millis(500), "a lease ends after a second");
}

#[test]
fn reader_that_waits_is_not_required_for_the_table() {
    let ns = namespace("alone");
    let mode = Robot::open().namespace(&ns).writer(Robot::MODE).unwrap();
    let mut reader = Robot::open().namespace(&ns).reader().unwrap();
    assert_eq!(reader.wait_timeout(AnyKey, SHORT), Err(TableWaitTimeoutError::Timeout));
    drop(mode);
    let error = Robot::open().namespace(&ns).connect_timeout(Duration::ZERO).reader().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
