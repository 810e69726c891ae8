//! Both ends at once, on real threads.

use super::*;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};
use std::thread;

const COUNT: u64 = if cfg!(miri) {
    60
} else if cfg!(tsan) {
    10_000
} else {
    100_000
};
const SIZE: usize = 64;

/// The way in which a reader takes its messages.
#[derive(Clone, Copy, Debug)]
enum Taking {
    ByValue,
    InPlace,
    Newest,
}

/// Reads until all `COUNT` messages are accounted for, and checks each.
fn witness(mut reader: Reader, taking: Taking, over: &AtomicBool) {
    let mut next = 0;
    let mut turns = 0_u64;
    while next < COUNT {
        turns += 1;
        // Acquire: a reader that sees the end sees every message.
        let last_look = over.load(Acquire);
        let outcome = match taking {
            Taking::ByValue => read(&mut reader).map(|bytes| number(&bytes, SIZE)),
            Taking::InPlace => reader.pin().map(|guard| {
                let first = number(&pinned(&guard), SIZE);
                if turns.is_multiple_of(64) {
                    thread::yield_now();
                }
                assert_eq!(number(&pinned(&guard), SIZE), first);
                first
            }),
            Taking::Newest => {
                if let Some(bytes) = latest(&mut reader) {
                    let newest = number(&bytes, SIZE);
                    assert!(newest + 1 >= next, "{newest} after {next}");
                    next = newest + 1;
                }
                Err(NoMessage::Empty)
            }
        };
        match outcome {
            Ok(number) => {
                assert_eq!(number, next);
                next += 1;
            }
            Err(NoMessage::Lagged(lost)) => next += lost,
            Err(NoMessage::Empty) => {
                assert!(!last_look || next == COUNT, "lost in silence");
                thread::yield_now();
            }
        }
    }
    assert_eq!(next, COUNT);
}

/// `lives` writers, one after the other, and a reader of each kind.
fn stress(discipline: Discipline, slots: u64, takings: &[Taking], lives: u64) {
    let ring = Ring::new(discipline, slots, SIZE as u64);
    let over = AtomicBool::new(false);
    let readers: Vec<_> = (0..).map(|bit| ring.reader(bit, 0)).take(takings.len()).collect();
    thread::scope(|scope| {
        for (reader, &taking) in readers.into_iter().zip(takings) {
            let over = &over;
            scope.spawn(move || witness(reader, taking, over));
        }
        for life in 1..=lives {
            let mut writer = ring.writer();
            while writer.messages() < COUNT * life / lives {
                match writer.send(&payload(writer.messages(), SIZE)) {
                    Ok(()) => {}
                    Err(AllPinned) => thread::yield_now(),
                }
                if cfg!(miri) || writer.messages().is_multiple_of(slots / 2) {
                    thread::yield_now();
                }
            }
        }
        over.store(true, Release);
    });
    ring.assert_at_rest();
}

#[test]
fn copied_messages_are_whole_and_counted() {
    for slots in [2, 64] {
        stress(Discipline::Copied, slots, &[Taking::ByValue, Taking::ByValue, Taking::Newest], 1);
    }
}

#[test]
fn pinned_messages_are_whole_and_counted() {
    for slots in [4, 64] {
        stress(Discipline::Pinned, slots, &[Taking::ByValue, Taking::InPlace, Taking::Newest], 1);
    }
}

#[test]
fn a_change_of_writers_goes_unnoticed() {
    for discipline in BOTH {
        stress(discipline, 8, &[Taking::ByValue, Taking::ByValue], 10);
    }
}
