//! The multi-producer broadcast on plain memory: one thread if the order of steps matters, many threads if it must not.

use super::*;
use crate::layout::{Heap, Pattern, Shape};
use crate::ring::slot::{FastPath, NoMessage, initialized};
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::Relaxed;
use std::thread;

const BOTH: [Discipline; 2] = [Discipline::MultiCopied, Discipline::MultiPinned];
const SIZE: usize = 48;

struct Ring {
    heap: Heap,
    geometry: Geometry,
}

impl Ring {
    fn new(discipline: Discipline, slots: u64, publishers: u32) -> Self {
        let shape = Shape {
            pattern: Pattern::PubSub,
            slots,
            slot_size: SIZE as u64,
            request_size: 0,
            align: 8,
            seats: publishers + 3,
            publishers,
            schema_len: 0,
        };
        let geometry = Geometry::with(discipline, shape).unwrap();
        Ring { heap: Heap::new(&geometry), geometry }
    }

    fn writer(&self, seat: u32) -> Writer {
        let sender = Sender { seat, pid: 1000 + seat, joined: -7 };
        Writer::new(self.heap.region(), &self.geometry, sender).unwrap()
    }

    fn reader(&self, bit: u32, history: u64) -> Reader {
        Reader::join(self.heap.region(), &self.geometry, bit, history).unwrap()
    }

    fn put(&self, entry: u64, word: u64) {
        self.heap.region().u64((self.geometry.entries_offset + 8 * entry) as usize).store(word, Relaxed);
    }

    fn get(&self, entry: u64) -> u64 {
        self.heap.region().u64((self.geometry.entries_offset + 8 * entry) as usize).load(Relaxed)
    }
}

/// Message `number` of a writer: every word follows from both.
fn message(writer: u32, number: u64) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    for (i, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        let word = u64::from(writer) << 56 | number << 8 | i as u64;
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// Returns writer and number of a message that is intact.
fn parts(bytes: &[u8]) -> (u32, u64) {
    let first = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    let (writer, number) = ((first >> 56) as u32, first << 8 >> 16);
    assert_eq!(bytes, message(writer, number), "torn");
    (writer, number)
}

fn read(reader: &mut Reader) -> Result<(u32, u64), NoMessage> {
    let mut bytes = [MaybeUninit::uninit(); SIZE];
    let len = reader.read_into(&mut bytes)?;
    assert_eq!(len, SIZE);
    let found = parts(&initialized(&bytes));
    assert_eq!((reader.sender().seat, reader.sender().pid), (found.0, 1000 + found.0));
    Ok(found)
}

fn check_entry(reader: &mut Reader) -> Result<(u32, u64), NoMessage> {
    let pinned = reader.pin()?;
    let mut bytes = [MaybeUninit::uninit(); SIZE];
    pinned.copy_to(&mut bytes);
    Ok(parts(&initialized(&bytes)))
}

fn latest(reader: &mut Reader) -> Option<(u32, u64)> {
    let mut bytes = [MaybeUninit::uninit(); SIZE];
    reader.latest_into(&mut bytes)?;
    Some(parts(&initialized(&bytes)))
}

#[test]
fn fast_path_copies_no_message_that_must_be_pinned() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 8, 2);
        let (mut writer, mut reader) = (ring.writer(0), ring.reader(0, 0));
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        assert!(matches!(reader.read_fast(&mut bytes), FastPath::Empty));
        writer.send(&message(0, 0)).unwrap();
        if reader.is_pinned() {
            assert!(matches!(reader.read_fast(&mut bytes), FastPath::Slow));
            assert_eq!(read(&mut reader), Ok((0, 0)));
        } else {
            assert!(matches!(reader.read_fast(&mut bytes), FastPath::Ready(())));
            assert_eq!(parts(&initialized(&bytes)), (0, 0));
        }
    }
}

#[test]
fn all_readers_see_one_order() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 8, 3);
        let mut writers = [0, 1, 2].map(|seat| ring.writer(seat));
        let mut readers = [ring.reader(0, 0), ring.reader(1, 0)];
        let order = [2, 0, 0, 1, 2, 1];
        for (number, seat) in (0..).zip(order) {
            assert_eq!(writers[seat].send(&message(seat as u32, number)), Ok(number));
        }
        for reader in &mut readers {
            for (number, seat) in (0..).zip(order) {
                assert_eq!(read(reader), Ok((seat as u32, number)));
            }
            assert_eq!(read(reader), Err(NoMessage::Empty));
        }
    }
}

#[test]
fn losses_are_counted_exactly_and_reported_once() {
    for discipline in BOTH {
        for slots in [2, 4, 64] {
            let ring = Ring::new(discipline, slots, 2);
            let (mut a, mut b) = (ring.writer(0), ring.writer(1));
            let mut reader = ring.reader(0, 0);
            for number in 0..5 * slots {
                a.send(&message(0, number)).unwrap();
                b.send(&message(1, number)).unwrap();
            }
            let lost = match read(&mut reader) {
                Err(NoMessage::Lagged(lost)) => lost,
                other => panic!("{other:?}"),
            };
            assert_eq!(reader.lag(), 10 * slots - lost);
            for position in lost..10 * slots {
                assert_eq!(read(&mut reader), Ok(((position % 2) as u32, position / 2)));
            }
            assert_eq!(read(&mut reader), Err(NoMessage::Empty));
            assert_eq!(a.end(), 10 * slots);
        }
    }
}

