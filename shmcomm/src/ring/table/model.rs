//! The table under the model checker: the code itself, with a writer that dies at every fault point. The checker tries
//! every interleaving, with every stale value that the memory model allows. The model of the broadcast ring says how to
//! run it.

use super::*;
use crate::fault::crash_at;
use crate::layout::{Heap, Pattern, Shape, places};
use crate::ring::broadcast::model::{every_crash, model};
use loom::thread;
use std::sync::Arc;

const SIZE: usize = 16;

#[derive(Clone)]
pub(super) struct Table {
    pub(super) heap: Arc<Heap>,
    pub(super) geometry: Geometry,
    keys: u64,
}

impl Table {
    pub(super) fn new(keys: u64) -> Self {
        let places = places((0..keys).map(|_| SIZE as u64));
        let last = places[places.len() - 1];
        let shape = Shape {
            pattern: Pattern::Table,
            slots: keys,
            slot_size: last.offset + last.span(),
            request_size: 0,
            align: 8,
            seats: keys as u32 + 1,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::new(shape).unwrap();
        Table { heap: Arc::new(Heap::new(&geometry)), geometry, keys }
    }

    pub(super) fn place(&self, key: usize) -> KeyPlace {
        places((0..self.keys).map(|_| SIZE as u64))[key]
    }

    fn writer(&self, key: usize) -> KeyWriter {
        KeyWriter::new(self.heap.region(), &self.geometry, self.place(key))
    }

    pub(super) fn reader(&self, key: usize) -> KeyReader {
        KeyReader::new(self.heap.region(), &self.geometry, self.place(key))
    }
}

/// Value `number` of a writer in that `life`: its halves prove each other.
pub(super) fn value(number: u64, life: u64) -> [u8; SIZE] {
    let word = (life << 32) + number;
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&word.to_ne_bytes());
    bytes[8..].copy_from_slice(&(!word).to_ne_bytes());
    bytes
}

pub(super) fn parts(bytes: &[u8]) -> (u64, u64) {
    let word = |i| u64::from_ne_bytes(bytes[i..i + 8].try_into().unwrap());
    assert_eq!(word(0), !word(8), "torn");
    (word(0) & u64::from(u32::MAX), word(0) >> 32)
}

/// Loads a key; `None` if writers were too fast. Checks that version, time and value are those of one store.
pub(super) fn load(reader: &KeyReader) -> Option<u64> {
    let mut bytes = [0; SIZE];
    let found = reader.load(&mut bytes).ok()?;
    if found.version > 0 {
        let (number, _) = parts(&bytes);
        let expected = Stamped { version: number, time: number as i64, len: SIZE };
        assert_eq!(found, expected, "parts of two stores");
    }
    Some(found.version)
}

/// A writer stores four values while a reader loads twice. Both buffers are overwritten.
#[test]
fn value_is_of_one_store() {
    let busy = model("table", 3, || {
        let table = Table::new(1);
        let (mut writer, reader) = (table.writer(0), table.reader(0));
        let stores = thread::spawn(move || {
            for number in 1..=4 {
                assert_eq!(writer.store(&value(number, 0), number as i64), number);
            }
        });
        let (first, second) = (load(&reader), load(&reader));
        assert!(first.unwrap_or(0) <= second.unwrap_or(4), "an older version");
        stores.join().unwrap();
        assert_eq!(load(&reader), Some(4));
        first.is_none() || second.is_none()
    });
    assert!(busy, "no reader was overtaken");
}

/// A writer dies at any step of its second or third store, while a reader loads.
#[test]
fn dead_writer_leaves_a_whole_value() {
    every_crash("table, crash", 2, |point| {
        let table = Table::new(1);
        let reader = table.reader(0);
        table.writer(0).store(&value(1, 0), 1);
        let life = table.clone();
        let stores = thread::spawn(move || stores_until(&life, point));
        let seen = load(&reader);
        assert!(seen.is_none_or(|version| version >= 1), "the old value is gone");
        let lived = stores.join().unwrap();
        let left = load(&reader).expect("a dead writer stores no value");
        assert!(left >= seen.unwrap_or(1), "an older version");
        let mut next = table.writer(0);
        assert_eq!(next.store(&value(left + 1, 2), left as i64 + 1), left + 1);
        assert_eq!(load(&reader), Some(left + 1));
        !lived
    });
}

/// A writer dies at any step of its second or third store, and another continues, while a reader loads.
#[test]
fn next_writer_continues_under_a_reader() {
    every_crash("table, next writer", 2, |point| {
        let table = Table::new(1);
        let reader = table.reader(0);
        table.writer(0).store(&value(1, 0), 1);
        let life = table.clone();
        let stores = thread::spawn(move || {
            let lived = stores_until(&life, point);
            let mut next = life.writer(0);
            let number = next.version() + 1;
            assert_eq!(next.store(&value(number, 2), number as i64), number);
            (number, lived)
        });
        let seen = load(&reader);
        assert!(seen.is_none_or(|version| version >= 1), "the old value is gone");
        let (last, lived) = stores.join().unwrap();
        let mut bytes = [0; SIZE];
        let found = reader.load(&mut bytes).expect("no writer is left");
        assert_eq!((found.version, parts(&bytes)), (last, (last, 2)));
        !lived
    });
}

/// Stores versions 2 and 3, up to a fault point. Returns `false` if the writer died.
fn stores_until(table: &Table, point: u32) -> bool {
    let stores = || {
        let mut writer = table.writer(0);
        (2..=3).for_each(|number| _ = writer.store(&value(number, 1), number as i64));
    };
    crash_at(point, stores).is_some()
}

/// A writer stores a key, a second writer sees it and stores another key. No set has the effect without the cause.
#[test]
fn set_is_of_one_instant() {
    model("table, set", 3, || {
        let table = Table::new(2);
        let (mut cause, mut effect) = (table.writer(0), table.writer(1));
        let seen = table.reader(0);
        let first = thread::spawn(move || {
            (1..=2).for_each(|number| _ = cause.store(&value(number, 0), number as i64));
        });
        let second = thread::spawn(move || {
            let Some(number) = load(&seen) else { return };
            effect.store(&value(number, 1), number as i64);
        });
        let keys = [table.reader(0), table.reader(1)];
        let (mut cause, mut effect) = ([0; SIZE], [0; SIZE]);
        let mut found = [Stamped::NOTHING; 2];
        let set = load_set(&keys, &mut [&mut cause, &mut effect], &mut found);
        if set.is_ok() && found[1].version > 0 {
            assert!(parts(&effect).0 <= found[0].version, "an effect without its cause");
        }
        first.join().unwrap();
        second.join().unwrap();
        true
    });
}
