//! The broadcast ring on heap memory: the promises of each call, the states that a crash or a corrupt
//! region leaves, and both ends at once in threads. Runs under Miri too, with fewer messages.

mod damage;
mod growth;
mod short_laps;
mod threads;

use super::*;
use crate::layout::{Heap, Pattern, Shape, control, geometry::STATE, slot};
use crate::ring::slot::{NoMessage, initialized};
use crate::sync::Ordering::Relaxed;
use core::mem::MaybeUninit;

const BOTH: [Discipline; 2] = [Discipline::Copied, Discipline::Pinned];

struct Ring {
    heap: Heap,
    geometry: Geometry,
}

impl Ring {
    fn new(discipline: Discipline, slots: u64, slot_size: u64) -> Self {
        let shape = Shape {
            pattern: Pattern::PubSub,
            slots,
            slot_size,
            request_size: 0,
            align: 8,
            seats: 8,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::with(discipline, shape).unwrap();
        Ring { heap: Heap::new(&geometry), geometry }
    }

    /// Creates a ring whose next position is `next`, as if all positions before had been holes.
    fn at(discipline: Discipline, slots: u64, slot_size: u64, next: u64) -> Self {
        let ring = Ring::new(discipline, slots, slot_size);
        for position in next - slots..next {
            ring.put(position, slot::STAMP, hole(position));
            ring.put(position, slot::META, Meta { len: 0, holes: Holes::new(position) }.word());
        }
        ring.heap.region().u64(control::HEAD).store(next, Relaxed);
        ring.heap.region().u64(control::HOLES).store(next, Relaxed);
        ring
    }

    fn word(&self, position: u64, at: usize) -> usize {
        let index = (position & (self.geometry.slots - 1)) as usize;
        self.geometry.slots_offset as usize + index * self.geometry.stride as usize + at
    }

    fn put(&self, position: u64, at: usize, value: u64) {
        self.heap.region().u64(self.word(position, at)).store(value, Relaxed);
    }

    fn get(&self, position: u64, at: usize) -> u64 {
        self.heap.region().u64(self.word(position, at)).load(Relaxed)
    }

    /// Returns the state word of a position, without the other word of its slot.
    fn state(&self, position: u64) -> u64 {
        self.get(position, self.state_word(position))
    }

    fn state_word(&self, position: u64) -> usize {
        (self.geometry.state_offset + STATE * (position / self.geometry.slots % 2)) as usize
    }

    fn put_state(&self, position: u64, value: u64) {
        self.put(position, self.state_word(position), value);
    }

    /// Checks that no participant has a claim, a pin or a pre-pin.
    fn assert_at_rest(&self) {
        for position in 0..self.geometry.discipline.states() * self.geometry.slots {
            assert_eq!(self.state(position), 0, "position {position}");
        }
    }

    fn writer(&self) -> Writer {
        Writer::new(self.heap.region(), &self.geometry).unwrap()
    }

    fn reader(&self, bit: u32, history: u64) -> Reader {
        Reader::join(self.heap.region(), &self.geometry, bit, history).unwrap()
    }
}

/// Returns a payload that proves itself: length and every byte follow from the number.
fn payload(number: u64, size: usize) -> Vec<u8> {
    let len = 8 + number as usize % (size - 7);
    let mut bytes: Vec<u8> =
        (0..len as u64).map(|i| (number.wrapping_mul(0x9E37_79B9) + i * 7) as u8).collect();
    bytes[..8].copy_from_slice(&number.to_ne_bytes());
    bytes
}

fn number(bytes: &[u8], size: usize) -> u64 {
    let number = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, payload(number, size), "message {number} is torn");
    number
}

fn read(reader: &mut Reader) -> Result<Vec<u8>, NoMessage> {
    let mut bytes = vec![MaybeUninit::uninit(); reader.slot_size()];
    let len = reader.read_into(&mut bytes)?;
    Ok(initialized(&bytes[..len]))
}

fn latest(reader: &mut Reader) -> Option<Vec<u8>> {
    let mut bytes = vec![MaybeUninit::uninit(); reader.slot_size()];
    let len = reader.latest_into(&mut bytes)?;
    Some(initialized(&bytes[..len]))
}

fn pinned(guard: &Pinned) -> Vec<u8> {
    let mut bytes = vec![MaybeUninit::uninit(); guard.len()];
    guard.copy_to(&mut bytes);
    initialized(&bytes)
}