#[test]
fn history_and_newest_come_from_all_writers() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 8, 2);
        let (mut a, mut b) = (ring.writer(0), ring.writer(1));
        assert_eq!(latest(&mut ring.reader(0, 0)), None);
        for number in 0..20 {
            a.send(&message(0, number)).unwrap();
            b.send(&message(1, number)).unwrap();
        }
        let mut reader = ring.reader(0, 5);
        assert_eq!(read(&mut reader), Ok((1, 17)));
        assert_eq!(latest(&mut reader), Some((1, 19)));
        assert_eq!((reader.skipped(), reader.position()), (3, 40));
        assert_eq!(latest(&mut reader), Some((1, 19)));
        assert_eq!(reader.skipped(), 3);
        let mut greedy = ring.reader(1, u64::MAX);
        assert_eq!((greedy.position(), read(&mut greedy)), (32, Ok((0, 16))));
    }
}

#[test]
fn a_writer_that_was_away_for_laps_finds_the_end() {
    for discipline in BOTH {
        for away in [0, 1, 7, 8, 9, 63, 64, 65, 1000] {
            let ring = Ring::new(discipline, 64, 2);
            let (mut a, mut b) = (ring.writer(0), ring.writer(1));
            a.send(&message(0, 0)).unwrap();
            for number in 0..away {
                b.send(&message(1, number)).unwrap();
            }
            assert_eq!(a.send(&message(0, 1)), Ok(away + 1));
            assert_eq!(b.send(&message(1, away)), Ok(away + 2));
        }
    }
}

#[test]
fn the_next_on_a_seat_spares_what_is_still_named() {
    for discipline in BOTH {
        for sent in [0, 1, 3, 4, 5, 9] {
            let ring = Ring::new(discipline, 4, 2);
            {
                let mut first = ring.writer(0);
                for number in 0..sent {
                    first.send(&message(0, number)).unwrap();
                }
            }
            let mut reader = ring.reader(0, u64::MAX);
            let oldest = reader.position();
            // Written, and not published: it must not touch the slots that the entries name.
            let mut second = ring.writer(0);
            second.set_limit(sent);
            assert_eq!(second.send(&message(0, 77)), Err(NotAppended::Limit));
            for number in oldest..sent {
                assert_eq!(read(&mut reader), Ok((0, number)));
            }
            second.set_limit(u64::MAX);
            assert_eq!(second.send(&message(0, sent)), Ok(sent));
            assert_eq!(read(&mut reader), Ok((0, sent)));
        }
    }
}

#[test]
fn held_slots_cost_no_position() {
    let ring = Ring::new(Discipline::MultiPinned, 4, 2);
    let mut writer = ring.writer(1);
    let mut readers = [ring.reader(0, 0), ring.reader(1, 0)];
    writer.send(&message(1, 0)).unwrap();
    let [first, second] = &mut readers;
    let held = first.pin().unwrap();
    for number in 1..100 {
        assert_eq!(writer.send(&message(1, number)), Ok(number));
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        held.copy_to(&mut bytes);
        assert_eq!(parts(&initialized(&bytes)), (1, 0), "changed while held");
        assert_eq!(latest(second), Some((1, number)));
    }
    assert!(writer.passed() > 0);
    drop(held);
    assert!(matches!(read(first), Err(NoMessage::Lagged(_))));
}

#[test]
fn a_dead_readers_mark_is_taken_back() {
    let ring = Ring::new(Discipline::MultiPinned, 2, 2);
    let mut writer = ring.writer(0);
    let mut reader = ring.reader(0, 0);
    writer.send(&message(0, 0)).unwrap();
    core::mem::forget(reader.pin().unwrap());
    for number in 1..9 {
        writer.send(&message(0, number)).unwrap();
    }
    let passed = writer.passed();
    assert!(passed > 0);
    reclaim_pins(ring.heap.region(), &ring.geometry, 0);
    for number in 9..20 {
        writer.send(&message(0, number)).unwrap();
    }
    assert_eq!(writer.passed(), passed);
}

#[test]
fn a_slot_that_an_entry_names_is_never_claimed() {
    let ring = Ring::new(Discipline::MultiPinned, 4, 2);
    let mut writer = ring.writer(0);
    for number in 0..4 {
        writer.send(&message(0, number)).unwrap();
    }
    // Bits in every remaining slot: more than real readers set, of which there are too few.
    let slots = OwnSlots::new(ring.heap.region(), &ring.geometry);
    let free: Vec<_> = (4..slots.each()).filter_map(|slot| slots.of(0, slot)).collect();
    let marks: Vec<_> = free.iter().map(|slot| slot.set_pin_bit(Phase::EVEN, 1 << 9).unwrap()).collect();
    assert_eq!(writer.send(&message(0, 4)), Err(NotAppended::NoSlot));
    let mut reader = ring.reader(0, 9);
    for number in 0..4 {
        assert_eq!(check_entry(&mut reader), Ok((0, number)));
    }
    drop(marks);
    assert_eq!(writer.send(&message(0, 4)), Ok(4));
}

