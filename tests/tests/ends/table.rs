//! Tables between processes: writers that are killed in the middle of a store, succeeded and refused.

use shmcomm::{ErrorKind, LoadError, TableObserver};
use shmcomm_tests::{Large, Namespace, Peer, SharedState, Small, State, namespace};
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_peer");
const PATIENCE: Duration = Duration::from_secs(30);

fn channel(ns: &Namespace) -> String {
    format!("{ns}/state")
}

/// Opens what a process that is being killed may still have.
fn eventually<T>(mut open: impl FnMut() -> Result<T, shmcomm::Error>) -> T {
    let start = Instant::now();
    loop {
        match open() {
            Err(error) if error.kind() == ErrorKind::AlreadyPublished && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result.unwrap(),
        }
    }
}

#[test]
fn values_are_whole_while_writers_are_killed() {
    let ns = namespace("table-killed");
    let mut peer = Peer::start(PEER, &ns, &["store", "large"]);
    peer.expect("ready");
    let mut reader = State::open().namespace(&*ns).reader().unwrap();
    let (mut last, mut version) = (0, 0);
    for _ in 0..20 {
        let start = version;
        let since = Instant::now();
        // Loads until the writer of this round has stored some values, then kills it in the middle of another one.
        while version < start + 20 {
            assert!(since.elapsed() < PATIENCE, "no value is stored");
            match reader.load(State::LARGE) {
                Ok(Some(found)) => {
                    found.value.check();
                    assert!(found.version >= version, "version {} after {version}", found.version);
                    assert!(found.value.number >= last, "value {} after {last}", found.value.number);
                    (version, last) = (found.version, found.value.number);
                }
                Ok(None) | Err(LoadError::Busy { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        peer.kill();
        let left = reader.load(State::LARGE).unwrap().expect("the last value stays");
        left.value.check();
        assert!(!reader.is_written(State::LARGE));
        peer = Peer::start(PEER, &ns, &["store", "large"]);
        peer.expect("ready");
    }
}

#[test]
fn living_writer_keeps_its_key() {
    let ns = namespace("table-owner");
    let mut peer = Peer::start(PEER, &ns, &["store", "small"]);
    peer.expect("ready");
    let error = State::open().namespace(&*ns).writer(State::SMALL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyPublished);
    let text = error.to_string();
    assert!(text.contains("`small`") && text.contains(&format!("process {}", peer.pid())), "{text}");
    let _other = State::open().namespace(&*ns).writer(State::LARGE).unwrap();
    peer.kill();
    let mut next = eventually(|| State::open().namespace(&*ns).writer(State::SMALL));
    let version = next.version();
    assert_eq!(next.store(&Small::new(7)), Ok(version + 1));
}

#[test]
fn readers_take_no_seat_and_outlive_writers() {
    let ns = namespace("table-seats");
    let mut writer = State::open().namespace(&*ns).writer(State::SMALL).unwrap();
    writer.store(&Small::new(3)).unwrap();
    let mut readers: Vec<_> = (0..200).map(|_| State::open().namespace(&*ns).reader().unwrap()).collect();
    let info = shmcomm::find_segment(&channel(&ns)).unwrap().unwrap();
    assert_eq!((info.pattern, info.participants.len(), info.messages), ("table", 1, 1));
    assert_eq!((info.senders(), info.receivers(), info.slots), (Some(1), None, 2));
    drop(writer);
    assert!(shmcomm::find_segment(&channel(&ns)).unwrap().is_none(), "the last writer removes the table");
    for reader in &mut readers {
        let found = reader.load(State::SMALL).unwrap().expect("the last value stays");
        assert_eq!((found.value.number, found.version), (3, 1));
    }
}

#[test]
fn observer_learns_keys_from_the_segment() {
    let ns = namespace("table-observer");
    let mut peer = Peer::start(PEER, &ns, &["store", "small"]);
    peer.expect("ready");
    let mut table = TableObserver::open(&channel(&ns)).unwrap();
    let names: Vec<_> = table.keys().iter().map(|key| (key.name.clone(), key.layout.size())).collect();
    assert_eq!(names, [("small".into(), size_of::<Small>()), ("large".into(), size_of::<Large>())]);
    assert_eq!(table.writer(0).map(|writer| (writer.pid, writer.alive)), Some((peer.pid(), true)));
    assert!(
        table.writer(1).is_none() && table.load(1).unwrap().is_none() && table.load(9).unwrap().is_none()
    );
    let start = Instant::now();
    while table.version(0) < 2 {
        assert!(start.elapsed() < PATIENCE);
    }
    // The peer never pauses between two stores.
    let value = loop {
        match table.load(0) {
            Err(LoadError::Busy { .. }) => assert!(start.elapsed() < PATIENCE),
            found => break found.unwrap().unwrap(),
        }
    };
    let number = value.view().get("number").and_then(|number| number.as_int()).unwrap();
    let small: Small = shmcomm::message::read(value.bytes()).unwrap();
    small.check();
    assert_eq!(i128::from(small.number), number);
    assert!(!table.follow().unwrap());
    peer.kill();
    assert_eq!(table.writer(0).map(|writer| writer.alive), Some(false));
    let error = shmcomm::Observer::open(&channel(&ns)).unwrap_err();
    assert!(error.to_string().contains("TableObserver"), "{error}");
}

/// A reader that is killed while it sleeps takes no wake-up away, and holds up no store.
#[test]
fn killed_waiters_disturb_no_other_process() {
    let ns = namespace("table-waiters");
    let mut writer = State::open().namespace(&*ns).writer(State::SMALL).unwrap();
    let mut reader = State::open().namespace(&*ns).reader().unwrap();
    let rounds = 10;
    for number in 0..rounds {
        let mut peer = Peer::start(PEER, &ns, &["wait-table"]);
        peer.expect("ready");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| reader.wait_timeout(State::SMALL, PATIENCE));
            peer.kill();
            writer.store(&Small::new(number)).unwrap();
            waits.join().unwrap().unwrap();
        });
        assert_eq!(reader.load(State::SMALL).unwrap().unwrap().value.number, number);
    }
}

/// A writer that is killed between the store and the wake-up delays a reader by one sleep.
#[test]
fn reader_finds_what_killed_writers_stored() {
    let ns = namespace("table-killed-waker");
    let mut last = 0;
    let mut reader = None;
    for _ in 0..10 {
        let mut peer = Peer::start(PEER, &ns, &["store", "small"]);
        peer.expect("ready");
        let reader = reader.get_or_insert_with(|| State::open().namespace(&*ns).reader().unwrap());
        reader.wait_timeout(State::SMALL, PATIENCE).unwrap();
        peer.kill();
        let since = Instant::now();
        let found = loop {
            match reader.load(State::SMALL) {
                Err(LoadError::Busy { .. }) => assert!(since.elapsed() < PATIENCE),
                found => break found.unwrap().expect("a value was stored"),
            }
        };
        found.value.check();
        assert!(found.version > last, "version {} after {last}", found.version);
        last = found.version;
    }
}

/// Two processes store one key all the time, and one of them is killed again and again, also in the middle of a store.
#[test]
fn shared_key_survives_killed_writers() {
    let ns = namespace("table-shared-killed");
    let start = || {
        let mut peer = Peer::start(PEER, &ns, &["store", "shared"]);
        peer.expect("ready");
        peer
    };
    let (mut peer, _other) = (start(), start());
    let mut own = SharedState::open().namespace(&*ns).writer(SharedState::LARGE).unwrap();
    let mut reader = SharedState::open().namespace(&*ns).reader().unwrap();
    let mut last = 0;
    for round in 0..20 {
        peer.kill();
        for _ in 0..20 {
            let version = own.store(&Large::new(round)).unwrap();
            assert!(version > last, "version {version} after {last}");
            let since = Instant::now();
            let found = loop {
                match reader.load(SharedState::LARGE) {
                    Err(LoadError::Busy { .. }) => assert!(since.elapsed() < PATIENCE, "busy"),
                    found => break found.unwrap().expect("a value was stored"),
                }
            };
            found.value.check();
            assert!(found.version >= version, "version {} after {version}", found.version);
            last = found.version;
        }
        peer = start();
    }
}