#[test]
fn messages_arrive_in_order_with_their_length() {
    for discipline in BOTH {
        for &size in if cfg!(miri) { &[9, 40][..] } else { &[8, 9, 64, 100, 1000] } {
            let ring = Ring::new(discipline, 8, size as u64);
            let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
            assert_eq!(read(&mut reader), Err(NoMessage::Empty));
            for lap in 0..10 {
                for i in 0..5 {
                    writer.send(&payload(lap * 5 + i, size)).unwrap();
                }
                assert_eq!(reader.lag(), 5);
                for i in 0..5 {
                    assert!(reader.ready());
                    assert_eq!(number(&read(&mut reader).unwrap(), size), lap * 5 + i);
                }
                assert!(!reader.ready());
                assert_eq!(read(&mut reader), Err(NoMessage::Empty));
            }
            assert_eq!((writer.messages(), writer.holes(), reader.lost()), (50, 0, 0));
        }
    }
}

#[test]
fn an_empty_message_is_a_message() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 2, 16);
        let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
        writer.send(&[]).unwrap();
        assert_eq!(read(&mut reader), Ok(vec![]));
        assert_eq!(read(&mut reader), Err(NoMessage::Empty));
    }
}

#[test]
fn a_short_buffer_gets_the_front_and_the_whole_length() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 2, 600);
        let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
        let message: Vec<u8> = (0..600).map(|i| i as u8).collect();
        for short in [0, 1, 8, 13, 300] {
            writer.send(&message).unwrap();
            let mut bytes = vec![MaybeUninit::uninit(); short];
            assert_eq!(reader.read_into(&mut bytes), Ok(600));
            assert_eq!(initialized(&bytes), message[..short]);
        }
    }
}

#[test]
fn exact_read_copies_the_size_of_the_buffer() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 2, 24);
        let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
        let mut bytes = [MaybeUninit::uninit(); 16];
        writer.send(&[7; 16]).unwrap();
        assert_eq!(reader.read_exact(&mut bytes), Ok(16));
        assert_eq!(initialized(&bytes), [7; 16]);
        writer.send(&[8; 3]).unwrap();
        assert_eq!(reader.read_exact(&mut bytes), Ok(3));
    }
}

#[test]
fn lapped_reader_counts_its_losses_and_continues() {
    for discipline in BOTH {
        for slots in [2, 4, if cfg!(miri) { 8 } else { 64 }] {
            let ring = Ring::new(discipline, slots, 16);
            let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
            let mut next = 0;
            for burst in [1, slots, slots + 1, 3 * slots, 1] {
                let first = next;
                for _ in 0..burst {
                    writer.send(&payload(next, 16)).unwrap();
                    next += 1;
                }
                let mut expected = first;
                loop {
                    match read(&mut reader) {
                        Ok(bytes) => {
                            assert_eq!(number(&bytes, 16), expected);
                            expected += 1;
                        }
                        Err(NoMessage::Lagged(lost)) => expected += lost,
                        Err(NoMessage::Empty) => break,
                    }
                }
                assert_eq!(expected, next, "{burst} messages, {slots} slots");
            }
            assert!(reader.lost() > 0);
        }
    }
}

#[test]
fn losses_before_the_first_receive_are_counted() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 4, 16);
        let mut writer = ring.writer();
        (0..5).for_each(|n| writer.send(&payload(n, 16)).unwrap());
        let mut reader = ring.reader(0, 0);
        (5..15).for_each(|n| writer.send(&payload(n, 16)).unwrap());
        let Err(NoMessage::Lagged(lost)) = read(&mut reader) else { panic!("it was lapped") };
        assert_eq!(number(&read(&mut reader).unwrap(), 16), 5 + lost);
    }
}