#[test]
fn a_claim_that_is_dropped_publishes_nothing() {
    let ring = Ring::new(Discipline::MultiPinned, 4, 2);
    let mut writer = ring.writer(0);
    for number in 0..20 {
        writer.claim().unwrap().fill(&message(0, 99));
        drop(writer.claim());
        assert_eq!(writer.send(&message(0, number)), Ok(number));
    }
    // The next writer on the seat resumes the claim.
    drop(writer.claim());
    let mut next = ring.writer(0);
    let mut reader = ring.reader(0, 2);
    assert_eq!(next.send(&message(0, 20)), Ok(20));
    assert_eq!([check_entry(&mut reader), check_entry(&mut reader)], [Ok((0, 18)), Ok((0, 19))]);
    assert_eq!(check_entry(&mut reader), Ok((0, 20)));
}

#[test]
fn whatever_the_entries_say_every_call_ends() {
    for discipline in BOTH {
        for seed in 0..if cfg!(miri) { 20 } else { 2000 } {
            let ring = Ring::new(discipline, 4, 2);
            let (mut writer, mut reader) = (ring.writer(0), ring.reader(0, 0));
            for number in 0..seed % 7 {
                writer.send(&message(0, number)).unwrap();
            }
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            for i in 0..4 {
                random = random.wrapping_mul(0xd129_0ddb_53c4_3e49).rotate_left(23);
                if random & 1 == 0 {
                    ring.put(i, random >> (random % 64));
                }
            }
            let _ = Writer::new(ring.heap.region(), &ring.geometry, Sender::default());
            let _ = Reader::join(ring.heap.region(), &ring.geometry, 1, 9);
            let mut bytes = [MaybeUninit::uninit(); SIZE];
            for _ in 0..20 {
                let _ = writer.send(&message(0, 0));
                let _ = reader.read_into(&mut bytes);
                let _ = (reader.lag(), reader.ready());
            }
            let _ = reader.latest_into(&mut bytes);
        }
    }
}

#[test]
fn damage_is_reported_before_it_is_used() {
    let ring = Ring::new(Discipline::MultiCopied, 4, 2);
    let mut writer = ring.writer(0);
    for number in 0..9 {
        writer.send(&message(0, number)).unwrap();
    }
    let join = || Reader::join(ring.heap.region(), &ring.geometry, 0, 0).map(|_| ()).unwrap_err();
    let whole = ring.get(1);
    ring.put(1, 0);
    assert!(matches!(join(), LogCorrupt::Behind { entry: 1, .. }));
    // A slot that no writer has.
    ring.put(1, whole | 7);
    assert!(matches!(join(), LogCorrupt::Word { entry: 1, .. }));
    ring.put(1, u64::MAX);
    join();
    ring.put(1, whole);
    assert!(Reader::join(ring.heap.region(), &ring.geometry, 0, 0).is_ok());
}

/// Every writer sends this number of messages. All readers agree on the order, which keeps the order of
/// each writer.
fn stress(discipline: Discipline, slots: u64, writers: u32, each: u64) {
    let ring = Ring::new(discipline, slots, writers);
    let total = u64::from(writers) * each;
    let orders: Vec<Vec<(u64, u32, u64)>> = thread::scope(|scope| {
        let readers: Vec<_> = (0..if slots == 2 { 1 } else { 2 })
            .map(|bit| {
                let mut reader = ring.reader(bit, 0);
                scope.spawn(move || {
                    let (mut seen, mut lost) = (Vec::new(), 0);
                    while reader.position() < total {
                        let pin = reader.is_pinned() && seen.len() % 2 == 0;
                        match if pin { check_entry(&mut reader) } else { read(&mut reader) } {
                            Ok((writer, number)) => seen.push((reader.position() - 1, writer, number)),
                            Err(NoMessage::Lagged(missed)) => lost += missed,
                            Err(NoMessage::Empty) => thread::yield_now(),
                        }
                    }
                    assert_eq!(seen.len() as u64 + lost, total);
                    seen
                })
            })
            .collect();
        for seat in 0..writers {
            let ring = &ring;
            scope.spawn(move || {
                for number in 0..each {
                    // Now and then another writer takes the seat over.
                    let mut writer = ring.writer(seat);
                    writer.send(&message(seat, number)).unwrap();
                    if number % 3 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let mut order = std::collections::BTreeMap::new();
    for seen in &orders {
        let mut last = vec![None; writers as usize];
        for &(position, writer, number) in seen {
            assert_eq!(*order.entry(position).or_insert((writer, number)), (writer, number));
            let before = last[writer as usize].replace(number);
            assert!(before < Some(number), "writer {writer}: {number} after {before:?}");
        }
    }
}

#[test]
fn many_threads_agree_on_one_order() {
    let each = if cfg!(miri) { 12 } else { 20_000 };
    for discipline in BOTH {
        stress(discipline, 2, 2, each);
        stress(discipline, 8, 3, each);
    }
}
