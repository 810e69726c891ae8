//! The broadcast ring under the model checker: the code itself, with a crash at every fault point. The
//! checker tries every interleaving and every stale value that the memory model allows, up to a number of
//! preemptions.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p shmcomm --release --lib ring` runs it; `.ci/loom-mutants`
//! checks that it refutes every known-wrong variant.

use super::*;
use crate::fault::{crash_at, fault_point, mutant};
use crate::layout::{Heap, Pattern, Shape, geometry::STATE};
use crate::ring::slot::{FastPath, NoMessage, initialized};
use crate::sync::Ordering::Relaxed;
use core::mem::MaybeUninit;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

mod lent;
mod observe;
mod pre_pin;
mod short_laps;

const SLOTS: u64 = 2;
const SIZE: usize = 16;

/// The heap lives until the last thread has finished, even if another thread panics.
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
            seats: 4,
            publishers: 1,
            schema_len: 0,
        };
        let geometry = Geometry::with(discipline, shape).unwrap();
        Ring { heap: Arc::new(heap(&geometry)), geometry }
    }

    fn writer(&self) -> Writer {
        Writer::new(self.heap.region(), &self.geometry).expect("a region that only crashes have touched")
    }

    fn reader(&self, bit: u32, history: u64) -> Reader {
        Reader::join(self.heap.region(), &self.geometry, bit, history).expect("a sound region")
    }

    /// Checks at the end that no participant has a claim or a pin.
    fn assert_at_rest(&self) {
        if self.geometry.discipline == Discipline::Copied {
            return;
        }
        for index in 0..SLOTS {
            for word in 0..self.geometry.discipline.states() {
                let slot = self.geometry.slots_offset + index * self.geometry.stride;
                let at = slot + self.geometry.state_offset + word * STATE;
                assert_eq!(self.heap.region().u64(at as usize).load(Relaxed), 0, "slot {index}, word {word}");
            }
        }
    }
}

/// Message `number`, as the writer of that `life` writes it: its halves prove each other.
fn message(number: u64, life: u64) -> [u8; SIZE] {
    let word = (life << 32) + number + 1;
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&word.to_ne_bytes());
    bytes[8..].copy_from_slice(&(!word).to_ne_bytes());
    bytes
}

/// Returns number and life of a message.
fn parts(bytes: &[MaybeUninit<u8>]) -> (u64, u64) {
    let bytes = initialized(bytes);
    let word = |i| u64::from_ne_bytes(bytes[i..i + 8].try_into().unwrap());
    assert_eq!(word(0), !word(8), "torn");
    ((word(0) as u32 - 1).into(), word(0) >> 32)
}

/// A reader that compares each received message with the expected one.
struct Witness {
    reader: Reader,
    /// The number of the next message.
    next: u64,
    /// The life of the writer of the last message.
    life: u64,
}

impl Witness {
    fn new(reader: Reader) -> Self {
        // While no participant has a pin, position equals number.
        Witness { next: reader.position(), reader, life: 0 }
    }

    fn account(&mut self, outcome: Result<(u64, u64), NoMessage>) -> bool {
        match outcome {
            Ok((number, life)) => {
                assert_eq!(number, self.next, "repeated, invented, out of order, or lost in silence");
                self.next += 1;
                self.life = life;
            }
            Err(NoMessage::Lagged(lost)) => self.next += lost,
            Err(NoMessage::Empty) => return false,
        }
        true
    }

    /// Receives by value. Returns `false` if there was nothing.
    fn receive(&mut self) -> bool {
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        // Polls like subscribers. (In a pinned ring the first poll is the same as the poll of the second
        // call.)
        let seen = if self.reader.is_pinned() { FastPath::Slow } else { self.reader.read_fast(&mut bytes) };
        let outcome = match seen {
            FastPath::Ready(_) => Ok(SIZE),
            FastPath::Empty => Err(NoMessage::Empty),
            FastPath::Slow => self.reader.read_into(&mut bytes),
        };
        self.account(outcome.map(|_| parts(&bytes)))
    }

    /// Receives in place, and polls twice. Returns `false` if there was nothing.
    fn look(&mut self) -> bool {
        let outcome = self.reader.pin().map(|pinned| {
            let mut bytes = [MaybeUninit::uninit(); SIZE];
            pinned.copy_to(&mut bytes);
            let first = parts(&bytes);
            fault_point!("model.looking");
            pinned.copy_to(&mut bytes);
            assert_eq!(first, parts(&bytes), "changed while held");
            first
        });
        self.account(outcome)
    }

    /// Receives the remaining messages; the reader has then accounted for each of the `sent` messages.
    /// Returns the number of overwritten messages.
    fn finish(&mut self, sent: u64) -> u64 {
        while self.receive() {}
        assert_eq!(self.next, sent, "lost in silence");
        self.reader.release_pin();
        self.reader.lost()
    }
}

