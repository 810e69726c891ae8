//! Short laps: when they begin and end, and what readers find.

use super::*;
use crate::layout::seat;
use crate::ring::broadcast::short_laps::{FIRST, Followed, HOLD};
use crate::ring::flow_control;
use std::cell::Cell;

const SLOTS: u64 = 8;
const SIZE: u64 = 256 << 10;
/// The seat of the subscriber.
const SEAT: u32 = 1;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

fn followed(ring: &Ring) -> Followed {
    let (region, geometry) = (ring.heap.region(), ring.geometry);
    Box::new(move |next| flow_control::all_have_reached(region, &geometry, next))
}

/// A ring of large messages with a subscriber, whose writer has a clock of its own.
struct Scene {
    ring: Ring,
    writer: Writer,
    reader: Reader,
    /// Times that a message of a short lap and one of a whole lap take, in nanoseconds.
    times: (u64, u64),
    /// The position at which the last short lap began.
    began: u64,
    sent: u64,
}

impl Scene {
    fn new(times: (u64, u64)) -> Self {
        let ring = Ring::new(Discipline::Pinned, SLOTS, SIZE);
        let mut writer = ring.writer();
        writer.allow_short_laps(&ring.geometry, || NOW.get(), followed(&ring));
        let reader = ring.reader(0, 0);
        let scene = Scene { ring, writer, reader, times, began: u64::MAX - 1, sent: 0 };
        scene.put(seat::FLOW, 3);
        scene
    }

    fn put(&self, at: usize, value: u64) {
        self.ring.heap.region().u64(self.ring.geometry.seat(SEAT) + at).store(value, Relaxed);
    }

    /// Sends a message. Returns `true` if it is part of a short lap.
    fn send(&mut self) -> bool {
        let before = self.writer.next_position();
        self.writer.try_claim().unwrap();
        let position = self.writer.next_position();
        if position > before + 1 {
            assert_eq!(position, before - 2 + SLOTS);
            self.began = position;
        }
        let short = (self.began..=self.began + 1).contains(&position);
        NOW.set(NOW.get() + if short { self.times.0 } else { self.times.1 });
        self.writer.claimed_slot().fill(&self.sent.to_ne_bytes());
        self.writer.commit(8);
        self.sent += 1;
        short
    }

    /// Receives everything, and stores the position as a subscriber does. Returns the numbers and the count of lost
    /// messages.
    fn receive(&mut self) -> (Vec<u64>, u64) {
        let received = drain(&mut self.reader);
        self.put(seat::POSITION, self.reader.position());
        received
    }

    /// Sends and receives `count` messages one by one. Returns the number of those in short laps.
    fn run(&mut self, count: u64) -> u64 {
        let mut short = 0;
        for _ in 0..count {
            short += u64::from(self.send());
            assert_eq!(self.receive(), (vec![self.sent - 1], 0));
        }
        short
    }
}

fn drain(reader: &mut Reader) -> (Vec<u64>, u64) {
    let (mut numbers, mut lost) = (Vec::new(), 0);
    loop {
        let mut bytes = [MaybeUninit::uninit(); 8];
        match reader.read_into(&mut bytes) {
            Ok(_) => numbers.push(u64::from_ne_bytes(initialized(&bytes).try_into().unwrap())),
            Err(NoMessage::Lagged(missed)) => lost += missed,
            Err(NoMessage::Empty) => return (numbers, lost),
        }
    }
}

#[test]
fn laps_are_short_while_subscribers_keep_up() {
    let mut scene = Scene::new((20_000, 40_000));
    assert_eq!(scene.run(FIRST / 2), FIRST / 2 - 2, "two messages come before the first short lap");
    // A trial of whole laps comes from time to time.
    let messages = FIRST + 2 * HOLD;
    let whole = messages - scene.run(messages);
    assert!((SLOTS + 16..150).contains(&whole), "{whole} of {messages}");
    assert_eq!(scene.writer.passed(), 0);
    assert_eq!(scene.writer.messages(), FIRST / 2 + messages);
    scene.ring.assert_at_rest();
}

