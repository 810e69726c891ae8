//! The table on plain memory: one thread if the order of steps matters, several threads if it must not.

use super::*;
use crate::layout::{Heap, KeyPlace, Pattern, Shape, places};
use crate::sync::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

struct Table {
    heap: Heap,
    geometry: Geometry,
    places: Vec<KeyPlace>,
}

impl Table {
    fn new(sizes: &[u64]) -> Self {
        let places = places(sizes.iter().copied());
        let last = places.last().expect("a table has keys");
        let shape = Shape {
            pattern: Pattern::Table,
            slots: places.len() as u64,
            slot_size: last.offset + last.span(),
            request_size: 0,
            align: 8,
            seats: places.len() as u32 + 1,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::new(shape).unwrap();
        Table { heap: Heap::new(&geometry), geometry, places }
    }

    fn writer(&self, key: usize) -> KeyWriter {
        KeyWriter::new(self.heap.region(), &self.geometry, self.places[key])
    }

    fn reader(&self, key: usize) -> KeyReader {
        KeyReader::new(self.heap.region(), &self.geometry, self.places[key])
    }

    fn readers(&self) -> Vec<KeyReader> {
        (0..self.places.len()).map(|key| self.reader(key)).collect()
    }

    /// Returns the word at a byte of a key.
    fn word(&self, key: usize, at: u64) -> usize {
        (self.geometry.slots_offset + self.places[key].offset + at) as usize
    }
}

/// Value of a version of a key: every word follows from both.
fn value(size: usize, key: u64, version: u64) -> Vec<u8> {
    // A word at a time: the interpreter is slow.
    let mut bytes = Vec::with_capacity(size.next_multiple_of(8));
    (0..size.div_ceil(8) as u64)
        .for_each(|i| bytes.extend_from_slice(&(version << 20 | key << 16 | i).to_ne_bytes()));
    bytes.truncate(size);
    bytes
}

/// Returns the current value. The fast path finds the same one.
fn load(reader: &KeyReader, size: usize) -> (Stamped, Vec<u8>) {
    let mut bytes = vec![0xEE; size];
    let stamped = reader.load(&mut bytes).unwrap();
    let mut room = vec![MaybeUninit::uninit(); size];
    let fast = reader.load_fast(&mut room).map(|(stamped, bytes)| (stamped, bytes.to_vec()));
    assert_eq!(fast, (stamped.version > 0).then(|| (stamped, bytes.clone())));
    (stamped, bytes)
}

#[test]
fn key_without_a_store_has_version_0() {
    let table = Table::new(&[8, 24]);
    table.writer(1).store(&value(24, 1, 1), 5);
    assert_eq!(load(&table.reader(0), 8).0, Stamped::NOTHING);
    assert_eq!(load(&table.reader(1), 24).0.version, 1);
}

#[test]
fn every_size_is_stored_and_loaded() {
    let sizes = [0, 1, 7, 8, 9, 31, 32, 33, 1023, 1024, 1025, 5000];
    let table = Table::new(&sizes);
    for version in 1..5 {
        for (key, size) in sizes.into_iter().enumerate() {
            let bytes = value(size as usize, key as u64, version);
            assert_eq!(table.writer(key).store(&bytes, version as i64 - 2), version);
        }
        for (key, size) in sizes.into_iter().enumerate() {
            let (stamped, bytes) = load(&table.reader(key), size as usize);
            let expected = Stamped { version, time: version as i64 - 2, len: size as usize };
            assert_eq!((stamped, bytes), (expected, value(size as usize, key as u64, version)));
        }
    }
}

#[test]
fn next_writer_continues_behind_the_last_version() {
    let table = Table::new(&[16]);
    table.writer(0).store(&value(16, 0, 1), 1);
    let mut next = table.writer(0);
    assert_eq!((next.version(), next.store(&value(16, 0, 2), 2)), (1, 2));
    assert_eq!(load(&table.reader(0), 16).1, value(16, 0, 2));
}

#[test]
fn interrupted_store_leaves_the_old_value() {
    let table = Table::new(&[16]);
    let mut writer = table.writer(0);
    writer.store(&value(16, 0, 1), 1);
    // What a writer leaves that died in the middle of version 2.
    let place = table.places[0];
    let (stamp, word) = (place.buffer(0), place.buffer(0) + 32);
    for (at, torn) in [(stamp, writing(2)), (word, 77), (stamp, done(2)), (word + 8, 78)] {
        table.heap.region().u64(table.word(0, at)).store(torn, Relaxed);
        assert_eq!(load(&table.reader(0), 16).1, value(16, 0, 1));
    }
    assert_eq!(table.writer(0).store(&value(16, 0, 9), 9), 2);
    assert_eq!(load(&table.reader(0), 16), (Stamped { version: 2, time: 9, len: 16 }, value(16, 0, 9)));
}

#[test]
fn damaged_words_are_reported_and_not_followed() {
    let table = Table::new(&[16]);
    table.writer(0).store(&value(16, 0, 1), 1);
    let place = table.places[0];
    let version = table.heap.region();
    let version = version.u64(table.word(0, 0));
    for wrong in [2, 3, u64::MAX, u64::MAX / 2, 1 << 61] {
        version.store(wrong, Relaxed);
        assert_eq!(table.reader(0).load(&mut [0; 16]), Err(NotLoaded::Damaged), "{wrong}");
        let (mut bytes, mut found) = ([0; 16], [Stamped::NOTHING]);
        let set = load_set(&table.readers(), &mut [&mut bytes], &mut found);
        assert_eq!(set, Err(NotLoaded::Damaged), "{wrong}");
    }
    version.store(1, Relaxed);
    table.heap.region().u64(table.word(0, place.buffer(1) + 8)).store(u64::MAX, Relaxed);
    assert_eq!(load(&table.reader(0), 16).0.len, usize::MAX);
}

#[test]
#[should_panic(expected = "a key outside its table")]
fn place_outside_the_table_is_refused() {
    let table = Table::new(&[16]);
    KeyReader::new(table.heap.region(), &table.geometry, KeyPlace { offset: 128, ..table.places[0] });
}

/// Writers of all keys store while readers load each key and all keys. Writer 0 stores the number of its store, and each
/// other writer the number that it found at the key before it. A set with a newer number behind an older one was not
/// current at one instant.
#[test]
fn values_are_whole_and_sets_are_consistent() {
    const KEYS: usize = 3;
    // The interpreter is slow: a few stores, and values of several words. So is the sanitizer of threads.
    let (stores, sizes) = if cfg!(miri) {
        (20, [16, 48, 128])
    } else if cfg!(tsan) {
        (4_000, [16, 48, 512])
    } else {
        (20_000, [16, 48, 2048])
    };
    for size in sizes {
        let table = &Table::new(&[size as u64; KEYS]);
        let (stop, sets) = (&AtomicBool::new(false), &AtomicUsize::new(0));
        thread::scope(|scope| {
            let writers: Vec<_> = (0..KEYS)
                .map(|key| {
                    scope.spawn(move || {
                        let mut writer = table.writer(key);
                        for store in 1..=stores {
                            let number = match key.checked_sub(1) {
                                None => store,
                                Some(before) => match table.reader(before).load(&mut vec![0; size]) {
                                    Ok(found) => found.time as u64,
                                    Err(_) => continue,
                                },
                            };
                            writer.store(&value(size, key as u64, number), number as i64);
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(|| {
                    let readers = table.readers();
                    let mut last = [0; KEYS];
                    loop {
                        let end = stop.load(Relaxed);
                        for (key, reader) in readers.iter().enumerate() {
                            let mut bytes = vec![0; size];
                            let Ok(found) = reader.load(&mut bytes) else { continue };
                            assert!(found.version >= last[key], "an older version");
                            last[key] = found.version;
                            if found.version > 0 {
                                assert_eq!(bytes, value(size, key as u64, found.time as u64), "torn");
                            }
                        }
                        let (mut bytes, mut found) = (vec![vec![0; size]; KEYS], [Stamped::NOTHING; KEYS]);
                        let mut parts: Vec<_> = bytes.iter_mut().map(Vec::as_mut_slice).collect();
                        if load_set(&readers, &mut parts, &mut found).is_ok() {
                            sets.fetch_add(1, Relaxed);
                            assert!(found.is_sorted_by(|a, b| a.time >= b.time), "{found:?}");
                            for (key, (bytes, found)) in bytes.iter().zip(found).enumerate() {
                                let version = found.time as u64;
                                let whole = *bytes == value(size, key as u64, version);
                                assert!(found.version == 0 || whole, "torn in a set");
                            }
                        }
                        if end {
                            break;
                        }
                    }
                });
            }
            for writer in writers {
                writer.join().unwrap();
            }
            stop.store(true, Relaxed);
        });
        assert!(sets.load(Relaxed) > 0, "no set was loaded after the last store");
    }
}