/// Sends a number of messages, except messages that find every slot pinned. Returns the number of messages in
/// the ring. With two slots a single reader can be in both, one after the other, while the writer tries
/// them.
fn send(writer: &mut Writer, messages: u64, life: u64) -> u64 {
    for _ in 0..messages {
        let _: Result<(), AllPinned> = writer.send(&message(writer.messages(), life));
    }
    writer.messages()
}

/// Runs every execution with at most `bound` preemptions, and returns `true` if `run` ever was. A model
/// that never reaches its condition proves nothing.
pub(in crate::ring) fn model(
    name: &str,
    preemptions: usize,
    run: impl Fn() -> bool + Sync + Send + 'static,
) -> bool {
    let executions = Arc::new(AtomicU64::new(0));
    let reached = Arc::new(AtomicBool::new(false));
    let (count, mark) = (Arc::clone(&executions), Arc::clone(&reached));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        mark.fetch_or(run(), Relaxed);
    });
    eprintln!("{name}: {} executions", executions.load(Relaxed));
    reached.load(Relaxed)
}

/// Runs a model for every fault point, until there is none left at which it can die. `run` returns `true`
/// if it died.
pub(in crate::ring) fn every_crash(
    name: &str,
    preemptions: usize,
    run: impl Fn(u32) -> bool + Clone + Sync + Send + 'static,
) {
    for point in 0.. {
        let run = run.clone();
        if !model(&format!("{name} {point}"), preemptions, move || run(point)) {
            assert!(point > 3, "there are fault points to die at");
            return;
        }
    }
}

/// A reader polls twice while messages arrive, and then to the end.
fn receives(
    discipline: Discipline,
    name: &str,
    preemptions: usize,
    messages: u64,
    receive: fn(&mut Witness) -> bool,
) {
    let lapped = model(name, preemptions, move || {
        let ring = Ring::new(discipline);
        let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
        let publisher = thread::spawn(move || send(&mut writer, messages, 0));
        (0..2).for_each(|_| _ = receive(&mut reader));
        let sent = publisher.join().unwrap();
        let lost = reader.finish(sent);
        ring.assert_at_rest();
        lost > 0
    });
    assert!(lapped);
}

#[test]
fn copied_message_is_whole_or_counted() {
    receives(Discipline::Copied, "copied", 3, 3, Witness::receive);
    receives(Discipline::Copied, "copied, two laps", 2, 4, Witness::receive);
}

#[test]
fn pinned_message_is_whole_or_counted() {
    receives(Discipline::Pinned, "pinned", 3, 3, Witness::look);
    receives(Discipline::Pinned, "pinned, two laps", 2, 5, Witness::look);
}

#[test]
fn pinned_message_read_by_value_is_whole_or_counted() {
    receives(Discipline::Pinned, "pinned by value", 3, 3, Witness::receive);
}

#[test]
fn nothing_is_lost_that_is_not_overwritten() {
    for discipline in [Discipline::Copied, Discipline::Pinned] {
        model("one lap", 3, move || {
            let ring = Ring::new(discipline);
            let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
            let publisher = thread::spawn(move || send(&mut writer, SLOTS, 0));
            (0..2).for_each(|_| _ = reader.receive());
            publisher.join().unwrap();
            assert_eq!(reader.finish(SLOTS), 0);
            true
        });
    }
}

// Readers of a copied ring share no word that a reader writes: one reader stands for all.

/// A reader that joins, and asks for the newest message, while messages arrive.
fn join_and_latest(discipline: Discipline, name: &str, preemptions: usize) {
    let skipped = model(name, preemptions, move || {
        let ring = Ring::new(discipline);
        let mut writer = ring.writer();
        let publisher = thread::spawn(move || send(&mut writer, 3, 0));
        let mut reader = Witness::new(ring.reader(0, 0));
        let joined = reader.next;
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        if reader.reader.latest_into(&mut bytes).is_some() {
            let (newest, _) = parts(&bytes);
            assert!(newest + 1 >= joined);
            reader.next = reader.next.max(newest + 1);
            assert_eq!(reader.next - joined, reader.reader.skipped() + u64::from(newest >= joined));
        }
        let sent = publisher.join().unwrap();
        let skipped = reader.reader.skipped();
        reader.finish(sent);
        skipped > 0
    });
    assert!(skipped);
}

#[test]
fn copied_latest_is_whole_and_counts_what_it_skips() {
    join_and_latest(Discipline::Copied, "copied latest", 3);
}

#[test]
fn pinned_latest_is_whole_and_counts_what_it_skips() {
    join_and_latest(Discipline::Pinned, "pinned latest", 3);
}

/// A writer dies at each step, the next writer recovers the ring, and a reader polls meanwhile.
fn writer_crash(discipline: Discipline, name: &str, history: u64, receive: fn(&mut Witness) -> bool) {
    every_crash(name, 2, move |point| {
        let ring = Ring::new(discipline);
        send(&mut ring.writer(), SLOTS, 0);
        let mut reader = Witness::new(ring.reader(0, history));
        let publisher = {
            let ring = ring.clone();
            thread::spawn(move || {
                let lived = crash_at(point, || send(&mut ring.writer(), 1, 0)).is_some();
                (send(&mut ring.writer(), 1, 1), !lived)
            })
        };
        receive(&mut reader);
        let (sent, died) = publisher.join().unwrap();
        reader.finish(sent);
        assert_eq!(reader.life, 1, "nothing comes after the last message");
        ring.assert_at_rest();
        died
    });
}

