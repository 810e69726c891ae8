//! Keys that several writers store, within one process.

use super::StoreError;
use crate::{ErrorKind, TableObserver, channel};
use std::time::Instant;

channel! {
    Shared: Table { name: "shared", writers: Many, alarm: [u64; 40], other: u32 }
}

// Declarations of other programs.
channel! { Alone: Table { name: "shared", alarm: [u64; 40], other: u32 } }
// The words of the setting are keys too, with another type.
channel! { Words: Table { name: "words", writers: u32, group: u32 } }

fn namespace(test: &str) -> String {
    format!("table-shared-{}-{test}", std::process::id())
}

#[test]
fn writers_of_one_key_take_turns() {
    let ns = namespace("turns");
    let open = || Shared::open().namespace(&ns);
    let stores = if cfg!(miri) { 5 } else { 2000 };
    let mut reader = {
        let _first = open().writer(Shared::ALARM).unwrap();
        let reader = open().reader().unwrap();
        std::thread::scope(|scope| {
            for number in 0..3 {
                scope.spawn(move || {
                    let mut writer = open().writer(Shared::ALARM).unwrap();
                    let mut last = 0;
                    for _ in 0..stores {
                        let version = writer.store(&[number; 40]).unwrap();
                        assert!(version > last, "version {version} after {last}");
                        last = version;
                    }
                });
            }
        });
        reader
    };
    let found = reader.load(Shared::ALARM).unwrap().unwrap();
    assert_eq!((found.version, found.value), (3 * stores, [found.value[0]; 40]));
}

#[test]
fn next_store_recovers_the_key_of_a_dead_writer() {
    let ns = namespace("dead");
    let open = || Shared::open().namespace(&ns);
    let mut reader = {
        let mut first = open().writer(Shared::ALARM).unwrap();
        first.store(&[1; 40]).unwrap();
        first.lock_forever();
        first.abandon();
        open().reader().unwrap()
    };
    assert_eq!(reader.load(Shared::ALARM).unwrap().unwrap().value, [1; 40]);
    // On another seat than that of the dead writer, which a new writer recovers when it takes it.
    let _other = open().writer(Shared::OTHER).unwrap();
    let mut second = open().writer(Shared::ALARM).unwrap();
    assert_eq!(second.store(&[2; 40]), Ok(2));
    second.lock_forever();
    let mut third = open().writer(Shared::ALARM).unwrap();
    second.abandon();
    assert_eq!(third.store(&[3; 40]), Ok(3));
    assert_eq!(reader.load(Shared::ALARM).unwrap().unwrap().value, [3; 40]);
}

#[test]
fn live_writer_in_a_store_makes_others_busy() {
    let ns = namespace("busy");
    let open = || Shared::open().namespace(&ns);
    let first = open().writer(Shared::ALARM).unwrap();
    let mut second = open().writer(Shared::ALARM).unwrap();
    first.lock_forever();
    let start = Instant::now();
    let error = second.store(&[2; 40]).unwrap_err();
    assert!(matches!(error, StoreError::Busy { pid, .. } if pid == std::process::id()), "{error}");
    assert!(start.elapsed().as_millis() >= 1000);
    assert!(error.to_string().contains("continue or end"), "{error}");
    // Other keys are not affected. The lock of a writer that leaves is released.
    open().writer(Shared::OTHER).unwrap().store(&1).unwrap();
    drop(first);
    assert_eq!(second.store(&[2; 40]), Ok(1));
}

#[test]
fn declarations_of_writers_must_agree() {
    let ns = namespace("agree");
    let mut shared = Shared::open().namespace(&ns).writer(Shared::ALARM).unwrap();
    shared.store(&[1; 40]).unwrap();
    let errors = [
        Alone::open().namespace(&ns).writer(Alone::ALARM).map(|_| ()).unwrap_err(),
        Alone::open().namespace(&ns).reader().map(|_| ()).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::ChannelMismatch);
        assert!(error.to_string().contains("`writers: Many`"), "{error}");
    }
}

#[test]
fn writers_of_a_key_are_listed() {
    let ns = namespace("listed");
    let open = || Shared::open().namespace(&ns);
    let writers = [(); 2].map(|()| open().writer(Shared::ALARM).unwrap());
    let mut reader = open().reader().unwrap();
    let table = TableObserver::open(reader.name()).unwrap();
    assert_eq!((table.writers(0).len(), table.writers(1).len(), table.writers(9).len()), (2, 0, 0));
    assert!(table.writer(0).is_some() && table.writer(1).is_none());
    assert!(reader.is_written(Shared::ALARM) && !reader.is_written(Shared::OTHER));
    let [first, second] = writers;
    drop(first);
    second.abandon();
    assert!(!reader.is_written(Shared::ALARM));
    assert_eq!(table.writers(0).iter().map(|writer| writer.alive).collect::<Vec<_>>(), [false]);
    // The last writer that leaves removes the segment. A killed one does not.
    drop(open().writer(Shared::ALARM).unwrap());
    assert!(crate::find_segment(reader.name()).unwrap().is_none());
}

#[test]
fn words_of_the_settings_can_be_keys() {
    let ns = namespace("words");
    let mut writer = Words::open().namespace(&ns).writer(Words::WRITERS).unwrap();
    assert_eq!(writer.store(&1), Ok(1));
    assert_eq!(Words::GROUP.name(), "group");
}
