//! The states that a dead writer leaves, and states that no writer leaves.

use super::*;

fn sent(discipline: Discipline, messages: u64) -> Ring {
    let ring = Ring::new(discipline, 4, 16);
    let mut writer = ring.writer();
    (0..messages).for_each(|n| writer.send(&payload(n, 16)).unwrap());
    ring
}

impl Ring {
    fn control(&self, at: usize, value: u64) {
        self.heap.region().u64(at).store(value, Relaxed);
    }

    fn take_over(&self) -> Result<Writer, BroadcastCorrupt> {
        Writer::new(self.heap.region(), &self.geometry)
    }
}

/// The next message arrives at a reader that was there before.
fn goes_on(writer: &mut Writer, reader: &mut Reader, expected: u64) {
    assert_eq!(writer.messages(), expected);
    writer.send(&payload(expected, 16)).unwrap();
    assert_eq!(number(&read(reader).unwrap(), 16), expected);
    assert_eq!(read(reader), Err(NoMessage::Empty));
    assert_eq!(reader.lost(), 0);
}

#[test]
fn new_writer_continues_behind_the_last_message() {
    for discipline in BOTH {
        for messages in 0..12 {
            let ring = sent(discipline, messages);
            let mut reader = ring.reader(0, 0);
            let mut writer = ring.writer();
            let found = Recovered { positions: messages, unfinished: 0, claims: 0 };
            assert_eq!((writer.recovered(), writer.bytes() > 0), (found, messages > 0));
            goes_on(&mut writer, &mut reader, messages);
        }
    }
}

#[test]
fn an_unfinished_message_becomes_a_hole() {
    for discipline in BOTH {
        for messages in [0, 1, 3, 4, 9] {
            let ring = sent(discipline, messages);
            let mut reader = ring.reader(0, 0);
            ring.put(messages, slot::STAMP, writing(messages));
            if discipline == Discipline::Pinned {
                ring.put_state(messages, 1 << 56 | 1 << 7);
                ring.put_state(messages + 4, 1 << 56);
            }
            let mut writer = ring.writer();
            let claims = u64::from(discipline == Discipline::Pinned);
            assert_eq!(writer.recovered(), Recovered { positions: messages + 1, unfinished: 1, claims });
            assert_eq!((writer.next_position(), writer.holes()), (messages + 1, 1));
            if discipline == Discipline::Pinned {
                let states = (ring.state(messages), ring.state(messages + 4));
                assert_eq!(states, (1 << 7, 0), "only the owner's bit is the writer's");
            }
            goes_on(&mut writer, &mut reader, messages);
        }
    }
}

#[test]
fn message_published_before_the_head_moved_stays() {
    for discipline in BOTH {
        let ring = sent(discipline, 7);
        ring.control(control::HEAD, 6);
        let mut reader = ring.reader(0, 0);
        let mut writer = ring.writer();
        assert_eq!(number(&read(&mut reader).unwrap(), 16), 6);
        goes_on(&mut writer, &mut reader, 7);
    }
}

#[test]
fn a_hole_that_was_not_counted_is_counted() {
    let ring = sent(Discipline::Pinned, 3);
    // As if a reader pinned the message of the previous lap.
    ring.put_state(7, 1 << 5);
    let mut writer = ring.writer();
    writer.send(&payload(3, 16)).unwrap();
    assert_eq!((writer.next_position(), writer.holes()), (5, 1));
    ring.put_state(7, 0);
    let mut reader = ring.reader(0, 0);
    ring.control(control::HOLES, 0);
    let mut writer = ring.writer();
    assert_eq!(writer.holes(), 1);
    goes_on(&mut writer, &mut reader, 4);
}