#[test]
fn copied_writer_may_die_anywhere() {
    writer_crash(Discipline::Copied, "copied crash", 0, Witness::receive);
    writer_crash(Discipline::Copied, "copied crash, old reader", SLOTS, Witness::receive);
}

#[test]
fn pinned_writer_may_die_anywhere() {
    writer_crash(Discipline::Pinned, "pinned crash", 0, Witness::receive);
    writer_crash(Discipline::Pinned, "pinned crash, old reader", SLOTS, Witness::receive);
    writer_crash(Discipline::Pinned, "pinned crash, reader in place", 0, Witness::look);
}

/// Two writers die in a row, the second perhaps during its recovery. Readers poll in between.
fn two_crashes(discipline: Discipline, receive: fn(&mut Witness) -> bool) {
    for first in 0..24 {
        for second in 0..24 {
            model("two crashes", 0, move || {
                let ring = Ring::new(discipline);
                let mut reader = Witness::new(ring.reader(0, 0));
                crash_at(first, || send(&mut ring.writer(), 3, 0));
                if first % 2 == 0 {
                    receive(&mut reader);
                }
                crash_at(second, || send(&mut ring.writer(), 3, 1));
                if second % 2 == 0 {
                    receive(&mut reader);
                }
                reader.finish(send(&mut ring.writer(), 1, 2));
                ring.assert_at_rest();
                true
            });
        }
    }
}

#[test]
fn takeover_may_be_interrupted() {
    two_crashes(Discipline::Copied, Witness::receive);
    two_crashes(Discipline::Pinned, Witness::look);
}

#[test]
fn writer_goes_round_what_is_held() {
    let passed = model("held", 3, || {
        let ring = Ring::new(Discipline::Pinned);
        let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
        send(&mut writer, 1, 0);
        let publisher = thread::spawn(move || (send(&mut writer, 2, 0), writer.holes()));
        (0..2).for_each(|_| _ = reader.look());
        let (sent, holes) = publisher.join().unwrap();
        reader.finish(sent);
        ring.assert_at_rest();
        holes > 0
    });
    assert!(passed);
}

#[test]
fn pinned_readers_do_not_disturb_each_other() {
    let passed = model("pinned, two readers", 3, || {
        let ring = Ring::new(Discipline::Pinned);
        let (mut writer, mut first, mut second) =
            (ring.writer(), Witness::new(ring.reader(0, 0)), Witness::new(ring.reader(1, 0)));
        send(&mut writer, 2, 0);
        let guard = first.reader.pin().unwrap();
        let publisher = thread::spawn(move || (send(&mut writer, 1, 0), writer.holes()));
        let other = thread::spawn(move || {
            second.look();
            second
        });
        let mut bytes = [MaybeUninit::uninit(); SIZE];
        guard.copy_to(&mut bytes);
        assert_eq!(parts(&bytes), (0, 0));
        drop(guard);
        first.next = 1;
        let (sent, holes) = publisher.join().unwrap();
        first.finish(sent);
        other.join().unwrap().finish(sent);
        ring.assert_at_rest();
        holes > 0
    });
    assert!(passed);
}

#[test]
fn claim_dropped_or_leaked_is_harmless() {
    model("claims", 3, || {
        let ring = Ring::new(Discipline::Pinned);
        let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
        send(&mut writer, 2, 0);
        let publisher = thread::spawn(move || {
            if let Ok(mut claim) = writer.claim() {
                claim.fill(&message(7, 1));
            }
            core::mem::forget(writer.claim());
            send(&mut writer, 1, 0)
        });
        (0..2).for_each(|_| _ = reader.look());
        let sent = publisher.join().unwrap();
        reader.finish(sent);
        ring.assert_at_rest();
        true
    });
}

#[test]
fn reader_may_die_anywhere_and_is_reclaimed() {
    every_crash("reader crash", 2, |point| {
        let ring = Ring::new(Discipline::Pinned);
        let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
        send(&mut writer, 1, 0);
        let subscriber = {
            let ring = ring.clone();
            thread::spawn(move || {
                if mutant("reclaim of a living reader") {
                    thread::spawn({
                        let ring = ring.clone();
                        move || reclaim_pins(ring.heap.region(), &ring.geometry, 0)
                    });
                }
                let lived = crash_at(point, || (0..2).for_each(|_| _ = reader.look())).is_some();
                reclaim_pins(ring.heap.region(), &ring.geometry, 0);
                !lived
            })
        };
        send(&mut writer, 2, 0);
        let died = subscriber.join().unwrap();
        ring.assert_at_rest();
        died
    });
}
