//! The multi-producer broadcast under the model checker: the code itself, with a writer that dies at every fault point.
//! The checker tries every interleaving of two writers and a reader (up to a number of preemptions), with
//! every stale value that the memory model allows. The model of the broadcast ring says how to run it.

use super::*;
use crate::fault::crash_at;
use crate::layout::{Heap, Pattern, Shape};
use crate::ring::broadcast::model::{every_crash, model};
use crate::ring::slot::{FastPath, NoMessage, initialized};
use core::mem::MaybeUninit;
use loom::thread;
use std::collections::BTreeMap;
use std::sync::Arc;

mod lent;

const SLOTS: u64 = 2;
const SIZE: usize = 16;

#[derive(Clone)]
struct Ring {
    heap: Arc<Heap>,
    geometry: Geometry,
}

impl Ring {
    fn new(discipline: Discipline) -> Self {
        Self::with(discipline, Heap::new)
    }

    fn with(discipline: Discipline, heap: fn(&Geometry) -> Heap) -> Self {
        let shape = Shape {
            pattern: Pattern::PubSub,
            slots: SLOTS,
            slot_size: SIZE as u64,
            request_size: 0,
            align: 8,
            seats: 3,
            publishers: 2,
            schema_len: 0,
        };
        let geometry = Geometry::with(discipline, shape).unwrap();
        Ring { heap: Arc::new(heap(&geometry)), geometry }
    }

    fn writer(&self, seat: u32) -> Writer {
        let sender = Sender { seat, pid: 10 + seat, joined: 1 };
        Writer::new(self.heap.region(), &self.geometry, sender).expect("entries that writers have made")
    }

    fn witness(&self) -> Witness {
        // Joining scans all entries, which is not modelled.
        let reader = Reader::from_start(self.heap.region(), &self.geometry, 0);
        Witness { reader, seen: BTreeMap::new(), lost: 0 }
    }
}

/// Message `number` of a writer: its halves prove each other.
fn message(writer: u32, number: u64) -> [u8; SIZE] {
    let word = u64::from(writer) << 32 | number + 1;
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&word.to_ne_bytes());
    bytes[8..].copy_from_slice(&(!word).to_ne_bytes());
    bytes
}

fn parts(bytes: &[MaybeUninit<u8>]) -> (u32, u64) {
    let bytes = initialized(bytes);
    let word = |i| u64::from_ne_bytes(bytes[i..i + 8].try_into().unwrap());
    assert_eq!(word(0), !word(8), "torn");
    ((word(0) >> 32) as u32, u64::from(word(0) as u32) - 1)
}

/// The sent messages by position: the writer, and the number among its own messages.
type Sent = BTreeMap<u64, (u32, u64)>;

/// Sends the messages with those numbers.
fn send(writer: &mut Writer, seat: u32, numbers: std::ops::Range<u64>) -> Sent {
    let each = |number| (writer.send(&message(seat, number)).expect("a slot is free"), (seat, number));
    numbers.map(each).collect()
}

struct Witness {
    reader: Reader,
    seen: Sent,
    lost: u64,
}

impl Witness {
    /// Returns `false` if there was nothing.
    fn account(&mut self, outcome: Result<(u32, u64), NoMessage>) -> bool {
        match outcome {
            Ok(found) => {
                assert_eq!(self.reader.sender().pid, 10 + found.0, "the name of another publisher");
                assert_eq!(self.seen.insert(self.reader.position() - 1, found), None);
            }
            Err(NoMessage::Lagged(lost)) => self.lost += lost,
            Err(NoMessage::Empty) => return false,
        }
        true
    }

    /// Receives by value.
    fn receive(&mut self) -> bool {
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        // Polls like subscribers. (In a pinned ring the first poll is the same as the poll of the second call.)
        let seen = if self.reader.is_pinned() { FastPath::Slow } else { self.reader.read_fast(&mut bytes) };
        let outcome = match seen {
            FastPath::Ready(()) => Ok(SIZE),
            FastPath::Empty => Err(NoMessage::Empty),
            FastPath::Slow => self.reader.read_into(&mut bytes),
        };
        self.account(outcome.map(|_| parts(&bytes)))
    }

    /// Receives in place, and polls twice.
    fn poll(&mut self) -> bool {
        let outcome = self.reader.pin().map(|pinned| {
            let mut bytes = [MaybeUninit::uninit(); SIZE];
            pinned.copy_to(&mut bytes);
            let first = parts(&bytes);
            pinned.copy_to(&mut bytes);
            assert_eq!(first, parts(&bytes), "changed while held");
            first
        });
        self.account(outcome)
    }

    /// Receives the remaining messages, and compares them with the sent messages. Returns the number of
    /// lost messages.
    fn finish(mut self, sent: &Sent) -> u64 {
        while self.receive() {}
        let total = sent.len() as u64;
        assert!(sent.keys().copied().eq(0..total), "a position twice, or none: {sent:?}");
        assert_eq!(self.seen.len() as u64 + self.lost, total, "lost in silence");
        for (position, found) in &self.seen {
            assert_eq!(sent.get(position), Some(found), "another message at position {position}");
        }
        for seat in 0..2 {
            let own = || sent.values().filter(|(writer, _)| *writer == seat).map(|(_, number)| number);
            assert!(own().is_sorted(), "writer {seat} out of order");
        }
        assert!(self.seen.contains_key(&(total - 1)), "the newest is there");
        self.lost
    }
}