#[test]
fn slower_short_laps_end() {
    let mut scene = Scene::new((40_000, 20_000));
    assert!(scene.run(FIRST + 200) >= FIRST);
    // One more trial at most.
    assert!(scene.run(HOLD) < 40);
}

#[test]
fn messages_hardly_written_make_whole_laps() {
    let mut scene = Scene::new((100, 100));
    assert!(scene.run(10) < 10);
    assert_eq!(scene.run(HOLD / 2), 0);
}

#[test]
fn laps_are_whole_without_subscribers() {
    let mut scene = Scene::new((20_000, 40_000));
    scene.put(seat::FLOW, 0);
    assert_eq!(scene.run(100), 0);
}

#[test]
fn subscriber_that_stops_has_a_whole_lap() {
    for stop in 0..if cfg!(miri) { 2 } else { 20 } {
        let mut scene = Scene::new((20_000, 40_000));
        scene.run(20 + stop);
        let first = scene.sent;
        for _ in 0..SLOTS - 1 {
            scene.send();
        }
        assert_eq!(scene.receive(), ((first..first + SLOTS - 1).collect(), 0));
        // The writer is in the slot of the oldest message while it writes the next one.
        let first = scene.sent;
        for _ in 0..3 * SLOTS {
            scene.send();
        }
        let (numbers, lost) = scene.receive();
        assert_eq!(numbers.len() as u64 + lost, 3 * SLOTS);
        assert_eq!(numbers, (first + lost..scene.sent).collect::<Vec<_>>());
        assert!(scene.run(20) > 0);
    }
}

#[test]
fn new_reader_finds_the_newest_messages() {
    let mut scene = Scene::new((20_000, 40_000));
    scene.run(31);
    let (numbers, lost) = drain(&mut scene.ring.reader(1, SLOTS));
    assert_eq!((numbers.last(), lost), (Some(&30), 0));
    assert!(numbers.is_sorted() && numbers.len() >= 2);
    scene.writer.try_claim().unwrap();
    let (numbers, lost) = drain(&mut scene.ring.reader(1, SLOTS));
    assert_eq!((numbers.last(), lost), (Some(&30), 0), "while the next message is written");
}

#[test]
fn pinned_message_is_kept_and_ends_the_lap() {
    let mut scene = Scene::new((20_000, 40_000));
    scene.run(40);
    let mut holder = scene.ring.reader(1, 1);
    let held = holder.pin().unwrap();
    scene.run(40);
    let mut bytes = [MaybeUninit::uninit(); 8];
    held.copy_to(&mut bytes);
    assert_eq!(initialized(&bytes), 39u64.to_ne_bytes());
    drop(held);
    assert!(scene.run(40) > 0);
}

#[test]
fn dropped_claim_is_claimed_again() {
    let mut scene = Scene::new((20_000, 40_000));
    scene.run(21);
    for _ in 0..4 {
        scene.writer.try_claim().unwrap();
        let position = scene.writer.next_position();
        drop(scene.writer.claim().unwrap());
        assert_eq!(scene.writer.next_position(), position);
        scene.run(1);
    }
    scene.ring.assert_at_rest();
}

#[test]
fn next_writer_takes_over_a_short_lap() {
    for sent in 0..if cfg!(miri) { 4 } else { 12 } {
        let mut scene = Scene::new((20_000, 40_000));
        scene.run(sent);
        if sent % 2 == 1 {
            scene.writer.try_claim().unwrap();
        }
        scene.writer = scene.ring.writer();
        assert_eq!((scene.writer.messages(), scene.writer.recovered().unfinished), (sent, sent % 2));
        scene.began = u64::MAX - 1;
        for _ in 0..20 {
            scene.send();
            assert_eq!(scene.receive(), (vec![scene.sent - 1], 0));
        }
        scene.ring.assert_at_rest();
    }
}

#[test]
fn small_or_many_slots_have_whole_laps() {
    for (slots, size) in [(SLOTS, SIZE - 8), (2, SIZE), (128, SIZE)] {
        let ring = Ring::new(Discipline::Pinned, slots, size);
        let mut writer = ring.writer();
        writer.allow_short_laps(&ring.geometry, || 0, followed(&ring));
        assert!(writer.has_credit(), "{slots} slots of {size} bytes: it chooses nothing");
    }
}
