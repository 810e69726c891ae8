//! Several writers of one key under the model checker, one of which dies at every fault point.

use super::*;
use crate::fault::crash_at;
use crate::ring::broadcast::model::{every_crash, model};
use crate::ring::table::model::{Table, load, parts, value};
use loom::thread;

impl Table {
    fn shared(&self, seat: u32) -> SharedKeyWriter {
        SharedKeyWriter::new(self.heap.region(), &self.geometry, self.place(0), seat)
    }
}

/// Stores the next version as the writer on that seat.
fn store(writer: &mut SharedKeyWriter) -> u64 {
    let locked = loop {
        match writer.try_lock() {
            Ok(locked) => break locked,
            Err(_) => thread::yield_now(),
        }
    };
    let next = writer.version() + 1;
    assert_eq!(writer.store(locked, &value(next, writer.seat.into()), next as i64), next);
    next
}

/// Two writers store one value each while a reader loads. No store is lost.
#[test]
fn writers_take_turns() {
    model("table, shared", 3, || {
        let table = Table::new(1);
        let reader = table.reader(0);
        let (mut first, mut second) = (table.shared(0), table.shared(1));
        let stores = thread::spawn(move || store(&mut first));
        let own = store(&mut second);
        let seen = load(&reader);
        assert!(seen.is_none_or(|version| version >= own), "an older version than the own one");
        let other = stores.join().unwrap();
        assert_eq!(own + other, 3, "two stores of one version");
        assert_eq!(load(&reader), Some(2));
        true
    });
}

/// A writer dies at any step of its store, and is recovered while another writer stores. The next writer on its seat stores
/// too.
#[test]
fn dead_writer_holds_up_no_other() {
    every_crash("table, shared, crash", 2, |point| {
        let table = Table::new(1);
        let (mut first, mut next, mut second) = (table.shared(0), table.shared(0), table.shared(1));
        let life = table.clone();
        let dies = thread::spawn(move || {
            let lived = crash_at(point, || store(&mut first)).is_some();
            recover(&life.heap.region(), &life.geometry, 0);
            store(&mut next);
            lived
        });
        let own = store(&mut second);
        let lived = dies.join().unwrap();
        let reader = table.reader(0);
        let left = load(&reader).expect("no writer stores");
        // A writer that died after the version word has stored too.
        assert!(left >= own && (2..=3).contains(&left), "version {left} after {own}");
        assert!(left == 3 || !lived, "a store is lost");
        assert_eq!(store(&mut second), left + 1);
        let mut bytes = [0; 16];
        reader.load(&mut bytes).unwrap();
        assert_eq!(parts(&bytes), (left + 1, 1));
        !lived
    });
}