/// Two writers send this number of messages while a reader polls twice.
fn sends(
    discipline: Discipline,
    name: &str,
    preemptions: usize,
    counts: [u64; 2],
    receive: fn(&mut Witness) -> bool,
) {
    let lapped = model(name, preemptions, move || {
        let ring = Ring::new(discipline);
        let (mut a, mut b, mut witness) = (ring.writer(0), ring.writer(1), ring.witness());
        let first = thread::spawn(move || send(&mut a, 0, 0..counts[0]));
        let second = thread::spawn(move || send(&mut b, 1, 0..counts[1]));
        (0..2).for_each(|_| _ = receive(&mut witness));
        let mut sent = first.join().unwrap();
        sent.extend(second.join().unwrap());
        witness.finish(&sent) > 0
    });
    assert!(lapped || counts.iter().sum::<u64>() <= SLOTS);
}

#[test]
fn copied_messages_have_one_order() {
    sends(Discipline::MultiCopied, "multi copied", 3, [1, 2], Witness::receive);
}

#[test]
fn pinned_messages_have_one_order() {
    sends(Discipline::MultiPinned, "multi pinned", 3, [1, 2], Witness::poll);
}

#[test]
fn pinned_messages_read_by_value_have_one_order() {
    sends(Discipline::MultiPinned, "multi pinned by value", 2, [1, 2], Witness::receive);
}

/// A writer completes a lap while a reader polls.
fn laps(discipline: Discipline, name: &str, receive: fn(&mut Witness) -> bool) {
    let lapped = model(name, 3, move || {
        let ring = Ring::new(discipline);
        let (mut writer, mut witness) = (ring.writer(1), ring.witness());
        let publisher = thread::spawn(move || send(&mut writer, 1, 0..5));
        (0..2).for_each(|_| _ = receive(&mut witness));
        witness.finish(&publisher.join().unwrap()) > 0
    });
    assert!(lapped);
}

#[test]
fn copied_message_is_whole_or_counted() {
    laps(Discipline::MultiCopied, "multi copied, laps", Witness::receive);
}

#[test]
fn pinned_message_is_whole_or_counted() {
    laps(Discipline::MultiPinned, "multi pinned, laps", Witness::poll);
}

/// A writer completes a lap while an observer copies from slots that the writer stores plainly.
#[test]
fn observed_message_is_whole_or_counted() {
    for discipline in [Discipline::MultiCopied, Discipline::MultiPinned] {
        let lapped = model("shared, observed", 2, move || {
            let ring = Ring::with(discipline, Heap::observed);
            let reader = Reader::observe_from_start(ring.heap.region(), &ring.geometry);
            let mut witness = Witness { reader, seen: BTreeMap::new(), lost: 0 };
            let mut writer = ring.writer(1);
            let publisher = thread::spawn(move || send(&mut writer, 1, 0..4));
            (0..2).for_each(|_| _ = witness.receive());
            witness.finish(&publisher.join().unwrap()) > 0
        });
        assert!(lapped);
    }
}

/// A writer is suspended at any step for a lap of the other writer: an older message never replaces a newer
/// one.
#[test]
fn writer_stopped_for_a_lap_continues_at_the_end() {
    for discipline in [Discipline::MultiCopied, Discipline::MultiPinned] {
        model("shared, stopped for a lap", 3, move || {
            let ring = Ring::new(discipline);
            let (mut a, mut b, witness) = (ring.writer(0), ring.writer(1), ring.witness());
            let stopped = thread::spawn(move || send(&mut a, 0, 0..1));
            let mut sent = send(&mut b, 1, 0..SLOTS + 1);
            sent.extend(stopped.join().unwrap());
            witness.finish(&sent);
            true
        });
    }
}

/// A writer dies at each step, and the next writer on its seat continues. Another writer and a reader run
/// meanwhile.
fn crash(discipline: Discipline, name: &str) {
    every_crash(name, 2, move |point| {
        let ring = Ring::new(discipline);
        let (mut b, mut witness) = (ring.writer(1), ring.witness());
        let mut sent = send(&mut b, 1, 0..1);
        let dying = {
            let ring = ring.clone();
            thread::spawn(move || {
                let mut first = ring.writer(0);
                let lived = crash_at(point, || send(&mut first, 0, 0..1)).is_some();
                (send(&mut ring.writer(0), 0, 1..2), !lived)
            })
        };
        sent.extend(send(&mut b, 1, 1..2));
        witness.receive();
        let (after, died) = dying.join().unwrap();
        sent.extend(after);
        // The message at which the writer died is published or not: the one position that no other writer
        // took tells.
        let end = *sent.keys().max().expect("messages were sent");
        if let Some(position) = (0..=end).find(|position| !sent.contains_key(position)) {
            sent.insert(position, (0, 0));
        }
        witness.finish(&sent);
        died
    });
}

#[test]
fn copied_writer_may_die_anywhere() {
    crash(Discipline::MultiCopied, "multi copied crash");
}

#[test]
fn pinned_writer_may_die_anywhere() {
    crash(Discipline::MultiPinned, "multi pinned crash");
}

/// The last message of a writer that dies right after it can be received, though no writer follows.
#[test]
fn what_a_dead_writer_published_can_be_received() {
    for discipline in [Discipline::MultiCopied, Discipline::MultiPinned] {
        every_crash("shared, the last message", 0, move |point| {
            let ring = Ring::new(discipline);
            let mut writer = ring.writer(0);
            let lived = crash_at(point, || send(&mut writer, 0, 0..2)).is_some();
            let published = writer.end();
            let mut witness = ring.witness();
            while witness.receive() {}
            assert_eq!(witness.seen.len() as u64, published, "published, and cannot be received");
            !lived
        });
    }
}