#[test]
fn what_no_writer_leaves_is_refused() {
    type Damage = fn(&Ring);
    let damages: [(&str, Damage); 10] = [
        ("a stamp of another slot", |ring| ring.put(9, slot::STAMP, done(10))),
        ("a stamp without a state", |ring| ring.put(9, slot::STAMP, 10 << 2)),
        ("a stamp without a position", |ring| ring.put(9, slot::STAMP, 2)),
        ("a stamp far ahead", |ring| ring.put(9, slot::STAMP, done(13))),
        ("the last stamp there is", |ring| ring.put(11, slot::STAMP, u64::MAX)),
        ("a slot that was never used", |ring| ring.put(9, slot::STAMP, 0)),
        ("two unfinished", |ring| (8..10).for_each(|p| ring.put(p, slot::STAMP, writing(p)))),
        ("a head ahead", |ring| ring.control(control::HEAD, 11)),
        ("a head behind", |ring| ring.control(control::HEAD, 8)),
        ("holes out of nowhere", |ring| ring.control(control::HOLES, 1)),
    ];
    for discipline in BOTH {
        for (name, damage) in damages {
            let ring = sent(discipline, 10);
            damage(&ring);
            let error = ring.take_over().map(drop).expect_err(name);
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn reader_refuses_to_join_at_an_impossible_head() {
    let ring = sent(Discipline::Copied, 10);
    for head in [11, 30, u64::MAX, 1 << 62] {
        ring.control(control::HEAD, head);
        let joined = Reader::join(ring.heap.region(), &ring.geometry, 0, 0).map(|reader| reader.position());
        assert!(matches!(joined, Err(BroadcastCorrupt::Stamp { .. })), "{head}: {joined:?}");
    }
}

#[test]
fn length_beyond_the_slot_is_limited_to_it() {
    for discipline in BOTH {
        let ring = sent(discipline, 1);
        let mut reader = ring.reader(0, 1);
        ring.put(0, slot::META, u64::from(u32::MAX));
        let mut bytes = [MaybeUninit::uninit(); 64];
        assert_eq!(reader.read_into(&mut bytes), Ok(16));
        assert_eq!(latest(&mut reader).unwrap().len(), 16);
        if discipline == Discipline::Pinned {
            let acquired = reader.acquire_latest().unwrap();
            assert_eq!((acquired.len(), reader.get(acquired).len()), (16, 16));
        }
    }
}

/// Numbers that resemble valid values, and numbers that do not.
fn garbage(seed: &mut u64) -> u64 {
    let mut random = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    };
    match random() % 4 {
        0 => random(),
        1 => u64::MAX - random() % 16,
        2 => (LAST_POSITION * 4).wrapping_add(random() % 16),
        _ => random() % 64,
    }
}

#[test]
fn garbage_makes_no_end_panic_or_hang() {
    // One thread: the sanitizer of threads has nothing to find.
    let rounds = if cfg!(miri) {
        10
    } else if cfg!(tsan) {
        1_000
    } else {
        20_000
    };
    let mut seed = 0x5348_4D43_4F4D_4D31;
    for round in 0..rounds {
        let discipline = BOTH[round % 2];
        let ring = sent(discipline, 6);
        let mut readers = [ring.reader(0, 0), ring.reader(1, 4)];
        for _ in 0..4 {
            for _ in 0..garbage(&mut seed) % 3 {
                let position = garbage(&mut seed) % 4;
                ring.put(position, slot::STAMP, garbage(&mut seed));
                ring.put(garbage(&mut seed) % 4, slot::META, garbage(&mut seed));
            }
            if garbage(&mut seed).is_multiple_of(4) {
                ring.control(control::HEAD, garbage(&mut seed));
                ring.control(control::HOLES, garbage(&mut seed));
            }
            for reader in &mut readers {
                let mut bytes = [MaybeUninit::uninit(); 16];
                for _ in 0..3 {
                    reader.ready();
                    let _ = reader.read_into(&mut bytes);
                    let _ = reader.lag();
                }
                let _ = reader.latest_into(&mut bytes);
                if discipline == Discipline::Pinned {
                    drop(reader.pin());
                }
            }
            let _ = Reader::join(ring.heap.region(), &ring.geometry, 2, garbage(&mut seed));
            if let Ok(mut writer) = ring.take_over() {
                let _ = writer.send(&[1; 16]);
            }
        }
    }
}
