//! Two state words per slot under the model checker: readers that pre-pin a slot, and slots whose last
//! position was a hole.
//!
//! Readers of the models beside these pre-pin too, whenever they poll in place and find nothing.

use super::*;

/// A reader pins message 0 from before the writer starts, until it has polled twice. Returns the result of
/// the writer, after the reader has checked the remaining messages.
fn held_over<T: Send + 'static>(
    ring: &Ring,
    writes: impl FnOnce(&Ring, Writer) -> (u64, T) + Send + 'static,
) -> T {
    let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
    send(&mut writer, 1, 0);
    let guard = reader.reader.pin().unwrap();
    let publisher = {
        let ring = ring.clone();
        thread::spawn(move || writes(&ring, writer))
    };
    let mut bytes = [MaybeUninit::uninit(); SIZE];
    for _ in 0..2 {
        guard.copy_to(&mut bytes);
        assert_eq!(parts(&bytes), (0, 0), "changed while held");
    }
    drop(guard);
    reader.next = 1;
    let (sent, said) = publisher.join().unwrap();
    reader.finish(sent);
    ring.assert_at_rest();
    said
}

#[test]
fn a_message_is_held_for_laps() {
    let passed = model("held for laps", 3, || {
        let ring = Ring::new(Discipline::Pinned);
        // Slot 0 is skipped at positions 2 and 4, each with a word of its own.
        held_over(&ring, |_, mut writer| (send(&mut writer, 3, 0), writer.holes() > 1))
    });
    assert!(passed);
}

#[test]
fn a_message_is_held_while_its_writer_dies() {
    every_crash("held, writer dies", 1, |point| {
        let ring = Ring::new(Discipline::Pinned);
        held_over(&ring, move |ring, mut writer| {
            let lived = crash_at(point, move || send(&mut writer, 2, 0)).is_some();
            let mut next = ring.writer();
            // On its first lap, and on the next.
            (send(&mut next, 3, 1), !lived)
        })
    });
}

/// A ring whose slot 0 was skipped at position 2 and is free again, with a reader that reaches it next, and
/// the number of messages that the reader has lost.
fn after_a_hole() -> (Ring, Writer, Witness, u64) {
    let ring = Ring::new(Discipline::Pinned);
    let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
    send(&mut writer, 1, 0);
    let guard = reader.reader.pin().unwrap();
    send(&mut writer, 2, 0);
    assert_eq!((writer.next_position(), writer.holes()), (4, 1));
    drop(guard);
    reader.next = 1;
    let lost = reader.finish(3);
    assert_eq!(reader.reader.position(), 4);
    (ring, writer, reader, lost)
}

#[test]
fn a_slot_comes_back_after_a_hole() {
    let received = model("after a hole", 3, || {
        let (ring, mut writer, mut reader, lost) = after_a_hole();
        let publisher = thread::spawn(move || (send(&mut writer, 2, 0), writer.holes()));
        let seen = (0..3).filter(|_| reader.look()).count();
        let (sent, holes) = publisher.join().unwrap();
        assert_eq!(holes, 1, "who waits for the message keeps it out");
        assert_eq!(reader.finish(sent), lost, "nothing was overwritten");
        ring.assert_at_rest();
        seen == 2
    });
    assert!(received);
}

#[test]
fn a_slot_comes_back_after_a_hole_and_a_death() {
    every_crash("after a hole, writer dies", 2, |point| {
        let (ring, mut writer, mut reader, _) = after_a_hole();
        let publisher = {
            let ring = ring.clone();
            thread::spawn(move || {
                let lived = crash_at(point, move || send(&mut writer, 1, 0)).is_some();
                (send(&mut ring.writer(), 1, 1), !lived)
            })
        };
        reader.look();
        let (sent, died) = publisher.join().unwrap();
        reader.finish(sent);
        assert_eq!(reader.life, 1, "nothing comes after the last message");
        ring.assert_at_rest();
        died
    });
}

#[test]
fn what_was_waited_for_may_become_a_hole() {
    let passed = model("waited for, a hole", 3, || {
        let ring = Ring::new(Discipline::Pinned);
        let mut writer = ring.writer();
        let [mut slow, mut fast] = [0, 1].map(|bit| Witness::new(ring.reader(bit, 0)));
        send(&mut writer, 2, 0);
        assert!(fast.look() && fast.look() && !fast.look());
        // From here on the fast reader has a bit in the slot that the slow reader pins.
        let guard = slow.reader.pin().unwrap();
        let publisher = thread::spawn(move || (send(&mut writer, 1, 0), writer.holes()));
        fast.look();
        drop(guard);
        slow.next = 1;
        let (sent, holes) = publisher.join().unwrap();
        fast.finish(sent);
        slow.finish(sent);
        ring.assert_at_rest();
        holes > 0
    });
    assert!(passed);
}

#[test]
fn two_readers_may_wait_for_one_message() {
    let received = model("waited for by two", 1, || {
        let ring = Ring::new(Discipline::Pinned);
        let mut writer = ring.writer();
        let [mut first, mut second] = [0, 1].map(|bit| Witness::new(ring.reader(bit, 0)));
        assert!(!first.look());
        let other = thread::spawn(move || {
            let seen = second.look();
            (second, seen)
        });
        let publisher = thread::spawn(move || send(&mut writer, 3, 0));
        let seen = first.look();
        let (mut second, also_seen) = other.join().unwrap();
        let sent = publisher.join().unwrap();
        first.finish(sent);
        second.finish(sent);
        ring.assert_at_rest();
        seen && also_seen
    });
    assert!(received);
}

#[test]
fn waiting_reader_may_die_anywhere_and_is_reclaimed() {
    every_crash("who waits dies", 2, |point| {
        let ring = Ring::new(Discipline::Pinned);
        let (mut writer, mut reader) = (ring.writer(), Witness::new(ring.reader(0, 0)));
        send(&mut writer, 3, 0);
        let subscriber = {
            let ring = ring.clone();
            thread::spawn(move || {
                let lived = crash_at(point, || (0..3).for_each(|_| _ = reader.look())).is_some();
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
