//! A ring that continues in another one with larger slots.

use super::*;

/// Continues `old` in a ring with larger slots.
fn grown(old: &Ring, slot_size: u64) -> Ring {
    let new = Ring::new(old.geometry.discipline, old.geometry.slots, slot_size);
    let mut buffer = vec![0; old.geometry.slot_size as usize];
    let (from, to) = ((old.heap.region(), &old.geometry), (new.heap.region(), &new.geometry));
    copy::copy_ring(from, to, &mut buffer);
    new
}

/// Receives everything, and returns the numbers and the count of lost messages.
fn drain(reader: &mut Reader, size: usize) -> (Vec<u64>, u64) {
    let (mut numbers, mut lost) = (Vec::new(), 0);
    loop {
        match read(reader) {
            Ok(bytes) => numbers.push(number(&bytes, size)),
            Err(NoMessage::Lagged(missed)) => lost += missed,
            Err(NoMessage::Empty) => return (numbers, lost),
        }
    }
}

#[test]
fn reader_goes_on_at_its_position_in_the_larger_ring() {
    for discipline in BOTH {
        for (sent, received, more) in [(0, 0, 2), (3, 1, 2), (9, 2, 0), (5, 5, 30), (20, 4, 3)] {
            let old = Ring::new(discipline, 8, 40);
            let (mut writer, mut before) = (old.writer(), old.reader(0, 0));
            for number in 0..sent {
                writer.send(&payload(number, 40)).unwrap();
                if number < received {
                    read(&mut before).unwrap();
                }
            }
            let new = grown(&old, 128);
            let mut writer = new.writer();
            assert_eq!((writer.next_position(), writer.messages()), (sent, sent));
            // A new reader finds the history.
            let (history, _) = drain(&mut new.reader(1, 8), 40);
            assert_eq!(history, (sent.saturating_sub(8)..sent).collect::<Vec<_>>());
            for number in sent..sent + more {
                writer.send(&payload(number, 40)).unwrap();
            }
            let mut after = Reader::from_start(new.heap.region(), &new.geometry, 0);
            after.take_place_of(&before);
            let (numbers, lost) = drain(&mut after, 40);
            assert_eq!(received + lost + numbers.len() as u64, sent + more, "{discipline:?}");
            assert!(numbers.is_sorted() && numbers.last().is_none_or(|last| last + 1 == sent + more));
            drop((before, after));
            new.assert_at_rest();
        }
    }
}

#[test]
fn pins_and_begun_messages_stay_in_the_smaller_ring() {
    let old = Ring::new(Discipline::Pinned, 4, 40);
    let (mut writer, mut holder) = (old.writer(), old.reader(0, 0));
    for number in 0..3 {
        writer.send(&payload(number, 40)).unwrap();
    }
    let acquired = holder.acquire().unwrap();
    // A loan that was dropped.
    drop(writer.claim().unwrap());
    let new = grown(&old, 64);
    let mut writer = new.writer();
    new.assert_at_rest();
    assert_eq!((writer.next_position(), writer.messages(), writer.recovered().unfinished), (4, 3, 1));
    assert_eq!(acquired.len(), payload(0, 40).len());
    for number in 3..6 {
        writer.send(&payload(number, 40)).unwrap();
    }
    let mut after = Reader::from_start(new.heap.region(), &new.geometry, 0);
    after.take_place_of(&holder);
    let (numbers, lost) = drain(&mut after, 40);
    assert_eq!(1 + lost + numbers.len() as u64, 6);
}