#[test]
fn history_starts_at_the_oldest_and_skips_holes() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 8, 16);
        let mut writer = ring.writer();
        assert_eq!(ring.reader(0, 3).position(), 0);
        (0..3).for_each(|n| writer.send(&payload(n, 16)).unwrap());
        for (history, first) in [(0, None), (1, Some(2)), (2, Some(1)), (3, Some(0)), (100, Some(0))] {
            let got = read(&mut ring.reader(0, history)).ok().map(|bytes| number(&bytes, 16));
            assert_eq!(got, first);
        }
        (3..20).for_each(|n| writer.send(&payload(n, 16)).unwrap());
        let mut reader = ring.reader(0, u64::MAX);
        assert_eq!(number(&read(&mut reader).unwrap(), 16), 12);
        assert_eq!(reader.lost(), 0);
    }
    let ring = Ring::new(Discipline::Pinned, 8, 16);
    let (mut writer, mut slow) = (ring.writer(), ring.reader(0, 0));
    writer.send(&payload(0, 16)).unwrap();
    let guard = slow.pin().unwrap();
    (1..10).for_each(|n| writer.send(&payload(n, 16)).unwrap());
    drop(guard);
    assert_eq!(writer.holes(), 1);
    // The last three messages, with a hole among them.
    let mut reader = ring.reader(1, 3);
    for n in 7..10 {
        assert_eq!(number(&read(&mut reader).unwrap(), 16), n);
    }
    assert_eq!(read(&mut reader), Err(NoMessage::Empty));
}

#[test]
fn latest_returns_the_newest_and_counts_skipped() {
    for discipline in BOTH {
        let ring = Ring::new(discipline, 4, 16);
        let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
        assert_eq!(latest(&mut reader), None);
        writer.send(&payload(0, 16)).unwrap();
        assert_eq!(number(&latest(&mut reader).unwrap(), 16), 0);
        assert_eq!(number(&latest(&mut reader).unwrap(), 16), 0);
        assert_eq!(read(&mut reader), Err(NoMessage::Empty));
        (1..11).for_each(|n| writer.send(&payload(n, 16)).unwrap());
        assert_eq!(number(&latest(&mut reader).unwrap(), 16), 10);
        assert_eq!((reader.skipped(), reader.lost(), reader.position()), (9, 0, 11));
        writer.send(&payload(11, 16)).unwrap();
        assert_eq!(number(&read(&mut reader).unwrap(), 16), 11);
    }
}

#[test]
fn latest_walks_back_over_holes() {
    let ring = Ring::new(Discipline::Pinned, 4, 16);
    let (mut writer, mut slow, mut reader) = (ring.writer(), ring.reader(0, 0), ring.reader(1, 0));
    (0..4).for_each(|n| writer.send(&payload(n, 16)).unwrap());
    let guard = slow.pin().unwrap();
    drop(writer.claim().unwrap());
    assert_eq!(writer.holes(), 1);
    // Position 4 is a hole, 5 is claimed.
    let acquired = reader.acquire_latest().unwrap();
    let guard2 = reader.get(acquired);
    assert_eq!(number(&pinned(&guard2), 16), 3);
    assert_eq!(number(&pinned(&guard), 16), 0);
    drop((guard, guard2));
    assert_eq!(reader.skipped(), 3);
}

#[test]
fn a_pinned_message_stays_while_the_writer_goes_round() {
    let ring = Ring::new(Discipline::Pinned, 4, 40);
    let (mut writer, mut slow, mut fast) = (ring.writer(), ring.reader(0, 0), ring.reader(1, 0));
    writer.send(&payload(0, 40)).unwrap();
    let guard = slow.pin().unwrap();
    assert_eq!(read(&mut fast), Ok(payload(0, 40)));
    for n in 1..40 {
        writer.send(&payload(n, 40)).unwrap();
        assert_eq!(number(&read(&mut fast).unwrap(), 40), n);
        assert_eq!(number(&pinned(&guard), 40), 0);
    }
    assert_eq!((writer.messages(), writer.holes(), fast.lost()), (40, 12, 0));
    drop(guard);
    assert_eq!(ring.state(0), 0);
    let Err(NoMessage::Lagged(lost)) = slow.pin().map(drop) else { panic!("it was lapped") };
    assert_eq!(number(&read(&mut slow).unwrap(), 40), 1 + lost);
}

#[test]
fn ring_with_all_slots_pinned_refuses_unchanged() {
    let ring = Ring::new(Discipline::Pinned, 2, 16);
    let mut writer = ring.writer();
    let mut readers = [ring.reader(0, 0), ring.reader(1, 0)];
    (0..2).for_each(|n| writer.send(&payload(n, 16)).unwrap());
    let [first, second] = &mut readers;
    let first = first.pin().unwrap();
    let acquired = second.acquire_latest().unwrap();
    let second = second.get(acquired);
    for _ in 0..3 {
        assert_eq!(writer.send(&payload(2, 16)), Err(AllPinned));
        assert_eq!((writer.next_position(), writer.holes()), (2, 0));
    }
    assert_eq!(number(&pinned(&first), 16), 0);
    drop(first);
    writer.send(&payload(2, 16)).unwrap();
    assert_eq!(number(&pinned(&second), 16), 1);
}

#[test]
fn a_claim_dropped_or_leaked_is_taken_up_by_the_next() {
    let ring = Ring::new(Discipline::Pinned, 4, 16);
    let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
    let mut claim = writer.claim().unwrap();
    claim.fill(&[1; 16]);
    drop(claim);
    // The claim has no destructor: leaked or dropped is the same.
    let _ = writer.claim().unwrap();
    assert_eq!((writer.next_position(), writer.holes()), (0, 0));
    assert_eq!(read(&mut reader), Err(NoMessage::Empty));
    let mut claim = writer.claim().unwrap();
    assert_eq!(claim.capacity(), 16);
    claim.fill(&payload(0, 16));
    claim.commit(8);
    assert_eq!(number(&read(&mut reader).unwrap(), 16), 0);
    assert_eq!(ring.state(0), 0);
}

#[test]
fn a_leaked_pin_costs_one_slot_until_the_next_pin() {
    let ring = Ring::new(Discipline::Pinned, 4, 16);
    let (mut writer, mut reader) = (ring.writer(), ring.reader(5, 0));
    writer.send(&payload(0, 16)).unwrap();
    core::mem::forget(reader.pin().unwrap());
    assert_eq!(ring.state(0), 1 << 5);
    (1..5).for_each(|n| writer.send(&payload(n, 16)).unwrap());
    assert_eq!(writer.holes(), 1);
    let mut n = 1;
    loop {
        match reader.pin() {
            Ok(guard) => {
                assert_eq!(number(&pinned(&guard), 16), n);
                n += 1;
            }
            Err(NoMessage::Lagged(lost)) => n += lost,
            Err(NoMessage::Empty) => break,
        }
    }
    assert_eq!(n, 5);
    assert_eq!(ring.state(0), 0);
}

#[test]
fn acquired_message_is_unpinned_with_the_next() {
    let ring = Ring::new(Discipline::Pinned, 4, 16);
    let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 0));
    (0..2).for_each(|n| writer.send(&payload(n, 16)).unwrap());
    drop(reader.acquire().unwrap());
    assert_eq!((ring.state(0), ring.state(1)), (1, 0));
    let acquired = reader.acquire().unwrap();
    assert_eq!((ring.state(0), ring.state(1)), (0, 1));
    drop(reader.get(acquired));
    drop(reader.acquire_latest().unwrap());
    assert_eq!(number(&latest(&mut reader).unwrap(), 16), 1);
    assert_eq!(ring.state(1), 0);
}

#[test]
fn reclaim_unpins_the_slots_of_a_dead_reader_only() {
    let ring = Ring::new(Discipline::Pinned, 4, 16);
    let (mut writer, mut dead, mut alive) = (ring.writer(), ring.reader(3, 0), ring.reader(4, 0));
    writer.send(&payload(0, 16)).unwrap();
    core::mem::forget(dead.pin().unwrap());
    let guard = alive.pin().unwrap();
    reclaim_pins(ring.heap.region(), &ring.geometry, 3);
    assert_eq!(ring.state(0), 1 << 4);
    drop(guard);
    assert_eq!(ring.state(0), 0);
}

#[test]
fn positions_near_the_last_one_work_like_any() {
    for discipline in BOTH {
        let start = LAST_POSITION - 100;
        let ring = Ring::at(discipline, 4, 16, start);
        let (mut writer, mut reader) = (ring.writer(), ring.reader(0, 8));
        assert_eq!((writer.next_position(), writer.messages(), writer.holes()), (start, 0, start));
        assert_eq!(read(&mut reader), Err(NoMessage::Empty));
        (0..9).for_each(|n| writer.send(&payload(n, 16)).unwrap());
        let Err(NoMessage::Lagged(lost)) = read(&mut reader) else { panic!("it was lapped") };
        for n in lost..9 {
            assert_eq!(number(&read(&mut reader).unwrap(), 16), n);
        }
        assert_eq!(ring.writer().messages(), 9);
    }
}
